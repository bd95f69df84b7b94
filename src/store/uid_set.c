/* Open addressing with linear probing, at most half full; a removal moves back what follows. */
#include "store/uid_set.h"

#include "base/die.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_AT_FIRST = 16 };

static size_t home(const struct uid_set *set, uint64_t uid)
{
    uint64_t hash = uid * 0x9E3779B97F4A7C15u;
    return (size_t)(hash ^ (hash >> 32)) & (set->slot_count - 1);
}

/* Where it is, or where it would go. */
static size_t place(const struct uid_set *set, uint64_t uid)
{
    size_t i = home(set, uid);
    while (set->slots[i] && set->slots[i] != uid)
        i = (i + 1) & (set->slot_count - 1);
    return i;
}

static void grow(struct uid_set *set)
{
    struct uid_set old = *set;
    set->slot_count = old.slot_count ? old.slot_count * 2 : SLOTS_AT_FIRST;
    set->slots = die_zalloc(set->slot_count * sizeof set->slots[0]);
    for (size_t i = 0; i < old.slot_count; i++)
        if (old.slots[i])
            set->slots[place(set, old.slots[i])] = old.slots[i];
    free(old.slots);
}

void uid_set_free(struct uid_set *set)
{
    free(set->slots);
    *set = (struct uid_set){0};
}

void uid_set_add(struct uid_set *set, uint64_t uid)
{
    assert(uid);
    if ((set->count + 1) * 2 > set->slot_count)
        grow(set);
    size_t i = place(set, uid);
    set->count += set->slots[i] == 0;
    set->slots[i] = uid;
}

bool uid_set_has(const struct uid_set *set, uint64_t uid)
{
    return set->count && set->slots[place(set, uid)];
}

void uid_set_remove(struct uid_set *set, uint64_t uid)
{
    if (!uid_set_has(set, uid))
        return;
    size_t mask = set->slot_count - 1;
    size_t hole = place(set, uid);
    for (size_t i = (hole + 1) & mask; set->slots[i]; i = (i + 1) & mask) {
        bool is_reachable = ((i - home(set, set->slots[i])) & mask) < ((i - hole) & mask);
        if (!is_reachable) {
            set->slots[hole] = set->slots[i];
            hole = i;
        }
    }
    set->slots[hole] = 0;
    set->count--;
}
