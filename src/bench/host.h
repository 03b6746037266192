/* Inside room bench: what the machine says of itself. */
#ifndef SWEEP_BENCH_HOST_H
#define SWEEP_BENCH_HOST_H

#include "bench.h"

/** Model name of the processor, "" when the machine does not say. In the arena. */
const char *host_cpu(struct arena *a);

/** Adds governor, frequency (MHz, mean over processors), the hottest temperature (degrees C) and the load average
 *  under names that end in @p when; null where the machine has no such thing. */
void host_state(json_t *info, const char *when);

/** Peak resident bytes of this process. */
int64_t host_rss_peak(void);

#endif
