/* shrink.h - a failing tape made short and dull
 *
 * A tape is better when it still fails, and is the same but for something less: fewer hours, an
 * option of the swarm that is dull, a client that never comes, a crash that is none, a program with
 * a statement less, a number that is nearer to 0. What takes most out is tried first, and all again
 * as long as something helps and there is time.
 *
 * Each try runs in a process of its own. What a run that fails did not come to draw is dropped.
 */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim/run.h"

/* Of a tape that fails; sets options->tape to a better one, and frees the one there was. How many
 * it tried. */
size_t shrink(struct run_options *options, double seconds);

#endif
