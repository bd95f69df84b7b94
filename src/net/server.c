/* server.c - the round, and what belongs to all connections
 *
 * A round of libuv's loop is timers, idle, prepare, poll, check, closing. Connections read in poll.
 * All else is done in check: handler.round(), then every connection with something to send is
 * flushed, once. When there is something to do outside of poll, the idle handle is started: libuv
 * then polls without waiting, and check comes. It is stopped in check, so a quiet server sleeps.
 */
#include "net/server.h"

#include "base/die.h"
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 1024 };

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

void server_stir(struct server *s)
{
    uv_idle_start(&s->idle, on_idle);
}

void server_wake(struct server *s)
{
    s->is_round_due = true;
    server_stir(s);
}

struct server_request *server_take_request(struct server *s)
{
    struct server_request *r = s->spare_requests;
    if (r) {
        s->spare_requests = r->next;
        s->spare_request_count--;
        r->begins_stream = false;
        return r;
    }
    r = die_malloc(sizeof *r); /* http is large, and the parser fills it in */
    r->begins_stream = false;
    r->out = (struct buf){0};
    link_init(&r->held);
    return r;
}

void server_put_request(struct server *s, struct server_request *r)
{
    link_remove(&r->held);
    r->out.len = 0;
    if (r->out.cap > CONN_BUFFER_BYTES)
        buf_free(&r->out);
    if (s->spare_request_count == SERVER_SPARE_MAX) {
        buf_free(&r->out);
        free(r);
        return;
    }
    r->next = s->spare_requests;
    s->spare_requests = r;
    s->spare_request_count++;
}

char *server_take_buffer(struct server *s)
{
    struct spare_buffer *buffer = s->spare_buffers;
    if (!buffer)
        return die_malloc(CONN_BUFFER_BYTES);
    s->spare_buffers = buffer->next;
    s->spare_buffer_count--;
    return (char *)buffer;
}

void server_put_buffer(struct server *s, char *at)
{
    if (s->spare_buffer_count == SERVER_SPARE_MAX) {
        free(at);
        return;
    }
    struct spare_buffer *buffer = (struct spare_buffer *)(void *)at;
    buffer->next = s->spare_buffers;
    s->spare_buffers = buffer;
    s->spare_buffer_count++;
}

static void on_connection(void *ctx, int fd)
{
    conn_accept(ctx, fd);
}

/* While requests still come in, the sockets are looked at once more before the round: what comes
 * now would have to wait for the next commit. Nobody waits for company: a look takes a microsecond,
 * and one that finds nothing is the last. */
static bool is_gathering(struct server *s)
{
    bool may_be_more = s->arrived > s->arrived_before && s->arrived < s->connections &&
                       s->arrived < SERVER_GATHER_MAX;
    s->arrived_before = may_be_more ? s->arrived : 0;
    return may_be_more;
}

static void on_check(uv_check_t *check)
{
    struct server *s = check->data;
    struct link dirty;
    uv_idle_stop(&s->idle);
    if (is_gathering(s)) {
        server_stir(s);
    } else if (s->is_round_due) {
        s->is_round_due = false;
        s->arrived = 0;
        s->handler.round(s->handler.self);
    }
    /* What becomes dirty while we are at it has stirred the loop and is for the next round. */
    link_init(&dirty);
    link_move_all(&s->dirty, &dirty);
    while (!link_is_alone(&dirty))
        conn_flush(LINK_OWNER(dirty.next, struct conn, dirty));
    if (s->is_draining && !s->is_drained && s->connections == 0) {
        s->is_drained = true;
        uv_timer_stop(&s->grace);
        s->drained(s->drained_self);
    }
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* A socket that listens at config's address, with nothing of libuv about it: so that a failure
 * leaves no handle behind that has to be closed in a round of the loop. */
static int listen_at(const struct server_config *config, int *ret_fd)
{
    union address address = {0};
    socklen_t size = sizeof address.v4;
    if (uv_ip4_addr(config->address, config->port, &address.v4)) {
        size = sizeof address.v6;
        if (uv_ip6_addr(config->address, config->port, &address.v6))
            return -EINVAL;
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(fd, &address.any, size) ||
        listen(fd, LISTEN_BACKLOG)) {
        int error = -errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static uint16_t port_of(int fd)
{
    union address address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size))
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
    return value ? value : otherwise;
}

static struct server_limits limits_of(const struct server_limits *l)
{
    return (struct server_limits){
        .connections = or_default(l->connections, SERVER_CONNECTIONS),
        .idle_ms = or_default(l->idle_ms, 60000),
        .head_ms = or_default(l->head_ms, 10000),
        .body_ms_grace = or_default(l->body_ms_grace, 5000),
        .body_bytes_per_s = or_default(l->body_bytes_per_s, 500),
        .write_ms = or_default(l->write_ms, 30000),
        .write_bytes = or_default(l->write_bytes, 64U << 20),
        .all_write_bytes = l->all_write_bytes ? l->all_write_bytes : (size_t)256 << 20,
        .ping_ms = or_default(l->ping_ms, 20000),
    };
}

static void init_deadlines(struct server *s)
{
    deadlines_init(&s->deadlines, s->loop, conn_expired);
    s->deadlines.length_ms[DEADLINE_IDLE] = s->limits.idle_ms;
    s->deadlines.length_ms[DEADLINE_HEAD] = s->limits.head_ms;
    s->deadlines.length_ms[DEADLINE_BODY] = s->limits.body_ms_grace;
    s->deadlines.length_ms[DEADLINE_WRITE] = s->limits.write_ms;
    s->deadlines.length_ms[DEADLINE_PING] = s->limits.ping_ms;
    s->deadlines.length_ms[DEADLINE_LINGER] = CONN_LINGER_MS;
}

static int init_handles(struct server *s, int fd)
{
    uv_timer_init(s->loop, &s->grace);
    uv_idle_init(s->loop, &s->idle);
    uv_check_init(s->loop, &s->check);
    init_deadlines(s);
    s->open_handles = 6;
    s->check.data = s->grace.data = s->idle.data = s->deadlines.timer.data = s;
    uv_check_start(&s->check, on_check);
    return listener_open(&s->listener, s->loop, fd, on_connection, s);
}

/* libuv writes with plain writev(): without this any client could end the process by going away at
 * the right moment. What the program has set up itself is left alone. */
static void ignore_broken_pipes(void)
{
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

int server_open(uv_loop_t *loop, const struct server_config *config, struct server **ret)
{
    int fd = -1;
    int error = listen_at(config, &fd);
    if (error)
        return error;
    ignore_broken_pipes();
    struct server *s = die_zalloc(sizeof *s);
    s->loop = loop;
    s->env = config->env;
    s->handler = config->handler;
    s->limits = limits_of(&config->limits);
    s->port = port_of(fd);
    link_init(&s->conns);
    link_init(&s->dirty);
    link_init(&s->held);
    error = init_handles(s, fd);
    if (error)
        die("the event loop does not take a listening socket: %s", uv_strerror(error));
    *ret = s;
    return 0;
}

uint16_t server_port(const struct server *s)
{
    return s->port;
}

void server_answer(struct server_request *r, const struct http1_answer *answer, bool is_held)
{
    struct conn *c = r->conn;
    struct server *s = c->server;
    assert(r->state == REQUEST_ASKED);
    c->asked--;
    r->state = is_held ? REQUEST_HELD : REQUEST_READY;
    if (!conn_is_live(c)) {
        if (c->state == CONN_GONE)
            conn_forget(c);
        return;
    }
    bool is_end = c->state == CONN_LAST && c->last == r;
    r->is_last = answer->close || !r->http.keep_alive || is_end;
    conn_write_answer(r, answer);
    if (r->is_last)
        conn_take_no_more(c);
    if (conn_has_too_much(c))
        conn_close(c);
    else if (is_held)
        link_append(&s->held, &r->held);
    else
        conn_mark(c);
}

void server_release(struct server *s, bool is_committed, const char *why)
{
    struct buf problem = {0};
    if (!is_committed)
        http1_problem(&problem, 503, why);
    while (!link_is_alone(&s->held)) {
        struct server_request *r = LINK_OWNER(s->held.next, struct server_request, held);
        link_remove(&r->held);
        r->state = REQUEST_READY;
        if (!is_committed && r->begins_stream) {
            r->begins_stream = false;
            conn_stream_gone(r->conn);
        }
        if (!is_committed)
            conn_write_answer(r, &(struct http1_answer){
                                     .status = 503,
                                     .content_type = "application/problem+json",
                                     .headers = "Retry-After: 1\r\n",
                                     .body = {problem.at, problem.len},
                                 });
        conn_mark(r->conn);
    }
    buf_free(&problem);
}

static void handle_gone(struct server *s)
{
    if (--s->open_handles)
        return;
    while (!link_is_alone(&s->conns))
        conn_free(LINK_OWNER(s->conns.next, struct conn, all));
    while (s->spare_requests) {
        struct server_request *r = server_take_request(s);
        buf_free(&r->out);
        free(r);
    }
    while (s->spare_buffers)
        free(server_take_buffer(s));
    free(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

static void on_listener_closed(uv_handle_t *handle)
{
    handle_gone(((struct listener_socket *)handle->data)->ctx);
}

static void on_grace(uv_timer_t *grace)
{
    struct server *s = grace->data;
    for (struct link *l = s->conns.next; l != &s->conns; l = l->next) {
        struct conn *c = LINK_OWNER(l, struct conn, all);
        if (c->state != CONN_GONE)
            conn_close(c);
    }
}

void server_drain(struct server *s, unsigned grace_ms, void (*drained)(void *self), void *self)
{
    assert(!s->is_draining);
    s->is_draining = true;
    s->drained = drained;
    s->drained_self = self;
    listener_close(&s->listener, on_listener_closed);
    for (struct link *l = s->conns.next; l != &s->conns; l = l->next)
        conn_drain(LINK_OWNER(l, struct conn, all));
    uv_timer_start(&s->grace, on_grace, grace_ms, 0);
    server_stir(s);
}

void server_close(struct server *s)
{
    assert(s->is_drained);
    uv_close((uv_handle_t *)&s->grace, on_handle_closed);
    uv_close((uv_handle_t *)&s->idle, on_handle_closed);
    uv_close((uv_handle_t *)&s->check, on_handle_closed);
    uv_close((uv_handle_t *)&s->deadlines.timer, on_handle_closed);
}
