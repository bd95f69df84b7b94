/* table.h - the instances that are in memory
 *
 * By id and by uid. The entities of a key stand in one chain with the orchestration of that id:
 * what is looked for together is found together. Growing moves a few chains an insertion, so that
 * no insertion waits for a million others.
 *
 * A resident instance is in one of two lists: clean ones, from whose old end some can be let go;
 * dirty ones, whose newest state only the journal has, in the order they became dirty. One that was
 * looked at is marked as used and stays where it is, since a list that is kept in order touches
 * three instances for each look; whoever lets old ones go passes it over once.
 */
#ifndef CORE_TABLE_H
#define CORE_TABLE_H

#include "core/instance.h"

struct table_list {
    struct instance *newest, *oldest;
    size_t count;
};

struct table {
    struct instance **by_id, **by_uid;         /* chains; mask + 1 of them */
    struct instance **old_by_id, **old_by_uid; /* while growing: chains not moved yet */
    size_t mask, old_mask;
    size_t moved; /* old chains moved so far */
    size_t count;
    uint64_t hash_seed;
    struct table_list clean, dirty;
};

void table_init(struct table *t, uint64_t hash_seed);
/* Frees the instances too. */
void table_free(struct table *t);

struct instance *table_find(struct table *t, struct str id);
struct instance *table_find_uid(struct table *t, uint64_t uid);
/* Somebody is going to look for what has these ids or keys, an orchestration and an entity each,
 * and to patch the entity. The lines of the cache that this takes are asked for now: those of all
 * come at the same time. */
enum { TABLE_AHEAD_MAX = 32 };
void table_look_ahead(struct table *t, const struct str *keys, size_t count);
/* Adds one that is not there yet; it counts as clean. */
void table_add(struct table *t, struct instance *inst);
/* Takes it out; it is the caller's. */
void table_remove(struct table *t, struct instance *inst);

/* A clean one becomes the newest of them, and counts as not used. */
void table_pass_over(struct table *t, struct instance *inst);
/* From clean to dirty as of a commit; one that is dirty already stays where it is. */
void table_dirty(struct table *t, struct instance *inst, uint64_t sequence);
/* From dirty to clean. */
void table_clean(struct table *t, struct instance *inst);

#endif
