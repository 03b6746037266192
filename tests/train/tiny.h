/* A trial that trains in about a second, and a sink that remembers its events. */
#ifndef TEST_TINY_H
#define TEST_TINY_H

#include "data.h"
#include "device.h"
#include "train.h"

struct tiny {
    struct arena arena;
    struct spec_trial trial;
    struct train_job job;
    json_t *events;
};

static inline void tiny_emit(void *user, json_t *event)
{
    struct tiny *t = user;
    json_array_append(t->events, event);
}

/** @p changes: flat JSON in single quotes' place of double ones, over the tiny defaults (null: the key's own); @p dir a
 * folder, copied. */
static inline void tiny_open(struct tiny *t, const char *dir, const char *changes)
{
    *t = (struct tiny){.events = json_array()};
    json_error_t e;
    json_t *config = json_loads("{\"data.root\": \"synthetic\", \"data.pairs\": 10, \"data.size\": 64,"
                                " \"model.arch\": \"unet\", \"model.backbone\": \"mobilenetv3_small_100\","
                                " \"model.depth\": 3, \"model.channels\": [16, 8, 8],"
                                " \"loss.network\": \"mobilenetv3_small_100\", \"loss.feature_weights\": [1],"
                                " \"loss.gram_weights\": [0], \"train.epochs\": 3, \"train.batch\": 3,"
                                " \"train.precision\": \"fp32\", \"train.threads\": 1, \"seed\": 5}",
                                0, &e);
    json_t *over = json_loads(changes, 0, &e);
    CHECK(config && over, "%s", e.text);
    json_object_update(config, over);
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(config, next, key, value) if (json_is_null(value)) json_object_del(config, key);
    TEST_OK(spec_trial_from_json(&t->trial, &t->arena, config, "tiny"));
    json_decref(config);
    json_decref(over);
    t->job = (struct train_job){.trial = &t->trial,
                                .id = "0123456789ab",
                                .key = "key",
                                .dir = arena_strdup(&t->arena, dir),
                                .device = test_device_name(),
                                .emit = tiny_emit,
                                .user = t};
}

static inline void tiny_close(struct tiny *t)
{
    json_decref(t->events);
    arena_free(&t->arena);
}

/** Value @p name of the metrics event of @p epoch (the last such), NAN-free default when absent. */
static inline double tiny_metric(const struct tiny *t, int epoch, const char *name, double def)
{
    double found = def;
    size_t i;
    json_t *e;
    json_array_foreach(t->events, i, e)
    {
        if (strcmp(json_str(e, "ev", ""), "metrics") != 0 || json_int(e, "epoch", -9) != epoch) continue;
        found = json_num(json_object_get(e, "values"), name, found);
    }
    return found;
}

/** How many events have this name. */
static inline int tiny_count(const struct tiny *t, const char *ev)
{
    int count = 0;
    size_t i;
    json_t *e;
    json_array_foreach(t->events, i, e) count += strcmp(json_str(e, "ev", ""), ev) == 0;
    return count;
}

/** All arrays of two safetensors files are the same bytes. */
static inline bool tiny_same_weights(const char *dir_a, const char *dir_b, const char *name)
{
    struct weights w[2];
    const char *dirs[2] = {dir_a, dir_b};
    for (int i = 0; i < 2; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s.safetensors", dirs[i], name);
        struct status s = weights_load(&w[i], path);
        if (s.code != STATUS_OK) {
            fprintf(stderr, "%s\n", s.msg);
            return false;
        }
    }
    bool same = w[0].n == w[1].n;
    for (size_t i = 0; same && i < w[0].n; i++) {
        const struct weights_array *a = &w[0].a[i], *b = weights_find(&w[1], a->name);
        same = b && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
    }
    weights_free(&w[0]);
    weights_free(&w[1]);
    return same;
}

/** Weights of two files are near: what a GPU, whose backward passes add in no fixed order, can promise. */
static inline bool tiny_near_weights(const char *dir_a, const char *dir_b, const char *name, double relative)
{
    struct weights w[2];
    const char *in[2] = {dir_a, dir_b};
    double apart = 0, all = 0;
    for (int i = 0; i < 2; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s.safetensors", in[i], name);
        TEST_OK(weights_load(&w[i], path));
    }
    bool near = w[0].n == w[1].n;
    for (size_t i = 0; near && i < w[0].n; i++) {
        const struct weights_array *a = &w[0].a[i], *b = weights_find(&w[1], a->name);
        near = b && a->bytes == b->bytes;
        for (size_t k = 0; near && a->dtype == WEIGHTS_F32 && k < a->bytes / sizeof(float); k++) {
            float x, y;
            memcpy(&x, (const char *)a->data + k * sizeof x, sizeof x);
            memcpy(&y, (const char *)b->data + k * sizeof y, sizeof y);
            apart += (double)(x - y) * (double)(x - y);
            all += (double)x * (double)x;
        }
    }
    weights_free(&w[0]);
    weights_free(&w[1]);
    if (!(apart <= relative * relative * all)) fprintf(stderr, "%s: weights are %g of %g apart\n", name, apart, all);
    return near && apart <= relative * relative * all;
}

static char dirs[8][320];

/** Folder @p i, a fresh one at each call. */
static inline const char *fresh_dir(int i)
{
    snprintf(dirs[i], sizeof dirs[i], "%s", test_dir());
    return dirs[i];
}

/** Path of a checkpoint; of the last two calls. */
static inline const char *file_in(const char *dir, const char *name)
{
    static char path[2][600];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s.safetensors", dir, name);
    return path[turn];
}

/** Runs a tiny trial to its end. */
static inline struct train_result run_in(const char *dir, const char *changes)
{
    struct tiny t;
    struct train_result r = {.epochs = 0};
    tiny_open(&t, dir, changes);
    TEST_OK(train_run(&r, &t.job));
    tiny_close(&t);
    return r;
}

#endif
