/* A store opened for writing, and one number asked of it. */
#ifndef TESTS_STORE_OPENED_H
#define TESTS_STORE_OPENED_H

#include "store.h"
#include "test.h"

static inline struct store *opened_with(struct store_options o)
{
    struct store *s = NULL;
    o.command = "sweep run a.yaml";
    TEST_OK(store_open(&s, o));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    return s;
}

static inline struct store *opened(const char *path)
{
    return opened_with((struct store_options){.path = path});
}

/* Column n of the first row; -1: there is none. */
static inline int64_t count(struct store *s, const char *sql)
{
    json_t *rows = NULL;
    TEST_OK(store_rows(&rows, s, sql, NULL));
    int64_t n = json_int(json_array_get(rows, 0), "n", -1);
    json_decref(rows);
    return n;
}

#endif
