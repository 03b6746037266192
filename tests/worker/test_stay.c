/* A worker that stays: what a stage gives does not depend on what ran before it, its lock is free at its last word, and
 * its memory does not grow. */
#include "started.h"
#include <sys/file.h>
#include <sys/mman.h>

/* As different as they can be: also in the number of threads, 0 being what the process finds. */
static const struct kind {
    const char *stage, *more;
    int threads;
} kinds[] = {
    {"train", ", \"config\": {\"train.epochs\": 1}", 1},
    {"evaluate", "", 2},
    {"export", ", \"format\": \"onnx\"", 1},
    {"verify", ", \"format\": \"onnx\"", 2},
    {"samples", "", 0},
    {"screen", "", 1},
};
enum { KINDS = LEN(kinds) };

static int trainings; /* begun in this folder */

/* A training has a folder of its own, as it would go on from a checkpoint; the others read the first one's. */
static char *job_of(int kind)
{
    char more[1600], own[400], *text;
    const struct kind *k = &kinds[kind];
    snprintf(own, sizeof own, "%s/%d", dir, kind ? 0 : trainings++);
    TEST_OK(fs_mkdir(own));
    snprintf(more, sizeof more, "{\"dir\": \"%s\", \"model\": \"%s/model.onnx\", \"threads\": %d%s%s}", own, own,
             k->threads, k->more, strstr(k->more, "config") ? "" : ", \"config\": {\"train.epochs\": 1}");
    text = job_text(k->stage, more);
    return text;
}

struct stayer {
    struct process p;
    int channel;
};

static struct stayer stayer_start(void)
{
    int ends[2], out[2];
    char program[1100];
    CHECK(pass_channel(ends) && pipe2(out, O_CLOEXEC) == 0, "a channel");
    forgive_runtime();
    snprintf(program, sizeof program, "%s/sweep-worker", test_build_dir());
    struct stayer s = {.channel = ends[0], .p.pid = fork()};
    if (s.p.pid == 0) {
        int apart = fcntl(out[1], F_DUPFD, 10);
        dup2(ends[1], STDIN_FILENO);
        dup2(apart, EVENTS_FD);
        execl(program, program, "stay", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    close(out[1]);
    s.p.events = fdopen(out[0], "r");
    return s;
}

static int stayer_end(struct stayer *s)
{
    close(s->channel);
    return finish(&s->p);
}

/* Events of a job, the last one "rest". Owner: the caller. */
static json_t *stayer_does(struct stayer *s, const char *job)
{
    char path[400], *line = NULL;
    size_t cap = 0;
    json_t *events = json_array();
    bool rested = false;
    snprintf(path, sizeof path, "%s/lock", dir);
    int fds[] = {memfd_create("job", MFD_CLOEXEC), fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10),
                 open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666)};
    CU_ASSERT_EQUAL(write(fds[0], job, strlen(job)), (ssize_t)strlen(job));
    CU_ASSERT_EQUAL(flock(fds[2], LOCK_EX | LOCK_NB), 0); /* the last job's is free */
    CU_ASSERT_TRUE(pass_send(s->channel, fds, LEN(fds)));
    for (size_t i = 0; i < LEN(fds); i++) close(fds[i]);
    int again = open(path, O_RDWR | O_CLOEXEC);
    CU_ASSERT_NOT_EQUAL(flock(again, LOCK_EX | LOCK_NB), 0); /* this one's is held, though we let go of it */
    while (!rested && getline(&line, &cap, s->p.events) > 0) {
        json_t *e = NULL;
        TEST_OK(json_parse(&e, "event", line, strlen(line)));
        rested = strcmp(json_str(e, "ev", ""), "rest") == 0;
        json_array_append_new(events, e);
    }
    CU_ASSERT_TRUE(rested);
    CU_ASSERT_EQUAL(flock(again, LOCK_EX | LOCK_NB), 0);
    close(again);
    free(line);
    return events;
}

/* A checkpoint's header also says how long it took: its tensors' bytes are what counts. */
static void hash_tensors(json_t *artifact)
{
    char *text = NULL;
    size_t n = 0;
    uint64_t header = 0;
    if (strcmp(json_str(artifact, "format", ""), "safetensors") != 0) return;
    TEST_OK(fs_read(&text, &n, json_str(artifact, "path", "")));
    memcpy(&header, text, sizeof header);
    CU_ASSERT_TRUE_FATAL(n > header + sizeof header);
    struct hash h = hash_bytes(text + sizeof header + header, n - sizeof header - header);
    json_object_set_new(artifact, "hash", json_string(h.hex));
    json_object_del(artifact, "bytes");
    free(text);
}

/* What a stage found out: all but times. Owner: the caller frees. */
static char *findings(const json_t *events)
{
    struct str s = {0};
    for (size_t i = 0; i < json_array_size(events); i++) {
        json_t *e = json_deep_copy(json_array_get(events, i));
        const char *ev = json_str(e, "ev", "");
        bool counts = strcmp(ev, "metrics") == 0 || strcmp(ev, "image") == 0 || strcmp(ev, "artifact") == 0;
        json_object_del(json_object_get(e, "values"), "images_per_s");
        hash_tensors(e);
        json_object_del(e, "path"); /* of another training */
        char *text = json_canonical(e);
        if (counts) str_addf(&s, "%s\n", text);
        free(text);
        json_decref(e);
    }
    str_addn(&s, "", 0);
    return s.s;
}

static void worker_stay__nothing_depends_on_what_ran_before(void)
{
    char *alone[KINDS];
    make_dir();
    trainings = 0;
    for (int k = 0; k < KINDS; k++) {
        struct stayer s = stayer_start();
        char *job = job_of(k);
        json_t *e = stayer_does(&s, job);
        alone[k] = findings(e);
        CU_ASSERT_TRUE(strlen(alone[k]) > 0);
        CU_ASSERT_EQUAL(stayer_end(&s), 0);
        json_decref(e);
        free(job);
    }
    /* Each after each: 0 | 0 1 | 0 2 | ... | 1 | 1 2 | ..., and round to 0. */
    int order[KINDS * KINDS + 1], n = 0;
    for (int i = 0; i < KINDS; i++) {
        order[n++] = i;
        for (int k = i + 1; k < KINDS; k++) order[n++] = i, order[n++] = k;
    }
    order[n++] = 0;
    CU_ASSERT_EQUAL(n, KINDS * KINDS + 1);
    struct stayer s = stayer_start();
    for (int i = 0; i < n; i++) {
        char *job = job_of(order[i]);
        json_t *e = stayer_does(&s, job);
        char *found = findings(e);
        CU_ASSERT_STRING_EQUAL(found, alone[order[i]]);
        if (strcmp(found, alone[order[i]]) != 0)
            fprintf(stderr, "%s after %s gives\n%snot\n%s", kinds[order[i]].stage,
                    i ? kinds[order[i - 1]].stage : "nothing", found, alone[order[i]]);
        json_decref(e);
        free(found);
        free(job);
    }
    CU_ASSERT_EQUAL(stayer_end(&s), 0);
    for (int k = 0; k < KINDS; k++) free(alone[k]);
}

static int64_t bytes_at_rest(pid_t pid)
{
    char path[64], line[100];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    fs_first_line(line, sizeof line, path);
    return sscanf(line, "%*d %ld", &pages) == 1 ? (int64_t)pages * sysconf(_SC_PAGESIZE) : 0;
}

/* Rounds of every stage; what remains after one more must not be a MiB a job more. The first ones fill caches. */
static void worker_stay__memory_at_rest_does_not_grow(void)
{
    enum { WARM = 3, ROUNDS = 6 };
    int64_t first = 0, last = 0;
    make_dir();
    trainings = 0;
    struct stayer s = stayer_start();
    for (int i = 0; i < WARM + ROUNDS; i++) {
        for (int k = 0; k < KINDS; k++) {
            char *job = job_of(k);
            json_t *e = stayer_does(&s, job);
            CU_ASSERT_TRUE(json_int(find(e, "rest"), "rss_bytes", 0) > 50 << 20);
            json_decref(e);
            free(job);
        }
        *(i < WARM ? &first : &last) = bytes_at_rest(s.p.pid);
    }
    CU_ASSERT_EQUAL(stayer_end(&s), 0);
    double mib = (double)(last - first) / 1048576 / (ROUNDS * KINDS);
    CU_ASSERT_TRUE(first > 0 && (mib < 0.5 || TEST_SANITIZED /* which keeps what was freed */));
    fprintf(stderr, "%.2f MiB a job; at rest %.0f MiB\n", mib, (double)last / 1048576);
}

/* The peak is that of the job, not of a larger one before. */
static void worker_stay__each_job_has_its_own_peak(void)
{
    make_dir();
    trainings = 0;
    struct stayer s = stayer_start();
    int64_t peaks[3];
    static const int batch[] = {2, 8, 2}, size[] = {64, 256, 64};
    for (size_t i = 0; i < LEN(peaks); i++) {
        char own[400], more[900];
        snprintf(own, sizeof own, "%s/p%zu", dir, i);
        TEST_OK(fs_mkdir(own));
        snprintf(more, sizeof more,
                 "{\"dir\": \"%s\", \"config\": {\"data.size\": %d, \"train.batch\": %d, \"train.epochs\": 1}}", own,
                 size[i], batch[i]);
        char *job = job_text("train", more);
        json_t *e = stayer_does(&s, job);
        peaks[i] = json_int(find(e, "rest"), "rss_bytes", 0);
        json_decref(e);
        free(job);
    }
    CU_ASSERT_TRUE(peaks[1] > peaks[0] + (20 << 20));
    if (!TEST_SANITIZED)
        CU_ASSERT_TRUE(peaks[2] < (peaks[0] + peaks[1]) / 2); /* it keeps what was freed, to look at it */
    CU_ASSERT_EQUAL(stayer_end(&s), 0);
}

static void worker_stay__a_job_that_fails_ends_it(void)
{
    make_dir();
    trainings = 0;
    static const struct {
        const char *job;
        int code;
    } cases[] = {{"{\"stage\": \"none\"}", 2}, {NULL, 1}};
    for (size_t i = 0; i < LEN(cases); i++) {
        struct stayer s = stayer_start();
        char *job = cases[i].job ? mem_strdup(cases[i].job)
                                 : job_text("evaluate", "{\"config\": {\"data.root\": \"no/such\"}}");
        int fds[] = {memfd_create("job", MFD_CLOEXEC), open("/dev/null", O_WRONLY | O_CLOEXEC),
                     open("/dev/null", O_WRONLY | O_CLOEXEC)};
        CU_ASSERT_EQUAL(write(fds[0], job, strlen(job)), (ssize_t)strlen(job));
        CU_ASSERT_TRUE(pass_send(s.channel, fds, LEN(fds)));
        for (size_t k = 0; k < LEN(fds); k++) close(fds[k]);
        int how = 0;
        waitpid(s.p.pid, &how, 0);
        CU_ASSERT_EQUAL(WEXITSTATUS(how), cases[i].code);
        CU_ASSERT_FALSE(pass_send(s.channel, (int[]){0}, 1)); /* nobody is there */
        close(s.channel);
        fclose(s.p.events);
        free(job);
    }
}

static const struct test tests[] = {
    TEST(worker_stay__nothing_depends_on_what_ran_before), TEST(worker_stay__memory_at_rest_does_not_grow),
    TEST(worker_stay__each_job_has_its_own_peak), TEST(worker_stay__a_job_that_fails_ends_it)};

int main(int argc, char **argv)
{
    return test_main("worker stay", tests, LEN(tests), argc, argv);
}
