/* test_server_limits.c - bodies, deadlines, rounds, too many connections, draining */
#include "server_world.h"

#include "base/die.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Bodies. */

static void continue_is_sent_where_it_is_waited_for(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/1");
    peer_send(&w, &c,
              "PUT /2 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    wait_asked(&w, 1);
    peer_expect_nothing_yet(&w, &c);
    answer(&w, 0, "one", true);
    server_release(w.server, true, NULL);
    peer_expect(&w, &c, "one");
    char *head = peer_read_head(&w, &c, NULL);
    assert_string_equal(head, "HTTP/1.1 100 Continue\r\n\r\n");
    free(head);
    peer_send(&w, &c, "ab");
    wait_asked(&w, 2);
    echo(&w, 1);
    server_release(w.server, true, NULL);
    peer_expect(&w, &c, "PUT /2 ab");
    peer_send(&w, &c, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\nContent-Length: 2\r\n\r\n");
    peer_expect_problem(&w, &c, "417 Expectation Failed", "100-continue");
    peer_expect_closed(&w, &c);
    peer_close(&c);
    close_world(&w);
}

static void a_chunked_upload_comes_out_whole(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    struct buf wanted = {0};
    peer_send(&w, &c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 1; wanted.len + i < 600000; i += 13) {
        struct buf chunk = {0};
        buf_printf(&chunk, "%zx\r\n", i);
        memset(buf_reserve(&chunk, i), (int)('a' + i % 26), i);
        buf_append(&wanted, chunk.at + chunk.len, i);
        chunk.len += i;
        buf_str(&chunk, "\r\n");
        peer_send_bytes(&w, &c, chunk.at, chunk.len);
        buf_free(&chunk);
        turn(&w);
    }
    peer_send(&w, &c, "0\r\nSum: 1\r\n\r\n");
    wait_asked(&w, 1);
    struct str got = w.asked[0].http->body;
    assert_true(str_is(got, (struct str){wanted.at, wanted.len}));
    answer(&w, 0, "thanks", false);
    peer_expect(&w, &c, "thanks");
    buf_free(&wanted);
    peer_close(&c);
    close_world(&w);
}

static void big_answers_reach_a_slow_reader(void **state)
{
    enum { BIG = 5 << 20 };
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = {.fd = new_socket(4096)};
    assert_int_equal(try_connect(&w, c.fd), 0);
    struct buf big = {0};
    for (unsigned i = 0; i < BIG; i++)
        buf_byte(&big, (uint8_t)('a' + i % 23));
    for (int i = 0; i < 3; i++)
        peer_get(&w, &c, "/");
    wait_asked(&w, 3);
    struct http1_answer whole = {.status = 200, .body = {big.at, big.len}};
    server_answer(w.asked[0].req, &whole, true);
    server_answer(w.asked[1].req, &whole, true);
    server_release(w.server, true, NULL);
    let_all_happen(&w);
    answer(&w, 2, "small", false);
    for (int i = 0; i < 2; i++) {
        struct buf got = {0};
        free(peer_read_head(&w, &c, &got));
        assert_true(str_is((struct str){got.at, got.len}, whole.body));
        buf_free(&got);
    }
    peer_expect(&w, &c, "small");
    peer_get(&w, &c, "/");
    wait_asked(&w, 4);
    answer(&w, 3, "again", false);
    peer_expect(&w, &c, "again");
    buf_free(&big);
    peer_close(&c);
    close_world(&w);
}

static void more_than_write_bytes_waiting_ends_the_connection(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){.write_bytes = 1 << 20});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/");
    peer_get(&w, &c, "/");
    wait_asked(&w, 2);
    answer_big(&w, 1, 1 << 20);
    peer_expect_cut(&w, &c);
    answer(&w, 0, "into nothing", false);
    peer_close(&c);
    close_world(&w);
}

/* Three have large answers waiting; with them it is too much, and the last of them goes. Small ones
 * go on. */
static void too_much_waiting_for_all_ends_who_has_much(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){.all_write_bytes = 32 << 20});
    struct peer slow[3], small = peer_open(&w), next;
    for (int i = 0; i < 3; i++) {
        slow[i] = (struct peer){.fd = new_socket(4096)};
        assert_int_equal(try_connect(&w, slow[i].fd), 0);
        peer_get(&w, &slow[i], "/");
        wait_asked(&w, (size_t)i + 1);
    }
    for (size_t i = 0; i < 3; i++)
        answer_big(&w, i, 15 << 20);
    let_all_happen(&w);
    peer_expect_cut(&w, &slow[2]);
    peer_get(&w, &small, "/");
    wait_asked(&w, 4);
    answer(&w, 3, "small", false);
    peer_expect(&w, &small, "small");
    peer_close(&slow[0]); /* and gives room back */
    let_all_happen(&w);
    next = peer_open(&w);
    peer_get(&w, &next, "/");
    wait_asked(&w, 5);
    answer_big(&w, 4, 15 << 20);
    struct buf got = {0};
    free(peer_read_head(&w, &next, &got));
    assert_int_equal(got.len, 15 << 20);
    buf_free(&got);
    peer_close(&slow[1]);
    peer_close(&slow[2]);
    peer_close(&small);
    peer_close(&next);
    close_world(&w);
}

static void a_client_that_takes_nothing_is_cut_off(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){.write_ms = 20});
    struct peer c = {.fd = new_socket(4096)};
    assert_int_equal(try_connect(&w, c.fd), 0);
    peer_get(&w, &c, "/");
    peer_get(&w, &c, "/");
    wait_asked(&w, 2);
    answer_big(&w, 0, 32 << 20);
    let_all_happen(&w);
    server_drain(w.server, 60000, on_drained, &w);
    while (!w.is_drained)
        uv_run(&w.loop, UV_RUN_ONCE);
    peer_expect_cut(&w, &c);
    answer(&w, 1, "into nothing", false);
    peer_close(&c);
    close_world(&w);
}

static void a_client_that_takes_little_at_a_time_is_served(void **state)
{
    enum { WRITE_MS = 150, BIG = 48 << 20 };
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){.write_ms = WRITE_MS});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/");
    wait_asked(&w, 1);
    answer_big(&w, 0, BIG);
    uint64_t from_ms = uv_now(&w.loop), at_ms = from_ms;
    for (; at_ms < from_ms + 4 * WRITE_MS; turn(&w)) {
        if (uv_now(&w.loop) != at_ms)
            peer_take(&c, 32768);
        at_ms = uv_now(&w.loop);
    }
    struct buf got = {0};
    free(peer_read_head(&w, &c, &got));
    assert_int_equal(got.len, BIG);
    buf_free(&got);
    peer_close(&c);
    close_world(&w);
}

static void write_bytes_counts_what_is_waiting_now(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){.write_bytes = 1000});
    struct peer c = peer_open(&w);
    for (size_t i = 0; i < 50; i++) {
        bool is_committed = i % 2;
        peer_get(&w, &c, "/");
        wait_asked(&w, i + 1);
        answer(&w, i, "well", true);
        server_release(w.server, is_committed, "no");
        if (is_committed)
            peer_expect(&w, &c, "well");
        else
            peer_expect_problem(&w, &c, "503 ", "no");
    }
    peer_close(&c);
    close_world(&w);
}

/* Deadlines: what comes, not when. */

static void a_slow_head_is_a_408(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){.head_ms = 20});
    struct peer c = peer_open(&w);
    peer_send(&w, &c, "GET / HTTP/1.1\r\nHost: a\r\n");
    peer_expect_problem(&w, &c, "408 Request Timeout", "too slowly");
    peer_expect_closed(&w, &c);
    peer_close(&c);
    close_world(&w);
}

static void a_slow_body_is_a_408(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){.body_ms_grace = 10, .body_bytes_per_s = 1000000});
    struct peer c = peer_open(&w);
    peer_send(&w, &c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    peer_expect_problem(&w, &c, "408 Request Timeout", "too slowly");
    peer_expect_closed(&w, &c);
    peer_close(&c);
    close_world(&w);
}

static void a_quiet_connection_is_closed_without_a_word(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){.idle_ms = 20});
    w.echoes = true;
    struct peer never = peer_open(&w), once = peer_open(&w);
    peer_get(&w, &once, "/");
    peer_expect(&w, &once, "GET / ");
    peer_expect_closed(&w, &never);
    peer_expect_closed(&w, &once);
    peer_close(&never);
    peer_close(&once);
    close_world(&w);
}

static void a_request_with_the_handler_has_no_deadline(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){.idle_ms = 5, .head_ms = 5, .body_ms_grace = 5});
    struct peer c = peer_open(&w), pipelining = peer_open(&w);
    peer_get(&w, &c, "/");
    wait_asked(&w, 1);
    peer_get(&w, &pipelining, "/");
    peer_send(&w, &pipelining, "GET /next");
    wait_asked(&w, 2);
    struct peer clock = peer_open(&w); /* the last to become idle */
    peer_expect_closed(&w, &clock);
    peer_expect_nothing_yet(&w, &c);
    peer_expect_nothing_yet(&w, &pipelining);
    assert_int_equal(uv_backend_timeout(&w.loop), -1);
    answer(&w, 0, "late", false);
    answer(&w, 1, "late, too", false);
    peer_expect(&w, &c, "late");
    peer_expect_closed(&w, &c);
    peer_expect(&w, &pipelining, "late, too");
    peer_expect_problem(&w, &pipelining, "408 Request Timeout", "too slowly");
    peer_close(&clock);
    peer_close(&c);
    peer_close(&pipelining);
    close_world(&w);
}

/* Rounds. */

static void a_round_serves_all_connections_at_once(void **state)
{
    enum { COUNT = 300 }; /* more than the server keeps spare buffers and requests */
    struct world w;
    static struct peer c[COUNT];
    (void)state;
    open_world(&w, (struct server_limits){0});
    w.echoes = true;
    for (int i = 0; i < COUNT; i++)
        c[i] = peer_open(&w);
    let_all_happen(&w);
    assert_int_equal(w.rounds, 0);
    for (int i = 0; i < COUNT; i++)
        peer_get(&w, &c[i], "/");
    while (w.asked_count < COUNT)
        turn(&w);
    assert_int_equal(w.rounds, 1);
    for (int i = 0; i < COUNT; i++) {
        peer_expect(&w, &c[i], "GET / ");
        peer_close(&c[i]);
    }
    assert_int_equal(w.rounds, 1);
    close_world(&w);
}

static void a_wake_is_one_round_and_quiet_is_none(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    let_all_happen(&w);
    assert_int_equal(w.rounds, 0);
    assert_int_equal(uv_backend_timeout(&w.loop), -1);
    server_wake(w.server);
    server_wake(w.server);
    assert_int_equal(uv_backend_timeout(&w.loop), 0);
    let_all_happen(&w);
    assert_int_equal(w.rounds, 1);
    assert_int_equal(uv_backend_timeout(&w.loop), -1);
    struct peer c = peer_open(&w);
    let_all_happen(&w);
    assert_int_equal(w.rounds, 1);
    assert_true(uv_backend_timeout(&w.loop) > 1000);
    peer_close(&c);
    close_world(&w);
}

/* Many connections, too many, and the end. */

static void a_thousand_idle_connections_are_all_served(void **state)
{
    enum { COUNT = 1000 };
    struct world w;
    static struct peer c[COUNT];
    (void)state;
    open_world(&w, (struct server_limits){0});
    w.echoes = true;
    for (int i = 0; i < COUNT; i++) {
        c[i] = peer_open(&w);
        turn(&w);
    }
    for (int i = COUNT; i-- > 0;) {
        peer_get(&w, &c[i], "/");
        peer_expect(&w, &c[i], "GET / ");
    }
    for (int i = 0; i < COUNT; i++)
        peer_close(&c[i]);
    close_world(&w);
}

static void a_connection_too_many_gets_a_503(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){.connections = 2});
    w.echoes = true;
    struct peer a = peer_open(&w), b = peer_open(&w);
    let_all_happen(&w);
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/c");
    peer_expect_problem(&w, &c, "503 Service Unavailable", "too many connections");
    peer_expect_closed(&w, &c);
    peer_get(&w, &a, "/a");
    peer_get(&w, &b, "/b");
    peer_expect(&w, &a, "GET /a ");
    peer_expect(&w, &b, "GET /b ");
    peer_close(&a);
    peer_close(&c);
    let_all_happen(&w);
    struct peer d = peer_open(&w);
    peer_get(&w, &d, "/d");
    peer_expect(&w, &d, "GET /d ");
    peer_close(&b);
    peer_close(&d);
    close_world(&w);
}

static void far_too_many_connections_are_closed_without_a_word(void **state)
{
    enum { COUNT = 100 };
    struct world w;
    static struct peer c[COUNT];
    (void)state;
    open_world(&w, (struct server_limits){.connections = 1});
    int refused = 0, dropped = 0;
    for (int i = 0; i < COUNT; i++)
        c[i] = peer_open(&w);
    let_all_happen(&w);
    for (int i = 1; i < COUNT; i++) {
        while (!c[i].is_closed) {
            turn(&w);
            peer_take(&c[i], 65536);
        }
        *(c[i].in.len ? &refused : &dropped) += 1;
    }
    assert_int_equal(refused, 64);
    assert_int_equal(dropped, COUNT - 1 - 64);
    for (int i = 0; i < COUNT; i++)
        peer_close(&c[i]);
    close_world(&w);
}

static void without_file_descriptors_clients_are_closed_and_nothing_spins(void **state)
{
    struct world w;
    struct rlimit before, tight;
    (void)state;
    open_world(&w, (struct server_limits){0});
    w.echoes = true;
    struct peer c = {.fd = new_socket(0)}, later = {.fd = new_socket(0)};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)later.fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    assert_int_equal(try_connect(&w, c.fd), 0);
    peer_expect_closed(&w, &c);
    let_all_happen(&w);
    assert_int_equal(uv_backend_timeout(&w.loop), -1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(try_connect(&w, later.fd), 0);
    peer_get(&w, &later, "/");
    peer_expect(&w, &later, "GET / ");
    peer_close(&c);
    peer_close(&later);
    close_world(&w);
}

static void draining_answers_what_was_asked_and_takes_no_more(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer idle = peer_open(&w), partial = peer_open(&w), busy = peer_open(&w);
    peer_send(&w, &partial, "GET / HTTP/1.1\r\n");
    peer_get(&w, &busy, "/1");
    peer_get(&w, &busy, "/2");
    wait_asked(&w, 2);
    let_all_happen(&w);
    server_drain(w.server, 60000, on_drained, &w);
    int fd = new_socket(0);
    let_all_happen(&w);
    assert_int_equal(try_connect(&w, fd), -1);
    close(fd);
    peer_expect_closed(&w, &idle);
    peer_get(&w, &busy, "/3");
    let_all_happen(&w);
    assert_false(w.is_drained);
    answer(&w, 1, "two", true);
    server_release(w.server, true, NULL);
    answer(&w, 0, "one", false);
    peer_expect(&w, &busy, "one");
    peer_expect_with(&w, &busy, "200 OK", "Connection: close\r\n", "two");
    peer_expect_closed(&w, &busy);
    assert_int_equal(w.asked_count, 2);
    peer_close(&busy);
    while (!w.is_drained)
        uv_run(&w.loop, UV_RUN_ONCE);
    peer_close(&idle);
    peer_close(&partial);
    close_world(&w);
}

static void draining_cuts_what_is_left_after_the_grace(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    for (int i = 0; i < 3; i++)
        peer_get(&w, &c, "/");
    wait_asked(&w, 3);
    answer(&w, 1, "held", true);
    server_drain(w.server, 10, on_drained, &w);
    while (!w.is_drained)
        uv_run(&w.loop, UV_RUN_ONCE);
    peer_expect_closed(&w, &c);
    answer(&w, 0, "into nothing", true);
    server_release(w.server, true, NULL);
    peer_close(&c);
    close_world(&w); /* with a request that is never answered */
}

static void opening_fails_with_the_reason(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct server *none = NULL;
    struct server_config config = {.address = "127.0.0.1", .port = server_port(w.server)};
    assert_int_equal(server_open(&w.loop, &config, &none), -EADDRINUSE);
    config.port = 0;
    config.address = "localhost.invalid";
    assert_int_equal(server_open(&w.loop, &config, &none), -EINVAL);
    config.address = "192.0.2.1";
    assert_int_equal(server_open(&w.loop, &config, &none), -EADDRNOTAVAIL);
    assert_null(none);
    close_world(&w);
}

int main(void)
{
    alarm(300); /* a test that waits for what never comes */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(continue_is_sent_where_it_is_waited_for),
        cmocka_unit_test(a_chunked_upload_comes_out_whole),
        cmocka_unit_test(big_answers_reach_a_slow_reader),
        cmocka_unit_test(more_than_write_bytes_waiting_ends_the_connection),
        cmocka_unit_test(too_much_waiting_for_all_ends_who_has_much),
        cmocka_unit_test(a_client_that_takes_nothing_is_cut_off),
        cmocka_unit_test(a_client_that_takes_little_at_a_time_is_served),
        cmocka_unit_test(write_bytes_counts_what_is_waiting_now),
        cmocka_unit_test(a_slow_head_is_a_408),
        cmocka_unit_test(a_slow_body_is_a_408),
        cmocka_unit_test(a_quiet_connection_is_closed_without_a_word),
        cmocka_unit_test(a_request_with_the_handler_has_no_deadline),
        cmocka_unit_test(a_round_serves_all_connections_at_once),
        cmocka_unit_test(a_wake_is_one_round_and_quiet_is_none),
        cmocka_unit_test(a_thousand_idle_connections_are_all_served),
        cmocka_unit_test(a_connection_too_many_gets_a_503),
        cmocka_unit_test(far_too_many_connections_are_closed_without_a_word),
        cmocka_unit_test(without_file_descriptors_clients_are_closed_and_nothing_spins),
        cmocka_unit_test(draining_answers_what_was_asked_and_takes_no_more),
        cmocka_unit_test(draining_cuts_what_is_left_after_the_grace),
        cmocka_unit_test(opening_fails_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
