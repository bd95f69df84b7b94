/* What a reference means, by the examples of RFC 3986, section 5.4; and dates of RFC 9110. */
#include "base/url.h"
#include "base/utc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void references_are_resolved(void **state)
{
    static const char *const rows[][3] = {
        {"http://a/b/c/d;p?q", "g:h", "g:h"},
        {"http://a/b/c/d;p?q", "g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "./g", "http://a/b/c/./g"},
        {"http://a/b/c/d;p?q", "g/", "http://a/b/c/g/"},
        {"http://a/b/c/d;p?q", "/g", "http://a/g"},
        {"http://a/b/c/d;p?q", "//g", "http://g"},
        {"http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"},
        {"http://a/b/c/d;p?q", "g?y", "http://a/b/c/g?y"},
        {"http://a/b/c/d;p?q", "g?y/./x", "http://a/b/c/g?y/./x"},
        {"http://a/b/c/d;p?q", ";x", "http://a/b/c/;x"},
        {"http://a/b/c/d;p?q", "", "http://a/b/c/d;p"},
        {"http://a/b/c/d;p?q", "https://x/", "https://x/"},
        {"http://a", "g", "http://a/g"},
        {"http://a?q/r", "g", "http://a/g"},
        {"http://a", "?y", "http://a/?y"},
        {"https://a:1/b", "//c/d", "https://c/d"},
    };
    ks_arena mem;
    (void)state;
    arena_init(&mem, 1024);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(url_resolve(&mem, str_of(rows[i][0]), str_of(rows[i][1])), rows[i][2]);
    arena_free(&mem);
}

static void origins_are_scheme_host_and_port(void **state)
{
    (void)state;
    assert_true(url_same_origin(STR("http://a/b"), STR("HTTP://A?c")));
    assert_false(url_same_origin(STR("http://a/b"), STR("https://a/b")));
    assert_false(url_same_origin(STR("http://a/b"), STR("http://a:80/b")));
    assert_false(url_same_origin(STR("http://a/b"), STR("http://a.b/b")));
    assert_false(url_same_origin(STR("http://ab"), STR("http://a")));
    assert_true(url_is_tls(STR("HttpS://a/")));
    assert_false(url_is_tls(STR("http://a/")));
}

static void dates_are_read(void **state)
{
    int64_t ms;
    (void)state;
    assert_true(utc_of_http_date("Sun, 06 Nov 1994 08:49:37 GMT", &ms));
    assert_int_equal(ms, 784111777000);
    assert_false(utc_of_http_date("Sunday, 06-Nov-94 08:49:37 GMT", &ms));
    assert_false(utc_of_http_date("Sun, 06 Nox 1994 08:49:37 GMT", &ms));
    assert_false(utc_of_http_date("Sun, 00 Nov 1994 08:49:37 GMT", &ms));
    assert_false(utc_of_http_date("Sun, 06 Nov 1994 08:49:37 UTC", &ms));
    assert_false(utc_of_http_date("", &ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_resolved),
        cmocka_unit_test(origins_are_scheme_host_and_port),
        cmocka_unit_test(dates_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
