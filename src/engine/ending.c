/* What the end of a worker's process means: told apart by its words, its exit code, and what the watch saw. */
#include "inside.h"
#include <sys/wait.h>

static const struct {
    const char *name;
    int tries; /* again */
} hows[N_HOWS] = {
    [HOW_CRASH] = {.name = "crash", .tries = 1},
    [HOW_NONSENSE] = {.name = "nonsense", .tries = 1},
    [HOW_HANG] = {.name = "hang", .tries = 1},
    [HOW_MEMORY] = {.name = "out_of_memory"},        /* the ladder tries again, with less */
    [HOW_DEVICE] = {.name = "gpu_lost", .tries = 2}, /* where the driver says that the GPU is there all the same */
    [HOW_TIME] = {.name = "time_limit"},
    [HOW_JOB] = {.name = "bad_job"},
    [HOW_INTERRUPTED] = {.name = "interrupted", .tries = 3},
};

const char *ending_name(enum how how)
{
    return hows[how].name;
}

int ending_tries(enum how how)
{
    return hows[how].tries;
}

/* The last words of a log, on one line. */
static void last_words(char *out, size_t n, const char *path)
{
    char *text = NULL;
    size_t len = 0;
    struct status st = fs_read(&text, &len, path);
    out[0] = 0;
    if (st.code == STATUS_OK && len) {
        while (len && strchr("\n\r ", text[len - 1])) text[--len] = 0;
        size_t at = len;
        for (int lines = 0; at > 0 && len - at < n - 1; at--)
            if (text[at - 1] == '\n' && ++lines == 3) break;
        snprintf(out, n, "%s", text + at);
        for (char *p = out; *p; p++)
            if ((unsigned char)*p < ' ') *p = ' ';
        /* Cutting may have split a character; what is stored is UTF-8. */
        json_t *valid = json_string(out);
        if (!valid)
            for (char *p = out; *p; p++)
                if ((unsigned char)*p >= 0x80) *p = '?';
        json_decref(valid);
    }
    free(text);
}

/* Exit codes of the protocol other than 0. */
static const struct {
    int code;
    enum how how;
    const char *state, *reason;
} exits[] = {
    {1, HOW_SAID, "failed", "ended with a failure"},
    {2, HOW_JOB, "failed", "did not understand its job"},
    {12, HOW_MEMORY, "failed", "out of memory: a smaller train.batch or data.size needs less"},
    {13, HOW_DEVICE, "failed", "its GPU failed or is gone"},
    {75, HOW_INTERRUPTED, "interrupted", "stopped; its checkpoint is written"},
};

static void add_words(struct ending *out, const char *why, const struct worker *w)
{
    char words[400];
    last_words(words, sizeof words, w->log);
    snprintf(out->reason, sizeof out->reason, "%s%s%s", why, words[0] ? "; last words: " : "", words);
}

/* It did not end as the protocol says. */
static struct ending crash(const struct worker *w, int wait_status)
{
    struct ending out = {.how = w->fault ? w->fault : HOW_CRASH, .state = "failed"};
    char why[200] = "ended without saying how";
    int sig = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    if (sig)
        snprintf(why, sizeof why, "killed by signal %d (%s)%s", sig, strsignal(sig),
                 sig == SIGKILL ? ", as the system does when memory runs out" : "");
    else if (WEXITSTATUS(wait_status))
        snprintf(why, sizeof why, "exit status %d", WEXITSTATUS(wait_status));
    add_words(&out, w->trouble[0] ? w->trouble : why, w);
    return out;
}

struct ending ending_of(const struct worker *w, int wait_status)
{
    int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
    const char *said = json_str(w->end, "state", NULL), *why = json_str(w->end, "reason", NULL);
    if (w->trouble[0] || code < 0 || (code == 0 && !said)) return crash(w, wait_status);
    struct ending out = {.how = HOW_SAID, .state = said};
    snprintf(out.reason, sizeof out.reason, "%s", why ? why : "");
    if (code == 0) return out;
    for (size_t i = 0; i < LEN(exits); i++) {
        if (exits[i].code != code) continue;
        out.how = exits[i].how;
        out.state = exits[i].state;
        if (!why && out.how == HOW_INTERRUPTED)
            snprintf(out.reason, sizeof out.reason, "%s", exits[i].reason);
        else if (!why)
            add_words(&out, exits[i].reason, w);
        return out;
    }
    return crash(w, wait_status);
}
