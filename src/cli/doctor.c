/* doctor: each thing that sweep needs, whether it is here, and the command that mends it. */
#include "bench.h"
#include "inside.h"
#include "weights.h"
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

struct finding {
    bool fine, needed;
    char what[400];
};

/* The first line that a program prints, and whether it ran. */
static bool first_line(char *out, size_t n, const char *command)
{
    FILE *f = popen(command, "r");
    out[0] = 0;
    if (!f) return false;
    if (!fgets(out, (int)n, f)) out[0] = 0;
    out[strcspn(out, "\n")] = 0;
    char rest[512];
    while (fread(rest, 1, sizeof rest, f) > 0) continue;
    return pclose(f) == 0;
}

static struct finding program(const char *command, const char *mend, bool needed)
{
    struct finding f = {.needed = needed};
    f.fine = first_line(f.what, sizeof f.what, command);
    if (!f.fine) snprintf(f.what, sizeof f.what, "%s", mend);
    return f;
}

static struct finding worker(void)
{
    char command[1300];
    snprintf(command, sizeof command, "'%s/sweep-worker' --version 2>/dev/null", fs_program_dir());
    return program(command, "it does not start: `make build` builds it", true);
}

static struct finding measurer(void)
{
    char path[1100];
    struct finding f = {.needed = true};
    snprintf(path, sizeof path, "%s/sweep-bench", fs_program_dir());
    f.fine = access(path, X_OK) == 0;
    snprintf(f.what, sizeof f.what, "%s", f.fine ? path : "not beside this program: `make build` builds it");
    return f;
}

static struct finding runtime_of(enum bench_runtime runtime, bool needed, const char *how)
{
    struct arena a = {0};
    const char *path = NULL;
    struct finding f = {.needed = needed};
    struct status st = bench_library(&path, &a, runtime, NULL);
    f.fine = st.code == STATUS_OK;
    snprintf(f.what, sizeof f.what, "%s", f.fine ? path : how);
    arena_free(&a);
    return f;
}

static struct finding onnxruntime(void)
{
    return runtime_of(BENCH_ORT, true, "not found: `make setup` installs it, or set ORT_LIB to its file");
}

static struct finding litert(void)
{
    return runtime_of(
        BENCH_LITERT, false,
        "not found, only needed for export: [litert]: `make setup` installs it, or set LITERT_LIB to its file");
}

static struct finding gnuplot(void)
{
    return program("gnuplot --version 2>/dev/null", "not found, reports have no plots: apt-get install gnuplot-nox",
                   false);
}

static struct finding ffmpeg(void)
{
    return program("ffmpeg -version 2>/dev/null", "not found, only needed for video: apt-get install ffmpeg", false);
}

static struct finding slurm(void)
{
    return program("sbatch --version 2>/dev/null", "no sbatch that works, only needed for `sweep run --executor slurm`",
                   false);
}

/* What a GPU is, and who computes on it. */
static struct finding gpu(const struct engine_gpu *v)
{
    const double gib = 1073741824.0;
    struct finding f = {.fine = engine_cuda()};
    struct str text = {0};
    str_addf(&text, "%s, %.1f GiB, %.1f free, %s", v->name, (double)v->bytes_total / gib, (double)v->bytes_free / gib,
             v->uuid);
    if (v->exclusive) str_add(&text, "; set up for one process at a time");
    for (int i = 0; i < v->n_processes; i++)
        str_addf(&text, "; process %d uses %.1f GiB", v->processes[i].pid, (double)v->processes[i].bytes / gib);
    if (!f.fine) str_add(&text, "; this build's libtorch is for the CPU alone: `make setup build` takes the other one");
    snprintf(f.what, sizeof f.what, "%s", text.s);
    str_free(&text);
    return f;
}

static json_t *gpu_json(const struct engine_gpu *v)
{
    json_t *processes = json_array();
    for (int i = 0; i < v->n_processes; i++)
        json_array_append_new(
            processes, json_pack("{s:i, s:I}", "pid", v->processes[i].pid, "bytes", (json_int_t)v->processes[i].bytes));
    return json_pack("{s:i, s:s, s:s, s:I, s:I, s:[i,i], s:b, s:o}", "index", v->index, "name", v->name, "uuid",
                     v->uuid, "bytes_total", (json_int_t)v->bytes_total, "bytes_free", (json_int_t)v->bytes_free,
                     "capability", v->capability[0], v->capability[1], "exclusive", (int)v->exclusive, "processes",
                     processes);
}

static struct finding cpu(void)
{
    struct finding f = {.fine = true, .needed = true};
    snprintf(f.what, sizeof f.what, "cores for this process: %d; precision auto means %s", cores_usable(),
             plan_precision());
    return f;
}

static struct finding disk(void)
{
    struct finding f = {.needed = true};
    struct statvfs v;
    if (statvfs(".", &v) == 0) {
        double gib = (double)v.f_bavail * (double)v.f_frsize / 1073741824.0;
        f.fine = gib >= 2;
        snprintf(f.what, sizeof f.what, "%.1f GiB free here%s", gib, f.fine ? "" : ": a sweep may fill it; free some");
    }
    return f;
}

static const struct {
    const char *name;
    struct finding (*look)(void);
} checks[] = {
    {"cpu", cpu},
    {"disk", disk},
    {"sweep-worker", worker},
    {"sweep-bench", measurer},
    {"onnxruntime", onnxruntime},
    {"litert", litert},
    {"gnuplot", gnuplot},
    {"ffmpeg", ffmpeg},
    {"slurm", slurm},
};

static struct finding database(const struct cli_args *a)
{
    struct finding f = {.fine = true, .needed = true};
    if (!fs_exists(cli_db(a))) {
        snprintf(f.what, sizeof f.what, "%s: none yet, the first run makes it", cli_db(a));
        return f;
    }
    struct store *s = NULL;
    struct status st = cli_open(&s, a, false);
    if (st.code == STATUS_OK) st = store_integrity(s);
    store_close(s);
    f.fine = st.code == STATUS_OK;
    if (f.fine)
        snprintf(f.what, sizeof f.what, "%s: sound", cli_db(a));
    else
        snprintf(f.what, sizeof f.what, "%s", st.msg);
    return f;
}

/* What the trials take, and what of it a policy would let go. */
static struct finding stored(const struct cli_args *a)
{
    struct finding f = {.fine = true};
    struct store *s = NULL;
    json_t *rows = NULL, *best = NULL;
    if (!fs_exists(cli_db(a)) || cli_open(&s, a, false).code != STATUS_OK) {
        snprintf(f.what, sizeof f.what, "nothing is stored");
        return f;
    }
    struct status st = store_rows(&rows, s,
                                  "SELECT count(DISTINCT trial) AS trials, total(bytes) AS bytes, total(CASE WHEN kind "
                                  "IN ('best', 'last') THEN bytes END) AS weights FROM artifacts",
                                  NULL);
    if (st.code == STATUS_OK) st = engine_surplus(&best, s, "best", 0);
    const json_t *row = json_array_get(rows, 0);
    double spare = 0;
    for (size_t i = 0; i < json_array_size(best); i++) spare += json_num(json_array_get(best, i), "bytes", 0);
    int n = snprintf(f.what, sizeof f.what, "%sB in files of %d trials, %sB of them checkpoints",
                     cli_count(json_num(row, "bytes", 0)), (int)json_int(row, "trials", 0),
                     cli_count(json_num(row, "weights", 0)));
    if (spare > 0)
        snprintf(f.what + n, sizeof f.what - (size_t)n, "; sweep gc --keep best --delete frees %sB", cli_count(spare));
    if (st.code != STATUS_OK) snprintf(f.what, sizeof f.what, "%s", st.msg);
    f.fine = st.code == STATUS_OK;
    json_decref(rows);
    json_decref(best);
    store_close(s);
    return f;
}

/* Whether files can be made in a folder, or in the nearest one above it that is there. */
static struct finding writable(const char *dir)
{
    struct arena a = {0};
    struct finding f = {.needed = true};
    const char *at = dir;
    while (!fs_exists(at) && strcmp(at, ".") != 0 && strcmp(at, "/") != 0) at = fs_dirname(&a, at);
    f.fine = fs_is_dir(at) && access(at, W_OK | X_OK) == 0;
    snprintf(f.what, sizeof f.what, "%s: %s", dir,
             f.fine ? (fs_is_dir(dir) ? "can be written" : "none yet, can be made")
                    : "cannot be written: change its "
                      "owner or mode, or name "
                      "another database by --db");
    arena_free(&a);
    return f;
}

/* Files of weights in weights/, and the first that is none. */
static struct finding published(void)
{
    struct arena a = {0};
    struct finding f = {.needed = false};
    char **names;
    size_t n = 0;
    int whole = 0;
    if (!fs_is_dir("weights") || fs_list(&names, &n, &a, "weights").code != STATUS_OK) n = 0;
    for (size_t i = 0; i < n; i++) {
        struct weights w;
        if (!str_glob("*.safetensors", names[i])) continue;
        struct status st = weights_load(&w, fs_join(&a, "weights", names[i]));
        if (st.code == STATUS_OK) {
            weights_free(&w);
            whole++;
        } else if (!f.what[0]) {
            f.needed = true; /* a run that names it fails */
            snprintf(f.what, sizeof f.what, "%s; import it again, or remove it", st.msg);
        }
    }
    f.fine = whole > 0 && !f.what[0];
    if (!f.what[0] && whole) snprintf(f.what, sizeof f.what, "%d file%s in weights/", whole, whole == 1 ? "" : "s");
    if (!f.what[0])
        snprintf(f.what, sizeof f.what,
                 "none in weights/: nets and losses start from random ones; `make setup-weights`");
    arena_free(&a);
    return f;
}

static void add(json_t *rows, const char *name, const struct finding *f, int *code)
{
    if (!f->fine && f->needed) *code = 1;
    json_array_append_new(rows, json_pack("{s:s, s:s, s:s}", "what", name, "state",
                                          f->fine     ? "OK"
                                          : f->needed ? "missing"
                                                      : "optional",
                                          "detail", f->what));
}

static void add_gpus(json_t *rows, int *code)
{
    struct engine_gpus *g = mem_alloc(sizeof *g);
    engine_gpus(g);
    if (g->trouble[0] || !g->n) {
        struct finding f = {.fine = false}; /* none is no fault, but it is not there either */
        snprintf(f.what, sizeof f.what, "%s%s", g->trouble[0] ? g->trouble : "none", g->n ? "" : "; the CPU trains");
        add(rows, "gpu", &f, code);
    }
    for (int i = 0; i < g->n; i++) {
        char name[24];
        struct finding f = gpu(&g->v[i]);
        snprintf(name, sizeof name, "gpu %d", i);
        add(rows, name, &f, code);
        json_object_set_new(json_array_get(rows, json_array_size(rows) - 1), "gpu", gpu_json(&g->v[i]));
    }
    free(g);
}

CLI_COMMAND(cli_doctor)
{
    json_t *rows = json_array();
    add_gpus(rows, code);
    for (size_t i = 0; i < LEN(checks); i++) {
        struct finding f = checks[i].look();
        add(rows, checks[i].name, &f, code);
    }
    struct finding f = database(a);
    add(rows, "database", &f, code);
    struct arena mem = {0};
    f = writable(fs_dirname(&mem, cli_db(a)));
    add(rows, "results", &f, code);
    f = stored(a);
    add(rows, "stored", &f, code);
    f = writable("reports");
    add(rows, "reports", &f, code);
    f = published();
    add(rows, "weights", &f, code);
    arena_free(&mem);
    if (a->value[OPT_JSON])
        cli_print_rows(rows, CLI_JSON);
    else
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const json_t *r = json_array_get(rows, i);
            printf("%-9s %-13s %s\n", json_str(r, "state", ""), json_str(r, "what", ""), json_str(r, "detail", ""));
        }
    json_decref(rows);
    return ok();
}
