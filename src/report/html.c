/* The page: one file that can be mailed. Pictures are data URIs, style and script are inside. */
#include "inside.h"

extern const char report_css[], report_js[];

void add_escaped(struct str *out, const char *text)
{
    for (; *text; text++) switch (*text) {
        case '&':
            str_add(out, "&amp;");
            break;
        case '<':
            str_add(out, "&lt;");
            break;
        case '>':
            str_add(out, "&gt;");
            break;
        case '"':
            str_add(out, "&quot;");
            break;
        default:
            str_addn(out, text, 1);
        }
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static void add_number(struct str *out, double v, int digits)
{
    if (isnan(v))
        str_add(out, "<td class=num data-v=''></td>");
    else
        str_addf(out, "<td class=num data-v=%.9g>%.*f</td>", v, digits, v);
}

static void add_human(struct str *out, double v)
{
    if (isnan(v))
        str_add(out, "<td class=num data-v=''></td>");
    else
        str_addf(out, "<td class=num data-v=%.9g>%s</td>", v, human(v));
}

enum { RANK_COLUMN = 2 };

static void add_table(struct report *r, struct str *out)
{
    const struct {
        const char *name, *unit;
    } columns[] = {{"", ""},
                   {"cell", ""},
                   {metric_shown(r->rank->name), r->rank->unit},
                   {"SSIM", ""},
                   {"MS-SSIM", ""},
                   {"PSNR", "dB"},
                   {"L1", ""},
                   {"val loss", ""},
                   {"p50", "ms"},
                   {"p90", "ms"},
                   {"frames/s", ""},
                   {"params", ""},
                   {"MACs", "a frame"},
                   {"training", "s"},
                   {"state", ""}};
    str_add(out, "<div class=scroll><table id=cells><thead><tr>");
    static const char *const others[] = {"ssim", "ms_ssim", "psnr", "l1", "val_loss", NULL};
    bool own = rank_is_own(r, others);
    for (size_t i = 0; i < LEN(columns); i++)
        if (own || i != RANK_COLUMN)
            str_addf(out, "<th scope=col><button type=button>%s%s%s%s</button></th>", columns[i].name,
                     *columns[i].unit ? " <small>" : "", columns[i].unit, *columns[i].unit ? "</small>" : "");
    str_add(out, "</tr></thead><tbody>\n");
    for (int i = 0, rank = 0; i < r->n_cells; i++) {
        const struct cell *c = &r->cells[i];
        rank = i && !isnan(c->quality) && !same_size(c, c - 1) ? 1 : rank + 1; /* each size from the first on */
        str_addf(out, "<tr%s data-trial=%s><td class=num data-v=%d>%d</td><td>", c->pareto ? " class=front" : "", c->id,
                 i + 1, rank);
        add_escaped(out, c->label);
        str_addf(out, "%s%s%s<br><code>%s</code></td>", c->pareto ? " <span class=tag>Pareto</span>" : "",
                 c->of && c->of->like_best ? " <span class=tag>not told from the best</span>" : "",
                 beats_input(r, c, c->quality) ? "" : " <span class=tag>no better than the input</span>", c->id);
        const struct {
            double v;
            int digits;
        } numbers[] = {{c->quality, 4},  {c->ssim, 4},   {c->ms_ssim, 4}, {c->psnr, 2}, {c->l1, 4},
                       {c->val_loss, 3}, {c->p50_ms, 1}, {c->p90_ms, 1},  {c->fps, 1}};
        for (size_t k = own ? 0 : 1; k < LEN(numbers); k++) add_number(out, numbers[k].v, numbers[k].digits);
        add_human(out, c->params);
        add_human(out, c->macs);
        add_number(out, c->train_s, 0);
        str_add(out, "<td class=state>");
        add_escaped(out, c->state);
        str_add(out, "</td></tr>\n");
    }
    str_add(out, "</tbody></table></div>\n<button type=button id=more hidden>all rows</button>\n");
}

static bool has_reason(const struct cell *c, bool pruned)
{
    return *c->reason && strcmp(c->state, "done") != 0 && (strcmp(c->state, "pruned") == 0) == pruned;
}

/* Cells that have no result, with why: those that a rule stopped, or all others. */
static void add_reasons(struct report *r, struct str *out, const char *title, bool pruned)
{
    int n = 0;
    for (int i = 0; i < r->n_cells; i++) n += has_reason(&r->cells[i], pruned);
    if (!n) return;
    str_addf(out, "<h2>%s (%d)</h2>\n<div class=scroll><table class=plain><tbody>\n", title, n);
    for (int i = 0; i < r->n_cells; i++) {
        const struct cell *c = &r->cells[i];
        if (!has_reason(c, pruned)) continue;
        str_add(out, "<tr><td>");
        add_escaped(out, c->label);
        str_add(out, "</td><td class=state>");
        add_escaped(out, c->state);
        str_add(out, "</td><td>");
        add_escaped(out, c->reason);
        str_add(out, "</td></tr>\n");
    }
    str_add(out, "</tbody></table></div>\n");
}

static void add_families(const struct report *r, struct str *out)
{
    if (!r->n_seeded) return;
    str_addf(out,
             "<h2>Over seeds</h2>\n<div class=scroll><table class=plain><thead><tr><th>cell</th><th>seeds</th><th>%s, "
             "mean</th>"
             "<th>standard deviation</th><th>p50 <small>ms</small></th></tr></thead><tbody>\n",
             metric_shown(r->rank->name));
    for (int i = 0; i < r->n_families; i++) {
        const struct family *f = &r->families[i];
        str_add(out, "<tr><td>");
        add_escaped(out, f->label);
        str_addf(out,
                 "</td><td class=num>%d</td><td class=num>%s</td><td class=num>%s</td><td class=num>%s</td></tr>\n",
                 f->n, number(f->mean, 4), number(f->spread, 4), number(f->p50_ms, 1));
    }
    str_add(out, "</tbody></table></div>\n");
}

static void add_notes(struct report *r, const struct report_written *w, struct str *out)
{
    if (r->n_losses > 1)
        str_addf(
            out,
            "<p class=note>The cells were trained by %d different losses: their <b>val loss</b> values do not compare."
            " Rank by a metric that no axis changes, as this page does with %s.</p>\n",
            r->n_losses, metric_shown(r->rank->name));
    if (r->n_skipped)
        str_addf(
            out,
            "<p class=note>%d damaged pair%s left out of the images, as <code>data.skip_damaged</code> says.</p>\n",
            r->n_skipped, r->n_skipped == 1 ? " is" : "s are");
    if (*w->missing) {
        str_add(out, "<p class=note>No plots: ");
        add_escaped(out, w->missing);
        str_add(out, "</p>\n");
    }
    for (int i = 0; i < r->n_baselines; i++) {
        const struct baseline *b = &r->baselines[i];
        if (isnan(b->identity)) continue;
        str_add(out, "<p>For comparison");
        if (r->n_sizes > 1) str_addf(out, ", at %d x %d", b->width, b->height);
        str_addf(out, ": returning the input unchanged has %s <b>%s</b>", metric_shown(r->rank->name),
                 number(b->identity, 4));
        if (!isnan(b->untrained)) str_addf(out, "; the untrained nets have %s on average", number(b->untrained, 4));
        str_add(out, ".</p>\n");
    }
}

static void add_plot(struct report *r, struct str *out, const struct plot_kind *k)
{
    char *svg;
    size_t n;
    const char *path = fs_join(&r->arena, plots_dir(r), arena_printf(&r->arena, "%s.svg", k->name));
    if (!fs_exists(path) || fs_read(&svg, &n, path).code != STATUS_OK) return;
    str_addf(out,
             "<figure><figcaption>%s</figcaption><div class=scroll><img alt=\"%s\" src=\"data:image/svg+xml;base64,",
             k->title, k->title);
    add_base64(out, svg, n);
    str_add(out, "\"></div></figure>\n");
    free(svg);
}

struct status write_page(struct report *r, const struct report_written *w)
{
    struct str s = {0};
    str_add(&s, "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
                "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n<title>");
    add_escaped(&s, r->title);
    str_addf(&s, " - sweep</title>\n<style>\n%s</style></head><body><main>\n<h1>", report_css);
    add_escaped(&s, r->title);
    struct arena a = {0};
    str_addf(
        &s,
        "</h1>\n<p class=sub>%d cells, %d with a result; ranked by %s (%s is better); latency of the fp32 ONNX on %s,"
        " one thread, batch 1. Written %s.</p>\n",
        r->n_cells, r->n_ranked, metric_shown(r->rank->name), r->rank->higher_is_better ? "higher" : "lower", r->device,
        time_iso(&a, time_now()));
    arena_free(&a);
    add_answers(r, &s);
    add_notes(r, w, &s);
    add_plot(r, &s, &plot_kinds[0]); /* the question itself; the details come after the pictures and the table */
    add_explorer(r, &s);
    add_gallery(r, &s);
    str_add(&s, "<h2>Cells</h2>\n");
    add_table(r, &s);
    add_families(r, &s);
    for (const struct plot_kind *k = plot_kinds + 1; k->name; k++) add_plot(r, &s, k);
    add_reasons(r, &s, "Pruned: stopped before their end", true);
    add_reasons(r, &s, "Without a result", false);
    str_addf(&s, "</main>\n<script>\n%s</script></body></html>\n", report_js);
    struct status done = fs_write(w->index, s.s, s.n);
    str_free(&s);
    return done;
}
