/* JSON: what RFC 8259 says is taken and what is not is refused; what is written is read back as it
 * was. */
#include "base/value.h"
#include "random_val.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int set_up(void **state)
{
    static ks_arena mem;
    arena_init(&mem, 4096);
    *state = &mem;
    return 0;
}

static int tear_down(void **state)
{
    arena_free(*state);
    return 0;
}

/* What is read, and what it is written as; NULL: refused. */
struct vector {
    const char *text;
    const char *written;
};

static const struct vector vectors[] = {
    /* any value at the top, white space around it */
    {"null", "null"},
    {"true", "true"},
    {"false", "false"},
    {"0", "0"},
    {"\"a\"", "\"a\""},
    {"[]", "[]"},
    {"{}", "{}"},
    {" \t\r\n[ \t\r\n1 , 2\r] \n", "[1,2]"},
    {"", NULL},
    {" ", NULL},
    {"\f1", NULL},
    {"\v1", NULL},
    {"\xC2\xA0"
     "1",
     NULL},
    {"\xEF\xBB\xBF"
     "1",
     NULL}, /* a byte order mark */
    {"1 2", NULL},
    {"1,", NULL},
    {"[1]]", NULL},
    {"null null", NULL},
    {"nul", NULL},
    {"nulls", NULL},
    {"True", NULL},
    {"NaN", NULL},
    {"Infinity", NULL},
    {"-Infinity", NULL},
    {"undefined", NULL},
    {"'a'", NULL},
    {"// a\n1", NULL},
    {"/* a */1", NULL},

    /* numbers */
    {"-0", "0"},
    {"-0.0", "-0.0"},
    {"123", "123"},
    {"-7", "-7"},
    {"1.0", "1.0"},
    {"1.5", "1.5"},
    {"1e3", "1000.0"},
    {"1E3", "1000.0"},
    {"1e+3", "1000.0"},
    {"1e-3", "0.001"},
    {"0.1", "0.1"},
    {"1e22", "1e+22"},
    {"5e-324", "4.94065645841247e-324"},
    {"1.7976931348623157e308", "1.7976931348623157e+308"},
    {"9223372036854775807", "9223372036854775807"},
    {"-9223372036854775808", "-9223372036854775808"},
    {"9223372036854775808", NULL},
    {"-9223372036854775809", NULL},
    {"1e309", NULL},
    {"-1e309", NULL},
    {"01", NULL},
    {"-01", NULL},
    {"00", NULL},
    {"+1", NULL},
    {"-", NULL},
    {"1.", NULL},
    {".5", NULL},
    {"-.5", NULL},
    {"1.e1", NULL},
    {"1e", NULL},
    {"1e+", NULL},
    {"1e1.5", NULL},
    {"0x10", NULL},
    {"1_000", NULL},
    {"1a", NULL},

    /* strings */
    {"\"\"", "\"\""},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\""},
    {"\"\\u0041\\u00e9\\u20AC\"", "\"A\xC3\xA9\xE2\x82\xAC\""},
    {"\"\\ud83d\\ude00\"", "\"\xF0\x9F\x98\x80\""},
    {"\"\\uDBFF\\uDFFF\"", "\"\xF4\x8F\xBF\xBF\""},
    {"\"a\\u0000b\"", "\"a\\u0000b\""},
    {"\"\x7F\"", "\"\x7F\""},
    {"\"\xF0\x9F\x98\x80\"", "\"\xF0\x9F\x98\x80\""},
    {"\"\\uFFFF\"", "\"\xEF\xBF\xBF\""},
    {"\"a", NULL},
    {"\"\\\"", NULL},
    {"\"\\x41\"", NULL},
    {"\"\\a\"", NULL},
    {"\"\\'\"", NULL},
    {"\"\\u12\"", NULL},
    {"\"\\u12G4\"", NULL},
    {"\"\\U0041\"", NULL},
    {"\"\\ud83d\"", NULL},
    {"\"\\ude00\"", NULL},
    {"\"\\ud83d\\u0041\"", NULL},
    {"\"\\ud83d\\ud83d\"", NULL},
    {"\"\\ude00\\ud83d\"", NULL},
    {"\"\\ud83dx\"", NULL},
    {"\"\t\"", NULL},
    {"\"\n\"", NULL},
    {"\"\x1F\"", NULL},
    {"\"\xFF\"", NULL},
    {"\"\xC0\x80\"", NULL},
    {"\"\xED\xA0\x80\"", NULL},
    {"\"\xF4\x90\x80\x80\"", NULL},
    {"\"\xE2\x82\"", NULL},

    /* arrays and objects */
    {"[1,[2,[3]],{\"a\":[]}]", "[1,[2,[3]],{\"a\":[]}]"},
    {"{\"b\":1,\"a\":2,\"\":3}", "{\"b\":1,\"a\":2,\"\":3}"},
    {"{\"a\":{\"a\":1}}", "{\"a\":{\"a\":1}}"},
    {"{\"\\u0061\":1}", "{\"a\":1}"},
    {"[\"]\",\"[[\\\"[\",\"}\"]", "[\"]\",\"[[\\\"[\",\"}\"]"},
    {"[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]",
     "[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"},
    {"[1,]", NULL},
    {"[,1]", NULL},
    {"[1 2]", NULL},
    {"[1", NULL},
    {"[", NULL},
    {"]", NULL},
    {"[1}", NULL},
    {"{", NULL},
    {"{\"a\"}", NULL},
    {"{\"a\":}", NULL},
    {"{\"a\":1,}", NULL},
    {"{,}", NULL},
    {"{a:1}", NULL},
    {"{1:1}", NULL},
    {"{\"a\":1 \"b\":2}", NULL},
    {"{\"a\":1,\"a\":2}", NULL}, /* one key twice could be read in two ways */
    {"{\"a\":1,\"\\u0061\":1}", NULL},
    {"{\"a\\u0000b\":1}", NULL},
    {"{\"a\":1", NULL},
    {"{\"a\":1]", NULL},
};

static void what_is_json_is_taken_and_what_is_not_is_refused(void **state)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct vector *v = &vectors[i];
        const char *why = NULL;
        const ks_val *val = val_read_json(*state, str_of(v->text), &why);
        const char *got = val ? ks_to_json(*state, val) : NULL;
        if ((got == NULL) != (v->written == NULL) || (got && strcmp(got, v->written) != 0))
            fail_msg("%s is %s, but has to be %s", v->text, got ? got : why,
                     v->written ? v->written : "refused");
        assert_true(val || (why && *why));
    }
}

static void a_nul_ends_nothing(void **state)
{
    const char *why;
    assert_null(val_read_json(*state, (struct str){"1\0", 2}, &why));
    assert_null(val_read_json(*state, (struct str){"\"a\0b\"", 5}, &why));
    assert_null(val_read_json(*state, (struct str){"\0", 1}, &why));
    assert_null(val_read_json(*state, (struct str){"", 0}, &why));
    assert_null(val_read_json(*state, (struct str){NULL, 0}, &why));
    assert_non_null(val_read_json(*state, (struct str){"12", 1}, &why));
    const ks_val *val = ks_parse_json(*state, "\"a\\u0000b\"", 10);
    assert_int_equal(ks_len(val), 3);
    assert_memory_equal(ks_text(val), "a\0b", 4);
}

static void types_are_what_they_look_like(void **state)
{
    assert_int_equal(ks_type_of(ks_parse_json(*state, "1", 1)), KS_INTEGER);
    assert_int_equal(ks_type_of(ks_parse_json(*state, "1.0", 3)), KS_REAL);
    assert_int_equal(ks_type_of(ks_parse_json(*state, "1e2", 3)), KS_REAL);
    assert_true(ks_number(ks_parse_json(*state, "1e2", 3)) == 100);
    assert_int_equal(ks_type_of(ks_parse_json(*state, "null", 4)), KS_NULL);
}

static void a_refusal_says_where(void **state)
{
    const ks_val *error = ks_parse_json(*state, "[1,2,x]", 7);
    assert_true(ks_is_error(error));
    assert_string_equal(ks_error_type(error), "Json");
    assert_non_null(strstr(ks_text(error), "at byte"));
}

static const char *brackets(ks_arena *mem, size_t levels, bool are_objects)
{
    const char *open = are_objects ? "{\"a\":" : "[", *close = are_objects ? "}" : "]";
    struct buf text = {0};
    for (size_t i = 1; i < levels; i++)
        buf_str(&text, open);
    buf_str(&text, "1");
    for (size_t i = 1; i < levels; i++)
        buf_str(&text, close);
    const char *ret = arena_strndup(mem, text.at, text.len);
    buf_free(&text);
    return ret;
}

static void json_nests_64_levels_and_no_more(void **state)
{
    for (int are_objects = 0; are_objects < 2; are_objects++) {
        const char *why = NULL, *text = brackets(*state, 64, are_objects);
        const ks_val *val = val_read_json(*state, str_of(text), &why);
        assert_non_null(val);
        assert_null(val_check(val));
        assert_string_equal(ks_to_json(*state, val), text);
        for (size_t levels = 65; levels < 100000; levels *= 4) {
            text = brackets(*state, levels, are_objects);
            assert_null(val_read_json(*state, str_of(text), &why));
            assert_non_null(strstr(why, "64"));
        }
    }
    const char *why = NULL;
    const char
        *many = "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]";
    assert_non_null(val_read_json(*state, str_of(many), &why));
}

static void random_trees_are_read_as_they_were_written(void **state)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct random r = {seed};
        const ks_val *val = random_val(&r, *state, 5, false);
        const char *text = ks_to_json(*state, val), *why = "";
        const ks_val *again = val_read_json(*state, str_of(text), &why);
        if (!again || !val_equal(val, again))
            fail_msg("seed %llu: %s: %s", (unsigned long long)seed, text, why);
        assert_true(utf8_is_valid(str_of(text)));
        arena_reset(*state);
    }
}

static void every_real_is_read_as_it_was_written(void **state)
{
    struct random r = {77};
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_bits(&r);
        double real;
        memcpy(&real, &bits, sizeof real);
        const ks_val *val = ks_real(*state, real);
        const char *text = ks_to_json(*state, val);
        if (!val_equal(val, ks_parse_json(*state, text, strlen(text))))
            fail_msg("%s is another number", text);
        arena_reset(*state);
    }
}

static void objects_of_a_thousand_members_keep_their_order(void **state)
{
    ks_val *object = ks_object(*state);
    for (int64_t i = 0; i < 1000; i++)
        ks_put(*state, object, ks_format(*state, "%lld", (long long)(i * 7919 % 1000)),
               ks_integer(*state, i));
    const char *text = ks_to_json(*state, object);
    assert_true(val_equal(object, ks_parse_json(*state, text, strlen(text))));
}

static void an_error_is_written_as_an_object(void **state)
{
    ks_arena *mem = *state;
    const ks_val *cause = val_error(mem, "C", "c", NULL);
    assert_string_equal(ks_to_json(mem, val_error(mem, "T", "say \"no\"", cause)),
                        "{\"type\":\"T\",\"message\":\"say \\\"no\\\"\",\"cause\":{\"type\":\"C\","
                        "\"message\":\"c\"}}");
    assert_string_equal(ks_to_json(mem, NULL), "null");
}

static void what_is_not_utf8_is_never_written(void **state)
{
    const char *text = ks_to_json(*state, ks_string(*state, "a\xFF\xC3(\xE2\x82"
                                                            "b\xC3"));
    assert_string_equal(text, "\"a\\ufffd\\ufffd(\\ufffd\\ufffdb\\ufffd\"");
    const char *why;
    assert_non_null(val_read_json(*state, str_of(text), &why));
}

static void cut_off_and_flipped_text_never_crashes(void **state)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct random r = {seed};
        const char *text = ks_to_json(*state, random_val(&r, *state, 4, false)), *why;
        size_t len = strlen(text) < 1000 ? strlen(text) : 1000;
        for (size_t i = 0; i < len; i++) {
            char *copy = arena_memdup(*state, text, i + 1);
            val_read_json(*state, (struct str){copy, i}, &why);
            copy[i] = (char)random_bits(&r);
            val_read_json(*state, (struct str){copy, i + 1}, &why);
        }
        arena_reset(*state);
    }
}

static void utc_is_what_rfc_3339_says(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } times[] = {{0, "1970-01-01T00:00:00.000Z"},
                 {-1, "1969-12-31T23:59:59.999Z"},
                 {-1000, "1969-12-31T23:59:59.000Z"},
                 {1798135200000, "2026-12-24T18:00:00.000Z"},
                 {951782400001, "2000-02-29T00:00:00.001Z"},
                 {4102444799999, "2099-12-31T23:59:59.999Z"}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        assert_string_equal(ks_text(ks_utc(*state, times[i].ms)), times[i].text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_json_is_taken_and_what_is_not_is_refused),
        TEST(a_nul_ends_nothing),
        TEST(types_are_what_they_look_like),
        TEST(a_refusal_says_where),
        TEST(json_nests_64_levels_and_no_more),
        TEST(random_trees_are_read_as_they_were_written),
        TEST(every_real_is_read_as_it_was_written),
        TEST(objects_of_a_thousand_members_keep_their_order),
        TEST(an_error_is_written_as_an_object),
        TEST(what_is_not_utf8_is_never_written),
        TEST(cut_off_and_flipped_text_never_crashes),
        TEST(utc_is_what_rfc_3339_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
