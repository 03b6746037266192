/* status counts what has a process at this moment, and agrees with ls and with the run's own summary. */
#include "answer.h"
#include "site.h"

static json_t *status_of(const struct site *s)
{
    char command[500];
    struct str path = {0};
    char *text;
    json_t *j = NULL;
    str_addf(&path, "%s/status.json", s->dir);
    snprintf(command, sizeof command, "cd '%s' && bin/sweep status --json > status.json", s->dir);
    CU_ASSERT_EQUAL(system(command), 0);
    TEST_OK(fs_read(&text, NULL, path.s));
    TEST_OK(json_parse(&j, "status", text, strlen(text)));
    str_free(&path);
    free(text);
    return j;
}

static int64_t count_of(const json_t *status, const char *name)
{
    return json_int(json_array_get(json_object_get(status, "sweeps"), 0), name, -1);
}

/* Trials in this state, as ls says it. */
static int64_t stored(const struct site *s, const char *state)
{
    char command[300];
    snprintf(command, sizeof command, "ls a --where \"state = '%s'\" --csv", state);
    CU_ASSERT_EQUAL(site_wait(site_start(s, command, state)), 0);
    int64_t lines = 0;
    char *text = site_said(s, state);
    for (const char *p = text; (p = strchr(p, '\n')); p++) lines++;
    free(text);
    return lines - 1; /* the head */
}

static void cli_status__counts_what_runs(void)
{
    struct site s = site_make("name: a\ndata: {pairs: 8, size: 64}\nseeds: 12\n", "ok:100");
    pid_t pid = site_start(&s, "run a.yaml --no-report --jobs 2 --no-tty", "words");
    int64_t most = 0, rows = 0;
    for (int i = 0; i < 25; i++) { /* trials are begun, stored and wait meanwhile */
        usleep(100000);
        json_t *j = status_of(&s), *running = json_object_get(j, "running");
        int64_t n = count_of(j, "running");
        CU_ASSERT_TRUE(n <= 2);
        CU_ASSERT_TRUE(json_array_size(running) <= 2);
        for (size_t k = 0; k < json_array_size(running); k++)
            CU_ASSERT_EQUAL(strlen(json_str(json_array_get(running, k), "trial", "")), 12);
        if (n > most) most = n;
        if ((int64_t)json_array_size(running) > rows) rows = (int64_t)json_array_size(running);
        json_decref(j);
    }
    CU_ASSERT_EQUAL(most, 2);
    CU_ASSERT_EQUAL(rows, 2);
    kill(pid, SIGINT);
    site_wait(pid);
    json_t *j = status_of(&s);
    CU_ASSERT_EQUAL(count_of(j, "running"), 0);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "running")), 0);
    char *said = site_said(&s, "words"), want[60];
    int64_t interrupted = stored(&s, "interrupted"), queued = stored(&s, "queued");
    CU_ASSERT_EQUAL(interrupted + queued, count_of(j, "waiting"));
    CU_ASSERT_TRUE(interrupted > 0 && queued > 0);
    snprintf(want, sizeof want, "%d interrupted, %d queued;", (int)interrupted, (int)queued);
    if (!strstr(said, want)) fprintf(stderr, "no \"%s\" in\n%s\n", want, said);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, want));
    free(said);
    json_decref(j);
}

static const struct test tests[] = {TEST(cli_status__counts_what_runs)};
TEST_MAIN("cli.status", tests)
