/* session_internal.h - what session.c and task.c share, and nobody else */
#ifndef CORE_SESSION_INTERNAL_H
#define CORE_SESSION_INTERNAL_H

#include "core/session.h"

enum task_kind { TASK_ACTIVITY, TASK_TIMER, TASK_EVENT, TASK_ANY, TASK_ALL };

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
    struct str name; /* event: the one it waits for */
    struct ks_task *next_waiting;
    struct ks_task **children; /* any, all */
    size_t child_count;
    size_t children_left;
    struct ks_task *winner; /* any */
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

    struct ks_task **tasks; /* activities and timers by id */
    uint32_t task_count, task_cap;
    struct ks_task *first_waiting, *last_waiting; /* for events */
    struct early_event *first_early, *last_early;
    struct ks_task *awaited; /* what the code stands at */

    struct reader history; /* in replay: what was not met yet */
    bool is_replaying;
    bool is_over;
    bool has_diverged;       /* over, since the code is not the one of the history */
    const ks_val *result;    /* once over */
    struct outcome *outcome; /* of the turn that runs */
};

/* Pop or write. True: it is new and was written. False: history has it; what history says of it
 * (value, due time) is in *asked. Does not return when history has something else. */
bool session_command(struct session *s, struct event *asked);
/* The orchestration fails here; does not return. */
_Noreturn void session_fail(struct session *s, const ks_val *error);
/* Waits until the task is done. */
void session_wait(struct session *s, struct ks_task *task);

void task_complete(struct ks_task *task, const ks_val *result);
/* Gives an event to the first task that waits for one of that name; keeps it when none does. */
void task_event_came(struct session *s, struct str name, const ks_val *val);

#endif
