/* Looking rows up by name, inside the room. */
#ifndef SWEEP_ZOO_REGISTRY_H
#define SWEEP_ZOO_REGISTRY_H

#include "backbones.h"
#include "decoders.h"

extern const struct zoo_family *const zoo_families[];  /* ends with NULL */
extern const struct zoo_decoder *const zoo_decoders[]; /* likewise */

/** Rows of a name. Errors: STATUS_ARG with the nearest name when there is none. */
struct status zoo_backbone_get(const char *name, const struct zoo_backbone **row, const struct zoo_family **family);
struct status zoo_decoder_get(const char *name, const struct zoo_decoder **out);

#endif
