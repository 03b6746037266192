/* A trial from flat JSON and back, and the rules between keys that no single row can state. */
#include "trial.h"
#include "keys.h"

static struct status lists_come_together(const struct spec_trial *t)
{
    if (!t->data.split_train || t->data.split_val_list) return ok();
    return fail(STATUS_ARG, "got a file of training names and a fraction for validation, expected data.split.val to be "
                            "a file of names, too");
}

static struct status same_blocks(const struct spec_trial *t)
{
    int feature = t->loss.feature_weights.n, gram = t->loss.gram_weights.n;
    if (feature == gram) return ok();
    return fail(STATUS_ARG, "got %d weights, expected %d, as many as loss.feature_weights has", gram, feature);
}

const struct trial_rule trial_rules[] = {
    {.keys = {"data.split.train", "data.split.val"}, .check = lists_come_together},
    {.keys = {"loss.gram_weights", "loss.feature_weights"}, .check = same_blocks},
    {.check = NULL},
};

static struct status at(struct status s, const char *where, const char *key)
{
    return where && *where ? status_at(s, "%s: %s", where, key) : status_at(s, "%s", key);
}

static struct status unknown_key(const json_t *flat, const char *where)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)flat, key, v)
    {
        if (key_find(key)) continue;
        struct arena a = {0};
        struct status s = at(fail(STATUS_ARG, "no such key%s", key_hint(&a, key)), where, key);
        arena_free(&a);
        return s;
    }
    return ok();
}

struct status spec_trial_from_json(struct spec_trial *out, struct arena *a, const json_t *flat, const char *where)
{
    size_t known = 0;
    *out = (struct spec_trial){0};
    for (int i = 0; i < key_count; i++) {
        const struct key *k = &key_table[i];
        const json_t *v = json_object_get(flat, k->path);
        if (!v) {
            key_set_default(out, k);
            continue;
        }
        json_t *checked;
        TRY(at(key_check(&checked, k, v, NULL), where, k->path));
        key_set(out, a, k, checked);
        json_decref(checked);
        known++;
    }
    if (known != json_object_size(flat)) TRY(unknown_key(flat, where));
    for (const struct trial_rule *r = trial_rules; r->check; r++) TRY(at(r->check(out), where, r->keys[0]));
    return ok();
}

json_t *spec_trial_to_json(const struct spec_trial *t, unsigned stages)
{
    bool all = stages == SPEC_ALL || !stages;
    json_t *out = json_object();
    for (int i = 0; i < key_count; i++) {
        const struct key *k = &key_table[i];
        if (all || (k->stages & stages)) json_object_set_new(out, k->path, key_get(t, k));
    }
    return out;
}

json_t *spec_trial_to_json_after(const struct spec_trial *t, struct spec_before *b)
{
    json_t *out = json_object();
    for (int i = 0; i < key_count; i++) {
        const struct key *k = &key_table[i];
        if (!b->v[i] || !key_same(k, t, &b->t)) {
            json_decref(b->v[i]);
            b->v[i] = key_get(t, k);
        }
        json_object_set_nocheck(out, k->path, b->v[i]);
    }
    b->t = *t;
    return out;
}

void spec_before_free(struct spec_before *b)
{
    for (size_t i = 0; i < LEN(b->v); i++) json_decref(b->v[i]);
    *b = (struct spec_before){0};
}

struct status spec_check_value(json_t **out, const char *key, const json_t *value, const char *where)
{
    *out = NULL;
    const struct key *k = key_find_loose(key);
    if (k) return at(key_check(out, k, value, NULL), where, key);
    struct arena a = {0};
    struct status s = at(fail(STATUS_ARG, "no such key%s", key_hint(&a, key)), where, key);
    arena_free(&a);
    return s;
}

bool spec_has_judge(const struct spec_trial *t)
{
    const char *weights = t->evaluate.judge.weights;
    return weights && strcmp(weights, "none") != 0;
}

const char *spec_rank(const struct spec_trial *t)
{
    if (t->evaluate.rank) return t->evaluate.rank;
    return spec_has_judge(t) ? "feature_distance" : "ssim";
}
