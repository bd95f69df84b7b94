/* tape.h - every decision of a simulated run, from one source
 *
 * Whatever is left to chance (who does what, how long it takes, what breaks) is drawn here, and
 * each draw is kept. A run that fails can so be made again from its tape, and a shorter or duller
 * tape be tried in its place: 0 is always the dull choice (nothing happens, nothing breaks, nobody
 * comes), and a tape that has come to its end gives nothing but 0.
 */
#ifndef SIM_TAPE_H
#define SIM_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tape {
    uint64_t random; /* the stream of a seed */
    bool is_replay;  /* draws come from `at`, then are 0 */
    uint32_t *at;    /* what was drawn, or is to be */
    size_t len, cap; /* of `at` */
    size_t next;     /* replay: the next draw */
};

void tape_init(struct tape *t, uint64_t seed);
/* Draws what another run drew. The numbers stay the caller's. */
void tape_replay(struct tape *t, uint32_t *at, size_t len);

/* From 0 to below - 1. */
uint32_t tape_draw(struct tape *t, uint32_t below);
/* True once in so many times. */
bool tape_once_in(struct tape *t, uint32_t times);

/* splitmix64 (Steele, Lea, Flood 2014): for numbers that need not be on the tape. */
uint64_t mix64(uint64_t *stream);

#endif
