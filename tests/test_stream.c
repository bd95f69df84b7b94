/* test_stream.c - answers that go on: when their pieces leave, and how they end */
#include "server_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct server_stream *begin(struct world *w, size_t i, bool is_held)
{
    struct http1_answer head = {.status = 200, .body = STR("begun\n")};
    struct server_request *req = w->asked[i].req;
    w->asked[i] = (struct asked){0};
    return server_stream_begin(req, &head, STR("ping\n"), is_held, w);
}

static bool give(struct server_stream *stream, const char *text)
{
    struct shared *piece = shared_new(str_of(text));
    bool is_taken = server_stream_send(stream, piece);
    shared_drop(piece);
    return is_taken;
}

/* What comes next is this text. */
static void expect_text(struct world *w, struct peer *c, const char *text)
{
    size_t len = strlen(text);
    while (c->in.len < len) {
        assert_false(c->is_closed);
        turn(w);
        peer_take(c, 65536);
    }
    assert_memory_equal(c->in.at, text, len);
    c->in.len -= len;
    memmove(c->in.at, c->in.at + len, c->in.len);
}

static void expect_head(struct world *w, struct peer *c)
{
    char *head = peer_read_head(w, c, NULL);
    assert_non_null(strstr(head, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(head, "Connection: close\r\n"));
    assert_null(strstr(head, "Content-Length"));
    free(head);
}

/* A world with one client whose first request is answered with a stream. */
static struct server_stream *open_stream(struct world *w, struct server_limits limits,
                                         struct peer *ret)
{
    open_world(w, limits);
    *ret = peer_open(w);
    peer_get(w, ret, "/");
    wait_asked(w, 1);
    struct server_stream *stream = begin(w, 0, false);
    assert_non_null(stream);
    expect_head(w, ret);
    expect_text(w, ret, "begun\n");
    return stream;
}

static void wait_closed(struct world *w)
{
    while (!w->closed)
        turn(w);
    assert_int_equal(w->closed, 1);
}

static void pieces_arrive_in_their_order(void **state)
{
    struct world w;
    struct peer c;
    (void)state;
    struct server_stream *stream = open_stream(&w, (struct server_limits){0}, &c);
    assert_int_equal(w.ready, 1);
    assert_true(give(stream, "one\n"));
    assert_true(give(stream, "two\n"));
    expect_text(&w, &c, "one\ntwo\n");
    peer_expect_nothing_yet(&w, &c);
    peer_close(&c);
    close_world(&w);
    assert_int_equal(w.closed, 1);
}

static void a_held_beginning_waits_for_the_commit_and_its_piece_with_it(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/");
    wait_asked(&w, 1);
    struct server_stream *stream = begin(&w, 0, true);
    assert_false(give(stream, "piece\n"));
    peer_expect_nothing_yet(&w, &c);
    assert_int_equal(w.ready, 0);
    server_release(w.server, true, NULL);
    expect_head(&w, &c);
    expect_text(&w, &c, "begun\npiece\n");
    assert_int_equal(w.ready, 1);
    peer_close(&c);
    close_world(&w);
}

static void a_failed_commit_makes_it_a_503(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/");
    wait_asked(&w, 1);
    struct server_stream *stream = begin(&w, 0, true);
    assert_false(give(stream, "piece\n"));
    server_release(w.server, false, "the disk failed");
    assert_int_equal(w.closed, 1);
    peer_expect_problem(&w, &c, "503", "the disk failed");
    peer_expect_closed(&w, &c);
    peer_close(&c);
    close_world(&w);
    assert_int_equal(w.closed, 1);
}

static void it_waits_for_the_answers_before_it(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/1");
    peer_get(&w, &c, "/2");
    wait_asked(&w, 2);
    struct server_stream *stream = begin(&w, 1, false);
    assert_false(give(stream, "piece\n"));
    peer_expect_nothing_yet(&w, &c);
    answer(&w, 0, "first", false);
    peer_expect(&w, &c, "first");
    expect_head(&w, &c);
    expect_text(&w, &c, "begun\npiece\n");
    peer_close(&c);
    close_world(&w);
}

static void nothing_is_answered_behind_it(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/1");
    peer_get(&w, &c, "/2");
    wait_asked(&w, 2);
    assert_non_null(begin(&w, 0, false));
    assert_null(begin(&w, 1, false));
    expect_head(&w, &c);
    expect_text(&w, &c, "begun\n");
    peer_get(&w, &c, "/3");
    peer_expect_nothing_yet(&w, &c);
    assert_int_equal(w.asked_count, 2);
    peer_close(&c);
    close_world(&w);
    assert_int_equal(w.closed, 1);
}

static void a_client_that_leaves_is_noticed(void **state)
{
    struct world w;
    struct peer c;
    (void)state;
    open_stream(&w, (struct server_limits){0}, &c);
    peer_close(&c);
    wait_closed(&w);
    close_world(&w);
}

static void a_client_that_aborts_is_noticed(void **state)
{
    struct world w;
    struct peer c;
    (void)state;
    struct server_stream *stream = open_stream(&w, (struct server_limits){0}, &c);
    peer_abort(&c);
    while (!w.closed && give(stream, "into nothing\n"))
        turn(&w);
    wait_closed(&w);
    close_world(&w);
}

static void nobody_is_there_any_more(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/");
    wait_asked(&w, 1);
    peer_abort(&c);
    let_all_happen(&w);
    assert_null(begin(&w, 0, false));
    assert_int_equal(w.closed, 0);
    close_world(&w);
}

static void a_quiet_stream_is_pinged_and_never_idle(void **state)
{
    struct world w;
    struct peer c;
    (void)state;
    open_stream(&w, (struct server_limits){.ping_ms = 5, .idle_ms = 1}, &c);
    expect_text(&w, &c, "ping\nping\nping\n");
    peer_close(&c);
    close_world(&w);
}

/* Its memory is what it was given: no more is made for it. */
static void a_client_that_takes_nothing_is_dropped(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){.write_ms = 30});
    struct peer c = {.fd = new_socket(4096)};
    assert_int_equal(try_connect(&w, c.fd), 0);
    peer_get(&w, &c, "/");
    wait_asked(&w, 1);
    struct server_stream *stream = begin(&w, 0, false);
    while (!w.ready)
        turn(&w);
    char *big = calloc(1, 1 << 20);
    assert_non_null(big);
    struct shared *piece = shared_new((struct str){big, 1 << 20});
    while (server_stream_send(stream, piece))
        turn(&w);
    assert_int_equal(piece->holders, 2);
    wait_closed(&w);
    assert_int_equal(piece->holders, 1);
    shared_drop(piece);
    free(big);
    peer_close(&c);
    close_world(&w);
}

static void a_slow_client_says_when_it_is_ready(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = {.fd = new_socket(4096)};
    assert_int_equal(try_connect(&w, c.fd), 0);
    peer_get(&w, &c, "/");
    wait_asked(&w, 1);
    struct server_stream *stream = begin(&w, 0, false);
    expect_head(&w, &c);
    char *big = calloc(1, 8 << 20);
    assert_non_null(big);
    struct shared *piece = shared_new((struct str){big, 8 << 20});
    while (w.ready < 1)
        turn(&w);
    assert_false(server_stream_send(stream, piece));
    shared_drop(piece);
    let_all_happen(&w);
    assert_int_equal(w.ready, 1);
    while (w.ready < 2) {
        turn(&w);
        peer_take(&c, 65536);
        c.in.len = 0;
    }
    free(big);
    peer_close(&c);
    close_world(&w);
}

static void draining_ends_it(void **state)
{
    struct world w;
    struct peer c;
    (void)state;
    struct server_stream *stream = open_stream(&w, (struct server_limits){0}, &c);
    assert_true(give(stream, "last\n"));
    server_drain(w.server, 5000, on_drained, &w);
    expect_text(&w, &c, "last\n");
    peer_expect_closed(&w, &c);
    peer_close(&c);
    while (!w.is_drained)
        turn(&w);
    close_world(&w);
    assert_int_equal(w.closed, 1);
}

int main(void)
{
    alarm(300); /* a test that waits for what never comes */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_arrive_in_their_order),
        cmocka_unit_test(a_held_beginning_waits_for_the_commit_and_its_piece_with_it),
        cmocka_unit_test(a_failed_commit_makes_it_a_503),
        cmocka_unit_test(it_waits_for_the_answers_before_it),
        cmocka_unit_test(nothing_is_answered_behind_it),
        cmocka_unit_test(a_client_that_leaves_is_noticed),
        cmocka_unit_test(a_client_that_aborts_is_noticed),
        cmocka_unit_test(nobody_is_there_any_more),
        cmocka_unit_test(a_quiet_stream_is_pinged_and_never_idle),
        cmocka_unit_test(a_client_that_takes_nothing_is_dropped),
        cmocka_unit_test(a_slow_client_says_when_it_is_ready),
        cmocka_unit_test(draining_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
