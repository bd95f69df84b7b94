/* test_page.c - the page's files, its live events and what other sites may not do, under a virtual
 * clock */
#include "../apps/registry/registry.h"
#include "keepsake_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#define LIVE "Accept: text/event-stream\r\n"

static int set_up(void **state)
{
    *state = ks_test_open(registry_functions);
    return 0;
}

static int tear_down(void **state)
{
    ks_test_close(*state);
    return 0;
}

static const ks_answer *ask(ks_test *t, const char *method, const char *headers, const char *format,
                            ...) __attribute__((format(printf, 4, 5)));
static const ks_answer *ask(ks_test *t, const char *method, const char *headers, const char *format,
                            ...)
{
    char target[9000];
    va_list args;
    va_start(args, format);
    vsnprintf(target, sizeof target, format, args);
    va_end(args);
    return ks_test_request(t, method, target, headers, "", 0);
}

static const ks_answer *get(ks_test *t, const char *headers, const char *target)
{
    return ask(t, "GET", headers, "%s", target);
}

static void expect_header(const ks_answer *a, const char *line)
{
    if (!strstr(a->headers, line))
        fail_msg("no '%s' in %s", line, a->headers);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    while ((text = strstr(text, what)))
        n++, text++;
    return n;
}

/* ---- files ---- */

static void the_page_is_at_the_root(void **state)
{
    const ks_answer *a = get(*state, NULL, "/");
    assert_int_equal(a->status, 200);
    assert_string_equal(a->content_type, "text/html; charset=utf-8");
    assert_non_null(strstr(a->body, "<title>Keepsake</title>"));
    expect_header(a, "Cache-Control: no-cache\r\n");
    expect_header(a, "Vary: Accept-Encoding\r\n");
    assert_null(strstr(a->headers, "Content-Encoding"));
}

static void every_file_is_served_as_what_it_is(void **state)
{
    size_t gzip_bytes = 0;
    for (const ks_page *page = registry_pages; page->path; page++) {
        const ks_answer *a = get(*state, NULL, page->path);
        assert_int_equal(a->status, 200);
        assert_string_equal(a->content_type, page->content_type);
        assert_int_equal(a->body_len, page->len);
        assert_memory_equal(a->body, page->bytes, page->len);
        const ks_answer *head = ask(*state, "HEAD", NULL, "%s", page->path);
        assert_int_equal(head->status, 200);
        assert_int_equal(head->body_len, 0);
        assert_string_equal(head->headers, a->headers);
        gzip_bytes += page->gzip_len;
    }
    print_message("the whole page, compressed: %zu bytes\n", gzip_bytes);
    assert_in_range(gzip_bytes, 1, 40 * 1024);
}

static void it_is_compressed_for_who_takes_that(void **state)
{
    static const char *const takes[] = {"gzip", "deflate, gzip, br", "GZIP;q=0.5", "br,gzip ; q=1"};
    static const char *const refuses[] = {"br", "gzip;q=0", "gzip; q=0.000", "identity", ""};
    char header[100];
    for (size_t i = 0; i < sizeof takes / sizeof takes[0]; i++) {
        snprintf(header, sizeof header, "Accept-Encoding: %s\r\n", takes[i]);
        const ks_answer *a = get(*state, header, "/page.js");
        expect_header(a, "Content-Encoding: gzip\r\n");
        expect_header(a, "-gzip\"\r\n");
        assert_memory_equal(a->body, "\x1f\x8b", 2);
    }
    for (size_t i = 0; i < sizeof refuses / sizeof refuses[0]; i++) {
        snprintf(header, sizeof header, "Accept-Encoding: %s\r\n", refuses[i]);
        assert_null(strstr(get(*state, header, "/page.js")->headers, "Content-Encoding"));
    }
}

static int ask_with_etag(ks_test *t, const char *before, const char *etag, const char *after)
{
    char header[150];
    snprintf(header, sizeof header, "If-None-Match: %s%s%s\r\n", before, etag, after);
    const ks_answer *a = get(t, header, registry_pages[0].path);
    expect_header(a, "ETag: \"");
    assert_true((a->status == 304) == (a->body_len == 0));
    return a->status;
}

static void who_has_it_is_told_so(void **state)
{
    const char *etag = registry_pages[0].etag;
    assert_int_equal(ask_with_etag(*state, "\"", etag, "\""), 304);
    assert_int_equal(ask_with_etag(*state, "W/\"", etag, "\""), 304);
    assert_int_equal(ask_with_etag(*state, "\"other\" , \"", etag, "-gzip\", \"x\""), 304);
    assert_int_equal(ask_with_etag(*state, "*", "", ""), 304);
    assert_int_equal(ask_with_etag(*state, "\"", etag, ""), 200);
    assert_int_equal(ask_with_etag(*state, "", etag, ""), 200);
    assert_int_equal(ask_with_etag(*state, "\"", etag, "x\""), 200);
    assert_int_equal(ask_with_etag(*state, "\"", "", "\""), 200);
    assert_int_equal(ask_with_etag(*state, "", "", ""), 200);
}

static void nothing_but_its_own_may_run_in_it(void **state)
{
    const ks_answer *a = get(*state, NULL, "/");
    expect_header(a, "Content-Security-Policy: default-src 'none'; ");
    expect_header(a, "frame-ancestors 'none'; require-trusted-types-for 'script'; ");
    expect_header(a, "X-Content-Type-Options: nosniff\r\n");
    expect_header(a, "Referrer-Policy: no-referrer\r\n");
    expect_header(a, "Cross-Origin-Resource-Policy: same-origin\r\n");
    expect_header(a, "Permissions-Policy: ");
    assert_null(strstr(a->headers, "unsafe"));
    assert_null(strstr(a->body, " style="));
    assert_null(strstr(a->body, " onclick="));
}

/* Between <tag> and </tag>, of which there is one. */
static void hash_of(const char *page, const char *tag, char *base64)
{
    unsigned char hash[32];
    char open[20], close[20];
    snprintf(open, sizeof open, "<%s>", tag);
    snprintf(close, sizeof close, "</%s>", tag);
    assert_int_equal(count(page, open), 1);
    const char *begin = strstr(page, open) + strlen(open), *end = strstr(begin, close);
    assert_non_null(end);
    assert_int_equal(EVP_Digest(begin, (size_t)(end - begin), hash, NULL, EVP_sha256(), NULL), 1);
    EVP_EncodeBlock((unsigned char *)base64, hash, sizeof hash);
}

static void its_one_style_and_its_one_script_are_those_of_the_policy(void **state)
{
    char style[50], script[50], want[200];
    const ks_answer *a = get(*state, NULL, "/");
    assert_int_equal(count(a->body, "<style"), 1);
    hash_of(a->body, "style", style);
    hash_of(a->body, "script", script);
    snprintf(want, sizeof want, "; style-src 'sha256-%s'; script-src 'self' 'sha256-%s'\r\n", style,
             script);
    expect_header(a, want);
    expect_header(get(*state, NULL, "/page.js"), "; style-src 'none'; script-src 'self'\r\n");
}

static void other_paths_and_methods_are_not_found(void **state)
{
    assert_int_equal(get(*state, NULL, "/index.html")->status, 404);
    assert_int_equal(get(*state, NULL, "/style.css")->status, 404);
    assert_int_equal(get(*state, NULL, "/PAGE.js")->status, 404);
    assert_int_equal(get(*state, NULL, "/../page.js")->status, 404);
    const ks_answer *a = ask(*state, "POST", NULL, "/");
    assert_int_equal(a->status, 404);
    expect_header(a, "Allow: GET, HEAD\r\n");
    assert_int_equal(get(*state, NULL, "/?from=a+friend")->status, 200);
}

/* ---- live ---- */

static const char *open_registry(ks_test *t)
{
    return ks_test_get(t, "/api/Open")->body;
}

static void add(ks_test *t, const char *id, const char *item)
{
    assert_int_equal(ask(t, "GET", NULL, "/api/Add/%s?item=%s", id, item)->status, 200);
}

static const ks_answer *listen_from(ks_test *t, const char *id, const char *seen)
{
    char headers[200];
    snprintf(headers, sizeof headers, LIVE "%s%s%s", seen ? "Last-Event-ID: " : "",
             seen ? seen : "", seen ? "\r\n" : "");
    const ks_answer *a = ask(t, "GET", headers, "/api/Peek/%s", id);
    assert_int_equal(a->status, 200);
    assert_string_equal(a->content_type, "text/event-stream; charset=utf-8");
    return a;
}

/* The events behind the one that says what time it is. */
static const char *events(const ks_answer *a)
{
    assert_memory_equal(a->body, "retry: 1000\nevent: now\ndata: ", 29);
    return strstr(a->body, "\n\n") + 2;
}

static void it_begins_with_the_time_and_what_there_is(void **state)
{
    char want[500];
    const char *id = open_registry(*state);
    add(*state, id, "A+sled");
    const ks_answer *a = listen_from(*state, id, NULL);
    expect_header(a, "Cache-Control: no-store\r\n");
    assert_int_equal(strtoll(a->body + 29, NULL, 10), ks_test_now_ms(*state));
    snprintf(
        want, sizeof want,
        "id: 0\nevent: registry\ndata: {\"id\":\"%s\",\"openedAt\":\"2026-12-24T18:00:00.000Z\","
        "\"closesAt\":\"2026-12-24T18:05:00.000Z\"}\n\n"
        "id: 1\nevent: items\ndata: {\"from\":0,\"items\":[\"A sled\"]}\n\n",
        id);
    assert_string_equal(events(a), want);
}

static void each_commit_is_told_of_once(void **state)
{
    const char *id = open_registry(*state);
    const ks_answer *a = listen_from(*state, id, NULL);
    add(*state, id, "one");
    ks_test_advance(*state, 1000);
    add(*state, id, "two%0A%0Adata:+x");
    ks_test_advance(*state, 1000);
    assert_int_equal(count(a->body, "event: items"), 2);
    assert_non_null(
        strstr(a->body, "id: 1\nevent: items\ndata: {\"from\":0,\"items\":[\"one\"]}\n\n"));
    assert_non_null(strstr(a->body,
                           "id: 2\nevent: items\ndata: {\"from\":1,\"items\":[\"two\\n\\ndata: "
                           "x\"]}\n\n"));
}

static void closing_is_told(void **state)
{
    const char *id = open_registry(*state);
    const ks_answer *a = listen_from(*state, id, NULL);
    ks_test_advance(*state, KS_MINUTES(5));
    assert_non_null(strstr(a->body,
                           "id: 0.timeout\nevent: closed\ndata: {\"closedAt\":\"2026-12-24T18:"
                           "05:00.000Z\",\"closedBy\":\"timeout\"}\n\n"));
    const char *other = open_registry(*state);
    add(*state, other, "x");
    ask(*state, "GET", NULL, "/api/Finish/%s", other);
    assert_non_null(strstr(listen_from(*state, other, NULL)->body, "id: 1.user\nevent: closed\n"));
    assert_string_equal(events(listen_from(*state, other, "1.user")), "");
}

static void a_listener_goes_on_where_it_was(void **state)
{
    const char *id = open_registry(*state);
    add(*state, id, "one");
    add(*state, id, "two");
    assert_string_equal(events(listen_from(*state, id, "1")),
                        "id: 2\nevent: items\ndata: {\"from\":1,\"items\":[\"two\"]}\n\n");
    assert_string_equal(events(listen_from(*state, id, "2")), "");
    ks_test_crash(*state);
    assert_string_equal(events(listen_from(*state, id, "1")),
                        "id: 2\nevent: items\ndata: {\"from\":1,\"items\":[\"two\"]}\n\n");
}

static void an_id_that_is_not_ours_begins_anew(void **state)
{
    static const char *const ids[] =
        {"3",
         "x",
         "-1",
         "1x",
         "99999999999999999999",
         " ",
         "0x1",
         "1234567890123456789012345678901234567890123456789012345678901234567890"};
    const char *id = open_registry(*state);
    add(*state, id, "one");
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        assert_memory_equal(events(listen_from(*state, id, ids[i])), "id: 0\nevent: registry\n",
                            22);
}

static void a_long_list_comes_in_pieces(void **state)
{
    const char *id = open_registry(*state);
    for (int i = 0; i < 1234; i++)
        add(*state, id, "x");
    const ks_answer *a = listen_from(*state, id, NULL);
    assert_int_equal(count(a->body, "event: items"), 3);
    assert_non_null(strstr(a->body, "id: 500\n"));
    assert_non_null(strstr(a->body, "id: 1234\n"));
    assert_int_equal(count(a->body, "\"x\""), 1234);
}

static void numbers_that_change_all_the_time_are_told_now_and_then(void **state)
{
    const char *id = open_registry(*state);
    const ks_answer *a = get(*state, LIVE, "/api/Stats");
    assert_string_equal(events(a), "id: 1.0.1.0\nevent: stats\ndata: {\"registryCount\":1,"
                                   "\"itemsCount\":0,\"openCount\":1,\"closedCount\":0}\n\n");
    for (int i = 0; i < 100; i++)
        add(*state, id, "x");
    assert_int_equal(count(a->body, "event: stats"), 2); /* the first change at once */
    ks_test_advance(*state, 1000);
    assert_int_equal(count(a->body, "event: stats"), 3);
    assert_non_null(strstr(a->body, "id: 1.100.1.0\n"));
}

static void unknown_lists_and_head_have_no_stream(void **state)
{
    const ks_answer *a = get(*state, LIVE, "/api/Peek/0123456789abcdef0123456789abcdef");
    assert_int_equal(a->status, 400);
    const ks_answer *head = ask(*state, "HEAD", LIVE, "/api/Stats");
    assert_int_equal(head->status, 200);
    assert_int_equal(head->body_len, 0);
    open_registry(*state);
    assert_int_equal(head->body_len, 0);
    assert_string_equal(get(*state, "Accept: */*\r\n", "/api/Stats")->content_type,
                        "application/json; charset=utf-8");
}

/* ---- other sites ---- */

#define ZERO "{\"registryCount\":0,\"itemsCount\":0,\"openCount\":0,\"closedCount\":0}"

static void another_site_changes_nothing(void **state)
{
    static const char *const methods[] = {"GET", "POST", "HEAD"};
    for (size_t i = 0; i < 3; i++) {
        const ks_answer *a = ask(*state, methods[i], "Sec-Fetch-Site: cross-site\r\n", "/api/Open");
        if (i < 2) {
            assert_int_equal(a->status, 403);
            assert_string_equal(a->content_type, "application/problem+json");
            assert_non_null(strstr(a->body, "Nothing was changed."));
            assert_null(strstr(a->headers, "Location"));
        }
        assert_string_equal(ks_test_get(*state, "/api/Stats")->body, ZERO);
    }
    const char *keyed = "Sec-Fetch-Site: cross-site\r\nIdempotency-Key: k\r\n";
    assert_int_equal(ask(*state, "POST", keyed, "/api/Open")->status, 403);
    assert_int_equal(ask(*state, "POST", "Idempotency-Key: k\r\n", "/api/Open")->status, 201);
}

static void another_site_may_look_and_our_own_may_all(void **state)
{
    static const char *const ours[] = {"same-origin", "same-site", "none"};
    char header[60];
    assert_int_equal(get(*state, "Sec-Fetch-Site: cross-site\r\n", "/api/Stats")->status, 200);
    assert_int_equal(get(*state, "Sec-Fetch-Site: cross-site\r\n", "/")->status, 200);
    for (size_t i = 0; i < 3; i++) {
        snprintf(header, sizeof header, "Sec-Fetch-Site: %s\r\n", ours[i]);
        assert_int_equal(ask(*state, "POST", header, "/api/Open")->status, 201);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_page_is_at_the_root),
        TEST(every_file_is_served_as_what_it_is),
        TEST(it_is_compressed_for_who_takes_that),
        TEST(who_has_it_is_told_so),
        TEST(nothing_but_its_own_may_run_in_it),
        TEST(its_one_style_and_its_one_script_are_those_of_the_policy),
        TEST(other_paths_and_methods_are_not_found),
        TEST(it_begins_with_the_time_and_what_there_is),
        TEST(each_commit_is_told_of_once),
        TEST(closing_is_told),
        TEST(a_listener_goes_on_where_it_was),
        TEST(an_id_that_is_not_ours_begins_anew),
        TEST(a_long_list_comes_in_pieces),
        TEST(numbers_that_change_all_the_time_are_told_now_and_then),
        TEST(unknown_lists_and_head_have_no_stream),
        TEST(another_site_changes_nothing),
        TEST(another_site_may_look_and_our_own_may_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
