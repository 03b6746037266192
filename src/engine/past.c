/* What the machine is, and what its finished stages say about the next ones. */
#include "inside.h"
#include <sys/utsname.h>
#include <unistd.h>

enum { MOST = 5000 }; /* of the past that is looked at */

static void cpu_name(char *out, size_t n)
{
    char *text = NULL;
    struct status st = fs_read(&text, NULL, "/proc/cpuinfo");
    const char *model = st.code == STATUS_OK ? strstr(text, "model name") : NULL;
    model = model ? strchr(model, ':') : NULL;
    snprintf(out, n, "%.*s", model ? (int)strcspn(model + 2, "\n") : 1, model ? model + 2 : "?");
    free(text);
}

json_t *engine_machine(void)
{
    struct utsname u = {0};
    char cpu[200];
    uname(&u);
    cpu_name(cpu, sizeof cpu);
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return json_pack("{s:s, s:i, s:I, s:s, s:s, s:b}", "cpu", cpu, "cores", cores_usable(), "memory_bytes",
                     (json_int_t)pages * page, "os", u.sysname, "kernel", u.release, "gpu",
                     fs_is_dir("/proc/driver/nvidia/gpus"));
}

/* The parts of a stage's predicted cost are stored beside what it took; a later version may count otherwise. */
static const char *const second_names[PLAN_SECONDS] = {"est_start_s", "est_steps_s", "est_arithmetic_s",
                                                       "est_traffic_s"};
static const char *const ms_names[PLAN_MS] = {"est_launch_ms", "est_arithmetic_ms", "est_activation_ms",
                                              "est_weight_ms"};
static const char *const byte_names[PLAN_BYTES] = {"est_process_bytes", "est_activation_bytes", "est_parameter_bytes"};

json_t *engine_estimate(const struct plan_stage *g)
{
    int runs = engine_runs(g);
    json_t *values = json_pack("{s:f}", "est_s", g->est_s * runs);
    for (int i = 0; i < PLAN_SECONDS; i++) json_object_set_new(values, second_names[i], json_real(g->cost.s[i] * runs));
    for (int i = 0; i < PLAN_BYTES; i++) json_object_set_new(values, byte_names[i], json_real(g->cost.bytes[i]));
    for (int i = 0; i < PLAN_MS && g->cost.ms[0] > 0; i++)
        json_object_set_new(values, ms_names[i], json_real(g->cost.ms[i]));
    return values;
}

static int kind_of(const char *stage)
{
    for (int k = 0; k < PLAN_N_KINDS; k++)
        if (strcmp(plan_kinds[k].name, stage) == 0) return k;
    return -1;
}

/* A row as the past of a stage; false when it does not say what was predicted, or was made where the next one will not
 * be: on the CPU of a machine that has GPUs. @p info keeps the parts. */
static bool past_of(struct plan_past *out, const json_t *row, const json_t *info, int cores, bool gpu)
{
    int kind = kind_of(json_str(row, "stage", ""));
    if (kind >= 0 && gpu && place_kind((enum plan_kind)kind) && !json_str(info, "gpu", NULL)) return false;
    double threads = json_num(info, "threads", cores);
    *out = (struct plan_past){.kind = (enum plan_kind)kind,
                              .precision = json_str(row, "precision", ""),
                              .format = kind == PLAN_SCREEN ? "" : json_str(row, "format", ""),
                              .device = json_str(row, "device", ""),
                              .share = threads > 0 && threads < cores ? cores / threads : 1,
                              .seconds = json_num(row, "seconds", 0),
                              .bytes = json_num(info, "gpu_bytes_peak", json_num(row, "rss_bytes", 0)),
                              .ms = json_num(row, "ms", 0)};
    for (int i = 0; i < PLAN_SECONDS; i++) out->cost.s[i] = json_num(info, second_names[i], 0);
    for (int i = 0; i < PLAN_BYTES; i++) out->cost.bytes[i] = json_num(info, byte_names[i], 0);
    for (int i = 0; i < PLAN_MS; i++) out->cost.ms[i] = json_num(info, ms_names[i], 0);
    return kind >= 0 && out->cost.s[0] > 0;
}

struct status engine_model(struct plan_model **out, struct store *s)
{
    json_t *rows, *machine = engine_machine();
    int cores = cores_usable();
    bool gpu = json_bool(machine, "gpu", false);
    json_t *params = json_pack("[O, O, O, i]", json_object_get(machine, "cpu"), json_object_get(machine, "cores"),
                               json_object_get(machine, "gpu"), MOST);
    struct status st = store_rows(
        &rows, s,
        "SELECT g.stage, g.format, g.device, g.seconds, g.rss_bytes, g.info, "
        "json_extract(t.config, '$.\"train.precision\"') AS precision, "
        "(SELECT min(p50_ms) FROM latencies l WHERE l.stage_key = g.key AND l.threads = 1) AS ms FROM stages g JOIN "
        "trials t ON t.id = g.trial "
        "WHERE g.state IN ('done', 'too_slow') AND g.attempts = 1 AND g.environment IN (SELECT id FROM environments "
        "WHERE "
        "json_extract(info, '$.cpu') = ?1 AND json_extract(info, '$.cores') = ?2 AND json_extract(info, '$.gpu') = ?3) "
        "ORDER BY g.ended DESC LIMIT ?4",
        params);
    json_decref(params);
    json_decref(machine);
    TRY(st);
    size_t n = json_array_size(rows);
    struct plan_past *past = mem_zalloc(sizeof *past * (n + 1));
    json_t *infos = json_array();
    int used = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(rows, i);
        const char *text = json_str(row, "info", "{}");
        json_t *info = NULL;
        struct status parsed = json_parse(&info, "info", text, strlen(text));
        if (parsed.code != STATUS_OK) continue; /* a row that is not ours predicts nothing */
        json_array_append_new(infos, info);
        used += past_of(&past[used], row, info, cores, gpu);
    }
    *out = plan_model_new(past, used);
    json_decref(infos);
    json_decref(rows);
    free(past);
    return ok();
}

int engine_threads(const struct plan_stage *g, int jobs, int cores)
{
    int asked = (int)json_int(g->config, "train.threads", 0), each = jobs > 1 ? cores / jobs : cores;
    return asked > 0 ? asked : each > 1 ? each : 1;
}

double engine_share(const struct plan_stage *g, int jobs, int cores)
{
    int threads = engine_threads(g, jobs, cores);
    return cores > threads ? (double)cores / threads : 1;
}
