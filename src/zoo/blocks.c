/* The parts that families share. */
#include "backbones.h"

struct zoo_stage zoo_next_level(struct zoo_enc *e)
{
    int rate = (1 << ++e->level) / e->output_stride;
    e->rate = 1;
    if (rate <= 1) return (struct zoo_stage){.stride = 2, .first_dil = 1, .dil = 1};
    if (e->family->dilation == ZOO_DILATE_TIMM)
        return (struct zoo_stage){.stride = 1, .first_dil = rate / 2, .dil = rate};
    e->rate = rate;
    return (struct zoo_stage){.stride = 2, .first_dil = 1, .dil = 1};
}

void zoo_tap(struct zoo_enc *e, net_val x)
{
    if (e->f.n <= e->depth) e->f.tap[e->f.n++] = x;
}

bool zoo_done(const struct zoo_enc *e)
{
    return e->family->prunes && e->f.n > e->depth;
}

net_val zoo_conv(struct zoo_enc *e, const char *name, net_val x, int out, struct net_conv o)
{
    if (e->rate > 1) {
        int kh = o.kh ? o.kh : o.k;
        struct net_conv dilated = {.k = o.k, .kh = o.kh, .kw = o.kw, .groups = o.groups, .bias = o.bias};
        dilated.dil = e->rate;
        dilated.pad = kh / 2 * e->rate;
        o = dilated;
    }
    /* The reference replaces an RGB stem by a fresh layer for other inputs; timm's builders know them from the start.
     */
    bool replaced = x == e->input && net_c(e->n, x) != 3 && !e->family->prunes;
    enum net_init_rule rule = NET_INIT_DEFAULT;
    if (replaced) rule = net_init_rule(e->n, NET_INIT_DEFAULT);
    net_val y = net_conv2d(e->n, name, x, out, o);
    if (replaced) net_init_rule(e->n, rule);
    return y;
}

net_val zoo_bn(struct zoo_enc *e, const char *name, net_val x)
{
    return net_batch_norm(e->n, name, x, (struct net_norm){.eps = e->family->eps, .momentum = e->family->momentum});
}

net_val zoo_bn_zero(struct zoo_enc *e, const char *name, net_val x)
{
    struct net_norm o = {.eps = e->family->eps, .momentum = e->family->momentum, .zero = true};
    return net_batch_norm(e->n, name, x, o);
}

net_val zoo_cb(struct zoo_enc *e, const char *conv, const char *bn, net_val x, int out, struct net_conv o)
{
    return zoo_bn(e, bn, zoo_conv(e, conv, x, out, o));
}

net_val zoo_cba(struct zoo_enc *e, const char *conv, const char *bn, net_val x, int out, struct net_conv o)
{
    return e->act(e->n, zoo_cb(e, conv, bn, x, out, o));
}

net_val zoo_squeeze_excite(struct zoo_enc *e, net_val x, struct zoo_se o)
{
    struct net *n = e->n;
    net_val g = net_adaptive_avg_pool(n, x, 1, 1);
    g = zoo_conv(e, o.reduce, g, o.width, (struct net_conv){.k = 1, .bias = true});
    g = o.act ? o.act(n, g) : net_relu(n, g);
    g = zoo_conv(e, o.expand, g, net_c(n, x), (struct net_conv){.k = 1, .bias = true});
    g = o.gate ? o.gate(n, g) : net_sigmoid(n, g);
    return net_mul(n, x, g);
}

net_val zoo_mbconv(struct zoo_enc *e, net_val x, struct zoo_mbconv o)
{
    struct net *n = e->n;
    bool separable = !o.expand;
    int mid = separable ? net_c(n, x) : o.expand, dil = o.dil ? o.dil : 1;
    struct net_conv point = {.k = 1};
    struct net_conv depth = {.k = o.k, .stride = o.stride, .dil = dil, .groups = mid, .same = o.same};
    if (!o.same) depth.pad = o.k / 2 * dil;

    net_val y = x;
    if (!separable) y = zoo_cba(e, "conv_pw", "bn1", y, mid, point);
    y = zoo_cba(e, "conv_dw", separable ? "bn1" : "bn2", y, mid, depth);
    if (o.se) {
        net_enter(n, "se");
        y = zoo_squeeze_excite(e, y, (struct zoo_se){"conv_reduce", "conv_expand", o.se, o.se_act, o.se_gate});
        net_leave(n);
    }
    y = zoo_cb(e, separable ? "conv_pw" : "conv_pwl", separable ? "bn2" : "bn3", y, o.out, point);
    if (o.plain) return e->act(n, y);
    if (o.stride > 1 || net_c(n, x) != o.out) return y;
    return net_add(n, o.drop_path > 0 ? net_drop_path(n, y, o.drop_path) : y, x);
}

net_val zoo_resnet_stem(struct zoo_enc *e, net_val x)
{
    x = zoo_cba(e, "conv1", "bn1", x, 64, (struct net_conv){.k = 7, .stride = 2, .pad = 3});
    zoo_tap(e, x);
    return net_max_pool(e->n, x, (struct net_pool){.k = 3, .stride = 2, .pad = 1});
}

net_val zoo_shortcut(struct zoo_enc *e, net_val x, int out, int stride)
{
    if (stride == 1 && net_c(e->n, x) == out) return x;
    return zoo_cb(e, "downsample.0", "downsample.1", x, out, (struct net_conv){.k = 1, .stride = stride});
}

void zoo_layers(struct zoo_enc *e, net_val x, const int layers[4],
                net_val (*block)(struct zoo_enc *, net_val, struct zoo_step))
{
    for (int l = 0; l < 4 && !zoo_done(e); l++) {
        struct zoo_stage at = zoo_next_level(e);
        for (int b = 0; b < layers[l]; b++) {
            struct zoo_step step = {
                .planes = 64 << l, .stride = 1, .dil = at.dil, .stage_dil = at.dil, .first = b == 0};
            if (b == 0) {
                step.stride = l > 0 ? at.stride : 1; /* the first layer follows a pool */
                step.dil = at.first_dil;
            }
            net_enter(e->n, "layer%d.%d", l + 1, b);
            x = block(e, x, step);
            net_leave(e->n);
        }
        zoo_tap(e, x);
    }
}

int zoo_round_channels(double v, int divisor)
{
    int r = (int)(v + divisor / 2.0) / divisor * divisor;
    if (r < divisor) r = divisor;
    return r < 0.9 * v ? r + divisor : r;
}

struct zoo_name zoo_name(const char *fmt, ...)
{
    struct zoo_name r;
    va_list a;
    va_start(a, fmt);
    int len = vsnprintf(r.s, sizeof r.s, fmt, a);
    va_end(a);
    CHECK(len > 0 && (size_t)len < sizeof r.s, "name too long: %s", r.s);
    return r;
}
