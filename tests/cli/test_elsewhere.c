/* More of a finished trial from any folder, with what it was trained from gone. */
#include "site.h"

static int run(const struct site *s, const char *args)
{
    return site_wait(site_start(s, args, "words"));
}

static void said(const struct site *s, const char *part)
{
    char *text = site_said(s, "words");
    if (!strstr(text, part)) fprintf(stderr, "no \"%s\" in\n%s\n", part, text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
    free(text);
}

static void cli_elsewhere__a_finished_trial_exports_and_measures(void)
{
    struct site s = site_make("name: a\ndata: {pairs: 8, size: 64}\nmodel: {weights: weights/w.safetensors}\n"
                              "loss: {weights: weights/l.safetensors}\ndevices: []\n",
                              "done");
    struct arena a = {0};
    static const char *const files[] = {"weights/w.safetensors", "weights/l.safetensors"};
    TEST_OK(fs_mkdir(fs_join(&a, s.dir, "weights")));
    for (size_t i = 0; i < LEN(files); i++) { /* whole, and empty: the fake worker does not look */
        static const char none[] = "\2\0\0\0\0\0\0\0{}";
        TEST_OK(fs_write(fs_join(&a, s.dir, files[i]), none, sizeof none - 1));
    }
    CU_ASSERT_EQUAL(run(&s, "run a.yaml --no-report"), 0);
    CU_ASSERT_EQUAL(run(&s, "query 'SELECT id FROM trials' --csv"), 0);
    char *text = site_said(&s, "words"), id[16] = "";
    CU_ASSERT_EQUAL(sscanf(text, "id %15s", id), 1);
    free(text);
    for (size_t i = 0; i < LEN(files); i++) CU_ASSERT_EQUAL(remove(fs_join(&a, s.dir, files[i])), 0);
    TEST_OK(fs_mkdir(fs_join(&a, s.dir, "elsewhere")));
    struct site there = s;
    snprintf(there.dir, sizeof there.dir, "%s/elsewhere", s.dir);
    CU_ASSERT_EQUAL(symlink("../bin", fs_join(&a, there.dir, "bin")), 0);
    CU_ASSERT_EQUAL(run(&there, arena_printf(&a, "export %s --db ../results/sweep.db", id)), 0);
    said(&there, "../results/trials/"); /* a path that opens from here */
    CU_ASSERT_EQUAL(run(&there, arena_printf(&a, "bench %s --db ../results/sweep.db --threads 1 --mode quick", id)), 0);
    said(&there, "p50_ms");
    CU_ASSERT_EQUAL(run(&there, arena_printf(&a, "export %s --db ../results/sweep.db --out models --json", id)), 0);
    said(&there, arena_printf(&a, "\"file\":\"models/%s", id));
    said(&there, "\"path\":\"trials/");
    CU_ASSERT_TRUE(fs_exists(arena_printf(&a, "%s/models/%s.export", there.dir, id)));
    text = site_said(&there, "words");
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) { /* events, one a line, and words */
        json_t *j = NULL;
        if (*line != '{' && *line != '[') continue;
        TEST_OK(json_parse(&j, "a line", line, (size_t)(end - line)));
        CU_ASSERT_PTR_NOT_NULL(json_object_get(j, "event"));
        json_decref(j);
    }
    free(text);
    arena_free(&a);
}

static const struct test tests[] = {TEST(cli_elsewhere__a_finished_trial_exports_and_measures)};
TEST_MAIN("cli elsewhere", tests)
