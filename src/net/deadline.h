/* deadline.h - one timer for the deadlines of all connections
 *
 * There are few kinds of deadlines, and all of one kind are equally long. So each kind has a list
 * that is in the order of time by itself: a new deadline goes to its end. Setting and clearing one
 * costs a few pointers. The timer is set for the earliest; when deadlines have meanwhile been
 * cleared it fires for nothing, at most once per length of the shortest kind in use. With no
 * deadline there is no timer.
 */
#ifndef NET_DEADLINE_H
#define NET_DEADLINE_H

#include "base/link.h"

#include <stdint.h>
#include <uv.h>

enum deadline_kind {
    DEADLINE_NONE,
    DEADLINE_IDLE,   /* nothing asked */
    DEADLINE_HEAD,   /* from a request's first byte to its last header */
    DEADLINE_BODY,   /* until the next look at how fast the body comes */
    DEADLINE_WRITE,  /* until the next look at whether the client takes bytes */
    DEADLINE_PING,   /* a stream without anything new */
    DEADLINE_LINGER, /* from our last byte to the client's */
    DEADLINE_KINDS
};

struct deadline {
    struct link link;
    uint64_t due_ms; /* of the loop's clock */
    enum deadline_kind kind;
};

struct deadlines {
    uv_timer_t timer;
    struct link lists[DEADLINE_KINDS];
    uint64_t length_ms[DEADLINE_KINDS];
    uint64_t armed_ms; /* when the timer fires; 0: not set */
    void (*expired)(struct deadline *d, enum deadline_kind kind);
};

/* length_ms is filled in by the caller. expired() is called with the deadline cleared. */
void deadlines_init(struct deadlines *all, uv_loop_t *loop,
                    void (*expired)(struct deadline *d, enum deadline_kind kind));

void deadline_init(struct deadline *d);

/* Counts from now, unless one of that kind is already running. */
void deadline_set(struct deadlines *all, struct deadline *d, enum deadline_kind kind);
void deadline_clear(struct deadline *d);

#endif
