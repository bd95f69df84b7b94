/* An orchestration that an operator has stopped for a while: what comes is kept, no time limit runs
 * out, and it goes on as if nothing had been. */
#include "model_claims.h"

static const ks_val *waits_for_a_second(ks_orch *o)
{
    return ks_await_event(o, "Go", o->now_ms + 1000, NULL);
}

static void one_that_was_suspended_over_its_time_limit_can_be_resumed(void **state)
{
    (void)state;
    ks_test *t = open_with(waits_for_a_second, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    model_do(t, "do {\"id\":\"p\",\"suspend\":\"x\"}");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\",\"value\":1}");
    model_do(t, "advance 2000");
    model_do(t, "do {\"id\":\"p\",\"resume\":\"x\"}");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":1}");
    model_do(t, "crash");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":1}");
    ks_test_close(t);
}

static const ks_val *waits_for_a_second_and_goes_on(ks_orch *o)
{
    const ks_val *val = waits_for_a_second(o);
    ks_await(ks_event(o, "End"));
    return val;
}

static void a_timer_that_was_held_and_is_canceled_changes_nothing(void **state)
{
    (void)state;
    ks_test *t = open_with(waits_for_a_second_and_goes_on, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    model_do(t, "do {\"id\":\"p\",\"suspend\":\"x\"}");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\",\"value\":1}");
    model_do(t, "advance 2000");
    model_do(t, "do {\"id\":\"p\",\"resume\":\"x\"}");
    model_do(t, "crash");
    model_do(t, "do {\"id\":\"p\",\"raise\":\"End\",\"value\":2}");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":1}");
    ks_test_close(t);
}

static void one_that_was_suspended_over_the_limit_of_an_attempt_can_be_resumed(void **state)
{
    (void)state;
    ks_test *t = open_with(has_a_limit, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    model_do(t, "do {\"id\":\"p\",\"suspend\":\"x\"}");
    model_do(t, "advance 1000"); /* the limit is over, and then the attempt answers */
    model_do(t, "run");
    model_do(t, "do {\"id\":\"p\",\"resume\":\"x\"}");
    model_do(t, "advance 1000");
    model_do(t, "run");
    expect(t, "State", "work", "{\"balance\":1}"); /* once: its answer counts */
    model_do(t, "do {\"id\":\"p\",\"raise\":\"Go\",\"value\":1}");
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":1}");
    ks_test_close(t);
}

static void no_timer_fires_while_it_is_suspended(void **state)
{
    (void)state;
    ks_test *t = open_with(waits_for_a_second, NULL);
    model_do(t, "do {\"id\":\"p\",\"start\":\"Program\"}");
    model_do(t, "do {\"id\":\"p\",\"suspend\":\"x\"}");
    model_do(t, "advance 2000");
    model_do(t, "crash");
    model_do(t, "advance 1000");
    assert_null(strstr(ks_test_get(t, "/api/History/p")->body, "TimerFired"));
    model_do(t, "do {\"id\":\"p\",\"resume\":\"x\"}"); /* nothing else came: at once */
    expect(t, "See", "p", "{\"status\":\"Completed\",\"output\":null}");
    ks_test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_was_suspended_over_the_limit_of_an_attempt_can_be_resumed),
        cmocka_unit_test(one_that_was_suspended_over_its_time_limit_can_be_resumed),
        cmocka_unit_test(no_timer_fires_while_it_is_suspended),
        cmocka_unit_test(a_timer_that_was_held_and_is_canceled_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
