/* The transport against a server that answers what the test says, byte for byte. */
#include "client.h"
#include "fake_server.h"
#include "net/http_client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

enum { LARGE = 1 << 21 };

struct world {
    struct fake_server *server;
    struct http_client *client;
    ks_arena mem;
    char url[64];
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    /* Nobody is there; who believed these would not get far. */
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    w->server = fake_server_new();
    fake_server_open(w->server);
    w->client = http_client_new();
    arena_init(&w->mem, 4096);
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%u/a?b", fake_server_port(w->server));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    http_client_free(w->client);
    fake_server_free(w->server);
    arena_free(&w->mem);
    free(w);
    return 0;
}

static const ks_val *headers(struct world *w, const char *json)
{
    return ks_parse_json(&w->mem, json, strlen(json));
}

static const ks_val *ask(struct world *w, const char *answer, size_t len, ks_http_request request)
{
    fake_server_answer(w->server, answer, len);
    request.url = request.url ? request.url : w->url;
    request.method = request.method ? request.method : "GET";
    request.timeout_ms = request.timeout_ms ? request.timeout_ms : 10000;
    return http_client_exchange(w->client, &w->mem, &request);
}

#define ASK(w, answer, ...) ask((w), (answer), sizeof(answer) - 1, (ks_http_request){__VA_ARGS__})

static void expect_answer(struct world *w, const ks_val *answer, const char *want)
{
    assert_string_equal(ks_to_json(&w->mem, answer), want);
}

static void expect_failure(const ks_val *answer, const char *type)
{
    if (strcmp(ks_error_type(answer), type) != 0)
        fail_msg("%s is not %s: %s", ks_error_type(answer), type, ks_text(answer));
}

/* The request, without the line that names the port. */
static void expect_request(struct world *w, size_t i, const char *want)
{
    char got[2048], host[64];
    const struct fake_request *r = fake_server_request(w->server, i);
    snprintf(host, sizeof host, "Host: 127.0.0.1:%u\r\n", fake_server_port(w->server));
    const char *at = strstr(r->text, host);
    assert_non_null(at);
    snprintf(got, sizeof got, "%.*s%s", (int)(at - r->text), r->text, at + strlen(host));
    assert_string_equal(got, want);
}

static void an_answer_comes_whole(void **state)
{
    struct world *w = *state;
    const ks_val *answer = ASK(w, "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n"
                                  "HTTP/1.1 404 Not Here\r\nSet-Cookie: a=1\r\nset-COOKIE:b=2 \r\n"
                                  "Empty:\r\nContent-Length: 3\r\n\r\nabc");
    expect_answer(w, answer,
                  "{\"status\":404,\"headers\":{\"set-cookie\":\"a=1, b=2\",\"empty\":\"\","
                  "\"content-length\":\"3\"},\"body\":\"abc\"}");
    expect_request(w, 0, "GET /a?b HTTP/1.1\r\nAccept: */*\r\n\r\n");
}

static void chunks_are_put_together(void **state)
{
    struct world *w = *state;
    const ks_val *answer = ASK(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    assert_string_equal(ks_text(ks_get(answer, "body")), "abc");
}

static void methods_and_bodies_are_as_asked(void **state)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct world *w = *state;
    ASK(w, ok, .method = "POST", .body = ks_string_n(&w->mem, "a\0b", 3),
        .headers = headers(w, "{\"A\":\"b\",\"Empty\":\"\"}"));
    expect_request(w, 0,
                   "POST /a?b HTTP/1.1\r\nAccept: */*\r\nA: b\r\nEmpty:\r\n"
                   "Content-Length: 3\r\n\r\na");
    assert_int_equal(fake_server_request(w->server, 0)->body_len, 3);
    ASK(w, ok, .method = "PUT");
    expect_request(w, 1, "PUT /a?b HTTP/1.1\r\nAccept: */*\r\nContent-Length: 0\r\n\r\n");
    ASK(w, ok, .method = "DELETE");
    expect_request(w, 2, "DELETE /a?b HTTP/1.1\r\nAccept: */*\r\n\r\n");
    ASK(w, ok, .method = "PROPFIND", .body = ks_string(&w->mem, "x"),
        .headers = headers(w, "{\"content-type\":\"text/xml\"}"));
    expect_request(w, 3,
                   "PROPFIND /a?b HTTP/1.1\r\nAccept: */*\r\ncontent-type: text/xml\r\n"
                   "Content-Length: 1\r\n\r\nx");
}

static void a_head_has_no_body(void **state)
{
    struct world *w = *state;
    const ks_val *answer = ASK(w, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", .method = "HEAD");
    assert_int_equal(ks_int(ks_get(answer, "status")), 200);
    assert_int_equal(ks_len(ks_get(answer, "body")), 0);
}

static void a_redirect_is_an_answer(void **state)
{
    struct world *w = *state;
    const ks_val *answer = ASK(w, "HTTP/1.1 302 Go\r\nLocation: /c\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(ks_int(ks_get(answer, "status")), 302);
    assert_int_equal(fake_server_count(w->server), 1);
}

static void what_is_no_answer_is_said(void **state)
{
    struct world *w = *state;
    expect_failure(ASK(w, "hello\r\n\r\n"), "BadAnswer");
    expect_failure(ASK(w, ""), "Unreachable");
    expect_failure(ASK(w, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "Unreachable");
    expect_failure(ASK(w, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                       .url = "file:///etc/passwd"),
                   "BadAnswer");
    fake_server_close(w->server);
    expect_failure(ASK(w, ""), "Unreachable");
}

static void tls_that_is_none_is_refused(void **state)
{
    struct world *w = *state;
    const char *url = ks_format(&w->mem, "https%s", w->url + 4);
    fake_server_answer(w->server, NULL, 0);
    ks_http_request request = {.url = url, .method = "GET", .timeout_ms = 500};
    assert_true(ks_is_error(http_client_exchange(w->client, &w->mem, &request)));
    assert_int_equal(fake_server_count(w->server), 0);
}

static void too_much_is_refused(void **state)
{
    struct world *w = *state;
    /* Not on the stack: the server may be sending still. */
    static char large[LARGE], many[LARGE];
    memset(large, 'x', LARGE);
    int n = sprintf(large, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    large[n] = 'x';
    expect_failure(ask(w, large, LARGE, (ks_http_request){0}), "BadAnswer");
    n = sprintf(many, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 80; i++)
        n += sprintf(many + n, "A%d: %01000d\r\n", i, 0);
    n += sprintf(many + n, "\r\n");
    expect_failure(ask(w, many, (size_t)n, (ks_http_request){0}), "BadAnswer");
}

static void silence_ends_with_the_time_limit(void **state)
{
    struct world *w = *state;
    ks_http_request request = {.url = w->url, .method = "GET", .timeout_ms = 50};
    fake_server_answer(w->server, NULL, 0);
    expect_failure(http_client_exchange(w->client, &w->mem, &request), "Timeout");
}

static void *exchange_in_silence(void *arg)
{
    struct world *w = arg;
    ks_http_request request = {.url = w->url, .method = "GET", .timeout_ms = 600000};
    return (void *)(uintptr_t)http_client_exchange(w->client, &w->mem, &request);
}

static void the_end_breaks_off_what_runs(void **state)
{
    struct world *w = *state;
    pthread_t thread;
    void *result;
    fake_server_answer(w->server, NULL, 0);
    assert_int_equal(pthread_create(&thread, NULL, exchange_in_silence, w), 0);
    assert_true(fake_server_await(w->server, 1));
    http_client_end(w->client);
    pthread_join(thread, &result);
    expect_failure(result, "Unreachable");
    expect_failure(ASK(w, "HTTP/1.1 200 OK\r\n\r\n"), "Unreachable");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_whole),
        TEST(chunks_are_put_together),
        TEST(methods_and_bodies_are_as_asked),
        TEST(a_head_has_no_body),
        TEST(a_redirect_is_an_answer),
        TEST(what_is_no_answer_is_said),
        TEST(tls_that_is_none_is_refused),
        TEST(too_much_is_refused),
        TEST(silence_ends_with_the_time_limit),
        TEST(the_end_breaks_off_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
