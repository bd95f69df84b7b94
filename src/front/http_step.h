/* http_step.h - one HTTP function on one request: what ks_http really is */
#ifndef FRONT_HTTP_STEP_H
#define FRONT_HTTP_STEP_H

#include "front/front.h"

/* What a function answered. */
struct reply {
    int status;
    const char *content_type;
    struct buf *headers; /* whole lines */
    struct buf *body;
    ks_feed_fn *feed; /* NULL: none; else the body goes on, about this entity: */
    struct str feed_id;
};

struct http_step {
    ks_http http; /* what user code sees */
    ks_outbox out;
    const struct front_config *config;
    const struct http1_request *request;
    const struct route *route;
    const struct target *target;
    struct reply reply;
    uint64_t token;   /* of a call whose result is to be the answer */
    bool is_deferred; /* it was made */
};

/* Runs the route's function; the reply is set then. reply's buffers are the caller's. */
void http_step_run(struct http_step *s);
/* Replaces the reply. */
void http_step_problem(struct http_step *s, int status, const char *detail);

#endif
