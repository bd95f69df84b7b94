/* conn.h - one connection: what server.c and conn.c share, and nobody else sees
 *
 * A connection reads into one buffer and parses requests out of it. Each whole request joins the
 * end of the connection's queue and goes to the handler; answers are formatted into the request
 * they belong to, and leave from the front of the queue as far as it is ready. So their order needs
 * no further care, and a held answer that has to become a 503 is just formatted again.
 *
 *     parse -> ASKED -> (HELD ->) READY -> (WRITING ->) out of the queue
 *
 *     queue:  WRITING  READY  READY  HELD  READY  ASKED  ASKED
 *             `------ leave now -----'     `- wait for it, and for their own answers
 *
 * While any request is with the handler, the bytes it points to must not move: then the buffer
 * neither grows nor is it tidied, and when it is full, reading stops. An idle connection has no
 * buffer, and an answer's memory goes with its request, so idle costs no more than struct conn.
 *
 *     OPEN ----> LAST ----------------> LINGER ----> CLOSING ----> GONE
 *       |        |  `----> STREAM ------^  |            ^
 *       |        |           |             |            |
 *       +--------+-----------+-------------+------------+
 *
 * OPEN    requests are read and parsed
 * LAST    no further request is taken: the client sent EOF or wants to close, something was
 *         refused, an answer said Connection: close, or the server drains
 * STREAM  the last answer goes on: its head is out, pieces follow as they come (stream.c). What the
 *         client sends is thrown away; that it closes is how it leaves
 * LINGER  the last answer is out and our side is shut. What still comes is thrown away for a while:
 *         to close with unread bytes would send a RST, and the client might lose the answer to it
 *         (RFC 9112, 9.6)
 * CLOSING nothing more is done; libuv is closing the socket
 * GONE    the socket is closed; here only because requests are still with the handler
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/link.h"
#include "net/deadline.h"
#include "net/listener.h"
#include "net/server.h"

enum {
    CONN_BUFFER_BYTES = 4096,     /* the first buffer; nearly every request fits */
    CONN_LINGER_MS = 1000,        /* how long we wait for the client to close */
    CONN_LINGER_BYTES = 1048576,  /* how much it may send meanwhile */
    SERVER_SCRATCH_BYTES = 65536, /* where lingering connections are read into */
    SERVER_OVER_LIMIT_MAX = 64,   /* connections too many that still get a 503 */
    SERVER_SPARE_MAX = 256,       /* buffers and requests kept for reuse, of each */
    SERVER_GATHER_MAX = 512,      /* requests that are waiting end the looking for more */
    CONN_FAIR_BYTES = 131072,     /* of answers, that a connection may always have waiting */
};

enum request_state { REQUEST_ASKED, REQUEST_HELD, REQUEST_READY, REQUEST_WRITING };

struct server_request {
    struct conn *conn;
    struct server_request *next; /* behind it in the queue, or spare */
    struct link held;            /* in the server's list of held answers */
    enum request_state state;
    bool is_last; /* the connection ends with this answer */
    bool begins_stream;
    struct buf out; /* the answer */
    struct http1_request http;
};

enum conn_state { CONN_OPEN, CONN_LAST, CONN_STREAM, CONN_LINGER, CONN_CLOSING, CONN_GONE };

/* An answer that goes on. Its request may still wait for its turn: then bytes wait with it. */
struct server_stream {
    struct conn *conn;
    void *listener;
    struct str ping;
    struct shared *bytes; /* the piece that is not taken yet; or NULL */
    bool is_writing;      /* libuv has it */
    bool is_ending;       /* when that is taken */
    uv_write_t write;
};

struct conn {
    uv_tcp_t tcp;
    union { /* never both at once */
        uv_write_t write;
        uv_shutdown_t shutdown;
    } uv;
    struct server *server;
    struct link all;
    struct link dirty; /* in the list of those to be looked at when the round ends */
    struct deadline deadline;
    enum conn_state state;
    bool is_reading;
    bool saw_eof;

    char *in; /* NULL while there is nothing in it */
    size_t in_cap;
    size_t in_len;
    size_t in_at; /* the first byte of the request that parser is at */
    struct http1 parser;
    uint64_t body_since_ms;

    struct server_request *first, *last;
    unsigned queued;
    unsigned asked;               /* of them with the handler */
    unsigned writing;             /* of them, from the first: what libuv has; 0: it has nothing */
    size_t waiting_bytes;         /* of answers that are not taken yet */
    size_t write_left_bytes;      /* when the last look was had */
    size_t lingered_bytes;        /* thrown away in STREAM and LINGER */
    struct server_stream *stream; /* NULL: none */
};

struct spare_buffer {
    struct spare_buffer *next;
};

struct server {
    uv_loop_t *loop;
    struct env *env;
    struct server_handler handler;
    struct server_limits limits;
    uint16_t port;

    struct listener_socket listener;
    uv_check_t check;
    uv_idle_t idle;   /* runs when the next poll must not block */
    uv_timer_t grace; /* of server_drain() */
    unsigned open_handles;
    struct deadlines deadlines;

    struct link conns; /* all, GONE ones too */
    struct link dirty;
    struct link held;
    unsigned connections; /* not GONE */
    size_t waiting_bytes; /* of answers, on all connections that are live */
    bool is_round_due;
    unsigned arrived, arrived_before; /* requests since the last round; before the last poll */
    bool is_draining;
    bool is_drained;
    void (*drained)(void *self);
    void *drained_self;

    struct http1_date date;
    struct server_request *spare_requests;
    struct spare_buffer *spare_buffers;
    unsigned spare_request_count;
    unsigned spare_buffer_count;
    char scratch[SERVER_SCRATCH_BYTES];
};

/* Has the loop come round without waiting. */
void server_stir(struct server *s);

/* Spare ones first. A request comes with an empty answer, in no queue. */
struct server_request *server_take_request(struct server *s);
void server_put_request(struct server *s, struct server_request *r);
char *server_take_buffer(struct server *s);
void server_put_buffer(struct server *s, char *buffer);

/* Takes a socket that was accepted. */
void conn_accept(struct server *s, int fd);

/* Answers may still be sent. */
static inline bool conn_is_live(const struct conn *c)
{
    return c->state == CONN_OPEN || c->state == CONN_LAST;
}

/* Formats an answer into its request, in place of one that was there. */
void conn_write_answer(struct server_request *r, const struct http1_answer *answer);

/* Whether so much is waiting to be taken that this connection has to go. */
bool conn_has_too_much(const struct conn *c);

/* Has conn_flush() called when the round ends. */
void conn_mark(struct conn *c);

/* Sends what may go, then does all that becomes possible by it. */
void conn_flush(struct conn *c);

/* Takes no further requests. */
void conn_take_no_more(struct conn *c);

/* No further requests, and closes now if it owes no answer. */
void conn_drain(struct conn *c);

void conn_close(struct conn *c);

/* The last answer is out: our side is shut. */
void conn_finish(struct conn *c);

/* What follows from the state: reading, buffer, deadline. */
void conn_settle(struct conn *c);

/* stream.c: the head is out; the ping is due; the end, once what is being written is taken; the
 * connection is gone, or its answer is no stream after all. */
void conn_stream_start(struct conn *c);
void conn_stream_ping(struct conn *c);
void conn_stream_end(struct conn *c);
void conn_stream_gone(struct conn *c);

/* Lets go of answered requests of a GONE connection, and of it when none is left. */
void conn_forget(struct conn *c);

/* Frees a GONE connection, whatever is with the handler. */
void conn_free(struct conn *c);

/* What deadlines call. */
void conn_expired(struct deadline *d, enum deadline_kind kind);

#endif
