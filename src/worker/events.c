/* Events out, signals in. */
#include "worker.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { EVENTS_FD = 3 };

volatile sig_atomic_t worker_stop;
static int events_fd = STDOUT_FILENO;

void events_open(void)
{
    if (fcntl(EVENTS_FD, F_GETFD) >= 0) events_fd = EVENTS_FD;
}

/** Whole lines only: a reader never sees two events mixed. */
static bool write_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(events_fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

void events_emit(void *user, json_t *event)
{
    (void)user;
    char *line = json_dumps(event, JSON_COMPACT);
    CHECK(line, "an event that is no JSON");
    struct str s = {0};
    str_addf(&s, "%s\n", line);
    if (!write_all(s.s, s.n)) worker_stop = 1; /* nobody listens any more: keep what is done, and leave */
    str_free(&s);
    free(line);
}

static void on_signal(int number)
{
    (void)number;
    worker_stop = 1;
}

void signals_catch(void)
{
    struct sigaction a = {.sa_handler = on_signal};
    sigemptyset(&a.sa_mask);
    static const int caught[] = {SIGTERM, SIGINT, SIGUSR1};
    for (size_t i = 0; i < LEN(caught); i++) sigaction(caught[i], &a, NULL);
    signal(SIGPIPE, SIG_IGN);
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) worker_stop = 1; /* it died in between */
}
