/* What the view, watch and status say of GPUs, from the event that a run tells. */
#include "inside.h"
#include "live.h"
#include "site.h"

static const char event_text[] =
    "{\"event\":\"gpus\",\"time\":1,\"totals\":{\"trials\":8,\"gpus\":2,\"gpus_busy\":1},\"data\":["
    "{\"gpu\":0,\"name\":\"A\",\"trainings\":4,\"runs\":5,\"busy\":83,\"busy_mean\":81.5,\"used_bytes\":14710000000,"
    "\"total_bytes\":150754820096,\"why\":\"more than 4 at once were not faster\"},"
    "{\"gpu\":1,\"name\":\"B\",\"trainings\":1,\"runs\":1,\"why\":\"\"}]}";

static json_t *event_of(const char *text)
{
    json_t *j = NULL;
    TEST_OK(json_parse(&j, "event", text, strlen(text)));
    return j;
}

static void cli_gauge__is_a_line_a_gpu(void)
{
    char text[300];
    json_t *e = event_of(event_text), *gpus = json_object_get(e, "data");
    draw_gpu(text, sizeof text, json_array_get(gpus, 0));
    CU_ASSERT_STRING_EQUAL(text,
                           "GPU 0  83 % busy  13.7 of 140.4 GiB  4 trainings; more than 4 at once were not faster");
    draw_gpu(text, sizeof text, json_array_get(gpus, 1));
    CU_ASSERT_STRING_EQUAL(text, "GPU 1  1 training"); /* what the driver does not say is left out */
    json_decref(e);
}

/* Who comes late sees what was told before. */
static void cli_gauge__is_in_the_state(void)
{
    struct cli_live *l = cli_live_new(true, true), *late = cli_live_new(true, true);
    json_t *e = event_of(event_text), *before = live_state(l);
    CU_ASSERT_PTR_NULL(json_object_get(before, "gpus"));
    live_hear(late, before);
    live_hear(l, e);
    json_t *state = live_state(l);
    live_hear(late, state);
    CU_ASSERT_TRUE(json_equal(late->gpus, json_object_get(e, "data")));
    json_decref(before);
    json_decref(state);
    json_decref(e);
    cli_live_free(l);
    cli_live_free(late);
}

static void cli_gauge__ends_with_the_mean(void)
{
    struct engine_result r = {.n_gpus = 2, .gpus = {{.index = 0, .busy = 82.5}, {.index = 3, .busy = -1}}};
    json_t *end = event_end(&r, 0), *gpus = json_object_get(end, "gpus");
    CU_ASSERT_EQUAL(json_array_size(gpus), 1);
    CU_ASSERT_DOUBLE_EQUAL(json_num(json_array_get(gpus, 0), "busy_mean", 0), 82.5, 1e-9);
    json_decref(end);
    r.n_gpus = 0;
    end = event_end(&r, 0);
    CU_ASSERT_PTR_NULL(json_object_get(end, "gpus"));
    json_decref(end);
}

/* A run that holds the database and tells: status reads it from there. */
static void cli_gauge__is_in_status(void)
{
    struct site s = site_make("name: a\ndata: {pairs: 8, size: 64}\n", "ok:1");
    struct store *store = NULL;
    char path[600];
    snprintf(path, sizeof path, "%s/results/sweep.db", s.dir);
    TEST_OK(store_open(&store, (struct store_options){.path = path, .command = "test"}));
    struct store_feed *feed = store_feed_open(store);
    CU_ASSERT_PTR_NOT_NULL_FATAL(feed);
    struct cli_live *l = cli_live_new(true, true);
    json_t *e = event_of(event_text);
    live_hear(l, e);
    json_t *state = live_state(l);
    char *text = json_text(state, 0);
    store_feed_put(feed, text, true);
    CU_ASSERT_EQUAL(site_wait(site_start(&s, "status --json", "json")), 0);
    CU_ASSERT_EQUAL(site_wait(site_start(&s, "status", "words")), 0);
    char *json = site_said(&s, "json"), *words = site_said(&s, "words");
    CU_ASSERT_PTR_NOT_NULL(strstr(json, "\"busy\": 83"));
    CU_ASSERT_PTR_NOT_NULL(strstr(json, "\"why\": \"more than 4 at once were not faster\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(words, "\nGPU 0  83 % busy  13.7 of 140.4 GiB  4 trainings; more than 4"));
    free(json);
    free(words);
    free(text);
    json_decref(state);
    json_decref(e);
    cli_live_free(l);
    store_feed_close(feed);
    store_close(store);
}

static const struct test tests[] = {TEST(cli_gauge__is_a_line_a_gpu), TEST(cli_gauge__is_in_the_state),
                                    TEST(cli_gauge__ends_with_the_mean), TEST(cli_gauge__is_in_status)};
TEST_MAIN("cli.gauge", tests)
