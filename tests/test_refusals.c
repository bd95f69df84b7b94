/* What the core does not take, and what it says then: tables of functions, messages, logs that
 * could not have been written, code that asks for what cannot be, code that is not what history was
 * made by. */
#include "core/app.h"
#include "core/coroutine.h"
#include "core/message.h"
#include "trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static ks_arena mem;

static int set_up(void **state)
{
    (void)state;
    arena_init(&mem, 4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&mem);
    return 0;
}

/* ---- tables of functions ---- */

static const ks_val *none(ks_orch *o)
{
    (void)o;
    return NULL;
}

static const ks_val *no_operation(ks_entity *e)
{
    (void)e;
    return NULL;
}

static const ks_val *no_work(ks_activity *a)
{
    (void)a;
    return NULL;
}

static int no_http(ks_http *h)
{
    (void)h;
    return 0;
}

/* Given as the only function, or behind a good one, or as one of ours, it is refused. */
static void expect_bad_function(const ks_function *fn, const char *what)
{
    static const ks_function good[] = {KS_ORCHESTRATION("Good", none), KS_END};
    const ks_function alone[] = {*fn, KS_END};
    const ks_function second[] = {good[0], *fn, KS_END};
    struct app app;
    char why[256] = "";
    assert_int_equal(app_init(&app, alone, NULL, why, sizeof why), -1);
    if (!strstr(why, what))
        fail_msg("\"%s\" does not say \"%s\"", why, what);
    assert_int_equal(app_init(&app, second, NULL, why, sizeof why), -1);
    assert_int_equal(app_init(&app, good, alone, why, sizeof why), -1);
    assert_non_null(strstr(why, what));
}

static void a_function_without_a_good_name_is_refused(void **state)
{
    char long_name[130];
    (void)state;
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[129] = 0;
    const char *const names[] = {NULL, "", long_name, "1a", "_a", "a b", "a.b", "\xC3\xA9", "a$"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        expect_bad_function(&(ks_function)KS_ORCHESTRATION(names[i], none), "has the name");
    const ks_function good[] = {KS_ORCHESTRATION(long_name + 1, none),
                                KS_ORCHESTRATION("$a-b_1", none), KS_END};
    struct app app;
    char why[256];
    assert_int_equal(app_init(&app, good, NULL, why, sizeof why), 0);
    app_free(&app);
}

static void a_function_that_is_not_complete_is_refused(void **state)
{
    (void)state;
    const ks_function bad[] = {
        KS_ORCHESTRATION("F", NULL),
        KS_ORCHESTRATION_VERSION("F", NULL, none),
        KS_ACTIVITY("F", NULL),
        KS_ACTIVITY_INLINE("F", NULL),
        KS_ENTITY("F", "op", NULL),
        KS_ENTITY("F", NULL, no_operation),
        KS_ENTITY("F", "", no_operation),
        KS_HTTP("F", "GET", "f", 0, NULL),
        KS_HTTP("F", NULL, "f", 0, no_http),
        KS_HTTP("F", "GET", NULL, 0, no_http),
        KS_SETTING("F", KS_AS_TEXT, NULL, "help"),
        KS_SETTING("F", KS_AS_TEXT, "", NULL),
        KS_PAGES("F", NULL),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_bad_function(&bad[i], "\"F\" in the table of functions is not complete");
}

static void a_function_that_stands_twice_is_refused(void **state)
{
    (void)state;
    static const ks_function inline_too[] = {KS_ACTIVITY("Work", no_work),
                                             KS_ACTIVITY_INLINE("WORK", no_work), KS_END};
    static const ks_function variants[] = {KS_ORCHESTRATION("Work", none),
                                           KS_ORCHESTRATION_VERSION("Work", "2", none),
                                           KS_ACTIVITY("Work", no_work),
                                           KS_ENTITY("Work", "add", no_operation),
                                           KS_ENTITY("Work", "take", no_operation),
                                           KS_HTTP("Work", "GET", "w", 0, no_http),
                                           KS_END};
    struct app app;
    char why[256] = "";
    assert_int_equal(app_init(&app, inline_too, NULL, why, sizeof why), -1);
    assert_non_null(strstr(why, "stands twice"));
    assert_int_equal(app_init(&app, variants, NULL, why, sizeof why), 0);
    assert_ptr_equal(app_newest_orchestration(&app, STR("work")), &variants[0]);
    assert_null(app_newest_orchestration(&app, STR("other")));
    assert_ptr_equal(app_orchestration(&app, STR("WORK"), STR("2")), &variants[1]);
    assert_null(app_orchestration(&app, STR("Work"), STR("3")));
    app_free(&app);
}

/* ---- messages ---- */

static const char long_text[300] = {[0 ... 298] = 'a'};

static void expect_message(struct message m, const char *why)
{
    const char *got = message_check(&m);
    if (!why)
        assert_null(got);
    else if (!got || !strstr(got, why))
        fail_msg("%s %.*s \"%.*s\": %s, not %s", message_type_name((uint8_t)m.type),
                 (int)m.target.len, m.target.at, (int)m.name.len, m.name.at, got, why);
}

static struct str key_of(const char *key)
{
    return entity_id(&mem, STR("list"), str_of(key));
}

static void ids_and_names_have_limits(void **state)
{
    (void)state;
    static const enum message_type to_entity[] = {MESSAGE_SIGNAL, MESSAGE_CALL, MESSAGE_LOCK,
                                                  MESSAGE_UNLOCK};
    for (size_t i = 0; i < 4; i++) {
        struct message m = {.type = to_entity[i], .target = key_of("7f"), .name = STR("add")};
        expect_message(m, NULL);
        m.target = STR("list");
        expect_message(m, "an entity's name");
        m.target = STR("@@7f");
        expect_message(m, "an entity's name");
        m.target = entity_id(&mem, (struct str){long_text, 129}, STR("k"));
        expect_message(m, "an entity's name");
        m.target = entity_id(&mem, STR("list"), (struct str){long_text, 257});
        expect_message(m, "an entity's key");
        m.target = entity_id(&mem, STR("list"), (struct str){long_text, 256});
        expect_message(m, NULL);
        m.target = key_of("a#b");
        expect_message(m, "Entity keys must not");
    }
    static const char *const bad[] = {"@a", "a/b", "a\\b", "a#b", "a?b", "a\tb", "a\x7F", "\xFF"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_message((struct message){.type = MESSAGE_EVENT,
                                        .target = str_of(bad[i]),
                                        .name = STR("Go")},
                       "Instance ids must not");
    expect_message((struct message){.type = MESSAGE_EVENT, .target = STR(""), .name = STR("Go")},
                   "1 to 256 bytes");
    expect_message((struct message){.type = MESSAGE_EVENT,
                                    .target = {long_text, 257},
                                    .name = STR("Go")},
                   "1 to 256 bytes");
    expect_message((struct message){.type = MESSAGE_RESUME, .target = STR("@list@7f")}, NULL);
    expect_message((struct message){.type = MESSAGE_RESUME, .target = STR("@list")},
                   "Instance ids must not");
}

static void names_and_values_have_limits(void **state)
{
    (void)state;
    static const enum message_type named[] = {MESSAGE_START, MESSAGE_EVENT, MESSAGE_SIGNAL,
                                              MESSAGE_CALL};
    for (size_t i = 0; i < 4; i++) {
        struct message m = {.type = named[i], .target = i < 2 ? STR("x") : key_of("x")};
        expect_message(m, "name has to be 1 to 128 bytes");
        m.name = (struct str){long_text, 129};
        expect_message(m, "name has to be 1 to 128 bytes");
        m.name = STR("\xFF");
        expect_message(m, "has to be UTF-8");
        m.name = (struct str){long_text, 128};
        expect_message(m, NULL);
        m.val = ks_string(&mem, "\xFF");
        expect_message(m, "UTF-8");
        m.val = NULL;
        m.details = ks_string(&mem, "\xFF");
        expect_message(m, "UTF-8");
    }
}

static void bytes_that_are_no_message_are_none(void **state)
{
    (void)state;
    static const char types[] = {0, MESSAGE_PURGE_ALL + 1, (char)255};
    struct buf bytes = {0};
    message_encode(&bytes, &(struct message){.type = MESSAGE_PURGE, .target = STR("x")});
    struct reader whole = reader_of(bytes.at, bytes.len);
    assert_non_null(message_decode(&whole, &mem));
    for (size_t len = 0; len < bytes.len; len++) {
        struct reader cut = reader_of(bytes.at, len);
        assert_null(message_decode(&cut, &mem));
    }
    for (size_t i = 0; i < sizeof types; i++) {
        struct reader other = reader_of(bytes.at, bytes.len);
        bytes.at[0] = types[i];
        assert_null(message_decode(&other, &mem));
        assert_string_equal(message_type_name((uint8_t)types[i]), "unknown");
    }
    buf_free(&bytes);
}

static void the_first_error_of_an_outbox_stays(void **state)
{
    (void)state;
    ks_outbox out = {.mem = &mem};
    ks_restart(&out, "a", NULL);
    ks_restart(&out, "a", "b");
    assert_int_equal(out.sent.first->name.len, 0);
    assert_true(str_is(out.sent.last->name, STR("b")));
    ks_raise(&out, "a/b", "Go", NULL);
    ks_raise(&out, "a", "", NULL);
    assert_non_null(strstr(out.error, "Instance ids"));
    ks_purge(&out, "a", false);
    assert_int_equal(out.sent.last->type, MESSAGE_RESTART);
}

/* ---- logs ---- */

static int apply(enum instance_kind kind, const struct buf *log)
{
    struct instance *inst = instance_new(1, kind, STR("@list@a"), STR("list"), 0);
    int result = instance_apply(inst, log->at, log->len, &mem);
    instance_free(inst);
    return result;
}

static void no_history_has_nothing_in_it(void **state)
{
    (void)state;
    assert_int_equal(apply(INSTANCE_ORCHESTRATION, &(struct buf){0}), -1);
    assert_int_equal(apply(INSTANCE_ENTITY, &(struct buf){0}), 0);
}

static void expect_events(int result, size_t count, const struct event *events)
{
    struct buf log = {0};
    for (size_t i = 0; i < count; i++)
        event_encode(&log, &events[i]);
    assert_int_equal(apply(INSTANCE_ORCHESTRATION, &log), result);
    buf_free(&log);
}
#define EXPECT_EVENTS(result, ...) \
    expect_events(result, sizeof((struct event[]){__VA_ARGS__}) / sizeof(struct event), \
                  (struct event[]){__VA_ARGS__})

static void histories_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    const struct event start = {.type = EVENT_EXECUTION_STARTED};
    const struct event scheduled = {.type = EVENT_EXECUTION_SCHEDULED, .due_ms = 9};
    const struct event fired = {.type = EVENT_TIMER_FIRED, .id = EVENT_ID_START, .time_ms = 9};
    const struct event asked = {.type = EVENT_TASK_SCHEDULED, .id = 3, .name = STR("Do")};
    const struct event timer = {.type = EVENT_TIMER_CREATED, .id = 3, .due_ms = 9};
    const struct event child = {.type = EVENT_SUB_ORCHESTRATION_COMPLETED, .id = 3};
    const struct event done = {.type = EVENT_TASK_COMPLETED, .id = 3};
    const struct event ended = {.type = EVENT_EXECUTION_COMPLETED};
    EXPECT_EVENTS(0, start, asked, done, ended);
    EXPECT_EVENTS(-1, start, asked, asked);
    EXPECT_EVENTS(-1, start, asked, done, done);
    EXPECT_EVENTS(-1, start, asked, child);
    EXPECT_EVENTS(0, start, asked, {.type = EVENT_TASK_ABANDONED, .id = 3}, ended);
    EXPECT_EVENTS(-1, start, timer, {.type = EVENT_TASK_ABANDONED, .id = 3});
    EXPECT_EVENTS(-1, start, ended, asked);
    EXPECT_EVENTS(-1, start, {.type = EVENT_TIMER_FIRED, .id = 0});
    EXPECT_EVENTS(0, scheduled, fired);
    EXPECT_EVENTS(-1, start, fired);
    EXPECT_EVENTS(-1, scheduled, fired, fired);
    EXPECT_EVENTS(-1, scheduled, scheduled);
    EXPECT_EVENTS(-1, start, asked, scheduled, asked);
    EXPECT_EVENTS(0, start, ended, {.type = EVENT_EXECUTION_REWOUND, .due_ms = 0});
    EXPECT_EVENTS(-1, start, ended, {.type = EVENT_EXECUTION_REWOUND, .due_ms = 900});
    EXPECT_EVENTS(-1, start, ended, {.type = EVENT_EXECUTION_REWOUND, .due_ms = -1});
    /* Cut in the middle of an event. */
    EXPECT_EVENTS(-1, start, asked, ended, {.type = EVENT_EXECUTION_REWOUND, .due_ms = 3});
}

static void an_event_of_no_type_is_called_so(void **state)
{
    (void)state;
    const struct event e = {.type = 99};
    assert_string_equal(event_describe(&mem, &e), "Unknown");
    assert_string_equal(ks_text(ks_get(event_to_val(&mem, &e), "type")), "Unknown");
    assert_false(event_has_id(99));
    assert_true(event_has_id(EVENT_TASK_ABANDONED));
    assert_false(event_has_id(EVENT_STATUS_SET));
}

static void resumed_before_its_time_it_still_waits_for_it(void **state)
{
    (void)state;
    for (int64_t resumed_ms = 8; resumed_ms <= 9; resumed_ms++) {
        struct instance *inst = instance_new(1, INSTANCE_ORCHESTRATION, STR("a"), STR("A"), 0);
        const struct event events[] = {{.type = EVENT_EXECUTION_SCHEDULED, .due_ms = 9},
                                       {.type = EVENT_EXECUTION_SUSPENDED, .time_ms = 5},
                                       {.type = EVENT_EXECUTION_RESUMED, .time_ms = resumed_ms}};
        struct buf log = {0};
        for (size_t i = 0; i < 3; i++)
            event_encode(&log, &events[i]);
        assert_int_equal(instance_apply(inst, log.at, log.len, &mem), 0);
        assert_int_equal(inst->status, resumed_ms < 9 ? KS_PENDING : KS_RUNNING);
        assert_int_equal(inst->due_ms, 9);
        instance_free(inst);
        buf_free(&log);
    }
}

static void expect_lines(int result, const char *bytes, size_t len)
{
    struct buf log = {0};
    buf_append(&log, bytes, len);
    assert_int_equal(apply(INSTANCE_ENTITY, &log), result);
    buf_free(&log);
}

static void lines_that_contradict_what_was_are_refused(void **state)
{
    (void)state;
    expect_lines(0, "\x11\1a\x12", 4);     /* locked, unlocked */
    expect_lines(-1, "\x11\1a\x11\1b", 6); /* locked twice */
    expect_lines(-1, "\x12", 1);           /* unlocked, and was not */
    expect_lines(0, "\x13\1m\x14", 4);     /* deferred, done */
    expect_lines(-1, "\x14", 1);           /* done, and was not deferred */
    expect_lines(0, "\x15\2\1m\x16", 5);   /* for later, now */
    expect_lines(-1, "\x16", 1);           /* now, and there is nothing */
    expect_lines(-1, "\x13\5m", 3);        /* cut off */
    expect_lines(-1, "\x17", 1);           /* no such line */
    expect_lines(-1, "\1\1a", 3);          /* a patch cut off */
    expect_lines(-1, "\3\0\2\2\0\5\0", 7); /* adds to what is no number */
    expect_lines(0, "\3\0\2", 3);
}

static void an_entity_has_nothing_of_an_orchestration(void **state)
{
    (void)state;
    struct instance *inst = instance_new(1, INSTANCE_ENTITY, STR("@list@a"), STR("list"), 0);
    assert_null(instance_output(inst, &mem));
    assert_null(instance_custom_status(inst, &mem));
    assert_null(instance_input(inst, &mem));
    assert_null(instance_details(inst, &mem));
    assert_null(instance_locks(inst, &mem));
    instance_free(inst);
    inst = instance_new(1, INSTANCE_ENTITY, STR("@list@a"), STR("list"), 0);
    assert_int_equal(instance_restore(inst, STR(""), STR(""), STR("\3\0\2"), &mem), 0);
    assert_int_equal(ks_int(inst->entity.doc.root), 1);
    instance_free(inst);
    inst = instance_new(1, INSTANCE_ENTITY, STR("@list@a"), STR("list"), 0);
    assert_int_equal(instance_restore(inst, STR("{"), STR(""), STR(""), &mem), -1);
    instance_free(inst);
}

static void a_place_behind_history_has_no_event(void **state)
{
    (void)state;
    struct event e;
    struct buf texts = {0};
    struct image image;
    struct instance *inst = instance_new(1, INSTANCE_ORCHESTRATION, STR("a"), STR("A"), 0);
    instance_save(inst, &texts, &image);
    assert_true(image.is_whole && image.input.len == 0 && image.log.len == 0 &&
                image.history.len == 0);
    instance_asked(inst, &(struct pending){.history_bytes = 7}, &mem, &e);
    assert_int_equal(e.type, 0);
    instance_free(inst);
    buf_free(&texts);
}

/* ---- coroutines ---- */

static void do_nothing(void *arg)
{
    (void)arg;
}

static void a_pool_keeps_some_stacks_and_no_more(void **state)
{
    enum { MANY = 100 };
    struct coroutine_pool pool = {0};
    struct coroutine *all[MANY];
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        all[i] = coroutine_new(&pool, do_nothing, NULL);
    for (size_t i = 0; i < MANY; i++) {
        coroutine_resume(all[i]);
        assert_true(coroutine_is_over(all[i]));
        coroutine_free(&pool, all[i]);
    }
    assert_in_range(pool.free_count, 1, MANY - 1);
    coroutine_pool_free(&pool);
}

/* ---- code that asks for what cannot be ---- */

static const ks_val *always_fails(ks_activity *a)
{
    return ks_fail(a->mem, "Bad", "it did not work");
}

static const ks_function functions[] = {
    KS_ORCHESTRATION("Child", none),
    KS_ACTIVITY("Work", no_work),
    KS_ACTIVITY("Other", no_work),
    KS_ACTIVITY_INLINE("Fails", always_fails),
    KS_END,
};

static void expect_end(ks_orchestration_fn *code, ks_orchestration_fn *changed, const char *script,
                       const char *text)
{
    struct trace t;
    trace_run(&t, &(struct program){"none", code, changed, NULL, script}, functions, false);
    buf_byte(&t.text, 0);
    if (!strstr(t.text.at, text))
        fail_msg("has no \"%s\":\n%s", text, t.text.at);
    trace_free(&t);
}

static const ks_val *starts_a_child_with_a_bad_id(ks_orch *o)
{
    return ks_await(ks_sub(o, "Child", "a/b", NULL));
}

static const ks_val *calls_an_entity_with_a_bad_key(ks_orch *o)
{
    return ks_await(ks_call_entity(o, (ks_ref){"List", "a#b"}, "add", NULL));
}

static const ks_val *locks_an_entity_with_a_bad_key(ks_orch *o)
{
    return ks_await(ks_lock(o, (ks_ref){"List", "a"}, (ks_ref){"List", "a?b"}));
}

static const ks_val *signals_what_it_locks(ks_orch *o)
{
    ks_lock(o, (ks_ref){"List", "a"});
    ks_signal(o->out, (ks_ref){"List", "a"}, "add", NULL);
    ks_signal(o->out, (ks_ref){"List", "a"}, "add", NULL);
    return ks_await(ks_event(o, "Go"));
}

static void a_signal_into_its_own_section_fails_the_orchestration(void **state)
{
    (void)state;
    expect_end(signals_what_it_locks, NULL, "start null", "is signaled in the critical section");
}

static void bad_ids_fail_the_orchestration_where_it_uses_them(void **state)
{
    (void)state;
    expect_end(starts_a_child_with_a_bad_id, NULL, "start null", "BadSend");
    expect_end(calls_an_entity_with_a_bad_key, NULL, "start null", "BadSend");
    expect_end(locks_an_entity_with_a_bad_key, NULL, "start null", "BadSend");
}

/* ---- policies at their ends ---- */

static const ks_val *waits_a_thousand_years(ks_orch *o)
{
    return ks_await(
        ks_call_with(o, "Fails", NULL, &(ks_retry){.attempts = 2, .first_ms = KS_DAYS(365000)}));
}

static const ks_val *backs_off_by_nothing(ks_orch *o)
{
    return ks_await(ks_call_with(
        o, "Fails", NULL,
        &(ks_retry){.attempts = 3, .first_ms = 1000, .backoff = -1, .jitter = 7, .max_ms = 1}));
}

static const ks_val *names_other_errors(ks_orch *o)
{
    return ks_await(
        ks_call_with(o, "Fails", NULL, &(ks_retry){.attempts = 2, .final_errors = "XBad,Badx,,B"}));
}

static const ks_val *names_the_error_last(ks_orch *o)
{
    return ks_await(
        ks_call_with(o, "Fails", NULL, &(ks_retry){.attempts = 2, .final_errors = "Badx,Bad"}));
}

static const ks_val *names_the_error_first(ks_orch *o)
{
    return ks_await(
        ks_call_with(o, "Fails", NULL, &(ks_retry){.attempts = 2, .final_errors = "Bad,Worse"}));
}

static const ks_val *backs_off_evenly(ks_orch *o)
{
    return ks_await(
        ks_call_with(o, "Fails", NULL, &(ks_retry){.attempts = 3, .first_ms = 1000, .backoff = 1}));
}

static void policies_have_ends(void **state)
{
    (void)state;
    expect_end(waits_a_thousand_years, NULL, "start null", "due 3153600000000"); /* in a hundred */
    expect_end(backs_off_by_nothing, NULL, "start null; timer 1; timer 3", "failed");
    expect_end(names_other_errors, NULL, "start null", "running");
    expect_end(backs_off_evenly, NULL, "start null; timer 1; timer 3", "TimerCreated 3 due 2000");
    expect_end(names_the_error_first, NULL, "start null", "failed");
    expect_end(names_the_error_last, NULL, "start null", "failed");
}

/* ---- code that is not what history was made by, found out by the engine's side ---- */

static const ks_val *retries_by_hand(ks_orch *o)
{
    ks_try(ks_call(o, "Fails", NULL));
    ks_await(ks_timer(o, o->now_ms + 1000));
    return ks_await(ks_call(o, "Work", NULL));
}

static const ks_val *retries_by_policy(ks_orch *o)
{
    return ks_await(ks_call_with(o, "Fails", NULL, &(ks_retry){.attempts = 3, .first_ms = 1000}));
}

static const ks_val *works_by_hand(ks_orch *o)
{
    ks_try(ks_call(o, "Work", NULL));
    ks_await(ks_timer(o, o->now_ms + 1000));
    return ks_await(ks_call(o, "Other", NULL));
}

static const ks_val *works_by_policy(ks_orch *o)
{
    return ks_await(ks_call_with(o, "Work", NULL, &(ks_retry){.attempts = 3, .first_ms = 1000}));
}

static const ks_val *times_by_hand(ks_orch *o)
{
    ks_task *work = ks_call(o, "Work", NULL);
    ks_timer(o, o->now_ms + 5000);
    ks_try(work);
    return ks_await(ks_event(o, "Go"));
}

static const ks_val *times_by_policy(ks_orch *o)
{
    return ks_await(ks_call_with(o, "Work", NULL,
                                 &(ks_retry){.attempts = 3, .first_ms = 1000, .timeout_ms = 5000}));
}

static void another_program_is_found_out_between_attempts(void **state)
{
    (void)state;
    expect_end(retries_by_hand, retries_by_policy, "start null; timer 1; change; result 2 null",
               "NonDeterminism");
    expect_end(times_by_hand, times_by_policy, "start null; fail 0 Bad; change; event Go null",
               "NonDeterminism");
    expect_end(works_by_hand, works_by_policy,
               "start null; fail 0 Bad; timer 1; change; result 2 null", "NonDeterminism");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_without_a_good_name_is_refused),
        cmocka_unit_test(a_function_that_is_not_complete_is_refused),
        cmocka_unit_test(a_function_that_stands_twice_is_refused),
        cmocka_unit_test(ids_and_names_have_limits),
        cmocka_unit_test(names_and_values_have_limits),
        cmocka_unit_test(bytes_that_are_no_message_are_none),
        cmocka_unit_test(the_first_error_of_an_outbox_stays),
        cmocka_unit_test(no_history_has_nothing_in_it),
        cmocka_unit_test(histories_that_contradict_themselves_are_refused),
        cmocka_unit_test(an_event_of_no_type_is_called_so),
        cmocka_unit_test(resumed_before_its_time_it_still_waits_for_it),
        cmocka_unit_test(lines_that_contradict_what_was_are_refused),
        cmocka_unit_test(an_entity_has_nothing_of_an_orchestration),
        cmocka_unit_test(a_place_behind_history_has_no_event),
        cmocka_unit_test(a_pool_keeps_some_stacks_and_no_more),
        cmocka_unit_test(bad_ids_fail_the_orchestration_where_it_uses_them),
        cmocka_unit_test(a_signal_into_its_own_section_fails_the_orchestration),
        cmocka_unit_test(policies_have_ends),
        cmocka_unit_test(another_program_is_found_out_between_attempts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
