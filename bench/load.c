/* load.c - see load.h
 *
 * Closed loop: wait for events; each answer read is counted and followed at once by the next
 * request of that connection. Open loop: the same, but the next request goes out when it is due;
 * the clock is polled, as a timer would add its slack.
 */
#include "load.h"

#include "../tests/client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, IN_MAX = 65536, ANSWER_TIMEOUT_MS = 30000 };

struct connection {
    int fd;
    unsigned tag;
    int64_t due_ns; /* of the request under way */
    size_t in_len;
    char in[IN_MAX];
};

struct load {
    int loop;
    unsigned count;
    unsigned *free; /* connections with nothing under way, a stack */
    unsigned free_count;
    struct connection *connections;

    /* of the run */
    const struct workload *workload;
    struct load_plan plan;
    struct load_result *result;
    int64_t start_ns;
    uint64_t sent;
    bool is_over; /* nothing more is sent */
};

int load_open(uint16_t port, unsigned connections, struct load **ret)
{
    struct load *l = calloc(1, sizeof *l);
    assert(l);
    l->loop = epoll_create1(EPOLL_CLOEXEC);
    l->connections = calloc(connections, sizeof *l->connections);
    l->free = calloc(connections, sizeof *l->free);
    assert(l->connections && l->free && l->loop >= 0);
    for (unsigned i = 0; i < connections; i++) {
        struct client c;
        client_init(&c, port);
        int err = client_connect(&c);
        if (err < 0) {
            load_close(l);
            return err;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        l->connections[i].fd = c.fd;
        l->free[l->free_count++] = i;
        l->count++;
        epoll_ctl(l->loop, EPOLL_CTL_ADD, c.fd, &event);
    }
    *ret = l;
    return 0;
}

void load_close(struct load *l)
{
    for (unsigned i = 0; i < l->count; i++)
        close(l->connections[i].fd);
    close(l->loop);
    free(l->connections);
    free(l->free);
    free(l);
}

static int send_next(struct load *l, unsigned i, int64_t due_ns)
{
    struct connection *c = &l->connections[i];
    char request[LOAD_REQUEST_MAX];
    size_t len = l->workload->request(l->workload->self, request, &c->tag);
    if (len == 0) {
        l->is_over = true;
        l->free[l->free_count++] = i;
        return 0;
    }
    c->due_ns = due_ns;
    l->sent++;
    ssize_t n = send(c->fd, request, len, MSG_NOSIGNAL);
    return n == (ssize_t)len ? 0 : n < 0 ? -errno : -ECONNRESET;
}

/* The length of the body that the head announces, -1 when it does not. */
static int64_t content_length(const char *head, const char *end)
{
    static const char name[] = "content-length:";
    const char *line = head;
    for (; line && line < end; line = memchr(line, '\n', (size_t)(end - line))) {
        line += *line == '\n';
        if ((*line | 0x20) == 'c' && strncasecmp(line, name, sizeof name - 1) == 0)
            return strtoll(line + sizeof name - 1, NULL, 10);
    }
    return -1;
}

/* 1 when an answer was read and counted, 0 when it is not whole yet. */
static int take_answer(struct load *l, struct connection *c)
{
    const char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!end)
        return c->in_len < IN_MAX ? 0 : -EPROTO;
    int64_t body_len = content_length(c->in, end + 2);
    size_t whole = (size_t)(end - c->in) + 4 + (size_t)body_len;
    if (body_len < 0 || whole > IN_MAX)
        return -EPROTO;
    if (c->in_len < whole)
        return 0;
    if (c->in_len > whole)
        return -EPROTO;
    int64_t now_ns = monotonic_ns();
    int status = atoi(c->in + 9);
    histogram_add(&l->result->latency, now_ns - c->due_ns);
    l->result->answered++;
    l->result->failed += status / 100 != 2;
    l->workload->answer(l->workload->self, c->tag, status, end + 4, (size_t)body_len);
    c->in_len = 0;
    if (l->plan.seconds > 0 && (double)(now_ns - l->start_ns) >= l->plan.seconds * 1e9)
        l->is_over = true;
    if (l->plan.requests && l->sent >= l->plan.requests)
        l->is_over = true;
    return 1;
}

static int on_readable(struct load *l, unsigned i)
{
    struct connection *c = &l->connections[i];
    ssize_t n = recv(c->fd, c->in + c->in_len, IN_MAX - c->in_len, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN ? 0 : -ECONNRESET;
    c->in_len += (size_t)n;
    int took = take_answer(l, c);
    if (took <= 0)
        return took;
    if (l->plan.per_s > 0 || l->is_over) {
        l->free[l->free_count++] = i;
        return 0;
    }
    return send_next(l, i, monotonic_ns());
}

/* Sends on free connections what may be sent: in the closed loop anything, else what is due. */
static int send_due(struct load *l)
{
    int err = 0;
    while (err == 0 && l->free_count > 0 && !l->is_over) {
        int64_t now_ns = monotonic_ns(), due_ns = now_ns;
        if (l->plan.per_s > 0) {
            due_ns = l->start_ns + (int64_t)((double)l->sent * 1e9 / l->plan.per_s);
            if (due_ns > now_ns)
                break;
            l->is_over = (double)(due_ns - l->start_ns) >= l->plan.seconds * 1e9;
        }
        if (l->plan.requests && l->sent >= l->plan.requests)
            l->is_over = true;
        if (!l->is_over)
            err = send_next(l, l->free[--l->free_count], due_ns);
    }
    return err;
}

int load_run(struct load *l, const struct workload *workload, struct load_plan plan,
             struct load_result *ret)
{
    struct epoll_event events[EVENTS_MAX];
    bool is_open = plan.per_s > 0;
    int err = 0;

    assert(plan.seconds > 0 || (plan.requests > 0 && !is_open));
    memset(ret, 0, sizeof *ret);
    l->workload = workload;
    l->plan = plan;
    l->result = ret;
    l->sent = 0;
    l->is_over = false;
    l->start_ns = monotonic_ns();
    int64_t heard_ns = l->start_ns;
    while (err == 0) {
        err = send_due(l);
        if (err < 0 || (l->is_over && l->free_count == l->count))
            break;
        bool is_polled = plan.is_polled || (is_open && !l->is_over);
        int n = epoll_wait(l->loop, events, EVENTS_MAX, is_polled ? 0 : ANSWER_TIMEOUT_MS);
        if (n == 0 && monotonic_ns() - heard_ns > (int64_t)ANSWER_TIMEOUT_MS * 1000000)
            err = -ETIMEDOUT;
        if (n > 0 || l->free_count == l->count)
            heard_ns = monotonic_ns();
        for (int i = 0; i < n && err == 0; i++)
            err = on_readable(l, events[i].data.u32);
    }
    ret->seconds = (double)(monotonic_ns() - l->start_ns) / 1e9;
    return err;
}
