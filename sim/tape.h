/* tape.h - every decision of a simulated run
 *
 *     stream   a source of decisions: a client, the crashes, the jobs, ...
 *     span     what belongs together in it: a client's turn, one crash, one option of the swarm
 *     draw     a number
 *
 * What a span draws depends on the seed, its stream and its place in it, and on nothing else. So
 * what comes of one is the same when another draws more, or less, or is not there at all.
 *
 * Each draw is kept. A run that fails can be made again from its tape, and a duller one be tried
 * in its place (shrink.h): 0 is always the dull choice (nothing happens, nothing breaks), and what
 * is behind the end of a span or a stream is 0. A span draws first what matters most: when it is
 * its turn again, then what happens, then how. So it can be cut short anywhere.
 */
#ifndef SIM_TAPE_H
#define SIM_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLIENTS_MAX = 16 };

enum stream {
    STREAM_SWARM,                               /* what the seed is about: a span for each option */
    STREAM_CRASH,                               /* a span for each, with what becomes of the disk */
    STREAM_END,                                 /* the process ends otherwise */
    STREAM_START,                               /* a span for each, with what is tried before */
    STREAM_FAULT,                               /* a span for each */
    STREAM_DISK,                                /* odd calls: a span for each life of a process */
    STREAM_EVICT,                               /* the same for what leaves memory */
    STREAM_JOB,                                 /* a span for each that is in the background */
    STREAM_ACTIVITY,                            /* the same of activities */
    STREAM_CLIENT,                              /* a span for each turn; the first of CLIENTS_MAX */
    STREAM_WATCH = STREAM_CLIENT + CLIENTS_MAX, /* a span for each connection */
    STREAMS
};

struct span {
    uint64_t random;
    uint32_t *at; /* what was drawn, or is to be */
    uint32_t len, cap;
    uint32_t next; /* the next draw of a replay */
};

struct spans {
    struct span *at;
    size_t count, cap;
    size_t next; /* the next one of a run */
};

/* Which span. */
struct turn {
    size_t stream, place;
};

struct tape {
    uint64_t seed;
    bool is_replay; /* draws come from the spans as they are */
    struct spans streams[STREAMS];
    struct turn now; /* what tape_draw() is of */
};

struct tape *tape_new(uint64_t seed);
struct tape *tape_copy(const struct tape *t);
void tape_free(struct tape *t);
/* From its beginning, as it is. */
void tape_replay(struct tape *t);

/* The next span of a stream. */
struct turn tape_next(struct tape *t, size_t stream);
/* Draws are of this span from now on. Those before were of the one returned. */
struct turn tape_use(struct tape *t, struct turn turn);
/* The same as tape_use(t, tape_next(t, stream)). */
struct turn tape_begin(struct tape *t, size_t stream);

/* From 0 to below - 1. */
uint32_t tape_draw(struct tape *t, uint32_t below);
/* True once in so many times. */
bool tape_once_in(struct tape *t, uint32_t times);

size_t tape_draws(const struct tape *t);
/* In a file: "seed N hours H why", then "STREAM PLACE DRAWS..." for each span that is not empty.
 * Without any, it is the seed's own: it says less, since it changes with whatever draws. */
bool tape_save(const char *path, const struct tape *t, double hours, const char *why);
/* NULL: it is none. */
struct tape *tape_load(const char *path, double *ret_hours);

/* splitmix64 (Steele, Lea, Flood 2014): for numbers that need not be on the tape. */
uint64_t mix64(uint64_t *stream);

#endif
