/* weights: published files in, trained ones out. */
#include "weights.h"
#include "inside.h"
#include "zoo.h"

static const char weights_dir[] = "weights";

static json_t *three(const float v[3])
{
    return json_pack("[f,f,f]", (double)v[0], (double)v[1], (double)v[2]);
}

static const char *tag_of(const struct cli_args *a)
{
    return a->value[OPT_TAG] ? a->value[OPT_TAG] : "imagenet";
}

static struct status ls(const struct cli_args *a)
{
    struct arena arena = {0};
    json_t *rows = json_array();
    const char *const *names = zoo_backbone_names();
    for (int i = 0; names[i]; i++) {
        const struct zoo_info *info = zoo_backbone_info(names[i]);
        const char *path = plan_weights_path(&arena, weights_dir, tag_of(a), names[i]);
        if (!info->weights && !fs_exists(path)) continue;
        json_array_append_new(rows, json_pack("{s:s, s:b, s:s, s:s?, s:s?, s:o, s:o}", "backbone", names[i], "here",
                                              fs_exists(path), "file", path, "published", info->weights, "source",
                                              info->source, "mean", three(info->mean), "std", three(info->std)));
    }
    cli_print_rows(rows, cli_style_of(a));
    json_decref(rows);
    arena_free(&arena);
    return ok();
}

/* ---- import ------------------------------------------------------------------------------------------------------ */

static struct status recognise(struct zoo_recognised *out, struct arena *a, const struct weights *w)
{
    struct zoo_array *v = arena_alloc(a, (w->n + 1) * sizeof *v);
    for (size_t i = 0; i < w->n; i++)
        v[i] = (struct zoo_array){.name = w->a[i].name, .rank = w->a[i].rank, .shape = w->a[i].shape};
    return zoo_recognise(out, a, v, w->n);
}

/* The encoder's arrays under its names. */
static struct status convert(const char *to, const struct weights *w, const struct zoo_recognised *r, const char *from,
                             const char *hash)
{
    struct weights_array *kept = mem_alloc((w->n + 1) * sizeof *kept);
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (!r->names[i]) continue;
        kept[n] = w->a[i];
        kept[n++].name = r->names[i];
    }
    json_t *meta = json_pack("{s:s, s:o, s:s, s:s}", "backbone", r->backbone, "source",
                             json_of_bytes(fs_basename(from)), "source_xxh3_128", hash, "names", r->naming->what);
    struct status s = weights_check_numbers(kept, n);
    if (s.code == STATUS_OK) s = fs_mkdir(weights_dir);
    if (s.code == STATUS_OK) s = weights_save(to, kept, n, meta);
    json_decref(meta);
    free(kept);
    return s;
}

/* True when @p to was made from the very file; an error when it was made from another. */
static struct status made_before(bool *out, const char *to, const char *hash)
{
    struct weights w;
    *out = false;
    if (!fs_exists(to)) return ok();
    TRY(weights_load(&w, to));
    *out = strcmp(json_str(w.meta, "source_xxh3_128", ""), hash) == 0;
    struct status s = *out ? ok()
                           : fail(STATUS_ARG, "%s is there, made of another file (%s); remove it, or give --tag NAME",
                                  to, json_str(w.meta, "source", "not by `sweep weights import`"));
    weights_free(&w);
    return s;
}

/* Every element of every array whose name ends so has this value, and there are some. */
static bool all_are(const struct weights *w, const char *end, float value)
{
    size_t n = strlen(end), found = 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct weights_array *x = &w->a[i];
        size_t length = strlen(x->name);
        if (x->dtype != WEIGHTS_F32 || length < n || strcmp(x->name + length - n, end) != 0) continue;
        const float *v = x->data;
        for (size_t k = 0; k < x->bytes / sizeof *v; k++)
            if (v[k] < value || v[k] > value) return false;
        found++;
    }
    return found > 0;
}

/* Why a file should not be stored as what a backbone was published with; NULL: nothing speaks against it. A norm's
 * statistics move with the first training step, and so does a bias that began at zero. */
static const char *not_published(const struct weights *w)
{
    if (json_str(w->meta, "trial", NULL) || json_str(w->meta, "sweep.trial", NULL))
        return "a net that this program trained, not a published one";
    bool fresh = all_are(w, ".running_mean", 0) && all_are(w, ".running_var", 1);
    bool norms = false;
    for (size_t i = 0; i < w->n; i++) norms = norms || strstr(w->a[i].name, ".running_mean");
    if (fresh || (!norms && all_are(w, ".bias", 0))) return "random weights: it was never trained";
    return NULL;
}

static struct status import_loaded(json_t *rows, struct arena *a, const struct weights *w, const char *path,
                                   const char *tag, bool tagged)
{
    struct hash hash;
    struct zoo_recognised r;
    bool here;
    TRY(hash_file(&hash, path));
    TRY(status_at(recognise(&r, a, w), "%s", path));
    const char *why = tagged ? NULL : not_published(w);
    if (why)
        return fail(STATUS_ARG,
                    "%s: %s; model.weights: %s would mean it; give --tag NAME to store it under another name, or start "
                    "from a whole net by model.init",
                    path, why, tag);
    const char *to = arena_printf(a, "%s/%s.%s.safetensors", weights_dir, r.backbone, tag);
    TRY(status_at(made_before(&here, to, hash.hex), "%s: is of %s", path, r.backbone));
    if (!here) TRY(status_at(convert(to, w, &r, path, hash.hex), "%s", path));
    json_array_append_new(rows, json_pack("{s:o, s:s, s:s, s:i, s:i, s:i, s:s, s:s}", "file", json_of_bytes(path),
                                          "backbone", r.backbone, "names", r.naming->what, "arrays",
                                          (int)w->n - r.n_left, "renamed", r.n_renamed, "left_out", r.n_left, "to", to,
                                          "state", here ? "was here" : "written"));
    return ok();
}

static struct status import(const struct cli_args *a)
{
    if (a->n_pos < 2) return fail(STATUS_ARG, "sweep weights import: expected a file or several after it");
    if (strpbrk(tag_of(a), "/.") || !tag_of(a)[0])
        return fail(STATUS_ARG, "--tag: got \"%s\", expected a word without \"/\" and \".\"", tag_of(a));
    json_t *rows = json_array();
    struct status s = ok();
    for (int i = 1; i < a->n_pos && s.code == STATUS_OK; i++) {
        struct weights w;
        struct arena arena = {0};
        s = weights_load(&w, a->pos[i]);
        if (s.code != STATUS_OK) break;
        s = import_loaded(rows, &arena, &w, a->pos[i], tag_of(a), a->value[OPT_TAG] != NULL);
        weights_free(&w);
        arena_free(&arena);
    }
    if (json_array_size(rows)) cli_print_rows(rows, cli_style_of(a));
    json_decref(rows);
    return s;
}

/* ---- export ------------------------------------------------------------------------------------------------------ */

/* The arrays of a checkpoint that are the model's; what continuing needs is under "state/". */
static struct status write_model(const char *to, const struct weights *w, const char *trial, const json_t *config)
{
    const struct zoo_info *info = zoo_backbone_info(json_str(config, "model.backbone", ""));
    struct weights_array *kept = mem_alloc((w->n + 1) * sizeof *kept);
    size_t n = 0, length = strlen(to);
    for (size_t i = 0; i < w->n; i++)
        if (strncmp(w->a[i].name, "state/", 6) != 0) kept[n++] = w->a[i];
    json_t *meta = json_pack("{s:s, s:s, s:s, s:s, s:s}", "trial", trial, "arch", json_str(config, "model.arch", ""),
                             "encoder_name", info ? info->reference : "", "residual",
                             json_is_true(json_object_get(config, "model.output.residual")) ? "yes" : "no", "format",
                             "segmentation_models_pytorch state dict");
    bool pth = length > 4 && strcmp(to + length - 4, ".pth") == 0;
    struct status s = pth ? weights_save_pth(to, kept, n) : weights_save(to, kept, n, meta);
    json_decref(meta);
    free(kept);
    return s;
}

/* The call that makes the net which the file fits; what else of the model is not the default is said behind it. */
static void add_call(struct str *out, const json_t *config)
{
    static const char *const told[] = {"model.arch",        "model.backbone", "model.weights",
                                       "model.in_channels", "model.depth",    "model.output.residual"};
    const struct zoo_info *info = zoo_backbone_info(json_str(config, "model.backbone", ""));
    struct arena a = {0};
    struct spec_trial plain;
    struct status s = spec_trial_from_json(&plain, &a, NULL, "defaults");
    CHECK(s.code == STATUS_OK, "%s", s.msg);
    json_t *def = spec_trial_to_json(&plain, SPEC_TRAIN), *v;
    str_addf(out, "smp.create_model(\"%s\", encoder_name=\"%s\", encoder_weights=None, in_channels=%d, classes=3",
             json_str(config, "model.arch", ""), info ? info->reference : "",
             (int)json_int(config, "model.in_channels", 3));
    int depth = (int)json_int(config, "model.depth", 0);
    if (depth > 0) str_addf(out, ", encoder_depth=%d", depth);
    str_add(out, ")");
    const char *key, *before = "  # and: ";
    json_object_foreach((json_t *)(uintptr_t)config, key, v)
    {
        bool known = strncmp(key, "model.", 6) != 0 || json_equal(v, json_object_get(def, key));
        for (size_t i = 0; i < LEN(told); i++) known = known || strcmp(told[i], key) == 0;
        if (known) continue;
        char *text = json_text(v, 0);
        str_addf(out, "%s%s: %s", before, key, text);
        before = ", ";
        free(text);
    }
    json_decref(def);
    arena_free(&a);
}

static void print_written(const char *trial, const char *path, const char *call)
{
    json_t *row = json_pack("{s:s, s:o, s:s}", "trial", trial, "path", json_of_bytes(path), "model", call);
    char *text = json_text(row, 0);
    printf("%s\n", text);
    free(text);
    json_decref(row);
}

static struct status export_row(const struct cli_args *a, struct store *s, const json_t *t, const json_t *config)
{
    const char *id = json_str(t, "id", ""), *to = a->value[OPT_OUT];
    json_t *rows, *params = json_pack("[s,s]", id, json_str(config, "evaluate.weights", "best"));
    struct status st = store_rows(&rows, s, "SELECT path, bytes FROM artifacts WHERE trial = ?1 AND kind = ?2", params);
    json_decref(params);
    TRY(st);
    struct arena arena = {0};
    struct weights w = {.a = NULL};
    const char *path = json_str(json_array_get(rows, 0), "path", NULL);
    if (!to) to = arena_printf(&arena, "%s.smp.safetensors", id);
    if (!path)
        st = fail(STATUS_ARG, "trial %s: is not trained yet (%s)", id, json_str(t, "state", ""));
    else
        st = weights_load(&w, fs_join(&arena, store_dir(s), path));
    if (path && st.code != STATUS_OK && json_int(json_array_get(rows, 0), "bytes", -1) == 0)
        st = fail(STATUS_ARG,
                  "trial %s: its weights were not kept (keep: none); with keep: best, `sweep export %s` trains "
                  "it again",
                  id, id);
    if (st.code == STATUS_OK) {
        st = write_model(to, &w, id, config);
        weights_free(&w);
    }
    struct str call = {0};
    add_call(&call, config);
    if (st.code == STATUS_OK && !a->value[OPT_JSON]) printf("%s\n", to);
    if (st.code == STATUS_OK && !a->value[OPT_JSON])
        fprintf(stderr, "it fits %s\n", call.s); /* stdout is the path alone */
    if (st.code == STATUS_OK && a->value[OPT_JSON]) print_written(id, to, call.s);
    str_free(&call);
    if (st.code == STATUS_OK && json_is_true(json_object_get(config, "model.output.residual")))
        log_warn("%s: the trial adds its input to the net's output (model.output.residual); the state dict is of the "
                 "net alone, so add the input yourself",
                 to);
    json_decref(rows);
    arena_free(&arena);
    return st;
}

static struct status export(const struct cli_args *a)
{
    const char *format = a->value[OPT_FORMAT];
    struct store *s;
    json_t *t, *config = NULL;
    if (a->n_pos != 2) return fail(STATUS_ARG, "sweep weights export: expected one trial, got %d", a->n_pos - 1);
    if (format && strcmp(format, "smp") != 0)
        return fail(STATUS_ARG, "--format: got \"%s\", expected smp; `sweep export` writes models for devices", format);
    TRY(cli_open(&s, a, false));
    struct status st = cli_trial(&t, s, a->pos[1]);
    if (st.code == STATUS_OK) {
        const char *text = json_str(t, "config", "{}");
        st = json_parse(&config, "config", text, strlen(text));
        if (st.code == STATUS_OK) st = export_row(a, s, t, config);
        json_decref(config);
        json_decref(t);
    }
    store_close(s);
    return st;
}

CLI_COMMAND(cli_weights)
{
    static const struct {
        const char *name;
        struct status (*run)(const struct cli_args *);
    } verbs[] = {{"ls", ls}, {"import", import}, {"export", export}};
    (void)code;
    for (size_t i = 0; i < LEN(verbs); i++)
        if (strcmp(verbs[i].name, a->pos[0]) == 0) return verbs[i].run(a);
    return fail(STATUS_ARG, "sweep weights: got \"%s\", expected ls, import or export", a->pos[0]);
}
