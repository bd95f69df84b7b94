/* test_listeners.c - thousands who look at one registry of the real process: all are told, nobody
 * is held up by one who does not read, and a killed server goes on where each listener was */
#include "../apps/registry/registry.h"
#include "contract.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENERS = 5000, TIMEOUT_MS = 20000 };

/* What a listener has got is not kept but for its end. */
struct listener {
    int fd;
    size_t len;
    char tail[1024];
};

/* A descriptor for each here, and one in the server, which raises its own limit. */
static int listeners_max(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int max = limit.rlim_cur > LISTENERS + 100 ? LISTENERS : (int)limit.rlim_cur - 100;
    if (max < LISTENERS)
        print_message("only %d listeners: no more descriptors\n", max);
    return max;
}

static void listen_to(struct listener *l, uint16_t port, const char *id, const char *seen,
                      int receive_bytes)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char request[300];
    *l = (struct listener){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(l->fd >= 0);
    if (receive_bytes)
        setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    assert_int_equal(connect(l->fd, (struct sockaddr *)&to, sizeof to), 0);
    int len = snprintf(request, sizeof request,
                       "GET /api/Peek/%s HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n%s%s%s"
                       "\r\n",
                       id, seen ? "Last-Event-ID: " : "", seen ? seen : "", seen ? "\r\n" : "");
    assert_int_equal(send(l->fd, request, (size_t)len, MSG_NOSIGNAL), len);
}

/* Reads until the last event is this one. */
static void await_event(struct listener *l, const char *end)
{
    size_t end_len = strlen(end);
    while (l->len < end_len || memcmp(l->tail + l->len - end_len, end, end_len) != 0) {
        char bytes[512];
        struct pollfd poll_fd = {.fd = l->fd, .events = POLLIN};
        if (poll(&poll_fd, 1, TIMEOUT_MS) != 1)
            fail_msg("'%s' did not come after '%.*s'", end, (int)l->len, l->tail);
        ssize_t n = recv(l->fd, bytes, sizeof bytes, 0);
        if (n <= 0)
            fail_msg("the stream ended after '%.*s'", (int)l->len, l->tail);
        if (l->len + (size_t)n > sizeof l->tail) {
            size_t kept = sizeof l->tail / 2 < l->len ? sizeof l->tail / 2 : l->len;
            memmove(l->tail, l->tail + l->len - kept, kept);
            l->len = kept;
        }
        memcpy(l->tail + l->len, bytes, (size_t)n);
        l->len += (size_t)n;
    }
}

static void close_all(struct listener *all, int n)
{
    for (int i = 0; i < n; i++)
        close(all[i].fd);
    free(all);
}

static void add(struct world *w, const char *id, const char *item)
{
    expect(get(w, "/api/Add/%s?item=%s", id, item), 200, "");
}

static void thousands_are_told_and_go_on_after_a_kill(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE];
    int n = listeners_max();
    struct listener *all = calloc((size_t)n, sizeof *all);
    assert_non_null(all);
    open_registry(w, id);
    for (int i = 0; i < n; i++)
        listen_to(&all[i], w->service.port, id, NULL, 0);
    for (int i = 0; i < n; i++)
        await_event(&all[i], "Z\"}\n\n");
    int64_t before_ns = monotonic_ns();
    add(w, id, "one");
    int64_t answered_ns = monotonic_ns();
    for (int i = 0; i < n; i++)
        await_event(&all[i], "id: 1\nevent: items\ndata: {\"from\":0,\"items\":[\"one\"]}\n\n");
    print_message("%d listeners: Add answered after %.1f ms, all told after %.1f ms\n", n,
                  (double)(answered_ns - before_ns) / 1e6,
                  (double)(monotonic_ns() - before_ns) / 1e6);
    assert_int_equal(stop(w, SIGKILL), 128 + SIGKILL);
    start(w, NULL);
    for (int i = 0; i < n; i++) {
        close(all[i].fd);
        listen_to(&all[i], w->service.port, id, i % 2 ? "1" : NULL, 0);
    }
    add(w, id, "two");
    for (int i = 0; i < n; i++)
        await_event(&all[i], "\"two\"]}\n\n");
    for (int i = 1; i < n; i += 2) /* what they had did not come again */
        assert_null(memmem(all[i].tail, all[i].len, "\"one\"", 5));
    close_all(all, n);
    assert_int_equal(stop(w, SIGTERM), 0);
}

/* Adds an item though the registry is full. */
static void stuff(struct world *w, const char *id, const char *item)
{
    expect(get(w, "/api/Stuff/%s?item=%s", id, item), 200, "");
}

/* It never reads; the list grows past what any socket takes. */
static void one_that_does_not_read_holds_up_nobody(void **state)
{
    struct world *w = *state;
    static char item[ITEM_MAX + 1];
    char id[ID_SIZE];
    struct listener *both = calloc(2, sizeof *both);
    assert_non_null(both);
    open_registry(w, id);
    listen_to(&both[0], w->service.port, id, NULL, 4096);
    listen_to(&both[1], w->service.port, id, NULL, 0);
    memset(item, 'x', ITEM_MAX);
    for (int i = 0; i < 1500; i++)
        stuff(w, id, item);
    stuff(w, id, "last");
    await_event(&both[1], "\"last\"]}\n\n");
    stuff(w, id, "after");
    await_event(&both[1], "\"after\"]}\n\n");
    await_event(&both[0], "\"after\"]}\n\n"); /* late, but whole */
    close_all(both, 2);
    assert_int_equal(stop(w, SIGTERM), 0);
}

static void stopping_the_server_ends_every_stream_at_once(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE], byte;
    struct listener *l = calloc(1, sizeof *l);
    assert_non_null(l);
    open_registry(w, id);
    listen_to(l, w->service.port, id, NULL, 0);
    await_event(l, "Z\"}\n\n");
    assert_int_equal(kill(w->service.pid, SIGTERM), 0);
    while (recv(l->fd, &byte, 1, 0) > 0)
        ;
    close_all(l, 1);
    assert_int_equal(stop(w, SIGTERM), 0);
}

static int http_stuff(ks_http *h)
{
    ks_signal(h->out, LIST(ks_route(h, "id")), "AddItem", ks_query(h, "item"));
    return ks_reply_empty(h, 200);
}

/* This program is the registry under test, with a function more. */
static int serve(int argc, char **argv)
{
    enum { FUNCTIONS_MAX = 64 };
    static ks_function functions[FUNCTIONS_MAX];
    size_t n = 0;
    for (; registry_functions[n].kind != KS_FN_END && n < FUNCTIONS_MAX - 2; n++)
        functions[n] = registry_functions[n];
    functions[n] = (ks_function)KS_HTTP("Stuff", "GET", "Stuff/{id}", 0, http_stuff);
    functions[n + 1] = (ks_function)KS_END;
    return ks_main(argc, argv, functions);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return serve(argc, argv);
    setenv("REGISTRY", "/proc/self/exe", true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(thousands_are_told_and_go_on_after_a_kill, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_does_not_read_holds_up_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping_the_server_ends_every_stream_at_once, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
