/*
 * The ONNX file: ModelProto around a GraphProto, written with no protobuf library. Weights are streamed: only heads,
 * nodes and constants are built in memory. A file over protobuf's 2 GiB keeps its large weights in PATH.data.
 */
#include "onnx.h"

/* Field numbers. */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_VERSION = 3, MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_META = 14 };
enum { GRAPH_NAME = 2, GRAPH_INIT = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12, GRAPH_VALUE = 13 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14 };
enum {
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TT_ELEM = 1,
    TT_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_N = 1,
    DIM_SYM = 2
};
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

/* Protobuf holds 2 GiB; the margin is for what is not weights. */
static const int64_t bytes_inside_max = ((int64_t)2 << 30) - ((int64_t)64 << 20);
enum { EXTERNAL_LEAST = 1024, EXTERNAL_ALIGN = 4096 };

static void pair(struct str *b, int field, const char *key, const char *value)
{
    struct str m = {0};
    pb_str(&m, ENTRY_KEY, key);
    pb_str(&m, ENTRY_VALUE, value);
    pb_bytes(b, field, m.s, m.n);
    str_free(&m);
}

/* ValueInfoProto of a net value: its dimension 0, when it has one, is the batch. */
static void value_info(struct str *b, int field, const char *name, enum onnx_type elem, struct net_shape s)
{
    struct str dims = {0}, tensor = {0}, type = {0}, info = {0};
    for (int i = 0; i < s.rank; i++) {
        struct str d = {0};
        if (i == 0)
            pb_str(&d, DIM_SYM, "N");
        else
            pb_int(&d, DIM_N, s.d[i]);
        pb_bytes(&dims, SHAPE_DIM, d.s, d.n);
        str_free(&d);
    }
    pb_int(&tensor, TT_ELEM, elem);
    pb_bytes(&tensor, TT_SHAPE, dims.s, dims.n);
    pb_bytes(&type, TYPE_TENSOR, tensor.s, tensor.n);
    pb_str(&info, VALUE_NAME, name);
    pb_bytes(&info, VALUE_TYPE, type.s, type.n);
    pb_bytes(b, field, info.s, info.n);
    str_free(&dims);
    str_free(&tensor);
    str_free(&type);
    str_free(&info);
}

static void tensor_head(struct str *b, const struct onnx_tensor *t, const char *data_name)
{
    for (int i = 0; i < t->rank; i++) pb_int(b, TENSOR_DIMS, t->dims[i]);
    pb_int(b, TENSOR_TYPE, t->type);
    pb_str(b, TENSOR_NAME, t->name);
    if (t->offset < 0) return;
    char number[32];
    pair(b, TENSOR_EXTERNAL, "location", data_name);
    snprintf(number, sizeof number, "%lld", (long long)t->offset);
    pair(b, TENSOR_EXTERNAL, "offset", number);
    snprintf(number, sizeof number, "%lld", (long long)t->bytes);
    pair(b, TENSOR_EXTERNAL, "length", number);
    pb_int(b, TENSOR_LOCATION, 1);
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */

static struct status build(struct onnx_graph *g)
{
    const struct net *n = g->net;
    g->name = lower_names(g->low, &g->arena);
    g->made = arena_alloc(&g->arena, (size_t)(n->n_nodes + 1) * sizeof *g->made);
    g->other = arena_alloc(&g->arena, (size_t)(n->n_nodes + 1) * sizeof *g->other);
    for (net_val v = 0; v < n->n_nodes; v++) {
        g->other[v] = NULL;
        g->made[v] = g->type = g->half ? onnx_half_type(g, v) : ONNX_FLOAT;
        if (g->type == ONNX_FLOAT16) g->name[v] = arena_printf(&g->arena, "%s:fp16", g->name[v]);
        bool stored = g->q.is && g->q.stored[v];
        if (stored) onnx_name_stored(g, v);
        onnx_emit(g, v);
        if (stored) onnx_store(g, v);
    }
    g->type = ONNX_FLOAT;
    for (int i = 0; i < n->n_outputs; i++) { /* an output that is an input, or the same value as another output */
        net_val v = n->outputs[i].val;
        const char *made = g->q.is && g->q.is[v] && g->q.stored[v] ? g->other[v] : g->name[v];
        if (g->made[v] == ONNX_FLOAT16)
            onnx_node(g, "Cast", n->outputs[i].name, ONNX_IN(made), ONNX_ATTRS(ONNX_INT("to", ONNX_FLOAT)));
        else if (strcmp(made, n->outputs[i].name))
            onnx_node(g, "Identity", n->outputs[i].name, ONNX_IN(made), NULL);
    }
    return g->error;
}

/* What follows the weights in GraphProto. Values between nodes get shapes, for viewers. */
static void graph_tail(struct str *b, const struct onnx_graph *g)
{
    const struct net *n = g->net;
    pb_str(b, GRAPH_NAME, "sweep");
    for (int i = 0; i < n->n_inputs; i++)
        value_info(b, GRAPH_INPUT, n->inputs[i].name, ONNX_FLOAT, n->nodes[n->inputs[i].val].shape);
    for (int i = 0; i < n->n_outputs; i++)
        value_info(b, GRAPH_OUTPUT, n->outputs[i].name, ONNX_FLOAT, n->nodes[n->outputs[i].val].shape);
    for (int v = 0; v < n->n_nodes; v++) {
        const struct net_node *d = &n->nodes[v];
        if (d->shape.rank == 4 && d->op != NET_INPUT && d->attr.dims == 0 && strchr(g->name[v], ':'))
            value_info(b, GRAPH_VALUE, g->name[v], g->made[v], d->shape);
    }
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static struct status put(struct fs_file *f, const void *p, size_t n)
{
    if (n == 0 || fwrite(p, 1, n, f->f) == n) return ok();
    return fail(STATUS_IO, "%s: cannot write: is the disk full?", f->path);
}

static struct status put_data(struct fs_file *f, const struct onnx_graph *g)
{
    static const char zeros[EXTERNAL_ALIGN];
    int64_t at = 0;
    for (int i = 0; i < g->n_tensors; i++) {
        const struct onnx_tensor *t = &g->tensors[i];
        if (t->offset < 0) continue;
        TRY(put(f, zeros, (size_t)(t->offset - at)));
        TRY(put(f, t->data, (size_t)t->bytes));
        at = t->offset + t->bytes;
    }
    return ok();
}

/* Moves large tensors out when the whole is over the limit; true when it did. */
static bool place(struct onnx_graph *g, int64_t limit)
{
    int64_t total = 0, at = 0;
    for (int i = 0; i < g->n_tensors; i++) total += g->tensors[i].bytes;
    if (total <= limit) return false;
    for (int i = 0; i < g->n_tensors; i++) {
        struct onnx_tensor *t = &g->tensors[i];
        if (t->bytes < EXTERNAL_LEAST) continue;
        t->offset = at;
        at = (at + t->bytes + EXTERNAL_ALIGN - 1) / EXTERNAL_ALIGN * EXTERNAL_ALIGN;
    }
    return at > 0;
}

static struct status put_model(struct fs_file *f, const struct onnx_graph *g, const char *data_name)
{
    struct str head = {0}, tail = {0}, after = {0}, opset = {0};
    struct str *tensors = mem_zalloc((size_t)(g->n_tensors + 1) * sizeof *tensors);
    graph_tail(&tail, g);
    uint64_t graph = g->nodes.n + tail.n;
    for (int i = 0; i < g->n_tensors; i++) {
        const struct onnx_tensor *t = &g->tensors[i];
        struct str body = {0};
        tensor_head(&body, t, data_name);
        if (t->offset < 0) pb_head(&body, TENSOR_RAW, (uint64_t)t->bytes);
        uint64_t whole = body.n + (t->offset < 0 ? (uint64_t)t->bytes : 0);
        pb_head(&tensors[i], GRAPH_INIT, whole);
        str_addn(&tensors[i], body.s, body.n);
        graph += pb_head_size(GRAPH_INIT, whole) + whole;
        str_free(&body);
    }
    pb_int(&head, MODEL_IR, ONNX_IR);
    pb_str(&head, MODEL_PRODUCER, "sweep");
    pb_str(&head, MODEL_VERSION, SWEEP_VERSION);
    pb_head(&head, MODEL_GRAPH, graph);
    pb_str(&opset, 1, ""); /* the default domain */
    pb_int(&opset, 2, ONNX_OPSET);
    pb_bytes(&after, MODEL_OPSET, opset.s, opset.n);
    for (int i = 0; i < g->low->n_meta; i++) pair(&after, MODEL_META, g->low->meta[i].key, g->low->meta[i].value);

    struct status s = put(f, head.s, head.n);
    if (s.code == STATUS_OK) s = put(f, g->nodes.s, g->nodes.n);
    for (int i = 0; s.code == STATUS_OK && i < g->n_tensors; i++) {
        s = put(f, tensors[i].s, tensors[i].n);
        if (s.code == STATUS_OK && g->tensors[i].offset < 0)
            s = put(f, g->tensors[i].data, (size_t)g->tensors[i].bytes);
    }
    if (s.code == STATUS_OK) s = put(f, tail.s, tail.n);
    if (s.code == STATUS_OK) s = put(f, after.s, after.n);
    for (int i = 0; i < g->n_tensors; i++) str_free(&tensors[i]);
    free(tensors);
    str_free(&head);
    str_free(&tail);
    str_free(&after);
    str_free(&opset);
    return s;
}

static struct status finish(struct fs_file *f, struct status s)
{
    if (s.code == STATUS_OK) return fs_commit(f);
    fs_abort(f);
    return s;
}

/* The data file comes first: a model whose data is missing must never be seen. */
static struct status write_files(struct onnx_graph *g, const char *path, const struct export_options *o)
{
    struct fs_file f;
    const char *data = arena_printf(&g->arena, "%s.data", path);
    if (place(g, o->external_above ? o->external_above : bytes_inside_max)) {
        TRY(fs_begin(&f, data));
        TRY(finish(&f, put_data(&f, g)));
    }
    TRY(fs_begin(&f, path));
    return finish(&f, put_model(&f, g, fs_basename(data)));
}

enum precision { FLOAT32, FLOAT16, INT8 };

static struct status write_as(enum precision precision, const char *path, const struct net *n,
                              const float *const *values, const struct export_options *o)
{
    struct lower low;
    struct status s = lower_begin(&low, n, values, o);
    if (s.code == STATUS_OK) {
        struct onnx_graph g = {.low = &low, .net = low.net, .half = precision == FLOAT16, .error = ok()};
        if (precision == INT8) s = quantise_plan(&g.q, &g.arena, &low, onnx_quantise, &o->calibration);
        if (s.code == STATUS_OK) s = build(&g);
        if (s.code == STATUS_OK) s = write_files(&g, path, o);
        arena_free(&g.arena);
        str_free(&g.nodes);
        free(g.tensors);
    }
    lower_end(&low);
    return status_at(s, "%s: onnx", path);
}

struct status export_onnx(const char *path, const struct net *n, const float *const *values,
                          const struct export_options *o)
{
    return write_as(FLOAT32, path, n, values, o);
}

struct status export_onnx_fp16(const char *path, const struct net *n, const float *const *values,
                               const struct export_options *o)
{
    return write_as(FLOAT16, path, n, values, o);
}

struct status export_onnx_int8(const char *path, const struct net *n, const float *const *values,
                               const struct export_options *o)
{
    return write_as(INT8, path, n, values, o);
}
