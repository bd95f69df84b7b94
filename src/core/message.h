/* message.h - what an instance, a client or the outside sends an instance, and the outbox
 *
 * A step sends by putting messages into its outbox; they count when the step is over and has not
 * failed. Messages and their values live in the arena of the pass, so that what was sent does not
 * change when the state it was taken from does.
 */
#ifndef CORE_MESSAGE_H
#define CORE_MESSAGE_H

#include "base/value.h"

enum message_type {
    MESSAGE_START = 1,      /* orchestration `name` under the id `target`; details: event.h */
    MESSAGE_EVENT = 2,      /* external event `name` for the orchestration `target` */
    MESSAGE_SIGNAL = 3,     /* operation `name` of the entity `target`, "@name@key" */
    MESSAGE_TIMER = 4,      /* a timer of `uid` is due */
    MESSAGE_RESULT = 5,     /* activity `task_id` of `uid` is done; name: what it sent, encoded;
                              target: what it logged, encoded */
    MESSAGE_CALL = 6,       /* as a signal; the result goes to `from` */
    MESSAGE_LOCK = 7,       /* the entity `target`, then those in val from number `task_id` on */
    MESSAGE_UNLOCK = 8,     /* the entity `target`, which `from` locked or waits for */
    MESSAGE_RESPONSE = 9,   /* a call, a lock or a sub-orchestration: to `target`, its `task_id` */
    MESSAGE_TERMINATE = 10, /* val: the reason; name: whether its children go, too; `from`: only as
                               the child that it waited for */
    MESSAGE_SUSPEND = 11,
    MESSAGE_RESUME = 12,     /* a quarantined one too */
    MESSAGE_REWIND = 13,     /* details: {"event": number}, or null: what failed */
    MESSAGE_RESTART = 14,    /* name: the new id, or empty: the same */
    MESSAGE_PURGE = 15,      /* name: whether its children go, too */
    MESSAGE_QUARANTINE = 16, /* `uid` */
    MESSAGE_PURGE_ALL = 17   /* val: a filter (filter.h); name: as of a purge; details: manage.c */
};

/* The name of a message that its children get, too. */
#define MESSAGE_WITH_CHILDREN "children"

/* Who waits for an answer: a task of an instance. */
struct sender {
    struct str id; /* empty: nobody */
    uint64_t uid;
    uint32_t task_id;
};

/* "start" */
const char *message_type_name(uint8_t type);

struct message {
    struct message *next;
    enum message_type type;
    uint32_t task_id;
    uint64_t uid;
    struct str target;
    struct str name;
    const ks_val *val;
    const ks_val *details; /* NULL: none */
    struct sender from;
    int64_t due_ms; /* a start or signal that is to be done at a time; 0: now */
};

struct message_list {
    struct message *first;
    struct message *last;
};

void message_append(struct message_list *list, struct message *m);
void message_append_all(struct message_list *list, const struct message_list *more);

/* All of it, in mem. */
struct message *message_copy(ks_arena *mem, const struct message *m);
struct str str_dup(ks_arena *mem, struct str s);

void message_encode(struct buf *out, const struct message *m);
/* In mem, all of it. NULL when the bytes are no message. */
struct message *message_decode(struct reader *r, ks_arena *mem);

struct log_line {
    struct log_line *next;
    const char *text;
};

struct session;
struct ks_outbox {
    ks_arena *mem; /* the pass's */
    struct message_list sent;
    struct log_line *first_line, *last_line;
    const char *error;       /* the first; NULL: none */
    struct session *session; /* of an orchestration: its sends are commands of its history */
};

/* Sends m (a copy is made) unless something is wrong with it. */
void outbox_send(ks_outbox *out, const struct message *m);
void outbox_append(ks_outbox *out, ks_outbox *more);

/* The limits of ids, names and values that are sent; NULL when all is well. */
const char *message_check(const struct message *m);

/* "@registrylist@7f" */
struct str entity_id(ks_arena *mem, struct str name, struct str key);
/* The parts of one; false when it is none. */
bool entity_id_parts(struct str id, struct str *ret_name, struct str *ret_key);

enum {
    KS_ID_MAX = 256,       /* bytes of an orchestration's id or an entity's key */
    KS_STATUS_MAX = 65536, /* bytes of a custom status, encoded */
    KS_NAME_MAX = 128      /* bytes of a function's, event's or operation's name */
};

#endif
