/* shrink.h - a failing tape made short and dull
 *
 * Each try runs in a process of its own, since a failure may be an assertion or an endless loop. A
 * tape is better when it still fails and is shorter, or has more zeros. First the shortest prefix
 * is looked for, then ever smaller pieces are made zero, until the time is up.
 */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim/run.h"

/* Sets options->tape to a better one (which is the caller's). */
void shrink(struct run_options *options, double seconds);

/* A tape in a file: "seed N hours H why", then the draws, runs of zeros as "0xN". Without any, it
 * is the seed's own: it says less, since it changes with whatever draws. */
bool tape_save(const char *path, const struct run_options *options, const char *why);
bool tape_load(const char *path, struct run_options *ret);

#endif
