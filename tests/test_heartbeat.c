/* Activities that take time, and are heard of or not: heartbeats and time limits of attempts, with
 * the activity at work while the clock goes on. */
#include "keepsake_test.h"
#include "model_app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static ks_test *world; /* what the activity works in */
static int runs, ends; /* of the activity */

/* {"beats": n, "every": ms, "then": ms}: beats n times, then works on in silence. */
static const ks_val *labour(ks_activity *a)
{
    runs++;
    for (int64_t i = 0; i < ks_int(ks_get(a->input, "beats")); i++) {
        ks_test_work(world, ks_int(ks_get(a->input, "every")));
        ks_heartbeat(a);
    }
    ks_test_work(world, ks_int(ks_get(a->input, "then")));
    ks_signal(a->out, (ks_ref){"Account", "done"}, "Deposit", ks_integer(a->mem, 1));
    ends++;
    return ks_string(a->mem, a->key);
}

static const ks_val *with_a_heartbeat(ks_orch *o)
{
    return ks_await(
        ks_call_with(o, "Labour", o->input,
                     &(ks_retry){.attempts = 2, .first_ms = 1000, .heartbeat_ms = 5000}));
}

static const ks_val *without_one(ks_orch *o)
{
    return ks_await(ks_call(o, "Labour", o->input));
}

static const ks_val *inline_beat(ks_activity *a)
{
    ks_heartbeat(a);
    return ks_integer(a->mem, 1);
}

static const ks_val *inline_with_a_heartbeat(ks_orch *o)
{
    return ks_await(ks_call_with(o, "InlineBeat", NULL, &(ks_retry){.heartbeat_ms = 1}));
}

static const ks_val *two_beside(ks_orch *o)
{
    ks_retry how = {.heartbeat_ms = 2000};
    ks_task *dead = ks_call_with(o, "Labour", o->input, &how);
    ks_task *alive = ks_call_with(o, "Labour",
                                  ks_put(o->mem, ks_object(o->mem), "then",
                                         ks_integer(o->mem, 1000)),
                                  &how);
    const ks_val *first = ks_try(alive);
    const ks_val *second = ks_try(dead);
    return ks_string(o->mem, ks_format(o->mem, "%s, %s", ks_is_error(first) ? "dead" : "alive",
                                       ks_error_type(second)));
}

static ks_function functions[32] = {
    KS_ACTIVITY("Labour", labour),
    KS_ACTIVITY_INLINE("InlineBeat", inline_beat),
    KS_ORCHESTRATION("Heard", with_a_heartbeat),
    KS_ORCHESTRATION("Unheard", without_one),
    KS_ORCHESTRATION("Inline", inline_with_a_heartbeat),
    KS_ORCHESTRATION("Two", two_beside),
};

static int set_up(void **state)
{
    size_t n = 6;
    for (const ks_function *f = model_functions; f->kind != KS_FN_END; f++)
        if (f->kind == KS_FN_HTTP || f->kind == KS_FN_ENTITY)
            functions[n++] = *f;
    runs = ends = 0;
    world = ks_test_open(functions);
    ks_test_let_activities_take_time(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    ks_test_close(*state);
    return 0;
}

static void start(ks_test *t, const char *orchestration, const char *input)
{
    char body[256];
    snprintf(body, sizeof body, "{\"id\":\"p\",\"start\":\"%s\",\"input\":%s}", orchestration,
             input);
    assert_int_equal(ks_test_post(t, "/api/Do", "application/json", body)->status, 202);
}

static void expect(ks_test *t, const char *see)
{
    assert_string_equal(ks_test_get(t, "/api/See/p")->body, see);
}

static const char running[] = "{\"status\":\"Running\"}";
static const char done[] = "{\"status\":\"Completed\",\"output\":\"p:1:0\"}";

static void an_activity_that_takes_time_suspends(void **state)
{
    start(*state, "Unheard", "{\"then\":60000}");
    ks_test_advance(*state, 59999);
    expect(*state, running);
    ks_test_advance(*state, 1);
    expect(*state, done);
}

static void one_that_is_heard_of_goes_on_for_as_long_as_it_likes(void **state)
{
    start(*state, "Heard", "{\"beats\":100,\"every\":4999}");
    ks_test_advance(*state, 100 * 4999 - 1);
    expect(*state, running);
    ks_test_advance(*state, 1);
    expect(*state, done);
    assert_int_equal(runs, 1);
}

static void one_that_is_not_heard_of_has_failed(void **state)
{
    start(*state, "Heard", "{\"then\":3600000}");
    ks_test_advance(*state, 5000 + 1000 + 4999);
    expect(*state, running);
    ks_test_advance(*state, 10);
    expect(*state,
           "{\"status\":\"Failed\",\"output\":{\"type\":\"Heartbeat\",\"message\":\"\\\"Labour"
           "\\\" was not heard of for 5000 ms\"}}");
    assert_int_equal(runs, 2);
}

static void it_still_waits_a_moment_before(void **state)
{
    start(*state, "Heard", "{\"then\":4999}");
    ks_test_advance(*state, 4998);
    expect(*state, running);
    ks_test_advance(*state, 1);
    expect(*state, done);
    assert_int_equal(runs, 1);
}

static void it_is_the_last_beat_that_counts(void **state)
{
    start(*state, "Heard", "{\"beats\":1,\"every\":3000,\"then\":60000}");
    ks_test_advance(*state, 8000 - 1);
    assert_null(strstr(ks_test_get(*state, "/api/History/p")->body, "Heartbeat"));
    ks_test_advance(*state, 2);
    assert_non_null(strstr(ks_test_get(*state, "/api/History/p")->body, "Heartbeat"));
}

static void what_was_given_up_answers_too_late(void **state)
{
    start(*state, "Heard", "{\"then\":6500}"); /* both attempts are given up; each ends later */
    ks_test_advance(*state, 60000);
    assert_int_equal(ends, 2);
    assert_string_equal(ks_test_get(*state, "/api/State/done")->body, "null");
    assert_non_null(strstr(ks_test_get(*state, "/api/See/p")->body, "Heartbeat"));
}

static void one_that_waits_for_its_thread_is_not_missed(void **state)
{
    ks_test_hold_activities(*state, true);
    start(*state, "Heard", "{\"then\":1000}");
    ks_test_advance(*state, KS_HOURS(1));
    expect(*state, running);
    ks_test_hold_activities(*state, false);
    ks_test_advance(*state, 1000);
    expect(*state, done);
}

static void one_that_was_running_in_a_crash_runs_again(void **state)
{
    start(*state, "Heard", "{\"then\":4000}");
    ks_test_advance(*state, 3000);
    ks_test_crash(*state);
    ks_test_advance(*state, 3999);
    expect(*state, running);
    ks_test_advance(*state, 1);
    expect(*state, done); /* under the same key */
    assert_int_equal(runs, 2);
    assert_int_equal(ends, 1);
    assert_string_equal(ks_test_get(*state, "/api/State/done")->body, "{\"balance\":1}");
}

static void one_that_is_suspended_meanwhile_is_given_up_too(void **state)
{
    start(*state, "Heard", "{\"then\":3600000}");
    ks_test_post(*state, "/api/Do", "application/json", "{\"id\":\"p\",\"suspend\":\"x\"}");
    ks_test_advance(*state, 5001);
    assert_non_null(strstr(ks_test_get(*state, "/api/History/p")->body, "Heartbeat"));
    ks_test_post(*state, "/api/Do", "application/json", "{\"id\":\"p\",\"resume\":\"x\"}");
    ks_test_advance(*state, 1000);
    assert_int_equal(runs, 2);
}

static void an_inline_activity_may_beat_too(void **state)
{
    start(*state, "Inline", "null");
    expect(*state, "{\"status\":\"Completed\",\"output\":1}");
}

static void the_silence_of_one_is_not_that_of_another(void **state)
{
    start(*state, "Two", "{\"then\":3600000}");
    ks_test_advance(*state, 2001);
    expect(*state, "{\"status\":\"Completed\",\"output\":\"alive, Heartbeat\"}");
}

static void when_its_owner_is_over_nobody_listens(void **state)
{
    start(*state, "Heard", "{\"then\":3600000}");
    ks_test_post(*state, "/api/Do", "application/json", "{\"id\":\"p\",\"terminate\":\"x\"}");
    ks_test_advance(*state, KS_HOURS(2));
    expect(*state, "{\"status\":\"Terminated\",\"output\":\"x\"}");
    assert_int_equal(runs, 1);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(an_activity_that_takes_time_suspends),
        WITH_WORLD(one_that_is_heard_of_goes_on_for_as_long_as_it_likes),
        WITH_WORLD(one_that_is_not_heard_of_has_failed),
        WITH_WORLD(it_still_waits_a_moment_before),
        WITH_WORLD(it_is_the_last_beat_that_counts),
        WITH_WORLD(what_was_given_up_answers_too_late),
        WITH_WORLD(one_that_waits_for_its_thread_is_not_missed),
        WITH_WORLD(one_that_was_running_in_a_crash_runs_again),
        WITH_WORLD(one_that_is_suspended_meanwhile_is_given_up_too),
        WITH_WORLD(an_inline_activity_may_beat_too),
        WITH_WORLD(the_silence_of_one_is_not_that_of_another),
        WITH_WORLD(when_its_owner_is_over_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
