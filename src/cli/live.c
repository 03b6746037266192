/*
 * What a person sees while a sweep runs. On a terminal: finished things as lines that stay, below them one line a
 * running trial and a total, redrawn at most five times a second. Elsewhere: plain lines. With --json: one object an
 * event on stdout.
 */
#include "inside.h"
#include <sys/ioctl.h>
#include <unistd.h>

enum { MAX_ROWS = 64, MS_FRAME = 200 };

struct row {
    const struct plan_stage *stage; /* NULL: free */
    const struct plan_trial *trial;
    int run, n_runs, epoch, epochs, step, steps;
    double loss, images_per_s, eta_s, since;
};

struct cli_live {
    bool json, tty;
    struct row rows[MAX_ROWS];
    int drawn; /* lines below which the cursor stands */
    double last;
    struct engine_totals totals;
    json_t *said; /* log texts shown: what every cell says is shown once */
};

struct cli_live *cli_live_new(bool json, bool no_tty)
{
    struct cli_live *l = mem_zalloc(sizeof *l);
    l->json = json;
    l->said = json_object();
    l->tty = !json && !no_tty && isatty(STDERR_FILENO);
    return l;
}

double cli_live_tick_ms(const struct cli_live *l)
{
    return l->tty ? MS_FRAME : 0;
}

static void erase(struct cli_live *l)
{
    if (l->drawn) fprintf(stderr, "\033[%dA\033[J", l->drawn);
    l->drawn = 0;
}

void cli_live_free(struct cli_live *l)
{
    erase(l);
    json_decref(l->said);
    free(l);
}

static int columns(void)
{
    struct winsize w = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

static void stage_name(char *out, size_t n, const struct plan_stage *g)
{
    snprintf(out, n, "%s%s%s%s%s", plan_kinds[g->kind].name, g->format[0] ? " " : "", g->format,
             g->device[0] ? " on " : "", g->device);
}

static void row_text(char *out, size_t n, const struct row *r)
{
    char name[80], detail[160] = "";
    stage_name(name, sizeof name, r->stage);
    if (r->n_runs > 1)
        snprintf(detail, sizeof detail, "visit %d/%d", r->run + 1, r->n_runs);
    else if (r->epochs)
        snprintf(detail, sizeof detail, "epoch %d/%d  loss %.4g  %.1f images/s  %s left", r->epoch, r->epochs, r->loss,
                 r->images_per_s, cli_seconds(r->eta_s));
    snprintf(out, n, "  %.6s %s x %s  %s  %s  %s", r->trial->id, r->trial->t.model.arch, r->trial->t.model.backbone,
             name, detail, detail[0] ? "" : cli_seconds(time_mono() - r->since));
}

static void total_text(char *out, size_t n, const struct engine_totals *t)
{
    char failed[40] = "";
    if (t->failed) snprintf(failed, sizeof failed, ", %d failed", t->failed);
    snprintf(out, n, "%d of %d trials, %d of %d stages (%d stored before)%s, about %s left", t->trials_ended, t->trials,
             t->ended, t->stages, t->cached, failed, cli_seconds(t->left_s));
}

static void draw(struct cli_live *l, bool now)
{
    if (!l->tty || (!now && time_mono() - l->last < MS_FRAME / 1000.0)) return;
    l->last = time_mono();
    erase(l);
    char text[400];
    int width = columns();
    for (int i = 0; i < MAX_ROWS; i++) {
        if (!l->rows[i].stage) continue;
        row_text(text, sizeof text, &l->rows[i]);
        fprintf(stderr, "%.*s\n", width - 1, text);
        l->drawn++;
    }
    total_text(text, sizeof text, &l->totals);
    fprintf(stderr, "%.*s\n", width - 1, text);
    l->drawn++;
}

/* A line that stays. */
static void say(struct cli_live *l, const char *text)
{
    erase(l);
    fprintf(stderr, "%s\n", text);
    draw(l, true);
}

static struct row *row_of(struct cli_live *l, const struct plan_stage *g, bool make)
{
    struct row *empty = NULL;
    for (int i = 0; i < MAX_ROWS; i++) {
        if (l->rows[i].stage == g) return &l->rows[i];
        if (!l->rows[i].stage && !empty) empty = &l->rows[i];
    }
    return make ? empty : NULL;
}

static void on_start(struct cli_live *l, const struct engine_event *e)
{
    struct row *r = row_of(l, e->stage, true);
    if (r)
        *r = (struct row){
            .stage = e->stage, .trial = e->trial, .run = e->run, .n_runs = e->n_runs, .since = time_mono()};
}

static void on_progress(struct cli_live *l, const struct engine_event *e)
{
    struct row *r = row_of(l, e->stage, false);
    if (!r) return;
    r->epoch = (int)json_int(e->json, "epoch", 0);
    r->epochs = (int)json_int(e->json, "epochs", 0);
    r->step = (int)json_int(e->json, "step", 0);
    r->steps = (int)json_int(e->json, "steps", 0);
    r->loss = json_num(e->json, "loss", 0);
    r->images_per_s = json_num(e->json, "images_per_s", 0);
    r->eta_s = json_num(e->json, "eta_s", 0);
}

static void on_metrics(struct cli_live *l, const struct engine_event *e)
{
    int epoch = (int)json_int(e->json, "epoch", -1);
    const json_t *v = json_object_get(e->json, "values");
    if (epoch < 0 || l->tty) return;
    char text[300];
    int n = snprintf(text, sizeof text, "%.6s %s x %s  epoch %d/%d", e->trial->id, e->trial->t.model.arch,
                     e->trial->t.model.backbone, epoch, e->trial->t.train.epochs);
    static const char *const shown[] = {"train_loss", "val_loss", "ssim", "psnr"};
    for (size_t i = 0; i < LEN(shown); i++)
        if (json_is_number(json_object_get(v, shown[i])) && n < (int)sizeof text)
            n += snprintf(text + n, sizeof text - (size_t)n, "  %s %.4g", shown[i], json_num(v, shown[i], 0));
    say(l, text);
}

static void on_stage_end(struct cli_live *l, const struct engine_event *e)
{
    struct row *r = row_of(l, e->stage, false);
    if (r) r->stage = NULL;
    char text[1400], name[80];
    stage_name(name, sizeof name, e->stage);
    bool fine = strcmp(e->state, "done") == 0;
    snprintf(text, sizeof text, "[%d/%d] %.6s %s x %s  %s  %s  %s%s%s", e->totals->ended + 1, e->totals->stages,
             e->trial->id, e->trial->t.model.arch, e->trial->t.model.backbone, name, e->state, cli_seconds(e->seconds),
             fine || !e->reason ? "" : ": ", fine || !e->reason ? "" : e->reason);
    if (!l->tty || !fine || e->stage->kind == PLAN_TRAIN) say(l, text);
}

static void on_trial_end(struct cli_live *l, const struct engine_event *e)
{
    if (e->trial->n_stages) return; /* its stages have said it */
    char text[1300];
    snprintf(text, sizeof text, "%.6s %s x %s  %s: %s", e->trial->id, e->trial->t.model.arch,
             e->trial->t.model.backbone, e->state, e->reason ? e->reason : "");
    say(l, text);
}

static void on_log(struct cli_live *l, const struct engine_event *e)
{
    char text[1200];
    const char *level = json_str(e->json, "level", "info"), *words = json_str(e->json, "text", "");
    bool plain = strcmp(level, "info") == 0;
    if (json_object_get(l->said, words)) return;
    json_object_set_new(l->said, words, json_true());
    snprintf(text, sizeof text, "%s%s%.6s %s x %s: %s", plain ? "" : level, plain ? "" : ": ", e->trial->id,
             e->trial->t.model.arch, e->trial->t.model.backbone, words);
    say(l, text);
}

static void on_stopping(struct cli_live *l, const struct engine_event *e)
{
    (void)e;
    say(l, "stopping: checkpoints are being written; Ctrl-C again kills");
}

static void on_begin(struct cli_live *l, const struct engine_event *e)
{
    char text[300];
    (void)e;
    total_text(text, sizeof text, &l->totals);
    say(l, text);
}

static const struct {
    const char *name;
    void (*show)(struct cli_live *, const struct engine_event *);
} views[] = {
    [ENGINE_START] = {"start", on_begin},
    [ENGINE_STAGE_START] = {"stage_start", on_start},
    [ENGINE_PROGRESS] = {"progress", on_progress},
    [ENGINE_METRICS] = {"metrics", on_metrics},
    [ENGINE_DECISION] = {"decision", NULL}, /* a stage's end says why */
    [ENGINE_LOG] = {"log", on_log},
    [ENGINE_STAGE_END] = {"stage_end", on_stage_end},
    [ENGINE_TRIAL_END] = {"trial_end", on_trial_end},
    [ENGINE_TICK] = {"tick", NULL},
    [ENGINE_STOPPING] = {"stopping", on_stopping},
};

static void print_json(const struct engine_event *e)
{
    const struct engine_totals *t = e->totals;
    json_t *j = json_pack("{s:s, s:f, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:f}}", "event", views[e->kind].name, "time",
                          time_now(), "totals", "stages", t->stages, "ended", t->ended, "cached", t->cached, "failed",
                          t->failed, "trials", t->trials, "trials_ended", t->trials_ended, "left_s", t->left_s);
    if (e->trial) json_object_set_new(j, "trial", json_string(e->trial->id));
    if (e->stage) {
        json_object_set_new(j, "stage", json_string(plan_kinds[e->stage->kind].name));
        json_object_set_new(j, "key", json_string(e->stage->key));
        json_object_set_new(j, "format", json_string(e->stage->format));
        json_object_set_new(j, "device", json_string(e->stage->device));
        json_object_set_new(j, "run", json_integer(e->run));
    }
    if (e->state) json_object_set_new(j, "state", json_string(e->state));
    if (e->reason) json_object_set_new(j, "reason", json_string(e->reason));
    if (e->kind == ENGINE_STAGE_END) json_object_set_new(j, "seconds", json_real(e->seconds));
    if (e->json) json_object_set(j, "data", (json_t *)(uintptr_t)e->json);
    char *text = json_canonical(j);
    printf("%s\n", text);
    fflush(stdout);
    free(text);
    json_decref(j);
}

void cli_live_event(void *ctx, const struct engine_event *e)
{
    struct cli_live *l = ctx;
    l->totals = *e->totals;
    if (l->json) {
        if (e->kind != ENGINE_TICK) print_json(e);
        return;
    }
    if (views[e->kind].show) views[e->kind].show(l, e);
    draw(l, false);
}
