/* server.h - sockets: who is connected, what they sent, when their answers may leave
 *
 * The server runs on a libuv loop, on the partition's thread. In each round of the loop it reads
 * what has arrived on all connections, hands every whole request to its handler, and then calls the
 * handler's round() once. In there the handler answers requests, commits, and releases:
 *
 *     poll -> read, parse -> handler.request() per request -> handler.round()
 *                                                                  server_answer() per request
 *                                                                  (commit)
 *                                                                  server_release() once
 *
 * A held answer is formatted at once but stays with its request until server_release(). So an
 * answer never leaves before the commit that it depends on, and there is one write per connection
 * and round. Answers leave in the order of their requests, whatever is held: one that could go
 * waits behind a held one.
 *
 * A request (struct http1_request and all its strings, too) stays valid from handler.request()
 * until server_answer(). The handler must answer every request, in any round, also at once in
 * handler.request(); a vanished client's request is answered into nothing. At most
 * SERVER_PIPELINE_MAX requests of one connection are with the handler at once; then the server
 * stops reading from it.
 *
 * What is not a good request the server answers itself, in its turn, and closes: with the status
 * that http1.h says, 408 when it comes too slowly, 503 when there are too many connections. After
 * its last answer a connection is shut and what still comes is thrown away for up to a second, so
 * that the client sees the answer and not a reset.
 *
 * The server knows no function, no route and no store. Every limit is in struct server_limits or
 * in http1.h.
 */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include "base/env.h"
#include "base/shared.h"
#include "net/http1.h"

#include <uv.h>

enum { SERVER_PIPELINE_MAX = 16, SERVER_CONNECTIONS = 10000 };

/* 0 anywhere: the default. */
struct server_limits {
    unsigned connections;      /* 10,000; more get 503 with Retry-After and are closed */
    unsigned idle_ms;          /* 60,000 with nothing asked: closed without a word */
    unsigned head_ms;          /* 10,000 from a request's first byte to its last header: 408 */
    unsigned body_ms_grace;    /* 5,000, then at least body_bytes_per_s: 408 */
    unsigned body_bytes_per_s; /* 500 */
    unsigned write_ms;         /* 30,000 without the client taking a byte: closed */
    unsigned write_bytes;      /* 64 MiB waiting to be taken: closed */
    size_t all_write_bytes;    /* 256 MiB, of all: who has large answers waiting is closed */
    unsigned ping_ms;          /* 20,000 without anything new on a stream: its ping is sent */
};

struct server;
struct server_request; /* one request until it is answered */

struct server_handler {
    void *self;
    void (*request)(void *self, struct server_request *req, const struct http1_request *http);
    void (*round)(void *self);
    /* Of streams; neither is called from within server_stream_begin() or server_stream_send(). */
    void (*stream_ready)(void *self, void *listener);
    void (*stream_closed)(void *self, void *listener);
};

struct server_config {
    const char *address; /* "127.0.0.1", "::1"; what the socket is bound to */
    uint16_t port;       /* 0: any free one */
    struct server_limits limits;
    struct env *env;
    struct server_handler handler;
};

/* Binds and listens. Errors: negative errno (-EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EINVAL for an
 * address that is none). SIGPIPE is ignored from here on, if it was left at its default. */
int server_open(uv_loop_t *loop, const struct server_config *config, struct server **ret);

uint16_t server_port(const struct server *s);

/* Answers a request. Held: not before server_release(). The answer's memory is the caller's and
 * may go after the call. The server sees to HEAD and to Connection: head_only, close and keep_alive
 * need not be set; close may be, and then nothing that the client sent behind it is answered. */
void server_answer(struct server_request *req, const struct http1_answer *answer, bool is_held);

/* Answers a request with what goes on until one side ends it (RFC 9112, 6.3: the body ends with the
 * connection, which every HTTP client and proxy takes). The head's body is how it begins. The
 * handler gives one piece after the other: stream_ready() says that there is room, after the
 * beginning has left and after each piece that was not taken at once. stream_closed() is the last
 * that is heard of it: the client went, took nothing for write_ms, the answer became a 503, or the
 * server drains. The ping, if not empty, shows a client that all is well, and us that it is there.
 * NULL when nobody is there any more; then stream_closed() is not called. */
struct server_stream;
struct server_stream *server_stream_begin(struct server_request *req,
                                          const struct http1_answer *head, struct str ping,
                                          bool is_held, void *listener);
/* Gives a stream a piece, only when the one before was taken. Whether it was taken at once. */
bool server_stream_send(struct server_stream *stream, struct shared *bytes);

/* Lets held answers go; with is_committed false each of them becomes a 503 that says why instead
 * (application/problem+json, Retry-After: 1). */
void server_release(struct server *s, bool is_committed, const char *why);

/* Have round() called soon although nothing arrived (a job is done, a timer is due). Only from the
 * loop's thread. */
void server_wake(struct server *s);

/* Stop accepting and reading; connections close as their last answers are taken. The callback
 * comes when all are gone, or after grace_ms when what is left was cut. */
void server_drain(struct server *s, unsigned grace_ms, void (*drained)(void *self), void *self);

/* After drained(), or in it: frees everything, also requests that were never answered, which must
 * not be answered any more. The loop must be run until its handles are closed. */
void server_close(struct server *s);

#endif
