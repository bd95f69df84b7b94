#include "sim/tape.h"

#include "sim/heap.h"

uint64_t mix64(uint64_t *stream)
{
    uint64_t z = *stream += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void tape_init(struct tape *t, uint64_t seed)
{
    *t = (struct tape){.random = seed * 0x9E3779B97F4A7C15u + 1};
}

void tape_replay(struct tape *t, uint32_t *at, size_t len)
{
    *t = (struct tape){.is_replay = true, .at = at, .len = len};
}

uint32_t tape_draw(struct tape *t, uint32_t below)
{
    if (below <= 1)
        return 0;
    if (t->is_replay)
        return t->next < t->len ? t->at[t->next++] % below : 0;
    uint32_t n = (uint32_t)((mix64(&t->random) >> 32) * below >> 32);
    if (t->len == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 4096;
        t->at = sim_realloc(t->at, t->cap * sizeof t->at[0]);
    }
    t->at[t->len++] = n;
    return n;
}

bool tape_once_in(struct tape *t, uint32_t times)
{
    return times && tape_draw(t, times) == times - 1;
}
