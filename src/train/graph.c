/*
 * A step as a recording. A small cell on a GPU is bound by the calls that start its kernels; those of the forward pass,
 * the loss and the backward pass are recorded once and replayed with a single call. Clipping, the optimiser and the
 * averages, a few kernels over all parameters together, and whatever depends on the step's number stay outside.
 */
#include "run.h"

enum { STEPS_BEFORE = 3 /* as usual: libraries choose their kernels and take their memory in them */ };

struct step_graph {
    struct tensor_graph *recorded; /* NULL: not yet */
    struct tensor *loss;           /* what a replay writes */
    struct tensor **grads;         /* by optimised parameter; NULL where it has none */
    int64_t *counts;               /* by the net's parameter: what a step adds to it */
    double loss_scale;             /* part of the recording */
    bool encoder_frozen;           /* likewise */
    int steps;                     /* as usual, of this kind */
    bool off;
};

static void tell(const struct run *r, const char *text)
{
    train_emit(r->job, "info", "{s:{s:s}}", "values", "graph", text);
}

void graph_open(struct run *r)
{
    if (!r->model.device.cuda) return;
    r->graph = mem_zalloc(sizeof *r->graph);
    int batch = r->t->train.batch;
    const char *why = strcmp(r->t->train.graph, "off") == 0           ? "off: train.graph"
                      : !tensor_has_graphs()                          ? "off: this libtorch cannot record"
                      : run_part(r->job->micro_batch, batch) != batch ? "off: a batch goes through the net in parts"
                                                                      : NULL;
    r->graph->off = why != NULL;
    if (why) tell(r, why);
}

static void forget(struct run *r)
{
    struct step_graph *g = r->graph;
    for (int i = 0; g->grads && i < r->w.n_params; i++) tensor_free(g->grads[i]);
    free(g->grads);
    free(g->counts);
    tensor_free(g->loss);
    tensor_graph_free(g->recorded);
    *g = (struct step_graph){.off = g->off};
}

void graph_close(struct run *r)
{
    if (!r->graph) return;
    forget(r);
    free(r->graph);
    r->graph = NULL;
}

static bool is_count(const struct run *r, int i)
{
    return r->model.net->params[i].kind == NET_COUNT;
}

/** What only the host counts (batches seen by a norm): how much one step adds, and has added already while recording.
 */
static void take_counts(struct run *r, int64_t sign)
{
    for (int i = 0; i < r->model.net->n_params; i++)
        if (is_count(r, i)) r->graph->counts[i] += sign * *exec_count(r->model.exec, i);
}

/** The gradients that the recorded step left are where every replay will write them. */
static struct status take_gradients(struct run *r)
{
    struct step_graph *g = r->graph;
    for (int i = 0; i < r->w.n_params; i++) TRY(tensor_grad(&g->grads[i], r->params[i]));
    g->loss = r->loss.sum;
    r->loss.sum = NULL;
    return ok();
}

static struct status record(struct run *r)
{
    struct step_graph *g = r->graph;
    bool diverged;
    g->grads = mem_zalloc((size_t)r->w.n_params * sizeof(struct tensor *));
    g->counts = mem_zalloc((size_t)r->model.net->n_params * sizeof *g->counts);
    TRY(tensor_drop_grads(r->params, r->w.n_params));
    take_counts(r, -1);
    TRY(tensor_graph_begin(&g->recorded, r->model.device));
    struct status s = run_gradients(r, &diverged, &(struct part){r->x, r->y, .share = 1, .seeded = true});
    struct status end = tensor_graph_end(g->recorded);
    take_counts(r, 1);
    TRY(s);
    TRY(end);
    return take_gradients(r);
}

static struct status replay(struct run *r)
{
    struct step_graph *g = r->graph;
    TRY(tensor_seed(run_seed(r, 0)));
    TRY(tensor_graph_replay(g->recorded));
    for (int i = 0; i < r->w.n_params; i++)
        if (g->grads[i]) TRY(tensor_set_grad_in(r->params[i], g->grads[i]));
    r->loss.sum = tensor_ref(g->loss);
    return ok();
}

/** Takes back what a recording that failed left behind; the step is made as usual, and so are all that follow. */
static void give_up(struct run *r, const char *why)
{
    struct step_graph *g = r->graph;
    char text[300];
    snprintf(text, sizeof text, "off: %s", why);
    tell(r, text);
    for (int i = 0; g->counts && i < r->model.net->n_params; i++)
        if (is_count(r, i)) *exec_count(r->model.exec, i) -= g->counts[i];
    tensor_free(r->loss.sum);
    r->loss.sum = NULL;
    forget(r);
    g->off = true;
}

struct status graph_gradients(struct run *r, bool *done)
{
    struct step_graph *g = r->graph;
    bool frozen = r->at.epoch < r->t->train.freeze_encoder;
    *done = false;
    if (g->off) return ok();
    if (g->loss_scale != r->at.loss_scale || g->encoder_frozen != frozen) {
        forget(r);
        g->loss_scale = r->at.loss_scale;
        g->encoder_frozen = frozen;
    }
    if (!g->recorded && g->steps++ < STEPS_BEFORE) return ok();
    if (!g->recorded) {
        struct status s = record(r);
        if (s.code != STATUS_OK) {
            give_up(r, s.msg);
            return ok();
        }
        tell(r, "on");
    } else {
        for (int i = 0; i < r->model.net->n_params; i++)
            if (is_count(r, i)) *exec_count(r->model.exec, i) += g->counts[i];
    }
    *done = true;
    return replay(r);
}
