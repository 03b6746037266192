/*
 * The view. On a terminal: finished things as lines that stay, below them one line a running stage and a total, redrawn
 * at most five times a second. Elsewhere: plain lines. With --json: one object an event on stdout.
 */
#include "live.h"
#include "inside.h"
#include <unistd.h>

struct cli_live *cli_live_new(bool json, bool no_tty)
{
    struct cli_live *l = mem_zalloc(sizeof *l);
    l->json = json;
    l->said = json_object();
    l->totals = json_object();
    l->sweeps = json_array();
    l->axes = json_object();
    l->standing.cells = json_array();
    l->cpu.percent = -1;
    l->tty = !json && !no_tty && isatty(STDERR_FILENO);
    return l;
}

double cli_live_tick_ms(const struct cli_live *l)
{
    return l->tty ? LIVE_MS_FRAME : 0;
}

static void row_free(struct live_row *r)
{
    json_decref(r->start);
    json_decref(r->progress);
    json_decref(r->epoch);
}

static void no_rows(struct cli_live *l)
{
    for (int i = 0; i < l->n_rows; i++) row_free(&l->rows[i]);
    l->n_rows = 0;
}

void cli_live_free(struct cli_live *l)
{
    draw_erase(&l->screen);
    no_rows(l);
    store_feed_close(l->feed);
    json_decref(l->said);
    json_decref(l->totals);
    json_decref(l->sweeps);
    json_decref(l->gpus);
    json_decref(l->axes);
    standing_free(&l->standing);
    free(l);
}

void live_draw(struct cli_live *l, bool now)
{
    if (!l->tty || (!now && time_mono() - l->drawn_at < LIVE_MS_FRAME / 1000.0)) return;
    l->drawn_at = time_mono();
    draw_frame(l);
}

/* A line that stays. */
static void say(struct cli_live *l, const char *text)
{
    if (l->json) return;
    draw_erase(&l->screen);
    fprintf(stderr, "%s\n", text);
    live_draw(l, true);
}

/* "3f2a1c unet x resnet18". */
static const char *cell_of(char *out, size_t n, const json_t *e)
{
    snprintf(out, n, "%.6s %s x %s", json_str(e, "trial", ""), json_str(e, "arch", ""), json_str(e, "backbone", ""));
    return out;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static int row_of(const struct cli_live *l, const json_t *e)
{
    const char *key = json_str(e, "key", "");
    for (int i = 0; i < l->n_rows; i++)
        if (strcmp(json_str(l->rows[i].start, "key", ""), key) == 0) return i;
    return -1;
}

static void row_drop(struct cli_live *l, int i)
{
    if (i < 0) return;
    row_free(&l->rows[i]);
    memmove(&l->rows[i], &l->rows[i + 1], sizeof *l->rows * (size_t)(--l->n_rows - i));
}

static void row_add(struct cli_live *l, const json_t *start, const json_t *progress, const json_t *epoch)
{
    row_drop(l, row_of(l, start)); /* an earlier run of it, which was tried again or is one visit of several */
    if (l->n_rows == LIVE_MAX_ROWS) return;
    json_t *kept = json_copy((json_t *)(uintptr_t)start);
    json_object_del(kept, "totals");
    l->rows[l->n_rows++] = (struct live_row){.start = kept,
                                             .progress = json_incref((json_t *)(uintptr_t)progress),
                                             .epoch = json_incref((json_t *)(uintptr_t)epoch)};
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void on_stage_start(struct cli_live *l, const json_t *e)
{
    row_add(l, e, NULL, NULL);
}

static void on_progress(struct cli_live *l, const json_t *e)
{
    int i = row_of(l, e);
    if (i < 0) return;
    json_decref(l->rows[i].progress);
    l->rows[i].progress = json_incref(json_object_get(e, "data"));
}

static void on_metrics(struct cli_live *l, const json_t *e)
{
    const json_t *data = json_object_get(e, "data"), *v = json_object_get(data, "values");
    int epoch = (int)json_int(data, "epoch", -1), row = row_of(l, e);
    standing_hear(&l->standing, e);
    if (row >= 0 && epoch > 0) {
        json_decref(l->rows[row].epoch);
        l->rows[row].epoch = json_incref((json_t *)(uintptr_t)v);
    }
    if (epoch < 0 || l->tty || strcmp(json_str(e, "stage", ""), "train") != 0) return; /* epoch 0 is evaluate's */
    char text[300], cell[160];
    int n = snprintf(text, sizeof text, "%s  epoch %d/%d", cell_of(cell, sizeof cell, e), epoch,
                     (int)json_int(e, "epochs", 0));
    static const char *const shown[] = {"train_loss", "val_loss", "ssim", "psnr"};
    for (size_t i = 0; i < LEN(shown); i++)
        if (json_is_number(json_object_get(v, shown[i])) && n < (int)sizeof text)
            n += snprintf(text + n, sizeof text - (size_t)n, "  %s %.4g", shown[i], json_num(v, shown[i], 0));
    say(l, text);
}

static void on_stage_end(struct cli_live *l, const json_t *e)
{
    char text[1400], cell[160], stage[80];
    const char *state = json_str(e, "state", ""), *reason = json_str(e, "reason", "");
    bool fine = strcmp(state, "done") == 0;
    row_drop(l, row_of(l, e));
    draw_stage(stage, sizeof stage, e);
    snprintf(text, sizeof text, "[%d/%d] %s  %s  %s  %s%s%s", (int)json_int(l->totals, "ended", 0) + 1,
             (int)json_int(l->totals, "stages", 0), cell_of(cell, sizeof cell, e), stage, state,
             cli_seconds(json_num(e, "seconds", 0)), fine || !reason[0] ? "" : ": ", fine ? "" : reason);
    if (!l->tty || !fine || strcmp(json_str(e, "stage", ""), "train") == 0) say(l, text);
}

static void on_trial_end(struct cli_live *l, const json_t *e)
{
    char text[1300], cell[160];
    if (json_int(e, "stages", 0)) return; /* its stages have said it */
    snprintf(text, sizeof text, "%s  %s: %s", cell_of(cell, sizeof cell, e), json_str(e, "state", ""),
             json_str(e, "reason", ""));
    say(l, text);
}

static void on_log(struct cli_live *l, const json_t *e)
{
    char text[1200], cell[160];
    const json_t *data = json_object_get(e, "data");
    const char *level = json_str(data, "level", "info"), *words = json_str(data, "text", "");
    bool plain = strcmp(level, "info") == 0;
    if (json_object_get(l->said, words)) return;
    json_object_set_new(l->said, words, json_true());
    snprintf(text, sizeof text, "%s%s%s: %s", plain ? "" : level, plain ? "" : ": ", cell_of(cell, sizeof cell, e),
             words);
    say(l, text);
}

static void on_stopping(struct cli_live *l, const json_t *e)
{
    (void)e;
    say(l, "stopping: checkpoints are being written; Ctrl-C again kills");
}

static void take_gpus(struct cli_live *l, json_t *gpus)
{
    json_decref(l->gpus);
    l->gpus = json_incref(gpus);
}

static void on_gpus(struct cli_live *l, const json_t *e)
{
    take_gpus(l, json_object_get(e, "data"));
}

/* On a terminal the drawn rows say it, anew each time: a line that stays would go on promising the first estimate. */
static void say_totals(struct cli_live *l)
{
    char text[400];
    if (l->tty) return;
    draw_totals(text, sizeof text, l, (int)sizeof text);
    say(l, text);
}

static void on_start(struct cli_live *l, const json_t *e)
{
    l->began = json_num(e, "time", 0);
    l->ended_before = (int)json_int(l->totals, "trials_ended", 0);
    say_totals(l);
}

static void on_state(struct cli_live *l, const json_t *e)
{
    const json_t *rows = json_object_get(e, "rows");
    bool first = l->began <= 0;
    l->began = json_num(e, "began", 0);
    l->ended_before = (int)json_int(e, "ended_before", 0);
    json_decref(l->sweeps);
    l->sweeps = json_incref(json_object_get(e, "sweeps"));
    standing_take(&l->standing, e);
    take_gpus(l, json_object_get(e, "gpus"));
    no_rows(l);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        row_add(l, json_object_get(row, "start"), json_object_get(row, "progress"), json_object_get(row, "epoch"));
    }
    if (first && l->began > 0) say_totals(l);
}

static void on_end(struct cli_live *l, const json_t *e)
{
    (void)e;
    no_rows(l);
}

static const struct {
    const char *name;
    void (*hear)(struct cli_live *, const json_t *);
} views[] = {{"state", on_state},
             {"start", on_start},
             {"stage_start", on_stage_start},
             {"progress", on_progress},
             {"metrics", on_metrics},
             {"log", on_log},
             {"stage_end", on_stage_end},
             {"trial_end", on_trial_end},
             {"stopping", on_stopping},
             {"gpus", on_gpus},
             {"end", on_end}};

void live_hear(struct cli_live *l, const json_t *event)
{
    json_t *totals = json_object_get(event, "totals");
    if (totals) {
        json_decref(l->totals);
        l->totals = json_incref(totals);
    }
    for (size_t i = 0; i < LEN(views); i++)
        if (strcmp(views[i].name, json_str(event, "event", "")) == 0) views[i].hear(l, event);
    live_draw(l, false);
}

json_t *live_state(const struct cli_live *l)
{
    json_t *rows = json_array();
    for (int i = 0; i < l->n_rows; i++) {
        const struct live_row *r = &l->rows[i];
        json_array_append_new(
            rows, json_pack("{s:O, s:O*, s:O*}", "start", r->start, "progress", r->progress, "epoch", r->epoch));
    }
    return json_pack("{s:s, s:f, s:O, s:f, s:i, s:O, s:O*, s:o, s:i, s:o}", "event", "state", "time", time_now(),
                     "totals", l->totals, "began", l->began, "ended_before", l->ended_before, "sweeps", l->sweeps,
                     "gpus", l->gpus, "best", standing_json(&l->standing), "pid", (int)getpid(), "rows", rows);
}

/* ---- our own run ------------------------------------------------------------------------------------------------- */

static void put_line(struct cli_live *l, const json_t *event, bool state)
{
    char *text = json_text(event, 0);
    if (l->json && !state) {
        printf("%s\n", text);
        fflush(stdout);
    }
    if (l->feed) store_feed_put(l->feed, text, state);
    free(text);
}

/* Progress comes as often as steps do; on-lookers want a frame's worth of it. */
static bool too_soon(struct cli_live *l, const json_t *event)
{
    int i = strcmp(json_str(event, "event", ""), "progress") == 0 ? row_of(l, event) : -1;
    double now = time_mono();
    if (i < 0 || l->json) return false;
    if (now - l->rows[i].published < LIVE_MS_FRAME / 1000.0) return true;
    l->rows[i].published = now;
    return false;
}

static void pass_on(struct cli_live *l, const json_t *event)
{
    if (l->feed && store_feed_wants_state(l->feed)) { /* all that was before this event */
        json_t *state = live_state(l);
        put_line(l, state, true);
        json_decref(state);
    }
    if ((l->feed || l->json) && !too_soon(l, event)) put_line(l, event, false);
    live_hear(l, event);
}

void cli_live_event(void *ctx, const struct engine_event *e)
{
    struct cli_live *l = ctx;
    json_t *j = event_json(e), *axes = e->trial ? json_object_get(l->axes, e->trial->id) : NULL;
    if (axes) json_object_set(j, "axes", axes);
    if (e->kind == ENGINE_TICK) {
        json_decref(l->totals);
        l->totals = json_incref(json_object_get(j, "totals"));
        live_draw(l, false);
    } else {
        pass_on(l, j);
    }
    json_decref(j);
}

void cli_live_end(struct cli_live *l, const struct engine_result *r, int code)
{
    json_t *j = event_end(r, code);
    pass_on(l, j);
    json_decref(j);
}

void cli_live_publish(struct cli_live *l, struct store *s, const struct plan *p)
{
    l->feed = store_feed_open(s);
    for (int i = 0; i < p->n_sweeps; i++) json_array_append_new(l->sweeps, json_string(p->sweeps[i].name));
    standing_open(l, s, p);
}
