/* partition.h - the pass: what came, stepped to the end, committed once, then let go
 *
 *     partition_begin    takes the time; steps what was left over, results, due timers
 *     HTTP functions     partition_look() reads, partition_send() steps what they send
 *     partition_commit   one record; then activities, log lines and answers may leave
 *
 * One thread owns a partition, and steps are strictly serial: what a step sends is stepped, with
 * all it leads to, before the next request is looked at. What is due has happened before anybody
 * looks: partition_look() fires the due timers of what it looks at first.
 *
 * A pass has a budget, of which due timers get at most half. What it cannot step any more is part
 * of its commit, and first in the next.
 *
 * States:
 *
 *     up ----commit failed, nothing of the pass remains----> down
 *      ^                                                       |
 *      +------------ the store could be opened again ----------+
 *
 * Down, all memory is dropped; every answer of the pass is a refusal, and so is everybody's until
 * the store has recovered from what is on disk. It is tried at once and then each second.
 *
 * Time is the engine's own: the greater of the wall clock and the last commit's time when it opens,
 * and from then on what really passed. A wall clock that jumps fires no timer early.
 */
#ifndef RUN_PARTITION_H
#define RUN_PARTITION_H

#include "core/app.h"
#include "core/session.h"
#include "store/store.h"

/* 0 anywhere: the default. */
struct partition_limits {
    size_t sessions;     /* coroutines kept resident: 1,024 */
    size_t memory_bytes; /* of instances, beyond which clean ones are let go: 512 MiB */
    size_t pass_steps;   /* 4,096 */
    size_t pass_bytes;   /* of commit: 4 MiB */
};

struct partition_config {
    struct env *env;
    const struct app *app;
    struct partition_limits limits;
    void *ctx; /* for the calls below */
    int (*open_store)(void *ctx, struct table *table, struct recovered *ret,
                      struct store **ret_store, char *ret_why, size_t why_size);
    void (*log)(void *ctx, const char *line);
    void (*wake)(void *ctx); /* something is to be done: a pass, soon */
    /* The answer to a call that an HTTP function made; to be held until the commit. */
    void (*respond)(void *ctx, uint64_t token, const ks_val *answer);
};

struct partition;

/* Opens the store. A negative KS_E... with a sentence. */
int partition_open(const struct partition_config *config, struct partition **ret, char *ret_why,
                   size_t why_size);
/* Clean: everything is in the checkpoint after it. Activities that still run are waited for by
 * whoever runs them; their results are not taken any more. */
int partition_close(struct partition *p);
/* As a crash would: nothing is written. */
void partition_abandon(struct partition *p);

bool partition_is_up(const struct partition *p);
/* Why not, or why the last pass failed. */
const char *partition_why(const struct partition *p);

void partition_begin(struct partition *p);
int64_t partition_now_ms(const struct partition *p);
/* Whether this pass should take another request. */
bool partition_has_budget(const struct partition *p);
/* Whether requests that change something can be taken: the disk is not full. */
bool partition_takes_changes(const struct partition *p);
/* Whether anything can be looked at: not while there is no room at all for what a full pass left
 * over, which would be seen half done. */
bool partition_takes_looks(const struct partition *p);
/* Whether a look fired what this pass has no budget for: whoever looked saw it half done, and has
 * to look again in the next pass. */
bool partition_is_behind(const struct partition *p);

/* ---- for an HTTP function, between begin and commit ---- */

/* Around an HTTP function and all that comes of it. False: this request has ended the process three
 * times, and is not to be run. */
bool partition_request_begin(struct partition *p, struct str target, struct str body);
void partition_request_end(struct partition *p);
/* Begins a step: memory until the next one begins, and an outbox. */
ks_arena *partition_step(struct partition *p, ks_outbox *ret_out);
/* The newest state, its due timers fired; NULL when there is none. Good until the commit. */
struct instance *partition_look(struct partition *p, struct str id);
/* The next steps are going to look at what has these ids or keys: table_look_ahead(). */
void partition_look_ahead(struct partition *p, const struct str *keys, size_t count);
/* A page of the instances that a filter takes, with what this pass has done seen: it fills in the
 * query's changes. Timers that are due but had no turn yet are not fired by it. */
void partition_query(struct partition *p, struct query *query, struct query_page *ret);
/* Whether all that is in an outbox can be taken: an event or an operator's message for an instance
 * that does not exist (404), is over (410) or stands otherwise (409) is refused before anything is
 * sent. 0, or the status of the refusal and a sentence. */
int partition_check(struct partition *p, const ks_outbox *out, const char **ret_why);
/* The step is over: everything it sent is stepped. */
void partition_send(struct partition *p, ks_outbox *out);
/* Whether what this step saw or did waits for the commit. */
bool partition_is_gated(const struct partition *p);

/* The watchdog, asked after each function: how long it held the partition, which is since this was
 * asked before; 0: no more than 50 ms. Then the log is told its name. */
int64_t partition_held_ms(struct partition *p);
void partition_warn(struct partition *p, int64_t held_ms, struct str function);

/* 0, or an error; then the partition is down (or up again, recovered) and nothing was done. */
int partition_commit(struct partition *p);

/* Who is told what a commit has changed, right after it; NULL: nobody, and it costs nothing. The
 * changes are good during the call, in which nothing may be asked of the partition. */
typedef void partition_committed_fn(void *ctx, const struct change *changes, size_t count);
void partition_on_commit(struct partition *p, partition_committed_fn *committed, void *ctx);
/* Between passes: an instance as it was committed; fires no timer. NULL when there is none. */
const struct instance *partition_peek(struct partition *p, struct str id);

/* When the next pass has to be, if nothing comes before: engine time; may be past. */
int64_t partition_next_ms(const struct partition *p);
/* The engine's time outside of a pass. */
int64_t partition_clock_ms(const struct partition *p);

/* Drops every resident coroutine; what goes on is replayed. Only between passes. */
void partition_evict_sessions(struct partition *p);

struct partition_stats {
    size_t instances, dirty, sessions, bytes;
    uint64_t passes, commits, steps, replays;
    struct recovered recovered; /* of the open; queue is empty */
};
struct partition_stats partition_stats(const struct partition *p);

#endif
