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
    bool is_tracing;
    enum twin twin;
    uint32_t *tape; /* NULL: the seed's own */
    size_t tape_len;
};

struct run_result {
    uint64_t hash;
    struct sim_stats stats;
    uint32_t *tape; /* what was drawn; the caller frees it by sim_free() */
    size_t tape_len;
    char violation[2048]; /* "": all was as promised */
};

void run_once(const struct run_options *options, struct run_result *ret);

#endif
