/* What cells share: sizes of nets and losses by structure, sets of images, hashes of files. */
#include "cell.h"
#include "inside.h"

/* Everything of zoo_model as text. */
static void structure_text(struct str *out, const struct zoo_model *m)
{
    str_addf(out, "%s|%s|%d|%d|%d|%d|%d|%s|%s|%s|%g|%s|%d", m->arch, m->backbone, m->height, m->width, m->in_channels,
             m->depth, m->output_stride, m->interpolation ? m->interpolation : "", m->attention ? m->attention : "",
             m->merge ? m->merge : "", m->dropout, m->activation ? m->activation : "", m->residual);
    for (size_t i = 0; i < LEN(m->channels); i++) str_addf(out, "|%d", m->channels[i]);
}

/* Builds once to see whether it can be, and what it weighs. */
static struct status size_build(json_t **out, const struct zoo_model *m)
{
    struct net *n = NULL;
    struct status st = zoo_build(&n, m);
    *out = NULL;
    if (st.code == STATUS_OK) {
        struct net_cost c = net_cost(n);
        const char *lone = net_single_value_norm(n, 1);
        *out = json_pack("{s:I, s:I, s:I, s:I, s:i, s:s?}", "params", (json_int_t)c.params, "macs", (json_int_t)c.macs,
                         "train", (json_int_t)c.bytes_train, "infer", (json_int_t)c.bytes_peak_infer, "uneven",
                         zoo_uneven(m), "lone", lone);
        net_free(n);
    } else if (st.code == STATUS_REFUSED) {
        *out = json_pack("{s:s}", "refused", st.msg);
        st = ok();
    }
    return st;
}

/* What becomes of a size that some architectures refuse. */
static void tell_uneven(struct plan_build *b, const struct zoo_model *m, int stride)
{
    plan_warn(b, arena_printf(
                     &b->plan->arena,
                     "data.size: %d x %d (height x width) is no multiple of %d: %s runs, nothing is padded or cut; its "
                     "maps are rounded up at each halving and resized to each other. Other architectures "
                     "refuse the size; the nearest that all take are %d x %d and %d x %d",
                     m->height, m->width, stride, m->arch, m->height / stride * stride, m->width / stride * stride,
                     (m->height + stride - 1) / stride * stride, (m->width + stride - 1) / stride * stride));
}

static struct plan_size size_of(const json_t *j)
{
    return (struct plan_size){.params = json_int(j, "params", 0),
                              .macs = json_int(j, "macs", 0),
                              .bytes_train = json_int(j, "train", 0),
                              .bytes_infer = json_int(j, "infer", 0)};
}

struct status plan_size_of(struct plan_size *out, const char **refused, struct plan_build *b,
                           const struct spec_trial *t)
{
    struct zoo_model m = cell_model(t);
    struct str text = {0};
    structure_text(&text, &m);
    json_t *j = json_object_get(b->sizes, text.s);
    if (!j) {
        struct status st = size_build(&j, &m);
        if (st.code == STATUS_OK) json_object_set_new(b->sizes, text.s, j);
        if (st.code != STATUS_OK) {
            str_free(&text);
            return st;
        }
    }
    str_free(&text);
    *out = size_of(j);
    *refused = json_str(j, "refused", NULL);
    if (*refused || b->trained) return ok();
    if (json_int(j, "uneven", 0)) tell_uneven(b, &m, (int)json_int(j, "uneven", 0));
    const char *lone = json_str(j, "lone", NULL);
    struct plan_images im;
    struct status takes = data_takes(t->model.in_channels);
    if (takes.code != STATUS_OK) {
        *refused = arena_strdup(&b->plan->arena, takes.msg);
        return ok();
    }
    TRY(plan_images_of(&im, b, t));
    *refused = im.refused;
    if (*refused) return ok();
    bool single = t->train.batch == 1 || (!t->train.drop_last && im.n_train % t->train.batch == 1);
    if (lone && single && !t->train.freeze_bn)
        *refused = arena_printf(&b->plan->arena,
                                "%s normalises one value a channel when a batch has one image (%d training images, "
                                "train.batch %d); use %s",
                                lone, im.n_train, t->train.batch,
                                t->train.batch == 1 ? "train.batch 2 or more" : "train.drop_last: true");
    return ok();
}

/* What is wrong with a key, and where that stands; what is wrong with a file says its own name. */
static struct status in_the_file(struct plan_build *b, struct status s)
{
    struct arena a = {0};
    const char *colon = strchr(s.msg, ':');
    const char *key = colon ? arena_printf(&a, "%.*s", (int)(colon - s.msg), s.msg) : "";
    struct status out = strncmp(key, "data.", 5) == 0 ? fail(s.code, "%s: %s", plan_where(&a, b, key), s.msg) : s;
    arena_free(&a);
    return out;
}

/* What is odd about the images, by the place in the file. */
static void tell_notes(struct plan_build *b, const struct data *d)
{
    struct arena *a = &b->plan->arena;
    int n;
    const char *const *notes = data_notes(d, &n);
    for (int i = 0; i < n; i++) {
        const char *key = arena_printf(a, "%.*s", (int)strcspn(notes[i], ":"), notes[i]);
        plan_warn(b, arena_printf(a, "%s: %s", plan_where(a, b, key), notes[i]));
    }
}

struct status plan_images_of(struct plan_images *out, struct plan_build *b, const struct spec_trial *t)
{
    const char *list = t->data.split_train ? t->data.split_train : "";
    const char *list_val = t->data.split_val_list ? t->data.split_val_list : "";
    struct str text = {0};
    str_addf(&text, "%s%s%s|%s|%s|%s|%s|%g|%lld|%d", t->model.in_channels == 4 ? "alpha of " : "",
             t->data.skip_damaged ? "the sound of " : "", t->data.root, t->data.input ? t->data.input : "",
             t->data.target ? t->data.target : "", list, list_val, t->data.split_val, (long long)t->data.split_seed,
             t->data.synthetic_pairs);
    json_t *j = json_object_get(b->images, text.s);
    struct status st = ok();
    if (!j) {
        struct data *d = NULL;
        struct hash h;
        struct data_augment augment[SPEC_MAX_AUGMENT];
        struct data_options o = cell_data(augment, t);
        o.cache = b->cache;
        o.look = b->spec != NULL; /* a stored trial's have been looked at, and its key says that they are the same */
        st = data_open(&d, &o);
        if (st.code == STATUS_OK) st = data_fingerprint(&h, d);
        struct status alpha = st.code == STATUS_OK ? data_check_alpha(d) : ok();
        if (alpha.code != STATUS_OK && alpha.code != STATUS_REFUSED) st = alpha;
        int n_train = 0, n_val = 0;
        if (st.code == STATUS_OK) {
            data_part(d, DATA_TRAIN, &n_train);
            data_part(d, DATA_VAL, &n_val);
            if (!n_train || !n_val)
                st = fail(STATUS_ARG,
                          "data.split: got %d pairs for training and %d for validation, expected at least 1 of each; "
                          "add pairs to %s, or change data.split",
                          n_train, n_val, t->data.root);
        }
        if (st.code == STATUS_OK) {
            tell_notes(b, d);
            j = json_pack("{s:s, s:i, s:i, s:i}", "hash", h.hex, "train", n_train, "val", n_val, "skipped",
                          data_skipped(d));
            if (alpha.code == STATUS_REFUSED) json_object_set_new(j, "refused", json_string(alpha.msg));
            json_object_set_new(b->images, text.s, j);
        }
        data_close(d);
    }
    str_free(&text);
    if (st.code != STATUS_OK) return in_the_file(b, st);
    *out = (struct plan_images){.fingerprint = json_str(j, "hash", ""),
                                .refused = json_str(j, "refused", NULL),
                                .n_train = (int)json_int(j, "train", 0),
                                .n_val = (int)json_int(j, "val", 0),
                                .skipped = (int)json_int(j, "skipped", 0)};
    return ok();
}

struct status plan_file_of(const char **out, struct plan_build *b, const char *path)
{
    const char *known = json_str(b->files, path, NULL);
    if (!known) {
        struct hash h;
        TRY(hash_file(&h, path));
        json_object_set_new(b->files, path, json_string(h.hex));
        known = json_str(b->files, path, NULL);
    }
    *out = known;
    return ok();
}

struct plan_size plan_loss_size(struct plan_build *b, const struct spec_trial *t)
{
    struct loss_options o = cell_loss(t);
    struct str text = {0};
    str_addf(&text, "%s|%d|%d|%d", o.network ? o.network : "", o.height, o.width, o.size);
    for (int i = 0; i < o.n_feature && i < LOSS_MAX_BLOCKS; i++) str_addf(&text, "|%d", o.feature_weights[i] != 0);
    for (int i = 0; i < o.n_gram && i < LOSS_MAX_BLOCKS; i++) str_addf(&text, "|g%d", o.gram_weights[i] != 0);
    json_t *j = json_object_get(b->losses, text.s);
    if (!j) {
        struct net *n = NULL;
        struct status st = loss_build(&n, &o);
        struct net_cost c = {0};
        if (st.code == STATUS_OK) c = net_cost(n);
        if (st.code == STATUS_OK) net_free(n);
        j = json_pack("{s:I, s:I, s:I, s:I}", "params", (json_int_t)c.params, "macs", (json_int_t)c.macs, "train",
                      (json_int_t)c.bytes_train, "infer", (json_int_t)c.bytes_peak_infer);
        json_object_set_new(b->losses, text.s, j);
    }
    str_free(&text);
    return size_of(j);
}
