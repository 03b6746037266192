/* The weighted perceptual loss. The loss network appears twice in the net, on pred and on target, and shares its
 * parameters by name. */
#include "loss.h"
#include "zoo.h"
#include <math.h>

/** First tap that is computed: 1 where tap 0 is the input itself. Found on a throw-away net, since rows are private. */
static struct status first_block(int *out, const char *network)
{
    struct net *n = net_new();
    net_val x = net_input(n, "x", 3, 64, 64);
    struct zoo_features f = zoo_encode(n, network, x, 1, 32);
    *out = f.plain_tap0 ? 1 : 0;
    net_output(n, "y", net_failed(n) ? NET_NONE : f.tap[f.n - 1]);
    struct status s = net_finish(n);
    net_free(n);
    return status_at(s, "loss.network");
}

static struct status check_weights(const char *network, const char *key, int n, int most)
{
    if (n <= most) return ok();
    return fail(STATUS_ARG, "loss.%s: got %d weights, %s has %d blocks", key, n, network, most);
}

static double weight_at(const double *w, int n, int k)
{
    return k < n ? w[k] : 0;
}

/** Bilinear, so that the shorter side is @p size and the aspect is kept. */
static net_val resized(struct net *n, net_val x, const struct loss_options *o)
{
    int shorter = o->height < o->width ? o->height : o->width;
    if (o->size == 0 || o->size == shorter) return x;
    double f = (double)o->size / shorter;
    return net_upsample_bilinear(n, x, (int)lround(o->height * f), (int)lround(o->width * f), false);
}

/** Adds weight * term to the total and shows it under @p name. */
static void add_term(struct net *n, net_val *total, const char *name, net_val term, double weight)
{
    net_val t = net_affine(n, term, weight, 0);
    net_output(n, name, t);
    *total = *total == NET_NONE ? t : net_add(n, *total, t);
}

static void add_blocks(struct net *n, net_val *total, const struct loss_options *o, const struct zoo_features *p,
                       const struct zoo_features *t, int first)
{
    for (int tap = first; tap < p->n; tap++) {
        int k = tap - first;
        double wf = weight_at(o->feature_weights, o->n_feature, k);
        double wg = weight_at(o->gram_weights, o->n_gram, k);
        net_val a = p->tap[tap], b = t->tap[tap];
        if (wf != 0) add_term(n, total, arena_printf(&n->arena, "feature.%d", k), net_l1(n, a, b), wf);
        if (wg != 0) {
            net_val g = net_l1(n, net_gram(n, a), net_gram(n, b));
            add_term(n, total, arena_printf(&n->arena, "gram.%d", k), g, wg * wg * o->gram_scale);
        }
    }
}

struct status loss_build(struct net **out, const struct loss_options *o)
{
    const char *network = o->network ? o->network : "vgg16";
    int first, deepest = -1;
    TRY(first_block(&first, network));
    int most = ZOO_MAX_TAPS - first;
    TRY(check_weights(network, "feature_weights", o->n_feature, most));
    TRY(check_weights(network, "gram_weights", o->n_gram, most));
    for (int k = 0; k < most; k++) {
        bool used =
            weight_at(o->feature_weights, o->n_feature, k) != 0 || weight_at(o->gram_weights, o->n_gram, k) != 0;
        if (used) deepest = k;
    }

    struct net *n = net_new();
    net_val pred = net_input(n, "pred", 3, o->height, o->width);
    net_val target = net_input(n, "target", 3, o->height, o->width);
    net_val total = NET_NONE;
    add_term(n, &total, "pixel", net_l1(n, pred, target), o->pixel_weight);
    if (deepest >= 0) {
        if (o->pixel_weight == 0) total = NET_NONE; /* reported, but nothing flows through it */
        int depth = deepest + first > 0 ? deepest + first : 1;
        net_val a = resized(n, pred, o), b = resized(n, target, o);
        struct zoo_features p = zoo_encode(n, network, a, depth, 32);
        struct zoo_features t = zoo_encode(n, network, b, depth, 32);
        if (!net_failed(n)) add_blocks(n, &total, o, &p, &t, first);
    }
    net_output(n, "total", total);
    struct status s = net_finish(n);
    if (s.code == STATUS_OK) {
        *out = n;
        return s;
    }
    net_free(n);
    if (s.code == STATUS_REFUSED) s.code = STATUS_ARG; /* the cell is fine; the configured loss is not */
    return status_at(s, "loss.network: %s at %d x %d pixels", network, o->height, o->width);
}
