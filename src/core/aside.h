/* aside.h - what few entities have beside their document: a lock, messages kept, an expiry
 *
 * The lines of an entity's log that make it are in instance.h. An entity has a struct aside only
 * while there is something in it.
 */
#ifndef CORE_ASIDE_H
#define CORE_ASIDE_H

#include "core/instance.h"

void aside_free(struct aside *a);
/* What a whole image of the document does not say: lines that make it again. */
void aside_write(const struct aside *a, struct buf *out);

#endif
