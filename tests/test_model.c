/* Everything an orchestration and an entity can do, driven from outside under a virtual clock. Each
 * test runs twice: with coroutines resident, and with every one dropped before each request, so
 * that all of it is also a replay. */
#include "keepsake_test.h"
#include "model_app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct world {
    ks_test *t;
    bool evicts;
};

static int set_up(void **state)
{
    static struct world worlds[2] = {{.evicts = false}, {.evicts = true}};
    struct world *w = &worlds[*state != NULL];
    w->t = ks_test_open(model_functions);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    ks_test_close(((struct world *)*state)->t);
    return 0;
}

static void evict(struct world *w)
{
    if (w->evicts)
        ks_test_evict(w->t);
}

__attribute__((format(printf, 3, 4))) static void expect_do(struct world *w, int status,
                                                            const char *format, ...)
{
    char body[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(body, sizeof body, format, args);
    va_end(args);
    evict(w);
    const ks_answer *a = ks_test_post(w->t, "/api/Do", "application/json", body);
    if (a->status != status)
        fail_msg("%s: %d %s", body, a->status, a->body);
}

#define DO(w, ...) expect_do((w), 202, __VA_ARGS__)

static const char *get(struct world *w, const char *function, const char *id)
{
    char target[256];
    snprintf(target, sizeof target, "/api/%s/%s", function, id);
    evict(w);
    return ks_test_get(w->t, target)->body;
}

static void see(struct world *w, const char *id, const char *want)
{
    assert_string_equal(get(w, "See", id), want);
}

static void advance(struct world *w, int64_t ms)
{
    evict(w);
    ks_test_advance(w->t, ms);
}

/* ---- retries ---- */

static void a_retry_goes_on_until_it_is_done(void **state)
{
    struct world *w = *state;
    DO(w,
       "{\"id\":\"r1-%d\",\"start\":\"Retry\",\"input\":{\"failures\":2,\"type\":\"Busy\","
       "\"attempts\":5,\"first\":1000,\"backoff\":2.0}}",
       w->evicts);
    char id[16];
    snprintf(id, sizeof id, "r1-%d", w->evicts);
    see(w, id, "{\"status\":\"Running\"}");
    advance(w, 999);
    see(w, id, "{\"status\":\"Running\"}");
    advance(w, 1); /* the second attempt */
    advance(w, 1999);
    see(w, id, "{\"status\":\"Running\"}");
    advance(w, 1);
    see(w, id, "{\"status\":\"Completed\",\"output\":3}");
}

static void a_retry_ends_with_the_last_error(void **state)
{
    struct world *w = *state;
    DO(w,
       "{\"id\":\"x\",\"start\":\"Retry\",\"input\":{\"failures\":99,\"type\":\"Busy%d\","
       "\"attempts\":3,\"first\":10}}",
       w->evicts);
    advance(w, 1000);
    assert_non_null(strstr(get(w, "See", "x"), "\"message\":\"try "));
    assert_non_null(strstr(get(w, "See", "x"), "\"status\":\"Failed\""));
}

static void a_final_error_is_not_tried_again(void **state)
{
    struct world *w = *state;
    DO(w,
       "{\"id\":\"f%d\",\"start\":\"Retry\",\"input\":{\"failures\":9,\"type\":\"NotFound\","
       "\"attempts\":5,\"first\":10}}",
       w->evicts);
    char id[16];
    snprintf(id, sizeof id, "f%d", w->evicts);
    see(w, id,
        "{\"status\":\"Failed\",\"output\":{\"type\":\"NotFound\",\"message\":\"try 1 "
        "failed\"}}");
}

static void an_attempt_that_takes_too_long_has_failed(void **state)
{
    struct world *w = *state;
    ks_test_hold_activities(w->t, true);
    DO(w, "{\"id\":\"slow\",\"start\":\"Retry\",\"input\":{\"failures\":0,\"attempts\":2,"
          "\"first\":100,\"timeout\":5000}}");
    advance(w, 10099);
    see(w, "slow", "{\"status\":\"Running\"}");
    advance(w, 1);
    see(w, "slow",
        "{\"status\":\"Failed\",\"output\":{\"type\":\"Timeout\",\"message\":\"\\\"Flaky"
        "\\\" took longer than 5000 ms\"}}");
}

/* ---- sub-orchestrations ---- */

static void a_child_answers_its_parent(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"p\",\"start\":\"Parent\",\"input\":{}}");
    see(w, "p", "{\"status\":\"Completed\",\"output\":{\"parent\":\"p\"}}");
}

static void a_childs_failure_arrives_with_type_and_message(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"p\",\"start\":\"Parent\",\"input\":{\"fail\":true}}");
    see(w, "p",
        "{\"status\":\"Completed\",\"output\":{\"type\":\"ChildBroke\",\"message\":\"the "
        "child broke\"}}");
}

static void a_parent_waits_for_its_child(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"p\",\"start\":\"Parent\",\"input\":{\"wait\":true,\"child\":\"c\"}}");
    see(w, "p", "{\"status\":\"Running\"}");
    ks_test_crash(w->t);
    DO(w, "{\"id\":\"c\",\"raise\":\"Go\",\"value\":7}");
    see(w, "p", "{\"status\":\"Completed\",\"output\":7}");
}

static void a_child_whose_id_is_taken_is_an_error(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"c\",\"start\":\"Child\",\"input\":{\"wait\":true}}");
    DO(w, "{\"id\":\"p\",\"start\":\"Parent\",\"input\":{\"child\":\"c\"}}");
    assert_non_null(strstr(get(w, "See", "p"), "AlreadyExists"));
    see(w, "c", "{\"status\":\"Running\"}");
}

/* ---- entities ---- */

static void a_call_of_an_entity_has_its_result(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"a\",\"signal\":\"Deposit\",\"value\":10}");
    DO(w, "{\"id\":\"1\",\"start\":\"Caller\",\"input\":{\"account\":\"a\",\"amount\":4}}");
    see(w, "1", "{\"status\":\"Completed\",\"output\":6}");
    DO(w, "{\"id\":\"2\",\"start\":\"Caller\",\"input\":{\"account\":\"a\",\"amount\":7}}");
    see(w, "2", "{\"status\":\"Completed\",\"output\":\"there is not so much\"}");
    assert_string_equal(get(w, "State", "a"), "{\"balance\":6}");
}

static const ks_answer *call(struct world *w, const char *body)
{
    evict(w);
    return ks_test_post(w->t, "/api/Call", "application/json", body);
}

static void a_call_from_http_answers_with_the_result(void **state)
{
    struct world *w = *state;
    const ks_answer *a = call(w, "{\"id\":\"a\",\"call\":\"Deposit\",\"value\":5}");
    assert_int_equal(a->status, 200);
    assert_string_equal(a->body, "5");
    a = call(w, "{\"id\":\"a\",\"call\":\"Withdraw\",\"value\":6}");
    assert_int_equal(a->status, 422);
    assert_non_null(strstr(a->body, "there is not so much"));
}

static void an_entity_asks_another_and_starts_orchestrations(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"a\",\"signal\":\"Deposit\",\"value\":3}");
    DO(w, "{\"id\":\"b\",\"signal\":\"Ask\",\"value\":\"a\"}");
    assert_string_equal(get(w, "State", "b"), "{\"told\":3}");
    DO(w, "{\"id\":\"b\",\"signal\":\"Hire\",\"value\":\"hired\"}");
    see(w, "hired", "{\"status\":\"Completed\",\"output\":{\"parent\":null}}");
}

static void a_signal_can_wait_for_its_time(void **state)
{
    struct world *w = *state;
    int64_t now_ms = ks_test_now_ms(w->t);
    DO(w, "{\"id\":\"a\",\"signal\":\"Deposit\",\"value\":1,\"due\":%lld}",
       (long long)now_ms + 5000);
    DO(w, "{\"id\":\"a\",\"signal\":\"Deposit\",\"value\":2,\"due\":%lld}",
       (long long)now_ms + 3000);
    assert_string_equal(get(w, "State", "a"), "null");
    advance(w, 3000);
    assert_string_equal(get(w, "State", "a"), "{\"balance\":2}");
    ks_test_crash(w->t);
    advance(w, 2000);
    assert_string_equal(get(w, "State", "a"), "{\"balance\":3}");
}

/* ---- critical sections ---- */

static void open_accounts(struct world *w)
{
    DO(w, "{\"id\":\"a\",\"signal\":\"Deposit\",\"value\":10}");
    DO(w, "{\"id\":\"b\",\"signal\":\"Deposit\",\"value\":10}");
}

static void nobody_gets_into_a_critical_section(void **state)
{
    struct world *w = *state;
    open_accounts(w);
    DO(w,
       "{\"id\":\"t\",\"start\":\"Transfer\",\"input\":{\"from\":\"a\",\"to\":\"b\",\"amount\":4,"
       "\"wait\":true}}");
    see(w, "t", "{\"status\":\"Running\",\"custom\":\"locked\"}");
    DO(w, "{\"id\":\"a\",\"signal\":\"Withdraw\",\"value\":8}");
    DO(w, "{\"id\":\"u\",\"start\":\"Transfer\",\"input\":{\"from\":\"b\",\"to\":\"a\",\"amount\":"
          "1}}");
    see(w, "u", "{\"status\":\"Running\"}");
    assert_string_equal(get(w, "State", "a"), "{\"balance\":10}");
    ks_test_crash(w->t);
    DO(w, "{\"id\":\"t\",\"raise\":\"Go\"}");
    see(w, "t", "{\"status\":\"Completed\",\"output\":true,\"custom\":\"locked\"}");
    see(w, "u", "{\"status\":\"Completed\",\"output\":true,\"custom\":\"locked\"}");
    /* 10 - 4, then the withdrawal of 8 that waited failed, then + 1 */
    assert_string_equal(get(w, "State", "a"), "{\"balance\":7}");
    assert_string_equal(get(w, "State", "b"), "{\"balance\":13}");
}

static void a_lock_is_gone_when_its_owner_is(void **state)
{
    static const char *const ends[] = {"\"keep\":true", "\"amount\":99", "\"wait\":true"};
    struct world *w = *state;
    open_accounts(w);
    for (size_t i = 0; i < 3; i++) {
        DO(w,
           "{\"id\":\"t%zu\",\"start\":\"Transfer\",\"input\":{\"amount\":1,\"from\":\"a\",\"to\":"
           "\"b\",%s}}",
           i, i == 1 ? "\"fail\":true" : ends[i]);
        if (i == 2)
            DO(w, "{\"id\":\"t2\",\"terminate\":\"enough\"}");
        const ks_answer *a = call(w, "{\"id\":\"a\",\"call\":\"Balance\"}");
        assert_int_equal(a->status, 200);
    }
}

static void a_call_from_http_waits_for_the_lock(void **state)
{
    struct world *w = *state;
    open_accounts(w);
    DO(w,
       "{\"id\":\"t\",\"start\":\"Transfer\",\"input\":{\"from\":\"a\",\"to\":\"b\",\"amount\":4,"
       "\"wait\":true}}");
    const ks_answer *a = call(w, "{\"id\":\"a\",\"call\":\"Balance\"}");
    assert_int_equal(a->status, 0); /* not yet */
    DO(w, "{\"id\":\"t\",\"raise\":\"Go\"}");
    assert_int_equal(a->status, 200);
    assert_string_equal(a->body, "6");
}

/* ---- the rest of the model ---- */

static void a_loop_of_many_rounds_has_one_rounds_history(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"l\",\"start\":\"Rounds\",\"input\":{\"left\":10000,\"sum\":0}}");
    see(w, "l", "{\"status\":\"Completed\",\"output\":50005000}");
    assert_true(strlen(get(w, "History", "l")) < 1000);
}

static void events_that_came_early_live_through_continue_as_new(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"l\",\"start\":\"Rounds\",\"input\":{\"left\":3,\"sum\":0,\"events\":true}}");
    ks_test_crash(w->t);
    DO(w, "{\"id\":\"l\",\"suspend\":\"a moment\"}");
    DO(w, "{\"id\":\"l\",\"raise\":\"add\",\"value\":1}");
    DO(w, "{\"id\":\"l\",\"raise\":\"ADD\",\"value\":10}");
    DO(w, "{\"id\":\"l\",\"raise\":\"Add\",\"value\":100}");
    see(w, "l", "{\"status\":\"Suspended\"}");
    DO(w, "{\"id\":\"l\",\"resume\":\"go on\"}");
    see(w, "l", "{\"status\":\"Completed\",\"output\":111}");
}

static void a_wait_has_its_limit_and_its_default(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"1\",\"start\":\"Patient\"}");
    DO(w, "{\"id\":\"2\",\"start\":\"Patient\"}");
    DO(w, "{\"id\":\"2\",\"raise\":\"visit\",\"value\":\"Grandma\"}");
    see(w, "2", "{\"status\":\"Completed\",\"output\":\"Grandma\"}");
    advance(w, KS_MINUTES(1) - 1);
    see(w, "1", "{\"status\":\"Running\"}");
    advance(w, 1);
    see(w, "1", "{\"status\":\"Completed\",\"output\":\"nobody came\"}");
}

static void what_is_drawn_is_drawn_again_in_a_replay(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"d\",\"start\":\"Dice\"}");
    ks_test_evict(w->t);
    DO(w, "{\"id\":\"d\",\"raise\":\"Go\"}");
    assert_non_null(strstr(get(w, "See", "d"), "Completed"));
}

static void an_instance_stays_with_its_version(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"new\",\"start\":\"Versioned\"}");
    DO(w, "{\"id\":\"old\",\"start\":\"Versioned\",\"version\":\"1\"}");
    DO(w, "{\"id\":\"none\",\"start\":\"Versioned\",\"version\":\"3\"}");
    DO(w, "{\"id\":\"new\",\"raise\":\"Go\"}");
    DO(w, "{\"id\":\"old\",\"raise\":\"Go\"}");
    see(w, "new", "{\"status\":\"Completed\",\"output\":\"two\"}");
    see(w, "old", "{\"status\":\"Completed\",\"output\":\"one\"}");
    assert_non_null(strstr(get(w, "See", "none"), "MissingFunction"));
}

static void a_start_can_wait_for_its_time(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"s\",\"start\":\"Child\",\"input\":{\"wait\":true},\"due\":%lld}",
       (long long)ks_test_now_ms(w->t) + 60000);
    see(w, "s", "{\"status\":\"Pending\"}");
    DO(w, "{\"id\":\"s\",\"raise\":\"Go\",\"value\":\"early\"}");
    ks_test_crash(w->t);
    advance(w, 59999);
    see(w, "s", "{\"status\":\"Pending\"}");
    advance(w, 1);
    see(w, "s", "{\"status\":\"Completed\",\"output\":\"early\"}");
}

static void one_id_is_started_once(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"s\",\"start\":\"Child\",\"input\":{\"wait\":true}}");
    DO(w, "{\"id\":\"s\",\"start\":\"Child\",\"input\":{}}");
    see(w, "s", "{\"status\":\"Running\"}");
    DO(w, "{\"id\":\"s\",\"raise\":\"Go\",\"value\":1}");
    DO(w, "{\"id\":\"s\",\"start\":\"Child\",\"input\":{},\"onlyIfNew\":true}");
    see(w, "s", "{\"status\":\"Completed\",\"output\":1}");
    DO(w, "{\"id\":\"s\",\"start\":\"Child\",\"input\":{}}");
    see(w, "s", "{\"status\":\"Completed\",\"output\":{\"parent\":null}}");
}

static void terminate_takes_the_children_when_told_to(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 2; i++) {
        DO(w, "{\"id\":\"p%d\",\"start\":\"Parent\",\"input\":{\"wait\":true,\"child\":\"c%d\"}}",
           i, i);
        DO(w, "{\"id\":\"p%d\",\"terminate\":\"enough\",\"children\":%s}", i, i ? "true" : "false");
    }
    see(w, "p0", "{\"status\":\"Terminated\",\"output\":\"enough\"}");
    see(w, "c0", "{\"status\":\"Running\"}");
    see(w, "c1", "{\"status\":\"Terminated\",\"output\":\"enough\"}");
}

static void an_event_for_nobody_is_refused(void **state)
{
    struct world *w = *state;
    expect_do(w, 404, "{\"id\":\"nobody\",\"raise\":\"Go\"}");
    DO(w, "{\"id\":\"s\",\"start\":\"Child\",\"input\":{}}");
    expect_do(w, 410, "{\"id\":\"s\",\"raise\":\"Go\"}");
    expect_do(w, 404, "{\"id\":\"nobody\",\"terminate\":\"x\"}");
}

static void a_failed_instance_is_rewound_to_what_failed(void **state)
{
    struct world *w = *state;
    DO(w,
       "{\"id\":\"c%d\",\"start\":\"Careful\",\"input\":{\"failures\":0,\"type\":\"NoSuchThing\"}}",
       w->evicts);
    DO(w, "{\"id\":\"b\",\"start\":\"StrictParent\",\"input\":{\"fail\":true}}");
    assert_non_null(strstr(get(w, "See", "b"), "ChildBroke"));
    DO(w, "{\"id\":\"b\",\"rewind\":-1}");
    assert_non_null(strstr(get(w, "See", "b"), "ChildBroke")); /* the child was run, and broke */
    assert_non_null(strstr(get(w, "History", "strict-child"), "ExecutionRewound"));
    assert_non_null(strstr(get(w, "History", "b"), "ExecutionRewound"));
}

static void an_activity_that_failed_runs_again_after_a_rewind(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"rw%d\",\"start\":\"Careful\",\"input\":{\"failures\":1,\"type\":\"Busy\"}}",
       w->evicts);
    char id[16];
    snprintf(id, sizeof id, "rw%d", w->evicts);
    assert_non_null(strstr(get(w, "See", id), "\"Failed\""));
    DO(w, "{\"id\":\"%s\",\"rewind\":-1}", id);
    ks_test_crash(w->t);
    see(w, id, "{\"status\":\"Completed\",\"output\":[\"a\",2]}");
}

static void restart_and_purge(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"p\",\"start\":\"Parent\",\"input\":{\"child\":\"c\"}}");
    DO(w, "{\"id\":\"p\",\"restart\":\"q\"}");
    see(w, "q", "{\"status\":\"Completed\",\"output\":{\"parent\":\"q\"}}");
    DO(w, "{\"id\":\"q\",\"purge\":true,\"children\":true}");
    see(w, "q", "{\"status\":\"Missing\"}");
    see(w, "c", "{\"status\":\"Missing\"}");
    see(w, "p", "{\"status\":\"Completed\",\"output\":{\"parent\":\"p\"}}");
    ks_test_crash(w->t);
    see(w, "q", "{\"status\":\"Missing\"}");
}

static void what_kills_the_process_three_times_is_set_aside(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"bad\",\"start\":\"Child\",\"input\":{\"wait\":true}}");
    DO(w, "{\"id\":\"good\",\"start\":\"Child\",\"input\":{\"wait\":true}}");
    ks_test_die_in(w->t, "bad");
    ks_test_die_in(w->t, "bad");
    see(w, "bad", "{\"status\":\"Running\"}");
    ks_test_die_in(w->t, "bad");
    see(w, "bad", "{\"status\":\"Quarantined\"}");
    DO(w, "{\"id\":\"bad\",\"raise\":\"Go\",\"value\":1}");
    DO(w, "{\"id\":\"good\",\"raise\":\"Go\",\"value\":2}");
    ks_test_crash(w->t);
    see(w, "bad", "{\"status\":\"Quarantined\"}");
    see(w, "good", "{\"status\":\"Completed\",\"output\":2}");
    DO(w, "{\"id\":\"bad\",\"resume\":\"mended\"}");
    see(w, "bad", "{\"status\":\"Completed\",\"output\":1}");
}

static void a_quarantined_entity_keeps_what_comes_for_it(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"a\",\"signal\":\"Deposit\",\"value\":10}");
    for (int i = 0; i < 3; i++)
        ks_test_die_in(w->t, "@account@a");
    DO(w, "{\"id\":\"a\",\"signal\":\"Deposit\",\"value\":1}");
    DO(w, "{\"id\":\"b\",\"signal\":\"Deposit\",\"value\":1}");
    ks_test_crash(w->t);
    assert_string_equal(get(w, "State", "a"), "{\"balance\":10}");
    assert_string_equal(get(w, "State", "b"), "{\"balance\":1}");
    DO(w, "{\"id\":\"@account@a\",\"resume\":\"mended\"}");
    assert_string_equal(get(w, "State", "a"), "{\"balance\":11}");
}

static void a_wide_fan_comes_in(void **state)
{
    struct world *w = *state;
    DO(w, "{\"id\":\"f\",\"start\":\"Fan\",\"input\":%d}", w->evicts ? 100 : 10000);
    see(w, "f",
        w->evicts ? "{\"status\":\"Completed\",\"output\":4950}"
                  : "{\"status\":\"Completed\",\"output\":49995000}");
}

#define BOTH(test) \
    {#test, test, set_up, tear_down, NULL}, \
    { \
#test " (replayed)", test, set_up, tear_down, (void *)1 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_retry_goes_on_until_it_is_done),
        BOTH(a_retry_ends_with_the_last_error),
        BOTH(a_final_error_is_not_tried_again),
        BOTH(an_attempt_that_takes_too_long_has_failed),
        BOTH(a_child_answers_its_parent),
        BOTH(a_childs_failure_arrives_with_type_and_message),
        BOTH(a_parent_waits_for_its_child),
        BOTH(a_child_whose_id_is_taken_is_an_error),
        BOTH(a_call_of_an_entity_has_its_result),
        BOTH(a_call_from_http_answers_with_the_result),
        BOTH(an_entity_asks_another_and_starts_orchestrations),
        BOTH(a_signal_can_wait_for_its_time),
        BOTH(nobody_gets_into_a_critical_section),
        BOTH(a_lock_is_gone_when_its_owner_is),
        BOTH(a_call_from_http_waits_for_the_lock),
        BOTH(a_loop_of_many_rounds_has_one_rounds_history),
        BOTH(events_that_came_early_live_through_continue_as_new),
        BOTH(a_wait_has_its_limit_and_its_default),
        BOTH(what_is_drawn_is_drawn_again_in_a_replay),
        BOTH(an_instance_stays_with_its_version),
        BOTH(a_start_can_wait_for_its_time),
        BOTH(one_id_is_started_once),
        BOTH(terminate_takes_the_children_when_told_to),
        BOTH(an_event_for_nobody_is_refused),
        BOTH(a_failed_instance_is_rewound_to_what_failed),
        BOTH(an_activity_that_failed_runs_again_after_a_rewind),
        BOTH(restart_and_purge),
        BOTH(what_kills_the_process_three_times_is_set_aside),
        BOTH(a_quarantined_entity_keeps_what_comes_for_it),
        BOTH(a_wide_fan_comes_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
