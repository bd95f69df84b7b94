/* shared.h - bytes that several hold, freed when the last lets go
 *
 * What is sent to thousands of listeners is made once. The bytes never change; who keeps them
 * counts itself in. One thread only: the count is a plain number.
 */
#ifndef BASE_SHARED_H
#define BASE_SHARED_H

#include "base/buf.h"

struct shared {
    size_t holders;
    size_t len;
    char at[];
};

/* A copy of the bytes, held by the caller. */
struct shared *shared_new(struct str bytes);
/* One more holder; gives s. */
struct shared *shared_hold(struct shared *s);
/* One less. NULL is nothing. */
void shared_drop(struct shared *s);

#endif
