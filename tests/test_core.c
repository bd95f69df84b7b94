/* The core by traces: small programs, a script of messages for each, and the whole outcome as text
 * in tests/traces/. Each program runs twice, resident and restarted before every message: text and
 * log bytes have to be the same. */
#include "trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what the programs call ---- */

static const ks_val *work(ks_activity *a)
{
    return a->input; /* never run here: results come from the script */
}

static const ks_val *twice(ks_activity *a)
{
    ks_log(a->out, "twice runs under %s", a->key);
    ks_signal(a->out, (ks_ref){"Audit", a->id}, "Twice", a->input);
    return ks_integer(a->mem, 2 * ks_int(a->input));
}

static const ks_val *refuses(ks_activity *a)
{
    ks_signal(a->out, (ks_ref){"Audit", a->id}, "Refuses", a->input);
    return ks_fail(a->mem, "Refused", "no %lld today", (long long)ks_int(a->input));
}

static const ks_val *sends_badly(ks_activity *a)
{
    ks_signal(a->out, (ks_ref){"Audit", a->id}, "Good", NULL);
    ks_signal(a->out, (ks_ref){"Audit", "a/b"}, "Bad", NULL);
    return ks_integer(a->mem, 1);
}

static const ks_val *nothing(ks_activity *a)
{
    (void)a;
    return NULL;
}

static const ks_function functions[] = {
    KS_ACTIVITY("Work", work),
    KS_ACTIVITY_INLINE("Twice", twice),
    KS_ACTIVITY_INLINE("Refuses", refuses),
    KS_ACTIVITY_INLINE("SendsBadly", sends_badly),
    KS_ACTIVITY_INLINE("Nothing", nothing),
    KS_END,
};

/* ---- activities ---- */

static const ks_val *calls_once(ks_orch *o)
{
    return ks_await(ks_call(o, "Work", o->input));
}

static const ks_val *calls_in_turn(ks_orch *o)
{
    const ks_val *first = ks_await(ks_call(o, "work", o->input));
    const ks_val *second = ks_await(ks_call(o, "WORK", first));
    ks_val *both = ks_array(o->mem);
    return ks_push(o->mem, ks_push(o->mem, both, first), second);
}

static const ks_val *tries(ks_orch *o)
{
    const ks_val *result = ks_try(ks_call(o, "Work", o->input));
    return ks_string(o->mem, ks_format(o->mem, "%s: %s", ks_error_type(result), ks_text(result)));
}

static const ks_val *calls_what_is_missing(ks_orch *o)
{
    ks_signal(o->out, (ks_ref){"List", "a"}, "Add", NULL);
    ks_await(ks_call(o, "Play", NULL));
    return NULL;
}

static const ks_val *calls_and_ends(ks_orch *o)
{
    ks_call(o, "Work", NULL);
    return ks_string(o->mem, "not waited for");
}

static const ks_val *calls_inline(ks_orch *o)
{
    int64_t n = ks_int(ks_await(ks_call(o, "Twice", o->input)));
    ks_event(o, "Never");
    ks_await(ks_timer(o, o->now_ms + 500));
    return ks_await(ks_call(o, "Twice", ks_integer(o->mem, n)));
}

static const ks_val *awaits_inline_failure(ks_orch *o)
{
    ks_await(ks_event(o, "Go"));
    ks_await(ks_call(o, "Refuses", o->input));
    return NULL;
}

static const ks_val *tries_inline_failure(ks_orch *o)
{
    const ks_val *error = ks_try(ks_call(o, "Refuses", o->input));
    ks_await(ks_event(o, "Go"));
    return ks_string(o->mem, ks_text(error));
}

static const ks_val *inline_sends_badly(ks_orch *o)
{
    const ks_val *error = ks_try(ks_call(o, "SendsBadly", NULL));
    ks_await(ks_event(o, "Go"));
    return ks_string(o->mem, ks_format(o->mem, "%s: %s", ks_error_type(error), ks_text(error)));
}

static const ks_val *inline_gives_nothing(ks_orch *o)
{
    const ks_val *result = ks_await(ks_call(o, "Nothing", NULL));
    ks_await(ks_event(o, "Go"));
    return ks_boolean(o->mem, result && ks_type_of(result) == KS_NULL);
}

/* ---- timers ---- */

static const ks_val *sleeps(ks_orch *o)
{
    ks_await(ks_timer(o, o->now_ms + 60000));
    return ks_integer(o->mem, o->now_ms);
}

static const ks_val *sleeps_in_any_order(ks_orch *o)
{
    ks_task *late = ks_timer(o, 9000);
    ks_task *early = ks_timer(o, 5000);
    ks_await(ks_when_all(o, late, early));
    return ks_integer(o->mem, o->now_ms);
}

static const ks_val *sleeps_in_the_past(ks_orch *o)
{
    ks_await(ks_timer(o, o->now_ms - 60000));
    return ks_integer(o->mem, o->now_ms);
}

/* ---- events ---- */

static const ks_val *waits(ks_orch *o)
{
    return ks_await(ks_event(o, "Go"));
}

static const ks_val *waits_late(ks_orch *o)
{
    ks_await(ks_timer(o, 60000));
    ks_val *all = ks_array(o->mem);
    ks_push(o->mem, all, ks_await(ks_event(o, "A")));
    ks_push(o->mem, all, ks_await(ks_event(o, "B")));
    return ks_push(o->mem, all, ks_await(ks_event(o, "A")));
}

static const ks_val *waits_twice_at_once(ks_orch *o)
{
    ks_task *first = ks_event(o, "Go");
    ks_task *second = ks_event(o, "go");
    ks_val *both = ks_array(o->mem);
    ks_push(o->mem, both, ks_await(first));
    return ks_push(o->mem, both, ks_await(second));
}

static const ks_val *waits_for_an_error(ks_orch *o)
{
    const ks_val *val = ks_try(ks_event(o, "Go"));
    return ks_string(o->mem, ks_error_type(val));
}

/* ---- composites ---- */

static const char *name_of(ks_task *winner, ks_task *const *tasks, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        if (tasks[i] == winner)
            return names[i];
    return "nobody";
}

static const ks_val *races(ks_orch *o)
{
    ks_task *tasks[] = {ks_event(o, "Close"), ks_timer(o, 30000)};
    static const char *const names[] = {"event", "timer", NULL};
    ks_task *any = ks_any_of(o, tasks, 2);
    ks_task *winner = ks_winner(any);
    ks_val *all = ks_array(o->mem);
    ks_push(o->mem, all, ks_string(o->mem, name_of(winner, tasks, names)));
    return ks_push(o->mem, all, ks_await(any));
}

static const ks_val *waits_for_the_loser(ks_orch *o)
{
    ks_task *event = ks_event(o, "Close"), *timer = ks_timer(o, 30000);
    ks_task *any = ks_when_any(o, event, timer);
    ks_task *winner = ks_winner(any);
    ks_await(winner == event ? timer : event);
    return ks_boolean(o->mem, ks_winner(any) == winner);
}

static const ks_val *any_of_none(ks_orch *o)
{
    ks_task *any = ks_any_of(o, NULL, 0);
    ks_val *all = ks_array(o->mem);
    ks_push(o->mem, all, ks_boolean(o->mem, ks_winner(any) == NULL));
    return ks_push(o->mem, all, ks_await(ks_all_of(o, NULL, 0)));
}

static const ks_val *any_of_one(ks_orch *o)
{
    ks_task *work_task = ks_call(o, "Work", NULL);
    return ks_await(ks_when_any(o, work_task));
}

static const ks_val *any_of_those_done(ks_orch *o)
{
    ks_task *first = ks_event(o, "A");
    ks_task *second = ks_event(o, "B");
    ks_await(second);
    ks_await(first);
    ks_task *any = ks_when_any(o, ks_event(o, "C"), first, second);
    return ks_boolean(o->mem, ks_winner(any) == first);
}

static const ks_val *any_with_one_that_failed(ks_orch *o)
{
    ks_task *any = ks_when_any(o, ks_event(o, "Go"), ks_call(o, "Work", NULL));
    ks_task *winner = ks_winner(any);
    ks_log(o->out, "won by an error: %d", ks_is_error(ks_try(winner)));
    ks_await(any);
    return NULL;
}

static const ks_val *all_of_many(ks_orch *o)
{
    ks_task *tasks[20];
    for (int64_t i = 0; i < 20; i++)
        tasks[i] = ks_call(o, "Work", ks_integer(o->mem, i));
    return ks_await(ks_all_of(o, tasks, 20));
}

static const ks_val *all_with_some_that_failed(ks_orch *o)
{
    ks_task *all = ks_when_all(o, ks_call(o, "Work", NULL), ks_call(o, "Work", NULL),
                               ks_call(o, "Work", NULL));
    const ks_val *result = ks_try(all);
    ks_log(o->out, "all are done: %s", ks_error_type(result));
    return ks_await(all);
}

static const ks_val *all_with_the_same_twice(ks_orch *o)
{
    ks_task *a = ks_event(o, "A");
    ks_task *done = ks_event(o, "B");
    ks_await(done);
    return ks_await(ks_when_all(o, a, done, a));
}

static const ks_val *nests(ks_orch *o)
{
    ks_task *both = ks_when_all(o, ks_event(o, "A"), ks_event(o, "B"));
    ks_task *any = ks_when_any(o, both, ks_timer(o, 30000));
    return ks_await(ks_when_all(o, any, ks_event(o, "C")));
}

/* ---- cancel ---- */

static const ks_val *cancels_a_timer(ks_orch *o)
{
    ks_task *timer = ks_timer(o, 30000);
    ks_task *other = ks_timer(o, 40000);
    ks_await(ks_event(o, "Go"));
    ks_cancel(timer);
    ks_cancel(timer);
    const ks_val *error = ks_try(timer);
    ks_await(other);
    return ks_string(o->mem, ks_error_type(error));
}

static const ks_val *cancels_an_event(ks_orch *o)
{
    ks_task *first = ks_event(o, "Go");
    ks_task *second = ks_event(o, "Go");
    ks_task *third = ks_event(o, "Go");
    ks_cancel(second);
    ks_cancel(third);
    ks_await(first);
    ks_task *fourth = ks_event(o, "Go");
    ks_val *both = ks_array(o->mem);
    ks_push(o->mem, both, ks_await(fourth));
    return ks_push(o->mem, both, ks_string(o->mem, ks_error_type(ks_try(second))));
}

static const ks_val *cancels_what_is_done(ks_orch *o)
{
    ks_task *timer = ks_timer(o, 5000);
    ks_task *event = ks_event(o, "Go");
    ks_task *call = ks_call(o, "Work", NULL);
    ks_await(timer);
    ks_await(event);
    ks_cancel(timer);
    ks_cancel(event);
    ks_val *both = ks_array(o->mem);
    ks_push(o->mem, both, ks_await(event));
    return ks_push(o->mem, both, ks_await(call));
}

static const ks_val *awaits_what_it_canceled(ks_orch *o)
{
    ks_task *timer = ks_timer(o, 30000);
    ks_cancel(timer);
    ks_await(timer);
    return NULL;
}

static const ks_val *cancels_the_last_of_a_group(ks_orch *o)
{
    ks_task *timer = ks_timer(o, 30000);
    ks_task *any = ks_when_any(o, timer, ks_event(o, "Go"));
    ks_cancel(timer);
    return ks_boolean(o->mem, ks_winner(any) == timer);
}

/* ---- sending ---- */

static const ks_val *sends(ks_orch *o)
{
    ks_start(o->out, "Other", "7f", o->input);
    ks_raise(o->out, "80", "Go", ks_boolean(o->mem, true));
    ks_signal(o->out, (ks_ref){"List", "Key"}, "Add", o->input);
    ks_log(o->out, "sent %s", ks_text(o->input));
    ks_await(ks_event(o, "Go"));
    ks_log(o->out, "replaying: %d", o->is_replaying);
    ks_signal(o->out, (ks_ref){"LIST", "Key"}, "Close", NULL);
    ks_await(ks_event(o, "Go"));
    return NULL;
}

static const ks_val *sends_what_cannot_be_sent(ks_orch *o)
{
    ks_await(ks_event(o, "Go"));
    ks_signal(o->out, (ks_ref){"List", "a"}, "Good", NULL);
    ks_start(o->out, "Other", "a/b", NULL);
    ks_signal(o->out, (ks_ref){"List", "a"}, "TooLate", NULL);
    ks_signal(o->out, (ks_ref){"List", "a?"}, "NotTheFirst", NULL);
    ks_await(ks_event(o, "Go"));
    return NULL;
}

static const ks_val *sends_badly_and_fails(ks_orch *o)
{
    ks_signal(o->out, (ks_ref){"List", "a"}, "Good", NULL);
    ks_start(o->out, "Other", "a/b", NULL);
    return ks_fail(o->mem, "Sad", "anyway");
}

static const ks_val *deep(ks_orch *o, int levels)
{
    ks_val *val = ks_array(o->mem);
    for (int i = 1; i < levels; i++)
        val = ks_push(o->mem, ks_array(o->mem), val);
    return val;
}

static const ks_val *returns_too_deep(ks_orch *o)
{
    return deep(o, 65);
}

static const ks_val *calls_too_deep(ks_orch *o)
{
    ks_await(ks_call(o, "Work", deep(o, 65)));
    return NULL;
}

/* ---- ends ---- */

static const ks_val *returns_an_error(ks_orch *o)
{
    ks_signal(o->out, (ks_ref){"List", "a"}, "Add", NULL);
    return ks_fail(o->mem, "Sad", "because of %d", 7);
}

static const ks_val *returns_nothing(ks_orch *o)
{
    (void)o;
    return NULL;
}

static const ks_val *keeps_its_time(ks_orch *o)
{
    ks_val *times = ks_array(o->mem);
    ks_push(o->mem, times, ks_integer(o->mem, o->now_ms));
    for (int i = 0; i < 3; i++) {
        ks_await(ks_event(o, "Go"));
        ks_push(o->mem, times, ks_integer(o->mem, o->now_ms));
    }
    return times;
}

/* ---- the table ---- */

static const struct program programs[] = {
    {"activity_suspends", calls_once, .script = "start 1"},
    {"activity_completes", calls_once, .script = "start 1; result 0 {\"n\":1}"},
    {"activity_still_waits_when_an_event_comes", calls_once,
     .script = "start 1; event Go 5; event Work 6"},
    {"activities_are_found_without_case_and_run_in_turn", calls_in_turn,
     .script = "start 1; result 0 2; result 1 3"},
    {"await_of_a_failed_activity_ends_the_orchestration", calls_in_turn,
     .script = "start 1; fail 0 Broken"},
    {"try_gives_the_error_of_a_failed_activity", tries, .script = "start 1; fail 0 Broken"},
    {"a_missing_activity_fails_the_orchestration", calls_what_is_missing, .script = "start 1"},
    {"a_missing_orchestration_fails", waits, .orchestration = "Gone", .script = "start 1"},
    {"an_activity_nobody_waits_for_is_not_run", calls_and_ends, .script = "start null"},
    {"an_inline_activity_completes_in_its_turn", calls_inline, .script = "start 3; timer 1"},
    {"await_of_a_failed_inline_activity_ends_it", awaits_inline_failure,
     .script = "start 3; event Go 1"},
    {"a_failed_inline_activity_sends_nothing", tries_inline_failure,
     .script = "start 3; event Go 1"},
    {"an_inline_activity_that_sends_badly_fails", inline_sends_badly,
     .script = "start 3; event Go 1"},
    {"an_inline_activity_may_give_nothing", inline_gives_nothing, .script = "start 3; event Go 1"},

    {"timer_suspends", sleeps, .script = "start null"},
    {"timer_completes_when_it_is_due", sleeps, .script = "start null; timer 0"},
    {"timer_still_waits_when_an_event_comes", sleeps, .script = "start null; event Go 1"},
    {"timers_fire_in_the_order_they_are_due", sleeps_in_any_order,
     .script = "start null; timer 1; timer 0"},
    {"a_timer_in_the_past_is_due_at_once", sleeps_in_the_past, .script = "start null; timer 0"},

    {"event_suspends", waits, .script = "start null"},
    {"event_completes", waits, .script = "start null; event Go {\"a\":[1,2]}"},
    {"event_still_waits_for_its_name", waits, .script = "start null; event Gone 1; event G 2"},
    {"event_names_are_compared_without_case", waits, .script = "start null; event gO 7"},
    {"early_events_are_taken_in_order_by_name", waits_late,
     .script = "start null; event A 1; event A 2; event b 3; timer 0"},
    {"an_early_event_that_is_missing_is_waited_for", waits_late,
     .script = "start null; event A 1; timer 0; event A 2; event B 3"},
    {"two_waits_for_a_name_get_one_event_each", waits_twice_at_once,
     .script = "start null; event GO 1; event Go 2"},
    {"an_event_may_look_like_an_error_and_is_none", waits_for_an_error,
     .script = "start null; event Go {\"type\":\"Broken\",\"message\":\"no\"}"},

    {"any_suspends", races, .script = "start null"},
    {"event_wins_when_it_comes_first", races, .script = "start null; event Close 1"},
    {"timer_wins_when_no_event_comes", races, .script = "start null; timer 0"},
    {"any_still_waits_when_another_event_comes", races, .script = "start null; event Open 1"},
    {"the_loser_of_any_may_come_later_and_changes_nothing", waits_for_the_loser,
     .script = "start null; event Close 1; timer 0"},
    {"any_and_all_of_none_are_done", any_of_none, .script = "start null"},
    {"any_of_one_is_that_one", any_of_one, .script = "start null; result 0 1"},
    {"any_of_those_done_is_the_first_in_the_list", any_of_those_done,
     .script = "start null; event A 1; event B 2"},
    {"any_won_by_a_failure_fails", any_with_one_that_failed, .script = "start null; fail 0 Broken"},

    {"all_suspends", all_of_many, .script = "start null"},
    {"all_completes_in_the_order_of_the_list", all_of_many, .script = "start null; reverse 20"},
    {"all_still_waits_for_the_last", all_of_many, .script = "start null; result 19 1; result 0 1"},
    {"all_waits_for_everyone_and_fails_with_the_first_in_the_list", all_with_some_that_failed,
     .script = "start null; fail 2 Third; fail 1 Second; result 0 1"},
    {"all_takes_the_same_task_twice", all_with_the_same_twice,
     .script = "start null; event B 2; event A 1"},
    {"nested_groups_complete_from_the_inside", nests,
     .script = "start null; event B 2; event C 3; event A 1"},
    {"nested_groups_still_wait_for_one", nests, .script = "start null; timer 0; event A 1"},

    {"a_canceled_timer_does_not_fire", cancels_a_timer,
     .script = "start null; event Go 1; timer 1"},
    {"a_canceled_event_goes_to_the_next_wait", cancels_an_event,
     .script = "start null; event Go 1; event Go 2"},
    {"cancel_of_what_is_done_changes_nothing", cancels_what_is_done,
     .script = "start null; timer 0; event Go 5; result 1 6"},
    {"await_of_a_canceled_task_ends_it", awaits_what_it_canceled, .script = "start null"},
    {"a_canceled_task_wins_its_group", cancels_the_last_of_a_group, .script = "start null"},

    {"sends_and_logs_leave_once", sends, .script = "start \"x\"; event Go 1; event Go 2"},
    {"a_bad_send_fails_the_turn_and_sends_nothing", sends_what_cannot_be_sent,
     .script = "start null; event Go 1"},
    {"a_bad_send_before_a_failure_sends_nothing", sends_badly_and_fails, .script = "start null"},
    {"a_result_that_is_too_deep_fails", returns_too_deep, .script = "start null"},
    {"an_input_that_is_too_deep_fails", calls_too_deep, .script = "start null"},
    {"a_returned_error_fails", returns_an_error, .script = "start null"},
    {"returning_nothing_completes_with_null", returns_nothing, .script = "start null"},
    {"time_moves_only_while_waiting", keeps_its_time,
     .script = "start null; event Go 1; event Go 2; event Go 3"},
};
enum { PROGRAMS = sizeof programs / sizeof programs[0] };

static void the_trace_is_the_same_resident_and_restarted(void **state)
{
    const struct program *p = *state;
    struct trace resident, restarted;
    trace_run(&resident, p, functions, false);
    trace_run(&restarted, p, functions, true);
    bool is_same = restarted.text.len == resident.text.len &&
                   memcmp(restarted.text.at, resident.text.at, resident.text.len) == 0;
    if (!is_same)
        fprintf(stderr, "resident:\n%.*s\nrestarted:\n%.*s\n", (int)resident.text.len,
                resident.text.at, (int)restarted.text.len, restarted.text.at);
    assert_true(is_same);
    assert_int_equal(resident.log.len, restarted.log.len);
    assert_memory_equal(resident.log.at, restarted.log.at, resident.log.len);
    trace_expect(p->name, &resident.text);
    trace_free(&resident);
    trace_free(&restarted);
}

/* ---- what a trace cannot show ---- */

static const ks_val *parses_deep_json(ks_orch *o)
{
    enum { LEVELS = 2000 };
    char *text = ks_alloc(o->mem, LEVELS + 1);
    memset(text, '[', LEVELS);
    return ks_parse_json(o->mem, text, LEVELS);
}

/* In a process of its own, since what it looks for is the end of one. */
static void deep_json_in_an_orchestration_is_refused(void **state)
{
    (void)state;
    static const struct program p = {"deep", parses_deep_json, .script = "start null"};
    pid_t child = fork();
    if (child == 0) {
        struct trace t;
        close(STDERR_FILENO);
        trace_run(&t, &p, functions, false);
        _exit(memmem(t.text.at, t.text.len, "failed error", 12) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static const ks_val *fails_at_length(ks_orch *o)
{
    char *text = ks_alloc(o->mem, 1201);
    for (size_t i = 0; i < 1200; i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    return ks_fail(o->mem, "Long", "%s", text);
}

static void a_long_message_does_not_change_the_type_of_an_error(void **state)
{
    (void)state;
    static const struct program p = {"long", fails_at_length, .script = "start null"};
    struct trace t;
    trace_run(&t, &p, functions, false);
    bool has_type = memmem(t.text.at, t.text.len, "{\"type\":\"Long\"", 14);
    trace_free(&t);
    assert_true(has_type);
}

static char replaying[16]; /* y or n for each time the code went on */

static const ks_val *says_whether_it_replays(ks_orch *o)
{
    for (int i = 0; i < 3; i++) {
        strcat(replaying, o->is_replaying ? "y" : "n");
        ks_await(ks_event(o, "Go"));
    }
    return NULL;
}

static void code_can_see_whether_it_is_replayed(void **state)
{
    (void)state;
    static const struct program p = {"replaying", says_whether_it_replays,
                                     .script = "start null; event Go 1; event Go 2"};
    struct trace t;
    trace_run(&t, &p, functions, false);
    trace_free(&t);
    assert_string_equal(replaying, "nnn");
    replaying[0] = 0;
    trace_run(&t, &p, functions, true);
    trace_free(&t);
    assert_string_equal(replaying, "nynyyn");
}

int main(void)
{
    struct CMUnitTest tests[PROGRAMS + 3];
    for (size_t i = 0; i < PROGRAMS; i++)
        tests[i] = (struct CMUnitTest){programs[i].name,
                                       the_trace_is_the_same_resident_and_restarted, NULL, NULL,
                                       (void *)(uintptr_t)&programs[i]};
    tests[PROGRAMS] = (struct CMUnitTest)cmocka_unit_test(deep_json_in_an_orchestration_is_refused);
    tests[PROGRAMS + 1] = (struct CMUnitTest)cmocka_unit_test(
        a_long_message_does_not_change_the_type_of_an_error);
    tests[PROGRAMS + 2] = (struct CMUnitTest)cmocka_unit_test(code_can_see_whether_it_is_replayed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
