/* What was meant by a key that is none: the right name elsewhere, another tool's word for it, or the nearest spelling.
 */
#include "load.h"

/* clang-format off */
/* What other tools call things; compared by their last part, as str_same_name does. */
static const struct {
    const char *theirs, *ours;
} called[] = {
    {"learning_rate", "train.lr"}, {"init_lr", "train.lr"}, {"base_lr", "train.lr"}, {"lr0", "train.lr"},
    {"encoder_learning_rate", "train.encoder_lr"}, {"backbone_lr", "train.encoder_lr"},
    {"bs", "train.batch"}, {"batch_size", "train.batch"}, {"train_batch_size", "train.batch"}, {"minibatch", "train.batch"},
    {"epoch_count", "train.epochs"}, {"num_epochs", "train.epochs"}, {"n_epochs", "train.epochs"},
    {"max_epochs", "train.epochs"}, {"nb_epochs", "train.epochs"}, {"num_train_epochs", "train.epochs"},
    {"optim", "train.optimizer"}, {"opt", "train.optimizer"}, {"optimiser", "train.optimizer"}, {"solver", "train.optimizer"},
    {"wd", "train.weight_decay"}, {"l2", "train.weight_decay"},
    {"scheduler", "train.schedule"}, {"lr_scheduler", "train.schedule"}, {"lr_schedule", "train.schedule"}, {"sched", "train.schedule"},
    {"warmup_steps", "train.warmup"}, {"warmup_ratio", "train.warmup"},
    {"grad_clip", "train.clip_grad"}, {"gradient_clip_val", "train.clip_grad"}, {"max_grad_norm", "train.clip_grad"},
    {"clip_norm", "train.clip_grad"}, {"ema_decay", "train.ema"}, {"model_ema", "train.ema"},
    {"amp", "train.precision"}, {"fp16", "train.precision"}, {"bf16", "train.precision"}, {"half", "train.precision"},
    {"mixed_precision", "train.precision"}, {"dtype", "train.precision"},
    {"early_stopping", "train.patience"}, {"early_stop", "train.patience"},
    {"freeze_backbone", "train.freeze_encoder"}, {"freeze_batchnorm", "train.freeze_bn"},
    {"random_seed", "seed"}, {"random_state", "seed"}, {"manual_seed", "seed"}, {"num_seeds", "seeds"}, {"repeats", "seeds"},
    {"encoder", "model.backbone"}, {"encoder_name", "model.backbone"}, {"feature_extractor", "model.backbone"},
    {"decoder", "model.arch"}, {"architecture", "model.arch"}, {"model_name", "model.arch"},
    {"pretrained", "model.weights"}, {"encoder_weights", "model.weights"},
    {"checkpoint", "model.init"}, {"init_from", "model.init"}, {"resume_from", "model.init"},
    {"encoder_depth", "model.depth"}, {"decoder_channels", "model.channels"}, {"decoder_interpolation", "model.interpolation"},
    {"decoder_attention_type", "model.attention"}, {"encoder_output_stride", "model.output_stride"}, {"in_chans", "model.in_channels"},
    {"img_size", "data.size"}, {"image_size", "data.size"}, {"imgsz", "data.size"}, {"input_size", "data.size"},
    {"resolution", "data.size"}, {"crop_size", "data.size"},
    {"dataset", "data.root"}, {"data_dir", "data.root"}, {"dataset_path", "data.root"}, {"data_path", "data.root"},
    {"val_split", "data.split.val"}, {"validation_split", "data.split.val"}, {"test_size", "data.split.val"},
    {"augmentation", "augment"}, {"augmentations", "augment"}, {"transforms", "augment"},
    {"criterion", "loss"}, {"style_weight", "loss.gram_weights"}, {"content_weight", "loss.feature_weights"},
    {"style_weights", "loss.gram_weights"}, {"content_weights", "loss.feature_weights"}, {"l1_weight", "loss.pixel_weight"},
    {"pruner", "prune.rule"}, {"early_terminate", "prune.rule"}, {"early_termination", "prune.rule"},
    {"export_format", "export.formats"}, {"experiment", "name"}, {"experiment_name", "name"}, {"run_name", "name"},
    {"grid", "axes"}, {"parameters", "axes"}, {"params", "axes"}, {"search_space", "axes"}, {"matrix", "axes"}, {"sweep", "axes"},
    {"n_trials", "sample"}, {"num_samples", "sample"}, {"base", "extends"}, {"defaults", "extends"}, {"include_files", "extends"},
};
/* clang-format on */

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static const char *by_others(const char *path)
{
    for (size_t i = 0; i < LEN(called); i++)
        if (str_same_name(called[i].theirs, last_part(path))) return called[i].ours;
    return NULL;
}

/* Every key and every section, once each; and the document's own keys. */
static const char *const *all_names(struct arena *a)
{
    size_t n = 0, most = (size_t)key_count * 3 + 32;
    const char **out = arena_alloc(a, most * sizeof *out);
    for (const struct document_key *d = document_keys; d->name; d++) out[n++] = d->name;
    for (int i = 0; i < key_count; i++) {
        const char *path = key_table[i].path;
        out[n++] = path;
        for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
            const char *section = arena_printf(a, "%.*s", (int)(dot - path), path);
            bool seen = false;
            for (size_t j = 0; j < n; j++) seen |= strcmp(out[j], section) == 0;
            if (!seen) out[n++] = section;
        }
    }
    CHECK(n < most, "%zu names", n);
    return out;
}

/* The key whose last component is nearest: "bckbone" is nowhere near "model.backbone" as a whole. */
static const char *nearest_leaf(const char *path)
{
    const char *leaves[LOAD_MAX_KEYS + 1] = {0};
    const struct key *k = NULL;
    for (int i = 0; i < key_count && i < LOAD_MAX_KEYS; i++) {
        leaves[i] = last_part(key_table[i].path);
    }
    const char *near = strchr(path, '.') ? NULL : str_nearest(path, leaves);
    if (near) k = key_find_loose(near);
    return k ? k->path : NULL;
}

/* The right name in the wrong section. */
static const char *elsewhere(const char *path)
{
    const struct key *k = key_find_loose(last_part(path));
    return k ? k->path : NULL;
}

const char *key_hint(struct arena *a, const char *path)
{
    const char *near = elsewhere(path);
    if (!near) near = by_others(path);
    if (!near) near = str_nearest(path, all_names(a));
    if (!near) near = nearest_leaf(path);
    return near ? arena_printf(a, "; did you mean %s?", near) : "";
}
