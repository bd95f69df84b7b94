/* timers.h - which instances are due, and when
 *
 * Two heaps. Of instances in memory: each that has a due time stands in it once, with its index
 * kept in the instance, so that a change of mind costs log n. Of instances that were let go: pairs
 * of time and uid, which may be stale by the time they come up, or stand twice; whoever takes one
 * looks again. The second reaches only up to a horizon; what is due later is asked of the store
 * when its time comes near, so ten million sleeping timers cost no memory.
 */
#ifndef RUN_TIMERS_H
#define RUN_TIMERS_H

#include "core/instance.h"

struct sleeper {
    int64_t wake_ms;
    uint64_t uid;
};

struct timers {
    struct instance **heap; /* [1 .. count] */
    size_t count, cap;
    struct sleeper *sleepers; /* [1 .. sleeper_count] */
    size_t sleeper_count, sleeper_cap;
};

void timers_free(struct timers *t);

/* After inst->due_ms changed: in, out, or elsewhere in the heap. */
void timers_update(struct timers *t, struct instance *inst);
/* Before an instance leaves memory or the world. */
void timers_forget(struct timers *t, struct instance *inst);
/* The instance that is due first, NULL when none is at all. */
struct instance *timers_first(const struct timers *t);

void timers_sleep(struct timers *t, int64_t wake_ms, uint64_t uid);
/* NULL when there is none. */
const struct sleeper *timers_first_sleeper(const struct timers *t);
void timers_wake_sleeper(struct timers *t);

/* Forgets the sleepers that wake at that time or later. */
void timers_keep_before(struct timers *t, int64_t until_ms);

/* The first time anything is due; NEVER_MS. */
int64_t timers_next_ms(const struct timers *t);

#endif
