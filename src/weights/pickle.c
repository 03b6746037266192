/*
 * The interpreter of pickles, restricted: it makes values of the kinds in inside.h and calls nothing but the few
 * functions that torch.c allows. Memory is bounded by the pickle's own length: no opcode makes more than a value.
 * Source: the opcode table of Python's pickletools, protocols 2 to 4.
 */
#include "inside.h"

enum { DEPTH_MAX = 100000 };

/* ---- opcodes: each handler gets its table row's argument ------------------------------------------------------- */

static struct status op_skip(struct pickle *p, int bytes)
{
    const unsigned char *b;
    return weights_pickle_take(&b, p, (size_t)bytes);
}

static struct status op_mark(struct pickle *p, int arg)
{
    (void)arg;
    if (p->n_marks == DEPTH_MAX) return weights_pickle_fail(p, "is nested deeper than %d", DEPTH_MAX);
    if (p->n_marks == p->cap_marks) {
        p->cap_marks = p->cap_marks ? 2 * p->cap_marks : 64;
        p->marks = mem_realloc(p->marks, p->cap_marks * sizeof *p->marks);
    }
    p->marks[p->n_marks++] = p->n_stack;
    return ok();
}

static struct status op_pop(struct pickle *p, int arg)
{
    (void)arg;
    struct pickle_value *v;
    return weights_pickle_pop(&v, p);
}

static struct status op_pop_mark(struct pickle *p, int arg)
{
    (void)arg;
    struct pickle_value **items;
    size_t n;
    return weights_pickle_pop_mark(&items, &n, p);
}

static struct status op_dup(struct pickle *p, int arg)
{
    (void)arg;
    struct pickle_value *v;
    TRY(weights_pickle_top(&v, p));
    return weights_pickle_push(p, v);
}

static struct status op_empty(struct pickle *p, int kind)
{
    return weights_pickle_push(p, weights_pickle_new(p, (enum pickle_kind)kind));
}

static struct status op_bool(struct pickle *p, int value)
{
    struct pickle_value *v = weights_pickle_new(p, PICKLE_BOOL);
    v->boolean = value;
    return weights_pickle_push(p, v);
}

static struct status op_int(struct pickle *p, int bytes)
{
    uint64_t u;
    TRY(weights_pickle_take_le(&u, p, bytes));
    struct pickle_value *v = weights_pickle_new(p, PICKLE_INT);
    v->integer = bytes == 4 ? (int32_t)(uint32_t)u : (int64_t)u; /* only the four-byte form is signed */
    return weights_pickle_push(p, v);
}

static struct status op_long(struct pickle *p, int length_bytes)
{
    uint64_t n, u = 0;
    const unsigned char *b;
    TRY(weights_pickle_take_le(&n, p, length_bytes));
    TRY(weights_pickle_take(&b, p, n));
    struct pickle_value *v = weights_pickle_new(p, n > 8 ? PICKLE_BIG : PICKLE_INT);
    if (n > 8) {
        v->text.s = (const char *)b;
        v->text.n = n;
        return weights_pickle_push(p, v);
    }
    if (n) u = weights_le(b, (int)n);
    if (n && n < 8 && b[n - 1] & 0x80) u |= ~UINT64_C(0) << 8 * n;
    v->integer = (int64_t)u;
    return weights_pickle_push(p, v);
}

static struct status op_real(struct pickle *p, int arg)
{
    (void)arg;
    const unsigned char *b;
    TRY(weights_pickle_take(&b, p, 8));
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) bits = bits << 8 | b[i]; /* big-endian */
    struct pickle_value *v = weights_pickle_new(p, PICKLE_REAL);
    memcpy(&v->real, &bits, sizeof bits);
    return weights_pickle_push(p, v);
}

static struct status push_text(struct pickle *p, enum pickle_kind kind, int length_bytes)
{
    uint64_t n;
    const unsigned char *b;
    TRY(weights_pickle_take_le(&n, p, length_bytes));
    TRY(weights_pickle_take(&b, p, n));
    struct pickle_value *v = weights_pickle_new(p, kind);
    char *s = arena_alloc(p->arena, n + 1);
    memcpy(s, b, n);
    v->text.s = s;
    v->text.n = n;
    return weights_pickle_push(p, v);
}

static struct status op_string(struct pickle *p, int length_bytes)
{
    return push_text(p, PICKLE_STRING, length_bytes);
}

static struct status op_bytes(struct pickle *p, int length_bytes)
{
    return push_text(p, PICKLE_BYTES, length_bytes);
}

/* A tuple of the count topmost values; -1: down to the mark. */
static struct status op_tuple(struct pickle *p, int count)
{
    struct pickle_value **items, *v = weights_pickle_new(p, PICKLE_TUPLE);
    size_t n = (size_t)count;
    TRY(count < 0 ? weights_pickle_pop_mark(&items, &n, p) : weights_pickle_pop_many(&items, p, n));
    weights_pickle_extend(p, v, items, n);
    return weights_pickle_push(p, v);
}

/* Appends to the list or dict below: one item (two for a dict), or all down to the mark. */
static struct status add_items(struct pickle *p, enum pickle_kind kind, bool many)
{
    struct pickle_value **items, *seq;
    size_t n = kind == PICKLE_DICT ? 2 : 1, each = n;
    TRY(many ? weights_pickle_pop_mark(&items, &n, p) : weights_pickle_pop_many(&items, p, n));
    TRY(weights_pickle_top(&seq, p));
    if (seq->kind == PICKLE_OPAQUE) return ok();
    if (seq->kind != kind || n % each) return weights_pickle_fail(p, "adds items to what cannot take them");
    weights_pickle_extend(p, seq, items, n);
    return ok();
}

static struct status op_append(struct pickle *p, int many)
{
    return add_items(p, PICKLE_LIST, many);
}

static struct status op_set(struct pickle *p, int many)
{
    return add_items(p, PICKLE_DICT, many);
}

static struct status op_from_mark(struct pickle *p, int kind)
{
    struct pickle_value **items, *v = weights_pickle_new(p, (enum pickle_kind)kind);
    size_t n;
    TRY(weights_pickle_pop_mark(&items, &n, p));
    if (kind == PICKLE_DICT && n % 2) return weights_pickle_fail(p, "makes a dict of an odd number of items");
    weights_pickle_extend(p, v, items, n);
    return weights_pickle_push(p, v);
}

static struct status push_global(struct pickle *p, const char *module, const char *name)
{
    struct pickle_value *v = weights_pickle_new(p, PICKLE_GLOBAL);
    v->global = weights_pickle_find_global(module, name);
    if (!v->global)
        return weights_pickle_fail(
            p,
            "wants %.100s.%.100s, which is refused: only tensors, dicts, lists, numbers and strings are "
            "read, no code is run; save its state_dict() alone",
            module, name);
    return weights_pickle_push(p, v);
}

static struct status op_global(struct pickle *p, int arg)
{
    (void)arg;
    const char *module, *name;
    TRY(weights_pickle_take_line(&module, p));
    TRY(weights_pickle_take_line(&name, p));
    return push_global(p, module, name);
}

static struct status op_stack_global(struct pickle *p, int arg)
{
    (void)arg;
    struct pickle_value *name, *module;
    TRY(weights_pickle_pop(&name, p));
    TRY(weights_pickle_pop(&module, p));
    if (name->kind != PICKLE_STRING || module->kind != PICKLE_STRING)
        return weights_pickle_fail(p, "names a global by no string");
    return push_global(p, module->text.s, name->text.s);
}

static struct status op_reduce(struct pickle *p, int arg)
{
    (void)arg;
    struct pickle_value *args, *f, *made;
    TRY(weights_pickle_pop(&args, p));
    TRY(weights_pickle_pop(&f, p));
    if (args->kind != PICKLE_TUPLE || f->kind != PICKLE_GLOBAL)
        return weights_pickle_fail(p, "calls what is no function");
    if (!f->global->call)
        return weights_pickle_fail(p, "calls %s.%s, which is refused", f->global->module, f->global->name);
    TRY(f->global->call(&made, p, args));
    return weights_pickle_push(p, made);
}

/* An object's attributes (a state dict's _metadata): dropped. */
static struct status op_build(struct pickle *p, int arg)
{
    (void)arg;
    struct pickle_value *state, *object;
    TRY(weights_pickle_pop(&state, p));
    TRY(weights_pickle_top(&object, p));
    bool fine = object->kind == PICKLE_DICT || object->kind == PICKLE_TENSOR || object->kind == PICKLE_OPAQUE;
    return fine ? ok() : weights_pickle_fail(p, "sets attributes of what has none");
}

static struct status op_persistent(struct pickle *p, int arg)
{
    (void)arg;
    struct pickle_value *id, *v;
    TRY(weights_pickle_pop(&id, p));
    TRY(weights_pickle_persistent(&v, p, id));
    return weights_pickle_push(p, v);
}

static struct status op_put(struct pickle *p, int bytes)
{
    uint64_t i;
    TRY(weights_pickle_take_le(&i, p, bytes));
    return weights_pickle_memo_put(p, i);
}

static struct status op_memoize(struct pickle *p, int arg)
{
    (void)arg;
    return weights_pickle_memo_put(p, p->n_memo);
}

static struct status op_get(struct pickle *p, int bytes)
{
    uint64_t i;
    TRY(weights_pickle_take_le(&i, p, bytes));
    if (i >= p->cap_memo || !p->memo[i])
        return weights_pickle_fail(p, "recalls value %llu, never remembered", (unsigned long long)i);
    return weights_pickle_push(p, p->memo[i]);
}

/* clang-format off */
static const struct {
    struct status (*run)(struct pickle *p, int arg);
    int arg;
} ops[256] = {
    [0x80] = {op_skip, 1},                [0x95] = {op_skip, 8}, /* protocol, frame */
    ['('] = {op_mark, 0},                 ['0'] = {op_pop, 0},
    ['1'] = {op_pop_mark, 0},             ['2'] = {op_dup, 0},
    ['N'] = {op_empty, PICKLE_NONE},      [0x88] = {op_bool, 1},
    [0x89] = {op_bool, 0},                ['J'] = {op_int, 4},
    ['K'] = {op_int, 1},                  ['M'] = {op_int, 2},
    [0x8a] = {op_long, 1},                [0x8b] = {op_long, 4},
    ['G'] = {op_real, 0},                 ['T'] = {op_string, 4},
    ['U'] = {op_string, 1},               ['X'] = {op_string, 4},
    [0x8c] = {op_string, 1},              [0x8d] = {op_string, 8},
    ['B'] = {op_bytes, 4},                ['C'] = {op_bytes, 1},
    [0x8e] = {op_bytes, 8},               [']'] = {op_empty, PICKLE_LIST},
    ['a'] = {op_append, 0},               ['e'] = {op_append, 1},
    ['l'] = {op_from_mark, PICKLE_LIST},  [')'] = {op_empty, PICKLE_TUPLE},
    ['t'] = {op_tuple, -1},               [0x85] = {op_tuple, 1},
    [0x86] = {op_tuple, 2},               [0x87] = {op_tuple, 3},
    ['}'] = {op_empty, PICKLE_DICT},      ['d'] = {op_from_mark, PICKLE_DICT},
    ['s'] = {op_set, 0},                  ['u'] = {op_set, 1},
    [0x8f] = {op_empty, PICKLE_LIST},     [0x90] = {op_append, 1}, /* sets: nobody asks for an element */
    [0x91] = {op_from_mark, PICKLE_LIST}, ['c'] = {op_global, 0},
    [0x93] = {op_stack_global, 0},        ['R'] = {op_reduce, 0},
    ['b'] = {op_build, 0},                ['Q'] = {op_persistent, 0},
    ['q'] = {op_put, 1},                  ['r'] = {op_put, 4},
    [0x94] = {op_memoize, 0},             ['h'] = {op_get, 1},
    ['j'] = {op_get, 4},
};
/* clang-format on */

static struct status refuse_op(const struct pickle *p, unsigned char op)
{
    static const char *const names[256] = {
        [0x81] = "NEWOBJ, which makes an object of a class", [0x92] = "NEWOBJ_EX, which makes an object of a class",
        ['i'] = "INST, which makes an object of a class",    ['o'] = "OBJ, which makes an object of a class",
        ['P'] = "PERSID, a persistent id as text",           [0x82] = "EXT1, a registered extension",
    };
    if (names[op]) return weights_pickle_fail(p, "opcode %s, is refused; save the state_dict() alone", names[op]);
    return weights_pickle_fail(p, "opcode 0x%02x is not one of protocols 2 to 4", op);
}

struct status weights_pickle_load(struct pickle_value **out, struct pickle *p)
{
    if (!p->stack) p->stack = mem_alloc((p->cap_stack = 256) * sizeof *p->stack);
    p->n_stack = p->n_marks = p->n_memo = 0;
    if (p->cap_memo) memset(p->memo, 0, p->cap_memo * sizeof *p->memo);
    for (;;) {
        const unsigned char *op;
        TRY(weights_pickle_take(&op, p, 1));
        if (*op == '.') return weights_pickle_pop(out, p);
        if (!ops[*op].run) return refuse_op(p, *op);
        TRY(ops[*op].run(p, ops[*op].arg));
    }
}
