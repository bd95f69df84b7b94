/* Documents: each operation on each kind of target, and at random: what was noted can be taken
 * back, what was encoded does the same again, tidying changes nothing. */
#include "base/doc.h"
#include "random_val.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct test {
    ks_arena mem;
    struct doc doc;
};

static int set_up(void **state)
{
    static struct test t;
    arena_init(&t.mem, 4096);
    doc_init(&t.doc);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    struct test *t = *state;
    doc_free(&t->doc);
    arena_free(&t->mem);
    return 0;
}

static const ks_val *json(struct test *t, const char *text)
{
    const ks_val *val = ks_parse_json(&t->mem, text, strlen(text));
    if (ks_is_error(val))
        fail_msg("%s: %s", text, ks_text(val));
    return val;
}

static const char *apply(struct test *t, enum doc_op op, const char *path, const char *val,
                         int64_t n)
{
    struct doc_patch p = {.op = op, .path = str_of(path), .n = n};
    if (op == DOC_SET || op == DOC_APPEND)
        p.val = json(t, val);
    return doc_apply(&t->doc, &p, &t->mem, NULL);
}

/* ---- the table: before, operation, after ---- */

struct claim {
    const char *before;
    enum doc_op op;
    const char *path;
    const char *val;   /* set, append: JSON; add: a number; remove: NULL */
    const char *after; /* NULL: it does not fit, and nothing changes */
};

static const struct claim claims[] = {
    {"null", DOC_SET, "", "{\"a\":1}", "{\"a\":1}"},
    {"null", DOC_SET, "a", "1", "{\"a\":1}"},
    {"null", DOC_SET, "a/b/c", "1", "{\"a\":{\"b\":{\"c\":1}}}"},
    {"null", DOC_SET, "0", "1", "{\"0\":1}"},
    {"{\"a\":1}", DOC_SET, "a", "null", "{\"a\":null}"},
    {"{\"a\":1}", DOC_SET, "b", "2", "{\"a\":1,\"b\":2}"},
    {"{\"a\":null}", DOC_SET, "a/b", "2", "{\"a\":{\"b\":2}}"},
    {"{\"a\":1}", DOC_SET, "a/b", "2", NULL},
    {"{\"a\":\"x\"}", DOC_SET, "a/0", "2", NULL},
    {"{\"a\":1.5}", DOC_SET, "n/m", "2", "{\"a\":1.5,\"n\":{\"m\":2}}"},
    {"[1,2,3]", DOC_SET, "1", "[]", "[1,[],3]"},
    {"[1,2,3]", DOC_SET, "3", "4", NULL},
    {"[1,2,3]", DOC_SET, "01", "4", NULL},
    {"[1,2,3]", DOC_SET, "-1", "4", NULL},
    {"[1,2,3]", DOC_SET, "a", "4", NULL},
    {"[1,2,3]", DOC_SET, "4294967296", "4", NULL},
    {"[1,2,3]", DOC_SET, "99999999999", "4", NULL},
    {"[[[5]]]", DOC_SET, "0/0/0", "6", "[[[6]]]"},
    {"[null]", DOC_SET, "0/a", "6", "[{\"a\":6}]"},
    {"[{\"a\":[{\"b\":1}]}]", DOC_SET, "0/a/0/b", "2", "[{\"a\":[{\"b\":2}]}]"},
    {"{\"\":1}", DOC_SET, "/a", "2", NULL},
    {"{\"a\":{\"\":1}}", DOC_SET, "a//b", "2", NULL},
    {"null", DOC_SET, "a/", "1", "{\"a\":{\"\":1}}"},
    {"null", DOC_SET, "/", "1", "{\"\":{\"\":1}}"},
    {"null", DOC_SET, "a~1b", "1", "{\"a/b\":1}"},
    {"null", DOC_SET, "a~0b/~1", "1", "{\"a~b\":{\"/\":1}}"},
    {"null", DOC_SET, "~01~10", "1", "{\"~1/0\":1}"},
    {"{\"a/b\":1,\"a\":{\"b\":2}}", DOC_SET, "a~1b", "3", "{\"a/b\":3,\"a\":{\"b\":2}}"},
    {"null", DOC_SET, "a~2/~", "1", "{\"a~2\":{\"~\":1}}"},
    {"[1,2]", DOC_SET, "~01", "3", NULL},
    {"true", DOC_SET, "a", "1", NULL},
    {"true", DOC_SET, "", "1", "1"},

    {"null", DOC_APPEND, "", "1", "[1]"},
    {"[1]", DOC_APPEND, "", "[2]", "[1,[2]]"},
    {"null", DOC_APPEND, "a/b", "1", "{\"a\":{\"b\":[1]}}"},
    {"{\"a\":[1]}", DOC_APPEND, "a", "2", "{\"a\":[1,2]}"},
    {"{\"a\":null}", DOC_APPEND, "a", "2", "{\"a\":[2]}"},
    {"{\"a\":{}}", DOC_APPEND, "a", "2", NULL},
    {"{\"a\":\"x\"}", DOC_APPEND, "a", "2", NULL},
    {"{\"a\":1}", DOC_APPEND, "a", "2", NULL},
    {"{\"a\":[[1]]}", DOC_APPEND, "a/0", "2", "{\"a\":[[1,2]]}"},
    {"{\"a\":[[1]]}", DOC_APPEND, "a/1", "2", NULL},
    {"{\"a\":1}", DOC_APPEND, "x/y/a", "2", "{\"a\":1,\"x\":{\"y\":{\"a\":[2]}}}"},

    {"{\"a/b\":[1]}", DOC_APPEND, "a~1b", "2", "{\"a/b\":[1,2]}"},
    {"{\"a\":[1]}", DOC_APPEND, "a/", "2", NULL},

    {"null", DOC_ADD, "", "5", "5"},
    {"{\"~\":{\"/\":1}}", DOC_ADD, "~0/~1", "2", "{\"~\":{\"/\":3}}"},
    {"null", DOC_ADD, "a", "-5", "{\"a\":-5}"},
    {"{\"a\":1}", DOC_ADD, "a", "2", "{\"a\":3}"},
    {"{\"a\":null}", DOC_ADD, "a", "2", "{\"a\":2}"},
    {"{\"a\":1.0}", DOC_ADD, "a", "2", NULL},
    {"{\"a\":\"1\"}", DOC_ADD, "a", "2", NULL},
    {"{\"a\":[]}", DOC_ADD, "a", "2", NULL},
    {"{\"a\":{}}", DOC_ADD, "a", "2", NULL},
    {"{\"a\":true}", DOC_ADD, "a", "2", NULL},
    {"[1,2]", DOC_ADD, "1", "40", "[1,42]"},
    {"{\"a\":9223372036854775807}", DOC_ADD, "a", "1", NULL},
    {"{\"a\":-9223372036854775808}", DOC_ADD, "a", "-1", NULL},
    {"{\"a\":9223372036854775806}", DOC_ADD, "a", "1", "{\"a\":9223372036854775807}"},

    {"null", DOC_REMOVE, "", NULL, "null"},
    {"null", DOC_REMOVE, "a", NULL, "null"},
    {"{\"a\":1}", DOC_REMOVE, "", NULL, "null"},
    {"{\"a\":1,\"b\":2,\"c\":3}", DOC_REMOVE, "b", NULL, "{\"a\":1,\"c\":3}"},
    {"{\"a\":1}", DOC_REMOVE, "a", NULL, "{}"},
    {"{\"a\":1}", DOC_REMOVE, "b", NULL, "{\"a\":1}"},
    {"{\"a\":1}", DOC_REMOVE, "a/b", NULL, "{\"a\":1}"},
    {"{\"a\":{\"b\":1}}", DOC_REMOVE, "a/b", NULL, "{\"a\":{}}"},
    {"{\"a\":{\"b\":1}}", DOC_REMOVE, "c/b", NULL, "{\"a\":{\"b\":1}}"},
    {"[1,2,3]", DOC_REMOVE, "0", NULL, "[2,3]"},
    {"[1,2,3]", DOC_REMOVE, "2", NULL, "[1,2]"},
    {"[1,2,3]", DOC_REMOVE, "3", NULL, "[1,2,3]"},
    {"[[1,2],[3]]", DOC_REMOVE, "0/1", NULL, "[[1],[3]]"},
    {"7", DOC_REMOVE, "a", NULL, "7"},
    {"{\"a/b\":1,\"a\":{\"b\":2}}", DOC_REMOVE, "a~1b", NULL, "{\"a\":{\"b\":2}}"},
    {"{\"a\":{\"\":1,\"b\":2}}", DOC_REMOVE, "a/", NULL, "{\"a\":{\"b\":2}}"},
    {"{\"a\":1}", DOC_REMOVE, "a/", NULL, "{\"a\":1}"},
};

static void every_operation_does_what_the_table_says(void **state)
{
    struct test *t = *state;
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        const struct claim *c = &claims[i];
        const char *root = "";
        assert_null(apply(t, DOC_SET, root, c->before, 0));
        int64_t n = c->op == DOC_ADD ? ks_int(json(t, c->val)) : 0;
        const char *why = apply(t, c->op, c->path, c->val, n);
        const char *got = ks_to_json(&t->mem, t->doc.root);
        const char *want = c->after ? c->after : c->before;
        if ((why == NULL) != (c->after != NULL) || strcmp(got, want) != 0)
            fail_msg("%s, operation %d on \"%s\" with %s: is %s (%s), has to be %s", c->before,
                     (int)c->op, c->path, c->val ? c->val : "nothing", got, why ? why : "fits",
                     want);
    }
}

static void what_does_not_fit_names_the_path(void **state)
{
    struct test *t = *state;
    apply(t, DOC_SET, "", "{\"a\":1}", 0);
    assert_non_null(strstr(apply(t, DOC_SET, "a/b", "2", 0), "\"a/b\""));
    assert_non_null(strstr(apply(t, DOC_APPEND, "a", "2", 0), "\"a\" is not an array"));
}

static void a_document_nests_64_levels_and_no_more(void **state)
{
    struct test *t = *state;
    char path[128] = "a";
    for (size_t i = 1; i < 63; i++)
        memcpy(path + 2 * i - 1, "/a", 3); /* 63 names */
    assert_null(apply(t, DOC_SET, path, "null", 0));
    assert_non_null(strstr(apply(t, DOC_APPEND, path, "1", 0), "64"));
    assert_non_null(strstr(apply(t, DOC_SET, path, "[1]", 0), "64"));
    assert_null(apply(t, DOC_SET, path, "[]", 0));
    path[strlen(path) - 2] = 0;
    assert_null(apply(t, DOC_SET, path, "null", 0));
    assert_null(apply(t, DOC_APPEND, path, "1", 0));
    assert_null(val_check(t->doc.root));
    json(t, ks_to_json(&t->mem, t->doc.root));
}

static void an_error_is_kept_as_an_object(void **state)
{
    struct test *t = *state;
    ks_val *all = ks_array(&t->mem);
    ks_push(&t->mem, all, val_error(&t->mem, "T", "m", ks_integer(&t->mem, 1)));
    struct doc_patch p = {.op = DOC_SET, .path = STR("a"), .val = all};
    assert_null(doc_apply(&t->doc, &p, &t->mem, NULL));
    assert_string_equal(ks_to_json(&t->mem, t->doc.root),
                        "{\"a\":[{\"type\":\"T\",\"message\":\"m\",\"cause\":1}]}");
    const ks_val *again = json(t, ks_to_json(&t->mem, t->doc.root));
    assert_true(val_equal(again, t->doc.root));
}

/* ---- at random ---- */

static struct str random_path(struct random *r, ks_arena *mem)
{
    static const char *const keys[] = {"a", "b", "c", "0", "1", "2", "", "x"};
    const char *path = "";
    for (unsigned n = random_below(r, 4); n > 0; n--)
        path = ks_format(mem, "%s%s%s", path, *path ? "/" : "", keys[random_below(r, 8)]);
    return str_of(path);
}

static struct doc_patch random_patch(struct random *r, ks_arena *mem, const struct doc *doc)
{
    struct doc_patch p = {.op = (enum doc_op)(DOC_SET + random_below(r, 4)),
                          .path = random_path(r, mem)};
    if (p.op == DOC_SET && p.path.len == 0 && random_below(r, 4))
        p.path = STR("a");
    if (p.op == DOC_SET || p.op == DOC_APPEND)
        p.val = random_below(r, 10) ? random_val(r, mem, 3, true) : doc->root;
    if (p.op == DOC_ADD)
        p.n = (int64_t)random_below(r, 1000) - 500;
    return p;
}

/* Members enough to need an index, and arrays that are full and not. */
static void fill(struct random *r, struct doc *doc, ks_arena *mem)
{
    for (unsigned n = random_below(r, 60); n > 0; n--) {
        char key[16];
        snprintf(key, sizeof key, "k%u", random_below(r, 100));
        struct doc_patch p = {.op = DOC_SET,
                              .path = str_of(key),
                              .val = random_val(r, mem, 2, false)};
        assert_null(doc_apply(doc, &p, mem, NULL));
    }
}

/* Every key has to be found, by the index too, and no other. */
static void expect_findable(const ks_val *val, uint64_t seed)
{
    for (size_t i = 0; i < ks_len(val); i++) {
        if (ks_type_of(val) == KS_OBJECT) {
            const struct val_member *m = &val->members->at[i];
            if (val_member(val, (struct str){m->key, m->key_len}) != m)
                fail_msg("seed %llu: the member \"%s\" is not found", (unsigned long long)seed,
                         m->key);
            expect_findable(m->val, seed);
        } else {
            expect_findable(ks_at(val, i), seed);
        }
    }
    if (ks_type_of(val) == KS_OBJECT)
        assert_null(val_member(val, STR("\x01 not there")));
}

static void undo_puts_back_what_was(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct random r = {seed};
        struct doc doc;
        struct doc_patch patches[30];
        ks_arena mem;
        arena_init(&mem, 4096);
        doc_init(&doc);
        fill(&r, &doc, &mem);
        for (int round = 0; round < 3; round++) {
            ks_val *before = val_copy(&mem, doc.root);
            struct doc_undo *undo = NULL;
            unsigned n = random_below(&r, 30), kept = 0;
            for (unsigned i = 0; i < n; i++) {
                patches[kept] = random_patch(&r, &mem, &doc);
                patches[kept].val = patches[kept].val ? val_copy(&mem, patches[kept].val) : NULL;
                kept += !doc_apply(&doc, &patches[kept], &mem, &undo);
                expect_findable(doc.root, seed);
            }
            ks_val *after = val_copy(&mem, doc.root);
            doc_undo(undo);
            expect_findable(doc.root, seed);
            if (!val_equal(before, doc.root))
                fail_msg("seed %llu: undone is not as before", (unsigned long long)seed);
            for (unsigned i = 0; i < kept; i++)
                assert_null(doc_apply(&doc, &patches[i], &mem, NULL));
            expect_findable(doc.root, seed);
            if (!val_equal(after, doc.root))
                fail_msg("seed %llu: done again is not as done", (unsigned long long)seed);
            doc_tidy(&doc);
        }
        doc_free(&doc);
        arena_free(&mem);
    }
}

static void a_path_says_what_is_wrong_with_it(void **state)
{
    static const char *const good[] = {"", "a", "a/", "/", "~0", "~1", "a~0~1/~01"};
    static const char *const bad[] = {"~", "a~", "~2", "a~/b", "~0~", "~~0", "\xff", "a/\xc3"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_null(doc_path_check(str_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_non_null(doc_path_check(str_of(bad[i])));
}

static void what_does_not_fit_leaves_no_trace(void **state)
{
    (void)state;
    size_t refused = 0;
    for (uint64_t seed = 1000; seed < 1300; seed++) {
        struct random r = {seed};
        struct doc doc;
        ks_arena mem;
        arena_init(&mem, 4096);
        doc_init(&doc);
        for (int i = 0; i < 40; i++) {
            ks_val *before = val_copy(&mem, doc.root);
            struct doc_undo *undo = NULL;
            struct doc_patch p = random_patch(&r, &mem, &doc);
            if (!doc_apply(&doc, &p, &mem, i % 2 ? &undo : NULL))
                continue;
            refused++;
            assert_null(undo);
            expect_findable(doc.root, seed);
            if (!val_equal(before, doc.root))
                fail_msg("seed %llu: a refused patch left a trace", (unsigned long long)seed);
        }
        doc_free(&doc);
        arena_free(&mem);
    }
    assert_true(refused > 1000);
}

static void encoded_patches_do_the_same_again(void **state)
{
    (void)state;
    for (uint64_t seed = 2000; seed < 2400; seed++) {
        struct random r = {seed};
        struct doc doc, again;
        struct buf log = {0};
        ks_arena mem;
        arena_init(&mem, 4096);
        doc_init(&doc);
        doc_init(&again);
        for (int i = 0; i < 40; i++) {
            size_t len = log.len;
            struct doc_patch p = random_patch(&r, &mem, &doc);
            doc_patch_encode(&log, &p);
            if (doc_apply(&doc, &p, &mem, NULL))
                log.len = len;
            doc_tidy(&doc);
        }
        struct reader reader = reader_of(log.at, log.len);
        while (!reader_is_at_end(&reader)) {
            struct doc_patch p;
            enum doc_op op = read_byte(&reader);
            doc_patch_decode(&reader, op, &mem, &p);
            assert_false(reader.is_bad);
            assert_null(doc_apply(&again, &p, &mem, NULL));
        }
        if (!val_equal(doc.root, again.root))
            fail_msg("seed %llu: the bytes made another document", (unsigned long long)seed);
        doc_free(&doc);
        doc_free(&again);
        buf_free(&log);
        arena_free(&mem);
    }
}

static void damaged_patches_are_refused_or_are_others(void **state)
{
    struct test *t = *state;
    struct random r = {3000};
    for (int i = 0; i < 200; i++) {
        struct buf bytes = {0};
        struct doc_patch p = random_patch(&r, &t->mem, &t->doc);
        doc_patch_encode(&bytes, &p);
        for (size_t len = 0; len < bytes.len; len++) {
            char *cut = arena_memdup(&t->mem, bytes.at, len); /* so that ASan sees its end */
            struct reader reader = reader_of(cut, len);
            doc_patch_decode(&reader, read_byte(&reader), &t->mem, &p);
            assert_true(reader.is_bad);
        }
        size_t at = random_below(&r, (unsigned)bytes.len);
        bytes.at[at] = (char)(bytes.at[at] ^ (1 << random_below(&r, 8)));
        struct reader reader = reader_of(bytes.at, bytes.len);
        doc_patch_decode(&reader, read_byte(&reader), &t->mem, &p);
        buf_free(&bytes);
    }
}

/* ---- size ---- */

static void appends_cost_no_more_memory_than_a_few_times_what_lives(void **state)
{
    struct test *t = *state;
    enum { N = 100000 };
    ks_arena scratch;
    arena_init(&scratch, 4096);
    size_t log_bytes = 0;
    for (int64_t i = 0; i < N; i++) {
        struct doc_patch p = {.op = DOC_APPEND,
                              .path = STR("items"),
                              .val = ks_integer(&scratch, i)};
        struct buf log = {0};
        assert_null(doc_apply(&t->doc, &p, &scratch, NULL));
        doc_patch_encode(&log, &p);
        log_bytes += log.len;
        buf_free(&log);
        doc_tidy(&t->doc);
        arena_reset(&scratch);
    }
    arena_free(&scratch);
    const ks_val *items = ks_get(t->doc.root, "items");
    assert_int_equal(ks_len(items), N);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(ks_int(ks_at(items, i)), i);
    assert_null(apply(t, DOC_SET, "items/99999", "\"last\"", 0));
    assert_string_equal(ks_text(ks_at(ks_get(t->doc.root, "items"), N - 1)), "last");
    assert_non_null(apply(t, DOC_SET, "items/100000", "1", 0));
    ks_arena live;
    arena_init(&live, 4096);
    val_copy(&live, t->doc.root);
    assert_true(t->doc.mem.used_bytes < 4 * live.used_bytes);
    assert_true(log_bytes < (size_t)N * 16);
    arena_free(&live);
}

static void counting_does_not_grow_the_document(void **state)
{
    struct test *t = *state;
    for (int i = 0; i < 100000; i++) {
        assert_null(apply(t, DOC_ADD, "n", NULL, 1));
        doc_tidy(&t->doc);
        if (i % 1000 == 0)
            arena_reset(&t->mem);
    }
    assert_int_equal(ks_int(ks_get(t->doc.root, "n")), 100000);
    assert_true(t->doc.mem.used_bytes < 3 * 4096);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_operation_does_what_the_table_says),
        TEST(what_does_not_fit_names_the_path),
        TEST(a_document_nests_64_levels_and_no_more),
        TEST(an_error_is_kept_as_an_object),
        TEST(undo_puts_back_what_was),
        TEST(a_path_says_what_is_wrong_with_it),
        TEST(what_does_not_fit_leaves_no_trace),
        TEST(encoded_patches_do_the_same_again),
        TEST(damaged_patches_are_refused_or_are_others),
        TEST(appends_cost_no_more_memory_than_a_few_times_what_lives),
        TEST(counting_does_not_grow_the_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
