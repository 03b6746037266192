/* What a worker may use: what the whole run was told, or else its trial's own configuration. */
#include "inside.h"

struct limits limits_of(const struct engine_options *o, const struct spec_trial *t)
{
    return (struct limits){.bytes = o->bytes_limit > 0 ? o->bytes_limit : (int64_t)t->limits.memory_mib << 20,
                           .stage_s = o->stage_s > 0 ? o->stage_s : t->limits.stage_s,
                           .hang_s = o->hang_s > 0 ? o->hang_s : t->limits.hang_s};
}
