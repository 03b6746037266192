/*
 * A worker may live a while after its coordinator was killed: it is told by the broken pipe, and writes a checkpoint
 * first. It holds an flock on DIR/locks/SLOT through a descriptor that it inherits and never looks at, so the kernel
 * frees it exactly when the last process of that stage is gone. A new coordinator waits for these before it starts. The
 * files stay until the run ends, and keep their length: to make, remove or cut one a stage costs a file system more
 * than all else that we ask of it.
 */
#include "inside.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

static const double most_patience_s = 20; /* for a checkpoint to be written */

/* Who holds it, in a width that the next holder's covers; 0: not said yet, or what is there is no process. */
static pid_t holder(int fd)
{
    char text[32] = "";
    int64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    return n > 0 && str_to_i64(text, &pid) && pid > 1 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

void locks_sign(int fd, pid_t pid)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%010d", (int)pid);
    ssize_t n = pwrite(fd, text, (size_t)len, 0);
    (void)n; /* without it the holder is waited for, but cannot be named */
}

/* A moment, or less when a signal comes. True when we are asked to stop: signals are blocked by now, and nobody else
 * reads them yet. */
static bool asked_to_stop(struct engine *e)
{
    poll(&(struct pollfd){.fd = e->signal_fd, .events = POLLIN}, 1, 50);
    engine_take_signals(e);
    return e->stopping;
}

/* Waits until nobody holds it; past the patience the holder is killed. */
static struct status clear_one(struct engine *e, const char *path, double patience_s)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? ok() : fail(STATUS_IO, "%s: %s", path, strerror(errno));
    double start = time_mono();
    bool told = false, killed = false;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        pid_t pid = holder(fd);
        if (!told) log_info("waiting for process %d of an earlier run to write its checkpoint", (int)pid);
        told = true;
        if (time_mono() - start > patience_s && pid && !killed) {
            log_warn("process %d does not end; killing it", (int)pid);
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL);
            killed = true;
        }
        if (time_mono() - start > 2 * patience_s) {
            close(fd);
            return fail(STATUS_IO, "%s: held by process %d, which cannot be ended; end it and run again", path,
                        (int)pid);
        }
        if (asked_to_stop(e)) {
            close(fd);
            return fail(STATUS_INTERRUPTED,
                        "stopped while process %d of an earlier run was waited for; nothing was started", (int)pid);
        }
    }
    unlink(path);
    close(fd);
    return ok();
}

static const char *locks_dir(struct arena *a, const struct engine *e)
{
    return e->o->locks ? e->o->locks : fs_join(a, store_dir(e->s), "locks");
}

static const char *slot_path(struct arena *a, const struct engine *e, int slot)
{
    return arena_printf(a, "%s/%d", locks_dir(a, e), slot);
}

struct status locks_clear(struct engine *e)
{
    struct arena a = {0};
    const char *dir = locks_dir(&a, e);
    char **names = NULL;
    size_t n = 0;
    /* One that hangs hears nothing; how long silence is borne is the user's to say. */
    double hang_s = e->o->hang_s, patience_s = hang_s > 0 && hang_s < most_patience_s ? hang_s : most_patience_s;
    struct status st = fs_mkdir(dir);
    if (st.code == STATUS_OK) st = fs_list(&names, &n, &a, dir);
    for (size_t i = 0; i < n && st.code == STATUS_OK; i++) st = clear_one(e, fs_join(&a, dir, names[i]), patience_s);
    arena_free(&a);
    e->locks_clear = st.code == STATUS_OK;
    return st;
}

void locks_end(struct engine *e)
{
    struct arena a = {0};
    for (int i = 0; i < ENGINE_MAX_JOBS && e->locks_clear; i++) unlink(slot_path(&a, e, i));
    arena_free(&a);
}

static int open_locked(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

struct status locks_take(int *fd, const struct engine *e, int slot)
{
    struct arena a = {0};
    const char *path = slot_path(&a, e, slot);
    *fd = open_locked(path);
    if (*fd < 0 &&
        errno == EWOULDBLOCK) { /* what the last one in this slot had started was killed, and is not gone yet */
        unlink(path);
        *fd = open_locked(path);
    }
    struct status st = *fd >= 0 ? ok() : fail(STATUS_IO, "%s: cannot be locked: %s", path, strerror(errno));
    if (*fd >= 0) locks_sign(*fd, 0); /* whoever held it before must not be taken for the next */
    arena_free(&a);
    return st;
}
