/*
 * Stage keys. A stage depends on: the configuration keys whose row names it (spec's table), the content of the files
 * that the configuration points at (never where they lie), the stages whose output it reads, and the meaning that this
 * version of the program gives it. Nothing else may change a key, or work would be done twice; nothing may be missing,
 * or a stale result would be kept.
 */
#include "inside.h"

#define FROM(kind) (1U << PLAN_##kind)

/* clang-format off */
const struct plan_kind_info plan_kinds[PLAN_N_KINDS] = {
    [PLAN_SCREEN]   = {.name = "screen",   .mask = SPEC_SCREEN,   .version = 1},
    [PLAN_TRAIN]    = {.name = "train",    .mask = SPEC_TRAIN,    .version = 1, .after = FROM(SCREEN)},
    [PLAN_EVALUATE] = {.name = "evaluate", .mask = SPEC_EVALUATE, .version = 1, .from = FROM(TRAIN)},
    [PLAN_EXPORT]   = {.name = "export",   .mask = SPEC_EXPORT,   .version = 1, .from = FROM(TRAIN)},
    [PLAN_VERIFY]   = {.name = "verify",   .mask = SPEC_VERIFY,   .version = 1, .from = FROM(EXPORT)},
    [PLAN_SAMPLES]  = {.name = "samples",  .mask = SPEC_SAMPLES,  .version = 1, .from = FROM(TRAIN)},
    [PLAN_BENCH]    = {.name = "bench",    .mask = SPEC_BENCH,    .version = 1, .from = FROM(EXPORT)},
};

/* These say where something lies; its content is hashed instead. */
static const char *const places[] = {"data.root", "data.input", "data.target", "data.split.train", "data.split.val",
                                     "data.pairs", "model.weights", "loss.weights"};
/* clang-format on */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_place(const char *key, const json_t *value)
{
    /* `split.val` is a fraction or a list's file. */
    for (size_t i = 0; i < LEN(places); i++)
        if (strcmp(places[i], key) == 0) return !json_is_number(value) || strcmp(key, "data.pairs") == 0;
    return false;
}

void plan_keys_init(struct plan_build *b)
{
    struct arena *a = &b->plan->arena;
    struct spec_trial t;
    json_t *none = json_object();
    struct status st = spec_trial_from_json(&t, a, none, "defaults");
    json_decref(none);
    CHECK(st.code == STATUS_OK, "%s", st.msg);
    for (int k = 0; k < PLAN_N_KINDS; k++) {
        json_t *j = spec_trial_to_json(&t, plan_kinds[k].mask), *v;
        const char *name, **names = arena_alloc(a, sizeof(char *) * (json_object_size(j) + 1));
        size_t n = 0;
        json_object_foreach(j, name, v) names[n++] = arena_strdup(a, name);
        qsort(names, n, sizeof *names, by_text);
        b->texts[k] = arena_alloc(a, sizeof **b->texts * (n + 1));
        for (size_t i = 0; i < n; i++) b->texts[k][i].name = names[i];
        json_decref(j);
    }
}

void plan_keys_free(struct plan_build *b)
{
    for (int k = 0; k < PLAN_N_KINDS; k++) {
        for (struct plan_text *t = b->texts[k]; t->name; t++) {
            json_decref(t->value);
            str_free(&t->line);
        }
    }
}

static void add_value(struct str *out, const char *key, const json_t *v)
{
    str_addf(out, "%s=", key);
    if (json_is_string(v)) {
        str_addf(out, "\"%s\"", json_string_value(v));
    } else if (v) {
        char *text = json_canonical(v);
        str_add(out, text);
        free(text);
    }
    str_add(out, "\n");
}

/* The line of a key; cells share values (spec_before), so that one look tells whether it is the last one's. */
static void add_line(struct str *out, struct plan_text *t, const json_t *config)
{
    json_t *v = json_object_get(config, t->name);
    if (v != t->value || !t->line.s) {
        json_decref(t->value);
        t->value = json_incref(v);
        t->line.n = 0;
        str_add(&t->line, "");
        if (!is_place(t->name, v)) add_value(&t->line, t->name, v);
    }
    str_addn(out, t->line.s, t->line.n);
}

void plan_keys(char out[PLAN_N_KINDS][PLAN_KEY], struct plan_build *b, const json_t *config,
               const struct plan_content *c)
{
    struct str text = {0};
    for (int k = 0; k < PLAN_N_KINDS; k++) {
        text.n = 0;
        str_addf(&text, "%s %d\n", plan_kinds[k].name, plan_kinds[k].version);
        for (struct plan_text *t = b->texts[k]; t->name; t++) add_line(&text, t, config);
        if (k == PLAN_TRAIN)
            str_addf(&text, "images %s\nweights %s\nloss weights %s\n", c->images, c->model_weights, c->loss_weights);
        memcpy(out[k], hash_bytes(text.s, text.n).hex, PLAN_KEY);
    }
    str_free(&text);
}

void plan_key_of(char out[PLAN_KEY], const char *part, const char *format, const char *device, const char *const *from,
                 int n_from)
{
    char text[64 + PLAN_KEY * (PLAN_MAX_NEEDS + 2)];
    int n = snprintf(text, sizeof text, "%s %s %s", part, format, device);
    for (int i = 0; i < n_from; i++) n += snprintf(text + n, sizeof text - (size_t)n, " %s", from[i]);
    memcpy(out, hash_bytes(text, (size_t)n).hex, PLAN_KEY);
}

void plan_loss_key(char out[PLAN_KEY], const json_t *config, const char *weights)
{
    struct arena a = {0};
    struct str text = {0};
    const char *name, **names = arena_alloc(&a, sizeof(char *) * (json_object_size(config) + 1));
    json_t *v;
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)config, name, v)
    {
        if (strncmp(name, "loss.", 5) == 0 && !is_place(name, v)) names[n++] = name;
    }
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) add_value(&text, names[i], json_object_get(config, names[i]));
    str_addf(&text, "weights %s\n", weights);
    memcpy(out, hash_bytes(text.s, text.n).hex, PLAN_KEY);
    str_free(&text);
    arena_free(&a);
}
