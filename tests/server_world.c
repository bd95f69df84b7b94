#include "server_world.h"

#include "base/die.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t fixed_wall_ms(void *self)
{
    (void)self;
    return 784111777123;
}

static void on_request(void *self, struct server_request *req, const struct http1_request *http)
{
    struct world *w = self;
    assert_true(w->asked_count < ASKED_MAX);
    w->asked[w->asked_count++] = (struct asked){req, http};
}

void answer(struct world *w, size_t i, const char *text, bool is_held)
{
    struct buf body = {0};
    buf_str(&body, text);
    server_answer(w->asked[i].req,
                  &(struct http1_answer){.status = 200, .body = {body.at, body.len}}, is_held);
    buf_free(&body);
    w->asked[i] = (struct asked){0};
}

void echo(struct world *w, size_t i)
{
    const struct http1_request *http = w->asked[i].http;
    struct buf text = {0};
    buf_append(&text, http->method.at, http->method.len);
    buf_byte(&text, ' ');
    buf_append(&text, http->target.at, http->target.len);
    buf_byte(&text, ' ');
    buf_append(&text, http->body.at, http->body.len);
    buf_byte(&text, 0);
    answer(w, i, text.at, true);
    buf_free(&text);
}

static void on_round(void *self)
{
    struct world *w = self;
    w->rounds++;
    if (!w->echoes)
        return;
    while (w->answered_count < w->asked_count)
        echo(w, w->answered_count++);
    server_release(w->server, true, NULL);
}

static void on_stream_ready(void *self, void *listener)
{
    (void)listener;
    ((struct world *)self)->ready++;
}

static void on_stream_closed(void *self, void *listener)
{
    (void)listener;
    ((struct world *)self)->closed++;
}

void open_world(struct world *w, struct server_limits limits)
{
    *w = (struct world){.env = {.wall_ms = fixed_wall_ms}};
    assert_int_equal(uv_loop_init(&w->loop), 0);
    struct server_config config = {
        .address = "127.0.0.1",
        .limits = limits,
        .env = &w->env,
        .handler = {.self = w,
                    .request = on_request,
                    .round = on_round,
                    .stream_ready = on_stream_ready,
                    .stream_closed = on_stream_closed},
    };
    assert_int_equal(server_open(&w->loop, &config, &w->server), 0);
}

void turn(struct world *w)
{
    uv_run(&w->loop, UV_RUN_NOWAIT);
}

void on_drained(void *self)
{
    ((struct world *)self)->is_drained = true;
}

void close_world(struct world *w)
{
    if (!w->is_drained)
        server_drain(w->server, 0, on_drained, w);
    while (!w->is_drained)
        uv_run(&w->loop, UV_RUN_ONCE);
    server_close(w->server);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
}

void wait_asked(struct world *w, size_t count)
{
    while (w->asked_count < count)
        turn(w);
    assert_int_equal(w->asked_count, count);
}

void let_all_happen(struct world *w)
{
    for (int i = 0; i < 20; i++)
        turn(w);
}

/* Clients. */

int new_socket(int receive_bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (receive_bytes)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
                                    sizeof receive_bytes),
                         0);
    return fd;
}

int try_connect(struct world *w, int fd)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(server_port(w->server)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return connect(fd, (struct sockaddr *)&to, sizeof to);
}

struct peer peer_open(struct world *w)
{
    struct peer c = {.fd = new_socket(0)};
    assert_int_equal(try_connect(w, c.fd), 0);
    return c;
}

void peer_close(struct peer *c)
{
    close(c->fd);
    buf_free(&c->in);
}

void peer_abort(struct peer *c)
{
    struct linger now = {.l_onoff = 1};
    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    peer_close(c);
}

void peer_send_bytes(struct world *w, struct peer *c, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(c->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return; /* the server has closed; what came of it the test reads */
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
        if (n < 0)
            turn(w);
    }
}

void peer_send(struct world *w, struct peer *c, const char *text)
{
    peer_send_bytes(w, c, text, strlen(text));
}

void peer_get(struct world *w, struct peer *c, const char *target)
{
    struct buf b = {0};
    buf_printf(&b, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
    peer_send_bytes(w, c, b.at, b.len);
    buf_free(&b);
}

void peer_take(struct peer *c, size_t max)
{
    ssize_t n = recv(c->fd, buf_reserve(&c->in, max), max, MSG_DONTWAIT);
    if (n > 0)
        c->in.len += (size_t)n;
    else if (n == 0 || errno != EAGAIN)
        c->is_closed = true;
    c->was_reset |= n < 0 && errno == ECONNRESET;
}

bool has_whole_head(struct peer *c)
{
    buf_byte(&c->in, 0);
    bool is_there = strstr(c->in.at, "\r\n\r\n") != NULL;
    c->in.len--;
    return is_there;
}

char *peer_read_head(struct world *w, struct peer *c, struct buf *ret_body)
{
    while (!has_whole_head(c)) {
        assert_false(c->is_closed);
        turn(w);
        peer_take(c, 65536);
    }
    size_t head_len = (size_t)(strstr(c->in.at, "\r\n\r\n") + 4 - c->in.at);
    char *head = die_strndup(c->in.at, head_len);
    const char *length = strstr(head, "Content-Length: ");
    size_t body_len = ret_body && length ? strtoul(length + 16, NULL, 10) : 0;
    while (c->in.len < head_len + body_len) {
        assert_false(c->is_closed);
        turn(w);
        peer_take(c, 65536);
    }
    if (ret_body)
        buf_append(ret_body, c->in.at + head_len, body_len);
    c->in.len -= head_len + body_len;
    memmove(c->in.at, c->in.at + head_len + body_len, c->in.len);
    return head;
}

void peer_expect_with(struct world *w, struct peer *c, const char *status, const char *line,
                      const char *body)
{
    struct buf got = {0};
    char *head = peer_read_head(w, c, &got);
    buf_byte(&got, 0);
    assert_memory_equal(head, "HTTP/1.1 ", 9);
    if (strncmp(head + 9, status, strlen(status)) != 0 || !strstr(head, line))
        fail_msg("not %s with %s: %s%s", status, line, head, got.at);
    assert_string_equal(got.at, body);
    free(head);
    buf_free(&got);
}

void peer_expect(struct world *w, struct peer *c, const char *body)
{
    peer_expect_with(w, c, "200 OK", "", body);
}

void peer_expect_problem(struct world *w, struct peer *c, const char *status, const char *detail)
{
    struct buf got = {0};
    char *head = peer_read_head(w, c, &got);
    buf_byte(&got, 0);
    if (strncmp(head + 9, status, strlen(status)) != 0 || !strstr(got.at, detail))
        fail_msg("not %s with %s: %s%s", status, detail, head, got.at);
    assert_non_null(strstr(head, "Content-Type: application/problem+json\r\n"));
    free(head);
    buf_free(&got);
}

void peer_expect_closed(struct world *w, struct peer *c)
{
    while (!c->is_closed) {
        turn(w);
        peer_take(c, 65536);
    }
    assert_int_equal(c->in.len, 0);
    assert_false(c->was_reset);
}

void peer_expect_nothing_yet(struct world *w, struct peer *c)
{
    let_all_happen(w);
    peer_take(c, 65536);
    assert_int_equal(c->in.len, 0);
    assert_false(c->is_closed);
}

void peer_expect_cut(struct world *w, struct peer *c)
{
    while (!c->is_closed) {
        turn(w);
        peer_take(c, 65536);
        c->in.len = 0;
    }
}

void answer_big(struct world *w, size_t i, size_t len)
{
    char *big = die_zalloc(len);
    server_answer(w->asked[i].req, &(struct http1_answer){.status = 200, .body = {big, len}},
                  false);
    free(big);
}
