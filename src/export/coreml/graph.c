/* Operations and constants of a Core ML program under construction. */
#include "coreml.h"
#include <math.h>

/* Field numbers of MIL.proto. */
enum { OP_TYPE = 1, OP_INPUT = 2, OP_OUTPUT = 3, OP_ATTRIBUTE = 5, BLOCK_OPERATION = 3 };
enum { NAMED_NAME = 1, NAMED_TYPE = 2, VT_TENSOR = 1, TT_DATA = 1, TT_RANK = 2, TT_DIM = 3, DIM_CONSTANT = 1 };
enum { VALUE_TYPE = 2, VALUE_NOW = 3, VALUE_BLOB = 5, NOW_TENSOR = 1, BLOB_FILE = 1, BLOB_OFFSET = 2 };
enum { TV_FLOATS = 1, TV_INTS = 2, TV_BOOLS = 3, TV_STRINGS = 4, TV_BYTES = 7 };
enum { MAP_KEY = 1, MAP_VALUE = 2, ARGUMENT_BINDING = 1, BINDING_NAME = 1 };

enum { BLOB_LEAST = 10, BLOB_ALIGN = 64, BLOB_HEAD = 64 }; /* elements; bytes */

static void message(struct str *b, int field, struct str *m)
{
    pb_bytes(b, field, m->s, m->n);
    str_free(m);
}

static void entry(struct str *b, int field, const char *key, struct str *value)
{
    struct str m = {0};
    pb_str(&m, MAP_KEY, key);
    message(&m, MAP_VALUE, value);
    message(b, field, &m);
}

static void value_type(struct str *b, int field, enum coreml_type type, int rank, const int64_t *dims)
{
    struct str tensor = {0}, whole = {0};
    pb_int(&tensor, TT_DATA, type);
    if (rank) pb_int(&tensor, TT_RANK, rank);
    for (int i = 0; i < rank; i++) {
        struct str constant = {0}, dim = {0};
        pb_int(&constant, 1, dims[i]);
        message(&dim, DIM_CONSTANT, &constant);
        message(&tensor, TT_DIM, &dim);
    }
    message(&whole, VT_TENSOR, &tensor);
    message(b, field, &whole);
}

void coreml_named_type(struct str *b, int field, const char *name, enum coreml_type type, int rank, const int64_t *dims)
{
    struct str m = {0};
    pb_str(&m, NAMED_NAME, name);
    value_type(&m, NAMED_TYPE, type, rank, dims);
    message(b, field, &m);
}

/* A Value whose numbers are in the program: @p list is the list of its kind, already written. */
static void immediate(struct str *value, enum coreml_type type, int rank, const int64_t *dims, int kind,
                      struct str *list)
{
    struct str tensor = {0}, now = {0};
    value_type(value, VALUE_TYPE, type, rank, dims);
    message(&tensor, kind, list);
    message(&now, NOW_TENSOR, &tensor);
    message(value, VALUE_NOW, &now);
}

static void text_value(struct str *value, const char *text)
{
    struct str list = {0};
    pb_str(&list, 1, text);
    immediate(value, COREML_STRING, 0, NULL, TV_STRINGS, &list);
}

static void name_attribute(struct str *op, const char *name)
{
    struct str value = {0};
    text_value(&value, name);
    entry(op, OP_ATTRIBUTE, "name", &value);
}

const char *coreml_op(struct coreml_graph *g, const char *op, const char *out, enum coreml_type type, int rank,
                      const int64_t *dims, const struct coreml_arg *args)
{
    struct str m = {0};
    pb_str(&m, OP_TYPE, op);
    for (; args->name; args++) {
        const char *const one[] = {args->value, NULL}, *const *values = args->values ? args->values : one;
        struct str argument = {0};
        if (!values[0]) continue;
        for (; *values; values++) {
            struct str binding = {0};
            pb_str(&binding, BINDING_NAME, *values);
            message(&argument, ARGUMENT_BINDING, &binding);
        }
        entry(&m, OP_INPUT, args->name, &argument);
    }
    coreml_named_type(&m, OP_OUTPUT, out, type, rank, dims);
    name_attribute(&m, out);
    message(&g->operations, BLOCK_OPERATION, &m);
    return out;
}

static const char *fresh(struct coreml_graph *g)
{
    return arena_printf(&g->arena, "%s_%d", g->name[g->at], g->n_extra++);
}

const char *coreml_result(struct coreml_graph *g, const char *op, const struct coreml_arg *args)
{
    const struct net_shape *s = &g->net->nodes[g->at].shape;
    return coreml_op(g, op, g->name[g->at], g->type, s->rank, s->d, args);
}

const char *coreml_between(struct coreml_graph *g, const char *op, int rank, const int64_t *dims,
                           const struct coreml_arg *args)
{
    return coreml_op(g, op, fresh(g), g->type, rank, dims, args);
}

/* ---- constants --------------------------------------------------------------------------------------------------- */

static const char *constant(struct coreml_graph *g, enum coreml_type type, int rank, const int64_t *dims,
                            struct str *value)
{
    const char *name = fresh(g);
    struct str m = {0};
    pb_str(&m, OP_TYPE, "const");
    coreml_named_type(&m, OP_OUTPUT, name, type, rank, dims);
    name_attribute(&m, name);
    entry(&m, OP_ATTRIBUTE, "val", value);
    message(&g->operations, BLOCK_OPERATION, &m);
    return name;
}

static int64_t aligned(int64_t n)
{
    return (n + BLOB_ALIGN - 1) / BLOB_ALIGN * BLOB_ALIGN;
}

/* A Value whose numbers are in the weights file, by the place of their head there. */
static void in_file(struct coreml_graph *g, struct str *value, enum coreml_type type, int rank, const int64_t *dims,
                    const void *data, int64_t bytes)
{
    struct str blob = {0};
    if (g->n_blobs == g->cap_blobs) {
        g->cap_blobs = g->cap_blobs ? 2 * g->cap_blobs : 256;
        g->blobs = mem_realloc(g->blobs, (size_t)g->cap_blobs * sizeof *g->blobs);
    }
    if (!g->n_blobs) g->blob_end = BLOB_HEAD; /* the file's own head */
    g->blobs[g->n_blobs++] = (struct coreml_blob){.data = data, .bytes = bytes, .offset = g->blob_end, .type = type};
    value_type(value, VALUE_TYPE, type, rank, dims);
    pb_str(&blob, BLOB_FILE, "@model_path/weights/weight.bin");
    pb_int(&blob, BLOB_OFFSET, g->blob_end);
    message(value, VALUE_BLOB, &blob);
    g->blob_end = aligned(g->blob_end + BLOB_HEAD + bytes);
}

/* A Value of these bytes, which outlive the writing. */
static void bytes_value(struct coreml_graph *g, struct str *value, enum coreml_type type, int rank, const int64_t *dims,
                        const void *data, size_t each)
{
    size_t n = 1;
    struct str list = {0}, numbers = {0};
    for (int i = 0; i < rank; i++) n *= (size_t)dims[i];
    if (n >= BLOB_LEAST) {
        in_file(g, value, type, rank, dims, data, (int64_t)(n * each));
        return;
    }
    str_addn(&numbers, data, n * each);
    message(&list, 1, &numbers);
    immediate(value, type, rank, dims, type == COREML_FLOAT32 ? TV_FLOATS : TV_BYTES, &list);
}

static void floats_value(struct coreml_graph *g, struct str *value, int rank, const int64_t *dims, const float *v)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    if (g->type != COREML_FLOAT16) {
        bytes_value(g, value, COREML_FLOAT32, rank, dims, v, sizeof *v);
        return;
    }
    uint16_t *half = arena_alloc(&g->arena, (size_t)n * sizeof *half);
    for (int64_t i = 0; i < n; i++) half[i] = half_from_float(v[i]);
    bytes_value(g, value, COREML_FLOAT16, rank, dims, half, sizeof *half);
}

/* @p v outlives the writing. */
static const char *floats(struct coreml_graph *g, int rank, const int64_t *dims, const float *v)
{
    struct str value = {0};
    floats_value(g, &value, rank, dims, v);
    return constant(g, g->type, rank, dims, &value);
}

const char *coreml_floats(struct coreml_graph *g, int rank, const int64_t *dims, const float *v)
{
    size_t n = 1;
    for (int i = 0; i < rank; i++) n *= (size_t)dims[i];
    return floats(g, rank, dims, arena_copy(&g->arena, v, n * sizeof *v));
}

const char *coreml_scalar(struct coreml_graph *g, double v)
{
    float f = (float)v;
    return coreml_floats(g, 0, NULL, &f);
}

static void integers_value(struct str *value, int rank, int n, const int64_t *v)
{
    int64_t dims[1] = {n};
    struct str list = {0};
    for (int i = 0; i < n; i++) pb_int(&list, 1, v[i]);
    immediate(value, COREML_INT32, rank, dims, TV_INTS, &list);
}

static const char *integers(struct coreml_graph *g, int rank, int n, const int64_t *v)
{
    int64_t dims[1] = {n};
    struct str value = {0};
    integers_value(&value, rank, n, v);
    return constant(g, COREML_INT32, rank, dims, &value);
}

const char *coreml_ints(struct coreml_graph *g, int n, const int64_t *v)
{
    return integers(g, 1, n, v);
}

const char *coreml_int(struct coreml_graph *g, int64_t v)
{
    return integers(g, 0, 1, &v);
}

const char *coreml_bool(struct coreml_graph *g, bool v)
{
    struct str value = {0}, list = {0};
    pb_int(&list, 1, v);
    immediate(&value, COREML_BOOL, 0, NULL, TV_BOOLS, &list);
    return constant(g, COREML_BOOL, 0, NULL, &value);
}

const char *coreml_text(struct coreml_graph *g, const char *v)
{
    struct str value = {0};
    text_value(&value, v);
    return constant(g, COREML_STRING, 0, NULL, &value);
}

const char *coreml_param(struct coreml_graph *g, int i, int channels)
{
    int index = g->net->nodes[g->at].param[i];
    struct net_shape s = g->net->params[index].shape;
    const float *v = NULL;
    struct status st = lower_param(&v, g->low, index);
    if (st.code != STATUS_OK) {
        if (g->error.code == STATUS_OK) g->error = st;
        return "";
    }
    int64_t dims[NET_MAX_RANK] = {1, s.d[0], 1, 1, 1};
    return channels ? floats(g, channels, dims, v) : floats(g, s.rank, s.d, v);
}

/* ---- weights of 8 bits --------------------------------------------------------------------------------------------
 */

/* Weights that half precision scales without rounding to nothing; fewer are not worth an operation. */
static bool worth_8_bits(const struct coreml_graph *g, const struct net_shape *s, const float *w)
{
    enum { LEAST = 2048 };
    static const float least_scale = 6.2e-5f; /* a chip may take what is smaller in half precision for 0 */
    int64_t n = net_numel(*s), per = n / s->d[0];
    if (n < LEAST) return false;
    for (int64_t f = 0; f < s->d[0] && g->type == COREML_FLOAT16; f++) {
        float most = 0;
        for (int64_t i = 0; i < per; i++) most = fmaxf(most, fabsf(w[f * per + i]));
        if (most != 0 && most < 127 * least_scale) return false;
    }
    return true;
}

const char *coreml_weights(struct coreml_graph *g)
{
    int index = g->net->nodes[g->at].param[0];
    const struct net_shape *s = &g->net->params[index].shape;
    const float *w = NULL;
    bool may = g->kept && !g->kept[g->at] && coreml_quantise[g->net->nodes[g->at].op] == QUANTISE_LAYER;
    if (!may || lower_param(&w, g->low, index).code != STATUS_OK || !worth_8_bits(g, s, w))
        return coreml_param(g, 0, 0);
    struct quantised_weights q = quantise_weights(&g->arena, w, NULL, s->d[0], net_numel(*s) / s->d[0], 1);
    struct str op = {0}, data = {0}, zero = {0}, scale = {0}, axis = {0};
    const char *name = fresh(g);
    bytes_value(g, &data, COREML_INT8, s->rank, s->d, q.w, 1);
    bytes_value(g, &zero, COREML_INT8, 0, NULL, arena_copy(&g->arena, "", 1), 1);
    floats_value(g, &scale, 1, s->d, q.scale);
    integers_value(&axis, 0, 1, &(int64_t){0});
    pb_str(&op, OP_TYPE, "constexpr_affine_dequantize");
    coreml_named_type(&op, OP_OUTPUT, name, g->type, s->rank, s->d);
    name_attribute(&op, name);
    entry(&op, OP_ATTRIBUTE, "quantized_data", &data);
    entry(&op, OP_ATTRIBUTE, "zero_point", &zero);
    entry(&op, OP_ATTRIBUTE, "scale", &scale);
    entry(&op, OP_ATTRIBUTE, "axis", &axis);
    message(&g->operations, BLOCK_OPERATION, &op);
    return name;
}

void coreml_fail(struct coreml_graph *g, enum status_code code, const char *what)
{
    if (g->error.code == STATUS_OK) g->error = lower_fail(g->net, g->at, code, what);
}
