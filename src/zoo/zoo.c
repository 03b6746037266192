/* Fitting a decoder to a backbone, and building the two with a head. */
#include "registry.h"

enum { MIN_SIDE = 32 };

/* ---- options ---------------------------------------------------------------------------------------------------- */

static const struct activation {
    const char *name;
    bool keeps_zero; /* a residual head that starts at zero stays the identity */
} activations[] = {
    {"identity", true}, {"tanh", true}, {"clamp", true}, {"sigmoid", false}, {"softmax", false}, {"logsoftmax", false},
};

static const struct activation *activation_find(const char *name)
{
    for (size_t i = 0; i < LEN(activations); i++)
        if (strcmp(activations[i].name, name) == 0) return &activations[i];
    return NULL;
}

static struct status range(const char *key, int got, int lo, int hi)
{
    if (got >= lo && got <= hi) return ok();
    return fail(STATUS_ARG, "%s: got %d, expected %d to %d", key, got, lo, hi);
}

/* An option that this decoder does not have makes the cell impossible; a value it does not know is the user's error. */
static struct status word(const char *arch, const char *key, const char *got, bool has, const char *a, const char *b)
{
    if (!got) return ok();
    if (!has) return fail(STATUS_REFUSED, "%s: %s has no such option (got \"%s\"); leave it out", key, arch, got);
    if (strcmp(got, a) == 0 || strcmp(got, b) == 0) return ok();
    return fail(STATUS_ARG, "%s: got \"%s\", expected %s%s%s", key, got, a, *b ? " or " : "", b);
}

static struct status check_widths(const struct zoo_decoder *d, struct zoo_model *m)
{
    int want = d->n_channels == 5 ? m->depth : d->n_channels, n = 0;
    while (n < 5 && m->channels[n]) n++;
    for (int i = n; i < 5; i++)
        if (m->channels[i]) return fail(STATUS_ARG, "model.channels[%d]: got 0, expected a positive width", n);
    if (n == 0) {
        memcpy(m->channels, d->channels, sizeof m->channels);
        return ok();
    }
    if (n != want)
        return fail(STATUS_ARG, "model.channels: %s at depth %d takes %d width%s, got %d", d->name, m->depth, want,
                    want > 1 ? "s" : "", n);
    for (int i = 0; i < n; i++) TRY(range("model.channels", m->channels[i], 1, 4096));
    if (d->channels_step && m->channels[n - 1] % d->channels_step)
        return fail(STATUS_ARG,
                    "model.channels: the last width of %s is normalised in groups of %d: got %d, expected a multiple",
                    d->name, d->channels_step, m->channels[n - 1]);
    for (int i = 0; i < n && m->attention; i++)
        if (m->channels[i] < 16)
            return fail(STATUS_ARG, "model.channels: scse attention divides widths by 16: got %d, expected 16 or more",
                        m->channels[i]);
    return ok();
}

static struct status check_head(const struct zoo_model *m)
{
    if (m->activation) {
        const struct activation *a = activation_find(m->activation);
        if (!a)
            return fail(
                STATUS_ARG,
                "model.output.activation: got \"%s\", expected identity, tanh, clamp, sigmoid, softmax or logsoftmax",
                m->activation);
        if (m->residual && !a->keeps_zero)
            return fail(STATUS_REFUSED,
                        "model.output.residual: %s makes no zero of zero, so training could not start from the input; "
                        "use tanh or no activation",
                        a->name);
    }
    if (m->residual && m->in_channels != m->out_channels)
        return fail(
            STATUS_REFUSED,
            "model.output.residual: the input has %d channels, the output %d; they are added, so they must be equal",
            m->in_channels, m->out_channels);
    return ok();
}

/* The model with every default filled in; refusals and errors that need no size. */
static struct status resolve(struct zoo_model *m, const struct zoo_decoder *d, const struct zoo_family *f)
{
    if (!m->in_channels) m->in_channels = 3;
    if (!m->out_channels) m->out_channels = 3;
    if (!m->depth) m->depth = d->depth;
    if (!m->output_stride) m->output_stride = d->output_stride;
    TRY(range("model.in_channels", m->in_channels, 1, 64));
    TRY(range("model.out_channels", m->out_channels, 1, 1024));
    TRY(range("model.depth", m->depth, 3, 5));
    if (m->output_stride != 8 && m->output_stride != 16 && m->output_stride != 32)
        return fail(STATUS_ARG, "model.output_stride: got %d, expected 8, 16 or 32", m->output_stride);
    if (!(d->strides & (unsigned)m->output_stride))
        return fail(STATUS_REFUSED, "%s runs at output stride%s%s%s%s, got %d", d->name,
                    (d->strides & (d->strides - 1)) ? "s" : "", d->strides & 8 ? " 8" : "",
                    d->strides & 16 ? " 16" : "", d->strides & 32 ? " 32" : "", m->output_stride);
    if (m->output_stride < 1 << m->depth && f->dilation == ZOO_DILATE_NEVER)
        return fail(
            STATUS_REFUSED,
            "%s needs a backbone that can run dilated at output stride %d; %s has %s, which dilation cannot replace",
            d->name, m->output_stride, m->backbone, f->no_dilation);

    TRY(word(d->name, "model.interpolation", m->interpolation, d->interpolation != NULL, "nearest", "bilinear"));
    TRY(word(d->name, "model.attention", m->attention, d->attention, "scse", ""));
    TRY(word(d->name, "model.merge", m->merge, d->merge != NULL, "add", "cat"));
    if (!m->interpolation) m->interpolation = d->interpolation;
    if (!m->merge) m->merge = d->merge;
    if (m->dropout > 0 && d->dropout == 0)
        return fail(STATUS_REFUSED, "model.dropout: %s has no such option (got %g); leave it out", d->name, m->dropout);
    if (!(m->dropout < 1)) return fail(STATUS_ARG, "model.dropout: got %g, expected less than 1", m->dropout);
    m->dropout = m->dropout < 0 ? 0 : m->dropout > 0 ? m->dropout : d->dropout;
    TRY(check_widths(d, m));
    return check_head(m);
}

struct status zoo_fits(const struct zoo_model *m)
{
    struct zoo_model r = *m;
    const struct zoo_backbone *row;
    const struct zoo_family *f;
    const struct zoo_decoder *d;
    TRY(zoo_decoder_get(m->arch, &d));
    TRY(zoo_backbone_get(m->backbone, &row, &f));
    return resolve(&r, d, f);
}

/* ---- size ------------------------------------------------------------------------------------------------------- */

static struct status check_size(const struct zoo_model *m, const struct zoo_decoder *d)
{
    int deepest = 1 << m->depth, stride = m->output_stride < deepest ? m->output_stride : deepest;
    int least = d->min_map * stride > MIN_SIDE ? d->min_map * stride : MIN_SIDE;
    int step = d->any_size ? 1 : stride;
    int lo[2], hi[2], got[2] = {m->height, m->width};
    bool fine = true;
    for (int i = 0; i < 2; i++) {
        lo[i] = got[i] / step * step;
        hi[i] = lo[i] < got[i] ? lo[i] + step : lo[i];
        if (hi[i] < least) hi[i] = least;
        if (lo[i] < least) lo[i] = least;
        fine = fine && lo[i] == got[i];
    }
    if (fine) return ok();
    struct status s = fail(STATUS_REFUSED, "%s cannot take %d x %d (height x width): sides must be at least %d",
                           d->name, m->height, m->width, least);
    size_t n = strlen(s.msg);
    if (step > 1) n += (size_t)snprintf(s.msg + n, sizeof s.msg - n, " and divisible by %d", step);
    if (lo[0] == hi[0] && lo[1] == hi[1])
        snprintf(s.msg + n, sizeof s.msg - n, "; the nearest size is %d x %d", lo[0], lo[1]);
    else
        snprintf(s.msg + n, sizeof s.msg - n, "; the nearest sizes are %d x %d and %d x %d", lo[0], lo[1], hi[0],
                 hi[1]);
    return s;
}

int zoo_uneven(const struct zoo_model *m)
{
    struct zoo_model r = *m;
    const struct zoo_backbone *row;
    const struct zoo_family *f;
    const struct zoo_decoder *d;
    if (zoo_decoder_get(m->arch, &d).code != STATUS_OK || zoo_backbone_get(m->backbone, &row, &f).code != STATUS_OK ||
        resolve(&r, d, f).code != STATUS_OK || check_size(&r, d).code != STATUS_OK)
        return 0;
    int deepest = 1 << r.depth, stride = r.output_stride < deepest ? r.output_stride : deepest;
    return m->height % stride || m->width % stride ? stride : 0;
}

/* ---- building --------------------------------------------------------------------------------------------------- */

static struct zoo_features encode(struct net *n, const struct zoo_family *f, const struct zoo_backbone *row, net_val x,
                                  int depth, int output_stride)
{
    struct zoo_enc e = {
        .n = n, .family = f, .row = row, .depth = depth, .output_stride = output_stride, .level = 1, .rate = 1};
    e.act = f->act ? f->act : net_relu;
    e.input = x;
    e.f.plain_tap0 = !f->feature0;
    e.f.pooled_end = f->pooled_end;
    e.f.output_stride = output_stride;
    enum net_init_rule before = net_init_rule(n, f->init);
    if (f->scope) net_enter(n, "%s", f->scope);
    if (!f->feature0) zoo_tap(&e, x);
    f->build(&e, x);
    if (f->scope) net_leave(n);
    net_init_rule(n, before);
    CHECK(net_failed(n) || e.f.n == depth + 1, "%s: %d features", row->name, e.f.n);
    return e.f;
}

struct zoo_features zoo_encode(struct net *n, const char *backbone, net_val x, int depth, int output_stride)
{
    const struct zoo_family *f = NULL;
    const struct zoo_backbone *row = NULL;
    struct status s = zoo_backbone_get(backbone, &row, &f);
    int least = f && f->min_depth ? f->min_depth : 1;
    if (s.code == STATUS_OK && (depth < least || depth > 5))
        s = fail(STATUS_ARG, "depth of encoder %s: got %d, expected %d to 5", backbone, depth, least);
    if (s.code == STATUS_OK && output_stride != 8 && output_stride != 16 && output_stride != 32)
        s = fail(STATUS_ARG, "output stride of encoder %s: got %d, expected 8, 16 or 32", backbone, output_stride);
    if (s.code == STATUS_OK && output_stride < 1 << depth && f->dilation == ZOO_DILATE_NEVER)
        s = fail(STATUS_REFUSED, "%s cannot run at output stride %d: %s", backbone, output_stride, f->no_dilation);
    if (s.code == STATUS_OK) return encode(n, f, row, x, depth, output_stride);

    net_fail(n, s.code, "%s", s.msg);
    struct zoo_features none = {.n = depth >= 0 && depth < ZOO_MAX_TAPS ? depth + 1 : 1};
    for (int i = 0; i < none.n; i++) none.tap[i] = NET_NONE;
    return none;
}

static net_val activate(struct net *n, net_val x, const char *name)
{
    if (!name || strcmp(name, "identity") == 0) return x;
    if (strcmp(name, "tanh") == 0) return net_tanh(n, x);
    if (strcmp(name, "sigmoid") == 0) return net_sigmoid(n, x);
    if (strcmp(name, "clamp") == 0) return net_clamp(n, x, 0, 1);
    return strcmp(name, "softmax") == 0 ? net_softmax(n, x, 1) : net_log_softmax(n, x, 1);
}

static net_val head(struct net *n, net_val x, net_val input, const struct zoo_decoder *d, const struct zoo_model *m)
{
    int k = d->head_kernel;
    net_init_rule(n, m->residual ? NET_INIT_ZEROS : d->head_init);
    net_enter(n, "segmentation_head");
    x = net_conv2d(n, "0", x, m->out_channels, (struct net_conv){.k = k, .pad = k / 2, .bias = true});
    if (net_h(n, x) != m->height || net_w(n, x) != m->width) x = net_upsample_bilinear(n, x, m->height, m->width, true);
    x = activate(n, x, m->activation);
    net_leave(n);
    return m->residual ? net_add(n, input, x) : x;
}

struct status zoo_build_taps(struct net **out, struct zoo_features *taps, const struct zoo_model *model)
{
    struct zoo_model m = *model;
    const struct zoo_backbone *row;
    const struct zoo_family *f;
    const struct zoo_decoder *d;
    TRY(zoo_decoder_get(m.arch, &d));
    TRY(zoo_backbone_get(m.backbone, &row, &f));
    TRY(resolve(&m, d, f));
    TRY(check_size(&m, d));

    struct net *n = net_new();
    net_val input = net_input(n, "input", m.in_channels, m.height, m.width);
    net_enter(n, "encoder");
    *taps = encode(n, f, row, input, m.depth, m.output_stride);
    net_leave(n);
    net_init_rule(n, d->init);
    net_enter(n, "decoder");
    net_val x = d->build(n, taps, &m);
    net_leave(n);
    net_output(n, "output", head(n, x, input, d, &m));
    struct status s = net_finish(n);
    if (s.code != STATUS_OK) {
        net_free(n);
        return status_at(s, "%s x %s at %d x %d", m.arch, m.backbone, m.height, m.width);
    }
    *out = n;
    return ok();
}

struct status zoo_build(struct net **out, const struct zoo_model *m)
{
    struct zoo_features taps;
    return zoo_build_taps(out, &taps, m);
}

static struct status encoder_macs(int64_t *out, const struct zoo_model *m, int depth, int output_stride)
{
    struct net *n = net_new();
    net_val x = net_input(n, "input", m->in_channels ? m->in_channels : 3, m->height, m->width);
    net_output(n, "output", zoo_encode(n, m->backbone, x, depth, output_stride).tap[depth]);
    struct status s = net_finish(n);
    if (s.code == STATUS_OK) *out = net_cost(n).macs;
    net_free(n);
    return s;
}

struct status zoo_reference_macs(int64_t *out, const struct zoo_model *m)
{
    const struct zoo_backbone *row;
    const struct zoo_family *f;
    struct net *n;
    struct zoo_features taps;
    TRY(zoo_build_taps(&n, &taps, m));
    *out = net_cost(n).macs;
    net_free(n);
    TRY(zoo_backbone_get(m->backbone, &row, &f));
    int depth = taps.n - 1, run = depth + f->runs_past < 5 ? depth + f->runs_past : 5;
    if (run == depth) return ok();
    int64_t kept = 0, whole = 0;
    TRY(encoder_macs(&kept, m, depth, taps.output_stride));
    TRY(encoder_macs(&whole, m, run, taps.output_stride));
    *out += whole - kept;
    return ok();
}

/* ---- what is stored and never used ------------------------------------------------------------------------------ */

const char *zoo_unused_reason(const struct zoo_model *m, const char *param)
{
    const struct zoo_backbone *row;
    const struct zoo_family *f;
    const struct zoo_decoder *d;
    if (zoo_decoder_get(m->arch, &d).code != STATUS_OK || zoo_backbone_get(m->backbone, &row, &f).code != STATUS_OK)
        return NULL;
    size_t last = LEN(d->unused) - 1;
    for (size_t i = 0; i < last; i++)
        if (d->unused[i] && str_glob(d->unused[i], param)) return d->unused[last];
    if (strncmp(param, "encoder.", 8) != 0) return NULL;
    for (const struct zoo_unused *u = f->unused; u && u->prefix; u++)
        if (strncmp(param + 8, u->prefix, strlen(u->prefix)) == 0) return u->why;
    int depth = m->depth ? m->depth : d->depth;
    return depth < 5 && !f->prunes ? "belongs to a stage deeper than the model's depth, which the reference stores"
                                   : NULL;
}
