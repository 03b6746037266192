/* init: two folders of pictures into a configuration that runs. What it says of them is what a run would find. */
#include "data.h"
#include "inside.h"
#include "spec.h"
#include <ctype.h>

/* What people call the two folders; a folder of another name is the input when it comes first. */
static const char *const target_words[] = {"target", "targets", "output", "outputs", "y",  "b",     "after",
                                           "drawn",  "comic",   "comics", "toon",    "gt", "label", NULL};
static const char *const input_words[] = {"input",  "inputs", "source", "src",  "x",     "a",
                                          "before", "photo",  "photos", "face", "faces", NULL};

static bool among(const char *const *words, const char *name)
{
    while (*words && strcmp(*words, name) != 0) words++;
    return *words != NULL;
}

struct found {
    const char *root, *input, *target;
    bool guessed; /* which of the two is the input */
    int pairs, skipped, size;
    struct data_sides sides;
};

/* The two folders below FOLDER, or those that are named. */
static struct status find_folders(struct found *f, struct arena *mem, const struct cli_args *a)
{
    const char *input = a->value[OPT_INPUT], *target = a->value[OPT_TARGET];
    char **names;
    size_t n = 0;
    f->root = a->pos[0];
    if (!input != !target)
        return fail(STATUS_ARG, "%s: expected %s with it", input ? "--input" : "--target",
                    input ? "--target" : "--input");
    f->input = input, f->target = target;
    if (input) return ok();
    TRY(fs_list(&names, NULL, mem, f->root));
    for (char **p = names; *p; p++)
        if ((*p)[0] != '.' && fs_is_dir(fs_join(mem, f->root, *p))) names[n++] = *p;
    if (n != 2)
        return fail(STATUS_ARG,
                    "%s: got %zu folders in it, expected two, of inputs and of targets; name them: sweep init "
                    "%s --input NAME --target NAME",
                    f->root, n, f->root);
    bool sure = among(input_words, names[0]) || among(target_words, names[1]);
    bool turned = among(target_words, names[0]) || among(input_words, names[1]);
    f->guessed = sure == turned;
    f->input = names[turned && !sure], f->target = names[!(turned && !sure)];
    return ok();
}

/* The greatest usual size that no picture must be enlarged for. */
static int usual_size(const struct data_sides *s)
{
    int least = s->input[0] < s->target[0] ? s->input[0] : s->target[0], size = 256;
    while (size > 32 && size > least) size /= 2;
    return size;
}

/* Lists, matches and decodes, as a run does first. */
static struct status look(struct found *f, const struct cli_args *a)
{
    struct data *d;
    struct arena mem = {0};
    int n;
    struct status st = data_open(&d, &(struct data_options){.root = f->root,
                                                            .input = f->input,
                                                            .target = f->target,
                                                            .height = 32,
                                                            .width = 32,
                                                            .split_val = 0.2,
                                                            .cache = cli_cache(a, &mem),
                                                            .skip_damaged = true});
    arena_free(&mem);
    TRY(st);
    const char *const *notes = data_notes(d, &n);
    for (int i = 0; i < n; i++) log_warn("%s", notes[i]);
    f->pairs = data_size(d);
    f->skipped = data_skipped(d);
    f->sides = data_sides(d);
    f->size = usual_size(&f->sides);
    data_close(d);
    return ok();
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* Letters, digits, dashes and underscores of a path's last part. */
static const char *name_of(struct arena *mem, const char *path)
{
    char *real = realpath(path, NULL), *name = arena_strdup(mem, fs_basename(real ? real : path));
    free(real);
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_-", *c)) *c = '-';
    return *name ? name : "pairs";
}

/* A text as YAML takes it whatever is in it: JSON's quotes are YAML's. */
static void add_text(struct str *out, const char *key, const char *value, const char *comment)
{
    json_t *j = json_string(value);
    char *quoted = json_text(j, 0);
    str_addf(out, "  %s: %s%s%s\n", key, quoted, *comment ? " # " : "", comment);
    free(quoted);
    json_decref(j);
}

static int batch_for(int pairs)
{
    int training = pairs - pairs / 5, batch = 8;
    while (batch > 2 && 2 * batch > training) batch /= 2;
    return batch;
}

static void write_yaml(struct str *out, const struct found *f, const char *name, const char *path)
{
    str_addf(
        out,
        "# %d pairs. `sweep plan %s` says what this asks for, `sweep run %s` does it; `sweep keys` lists every key.\n"
        "# For an editor that completes: `sweep keys --schema > sweep.schema.json`, and as this file's first line\n"
        "# # yaml-language-server: $schema=sweep.schema.json\n"
        "name: %s\n\ndata:\n",
        f->pairs, path, path, name);
    add_text(out, "root", f->root, "holds the two folders; relative to where sweep is started");
    add_text(out, "input", f->input, "what the model sees; pairs are matched by file name");
    add_text(out, "target", f->target, "what it is to draw");
    str_addf(out, "  size: %d # pictures are resized to it: sides are %d to %d pixels (inputs), %d to %d (targets)\n",
             f->size, f->sides.input[0], f->sides.input[1], f->sides.target[0], f->sides.target[1]);
    str_add(out, "  split: {val: 0.2} # part of the pairs that is not trained on, and judged by\n");
    if (f->skipped)
        str_addf(out, "  skip_damaged: true # %d pairs have a picture that cannot be decoded\n", f->skipped);
    str_addf(out,
             "\naugment: # the same for both pictures of a pair\n  - flip: {p: 0.5}\n\n"
             "axes: # every combination is tried; `sweep zoo ls` names what there is\n"
             "  model.arch: [unet, linknet]\n  model.backbone: [mobilenetv3_small_100, resnet18]\n\n"
             "model:\n  weights: random # `sweep weights ls` says how to begin from published ones, which draw better: "
             "imagenet\n"
             "  output: {residual: true} # learns the change to its input; leave it out where the two are not alike\n\n"
             "train:\n  epochs: 20 # more is better, and takes as much longer\n  batch: %d\n  lr: 1.0e-3\n\n"
             "# gate: {device: cpu, p50_ms: 25} # never trains what is slower than 40 frames a second\n"
             "export: [onnx]\ndevices: [cpu] # where the exported models are timed\nbench: {mode: quick}\n",
             batch_for(f->pairs));
}

static void tell(const struct cli_args *a, const struct found *f, const char *path)
{
    if (a->value[OPT_JSON]) {
        json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:b,s:i,s:i,s:i,s:[i,i],s:[i,i]}", "file", path, "root", f->root,
                              "input", f->input, "target", f->target, "guessed", f->guessed, "pairs", f->pairs,
                              "skipped", f->skipped, "size", f->size, "input_sides", f->sides.input[0],
                              f->sides.input[1], "target_sides", f->sides.target[0], f->sides.target[1]);
        cli_print_json(j);
        json_decref(j);
        return;
    }
    printf("%d pairs: inputs in %s (sides %d to %d), targets in %s (%d to %d)\n", f->pairs, f->input, f->sides.input[0],
           f->sides.input[1], f->target, f->sides.target[0], f->sides.target[1]);
    if (f->guessed) printf("%s is taken as the input because it comes first; --input and --target say it\n", f->input);
    if (f->skipped) printf("%d more pairs have a damaged picture and are left out\n", f->skipped);
    printf("%s is written; next: sweep plan %s\n", path, path);
}

static struct status check(const char *path)
{
    struct spec *spec;
    TRY(spec_load(&spec, path, NULL, 0));
    spec_free(spec);
    return ok();
}

static struct status make(const struct cli_args *a, struct arena *mem)
{
    struct found f = {0};
    const char *name = name_of(mem, a->pos[0]), *path = a->n_pos > 1 ? a->pos[1] : arena_printf(mem, "%s.yaml", name);
    struct str text = {0};
    if (fs_exists(path))
        return fail(STATUS_ARG, "%s: is there already, and stays as it is; name another: sweep init %s FILE", path,
                    a->pos[0]);
    TRY(find_folders(&f, mem, a));
    TRY(look(&f, a));
    write_yaml(&text, &f, name, path);
    struct status st = fs_write(path, text.s, text.n);
    str_free(&text);
    TRY(st);
    TRY(check(path));
    tell(a, &f, path);
    return ok();
}

CLI_COMMAND(cli_init)
{
    struct arena mem = {0};
    (void)code;
    struct status st = make(a, &mem);
    arena_free(&mem);
    return st;
}
