/* sim.h - the whole of Keepsake in one thread, in a world made of a seed
 *
 * The real core, journal, checkpoint, partition and front run here unchanged. What they know of the
 * world they know through struct env, and that is ours:
 *
 *     tape.h      every decision, each from its source  vfs.h      SQLite on our disk
 *     disk.h      a disk that forgets, tears, fails     heap.h     memory that dies with the
 *     process.h   the simulated process: start,                    process
 *                 rounds, jobs, every way to end        clients.h  who asks for what
 *     chaos.h     what breaks, and when                 model.h    what was promised: the oracle
 *     programs.h  random orchestrations, their oracle   web.h      servers that they ask
 *     damage.h    what becomes of it at rest            probe.h    rare places were reached
 *     world.h     its clock, disk and randomness        watchers.h who watches what changes
 *     run.h       one run, from seed to verdict
 *     shrink.h    a failing tape made short
 *
 * Time is virtual: the loop (run.c) takes the next event, sets the clock to it, and lets it happen.
 * Nothing else moves the clock but what the disk takes for its work.
 *
 * Whoever finds a promise broken calls violated(), which does not return: the run is over.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "front/front.h"
#include "front/settings.h"
#include "sim/disk.h"
#include "sim/probe.h"
#include "store/journal.h"

#include <setjmp.h>

#define NEVER_NS INT64_MAX
#define MS_NS ((int64_t)1000000)
#define FIRST_WALL_MS 1798135200000 /* 2026-12-24T18:00:00Z */

/* What a seed is about; drawn first. 0 is dull everywhere. */
struct swarm {
    uint32_t clients, think_ms, program_percent, burst;
    uint32_t crash_every_s, power_percent, crash_at_call_percent, down_ms;
    uint32_t fault_every_s; /* one of those that may happen */
    bool may_fail_sync, may_fail_write, may_fail_read, may_be_full, may_flip, may_lie, may_jump,
        may_starve;
    bool may_close;
    bool are_writes_odd;
    bool is_tight; /* the disk is full now and then, and soon to the last block */
    uint32_t slow_once_in, evict_once_in;
    uint32_t activity_ms, never_once_in, job_ms;
    int64_t open_ms;
    struct partition_limits limits;
    struct journal_options options;
};

enum event_kind {
    EV_CLIENT,
    EV_ARRIVE,
    EV_JOB,
    EV_CRASH,
    EV_FAULT,
    EV_START,
    EV_FAULT_OVER,
    EV_WATCHER
};

struct sim_event {
    int64_t ns;
    uint64_t order;
    enum event_kind kind;
    uint64_t who;
};

struct sim_stats {
    uint64_t rounds, requests, acknowledged, kills, power_losses, deaths, closes, starts, refusals;
    uint64_t registries, items, programs, claims, jobs, evictions, faults;
    int64_t simulated_ns;
};

struct sim {
    uint64_t seed;
    struct tape *tape;
    struct swarm swarm;
    enum trace_level tracing; /* SHORT: without what is asked only to see that all is well */
    bool is_aside;            /* what is told is of no importance, unless it is the last */
    char aside[1024];         /* the last such line; "": what came after it was told */
    bool is_calm;             /* faults are over */
    bool is_timeless; /* work takes no time, so that more or less of it makes no difference */
    uint64_t hash;
    uint64_t random, random_ids; /* salts and seeds; ids */

    int64_t now_ns; /* of the boot clock */
    int64_t wall_ahead_ms;
    int64_t until_ns;
    struct sim_event *events; /* a heap */
    size_t event_count, event_cap;
    uint64_t event_order;

    struct disk disk;
    struct env env;
    struct process *process;
    struct clients *clients;
    struct model *model;
    struct programs *programs;
    struct watchers *watchers;
    struct chaos *chaos;
    struct web *web;

    struct sim_stats stats;
    jmp_buf end;
    char violation[2048];
};

/* The one there is; functions of the simulated app have no other way to it. */
extern struct sim *the_sim;

void sim_at(struct sim *s, int64_t ns, enum event_kind kind, uint64_t who);
/* Has the jobs done whose time has come; for those who have the process run outside of the loop. */
void sim_do_jobs(struct sim *s);
/* Forgets the events of a kind. */
void sim_forget(struct sim *s, enum event_kind kind);

static inline uint32_t draw(struct sim *s, uint32_t below)
{
    return tape_draw(s->tape, below);
}
static inline bool once_in(struct sim *s, uint32_t times)
{
    return tape_once_in(s->tape, times);
}

/* A line of the story: told when tracing, always part of the hash. */
void tell(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The run is over, and nothing was wrong. */
_Noreturn void run_over(struct sim *s);
_Noreturn void violated(struct sim *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
