/* Rules between keys. Private to room spec. */
#ifndef SWEEP_SPEC_TRIAL_H
#define SWEEP_SPEC_TRIAL_H

#include "spec.h"

struct trial_rule {
    const char *keys[2]; /* whose values it compares; the first is blamed */
    struct status (*check)(const struct spec_trial *t);
};
extern const struct trial_rule trial_rules[]; /* ends with a NULL check */

#endif
