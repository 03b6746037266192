/* The terminal: running stages and totals, cut to its width, drawn over in place. */
#include "inside.h"
#include "live.h"
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    LEAST_NAME = 12,
    TALL = 22 /* lines that are free on a screen where more than the best cell is shown */
};

static const char *text_of(const json_t *j, const char *key)
{
    return json_str(j, key, "");
}

static bool begins_point(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

int draw_columns(const char *text)
{
    int n = 0;
    for (; *text; text++) n += begins_point(*text);
    return n;
}

void draw_cut(char *text, int columns)
{
    if (draw_columns(text) <= columns) return;
    int n = 0, kept = columns > 2 ? columns - 2 : columns;
    char *p = text;
    for (; *p; p++)
        if (begins_point(*p) && n++ == kept) break;
    memcpy(p, "..", columns > 2 ? 3 : 0); /* over at least two code points */
    if (columns <= 2) *p = 0;
}

static struct winsize terminal(void)
{
    struct winsize w = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) != 0) w = (struct winsize){0};
    if (w.ws_col < 20) w.ws_col = 80;
    if (w.ws_row < 4) w.ws_row = 24;
    return w;
}

/* Lines that are now wider than the terminal have been wrapped by it. */
static void add_erase(struct str *out, struct live_screen *s)
{
    int up = 0, width = terminal().ws_col;
    for (int i = 0; i < s->n; i++) up += s->columns[i] > width ? (s->columns[i] + width - 1) / width : 1;
    if (up) str_addf(out, "\033[%dA\r\033[J", up);
    s->n = 0;
}

static void flush(struct str *out)
{
    if (out->n) fwrite(out->s, 1, out->n, stderr);
    str_free(out);
}

void draw_erase(struct live_screen *s)
{
    struct str out = {0};
    add_erase(&out, s);
    flush(&out);
}

void draw_stage(char *out, size_t n, const json_t *e)
{
    const char *format = text_of(e, "format"), *device = text_of(e, "device");
    int gpu = (int)json_int(e, "gpu", -1);
    char on[32] = "";
    if (gpu >= 0) snprintf(on, sizeof on, " on gpu %d", gpu);
    snprintf(out, n, "%s%s%s%s%s%s", text_of(e, "stage"), format[0] ? " " : "", format, device[0] ? " on " : "", device,
             on);
}

/* "  val_loss 0.41  ssim 0.71": of the last epoch, what a training is judged by. */
static void epoch_text(char *out, size_t n, const json_t *values, const char *rank)
{
    const char *const shown[] = {"val_loss", strcmp(rank, "val_loss") == 0 ? "" : rank};
    out[0] = 0;
    for (size_t i = 0; i < LEN(shown); i++) {
        const json_t *v = json_object_get(values, shown[i]);
        size_t at = strlen(out);
        if (json_is_number(v)) snprintf(out + at, n - at, "  %s %.4g", shown[i], json_number_value(v));
    }
}

/* As much of the axis values as there is room for: two cells of one net are two lines. */
static void add_axes(char *out, int columns, const json_t *e, size_t n)
{
    char axes[200];
    standing_axes(axes, sizeof axes, e);
    int room = columns - draw_columns(out) - 2;
    if (!axes[0] || room < LEAST_NAME / 2) return;
    draw_cut(axes, room);
    size_t at = strlen(out);
    snprintf(out + at, n - at, "  %s", axes);
}

/* How far a stage is. @p brief: where there is no room for its speed. */
static void add_detail(struct str *out, const struct live_row *r, bool brief)
{
    const json_t *e = r->start, *p = r->progress;
    int runs = (int)json_int(e, "runs", 1), epochs = (int)json_int(p, "epochs", 0);
    if (runs > 1) {
        str_addf(out, "visit %d/%d", (int)json_int(e, "run", 0) + 1, runs);
    } else if (epochs) {
        str_addf(out, "epoch %d/%d  ", (int)json_int(p, "epoch", 0), epochs);
        if (!brief) str_addf(out, "loss %.4g  %.1f images/s  ", json_num(p, "loss", 0), json_num(p, "images_per_s", 0));
        str_addf(out, "%s left", cli_seconds(json_num(p, "eta_s", 0)));
    } else {
        str_add(out, cli_seconds(time_now() - json_num(e, "time", time_now())));
    }
}

/* What gives way, in this order: the last epoch's metrics, the speed, the name, the axis values. */
static void row_text(char *out, size_t n, const struct live_row *r, const char *rank, int columns)
{
    const json_t *e = r->start;
    char id[16], stage[80], name[160], epoch[100], axes[200];
    int room = 0;
    draw_stage(stage, sizeof stage, e);
    snprintf(id, sizeof id, "  %.6s ", text_of(e, "trial"));
    snprintf(name, sizeof name, "%s x %s", text_of(e, "arch"), text_of(e, "backbone"));
    standing_axes(axes, sizeof axes, e);
    epoch_text(epoch, sizeof epoch, r->epoch, rank);
    struct str tail = {0};
    for (int brief = 0; brief < 2; brief++) {
        tail.n = 0;
        str_addf(&tail, "  %s  ", stage);
        add_detail(&tail, r, brief);
        room = columns - draw_columns(id) - draw_columns(tail.s) - (axes[0] ? draw_columns(axes) + 2 : 0);
        if (!axes[0] || room >= LEAST_NAME) break;
    }
    draw_cut(name, room > LEAST_NAME ? room : LEAST_NAME);
    snprintf(out, n, "%s%s%s", id, name, tail.s);
    str_free(&tail);
    if (draw_columns(out) + draw_columns(epoch) + draw_columns(axes) + 2 <= columns)
        snprintf(out + strlen(out), n - strlen(out), "%s", epoch);
    add_axes(out, columns, e, n);
    draw_cut(out, columns);
}

/* Appends ", TEXT" where it fits. */
static void add_part(char *out, size_t n, int columns, const char *fmt, ...) PRINTF(4, 5);
static void add_part(char *out, size_t n, int columns, const char *fmt, ...)
{
    char part[120];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(part, sizeof part, fmt, ap);
    va_end(ap);
    size_t at = strlen(out);
    if (draw_columns(out) + draw_columns(part) + (at ? 2 : 0) > columns) return;
    snprintf(out + at, n - at, "%s%s", at ? ", " : "", part);
}

/* Trials that this run ends in an hour, when some have been; else 0. */
static double cells_per_hour(const struct cli_live *l)
{
    double seconds = time_now() - l->began;
    int64_t ended = json_int(l->totals, "trials_ended", 0) - l->ended_before;
    return ended > 0 && seconds > 1 && l->began > 0 ? 3600 * (double)ended / seconds : 0;
}

void draw_totals(char *out, size_t n, const struct cli_live *l, int columns)
{
    const json_t *t = l->totals;
    double error_s = json_num(t, "left_error_s", -1), rate = cells_per_hour(l);
    int failed = (int)json_int(t, "failed", 0), pruned = (int)json_int(t, "trials_pruned", 0);
    int trained = (int)json_int(t, "trained", 0), ended = (int)json_int(t, "trials_ended", 0);
    char left[120];
    /* The most wanted first; what does not fit is left out. */
    out[0] = 0;
    add_part(out, n, columns, "%d of %d trials", ended, (int)json_int(t, "trials", 0));
    if (failed) add_part(out, n, columns, "%d failed", failed);
    if (trained > ended) add_part(out, n, columns, "%d trained", trained);
    snprintf(left, sizeof left, "about %s left", cli_seconds(json_num(t, "left_s", 0)));
    if (error_s > 0)
        snprintf(left, sizeof left, "about %s +- %s left", cli_seconds(json_num(t, "left_s", 0)), cli_seconds(error_s));
    add_part(out, n, columns, "%s", left);
    add_part(out, n, columns, "%d of %d stages (%d stored before)", (int)json_int(t, "ended", 0),
             (int)json_int(t, "stages", 0), (int)json_int(t, "cached", 0));
    if (pruned) add_part(out, n, columns, "%d pruned", pruned);
    if (rate > 0) add_part(out, n, columns, "%.*f cells/h", rate < 10 ? 1 : 0, rate);
    if (l->tty && l->cpu.percent >= 0) add_part(out, n, columns, "CPU %.0f %%", l->cpu.percent);
    int gpus = (int)json_int(t, "gpus", 0);
    if (gpus) add_part(out, n, columns, "%d of %d GPUs busy", (int)json_int(t, "gpus_busy", 0), gpus);
}

static void add_line(struct str *out, struct live_screen *s, const char *text)
{
    str_addf(out, "%s\n", text);
    s->columns[s->n++] = draw_columns(text);
}

/* What is best so far: a line, or as many as a tall screen has room for. */
static void add_standing(struct str *out, struct cli_live *l, int columns, int room)
{
    const json_t *cells = l->standing.cells;
    char text[600];
    int n = (int)json_array_size(cells), most = room < TALL ? 1 : room - 2;
    if (!n || room < 1) return;
    if (most > 1) {
        snprintf(text, sizeof text, "best so far, by %s:", l->standing.rank);
        add_line(out, &l->screen, text);
    }
    for (int i = 0; i < n && i < most; i++) {
        const json_t *cell = json_array_get(cells, (size_t)i);
        if (most > 1)
            snprintf(text, sizeof text, "%4d  %-8.4g", i + 1, json_num(cell, "value", 0));
        else
            snprintf(text, sizeof text, "best so far: %s %.4g ", l->standing.rank, json_num(cell, "value", 0));
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, " %.6s %s x %s", text_of(cell, "trial"), text_of(cell, "arch"),
                 text_of(cell, "backbone"));
        draw_cut(text, columns);
        add_axes(text, columns, cell, sizeof text);
        add_line(out, &l->screen, text);
    }
}

void draw_gpu(char *out, size_t n, const json_t *gpu)
{
    const double gib = 1073741824.0;
    const json_t *busy = json_object_get(gpu, "busy");
    double total = json_num(gpu, "total_bytes", 0);
    int trainings = (int)json_int(gpu, "trainings", 0);
    struct str s = {0};
    str_addf(&s, "GPU %d", (int)json_int(gpu, "gpu", 0));
    if (json_is_integer(busy)) str_addf(&s, "  %d %% busy", (int)json_integer_value(busy));
    if (total > 0) str_addf(&s, "  %.1f of %.1f GiB", json_num(gpu, "used_bytes", 0) / gib, total / gib);
    str_addf(&s, "  %d training%s", trainings, trainings == 1 ? "" : "s");
    if (text_of(gpu, "why")[0]) str_addf(&s, "; %s", text_of(gpu, "why"));
    snprintf(out, n, "%s", s.s);
    str_free(&s);
}

static void add_gpus(struct str *out, struct cli_live *l, int columns, int room)
{
    char text[300] = "  ";
    for (size_t i = 0; i < json_array_size(l->gpus) && (int)i < room; i++) {
        draw_gpu(text + 2, sizeof text - 2, json_array_get(l->gpus, i));
        draw_cut(text, columns);
        add_line(out, &l->screen, text);
    }
}

void draw_frame(struct cli_live *l)
{
    struct str out = {0};
    struct winsize w = terminal();
    char text[600];
    int columns = w.ws_col - 1, most = w.ws_row - 3, shown = l->n_rows <= most ? l->n_rows : most - 1;
    if (most > LIVE_MAX_ROWS) most = LIVE_MAX_ROWS;
    draw_look_at_cpu(&l->cpu);
    add_erase(&out, &l->screen);
    for (int i = 0; i < shown; i++) {
        row_text(text, sizeof text, &l->rows[i], l->standing.rank, columns);
        add_line(&out, &l->screen, text);
    }
    if (shown < l->n_rows) {
        snprintf(text, sizeof text, "  and %d more", l->n_rows - shown);
        add_line(&out, &l->screen, text);
    }
    add_gpus(&out, l, columns, most - l->screen.n);
    add_standing(&out, l, columns, most - l->screen.n);
    draw_totals(text, sizeof text, l, columns);
    add_line(&out, &l->screen, text);
    flush(&out);
}

void draw_look_at_cpu(struct live_cpu *c)
{
    double now = time_mono(), v[8] = {0}, total = 0;
    if (c->at > 0 && now - c->at < 1) return;
    char *text = NULL;
    struct status st = fs_read(&text, NULL, "/proc/stat");
    int n = st.code == STATUS_OK ? sscanf(text, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &v[0], &v[1], &v[2], &v[3],
                                          &v[4], &v[5], &v[6], &v[7])
                                 : 0;
    free(text);
    for (size_t i = 0; i < LEN(v); i++) total += v[i];
    double busy = total - v[3] - v[4]; /* idle, and waiting for a disk */
    c->percent = n == 8 && c->at > 0 && total > c->total ? 100 * (busy - c->busy) / (total - c->total) : -1;
    *c = (struct live_cpu){.at = now, .busy = busy, .total = total, .percent = c->percent};
}
