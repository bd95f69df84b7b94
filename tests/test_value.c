/* The value tree: makers, readers, growth, limits, UTF-8, and the binary form. */
#include "base/value.h"
#include "random_val.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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

/* ---- makers and readers ---- */

static void expect_reads_as_nothing(const ks_val *val)
{
    assert_false(ks_is_true(val));
    assert_int_equal(ks_int(val), 0);
    assert_true(ks_number(val) == 0);
    assert_string_equal(ks_text(val), "");
    assert_string_equal(ks_error_type(val), "");
    assert_null(ks_at(val, 0));
    assert_null(ks_get(val, "a"));
    assert_string_equal(ks_key_at(val, 0), "");
    assert_null(ks_val_at(val, 0));
    assert_int_equal(val_str(val).len, 0);
    assert_null(val_error_cause(val));
}

static void null_and_missing_read_as_nothing(void **state)
{
    expect_reads_as_nothing(NULL);
    expect_reads_as_nothing(ks_null(*state));
    expect_reads_as_nothing(ks_string(*state, NULL));
    expect_reads_as_nothing(ks_real(*state, NAN));
    expect_reads_as_nothing(ks_real(*state, -INFINITY));
    expect_reads_as_nothing(ks_array(*state));
    expect_reads_as_nothing(ks_object(*state));
    assert_int_equal(ks_type_of(NULL), KS_NULL);
    assert_int_equal(ks_type_of(ks_real(*state, NAN)), KS_NULL);
    assert_int_equal(ks_len(NULL), 0);
    assert_false(ks_is_error(NULL));
}

static void a_reader_of_another_type_gives_nothing(void **state)
{
    ks_arena *mem = *state;
    const ks_val *vals[] = {ks_boolean(mem, true),
                            ks_integer(mem, 7),
                            ks_real(mem, 1.5),
                            ks_string(mem, "text"),
                            ks_push(mem, ks_array(mem), NULL),
                            ks_put(mem, ks_object(mem), "k", NULL),
                            ks_fail(mem, "Type", "message %d", 7)};
    static const ks_type types[] = {KS_BOOLEAN, KS_INTEGER, KS_REAL, KS_STRING,
                                    KS_ARRAY,   KS_OBJECT,  KS_ERROR};
    static const size_t lens[] = {0, 0, 0, 4, 1, 1, 0};
    for (size_t i = 0; i < sizeof vals / sizeof vals[0]; i++) {
        ks_type type = types[i];
        const ks_val *v = vals[i];
        assert_int_equal(ks_type_of(v), type);
        assert_int_equal(ks_is_true(v), type == KS_BOOLEAN);
        assert_int_equal(ks_int(v), type == KS_INTEGER ? 7 : 0);
        assert_true(ks_number(v) == (type == KS_INTEGER ? 7 : type == KS_REAL ? 1.5 : 0));
        assert_string_equal(ks_text(v), type == KS_STRING  ? "text"
                                        : type == KS_ERROR ? "message 7"
                                                           : "");
        assert_string_equal(ks_error_type(v), type == KS_ERROR ? "Type" : "");
        assert_int_equal(ks_is_error(v), type == KS_ERROR);
        assert_int_equal(ks_len(v), lens[i]);
        assert_int_equal(ks_at(v, 0) != NULL, type == KS_ARRAY);
        assert_null(ks_at(v, 1));
        assert_int_equal(ks_get(v, "k") != NULL, type == KS_OBJECT);
        assert_null(ks_get(v, "K"));
        assert_int_equal(ks_val_at(v, 0) != NULL, type == KS_OBJECT);
        assert_string_equal(ks_key_at(v, 0), type == KS_OBJECT ? "k" : "");
        assert_string_equal(ks_key_at(v, 1), "");
    }
}

static void strings_may_hold_nul_and_end_with_one(void **state)
{
    const ks_val *val = ks_string_n(*state, "a\0b!", 3);
    assert_int_equal(ks_len(val), 3);
    assert_memory_equal(ks_text(val), "a\0b", 4);
    assert_int_equal(ks_len(ks_string_n(*state, NULL, 0)), 0);
    assert_string_equal(ks_text(ks_string_n(*state, NULL, 0)), "");
}

static void an_errors_message_may_be_long(void **state)
{
    char *text = ks_alloc(*state, 5001);
    memset(text, 'x', 5000);
    assert_int_equal(strlen(ks_text(ks_fail(*state, "T", "%s", text))), 5000);
}

/* ---- growth ---- */

static void expect_members(ks_arena *mem, ks_val *object, size_t n)
{
    char key[32];
    assert_int_equal(ks_len(object), n);
    for (size_t i = 0; i < n; i++) {
        snprintf(key, sizeof key, "member %zu", i);
        assert_int_equal(ks_int(ks_get(object, key)), i);
        assert_string_equal(ks_key_at(object, i), key);
        assert_int_equal(ks_int(ks_val_at(object, i)), i);
    }
    assert_null(ks_get(object, "member"));
    snprintf(key, sizeof key, "member %zu", n);
    assert_null(ks_get(object, key));
    assert_null(ks_val_at(object, n));
    (void)mem;
}

static ks_val *object_of(ks_arena *mem, size_t n)
{
    char key[32];
    ks_val *object = ks_object(mem);
    for (size_t i = 0; i < n; i++) {
        snprintf(key, sizeof key, "member %zu", i);
        assert_ptr_equal(ks_put(mem, object, key, ks_integer(mem, (int64_t)i)), object);
    }
    return object;
}

static void objects_of_any_size_find_their_members(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 7, 8, 9, 12, 13, 15, 16, 17, 31, 32, 33, 1000, 4097};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        expect_members(*state, object_of(*state, sizes[i]), sizes[i]);
}

static void putting_a_key_again_replaces_its_value(void **state)
{
    static const size_t sizes[] = {1, 12, 13, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ks_val *object = object_of(*state, sizes[i]);
        ks_put(*state, object, "member 0", ks_integer(*state, -1));
        assert_int_equal(ks_int(ks_get(object, "member 0")), -1);
        ks_put(*state, object, "member 0", NULL);
        assert_int_equal(ks_type_of(ks_get(object, "member 0")), KS_NULL);
        assert_non_null(ks_get(object, "member 0"));
        ks_put(*state, object, "member 0", ks_integer(*state, 0));
        expect_members(*state, object, sizes[i]);
    }
}

static void members_that_were_taken_back_are_gone(void **state)
{
    static const size_t sizes[] = {1, 12, 13, 16, 17, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t left = 0; left < sizes[i]; left += sizes[i] / 7 + 1) {
            ks_val *object = object_of(*state, sizes[i]);
            object->len = (uint32_t)left;
            val_reindex(object);
            expect_members(*state, object, left);
            for (size_t k = left; k < sizes[i]; k++)
                ks_put(*state, object, ks_format(*state, "member %zu", k),
                       ks_integer(*state, (int64_t)k));
            expect_members(*state, object, sizes[i]);
        }
}

static void keys_may_be_empty_or_hold_nul(void **state)
{
    ks_val *object = ks_object(*state);
    ks_put(*state, object, "", ks_integer(*state, 1));
    val_put_n(*state, object, (struct str){"a\0b", 3}, ks_integer(*state, 2));
    val_put_n(*state, object, (struct str){"a\0c", 3}, ks_integer(*state, 3));
    assert_int_equal(ks_int(ks_get(object, "")), 1);
    assert_null(ks_get(object, "a"));
    assert_int_equal(ks_int(val_member(object, (struct str){"a\0b", 3})->val), 2);
    assert_int_equal(ks_int(val_member(object, (struct str){"a\0c", 3})->val), 3);
}

static void arrays_grow_and_keep_their_order(void **state)
{
    ks_val *array = ks_array(*state);
    for (int64_t i = 0; i < 1000; i++) {
        assert_ptr_equal(ks_push(*state, array, i % 3 ? ks_integer(*state, i) : NULL), array);
        assert_int_equal(ks_len(array), i + 1);
    }
    for (size_t i = 0; i < 1000; i++) {
        assert_non_null(ks_at(array, i));
        assert_int_equal(ks_int(ks_at(array, i)), i % 3 ? i : 0);
    }
    assert_null(ks_at(array, 1000));
    assert_null(ks_at(array, SIZE_MAX));
}

/* ---- limits ---- */

static ks_val *nested(ks_arena *mem, unsigned levels, ks_type type)
{
    ks_val *val = ks_integer(mem, 1);
    for (unsigned i = 1; i < levels; i++)
        val = type == KS_ARRAY    ? ks_push(mem, ks_array(mem), val)
              : type == KS_OBJECT ? ks_put(mem, ks_object(mem), "k", val)
                                  : val_error(mem, "T", "m", val);
    return val;
}

static void a_value_nests_64_levels_and_no_more(void **state)
{
    static const ks_type types[] = {KS_ARRAY, KS_OBJECT, KS_ERROR};
    for (size_t i = 0; i < 3; i++) {
        assert_null(val_check(nested(*state, 63, types[i])));
        assert_null(val_check(nested(*state, 64, types[i])));
        assert_non_null(strstr(val_check(nested(*state, 65, types[i])), "64"));
    }
    assert_int_equal(val_depth(nested(*state, 64, KS_ARRAY)), 64);
    assert_int_equal(val_depth(NULL), 1);
    assert_null(val_check(NULL));
}

/* As JSON it is an object, whose texts are a level below it. */
static void an_error_is_a_level_more(void **state)
{
    const char *why;
    for (unsigned levels = 63; levels <= 64; levels++) {
        struct buf text = {0};
        ks_val *val = ks_fail(*state, "T", "m");
        for (unsigned i = 1; i < levels; i++)
            val = ks_push(*state, ks_array(*state), val);
        val_write_json(&text, val);
        bool can_be_read = val_read_json(*state, (struct str){text.at, text.len}, &why);
        assert_int_equal(can_be_read, levels < 64);
        assert_int_equal(!val_check(val), can_be_read);
        assert_int_equal(val_depth(val), levels + 1);
        buf_free(&text);
    }
}

static void a_value_of_1_mib_is_too_large(void **state)
{
    char *text = ks_alloc(*state, VAL_BYTES_MAX + 1);
    memset(text, 'x', VAL_BYTES_MAX);
    assert_null(val_check(ks_string_n(*state, text, VAL_BYTES_MAX - 16)));
    assert_non_null(strstr(val_check(ks_string_n(*state, text, VAL_BYTES_MAX)), "1 MiB"));
    ks_val *shared = ks_string_n(*state, text, 1000);
    ks_val *array = ks_array(*state);
    for (int i = 0; i < 2000; i++)
        ks_push(*state, array, shared);
    assert_non_null(val_check(array));
    ks_val *doubles = ks_integer(*state, 1); /* 2^60 numbers in 60 arrays */
    for (int i = 0; i < 60; i++)
        doubles = ks_push(*state, ks_push(*state, ks_array(*state), doubles), doubles);
    assert_non_null(val_check(doubles));
}

static void what_is_not_utf8_is_refused_wherever_it_stands(void **state)
{
    ks_arena *mem = *state;
    ks_val *bad = ks_string(mem, "a\xFF");
    assert_non_null(val_check(bad));
    assert_non_null(val_check(ks_push(mem, ks_array(mem), bad)));
    assert_non_null(val_check(ks_put(mem, ks_object(mem), "k", bad)));
    assert_non_null(val_check(ks_put(mem, ks_object(mem), "\xFF", NULL)));
    assert_non_null(val_check(val_error(mem, "\xFF", "m", NULL)));
    assert_non_null(val_check(val_error(mem, "T", "\xFF", NULL)));
    assert_non_null(val_check(val_error(mem, "T", "m", bad)));
    assert_null(val_check(val_error(mem, "T", "m", ks_string(mem, "é"))));
}

static void utf8_is_what_rfc_3629_says(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\x7F",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "\xE1\x80\x80",
                                       "\xEC\xBF\xBF",
                                       "\xF1\x80\x80\x80",
                                       "\xF3\xBF\xBF\xBF"};
    static const char *const bad[] = {"\x80",
                                      "\xBF",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC2",
                                      "\xC2\x41",
                                      "\xC2\xC0",
                                      "\xE0\x80\x80",
                                      "\xE0\x9F\xBF",
                                      "\xE0\xA0",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xE1\x80",
                                      "\xE1\x80\x41",
                                      "\xE1\x41\x80",
                                      "\xEF\xBF\xC0",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF0\x90\x80",
                                      "\xF0\x80\x80\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xF0\x90\x41\x80",
                                      "\xF0\x90\x80\x41",
                                      "\xFE",
                                      "\xFF",
                                      "\xF8\x88\x80\x80\x80"};
    (void)state;
    for (size_t pad = 0; pad <= 17; pad++) { /* before and in the fast path for eight bytes */
        char text[64];
        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
            int n = snprintf(text, sizeof text, "%.*s%sx", (int)pad, "abcdefghijklmnopq", good[i]);
            assert_true(utf8_is_valid((struct str){text, (size_t)n}));
            assert_true(utf8_is_valid((struct str){text, (size_t)n - 1}));
        }
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            int n = snprintf(text, sizeof text, "%.*s%sxyz", (int)pad, "abcdefghijklmnopq", bad[i]);
            if (utf8_is_valid((struct str){text, (size_t)n}) ||
                utf8_is_valid((struct str){text, (size_t)n - 3}))
                fail_msg("bad %zu behind %zu bytes is taken", i, pad);
        }
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) /* cut, with the rest behind it */
        for (size_t len = 1; len < strlen(good[i]); len++)
            assert_false(utf8_is_valid((struct str){good[i], len}));
    assert_true(utf8_is_valid((struct str){"a\0b", 3}));
}

/* ---- the binary form ---- */

static void expect_round_trip(ks_arena *mem, const ks_val *val, uint64_t seed)
{
    struct buf bytes = {0};
    val_encode(&bytes, val);
    struct reader r = reader_of(bytes.at, bytes.len);
    const ks_val *again = val_decode(mem, &r);
    struct reader skipped = reader_of(bytes.at, bytes.len);
    val_skip(&skipped);
    if (r.is_bad || r.at != r.end || !val_equal(val, again) || skipped.is_bad ||
        skipped.at != skipped.end)
        fail_msg("seed %llu: what is decoded is not what was encoded", (unsigned long long)seed);
    assert_int_equal(val_is_encoded_error((uint8_t)bytes.at[0]), ks_is_error(val));
    assert_true(val_equal(val, val_copy(mem, val)));
    buf_free(&bytes);
}

static void random_trees_survive_the_binary_form(void **state)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct random r = {seed};
        expect_round_trip(*state, random_val(&r, *state, 5, true), seed);
        arena_reset(*state);
    }
}

static void the_deepest_and_the_largest_survive_the_binary_form(void **state)
{
    expect_round_trip(*state, nested(*state, 64, KS_ARRAY), 0);
    expect_round_trip(*state, nested(*state, 64, KS_OBJECT), 0);
    expect_round_trip(*state, nested(*state, 64, KS_ERROR), 0);
    expect_round_trip(*state, object_of(*state, 1000), 0);
    expect_round_trip(*state, ks_integer(*state, INT64_MIN), 0);
    expect_round_trip(*state, ks_integer(*state, INT64_MAX), 0);
    expect_round_trip(*state, ks_real(*state, -0.0), 0);
    expect_round_trip(*state, NULL, 0);
}

static void decoding_refuses_what_nests_without_end(void **state)
{
    char bytes[5001];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = i % 2 ? 1 : 6; /* arrays of one */
    bytes[sizeof bytes - 1] = 0;  /* and a null */
    struct reader r = reader_of(bytes, sizeof bytes);
    val_decode(*state, &r);
    assert_true(r.is_bad);
    r = reader_of(bytes, sizeof bytes);
    val_skip(&r);
    assert_true(r.is_bad);
}

/* Copied to the end of a block of its own, so that ASan sees a byte too far. Passing over it has to
 * end where decoding it does. */
static bool decodes(ks_arena *mem, const char *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    if (len)
        memcpy(copy, bytes, len);
    struct reader r = reader_of(copy, len), skipped = r;
    const ks_val *val = val_decode(mem, &r);
    assert_non_null(val);
    val_skip(&skipped);
    assert_int_equal(skipped.is_bad, r.is_bad);
    assert_true(r.is_bad || skipped.at == r.at);
    free(copy);
    return !r.is_bad;
}

static void bytes_that_were_cut_off_are_refused(void **state)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct random r = {seed};
        struct buf bytes = {0};
        val_encode(&bytes, random_val(&r, *state, 4, true));
        for (size_t len = 0; len < bytes.len; len++)
            if (decodes(*state, bytes.at, len))
                fail_msg("seed %llu: cut off at %zu it is a value", (unsigned long long)seed, len);
        assert_true(decodes(*state, bytes.at, bytes.len));
        buf_free(&bytes);
        arena_reset(*state);
    }
}

static void bytes_that_were_flipped_are_read_within_their_end(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct random r = {seed};
        struct buf bytes = {0};
        val_encode(&bytes, random_val(&r, *state, 4, true));
        for (size_t i = 0; i < bytes.len && i < 2000; i++) {
            char was = bytes.at[i];
            for (unsigned k = 0; k < 4; k++) {
                bytes.at[i] = (char)(k == 0   ? ~was
                                     : k == 1 ? 0x7F
                                     : k == 2 ? was ^ (1 << random_below(&r, 8))
                                              : (int)random_below(&r, 256));
                decodes(*state, bytes.at, bytes.len);
                arena_reset(*state);
            }
            bytes.at[i] = was;
        }
        buf_free(&bytes);
    }
}

static void numbers_of_the_binary_form_are_checked(void **state)
{
    static const char longest[] = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01";
    static const char too_long[] = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02";
    static const char endless[] = "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00";
    (void)state;
    struct reader r = reader_of(longest, 10);
    assert_true(read_varint(&r) == UINT64_MAX && !r.is_bad);
    r = reader_of(too_long, 10);
    assert_true(read_varint(&r) == 0 && r.is_bad);
    r = reader_of(endless, 11);
    assert_true(read_varint(&r) == 0 && r.is_bad);
    assert_true(read_byte(&r) == 0 && read_string(&r).len == 0 && reader_is_at_end(&r));
    r = reader_of("\x85", 1);
    assert_true(read_varint(&r) == 0 && r.is_bad);
    static const int64_t numbers[] = {0, 1, -1, 63, 64, -64, -65, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct buf b = {0};
        buf_zigzag(&b, numbers[i]);
        r = reader_of(b.at, b.len);
        assert_true(read_zigzag(&r) == numbers[i] && !r.is_bad && r.at == r.end);
        buf_free(&b);
    }
}

static void values_that_differ_are_not_equal(void **state)
{
    ks_arena *mem = *state;
    ks_val *ab = ks_put(mem, ks_put(mem, ks_object(mem), "a", NULL), "b", NULL);
    ks_val *ba = ks_put(mem, ks_put(mem, ks_object(mem), "b", NULL), "a", NULL);
    const ks_val *all[] = {NULL,
                           ks_boolean(mem, true),
                           ks_boolean(mem, false),
                           ks_integer(mem, 0),
                           ks_integer(mem, 1),
                           ks_real(mem, 1),
                           ks_real(mem, 0.0),
                           ks_real(mem, -0.0),
                           ks_string(mem, ""),
                           ks_string(mem, "a"),
                           ks_string(mem, "b"),
                           ks_string_n(mem, "a\0", 2),
                           ks_array(mem),
                           ks_push(mem, ks_array(mem), NULL),
                           ks_push(mem, ks_array(mem), ks_array(mem)),
                           ks_object(mem),
                           ab,
                           ba,
                           val_error(mem, "T", "m", NULL),
                           val_error(mem, "U", "m", NULL),
                           val_error(mem, "T", "n", NULL),
                           val_error(mem, "T", "m", ks_array(mem))};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            assert_int_equal(val_equal(all[i], all[k]), i == k);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(null_and_missing_read_as_nothing),
        TEST(a_reader_of_another_type_gives_nothing),
        TEST(strings_may_hold_nul_and_end_with_one),
        TEST(an_errors_message_may_be_long),
        TEST(objects_of_any_size_find_their_members),
        TEST(putting_a_key_again_replaces_its_value),
        TEST(members_that_were_taken_back_are_gone),
        TEST(keys_may_be_empty_or_hold_nul),
        TEST(arrays_grow_and_keep_their_order),
        TEST(a_value_nests_64_levels_and_no_more),
        TEST(an_error_is_a_level_more),
        TEST(a_value_of_1_mib_is_too_large),
        TEST(what_is_not_utf8_is_refused_wherever_it_stands),
        TEST(utf8_is_what_rfc_3629_says),
        TEST(random_trees_survive_the_binary_form),
        TEST(the_deepest_and_the_largest_survive_the_binary_form),
        TEST(decoding_refuses_what_nests_without_end),
        TEST(bytes_that_were_cut_off_are_refused),
        TEST(bytes_that_were_flipped_are_read_within_their_end),
        TEST(numbers_of_the_binary_form_are_checked),
        TEST(values_that_differ_are_not_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
