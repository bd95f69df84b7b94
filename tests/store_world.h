/* store_world.h - a store, a table, a disk that does what it is told, and a model
 *
 * The model knows, as text, what every instance looked like after the last commit that was
 * acknowledged. world_step() does one random commit, on both; world_check() compares. The disk is
 * the real one under a folder in /tmp, with a layer that counts writes and syncs, fails the one it
 * is told to, and can lose what was not synced. Time stands still unless it is moved. Everything
 * that is random comes from a seed.
 */
#ifndef TESTS_STORE_WORLD_H
#define TESTS_STORE_WORLD_H

#include "store/journal.h"

enum world_jobs {
    JOBS_LATER,     /* when world_pump() is called */
    JOBS_AT_ONCE,   /* inside submit */
    JOBS_ON_THREADS /* each on a thread of its own; done in world_pump() */
};

/* What the disk is to do wrong. Counted from when it is set; 0: nothing. */
struct world_fault {
    int64_t fail_write_at; /* the n-th write ... */
    int64_t fail_sync_at;  /* ... or sync fails */
    int error;             /* with this errno */
    bool is_lasting;       /* and all after it */
    bool is_after_some;    /* a write that fails writes half of it first */
    bool are_writes_short; /* every write writes some of it */
    bool are_interrupted;  /* every other write gives EINTR */
};

/* Makes of a checkpoint one of before there were queries, which is of format 1. */
#define CHECKPOINT_OLDER_SQL \
    "DROP TABLE tag;DROP INDEX instance_name;DROP INDEX instance_status;" \
    "DROP INDEX instance_parent;UPDATE instance SET parent=NULL,tags=NULL;" \
    "INSERT INTO log SELECT uid,1,history FROM instance WHERE history IS NOT NULL;" \
    "ALTER TABLE instance DROP COLUMN history;PRAGMA user_version=1;"

struct model_row {
    char *id;
    char *text; /* what it is like; NULL: deleted */
};

struct world {
    struct env env;
    struct env posix;
    enum world_jobs jobs;
    struct job *waiting, *worked;
    void *threads; /* JOBS_ON_THREADS */
    int64_t now_ns;
    uint64_t random; /* what world_step() does */
    uint64_t dice;   /* all other chances */

    struct world_fault fault;
    int64_t writes, syncs, calls; /* calls: all that change something */
    int64_t crash_at;             /* the process ends before the n-th call; 0: it does not */
    bool is_volatile; /* what is not synced is noted, so that a power loss can take it */
    struct lost *losable;

    char folder[128];
    struct journal_options options;
    bool is_memory;
    struct memory_disk *memory;

    struct table table;
    struct store *store; /* NULL: not open */
    struct recovered recovered;
    char why[512];

    struct buf log;
    struct change *changes;
    size_t *log_starts;
    size_t change_count, change_cap;
    struct instance **gone;
    size_t gone_count;
    ks_arena mem;

    struct model_row *rows; /* by uid */
    size_t row_count;       /* the next uid */
    struct buf queue;
    int64_t time_ms;
    uint64_t sequence;
};

void world_init(struct world *w, uint64_t seed, bool is_memory);
/* Abandons the store and removes the folder. */
void world_free(struct world *w);

/* 0 or what store_journal_open() gave; w->why. */
int world_open(struct world *w);
int world_close(struct world *w);
/* Everything in memory is gone. */
void world_abandon(struct world *w);

enum { WORLD_CRASHED = 99 }; /* exit code of a process that crashed by crash_at */
/* Runs the jobs that wait. */
void world_pump(struct world *w);
/* Ticks and pumps until nothing is dirty or under way. */
void world_settle(struct world *w);

uint64_t world_random(struct world *w, uint64_t below);
/* Of the other stream, so that two worlds with one seed do the same steps whatever else happens. */
uint64_t world_dice(struct world *w, uint64_t below);

/* Building a commit by hand. The log is of the instance's kind. */
struct instance *world_create(struct world *w, enum instance_kind kind, const char *id,
                              const char *name);
/* By id, loaded when it is not in the table; NULL: there is none. */
struct instance *world_find(struct world *w, const char *id);
void world_change(struct world *w, struct instance *inst, struct str log);
void world_patch(struct world *w, struct instance *inst, enum doc_op op, const char *path,
                 const ks_val *val);
void world_delete(struct world *w, struct instance *inst);
/* Commits what was built. On success the model has it; after an error the store has to be opened
 * again, and the model has nothing of it. */
int world_commit(struct world *w, struct str queue);

/* One random commit. What world_commit() gives. */
int world_step(struct world *w, size_t changes);
/* NULL when the open store has exactly what the model has; else what differs. */
const char *world_differs(struct world *w);
/* Lets go of all clean instances. */
void world_evict(struct world *w);

/* store_disk.c: the calls to the disk; taking back what was not synced; forgetting what could be.
   */
struct env world_disk_env(void);
void world_disk_free(struct world *w);

/* Copies a folder's files to another; both flat but for journal/. */
void world_copy_folder(const char *from, const char *to);
void world_remove_folder(const char *folder);

#endif
