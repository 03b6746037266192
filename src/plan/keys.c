/*
 * Stage keys. A stage depends on: the configuration keys whose row names it (spec's table), the content of the files
 * that the configuration points at (never where they lie), the stages whose output it reads, and the meaning that this
 * version of the program gives it. Nothing else may change a key, or work would be done twice; nothing may be missing,
 * or a stale result would be kept.
 *
 * Keys outlive versions: a configuration key that a later version adds is hashed only where it differs from its
 * default, which means what the program did before there was the key. So results from before it keep their keys. A
 * default never changes, then, without a raised version of the stages that it concerns.
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
                                     "data.pairs", "model.weights", "model.init", "loss.weights",
                                     "evaluate.judge.weights"};

/* The keys of the first version, sorted: hashed with whatever value. The list is closed; a new key is not added. */
static const char *const first_keys[] = {
    "augment", "bench.mode", "bench.threads", "bench.visits", "data.input", "data.pairs", "data.root", "data.size",
    "data.split.seed", "data.split.train", "data.split.val", "data.target", "evaluate.weights", "export.io",
    "gate.device", "gate.p50_ms", "loss.feature_weights", "loss.gram_scale", "loss.gram_weights", "loss.network",
    "loss.pixel_weight", "loss.size", "loss.weights", "model.arch", "model.attention", "model.backbone",
    "model.channels", "model.depth", "model.dropout", "model.in_channels", "model.interpolation", "model.merge",
    "model.output.activation", "model.output.residual", "model.output_stride", "model.strict", "model.weights",
    "samples", "seed", "train.batch", "train.beta1", "train.beta2", "train.channels_last", "train.clip_grad",
    "train.drop_last", "train.ema", "train.encoder_lr", "train.epochs", "train.eps", "train.freeze_bn",
    "train.freeze_encoder", "train.lr", "train.momentum", "train.monitor", "train.optimizer", "train.patience",
    "train.precision", "train.schedule", "train.warmup", "train.weight_decay",
};
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

static bool is_first(const char *key)
{
    return bsearch(&key, first_keys, LEN(first_keys), sizeof *first_keys, by_text) != NULL;
}

/* Whether a key with this value says anything that a stage's key must hold. */
static bool counts(const struct plan_text *t, const json_t *value)
{
    return !is_place(t->name, value) && !(t->fallback && json_equal(value, t->fallback));
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
        for (size_t i = 0; i < n; i++) {
            json_t *later = is_first(names[i]) ? NULL : json_incref(json_object_get(j, names[i]));
            b->texts[k][i] = (struct plan_text){.name = names[i], .fallback = later};
        }
        json_decref(j);
    }
}

void plan_keys_free(struct plan_build *b)
{
    for (int k = 0; k < PLAN_N_KINDS; k++) {
        for (struct plan_text *t = b->texts[k]; t->name; t++) {
            json_decref(t->value);
            json_decref(t->fallback);
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
        if (counts(t, v)) add_value(&t->line, t->name, v);
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
        if (plan_kinds[k].mask & (SPEC_EXPORT | SPEC_SCREEN) && strcmp(json_str(config, "export.io", ""), "image") == 0)
            str_add(&text, "whole levels\n"); /* the first version did not round them */
        if (k == PLAN_TRAIN && c->images)
            str_addf(&text, "images %s\nweights %s\nloss weights %s\n", c->images, c->model_weights, c->loss_weights);
        if (k == PLAN_TRAIN && c->init) str_addf(&text, "init %s\n", c->init);
        if (k == PLAN_EVALUATE && c->judge) str_addf(&text, "judge %s\n", c->judge);
        if (k == PLAN_TRAIN && c->judge &&
            spec_judged(json_str(config, "train.monitor", ""))) /* it picks the weights */
            str_addf(&text, "judge %s %s\n", json_str(config, "evaluate.judge.network", ""), c->judge);
        memcpy(out[k], hash_bytes(text.s, text.n).hex, PLAN_KEY);
    }
    str_free(&text);
}

void plan_train_key(char out[PLAN_KEY], const struct plan *p, int trial, int epochs)
{
    char part[PLAN_N_KINDS][PLAN_KEY];
    const struct plan_trial *t = &p->trials[trial];
    json_t *config = json_copy(t->config);
    json_object_set_new(config, "train.epochs", json_integer(epochs));
    plan_keys(part, p->build, config, &t->content);
    json_decref(config);
    memcpy(out, part[PLAN_TRAIN], PLAN_KEY);
}

bool plan_quantise_key(char out[PLAN_KEY], const struct spec_trial *t)
{
    struct arena a = {0};
    struct spec_trial plain;
    struct status st = spec_trial_from_json(&plain, &a, NULL, "defaults");
    CHECK(st.code == STATUS_OK, "%s", st.msg);
    json_t *is = spec_trial_to_json(t, SPEC_QUANTISE), *def = spec_trial_to_json(&plain, SPEC_QUANTISE);
    json_t *v;
    void *next;
    const char *name;
    json_object_foreach_safe(is, next, name, v)
    {
        if (json_equal(v, json_object_get(def, name))) json_object_del(is, name);
    }
    bool differs = json_object_size(is) > 0;
    char *text = json_canonical(is);
    memcpy(out, hash_bytes(text, strlen(text)).hex, PLAN_KEY);
    free(text);
    json_decref(is);
    json_decref(def);
    arena_free(&a);
    return differs;
}

void plan_key_of(char out[PLAN_KEY], const char *part, const char *format, const char *device, const char *const *from,
                 int n_from)
{
    char text[64 + PLAN_KEY * (PLAN_MAX_NEEDS + 2)];
    int n = snprintf(text, sizeof text, "%s %s %s", part, format, device);
    for (int i = 0; i < n_from; i++) n += snprintf(text + n, sizeof text - (size_t)n, " %s", from[i]);
    memcpy(out, hash_bytes(text, (size_t)n).hex, PLAN_KEY);
}

void plan_loss_key(char out[PLAN_KEY], const struct plan_build *b, const json_t *config, const char *weights)
{
    struct str text = {0};
    for (const struct plan_text *t = b->texts[PLAN_TRAIN]; t->name; t++) { /* every key of the loss is training's */
        const json_t *v = json_object_get(config, t->name);
        if (strncmp(t->name, "loss.", 5) == 0 && counts(t, v)) add_value(&text, t->name, v);
    }
    str_addf(&text, "weights %s\n", weights ? weights : ""); /* a stored trial keeps the key that it has */
    memcpy(out, hash_bytes(text.s, text.n).hex, PLAN_KEY);
    str_free(&text);
}
