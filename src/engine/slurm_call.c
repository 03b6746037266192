/* Slurm's programs: run one, take what it says. Its answers go to files in memory, so that none can block the other. */
#include "slurm_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char *text_of(int fd)
{
    struct str s = {0};
    char block[4096];
    ssize_t n;
    lseek(fd, 0, SEEK_SET);
    while ((n = read(fd, block, sizeof block)) > 0) str_addn(&s, block, (size_t)n);
    str_addn(&s, "", 0);
    return s.s;
}

static int spawn(pid_t *pid, const char *const *argv, int out, int err)
{
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t at;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_init(&at);
    posix_spawn_file_actions_addopen(&fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&fa, err, STDERR_FILENO);
    posix_spawnattr_setsigmask(&at, &none);
    posix_spawnattr_setsigdefault(&at, &all);
    posix_spawnattr_setpgroup(&at, 0); /* the terminal's Ctrl-C is not for it */
    posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int rc = posix_spawnp(pid, argv[0], &fa, &at, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&at);
    return rc;
}

struct status slurm_call(struct slurm_answer *a, const char *const *argv)
{
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC), how = 0;
    pid_t pid = 0;
    *a = (struct slurm_answer){0};
    struct status st = ok();
    int rc = out < 0 || err < 0 ? errno : spawn(&pid, argv, out, err);
    if (rc == ENOENT)
        st = fail(STATUS_IO,
                  "%s: not on the PATH; run this where jobs are submitted from (`module load slurm`?), or without "
                  "--executor slurm",
                  argv[0]);
    else if (rc != 0)
        st = fail(STATUS_IO, "%s: cannot be started: %s", argv[0], strerror(rc));
    while (st.code == STATUS_OK && waitpid(pid, &how, 0) < 0 && errno == EINTR) continue;
    if (st.code == STATUS_OK) {
        a->code = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
        a->out = text_of(out);
        a->err = text_of(err);
    }
    if (out >= 0) close(out);
    if (err >= 0) close(err);
    return st;
}

void slurm_answer_free(struct slurm_answer *a)
{
    free(a->out);
    free(a->err);
    *a = (struct slurm_answer){0};
}

struct status slurm_ask_text(char **out, const char *const *argv)
{
    struct slurm_answer a;
    *out = NULL;
    TRY(slurm_call(&a, argv));
    struct status st = ok();
    if (a.code != 0) {
        const char *words = a.err[0] ? a.err : a.out;
        st = fail(STATUS_IO, "%s: %.*s%s", argv[0], (int)strcspn(words, "\n"), words, slurm_advice(words));
    } else {
        *out = a.out;
        a.out = NULL;
    }
    slurm_answer_free(&a);
    return st;
}

struct status engine_slurm_ask(json_t **out)
{
    char user[32], *text;
    snprintf(user, sizeof user, "%lld", (long long)geteuid());
    *out = NULL;
    TRY(slurm_ask_text(&text, (const char *const[]){"squeue", "-h", "-r", "-u", user, "-o", "%i %T", NULL}));
    *out = slurm_queue_of(text);
    free(text);
    return ok();
}
