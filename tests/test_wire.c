/* test_wire.c - what the registry makes of bytes: requests in pieces and in heaps, requests that
 * two servers could read differently, and ones that are too large
 *
 * Each shape that has to be refused asks for a registry to be opened, and has a second such request
 * behind it; so that nothing happened can be seen in Stats.
 */
#include "contract.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN "GET /api/Open HTTP/1.1\r\n"
#define POST "POST /api/Open HTTP/1.1\r\nHost: localhost\r\n"
#define HOST "Host: localhost\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define EMPTY_CHUNK "0\r\n\r\n"
#define SHAPE(claim_, bytes_) \
    { \
        claim_, bytes_, sizeof(bytes_) - 1 \
    }

struct shape {
    const char *claim;
    const char *bytes;
    size_t len;
};

static const struct shape refused[] = {
    SHAPE("two_content_lengths", POST "Content-Length: 0\r\nContent-Length: 5\r\n\r\n"),
    SHAPE("the_same_content_length_twice", POST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
    SHAPE("a_list_of_content_lengths", POST "Content-Length: 0, 0\r\n\r\n"),
    SHAPE("content_length_with_a_sign", POST "Content-Length: +0\r\n\r\n"),
    SHAPE("negative_content_length", POST "Content-Length: -1\r\n\r\n"),
    SHAPE("hexadecimal_content_length", POST "Content-Length: 0x0\r\n\r\n"),
    SHAPE("empty_content_length", POST "Content-Length: \r\n\r\n"),
    SHAPE("content_length_with_a_blank_in_it", POST "Content-Length: 0 0\r\n\r\n"),
    SHAPE("content_length_with_an_underscore", POST "Content-Length: 0_0\r\n\r\n"),
    SHAPE("content_length_that_overflows", POST "Content-Length: 18446744073709551616\r\n\r\n"),
    SHAPE("content_length_with_transfer_encoding",
          POST "Content-Length: 5\r\n" CHUNKED "\r\n" EMPTY_CHUNK),
    SHAPE("transfer_encoding_with_content_length",
          POST CHUNKED "Content-Length: 5\r\n\r\n" EMPTY_CHUNK),
    SHAPE("another_transfer_encoding", POST "Transfer-Encoding: gzip\r\n\r\n"),
    SHAPE("two_transfer_codings", POST "Transfer-Encoding: gzip, chunked\r\n\r\n" EMPTY_CHUNK),
    SHAPE("chunked_twice", POST CHUNKED CHUNKED "\r\n" EMPTY_CHUNK),
    SHAPE("chunked_with_something_before", POST "Transfer-Encoding: xchunked\r\n\r\n"),
    SHAPE("identity", POST "Transfer-Encoding: identity\r\n\r\n"),
    SHAPE("empty_transfer_encoding", POST "Transfer-Encoding:\r\n\r\n" EMPTY_CHUNK),
    SHAPE("transfer_encoding_in_1_0",
          "POST /api/Open HTTP/1.0\r\n" HOST CHUNKED "\r\n" EMPTY_CHUNK),
    SHAPE("chunk_size_that_is_no_number", POST CHUNKED "\r\nx\r\n\r\n"),
    SHAPE("chunk_size_with_0x", POST CHUNKED "\r\n0x0\r\n\r\n"),
    SHAPE("chunk_size_with_a_sign", POST CHUNKED "\r\n-0\r\n\r\n"),
    SHAPE("chunk_size_that_overflows", POST CHUNKED "\r\n10000000000000000\r\n\r\n"),
    SHAPE("chunk_longer_than_it_says", POST CHUNKED "\r\n1\r\nab\r\n" EMPTY_CHUNK),
    SHAPE("bare_lf_behind_the_request_line", "GET /api/Open HTTP/1.1\n" HOST "\r\n"),
    SHAPE("bare_lf_behind_a_header", OPEN "Host: localhost\n\r\n"),
    SHAPE("bare_lf_as_the_empty_line", OPEN HOST "\n"),
    SHAPE("bare_cr_in_a_header", OPEN HOST "A: b\rc\r\n\r\n"),
    SHAPE("bare_lf_in_chunked", POST CHUNKED "\r\n0\n\n"),
    SHAPE("folded_header", OPEN HOST "A: b\r\n c\r\n\r\n"),
    SHAPE("folded_first_header", OPEN " " HOST "\r\n"),
    SHAPE("blank_before_the_colon", OPEN HOST "A : b\r\n\r\n"),
    SHAPE("tab_before_the_colon", POST "Content-Length\t: 5\r\n\r\n"),
    SHAPE("header_without_a_colon", OPEN HOST "A\r\n\r\n"),
    SHAPE("header_without_a_name", OPEN HOST ": b\r\n\r\n"),
    SHAPE("header_name_that_is_no_token", OPEN HOST "A(b): c\r\n\r\n"),
    SHAPE("nul_in_a_header", OPEN HOST "A: b\0c\r\n\r\n"),
    SHAPE("nul_in_a_header_name", OPEN HOST "A\0b: c\r\n\r\n"),
    SHAPE("nul_in_the_target", "GET /api/Open\0 HTTP/1.1\r\n" HOST "\r\n"),
    SHAPE("no_host", OPEN "\r\n"),
    SHAPE("two_hosts", OPEN HOST HOST "\r\n"),
    SHAPE("two_blanks_in_the_request_line", "GET  /api/Open HTTP/1.1\r\n" HOST "\r\n"),
    SHAPE("blank_in_the_target", "GET /api/Open b HTTP/1.1\r\n" HOST "\r\n"),
    SHAPE("method_that_is_no_token", "G@T /api/Open HTTP/1.1\r\n" HOST "\r\n"),
    SHAPE("no_method", " /api/Open HTTP/1.1\r\n" HOST "\r\n"),
    SHAPE("no_version", "GET /api/Open\r\n" HOST "\r\n"),
    SHAPE("version_that_is_none", "GET /api/Open HTTP/1.x\r\n" HOST "\r\n"),
    SHAPE("no_http_at_all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
};

static void a_shape_is_refused_and_the_connection_closed(void **state)
{
    static const char behind[] = OPEN HOST "\r\n";
    struct world *w = *state;
    const struct shape *shape = w->row;
    char bytes[1024];
    memcpy(bytes, shape->bytes, shape->len);
    memcpy(bytes + shape->len, behind, sizeof behind - 1);
    assert_int_equal(ask_raw(w, bytes, shape->len + sizeof behind - 1)->status, 400);
    expect_header(&w->answer, "Connection", "close");
    assert_true(w->answer.body_len > 0);
    assert_true(client_is_at_end(&w->client));
    client_disconnect(&w->client);
    expect_stats(w, 0, 0, 0, 0);
}

/* The refusal comes, the connection ends, the next one is served. */
static void expect_too_large(struct world *w, const char *bytes, size_t len, int status)
{
    assert_int_equal(ask_raw(w, bytes, len)->status, status);
    assert_true(w->answer.body_len > 0);
    assert_true(client_is_at_end(&w->client));
    client_disconnect(&w->client);
    expect_stats(w, 0, 0, 0, 0);
}

static void a_long_url_is_414(void **state)
{
    enum { LEN = 65536 };
    char *bytes = malloc(LEN + 128);
    assert_non_null(bytes);
    int n = sprintf(bytes, "GET /api/Open?x=");
    memset(bytes + n, 'a', LEN);
    n = n + LEN + sprintf(bytes + n + LEN, " HTTP/1.1\r\n" HOST "\r\n");
    expect_too_large(*state, bytes, (size_t)n, 414);
    free(bytes);
}

static void long_headers_are_431(void **state)
{
    enum { LEN = 65536 };
    char *bytes = malloc(LEN + 128);
    assert_non_null(bytes);
    int n = sprintf(bytes, OPEN HOST "X-Long: ");
    memset(bytes + n, 'a', LEN);
    n = n + LEN + sprintf(bytes + n + LEN, "\r\n\r\n");
    expect_too_large(*state, bytes, (size_t)n, 431);
    free(bytes);
}

static void many_headers_are_431(void **state)
{
    char bytes[8192] = OPEN HOST, *at = bytes + strlen(bytes);
    for (int i = 0; i < 1000; i++)
        at += sprintf(at, "a:\r\n");
    at += sprintf(at, "\r\n");
    expect_too_large(*state, bytes, (size_t)(at - bytes), 431);
}

static void a_large_body_is_413_before_it_is_sent(void **state)
{
    static const char bytes[] = POST "Content-Length: 104857600\r\n\r\n";
    expect_too_large(*state, bytes, sizeof bytes - 1, 413);
}

static void a_large_chunked_body_is_413(void **state)
{
    static const char bytes[] = POST CHUNKED "\r\n6400000\r\n";
    expect_too_large(*state, bytes, sizeof bytes - 1, 413);
}

static void a_client_that_sends_all_of_a_large_body_sees_413(void **state)
{
    enum { LEN = 2 << 20 };
    char *bytes = malloc(LEN + 128);
    assert_non_null(bytes);
    int n = sprintf(bytes, POST "Content-Length: %d\r\n\r\n", LEN);
    memset(bytes + n, 'a', LEN);
    expect_too_large(*state, bytes, (size_t)n + LEN, 413);
    free(bytes);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE], bytes[8192] = "", *at = bytes, wanted[32];
    open_registry(w, id);
    for (int i = 0; i < 20; i++)
        at += sprintf(at,
                      "GET /api/Add/%s?item=%d HTTP/1.1\r\n" HOST "\r\n"
                      "GET /api/Stats HTTP/1.1\r\n" HOST "\r\n",
                      id, i);
    assert_int_equal(client_send(&w->client, bytes, (size_t)(at - bytes)), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(client_read(&w->client, false, &w->answer), 0);
        expect(&w->answer, 200, "");
        assert_int_equal(client_read(&w->client, false, &w->answer), 0);
        snprintf(wanted, sizeof wanted, "\"itemsCount\":%d,", i + 1);
        assert_non_null(strstr(w->answer.body, wanted));
    }
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char bytes[] = OPEN HOST "\r\n";
    struct world *w = *state;
    assert_int_equal(client_connect(&w->client), 0);
    for (size_t i = 0; i < sizeof bytes - 1; i++)
        assert_int_equal(client_send(&w->client, bytes + i, 1), 0);
    assert_int_equal(client_read(&w->client, false, &w->answer), 0);
    assert_int_equal(w->answer.status, 200);
    expect_stats(w, 1, 0, 1, 0);
}

static void half_a_request_has_no_effect(void **state)
{
    static const char head[] = OPEN HOST, body[] = POST "Content-Length: 5\r\n\r\nab";
    struct world *w = *state;
    assert_int_equal(client_connect(&w->client), 0);
    assert_int_equal(client_send(&w->client, head, sizeof head - 1), 0);
    client_disconnect(&w->client);
    assert_int_equal(client_connect(&w->client), 0);
    assert_int_equal(client_send(&w->client, body, sizeof body - 1), 0);
    client_disconnect(&w->client);
    expect_stats(w, 0, 0, 0, 0);
}

static void a_body_may_be_chunked(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE], bytes[512];
    open_registry(w, id);
    int n = sprintf(bytes,
                    "POST /api/Add/%s HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n" CHUNKED
                    "\r\n9\r\nCommodore\r\n003\r\n 64\r\n" EMPTY_CHUNK,
                    id);
    assert_int_equal(ask_raw(w, bytes, (size_t)n)->status, 200);
    expect_only_item(w, id, "Commodore 64", 12);
}

static void a_client_that_waits_for_100_gets_it(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE], bytes[512];
    open_registry(w, id);
    int n = sprintf(bytes,
                    "POST /api/Add/%s HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n"
                    "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n",
                    id);
    assert_int_equal(ask_raw(w, bytes, (size_t)n)->status, 100);
    assert_int_equal(client_send(&w->client, "x", 1), 0);
    assert_int_equal(client_read(&w->client, false, &w->answer), 0);
    assert_int_equal(w->answer.status, 200);
    expect_only_item(w, id, "x", 1);
}

static void a_connection_is_kept_until_the_client_says_close(void **state)
{
    static const char keep[] = OPEN HOST "\r\n", last[] = OPEN HOST "Connection: close\r\n\r\n";
    struct world *w = *state;
    assert_int_equal(ask_raw(w, keep, sizeof keep - 1)->status, 200);
    for (int i = 0; i < 100; i++) {
        assert_true(w->client.fd >= 0);
        expect(get(w, "/admin/host/ping"), 200, "");
    }
    assert_int_equal(ask_raw(w, last, sizeof last - 1)->status, 200);
    expect_header(&w->answer, "Connection", "close");
    assert_true(client_is_at_end(&w->client));
}

static void http_1_0_is_answered_and_closed(void **state)
{
    static const char bytes[] = "GET /api/Open HTTP/1.0\r\n" HOST "\r\n";
    struct world *w = *state;
    assert_int_equal(ask_raw(w, bytes, sizeof bytes - 1)->status, 200);
    assert_true(client_is_at_end(&w->client));
}

#define TEST(claim) \
    { \
#claim, claim, set_up, tear_down, NULL \
    }
#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const struct CMUnitTest claims[] = {
    TEST(a_long_url_is_414),
    TEST(long_headers_are_431),
    TEST(many_headers_are_431),
    TEST(a_large_body_is_413_before_it_is_sent),
    TEST(a_large_chunked_body_is_413),
    TEST(a_client_that_sends_all_of_a_large_body_sees_413),
    TEST(pipelined_requests_are_answered_in_order),
    TEST(a_request_may_come_byte_by_byte),
    TEST(half_a_request_has_no_effect),
    TEST(a_body_may_be_chunked),
    TEST(a_client_that_waits_for_100_gets_it),
    TEST(a_connection_is_kept_until_the_client_says_close),
    TEST(http_1_0_is_answered_and_closed),
};

int main(void)
{
    static struct CMUnitTest tests[LENGTH(claims) + LENGTH(refused)];
    memcpy(tests, claims, sizeof claims);
    for (size_t i = 0; i < LENGTH(refused); i++)
        tests[LENGTH(claims) + i] =
            (struct CMUnitTest){refused[i].claim, a_shape_is_refused_and_the_connection_closed,
                                set_up, tear_down, (void *)(uintptr_t)&refused[i]};
    return _cmocka_run_group_tests("wire", tests, LENGTH(tests), NULL, NULL);
}
