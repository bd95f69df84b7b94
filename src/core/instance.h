/* instance.h - an orchestration or an entity with an id, and what its log makes of it
 *
 * Everything that ever happens to an instance is in its log: for an orchestration the events of
 * its history (event.h), for an entity the patches of its state (doc.h). A step adds bytes to logs;
 * a commit makes them last; instance_apply() makes an instance of them again. There is one such
 * function, used after a step and in recovery alike, so what recovery sees cannot differ from what
 * was.
 *
 *     uid      a number that is never used twice; what journal and checkpoint call it by
 *     id       what people call it by: the orchestration's id; of an entity "@name@key", the name
 *              in lower case
 *
 * An orchestration keeps its log as it is (a replay needs all of it). An entity keeps the document
 * and, once that is large, the log since it was last saved, so that saving costs what changed.
 *
 * What an orchestration still waits for that the world has to bring, timers and activities, is its
 * pending list: what recovery has to set going again.
 *
 * The links and the numbers at the end belong to table.h, store.h and the partition; they are here
 * so that a million instances need no second allocation each.
 */
#ifndef CORE_INSTANCE_H
#define CORE_INSTANCE_H

#include "base/doc.h"
#include "core/event.h"
#include "core/message.h"

enum instance_kind { INSTANCE_ORCHESTRATION = 1, INSTANCE_ENTITY = 2 };

/* Nothing is due; later than any time. */
#define NEVER_MS INT64_MAX

enum pending_kind {
    PENDING_TIMER,
    PENDING_ACTIVITY,
    PENDING_CHILD, /* a sub-orchestration */
    PENDING_CALL,  /* of an entity */
    PENDING_LOCK
};

struct pending {
    uint32_t id;
    uint8_t kind;           /* enum pending_kind */
    bool is_done;           /* taken out, but not yet out of the array */
    uint32_t history_bytes; /* where the command stands that asked for it */
    int64_t due_ms;         /* timer */
};

/* Sorted by id, since ids only grow. */
struct pending_list {
    struct pending *at;
    uint32_t len;
    uint32_t cap;
    uint32_t done;       /* how many of them are */
    uint32_t timers;     /* how many are timers and not done */
    uint32_t activities; /* how many are activities and not done */
};

struct orchestration {
    struct buf history;
    size_t output_bytes; /* where in history the event stands that ended it; 0: it goes on */
    size_t status_bytes; /* where in history its custom status stands; 0: none */
    struct pending_list pending;
    struct session *session; /* the resident coroutine, or NULL; see session.h */
    int64_t last_ms;         /* time of the last turn; the next is not before it */
    size_t lock_bytes;       /* where in history the locks it has or waits for stand; 0: none */
};

/* Whose critical section a quarantined entity is in. */
#define QUARANTINE_OWNER "$quarantine"

/* A message that an entity keeps for later, encoded. */
struct kept_message {
    struct kept_message *next;
    int64_t due_ms; /* of those that are to be done at a time */
    size_t len;
    char bytes[];
};

/* What few entities have. */
struct aside {
    char *owner;                       /* whose critical section it is in; NULL: nobody's */
    struct kept_message *first, *last; /* came while it was locked, in order */
    struct kept_message *later;        /* to be done at a time, in the order of it */
    int64_t expires_ms;                /* NEVER_MS */
};

struct entity {
    struct doc doc;
    struct buf unsaved;  /* log since the last save, while the document is large */
    struct aside *aside; /* NULL: nothing */
};

/* What finding it and looking at it takes stands first: with a million instances, each line of the
 * cache that a look has to touch costs more than what is then done with it. */
struct instance {
    uint64_t id_hash; /* table.h */
    struct instance *next_by_id;
    uint32_t id_len;
    uint8_t kind;   /* enum instance_kind */
    uint8_t status; /* ks_runtime_status */
    bool is_used;   /* table.h */
    uint64_t uid;
    int64_t due_ms;           /* first timer or expiry; NEVER_MS */
    uint64_t changed_in_pass; /* partition.h: the pass that last changed it */
    union {
        struct orchestration orchestration;
        struct entity entity;
    };
    const char *name; /* of the orchestration, or of the entity in lower case */
    int64_t created_ms;
    int64_t updated_ms;

    /* table.h */
    struct instance *next_by_uid;
    struct instance *newer, *older; /* in the list of those clean, or of those dirty */
    uint32_t heap_index;            /* timers.h; 0: not in the heap */
    /* store.h */
    bool is_being_saved;
    bool is_known_to_checkpoint; /* has a row there */
    bool has_log;                /* has rows there that were appended */
    uint64_t dirty_sequence;     /* the first commit that the checkpoint does not have; 0: clean */
    uint64_t last_sequence;      /* the last commit that changed it */
    size_t saved_bytes;          /* of the log, that the checkpoint has or is being given */
    size_t counted_bytes;        /* partition.h: what the partition counts its memory as */

    char id[]; /* NUL-terminated; the name is behind it */
};

struct instance *instance_new(uint64_t uid, enum instance_kind kind, struct str id, struct str name,
                              int64_t created_ms);
void instance_free(struct instance *inst);

/* Applies log bytes. 0, or -1 when they are none that could have been written; then the instance is
 * good for nothing. scratch is used and left as it was found but for memory it grew by. */
int instance_apply(struct instance *inst, const void *log, size_t len, ks_arena *scratch);
/* For an entity whose document has the changes already: keeps the bytes for the next save. */
void instance_note(struct instance *inst, const void *log, size_t len);

/* An entity's log lines beside patches; append them to a log, then instance_apply() or, where the
 * document has the patches among them already, instance_note() and entity_apply_line(). */
enum entity_line {
    LINE_EXPIRE = 16, /* due: the entity goes then */
    LINE_LOCK = 17,   /* owner */
    LINE_UNLOCK = 18,
    LINE_DEFER = 19,   /* message: came while locked */
    LINE_UNDEFER = 20, /* the first of those is being done */
    LINE_LATER = 21,   /* due, message */
    LINE_NOW = 22      /* the first of those is being done */
};
void entity_log_line(struct buf *log, enum entity_line line, int64_t due_ms, struct str text);
int entity_apply_line(struct instance *inst, enum entity_line line, struct reader *r);
/* Both at once. */
void entity_add_line(struct instance *inst, struct buf *log, enum entity_line line, int64_t due_ms,
                     struct str text);

static inline bool status_is_final(int status)
{
    return status == KS_COMPLETED || status == KS_FAILED || status == KS_TERMINATED;
}
/* The result of an orchestration that is over, in mem; NULL while it runs. */
const ks_val *instance_output(const struct instance *inst, ks_arena *mem);
/* Its custom status, input and details of its start (event.h), in mem; NULL when there are none. */
const ks_val *instance_custom_status(const struct instance *inst, ks_arena *mem);
const ks_val *instance_input(const struct instance *inst, ks_arena *mem);
const ks_val *instance_details(const struct instance *inst, ks_arena *mem);
/* Whose task it was started for; an empty id: nobody's. */
struct sender instance_parent(const struct instance *inst, ks_arena *mem);
/* Of these details: the id of who waits for it, empty for nobody; its tags, an object, or NULL.
 * They stay as they are as long as the instance is there. */
struct str instance_parent_id(const ks_val *details);
const ks_val *instance_tags(const ks_val *details);
/* The ids of the entities it has locked or waits to lock; NULL: none. */
const ks_val *instance_locks(const struct instance *inst, ks_arena *mem);
/* Its history, an array of objects with the fields of event.h; in mem. */
const ks_val *instance_history(const struct instance *inst, ks_arena *mem);
/* The command that something is pending by, with the input of the first attempt. */
void instance_asked(const struct instance *inst, const struct pending *pending, ks_arena *mem,
                    struct event *ret);

/* About how much memory it takes. */
size_t instance_bytes(const struct instance *inst);

/* What is pending, by task id; NULL when it is not (any more). */
const struct pending *instance_pending(const struct instance *inst, uint32_t id);

/* A history up to this size is short: it is saved whole each time, which is a row less than to
 * append to a log, and run again sooner than its coroutine is kept (resident.c). */
enum { SHORT_HISTORY_BYTES = 1024 };

/* What the checkpoint keeps of an instance. Every log byte is in exactly one save, or in a state or
 * history that was saved whole. */
struct image {
    bool is_whole;      /* replaces everything that was saved before, logs included */
    struct str state;   /* entity, whole: its document as JSON text; else empty */
    struct str history; /* orchestration: all of it, in place of what was here before; or empty */
    struct str log;     /* to be appended: what history has not, or patches */
    struct str input;   /* orchestration: JSON text, for people; empty when it does not change */
    struct str output;  /* orchestration that is over: JSON text, for people */
    struct str parent;  /* orchestration, whole: the id of who waits for it */
    struct str tags;    /* orchestration, whole: JSON text */
};

/* The image of everything not saved yet; texts in out (which must not be used while the image
 * is). What it says counts as saved from now on. */
void instance_save(struct instance *inst, struct buf *out, struct image *ret);

/* When a restart has to look at the instance: its due_ms; 0, at once, while activities are to be
 * started again; NEVER_MS. What the checkpoint's due column says. */
int64_t instance_wake_ms(const struct instance *inst);

/* Makes a new instance (of the saved id, kind and times) whole with its saved state (entity) or
 * history, either may be empty, and the saved logs, in order. 0, or -1 when they are damaged. */
int instance_restore(struct instance *inst, struct str state, struct str history, struct str log,
                     ks_arena *scratch);

#endif
