/*
 * Batches, one ahead of the caller. Two buffers: the caller holds one while the threads fill the other, an image at a
 * time. What a batch holds depends on (seed, epoch, step) alone, so neither the number of threads nor resuming shows.
 */
#include "inside.h"

struct buffer {
    float *input, *target;
    int *index;
    int n, taken, filled; /* images: of this batch, begun, finished */
    int64_t epoch, step;
    struct status status; /* the first failure */
};

struct data_loader {
    struct data *d;
    struct data_loader_options o;
    int steps, n_part;
    int *order; /* of epoch order_epoch */
    int64_t order_epoch, next_epoch, next_step;
    struct buffer buffer[2];
    int turn;      /* the buffer that the caller gets next */
    int64_t asked; /* how often for a batch; the caller has the buffer whose turn it is not */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    pthread_t *threads;
    int n_threads;
    bool stop;
};

/* Makes @p b the next batch of the sequence. */
static void plan_batch(struct data_loader *l, struct buffer *b)
{
    if (l->order_epoch != l->next_epoch) {
        l->order_epoch = l->next_epoch;
        if (l->o.shuffle)
            data_epoch_order(l->order, l->d, l->o.part, l->o.seed, l->next_epoch);
        else
            memcpy(l->order, l->d->part[l->o.part], (size_t)l->n_part * sizeof *l->order);
    }
    int begin = (int)l->next_step * l->o.batch;
    b->n = l->n_part - begin < l->o.batch ? l->n_part - begin : l->o.batch;
    memcpy(b->index, l->order + begin, (size_t)b->n * sizeof *b->index);
    b->taken = b->filled = 0;
    b->epoch = l->next_epoch;
    b->step = l->next_step;
    b->status = ok();
    if (++l->next_step == l->steps) l->next_step = 0, l->next_epoch++;
}

/* The buffer whose turn is sooner and that has an image to begin. */
static struct buffer *find_work(struct data_loader *l)
{
    for (int i = 0; i < 2; i++) {
        struct buffer *b = &l->buffer[l->turn ^ i];
        if (b->taken < b->n) return b;
    }
    return NULL;
}

static void fill_one(struct data_loader *l, struct buffer *b)
{
    int i = b->taken++;
    struct data_want w = {.index = b->index + i,
                          .n = 1,
                          .seed = l->o.seed,
                          .epoch = b->epoch,
                          .augment = l->o.augment,
                          .channels_last = l->o.channels_last};
    size_t at = (size_t)i * (size_t)l->d->height * (size_t)l->d->width;
    pthread_mutex_unlock(&l->lock);
    struct status s = data_fill(b->input + at * (size_t)l->d->channels, b->target + at * 3, l->d, w);
    pthread_mutex_lock(&l->lock);
    if (b->status.code == STATUS_OK) b->status = s;
    if (++b->filled == b->n) pthread_cond_broadcast(&l->done);
}

static void *work(void *arg)
{
    struct data_loader *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        struct buffer *b = find_work(l);
        if (b)
            fill_one(l, b);
        else
            pthread_cond_wait(&l->work, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* Decoding ahead: what is left of this epoch, then the part that nobody asked for yet. */
static void start_prefetch(struct data_loader *l)
{
    int *order = mem_alloc((size_t)l->d->n * 2 * sizeof *order), n = 0;
    if (l->order_epoch == l->next_epoch)
        for (int i = (int)l->next_step * l->o.batch; i < l->n_part; i++) order[n++] = l->order[i];
    const int *other = l->d->part[!l->o.part];
    for (int i = 0; i < l->d->n_part[!l->o.part]; i++) order[n++] = other[i];
    data_prefetch(l->d, order, n);
    free(order);
}

struct status data_loader_open(struct data_loader **out, struct data *d, const struct data_loader_options *o)
{
    *out = NULL;
    CHECK(o->batch > 0, "a batch of %d", o->batch);
    int n = d->n_part[o->part];
    if (!n)
        return fail(STATUS_ARG, "data.split: no pair %s; change split.val or the lists",
                    o->part == DATA_TRAIN ? "trains" : "validates");
    struct data_loader *l = mem_zalloc(sizeof *l);
    l->d = d;
    l->o = *o;
    l->n_part = n;
    bool drop = o->drop_last && n >= o->batch;
    l->steps = drop ? n / o->batch : (n + o->batch - 1) / o->batch;
    CHECK(o->epoch >= 0 && o->step >= 0 && o->step <= l->steps, "start at step %lld of %d", (long long)o->step,
          l->steps);
    l->next_epoch = o->epoch + o->step / l->steps; /* the end of an epoch is the start of the next */
    l->next_step = o->step % l->steps;
    l->order = mem_alloc((size_t)n * sizeof *l->order);
    l->order_epoch = -1;
    size_t images = (size_t)(o->batch < n ? o->batch : n),
           plane = images * (size_t)d->height * (size_t)d->width * sizeof(float);
    for (int i = 0; i < 2; i++) {
        struct buffer *b = &l->buffer[i];
        b->input = mem_alloc(plane * (size_t)d->channels);
        b->target = mem_alloc(plane * 3);
        b->index = mem_alloc(images * sizeof *b->index);
    }
    /* The second one when the first is asked for: until then the cores have enough to do. */
    plan_batch(l, &l->buffer[0]);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->done, NULL);
    int threads = o->threads > 0 ? o->threads : 1;
    l->threads = mem_alloc((size_t)threads * sizeof *l->threads);
    while (l->n_threads < threads && pthread_create(&l->threads[l->n_threads], NULL, work, l) == 0) l->n_threads++;
    if (!l->n_threads) {
        data_loader_close(l);
        return fail(STATUS_IO, "data: cannot start a thread");
    }
    *out = l;
    return ok();
}

int data_loader_steps(const struct data_loader *l)
{
    return l->steps;
}

struct status data_loader_next(struct data_loader *l, struct data_batch *out)
{
    pthread_mutex_lock(&l->lock);
    if (l->asked++ == 1) start_prefetch(l); /* the first step is done */
    plan_batch(l, &l->buffer[l->turn ^ 1]);
    pthread_cond_broadcast(&l->work);
    struct buffer *b = &l->buffer[l->turn];
    while (b->filled < b->n) pthread_cond_wait(&l->done, &l->lock);
    l->turn ^= 1;
    pthread_mutex_unlock(&l->lock);
    *out = (struct data_batch){b->input, b->target, b->index, b->n, b->epoch, b->step};
    return b->status;
}

void data_loader_close(struct data_loader *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->n_threads; i++) pthread_join(l->threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        free(l->buffer[i].input);
        free(l->buffer[i].target);
        free(l->buffer[i].index);
    }
    pthread_cond_destroy(&l->done);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free(l->threads);
    free(l->order);
    free(l);
}
