/* conn.c - see conn.h
 *
 * Whatever happens to a connection (bytes came, a write ended, the round ended, a deadline passed)
 * ends in conn_settle(), the one place that decides what follows from its state: whether it reads,
 * whether it keeps its buffer, which deadline runs.
 */
#include "net/conn.h"

#include "base/die.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void conn_move(struct conn *c, enum conn_state to)
{
    static const bool is_allowed[CONN_GONE + 1][CONN_GONE + 1] = {
        [CONN_OPEN] = {[CONN_LAST] = true, [CONN_CLOSING] = true},
        [CONN_LAST] = {[CONN_STREAM] = true, [CONN_LINGER] = true, [CONN_CLOSING] = true},
        [CONN_STREAM] = {[CONN_LINGER] = true, [CONN_CLOSING] = true},
        [CONN_LINGER] = {[CONN_CLOSING] = true},
        [CONN_CLOSING] = {[CONN_GONE] = true},
    };
    assert(is_allowed[c->state][to]);
    bool was_live = conn_is_live(c);
    c->state = to;
    if (was_live && !conn_is_live(c))
        c->server->waiting_bytes -= c->waiting_bytes; /* what is left goes with it */
}

void conn_mark(struct conn *c)
{
    if (!conn_is_live(c))
        return;
    if (link_is_alone(&c->dirty))
        link_append(&c->server->dirty, &c->dirty);
    server_stir(c->server);
}

void conn_take_no_more(struct conn *c)
{
    if (c->state == CONN_OPEN)
        conn_move(c, CONN_LAST);
}

/* The queue. */

static void queue_append(struct conn *c, struct server_request *r)
{
    r->conn = c;
    r->next = NULL;
    if (c->last)
        c->last->next = r;
    else
        c->first = r;
    c->last = r;
    c->queued++;
}

static struct server_request *queue_take(struct conn *c)
{
    struct server_request *r = c->first;
    c->first = r->next;
    if (!c->first)
        c->last = NULL;
    c->queued--;
    return r;
}

static void conn_count(struct conn *c, size_t more, size_t less)
{
    c->waiting_bytes += more - less;
    if (conn_is_live(c))
        c->server->waiting_bytes += more - less;
}

bool conn_has_too_much(const struct conn *c)
{
    const struct server *s = c->server;
    return c->waiting_bytes > s->limits.write_bytes ||
           (s->waiting_bytes > s->limits.all_write_bytes && c->waiting_bytes > CONN_FAIR_BYTES);
}

void conn_write_answer(struct server_request *r, const struct http1_answer *answer)
{
    struct conn *c = r->conn;
    struct server *s = c->server;
    struct http1_answer whole = *answer;
    whole.close = r->is_last;
    whole.keep_alive = r->http.is_1_0;
    whole.head_only |= str_is(r->http.method, STR("HEAD"));
    size_t before = r->out.len;
    r->out.len = 0;
    http1_write(&r->out, &whole, &s->date, s->env->wall_ms(s->env->self));
    conn_count(c, r->out.len, before);
}

/* Puts an answer of our own behind all others, and ends the connection with it. */
static void conn_refuse(struct conn *c, int status, const char *detail)
{
    struct server_request *r = server_take_request(c->server);
    struct buf problem = {0};
    http1_problem(&problem, status, detail);
    r->http.method = (struct str){0};
    r->http.is_1_0 = false;
    r->is_last = true;
    r->state = REQUEST_READY;
    queue_append(c, r);
    conn_write_answer(r, &(struct http1_answer){
                             .status = status,
                             .content_type = "application/problem+json",
                             .headers = status == 503 ? "Retry-After: 1\r\n" : NULL,
                             .body = {problem.at, problem.len},
                         });
    buf_free(&problem);
    conn_take_no_more(c);
    conn_mark(c);
}

static void conn_continue(struct conn *c)
{
    struct server_request *r = server_take_request(c->server);
    r->is_last = false;
    r->state = REQUEST_READY;
    buf_str(&r->out, "HTTP/1.1 100 Continue\r\n\r\n");
    conn_count(c, r->out.len, 0);
    queue_append(c, r);
    conn_mark(c);
}

/* Reading. */

static void conn_ask(struct conn *c, struct server_request *r)
{
    struct server *s = c->server;
    r->state = REQUEST_ASKED;
    queue_append(c, r);
    c->asked++;
    if (!r->http.keep_alive)
        conn_take_no_more(c);
    s->is_round_due = true;
    s->arrived++;
    server_stir(s);
    s->handler.request(s->handler.self, r, &r->http);
}

/* Hands over the requests that are whole, as many as the pipeline takes. */
static void conn_parse(struct conn *c)
{
    struct server *s = c->server;
    while (c->state == CONN_OPEN && c->queued < SERVER_PIPELINE_MAX && c->in_at < c->in_len) {
        struct server_request *r = server_take_request(s);
        int64_t n = http1_parse(&c->parser, c->in + c->in_at, c->in_len - c->in_at, &r->http);
        if (n > 0) {
            c->in_at += (size_t)n;
            http1_reset(&c->parser);
            conn_ask(c, r);
            continue;
        }
        server_put_request(s, r);
        if (n < 0) {
            const char *text;
            int status = http1_refusal(&c->parser, &text);
            conn_refuse(c, status, text);
        } else if (http1_take_continue(&c->parser)) {
            conn_continue(c);
        }
        return;
    }
}

static bool conn_has_room(const struct conn *c)
{
    return !c->asked || !c->in || c->in_len < c->in_cap;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    (void)suggested;
    struct conn *c = handle->data;
    if (c->state != CONN_OPEN) {
        *ret = uv_buf_init(c->server->scratch, sizeof c->server->scratch);
        return;
    }
    if (!c->in) {
        c->in = server_take_buffer(c->server);
        c->in_cap = CONN_BUFFER_BYTES;
    }
    if (!c->asked && c->in_at) {
        c->in_len -= c->in_at;
        memmove(c->in, c->in + c->in_at, c->in_len);
        c->in_at = 0;
    }
    if (c->in_len == c->in_cap) {
        assert(!c->asked);
        /* A full buffer is one unfinished request, and the parser's limits bound that. */
        c->in_cap *= 2;
        c->in = die_realloc(c->in, c->in_cap);
    }
    *ret = uv_buf_init(c->in + c->in_len, (unsigned)(c->in_cap - c->in_len));
}

static void conn_drop_buffer(struct conn *c)
{
    if (c->in_cap == CONN_BUFFER_BYTES)
        server_put_buffer(c->server, c->in);
    else
        free(c->in);
    c->in = NULL;
    c->in_cap = c->in_len = c->in_at = 0;
}

static void on_linger_read(struct conn *c, ssize_t n)
{
    c->lingered_bytes += n > 0 ? (size_t)n : 0;
    if (n < 0 || c->lingered_bytes > CONN_LINGER_BYTES)
        conn_close(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *unused)
{
    (void)unused;
    struct conn *c = stream->data;
    if (c->state != CONN_OPEN) {
        on_linger_read(c, n);
        return;
    }
    if (n < 0 && n != UV_EOF) {
        conn_close(c);
        return;
    }
    if (n == UV_EOF) {
        c->saw_eof = true;
        conn_take_no_more(c);
    } else {
        c->in_len += (size_t)n;
        conn_parse(c);
    }
    conn_settle(c);
}

/* Writing. */

static void on_shutdown(uv_shutdown_t *unused, int status)
{
    (void)unused;
    (void)status; /* a client that is away already is seen by reading */
}

void conn_finish(struct conn *c)
{
    if (c->saw_eof || uv_shutdown(&c->uv.shutdown, (uv_stream_t *)&c->tcp, on_shutdown)) {
        conn_close(c);
        return;
    }
    conn_move(c, CONN_LINGER);
    link_remove(&c->dirty);
}

static void conn_pop_written(struct conn *c, unsigned n)
{
    bool is_last = false, begins_stream = false;
    while (n--) {
        struct server_request *r = queue_take(c);
        is_last |= r->is_last;
        begins_stream |= r->begins_stream;
        conn_count(c, 0, r->out.len);
        server_put_request(c->server, r);
    }
    if (begins_stream) {
        conn_move(c, CONN_STREAM);
        conn_stream_start(c);
    } else if (is_last) {
        conn_finish(c);
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->handle->data;
    if (c->state == CONN_CLOSING) /* the queue goes with it */
        return;
    if (status < 0) {
        conn_close(c);
        return;
    }
    unsigned written = c->writing;
    c->writing = 0;
    conn_pop_written(c, written);
    conn_flush(c);
}

/* Sends the answers of the first n requests; what the socket does not take at once libuv sends when
 * it does, out of the requests' own memory. */
static void conn_send(struct conn *c, uv_buf_t *bufs, unsigned n)
{
    uv_stream_t *stream = (uv_stream_t *)&c->tcp;
    int result = uv_try_write(stream, bufs, n);
    if (result < 0 && result != UV_EAGAIN) {
        conn_close(c);
        return;
    }
    size_t sent = result < 0 ? 0 : (size_t)result;
    unsigned i = 0;
    while (i < n && sent >= bufs[i].len)
        sent -= bufs[i++].len;
    conn_pop_written(c, i);
    if (i == n || !conn_is_live(c))
        return;
    bufs[i].base += sent;
    bufs[i].len -= sent;
    c->writing = n - i;
    struct server_request *r = c->first;
    for (unsigned left = c->writing; left; left--, r = r->next)
        r->state = REQUEST_WRITING;
    if (uv_write(&c->uv.write, stream, bufs + i, c->writing, on_written))
        conn_close(c);
    else
        c->write_left_bytes = uv_stream_get_write_queue_size(stream);
}

/* The answers at the front that may go, up to the last one. */
static unsigned conn_gather(struct conn *c, uv_buf_t bufs[SERVER_PIPELINE_MAX])
{
    unsigned n = 0;
    struct server_request *r = c->first;
    bool was_last = false;
    for (; r && r->state == REQUEST_READY && n < SERVER_PIPELINE_MAX && !was_last; r = r->next) {
        was_last = r->is_last;
        bufs[n++] = (uv_buf_t){.base = r->out.at, .len = r->out.len};
    }
    return n;
}

void conn_flush(struct conn *c)
{
    uv_buf_t bufs[SERVER_PIPELINE_MAX];
    unsigned n;
    link_remove(&c->dirty);
    while (conn_is_live(c) && !c->writing && (n = conn_gather(c, bufs)))
        conn_send(c, bufs, n);
    conn_parse(c); /* what waited for room in the pipeline */
    conn_settle(c);
}

/* What follows from the state. */

static enum deadline_kind conn_wants_deadline(const struct conn *c)
{
    if (c->state == CONN_LINGER)
        return DEADLINE_LINGER;
    if (c->state == CONN_STREAM)
        return c->stream->is_writing ? DEADLINE_WRITE : DEADLINE_PING;
    if (!conn_is_live(c))
        return DEADLINE_NONE;
    if (c->writing)
        return DEADLINE_WRITE;
    if (c->queued || c->state != CONN_OPEN)
        return DEADLINE_NONE; /* it is the handler's turn */
    if (c->in_at == c->in_len)
        return DEADLINE_IDLE;
    return c->parser.head_bytes ? DEADLINE_BODY : DEADLINE_HEAD;
}

/* A client that does not take its answers gets no further ones. */
static bool conn_wants_reading(const struct conn *c)
{
    if (c->state == CONN_LINGER || c->state == CONN_STREAM)
        return true;
    return c->state == CONN_OPEN && c->queued < SERVER_PIPELINE_MAX && !c->writing &&
           conn_has_room(c);
}

static void conn_set_reading(struct conn *c, bool wants)
{
    if (wants == c->is_reading)
        return;
    c->is_reading = wants;
    if (!wants)
        uv_read_stop((uv_stream_t *)&c->tcp);
    else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read))
        conn_close(c);
}

void conn_settle(struct conn *c)
{
    if (c->state == CONN_LAST && !c->queued)
        conn_finish(c);
    if (c->state == CONN_CLOSING)
        return;
    bool has_input = c->state == CONN_OPEN && c->in_at < c->in_len;
    if (c->in && !c->asked && !has_input)
        conn_drop_buffer(c);
    enum deadline_kind wanted = conn_wants_deadline(c);
    if (wanted == DEADLINE_BODY && c->deadline.kind != DEADLINE_BODY)
        c->body_since_ms = uv_now(c->server->loop);
    deadline_set(&c->server->deadlines, &c->deadline, wanted);
    conn_set_reading(c, conn_wants_reading(c));
}

/* The body was to come at body_bytes_per_s at least, but for the grace at its beginning. */
static void on_body_deadline(struct conn *c)
{
    const struct server_limits *limits = &c->server->limits;
    uint64_t passed_ms = uv_now(c->server->loop) - c->body_since_ms - limits->body_ms_grace;
    uint64_t came_bytes = c->in_len - c->in_at - c->parser.head_bytes;
    if (came_bytes * 1000 < passed_ms * limits->body_bytes_per_s)
        conn_refuse(c, 408, "The body came too slowly.");
    else
        deadline_set(&c->server->deadlines, &c->deadline, DEADLINE_BODY);
}

static void on_write_deadline(struct conn *c)
{
    size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    if (left == c->write_left_bytes) {
        conn_close(c);
        return;
    }
    c->write_left_bytes = left;
    deadline_set(&c->server->deadlines, &c->deadline, DEADLINE_WRITE);
}

void conn_expired(struct deadline *d, enum deadline_kind kind)
{
    struct conn *c = LINK_OWNER(d, struct conn, deadline);
    switch (kind) {
    case DEADLINE_IDLE:
    case DEADLINE_LINGER:
        conn_close(c);
        return;
    case DEADLINE_HEAD:
        conn_refuse(c, 408, "The request line and the header lines came too slowly.");
        return;
    case DEADLINE_BODY:
        on_body_deadline(c);
        return;
    case DEADLINE_WRITE:
        on_write_deadline(c);
        return;
    case DEADLINE_PING:
        conn_stream_ping(c);
        return;
    case DEADLINE_NONE:
    case DEADLINE_KINDS:
        break;
    }
    assert(false && "no deadline of that kind is ever set");
}

/* Coming and going. */

void conn_free(struct conn *c)
{
    assert(c->state == CONN_GONE);
    while (c->first)
        server_put_request(c->server, queue_take(c));
    if (c->in)
        conn_drop_buffer(c);
    link_remove(&c->all);
    free(c);
}

void conn_forget(struct conn *c)
{
    for (unsigned n = c->queued; n; n--) {
        struct server_request *r = queue_take(c);
        if (r->state == REQUEST_ASKED)
            queue_append(c, r);
        else
            server_put_request(c->server, r);
    }
    if (!c->queued)
        conn_free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct server *s = c->server;
    conn_move(c, CONN_GONE);
    conn_stream_gone(c);
    s->connections--;
    server_stir(s);
    conn_forget(c);
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSING)
        return;
    conn_move(c, CONN_CLOSING);
    deadline_clear(&c->deadline);
    link_remove(&c->dirty);
    if (c->in && !c->asked)
        conn_drop_buffer(c); /* many may be closed in one round */
    for (struct server_request *r = c->first; r; r = r->next)
        if (r->state == REQUEST_READY || r->state == REQUEST_HELD)
            buf_free(&r->out); /* much may wait on them */
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void conn_drain(struct conn *c)
{
    if (c->state == CONN_OPEN && !c->queued)
        conn_close(c);
    if (c->stream)
        conn_stream_end(c);
    if (!conn_is_live(c))
        return;
    conn_take_no_more(c);
    conn_settle(c);
}

void conn_accept(struct server *s, int fd)
{
    struct conn *c = die_zalloc(sizeof *c);
    c->server = s;
    c->tcp.data = c;
    link_init(&c->all);
    link_init(&c->dirty);
    deadline_init(&c->deadline);
    if (uv_tcp_init(s->loop, &c->tcp))
        die("a socket could not be prepared");
    link_append(&s->conns, &c->all);
    s->connections++;
    bool is_taken = uv_tcp_open(&c->tcp, fd) == 0;
    if (!is_taken)
        close(fd);
    if (!is_taken || s->connections > s->limits.connections + SERVER_OVER_LIMIT_MAX) {
        conn_close(c);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    if (s->connections > s->limits.connections)
        conn_refuse(c, 503, "There are too many connections.");
    conn_settle(c);
}
