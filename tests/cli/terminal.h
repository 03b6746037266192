/*
 * A terminal for programs under test: a pseudo-terminal, and what would stand on its screen. Lines are kept whole and
 * wrapped at the width of the moment, as terminals do that reflow when they are resized.
 */
#ifndef TESTS_CLI_TERMINAL_H
#define TESTS_CLI_TERMINAL_H

#include "site.h"
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>

struct terminal {
    pid_t pid;
    int fd;
    int width;
    struct str raw; /* all that came */
    size_t at;      /* of it, interpreted */
    char *lines[4000];
    int n, cursor;
    int frames, widest; /* times that something was drawn over; the widest line of those */
    bool lost;          /* the cursor went to where no line begins */
};

static inline struct terminal terminal_start(const struct site *s, const char *args, int width, int height)
{
    struct terminal t = {.width = width};
    t.pid = forkpty(&t.fd, NULL, NULL,
                    &(struct winsize){.ws_col = (unsigned short)width, .ws_row = (unsigned short)height});
    if (t.pid == 0) site_exec(s, args);
    fcntl(t.fd, F_SETFL, O_NONBLOCK);
    return t;
}

static inline void terminal_free(struct terminal *t)
{
    for (int i = 0; i < t->n; i++) free(t->lines[i]);
    str_free(&t->raw);
    close(t->fd);
}

static inline int terminal_rows(const struct terminal *t, const char *line)
{
    int n = (int)strlen(line);
    return n > t->width ? (n + t->width - 1) / t->width : 1;
}

static inline void terminal_up(struct terminal *t, int rows)
{
    int first = t->cursor;
    while (rows > 0 && t->cursor > 0) rows -= terminal_rows(t, t->lines[--t->cursor]);
    t->lost = t->lost || rows != 0;
    t->frames++;
    for (int i = t->cursor; i < first; i++)
        if ((int)strlen(t->lines[i]) > t->widest) t->widest = (int)strlen(t->lines[i]);
}

static inline void terminal_put(struct terminal *t, const char *text, size_t n)
{
    if (t->cursor == t->n) t->lines[t->n++] = mem_strdup("");
    char **line = &t->lines[t->cursor];
    size_t had = strlen(*line);
    *line = mem_realloc(*line, had + n + 1);
    memcpy(*line + had, text, n);
    (*line)[had + n] = 0;
}

static inline void terminal_clear_below(struct terminal *t)
{
    while (t->n > t->cursor) free(t->lines[--t->n]);
}

/* Interprets what has come; an escape that is not whole yet waits. */
static inline void terminal_interpret(struct terminal *t)
{
    while (t->at < t->raw.n) {
        const char *p = t->raw.s + t->at;
        size_t n = strcspn(p, "\r\n\033");
        int rows = 0, used = 0;
        if (n) {
            terminal_put(t, p, n);
            t->at += n;
        } else if (*p == '\r') {
            t->at++;
        } else if (*p == '\n') {
            terminal_put(t, "", 0);
            t->cursor++;
            t->at++;
        } else if (strncmp(p, "\033[J", 3) == 0) {
            terminal_clear_below(t);
            t->at += 3;
        } else if (sscanf(p, "\033[%dA%n", &rows, &used) == 1 && used) {
            terminal_up(t, rows);
            t->at += (size_t)used;
        } else {
            break;
        }
    }
}

/* Takes what is there; false at the end. Waits for at most @p ms. */
static inline bool terminal_read(struct terminal *t, int ms)
{
    char block[4096];
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    if (poll(&p, 1, ms) <= 0) return true;
    ssize_t n = read(t->fd, block, sizeof block);
    if (n <= 0) return n < 0 && (errno == EAGAIN || errno == EINTR);
    str_addn(&t->raw, block, (size_t)n);
    terminal_interpret(t);
    return true;
}

/** Reads until @p text has come, or the program has ended: false then. */
static inline bool terminal_until(struct terminal *t, const char *text)
{
    bool more = true;
    double start = time_mono();
    while (more && !(t->raw.s && strstr(t->raw.s, text)) && time_mono() - start < 60) more = terminal_read(t, 1000);
    return t->raw.s && strstr(t->raw.s, text);
}

/** Reads until another frame has been drawn. */
static inline bool terminal_frame(struct terminal *t)
{
    int had = t->frames;
    bool more = true;
    double start = time_mono();
    while (more && t->frames == had && time_mono() - start < 60) more = terminal_read(t, 1000);
    return t->frames > had;
}

/** Reads to the end. Returns the exit status. */
static inline int terminal_end(struct terminal *t)
{
    while (terminal_read(t, 1000)) continue;
    return site_wait(t->pid);
}

/** Another width, between two frames: the program stands still meanwhile. */
static inline void terminal_resize(struct terminal *t, int width, int height)
{
    terminal_frame(t);
    kill(t->pid, SIGSTOP);
    siginfo_t info;
    waitid(P_PID, (id_t)t->pid, &info, WSTOPPED | WNOWAIT);
    terminal_read(t, 0);
    t->width = width;
    t->widest = 0;
    ioctl(t->fd, TIOCSWINSZ, &(struct winsize){.ws_col = (unsigned short)width, .ws_row = (unsigned short)height});
    kill(t->pid, SIGCONT);
    t->widest = 0;
}

/** A line of the screen as it stands that has @p text in it; NULL: none. */
static inline const char *terminal_line(const struct terminal *t, const char *text)
{
    for (int i = t->n - 1; i >= 0; i--)
        if (strstr(t->lines[i], text)) return t->lines[i];
    return NULL;
}

#endif
