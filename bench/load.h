/* load.h - sends requests over many connections from one thread, and measures the answers
 *
 * Two ways to load a server:
 *
 *   closed loop  each connection asks again as soon as it was answered: how much goes through.
 *   open loop    requests are due at a fixed rate, whether or not the server keeps up, and their
 *                latency counts from when they were due. A server that stalls is charged for all
 *                who would have come meanwhile (no coordinated omission).
 *
 * One request at a time is under way on a connection. In the open loop a request that is due finds
 * a free connection or waits for one, first come first served; the wait is part of its latency.
 *
 * What is asked and what is made of the answers is the workload's.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "measure.h"

#include <stdbool.h>
#include <stddef.h>

enum { LOAD_REQUEST_MAX = 4096 };

struct workload {
    void *self;
    /* Writes the next request, at most LOAD_REQUEST_MAX bytes, and a tag to know its answer by;
     * gives the length, 0 when there is nothing more to ask. */
    size_t (*request)(void *self, char *buf, unsigned *ret_tag);
    void (*answer)(void *self, unsigned tag, int status, const char *body, size_t len);
};

/* Zero where it does not say otherwise: no limit. One of seconds and requests has to be given. */
struct load_plan {
    double seconds;
    uint64_t requests;
    double per_s;   /* open loop; 0: closed loop */
    bool is_polled; /* never sleep: with a core of its own, waking up is not the server's latency */
};

struct load_result {
    uint64_t answered;
    uint64_t failed; /* of these: not 2xx */
    double seconds;  /* from the first request to the last answer */
    struct histogram latency;
};

struct load;

/* Connects. 0 or a negative errno; *ret is closed with load_close(). */
__attribute__((warn_unused_result)) int load_open(uint16_t port, unsigned connections,
                                                  struct load **ret);
void load_close(struct load *l);

/* Runs the plan to its end and until every request was answered. -ECONNRESET when the server hung
 * up, -ETIMEDOUT when an answer took 30 s, -EPROTO for an answer without Content-Length. */
__attribute__((warn_unused_result)) int load_run(struct load *l, const struct workload *workload,
                                                 struct load_plan plan, struct load_result *ret);

#endif
