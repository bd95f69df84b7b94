/* server_world.h - a server on its own loop, and clients on loopback sockets, all on one thread
 *
 * A call of a peer (a client) that has to wait turns the server's loop meanwhile. The handler notes
 * what it is asked. Some tests have its round() answer everything with an echo, the others
 * answer by hand, in the order they want. What does not come fails the test.
 */
#ifndef TESTS_SERVER_WORLD_H
#define TESTS_SERVER_WORLD_H

#include "net/server.h"

enum { ASKED_MAX = 2048 };

struct asked {
    struct server_request *req;
    const struct http1_request *http;
};

struct world {
    uv_loop_t loop;
    struct env env;
    struct server *server;
    struct asked asked[ASKED_MAX]; /* since the beginning; req is NULL when answered */
    size_t asked_count;
    size_t answered_count; /* by echo */
    bool echoes;
    unsigned rounds;
    bool is_drained;
    unsigned ready, closed; /* how often a stream said so */
};

struct peer {
    int fd;
    struct buf in;
    bool is_closed; /* by the server: EOF or RST */
    bool was_reset;
};

void answer(struct world *w, size_t i, const char *text, bool is_held);

/* "METHOD target body" */
void echo(struct world *w, size_t i);

void open_world(struct world *w, struct server_limits limits);

void turn(struct world *w);

void on_drained(void *self);

void close_world(struct world *w);

void wait_asked(struct world *w, size_t count);

/* Turns often enough that whatever can happen without a timer has happened. */
void let_all_happen(struct world *w);

int new_socket(int receive_bytes);

int try_connect(struct world *w, int fd);

struct peer peer_open(struct world *w);

void peer_close(struct peer *c);

/* With a RST. */
void peer_abort(struct peer *c);

void peer_send_bytes(struct world *w, struct peer *c, const char *bytes, size_t len);

void peer_send(struct world *w, struct peer *c, const char *text);

void peer_get(struct world *w, struct peer *c, const char *target);

/* Takes what has come. */
void peer_take(struct peer *c, size_t max);

bool has_whole_head(struct peer *c);

/* The next answer's head; its body is in *ret_body. */
char *peer_read_head(struct world *w, struct peer *c, struct buf *ret_body);

/* The next answer begins with `status` ("200 OK") and has `body`, and its head has `line`. */
void peer_expect_with(struct world *w, struct peer *c, const char *status, const char *line,
                      const char *body);

void peer_expect(struct world *w, struct peer *c, const char *body);

/* An answer whose body is a problem with that detail somewhere in it. */
void peer_expect_problem(struct world *w, struct peer *c, const char *status, const char *detail);

void peer_expect_closed(struct world *w, struct peer *c);

void peer_expect_nothing_yet(struct world *w, struct peer *c);

void peer_expect_cut(struct world *w, struct peer *c);

void answer_big(struct world *w, size_t i, size_t len);

#endif
