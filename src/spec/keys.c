/* The key table: all that a user can write about a trial, one row a key. Everything else is derived from it: parsing,
   defaults, --set, did-you-mean, docs/configuration.md, the JSON of jobs and the keys that say which stage must run
   again. A row's stages are those that the value changes directly; what follows from them is plan's business. */
#include "keys.h"

static const char *metric_name(int i)
{
    return spec_metrics[i].name;
}

/* A metric, or what evaluate.rank comes to. */
static const char *monitor_name(int i)
{
    int n = 0;
    while (spec_metrics[n].name) n++;
    return i < n ? spec_metrics[i].name : i == n ? "auto" : NULL;
}

static const char *format_name(int i)
{
    return spec_formats[i].name;
}

static bool format_built(int i)
{
    return spec_formats[i].built;
}

static const char *device_name(int i)
{
    return spec_devices[i].name;
}

static bool device_built(int i)
{
    return spec_devices[i].built;
}

static const struct key_choices metrics = {.name = metric_name};
static const struct key_choices monitors = {.name = monitor_name};
static const struct key_choices formats = {.name = format_name, .built = format_built};
static const struct key_choices devices = {.name = device_name, .built = device_built};

#define AT(member)  offsetof(struct spec_trial, member)
#define ONE_OF(...) ((const char *const[]){__VA_ARGS__, NULL})
enum { STRUCTURE = SPEC_TRAIN | SPEC_SCREEN }; /* what shapes the untrained net, too */

/* clang-format off */
const struct key key_table[] = {
    {.path = "seed", .type = KEY_LONG, .at = AT(seed), .lo = 0, .hi = 9007199254740991.0, .num = 0, .stages = SPEC_TRAIN,
     .doc = "fresh weights, order of the pairs and augmentation are drawn from it"},

    {.path = "data.root", .type = KEY_TEXT, .at = AT(data.root), .text = "synthetic", .stages = SPEC_TRAIN,
     .doc = "folder that holds the two folders of pairs; `synthetic` is the generated set, which needs no files"},
    {.path = "data.input", .type = KEY_TEXT, .at = AT(data.input), .text = "input", .stages = SPEC_TRAIN,
     .doc = "folder of inputs under data.root; pairs are matched by file name"},
    {.path = "data.target", .type = KEY_TEXT, .at = AT(data.target), .text = "target", .stages = SPEC_TRAIN,
     .doc = "folder of targets under data.root"},
    {.path = "data.size", .type = KEY_SIZE, .at = AT(data.size), .lo = 16, .hi = 4096, .num = 256, .unit = "pixels",
     .stages = STRUCTURE, .doc = "what images are resized to, and the exported model's size"},
    {.path = "data.pairs", .type = KEY_INT, .at = AT(data.synthetic_pairs), .lo = 4, .hi = 100000, .num = 64,
     .unit = "pairs", .stages = SPEC_TRAIN, .doc = "how many pairs the generated set has"},
    {.path = "data.split.val", .type = KEY_SPLIT, .at = AT(data.split_val), .at2 = AT(data.split_val_list), .lo = 0,
     .hi = 1, .above = true, .below = true, .num = 0.2, .stages = SPEC_TRAIN,
     .doc = "fraction of the pairs kept for validation, or a file with their names, one a line"},
    {.path = "data.split.train", .type = KEY_TEXT, .at = AT(data.split_train), .null = "all but the validation pairs",
     .stages = SPEC_TRAIN, .doc = "file with the names of the training pairs, one a line"},
    {.path = "data.split.seed", .type = KEY_LONG, .at = AT(data.split_seed), .lo = 0, .hi = 9007199254740991.0, .num = 42,
     .stages = SPEC_TRAIN, .doc = "which pairs the fraction takes; no other key changes that"},
    {.path = "data.skip_damaged", .type = KEY_BOOL, .at = AT(data.skip_damaged),
     .doc = "go on without the pairs of damaged pictures, as if they were not there; else they are an error before "
            "anything trains"},

    {.path = "augment", .type = KEY_AUGMENT, .at = AT(augment), .at2 = AT(n_augment), .min_n = 0,
     .max_n = SPEC_MAX_AUGMENT, .stages = SPEC_TRAIN,
     .doc = "changes drawn anew for each pair and epoch, in this order, the same for input and target"},

    {.path = "model.arch", .type = KEY_TEXT, .at = AT(model.arch), .text = "unet", .pattern = true, .stages = STRUCTURE,
     .doc = "decoder: `sweep zoo ls` names them"},
    {.path = "model.backbone", .type = KEY_TEXT, .at = AT(model.backbone), .text = "mobilenetv3_large_100",
     .pattern = true, .stages = STRUCTURE, .doc = "encoder: `sweep zoo ls` names them"},
    {.path = "model.weights", .type = KEY_TEXT, .at = AT(model.weights), .text = "random", .stages = SPEC_TRAIN,
     .doc = "what the encoder starts from: `random`, `imagenet`, or a file (safetensors, .pth)"},
    {.path = "model.init", .type = KEY_TEXT, .at = AT(model.init), .null = "none", .stages = SPEC_TRAIN,
     .doc = "file of a whole net (`sweep weights export`, segmentation_models_pytorch) to go on from; goes before model.weights"},
    {.path = "model.strict", .type = KEY_BOOL, .at = AT(model.strict), .num = true, .stages = SPEC_TRAIN,
     .doc = "a weights file that lacks a parameter of the encoder is an error"},
    {.path = "model.depth", .type = KEY_INT, .at = AT(model.depth), .lo = 3, .hi = 5, .zero = "the architecture's own",
     .unit = "stages", .stages = STRUCTURE, .doc = "how many times the encoder halves the picture"},
    {.path = "model.output_stride", .type = KEY_INT, .at = AT(model.output_stride), .lo = 8, .hi = 32,
     .power = true, .zero = "the architecture's own", .stages = STRUCTURE,
     .doc = "the deepest feature's stride, where the architecture has a choice"},
    {.path = "model.in_channels", .type = KEY_INT, .at = AT(model.in_channels), .lo = 1, .hi = 64, .num = 3,
     .stages = STRUCTURE,
     .doc = "what of the input picture the net sees: 1 its grey, 3 RGB, 4 RGB and alpha, which the pictures then must have"},
    {.path = "model.channels", .type = KEY_NUMBERS, .at = AT(model.channels), .lo = 1, .hi = 4096, .whole = true,
     .min_n = 0, .max_n = 5, .stages = STRUCTURE, .doc = "decoder widths; empty: the architecture's own"},
    {.path = "model.interpolation", .type = KEY_CHOICE, .at = AT(model.interpolation), .choices = ONE_OF("nearest", "bilinear"),
     .null = "the architecture's own", .stages = STRUCTURE, .doc = "how unet and unetplusplus upsample"},
    {.path = "model.attention", .type = KEY_CHOICE, .at = AT(model.attention), .choices = ONE_OF("scse"),
     .null = "none", .stages = STRUCTURE, .doc = "attention of unet and unetplusplus"},
    {.path = "model.merge", .type = KEY_CHOICE, .at = AT(model.merge), .choices = ONE_OF("add", "cat"),
     .null = "the architecture's own", .stages = STRUCTURE, .doc = "how fpn joins its levels"},
    {.path = "model.output.activation", .type = KEY_CHOICE, .at = AT(model.activation),
     .choices = ONE_OF("tanh", "clamp", "sigmoid", "softmax", "logsoftmax"), .null = "none", .stages = STRUCTURE,
     .doc = "applied to the output; outputs live in ImageNet-normalised space"},
    {.path = "model.dropout", .type = KEY_OWN, .at = AT(model.dropout), .lo = 0, .hi = 1, .below = true,
     .null = "the architecture's own", .stages = SPEC_TRAIN, .doc = "probability in the decoder; 0: none"},
    {.path = "model.output.residual", .type = KEY_BOOL, .at = AT(model.residual), .stages = STRUCTURE,
     .doc = "the net predicts the change to its input, and starts as the identity"},

    {.path = "loss.network", .type = KEY_TEXT, .at = AT(loss.network), .text = "vgg16", .pattern = true,
     .stages = SPEC_TRAIN, .doc = "backbone whose features the loss compares"},
    {.path = "loss.weights", .type = KEY_TEXT, .at = AT(loss.weights), .null = "seeded random features", .stages = SPEC_TRAIN,
     .doc = "its weights (safetensors, .pth)"},
    {.path = "loss.pixel_weight", .type = KEY_REAL, .at = AT(loss.pixel_weight), .lo = 0, .hi = 1e6, .num = 1,
     .stages = SPEC_TRAIN, .doc = "weight of the mean absolute difference of pixels"},
    {.path = "loss.feature_weights", .type = KEY_NUMBERS, .at = AT(loss.feature_weights), .lo = 0, .hi = 1e6, .min_n = 1,
     .max_n = SPEC_MAX_BLOCKS, .numbers = {{1, 1, 1, 1}, 4}, .stages = SPEC_TRAIN,
     .doc = "weight of each block's features; their count is how many blocks are compared"},
    {.path = "loss.gram_weights", .type = KEY_NUMBERS, .at = AT(loss.gram_weights), .lo = 0, .hi = 1e6, .min_n = 1,
     .max_n = SPEC_MAX_BLOCKS, .numbers = {{0.5, 1, 2, 1}, 4}, .stages = SPEC_TRAIN,
     .doc = "weight of each block's Gram matrix, squared in the loss"},
    {.path = "loss.gram_scale", .type = KEY_REAL, .at = AT(loss.gram_scale), .lo = 0, .hi = 1e9, .num = 5000,
     .stages = SPEC_TRAIN, .doc = "factor of all Gram terms"},
    {.path = "loss.size", .type = KEY_INT, .at = AT(loss.size), .lo = 32, .hi = 2048, .zero = "as the images",
     .unit = "pixels", .stages = SPEC_TRAIN, .doc = "side to which images are resized before the loss network"},

    {.path = "train.epochs", .type = KEY_INT, .at = AT(train.epochs), .lo = 1, .hi = 100000, .num = 60, .unit = "epochs",
     .stages = SPEC_TRAIN, .doc = "passes over the training pairs"},
    {.path = "train.batch", .type = KEY_INT, .at = AT(train.batch), .lo = 1, .hi = 4096, .num = 8, .unit = "pairs",
     .stages = SPEC_TRAIN, .doc = "pairs a step"},
    {.path = "train.optimizer", .type = KEY_CHOICE, .at = AT(train.optimizer), .choices = ONE_OF("adamw", "adam", "sgd"),
     .text = "adamw", .stages = SPEC_TRAIN, .doc = "how gradients become steps"},
    {.path = "train.lr", .type = KEY_REAL, .at = AT(train.lr), .lo = 0, .hi = 10, .above = true, .num = 1e-3,
     .stages = SPEC_TRAIN, .doc = "learning rate: the schedule's peak"},
    {.path = "train.encoder_lr", .type = KEY_REAL, .at = AT(train.encoder_lr), .lo = 0, .hi = 10, .above = true,
     .zero = "as train.lr", .stages = SPEC_TRAIN, .doc = "learning rate of the encoder"},
    {.path = "train.weight_decay", .type = KEY_REAL, .at = AT(train.weight_decay), .lo = 0, .hi = 10, .num = 0.01,
     .stages = SPEC_TRAIN, .doc = "decoupled in adamw, added to the gradient in the others"},
    {.path = "train.momentum", .type = KEY_REAL, .at = AT(train.momentum), .lo = 0, .hi = 1, .below = true, .num = 0.9,
     .stages = SPEC_TRAIN, .doc = "of sgd"},
    {.path = "train.beta1", .type = KEY_REAL, .at = AT(train.beta1), .lo = 0, .hi = 1, .below = true, .num = 0.9,
     .stages = SPEC_TRAIN, .doc = "decay of adam's and adamw's mean gradient"},
    {.path = "train.beta2", .type = KEY_REAL, .at = AT(train.beta2), .lo = 0, .hi = 1, .below = true, .num = 0.999,
     .stages = SPEC_TRAIN, .doc = "decay of their mean squared gradient"},
    {.path = "train.eps", .type = KEY_REAL, .at = AT(train.eps), .lo = 0, .hi = 1, .above = true, .num = 1e-8,
     .stages = SPEC_TRAIN, .doc = "added to their denominator"},
    {.path = "train.schedule", .type = KEY_CHOICE, .at = AT(train.schedule), .choices = ONE_OF("constant", "cosine", "onecycle"),
     .text = "onecycle", .stages = SPEC_TRAIN, .doc = "learning rate over the run"},
    {.path = "train.warmup", .type = KEY_REAL, .at = AT(train.warmup), .lo = 0, .hi = 1, .below = true, .num = 0.1,
     .unit = "fraction of all steps", .stages = SPEC_TRAIN, .doc = "rise to the peak, in cosine and onecycle"},
    {.path = "train.clip_grad", .type = KEY_REAL, .at = AT(train.clip_grad), .lo = 0, .hi = 1e6, .above = true,
     .zero = "no clipping", .stages = SPEC_TRAIN, .doc = "greatest norm of all gradients together"},
    {.path = "train.ema", .type = KEY_REAL, .at = AT(train.ema), .lo = 0, .hi = 1, .above = true, .below = true,
     .zero = "off", .stages = SPEC_TRAIN, .doc = "decay of the moving average of the weights, which is then what is evaluated"},
    {.path = "train.precision", .type = KEY_CHOICE, .at = AT(train.precision),
     .choices = ONE_OF("auto", "fp32", "bf16", "fp16", "fp64"), .text = "auto", .stages = SPEC_TRAIN,
     .doc = "of convolutions and matrix products; auto: the fastest that the machine computes natively"},
    {.path = "train.channels_last", .type = KEY_BOOL, .at = AT(train.channels_last), .num = true, .stages = SPEC_TRAIN,
     .doc = "memory order of the activations"},
    {.path = "train.freeze_encoder", .type = KEY_INT, .at = AT(train.freeze_encoder), .lo = 0, .hi = 100000,
     .unit = "epochs", .stages = SPEC_TRAIN, .doc = "the encoder stands still for this long at the start"},
    {.path = "train.freeze_bn", .type = KEY_BOOL, .at = AT(train.freeze_bn), .stages = SPEC_TRAIN,
     .doc = "batch norms of the encoder keep their statistics"},
    {.path = "train.monitor", .type = KEY_CHOICE, .at = AT(train.monitor), .table = &monitors, .text = "val_loss",
     .stages = SPEC_TRAIN, .doc = "metric that picks the best checkpoint and stops early; auto: as evaluate.rank"},
    {.path = "train.patience", .type = KEY_INT, .at = AT(train.patience), .lo = 1, .hi = 100000, .zero = "never",
     .unit = "epochs", .stages = SPEC_TRAIN, .doc = "stop when the monitor has not improved for this long"},
    {.path = "train.drop_last", .type = KEY_BOOL, .at = AT(train.drop_last), .stages = SPEC_TRAIN,
     .doc = "leave out the last batch of an epoch when it is not full"},
    {.path = "train.threads", .type = KEY_INT, .at = AT(train.threads), .lo = 1, .hi = 4096,
     .zero = "cores divided by --jobs", .unit = "threads", .doc = "CPU threads of a worker"},
    {.path = "train.graph", .type = KEY_CHOICE, .at = AT(train.graph), .choices = ONE_OF("auto", "off"), .text = "auto",
     .doc = "on a GPU: record the work of a step once and replay it, which is faster for small cells"},
    {.path = "train.checkpoint_every", .type = KEY_INT, .at = AT(train.checkpoint_every), .lo = 1, .hi = 100000, .num = 1,
     .unit = "epochs", .doc = "how much work a crash may cost"},
    {.path = "train.checkpoint_s", .type = KEY_INT, .at = AT(train.checkpoint_s), .lo = 0, .hi = 86400, .num = 30,
     .unit = "seconds",
     .doc = "and in time: no checkpoint before so many have passed since the last; 0: one each epoch; a stop writes one, too"},
    {.path = "train.validate_every", .type = KEY_INT, .at = AT(train.validate_every), .lo = 1, .hi = 100000, .num = 1,
     .unit = "epochs", .stages = SPEC_TRAIN,
     .doc = "the validation pairs are looked at after so many, and after the last: what picks the best and stops early"},

    {.path = "evaluate.rank", .type = KEY_CHOICE, .at = AT(evaluate.rank), .table = &metrics,
     .null = "`feature_distance` where there is a judge, else `ssim`",
     .doc = "metric that orders the results; best one that no axis changes"},
    {.path = "evaluate.judge.network", .type = KEY_TEXT, .at = AT(evaluate.judge.network), .fixed = true,
     .text = "tf_efficientnet_lite0", .stages = SPEC_EVALUATE,
     .doc = "backbone in whose features outputs are compared with targets, whatever the loss"},
    {.path = "evaluate.judge.weights", .type = KEY_TEXT, .at = AT(evaluate.judge.weights), .fixed = true,
     .null = "the published ones where `weights/` has them, else no judge", .stages = SPEC_EVALUATE,
     .doc = "its weights: `imagenet`, a file (safetensors, .pth), or `none`"},
    {.path = "evaluate.judge.taps", .type = KEY_BOOL, .at = AT(evaluate.judge.taps), .fixed = true,
     .stages = SPEC_EVALUATE, .doc = "keep the distances of each of the network's five depths, too"},
    {.path = "evaluate.every_epoch", .type = KEY_BOOL, .at = AT(evaluate.every_epoch),
     .doc = "the judge sees the validation of each epoch, too"},
    {.path = "evaluate.weights", .type = KEY_CHOICE, .at = AT(evaluate.weights), .choices = ONE_OF("best", "last"),
     .text = "best", .stages = SPEC_EVALUATE | SPEC_EXPORT | SPEC_SAMPLES, .doc = "checkpoint that is judged and exported"},

    {.path = "keep", .type = KEY_CHOICE, .at = AT(keep), .choices = ONE_OF("both", "best", "none", "all"), .text = "both",
     .doc = "checkpoints of a finished trial: `both`, best and last; `best`, the one that is judged and exported; `none`; "
            "`all`, both and the optimiser's state, from which more epochs go on"},

    {.path = "gate.device", .type = KEY_CHOICE, .at = AT(gate.device), .table = &devices, .text = "cpu",
     .stages = SPEC_SCREEN, .doc = "where the untrained model is timed first"},
    {.path = "gate.p50_ms", .type = KEY_REAL, .at = AT(gate.p50_ms), .lo = 0, .hi = 1e6, .above = true, .zero = "no gate",
     .unit = "ms", .stages = SPEC_SCREEN, .doc = "a model slower than this, by its median, is never trained"},

    {.path = "prune.rule", .type = KEY_CHOICE, .at = AT(prune.rule), .choices = ONE_OF("none", "median", "asha"),
     .text = "none", .main = true,
     .doc = "stops a training that falls behind cells that are no slower than it: `median`, worse than their median; "
            "`asha`, at rungs, not among the best of them"},
    {.path = "prune.metric", .type = KEY_CHOICE, .at = AT(prune.metric), .table = &metrics, .null = "as evaluate.rank",
     .doc = "what is compared: each cell's best so far; of losses only those of cells with the same loss"},
    {.path = "prune.warmup_epochs", .type = KEY_INT, .at = AT(prune.warmup_epochs), .lo = 0, .hi = 100000,
     .unit = "epochs", .doc = "nobody is judged by these; rungs are counted from their end"},
    {.path = "prune.min_epochs", .type = KEY_INT, .at = AT(prune.min_epochs), .lo = 1, .hi = 100000,
     .zero = "a twelfth of train.epochs", .unit = "epochs",
     .doc = "the first decision is after so many; asha: the first rung"},
    {.path = "prune.reduction", .type = KEY_INT, .at = AT(prune.reduction), .lo = 2, .hi = 100, .num = 3,
     .doc = "asha: one in so many goes on at a rung, and the next rung is so many times as far"},
    {.path = "prune.min_peers", .type = KEY_INT, .at = AT(prune.min_peers), .lo = 1, .hi = 1000000, .num = 3,
     .unit = "cells", .doc = "nobody is stopped by fewer than these others"},
    {.path = "prune.tolerance", .type = KEY_REAL, .at = AT(prune.tolerance), .lo = 0, .hi = 100, .num = 0.1,
     .unit = "fraction", .doc = "a cell slower by this much still counts as no slower; latency is the gate's, else MACs"},

    {.path = "limits.memory_mib", .type = KEY_INT, .at = AT(limits.memory_mib), .lo = 1, .hi = 100000000,
     .zero = "no limit", .unit = "MiB",
     .doc = "a worker that uses more is killed; a training then tries half as many images at once"},
    {.path = "limits.stage_s", .type = KEY_INT, .at = AT(limits.stage_s), .lo = 1, .hi = 100000000,
     .zero = "no limit", .unit = "s", .doc = "a worker that takes longer for a stage is killed"},
    {.path = "limits.hang_s", .type = KEY_INT, .at = AT(limits.hang_s), .lo = 1, .hi = 1000000, .num = 900,
     .unit = "s", .doc = "a worker that is silent for so long is killed"},

    {.path = "export.formats", .type = KEY_NAMES, .at = AT(export_formats), .table = &formats, .min_n = 0,
     .max_n = SPEC_MAX_LIST, .main = true, .names = {{"onnx"}, 1}, .doc = "what the trained model is written as"},
    {.path = "export.io", .type = KEY_WORD, .at = AT(bench.io_image), .choices = ONE_OF("tensor", "image"),
     .stages = SPEC_EXPORT | SPEC_SCREEN,
     .doc = "`image`: 0..255 in and out, normalisation inside the model; `tensor`: normalised in and out"},
    {.path = "export.calibration", .type = KEY_CHOICE, .at = AT(export_calibration),
     .choices = ONE_OF("minmax", "percentile", "entropy"), .text = "minmax", .stages = SPEC_QUANTISE,
     .doc = "how the ranges of 8-bit files are taken from training pictures"},
    {.path = "export.keep", .type = KEY_NAMES, .at = AT(export_keep), .max_n = SPEC_MAX_LIST, .unit = "layers",
     .stages = SPEC_QUANTISE,
     .doc = "layers that stay float32 in 8-bit files: names of their weights, parts of names (`decoder`) or patterns (`encoder.layer1*`)"},
    {.path = "devices", .type = KEY_NAMES, .at = AT(devices), .table = &devices, .min_n = 0, .max_n = SPEC_MAX_LIST,
     .names = {{"cpu"}, 1}, .doc = "where the exported model is timed"},
    {.path = "bench.mode", .type = KEY_CHOICE, .at = AT(bench.mode), .choices = ONE_OF("quick", "normal", "thorough"),
     .text = "normal", .stages = SPEC_BENCH, .doc = "how long a measurement takes"},
    {.path = "bench.threads", .type = KEY_NUMBERS, .at = AT(bench.threads), .lo = 0, .hi = 4096, .whole = true, .min_n = 1,
     .max_n = SPEC_MAX_BLOCKS, .numbers = {{1, 0}, 2}, .unit = "threads", .stages = SPEC_BENCH,
     .doc = "each count is a measurement of its own; 0: all cores"},
    {.path = "bench.visits", .type = KEY_INT, .at = AT(bench.visits), .lo = 1, .hi = 64, .num = 3, .stages = SPEC_BENCH,
     .doc = "fresh processes a measurement"},
    {.path = "samples", .type = KEY_INT, .at = AT(samples), .lo = 1, .hi = 100000, .num = 8, .zero = "all",
     .unit = "images", .stages = SPEC_SAMPLES, .doc = "validation images whose output is kept for the gallery"},
#ifdef KEY_OF_A_LATER_VERSION /* tests/plan/test_later.c is such a version */
    KEY_OF_A_LATER_VERSION
#endif
};
/* clang-format on */
const int key_count = LEN(key_table);

const char *key_choice(const struct key *k, int i)
{
    return k->table ? k->table->name(i) : k->choices ? k->choices[i] : NULL;
}

const struct key *key_find(const char *path)
{
    for (int i = 0; i < key_count; i++) {
        if (strcmp(key_table[i].path, path) == 0) return &key_table[i];
    }
    return NULL;
}

/* What of a path lies under a section: "depth" of "model.depth" under "model"; NULL when it does not. */
static const char *under(const char *path, const char *section)
{
    size_t n = strlen(section);
    return strncmp(path, section, n) == 0 && path[n] == '.' ? path + n + 1 : NULL;
}

static const char *leaf(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

const struct key *key_find_loose(const char *path)
{
    const struct key *found = key_find(path);
    int n = 0;
    if (found) return found;
    for (int i = 0; i < key_count; i++) {
        const struct key *k = &key_table[i];
        if (k->main && under(k->path, path)) return k;
        if (!k->fixed && strcmp(leaf(k->path), path) == 0) found = k, n++;
    }
    return n == 1 && !key_is_section(path) ? found : NULL;
}

bool key_is_section(const char *path)
{
    for (int i = 0; i < key_count; i++) {
        if (under(key_table[i].path, path)) return true;
    }
    return false;
}
