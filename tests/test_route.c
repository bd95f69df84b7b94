/* Request targets into functions and parameters: what can be read in one way only is taken, the
 * rest is refused. */
#include "front/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include <cmocka.h>

static int nothing(ks_http *h)
{
    return h ? 0 : 1;
}

static const ks_function functions[] = {
    KS_HTTP("Zebra", "GET", "List/{name}", 0, nothing),
    KS_HTTP("Add", "GET,POST", "Add/{id?}", 0, nothing),
    KS_HTTP("Deep", "GET", "a/{b}/c/{d}/e/f/g/{h?}", 0, nothing),
    KS_HTTP("Both", "PUT", "Both/{x}/{y}", 0, nothing),
    KS_HTTP("list-all", "GET", "List/all", 0, nothing),
    KS_HTTP("Apples", "GET", "List/apples", 0, nothing),
    KS_HTTP("Any", "DELETE", "{any?}", 0, nothing),
    KS_SETTING("NOT_A_ROUTE", KS_AS_TEXT, "", "nothing"),
    KS_END,
};

struct test {
    struct routes routes;
    struct target target;
    ks_arena mem;
};

static int set_up(void **state)
{
    static struct test t;
    char why[256];
    assert_int_equal(routes_init(&t.routes, functions, why, sizeof why), 0);
    arena_init(&t.mem, 4096);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    struct test *t = *state;
    routes_free(&t->routes);
    arena_free(&t->mem);
    return 0;
}

/* The first route that matches: whose function it is. */
static const struct route *find(struct test *t, const char *target)
{
    const char *why = "";
    if (target_parse(&t->target, str_of(target), &t->mem, &why) < 0)
        return NULL;
    for (size_t i = 0; i < t->routes.count; i++)
        if (route_matches(&t->routes.at[i], &t->target))
            return &t->routes.at[i];
    return NULL;
}

static void expect_parameter(struct test *t, const struct route *route, const char *name,
                             const char *value)
{
    struct str got = route_value(route, &t->target, str_of(name));
    if (!str_is(got, str_of(value)))
        fail_msg("%s is \"%.*s\", has to be \"%s\"", name, (int)got.len, got.at, value);
    assert_int_equal(got.at[got.len], 0);
}

static void a_path_finds_its_function(void **state)
{
    static const struct {
        const char *target, *function;
    } vectors[] = {
        {"/api/Add/7f", "Add"},
        {"/api/Add", "Add"},
        {"/api/Add/", "Add"},
        {"/api/Add/7f/", "Add"},
        {"/API/aDD/7f", "Add"},
        {"/api/%41dd/7f", "Add"},
        {"/%61pi/Add", "Add"},
        {"/api/Add?id=7", "Add"},
        {"/api/Add/?", "Add"},
        {"/api/Add/7f/x", NULL},
        {"/api/Add//", NULL},
        {"/api//Add", NULL},
        {"//api/Add", NULL},
        {"/Add/7f", NULL},
        {"/apis/Add", NULL},
        {"/ap/Add", NULL},
        {"/api/Ad", "Any"},
        {"/api/Addx", "Any"},
        {"/api/./Add", NULL},
        {"/api/../api/Add", NULL},
        {"/api/x/../Add", NULL},
        {"/api", "Any"},
        {"/api/", "Any"},
        {"/api//", NULL},
        {"/", NULL},
        {"", NULL},
        {"*", NULL},
        {"/api/Both/1/2", "Both"},
        {"/api/Both/1", NULL},
        {"/api/Both/1/", NULL},
        {"/api/Both//2", NULL},
        {"/api/a/1/c/2/e/f/g/h", "Deep"},
        {"/api/a/1/c/2/e/f/g", "Deep"},
        {"/api/a/1/c/2/e/f", NULL},
        {"/api/a/1/c/2/e/f/g/h/i", NULL},
        {"/api/a/1/c/2/e/f/g/h/i/j/k/l/m/n", NULL},
    };
    struct test *t = *state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct route *route = find(t, vectors[i].target);
        const char *got = route ? route->fn->name : "nobody";
        const char *want = vectors[i].function ? vectors[i].function : "nobody";
        if (strcmp(got, want) != 0)
            fail_msg("%s finds %s, has to find %s", vectors[i].target, got, want);
    }
}

static void of_routes_that_overlap_the_first_in_the_alphabet_wins(void **state)
{
    struct test *t = *state;
    assert_string_equal(find(t, "/api/list/apples")->fn->name, "Apples");
    assert_string_equal(find(t, "/api/list/all")->fn->name, "list-all");
    assert_string_equal(find(t, "/api/list/pears")->fn->name, "Zebra");
    for (size_t i = 1; i < t->routes.count; i++)
        assert_true(strcasecmp(t->routes.at[i - 1].fn->name, t->routes.at[i].fn->name) < 0);
}

static void parameters_are_decoded_once(void **state)
{
    struct test *t = *state;
    const struct route *route = find(t, "/api/both/a%20b+c%2525/%C3%A9%3f");
    expect_parameter(t, route, "x", "a b+c%25");
    expect_parameter(t, route, "Y", "\xC3\xA9?");
    expect_parameter(t, route, "z", "");
    expect_parameter(t, route, "Both", "");
    route = find(t, "/api/add");
    expect_parameter(t, route, "id", "");
    route = find(t, "/api/add/%20");
    expect_parameter(t, route, "id", " ");
    route = find(t, "/api/A/1/C/2/E/F/G/3");
    expect_parameter(t, route, "b", "1");
    expect_parameter(t, route, "d", "2");
    expect_parameter(t, route, "h", "3");
    assert_true(str_is(t->target.path, STR("/api/A/1/C/2/E/F/G/3")));
}

static void what_can_be_read_in_two_ways_is_refused(void **state)
{
    static const char *const targets[] = {
        "/api/add/%",       "/api/add/%2",    "/api/add/%2g",    "/api/add/%g2",
        "/api/add/a%2Fb",   "/api/add/a%2fb", "/api/add/%00",    "/api/add/a%00b",
        "/api/add/%FF",     "/api/add/%C3",   "/api/add/%C0%AF", "/api/add/%ED%A0%80",
        "/api/add/\xFF",    "/api/add/%%41",  "/api/add/%2/2",   "/api/add/%C3/%A9",
        "/api/add?a=%",     "/api/add?a=%4",  "/api/add?%zz=1",  "/api/add?a=%4x",
        "/api/add?a=1&b=%", "/api%2Fadd",     "/api/add/%u0041", "/api/add/ %2",
    };
    struct test *t = *state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        const char *why = NULL;
        if (target_parse(&t->target, str_of(targets[i]), &t->mem, &why) == 0)
            fail_msg("%s is taken", targets[i]);
        assert_true(why && *why);
    }
    /* What stands behind the target in a buffer is not its own. */
    const char *why = NULL;
    assert_int_equal(target_parse(&t->target, (struct str){"/api/add/%41", 11}, &t->mem, &why), -1);
    assert_int_equal(target_parse(&t->target, (struct str){"/api/add/%41", 10}, &t->mem, &why), -1);
}

static void expect_query(struct test *t, const char *target, const char *want)
{
    struct buf got = {0};
    const char *why = "";
    if (target_parse(&t->target, str_of(target), &t->mem, &why) < 0)
        fail_msg("%s: %s", target, why);
    for (size_t i = 0; i < t->target.query_count; i++) {
        struct str name = t->target.query[i].name, value = t->target.query[i].value;
        buf_printf(&got, "[%.*s=%.*s]", (int)name.len, name.at, (int)value.len, value.at);
    }
    buf_byte(&got, 0);
    if (strcmp(got.at, want) != 0)
        fail_msg("%s has %s, has to have %s", target, got.at, want);
    buf_free(&got);
}

static void queries_are_taken_apart(void **state)
{
    struct test *t = *state;
    expect_query(t, "/api/add", "");
    expect_query(t, "/api/add?", "");
    expect_query(t, "/api/add?a", "[a=]");
    expect_query(t, "/api/add?a=", "[a=]");
    expect_query(t, "/api/add?=1", "[=1]");
    expect_query(t, "/api/add?a=1&b=2", "[a=1][b=2]");
    expect_query(t, "/api/add?a=1&&b=2&", "[a=1][b=2]");
    expect_query(t, "/api/add?a=1&a=2&A=3", "[a=1][a=2][A=3]");
    expect_query(t, "/api/add?a=b=c", "[a=b=c]");
    expect_query(t, "/api/add?a=1+2%2B3%26%3D", "[a=1 2+3&=]");
    expect_query(t, "/api/add?a+b=1", "[a b=1]");
    expect_query(t, "/api/add?a=?/%2F", "[a=?//]");
    expect_query(t, "/api/add?a=1;b=2", "[a=1;b=2]");
    expect_query(t, "/api/add?%61=%C3%A9", "[a=\xC3\xA9]");
    assert_int_equal(target_parse(&t->target, STR("/a?x=%00%FF"), &t->mem, &(const char *){0}), 0);
    assert_true(str_is(t->target.query[0].value, (struct str){"\0\xFF", 2}));
}

static void a_query_has_at_most_64_parameters(void **state)
{
    struct test *t = *state;
    for (size_t n = ROUTE_QUERY_MAX - 1; n <= ROUTE_QUERY_MAX + 1; n++) {
        struct buf target = {0};
        const char *why = "";
        buf_str(&target, "/api/add?");
        for (size_t i = 0; i < n; i++)
            buf_printf(&target, "&p%zu=%zu&", i, i);
        int result = target_parse(&t->target, (struct str){target.at, target.len}, &t->mem, &why);
        buf_free(&target);
        assert_int_equal(result, n <= ROUTE_QUERY_MAX ? 0 : -1);
        if (result == 0)
            assert_int_equal(t->target.query_count, n);
        else
            assert_non_null(strstr(why, "64"));
    }
}

static void paths_of_any_length_are_taken_apart(void **state)
{
    struct test *t = *state;
    for (size_t n = 0; n < 40; n++) {
        struct buf target = {0};
        const char *why = "";
        buf_str(&target, "/api");
        for (size_t i = 0; i < n; i++)
            buf_str(&target, "/x");
        assert_int_equal(target_parse(&t->target, (struct str){target.at, target.len}, &t->mem,
                                      &why),
                         0);
        size_t most = sizeof t->target.segments / sizeof t->target.segments[0];
        assert_int_equal(t->target.segment_count, n + 1 < most ? n + 1 : most);
        buf_free(&target);
    }
}

static void methods_are_compared_whole_and_with_case(void **state)
{
    (void)state;
    assert_true(methods_have("GET,POST", STR("GET")));
    assert_true(methods_have("GET,POST", STR("POST")));
    assert_false(methods_have("GET,POST", STR("PUT")));
    assert_false(methods_have("GET,POST", STR("get")));
    assert_false(methods_have("GET,POST", STR("GE")));
    assert_false(methods_have("GET,POST", STR("GET,POST")));
    assert_false(methods_have("GET,POST", STR("")));
}

/* ---- routes that are none ---- */

static int init_one(const char *route, char *why, size_t why_size)
{
    const ks_function one[] = {KS_HTTP("One", "GET", route, 0, nothing), KS_END};
    struct routes routes;
    int result = routes_init(&routes, one, why, why_size);
    if (result == 0)
        routes_free(&routes);
    return result;
}

static void a_route_that_is_none_is_refused_by_name(void **state)
{
    static const char *const bad[] = {
        "",        "/a",      "a/",      "a//b",     "a/{b",
        "a/{}",    "a/{?}",   "a/b}",    "a/{b?}/c", "a{b}",
        "{a}b",    "{a}{b}",  "a/{b/c}", "a/b{",     "1/2/3/4/5/6/7/8/9",
        "a/{b{c}", "a/{b}c}", "a/{b?c}",
    };
    static const char *const good[] = {"a", "{a}", "{a?}", "a/{b}/c/{d?}", "1/2/3/4/5/6/7/8"};
    char why[256];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (init_one(bad[i], why, sizeof why) == 0)
            fail_msg("the route \"%s\" is taken", bad[i]);
        assert_non_null(strstr(why, "\"One\""));
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (init_one(good[i], why, sizeof why) < 0)
            fail_msg("%s", why);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_path_finds_its_function),
        TEST(of_routes_that_overlap_the_first_in_the_alphabet_wins),
        TEST(parameters_are_decoded_once),
        TEST(what_can_be_read_in_two_ways_is_refused),
        TEST(queries_are_taken_apart),
        TEST(a_query_has_at_most_64_parameters),
        TEST(paths_of_any_length_are_taken_apart),
        TEST(methods_are_compared_whole_and_with_case),
        TEST(a_route_that_is_none_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
