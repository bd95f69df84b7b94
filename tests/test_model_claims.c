/* Claims about the model that a trace does not show well: many rounds, limits, tables that change,
 * answers that come late. Driven as test_model_traces.c is. */
#include "model_claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ACCOUNT(key) ((ks_ref){"Account", (key)})

static const ks_val *json(ks_orch *o, const char *text)
{
    return ks_parse_json(o->mem, text, strlen(text));
}

/* ---- continue as new ---- */

static const ks_val *draws_in_each_round(ks_orch *o)
{
    int64_t left = ks_int(ks_get(o->input, "left"));
    const ks_val *before = ks_get(o->input, "id");
    const char *id = ks_unique_id(o);
    if (before && strcmp(ks_text(before), id) == 0)
        return ks_fail(o->mem, "Twice", "%s was drawn twice", id);
    if (left == 0)
        return ks_boolean(o->mem, true);
    ks_val *next = ks_object(o->mem);
    ks_put(o->mem, next, "left", ks_integer(o->mem, left - 1));
    ks_continue_as_new(o, ks_put(o->mem, next, "id", ks_string(o->mem, id)));
}

static void what_is_unique_is_so_over_rounds_in_one_millisecond(void **state)
{
    (void)state;
    ks_test *t = open_with(draws_in_each_round, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\",\"input\":{\"left\":10}}");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":true}");
    ks_test_close(t);
}

static const ks_val *shows_and_goes_round(ks_orch *o)
{
    if (ks_type_of(o->input) == KS_NULL) {
        ks_set_status(o, ks_string(o->mem, "shown"));
        ks_continue_as_new(o, ks_integer(o->mem, 1));
    }
    return wait_for_go(o);
}

static void a_custom_status_is_kept_by_the_next_round(void **state)
{
    (void)state;
    ks_test *t = open_with(shows_and_goes_round, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    expect(t, "See", "p", "{\"status\":\"Running\",\"custom\":\"shown\"}");
    ks_test_close(t);
}

static size_t resident_bytes(void)
{
    size_t pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu %zu", &pages, &resident), 2);
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static const ks_val *counts_down(ks_orch *o)
{
    int64_t left = ks_int(o->input);
    if (left == 0)
        return ks_boolean(o->mem, true);
    ks_continue_as_new(o, ks_integer(o->mem, left - 1));
}

static void a_million_rounds_take_the_memory_of_one(void **state)
{
#ifdef KS_ASAN
    enum { ROUNDS = 20000, MORE_BYTES_MAX = 1 << 30 }; /* what is freed stays in its quarantine */
#else
    enum { ROUNDS = 1000000, MORE_BYTES_MAX = 8 << 20 };
#endif
    char step[128];
    (void)state;
    ks_test *t = open_with(counts_down, NULL);
    model_do(t, "do {\"id\":\"warm\",\"start\":\"Program\",\"input\":20000}");
    size_t before = resident_bytes();
    snprintf(step, sizeof step, "do {\"id\":\"p\",\"start\":\"Program\",\"input\":%d}", ROUNDS);
    model_do(t, step);
    size_t after = resident_bytes();
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":true}");
    assert_true(strlen(model_get(t, "History", "p")) < 400);
    if (after > before + MORE_BYTES_MAX)
        fail_msg("%zu bytes more after %d rounds", after - before, ROUNDS);
    ks_test_close(t);
}

/* ---- limits ---- */

static const ks_val *shows_a_text(ks_orch *o)
{
    size_t len = (size_t)ks_int(o->input);
    char *text = ks_alloc(o->mem, len + 1);
    memset(text, 'x', len);
    ks_set_status(o, ks_string_n(o->mem, text, len));
    return wait_for_go(o);
}

static void a_custom_status_has_up_to_65536_bytes(void **state)
{
    (void)state;
    ks_test *t = open_with(shows_a_text, NULL);
    /* A string of 65,532 bytes is encoded in 65,536: a type, and three bytes of length. */
    model_do(t, "do {\"id\":\"fits\",\"start\":\"Program\",\"input\":65532}");
    model_do(t, "do {\"id\":\"does-not\",\"start\":\"Program\",\"input\":65533}");
    expect_part(t, "See", "fits", "{\"status\":\"Running\",\"custom\":\"xxx");
    expect_part(t, "See", "does-not", "the custom status takes 65537 bytes, and at most 65536");
    ks_test_close(t);
}

/* ---- retries ---- */

static const ks_val *has_final_errors(ks_orch *o)
{
    return ks_await(
        ks_call_with(o, "WorkInline", o->input, &(ks_retry){.attempts = 2, .final_errors = "Bad"}));
}

static void an_error_without_a_type_is_no_final_one(void **state)
{
    (void)state;
    alarm(20); /* it was looked for without end */
    ks_test *t = open_with(has_final_errors, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\",\"input\":{\"fail\":[\"\"],\"value\":1}}");
    model_do(t, "advance 1000");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":1}");
    alarm(0);
    ks_test_close(t);
}

static void an_attempt_that_took_too_long_sends_nothing(void **state)
{
    (void)state;
    ks_test *t = open_with(has_a_limit, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    model_do(t, "advance 2000"); /* the second attempt; the first still runs */
    model_do(t, "run");          /* both are done well */
    expect(t, "State", "work", "{\"balance\":1}");
    ks_test_close(t);
}

/* ---- versions and tables that change ---- */

static const ks_val *one(ks_orch *o)
{
    return ks_string(o->mem, "one");
}

static const ks_val *two(ks_orch *o)
{
    return ks_string(o->mem, "two");
}

static void a_new_instance_gets_the_first_version_of_the_table(void **state)
{
    static const ks_function functions[] = {KS_ORCHESTRATION_VERSION("Grown", "2", two),
                                            KS_ORCHESTRATION("Grown", one), KS_END};
    (void)state;
    ks_test *t = open_with(wait_for_go, functions);
    model_do(t, "do {\"id\":\"new\",\"start\":\"Grown\"}");
    model_do(t, "do {\"id\":\"old\",\"start\":\"Grown\",\"version\":\"\"}");
    expect(t, "See", "new", "{\"status\":\"Completed\",\"output\":\"two\"}");
    expect(t, "See", "old", "{\"status\":\"Completed\",\"output\":\"one\"}");
    ks_test_close(t);
}

static void a_function_that_was_removed_is_named_and_rewound_when_it_is_back(void **state)
{
    (void)state;
    static ks_function functions[] = {KS_ORCHESTRATION("Gone", wait_for_go), KS_END};
    ks_test *t = open_with(wait_for_go, functions);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Gone\"}");
    model_rename("Gone", "Other");
    model_do(t, "crash");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\",\"value\":5}");
    expect_part(t, "See", "p", "\"type\":\"MissingFunction\"");
    expect_part(t, "See", "p", "\\\"Gone\\\"");
    model_rename("Other", "Gone");
    model_do(t, "crash");
    model_do(t, "do {\"id\":\"p\",\"rewind\":-1}");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":5}");
    ks_test_close(t);
}

static const ks_val *calls_gone(ks_orch *o)
{
    ks_task *call = ks_call(o, "Gone", ks_integer(o->mem, 8));
    ks_await(ks_event(o, "Go"));
    return ks_await(call);
}

static const ks_val *gives(ks_activity *a)
{
    return a->input;
}

static void an_activity_that_was_removed_is_named_and_rewound_when_it_is_back(void **state)
{
    (void)state;
    static ks_function functions[] = {KS_ACTIVITY("Gone", gives), KS_END};
    ks_test *t = open_with(calls_gone, functions);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    model_rename("Gone", "Other");
    model_do(t, "crash");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\"}");
    expect_part(t, "See", "p", "\"type\":\"MissingFunction\"");
    model_rename("Other", "Gone");
    model_do(t, "crash");
    model_do(t, "do {\"id\":\"p\",\"rewind\":-1}");
    model_do(t, "run");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":8}");
    ks_test_close(t);
}

/* ---- restart ---- */

static void one_that_was_only_to_be_started_when_new_can_be_restarted(void **state)
{
    (void)state;
    ks_test *t = open_with(wait_for_go, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\",\"onlyIfNew\":true}");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\",\"value\":1}");
    model_do(t, "do {\"id\":\"p\",\"restart\":true}");
    expect(t, "See", "p", "{\"status\":\"Running\"}");
    ks_test_close(t);
}

static void one_that_is_resumed_before_its_time_is_pending(void **state)
{
    (void)state;
    ks_test *t = open_with(wait_for_go, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\",\"due\":1798135260000}");
    model_do(t, "do {\"id\":\"p\",\"suspend\":\"x\"}");
    model_do(t, "do {\"id\":\"p\",\"resume\":\"y\"}");
    expect(t, "See", "p", "{\"status\":\"Pending\"}");
    ks_test_close(t);
}

/* ---- locked entities ---- */

static const ks_val *deletes_in_a_section(ks_orch *o)
{
    ks_await(ks_lock(o, ACCOUNT("a")));
    ks_await(ks_event(o, "Close"));
    ks_await(ks_call_entity(o, ACCOUNT("a"), "Close", NULL));
    ks_await(ks_event(o, "Go"));
    return NULL;
}

static const ks_val *close_account(ks_entity *e)
{
    ks_delete(e);
    return NULL;
}

static const ks_val *calls_a(ks_orch *o)
{
    return ks_await(ks_call_entity(o, ACCOUNT("a"), "Deposit", ks_integer(o->mem, 1)));
}

static const ks_function entity_functions[] = {KS_ENTITY("Account", "Close", close_account),
                                               KS_ORCHESTRATION("CallsA", calls_a), KS_END};

static void a_call_that_waits_outlives_the_deletion_of_its_entity(void **state)
{
    (void)state;
    ks_test *t = open_with(deletes_in_a_section, entity_functions);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    model_do(t, "do {\"id\":\"q\",\"start\":\"CallsA\"}");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Close\"}");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\"}");
    expect(t, "See", "q", "{\"status\":\"Completed\",\"output\":1}");
    ks_test_close(t);
}

static void a_section_outlives_the_deletion_of_its_entity(void **state)
{
    (void)state;
    ks_test *t = open_with(deletes_in_a_section, entity_functions);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Close\"}");
    model_do(t, "do {\"id\":\"q\",\"start\":\"CallsA\"}");
    expect(t, "See", "q", "{\"status\":\"Running\"}"); /* p has it until it ends */
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\"}");
    expect(t, "See", "q", "{\"status\":\"Completed\",\"output\":1}");
    ks_test_close(t);
}

static void a_signal_for_later_outlives_the_deletion_of_its_entity(void **state)
{
    (void)state;
    ks_test *t = open_with(wait_for_go, entity_functions);
    model_do(t, "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":1,\"due\":1798135205000}");
    model_do(t, "do {\"id\":\"a\",\"signal\":\"Close\"}");
    model_do(t, "advance 5000");
    expect(t, "State", "a", "{\"balance\":1}");
    ks_test_close(t);
}

static const ks_val *withdraws_in_a_section(ks_orch *o)
{
    ks_await(ks_lock(o, ACCOUNT("a")));
    ks_await(ks_call_entity(o, ACCOUNT("a"), "Withdraw", ks_integer(o->mem, 5)));
    ks_await(ks_event(o, "Go"));
    return NULL;
}

static void a_section_is_a_section_again_after_a_rewind(void **state)
{
    (void)state;
    ks_test *t = open_with(withdraws_in_a_section, entity_functions);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    expect_part(t, "See", "p", "there is not so much");
    model_do(t, "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":9}");
    model_do(t, "do {\"id\":\"p\",\"rewind\":-1}");
    expect(t, "See", "p", "{\"status\":\"Running\"}");
    expect(t, "State", "a", "{\"balance\":4}");
    model_do(t, "do {\"id\":\"q\",\"start\":\"CallsA\"}");
    expect(t, "See", "q", "{\"status\":\"Running\"}"); /* p is in its section */
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\"}");
    expect(t, "See", "q", "{\"status\":\"Completed\",\"output\":5}");
    ks_test_close(t);
}

static const ks_val *locks_by_input(ks_orch *o)
{
    ks_await(ks_lock(o, ACCOUNT(ks_text(o->input))));
    return wait_for_go(o);
}

static const ks_val *locks_another(ks_orch *o)
{
    ks_await(ks_lock(o, ACCOUNT("other")));
    return wait_for_go(o);
}

static const ks_answer *call(ks_test *t, const char *body)
{
    return ks_test_post(t, "/api/Call", "application/json", body);
}

static void an_answer_of_a_process_that_is_gone_is_nobodys(void **state)
{
    (void)state;
    ks_test *t = open_with(locks_by_input, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\",\"input\":\"a\"}");
    model_do(t, "do {\"id\":\"q\",\"start\":\"Program\",\"input\":\"b\"}");
    call(t, "{\"id\":\"a\",\"call\":\"Deposit\",\"value\":111}"); /* waits for a */
    model_do(t, "crash");
    model_do(t, "do {\"id\":\"x\",\"signal\":\"Deposit\",\"value\":1}");
    model_do(t, "do {\"id\":\"x\",\"signal\":\"Deposit\",\"value\":1}");
    const ks_answer *second = call(t, "{\"id\":\"b\",\"call\":\"Deposit\",\"value\":5}");
    model_do(t, "do {\"id\":\"p\",\"terminate\":\"x\"}");
    assert_int_equal(second->status, 0); /* it waits for b */
    model_do(t, "do {\"id\":\"q\",\"terminate\":\"x\"}");
    assert_int_equal(second->status, 200);
    assert_string_equal(second->body, "5");
    ks_test_close(t);
}

/* ---- rewind ---- */

static const ks_val *two_at_once(ks_orch *o)
{
    ks_task *bad = ks_call(o, "Work", json(o, "{\"fail\":[\"Busy\"],\"value\":1}"));
    ks_task *good = ks_event(o, "Go");
    return ks_await(ks_when_all(o, bad, good));
}

static void what_failed_is_done_again_though_another_answer_came_last(void **state)
{
    (void)state;
    ks_test *t = open_with(two_at_once, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    model_do(t, "run");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\",\"value\":2}");
    expect_part(t, "See", "p", "\"Failed\"");
    model_do(t, "do {\"id\":\"p\",\"rewind\":-1}");
    model_do(t, "run");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":[1,2]}");
    ks_test_close(t);
}

static const ks_val *parent_of_c(ks_orch *o)
{
    return ks_await(ks_sub(o, "Child", "c", o->input));
}

static void a_child_that_is_rewound_is_told_the_reason(void **state)
{
    (void)state;
    ks_test *t = open_with(parent_of_c, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\",\"input\":{\"fail\":true}}");
    model_do(t, "do {\"id\":\"p\",\"rewind\":-1}");
    expect_part(t, "History", "p", "\"value\":\"again\"");
    expect_part(t, "History", "c", "\"value\":\"again\"");
    ks_test_close(t);
}

static const ks_val *does_a_bit_of_all(ks_orch *o)
{
    ks_set_status(o, ks_string(o->mem, "begun"));
    const ks_val *a = ks_await(ks_call(o, "Work", json(o, "{\"value\":1}")));
    const ks_val *b = ks_await(ks_call(o, "WorkInline", json(o, "{\"value\":2}")));
    ks_await(ks_timer(o, o->now_ms + 1000));
    ks_val *wait = ks_put(o->mem, ks_object(o->mem), "wait", ks_boolean(o->mem, true));
    const ks_val *c = ks_await(ks_sub(o, "Child", "c", wait));
    const ks_val *d = ks_await(ks_event(o, "Go"));
    const ks_val *e = ks_await(ks_call_entity(o, ACCOUNT("a"), "Balance", NULL));
    ks_set_status(o, ks_string(o->mem, "almost"));
    const ks_val *last = ks_await(ks_call(o, "Work", json(o, "{\"fail\":[\"Busy\"],\"value\":6}")));
    ks_val *all = ks_array(o->mem);
    const ks_val *vals[] = {a, b, c, d, e, last};
    for (size_t i = 0; i < sizeof vals / sizeof vals[0]; i++)
        ks_push(o->mem, all, vals[i]);
    return all;
}

/* Whatever it waits for comes, until it is over. */
static void bring_all(ks_test *t)
{
    for (int i = 0; i < 4; i++) {
        model_do(t, "run");
        model_do(t, "advance 1000");
        if (strstr(model_get(t, "See", "c"), "Running"))
            model_do(t, "do {\"id\":\"c\",\"raise\":\"Go\",\"value\":3}");
        if (strstr(model_get(t, "See", "p"), "Running"))
            model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\",\"value\":4}");
        model_do(t, "run");
    }
}

static void rewind_from(const char *crash, int event, bool *ret_is_past)
{
    char step[64];
    ks_test *t = open_with(does_a_bit_of_all, NULL);
    model_do(t, "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":5}");
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    bring_all(t);
    expect_part(t, "See", "p", "Busy");
    snprintf(step, sizeof step, "try {\"id\":\"p\",\"rewind\":%d}", event);
    model_do(t, crash);
    model_do(t, step);
    *ret_is_past = strstr(model_get(t, "See", "p"), "Failed");
    model_do(t, crash);
    bring_all(t);
    if (!*ret_is_past)
        expect(t, "See", "p",
               "{\"status\":\"Completed\",\"output\":[1,2,3,4,5,6],\"custom\":\"almost\"}");
    ks_test_close(t);
}

static void one_can_be_rewound_from_each_of_its_events(void **state)
{
    bool is_past = false;
    int events = 0;
    (void)state;
    for (; !is_past; events++)
        rewind_from("run", events, &is_past);
    for (int i = 0; i + 1 < events; i++)
        rewind_from("crash", i, &is_past);
    assert_in_range(events, 15, 30);
}

/* ---- what came of looking for survivors ---- */

static const ks_val *begins_anew_at_once(ks_orch *o)
{
    if (!ks_is_true(o->input))
        ks_continue_as_new(o, ks_boolean(o->mem, true));
    return ks_string(o->mem, ks_format(o->mem, "%s %s", o->parent_id ? o->parent_id : "nobody",
                                       o->version));
}

static const ks_val *never(ks_orch *o)
{
    return ks_fail(o->mem, "Wrong", "version %s runs", o->version);
}

static const ks_val *parent_of_anew(ks_orch *o)
{
    return ks_await(ks_sub(o, "Anew", "c", NULL));
}

static void a_child_that_begins_anew_at_once_answers_its_parent(void **state)
{
    static const ks_function functions[] = {KS_ORCHESTRATION("Anew", begins_anew_at_once), KS_END};
    (void)state;
    ks_test *t = open_with(parent_of_anew, functions);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":\"p \"}");
    ks_test_close(t);
}

static void one_that_begins_anew_at_once_stays_with_its_version(void **state)
{
    static const ks_function functions[] = {KS_ORCHESTRATION_VERSION("Anew", "2", never),
                                            KS_ORCHESTRATION_VERSION("Anew", "1",
                                                                     begins_anew_at_once),
                                            KS_END};
    (void)state;
    ks_test *t = open_with(wait_for_go, functions);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Anew\",\"version\":\"1\"}");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":\"nobody 1\"}");
    ks_test_close(t);
}

static int runs; /* of "Counted" */

static const ks_val *counted(ks_activity *a)
{
    return ks_integer(a->mem, ++runs);
}

static const ks_val *calls_and_ends(ks_orch *o)
{
    ks_call(o, "Counted", NULL);
    return NULL;
}

static const ks_val *calls_many_and_fails(ks_orch *o)
{
    ks_task *tasks[4];
    for (size_t i = 0; i < 3; i++)
        tasks[i] = ks_call(o, "Counted", NULL);
    tasks[3] = ks_event(o, "Go");
    ks_await(tasks[0]);
    for (size_t i = 4; i < 12; i++) /* so that what is done stays in the list for a while */
        ks_timer(o, o->now_ms + 1000000);
    ks_await(ks_all_of(o, tasks, 4));
    return ks_await(ks_call(o, "Work", json(o, "{\"fail\":[\"Busy\"],\"value\":1}")));
}

static const ks_function counting[] = {KS_ACTIVITY("Counted", counted), KS_END};

static void what_nobody_waits_for_is_not_run(void **state)
{
    (void)state;
    runs = 0;
    ks_test *t = open_with(calls_and_ends, counting);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    model_do(t, "run");
    model_do(t, "crash");
    model_do(t, "run");
    assert_int_equal(runs, 0);
    ks_test_close(t);
}

static void what_was_done_is_not_done_again_by_a_rewind(void **state)
{
    (void)state;
    runs = 0;
    ks_test *t = open_with(calls_many_and_fails, counting);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    model_do(t, "run");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\"}");
    model_do(t, "run");
    expect_part(t, "See", "p", "Busy");
    model_do(t, "do {\"id\":\"p\",\"rewind\":-1}");
    model_do(t, "run");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":1}");
    assert_int_equal(runs, 3);
    ks_test_close(t);
}

/* Waits for a lock, a call and a child, with an event between asking and answer each time. */
static const ks_val *waits_with_noise(ks_orch *o)
{
    ks_await(ks_lock(o, ACCOUNT("b")));
    ks_unlock(o);
    const ks_val *a = ks_await(ks_call_entity(o, ACCOUNT("a"), "Balance", NULL));
    const ks_val *c = ks_await(ks_sub(o, "Child", "c", json(o, "{\"wait\":true}")));
    const ks_val *last = ks_await(ks_call(o, "Work", json(o, "{\"fail\":[\"Busy\"],\"value\":6}")));
    ks_val *all = ks_array(o->mem);
    return ks_push(o->mem, ks_push(o->mem, ks_push(o->mem, all, a), c), last);
}

static const ks_val *locks_both(ks_orch *o)
{
    ks_await(ks_lock(o, ACCOUNT("b")));
    ks_await(ks_event(o, "B"));
    ks_unlock(o);
    ks_await(ks_lock(o, ACCOUNT("a")));
    return ks_await(ks_event(o, "A"));
}

static const ks_function noisy[] = {KS_ORCHESTRATION("Locks", locks_both), KS_END};

static void make_noise(ks_test *t)
{
    if (strstr(model_get(t, "See", "p"), "Running"))
        model_do(t, "do {\"id\":\"p\",\"raise\":\"Noise\"}");
}

static void bring_the_rest(ks_test *t)
{
    make_noise(t);
    if (strstr(model_get(t, "See", "q"), "Running")) {
        model_do(t, "do {\"id\":\"q\",\"raise\":\"B\"}");
        make_noise(t);
        model_do(t, "do {\"id\":\"q\",\"raise\":\"A\"}");
    }
    make_noise(t);
    if (strstr(model_get(t, "See", "c"), "Running"))
        model_do(t, "do {\"id\":\"c\",\"raise\":\"Go\",\"value\":3}");
    make_noise(t);
    model_do(t, "run");
}

static void one_can_be_rewound_to_where_it_waited(void **state)
{
    bool is_past = false;
    (void)state;
    for (int event = 0; !is_past; event++) {
        char step[64];
        ks_test *t = open_with(waits_with_noise, noisy);
        model_do(t, "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":5}");
        model_do(t, "do {\"id\":\"q\",\"start\":\"Locks\"}");
        model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
        bring_the_rest(t);
        expect_part(t, "See", "p", "Busy");
        snprintf(step, sizeof step, "try {\"id\":\"p\",\"rewind\":%d}", event);
        model_do(t, step);
        is_past = strstr(model_get(t, "See", "p"), "Failed");
        model_do(t, "crash");
        bring_the_rest(t);
        if (!is_past)
            expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":[5,3,6]}");
        ks_test_close(t);
    }
}

static void another_lock_is_another_command(void **state)
{
    static const struct model_program program = {.code = locks_by_input, .changed = locks_another};
    (void)state;
    ks_test *t = model_open(&program, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\",\"input\":\"a\"}");
    model_do(t, "change");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\"}");
    expect_part(t, "See", "p", "NonDeterminism");
    ks_test_close(t);
}

static void a_rewind_to_the_start_can_be_done_again(void **state)
{
    (void)state;
    ks_test *t = open_with(never, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    for (int i = 0; i < 3; i++) {
        model_do(t, "do {\"id\":\"p\",\"rewind\":0}");
        expect_part(t, "See", "p", "Wrong");
    }
    ks_test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_unique_is_so_over_rounds_in_one_millisecond),
        cmocka_unit_test(a_custom_status_is_kept_by_the_next_round),
        cmocka_unit_test(a_million_rounds_take_the_memory_of_one),
        cmocka_unit_test(a_custom_status_has_up_to_65536_bytes),
        cmocka_unit_test(an_attempt_that_took_too_long_sends_nothing),
        cmocka_unit_test(a_new_instance_gets_the_first_version_of_the_table),
        cmocka_unit_test(a_function_that_was_removed_is_named_and_rewound_when_it_is_back),
        cmocka_unit_test(an_activity_that_was_removed_is_named_and_rewound_when_it_is_back),
        cmocka_unit_test(one_that_was_only_to_be_started_when_new_can_be_restarted),
        cmocka_unit_test(one_that_is_resumed_before_its_time_is_pending),
        cmocka_unit_test(a_call_that_waits_outlives_the_deletion_of_its_entity),
        cmocka_unit_test(a_section_outlives_the_deletion_of_its_entity),
        cmocka_unit_test(a_signal_for_later_outlives_the_deletion_of_its_entity),
        cmocka_unit_test(a_section_is_a_section_again_after_a_rewind),
        cmocka_unit_test(an_answer_of_a_process_that_is_gone_is_nobodys),
        cmocka_unit_test(what_failed_is_done_again_though_another_answer_came_last),
        cmocka_unit_test(a_child_that_is_rewound_is_told_the_reason),
        cmocka_unit_test(one_can_be_rewound_from_each_of_its_events),
        cmocka_unit_test(a_child_that_begins_anew_at_once_answers_its_parent),
        cmocka_unit_test(one_that_begins_anew_at_once_stays_with_its_version),
        cmocka_unit_test(what_nobody_waits_for_is_not_run),
        cmocka_unit_test(what_was_done_is_not_done_again_by_a_rewind),
        cmocka_unit_test(one_can_be_rewound_to_where_it_waited),
        cmocka_unit_test(another_lock_is_another_command),
        cmocka_unit_test(a_rewind_to_the_start_can_be_done_again),
        cmocka_unit_test(an_error_without_a_type_is_no_final_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
