/* What slurm.c and cluster.c share. */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include "inside.h"
#include "slurm.h"

/** How far a submission is, as told to programs. Owner: the caller. */
json_t *cluster_json(const struct slurm_submission *s, const struct slurm_progress *p);
/** Merges what there is, and says so. */
struct status cluster_collect(struct slurm_submission *s, struct store *store, const json_t *alive);
/** Submissions other than @p but (NULL: none) that have trials of the plan: merged when their jobs have ended, else a
 *  failure, since two would write the same files. */
struct status cluster_clear(struct store *store, const struct plan *p, const char *but);

#endif
