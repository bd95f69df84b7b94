/* store.h - the port to where instances last
 *
 * The partition keeps instances in a table (table.h) and, once a pass, hands a store what changed:
 * a commit, all of it or nothing. When store_commit() has returned 0, it is on disk (or will be
 * when the ticket says so; the stores here are done when they return). The rest of the port is
 * small: load one instance, say which are due, list those that a filter takes, tick for work in the
 * background, close.
 *
 *     store_open ---- recovers: the table then holds every instance whose newest state the
 *        |            checkpoint does not have; the others are loaded when somebody asks
 *     store_commit, store_load, store_load_uid, store_due, store_tick ... (many)
 *        |
 *     store_close --- everything is in the checkpoint; the next open has nothing to recover
 *     store_abandon - let go without writing anything: what a crash does
 *
 * Two stores stand behind it: the journal with its checkpoint (journal.h), and memory, which is the
 * reference: tests/test_store.c puts both through the same suite. A third that shares a database
 * would answer the same calls.
 *
 * Errors: 0, or a negative KS_E... below, with a sentence in store_why() that says what, where, and
 * what can be done. A failed sync is not an error that is returned: it ends the process (die.h).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/env.h"
#include "core/filter.h"
#include "core/table.h"

enum {
    KS_E_IO = -1,      /* the disk refused; nothing of the commit is there */
    KS_E_FULL = -2,    /* no room on the disk; nothing of the commit is there */
    KS_E_DAMAGED = -3, /* what was read is not what was written */
    KS_E_BUSY = -4,    /* another process has the folder */
    KS_E_ACCESS = -5   /* the folder cannot be made or written */
};

enum change_what { CHANGE_GOES_ON, CHANGE_CREATED, CHANGE_DELETED };

/* What a pass did to one instance; several of one instance are in the order they happened. The
 * instance has the change applied already, and an entity its log noted (instance_note); a deleted
 * one is out of the table and freed after. Until the commit, a load still finds what it was. */
struct change {
    struct instance *inst;
    enum change_what what;
    struct str log;
};

struct commit {
    int64_t time_ms; /* engine time of the pass; never less than the last commit's */
    const struct change *changes;
    size_t change_count;
    struct str queue; /* messages left over for the next pass; empty: none */
};

/* What recovery found beside the instances. */
struct recovered {
    uint64_t sequence; /* of the last commit; 0 in an empty store */
    int64_t time_ms;   /* of the last commit; 0 in an empty store */
    uint64_t next_uid; /* greater than any that was ever used; 1 in an empty store */
    struct buf queue;  /* of the last commit; the caller frees it */
    bool was_clean;    /* the last close was a clean one */
    uint64_t commits;  /* replayed from the journal */
    bool is_all_there; /* no instance is in the store that is not in the table */
};

enum store_room {
    ROOM_PLENTY,  /* take work */
    ROOM_RESERVE, /* the disk is full: finish what is owed (timers, results), take nothing new */
    ROOM_NONE     /* not even that */
};

struct due {
    uint64_t uid;
    int64_t wake_ms;
};

/* A page of the instances that a filter takes, the newest first: in the falling order of their
 * uids, which is that of their creation and never changes. So a page goes on below the uid where
 * the one before it ended: whatever comes, goes or changes meanwhile, none is seen twice, and none
 * is missed that was there, and such, all the time.
 *
 * It sees every commit that was acknowledged, and the pass that is under way. It is the partition's
 * thread that looks, so it looks at so many instances at most, for so long at most, and then the
 * page is over, however much of it is empty. */
enum {
    QUERY_EXAMINE_MAX = 10000, /* instances looked at */
    QUERY_MS_MAX = 10          /* or this long, give or take 64 instances */
};
struct query {
    const ks_filter *filter;
    uint64_t below;               /* only uids below this; 0: all */
    bool is_count;                /* how many is all that is asked */
    size_t limit;                 /* of instances in the page; not of a count */
    size_t examine;               /* 0: QUERY_EXAMINE_MAX */
    const struct change *changes; /* of the pass, not committed yet; logs do not count */
    size_t change_count;
    ks_arena *mem; /* the page goes there */
};
struct query_page {
    struct summary *at; /* NULL of a count */
    size_t count;
    uint64_t below; /* where the next page begins; 0: that was the last */
};

struct store;
struct store_ops {
    int (*commit)(struct store *s, const struct commit *commit, uint64_t *ret_sequence);
    int (*load)(struct store *s, struct str id, struct instance **ret);
    int (*load_uid)(struct store *s, uint64_t uid, struct instance **ret);
    int (*due)(struct store *s, int64_t from_ms, int64_t until_ms,
               bool (*each)(void *ctx, const struct due *due), void *ctx);
    int (*query)(struct store *s, const struct query *query, struct query_page *ret);
    void (*tick)(struct store *s);
    enum store_room (*room)(struct store *s);
    int (*close)(struct store *s);
    void (*abandon)(struct store *s);
};

/* The head of every store; private but for table, why and notice. */
struct store {
    const struct store_ops *ops;
    struct env *env;
    struct table *table;
    char why[512];
    char notice[600]; /* what goes wrong in the background, for the log; "" */
};

static inline const char *store_why(const struct store *s)
{
    return s->why;
}

/* All or nothing, in order. Marks what changed as dirty. The sequence grows by one a commit. After
 * an error the caller drops the table, abandons the store and opens it again; it will not find
 * anything of that commit. */
static inline int store_commit(struct store *s, const struct commit *commit, uint64_t *ret_sequence)
{
    return s->ops->commit(s, commit, ret_sequence);
}

/* An instance that is not in the table: read, added to it, clean. *ret is NULL (and the result 0)
 * when there is none. Only ask for what the table does not have. */
static inline int store_load(struct store *s, struct str id, struct instance **ret)
{
    return s->ops->load(s, id, ret);
}
static inline int store_load_uid(struct store *s, uint64_t uid, struct instance **ret)
{
    return s->ops->load_uid(s, uid, ret);
}

/* Saved instances whose wake time lies in [from_ms, until_ms), in that order; some may be in the
 * table meanwhile and newer there: the caller looks there first. Until `each` says false. */
static inline int store_due(struct store *s, int64_t from_ms, int64_t until_ms,
                            bool (*each)(void *ctx, const struct due *due), void *ctx)
{
    return s->ops->due(s, from_ms, until_ms, each, ctx);
}

static inline int store_query(struct store *s, const struct query *query, struct query_page *ret)
{
    return s->ops->query(s, query, ret);
}

/* After each pass, when idle, and after the done() of a job: starts or goes on with what happens in
 * the background. Never between a change and its commit, since what it saves is what is there. */
static inline void store_tick(struct store *s)
{
    s->ops->tick(s);
}
static inline enum store_room store_room(struct store *s)
{
    return s->ops->room(s);
}
/* Whether an instance may leave memory: it is clean and nobody is saving it. */
static inline bool store_may_evict(const struct instance *inst)
{
    return !inst->dirty_sequence && !inst->is_being_saved;
}
/* Either lets go of everything, whatever the result. When a close fails nothing is lost: the next
 * open recovers it. */
static inline int store_close(struct store *s)
{
    return s->ops->close(s);
}
static inline void store_abandon(struct store *s)
{
    s->ops->abandon(s);
}

/* A store in memory that forgets everything at the end. *disk is where it keeps what it has, so
 * that an abandoned one can be opened again; start with NULL, free with store_memory_free(). */
struct memory_disk;
int store_memory_open(struct env *env, struct table *table, struct memory_disk **disk,
                      struct recovered *ret, struct store **ret_store);
void store_memory_free(struct memory_disk *disk);

#endif
