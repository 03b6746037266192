/* What follows from numbers and texts alone: buckets, arrays, claims, and the words of Slurm's programs. */
#include "slurm.h"
#include <ctype.h>
#include <math.h>

static const double gib = 1073741824.0, hour_s = 3600, day_s = 86400;

/* Trials of a class share a time limit: a short one does not ask for a long one's. */
static const double time_classes[] = {600, 3600, 21600, 86400, HUGE_VAL};

/* Half as much again as predicted, and room for the coordinator; the next power of two of a GiB. */
static int64_t memory_of(double bytes)
{
    double wanted = 1.5 * bytes + gib / 4, size = gib;
    while (size < wanted && size < 4096 * gib) size *= 2;
    return (int64_t)size;
}

static int time_class_of(double seconds)
{
    int i = 0;
    while (seconds > time_classes[i]) i++;
    return i;
}

/* Three times the longest trial, as a prediction may be off; an hour at least, as several fit into one task. */
static double time_of(const struct slurm_bucket *b, const struct spec_slurm *s)
{
    double most = s->time_s > 0 ? s->time_s : day_s, wanted = 3 * b->longest + 600;
    if (wanted < hour_s) wanted = hour_s;
    wanted = 600 * ceil(wanted / 600);
    return wanted < most ? wanted : most;
}

/* One a trial, so that nothing waits for anything; where only so many run at once, as many as the work fills. */
static int tasks_of(const struct slurm_bucket *b, const struct spec_slurm *s)
{
    if (!s->array_width) return b->n;
    double usable = b->time_s > 2 * SLURM_LEAD_S ? b->time_s - SLURM_LEAD_S : b->time_s / 2;
    double fill = ceil(1.25 * b->seconds / usable);
    int tasks = fill > s->array_width ? (int)fmin(fill, b->n) : s->array_width;
    return tasks < b->n ? tasks : b->n;
}

int slurm_buckets(struct slurm_bucket out[SLURM_MAX_BUCKETS], int *of, const struct slurm_cell *cells, int n,
                  const struct spec_slurm *s)
{
    int class_of[SLURM_MAX_BUCKETS], n_buckets = 0;
    for (int i = 0; i < n; i++) {
        int64_t bytes = s->bytes > 0 ? s->bytes : memory_of(cells[i].bytes);
        int class = time_class_of(cells[i].seconds), b = 0;
        while (b < n_buckets && (out[b].bytes != bytes || class_of[b] != class)) b++;
        CHECK(b < SLURM_MAX_BUCKETS, "buckets"); /* 13 sizes x 5 times */
        if (b == n_buckets) {
            out[n_buckets] = (struct slurm_bucket){.bytes = bytes};
            class_of[n_buckets++] = class;
        }
        out[b].n++;
        out[b].seconds += cells[i].seconds;
        if (cells[i].seconds > out[b].longest) out[b].longest = cells[i].seconds;
        of[i] = b;
    }
    for (int b = 0; b < n_buckets; b++) {
        out[b].time_s = time_of(&out[b], s);
        out[b].tasks = tasks_of(&out[b], s);
    }
    return n_buckets;
}

int slurm_split(int tasks, int most, int i)
{
    int64_t begun = (int64_t)most * i;
    if (most < 1 || begun >= tasks) return 0;
    return tasks - begun < most ? (int)(tasks - begun) : most;
}

void slurm_time(char out[32], double seconds)
{
    int64_t s = (int64_t)ceil(seconds / 60) * 60; /* Slurm counts minutes */
    int days = (int)(s / 86400), h = (int)(s / 3600 % 24), m = (int)(s / 60 % 60);
    snprintf(out, 32, "%d-%02d:%02d:00", days, h, m);
}

int slurm_max_array(const char *config)
{
    const char *at = strstr(config, "MaxArraySize");
    int n = -1;
    return at && sscanf(at, "MaxArraySize = %d", &n) == 1 ? n : -1;
}

json_t *slurm_queue_of(const char *text)
{
    json_t *out = json_object();
    for (const char *p = text; *p;) {
        char id[64], state[32];
        int n = (int)strcspn(p, "\n");
        char line[160];
        snprintf(line, sizeof line, "%.*s", n, p);
        if (isdigit((unsigned char)line[0]) && sscanf(line, "%63s %31s", id, state) == 2)
            json_object_set_new(out, id, json_string(state));
        p += n + (p[n] == '\n');
    }
    return out;
}

const char *slurm_advice(const char *words)
{
    static const struct {
        const char *part, *advice;
    } rows[] = {
        {"nvalid partition", "; set slurm.partition: `sinfo -s` lists the partitions"},
        {"nvalid account", "; set slurm.account: `sacctmgr show assoc user=$USER` lists yours"},
        {"nvalid qos", "; set slurm.qos: `sacctmgr show qos` lists them"},
        {"nvalid generic resource", "; slurm.gres is not offered there: `sinfo -o '%P %G'` lists what is"},
        {"nvalid feature", "; no node has slurm.constraint: `sinfo -o '%P %f'` lists what they have"},
        {"ode configuration is not available",
         "; no node has so much: lower slurm.mem, slurm.cpus or slurm.gres; `sinfo -o '%P %c %m %G'` lists the nodes"},
        {"time limit", "; lower slurm.time: `sinfo -s` says what the partition allows"},
        {"MaxSubmitJob", "; so many jobs are not allowed at once: lower slurm.array_width"},
        {"SubmitJobLimit", "; so many jobs are not allowed at once: lower slurm.array_width"},
        {"nrecognized option", "; see slurm.extra"},
        {"nvalid option", "; see slurm.extra"},
        {"nable to contact", "; is the controller up? `scontrol ping`"},
        {"Unknown host", "; is this a login node of a cluster? `sinfo`"},
    };
    for (size_t i = 0; i < LEN(rows); i++)
        if (strstr(words, rows[i].part)) return rows[i].advice;
    return "";
}

/* ---- claims ----------------------------------------------------------------------------------------------------- */

/* The last whole line of a text, parsed; NULL when it is no JSON. */
static json_t *last_line(const char *text, size_t n)
{
    json_t *j = NULL;
    while (n && text[n - 1] != '\n') n--; /* torn */
    if (!n) return NULL;
    size_t end = --n;
    while (n && text[n - 1] != '\n') n--;
    struct status st = json_parse(&j, "claim", text + n, end - n);
    return st.code == STATUS_OK ? j : NULL;
}

bool slurm_claim_of(struct slurm_claim *out, const char *head, size_t n_head, const char *tail, size_t n_tail)
{
    const char *end = memchr(head, '\n', n_head);
    json_t *first = NULL;
    *out = (struct slurm_claim){0};
    struct status st = end ? json_parse(&first, "claim", head, (size_t)(end - head)) : fail(STATUS_ARG, "torn");
    const json_t *claim = st.code == STATUS_OK ? json_object_get(first, "claim") : NULL;
    const char *job = json_str(claim, "job", NULL);
    bool good = job != NULL;
    if (good) {
        snprintf(out->job, sizeof out->job, "%s", job);
        out->restart = (int)json_int(claim, "restart", 0);
    }
    json_decref(first);
    json_t *last = last_line(tail, n_tail);
    const char *state = json_str(json_object_get(last, "left"), "state", NULL);
    if (good && state) {
        out->left = true;
        snprintf(out->state, sizeof out->state, "%s", state);
    }
    json_decref(last);
    return good;
}

bool slurm_claim_free(const struct slurm_claim *c, const json_t *alive, const char *job, int restart)
{
    if (c->left) return strcmp(c->state, "interrupted") == 0;
    if (!c->job[0]) return true;
    if (strcmp(c->job, job) == 0) return c->restart < restart; /* an earlier life of this job, which told nothing */
    return alive && !json_object_get(alive, c->job);
}

bool slurm_has_time(double left_s, double trial_s, bool first)
{
    double wanted = 1.25 * trial_s;
    return first || left_s >= SLURM_LEAD_S + (wanted > 60 ? wanted : 60);
}
