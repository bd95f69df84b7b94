/* session.h - an orchestration that runs: its coroutine, its tasks, and the turn it is in
 *
 * A session is the resident side of an orchestration. It can be dropped whenever no turn runs; the
 * next message then makes a new one, which replays the history: the same code runs again from its
 * start and is given at each place what it was given then.
 *
 *     session_turn(event)
 *         new session:  for each incoming event in history: deliver it, in replay
 *         then:         deliver the new one, live
 *     deliver           completes a task or keeps an event; resumes the code if what it awaits is
 *                       done
 *     command           the code asks for something: in replay the next line of history must be
 *                       just that, and it is popped; live, it is written. One function decides.
 *
 * When history has something else than the code asks for, or more, or less, the orchestration fails
 * with an error that names both. It fails, too, by returning an error, by awaiting a task that
 * failed, and by what its outbox found wrong. A coroutine that failed is never resumed.
 *
 *     state      running -> over (returned, or failed)
 *     mode       replaying -> live, once
 */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include "core/app.h"
#include "core/coroutine.h"
#include "core/instance.h"
#include "core/message.h"

/* What a step wants done. */
struct outcome {
    struct buf *log;         /* bytes for the instance's log are appended here */
    ks_outbox out;           /* messages and log lines */
    struct event *scheduled; /* activities for threads, to be dispatched after the commit */
    size_t scheduled_count, scheduled_cap;
    ks_arena *mem; /* of the pass: what the outcome points to */
};

void outcome_init(struct outcome *o, struct buf *log, ks_arena *pass_mem);

struct session;

/* For an instance without one; inst->orchestration.session is set. */
struct session *session_new(struct instance *inst, const struct app *app,
                            struct coroutine_pool *pool);
void session_free(struct session *s);
/* Returned, failed or continued as new: nothing can be delivered to it any more. */
bool session_is_over(const struct session *s);
struct instance *session_instance(const struct session *s);

/* One turn: an incoming event happens. Appends it and everything it leads to. The caller applies
 * outcome->log to the instance. The session may be over then; free it. */
void session_turn(struct session *s, const struct event *incoming, struct outcome *outcome);

/* The idempotency key of a call: the same whenever it runs again, and never another call's. */
char *session_activity_key(ks_arena *mem, const struct instance *inst, uint32_t task_id);

/* About how much memory it takes. */
size_t session_bytes(const struct session *s);

/* Sessions in the order they last ran, for whoever bounds them. */
struct session_links {
    struct session *newer, *older;
    bool is_short; /* in which list of the partition */
};
struct session_links *session_links(struct session *s);

/* For the outbox: records a send as a command. False in replay, when it is not to be sent again. */
bool session_sends(struct session *s, const struct message *m);
/* Not an entity that is locked by the critical section it is in. */
bool session_may_signal(const struct session *s, struct str entity);
bool session_is_replaying(const struct session *s);

#endif
