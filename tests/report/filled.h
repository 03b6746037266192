/* A database that a test of reports fills row by row, and what was written of it. */
#ifndef TESTS_REPORT_FILLED_H
#define TESTS_REPORT_FILLED_H

#include "report.h"
#include "store.h"
#include "test.h"
#include <math.h>
#include <sqlite3.h>

static const struct report_metric metrics[] = {{"ssim", "", true}, {"psnr", "dB", true}, {"val_loss", "", false}};

static inline const struct report_metric *metric(const char *name)
{
    for (size_t i = 0; i < LEN(metrics); i++)
        if (!strcmp(metrics[i].name, name)) return &metrics[i];
    return NULL;
}

struct base {
    const char *dir, *path;
    sqlite3 *db;
    struct arena arena;
};

static inline void sql(struct base *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = sqlite3_vmprintf(fmt, ap);
    va_end(ap);
    char *why = NULL;
    if (sqlite3_exec(b->db, text, NULL, NULL, &why) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", text, why);
        CU_FAIL("sql");
    }
    sqlite3_free(why);
    sqlite3_free(text);
}

static inline struct base base_open(const char *rank)
{
    struct base b = {0};
    b.dir = arena_strdup(&b.arena, test_dir());
    b.path = fs_join(&b.arena, b.dir, "sweep.db");
    struct store *s;
    TEST_OK(store_open(&s, (struct store_options){.path = b.path, .command = "test"}));
    store_close(s);
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(b.path, &b.db), SQLITE_OK);
    sql(&b, "INSERT INTO sweeps VALUES (1, 'demo', 'demo.yaml', '{}', %Q, 0, 0)", rank);
    return b;
}

struct row {
    const char *arch, *backbone, *state, *reason;
    int seed;
    double ssim, ms;
    const char *loss;
};

static inline void add(struct base *b, int i, struct row c)
{
    char id[32];
    snprintf(id, sizeof id, "%012d", i);
    sql(b,
        "INSERT INTO trials (id, config, arch, backbone, height, width, seed, loss_key, params, macs, state, reason,"
        " created) VALUES (%Q, '{}', %Q, %Q, 128, 128, %d, %Q, 4651234, 1234567890, %Q, %Q, 0)",
        id, c.arch, c.backbone, c.seed, c.loss ? c.loss : "L", c.state ? c.state : "done", c.reason);
    sql(b, "INSERT INTO sweep_trials VALUES (1, %Q, %d, '{\"model.arch\":\"x\",\"seed\":%d}')", id, i, c.seed);
    sql(b, "INSERT INTO stages (key, trial, stage, state) VALUES ('t%s', %Q, 'train', 'done')", id, id);
    if (c.ssim > 0) {
        sql(b, "INSERT INTO metrics VALUES ('t%s', %Q, 'ssim', -1, %f), ('t%s', %Q, 'val_loss', -1, %f)", id, id,
            c.ssim, id, id, 4 - c.ssim);
        sql(b,
            "INSERT INTO metrics VALUES ('t%s', %Q, 'identity_ssim', -1, 0.52), ('t%s', %Q, 'untrained_ssim', -1, "
            "0.31)",
            id, id, id, id);
        for (int e = 0; e < 12; e++)
            sql(b, "INSERT INTO metrics VALUES ('t%s', %Q, 'ssim', %d, %f), ('t%s', %Q, 'val_loss', %d, %f)", id, id, e,
                c.ssim * (1 - exp(-0.3 * (e + 1))), id, id, e, 3.4 + 2 * exp(-0.3 * e) - c.ssim);
    }
    if (c.ms > 0)
        sql(b,
            "INSERT INTO latencies (stage_key, trial, format, device, threads, height, width, visit, n, load_ms, "
            "first_ms,"
            " min_ms, p50_ms, p90_ms, p99_ms, mean_ms, cov, unstable, samples, info, measured)"
            " VALUES ('t%s', %Q, 'onnx', 'cpu', 1, 128, 128, 0, 64, 20, 9, %f, %f, %f, %f, %f, 0.01, 0, x'', '{}', 0)",
            id, id, c.ms * 0.95, c.ms, c.ms * 1.1, c.ms * 1.3, c.ms);
}

static inline struct status report(struct base *b, const char *sweep, const char *gnuplot, struct report_written *w)
{
    const char *dir = fs_join(&b->arena, b->dir, "report");
    return report_write(
        w, &(struct report_options){.db = b->path, .sweep = sweep, .dir = dir, .gnuplot = gnuplot, .metric = metric});
}

static inline char *written(struct base *b, const char *name)
{
    char *text = NULL;
    TEST_OK(fs_read(&text, NULL, fs_join(&b->arena, fs_join(&b->arena, b->dir, "report"), name)));
    return text ? text : mem_strdup("");
}

static inline void has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fprintf(stderr, "not found: %s\n", part);
        CU_FAIL("text");
    }
}

static inline void base_close(struct base *b)
{
    sqlite3_close(b->db);
    arena_free(&b->arena);
}

#endif
