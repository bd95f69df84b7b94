/* test_server.c - the order of answers, what is held, how connections end */
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

/* Keep-alive, order, pipelines. */

static void a_connection_takes_one_request_after_the_other(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    w.echoes = true;
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/1");
    peer_expect_with(&w, &c, "200 OK", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "GET /1 ");
    peer_send(&w, &c, "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    peer_expect(&w, &c, "POST /2 abc");
    peer_expect_nothing_yet(&w, &c);
    peer_close(&c);
    close_world(&w);
}

static void requests_in_one_packet_are_answered_in_order(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    w.echoes = true;
    struct peer c = peer_open(&w);
    peer_send(&w, &c,
              "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
              "PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
              "GET /3 HTTP/1.1\r\nHost: a\r\n\r\nGET /4 HTTP/1.1\r\nHo");
    peer_expect(&w, &c, "GET /1 ");
    peer_expect(&w, &c, "PUT /2 x");
    peer_expect(&w, &c, "GET /3 ");
    peer_expect_nothing_yet(&w, &c);
    peer_send(&w, &c, "st: a\r\n\r\n");
    peer_expect(&w, &c, "GET /4 ");
    peer_close(&c);
    close_world(&w);
}

static void requests_arrive_in_single_bytes(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    w.echoes = true;
    struct peer c = peer_open(&w);
    const char *bytes = "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    for (; *bytes; bytes++) {
        peer_send_bytes(&w, &c, bytes, 1);
        turn(&w);
    }
    peer_expect(&w, &c, "POST /1 abc");
    peer_expect(&w, &c, "GET /2 ");
    peer_close(&c);
    close_world(&w);
}

static void answers_leave_in_the_order_of_their_requests(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/1");
    peer_get(&w, &c, "/2");
    peer_get(&w, &c, "/3");
    wait_asked(&w, 3);
    answer(&w, 2, "three", false);
    answer(&w, 1, "two", false);
    peer_expect_nothing_yet(&w, &c);
    answer(&w, 0, "one", false);
    peer_expect(&w, &c, "one");
    peer_expect(&w, &c, "two");
    peer_expect(&w, &c, "three");
    peer_close(&c);
    close_world(&w);
}

static void a_held_answer_waits_for_release_and_holds_what_is_behind_it(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w), other = peer_open(&w);
    for (int i = 0; i < 4; i++)
        peer_get(&w, &c, "/");
    wait_asked(&w, 4);
    peer_get(&w, &other, "/");
    wait_asked(&w, 5);
    answer(&w, 0, "free", false);
    answer(&w, 1, "held", true);
    answer(&w, 2, "behind", false);
    answer(&w, 4, "other connection", false);
    peer_expect(&w, &c, "free");
    peer_expect(&w, &other, "other connection");
    peer_expect_nothing_yet(&w, &c);
    server_release(w.server, true, NULL);
    peer_expect(&w, &c, "held");
    peer_expect(&w, &c, "behind");
    answer(&w, 3, "later", true);
    peer_expect_nothing_yet(&w, &c);
    server_release(w.server, true, NULL);
    peer_expect(&w, &c, "later");
    peer_close(&c);
    peer_close(&other);
    close_world(&w);
}

static void a_failed_commit_makes_held_answers_503_and_no_others(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    for (int i = 0; i < 3; i++)
        peer_get(&w, &c, "/");
    peer_send(&w, &c, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_asked(&w, 4);
    answer(&w, 3, "head", true);
    answer(&w, 2, "free", false);
    answer(&w, 1, "second", true);
    answer(&w, 0, "first", true);
    server_release(w.server, false, "disk says \"no\"");
    const char *problem = "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\","
                          "\"status\":503,\"detail\":\"disk says \\\"no\\\"\"}";
    peer_expect_with(&w, &c, "503 Service Unavailable", "Retry-After: 1\r\n", problem);
    peer_expect_with(&w, &c, "503 ", "Content-Type: application/problem+json\r\n", problem);
    peer_expect(&w, &c, "free");
    char *head = peer_read_head(&w, &c, NULL);
    assert_non_null(strstr(head, "503 "));
    assert_int_equal(strtoul(strstr(head, "Content-Length: ") + 16, NULL, 10), strlen(problem));
    free(head);
    peer_get(&w, &c, "/");
    wait_asked(&w, 5);
    answer(&w, 4, "still here", false);
    peer_expect(&w, &c, "still here");
    peer_close(&c);
    close_world(&w);
}

static void at_most_16_requests_of_a_connection_are_with_the_handler(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    char text[32];
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "/%d", i);
        peer_get(&w, &c, text);
    }
    let_all_happen(&w);
    assert_int_equal(w.asked_count, SERVER_PIPELINE_MAX);
    for (size_t i = 0; i < 300; i++) {
        let_all_happen(&w);
        /* Fewer at the end of a buffer, which does not move while it is in use. */
        assert_in_range(w.asked_count - i, 1, SERVER_PIPELINE_MAX);
        snprintf(text, sizeof text, "/%zu", i);
        assert_true(str_is(w.asked[i].http->target, str_of(text)));
        echo(&w, i);
        server_release(w.server, true, NULL);
    }
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "GET /%d ", i);
        peer_expect(&w, &c, text);
    }
    peer_close(&c);
    close_world(&w);
}

static void a_request_does_not_move_while_more_arrives(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    struct buf body = {0};
    memset(buf_reserve(&body, HTTP1_BODY_MAX), 'b', HTTP1_BODY_MAX);
    peer_get(&w, &c, "/first");
    peer_send(&w, &c, "POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n");
    peer_send_bytes(&w, &c, body.at, 20000);
    let_all_happen(&w);
    assert_int_equal(w.asked_count, 1);
    assert_true(str_is(w.asked[0].http->target, STR("/first")));
    assert_true(str_is(http1_find(w.asked[0].http, "Host"), STR("a")));
    answer(&w, 0, "one", false);
    peer_expect(&w, &c, "one");
    peer_send_bytes(&w, &c, body.at, HTTP1_BODY_MAX - 20000);
    wait_asked(&w, 2);
    assert_int_equal(w.asked[1].http->body.len, HTTP1_BODY_MAX);
    assert_memory_equal(w.asked[1].http->body.at, body.at, HTTP1_BODY_MAX);
    answer(&w, 1, "two", false);
    peer_expect(&w, &c, "two");
    buf_free(&body);
    peer_close(&c);
    close_world(&w);
}

/* The ends of connections. */

static void a_half_closed_client_gets_its_answers(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/1");
    peer_get(&w, &c, "/2");
    peer_send(&w, &c, "GET /3 HT");
    shutdown(c.fd, SHUT_WR);
    wait_asked(&w, 2);
    peer_expect_nothing_yet(&w, &c);
    answer(&w, 0, "one", true);
    answer(&w, 1, "two", false);
    server_release(w.server, true, NULL);
    peer_expect(&w, &c, "one");
    peer_expect_with(&w, &c, "200 OK", "Connection: close\r\n", "two");
    peer_expect_closed(&w, &c);
    peer_close(&c);
    close_world(&w);
}

static void a_client_that_goes_without_a_request_is_forgotten(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer silent = peer_open(&w), partial = peer_open(&w), rude = peer_open(&w);
    peer_send(&w, &partial, "GET / HTTP/1.1\r\n");
    peer_send(&w, &rude, "GET / HTTP/1.1\r\n");
    let_all_happen(&w);
    shutdown(silent.fd, SHUT_WR);
    shutdown(partial.fd, SHUT_WR);
    peer_abort(&rude);
    peer_expect_closed(&w, &silent);
    peer_expect_closed(&w, &partial);
    assert_int_equal(w.asked_count, 0);
    peer_close(&silent);
    peer_close(&partial);
    close_world(&w);
}

static void a_vanished_clients_requests_stay_valid_and_are_answered_into_nothing(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/1");
    peer_get(&w, &c, "/2");
    peer_get(&w, &c, "/3");
    wait_asked(&w, 3);
    answer(&w, 2, "ready", false);
    answer(&w, 0, "held", true);
    peer_abort(&c);
    let_all_happen(&w);
    assert_true(str_is(w.asked[1].http->target, STR("/2")));
    server_release(w.server, true, NULL);
    let_all_happen(&w);
    assert_true(str_is(w.asked[1].http->target, STR("/2")));
    answer(&w, 1, "into nothing", true);
    server_release(w.server, true, NULL);
    let_all_happen(&w);
    struct peer next = peer_open(&w);
    peer_get(&w, &next, "/4");
    wait_asked(&w, 4);
    answer(&w, 3, "four", false);
    peer_expect(&w, &next, "four");
    peer_close(&next);
    close_world(&w);
}

static void a_client_that_vanishes_before_its_held_answer_is_released_does_no_harm(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/");
    wait_asked(&w, 1);
    answer(&w, 0, "held", true);
    peer_abort(&c);
    let_all_happen(&w);
    server_release(w.server, false, "no");
    let_all_happen(&w);
    close_world(&w);
}

static void close_is_said_and_done(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    w.echoes = true;
    static const char *const closing[] = {
        "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x HTTP/1.0\r\n\r\n",
    };
    for (size_t i = 0; i < 2; i++) {
        struct peer c = peer_open(&w);
        peer_send(&w, &c, closing[i]);
        peer_expect_with(&w, &c, "200 OK", "Connection: close\r\n", "GET /x ");
        peer_expect_closed(&w, &c);
        peer_close(&c);
    }
    struct peer old = peer_open(&w);
    peer_send(&w, &old, "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    peer_expect_with(&w, &old, "200 OK", "Connection: keep-alive\r\n", "GET /x ");
    peer_send(&w, &old, "GET /y HTTP/1.0\r\n\r\n");
    peer_expect_with(&w, &old, "200 OK", "Connection: close\r\n", "GET /y ");
    peer_expect_closed(&w, &old);
    peer_close(&old);
    close_world(&w);
}

static void nothing_is_answered_behind_an_answer_that_closes(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    for (int i = 0; i < 4; i++)
        peer_get(&w, &c, "/");
    wait_asked(&w, 4);
    answer(&w, 2, "never seen", true);
    answer(&w, 1, "neither", false);
    server_answer(w.asked[0].req, &(struct http1_answer){.status = 200, .close = true}, false);
    peer_expect_with(&w, &c, "200 OK", "Connection: close\r\n", "");
    peer_expect_closed(&w, &c);
    server_release(w.server, true, NULL);
    peer_close(&c);
    let_all_happen(&w);
    answer(&w, 3, "into nothing", false);
    close_world(&w);
}

static void a_refusal_is_an_answer_in_order_and_then_the_connection_ends(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    peer_get(&w, &c, "/");
    peer_send(&w, &c, "GET / HTTP/1.1\r\nHost : a\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_asked(&w, 1);
    peer_expect_nothing_yet(&w, &c);
    answer(&w, 0, "good", true);
    server_release(w.server, true, NULL);
    peer_expect(&w, &c, "good");
    peer_expect_problem(&w, &c, "400 Bad Request", "\"status\":400,\"detail\":\"A header line");
    peer_expect_closed(&w, &c);
    assert_int_equal(w.asked_count, 1);
    peer_close(&c);
    close_world(&w);
}

static void a_client_that_goes_on_sending_sees_its_refusal(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    struct buf body = {0};
    memset(buf_reserve(&body, 900000), 'b', 900000);
    peer_send(&w, &c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n");
    peer_send_bytes(&w, &c, body.at, 900000);
    peer_expect_problem(&w, &c, "413 Content Too Large", "1,048,576");
    peer_expect_closed(&w, &c);
    peer_close(&c);
    buf_free(&body);
    close_world(&w);
}

static void a_client_that_sends_without_end_is_cut_off(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, (struct server_limits){0});
    struct peer c = peer_open(&w);
    char block[65536] = {0};
    while (send(c.fd, block, sizeof block, MSG_NOSIGNAL | MSG_DONTWAIT) > 0 || errno == EAGAIN)
        turn(&w);
    peer_close(&c);
    close_world(&w);
}

int main(void)
{
    alarm(300); /* a test that waits for what never comes */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_takes_one_request_after_the_other),
        cmocka_unit_test(requests_in_one_packet_are_answered_in_order),
        cmocka_unit_test(requests_arrive_in_single_bytes),
        cmocka_unit_test(answers_leave_in_the_order_of_their_requests),
        cmocka_unit_test(a_held_answer_waits_for_release_and_holds_what_is_behind_it),
        cmocka_unit_test(a_failed_commit_makes_held_answers_503_and_no_others),
        cmocka_unit_test(at_most_16_requests_of_a_connection_are_with_the_handler),
        cmocka_unit_test(a_request_does_not_move_while_more_arrives),
        cmocka_unit_test(a_half_closed_client_gets_its_answers),
        cmocka_unit_test(a_client_that_goes_without_a_request_is_forgotten),
        cmocka_unit_test(a_vanished_clients_requests_stay_valid_and_are_answered_into_nothing),
        cmocka_unit_test(a_client_that_vanishes_before_its_held_answer_is_released_does_no_harm),
        cmocka_unit_test(close_is_said_and_done),
        cmocka_unit_test(nothing_is_answered_behind_an_answer_that_closes),
        cmocka_unit_test(a_refusal_is_an_answer_in_order_and_then_the_connection_ends),
        cmocka_unit_test(a_client_that_goes_on_sending_sees_its_refusal),
        cmocka_unit_test(a_client_that_sends_without_end_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
