/* event.h - the lines of an orchestration's history
 *
 * A history is a list of events of two sorts, in the order things happened:
 *
 *     incoming   something reached the instance, and a turn began: it started, an activity was
 *                done, a timer was due, an event was raised. Each carries the time of its turn.
 *     command    the code asked for something in that turn: an activity, a timer, a message to
 *                send, or it ended.
 *
 *     ExecutionStarted  TaskRan TimerCreated | EventRaised  ExecutionCompleted
 *     incoming          command command      | incoming     command
 *
 * So one message is one turn, and a replay knows at every place which sort has to come next. Names
 * are those of the Durable Task Framework; TaskRan (an inline activity: scheduled and completed in
 * one), TimerCanceled and MessageSent are ours.
 *
 *     event := type byte, then by type
 *       1 ExecutionStarted           time, input, details
 *       2 TaskCompleted              time, id, result
 *       3 TimerFired                 time, id
 *       4 EventRaised                time, name, value
 *       5 SubOrchestrationCompleted  time, id, result
 *       6 EntityResponded            time, id, result       (a call was done, locks were granted)
 *       7 ExecutionSuspended         time, reason
 *       8 ExecutionResumed           time, reason
 *       9 ExecutionTerminated        time, reason
 *      10 ExecutionScheduled         time, due, input, details (to be started later)
 *      11 ExecutionRewound           time, cut, reason      (history from byte `cut` on is gone)
 *      12 ExecutionQuarantined       time, reason
 *      32 TaskScheduled              id, name, input, details
 *      33 TaskRan                    id, name, result
 *      34 TimerCreated               id, due
 *      35 TimerCanceled              id
 *      36 MessageSent                message kind, target, name, value
 *      37 SubOrchestrationCreated    id, target, name, input, details
 *      38 EntityCalled               id, target, name, argument
 *      39 LockRequested              id, entities
 *      40 LockReleased               -
 *      41 StatusSet                  value
 *      42 ContinuedAsNew             input
 *      43 ExecutionCompleted         result
 *      44 TaskAbandoned              id                    (its time limit was over)
 *
 * time, due and cut are zigzag, id a varint, target and name strings (buf.h); the rest are values
 * (value_codec.c). Details are an object, or null: of a start {"version", "tags", "parent": {"id",
 * "uid", "task"}} and, where it continues a run, {"task", "draws", "status"}: how far those were;
 * of an activity {"heartbeat": ms}; of an activity or sub-orchestration that is tried again {"key",
 * "at"}: the task of the first attempt, and at which byte of history that stands, since only the
 * first has the input.
 *
 * A failure is a result that is an error: a failed activity's TaskCompleted, a failed instance's
 * ExecutionCompleted. Ids number the tasks of an instance from 0 on.
 */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "base/value.h"

enum event_type {
    EVENT_EXECUTION_STARTED = 1,
    EVENT_TASK_COMPLETED = 2,
    EVENT_TIMER_FIRED = 3,
    EVENT_EVENT_RAISED = 4,
    EVENT_SUB_ORCHESTRATION_COMPLETED = 5,
    EVENT_ENTITY_RESPONDED = 6,
    EVENT_EXECUTION_SUSPENDED = 7,
    EVENT_EXECUTION_RESUMED = 8,
    EVENT_EXECUTION_TERMINATED = 9,
    EVENT_EXECUTION_SCHEDULED = 10,
    EVENT_EXECUTION_REWOUND = 11,
    EVENT_EXECUTION_QUARANTINED = 12,
    EVENT_TASK_SCHEDULED = 32,
    EVENT_TASK_RAN = 33,
    EVENT_TIMER_CREATED = 34,
    EVENT_TIMER_CANCELED = 35,
    EVENT_MESSAGE_SENT = 36,
    EVENT_SUB_ORCHESTRATION_CREATED = 37,
    EVENT_ENTITY_CALLED = 38,
    EVENT_LOCK_REQUESTED = 39,
    EVENT_LOCK_RELEASED = 40,
    EVENT_STATUS_SET = 41,
    EVENT_CONTINUED_AS_NEW = 42,
    EVENT_EXECUTION_COMPLETED = 43,
    EVENT_TASK_ABANDONED = 44
};

/* The TimerFired of this id is the start of what was scheduled. */
enum { EVENT_ID_START = UINT32_MAX };

struct event {
    enum event_type type;
    uint32_t id;
    int64_t time_ms; /* of the turn */
    int64_t due_ms;  /* of a timer or scheduled start; of a rewind: where history is cut */
    uint8_t message; /* MessageSent: enum message_type */
    struct str target;
    struct str name;
    const ks_val *val;     /* NULL in events that have none */
    const ks_val *details; /* NULL in events that have none */
};

static inline bool event_is_incoming(enum event_type type)
{
    return type < EVENT_TASK_SCHEDULED;
}
/* Whether events of a type carry a task's number. */
bool event_has_id(enum event_type type);
const char *event_type_name(enum event_type type);

void event_encode(struct buf *out, const struct event *e);
/* Reads one event; its value is in mem, its strings are views of the bytes. With mem NULL the value
 * is passed over and left NULL. Sets r->is_bad when the bytes are no event. */
void event_decode(struct reader *r, ks_arena *mem, struct event *ret);
/* The same, but passes over the value and reads only the details. */
void event_decode_details(struct reader *r, ks_arena *mem, struct event *ret);

/* {"type": "TaskScheduled", "id": 3, "name": "Greet", "value": ...}; "error" instead of "value" for
 * a failure, which JSON could not tell from one. Shares the event's values. */
ks_val *event_to_val(ks_arena *mem, const struct event *e);

/* The details of a start but for some; NULL ends their names. Shares the values. */
ks_val *start_details_without(ks_arena *mem, const ks_val *details, const char *const names[]);

/* "TaskScheduled 3 \"Greet\"": how errors name a place in history. */
const char *event_describe(ks_arena *mem, const struct event *e);

#endif
