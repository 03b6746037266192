/* A folder with the program and, beside it, the scripted worker in the place of ours: whole sweeps in seconds. */
#ifndef TESTS_CLI_SITE_H
#define TESTS_CLI_SITE_H

#include "test.h"
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct site {
    char dir[320];
};

/** @p yaml becomes a.yaml; @p act is how every stage's worker acts. */
static inline struct site site_make(const char *yaml, const char *act)
{
    struct site s;
    struct str command = {0};
    struct arena a = {0};
    snprintf(s.dir, sizeof s.dir, "%s", test_dir());
    str_addf(&command,
             "cd '%s' && mkdir bin && cp '%s/sweep' bin/ && cp '%s/fake-worker' bin/sweep-worker && "
             "cp '%s/fake-worker' bin/sweep-bench",
             s.dir, test_build_dir(), test_build_dir(), test_build_dir());
    CU_ASSERT_EQUAL(system(command.s), 0);
    TEST_OK(fs_write(fs_join(&a, s.dir, "a.yaml"), yaml, strlen(yaml)));
    setenv("FAKE_ACT", act, 1);
    str_free(&command);
    arena_free(&a);
    return s;
}

/** Becomes the program with the words of @p args; for a child process. */
static inline void site_exec(const struct site *s, const char *args)
{
    char command[600];
    snprintf(command, sizeof command, "exec bin/sweep %s", args);
    if (chdir(s->dir) == 0) execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/** Runs it in the background, its words in NAME.txt. */
static inline pid_t site_start(const struct site *s, const char *args, const char *name)
{
    pid_t pid = fork();
    if (pid) return pid;
    char words[400];
    snprintf(words, sizeof words, "%s/%s.txt", s->dir, name);
    if (!freopen(words, "w", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0) _exit(126);
    site_exec(s, args);
    return 0;
}

/** Exit status; the signal, negative, that ended it. */
static inline int site_wait(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/** What it wrote to NAME.txt. Owner: the caller frees. */
static inline char *site_said(const struct site *s, const char *name)
{
    char words[400], *text = NULL;
    snprintf(words, sizeof words, "%s/%s.txt", s->dir, name);
    struct status st = fs_read(&text, NULL, words);
    return st.code == STATUS_OK ? text : mem_strdup("");
}

#endif
