/* Runs the program as a user does: by the shell, in a folder; stdout, stderr, exit code and time. */
#ifndef SWEEP_TEST_ANSWER_H
#define SWEEP_TEST_ANSWER_H

#include "test.h"
#include <sys/wait.h>

struct answer {
    int code;
    char *out, *err;
    double ms;
};

static inline struct answer sweep_in(const char *dir, const char *args)
{
    struct answer a = {.code = -1};
    struct str command = {0};
    str_addf(&command, "cd '%s' && '%s/sweep' %s >out.txt 2>err.txt </dev/null", dir, test_build_dir(), args);
    double start = time_mono();
    int status = system(command.s);
    a.ms = 1e3 * (time_mono() - start);
    a.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    char path[500];
    snprintf(path, sizeof path, "%s/out.txt", dir);
    TEST_OK(fs_read(&a.out, NULL, path));
    snprintf(path, sizeof path, "%s/err.txt", dir);
    TEST_OK(fs_read(&a.err, NULL, path));
    str_free(&command);
    return a;
}

static inline void answer_free(struct answer *a)
{
    free(a->out);
    free(a->err);
}

/** stdout as JSON of a run that must succeed; NULL, and the test fails, when it does not. Owner: the caller. */
static inline json_t *sweep_json_in(const char *dir, const char *args)
{
    struct answer a = sweep_in(dir, args);
    json_t *j = NULL;
    if (a.code != 0) fprintf(stderr, "sweep %s: %d\n%s\n", args, a.code, a.err);
    CU_ASSERT_EQUAL(a.code, 0);
    if (a.code == 0) TEST_OK(json_parse(&j, args, a.out, strlen(a.out)));
    answer_free(&a);
    return j;
}

#endif
