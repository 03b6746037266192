/*
 * sample: N cells drawn from the axes. Draw i gives every axis a number in [0,1), by a counter-based generator or the
 * Sobol sequence; what the rules drop and what was drawn before is drawn again. Nothing depends on N, so a larger
 * sample begins with the cells of a smaller one, and only the rest is run. Seeds (`seeds: 3`) are not drawn: each
 * drawn cell has them all.
 */
#include "inside.h"

static double coordinate(const struct spec_sample *s, uint32_t draw, int axis)
{
    struct rng r = rng_key((uint64_t)s->seed, 0x73616d706c65, draw, (uint64_t)axis);
    if (s->method == SPEC_RANDOM) return rng_uniform(&r);
    /* A seed moves the whole sequence by one digital shift an axis, which keeps its evenness; 0 is the plain one. */
    struct rng shift = rng_key((uint64_t)s->seed, 0x736f626f6c, 0, (uint64_t)axis);
    uint32_t x = plan_sobol(draw, axis) ^ (s->seed ? (uint32_t)(rng_u64(&shift) >> 32) : 0);
    return x / 4294967296.0;
}

/* This draw's value of every axis but the seeds. Owner: the caller. */
static json_t *draw_cell(const struct plan_expand *e, uint32_t draw)
{
    json_t *axes = json_object();
    for (int i = 0; i < e->s->n_order; i++) {
        const struct spec_axis *x = e->s->order[i];
        if (x->seeds || !plan_applies(e, i, axes)) continue;
        double u = coordinate(&e->s->sample, draw, i);
        if (x->interval)
            json_object_set_new(axes, x->key, spec_axis_draw(x, u));
        else
            json_object_update(axes, json_array_get(e->axes[i], (size_t)(u * (double)json_array_size(e->axes[i]))));
    }
    return axes;
}

/* What `seeds: N` multiplies a cell by; NULL without it. */
static const json_t *seeds_of(const struct plan_expand *e)
{
    for (int i = 0; i < e->s->n_order; i++)
        if (e->s->order[i]->seeds) return e->axes[i];
    return NULL;
}

/* The cell once a seed; true when the rules leave some. */
static bool keep_seeds(struct plan_expand *e, json_t *axes)
{
    const json_t *seeds = seeds_of(e);
    bool kept = false;
    if (!seeds) return plan_keep_cell(e, axes);
    for (size_t v = 0; v < json_array_size(seeds); v++) {
        json_object_update(axes, json_array_get(seeds, v));
        kept = plan_keep_cell(e, axes) || kept;
    }
    return kept;
}

struct status plan_sample(struct plan_expand *e)
{
    const struct spec_sample *s = &e->s->sample;
    if (s->method == SPEC_SOBOL && e->s->n_order > PLAN_SOBOL_AXES)
        return fail(STATUS_ARG, "%s: sample: got %d axes, expected at most %d for sobol; method: random has no limit",
                    e->s->path, e->s->n_order, PLAN_SOBOL_AXES);
    size_t repeats = seeds_of(e) ? json_array_size(seeds_of(e)) : 1;
    if ((double)s->n * (double)repeats > PLAN_MAX_CELLS)
        return fail(STATUS_ARG, "%s: sample: got %d cells of %zu seeds, expected at most a million in all", e->s->path,
                    s->n, repeats);
    int64_t most = (int64_t)s->n * 50 + 10000; /* draws, before there is nothing new to be found */
    json_t *seen = json_object();
    int kept = 0;
    for (int64_t i = 0; i < most && kept < s->n; i++) {
        json_t *axes = draw_cell(e, (uint32_t)i);
        char *text = json_canonical(axes);
        if (!json_object_get(seen, text)) {
            json_object_set_new(seen, text, json_true());
            kept += keep_seeds(e, axes);
        }
        free(text);
        json_decref(axes);
    }
    json_decref(seen);
    e->out->n_drawn = kept;
    return ok();
}
