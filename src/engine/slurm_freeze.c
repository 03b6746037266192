/* What a submission is to do, frozen as files: later edits of the YAML change nothing about jobs that wait. */
#include "slurm_inside.h"

/* Predicted need of the stages that are neither stored nor behind one that has ended otherwise; false: there are none.
 */
static bool cell_of(struct slurm_cell *out, const struct slurm_frozen *f, const struct plan *p, int trial,
                    const struct plan_model *m)
{
    const struct plan_trial *t = &p->trials[trial];
    bool *off = mem_zalloc(sizeof *off * (size_t)(p->trials[trial].n_stages + 1)), some = false;
    *out = (struct slurm_cell){0};
    for (int i = 0; i < t->n_stages; i++) { /* needs come before what needs them */
        const struct plan_stage *g = &p->stages[t->stages[i]];
        const json_t *known = json_object_get(f->stored, g->key);
        off[i] = known && strcmp(json_str(known, "state", ""), "done") != 0;
        for (int k = 0; k < g->n_needs; k++)
            for (int j = 0; j < i; j++) off[i] = off[i] || (t->stages[j] == g->needs[k] && off[j]);
        if (known || off[i]) continue;
        struct plan_forecast w = plan_forecast(m, g, 1);
        out->seconds += w.seconds * engine_runs(g);
        if (w.bytes > out->bytes) out->bytes = w.bytes;
        some = true;
    }
    free(off);
    return some;
}

struct status slurm_sort(struct slurm_frozen *out, struct store *s, const struct plan *p, const struct spec_slurm *o)
{
    struct plan_model *m;
    size_t n = (size_t)p->n_trials + 1;
    *out = (struct slurm_frozen){.trials = mem_alloc(sizeof(int) * n),
                                 .of = mem_alloc(sizeof(int) * n),
                                 .cells = mem_alloc(sizeof *out->cells * n)};
    struct status st = engine_cached(&out->stored, s, p);
    if (st.code == STATUS_OK) st = engine_model(&m, s);
    if (st.code != STATUS_OK) return st;
    for (int i = 0; i < p->n_trials; i++) {
        if (p->trials[i].refused || !cell_of(&out->cells[out->n_trials], out, p, i, m)) continue;
        out->trials[out->n_trials++] = i;
    }
    plan_model_free(m);
    out->n_buckets = slurm_buckets(out->buckets, out->of, out->cells, out->n_trials, o);
    return ok();
}

void slurm_frozen_free(struct slurm_frozen *f)
{
    free(f->trials);
    free(f->of);
    free(f->cells);
    json_decref(f->stored);
    *f = (struct slurm_frozen){0};
}

/* What the store has of a trial becomes its journal number 0. */
static struct status tell_known(const struct slurm_frozen *f, struct store *s, const struct plan *p, int trial,
                                const char *dir)
{
    const struct plan_trial *t = &p->trials[trial];
    json_t *keys = json_array();
    for (int i = 0; i < t->n_stages; i++) {
        const char *key = p->stages[t->stages[i]].key;
        if (json_object_get(f->stored, key)) json_array_append_new(keys, json_string(key));
    }
    struct status st = ok();
    if (json_array_size(keys)) {
        char path[1200];
        struct str text = {0};
        str_add(&text, "{\"claim\":{\"job\":\"\",\"restart\":0}}\n");
        claims_path(path, sizeof path, dir, t->id, 0);
        st = store_journal_of(&text, s, keys);
        if (st.code == STATUS_OK) st = fs_write(path, text.s, text.n);
        str_free(&text);
    }
    json_decref(keys);
    return st;
}

static struct status write_bucket(const struct slurm_frozen *f, const struct plan *p, int bucket, const char *dir)
{
    char path[1200];
    json_t *trials = json_array();
    for (int i = 0; i < f->n_trials; i++) {
        if (f->of[i] != bucket) continue;
        const struct plan_trial *t = &p->trials[f->trials[i]];
        json_array_append_new(
            trials, json_pack("{s:s, s:f, s:O}", "id", t->id, "seconds", f->cells[i].seconds, "config", t->config));
    }
    const struct slurm_bucket *b = &f->buckets[bucket];
    json_t *all = json_pack("{s:f, s:I, s:i, s:o}", "time_s", b->time_s, "bytes", (json_int_t)b->bytes, "tasks",
                            b->tasks, "trials", trials);
    char *text = json_canonical(all);
    snprintf(path, sizeof path, "%s/bucket-%d.json", dir, bucket);
    struct status st = fs_write(path, text, strlen(text));
    free(text);
    json_decref(all);
    return st;
}

struct status slurm_freeze(const struct slurm_frozen *f, struct store *s, const struct plan *p, const char *dir)
{
    struct arena a = {0};
    static const char *const folders[] = {"journal", "log"};
    struct status st = ok();
    for (size_t i = 0; i < LEN(folders) && st.code == STATUS_OK; i++) st = fs_mkdir(fs_join(&a, dir, folders[i]));
    for (int i = 0; i < f->n_trials && st.code == STATUS_OK; i++) st = tell_known(f, s, p, f->trials[i], dir);
    for (int b = 0; b < f->n_buckets && st.code == STATUS_OK; b++) st = write_bucket(f, p, b, dir);
    arena_free(&a);
    return st;
}
