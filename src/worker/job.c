/* The job on stdin: one JSON object. */
#include "worker.h"

static struct status read_all(struct str *out, FILE *in)
{
    char buf[65536];
    size_t n;
    while ((n = fread(buf, 1, sizeof buf, in)) > 0) str_addn(out, buf, n);
    if (ferror(in)) return fail(STATUS_IO, "job: stdin cannot be read");
    if (out->n == 0) return fail(STATUS_ARG, "job: stdin is empty, expected one JSON object (src/worker/PROTOCOL.md)");
    return ok();
}

static struct status need(const char *value, const char *member)
{
    if (value && value[0]) return ok();
    return fail(STATUS_ARG, "job: member \"%s\" is missing or no text", member);
}

static struct status fill(struct job *j)
{
    const json_t *o = j->json, *config = json_object_get(o, "config");
    if (!json_is_object(o)) return fail(STATUS_ARG, "job: got another value, expected a JSON object");
    j->stage = json_str(o, "stage", NULL);
    j->trial = json_str(o, "trial", "");
    j->key = json_str(o, "train_key", json_str(o, "key", "")); /* what checkpoints are signed with */
    j->images = json_str(o, "images", "");
    j->dir = json_str(o, "dir", NULL);
    j->cache = json_str(o, "cache", NULL);
    j->format = json_str(o, "format", "");
    j->device = json_str(o, "device", "");
    j->compute = json_str(o, "compute", "auto");
    j->model = json_str(o, "model", NULL);
    j->threads = (int)json_int(o, "threads", 0);
    j->from = json_object_get(o, "from");
    j->micro_batch = (int)json_int(o, "micro_batch", 0);
    TRY(need(j->stage, "stage"));
    TRY(need(j->dir, "dir"));
    if (!fs_is_dir(j->dir)) return fail(STATUS_ARG, "job: dir: %s is no folder", j->dir);
    if (j->threads < 0) return fail(STATUS_ARG, "job: threads: got %d, expected 0 (all) or more", j->threads);
    if (j->micro_batch < 0)
        return fail(STATUS_ARG, "job: micro_batch: got %d, expected 0 (the whole batch) or more", j->micro_batch);
    if (!json_is_object(config)) return fail(STATUS_ARG, "job: member \"config\" is missing or no object");
    return spec_trial_from_json(&j->config, &j->arena, config, "job.config");
}

struct status job_read(struct job *out, FILE *in)
{
    *out = (struct job){0};
    struct str text = {0};
    struct status s = read_all(&text, in);
    if (s.code == STATUS_OK) s = json_parse(&out->json, "job", text.s, text.n);
    str_free(&text);
    return s.code == STATUS_OK ? fill(out) : s;
}

void job_free(struct job *j)
{
    json_decref(j->json);
    arena_free(&j->arena);
    *j = (struct job){0};
}
