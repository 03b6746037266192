/*
 * What happens now, for whoever looks on: lines in a file beside the database. Its writer never waits for a reader and
 * never fails; a reader may come late, be slow or die. The file starts anew, by rename, when it has grown: its first
 * line then says all that came before. Whether somebody still writes is said by the lock alone, so that one left by a
 * killed writer misleads nobody; the next writer removes it.
 */
#include "inside.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FEED_BYTES = 256 << 10, FOLLOW_BLOCK = 64 << 10 };

struct store_feed {
    char path[1040]; /* "": there is no such file to write */
    int fd;          /* -1: no file yet, or none can be made */
    int64_t bytes;
    bool torn; /* the last line could not be written whole */
};

static void feed_path(char *out, size_t n, const char *db)
{
    snprintf(out, n, "%s.live", db);
}

void store_feed_forget(const char *db)
{
    char path[1040];
    feed_path(path, sizeof path, db);
    unlink(path);
}

struct store_feed *store_feed_open(const struct store *s)
{
    struct store_feed *f = mem_zalloc(sizeof *f);
    if (s->lock_fd >= 0) feed_path(f->path, sizeof f->path, s->path); /* else it is not this file that we write */
    f->fd = -1;
    return f;
}

void store_feed_close(struct store_feed *f)
{
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    if (f->path[0]) unlink(f->path);
    free(f);
}

bool store_feed_wants_state(const struct store_feed *f)
{
    return f->fd < 0 || f->bytes > FEED_BYTES;
}

static void put(struct store_feed *f, int fd, const char *line)
{
    struct str text = {0};
    str_addf(&text, "%s%s\n", f->torn ? "\n" : "", line);
    ssize_t n = write(fd, text.s, text.n);
    f->torn = n != (ssize_t)text.n; /* a full disk: readers skip what is no whole line */
    if (n > 0) f->bytes += n;
    str_free(&text);
}

void store_feed_put(struct store_feed *f, const char *line, bool state)
{
    if (!state) {
        if (f->fd >= 0) put(f, f->fd, line);
        return;
    }
    char fresh[1060];
    snprintf(fresh, sizeof fresh, "%s.new", f->path);
    int fd = f->path[0] ? open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (fd < 0) return;
    f->torn = false;
    f->bytes = 0;
    put(f, fd, line);
    if (f->torn || rename(fresh, f->path) != 0) {
        unlink(fresh);
        close(fd);
        return;
    }
    if (f->fd >= 0) close(f->fd);
    f->fd = fd;
}

/* ---- readers ----------------------------------------------------------------------------------------------------- */

struct store_follow {
    char path[1040];
    int fd;
    ino_t inode;
    struct str text; /* read and not yet handed out */
    size_t at;       /* of it, handed out */
};

struct store_follow *store_follow_open(const char *db)
{
    struct store_follow *f = mem_zalloc(sizeof *f);
    feed_path(f->path, sizeof f->path, db);
    f->fd = -1;
    return f;
}

void store_follow_close(struct store_follow *f)
{
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    str_free(&f->text);
    free(f);
}

/* The next whole line in hand. */
static const char *line_in_hand(struct store_follow *f)
{
    while (f->at < f->text.n) {
        char *line = f->text.s + f->at, *end = memchr(line, '\n', f->text.n - f->at);
        if (!end) return NULL;
        *end = 0;
        f->at = (size_t)(end - f->text.s) + 1;
        if (end > line) return line;
    }
    return NULL;
}

/* True when there is something new. */
static bool read_more(struct store_follow *f)
{
    char block[FOLLOW_BLOCK];
    ssize_t n = f->fd >= 0 ? read(f->fd, block, sizeof block) : 0;
    if (n <= 0) return false;
    if (f->at) memmove(f->text.s, f->text.s + f->at, f->text.n - f->at);
    f->text.n -= f->at;
    f->at = 0;
    str_addn(&f->text, block, (size_t)n);
    return true;
}

/* True when the file that is there now is another one than that in hand, which is read to its end. */
static bool turn_over(struct store_follow *f)
{
    struct stat st;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    if (fstat(fd, &st) != 0 || (f->fd >= 0 && st.st_ino == f->inode)) {
        close(fd);
        return false;
    }
    if (f->fd >= 0) close(f->fd);
    f->fd = fd;
    f->inode = st.st_ino;
    f->text.n = f->at = 0;
    return true;
}

const char *store_follow_next(struct store_follow *f)
{
    const char *line = line_in_hand(f);
    while (!line && (read_more(f) || turn_over(f))) line = line_in_hand(f);
    return line;
}
