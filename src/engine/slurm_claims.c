/*
 * Claims are files that appear with their first line in them: made under another name, then linked, which fails when
 * the name is taken. A trial that is taken again gets the next number, so nobody ever removes or renames another's.
 */
#include "slurm_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 1000, TAIL = 1000 };

void claims_path(char *out, size_t n, const char *dir, const char *trial, int number)
{
    snprintf(out, n, "%s/journal/%s.%d.jsonl", dir, trial, number);
}

/* TRIAL.N.jsonl, and nothing else. */
static bool name_parts(char trial[CLAIM_ID], int *number, const char *name)
{
    int end = 0;
    return sscanf(name, "%12[0-9a-f].%9d.jsonl%n", trial, number, &end) == 2 && end && !name[end] &&
           strlen(trial) == CLAIM_ID - 1 && *number >= 0;
}

struct status claims_list(json_t **out, const char *dir)
{
    struct arena a = {0};
    char **names = NULL, trial[CLAIM_ID];
    size_t n = 0;
    int number;
    struct status st = fs_list(&names, &n, &a, fs_join(&a, dir, "journal"));
    *out = json_object();
    for (size_t i = 0; i < n && st.code == STATUS_OK; i++)
        if (name_parts(trial, &number, names[i]) && json_int(*out, trial, -1) < number)
            json_object_set_new(*out, trial, json_integer(number));
    arena_free(&a);
    if (st.code != STATUS_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}

bool claims_read(struct slurm_claim *out, const char *dir, const char *trial, int number)
{
    char path[1200], head[HEAD], tail[TAIL];
    struct stat s;
    *out = (struct slurm_claim){0};
    claims_path(path, sizeof path, dir, trial, number);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &s) != 0) {
        if (fd >= 0) close(fd);
        return false;
    }
    ssize_t n_head = pread(fd, head, sizeof head, 0);
    off_t at = s.st_size > TAIL ? s.st_size - TAIL : 0;
    ssize_t n_tail = pread(fd, tail, sizeof tail, at);
    close(fd);
    return n_head > 0 && n_tail > 0 && slurm_claim_of(out, head, (size_t)n_head, tail, (size_t)n_tail);
}

static struct status bad(const char *path)
{
    return fail(STATUS_IO, "%s: cannot be written: %s; the shared folder must be writable from every node", path,
                strerror(errno));
}

static char *first_line(const char *job, int restart)
{
    struct arena a = {0};
    char host[256] = "?";
    gethostname(host, sizeof host - 1);
    json_t *line = json_pack("{s:{s:s, s:i, s:s, s:s}}", "claim", "job", job, "restart", restart, "host", host, "since",
                             time_iso(&a, time_now()));
    char *text = json_canonical(line);
    struct str out = {0};
    str_addf(&out, "%s\n", text);
    free(text);
    json_decref(line);
    arena_free(&a);
    return out.s;
}

struct status claims_take(bool *got, const char *dir, const char *trial, int number, const char *job, int restart)
{
    char path[1200], tmp[1200];
    struct stat s;
    *got = false;
    claims_path(path, sizeof path, dir, trial, number);
    snprintf(tmp, sizeof tmp, "%s/journal/.%s.%s.%d", dir, trial, job[0] ? job : "known", restart);
    char *text = first_line(job, restart);
    struct status st = fs_write(tmp, text, strlen(text));
    free(text);
    if (st.code != STATUS_OK) return bad(tmp);
    int rc = link(tmp, path), why = errno;
    if (rc != 0 && stat(tmp, &s) == 0 && s.st_nlink == 2) rc = 0; /* it was done; the answer got lost */
    unlink(tmp);
    *got = rc == 0;
    errno = why;
    return rc == 0 || why == EEXIST ? ok() : bad(path);
}

struct status claims_leave(const char *dir, const char *trial, int number, const char *state)
{
    char path[1200], line[100];
    claims_path(path, sizeof path, dir, trial, number);
    int n = snprintf(line, sizeof line, "{\"left\":{\"state\":\"%s\"}}\n", state);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, line, (size_t)n) == n && fsync(fd) == 0;
    struct status st = good ? ok() : bad(path);
    if (fd >= 0) close(fd);
    return st;
}

bool slurm_ended(const struct slurm_claim *c)
{
    return c->left && strcmp(c->state, "interrupted") != 0;
}
