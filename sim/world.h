/* world.h - what the process knows of the world: struct env, by our clock and our disk */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim/sim.h"

/* s->env, but for submit(), which is the process's (process.c). */
void world_init(struct sim *s);
/* Work takes time, unless the run is timeless. */
void world_take_time(struct sim *s, int64_t ns);

#endif
