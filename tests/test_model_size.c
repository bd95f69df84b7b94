/* What an instance leaves behind does not grow with how often something failed. */
#include "core/session.h"
#include "model_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { INPUT_BYTES = 65536, FAILURES = 100 };

static const ks_retry a_hundred_times = {.attempts = FAILURES + 1, .first_ms = 1000};

static const ks_val *works(ks_orch *o)
{
    return ks_await(ks_call_with(o, "Picky", o->input, &a_hundred_times));
}

static const ks_val *has_a_picky_child(ks_orch *o)
{
    return ks_await(ks_sub_with(o, "PickyChild", "c", o->input, &a_hundred_times));
}

static size_t runs; /* as a service out there would count */

/* Takes only the whole input, and only the last time. */
static const ks_val *judge(ks_arena *mem, const ks_val *input)
{
    if (ks_len(input) != INPUT_BYTES)
        return ks_fail(mem, "Wrong", "the input has %zu bytes", ks_len(input));
    if (runs++ < FAILURES)
        return ks_fail(mem, "Busy", "not yet");
    return ks_string(mem, "taken");
}

static const ks_val *picky(ks_activity *a)
{
    return judge(a->mem, a->input);
}

static const ks_val *picky_child(ks_orch *o)
{
    return o->is_replaying ? NULL : judge(o->mem, o->input);
}

static const ks_function functions[] = {
    KS_ACTIVITY("Picky", picky),
    KS_ORCHESTRATION("PickyChild", picky_child),
    KS_END,
};

static char *start_with_a_large_input(void)
{
    static const char head[] = "do {\"id\":\"p\",\"start\":\"Program\",\"input\":\"";
    char *step = calloc(1, sizeof head + INPUT_BYTES + 8);
    memcpy(step, head, sizeof head - 1);
    memset(step + sizeof head - 1, 'x', INPUT_BYTES);
    strcat(step, "\"}");
    return step;
}

/* The history as JSON, which is longer than the bytes that are kept. */
static void a_hundred_failures_take(ks_orchestration_fn *code, size_t copies, bool crashes)
{
    const struct model_program program = {.code = code};
    ks_test *t = model_open(&program, functions);
    char *start = start_with_a_large_input();
    ks_test_hold_activities(t, false);
    runs = 0;
    model_do(t, start);
    for (int i = 0; i < FAILURES; i++) {
        ks_test_advance(t, 999);
        if (crashes)
            ks_test_crash(t);
        ks_test_advance(t, 1);
    }
    const char *see = model_get(t, "See", "p");
    assert_string_equal(see, "{\"status\":\"Completed\",\"output\":\"taken\"}");
    size_t len = strlen(model_get(t, "History", "p"));
    assert_in_range(len, copies * INPUT_BYTES, copies * INPUT_BYTES + FAILURES * 400);
    free(start);
    ks_test_close(t);
}

/* Two copies: what the instance was started with, and what the first attempt was given. */
static void a_hundred_failures_of_an_activity_keep_its_input_once(void **state)
{
    (void)state;
    a_hundred_failures_take(works, 2, false);
    a_hundred_failures_take(works, 2, true);
}

static void a_hundred_failures_of_a_child_keep_its_input_once(void **state)
{
    (void)state;
    a_hundred_failures_take(has_a_picky_child, 2, false);
    a_hundred_failures_take(has_a_picky_child, 2, true);
}

/* ---- an attempt that was under way ---- */

static void an_attempt_under_way_in_a_crash_gets_its_input_again(void **state)
{
    const struct model_program program = {.code = works};
    (void)state;
    ks_test *t = model_open(&program, functions);
    char *start = start_with_a_large_input();
    runs = FAILURES - 1; /* the second attempt is the last */
    model_do(t, start);
    model_do(t, "run");
    model_do(t, "advance 1000"); /* held: scheduled, and not run */
    model_do(t, "crash");
    model_do(t, "run");
    assert_string_equal(model_get(t, "See", "p"),
                        "{\"status\":\"Completed\",\"output\":\"taken\"}");
    free(start);
    ks_test_close(t);
}

/* ---- a history of before ---- */

static void put(struct buf *out, const struct event *e)
{
    event_encode(out, e);
}

/* Every attempt has its input, and none says where the first one stands. */
static void a_history_with_an_input_in_each_attempt_goes_on(void **state)
{
    static const ks_function table[] = {KS_ACTIVITY("Picky", picky),
                                        KS_ORCHESTRATION("Program", works), KS_END};
    struct app app;
    char why[256];
    ks_arena mem;
    struct buf history = {0}, log = {0};
    struct coroutine_pool pool = {0};
    (void)state;
    arena_init(&mem, 4096);
    assert_int_equal(app_init(&app, table, NULL, why, sizeof why), 0);
    struct instance *inst = instance_new(1, INSTANCE_ORCHESTRATION, STR("p"), STR("Program"), 1000);
    const ks_val *input = ks_string(&mem, "the input"), *error = ks_fail(&mem, "Busy", "not yet");
    ks_val *key = ks_put(&mem, ks_object(&mem), "key", ks_integer(&mem, 0));
    put(&history, &(struct event){.type = EVENT_EXECUTION_STARTED, .time_ms = 1000, .val = input});
    put(&history,
        &(struct event){.type = EVENT_TASK_SCHEDULED, .name = STR("Picky"), .val = input});
    put(&history, &(struct event){.type = EVENT_TASK_COMPLETED, .time_ms = 1000, .val = error});
    put(&history, &(struct event){.type = EVENT_TIMER_CREATED, .id = 1, .due_ms = 2000});
    put(&history, &(struct event){.type = EVENT_TIMER_FIRED, .time_ms = 2000, .id = 1});
    put(&history, &(struct event){.type = EVENT_TASK_SCHEDULED,
                                  .id = 2,
                                  .name = STR("Picky"),
                                  .val = input,
                                  .details = key});
    assert_int_equal(instance_apply(inst, history.at, history.len, &mem), 0);
    struct event asked;
    instance_asked(inst, instance_pending(inst, 2), &mem, &asked);
    assert_true(val_equal(asked.val, input));

    struct outcome outcome;
    outcome_init(&outcome, &log, &mem);
    struct session *s = session_new(inst, &app, &pool);
    session_turn(s,
                 &(struct event){.type = EVENT_TASK_COMPLETED,
                                 .time_ms = 2000,
                                 .id = 2,
                                 .val = ks_string(&mem, "taken")},
                 &outcome);
    assert_true(session_is_over(s));
    session_free(s);
    assert_int_equal(instance_apply(inst, log.at, log.len, &mem), 0);
    assert_int_equal(inst->status, KS_COMPLETED);
    assert_string_equal(ks_text(instance_output(inst, &mem)), "taken");
    coroutine_pool_free(&pool);
    instance_free(inst);
    app_free(&app);
    buf_free(&history);
    buf_free(&log);
    arena_free(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_failures_of_an_activity_keep_its_input_once),
        cmocka_unit_test(a_hundred_failures_of_a_child_keep_its_input_once),
        cmocka_unit_test(an_attempt_under_way_in_a_crash_gets_its_input_again),
        cmocka_unit_test(a_history_with_an_input_in_each_attempt_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
