/* test_http1.c - requests out of bytes, answers into bytes
 *
 * Every vector is read whole, byte by byte, and cut in two at every place, and must come out the
 * same. Each also goes through Debian's http-parser, which is the oracle here: what it refuses we
 * refuse, and what we accept it reads the same way. So do some ten thousand random mutations.
 */
#include "net/http1.h"

#include "base/die.h"
#include "http1_outcome.h"
#include "http1_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_outcome(struct str bytes, const char *wanted, struct buf got)
{
    if (strcmp(wanted, got.at) != 0)
        fail_msg("%.*s\n--- came out as\n%s\n--- and not as\n%s", (int)bytes.len, bytes.at, got.at,
                 wanted);
    buf_free(&got);
}

static void assert_same_however_cut(struct str bytes)
{
    struct buf whole = outcome(bytes);
    for (size_t cut = 1; cut < bytes.len; cut++)
        assert_outcome(bytes, whole.at, outcome_in_pieces(bytes, cut, bytes.len));
    assert_outcome(bytes, whole.at, outcome_in_pieces(bytes, 1, 1));
    assert_outcome(bytes, whole.at, outcome_in_pieces(bytes, 1, 3));
    buf_free(&whole);
}

/* What we take, the oracle takes and reads the same. (It is the other half that makes us strict:
 * the vectors below.) */
static void assert_oracle_agrees(struct str bytes)
{
    struct buf ours = outcome(bytes);
    if (oracle_has_to_agree(bytes, &ours))
        assert_outcome(bytes, strchr(ours.at, '\n') + 1, oracle_outcome(bytes));
    buf_free(&ours);
}

static void good_requests_are_taken_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACCEPTED_COUNT; i++) {
        struct buf got = outcome(accepted[i]);
        if (strncmp(got.at, "took ", 5) != 0)
            fail_msg("%s: %.*s", got.at, (int)accepted[i].len, accepted[i].at);
        buf_free(&got);
        assert_same_however_cut(accepted[i]);
    }
}

static void bad_requests_are_refused_however_they_are_cut(void **state)
{
    (void)state;
    assert_true(REFUSED_COUNT >= 60);
    for (size_t i = 0; i < REFUSED_COUNT; i++) {
        char wanted[16];
        snprintf(wanted, sizeof wanted, "refused %d ", refused[i].status);
        struct buf got = outcome(refused[i].bytes);
        if (strncmp(got.at, wanted, strlen(wanted)) != 0)
            fail_msg("%s, not %s: %.*s", got.at, wanted, (int)refused[i].bytes.len,
                     refused[i].bytes.at);
        buf_free(&got);
        assert_same_however_cut(refused[i].bytes);
    }
}

static void an_unfinished_request_waits(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACCEPTED_COUNT; i++) {
        struct buf got = outcome(accepted[i]);
        size_t took = (size_t)atoi(got.at + 5);
        buf_free(&got);
        for (size_t len = 1; len < took; len++)
            assert_outcome(accepted[i], "waits", outcome((struct str){accepted[i].at, len}));
    }
}

static void http_parser_reads_what_we_accept_the_same_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACCEPTED_COUNT; i++)
        assert_oracle_agrees(accepted[i]);
    for (size_t i = 0; i < REFUSED_COUNT; i++)
        assert_oracle_agrees(refused[i].bytes);
}

/* xorshift64: what a seed makes is the same everywhere. */
static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void mutate(struct buf *b, uint64_t *seed)
{
    static const char likely[] = "\r\n \t:;,0159afF\0\x7f\x80/*GH#\r\n";
    size_t at = random_next(seed) % b->len;
    char byte = likely[random_next(seed) % (sizeof likely - 1)];
    switch (random_next(seed) % 4) {
    case 0:
        b->at[at] = byte;
        return;
    case 1:
        memmove(b->at + at, b->at + at + 1, --b->len - at);
        return;
    case 2:
        buf_byte(b, 0);
        memmove(b->at + at + 1, b->at + at, b->len - 1 - at);
        b->at[at] = byte;
        return;
    default: /* a piece of the request a second time, where it does not belong */
        for (size_t n = random_next(seed) % 40; n && at < b->len; n--)
            buf_byte(b, (uint8_t)b->at[at++]);
        return;
    }
}

static void mutated_requests_come_out_as_in_http_parser_and_however_they_are_cut(void **state)
{
    (void)state;
    uint64_t seed = 0x6b65657073616b65;
    for (int i = 0; i < 40000; i++) {
        struct buf bytes = {0};
        struct str from = accepted[random_next(&seed) % ACCEPTED_COUNT];
        buf_append(&bytes, from.at, from.len);
        for (uint64_t n = 1 + random_next(&seed) % 3; n && bytes.len > 1; n--)
            mutate(&bytes, &seed);
        struct str mutated = {bytes.at, bytes.len};
        assert_oracle_agrees(mutated);
        struct buf whole = outcome(mutated);
        size_t cut = 1 + random_next(&seed) % bytes.len;
        assert_outcome(mutated, whole.at, outcome_in_pieces(mutated, cut, 1 + cut % 7));
        buf_free(&whole);
        buf_free(&bytes);
    }
}

/* Limits, each at n - 1, n and n + 1. */

static void repeat(struct buf *b, char byte, size_t n)
{
    memset(buf_reserve(b, n), byte, n);
    b->len += n;
}

/* Reads what is in the buffer whole, and once more in pieces: 0 when taken, else the status. */
static int status_of(struct buf *bytes)
{
    int statuses[2] = {0};
    for (int i = 0; i < 2; i++) {
        struct str view = {bytes->at, bytes->len};
        struct buf got = i ? outcome_in_pieces(view, 1, 997) : outcome(view);
        assert_string_not_equal(got.at, "waits");
        statuses[i] = got.at[0] == 'r' ? atoi(got.at + 8) : 0;
        buf_free(&got);
    }
    assert_int_equal(statuses[0], statuses[1]);
    buf_free(bytes);
    return statuses[0];
}

static int status_with_target(const char *method, size_t len)
{
    struct buf b = {0};
    buf_printf(&b, "%s /", method);
    repeat(&b, 'a', len - 1);
    buf_str(&b, " HTTP/1.1\r\n" HOST "\r\n");
    return status_of(&b);
}

static void a_target_may_have_32768_bytes(void **state)
{
    (void)state;
    assert_int_equal(status_with_target("GET", HTTP1_TARGET_MAX - 1), 0);
    assert_int_equal(status_with_target("GET", HTTP1_TARGET_MAX), 0);
    assert_int_equal(status_with_target("OPTIONS", HTTP1_TARGET_MAX), 0);
    assert_int_equal(status_with_target("GET", HTTP1_TARGET_MAX + 1), 414);
    assert_int_equal(status_with_target("GET", HTTP1_TARGET_MAX + 1000), 414);
    struct buf endless = {0};
    buf_str(&endless, "GET /");
    repeat(&endless, 'a', HTTP1_TARGET_MAX + 100);
    assert_int_equal(status_of(&endless), 414);
}

static int status_with_header_bytes(size_t len)
{
    struct buf b = {0};
    buf_str(&b, "GET / HTTP/1.1\r\n" HOST "X: ");
    repeat(&b, 'a', len - strlen(HOST "X: \r\n"));
    buf_str(&b, "\r\n\r\n");
    return status_of(&b);
}

static void header_lines_may_have_16384_bytes(void **state)
{
    (void)state;
    for (size_t under = 1; under < 4; under++)
        assert_int_equal(status_with_header_bytes(HTTP1_HEADERS_BYTES_MAX - under), 0);
    assert_int_equal(status_with_header_bytes(HTTP1_HEADERS_BYTES_MAX), 0);
    for (size_t over = 1; over < 4; over++)
        assert_int_equal(status_with_header_bytes(HTTP1_HEADERS_BYTES_MAX + over), 431);
}

static int status_with_headers(int count)
{
    struct buf b = {0};
    buf_str(&b, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 1; i < count; i++)
        buf_str(&b, "X: a\r\n");
    buf_str(&b, "\r\n");
    return status_of(&b);
}

static void there_may_be_64_header_lines(void **state)
{
    (void)state;
    assert_int_equal(status_with_headers(HTTP1_HEADERS_MAX - 1), 0);
    assert_int_equal(status_with_headers(HTTP1_HEADERS_MAX), 0);
    assert_int_equal(status_with_headers(HTTP1_HEADERS_MAX + 1), 431);
}

static int status_with_trailer_bytes(size_t len)
{
    struct buf b = {0};
    buf_str(&b, "POST / HTTP/1.1\r\n" HOST CHUNKED "\r\n0\r\nX: ");
    repeat(&b, 'a', len - strlen("X: \r\n"));
    buf_str(&b, "\r\n\r\n");
    return status_of(&b);
}

static void trailer_lines_may_have_16384_bytes(void **state)
{
    (void)state;
    assert_int_equal(status_with_trailer_bytes(HTTP1_HEADERS_BYTES_MAX - 1), 0);
    assert_int_equal(status_with_trailer_bytes(HTTP1_HEADERS_BYTES_MAX), 0);
    assert_int_equal(status_with_trailer_bytes(HTTP1_HEADERS_BYTES_MAX + 1), 431);
}

static int status_with_body(size_t len, size_t chunk)
{
    struct buf b = {0};
    buf_str(&b, "POST / HTTP/1.1\r\n" HOST);
    if (!chunk) {
        buf_printf(&b, "Content-Length: %zu\r\n\r\n", len);
        repeat(&b, 'a', len);
        return status_of(&b);
    }
    buf_str(&b, CHUNKED "\r\n");
    for (size_t n; len; len -= n) {
        n = len < chunk ? len : chunk;
        buf_printf(&b, "%zx\r\n", n);
        repeat(&b, 'a', n);
        buf_str(&b, "\r\n");
    }
    buf_str(&b, "0\r\n\r\n");
    return status_of(&b);
}

static void a_body_may_have_1048576_bytes(void **state)
{
    (void)state;
    assert_int_equal(status_with_body(HTTP1_BODY_MAX - 1, 0), 0);
    assert_int_equal(status_with_body(HTTP1_BODY_MAX, 0), 0);
    assert_int_equal(status_with_body(HTTP1_BODY_MAX + 1, 0), 413);
    assert_int_equal(status_with_body(HTTP1_BODY_MAX - 1, 4096), 0);
    assert_int_equal(status_with_body(HTTP1_BODY_MAX, 4096), 0);
    assert_int_equal(status_with_body(HTTP1_BODY_MAX + 1, 4096), 413);
}

static void chunks_may_take_as_much_again(void **state)
{
    (void)state;
    /* A chunk of one byte takes five beside it; the last size line is counted, too. */
    size_t most = (HTTP1_CHUNKING_MAX - 3) / 5;
    assert_int_equal(status_with_body(most, 1), 0);
    assert_int_equal(status_with_body(most + 1, 1), 413);
}

static int status_with_extension(size_t len)
{
    struct buf b = {0};
    buf_str(&b, "POST / HTTP/1.1\r\n" HOST CHUNKED "\r\n1;");
    repeat(&b, 'a', len - 1);
    buf_str(&b, "\r\nx\r\n0\r\n\r\n");
    return status_of(&b);
}

static void a_chunk_extension_may_have_64_bytes(void **state)
{
    (void)state;
    assert_int_equal(status_with_extension(HTTP1_CHUNK_EXTENSION_MAX - 1), 0);
    assert_int_equal(status_with_extension(HTTP1_CHUNK_EXTENSION_MAX), 0);
    assert_int_equal(status_with_extension(HTTP1_CHUNK_EXTENSION_MAX + 1), 400);
    assert_int_equal(status_with_extension(HTTP1_CHUNK_EXTENSION_MAX + 100), 400);
}

/* What the bytes of a connection look like. */

static void pipelined_requests_come_one_after_the_other(void **state)
{
    (void)state;
    char bytes[] = "GET /1 HTTP/1.1\r\n" HOST "\r\n"
                   "POST /2 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                   "POST /3 HTTP/1.1\r\n" HOST CHUNKED "\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
                   "GET /4 HTTP/1.1\r\n" HOST "\r\nGET";
    static const char *const targets[] = {"/1", "/2", "/3", "/4"};
    static const char *const bodies[] = {"", "abc", "def", ""};
    struct http1 p = {0};
    struct http1_request req;
    size_t at = 0, len = sizeof bytes - 1;
    for (size_t i = 0; i < 4; i++) {
        int64_t n = http1_parse(&p, bytes + at, len - at, &req);
        assert_true(n > 0);
        assert_true(str_is(req.target, str_of(targets[i])));
        assert_true(str_is(req.body, str_of(bodies[i])));
        at += (size_t)n;
        http1_reset(&p);
    }
    assert_int_equal(http1_parse(&p, bytes + at, len - at, &req), 0);
    assert_int_equal(len - at, 3);
}

static void a_chunked_body_is_put_together_behind_the_head(void **state)
{
    (void)state;
    char bytes[] = "POST / HTTP/1.1\r\n" HOST CHUNKED "\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\nnext";
    struct http1 p = {0};
    struct http1_request req;
    int64_t n = http1_parse(&p, bytes, sizeof bytes - 1, &req);
    assert_int_equal(n, sizeof bytes - 1 - 4);
    assert_true(str_is(req.body, STR("abcde")));
    assert_ptr_equal(req.body.at, strstr(bytes, "\r\n\r\n") + 4);
    assert_string_equal(bytes + n, "next");
}

static void a_request_may_move_between_two_calls(void **state)
{
    (void)state;
    struct str bytes = STR("POST /x HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nabcd");
    struct http1 p = {0};
    struct http1_request req;
    char *first = die_strndup(bytes.at, bytes.len - 2);
    assert_int_equal(http1_parse(&p, first, bytes.len - 2, &req), 0);
    free(first);
    memset(&req, 0xee, sizeof req);
    char *second = die_strndup(bytes.at, bytes.len);
    assert_int_equal(http1_parse(&p, second, bytes.len, &req), bytes.len);
    assert_ptr_equal(req.method.at, second);
    assert_true(str_is(req.target, STR("/x")));
    assert_true(str_is(req.body, STR("abcd")));
    assert_true(str_is(http1_find(&req, "host"), STR("a")));
    assert_null(http1_find(&req, "hos").at);
    free(second);
}

static bool wants_continue(const char *head, const char *body)
{
    struct http1 p = {0};
    struct http1_request req;
    struct buf b = {0};
    buf_printf(&b, "POST / HTTP/1.%s%s", head, body);
    (void)http1_parse(&p, b.at, b.len, &req);
    buf_free(&b);
    bool wants = http1_take_continue(&p);
    assert_false(http1_take_continue(&p));
    return wants;
}

static void continue_is_owed_once_and_only_while_nothing_of_the_body_came(void **state)
{
    (void)state;
#define EXPECT "1\r\nHost: a\r\nExpect: 100-Continue\r\n"
    assert_true(wants_continue(EXPECT "Content-Length: 2\r\n\r\n", ""));
    assert_true(wants_continue(EXPECT CHUNKED "\r\n", ""));
    assert_false(wants_continue(EXPECT "Content-Length: 2\r\n", ""));
    assert_false(wants_continue(EXPECT "Content-Length: 2\r\n\r\n", "x"));
    assert_false(wants_continue(EXPECT "Content-Length: 2\r\n\r\n", "xy"));
    assert_false(wants_continue(EXPECT "Content-Length: 0\r\n\r\n", ""));
    assert_false(wants_continue(EXPECT "\r\n", ""));
    assert_false(wants_continue(EXPECT "Content-Length: 2000000\r\n\r\n", ""));
    assert_false(wants_continue("1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", ""));
    assert_false(wants_continue("0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", ""));
}

/* Answers. */

static void assert_answer(struct http1_answer answer, const char *wanted)
{
    struct http1_date date = {0};
    struct buf out = {0};
    buf_str(&out, "before ");
    http1_write(&out, &answer, &date, 784111777123);
    buf_byte(&out, 0);
    assert_string_equal(out.at + strlen("before "), wanted);
    buf_free(&out);
}

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static void answers_look_like_this(void **state)
{
    (void)state;
    assert_answer((struct http1_answer){.status = 200, .body = STR("hi")},
                  "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 2\r\n\r\nhi");
    assert_answer((struct http1_answer){.status = 200,
                                        .content_type = "text/plain",
                                        .headers = "A: b\r\nC: d\r\n",
                                        .close = true},
                  "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\nContent-Type: text/plain\r\n"
                  "A: b\r\nC: d\r\nConnection: close\r\n\r\n");
    assert_answer((struct http1_answer){.status = 404,
                                        .body = STR("12345"),
                                        .head_only = true,
                                        .keep_alive = true},
                  "HTTP/1.1 404 Not Found\r\n" DATE "Content-Length: 5\r\n"
                  "Connection: keep-alive\r\n\r\n");
    assert_answer((struct http1_answer){.status = 204}, "HTTP/1.1 204 No Content\r\n" DATE "\r\n");
    assert_answer((struct http1_answer){.status = 304, .body = STR("x")},
                  "HTTP/1.1 304 Not Modified\r\n" DATE "\r\n");
    assert_answer((struct http1_answer){.status = 205, .body = STR("x")},
                  "HTTP/1.1 205 Reset Content\r\n" DATE "Content-Length: 0\r\n\r\n");
    assert_answer((struct http1_answer){.status = 599},
                  "HTTP/1.1 599 \r\n" DATE "Content-Length: 0\r\n\r\n");
}

static void the_date_changes_with_the_second(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *line;
    } dates[] = {
        {0, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"},
        {999, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"},
        {951782400000, "Date: Tue, 29 Feb 2000 00:00:00 GMT\r\n"},
        {1798761599999, "Date: Thu, 31 Dec 2026 23:59:59 GMT\r\n"},
        {1798761600000, "Date: Fri, 01 Jan 2027 00:00:00 GMT\r\n"},
        {INT64_MAX, "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n"},
        {-1, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"},
    };
    struct http1_date date = {0};
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        struct buf out = {0};
        http1_write(&out, &(struct http1_answer){.status = 200}, &date, dates[i].ms);
        buf_byte(&out, 0);
        assert_non_null(strstr(out.at, dates[i].line));
        buf_free(&out);
    }
}

static void a_problem_is_json_whatever_the_detail(void **state)
{
    (void)state;
    struct buf out = {0};
    http1_problem(&out, 404, "no \"x\\y\"\n\x01 \xc3\xa4");
    buf_byte(&out, 0);
    assert_string_equal(out.at, "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                                "\"detail\":\"no \\\"x\\\\y\\\"\\u000a\\u0001 \xc3\xa4\"}");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_are_taken_however_they_are_cut),
        cmocka_unit_test(bad_requests_are_refused_however_they_are_cut),
        cmocka_unit_test(an_unfinished_request_waits),
        cmocka_unit_test(http_parser_reads_what_we_accept_the_same_way),
        cmocka_unit_test(mutated_requests_come_out_as_in_http_parser_and_however_they_are_cut),
        cmocka_unit_test(a_target_may_have_32768_bytes),
        cmocka_unit_test(header_lines_may_have_16384_bytes),
        cmocka_unit_test(there_may_be_64_header_lines),
        cmocka_unit_test(trailer_lines_may_have_16384_bytes),
        cmocka_unit_test(a_body_may_have_1048576_bytes),
        cmocka_unit_test(chunks_may_take_as_much_again),
        cmocka_unit_test(a_chunk_extension_may_have_64_bytes),
        cmocka_unit_test(pipelined_requests_come_one_after_the_other),
        cmocka_unit_test(a_chunked_body_is_put_together_behind_the_head),
        cmocka_unit_test(a_request_may_move_between_two_calls),
        cmocka_unit_test(continue_is_owed_once_and_only_while_nothing_of_the_body_came),
        cmocka_unit_test(answers_look_like_this),
        cmocka_unit_test(the_date_changes_with_the_second),
        cmocka_unit_test(a_problem_is_json_whatever_the_detail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
