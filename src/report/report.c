#include "report.h"
#include "inside.h"

static struct status write_all(struct report *r, struct report_written *out)
{
    struct hash mark;
    TRY(report_find(r));
    TRY(mark_of(&mark, r)); /* before what it stands for is read: what comes in between makes it stale */
    snprintf(out->index, sizeof out->index, "%s/index.html", r->o->dir);
    out->same = r->o->unless_same && mark_holds(r, &mark);
    if (out->same) return ok();
    TRY(report_load(r));
    TRY(fs_mkdir(r->o->dir));
    out->cells = r->n_cells;
    TRY(write_csv(r));
    TRY(write_markdown(r));
    TRY(write_plots(r, out));
    TRY(write_page(r, out));
    return out->missing[0] ? ok() : mark_put(r, &mark); /* one without its plots is not what was meant */
}

struct status report_write(struct report_written *out, const struct report_options *o)
{
    *out = (struct report_written){0};
    struct report r = {.o = o};
    TRY(store_open(&r.store, (struct store_options){.path = o->db, .read_only = true}));
    struct status s = write_all(&r, out);
    store_close(r.store);
    report_pictures_free(r.pictures);
    arena_free(&r.arena);
    return s;
}
