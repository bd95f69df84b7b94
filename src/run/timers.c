#include "run/timers.h"

#include "base/die.h"

#include <stdlib.h>

void timers_free(struct timers *t)
{
    free(t->heap);
    free(t->sleepers);
    *t = (struct timers){0};
}

/* ---- instances ---- */

static void put(struct timers *t, size_t i, struct instance *inst)
{
    t->heap[i] = inst;
    inst->heap_index = (uint32_t)i;
}

static void sift_up(struct timers *t, size_t i)
{
    struct instance *inst = t->heap[i];
    while (i > 1 && t->heap[i / 2]->due_ms > inst->due_ms) {
        put(t, i, t->heap[i / 2]);
        i /= 2;
    }
    put(t, i, inst);
}

static void sift_down(struct timers *t, size_t i)
{
    struct instance *inst = t->heap[i];
    while (2 * i <= t->count) {
        size_t child = 2 * i;
        if (child < t->count && t->heap[child + 1]->due_ms < t->heap[child]->due_ms)
            child++;
        if (t->heap[child]->due_ms >= inst->due_ms)
            break;
        put(t, i, t->heap[child]);
        i = child;
    }
    put(t, i, inst);
}

void timers_forget(struct timers *t, struct instance *inst)
{
    size_t i = inst->heap_index;
    if (!i)
        return;
    inst->heap_index = 0;
    struct instance *last = t->heap[t->count--];
    if (last == inst)
        return;
    put(t, i, last);
    sift_up(t, i);
    sift_down(t, last->heap_index);
}

void timers_update(struct timers *t, struct instance *inst)
{
    if (inst->due_ms == NEVER_MS) {
        timers_forget(t, inst);
        return;
    }
    if (!inst->heap_index) {
        if (t->count + 1 >= t->cap) {
            t->cap = t->cap ? t->cap * 2 : 64;
            t->heap = die_realloc(t->heap, t->cap * sizeof t->heap[0]);
        }
        put(t, ++t->count, inst);
    }
    sift_up(t, inst->heap_index);
    sift_down(t, inst->heap_index);
}

struct instance *timers_first(const struct timers *t)
{
    return t->count ? t->heap[1] : NULL;
}

/* ---- sleepers ---- */

void timers_sleep(struct timers *t, int64_t wake_ms, uint64_t uid)
{
    if (t->sleeper_count + 1 >= t->sleeper_cap) {
        t->sleeper_cap = t->sleeper_cap ? t->sleeper_cap * 2 : 64;
        t->sleepers = die_realloc(t->sleepers, t->sleeper_cap * sizeof t->sleepers[0]);
    }
    size_t i = ++t->sleeper_count;
    while (i > 1 && t->sleepers[i / 2].wake_ms > wake_ms) {
        t->sleepers[i] = t->sleepers[i / 2];
        i /= 2;
    }
    t->sleepers[i] = (struct sleeper){wake_ms, uid};
}

const struct sleeper *timers_first_sleeper(const struct timers *t)
{
    return t->sleeper_count ? &t->sleepers[1] : NULL;
}

static void sleeper_sift_down(struct timers *t, size_t i)
{
    struct sleeper sleeper = t->sleepers[i];
    while (2 * i <= t->sleeper_count) {
        size_t child = 2 * i;
        if (child < t->sleeper_count && t->sleepers[child + 1].wake_ms < t->sleepers[child].wake_ms)
            child++;
        if (t->sleepers[child].wake_ms >= sleeper.wake_ms)
            break;
        t->sleepers[i] = t->sleepers[child];
        i = child;
    }
    t->sleepers[i] = sleeper;
}

void timers_wake_sleeper(struct timers *t)
{
    t->sleepers[1] = t->sleepers[t->sleeper_count--];
    if (t->sleeper_count)
        sleeper_sift_down(t, 1);
}

void timers_keep_before(struct timers *t, int64_t until_ms)
{
    size_t kept = 0;
    for (size_t i = 1; i <= t->sleeper_count; i++)
        if (t->sleepers[i].wake_ms < until_ms)
            t->sleepers[++kept] = t->sleepers[i];
    t->sleeper_count = kept;
    for (size_t i = kept / 2; i >= 1; i--)
        sleeper_sift_down(t, i);
}

int64_t timers_next_ms(const struct timers *t)
{
    int64_t next_ms = t->count ? t->heap[1]->due_ms : NEVER_MS;
    if (t->sleeper_count && t->sleepers[1].wake_ms < next_ms)
        next_ms = t->sleepers[1].wake_ms;
    return next_ms;
}
