/* The one list of families and decoders, and everything that is derived from their rows. */
#include "registry.h"
#include "backbones.h"
#include "decoders.h"
#include <pthread.h>

/* clang-format off */
extern const struct zoo_family
    zoo_densenet, zoo_dpn, zoo_efficientnet, zoo_efficientnet_timm, zoo_efficientnet_lite, zoo_gernet,
    zoo_inceptionresnetv2, zoo_inceptionv4, zoo_lcnet, zoo_mobilenetv2, zoo_mobilenetv3, zoo_mobilenetv4,
    zoo_mobileone, zoo_regnet, zoo_res2net, zoo_resnest,
    zoo_resnet, zoo_senet, zoo_sknet, zoo_vgg, zoo_xception;

const struct zoo_family *const zoo_families[] = {
    &zoo_densenet, &zoo_dpn, &zoo_efficientnet, &zoo_efficientnet_timm, &zoo_efficientnet_lite, &zoo_gernet,
    &zoo_inceptionresnetv2, &zoo_inceptionv4, &zoo_lcnet, &zoo_mobilenetv2, &zoo_mobilenetv3, &zoo_mobilenetv4,
    &zoo_mobileone, &zoo_regnet, &zoo_res2net, &zoo_resnest,
    &zoo_resnet, &zoo_senet, &zoo_sknet, &zoo_vgg, &zoo_xception, NULL,
};
/* clang-format on */

const struct zoo_decoder *const zoo_decoders[] = {
    &zoo_unet,      &zoo_unetplusplus,  &zoo_fpn,   &zoo_linknet, &zoo_pspnet,
    &zoo_deeplabv3, &zoo_deeplabv3plus, &zoo_manet, &zoo_pan,     NULL,
};

/* What the rows say, flat: filled once, constant afterwards. */
static struct {
    struct arena arena;
    const char **archs, **names;
    struct zoo_info *infos;
    const struct zoo_backbone **rows;
    const struct zoo_family **families;
    int n;
} all;
static pthread_once_t all_once = PTHREAD_ONCE_INIT;

static struct zoo_info describe(const struct zoo_family *f, const struct zoo_backbone *r)
{
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    struct zoo_info i = {.name = r->name, .family = f->name, .source = f->source};
    i.reference = arena_printf(&all.arena, "%s%s", f->prefix ? f->prefix : "", r->name);
    i.dilates = f->dilation != ZOO_DILATE_NEVER;
    const char *tag = r->tag ? r->tag : f->tag ? f->tag : "imagenet";
    const char *file = strncmp(i.reference, "tu-", 3) == 0 ? i.reference + 3 : i.reference;
    if (*tag) i.weights = arena_printf(&all.arena, "%s/%s.%s", f->hub ? f->hub : "smp-hub", file, tag);
    for (int c = 0; c < 3; c++) {
        i.mean[c] = f->std[0] > 0 ? f->mean[c] : mean[c];
        i.std[c] = f->std[0] > 0 ? f->std[c] : std[c];
    }
    return i;
}

static void fill(void)
{
    int n = 0, n_arch = 0;
    for (int f = 0; zoo_families[f]; f++) n += zoo_families[f]->n_rows;
    while (zoo_decoders[n_arch]) n_arch++;
    all.names = arena_alloc(&all.arena, (size_t)(n + 1) * sizeof *all.names);
    all.infos = arena_alloc(&all.arena, (size_t)n * sizeof *all.infos);
    all.rows = arena_alloc(&all.arena, (size_t)n * sizeof *all.rows);
    all.families = arena_alloc(&all.arena, (size_t)n * sizeof *all.families);
    all.archs = arena_alloc(&all.arena, (size_t)(n_arch + 1) * sizeof *all.archs);
    for (int f = 0; zoo_families[f]; f++) {
        for (int r = 0; r < zoo_families[f]->n_rows; r++, all.n++) {
            all.families[all.n] = zoo_families[f];
            all.rows[all.n] = &zoo_families[f]->rows[r];
            all.names[all.n] = all.rows[all.n]->name;
            all.infos[all.n] = describe(zoo_families[f], all.rows[all.n]);
        }
    }
    for (int a = 0; a < n_arch; a++) all.archs[a] = zoo_decoders[a]->name;
}

const char *const *zoo_arch_names(void)
{
    pthread_once(&all_once, fill);
    return all.archs;
}

const char *const *zoo_backbone_names(void)
{
    pthread_once(&all_once, fill);
    return all.names;
}

static int find(const char *name)
{
    pthread_once(&all_once, fill);
    for (int i = 0; name && i < all.n; i++)
        if (strcmp(all.names[i], name) == 0) return i;
    return -1;
}

const struct zoo_info *zoo_backbone_info(const char *name)
{
    int i = find(name);
    return i < 0 ? NULL : &all.infos[i];
}

static struct status unknown(const char *what, const char *name, const char *const *names)
{
    const char *near = str_nearest(name ? name : "", names);
    return fail(STATUS_ARG, "%s: got \"%s\"%s%s%s; `sweep zoo ls` lists all", what, name ? name : "",
                near ? ", did you mean \"" : ", which is none of the zoo's", near ? near : "", near ? "\"?" : "");
}

struct status zoo_backbone_get(const char *name, const struct zoo_backbone **row, const struct zoo_family **family)
{
    int i = find(name);
    if (i < 0) return unknown("model.backbone", name, all.names);
    *row = all.rows[i];
    *family = all.families[i];
    return ok();
}

struct status zoo_decoder_get(const char *name, const struct zoo_decoder **out)
{
    for (int i = 0; name && zoo_decoders[i]; i++) {
        *out = zoo_decoders[i];
        if (strcmp((*out)->name, name) == 0) return ok();
    }
    return unknown("model.arch", name, zoo_arch_names());
}

const char *zoo_published_name(struct arena *a, const char *backbone, const char *name)
{
    int i = find(backbone);
    if (i < 0) return name;
    const struct zoo_family *f = all.families[i];
    size_t scope = f->scope ? strlen(f->scope) : 0;
    if (scope && strncmp(name, f->scope, scope) == 0 && name[scope] == '.') return name; /* the encoder's own */
    for (size_t h = 0; h < LEN(f->heads) && f->heads[h]; h++)
        if (strncmp(name, f->heads[h], strlen(f->heads[h])) == 0) return NULL;
    if (f->rename) name = f->rename(a, all.rows[i], name);
    return scope ? arena_printf(a, "%s.%s", f->scope, name) : name;
}
