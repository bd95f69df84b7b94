/* stream.c - answers that go on; see server.h and conn.h
 *
 * At most one piece of bytes is with a stream: the next is given when it was taken. So a client
 * that reads slowly costs one piece, which it shares with whoever else was sent it, and whoever
 * makes the pieces makes the next one out of what is new by then.
 */
#include "base/die.h"
#include "net/conn.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

struct server_stream *server_stream_begin(struct server_request *r, const struct http1_answer *head,
                                          struct str ping, bool is_held, void *listener)
{
    struct conn *c = r->conn;
    bool is_nobody = !conn_is_live(c) || c->stream;
    struct http1_answer whole = *head;
    whole.is_stream = true;
    whole.close = true;
    if (is_nobody) {
        server_answer(r, &whole, is_held);
        return NULL;
    }
    struct server_stream *stream = die_zalloc(sizeof *stream);
    *stream = (struct server_stream){.conn = c, .listener = listener, .ping = ping};
    c->stream = stream;
    r->begins_stream = true;
    server_answer(r, &whole, is_held);
    return stream;
}

static void stream_taken(struct server_stream *stream)
{
    shared_drop(stream->bytes);
    stream->bytes = NULL;
}

static void on_stream_written(uv_write_t *write, int status)
{
    struct conn *c = write->handle->data;
    struct server_stream *stream = c->stream;
    if (c->state == CONN_CLOSING) /* the stream goes with it */
        return;
    if (status < 0) {
        conn_close(c);
        return;
    }
    stream->is_writing = false;
    stream_taken(stream);
    if (stream->is_ending) {
        conn_stream_end(c);
        return;
    }
    conn_settle(c);
    c->server->handler.stream_ready(c->server->handler.self, stream->listener);
}

/* Whether all of it was taken at once; else libuv writes the rest when the client takes it. */
static bool stream_write(struct server_stream *stream)
{
    struct conn *c = stream->conn;
    uv_stream_t *tcp = (uv_stream_t *)&c->tcp;
    uv_buf_t buf = uv_buf_init(stream->bytes->at, (unsigned)stream->bytes->len);
    int result = uv_try_write(tcp, &buf, 1);
    if (result < 0 && result != UV_EAGAIN) {
        conn_close(c);
        return false;
    }
    size_t sent = result < 0 ? 0 : (size_t)result;
    if (sent == stream->bytes->len) {
        stream_taken(stream);
        return true;
    }
    buf.base += sent;
    buf.len -= sent;
    stream->is_writing = true;
    if (uv_write(&stream->write, tcp, &buf, 1, on_stream_written)) {
        conn_close(c);
        return false;
    }
    c->write_left_bytes = uv_stream_get_write_queue_size(tcp);
    conn_settle(c);
    return false;
}

bool server_stream_send(struct server_stream *stream, struct shared *bytes)
{
    assert(!stream->bytes && "the piece before was not taken yet");
    stream->bytes = shared_hold(bytes);
    return stream->conn->state == CONN_STREAM && stream_write(stream);
}

/* A client that is away without a word is found by what it does not acknowledge. */
static void limit_silence(struct conn *c)
{
    uv_os_fd_t fd;
    unsigned ms = c->server->limits.write_ms;
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

void conn_stream_start(struct conn *c)
{
    struct server_stream *stream = c->stream;
    limit_silence(c);
    if (stream->is_ending) {
        conn_stream_end(c);
        return;
    }
    if (stream->bytes && !stream_write(stream))
        return;
    c->server->handler.stream_ready(c->server->handler.self, stream->listener);
}

void conn_stream_ping(struct conn *c)
{
    uv_buf_t ping = uv_buf_init((char *)(uintptr_t)c->stream->ping.at,
                                (unsigned)c->stream->ping.len);
    int result = uv_try_write((uv_stream_t *)&c->tcp, &ping, 1);
    if (result == UV_EAGAIN || (result >= 0 && (size_t)result == ping.len))
        conn_settle(c);
    else
        conn_close(c);
}

void conn_stream_end(struct conn *c)
{
    struct server_stream *stream = c->stream;
    stream->is_ending = true;
    if (c->state != CONN_STREAM || stream->is_writing)
        return;
    conn_finish(c);
    conn_settle(c);
}

void conn_stream_gone(struct conn *c)
{
    struct server_stream *stream = c->stream;
    if (!stream)
        return;
    c->stream = NULL;
    c->server->handler.stream_closed(c->server->handler.self, stream->listener);
    shared_drop(stream->bytes);
    free(stream);
}
