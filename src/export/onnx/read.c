/*
 * Reading an ONNX file's structure back: operators, names, shapes, metadata. Weights are stepped over. Every byte is
 * distrusted; depth is bounded because each kind of message is read by its own function, and memory by the file's size.
 */
#include "onnx.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct reader {
    struct export_summary *s;
    const char **op_of; /* of each node */
    bool graph;
};

/* One field of one kind of message, put where it belongs. */
typedef struct status field_fn(struct reader *r, void *to, const struct pb_field *f);

static struct status each(struct reader *r, void *to, const struct pb_field *message, const char *what, field_fn *fn)
{
    TRY(pb_want(message, PB_BYTES, what));
    struct pb m = message->sub;
    struct pb_field f;
    for (bool more;;) {
        TRY(pb_next(&m, &f, &more));
        if (!more) return ok();
        TRY(fn(r, to, &f));
    }
}

static struct status text(struct reader *r, const char **out, const struct pb_field *f, const char *what)
{
    TRY(pb_want(f, PB_BYTES, what));
    *out = pb_text(&r->s->arena, f);
    return ok();
}

static struct status number(int64_t *out, const struct pb_field *f, const char *what)
{
    TRY(pb_want(f, PB_VARINT, what));
    *out = (int64_t)f->v;
    return ok();
}

/* Room for one more in an array that doubles; the new element is zero. */
static void *grow(void *array, int n, size_t each_size)
{
    if ((n & (n - 1)) == 0) array = mem_realloc(array, (n ? 2 * (size_t)n : 1) * each_size);
    memset((char *)array + (size_t)n * each_size, 0, each_size);
    return array;
}
#define GROW(array, n) (array = grow(array, n, sizeof *(array)), &(array)[(n)++])

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

static struct status initializer(struct reader *r, void *to, const struct pb_field *f)
{
    struct export_tensor *t = to;
    int64_t v;
    switch (f->field) {
    case 1:
        return pb_ints(f, t->shape, &t->rank, EXPORT_MAX_RANK, "dims of a tensor");
    case 2:
        TRY(number(&v, f, "type of a tensor"));
        t->type = (int)v;
        return ok();
    case 8:
        return text(r, &t->name, f, "name of a tensor");
    case 4: /* float_data, int32_data, int64_data and raw_data: only their size matters */
    case 5:
    case 7:
    case 9:
        if (f->wire == PB_BYTES) t->bytes += f->sub.end - f->sub.p;
        return ok();
    case 14:
        TRY(number(&v, f, "location of a tensor"));
        t->external = v == 1;
        return ok();
    default:
        return ok();
    }
}

/* Bytes that the shape promises, for data outside of the file; a hostile shape saturates. */
static int64_t bytes_of_shape(const struct export_tensor *t)
{
    int64_t n = t->type == ONNX_FLOAT || t->type == ONNX_INT32 ? 4
                : t->type == ONNX_INT64                        ? 8
                : t->type == ONNX_FLOAT16                      ? 2
                                                               : 1;
    for (int i = 0; i < t->rank; i++)
        if (t->shape[i] < 0 || __builtin_mul_overflow(n, t->shape[i], &n)) return INT64_MAX;
    return n;
}

static struct status dimension(struct reader *r, void *to, const struct pb_field *f)
{
    (void)r;
    int64_t *d = to;
    return f->field == 1 ? number(d, f, "size of a dimension") : ok();
}

static struct status shape(struct reader *r, void *to, const struct pb_field *f)
{
    struct export_tensor *t = to;
    if (f->field != 1) return ok();
    if (t->rank == EXPORT_MAX_RANK)
        return fail(STATUS_ARG, "%s: %s: expected at most %d dimensions", f->sub.where, t->name ? t->name : "a value",
                    EXPORT_MAX_RANK);
    t->shape[t->rank] = -1;
    return each(r, &t->shape[t->rank++], f, "dimension", dimension);
}

static struct status tensor_type(struct reader *r, void *to, const struct pb_field *f)
{
    struct export_tensor *t = to;
    int64_t v;
    if (f->field == 2) return each(r, t, f, "shape", shape);
    if (f->field != 1) return ok();
    TRY(number(&v, f, "element type"));
    t->type = (int)v;
    return ok();
}

static struct status value_type(struct reader *r, void *to, const struct pb_field *f)
{
    return f->field == 1 ? each(r, to, f, "tensor type", tensor_type) : ok();
}

static struct status value_info(struct reader *r, void *to, const struct pb_field *f)
{
    struct export_tensor *t = to;
    if (f->field == 1) return text(r, &t->name, f, "name of a value");
    return f->field == 2 ? each(r, t, f, "type of a value", value_type) : ok();
}

/* ---- graph and model --------------------------------------------------------------------------------------------- */

static struct status node(struct reader *r, void *to, const struct pb_field *f)
{
    return f->field == 4 ? text(r, to, f, "operator of a node") : ok();
}

static struct status graph(struct reader *r, void *to, const struct pb_field *f)
{
    struct export_summary *s = to;
    switch (f->field) {
    case 1:
        return each(r, GROW(r->op_of, s->n_nodes), f, "node", node);
    case 5: {
        struct export_tensor *t = GROW(s->initializers, s->n_initializers);
        TRY(each(r, t, f, "initializer", initializer));
        if (t->external) t->bytes = bytes_of_shape(t);
        return ok();
    }
    case 11:
        return each(r, GROW(s->inputs, s->n_inputs), f, "input", value_info);
    case 12:
        return each(r, GROW(s->outputs, s->n_outputs), f, "output", value_info);
    default:
        return ok();
    }
}

static struct status entry(struct reader *r, void *to, const struct pb_field *f)
{
    struct export_pair *p = to;
    if (f->field == 1) return text(r, &p->key, f, "metadata key");
    return f->field == 2 ? text(r, &p->value, f, "metadata value") : ok();
}

struct opset {
    const char *domain;
    int64_t version;
};

static struct status opset(struct reader *r, void *to, const struct pb_field *f)
{
    struct opset *o = to;
    if (f->field == 1) return text(r, &o->domain, f, "domain of an operator set");
    return f->field == 2 ? number(&o->version, f, "version of an operator set") : ok();
}

static struct status model(struct reader *r, void *to, const struct pb_field *f)
{
    struct export_summary *s = to;
    struct opset o = {0};
    switch (f->field) {
    case 1:
        return number(&s->ir_version, f, "ir_version");
    case 2:
        return text(r, &s->producer, f, "producer");
    case 3:
        return text(r, &s->producer_version, f, "producer version");
    case 7:
        r->graph = true;
        return each(r, s, f, "graph", graph);
    case 8:
        TRY(each(r, &o, f, "operator set", opset));
        if (!o.domain || !o.domain[0] || !strcmp(o.domain, "ai.onnx")) s->opset = o.version;
        return ok();
    case 14:
        return each(r, GROW(s->meta, s->n_meta), f, "metadata", entry);
    default:
        return ok();
    }
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void count_ops(struct export_summary *s, const char **op_of)
{
    if (s->n_nodes) qsort(op_of, (size_t)s->n_nodes, sizeof *op_of, by_text);
    for (int i = 0; i < s->n_nodes; i++) {
        if (i == 0 || strcmp(op_of[i], op_of[i - 1])) GROW(s->ops, s->n_ops)->op = op_of[i];
        s->ops[s->n_ops - 1].n++;
    }
}

/* Names and texts that a hostile or careless file left out are empty, never NULL. */
static void fill_names(struct export_summary *s)
{
    struct {
        struct export_tensor *t;
        int n;
    } lists[] = {{s->initializers, s->n_initializers}, {s->inputs, s->n_inputs}, {s->outputs, s->n_outputs}};
    for (size_t l = 0; l < LEN(lists); l++)
        for (int i = 0; i < lists[l].n; i++)
            if (!lists[l].t[i].name) lists[l].t[i].name = "";
    for (int i = 0; i < s->n_meta; i++) {
        if (!s->meta[i].key) s->meta[i].key = "";
        if (!s->meta[i].value) s->meta[i].value = "";
    }
    if (!s->producer) s->producer = "";
    if (!s->producer_version) s->producer_version = "";
}

static struct status judge(const struct export_summary *s, const struct reader *r, const char *where)
{
    if (s->ir_version < 1 || s->ir_version > 1000 || !r->graph || s->opset < 1)
        return fail(STATUS_ARG, "%s: no ONNX model: got IR version %lld, opset %lld, %s; expected an .onnx file", where,
                    (long long)s->ir_version, (long long)s->opset, r->graph ? "a graph" : "no graph");
    return ok();
}

struct status export_onnx_parse(struct export_summary *out, const char *where, const void *p, size_t n)
{
    *out = (struct export_summary){0};
    struct reader r = {.s = out};
    const uint8_t *bytes = p;
    struct pb_field whole = {.wire = PB_BYTES, .sub = {.p = bytes, .end = bytes + n, .base = bytes, .where = where}};
    struct status s = each(&r, out, &whole, "model", model);
    for (int i = 0; i < out->n_nodes; i++)
        if (!r.op_of[i]) r.op_of[i] = "";
    if (s.code == STATUS_OK) s = judge(out, &r, where);
    if (s.code == STATUS_OK) {
        count_ops(out, r.op_of);
        fill_names(out);
        for (int i = 0; i < out->n_initializers; i++)
            if (__builtin_add_overflow(out->bytes_weights, out->initializers[i].bytes, &out->bytes_weights))
                out->bytes_weights = INT64_MAX;
    } else {
        export_summary_free(out);
    }
    free(r.op_of);
    return s;
}

struct status export_onnx_read(struct export_summary *out, const char *path)
{
    *out = (struct export_summary){0};
    int fd;
    struct stat st;
    TRY(fs_open(&fd, path));
    void *map = fstat(fd, &st) == 0 && st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                                                      : MAP_FAILED;
    close(fd);
    if (map == MAP_FAILED) return fail(STATUS_ARG, "%s: is empty, expected an .onnx file", path);
    struct status s = export_onnx_parse(out, path, map, (size_t)st.st_size);
    munmap(map, (size_t)st.st_size);
    return s;
}

void export_summary_free(struct export_summary *s)
{
    free(s->ops);
    free(s->initializers);
    free(s->inputs);
    free(s->outputs);
    free(s->meta);
    arena_free(&s->arena);
    *s = (struct export_summary){0};
}

const char *export_summary_meta(const struct export_summary *s, const char *key)
{
    for (int i = 0; i < s->n_meta; i++)
        if (!strcmp(s->meta[i].key, key)) return s->meta[i].value;
    return NULL;
}
