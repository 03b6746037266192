/* Files under trials/ that no row names: what killed writers left, and folders of trials that nobody knows. */
#include "inside.h"
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    struct arena a;
    const char *root;   /* absolute folder of the database */
    const json_t *kept; /* relative path -> true */
    json_t *out;
};

static void add(struct walk *w, const char *path, int64_t bytes, const char *why)
{
    json_array_append_new(w->out,
                          json_pack("{s:s, s:I, s:s}", "path", path, "bytes", (json_int_t)bytes, "reason", why));
}

/* @p path is relative to the root. Symbolic links are no business of ours: neither followed nor listed. */
static struct status visit(struct walk *w, const char *path, const char *why)
{
    struct stat st;
    const char *full = arena_printf(&w->a, "%s/%s", w->root, path);
    if (lstat(full, &st) != 0) return ok();
    if (S_ISREG(st.st_mode) && !json_object_get(w->kept, path)) add(w, path, (int64_t)st.st_size, why);
    if (!S_ISDIR(st.st_mode) || json_object_get(w->kept, path)) return ok();
    char **names;
    size_t n;
    TRY(fs_list(&names, &n, &w->a, full));
    for (size_t i = 0; i < n; i++) TRY(visit(w, arena_printf(&w->a, "%s/%s", path, names[i]), why));
    if (n == 0) add(w, path, 0, "an empty folder");
    return ok();
}

static const char *const kept_sql =
    "SELECT path FROM artifacts UNION ALL SELECT 'trials/' || id || '/logs' FROM trials UNION ALL "
    /* what an unfinished training goes on from */
    "SELECT 'trials/' || t.id || '/' || f.column1 FROM trials t, (VALUES ('last.safetensors'), ('best.safetensors')) f "
    "WHERE NOT EXISTS (SELECT 1 FROM stages g WHERE g.trial = t.id AND g.stage = 'train' "
    "AND g.state IN ('done', 'refused', 'diverged', 'too_slow'))";

static struct status set_of(json_t **out, struct store *s, const char *sql, const char *member)
{
    json_t *rows;
    TRY(store_rows(&rows, s, sql, NULL));
    *out = json_object();
    for (size_t i = 0; i < json_array_size(rows); i++)
        json_object_set_new(*out, json_str(json_array_get(rows, i), member, ""), json_true());
    json_decref(rows);
    return ok();
}

struct status engine_garbage(json_t **out, struct store *s)
{
    json_t *kept = NULL, *trials = NULL;
    struct walk w = {.root = store_dir(s)};
    char **names = NULL;
    size_t n = 0;
    const char *dir = arena_printf(&w.a, "%s/trials", w.root);
    struct status st = set_of(&kept, s, kept_sql, "path");
    if (st.code == STATUS_OK) st = set_of(&trials, s, "SELECT id FROM trials", "id");
    if (st.code == STATUS_OK && fs_is_dir(dir)) st = fs_list(&names, &n, &w.a, dir);
    w.kept = kept;
    w.out = json_array();
    for (size_t i = 0; i < n && st.code == STATUS_OK; i++) {
        if (!fs_is_dir(arena_printf(&w.a, "%s/%s", dir, names[i]))) continue;
        bool known = json_object_get(trials, names[i]);
        st = visit(&w, arena_printf(&w.a, "trials/%s", names[i]),
                   known ? "no stage names it" : "of a trial that is not in the database");
    }
    json_decref(kept);
    json_decref(trials);
    arena_free(&w.a);
    *out = w.out;
    if (st.code != STATUS_OK) {
        json_decref(w.out);
        *out = NULL;
    }
    return st;
}

struct status engine_files(json_t **out, struct store *s, const char *trial)
{
    struct walk w = {.root = store_dir(s), .out = json_array()};
    CHECK(*trial && !strchr(trial, '/'), "no trial's id: \"%s\"", trial);
    struct status st = visit(&w, arena_printf(&w.a, "trials/%s", trial), "of the trial");
    arena_free(&w.a);
    *out = w.out;
    if (st.code != STATUS_OK) {
        json_decref(w.out);
        *out = NULL;
    }
    return st;
}

struct status engine_remove(struct store *s, const json_t *garbage)
{
    struct arena a = {0};
    struct status st = ok();
    for (size_t i = 0; i < json_array_size(garbage); i++) {
        char *path = fs_join(&a, store_dir(s), json_str(json_array_get(garbage, i), "path", ""));
        if (remove(path) != 0 && st.code == STATUS_OK) st = fail(STATUS_IO, "%s: cannot be removed", path);
        /* Folders that are empty now go with their last file; the trials' own folder stays. */
        for (char *up = fs_dirname(&a, path); strlen(up) > strlen(store_dir(s)) + strlen("/trials/");
             up = fs_dirname(&a, up))
            if (rmdir(up) != 0) break;
    }
    arena_free(&a);
    return st;
}
