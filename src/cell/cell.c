/* From a resolved trial to the options of the zoo, the loss and the pairs. */
#include "cell.h"

struct zoo_model cell_model(const struct spec_trial *t)
{
    struct zoo_model m = {.arch = t->model.arch,
                          .backbone = t->model.backbone,
                          .height = t->data.size[0],
                          .width = t->data.size[1],
                          .in_channels = t->model.in_channels,
                          .depth = t->model.depth,
                          .output_stride = t->model.output_stride,
                          .interpolation = t->model.interpolation,
                          .attention = t->model.attention,
                          .merge = t->model.merge,
                          .dropout = t->model.dropout,
                          .activation = t->model.activation,
                          .residual = t->model.residual};
    for (int i = 0; i < t->model.channels.n && i < (int)LEN(m.channels); i++)
        m.channels[i] = (int)t->model.channels.v[i];
    return m;
}

struct loss_options cell_loss(const struct spec_trial *t)
{
    struct loss_options o = {.network = t->loss.network,
                             .height = t->data.size[0],
                             .width = t->data.size[1],
                             .pixel_weight = t->loss.pixel_weight,
                             .gram_scale = t->loss.gram_scale,
                             .n_feature = t->loss.feature_weights.n,
                             .n_gram = t->loss.gram_weights.n,
                             .size = t->loss.size};
    _Static_assert(LEN(o.feature_weights) == SPEC_MAX_BLOCKS && LEN(o.gram_weights) == SPEC_MAX_BLOCKS, "same lists");
    memcpy(o.feature_weights, t->loss.feature_weights.v, sizeof o.feature_weights);
    memcpy(o.gram_weights, t->loss.gram_weights.v, sizeof o.gram_weights);
    return o;
}

static struct data_augment augment_of(const struct spec_augment *a)
{
    static const enum data_augment_kind kinds[] = {
        [SPEC_FLIP] = DATA_FLIP, [SPEC_AFFINE] = DATA_AFFINE, [SPEC_CROP] = DATA_CROP, [SPEC_COLOR] = DATA_COLOR};
    return (struct data_augment){.kind = kinds[a->kind],
                                 .p = a->p,
                                 .rotate = a->rotate,
                                 .scale = {a->scale[0], a->scale[1]},
                                 .translate = a->translate,
                                 .brightness = a->brightness,
                                 .contrast = a->contrast,
                                 .saturation = a->saturation,
                                 .hue = a->hue,
                                 .both = a->both};
}

struct data_options cell_data(struct data_augment augment[SPEC_MAX_AUGMENT], const struct spec_trial *t)
{
    for (int i = 0; i < t->n_augment; i++) augment[i] = augment_of(&t->augment[i]);
    return (struct data_options){.root = t->data.root,
                                 .input = t->data.input,
                                 .target = t->data.target,
                                 .height = t->data.size[0],
                                 .width = t->data.size[1],
                                 .channels = t->model.in_channels,
                                 .skip_damaged = t->data.skip_damaged,
                                 .split_val = t->data.split_val,
                                 .split_seed = t->data.split_seed,
                                 .split_train = t->data.split_train,
                                 .split_val_list = t->data.split_val_list,
                                 .synthetic_pairs = t->data.synthetic_pairs,
                                 .augment = augment,
                                 .n_augment = t->n_augment};
}
