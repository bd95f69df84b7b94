/* Operations of entities: what one does to state, log and outbox, and that one which fails leaves
 * no trace. After every operation the log bytes, applied to a second entity, have to give the same
 * state as the operation did: what recovery would see. */
#include "core/entity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- the operations ---- */

static const ks_val *op_set(ks_entity *e)
{
    ks_set(e, ks_text(ks_get(e->arg, "path")), ks_get(e->arg, "val"));
    return e->state;
}

static const ks_val *op_append(ks_entity *e)
{
    ks_append(e, ks_text(ks_get(e->arg, "path")), ks_get(e->arg, "val"));
    return NULL;
}

static const ks_val *op_add(ks_entity *e)
{
    ks_add(e, ks_text(ks_get(e->arg, "path")), ks_int(ks_get(e->arg, "val")));
    return NULL;
}

static const ks_val *op_remove(ks_entity *e)
{
    ks_remove(e, ks_text(ks_get(e->arg, "path")));
    return NULL;
}

static const ks_val *op_delete(ks_entity *e)
{
    ks_signal(e->out, (ks_ref){"Other", "k"}, "gone", NULL);
    ks_delete(e);
    return NULL;
}

static const ks_val *op_expire(ks_entity *e)
{
    entity_expire(e, e->now_ms + ks_int(e->arg));
    return NULL;
}

static void change_and_send(ks_entity *e)
{
    ks_set(e, "a", ks_integer(e->mem, 99));
    ks_append(e, "b", ks_integer(e->mem, 99));
    ks_add(e, "c/d", 99);
    ks_remove(e, "e");
    ks_signal(e->out, (ks_ref){"Other", "k"}, "op", NULL);
    ks_start(e->out, "Orchestration", "id", NULL);
    ks_log(e->out, "said before it failed");
    entity_expire(e, 5);
}

static const ks_val *op_fail(ks_entity *e)
{
    change_and_send(e);
    return ks_fail(e->mem, "Refused", "no");
}

static const ks_val *op_bad_path(ks_entity *e)
{
    change_and_send(e);
    ks_append(e, "a/b", NULL); /* a is an integer */
    ks_set(e, "after", NULL);
    return NULL;
}

static const ks_val *op_bad_send(ks_entity *e)
{
    change_and_send(e);
    ks_raise(e->out, "@a", "Go", NULL);
    return NULL;
}

static const ks_val *op_bad_result(ks_entity *e)
{
    change_and_send(e);
    return ks_string(e->mem, "\xC0\x80");
}

static const ks_val *op_not_utf8(ks_entity *e)
{
    ks_set(e, "a\xFF", NULL);
    return NULL;
}

static const ks_val *op_sees_its_changes(ks_entity *e)
{
    ks_set(e, "n", ks_integer(e->mem, 1));
    int64_t first = ks_int(ks_get(e->state, "n"));
    ks_add(e, "n", 41);
    return ks_boolean(e->mem, first == 1 && ks_int(ks_get(e->state, "n")) == 42);
}

/* Parts of the state as new parts of it. */
static const ks_val *op_copy_itself(ks_entity *e)
{
    ks_set(e, "copy", e->state);
    ks_append(e, "items", ks_get(e->state, "items"));
    ks_append(e, "items", e->state);
    ks_set(e, "items/0", e->state);
    return NULL;
}

static const ks_val *op_set_error(ks_entity *e)
{
    ks_val *all = ks_array(e->mem);
    ks_push(e->mem, all, ks_fail(e->mem, "Type", "message"));
    ks_set(e, "errors", all);
    ks_set(e, "error", ks_fail(e->mem, "Type", "message"));
    return NULL;
}

static const ks_val *op_nest(ks_entity *e)
{
    ks_val *inner = ks_object(e->mem);
    ks_put(e->mem, inner, "inner", e->state);
    ks_set(e, "", inner);
    return NULL;
}

static const ks_val *op_say(ks_entity *e)
{
    ks_log(e->out, "%s has %zu", e->key, ks_len(e->state));
    ks_signal(e->out, (ks_ref){"Other", e->key}, "op", e->state);
    return ks_string(e->mem, "said");
}

static const ks_val *op_count(ks_entity *e)
{
    ks_add(e, ks_format(e->mem, "seen/%s", ks_path_key(e->mem, ks_text(e->arg))), 1);
    return NULL;
}

static const ks_function functions[] = {
    KS_ENTITY("Box", "set", op_set),
    KS_ENTITY("Box", "append", op_append),
    KS_ENTITY("Box", "add", op_add),
    KS_ENTITY("Box", "remove", op_remove),
    KS_ENTITY("Box", "delete", op_delete),
    KS_ENTITY("Box", "expire", op_expire),
    KS_ENTITY("Box", "fail", op_fail),
    KS_ENTITY("Box", "bad_path", op_bad_path),
    KS_ENTITY("Box", "bad_send", op_bad_send),
    KS_ENTITY("Box", "bad_result", op_bad_result),
    KS_ENTITY("Box", "not_utf8", op_not_utf8),
    KS_ENTITY("Box", "sees", op_sees_its_changes),
    KS_ENTITY("Box", "copy_itself", op_copy_itself),
    KS_ENTITY("Box", "set_error", op_set_error),
    KS_ENTITY("Box", "nest", op_nest),
    KS_ENTITY("Box", "Say", op_say),
    KS_ENTITY("Box", "count", op_count),
    KS_END,
};

/* ---- the box ---- */

struct box {
    struct app app;
    struct instance *inst;
    struct instance *twin; /* lives on log bytes alone */
    ks_arena mem;
    struct buf log;
    struct outcome outcome;
    struct entity_result result;
    int64_t now_ms;
};

static int set_up(void **state)
{
    static struct box b;
    char why[256];
    b = (struct box){.now_ms = 1000};
    arena_init(&b.mem, 4096);
    assert_int_equal(app_init(&b.app, functions, NULL, why, sizeof why), 0);
    b.inst = instance_new(1, INSTANCE_ENTITY, STR("@box@Key"), STR("box"), 0);
    b.twin = instance_new(2, INSTANCE_ENTITY, STR("@box@Key"), STR("box"), 0);
    *state = &b;
    return 0;
}

static int tear_down(void **state)
{
    struct box *b = *state;
    instance_free(b->inst);
    instance_free(b->twin);
    app_free(&b->app);
    arena_free(&b->mem);
    buf_free(&b->log);
    return 0;
}

static void expect_json(struct box *b, const ks_val *val, const char *json)
{
    assert_string_equal(ks_to_json(&b->mem, val), json);
}

/* What the store would keep and give back has to be the same entity, too. */
static void expect_saved(struct box *b)
{
    struct buf texts = {0};
    struct image image;
    b->inst->saved_bytes = 0; /* as if it had never been: the whole of it */
    buf_free(&b->inst->entity.unsaved);
    instance_save(b->inst, &texts, &image);
    assert_true(image.is_whole);
    struct instance *again = instance_new(3, INSTANCE_ENTITY, STR("@box@Key"), STR("box"), 0);
    assert_int_equal(instance_restore(again, image.state, image.history, image.log, &b->mem), 0);
    assert_true(val_equal(again->entity.doc.root, b->inst->entity.doc.root));
    assert_int_equal(again->due_ms, b->inst->due_ms);
    instance_free(again);
    buf_free(&texts);
}

/* Does it; the result is an error or none; the state afterwards is that JSON. */
static void expect_op(struct box *b, const char *op, const char *arg, bool is_good,
                      const char *state)
{
    struct message m = {.type = MESSAGE_SIGNAL,
                        .target = STR("@box@Key"),
                        .name = str_of(op),
                        .val = arg ? ks_parse_json(&b->mem, arg, strlen(arg)) : NULL};
    b->log.len = 0;
    outcome_init(&b->outcome, &b->log, &b->mem);
    b->result = entity_step(b->inst, &b->app, &m, b->now_ms, &b->mem, &b->outcome);
    if (ks_is_error(b->result.val) == is_good)
        fail_msg("%s: %s", op, ks_to_json(&b->mem, b->result.val));
    expect_json(b, b->inst->entity.doc.root, state);
    assert_int_equal(instance_apply(b->twin, b->log.at, b->log.len, &b->mem), 0);
    assert_true(val_equal(b->twin->entity.doc.root, b->inst->entity.doc.root));
    assert_int_equal(b->twin->due_ms, b->inst->due_ms);
    expect_saved(b);
}

static size_t sent(const struct box *b)
{
    size_t n = 0;
    for (const struct message *m = b->outcome.out.sent.first; m; m = m->next)
        n++;
    return n;
}

/* ---- the claims ---- */

static void set_changes_the_state(void **state)
{
    struct box *b = *state;
    expect_op(b, "set", "{\"path\":\"a\",\"val\":[1]}", true, "{\"a\":[1]}");
    expect_json(b, b->result.val, "{\"a\":[1]}");
    expect_op(b, "SET", "{\"path\":\"x/y/z\",\"val\":1}", true,
              "{\"a\":[1],\"x\":{\"y\":{\"z\":1}}}");
    expect_op(b, "set", "{\"path\":\"a/0\",\"val\":2}", true,
              "{\"a\":[2],\"x\":{\"y\":{\"z\":1}}}");
    expect_op(b, "set", "{\"path\":\"\",\"val\":7}", true, "7");
    expect_op(b, "set", "{\"path\":\"\"}", true, "null");
}

static void any_text_can_be_a_key(void **state)
{
    struct box *b = *state;
    expect_op(b, "count", "\"a/b\"", true, "{\"seen\":{\"a/b\":1}}");
    expect_op(b, "count", "\"a/b\"", true, "{\"seen\":{\"a/b\":2}}");
    expect_op(b, "count", "\"~1\"", true, "{\"seen\":{\"a/b\":2,\"~1\":1}}");
    expect_op(b, "count", "\"\"", true, "{\"seen\":{\"a/b\":2,\"~1\":1,\"\":1}}");
    expect_op(b, "set", "{\"path\":\"seen\"}", true, "{\"seen\":null}");
    expect_op(b, "set", "{\"path\":\"a~b\",\"val\":1}", false, "{\"seen\":null}");
    assert_string_equal(ks_text(b->result.val), "a path has a ~ that is neither ~0 nor ~1");
}

static void append_makes_what_is_missing(void **state)
{
    struct box *b = *state;
    expect_op(b, "append", "{\"path\":\"l\",\"val\":1}", true, "{\"l\":[1]}");
    expect_op(b, "append", "{\"path\":\"l\",\"val\":null}", true, "{\"l\":[1,null]}");
    expect_op(b, "append", "{\"path\":\"m/n\",\"val\":2}", true,
              "{\"l\":[1,null],\"m\":{\"n\":[2]}}");
    expect_op(b, "append", "{\"path\":\"m\",\"val\":2}", false,
              "{\"l\":[1,null],\"m\":{\"n\":[2]}}");
    assert_int_equal(b->log.len, 0);
}

static void add_counts_and_does_not_overflow(void **state)
{
    struct box *b = *state;
    expect_op(b, "add", "{\"path\":\"n\",\"val\":9223372036854775807}", true,
              "{\"n\":9223372036854775807}");
    expect_op(b, "add", "{\"path\":\"n\",\"val\":1}", false, "{\"n\":9223372036854775807}");
    expect_op(b, "add", "{\"path\":\"n\",\"val\":-9223372036854775808}", true, "{\"n\":-1}");
    expect_op(b, "add", "{\"path\":\"n\",\"val\":-9223372036854775808}", false, "{\"n\":-1}");
    expect_op(b, "set", "{\"path\":\"s\",\"val\":\"x\"}", true, "{\"n\":-1,\"s\":\"x\"}");
    expect_op(b, "add", "{\"path\":\"s\",\"val\":1}", false, "{\"n\":-1,\"s\":\"x\"}");
}

static void remove_of_what_is_missing_changes_nothing(void **state)
{
    struct box *b = *state;
    expect_op(b, "set", "{\"path\":\"\",\"val\":{\"a\":[1,2,3],\"b\":{\"c\":1}}}", true,
              "{\"a\":[1,2,3],\"b\":{\"c\":1}}");
    expect_op(b, "remove", "{\"path\":\"x/y\"}", true, "{\"a\":[1,2,3],\"b\":{\"c\":1}}");
    expect_op(b, "remove", "{\"path\":\"a/3\"}", true, "{\"a\":[1,2,3],\"b\":{\"c\":1}}");
    expect_op(b, "remove", "{\"path\":\"a/1\"}", true, "{\"a\":[1,3],\"b\":{\"c\":1}}");
    expect_op(b, "remove", "{\"path\":\"b/c\"}", true, "{\"a\":[1,3],\"b\":{}}");
    expect_op(b, "remove", "{\"path\":\"\"}", true, "null");
}

static void an_operation_that_fails_leaves_no_trace(void **state)
{
    static const char *const ops[] = {"fail", "bad_path", "bad_send", "bad_result", "not_utf8"};
    static const char before[] = "{\"a\":1,\"b\":[1],\"c\":{\"d\":1},\"e\":1}";
    struct box *b = *state;
    char set[128];
    snprintf(set, sizeof set, "{\"path\":\"\",\"val\":%s}", before);
    expect_op(b, "set", set, true, before);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        expect_op(b, ops[i], NULL, false, before);
        assert_int_equal(b->log.len, 0);
        assert_int_equal(sent(b), 0);
        assert_int_equal(b->inst->due_ms, NEVER_MS);
        const struct log_line *line = b->outcome.out.first_line;
        assert_non_null(strstr(line->text, " failed: ")); /* it says so, and nothing else */
        assert_null(line->next);
    }
    expect_op(b, "fail", NULL, false, before);
    assert_string_equal(ks_error_type(b->result.val), "Refused");
}

static void an_operation_that_fails_on_a_new_entity_leaves_null(void **state)
{
    struct box *b = *state;
    expect_op(b, "fail", NULL, false, "null");
    expect_op(b, "bad_path", NULL, false, "null");
}

static void an_unknown_operation_fails(void **state)
{
    struct box *b = *state;
    expect_op(b, "nothing", NULL, false, "null");
    assert_string_equal(ks_error_type(b->result.val), "MissingFunction");
    assert_int_equal(b->log.len, 0);
}

static void an_operation_sees_its_own_changes(void **state)
{
    struct box *b = *state;
    expect_op(b, "sees", NULL, true, "{\"n\":42}");
    assert_true(ks_is_true(b->result.val));
}

static void a_part_of_the_state_can_be_put_into_it(void **state)
{
    struct box *b = *state;
    expect_op(b, "append", "{\"path\":\"items\",\"val\":1}", true, "{\"items\":[1]}");
    expect_op(b, "copy_itself", NULL, true,
              "{\"items\":[{\"items\":[1,[1],{\"items\":[1,[1]],\"copy\":{\"items\":[1]}}],"
              "\"copy\":{\"items\":[1]}},[1],{\"items\":[1,[1]],\"copy\":{\"items\":[1]}}],"
              "\"copy\":{\"items\":[1]}}");
}

static void errors_in_the_state_are_plain_objects(void **state)
{
    struct box *b = *state;
    expect_op(b, "set_error", NULL, true,
              "{\"errors\":[{\"type\":\"Type\",\"message\":\"message\"}],\"error\":{\"type\":"
              "\"Type\",\"message\":\"message\"}}");
    assert_false(ks_is_error(ks_get(b->inst->entity.doc.root, "error")));
    assert_false(ks_is_error(ks_at(ks_get(b->inst->entity.doc.root, "errors"), 0)));
}

static void the_state_nests_64_levels_and_no_more(void **state)
{
    struct box *b = *state;
    for (int i = 1; i < 64; i++) {
        const char *json = ks_to_json(&b->mem, b->inst->entity.doc.root);
        expect_op(b, "nest", NULL, true, ks_format(&b->mem, "{\"inner\":%s}", json));
    }
    const char *deepest = ks_to_json(&b->mem, b->inst->entity.doc.root);
    expect_op(b, "nest", NULL, false, deepest);
    expect_op(b, "remove", "{\"path\":\"\"}", true, "null");
    char path[130] = "a";
    for (size_t i = 1; i < 64; i++)
        memcpy(path + 2 * i - 1, "/a", 3);
    const char *arg = ks_format(&b->mem, "{\"path\":\"%s\",\"val\":1}", path);
    expect_op(b, "set", arg, false, "null");
    path[strlen(path) - 2] = 0; /* 63 names and a number: 64 levels */
    arg = ks_format(&b->mem, "{\"path\":\"%s\",\"val\":1}", path);
    struct message m = {.name = STR("set"), .val = ks_parse_json(&b->mem, arg, strlen(arg))};
    outcome_init(&b->outcome, &b->log, &b->mem);
    assert_false(
        ks_is_error(entity_step(b->inst, &b->app, &m, b->now_ms, &b->mem, &b->outcome).val));
    expect_saved(b);
}

static void expiry_is_kept_until_it_is_moved(void **state)
{
    struct box *b = *state;
    expect_op(b, "expire", "60000", true, "null");
    assert_int_equal(b->inst->due_ms, 61000);
    expect_op(b, "set", "{\"path\":\"a\",\"val\":1}", true, "{\"a\":1}");
    assert_int_equal(b->inst->due_ms, 61000);
    expect_op(b, "fail", NULL, false, "{\"a\":1}");
    assert_int_equal(b->inst->due_ms, 61000);
    b->now_ms = 2000;
    expect_op(b, "expire", "60000", true, "{\"a\":1}");
    assert_int_equal(b->inst->due_ms, 62000);
}

static void delete_says_so_and_sends(void **state)
{
    struct box *b = *state;
    expect_op(b, "delete", NULL, true, "null");
    assert_true(b->result.is_deleted);
    assert_int_equal(sent(b), 1);
}

static void what_is_sent_is_a_copy(void **state)
{
    struct box *b = *state;
    expect_op(b, "set", "{\"path\":\"a\",\"val\":1}", true, "{\"a\":1}");
    expect_op(b, "say", NULL, true, "{\"a\":1}");
    assert_string_equal(b->outcome.out.first_line->text, "Key has 1");
    expect_json(b, b->result.val, "\"said\"");
    const struct message *m = b->outcome.out.sent.first;
    expect_op(b, "set", "{\"path\":\"a\",\"val\":2}", true, "{\"a\":2}");
    expect_json(b, m->val, "{\"a\":1}");
    assert_int_equal(m->target.len, strlen("@other@Key"));
    assert_memory_equal(m->target.at, "@other@Key", m->target.len);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(set_changes_the_state),
        TEST(any_text_can_be_a_key),
        TEST(append_makes_what_is_missing),
        TEST(add_counts_and_does_not_overflow),
        TEST(remove_of_what_is_missing_changes_nothing),
        TEST(an_operation_that_fails_leaves_no_trace),
        TEST(an_operation_that_fails_on_a_new_entity_leaves_null),
        TEST(an_unknown_operation_fails),
        TEST(an_operation_sees_its_own_changes),
        TEST(a_part_of_the_state_can_be_put_into_it),
        TEST(errors_in_the_state_are_plain_objects),
        TEST(the_state_nests_64_levels_and_no_more),
        TEST(expiry_is_kept_until_it_is_moved),
        TEST(delete_says_so_and_sends),
        TEST(what_is_sent_is_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
