/* The rules of pruning, by rows worked by hand. */
#include "prune.h"
#include "test.h"
#include <math.h>

#define NONE ((double)NAN)

static const struct prune_rule asha = {.kind = PRUNE_ASHA,
                                       .name = "asha",
                                       .metric = "ssim",
                                       .higher = true,
                                       .epochs = 60,
                                       .min = 5,
                                       .reduction = 3,
                                       .min_peers = 1};
static const struct prune_rule median = {
    .kind = PRUNE_MEDIAN, .name = "median", .metric = "ssim", .higher = true, .epochs = 60, .min = 5, .min_peers = 1};

enum { MOST = 8 };

struct row {
    const char *what;
    const struct prune_rule *rule;
    bool lower; /* is better */
    int min_peers;
    double self, peers[MOST]; /* all equally fast */
    int n;
    bool stop;
    double threshold;
};

/* clang-format off */
static const struct row rows[] = {
    {"nobody else", &asha, false, 1, 0.1, {0}, 0, false, NONE},
    {"first of two", &asha, false, 1, 0.5, {0.4}, 1, false, 0.4},
    {"second of two: one place", &asha, false, 1, 0.4, {0.5}, 1, true, 0.5},
    {"second of five: one place", &asha, false, 1, 0.4, {0.5, 0.3, 0.2, 0.1}, 4, true, 0.5},
    {"second of six: two places", &asha, false, 1, 0.4, {0.5, 0.3, 0.2, 0.1, 0.05}, 5, false, 0.3},
    {"third of six", &asha, false, 1, 0.25, {0.5, 0.3, 0.2, 0.1, 0.05}, 5, true, 0.3},
    {"tie for the last place goes on", &asha, false, 1, 0.3, {0.5, 0.3, 0.2, 0.1, 0.05}, 5, false, 0.3},
    {"all the same go on", &asha, false, 1, 0.3, {0.3, 0.3, 0.3}, 3, false, 0.3},
    {"lower is better", &asha, true, 1, 0.4, {0.5, 0.6, 0.3}, 3, true, 0.3},
    {"lower is better, first", &asha, true, 1, 0.2, {0.5, 0.6, 0.3}, 3, false, 0.3},
    {"too few others", &asha, false, 3, 0.1, {0.5, 0.6}, 2, false, 0.6},
    {"just enough others", &asha, false, 3, 0.1, {0.5, 0.6, 0.7}, 3, true, 0.7},
    {"no number among numbers", &asha, false, 1, NONE, {0.1, 0.2}, 2, true, 0.2},
    {"no number among none", &asha, false, 1, NONE, {NONE, NONE}, 2, false, NONE},
    {"a number among none", &asha, false, 1, 0.1, {NONE, NONE}, 2, false, NONE},
    {"none are the worst of those that got there", &asha, false, 1, 0.4, {0.5, NONE, NONE, NONE, NONE}, 5, false, NONE},

    {"median of one", &median, false, 1, 0.4, {0.5}, 1, true, 0.5},
    {"equal to the median goes on", &median, false, 1, 0.5, {0.5}, 1, false, 0.5},
    {"median of three", &median, false, 1, 0.35, {0.5, 0.4, 0.1}, 3, true, 0.4},
    {"median of four is between", &median, false, 1, 0.36, {0.5, 0.4, 0.3, 0.1}, 4, false, 0.35},
    {"median of four is between, below", &median, false, 1, 0.34, {0.5, 0.4, 0.3, 0.1}, 4, true, 0.35},
    {"median, lower is better", &median, true, 1, 0.36, {0.5, 0.4, 0.3, 0.1}, 4, true, 0.35},
    {"median with too few others", &median, false, 4, 0.1, {0.5, 0.4, 0.3}, 3, false, 0.4},
    {"median, no number", &median, false, 1, NONE, {0.5, 0.4, NONE}, 3, true, 0.4},
    {"median of those without number", &median, false, 1, 0.1, {0.5, NONE, NONE}, 3, false, NONE},
    {"half a median is none", &median, false, 1, 0.1, {0.5, NONE}, 2, false, NONE},
};
/* clang-format on */

static void near(double got, double want, const char *what)
{
    bool same = isnan(want) ? isnan(got) : fabs(got - want) < 1e-12;
    if (!same) fprintf(stderr, "\n%s: got %g, expected %g\n", what, got, want);
    CU_ASSERT_TRUE(same);
}

static void prune_decide__by_hand(void)
{
    static const char *const ids[MOST] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (size_t i = 0; i < LEN(rows); i++) {
        const struct row *w = &rows[i];
        struct prune_rule r = *w->rule;
        r.higher = !w->lower;
        r.min_peers = w->min_peers;
        struct prune_cell self = {.id = "self", .name = "self", .value = w->self, .macs = 100}, others[MOST];
        for (int turn = 0; turn < 2; turn++) { /* whoever came first */
            for (int k = 0; k < w->n; k++) {
                int at = turn ? w->n - 1 - k : k;
                others[at] = (struct prune_cell){.id = ids[k], .name = ids[k], .value = w->peers[k], .macs = 100};
            }
            struct prune_verdict v = prune_decide(&r, &self, others, w->n);
            if (v.stop != w->stop) fprintf(stderr, "\n%s: stop %d\n", w->what, v.stop);
            CU_ASSERT_EQUAL(v.stop, w->stop);
            CU_ASSERT_EQUAL(v.n_peers, w->n);
            near(v.threshold, w->threshold, w->what);
        }
    }
}

/* Who has a say about a cell of 10 ms (or 100 MACs), within a tenth. */
static void prune_decide__by_latency(void)
{
    static const struct {
        const char *what;
        double ms, macs, other_ms, other_macs;
        bool counts;
    } cases[] = {
        {"as fast", 10, 100, 10, 100, true},
        {"faster", 10, 100, 2, 900, true}, /* measured goes before counted */
        {"just within", 10, 100, 11, 100, true},
        {"slower", 10, 100, 11.01, 100, false},
        {"only one is measured: work", 10, 100, 0, 109, true},
        {"only one is measured: more work", 10, 100, 0, 111, false},
        {"none is measured", 0, 100, 0, 110, true},
        {"none is measured, more work", 0, 100, 0, 200, false},
        {"nothing is known", 0, 0, 0, 0, true},
    };
    struct prune_rule r = asha;
    r.tolerance = 0.1;
    for (size_t i = 0; i < LEN(cases); i++) {
        struct prune_cell self = {.id = "s", .name = "s", .value = 0.1, .ms = cases[i].ms, .macs = cases[i].macs};
        struct prune_cell other = {
            .id = "o", .name = "o", .value = 0.9, .ms = cases[i].other_ms, .macs = cases[i].other_macs};
        struct prune_verdict v = prune_decide(&r, &self, &other, 1);
        if (v.stop != cases[i].counts) fprintf(stderr, "\n%s\n", cases[i].what);
        CU_ASSERT_EQUAL(v.n_peers, cases[i].counts);
        CU_ASSERT_EQUAL(v.stop, cases[i].counts);
    }
}

/* Quality rises with latency along the front; whatever is on it stays, whatever lies below it goes. */
static void prune_decide__never_stops_the_front(void)
{
    static const struct {
        const char *id;
        double ms, value;
        bool asha, median; /* stopped */
    } cells[] = {
        {"front-5", 5, 0.30, false, false},   {"front-10", 10, 0.40, false, false},
        {"front-20", 20, 0.50, false, false}, {"front-40", 40, 0.60, false, false},
        {"below-40", 40, 0.45, true, false}, /* of 5, 10, 20, 40 ms and their like, two are better */
        {"bottom-40", 40, 0.20, true, true},  {"below-12", 12, 0.35, true, false},
        {"bottom-12", 12, 0.10, true, true},
    };
    for (size_t i = 0; i < LEN(cells); i++) {
        struct prune_cell self = {.id = cells[i].id, .name = "", .value = cells[i].value, .ms = cells[i].ms}, others[8];
        for (int turn = 0; turn < 2; turn++) {
            int n = 0;
            for (size_t k = 0; k < LEN(cells); k++)
                if (k != i)
                    others[n++] =
                        (struct prune_cell){.id = cells[k].id, .name = "", .value = cells[k].value, .ms = cells[k].ms};
            struct prune_verdict v = prune_decide(turn ? &median : &asha, &self, others, n);
            bool want = turn ? cells[i].median : cells[i].asha;
            if (v.stop != want) fprintf(stderr, "\n%s, %s: stop %d\n", cells[i].id, turn ? "median" : "asha", v.stop);
            CU_ASSERT_EQUAL(v.stop, want);
        }
    }
}

/* Those that come early go on among few; a later one is measured against all that were there, stopped ones too. */
static void prune_decide__in_order_of_arrival(void)
{
    static const struct {
        const char *id;
        double value;
        bool stop;
    } arrivals[] = {
        {"a", 0.30, false}, /* alone */
        {"b", 0.20, true},  /* one place of two */
        {"c", 0.40, false}, /* one place of three */
        {"d", 0.35, true},  /* one place of four */
        {"e", 0.10, true},  /* one place of five */
        {"f", 0.36, false}, /* two places of six: c, f */
        {"g", 0.35, true},  /* two places of seven: behind f */
        {"h", 0.45, false}, /* two places of eight: h, c */
        {"i", 0.37, false}, /* three places of nine: h, c, i */
        {"j", 0.36, true},  /* three places of ten: equal to f, which went on, but behind i */
    };
    struct prune_cell here[LEN(arrivals)], others[LEN(arrivals)];
    for (size_t i = 0; i < LEN(arrivals); i++) {
        here[i] = (struct prune_cell){.id = arrivals[i].id, .name = arrivals[i].id, .value = arrivals[i].value};
        memcpy(others, here, sizeof *here * i);
        struct prune_verdict v = prune_decide(&asha, &here[i], others, (int)i);
        if (v.stop != arrivals[i].stop) fprintf(stderr, "\n%s: stop %d\n", arrivals[i].id, v.stop);
        CU_ASSERT_EQUAL(v.stop, arrivals[i].stop);
    }
}

static void prune_asks__at_its_epochs_alone(void)
{
    static const struct {
        struct prune_rule rule;
        const char *epochs, *words; /* a letter an epoch from 0: a rung's number, + without rungs, . not asked */
    } cases[] = {
        {{.kind = PRUNE_ASHA, .epochs = 12, .min = 1, .reduction = 3}, ".1.2.....3...", "after epoch 1, 3, 9"},
        {{.kind = PRUNE_ASHA, .epochs = 9, .min = 1, .reduction = 3}, ".1.2......", "after epoch 1, 3"},
        {{.kind = PRUNE_ASHA, .epochs = 12, .warmup = 2, .min = 2, .reduction = 2},
         "....1.2...3..",
         "after epoch 4, 6, 10"},
        {{.kind = PRUNE_ASHA, .epochs = 4, .min = 4, .reduction = 2},
         ".....",
         "never: the first decision would be after epoch 4 of 4"},
        {{.kind = PRUNE_MEDIAN, .epochs = 6, .warmup = 1, .min = 2}, "...+++.", "after each epoch from 3 on"},
        {{.kind = PRUNE_NONE, .epochs = 3}, "....", NULL},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        for (int e = 0; cases[i].epochs[e]; e++) {
            char c = cases[i].epochs[e];
            CU_ASSERT_EQUAL(prune_asks(&cases[i].rule, e), c != '.');
            if (c >= '1' && c <= '9') CU_ASSERT_EQUAL(prune_rung(&cases[i].rule, e), c - '0');
        }
        struct str words = {0};
        if (cases[i].words) {
            prune_describe(&words, &cases[i].rule);
            CU_ASSERT_STRING_EQUAL(words.s, cases[i].words);
        }
        str_free(&words);
    }
}

static void prune_best__ignores_what_is_no_number(void)
{
    static const double told[] = {NONE, 0.2, NONE, 0.1, 0.3, (double)INFINITY}, up[] = {NONE, 0.2, 0.2, 0.2, 0.3, 0.3},
                        down[] = {NONE, 0.2, 0.2, 0.1, 0.1, 0.1};
    struct prune_rule lower = asha;
    lower.higher = false;
    double a = NONE, b = NONE;
    for (size_t i = 0; i < LEN(told); i++) {
        near(a = prune_best(&asha, a, told[i]), up[i], "higher");
        near(b = prune_best(&lower, b, told[i]), down[i], "lower");
    }
}

static struct prune_rule rule_of(const char *json, struct hash *key)
{
    struct arena a = {0};
    struct spec_trial t;
    json_t *flat = NULL;
    TEST_OK(json_parse(&flat, "text", json, strlen(json)));
    TEST_OK(spec_trial_from_json(&t, &a, flat, "text"));
    struct prune_rule r = prune_rule_of(&t);
    *key = prune_key(&r);
    for (const struct spec_metric *m = spec_metrics; m->name; m++)
        if (strcmp(m->name, r.metric) == 0) r.metric = m->name; /* it outlives the trial */
    json_decref(flat);
    arena_free(&a);
    return r;
}

static void prune_rule_of__defaults_and_directions(void)
{
    struct hash none, key, same, other;
    CU_ASSERT_EQUAL(rule_of("{}", &none).kind, PRUNE_NONE);
    CU_ASSERT_STRING_EQUAL(none.hex, "");
    struct prune_rule r = rule_of("{\"prune.rule\": \"asha\"}", &key); /* 60 epochs */
    CU_ASSERT_STRING_EQUAL(r.metric, "ssim");
    CU_ASSERT_TRUE(r.higher && r.any_loss);
    CU_ASSERT_TRUE(r.min == 5 && r.reduction == 3 && r.min_peers == 3 && r.epochs == 60);
    r = rule_of("{\"prune.rule\": \"median\", \"evaluate.rank\": \"val_loss\", \"train.epochs\": 5}", &other);
    CU_ASSERT_STRING_EQUAL(r.metric, "val_loss");
    CU_ASSERT_TRUE(!r.higher && !r.any_loss && r.min == 1);
    r = rule_of("{\"prune.rule\": \"asha\", \"prune.metric\": \"psnr\", \"evaluate.rank\": \"val_loss\"}", &other);
    CU_ASSERT_STRING_EQUAL(r.metric, "psnr");
    CU_ASSERT_STRING_NOT_EQUAL(key.hex, other.hex);
    rule_of("{\"prune.rule\": \"asha\", \"prune.metric\": \"ssim\", \"seed\": 7, \"prune.min_epochs\": 5}", &same);
    CU_ASSERT_STRING_EQUAL(key.hex, same.hex); /* said or left to the default: the same rule */
    rule_of("{\"prune.rule\": \"asha\", \"prune.tolerance\": 0.2}", &other);
    CU_ASSERT_STRING_NOT_EQUAL(key.hex, other.hex);
}

static void prune_explain__names_what_it_compared(void)
{
    static const struct {
        const struct prune_rule *rule;
        int epoch, n, min_peers;
        double value;
        const char *text;
    } cases[] = {
        {&asha, 5, 2, 1, 0.25,
         "asha: rung 1, epoch 5: ssim 0.25, behind place 1 of the 3 no slower than it that got there: 0.5 (p0 0.5, p1 "
         "0.4)"},
        {&asha, 15, 1, 2, 0.25,
         "asha: rung 2, epoch 15: ssim 0.25; of cells no slower than it 1 got there, prune.min_peers is 2 (p0 0.5)"},
        {&median, 7, 8, 1, NONE,
         "median: epoch 7: ssim no number, behind the median of the 8 others no slower than it that got there: 0.15 "
         "(p0 "
         "0.5, p1 0.4, p2 0.3, p3 0.2, p4 0.1, p5 0 and 2 more)"},
        {&median, 7, 1, 1, 0.45,
         "median: epoch 7: ssim 0.45, behind the only other no slower than it that got there: 0.5 (p0 0.5)"},
        {&median, 7, 2, 1, 0.45,
         "median: epoch 7: ssim 0.45, not behind the median of the 2 others no slower than it that got there: 0.45 (p0 "
         "0.5, p1 0.4)"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct prune_rule r = *cases[i].rule;
        struct str text = {0};
        struct prune_cell self = {.id = "s", .name = "s", .value = cases[i].value}, others[8];
        static const char *const names[] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"};
        for (int k = 0; k < cases[i].n; k++)
            others[k] = (struct prune_cell){.id = names[k], .name = names[k], .value = (5 - k) / 10.0};
        r.min_peers = cases[i].min_peers;
        struct prune_verdict v = prune_decide(&r, &self, others, cases[i].n);
        prune_explain(&text, &r, cases[i].epoch, &self, others, &v);
        CU_ASSERT_STRING_EQUAL(text.s, cases[i].text);
        if (strcmp(text.s, cases[i].text) != 0) fprintf(stderr, "\n%s\n", text.s);
        str_free(&text);
    }
}

/* The coordinator decides beside ten thousand cells in the time that an event may cost it. */
static void prune_decide__is_cheap(void)
{
    enum { CELLS = 10000, TIMES = 20 };
    static char ids[CELLS][8];
    struct prune_cell *others = mem_alloc(sizeof *others * CELLS), self = {.id = "self", .name = "", .value = 0.5};
    struct rng g = rng_key(6, 0, 0, 0);
    double start = time_mono();
    for (int k = 0; k < TIMES; k++) {
        for (int i = 0; i < CELLS; i++) {
            snprintf(ids[i], sizeof ids[i], "%d", i);
            others[i] = (struct prune_cell){.id = ids[i], .name = "", .value = (double)rng_below(&g, 1000000) / 1e6};
        }
        struct prune_verdict v = prune_decide(&median, &self, others, CELLS);
        CU_ASSERT_DOUBLE_EQUAL(v.threshold, 0.5, 0.05);
    }
    printf("(%.1f ms each) ", 1e3 * (time_mono() - start) / TIMES);
    CU_ASSERT_TRUE(TEST_SANITIZED || time_mono() - start < TIMES * 0.1);
    free(others);
}

static const struct test tests[] = {
    TEST(prune_decide__by_hand),
    TEST(prune_decide__by_latency),
    TEST(prune_decide__never_stops_the_front),
    TEST(prune_decide__in_order_of_arrival),
    TEST(prune_decide__is_cheap),
    TEST(prune_asks__at_its_epochs_alone),
    TEST(prune_best__ignores_what_is_no_number),
    TEST(prune_rule_of__defaults_and_directions),
    TEST(prune_explain__names_what_it_compared),
};
TEST_MAIN("engine prune", tests)
