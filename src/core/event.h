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
 *       1 ExecutionStarted     time zigzag, input value
 *       2 TaskCompleted        time zigzag, id, result value
 *       3 TimerFired           time zigzag, id
 *       4 EventRaised          time zigzag, name string, value
 *      16 TaskScheduled        id, name string, input value
 *      17 TaskRan              id, name string, result value
 *      18 TimerCreated         id, due zigzag
 *      19 TimerCanceled        id
 *      20 MessageSent          message kind, target string, name string, value
 *      21 ExecutionCompleted   result value
 *
 * A failure is a result that is an error: a failed activity's TaskCompleted, a failed instance's
 * ExecutionCompleted. Ids number the tasks of an instance from 0 on. Numbers and strings as in
 * buf.h, values as in value_codec.c.
 */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "base/value.h"

enum event_type {
    EVENT_EXECUTION_STARTED = 1,
    EVENT_TASK_COMPLETED = 2,
    EVENT_TIMER_FIRED = 3,
    EVENT_EVENT_RAISED = 4,
    EVENT_TASK_SCHEDULED = 16,
    EVENT_TASK_RAN = 17,
    EVENT_TIMER_CREATED = 18,
    EVENT_TIMER_CANCELED = 19,
    EVENT_MESSAGE_SENT = 20,
    EVENT_EXECUTION_COMPLETED = 21
};

struct event {
    enum event_type type;
    uint32_t id;
    int64_t time_ms; /* of the turn; of a TimerCreated: when it is due */
    uint8_t message; /* MessageSent: enum message_type */
    struct str target;
    struct str name;
    const ks_val *val; /* NULL in events that have none */
};

static inline bool event_is_incoming(enum event_type type)
{
    return type < EVENT_TASK_SCHEDULED;
}
const char *event_type_name(enum event_type type);

void event_encode(struct buf *out, const struct event *e);
/* Reads one event; its value is in mem, its strings are views of the bytes. With mem NULL the value
 * is passed over and left NULL. Sets r->is_bad when the bytes are no event. */
void event_decode(struct reader *r, ks_arena *mem, struct event *ret);

/* "TaskScheduled 3 \"Greet\"": how errors name a place in history. */
const char *event_describe(ks_arena *mem, const struct event *e);

#endif
