/*
 * Inception-v4 and Inception-ResNet-v2. Each module is a row of branches that are concatenated. Every convolution and
 * max pool is padded so that sizes halve exactly, unlike in the papers, for skips have to fit.
 */
#include "backbones.h"

struct step {
    int out, kh, kw, stride; /* out 0: end of the branch */
};
enum pool { NO_POOL, AVG_FIRST, MAX_ONLY };
struct branch {
    struct step steps[6];
    enum pool pool;
};

static net_val conv(struct zoo_enc *e, const char *scope, net_val x, struct step s)
{
    struct net_conv o = {.kh = s.kh, .kw = s.kw, .stride = s.stride, .ph = s.kh / 2, .pw = s.kw / 2};
    net_enter(e->n, "%s", scope);
    x = zoo_cba(e, "conv", "bn", x, s.out, o);
    net_leave(e->n);
    return x;
}

static net_val max_pool(struct zoo_enc *e, net_val x)
{
    return net_max_pool(e->n, x, (struct net_pool){.k = 3, .stride = 2, .pad = 1});
}

static net_val run_branch(struct zoo_enc *e, const char *scope, net_val x, const struct branch *b)
{
    if (b->pool == MAX_ONLY) return max_pool(e, x);
    int at = b->pool == AVG_FIRST;
    if (at) x = net_avg_pool(e->n, x, (struct net_pool){.k = 3, .stride = 1, .pad = 1});
    bool flat = !at && !b->steps[1].out; /* a lone convolution has no index in its name */
    for (int i = 0; b->steps[i].out; i++)
        x = conv(e, flat ? scope : zoo_name("%s.%d", scope, at + i).s, x, b->steps[i]);
    return x;
}

static net_val module(struct zoo_enc *e, const char *scope, net_val x, const struct branch *b, int n_branches)
{
    net_val part[4];
    net_enter(e->n, "%s", scope);
    for (int i = 0; i < n_branches; i++) part[i] = run_branch(e, zoo_name("branch%d", i).s, x, &b[i]);
    net_leave(e->n);
    return net_concat(e->n, part, n_branches);
}
#define MODULE(e, scope, x, table) module(e, scope, x, table, LEN(table))

/* clang-format off */
static const struct branch v4_mixed_4a[] = {
    {.steps = {{64, 1, 1, 1}, {96, 3, 3, 1}}},
    {.steps = {{64, 1, 1, 1}, {64, 1, 7, 1}, {64, 7, 1, 1}, {96, 3, 3, 1}}},
};
static const struct branch v4_a[] = {
    {.steps = {{96, 1, 1, 1}}},
    {.steps = {{64, 1, 1, 1}, {96, 3, 3, 1}}},
    {.steps = {{64, 1, 1, 1}, {96, 3, 3, 1}, {96, 3, 3, 1}}},
    {.steps = {{96, 1, 1, 1}}, .pool = AVG_FIRST},
};
static const struct branch v4_reduce_a[] = {
    {.steps = {{384, 3, 3, 2}}},
    {.steps = {{192, 1, 1, 1}, {224, 3, 3, 1}, {256, 3, 3, 2}}},
    {.pool = MAX_ONLY},
};
static const struct branch v4_b[] = {
    {.steps = {{384, 1, 1, 1}}},
    {.steps = {{192, 1, 1, 1}, {224, 1, 7, 1}, {256, 7, 1, 1}}},
    {.steps = {{192, 1, 1, 1}, {192, 7, 1, 1}, {224, 1, 7, 1}, {224, 7, 1, 1}, {256, 1, 7, 1}}},
    {.steps = {{128, 1, 1, 1}}, .pool = AVG_FIRST},
};
static const struct branch v4_reduce_b[] = {
    {.steps = {{192, 1, 1, 1}, {192, 3, 3, 2}}},
    {.steps = {{256, 1, 1, 1}, {256, 1, 7, 1}, {320, 7, 1, 1}, {320, 3, 3, 2}}},
    {.pool = MAX_ONLY},
};
static const struct branch v4_c_pooled = {.steps = {{256, 1, 1, 1}}, .pool = AVG_FIRST};

static const struct branch res_5b[] = {
    {.steps = {{96, 1, 1, 1}}},
    {.steps = {{48, 1, 1, 1}, {64, 5, 5, 1}}},
    {.steps = {{64, 1, 1, 1}, {96, 3, 3, 1}, {96, 3, 3, 1}}},
    {.steps = {{64, 1, 1, 1}}, .pool = AVG_FIRST},
};
static const struct branch res_35[] = {
    {.steps = {{32, 1, 1, 1}}},
    {.steps = {{32, 1, 1, 1}, {32, 3, 3, 1}}},
    {.steps = {{32, 1, 1, 1}, {48, 3, 3, 1}, {64, 3, 3, 1}}},
};
static const struct branch res_6a[] = {
    {.steps = {{384, 3, 3, 2}}},
    {.steps = {{256, 1, 1, 1}, {256, 3, 3, 1}, {384, 3, 3, 2}}},
    {.pool = MAX_ONLY},
};
static const struct branch res_17[] = {
    {.steps = {{192, 1, 1, 1}}},
    {.steps = {{128, 1, 1, 1}, {160, 1, 7, 1}, {192, 7, 1, 1}}},
};
static const struct branch res_7a[] = {
    {.steps = {{256, 1, 1, 1}, {384, 3, 3, 2}}},
    {.steps = {{256, 1, 1, 1}, {288, 3, 3, 2}}},
    {.steps = {{256, 1, 1, 1}, {288, 3, 3, 1}, {320, 3, 3, 2}}},
    {.pool = MAX_ONLY},
};
static const struct branch res_8[] = {
    {.steps = {{192, 1, 1, 1}}},
    {.steps = {{192, 1, 1, 1}, {224, 1, 3, 1}, {256, 3, 1, 1}}},
};
/* clang-format on */

/* The deepest module of v4 forks inside its branches. */
static net_val v4_c(struct zoo_enc *e, const char *scope, net_val x)
{
    struct step wide = {256, 1, 3, 1}, tall = {256, 3, 1, 1};
    net_val part[6];
    net_enter(e->n, "%s", scope);
    part[0] = conv(e, "branch0", x, (struct step){256, 1, 1, 1});
    net_val a = conv(e, "branch1_0", x, (struct step){384, 1, 1, 1});
    part[1] = conv(e, "branch1_1a", a, wide);
    part[2] = conv(e, "branch1_1b", a, tall);
    net_val b = conv(e, "branch2_0", x, (struct step){384, 1, 1, 1});
    b = conv(e, "branch2_1", b, (struct step){448, 3, 1, 1});
    b = conv(e, "branch2_2", b, (struct step){512, 1, 3, 1});
    part[3] = conv(e, "branch2_3a", b, wide);
    part[4] = conv(e, "branch2_3b", b, tall);
    part[5] = run_branch(e, "branch3", x, &v4_c_pooled);
    net_leave(e->n);
    return net_concat(e->n, part, 6);
}

static net_val v4_repeat(struct zoo_enc *e, int *at, net_val x, const struct branch *b, int n_branches, int times)
{
    for (int i = 0; i < times; i++) x = module(e, zoo_name("%d", (*at)++).s, x, b, n_branches);
    return x;
}

static void build_v4(struct zoo_enc *e, net_val x)
{
    net_enter(e->n, "features");
    x = conv(e, "0", x, (struct step){32, 3, 3, 2});
    x = conv(e, "1", x, (struct step){32, 3, 3, 1});
    x = conv(e, "2", x, (struct step){64, 3, 3, 1});
    zoo_tap(e, x);
    x = net_concat(e->n, (net_val[]){max_pool(e, x), conv(e, "3.conv", x, (struct step){96, 3, 3, 2})}, 2);
    x = MODULE(e, "4", x, v4_mixed_4a);
    zoo_tap(e, x);
    x = net_concat(e->n, (net_val[]){conv(e, "5.conv", x, (struct step){192, 3, 3, 2}), max_pool(e, x)}, 2);
    int at = 6;
    x = v4_repeat(e, &at, x, v4_a, LEN(v4_a), 3);
    zoo_tap(e, x); /* the reference cuts before the fourth */
    x = v4_repeat(e, &at, x, v4_a, LEN(v4_a), 1);
    x = v4_repeat(e, &at, x, v4_reduce_a, LEN(v4_reduce_a), 1);
    x = v4_repeat(e, &at, x, v4_b, LEN(v4_b), 4);
    zoo_tap(e, x); /* and before the fifth of seven */
    x = v4_repeat(e, &at, x, v4_b, LEN(v4_b), 3);
    x = v4_repeat(e, &at, x, v4_reduce_b, LEN(v4_reduce_b), 1);
    for (int i = 0; i < 3; i++) x = v4_c(e, zoo_name("%d", at++).s, x);
    net_leave(e->n);
    zoo_tap(e, x);
}

/* Branches, a widening 1x1 with bias, scaled, added to the input. */
static net_val residual(struct zoo_enc *e, const char *scope, net_val x, const struct branch *b, int n_branches,
                        double scale)
{
    net_val y = module(e, scope, x, b, n_branches);
    net_enter(e->n, "%s", scope);
    y = zoo_conv(e, "conv2d", y, net_c(e->n, x), (struct net_conv){.k = 1, .bias = true});
    net_leave(e->n);
    return net_add(e->n, scale == 1.0 ? y : net_affine(e->n, y, scale, 0), x);
}

static net_val res_repeat(struct zoo_enc *e, const char *scope, net_val x, const struct branch *b, int n_branches,
                          int times, double scale)
{
    for (int i = 0; i < times; i++)
        x = net_relu(e->n, residual(e, zoo_name("%s.%d", scope, i).s, x, b, n_branches, scale));
    return x;
}

static void build_resnet(struct zoo_enc *e, net_val x)
{
    x = conv(e, "conv2d_1a", x, (struct step){32, 3, 3, 2});
    x = conv(e, "conv2d_2a", x, (struct step){32, 3, 3, 1});
    x = conv(e, "conv2d_2b", x, (struct step){64, 3, 3, 1});
    zoo_tap(e, x);
    x = conv(e, "conv2d_3b", max_pool(e, x), (struct step){80, 1, 1, 1});
    x = conv(e, "conv2d_4a", x, (struct step){192, 3, 3, 1});
    zoo_tap(e, x);
    x = MODULE(e, "mixed_5b", max_pool(e, x), res_5b);
    x = res_repeat(e, "repeat", x, res_35, LEN(res_35), 10, 0.17);
    zoo_tap(e, x);
    x = MODULE(e, "mixed_6a", x, res_6a);
    x = res_repeat(e, "repeat_1", x, res_17, LEN(res_17), 20, 0.10);
    zoo_tap(e, x);
    x = MODULE(e, "mixed_7a", x, res_7a);
    x = res_repeat(e, "repeat_2", x, res_8, LEN(res_8), 9, 0.20);
    x = residual(e, "block8", x, res_8, LEN(res_8), 1.0);
    zoo_tap(e, conv(e, "conv2d_7b", x, (struct step){1536, 1, 1, 1}));
}

static const struct zoo_backbone v4_rows[] = {{.name = "inceptionv4"}};
static const struct zoo_backbone resnet_rows[] = {{.name = "inceptionresnetv2"}};

const struct zoo_family zoo_inceptionv4 = {
    .name = "inceptionv4",
    .source = "arXiv:1602.07261; Cadene pretrainedmodels",
    .build = build_v4,
    .rows = v4_rows,
    .n_rows = LEN(v4_rows),
    .heads = {"last_linear."},
    .runs_past = 1,
    .no_dilation = "max pools between its stages",
    .eps = 1e-3,
    .mean = {0.5f, 0.5f, 0.5f},
    .std = {0.5f, 0.5f, 0.5f},
};

const struct zoo_family zoo_inceptionresnetv2 = {
    .name = "inceptionresnetv2",
    .source = "arXiv:1602.07261; Cadene pretrainedmodels",
    .build = build_resnet,
    .rows = resnet_rows,
    .n_rows = LEN(resnet_rows),
    .heads = {"last_linear."},
    .no_dilation = "max pools between its stages",
    .eps = 1e-3,
    .mean = {0.5f, 0.5f, 0.5f},
    .std = {0.5f, 0.5f, 0.5f},
};
