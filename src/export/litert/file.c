/*
 * The LiteRT file: a FlatBuffer of the tables Model, SubGraph, Tensor, Operator and so on (schema version 3), written
 * front to back with the weights last, which are streamed. A file over what 32-bit offsets reach keeps its weights
 * behind the FlatBuffer, where buffers name them by 64-bit places.
 */
#include "litert.h"

enum { SCHEMA_VERSION = 3, ALIGN = 16 };
/* FlatBuffers hold 2 GiB; the margin is for what is not weights. */
static const int64_t bytes_inside_max = ((int64_t)2 << 30) - ((int64_t)64 << 20);

/* The file's head in memory, and what follows it. */
struct file {
    struct str head;
    const struct litert_graph *g;
    const struct lower *low;
    size_t *buffer_at; /* where each buffer's reference (or place) is open: tensors first, then metadata */
    bool behind;
};

static int n_constants(const struct litert_graph *g)
{
    int n = 0;
    for (int i = 0; i < g->n_tensors; i++) n += g->tensors[i].data != NULL;
    return n;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void operator_codes(struct file *f, size_t at, int *index)
{
    struct {
        int code, version;
    } kinds[64];
    int n = 0;
    for (int i = 0; i < f->g->n_ops; i++) {
        const struct litert_op *o = &f->g->ops[i];
        int k = 0;
        while (k < n && (kinds[k].code != (int)o->code || kinds[k].version != o->version)) k++;
        CHECK(k < (int)LEN(kinds), "operator kinds");
        if (k == n) {
            kinds[n].code = (int)o->code;
            kinds[n++].version = o->version;
        }
        index[i] = k;
    }
    size_t refs = fb_refs(&f->head, at, n);
    for (int k = 0; k < n; k++) {
        /* Readers of before the second field exist know the first, which has a byte: 127 sends them on. */
        int old = kinds[k].code < 127 ? kinds[k].code : 127;
        struct fb_field t[] = {FB_BYTE(0, old), FB_INT(2, kinds[k].version), FB_INT(3, kinds[k].code)};
        fb_table(&f->head, refs + 4 * (size_t)k, t, LEN(t));
    }
}

/* QuantizationParameters. */
static void scales(struct file *f, size_t at, const struct litert_tensor *t)
{
    struct fb_field q[] = {FB_REF(2), FB_REF(3), FB_INT(6, t->axis)};
    int64_t *zero = mem_alloc((size_t)t->n_scale * sizeof *zero);
    for (int i = 0; i < t->n_scale; i++) zero[i] = t->zero;
    fb_table(&f->head, at, q, LEN(q));
    fb_floats(&f->head, q[0].at, t->scale, t->n_scale);
    fb_longs(&f->head, q[1].at, zero, t->n_scale);
    free(zero);
}

static void tensors(struct file *f, size_t at)
{
    size_t refs = fb_refs(&f->head, at, f->g->n_tensors);
    int buffer = 1; /* buffer 0 is empty: that of a tensor which is computed */
    for (int i = 0; i < f->g->n_tensors; i++) {
        const struct litert_tensor *t = &f->g->tensors[i];
        struct fb_field d[] = {FB_REF(0), FB_BYTE(1, t->type), FB_INT(2, t->data ? buffer++ : 0),
                               FB_REF(3), FB_BYTE(8, 1),       FB_REF(4)};
        fb_table(&f->head, refs + 4 * (size_t)i, d, (int)LEN(d) - (t->n_scale == 0));
        fb_ints(&f->head, d[0].at, t->dims, t->rank);
        fb_string(&f->head, d[3].at, t->name);
        if (t->n_scale) scales(f, d[5].at, t);
    }
}

static void operators(struct file *f, size_t at, const int *index)
{
    size_t refs = fb_refs(&f->head, at, f->g->n_ops);
    for (int i = 0; i < f->g->n_ops; i++) {
        const struct litert_op *o = &f->g->ops[i];
        struct litert_options options = o->options;
        struct fb_field t[] = {FB_INT(0, index[i]), FB_REF(1), FB_REF(2), FB_BYTE(3, options.type), FB_REF(4)};
        fb_table(&f->head, refs + 4 * (size_t)i, t, options.type ? 5 : 3);
        fb_ints(&f->head, t[1].at, o->in, o->n_in);
        fb_ints(&f->head, t[2].at, &o->out, 1);
        if (options.type) fb_table(&f->head, t[4].at, options.f, options.n);
    }
}

/* Tensors of the net's inputs or outputs. */
static int ends(int32_t *out, const struct litert_graph *g, const struct net_io *io, int n)
{
    for (int i = 0; i < n; i++) out[i] = g->tensor[io[i].val];
    return n;
}

static void subgraph(struct file *f, size_t at, const int *index, const int32_t *out)
{
    const struct net *n = f->g->net;
    int32_t *in = mem_alloc((size_t)n->n_inputs * sizeof *in);
    size_t refs = fb_refs(&f->head, at, 1);
    struct fb_field t[] = {FB_REF(0), FB_REF(1), FB_REF(2), FB_REF(3), FB_REF(4)};
    fb_table(&f->head, refs, t, LEN(t));
    tensors(f, t[0].at);
    fb_ints(&f->head, t[1].at, in, ends(in, f->g, n->inputs, n->n_inputs));
    fb_ints(&f->head, t[2].at, out, n->n_outputs);
    operators(f, t[3].at, index);
    fb_string(&f->head, t[4].at, "main");
    free(in);
}

static void signature_ends(struct file *f, size_t at, const struct net_io *io, int n, const int32_t *tensor)
{
    size_t refs = fb_refs(&f->head, at, n);
    for (int i = 0; i < n; i++) {
        struct fb_field t[] = {FB_REF(0), FB_INT(1, tensor ? tensor[i] : f->g->tensor[io[i].val])};
        fb_table(&f->head, refs + 4 * (size_t)i, t, LEN(t));
        fb_string(&f->head, t[0].at, io[i].name);
    }
}

static void signature(struct file *f, size_t at, const int32_t *out)
{
    const struct net *n = f->g->net;
    size_t refs = fb_refs(&f->head, at, 1);
    struct fb_field t[] = {FB_REF(0), FB_REF(1), FB_REF(2), FB_INT(4, 0)};
    fb_table(&f->head, refs, t, LEN(t));
    signature_ends(f, t[0].at, n->inputs, n->n_inputs, NULL);
    signature_ends(f, t[1].at, n->outputs, n->n_outputs, out);
    fb_string(&f->head, t[2].at, "serving_default");
}

static void buffers(struct file *f, size_t at)
{
    int n = n_constants(f->g);
    size_t refs = fb_refs(&f->head, at, 1 + n + f->low->n_meta);
    struct fb_field none;
    fb_table(&f->head, refs, &none, 0);
    f->buffer_at = mem_alloc((size_t)(n + f->low->n_meta + 1) * sizeof *f->buffer_at);
    for (int i = 0; i < n + f->low->n_meta; i++) {
        struct fb_field inside[] = {FB_REF(0)}, behind[] = {FB_LONG(1, 0), FB_LONG(2, 0)};
        bool apart = f->behind && i < n;
        fb_table(&f->head, refs + 4 * (size_t)(i + 1), apart ? behind : inside, apart ? 2 : 1);
        f->buffer_at[i] = apart ? behind[0].at : inside[0].at;
    }
}

static void metadata(struct file *f, size_t at)
{
    int first = 1 + n_constants(f->g);
    size_t refs = fb_refs(&f->head, at, f->low->n_meta);
    for (int i = 0; i < f->low->n_meta; i++) {
        struct fb_field t[] = {FB_REF(0), FB_INT(1, first + i)};
        fb_table(&f->head, refs + 4 * (size_t)i, t, LEN(t));
        fb_string(&f->head, t[0].at, f->low->meta[i].key);
    }
    for (int i = 0; i < f->low->n_meta; i++) fb_string(&f->head, f->buffer_at[first - 1 + i], f->low->meta[i].value);
}

static void model(struct file *f, const int32_t *out)
{
    int *index = mem_alloc((size_t)(f->g->n_ops + 1) * sizeof *index);
    struct fb_field t[] = {FB_INT(0, SCHEMA_VERSION), FB_REF(1), FB_REF(2), FB_REF(3), FB_REF(4), FB_REF(6), FB_REF(7)};
    str_addn(&f->head, "\0\0\0\0TFL3", 8);
    fb_table(&f->head, 0, t, LEN(t));
    operator_codes(f, t[1].at, index);
    subgraph(f, t[2].at, index, out);
    fb_string(&f->head, t[3].at, "sweep " SWEEP_VERSION);
    buffers(f, t[4].at);
    metadata(f, t[5].at);
    signature(f, t[6].at, out);
    fb_align(&f->head, ALIGN, 4); /* before the length of the first weights */
    free(index);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static void patch(struct str *b, size_t at, uint64_t v, int size)
{
    for (int i = 0; i < size; i++) b->s[at + (size_t)i] = (char)(unsigned char)(v >> 8 * i);
}

/* A length, the data, and zeros so that the next data is aligned. Where the weights lie behind, the length is only a
 * spacer. */
static int64_t room_of(const struct litert_tensor *t)
{
    return (4 + t->bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static void place(struct file *f)
{
    int64_t at = (int64_t)f->head.n;
    int k = 0;
    for (int i = 0; i < f->g->n_tensors; i++) {
        const struct litert_tensor *t = &f->g->tensors[i];
        if (!t->data) continue;
        size_t open = f->buffer_at[k++];
        if (f->behind) {
            patch(&f->head, open, (uint64_t)at + 4, 8);
            patch(&f->head, open + 8, (uint64_t)t->bytes, 8);
        } else {
            patch(&f->head, open, (uint64_t)at - open, 4);
        }
        at += room_of(t);
    }
}

static struct status put(struct fs_file *to, const void *p, size_t n)
{
    if (n == 0 || fwrite(p, 1, n, to->f) == n) return ok();
    return fail(STATUS_IO, "%s: cannot write: is the disk full?", to->path);
}

static struct status put_all(struct fs_file *to, const struct file *f)
{
    static const char zeros[2 * ALIGN];
    TRY(put(to, f->head.s, f->head.n));
    for (int i = 0; i < f->g->n_tensors; i++) {
        const struct litert_tensor *t = &f->g->tensors[i];
        if (!t->data) continue;
        struct str length = {0};
        for (int b = 0; b < 4; b++) str_addn(&length, &(char){(char)(unsigned char)(t->bytes >> 8 * b)}, 1);
        struct status s = put(to, length.s, length.n);
        str_free(&length);
        TRY(s);
        TRY(put(to, t->data, (size_t)t->bytes));
        TRY(put(to, zeros, (size_t)(room_of(t) - 4 - t->bytes)));
    }
    return ok();
}

static struct status write_file(const struct litert_graph *g, const int32_t *out, const char *path,
                                const struct export_options *o)
{
    struct file f = {.g = g, .low = g->low};
    struct fs_file to;
    int64_t total = 0;
    for (int i = 0; i < g->n_tensors; i++) total += g->tensors[i].bytes;
    f.behind = total > (o->external_above ? o->external_above : bytes_inside_max);
    model(&f, out);
    place(&f);
    struct status s = fs_begin(&to, path);
    if (s.code == STATUS_OK) {
        s = put_all(&to, &f);
        if (s.code == STATUS_OK)
            s = fs_commit(&to);
        else
            fs_abort(&to);
    }
    str_free(&f.head);
    free(f.buffer_at);
    return s;
}

/* Every output is a tensor of its own that an operation makes, of float32: runtimes do not take an input for one. */
static void outputs(struct litert_graph *g, int32_t *out)
{
    const struct net *n = g->net;
    for (int i = 0; i < n->n_outputs; i++) {
        net_val v = n->outputs[i].val;
        const struct net_shape *s = &n->nodes[v].shape;
        int64_t dims[NET_MAX_RANK];
        g->at = v;
        int whole = litert_value(g, v, false), stored = g->tensor[v];
        bool fresh = whole != stored && strcmp(g->tensors[stored].name, n->outputs[i].name) == 0;
        if (fresh) { /* the name goes over to what was brought back */
            g->tensors[whole].name = n->outputs[i].name;
            g->tensors[stored].name = arena_printf(&g->arena, "%s:stored", n->outputs[i].name);
        }
        out[i] = whole;
        if (n->nodes[v].op != NET_INPUT && strcmp(g->tensors[whole].name, n->outputs[i].name) == 0) continue;
        litert_dims(dims, s);
        int t = litert_between(g, s->rank, dims);
        g->tensors[t].name = n->outputs[i].name;
        out[i] = litert_copy(g, t, whole);
    }
}

enum precision { FLOAT32, HALVES, INT8 };

static struct status build(struct litert_graph *g, enum precision precision, const struct export_options *o)
{
    size_t n = (size_t)g->net->n_nodes + 1;
    if (precision == INT8) TRY(quantise_plan(&g->q, &g->arena, g->low, litert_quantise, &o->calibration));
    g->name = lower_names(g->low, &g->arena);
    g->tensor = arena_alloc(&g->arena, n * sizeof *g->tensor);
    g->other = arena_alloc(&g->arena, n * sizeof *g->other);
    for (net_val v = 0; v < g->net->n_nodes && g->error.code == STATUS_OK; v++) {
        g->other[v] = -1;
        litert_emit(g, v);
    }
    return g->error;
}

static struct status write_as(enum precision precision, const char *path, const struct net *n,
                              const float *const *values, const struct export_options *o)
{
    struct lower low;
    struct status s = lower_begin(&low, n, values, o);
    if (s.code == STATUS_OK) {
        struct litert_graph g = {.low = &low, .net = low.net, .half = precision == HALVES, .error = ok()};
        int32_t *out = mem_alloc((size_t)low.net->n_outputs * sizeof *out);
        s = build(&g, precision, o);
        if (s.code == STATUS_OK) {
            outputs(&g, out);
            s = write_file(&g, out, path, o);
        }
        free(out);
        free(g.tensors);
        free(g.ops);
        arena_free(&g.arena);
    }
    lower_end(&low);
    return status_at(s, "%s: litert", path);
}

struct status export_litert(const char *path, const struct net *n, const float *const *values,
                            const struct export_options *o)
{
    return write_as(FLOAT32, path, n, values, o);
}

struct status export_litert_fp16(const char *path, const struct net *n, const float *const *values,
                                 const struct export_options *o)
{
    return write_as(HALVES, path, n, values, o);
}

struct status export_litert_int8(const char *path, const struct net *n, const float *const *values,
                                 const struct export_options *o)
{
    return write_as(INT8, path, n, values, o);
}
