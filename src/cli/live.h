/*
 * What a person sees of a running sweep. An event is a JSON object wherever it is: on stdout with --json, in the feed
 * beside the database, in the view; `sweep run` draws its own events, `sweep watch` those of another process.
 */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include "engine.h"

/* ---- events (event.c) ------------------------------------------------------------------------------------------- */

/** event, time, totals, and what there is of trial, arch, backbone, epochs, stage, key, format, device, gpu, run, runs,
 *  state, reason, seconds, data. Owner: the caller. */
json_t *event_json(const struct engine_event *e);
/** The end of a run with its counts, and for which part of the time each GPU was busy. Owner: the caller. */
json_t *event_end(const struct engine_result *r, int code);

/* ---- the view (live.c) ------------------------------------------------------------------------------------------ */

enum { LIVE_MAX_ROWS = 64, LIVE_MS_FRAME = 200 };

/* A running stage, by what was told of it. */
struct live_row {
    json_t *start, *progress; /* owned; progress may be NULL */
    json_t *epoch;            /* values of its last epoch, owned; NULL: none yet */
    double published;         /* when its progress was last passed on */
};

/* Share of the CPUs that is busy, between two looks at least a second apart. */
struct live_cpu {
    double at, busy, total;
    double percent; /* negative: not known yet */
};

/* Lines that stand below the cursor's home and are drawn over. */
struct live_screen {
    int columns[LIVE_MAX_ROWS + 4], n; /* of each line that was drawn */
};

/* Cells by the metric that ranks the sweep, best first. */
struct standing {
    char rank[32];
    json_t *cells; /* trial, arch, backbone, axes, value; at most LIVE_MAX_ROWS */
};

struct cli_live {
    bool json, tty;
    struct live_row rows[LIVE_MAX_ROWS]; /* in the order in which they began */
    int n_rows;
    double drawn_at;
    json_t *totals; /* of the last event */
    double began;   /* time of the run's start, and what was ended then */
    int ended_before;
    json_t *said; /* log texts shown: what every cell says is shown once */
    json_t *sweeps;
    json_t *gpus; /* what each does, as last told; NULL: nothing was */
    json_t *axes; /* of our own run: trial -> the axis values that tell it from others */
    struct standing standing;
    struct live_cpu cpu;
    struct live_screen screen;
    struct store_feed *feed; /* of our own run; NULL: we only watch */
};

/** One event into the view: a line that stays, a row, or nothing but new totals. */
void live_hear(struct cli_live *l, const json_t *event);
/** Draws when the time for it has come, or @p now. */
void live_draw(struct cli_live *l, bool now);
/** Events so far as one, for who comes late: the totals, and what runs. Owner: the caller. */
json_t *live_state(const struct cli_live *l);

/* ---- what is best so far (standing.c) ---------------------------------------------------------------------------- */

/** What is stored of the plan's sweeps, and the axis values of its trials. */
void standing_open(struct cli_live *l, struct store *s, const struct plan *p);
/** Final metrics of a trial take their place. */
void standing_hear(struct standing *t, const json_t *event);
/** For who comes late, and from there. Owner of the result: the caller. */
json_t *standing_json(const struct standing *t);
void standing_take(struct standing *t, const json_t *state);
void standing_free(struct standing *t);
/** "lr 0.01, seed 1": the event's axis values but the net's names; "" without any. */
void standing_axes(char *out, size_t n, const json_t *event);

/* ---- the terminal (draw.c) -------------------------------------------------------------------------------------- */

/** Columns that UTF-8 text takes, a code point each. */
int draw_columns(const char *text);
/** Cut to so many columns, never inside a code point; what is cut ends in "..". */
void draw_cut(char *text, int columns);
void draw_erase(struct live_screen *s);
/** The running stages and the totals below each other, in the terminal's width and height as they are now. */
void draw_frame(struct cli_live *l);
/** "train", "bench onnx on cpu". */
void draw_stage(char *out, size_t n, const json_t *event);
void draw_totals(char *out, size_t n, const struct cli_live *l, int columns);
/** "GPU 0  83 % busy  13.7 of 139.8 GiB  4 trainings  why no more". */
void draw_gpu(char *out, size_t n, const json_t *gpu);
void draw_look_at_cpu(struct live_cpu *c);

#endif
