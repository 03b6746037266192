/* rooms: spec */
/* Any bytes as an experiment: refused with a place, or loaded into an experiment whose every part can be asked. */
#include "spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void ask(const struct spec *s)
{
    struct arena a = {0};
    struct spec_trial t;
    struct status st = spec_trial_from_json(&t, &a, s->base, "fuzz");
    if (st.code == STATUS_OK) {
        json_t *flat = spec_trial_to_json(&t, SPEC_ALL);
        spec_dropped_by(s, &(struct spec_cell){{flat}});
        struct spec_trial again;
        st = spec_trial_from_json(&again, &a, flat, "fuzz");
        CHECK(st.code == STATUS_OK, "what was written is not read: %s", st.msg);
        json_t *twice = spec_trial_to_json(&again, SPEC_ALL);
        CHECK(json_equal(flat, twice), "a round trip changes the trial");
        json_decref(twice);
        json_decref(flat);
    }
    for (int i = 0; i < s->n_order; i++) {
        const struct spec_axis *x = s->order[i];
        CHECK(x->n > 0, "an axis without a value");
        if (x->interval) json_decref(spec_axis_draw(x, 0.5));
    }
    json_decref(spec_to_json(s));
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct spec *s;
    struct status st = spec_parse(&s, "fuzz/in.yaml", (const char *)data, n);
    CHECK((st.code == STATUS_OK) == (s != NULL), "a failure and a result");
    CHECK(st.code == STATUS_OK || st.code == STATUS_ARG, "%s", st.msg);
    if (s) ask(s);
    spec_free(s);
    struct spec *rest;
    json_t *mistakes = json_array();
    struct status all = spec_parse_all(&rest, "fuzz/in.yaml", (const char *)data, n, mistakes);
    bool wrong = all.code != STATUS_OK || json_array_size(mistakes);
    CHECK(wrong == (st.code != STATUS_OK), "all mistakes: %s, the first: %s", all.msg, st.msg);
    CHECK(json_array_size(mistakes) <= SPEC_MAX_MISTAKES, "%zu mistakes", json_array_size(mistakes));
    if (rest) ask(rest);
    spec_free(rest);
    json_decref(mistakes);
    return 0;
}
