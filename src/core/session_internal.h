/* session_internal.h - what session.c and task.c share, and nobody else */
#ifndef CORE_SESSION_INTERNAL_H
#define CORE_SESSION_INTERNAL_H

#include "core/session.h"

enum task_kind {
    TASK_ACTIVITY,
    TASK_TIMER,
    TASK_EVENT,
    TASK_CHILD,
    TASK_CALL,
    TASK_LOCK,
    TASK_ANY,
    TASK_ALL,
    TASK_RETRY,
    TASK_HTTP
};

/* A composite that waits for a task. */
struct task_parent {
    struct ks_task *task;
    struct task_parent *next;
};

struct ks_task {
    struct session *session;
    enum task_kind kind;
    bool is_done;
    uint32_t id;          /* activity, timer */
    const ks_val *result; /* once done; an error if it failed */
    struct task_parent *parents;
    struct str name; /* event: the one it waits for; child: its id */
    struct ks_task *next_waiting;
    struct ks_task **children; /* any, all */
    size_t child_count;
    size_t children_left;
    struct ks_task *winner; /* any */
    struct retry *retry;    /* retry */
    struct http_call *http; /* http */
};

/* What a task with a policy is about. One attempt after the other, with a timer between them, and
 * one beside each that has a time limit. */
struct retry {
    ks_retry policy;
    bool is_child; /* else an activity */
    const char *name;
    const char *id; /* child: as chosen, or NULL */
    const ks_val *input;
    int64_t begun_ms;
    int attempts;       /* begun */
    uint32_t first_id;  /* of the first attempt: its task ... */
    size_t first_bytes; /* ... and where in history it stands */
    struct ks_task *attempt;
    struct ks_task *limit; /* timer of the attempt; NULL: none */
    struct ks_task *pause; /* timer before the next; NULL: none */
};

/* An HTTP call: one exchange after the other, with a timer between them, and one beside it all when
 * it has a time limit. */
struct http_call {
    const ks_val *request; /* of the exchange */
    ks_retry policy;       /* of each exchange */
    bool polls;
    int64_t total_ms;
    struct ks_task *exchange; /* NULL: none now */
    struct ks_task *pause;    /* timer before the next; NULL: none */
    struct ks_task *limit;    /* timer of the whole; NULL: none */
};

/* An event that came while the instance was suspended. */
struct held_event {
    struct held_event *next;
    struct event event;
};

/* An event nobody waited for when it came. */
struct early_event {
    struct early_event *next;
    struct str name;
    const ks_val *val;
};

struct session {
    ks_orch orch; /* what user code sees */
    ks_arena mem;
    struct instance *inst;
    const struct app *app;
    struct coroutine_pool *pool;
    struct coroutine *coroutine;
    ks_outbox out;
    struct session_links links;

    struct ks_task **tasks; /* by id, from first_task on */
    uint32_t task_count, task_cap;
    uint32_t first_task;                          /* the number of tasks[0] */
    struct ks_task *first_waiting, *last_waiting; /* for events */
    struct early_event *first_early, *last_early;
    struct ks_task *awaited; /* what the code stands at */

    struct reader history; /* in replay: what was not met yet */
    bool is_replaying;
    bool is_started;
    bool is_suspended;
    bool is_on_coroutine; /* whose stack we are on */
    bool is_over;
    bool has_diverged;     /* over, since the code is not the one of the history */
    bool is_continued;     /* over, and to begin anew with the result as its input */
    const ks_val *locked;  /* the ids of a critical section; NULL: in none */
    bool has_locks;        /* they were granted */
    int64_t begun_ms;      /* of the run: with draws, what is drawn */
    const ks_val *details; /* of the start */
    uint64_t draws;        /* of ids and random numbers */
    const ks_val *status;  /* custom, as it was set last; NULL: never */
    struct held_event *first_held, *last_held;
    const ks_val *result;    /* once over */
    struct outcome *outcome; /* of the turn that runs */
    size_t turn_bytes;       /* where in the outcome's log it begins */
};

/* Pop or write. True: it is new and was written. False: history has it; what history says of it
 * (value, due time) is in *asked. When history has something else the session is over; on the
 * coroutine this does not return then. */
bool session_command(struct session *s, struct event *asked);
/* In replay: history does not have this next. For commands that were not always asked for. */
bool session_lacks(const struct session *s, const struct event *asked);
/* At which byte of history the next command stands, or will. */
size_t session_place(const struct session *s);
/* The orchestration fails here; does not return. */
_Noreturn void session_fail(struct session *s, const ks_val *error);
/* Waits until the task is done. */
void session_wait(struct session *s, struct ks_task *task);

/* task.c */
struct session *task_session_of(ks_orch *o);
struct ks_task *task_new(struct session *s, enum task_kind kind);
/* Takes the next id and makes the task findable by it. */
void task_number(struct ks_task *task);
/* The parent hears when the child is done. */
void task_parent_add(struct ks_task *child, struct ks_task *parent);
struct ks_task *task_timer_new(struct session *s, int64_t due_ms);
/* One attempt; those of one call share key and input of the first. r NULL: without a policy. */
struct ks_task *task_call_once(struct session *s, const char *activity, const ks_val *input,
                               struct retry *r);
/* On the coroutine: what cannot be asked for fails the orchestration. */
void task_check_input(struct session *s, const char *name, const ks_val *input);
void task_check_activity(struct session *s, const char *activity, const ks_val *input);
/* call.c */
struct ks_task *task_sub_once(struct session *s, const char *orchestration, const char *id,
                              const ks_val *input, struct retry *r);
/* Nobody waits for its answer any more; a child is terminated. */
void task_abandon(struct ks_task *task);
void task_check_sub(struct session *s, const char *orchestration, const char *id,
                    const ks_val *input);
/* retry.c */
/* Writes the command of an attempt, without the input unless it is the first (r NULL: it is the
 * only one). True: it is new. What history says the input is is in *input. */
bool task_attempt(struct session *s, struct event *e, const ks_val **input, struct retry *r);
void task_retry_child_done(struct ks_task *task, struct ks_task *child);
/* The attempts of an activity; what is asked for has been checked. */
struct ks_task *task_retry(struct session *s, const char *activity, const ks_val *input,
                           const ks_retry *how);
/* Nobody waits for it any more: the attempt is given up, and there is no further one. */
void task_retry_stop(struct ks_task *task);
/* http_call.c */
void task_http_child_done(struct ks_task *task, struct ks_task *child);
void task_http_stop(struct ks_task *task);

void task_complete(struct ks_task *task, const ks_val *result);
/* Gives an event to the first task that waits for one of that name; keeps it when none does. */
void task_event_came(struct session *s, struct str name, const ks_val *val);

#endif
