/*
 * What the driver says of the GPUs while a run goes on: a process that has its library loaded tells it each second
 * through a pipe that is read without waiting. A driver that hangs, crashes or answers errors costs what it would have
 * said, and the process is started anew after a while; the run never waits for it.
 */
#include "inside.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const double silent_s = 15;                /* then it is taken for hanging */
static const double rest_s = 5, rest_most_s = 60; /* before another is started */

static _Noreturn void tell_on(int to, int ms_between)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Every other descriptor is closed: a lease or a lock would be held on by this process. */
    if (to != 3) dup2(to, 3);
    close_range(4, ~0U, 0);
    gpu_tell_on(3, gpu_library(), ms_between);
}

static void start(struct monitor *m, int ms_between)
{
    int ends[2];
    double now = time_mono();
    m->next = now + m->rest_s;
    m->rest_s = m->rest_s * 2 < rest_most_s ? m->rest_s * 2 : rest_most_s;
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) tell_on(ends[1], ms_between);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    m->pid = pid;
    m->fd = ends[0];
    m->got = 0;
    m->heard = now;
}

static void end(struct monitor *m)
{
    if (!m->pid) return;
    kill(m->pid, SIGKILL);
    /* One that is caught in a broken driver cannot be killed: it is not waited for. */
    for (int i = 0; i < 200 && waitpid(m->pid, NULL, WNOHANG) == 0; i++) usleep(1000);
    close(m->fd);
    m->pid = 0;
}

void monitor_start(struct engine *e)
{
    struct monitor *m = &e->monitor;
    m->said = mem_zalloc(sizeof *m->said);
    m->rest_s = rest_s;
    start(m, e->o->ms_gpus > 0 ? e->o->ms_gpus : 1000);
}

int monitor_fd(const struct engine *e)
{
    return e->monitor.pid ? e->monitor.fd : -1;
}

void monitor_read(struct engine *e)
{
    struct monitor *m = &e->monitor;
    while (m->pid) {
        ssize_t n = read(m->fd, (char *)m->said + m->got, sizeof *m->said - m->got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return; /* no more for now */
        if (n == 0) {
            end(m);
            return;
        }
        m->got += (size_t)n;
        if (m->got < sizeof *m->said) continue;
        m->got = 0;
        m->heard = time_mono();
        if (m->said->counted) m->rest_s = rest_s;
        place_sees(e, m->said);
    }
}

void monitor_watch(struct engine *e)
{
    struct monitor *m = &e->monitor;
    double now = time_mono();
    if (!m->said) return;
    if (m->pid && now - m->heard > silent_s) {
        log_debug("the driver says nothing of the GPUs: it is asked by another process");
        end(m);
    }
    if (!m->pid && now >= m->next) start(m, e->o->ms_gpus > 0 ? e->o->ms_gpus : 1000);
}

void monitor_end(struct engine *e)
{
    end(&e->monitor);
    free(e->monitor.said);
    e->monitor.said = NULL;
}
