/* The slurm: block: what is taken, what is refused by place and name, and that no trial knows of it. */
#include "spec.h"
#include "test.h"

static void spec_slurm__times_as_slurm_writes_them(void)
{
    static const struct {
        const char *text;
        double s; /* 0: refused */
    } rows[] = {
        {"90", 5400},      {"1", 60},       {"1:30", 90},          {"0:59", 0}, {"1:30:00", 5400}, {"2-12", 216000},
        {"1-0:30", 88200}, {"0-0:1:0", 60}, {"1-00:00:01", 86401}, {"", 0},     {"0", 0},          {"x", 0},
        {"1:", 0},         {":1", 0},       {"1:2:3:4", 0},        {"-5", 0},   {"1-", 0},         {"1e3", 0},
        {"90 ", 0},        {"1.5", 0},      {"99999999999", 0}};
    for (size_t i = 0; i < LEN(rows); i++) {
        double s = 0;
        bool good = spec_slurm_time(&s, rows[i].text);
        if (good != (rows[i].s > 0) || (good && s != rows[i].s)) {
            fprintf(stderr, "%s: %d %g\n", rows[i].text, good, s);
            CU_FAIL("time");
        }
    }
}

static void spec_slurm__memory_as_slurm_writes_it(void)
{
    static const struct {
        const char *text;
        int64_t bytes; /* 0: refused */
    } rows[] = {{"4G", INT64_C(4) << 30},
                {"800", INT64_C(800) << 20},
                {"512m", INT64_C(512) << 20},
                {"1T", INT64_C(1) << 40},
                {"2048K", INT64_C(2) << 20},
                {"0", 0},
                {"", 0},
                {"G", 0},
                {"4GB", 0},
                {"1.5G", 0},
                {"-1G", 0},
                {"4 G", 0},
                {"9999999999999G", 0},
                {"2000T", 0}};
    for (size_t i = 0; i < LEN(rows); i++) {
        int64_t bytes = 0;
        bool good = spec_slurm_memory(&bytes, rows[i].text);
        if (good != (rows[i].bytes > 0) || (good && bytes != rows[i].bytes)) {
            fprintf(stderr, "%s: %d %lld\n", rows[i].text, good, (long long)bytes);
            CU_FAIL("memory");
        }
    }
}

static const char whole[] = "axes: {seed: [0, 1]}\n"
                            "slurm:\n"
                            "  partition: gpu\n"
                            "  account: lab-7\n"
                            "  qos: low\n"
                            "  gres: gpu:1\n"
                            "  constraint: a100\n"
                            "  time: 12:00:00\n"
                            "  mem: 16G\n"
                            "  cpus: 4\n"
                            "  array_width: 8\n"
                            "  extra: [--nice=100, --exclusive]\n"
                            "  setup: module load cuda\n";

static void spec_slurm__every_key_is_taken(void)
{
    struct spec *s = NULL;
    TEST_OK(spec_parse(&s, "a.yaml", whole, strlen(whole)));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    const struct spec_slurm *w = &s->slurm;
    CU_ASSERT_STRING_EQUAL(w->partition, "gpu");
    CU_ASSERT_STRING_EQUAL(w->account, "lab-7");
    CU_ASSERT_STRING_EQUAL(w->qos, "low");
    CU_ASSERT_STRING_EQUAL(w->gres, "gpu:1");
    CU_ASSERT_STRING_EQUAL(w->constraint, "a100");
    CU_ASSERT_EQUAL(w->time_s, 43200);
    CU_ASSERT_EQUAL(w->bytes, INT64_C(16) << 30);
    CU_ASSERT_EQUAL(w->cpus, 4);
    CU_ASSERT_EQUAL(w->array_width, 8);
    CU_ASSERT_EQUAL_FATAL(w->extra.n, 2);
    CU_ASSERT_STRING_EQUAL(w->extra.v[1], "--exclusive");
    CU_ASSERT_EQUAL_FATAL(w->setup.n, 1);
    CU_ASSERT_STRING_EQUAL(w->setup.v[0], "module load cuda");
    /* What the cluster is asked for is no key of a trial: nothing of it is fixed, stored or hashed. */
    json_t *all = spec_to_json(s);
    char *text = json_dumps(all, 0);
    CU_ASSERT_PTR_NULL(strstr(text, "slurm"));
    CU_ASSERT_PTR_NULL(strstr(text, "lab-7"));
    CU_ASSERT_EQUAL(s->n_fixed, 0);
    free(text);
    json_decref(all);
    spec_free(s);
}

static void spec_slurm__what_is_wrong_has_a_place(void)
{
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"slurm: {partitoin: gpu}", "a.yaml:1:9: slurm.partitoin: no such key; did you mean slurm.partition?"},
        {"slurm: {time: soon}", "a.yaml:1:15: slurm.time: got \"soon\", expected a time as Slurm writes it"},
        {"slurm: {mem: 4GB}", "slurm.mem: got \"4GB\", expected memory as Slurm writes it"},
        {"slurm: {cpus: 0}", "slurm.cpus: got \"0\", expected a whole number from 1 to 100000"},
        {"slurm: {partition: \"a b\"}", "slurm.partition: got \"a b\", expected a word without spaces"},
        {"slurm: {partition: \"a\\nb\"}", "expected a word without spaces"},
        {"slurm: {extra: [exclusive]}", "slurm.extra: got a list, expected a list of options of sbatch"},
        {"slurm: {setup: [\"a\\nrm -r b\"]}", "slurm.setup: got a list, expected a list of shell lines"},
        {"slurm: {setup: {a: b}}", "expected a list of shell lines"},
        {"slurm: [a]", "slurm: got a list, expected a map of its keys"},
        {"slum: {time: 3}", "did you mean slurm?"},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct spec *s = NULL;
        TEST_FAILS(spec_parse(&s, "a.yaml", rows[i].text, strlen(rows[i].text)), STATUS_ARG, rows[i].part);
        spec_free(s);
    }
}

static void spec_slurm__a_later_layer_changes_one_key(void)
{
    char path[400];
    static const char *const sets[] = {"slurm.partition=long", "slurm.array_width=2"};
    snprintf(path, sizeof path, "%s/a.yaml", test_dir());
    TEST_OK(fs_write(path, whole, strlen(whole)));
    struct spec *s = NULL;
    TEST_OK(spec_load(&s, path, sets, 2));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_STRING_EQUAL(s->slurm.partition, "long");
    CU_ASSERT_EQUAL(s->slurm.array_width, 2);
    CU_ASSERT_STRING_EQUAL(s->slurm.account, "lab-7");
    spec_free(s);
}

static const struct test tests[] = {
    TEST(spec_slurm__times_as_slurm_writes_them),
    TEST(spec_slurm__memory_as_slurm_writes_it),
    TEST(spec_slurm__every_key_is_taken),
    TEST(spec_slurm__what_is_wrong_has_a_place),
    TEST(spec_slurm__a_later_layer_changes_one_key),
};
TEST_MAIN("spec.slurm", tests)
