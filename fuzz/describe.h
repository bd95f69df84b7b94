/* describe.h - all that an instance is, as text: two that are the same have the same */
#ifndef FUZZ_DESCRIBE_H
#define FUZZ_DESCRIBE_H

#include "core/instance.h"

/* Whether an app could have made it: checked, and without NUL in a name, which no call takes and
 * jansson does not read. */
bool could_be_stored(const ks_val *val);
/* Ends with NUL; the caller frees it. */
struct buf describe_instance(const struct instance *inst);
/* Ends the process unless it is the same, saved and restored. It counts as saved then. */
void check_saved(struct instance *inst, ks_arena *mem);

#endif
