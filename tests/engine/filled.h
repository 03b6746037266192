/* A database of ten thousand finished cells, made without running them. */
#ifndef TESTS_ENGINE_FILLED_H
#define TESTS_ENGINE_FILLED_H

#include "engine.h"
#include "test.h"
#include <sys/resource.h>

/** CPU of this process or (RUSAGE_CHILDREN) of its ended children. */
static inline double filled_cpu_seconds(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/** Plans DIR/many.yaml, which it writes. Owner: the caller. */
static inline struct plan *filled_plan(const char *dir)
{
    static const char text[] = "name: many\n"
                               "axes: {arch: [unet, fpn], backbone: [resnet18, resnet34], seed: {range: [0, 249, 1]}, "
                               "train.lr: {log: [1.0e-4, 1.0e-2, 10]}}\n"
                               "data: {size: 64, pairs: 8}\n"
                               "evaluate: {judge: {weights: none}}\n"; /* wherever it is started */
    struct arena a = {0};
    struct plan *p = NULL;
    const char *path = fs_join(&a, dir, "many.yaml");
    TEST_OK(fs_write(path, text, strlen(text)));
    TEST_OK(plan_load(&p, &(struct plan_options){.files = &path, .n_files = 1}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    arena_free(&a);
    return p;
}

/** Every stage done, with the files that later stages would read. */
static inline void filled_store(struct store *s, const struct plan *p)
{
    struct arena a = {0};
    const char *file = fs_join(&a, store_dir(s), "some.file");
    TEST_OK(fs_write(file, "x", 1));
    json_t *best =
        json_pack("{s:s, s:s, s:s, s:i, s:s}", "ev", "artifact", "kind", "best", "path", file, "bytes", 1, "hash", "0");
    TEST_OK(store_begin(s));
    for (int i = 0; i < p->n_trials; i++) {
        const struct plan_trial *t = &p->trials[i];
        TEST_OK(store_put_trial(s, &(struct store_trial){.id = t->id,
                                                         .arch = t->t.model.arch,
                                                         .backbone = t->t.model.backbone,
                                                         .loss_key = t->loss_key,
                                                         .height = 64,
                                                         .width = 64,
                                                         .config = t->config}));
    }
    for (int i = 0; i < p->n_stages; i++) {
        const struct plan_stage *g = &p->stages[i];
        struct store_stage row = {.key = g->key,
                                  .trial = p->trials[g->trial].id,
                                  .stage = plan_kinds[g->kind].name,
                                  .format = g->format,
                                  .device = g->device};
        TEST_OK(store_stage_start(s, &row));
        if (g->kind == PLAN_TRAIN) TEST_OK(store_event(s, &row, best));
        TEST_OK(store_stage_end(s, g->key, "done", NULL, 1, 1000));
    }
    TEST_OK(store_commit(s));
    json_decref(best);
    arena_free(&a);
}

#endif
