/* The same rows as CSV, for programs, and as Markdown, for people; and how numbers are written everywhere. */
#include "inside.h"

const char *metric_shown(const char *metric)
{
    static const struct {
        const char *name, *shown;
    } names[] = {{"ssim", "SSIM"},
                 {"ms_ssim", "MS-SSIM"},
                 {"psnr", "PSNR"},
                 {"l1", "L1"},
                 {"val_loss", "val loss"},
                 {"feature_distance", "feature distance"},
                 {"style_distance", "style distance"},
                 {"kid", "KID"}};
    for (size_t i = 0; i < LEN(names); i++)
        if (strcmp(names[i].name, metric) == 0) return names[i].shown;
    return metric;
}

const char *number(double v, int digits)
{
    static char ring[16][32];
    static unsigned next;
    char *out = ring[next++ % LEN(ring)];
    if (isnan(v)) return "";
    snprintf(out, sizeof ring[0], "%.*f", digits, v);
    return out;
}

const char *human(double v)
{
    static const struct {
        double unit;
        const char *suffix;
    } scale[] = {{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}};
    static char ring[8][32];
    static unsigned next;
    char *out = ring[next++ % LEN(ring)];
    if (isnan(v)) return "";
    for (size_t i = 0; i < LEN(scale); i++)
        if (v >= scale[i].unit) {
            snprintf(out, sizeof ring[0], "%.3g%s", v / scale[i].unit, scale[i].suffix);
            return out;
        }
    snprintf(out, sizeof ring[0], "%.0f", v);
    return out;
}

/* RFC 4180: quoted when needed, quotes doubled. */
static void add_field(struct str *out, const char *text, bool last)
{
    if (strpbrk(text, ",\"\n\r")) {
        str_add(out, "\"");
        for (; *text; text++) str_addf(out, *text == '"' ? "\"%c" : "%c", *text);
        str_add(out, "\"");
    } else {
        str_add(out, text);
    }
    str_add(out, last ? "\n" : ",");
}

static const char *exact(double v, struct arena *a)
{
    return isnan(v) ? "" : arena_printf(a, "%.9g", v);
}

bool rank_is_own(const struct report *r, const char *const *others)
{
    for (; *others; others++)
        if (strcmp(r->rank->name, *others) == 0) return false;
    return true;
}

struct status write_csv(struct report *r)
{
    struct str s = {0};
    struct arena a = {0};
    str_add(
        &s,
        "trial,arch,backbone,label,height,width,seed,state,reason,rank_metric,rank_value,pareto,ssim,ms_ssim,psnr,"
        "l1,val_loss,p50_ms,p90_ms,fps,params,macs,train_s,loss_key,feature_distance,style_distance,kid,like_best\n");
    for (int i = 0; i < r->n_cells; i++) {
        const struct cell *c = &r->cells[i];
        const char *fields[] = {c->id,
                                c->arch,
                                c->backbone,
                                c->label,
                                arena_printf(&a, "%d", c->height),
                                arena_printf(&a, "%d", c->width),
                                arena_printf(&a, "%d", c->seed),
                                c->state,
                                c->reason,
                                r->rank->name,
                                exact(c->quality, &a),
                                c->pareto ? "1" : "0",
                                exact(c->ssim, &a),
                                exact(c->ms_ssim, &a),
                                exact(c->psnr, &a),
                                exact(c->l1, &a),
                                exact(c->val_loss, &a),
                                exact(c->p50_ms, &a),
                                exact(c->p90_ms, &a),
                                exact(c->fps, &a),
                                exact(c->params, &a),
                                exact(c->macs, &a),
                                exact(c->train_s, &a),
                                c->loss_key,
                                exact(c->feature_distance, &a),
                                exact(c->style_distance, &a),
                                exact(c->kid, &a),
                                c->of ? c->of->like_best ? "1" : "0" : ""};
        for (size_t k = 0; k < LEN(fields); k++) add_field(&s, fields[k], k + 1 == LEN(fields));
    }
    struct status w = fs_write(fs_join(&r->arena, r->o->dir, "results.csv"), s.s, s.n);
    arena_free(&a);
    str_free(&s);
    return w;
}

/* A bar in a cell would end it. */
static void add_markdown(struct str *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') str_add(out, "\\");
        str_addn(out, *text == '\n' ? " " : text, 1);
    }
}

struct status write_markdown(struct report *r)
{
    struct str s = {0};
    str_addf(&s, "# %s\n\nRanked by %s (%s is better). Latency: fp32 ONNX on %s, one thread, batch 1.\n\n", r->title,
             metric_shown(r->rank->name), r->rank->higher_is_better ? "higher" : "lower", r->device);
    static const char *const others[] = {"ssim", "psnr", "val_loss", NULL};
    bool own = rank_is_own(r, others);
    str_add(&s, "| | cell |");
    if (own) str_addf(&s, " %s |", metric_shown(r->rank->name));
    str_addf(&s,
             " SSIM | PSNR dB | val loss | p50 ms | frames/s | params | MACs | Pareto | state "
             "|\n|---|---|%s---|---|---|---|---|---|---|---|---|\n",
             own ? "---|" : "");
    for (int i = 0; i < r->n_cells; i++) {
        const struct cell *c = &r->cells[i];
        str_addf(&s, "| %d | ", i + 1);
        add_markdown(&s, c->label);
        if (own) str_addf(&s, " | %s", number(c->quality, 4));
        str_addf(&s, " | %s | %s | %s | %s | %s | %s | %s | %s | ", number(c->ssim, 4), number(c->psnr, 2),
                 number(c->val_loss, 3), number(c->p50_ms, 1), number(c->fps, 1), human(c->params), human(c->macs),
                 c->pareto ? "yes" : "");
        add_markdown(&s, c->state);
        if (!beats_input(r, c, c->quality)) str_add(&s, ", no better than the input");
        if (*c->reason) {
            str_add(&s, ": ");
            add_markdown(&s, c->reason);
        }
        str_add(&s, " |\n");
    }
    for (int i = 0; i < r->n_baselines; i++) {
        const struct baseline *b = &r->baselines[i];
        if (isnan(b->identity)) continue;
        str_add(&s, "\n");
        if (r->n_sizes > 1) str_addf(&s, "At %d x %d: ", b->width, b->height);
        str_addf(&s, "The identity mapping has %s %s", metric_shown(r->rank->name), number(b->identity, 4));
        if (!isnan(b->untrained)) str_addf(&s, ", the untrained nets %s on average", number(b->untrained, 4));
        str_add(&s, ".\n");
    }
    if (r->n_losses > 1)
        str_addf(&s, "\nThe cells were trained by %d different losses: their val_loss values do not compare.\n",
                 r->n_losses);
    struct status w = fs_write(fs_join(&r->arena, r->o->dir, "results.md"), s.s, s.n);
    str_free(&s);
    return w;
}
