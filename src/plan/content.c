/* What a configuration leaves to the machine: files of weights behind tags and folders, their content, the precision.
 */
#include "inside.h"
#include "zoo.h"

const char *plan_weights_path(struct arena *a, const char *weights_dir, const char *value, const char *backbone)
{
    if (!value || !value[0] || strcmp(value, "random") == 0) return NULL;
    if (fs_is_dir(value)) return arena_printf(a, "%s/%s.imagenet.safetensors", value, backbone);
    if (strpbrk(value, "/.") || fs_exists(value)) return value;
    return arena_printf(a, "%s/%s.%s.safetensors", weights_dir, backbone, value);
}

const char *plan_where(struct arena *a, const struct plan_build *b, const char *key)
{
    return b->spec ? spec_mark_str(a, spec_mark_of(b->spec, key)) : b->source;
}

/* What a user may say instead of a file that is not there. */
static const char *instead_of(const char *key)
{
    static const char *const texts[][2] = {{"model.weights", "or random"},
                                           {"loss.weights", "or leave it out for seeded random features"},
                                           {"evaluate.judge.weights", "or none"}};
    for (size_t i = 0; i < LEN(texts); i++)
        if (strcmp(texts[i][0], key) == 0) return texts[i][1];
    return "or leave it out";
}

/* The file behind model.weights, loss.weights or evaluate.judge.weights, and its content's hash ("random" when there is
 * none). */
static struct status find_weights(const char **path, const char **content, struct plan_build *b, const char *key,
                                  const char *value, const char *backbone)
{
    struct arena *a = &b->plan->arena;
    *content = "random";
    *path = plan_weights_path(a, b->weights_dir, value, backbone);
    if (!*path) return ok();
    const char *where = plan_where(a, b, key);
    const struct zoo_info *info = zoo_backbone_info(backbone);
    if (!fs_exists(*path) && *path != value && info && info->weights)
        return fail(STATUS_ARG,
                    "%s: %s: \"%s\" for %s wants the file %s, which is not there; it is published as %s (%s): put it "
                    "there (`sweep weights ls` lists what is wanted), or use %s",
                    where, key, value, backbone, *path, info->weights, info->source ? info->source : "",
                    strcmp(key, "evaluate.judge.weights") == 0 ? "none" : "random");
    if (!fs_exists(*path))
        return fail(STATUS_ARG, "%s: %s: the file %s is not there; give a path that exists, %s", where, key, *path,
                    instead_of(key));
    return plan_file_of(content, b, *path);
}

/* The judge's file in place of what evaluate.judge says, and its content; NULL where there is none. */
static struct status find_judge(struct spec_trial *t, const char **content, struct plan_build *b)
{
    static const char key[] = "evaluate.judge.weights";
    const char *said = t->evaluate.judge.weights, *network = t->evaluate.judge.network, *path;
    struct arena *a = &b->plan->arena;
    *content = NULL;
    if (said && strcmp(said, "none") == 0) return ok();
    if (said && strcmp(said, "random") == 0)
        return fail(STATUS_ARG, "%s: %s: got random, which judges nothing; expected imagenet, a file, or none",
                    plan_where(a, b, key), key);
    if (!said) {
        path = plan_weights_path(a, b->weights_dir, "imagenet", network);
        if (!fs_exists(path)) {
            plan_warn(b, arena_printf(a,
                                      "no judge: %s is not there, so pictures are ranked by SSIM, with which people "
                                      "often disagree; `make setup-weights` brings it (13 MB)",
                                      path));
            return ok();
        }
        said = "imagenet";
    }
    TRY(find_weights(&path, content, b, key, said, network));
    t->evaluate.judge.weights = path;
    return ok();
}

/* A metric that only a judge gives, where there is none, would choose among numbers that are not there. */
static struct status check_judged(const struct spec_trial *t, struct plan_build *b)
{
    const struct {
        const char *key, *metric;
    } uses[] = {{"evaluate.rank", t->evaluate.rank},
                {"train.monitor", t->train.monitor},
                {"prune.metric", t->prune.metric ? t->prune.metric : ""}};
    for (size_t i = 0; !spec_has_judge(t) && i < LEN(uses); i++)
        if (spec_judged(uses[i].metric))
            return fail(STATUS_ARG,
                        "%s: %s: %s wants a judge, whose weights are not here; `make setup-weights` brings "
                        "them, or name a file by evaluate.judge.weights",
                        plan_where(&b->plan->arena, b, uses[i].key), uses[i].key, uses[i].metric);
    return ok();
}

/* The judge, and what follows from whether there is one. */
static struct status resolve_judge(struct spec_trial *t, const char **content, struct plan_build *b)
{
    TRY(find_judge(t, content, b));
    t->evaluate.rank = spec_rank(t);
    if (strcmp(t->train.monitor, "auto") == 0) t->train.monitor = t->evaluate.rank;
    return check_judged(t, b);
}

struct status plan_rank(const char **out, struct plan_build *b, const struct spec *s)
{
    struct spec_trial t;
    const char *content;
    TRY(spec_trial_from_json(&t, &b->plan->arena, s->base, b->source));
    TRY(find_judge(&t, &content, b));
    *out = spec_rank(&t);
    return ok();
}

struct status plan_resolve(struct spec_trial *t, json_t **config, struct plan_content *content, struct plan_build *b)
{
    const char *path;
    if (b->trained) { /* the configuration is the one that it was resolved to */
        if (spec_has_judge(t) && fs_exists(t->evaluate.judge.weights))
            TRY(plan_file_of(&content->judge, b, t->evaluate.judge.weights));
        t->evaluate.rank = spec_rank(t);
        *config = spec_trial_to_json_after(t, &b->before);
        return ok();
    }
    TRY(spec_note(b->mistakes, resolve_judge(t, &content->judge, b)));
    TRY(spec_note(b->mistakes, find_weights(&path, &content->model_weights, b, "model.weights", t->model.weights,
                                            t->model.backbone)));
    if (path) t->model.weights = path;
    if (t->model.init && !fs_exists(t->model.init))
        TRY(spec_note(b->mistakes,
                      fail(STATUS_ARG,
                           "%s: model.init: the file %s is not there; give a path that exists, or leave it out",
                           plan_where(&b->plan->arena, b, "model.init"), t->model.init)));
    else if (t->model.init)
        TRY(plan_file_of(&content->init, b, t->model.init));
    TRY(spec_note(b->mistakes,
                  find_weights(&path, &content->loss_weights, b, "loss.weights", t->loss.weights, t->loss.network)));
    t->loss.weights = path; /* `random` is the same as none */
    if (!path)
        plan_warn(b,
                  "no loss.weights: the loss network has seeded random features, which train but are not the published "
                  "VGG's; give loss.weights: FILE");
    if (strcmp(t->train.precision, "auto") == 0) t->train.precision = b->precision;
    *config = spec_trial_to_json_after(t, &b->before);
    return ok();
}

/* A mistake about the section may be why something in it is missing. */
static bool blamed(const json_t *mistakes, const char *section)
{
    for (size_t i = 0; i < json_array_size(mistakes); i++)
        if (strstr(json_string_value(json_array_get(mistakes, i)), section)) return true;
    return false;
}

struct status plan_look_around(struct plan_build *b)
{
    const struct spec *s = b->spec;
    struct spec_trial t;
    const char *path, *content;
    struct plan_images images;
    if (spec_trial_from_json(&t, &b->plan->arena, s->base, b->source).code != STATUS_OK) return ok();
    bool pairs = !blamed(b->mistakes, ": data");
    for (int i = 0; i < s->n_order; i++) pairs = pairs && strncmp(s->order[i]->key, "data", 4) != 0;
    if (pairs) TRY(spec_note(b->mistakes, plan_images_of(&images, b, &t)));
    const struct {
        const char *key, *value;
    } named[] = {{"model.weights", t.model.weights}, {"loss.weights", t.loss.weights}};
    for (size_t i = 0; i < LEN(named); i++) /* a tag's file depends on the cell */
        if (named[i].value && strpbrk(named[i].value, "/."))
            TRY(spec_note(b->mistakes, find_weights(&path, &content, b, named[i].key, named[i].value, "")));
    return ok();
}
