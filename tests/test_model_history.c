/* What a history has: how large it is after many failures, and that those made by an engine of
 * before go on. */
#include "core/http_call.h"
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

/* An instance of the orchestration "Program" and an app for it. */
struct old {
    struct app app;
    struct coroutine_pool pool;
    ks_arena mem;
    struct instance *inst;
    struct buf history;
};

static void old_open(struct old *w, const ks_function *functions_of_app)
{
    static const ks_function builtin[] = {KS_ACTIVITY(HTTP_ACTIVITY, picky), KS_END};
    char why[256];
    *w = (struct old){
        .inst = instance_new(1, INSTANCE_ORCHESTRATION, STR("p"), STR("Program"), 1000)};
    arena_init(&w->mem, 4096);
    assert_int_equal(app_init(&w->app, functions_of_app, builtin, why, sizeof why), 0);
    put(&w->history, &(struct event){.type = EVENT_EXECUTION_STARTED, .time_ms = 1000});
}

/* What it was is replayed, and then one thing more happens. */
static void old_goes_on(struct old *w, const struct event *incoming)
{
    struct buf log = {0};
    struct outcome outcome;
    outcome_init(&outcome, &log, &w->mem);
    struct session *s = session_new(w->inst, &w->app, &w->pool);
    session_turn(s, incoming, &outcome);
    session_free(s);
    assert_int_equal(instance_apply(w->inst, log.at, log.len, &w->mem), 0);
    buf_free(&log);
}

static void old_expect(struct old *w, const char *output)
{
    assert_int_equal(w->inst->status, KS_COMPLETED);
    assert_string_equal(ks_text(instance_output(w->inst, &w->mem)), output);
    coroutine_pool_free(&w->pool);
    instance_free(w->inst);
    app_free(&w->app);
    buf_free(&w->history);
    arena_free(&w->mem);
}

/* Every attempt has its input, and none says where the first one stands. */
static void a_history_with_an_input_in_each_attempt_goes_on(void **state)
{
    static const ks_function table[] = {KS_ACTIVITY("Picky", picky),
                                        KS_ORCHESTRATION("Program", works), KS_END};
    struct old w;
    struct event asked;
    (void)state;
    old_open(&w, table);
    const ks_val *input = ks_string(&w.mem, "the input"), *error = ks_fail(&w.mem, "Busy", "no");
    put(&w.history,
        &(struct event){.type = EVENT_TASK_SCHEDULED, .name = STR("Picky"), .val = input});
    put(&w.history, &(struct event){.type = EVENT_TASK_COMPLETED, .time_ms = 1000, .val = error});
    put(&w.history, &(struct event){.type = EVENT_TIMER_CREATED, .id = 1, .due_ms = 2000});
    put(&w.history, &(struct event){.type = EVENT_TIMER_FIRED, .time_ms = 2000, .id = 1});
    put(&w.history, &(struct event){.type = EVENT_TASK_SCHEDULED,
                                    .id = 2,
                                    .name = STR("Picky"),
                                    .val = input,
                                    .details = ks_put(&w.mem, ks_object(&w.mem), "key",
                                                      ks_integer(&w.mem, 0))});
    assert_int_equal(instance_apply(w.inst, w.history.at, w.history.len, &w.mem), 0);
    instance_asked(w.inst, instance_pending(w.inst, 2), &w.mem, &asked);
    assert_true(val_equal(asked.val, input));
    old_goes_on(&w, &(struct event){.type = EVENT_TASK_COMPLETED,
                                    .time_ms = 2000,
                                    .id = 2,
                                    .val = ks_string(&w.mem, "taken")});
    old_expect(&w, "taken");
}

static const ks_val *asks_for_five_seconds(ks_orch *o)
{
    ks_retry retry = {.attempts = 2, .timeout_ms = 9000};
    const ks_val *answer = ks_try(ks_call_http(o, &(ks_http_request){.url = "http://a.test/",
                                                                     .total_ms = 5000,
                                                                     .retry = &retry}));
    ks_await(ks_event(o, "Go"));
    return ks_string(o->mem, ks_error_type(answer));
}

/* The exchange was not given up in so many words; and it answers after all. */
static void a_history_of_a_call_that_took_too_long_goes_on(void **state)
{
    static const ks_function table[] = {KS_ORCHESTRATION("Program", asks_for_five_seconds), KS_END};
    struct old w;
    (void)state;
    old_open(&w, table);
    put(&w.history, &(struct event){.type = EVENT_TASK_SCHEDULED, .name = STR(HTTP_ACTIVITY)});
    put(&w.history, &(struct event){.type = EVENT_TIMER_CREATED, .id = 1, .due_ms = 10000});
    put(&w.history, &(struct event){.type = EVENT_TIMER_CREATED, .id = 2, .due_ms = 6000});
    put(&w.history, &(struct event){.type = EVENT_TIMER_FIRED, .time_ms = 6000, .id = 2});
    put(&w.history, &(struct event){.type = EVENT_TIMER_CANCELED, .id = 1});
    put(&w.history, &(struct event){.type = EVENT_TASK_COMPLETED,
                                    .time_ms = 7000,
                                    .val = ks_fail(&w.mem, "Busy", "no")});
    assert_int_equal(instance_apply(w.inst, w.history.at, w.history.len, &w.mem), 0);
    old_goes_on(&w,
                &(struct event){.type = EVENT_EVENT_RAISED, .time_ms = 8000, .name = STR("Go")});
    old_expect(&w, "Timeout");
}

static const ks_val *calls_before_its_lock(ks_orch *o)
{
    const ks_ref a = {"Account", "a"};
    ks_task *lock = ks_lock(o, a);
    ks_task *call = ks_call_entity(o, a, "Balance", NULL);
    ks_await(lock);
    return ks_await(call);
}

/* What is refused now was taken then. */
static void a_history_of_a_call_before_its_lock_goes_on(void **state)
{
    static const ks_function table[] = {KS_ORCHESTRATION("Program", calls_before_its_lock), KS_END};
    struct old w;
    (void)state;
    old_open(&w, table);
    put(&w.history,
        &(struct event){.type = EVENT_LOCK_REQUESTED,
                        .val = ks_push(&w.mem, ks_array(&w.mem), ks_string(&w.mem, "@account@a"))});
    put(&w.history, &(struct event){.type = EVENT_ENTITY_CALLED,
                                    .id = 1,
                                    .target = STR("@account@a"),
                                    .name = STR("Balance")});
    put(&w.history, &(struct event){.type = EVENT_ENTITY_RESPONDED, .time_ms = 2000});
    assert_int_equal(instance_apply(w.inst, w.history.at, w.history.len, &w.mem), 0);
    old_goes_on(&w, &(struct event){.type = EVENT_ENTITY_RESPONDED,
                                    .time_ms = 3000,
                                    .id = 1,
                                    .val = ks_string(&w.mem, "7")});
    old_expect(&w, "7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_failures_of_an_activity_keep_its_input_once),
        cmocka_unit_test(a_hundred_failures_of_a_child_keep_its_input_once),
        cmocka_unit_test(an_attempt_under_way_in_a_crash_gets_its_input_again),
        cmocka_unit_test(a_history_with_an_input_in_each_attempt_goes_on),
        cmocka_unit_test(a_history_of_a_call_that_took_too_long_goes_on),
        cmocka_unit_test(a_history_of_a_call_before_its_lock_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
