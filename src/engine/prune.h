/*
 * The rules of pruning, as functions of numbers: no store, no processes, no clock. A rule is asked at some epochs
 * whether a training goes on, and compares it with the others that got there.
 *
 * A cell is compared only with cells that are no slower than itself, within a tolerance: what is better and slower says
 * nothing about the best picture at this cell's frame rate, so a cell on the front of quality and latency is never
 * stopped by one that is not at least about as fast.
 *
 * What counts is the best value so far: one bad epoch stops nobody. A cell whose metric never was a number is worse
 * than any that has one. Equal values never stop each other.
 */
#ifndef ENGINE_PRUNE_H
#define ENGINE_PRUNE_H

#include "plan.h"

enum prune_kind { PRUNE_NONE, PRUNE_MEDIAN, PRUNE_ASHA };

struct prune_rule {
    enum prune_kind kind;
    const char *name, *metric;
    bool higher;     /* is better */
    bool any_loss;   /* the metric compares cells that are trained by different losses */
    int epochs;      /* of a whole training */
    int warmup, min; /* the first decision is after their sum */
    int reduction;   /* asha: one in so many goes on, and the next rung is so many times as far */
    int min_peers;
    double tolerance;
};
/** The rule of a trial, its defaults put in numbers. Texts are borrowed from it. */
struct prune_rule prune_rule_of(const struct spec_trial *t);
/** Hash of all that decides what the rule says; "" without a rule. */
struct hash prune_key(const struct prune_rule *r);

/** True when the rule has a say after this epoch; never after the last one, where there is nothing left to save. */
bool prune_asks(const struct prune_rule *r, int epoch);
/** Which of the rule's rungs an epoch is, from 1; 0: none, or the rule has no rungs. */
int prune_rung(const struct prune_rule *r, int epoch);
/** Its rungs in words: "after epochs 5, 15 and 45". */
void prune_describe(struct str *out, const struct prune_rule *r);

/** The better of the best so far and one more value; not a number is nothing. */
double prune_best(const struct prune_rule *r, double best, double value);

struct prune_cell {
    const char *name; /* for the reason */
    const char *id;
    double value;    /* best so far; NAN: none */
    double ms, macs; /* measured before training, 0: was not; counted */
};
/** @p other has a say about @p self: measured latencies are compared where both have one, else work. */
bool prune_no_slower(const struct prune_rule *r, const struct prune_cell *other, const struct prune_cell *self);

struct prune_verdict {
    bool stop;
    double threshold; /* what is worse than this is stopped; NAN: nothing to compare with */
    int n_peers;      /* that have a say: they are the first of the others now, best first */
};
/** @p others: cells that got as far and may be compared by this metric; they are put in order. */
struct prune_verdict prune_decide(const struct prune_rule *r, const struct prune_cell *self, struct prune_cell *others,
                                  int n);
/** Why, in words: epoch and rung, value, threshold, those it was compared with. */
void prune_explain(struct str *out, const struct prune_rule *r, int epoch, const struct prune_cell *self,
                   const struct prune_cell *others, const struct prune_verdict *v);

#endif
