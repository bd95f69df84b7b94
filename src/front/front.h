/* front.h - HTTP requests into steps of the partition, and their answers back
 *
 *     front_request   a request has come: it waits in line
 *     front_round     one pass: begin, each request in line while there is budget, commit
 *
 * For each request: the target is taken apart (route.h), the function of that path and method is
 * run as a step, what it sent is stepped, and its answer goes to config.answer(): held when it saw
 * or did something that the commit has to make last first.
 *
 * The front knows no socket: answers go through a callback, so tests and the simulator ask the same
 * front without a network. What a client gets that is not the app's own answer is made here:
 *
 *     403  a page of another site asks for a change (Sec-Fetch-Site: cross-site)
 *     404  no such path, or no such method on it (then with Allow)
 *     400  a path or query that can be read in no way or in two
 *     422  an Idempotency-Key that was used for another request
 *     503  the disk is full, or the partition is down
 *
 * A function may answer with events that go on (feed.h). The app's pages (page.h) are answered for
 * without a step.
 *
 * HEAD is answered as GET is, without the body; whatever the function sends is dropped.
 *
 * Idempotency-Key: for functions marked so, the first answer to a key (but for a 5xx) is kept for a
 * day as an entity "$reply", in the same commit as what the function did. A repeat gets that answer
 * and changes nothing.
 */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include "front/feed.h"
#include "front/route.h"
#include "net/http1.h"
#include "run/partition.h"

struct front_config {
    const struct app *app;
    const struct routes *routes;
    struct env *env;
    struct partition *partition;
    void *ctx;
    /* The request is the token that front_request() was given. The answer's memory is ours. */
    void (*answer)(void *ctx, void *request, const struct http1_answer *answer, bool is_held);
    /* Answers with a head and what goes on behind it (feed.h). The stream; NULL when nobody is
     * there any more. */
    void *(*stream)(void *ctx, void *request, const struct http1_answer *head, bool is_held,
                    struct listener *listener);
    /* Gives the stream a piece; whether it was taken at once, else front_stream_ready() follows. */
    bool (*stream_send)(void *ctx, void *stream, struct shared *piece);
};

struct front;

struct front *front_new(const struct front_config *config);
void front_free(struct front *f);

/* The request's strings have to stay until it is answered. */
void front_request(struct front *f, void *request, const struct http1_request *http);
/* A pass. Whether it was committed; if not, partition_why() says why, and what was answered held in
 * it must be taken back. */
bool front_round(struct front *f);
/* The result of a call that a request waits for: what the partition's respond() is for. */
void front_respond(struct front *f, uint64_t token, const ks_val *result);
/* Requests are in line for the next pass. */
bool front_has_requests(const struct front *f);
/* When listeners are to be told something, without any request: engine time; past when it is now,
 * NEVER_MS. */
int64_t front_next_ms(const struct front *f);

/* The piece that was given was taken, or there is room for the first; a round is due. */
void front_stream_ready(struct front *f, struct listener *listener);
/* The stream is gone. */
void front_stream_closed(struct front *f, struct listener *listener);

/* Functions of our own that every app has: hand them to app_init(). */
extern const ks_function front_builtin[];

#endif
