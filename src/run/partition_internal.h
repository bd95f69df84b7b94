/* partition_internal.h - shared by the files of the partition: partition.c (life and pass), step.c
 * (one message), resident.c (what is in memory), activity.c (work on threads) */
#ifndef RUN_PARTITION_INTERNAL_H
#define RUN_PARTITION_INTERNAL_H

#include "run/partition.h"
#include "run/timers.h"

/* Saved instances due within this time are known by heart. */
enum { LOOK_AHEAD_MS = 30 * 1000 };

struct activity;

/* In the order they last ran. */
struct session_list {
    struct session *newest, *oldest;
    size_t count;
};

struct partition {
    struct partition_config config;
    struct partition_limits limits;
    struct env *env;
    const struct app *app;

    bool is_up;
    char why[512];
    struct store *store;
    struct table table;
    bool has_all; /* no instance is in the store alone: none was let go since the folder was new */
    struct timers timers;
    uint64_t next_uid;
    uint64_t last_sequence; /* that was committed here; 0: none was yet */
    uint64_t first_new_uid; /* of this pass */
    int64_t horizon_ms;     /* who is saved and due before it is in memory or sleeps in timers */

    int64_t clock_base_ms; /* engine time = base + what passed since clock_base_ns */
    int64_t clock_base_ns;
    int64_t retry_ns; /* down: when opening is tried again */

    struct coroutine_pool pool;
    struct session_list short_sessions, long_sessions;
    size_t bytes; /* of all instances */

    /* the pass */
    uint64_t pass;
    int64_t now_ms;
    int64_t watched_ns; /* partition_held_ms() */
    ks_arena pass_mem, step_mem;
    struct message_list queue;
    struct message_list next_pass; /* what is not to be stepped in this one */
    size_t steps;
    struct buf log; /* of all changes, one behind the other */
    struct change *changes;
    size_t *change_starts; /* where each change's log begins */
    size_t change_count, change_cap;
    struct instance **deleted;
    size_t deleted_count, deleted_cap;
    struct activity *to_dispatch, **to_dispatch_last;
    struct log_line *first_line, *last_line;
    bool is_gated;
    bool has_suspects; /* quarantine.c */

    struct buf leftover;                     /* messages of the last pass, encoded */
    struct activity *done_first, *done_last; /* ran, results not taken yet */
    struct activity *beating;                /* dispatched, and expected to be heard of */
    struct partition_stats stats;

    partition_committed_fn *committed; /* NULL: nobody listens */
    void *committed_ctx;
};

/* step.c: steps messages until the queue is empty; without a limit, or until the budget is
 * spent. */
void step_queue(struct partition *p);
void step_due_timers(struct partition *p, struct instance *inst);
void pass_add_lines(struct partition *p, ks_outbox *out);
/* For manage.c. */
void step_change(struct partition *p, struct instance *inst, enum change_what what,
                 size_t log_start);
/* Puts a copy into the queue of the pass. */
void step_send(struct partition *p, const struct message *m);
/* Messages as message_encode() wrote them, one behind the other. what: whose, for a bug. */
void step_send_encoded(struct partition *p, struct str messages, const char *what);
/* Says in the log why nothing comes of a message. */
void step_refuse(struct partition *p, const struct message *m, const char *why);
/* Tells the parent, if there is one, how an orchestration ended. */
void step_answer_parent(struct partition *p, const struct instance *inst);
/* Applies what is in the log from log_start on, and what follows from it when that was the end. */
void step_apply(struct partition *p, struct instance *inst, enum change_what what,
                size_t log_start);
void step_unlock(struct partition *p, const struct message *m);
void entity_quarantine(struct partition *p, struct instance *inst, bool is_new);
void step_turn(struct partition *p, struct instance *inst, struct event *e, enum change_what what);

/* quarantine.c: around every step of an instance; at the start; in the first pass */
#define QUARANTINE_WHY "the process died three times while this was stepped"
void quarantine_begin(struct partition *p, const struct instance *inst);
void quarantine_end(struct partition *p);
void quarantine_look(struct partition *p);
void quarantine_send(struct partition *p);
/* Whether a new instance has ended the process too often: then it is to be made quarantined. */
bool quarantine_takes(struct partition *p, const struct instance *inst);

/* manage.c */
/* Whether the instance that a message is for can take it, as it stands. 0, or the status of the
 * refusal and a sentence. */
int manage_check(struct partition *p, const struct message *m, const char **ret_why);
void manage_quarantine(struct partition *p, const struct message *m);
void manage_terminate(struct partition *p, const struct message *m);
void manage_suspend(struct partition *p, const struct message *m);
void manage_resume(struct partition *p, const struct message *m);
void manage_rewind(struct partition *p, const struct message *m);
void manage_restart(struct partition *p, const struct message *m);
void manage_purge(struct partition *p, const struct message *m);
void manage_purge_all(struct partition *p, const struct message *m);

/* resident.c */
struct instance *resident_find(struct partition *p, struct str id);
struct instance *resident_find_uid(struct partition *p, uint64_t uid);
struct instance *resident_create(struct partition *p, enum instance_kind kind, struct str id,
                                 struct str name);
void resident_delete(struct partition *p, struct instance *inst);
/* Made in this pass and wanted by nobody: it never was. */
void resident_forget(struct partition *p, struct instance *inst);
/* After a step changed it: timers, memory count. */
void resident_changed(struct partition *p, struct instance *inst);
struct session *resident_session(struct partition *p, struct instance *inst);
void resident_session_over(struct partition *p, struct session *s);
size_t resident_sessions(const struct partition *p);
/* Lets those go that are too many; also in the middle of a pass. */
void resident_trim_sessions(struct partition *p);
void resident_evict_sessions(struct partition *p);
/* After the store was opened: timers and activities of what recovery left in memory. */
void resident_recovered(struct partition *p);
/* Lets go of what is too much. Only between passes. */
void resident_trim(struct partition *p);
/* Asks the store who is due before long. */
void resident_look_ahead(struct partition *p);
void resident_drop_all(struct partition *p);

/* activity.c */
void activity_schedule(struct partition *p, const struct instance *inst, const struct event *e);
void activity_dispatch_all(struct partition *p);
/* Puts what has come back into the queue of the pass. */
void activity_take_results(struct partition *p);
/* Gives up on those that were not heard of for too long. */
void activity_check_hearts(struct partition *p);
int64_t activity_next_ms(const struct partition *p);
void activity_forget_scheduled(struct partition *p);
/* NULL: it is an inline one. */
struct env *activity_env(const ks_activity *a);

#endif
