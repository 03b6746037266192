/*
 * Whether a GPU can be used: the rules, as functions of what was seen and when. The driver's word counts when it is
 * heard twice, a run's word that its GPU failed after three times in a row, since the fault may be the run's own; until
 * then the GPU rests a little. One that is lost is looked at again: it must be there for a while, or rest for long.
 */
#include "inside.h"

enum { MISSED = 2, FAULTS = 3 };
static const double rest_s = 2;    /* after a fault; those within it are one */
static const double there_s = 30;  /* before it is used again, when the driver had lost it */
static const double later_s = 600; /* when its runs had failed */

enum health_news health_sees(struct health *h, bool there, double now)
{
    if (!there) {
        h->back = 0;
        if (h->lost || ++h->missed < MISSED) return HEALTH_SAME;
        h->lost = h->by_driver = true;
        return HEALTH_LOST;
    }
    h->missed = 0;
    if (!h->lost) return HEALTH_SAME;
    if (h->back <= 0) h->back = now;
    if (h->by_driver ? now - h->back < there_s : now - h->fault_at < later_s) return HEALTH_SAME;
    *h = (struct health){.faults = FAULTS - 1, .fault_at = now - rest_s}; /* one more fault is enough */
    return HEALTH_BACK;
}

enum health_news health_fault(struct health *h, double now)
{
    if (h->lost) return HEALTH_SAME;
    if (!h->faults || now - h->fault_at >= rest_s) h->faults++;
    h->fault_at = now;
    if (h->faults < FAULTS && !h->missed) return HEALTH_SAME;
    h->lost = true;
    h->by_driver = h->missed > 0;
    return HEALTH_LOST;
}

void health_good(struct health *h)
{
    h->faults = 0;
}

bool health_usable(const struct health *h, double now)
{
    return !h->lost && (!h->faults || now - h->fault_at >= rest_s);
}
