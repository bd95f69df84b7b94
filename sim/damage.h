/* damage.h - what becomes of a disk at rest, with nobody to see it */
#ifndef SIM_DAMAGE_H
#define SIM_DAMAGE_H

#include "sim/sim.h"

/* A bit flips, or a block turns out to have been written to the wrong place, or to none. False: not
 * this time. */
bool damage_something(struct sim *s);
/* Whether a process ended while it settled the checkpoint's log (store/settling.h), or is at it. */
bool damage_is_settling(const struct sim *s);

#endif
