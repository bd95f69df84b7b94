/* Activities on threads, as an app's author tests them: they run again after a crash under the same
 * key, their results count once, what they send arrives once. */
#include "keepsake_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What the world outside saw; a crash of the process does not change it. */
static struct {
    int runs;
    char keys[4096];
    bool fails;
} outside;

static const ks_val *pay(ks_activity *a)
{
    size_t len = strlen(outside.keys);
    outside.runs++;
    snprintf(outside.keys + len, sizeof outside.keys - len, "%s ", a->key);
    ks_signal(a->out, (ks_ref){"Ledger", a->id}, "note", ks_string(a->mem, "paid"));
    ks_log(a->out, "paid for %s", a->id);
    if (outside.fails)
        return ks_fail(a->mem, "Declined", "no money for %s", a->id);
    return ks_integer(a->mem, ks_int(a->input) + 1);
}

static const ks_val *pay_inline(ks_activity *a)
{
    ks_signal(a->out, (ks_ref){"Ledger", a->id}, "note", ks_string(a->mem, "paid"));
    return ks_integer(a->mem, ks_int(a->input) + 1);
}

static const ks_val *send_badly(ks_activity *a)
{
    ks_signal(a->out, (ks_ref){"Ledger", a->id}, "note", ks_string(a->mem, "never"));
    ks_start(a->out, "Once", "a/b", NULL);
    return ks_integer(a->mem, 1);
}

static const ks_val *return_badly(ks_activity *a)
{
    return ks_string(a->mem, "\xFF");
}

static void note(ks_orch *o, const char *what)
{
    ks_signal(o->out, (ks_ref){"Ledger", o->id}, "note", ks_string(o->mem, what));
}

static const ks_val *once(ks_orch *o)
{
    const ks_val *result = ks_await(ks_call(o, "Pay", ks_integer(o->mem, 41)));
    note(o, "told");
    return result;
}

static const ks_val *once_inline(ks_orch *o)
{
    const ks_val *result = ks_await(ks_call(o, "PayInline", ks_integer(o->mem, 41)));
    note(o, "told");
    return result;
}

static const ks_val *in_sequence(ks_orch *o)
{
    int64_t n = 0;
    for (int i = 0; i < 5; i++) {
        n = ks_int(ks_await(ks_call(o, "Pay", ks_integer(o->mem, n))));
        note(o, "step");
    }
    return ks_integer(o->mem, n);
}

static const ks_val *fan_out(ks_orch *o)
{
    enum { N = 100 };
    ks_task *tasks[N];
    for (int64_t i = 0; i < N; i++)
        tasks[i] = ks_call(o, "Pay", ks_integer(o->mem, i * i));
    const ks_val *results = ks_await(ks_all_of(o, tasks, N));
    int64_t sum = 0;
    for (size_t i = 0; i < N; i++)
        sum += ks_int(ks_at(results, i));
    return ks_integer(o->mem, sum);
}

static const ks_val *retries(ks_orch *o)
{
    for (int i = 0; i < 3; i++) {
        const ks_val *result = ks_try(ks_call(o, "Pay", ks_integer(o->mem, 1)));
        if (!ks_is_error(result))
            return ks_string(o->mem, "paid");
        ks_await(ks_timer(o, o->now_ms + KS_MINUTES(1)));
    }
    return ks_fail(o->mem, "GaveUp", "three times");
}

static const ks_val *with_deadline(ks_orch *o)
{
    ks_task *pay_task = ks_call(o, "Pay", NULL);
    ks_task *timer = ks_timer(o, o->now_ms + KS_MINUTES(1));
    bool is_paid = ks_winner(ks_when_any(o, pay_task, timer)) == pay_task;
    note(o, is_paid ? "in time" : "too late");
    return ks_boolean(o->mem, is_paid);
}

static const ks_val *calls_bad_ones(ks_orch *o)
{
    const ks_val *sends = ks_try(ks_call(o, "SendBadly", NULL));
    const ks_val *returns = ks_try(ks_call(o, "ReturnBadly", NULL));
    return ks_string(o->mem, ks_format(o->mem, "%s; %s", ks_text(sends), ks_text(returns)));
}

static const ks_val *ledger_note(ks_entity *e)
{
    ks_append(e, "notes", e->arg);
    return NULL;
}

static int http_start(ks_http *h)
{
    ks_start(h->out, ks_route(h, "name"), ks_route(h, "id"), NULL);
    return ks_reply_empty(h, 202);
}

static int http_output(ks_http *h)
{
    if (ks_status(h, ks_route(h, "id")) == KS_RUNNING)
        return ks_reply_text(h, 200, "running");
    return ks_reply_json(h, 200, ks_output(h, ks_route(h, "id")));
}

static int http_notes(ks_http *h)
{
    ks_ref ledger = {"Ledger", ks_route(h, "id")};
    return ks_reply_json(h, 200, ks_get(ks_state(h, ledger), "notes"));
}

static int http_empty(ks_http *h)
{
    return ks_reply_empty(h, 200);
}

static int http_result(ks_http *h)
{
    return ks_reply_result(h, (ks_ref){"Ledger", "a"}, "note", NULL);
}

static int http_bad_result(ks_http *h)
{
    return ks_reply_result(h, (ks_ref){"Ledger", "a/b"}, "note", NULL);
}

static const ks_function functions[] = {
    KS_ACTIVITY("Pay", pay),
    KS_ACTIVITY_INLINE("PayInline", pay_inline),
    KS_ACTIVITY("SendBadly", send_badly),
    KS_ACTIVITY("ReturnBadly", return_badly),
    KS_ORCHESTRATION("Once", once),
    KS_ORCHESTRATION("OnceInline", once_inline),
    KS_ORCHESTRATION("InSequence", in_sequence),
    KS_ORCHESTRATION("FanOut", fan_out),
    KS_ORCHESTRATION("Retries", retries),
    KS_ORCHESTRATION("WithDeadline", with_deadline),
    KS_ORCHESTRATION("CallsBadOnes", calls_bad_ones),
    KS_ENTITY("Ledger", "note", ledger_note),
    KS_HTTP("Start", "GET", "start/{name}/{id}", 0, http_start),
    KS_HTTP("Output", "GET", "output/{id}", 0, http_output),
    KS_HTTP("Notes", "GET", "notes/{id}", 0, http_notes),
    KS_HTTP("Result", "GET", "result", KS_IDEMPOTENT, http_result),
    KS_HTTP("BadResult", "GET", "bad-result", 0, http_bad_result),
    KS_HTTP("Empty", "GET", "empty", KS_IDEMPOTENT, http_empty),
    KS_END,
};

static int set_up(void **state)
{
    memset(&outside, 0, sizeof outside);
    *state = ks_test_open(functions);
    return 0;
}

static int tear_down(void **state)
{
    ks_test_close(*state);
    return 0;
}

static void start(ks_test *t, const char *name)
{
    char target[128];
    snprintf(target, sizeof target, "/api/start/%s/a", name);
    assert_int_equal(ks_test_get(t, target)->status, 202);
}

static void expect(ks_test *t, const char *target, const char *body)
{
    assert_string_equal(ks_test_get(t, target)->body, body);
}

static void activity_suspends(void **state)
{
    ks_test *t = *state;
    ks_test_hold_activities(t, true);
    start(t, "Once");
    expect(t, "/api/output/a", "running");
    expect(t, "/api/notes/a", "null");
    assert_int_equal(outside.runs, 0);
}

static void activity_completes(void **state)
{
    ks_test *t = *state;
    start(t, "Once");
    expect(t, "/api/output/a", "42");
    assert_int_equal(outside.runs, 1);
    assert_string_equal(ks_test_log(t), "paid for a\n");
}

static void activity_still_waits_while_it_is_held(void **state)
{
    ks_test *t = *state;
    ks_test_hold_activities(t, true);
    start(t, "Once");
    ks_test_advance(t, KS_DAYS(30));
    expect(t, "/api/output/a", "running");
    ks_test_hold_activities(t, false);
    ks_test_run(t);
    expect(t, "/api/output/a", "42");
}

static void held_activities_stay_held_over_a_crash(void **state)
{
    ks_test *t = *state;
    ks_test_hold_activities(t, true);
    start(t, "Once");
    ks_test_crash(t);
    ks_test_run(t);
    expect(t, "/api/output/a", "running");
    assert_int_equal(outside.runs, 0);
}

static void an_activity_that_was_running_runs_again(void **state)
{
    ks_test *t = *state;
    ks_test_hold_activities(t, true);
    start(t, "Once");
    ks_test_crash(t);
    ks_test_crash(t);
    ks_test_hold_activities(t, false);
    ks_test_run(t);
    expect(t, "/api/output/a", "42");
    assert_string_equal(outside.keys, "a:1:0 ");
}

static void every_call_has_a_key_of_its_own(void **state)
{
    ks_test *t = *state;
    start(t, "InSequence");
    start(t, "Once"); /* under the same id */
    expect(t, "/api/output/a", "42");
    assert_string_equal(outside.keys, "a:1:0 a:1:1 a:1:2 a:1:3 a:1:4 a:3:0 ");
}

static void a_crash_after_the_result_runs_nothing_again(void **state)
{
    ks_test *t = *state;
    start(t, "Once");
    ks_test_crash(t);
    ks_test_run(t);
    assert_int_equal(outside.runs, 1);
    expect(t, "/api/output/a", "42");
    expect(t, "/api/notes/a", "[\"paid\",\"told\"]");
}

static void what_it_sent_arrives_once_and_before_its_caller_goes_on(void **state)
{
    ks_test *t = *state;
    ks_test_hold_activities(t, true);
    start(t, "Once");
    ks_test_crash(t);
    ks_test_hold_activities(t, false);
    ks_test_crash(t);
    ks_test_run(t);
    expect(t, "/api/notes/a", "[\"paid\",\"told\"]");
}

static void an_inline_activity_sends_in_the_same_order(void **state)
{
    ks_test *t = *state;
    start(t, "OnceInline");
    expect(t, "/api/notes/a", "[\"paid\",\"told\"]");
    expect(t, "/api/output/a", "42");
}

static void a_sequence_gives_the_same_when_evicted_at_every_step(void **state)
{
    ks_test *t = *state;
    ks_test_hold_activities(t, true);
    start(t, "InSequence");
    for (int i = 0; i < 20 && strcmp(ks_test_get(t, "/api/output/a")->body, "running") == 0; i++) {
        ks_test_evict(t);
        ks_test_hold_activities(t, false);
        ks_test_run(t);
        ks_test_hold_activities(t, true);
    }
    expect(t, "/api/output/a", "5");
    assert_int_equal(outside.runs, 5);
    expect(t, "/api/notes/a",
           "[\"paid\",\"step\",\"paid\",\"step\",\"paid\",\"step\",\"paid\",\"step\",\"paid\","
           "\"step\"]");
}

static void a_fan_out_of_a_hundred_comes_together(void **state)
{
    ks_test *t = *state;
    start(t, "FanOut");
    expect(t, "/api/output/a", "328450"); /* the sum of i * i + 1 below 100 */
    assert_int_equal(outside.runs, 100);
}

static void a_fan_out_goes_on_after_a_crash(void **state)
{
    ks_test *t = *state;
    ks_test_hold_activities(t, true);
    start(t, "FanOut");
    ks_test_crash(t);
    ks_test_evict(t);
    ks_test_hold_activities(t, false);
    ks_test_run(t);
    expect(t, "/api/output/a", "328450");
    assert_int_equal(outside.runs, 100);
}

static void a_failed_activity_is_tried_again(void **state)
{
    ks_test *t = *state;
    outside.fails = true;
    start(t, "Retries");
    expect(t, "/api/output/a", "running");
    ks_test_evict(t);
    ks_test_advance(t, KS_MINUTES(1));
    ks_test_crash(t);
    outside.fails = false;
    ks_test_advance(t, KS_MINUTES(1));
    expect(t, "/api/output/a", "\"paid\"");
    assert_int_equal(outside.runs, 3);
    expect(t, "/api/notes/a", "[\"paid\"]"); /* what failed sent nothing */
}

static void an_orchestration_gives_up_when_all_tries_failed(void **state)
{
    ks_test *t = *state;
    outside.fails = true;
    start(t, "Retries");
    ks_test_advance(t, KS_HOURS(1));
    expect(t, "/api/output/a", "{\"type\":\"GaveUp\",\"message\":\"three times\"}");
    assert_non_null(strstr(ks_test_log(t), "GaveUp: three times"));
}

static void a_result_that_comes_after_the_deadline_changes_nothing(void **state)
{
    ks_test *t = *state;
    ks_test_hold_activities(t, true);
    start(t, "WithDeadline");
    ks_test_advance(t, KS_MINUTES(1));
    expect(t, "/api/output/a", "false");
    ks_test_hold_activities(t, false);
    ks_test_run(t);
    expect(t, "/api/output/a", "false");
    expect(t, "/api/notes/a", "[\"too late\"]");
}

static void a_result_before_the_deadline_wins(void **state)
{
    ks_test *t = *state;
    start(t, "WithDeadline");
    ks_test_crash(t);
    ks_test_advance(t, KS_HOURS(1));
    expect(t, "/api/output/a", "true");
    expect(t, "/api/notes/a", "[\"paid\",\"in time\"]");
}

static void what_cannot_be_sent_or_stored_fails_the_activity(void **state)
{
    ks_test *t = *state;
    start(t, "CallsBadOnes");
    expect(t, "/api/output/a",
           "\"Instance ids must not start with @ or contain /, \\\\, #, ?, or control "
           "characters.; a string or key in the value is not UTF-8\"");
    expect(t, "/api/notes/a", "null");
}

static void an_empty_answer_can_be_repeated(void **state)
{
    ks_test *t = *state;
    const char *key = "Idempotency-Key: 1\r\n";
    assert_int_equal(ks_test_request(t, "GET", "/api/empty", key, "", 0)->status, 200);
    assert_int_equal(ks_test_request(t, "GET", "/api/empty", key, "", 0)->status, 200);
    ks_test_crash(t);
    assert_int_equal(ks_test_request(t, "GET", "/api/empty", key, "", 0)->status, 200);
}

static void an_idempotent_function_cannot_answer_with_a_result(void **state)
{
    ks_test *t = *state;
    const ks_answer *a = ks_test_get(t, "/api/result");
    assert_int_equal(a->status, 500);
    assert_non_null(strstr(a->body, "an idempotent function's answer cannot be a result"));
    assert_int_equal(
        ks_test_request(t, "GET", "/api/result", "Idempotency-Key: 1\r\n", "", 0)->status, 500);
    expect(t, "/api/notes/a", "null");
}

static void a_result_that_cannot_be_asked_for_is_answered_all_the_same(void **state)
{
    const ks_answer *a = ks_test_get(*state, "/api/bad-result");
    assert_int_equal(a->status, 500);
    assert_non_null(strstr(a->body, "Entity keys must not contain"));
}

static void timers_after_a_crash_have_an_end(void **state)
{
    ks_test *t = *state;
    ks_test_hold_activities(t, true);
    start(t, "WithDeadline");
    ks_test_crash(t);
    ks_test_advance(t, KS_MINUTES(2));
    expect(t, "/api/output/a", "false");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(activity_suspends),
        TEST(activity_completes),
        TEST(activity_still_waits_while_it_is_held),
        TEST(held_activities_stay_held_over_a_crash),
        TEST(an_activity_that_was_running_runs_again),
        TEST(every_call_has_a_key_of_its_own),
        TEST(a_crash_after_the_result_runs_nothing_again),
        TEST(what_it_sent_arrives_once_and_before_its_caller_goes_on),
        TEST(an_inline_activity_sends_in_the_same_order),
        TEST(a_sequence_gives_the_same_when_evicted_at_every_step),
        TEST(a_fan_out_of_a_hundred_comes_together),
        TEST(a_fan_out_goes_on_after_a_crash),
        TEST(a_failed_activity_is_tried_again),
        TEST(an_orchestration_gives_up_when_all_tries_failed),
        TEST(a_result_that_comes_after_the_deadline_changes_nothing),
        TEST(a_result_before_the_deadline_wins),
        TEST(what_cannot_be_sent_or_stored_fails_the_activity),
        TEST(an_empty_answer_can_be_repeated),
        TEST(timers_after_a_crash_have_an_end),
        TEST(an_idempotent_function_cannot_answer_with_a_result),
        TEST(a_result_that_cannot_be_asked_for_is_answered_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
