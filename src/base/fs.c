/* Files: whole reads, atomic replacement, directories. */
#include "base.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct status io(const char *what, const char *path)
{
    return fail(STATUS_IO, "%s: %s: %s", path, what, strerror(errno));
}

const char *fs_kind(const struct stat *st)
{
    static const struct {
        mode_t type;
        const char *name;
    } kinds[] = {{S_IFREG, NULL},        {S_IFDIR, "a folder"}, {S_IFIFO, "a pipe"},
                 {S_IFSOCK, "a socket"}, {S_IFCHR, "a device"}, {S_IFBLK, "a device"}};
    for (size_t i = 0; i < LEN(kinds); i++)
        if ((st->st_mode & S_IFMT) == kinds[i].type) return kinds[i].name;
    return "no file";
}

/* What the caller's shell has opened for us, as <(command) does: its writer is there, and it may be a pipe. */
static bool handed_over(const char *path)
{
    return strncmp(path, "/dev/fd/", 8) == 0 || strncmp(path, "/proc/self/fd/", 14) == 0 ||
           strcmp(path, "/dev/stdin") == 0;
}

/* A pipe that nobody writes to would hold open() up for ever, so it is asked what it is before it is waited for. */
static struct status open_to_read(int *out, const char *path, bool pipes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 && errno == ENXIO) return fail(STATUS_IO, "%s: is a socket or a device, expected a file", path);
    if (fd < 0) return io("cannot open", path);
    if (fstat(fd, &st) != 0) {
        struct status s = io("cannot look at", path);
        close(fd);
        return s;
    }
    const char *kind = fs_kind(&st);
    if (kind && !(pipes && S_ISFIFO(st.st_mode) && handed_over(path))) {
        close(fd);
        return fail(STATUS_IO, "%s: is %s, expected a file", path, kind);
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    *out = fd;
    return ok();
}

struct status fs_open(int *out, const char *path)
{
    return open_to_read(out, path, false);
}

struct status fs_read(char **out, size_t *n, const char *path)
{
    struct str b = {0};
    int fd;
    TRY(open_to_read(&fd, path, true));
    char chunk[65536];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof chunk)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0) str_addn(&b, chunk, (size_t)got);
    if (got < 0) {
        struct status s = io("cannot read", path);
        close(fd);
        str_free(&b);
        return s;
    }
    close(fd);
    str_addn(&b, "", 0);
    *out = b.s;
    if (n) *n = b.n;
    return ok();
}

struct status fs_begin(struct fs_file *out, const char *path)
{
    int a = snprintf(out->path, sizeof out->path, "%s", path);
    if (a < 0 || (size_t)a >= sizeof out->path) return fail(STATUS_IO, "%s: path too long", path);
    snprintf(out->tmp, sizeof out->tmp, "%s.tmp%d", path, (int)getpid());
    out->f = fopen(out->tmp, "wb");
    return out->f ? ok() : io("cannot write", path);
}

/* The rename is durable only once the folder is. */
static void sync_parent(const char *path)
{
    struct arena a = {0};
    int fd = open(fs_dirname(&a, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    arena_free(&a);
}

struct status fs_commit(struct fs_file *f)
{
    bool good = fflush(f->f) == 0 && fsync(fileno(f->f)) == 0;
    int why = errno;
    if (fclose(f->f) != 0 && good) good = false, why = errno;
    f->f = NULL;
    if (good && rename(f->tmp, f->path) != 0) good = false, why = errno;
    if (good) {
        sync_parent(f->path);
        return ok();
    }
    remove(f->tmp);
    errno = why;
    return io("cannot write", f->path);
}

void fs_abort(struct fs_file *f)
{
    if (f->f) fclose(f->f);
    f->f = NULL;
    remove(f->tmp);
}

struct status fs_write(const char *path, const void *p, size_t n)
{
    struct fs_file f;
    TRY(fs_begin(&f, path));
    if (n && fwrite(p, 1, n, f.f) != n) {
        struct status s = io("cannot write", path);
        fs_abort(&f);
        return s;
    }
    return fs_commit(&f);
}

struct status fs_mkdir(const char *path)
{
    if (fs_is_dir(path)) return ok();
    char *p = mem_strdup(path);
    for (char *s = p + 1;; s++) {
        if (*s != '/' && *s) continue;
        char c = *s;
        *s = 0;
        if (mkdir(p, 0777) != 0 && errno != EEXIST) {
            struct status e = io("cannot create the folder", p);
            free(p);
            return e;
        }
        *s = c;
        if (!c) break;
    }
    free(p);
    return fs_is_dir(path) ? ok() : fail(STATUS_IO, "%s: exists and is no folder", path);
}

bool fs_first_line(char *out, size_t n, const char *path)
{
    out[0] = 0;
    int fd;
    if (open_to_read(&fd, path, false).code != STATUS_OK) return false;
    FILE *f = fdopen(fd, "r");
    if (f && fgets(out, (int)n, f)) out[strcspn(out, "\n")] = 0;
    if (f)
        fclose(f);
    else
        close(fd);
    return out[0];
}

bool fs_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool fs_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int64_t fs_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

char *fs_join(struct arena *a, const char *dir, const char *name)
{
    if (name[0] == '/' || !dir[0]) return arena_strdup(a, name);
    return arena_printf(a, dir[strlen(dir) - 1] == '/' ? "%s%s" : "%s/%s", dir, name);
}

char *fs_dirname(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return arena_strdup(a, ".");
    if (slash == path) return arena_strdup(a, "/");
    return arena_printf(a, "%.*s", (int)(slash - path), path);
}

const char *fs_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct status fs_list(char ***out, size_t *n, struct arena *a, const char *path)
{
    DIR *d = opendir(path);
    if (!d) return io("cannot list", path);
    size_t count = 0, cap = 64;
    char **names = mem_alloc(cap * sizeof *names);
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (count + 1 == cap) names = mem_realloc(names, (cap *= 2) * sizeof *names);
        names[count++] = arena_strdup(a, e->d_name);
    }
    closedir(d);
    qsort(names, count, sizeof *names, by_bytes);
    names[count] = NULL;
    *out = arena_copy(a, names, (count + 1) * sizeof *names);
    if (n) *n = count;
    free(names);
    return ok();
}

const char *fs_program_dir(void)
{
    static char dir[4096];
    if (!dir[0]) {
        ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
        char *slash = n > 0 ? strrchr(dir, '/') : NULL;
        if (slash)
            *slash = 0;
        else
            snprintf(dir, sizeof dir, ".");
    }
    return dir;
}
