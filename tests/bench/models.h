/* Model files for the tests of bench, written field by field, and programs run by the shell. */
#ifndef SWEEP_TEST_MODELS_H
#define SWEEP_TEST_MODELS_H

#include "pb.h"
#include "test.h"
#include <sys/wait.h>

/** A path inside a fresh folder; one of a ring. */
static inline const char *model_path(const char *name)
{
    static char ring[8][512];
    static int at;
    char *p = ring[at++ % 8];
    snprintf(p, sizeof ring[0], "%s/%s", test_dir(), name);
    return p;
}

static inline void model_value(struct str *graph, int field, const char *name, int type, const int64_t dims[4])
{
    struct str shape = {0}, tensor = {0}, t = {0}, info = {0};
    for (int i = 0; i < 4; i++) {
        struct str d = {0};
        if (dims[i] < 0)
            pb_str(&d, 2, i == 0 ? "N" : i == 2 ? "H" : "W");
        else
            pb_int(&d, 1, dims[i]);
        pb_bytes(&shape, 1, d.s, d.n);
        str_free(&d);
    }
    pb_int(&tensor, 1, type);
    pb_bytes(&tensor, 2, shape.s, shape.n);
    pb_bytes(&t, 1, tensor.s, tensor.n);
    pb_str(&info, 1, name);
    pb_bytes(&info, 2, t.s, t.n);
    pb_bytes(graph, field, info.s, info.n);
    str_free(&shape);
    str_free(&tensor);
    str_free(&t);
    str_free(&info);
}

/** "x" of a type -> Cast -> "y" of another; negative sizes stay open. */
static inline void model_cast(const char *path, int from, int to, const int64_t dims[4])
{
    struct str attr = {0}, node = {0}, graph = {0}, opset = {0}, model = {0};
    pb_str(&attr, 1, "to");
    pb_int(&attr, 3, to);
    pb_int(&attr, 20, 2);
    pb_str(&node, 1, "x");
    pb_str(&node, 2, "y");
    pb_str(&node, 4, "Cast");
    pb_bytes(&node, 5, attr.s, attr.n);
    pb_bytes(&graph, 1, node.s, node.n);
    pb_str(&graph, 2, "cast");
    model_value(&graph, 11, "x", from, dims);
    model_value(&graph, 12, "y", to, dims);
    pb_int(&opset, 2, 17);
    pb_int(&model, 1, 8);
    pb_bytes(&model, 7, graph.s, graph.n);
    pb_bytes(&model, 8, opset.s, opset.n);
    TEST_OK(fs_write(path, model.s, model.n));
    str_free(&attr);
    str_free(&node);
    str_free(&graph);
    str_free(&opset);
    str_free(&model);
}

/** Runs a shell command; its exit code, and what it left in files. */
static int shell(const char *fmt, ...) PRINTF(1, 2);
static int shell(const char *fmt, ...)
{
    char command[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    int wait = system(command);
    return WIFEXITED(wait) ? WEXITSTATUS(wait) : -1;
}

/** True when the file contains the text; else says what it contains. */
static inline bool file_has(const char *path, const char *text)
{
    char *all;
    struct status s = fs_read(&all, NULL, path);
    bool has = s.code == STATUS_OK && strstr(all, text);
    if (!has) fprintf(stderr, "expected \"%s\" in: %s\n", text, s.code == STATUS_OK ? all : s.msg);
    if (s.code == STATUS_OK) free(all);
    return has;
}

#endif
