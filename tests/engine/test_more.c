/* A finished sweep that is asked for more does that and nothing else: nothing is trained again. */
#include "made.h"

#define CELLS                                                                                                          \
    "name: more\naxes: {arch: [unet, fpn, linknet], backbone: [resnet18, resnet34], seed: [0, 1, 2, 3]}\n"             \
    "data: {size: 64, pairs: 8}\nbench: {visits: 2}\n"

/* Stages run by the workers' own log since line @p from, by name; the rest of the run is for the caller to check. */
static json_t *ran_since(const struct made *m, int from)
{
    int n;
    json_t *out = json_object();
    struct made_note *v = made_log(m, &n);
    for (int i = from; i < n; i++)
        if (strcmp(v[i].what, "start") == 0)
            json_object_set_new(out, v[i].stage, json_integer(json_int(out, v[i].stage, 0) + 1));
    free(v);
    return out;
}

static void engine_more__runs_only_what_was_added(void)
{
    static const struct {
        const char *name, *yaml;
        unsigned new_version; /* kinds whose meaning the program has changed: a metric more */
        const char *runs;     /* JSON: processes by stage */
    } cases[] = {
        {"at first, nothing is exported", CELLS "export: []\n", 0, "{\"evaluate\":24,\"samples\":24,\"train\":24}"},
        {"a format", CELLS "export: [onnx]\ndevices: []\n", 0, "{\"export\":24,\"verify\":24}"},
        {"a device", CELLS "export: [onnx]\ndevices: [cpu]\n", 0, "{\"bench\":48}"},
        {"another device", CELLS "export: [onnx]\ndevices: [cpu, torch]\n", 0, "{\"bench\":48}"},
        {"another rank", CELLS "export: [onnx]\ndevices: [torch, cpu]\nevaluate: {rank: psnr}\n", 0, "{}"},
        {"a metric", CELLS "export: [onnx]\ndevices: [torch, cpu]\n", 1U << PLAN_EVALUATE, "{\"evaluate\":24}"},
        {"cells", CELLS "export: [onnx]\ndevices: [cpu, torch]\nzip: {train.lr: [1.0e-3, 2.0e-3]}\n", 0,
         "{\"bench\":96,\"evaluate\":24,\"export\":24,\"samples\":24,\"train\":24,\"verify\":24}"},
    };
    struct made *m = made_new();
    for (size_t i = 0; i < LEN(cases); i++) {
        struct engine_result r;
        int before;
        free(made_log(m, &before));
        struct plan *p = made_load(m, cases[i].yaml);
        for (int k = 0; k < p->n_stages; k++)
            if (cases[i].new_version & 1U << p->stages[k].kind) p->stages[k].key[0] ^= 1;
        TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 2}));
        json_t *ran = ran_since(m, before);
        char *text = json_canonical(ran);
        if (strcmp(text, cases[i].runs) != 0) fprintf(stderr, "%s: ran %s\n", cases[i].name, text);
        CU_ASSERT_STRING_EQUAL(text, cases[i].runs);
        CU_ASSERT_EQUAL(r.done, p->n_trials);
        CU_ASSERT_EQUAL(r.failed + r.interrupted + r.refused, 0);
        free(text);
        json_decref(ran);
        plan_free(p);
    }
    made_free(m);
}

static const struct test tests[] = {TEST(engine_more__runs_only_what_was_added)};
TEST_MAIN("engine more", tests)
