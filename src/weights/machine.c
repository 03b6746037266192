/* What the opcodes of a pickle work on: the bytes, the stack and its marks, the memo. */
#include "inside.h"

/* A mapping is filled name by name: the text before what is made now, which starts with the function that makes it. */
const char *weights_pickle_name(const struct pickle *p)
{
    size_t i = p->n_stack;
    const char *name = NULL;
    while (i > 0 && p->stack[i - 1]->kind != PICKLE_DICT) i--;
    for (; i > 0 && i < p->n_stack && p->stack[i]->kind != PICKLE_GLOBAL; i++)
        if (p->stack[i]->kind == PICKLE_STRING) name = p->stack[i]->text.s;
    return name;
}

struct status weights_pickle_fail(const struct pickle *p, const char *fmt, ...)
{
    struct status s = {.code = STATUS_ARG};
    const char *name = weights_pickle_name(p);
    int n = snprintf(s.msg, sizeof s.msg, "%s: pickle, byte %zu: %s%.60s%s", p->b.where, p->at, name ? "tensor " : "",
                     name ? name : "", name ? ": " : "");
    if (n < 0 || (size_t)n >= sizeof s.msg) return s;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s.msg + n, sizeof s.msg - (size_t)n, fmt, ap);
    va_end(ap);
    return s;
}

struct pickle_value *weights_pickle_new(struct pickle *p, enum pickle_kind kind)
{
    struct pickle_value *v = arena_alloc(p->arena, sizeof *v);
    v->kind = kind;
    return v;
}

void weights_pickle_free(struct pickle *p)
{
    free(p->stack);
    free(p->memo);
    free(p->marks);
    free(p->by_key);
    p->by_key = NULL;
    p->cap_by_key = 0;
    p->stack = p->memo = NULL;
    p->marks = NULL;
}

/* ---- bytes in, stack ------------------------------------------------------------------------------------------- */

struct status weights_pickle_take(const unsigned char **out, struct pickle *p, size_t n)
{
    *out = NULL;
    if (n > p->b.n - p->at) return weights_pickle_fail(p, "ends in the middle; is the file cut off?");
    *out = p->b.p + p->at;
    p->at += n;
    return ok();
}

struct status weights_pickle_take_le(uint64_t *out, struct pickle *p, int bytes)
{
    const unsigned char *b;
    TRY(weights_pickle_take(&b, p, (size_t)bytes));
    *out = weights_le(b, bytes);
    return ok();
}

/* Up to a newline, which is taken too. */
struct status weights_pickle_take_line(const char **out, struct pickle *p)
{
    const unsigned char *b = p->b.p + p->at, *end = memchr(b, '\n', p->b.n - p->at);
    if (!end) return weights_pickle_fail(p, "ends in the middle of a name; is the file cut off?");
    size_t n = (size_t)(end - b);
    char *s = arena_alloc(p->arena, n + 1);
    memcpy(s, b, n);
    p->at += n + 1;
    *out = s;
    return ok();
}

struct status weights_pickle_push(struct pickle *p, struct pickle_value *v)
{
    if (p->n_stack == p->cap_stack) {
        p->cap_stack *= 2;
        p->stack = mem_realloc(p->stack, p->cap_stack * sizeof *p->stack);
    }
    p->stack[p->n_stack++] = v;
    return ok();
}

/* The part of the stack above the last mark is what may be popped. */
static size_t floor_of(const struct pickle *p)
{
    return p->n_marks ? p->marks[p->n_marks - 1] : 0;
}

struct status weights_pickle_pop(struct pickle_value **out, struct pickle *p)
{
    *out = NULL;
    if (p->n_stack <= floor_of(p)) return weights_pickle_fail(p, "takes a value that is not there");
    *out = p->stack[--p->n_stack];
    return ok();
}

struct status weights_pickle_top(struct pickle_value **out, struct pickle *p)
{
    TRY(weights_pickle_pop(out, p));
    p->n_stack++;
    return ok();
}

struct status weights_pickle_pop_mark(struct pickle_value ***items, size_t *n, struct pickle *p)
{
    *items = NULL;
    *n = 0;
    if (!p->n_marks) return weights_pickle_fail(p, "takes a mark that is not there");
    size_t floor = p->marks[--p->n_marks];
    *items = p->stack + floor;
    *n = p->n_stack - floor;
    p->n_stack = floor;
    return ok();
}

/* The topmost @p n values, in the order they were pushed; valid until the next push. */
struct status weights_pickle_pop_many(struct pickle_value ***items, struct pickle *p, size_t n)
{
    *items = NULL;
    if (p->n_stack - floor_of(p) < n) return weights_pickle_fail(p, "takes a value that is not there");
    p->n_stack -= n;
    *items = p->stack + p->n_stack;
    return ok();
}

void weights_pickle_extend(struct pickle *p, struct pickle_value *seq, struct pickle_value *const *items, size_t n)
{
    if (seq->seq.n + n > seq->seq.cap) {
        size_t cap = 2 * seq->seq.cap;
        if (cap < seq->seq.n + n) cap = seq->seq.n + n;
        struct pickle_value **v = arena_alloc(p->arena, cap * sizeof *v);
        if (seq->seq.n) memcpy(v, seq->seq.v, seq->seq.n * sizeof *v);
        seq->seq.v = v;
        seq->seq.cap = cap;
    }
    if (n) memcpy(seq->seq.v + seq->seq.n, items, n * sizeof *items);
    seq->seq.n += n;
}

struct status weights_pickle_memo_put(struct pickle *p, uint64_t i)
{
    struct pickle_value *v;
    TRY(weights_pickle_top(&v, p));
    if (i >= p->b.n) return weights_pickle_fail(p, "remembers value number %llu", (unsigned long long)i);
    if (i >= p->cap_memo) {
        size_t cap = 2 * p->cap_memo > i + 1 ? 2 * p->cap_memo : i + 256;
        p->memo = mem_realloc(p->memo, cap * sizeof *p->memo);
        memset(p->memo + p->cap_memo, 0, (cap - p->cap_memo) * sizeof *p->memo);
        p->cap_memo = cap;
    }
    p->n_memo += !p->memo[i];
    p->memo[i] = v;
    return ok();
}
