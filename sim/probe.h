/* probe.h - places that a run may or may not come by
 *
 * PROBE("name") counts. The names that the fixed set of seeds has to reach are listed in probe.c; a
 * set that misses one of them fails, since it no longer tries what it is there to try.
 */
#ifndef SIM_PROBE_H
#define SIM_PROBE_H

#include <stddef.h>
#include <stdint.h>

#define PROBE(name) probe_hit(name)
void probe_hit(const char *name);
/* Prints what was reached and how often; returns how many of the listed ones were not. */
size_t probe_report(void);

/* What is wrong is not what is simulated, but the simulator. */
_Noreturn void sim_fail(const char *why);

#endif
