#include "core/table.h"

#include "base/die.h"
#include "base/prefetch.h"

#include <assert.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Growing by more than two moves each instance once, not over and over; moving is what costs. */
enum { CHAINS_AT_FIRST = 64, GROWTH = 4, MOVES_AN_INSERTION = 2, MOVES_AHEAD = 8 };

static void chains_new(struct table *t, size_t count)
{
    t->by_id = die_zalloc(count * sizeof t->by_id[0]);
    t->by_uid = die_zalloc(count * sizeof t->by_uid[0]);
    t->mask = count - 1;
}

void table_init(struct table *t, uint64_t hash_seed)
{
    *t = (struct table){.hash_seed = hash_seed};
    chains_new(t, CHAINS_AT_FIRST);
}

static void list_free(struct table_list *list)
{
    while (list->newest) {
        struct instance *inst = list->newest;
        list->newest = inst->older;
        instance_free(inst);
    }
}

void table_free(struct table *t)
{
    list_free(&t->clean);
    list_free(&t->dirty);
    free(t->by_id);
    free(t->by_uid);
    free(t->old_by_id);
    free(t->old_by_uid);
    *t = (struct table){0};
}

/* ---- chains ---- */

/* Of an entity only its key counts. */
static uint64_t id_hash(const struct table *t, struct str id)
{
    const char *key = id.len && id.at[0] == '@' ? memchr(id.at + 1, '@', id.len - 1) : NULL;
    size_t skip = key ? (size_t)(key + 1 - id.at) : 0;
    return XXH3_64bits_withSeed(id.at + skip, id.len - skip, t->hash_seed);
}

static struct instance **id_chain(struct table *t, uint64_t hash)
{
    if (t->old_by_id && (hash & t->old_mask) >= t->moved)
        return &t->old_by_id[hash & t->old_mask];
    return &t->by_id[hash & t->mask];
}

/* Uids are handed out one after the other, so they spread themselves, and neighbours stay so. */
static struct instance **uid_chain(struct table *t, uint64_t uid)
{
    if (t->old_by_uid && (uid & t->old_mask) >= t->moved)
        return &t->old_by_uid[uid & t->old_mask];
    return &t->by_uid[uid & t->mask];
}

static void move_chain(struct table *t, size_t i)
{
    struct instance *inst = t->old_by_id[i];
    while (inst) {
        struct instance *next = inst->next_by_id;
        struct instance **chain = &t->by_id[inst->id_hash & t->mask];
        inst->next_by_id = *chain;
        *chain = inst;
        inst = next;
    }
    inst = t->old_by_uid[i];
    while (inst) {
        struct instance *next = inst->next_by_uid;
        struct instance **chain = &t->by_uid[inst->uid & t->mask];
        inst->next_by_uid = *chain;
        *chain = inst;
        inst = next;
    }
}

static void grow(struct table *t)
{
    if (!t->old_by_id && t->count > t->mask) {
        t->old_by_id = t->by_id;
        t->old_by_uid = t->by_uid;
        t->old_mask = t->mask;
        t->moved = 0;
        chains_new(t, (t->mask + 1) * GROWTH);
    }
    for (int i = 0; i < MOVES_AN_INSERTION && t->old_by_id; i++) {
        move_chain(t, t->moved++);
        prefetch(t->old_by_id[(t->moved + MOVES_AHEAD) & t->old_mask], 1);
        if (t->moved > t->old_mask) {
            free(t->old_by_id);
            free(t->old_by_uid);
            t->old_by_id = NULL;
            t->old_by_uid = NULL;
        }
    }
}

struct instance *table_find(struct table *t, struct str id)
{
    uint64_t hash = id_hash(t, id);
    struct instance *inst = *id_chain(t, hash);
    while (inst && (inst->id_hash != hash || inst->id_len != id.len ||
                    memcmp(inst->id, id.at, id.len) != 0))
        inst = inst->next_by_id;
    return inst;
}

/* With its id and name, or most of them. */
static void ask_for(const struct instance *inst)
{
    if (inst)
        prefetch(inst, sizeof *inst + 80);
}

/* Each loop reads only what the one before it has asked for. */
void table_look_ahead(struct table *t, const struct str *keys, size_t count)
{
    struct instance **chains[TABLE_AHEAD_MAX], *ahead[2 * TABLE_AHEAD_MAX];
    assert(count <= TABLE_AHEAD_MAX);
    for (size_t i = 0; i < count; i++) {
        chains[i] = id_chain(t, id_hash(t, keys[i]));
        prefetch(chains[i], sizeof *chains[i]);
    }
    for (size_t i = 0; i < count; i++) {
        ahead[i] = *chains[i];
        ask_for(ahead[i]);
    }
    for (size_t i = 0; i < count; i++) {
        ahead[count + i] = ahead[i] ? ahead[i]->next_by_id : NULL;
        ask_for(ahead[count + i]);
    }
    for (unsigned stage = 0; stage < DOC_AHEAD_STAGES; stage++)
        for (size_t i = 0; i < 2 * count; i++)
            if (ahead[i] && ahead[i]->kind == INSTANCE_ENTITY)
                doc_look_ahead(&ahead[i]->entity.doc, stage);
}

struct instance *table_find_uid(struct table *t, uint64_t uid)
{
    struct instance *inst = *uid_chain(t, uid);
    while (inst && inst->uid != uid)
        inst = inst->next_by_uid;
    return inst;
}

/* ---- lists ---- */

static void list_push(struct table_list *list, struct instance *inst)
{
    inst->newer = NULL;
    inst->older = list->newest;
    if (list->newest)
        list->newest->newer = inst;
    else
        list->oldest = inst;
    list->newest = inst;
    list->count++;
}

static void list_take(struct table_list *list, struct instance *inst)
{
    if (inst->newer)
        inst->newer->older = inst->older;
    else
        list->newest = inst->older;
    if (inst->older)
        inst->older->newer = inst->newer;
    else
        list->oldest = inst->newer;
    list->count--;
}

void table_add(struct table *t, struct instance *inst)
{
    grow(t);
    inst->id_hash = id_hash(t, (struct str){inst->id, inst->id_len});
    struct instance **by_id = id_chain(t, inst->id_hash);
    struct instance **by_uid = uid_chain(t, inst->uid);
    inst->next_by_id = *by_id;
    inst->next_by_uid = *by_uid;
    *by_id = inst;
    *by_uid = inst;
    t->count++;
    assert(!inst->dirty_sequence);
    list_push(&t->clean, inst);
}

void table_remove(struct table *t, struct instance *inst)
{
    struct instance **at = id_chain(t, inst->id_hash);
    while (*at != inst)
        at = &(*at)->next_by_id;
    *at = inst->next_by_id;
    at = uid_chain(t, inst->uid);
    while (*at != inst)
        at = &(*at)->next_by_uid;
    *at = inst->next_by_uid;
    t->count--;
    list_take(inst->dirty_sequence ? &t->dirty : &t->clean, inst);
}

void table_pass_over(struct table *t, struct instance *inst)
{
    assert(!inst->dirty_sequence);
    inst->is_used = false;
    list_take(&t->clean, inst);
    list_push(&t->clean, inst);
}

void table_dirty(struct table *t, struct instance *inst, uint64_t sequence)
{
    if (inst->dirty_sequence)
        return;
    list_take(&t->clean, inst);
    inst->dirty_sequence = sequence;
    list_push(&t->dirty, inst);
}

void table_clean(struct table *t, struct instance *inst)
{
    assert(inst->dirty_sequence);
    list_take(&t->dirty, inst);
    inst->dirty_sequence = 0;
    list_push(&t->clean, inst);
}
