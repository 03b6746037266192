/* Weights files made from our own nets, and commands that must refuse one. */
#ifndef TESTS_CLI_STORED_H
#define TESTS_CLI_STORED_H

#include "answer.h"
#include "weights.h"
#include "zoo.h"

/* Every stored parameter of a net, filled with a pattern. Owner: all in @p a. */
static inline struct weights_array *arrays_of(size_t *n, struct arena *a, const struct net *net)
{
    struct weights_array *v = arena_alloc(a, (size_t)(net->n_params + 2) * sizeof *v);
    *n = 0;
    for (int i = 0; i < net->n_params; i++) {
        const struct net_param *p = &net->params[i];
        size_t numel = (size_t)net_numel(p->shape);
        if (p->kind == NET_CONST) continue;
        struct weights_array *x = &v[(*n)++];
        *x = (struct weights_array){.name = arena_strdup(a, p->name),
                                    .dtype = p->kind == NET_COUNT ? WEIGHTS_I64 : WEIGHTS_F32,
                                    .rank = p->shape.rank};
        memcpy(x->shape, p->shape.d, sizeof p->shape.d);
        x->bytes = numel * weights_dtype_size(x->dtype);
        float *data = arena_alloc(a, x->bytes + 1);
        for (size_t k = 0; k < numel && p->kind != NET_COUNT; k++) data[k] = (float)((k + 31 * *n) % 97) / 97;
        x->data = data;
    }
    return v;
}

static inline struct weights_array *encoder_arrays(size_t *n, struct arena *a, const char *backbone)
{
    struct net *net;
    TEST_OK(zoo_encoder(&net, backbone));
    struct weights_array *v = arrays_of(n, a, net);
    net_free(net);
    return v;
}

static inline void save(const char *dir, const char *file, const struct weights_array *v, size_t n)
{
    struct arena a = {0};
    const char *path = fs_join(&a, dir, file);
    if (strstr(file, ".pth") || strstr(file, ".ckpt"))
        TEST_OK(weights_save_pth(path, v, n));
    else
        TEST_OK(weights_save(path, v, n, NULL));
    arena_free(&a);
}

static const float zeros[4] = {0};

static inline struct weights_array extra(const char *name)
{
    return (struct weights_array){
        .name = name, .dtype = WEIGHTS_F32, .rank = 1, .shape = {4}, .data = zeros, .bytes = sizeof zeros};
}

static inline void check_refused(const char *dir, const char *args, const char *says, const char *more)
{
    struct answer a = sweep_in(dir, args);
    bool right = a.code == 2 && strstr(a.err, says) && (!more || strstr(a.err, more));
    if (!right) fprintf(stderr, "sweep %s: %d\n%s\n%s\n", args, a.code, a.out, a.err);
    CU_ASSERT_TRUE(right);
    CU_ASSERT_STRING_EQUAL(a.out, ""); /* stdout is data */
    answer_free(&a);
}

#endif
