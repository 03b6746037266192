/*
 * The Core ML package: a folder with the program (protobuf, ML Program, specification 7), the weights (MIL blob file,
 * version 2), and a manifest, which is written last: without it the folder is no package.
 */
#include "coreml.h"
#include <unistd.h>

/* Field numbers of Model.proto, FeatureTypes.proto, MIL.proto. */
enum { SPECIFICATION = 7, MODEL_VERSION = 1, MODEL_DESCRIPTION = 2, MODEL_PROGRAM = 502 };
enum { DESCRIPTION_INPUT = 1, DESCRIPTION_OUTPUT = 10, DESCRIPTION_METADATA = 100 };
enum { FEATURE_NAME = 1, FEATURE_WORDS = 2, FEATURE_TYPE = 3, TYPE_IMAGE = 4, TYPE_ARRAY = 5 };
enum { IMAGE_WIDTH = 1, IMAGE_HEIGHT = 2, IMAGE_COLOR = 3, COLOR_GRAY = 10, COLOR_RGB = 20 };
enum { ARRAY_SHAPE = 1, ARRAY_TYPE = 2, ARRAY_FLOAT32 = 65568 };
enum { META_WORDS = 1, META_VERSION = 2, META_AUTHOR = 3, META_OWN = 100 };
enum { PROGRAM_VERSION = 1, PROGRAM_FUNCTIONS = 2, FUNCTION_INPUT = 1, FUNCTION_OPSET = 2, FUNCTION_BLOCKS = 3 };
enum { BLOCK_OUTPUT = 2, MAP_KEY = 1, MAP_VALUE = 2 };
enum { BLOB_ALIGN = 64, BLOB_VERSION = 2, BLOB_FLOAT16 = 1, BLOB_FLOAT32 = 2, BLOB_INT8 = 4 };
static const uint32_t blob_sentinel = 0xDEADBEEF;
static const char opset[] = "CoreML6";

static void message(struct str *b, int field, struct str *m)
{
    pb_bytes(b, field, m->s, m->n);
    str_free(m);
}

static void text_entry(struct str *b, int field, const char *key, const char *value)
{
    struct str m = {0};
    pb_str(&m, MAP_KEY, key);
    pb_str(&m, MAP_VALUE, value);
    message(b, field, &m);
}

/* ---- the description --------------------------------------------------------------------------------------------- */

/* An image where Core ML has one of so many channels, else an array. */
static void feature(struct str *b, int field, const struct net_io *io, const struct net_shape *s, bool image)
{
    struct str what = {0}, type = {0}, f = {0};
    int color = s->d[1] == 3 ? COLOR_RGB : COLOR_GRAY;
    bool is_image = image && s->rank == 4 && (s->d[1] == 3 || s->d[1] == 1);
    if (is_image) {
        pb_int(&what, IMAGE_WIDTH, s->d[3]);
        pb_int(&what, IMAGE_HEIGHT, s->d[2]);
        pb_int(&what, IMAGE_COLOR, color);
    } else {
        for (int i = 0; i < s->rank; i++) pb_int(&what, ARRAY_SHAPE, s->d[i]);
        pb_int(&what, ARRAY_TYPE, ARRAY_FLOAT32);
    }
    message(&type, is_image ? TYPE_IMAGE : TYPE_ARRAY, &what);
    pb_str(&f, FEATURE_NAME, io->name);
    pb_str(&f, FEATURE_WORDS, image ? "an upright picture, 0..255" : "a normalised picture; see the metadata");
    message(&f, FEATURE_TYPE, &type);
    message(b, field, &f);
}

static void description(struct str *b, const struct coreml_graph *g, bool image)
{
    const struct net *n = g->net;
    struct str d = {0}, meta = {0};
    for (int i = 0; i < n->n_inputs; i++)
        feature(&d, DESCRIPTION_INPUT, &n->inputs[i], &n->nodes[n->inputs[i].val].shape, image);
    for (int i = 0; i < n->n_outputs; i++)
        feature(&d, DESCRIPTION_OUTPUT, &n->outputs[i], &n->nodes[n->outputs[i].val].shape, image);
    pb_str(&meta, META_WORDS, "image to image");
    pb_str(&meta, META_VERSION, SWEEP_VERSION);
    pb_str(&meta, META_AUTHOR, "sweep");
    for (int i = 0; i < g->low->n_meta; i++) text_entry(&meta, META_OWN, g->low->meta[i].key, g->low->meta[i].value);
    message(&d, DESCRIPTION_METADATA, &meta);
    message(b, MODEL_DESCRIPTION, &d);
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

static const char *cast(struct coreml_graph *g, const char *x, const char *out, const struct net_shape *s,
                        enum coreml_type to)
{
    return coreml_op(g, "cast", out, to, s->rank, s->d,
                     COREML_ARGS({.name = "x", .value = x},
                                 {.name = "dtype", .value = coreml_text(g, to == COREML_FLOAT16 ? "fp16" : "fp32")}));
}

/* Names of this language: letters, digits and underscores. Those of inputs and outputs are kept. */
static void name_values(struct coreml_graph *g)
{
    const struct net *n = g->net;
    const char **long_name = lower_names(g->low, &g->arena);
    g->name = arena_alloc(&g->arena, (size_t)(n->n_nodes + 1) * sizeof *g->name);
    for (int v = 0; v < n->n_nodes; v++) {
        char *name = arena_printf(&g->arena, "v%d_%s", v, long_name[v]);
        for (char *c = name; *c; c++)
            if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *c)) *c = '_';
        g->name[v] = name;
    }
}

/* Inputs and outputs are float32 by their own names; between them all is of the program's type. */
static struct status build(struct coreml_graph *g)
{
    const struct net *n = g->net;
    bool half = g->type == COREML_FLOAT16;
    name_values(g);
    for (int i = 0; i < n->n_inputs; i++) {
        net_val v = g->at = n->inputs[i].val;
        const char *own = n->inputs[i].name;
        if (half)
            cast(g, own, g->name[v], &n->nodes[v].shape, COREML_FLOAT16);
        else
            g->name[v] = own;
    }
    for (net_val v = 0; v < n->n_nodes && g->error.code == STATUS_OK; v++) coreml_emit(g, v);
    for (int i = 0; i < n->n_outputs; i++) {
        net_val v = g->at = n->outputs[i].val;
        const struct net_shape *s = &n->nodes[v].shape;
        if (half)
            cast(g, g->name[v], n->outputs[i].name, s, COREML_FLOAT32);
        else
            coreml_op(g, "identity", n->outputs[i].name, g->type, s->rank, s->d,
                      COREML_ARGS({.name = "x", .value = g->name[v]}));
    }
    return g->error;
}

static void program(struct str *b, const struct coreml_graph *g)
{
    const struct net *n = g->net;
    struct str block = {0}, blocks = {0}, function = {0}, functions = {0}, p = {0};
    for (int i = 0; i < n->n_outputs; i++) pb_str(&block, BLOCK_OUTPUT, n->outputs[i].name);
    str_addn(&block, g->operations.s, g->operations.n);
    pb_str(&blocks, MAP_KEY, opset);
    message(&blocks, MAP_VALUE, &block);
    for (int i = 0; i < n->n_inputs; i++) {
        const struct net_shape *s = &n->nodes[n->inputs[i].val].shape;
        coreml_named_type(&function, FUNCTION_INPUT, n->inputs[i].name, COREML_FLOAT32, s->rank, s->d);
    }
    pb_str(&function, FUNCTION_OPSET, opset);
    message(&function, FUNCTION_BLOCKS, &blocks);
    pb_str(&functions, MAP_KEY, "main");
    message(&functions, MAP_VALUE, &function);
    pb_int(&p, PROGRAM_VERSION, 1);
    message(&p, PROGRAM_FUNCTIONS, &functions);
    message(b, MODEL_PROGRAM, &p);
}

/* ---- the weights ------------------------------------------------------------------------------------------------- */

static void words(struct str *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) str_addn(b, &(char){(char)(unsigned char)(v >> 8 * i)}, 1);
}

static struct status put(struct fs_file *to, const void *p, size_t n)
{
    if (n == 0 || fwrite(p, 1, n, to->f) == n) return ok();
    return fail(STATUS_IO, "%s: cannot write: is the disk full?", to->path);
}

static struct status put_blob(struct fs_file *to, const struct coreml_blob *k)
{
    static const char zeros[BLOB_ALIGN];
    struct str head = {0};
    words(&head, blob_sentinel, 4);
    words(&head, k->type == COREML_FLOAT16 ? BLOB_FLOAT16 : k->type == COREML_INT8 ? BLOB_INT8 : BLOB_FLOAT32, 4);
    words(&head, (uint64_t)k->bytes, 8);
    words(&head, (uint64_t)k->offset + BLOB_ALIGN, 8);
    str_addn(&head, zeros, BLOB_ALIGN - head.n);
    struct status s = put(to, head.s, head.n);
    str_free(&head);
    TRY(s);
    TRY(put(to, k->data, (size_t)k->bytes));
    return put(to, zeros, (size_t)((BLOB_ALIGN - k->bytes % BLOB_ALIGN) % BLOB_ALIGN));
}

static struct status put_weights(struct fs_file *to, const struct coreml_graph *g)
{
    struct str head = {0};
    words(&head, (uint64_t)g->n_blobs, 4);
    words(&head, BLOB_VERSION, 4);
    while (head.n < BLOB_ALIGN) words(&head, 0, 8);
    struct status s = put(to, head.s, head.n);
    str_free(&head);
    for (int i = 0; s.code == STATUS_OK && i < g->n_blobs; i++) s = put_blob(to, &g->blobs[i]);
    return s;
}

/* ---- the package ------------------------------------------------------------------------------------------------- */

static const char manifest[] = "{\n"
                               "  \"fileFormatVersion\": \"1.0.0\",\n"
                               "  \"itemInfoEntries\": {\n"
                               "    \"5A2F1C60-4A0B-4C0E-9B7D-0D6C1E5B7A01\": {\n"
                               "      \"author\": \"com.apple.CoreML\",\n"
                               "      \"description\": \"CoreML Model Specification\",\n"
                               "      \"name\": \"model.mlmodel\",\n"
                               "      \"path\": \"com.apple.CoreML/model.mlmodel\"\n"
                               "    },\n"
                               "    \"5A2F1C60-4A0B-4C0E-9B7D-0D6C1E5B7A02\": {\n"
                               "      \"author\": \"com.apple.CoreML\",\n"
                               "      \"description\": \"CoreML Model Weights\",\n"
                               "      \"name\": \"weights\",\n"
                               "      \"path\": \"com.apple.CoreML/weights\"\n"
                               "    }\n"
                               "  },\n"
                               "  \"rootModelIdentifier\": \"5A2F1C60-4A0B-4C0E-9B7D-0D6C1E5B7A01\"\n"
                               "}\n";

static struct status write_package(struct coreml_graph *g, const char *path, bool image)
{
    struct fs_file f;
    const char *inside = arena_printf(&g->arena, "%s/Data/com.apple.CoreML", path);
    const char *list = arena_printf(&g->arena, "%s/Manifest.json", path);
    TRY(fs_mkdir(arena_printf(&g->arena, "%s/weights", inside)));
    unlink(list); /* what was a package is none while it changes */
    TRY(fs_begin(&f, arena_printf(&g->arena, "%s/weights/weight.bin", inside)));
    struct status s = put_weights(&f, g);
    if (s.code != STATUS_OK) fs_abort(&f);
    TRY(s);
    TRY(fs_commit(&f));
    struct str model = {0};
    pb_int(&model, MODEL_VERSION, SPECIFICATION);
    description(&model, g, image);
    program(&model, g);
    s = fs_write(arena_printf(&g->arena, "%s/model.mlmodel", inside), model.s, model.n);
    str_free(&model);
    TRY(s);
    return fs_write(list, manifest, sizeof manifest - 1);
}

/* @p int8: the weights alone. */
static struct status write_as(enum coreml_type type, bool int8, const char *path, const struct net *n,
                              const float *const *values, const struct export_options *o)
{
    struct lower low;
    struct status s = lower_begin(&low, n, values, o);
    if (s.code == STATUS_OK) {
        struct coreml_graph g = {.low = &low, .net = low.net, .type = type, .error = ok()};
        bool *kept = NULL;
        if (int8) s = quantise_kept(&kept, &g.arena, &low, coreml_quantise, &o->calibration);
        g.kept = kept;
        if (s.code == STATUS_OK) s = build(&g);
        if (s.code == STATUS_OK) s = write_package(&g, path, o->io_image);
        str_free(&g.operations);
        free(g.blobs);
        arena_free(&g.arena);
    }
    lower_end(&low);
    return status_at(s, "%s: coreml", path);
}

struct status export_coreml(const char *path, const struct net *n, const float *const *values,
                            const struct export_options *o)
{
    return write_as(COREML_FLOAT32, false, path, n, values, o);
}

struct status export_coreml_fp16(const char *path, const struct net *n, const float *const *values,
                                 const struct export_options *o)
{
    return write_as(COREML_FLOAT16, false, path, n, values, o);
}

struct status export_coreml_int8(const char *path, const struct net *n, const float *const *values,
                                 const struct export_options *o)
{
    return write_as(COREML_FLOAT16, true, path, n, values, o);
}
