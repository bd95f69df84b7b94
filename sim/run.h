/* run.h - one run, from a seed or a tape to a verdict */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "sim/sim.h"

/* A pair of runs that must not differ: nothing breaks, and coroutines stay in memory, or leave it
 * after each pass. */
enum twin { TWIN_NONE, TWIN_RESIDENT, TWIN_REPLAYED };

struct run_options {
    uint64_t seed;
    double hours;
    enum trace_level tracing;
    bool is_once;
    enum twin twin;
    struct tape *tape; /* NULL: the seed's own */
};

struct run_result {
    uint64_t hash;
    struct sim_stats stats;
    struct tape *tape;    /* what was drawn of a seed; the caller's */
    char violation[2048]; /* "": all was as promised */
};

/* Once; or, unless is_once, twice, and the two may not differ. What was drawn, and statistics, are
 * of the first. */
void run(const struct run_options *options, struct run_result *ret);

#endif
