/* What a replay does when the code is not the one that made the history: at every place, the
 * orchestration fails with an error that names what history has and what the code asked for. */
#include "trace.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const ks_val *work(ks_activity *a)
{
    return a->input;
}

static const ks_function functions[] = {
    KS_ACTIVITY("Work", work),
    KS_ACTIVITY("Other", work),
    KS_ACTIVITY_INLINE("Inline", work),
    KS_END,
};

/* The program as it was: two turns with something of every sort in them, then it waits. */
static const ks_val *as_it_was(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    ks_task *timer = ks_timer(o, 9000);
    ks_signal(o->out, (ks_ref){"List", "a"}, "Add", NULL);
    ks_await(ks_event(o, "Go"));
    ks_cancel(timer);
    ks_await(ks_call(o, "Work", NULL));
    ks_await(ks_event(o, "Go"));
    return ks_string(o->mem, "as it was");
}

static const ks_val *asks_more_at_the_start(ks_orch *o)
{
    ks_timer(o, 5000);
    return as_it_was(o);
}

static const ks_val *asks_more_before_it_waits(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    ks_timer(o, 9000);
    ks_signal(o->out, (ks_ref){"List", "a"}, "Add", NULL);
    ks_signal(o->out, (ks_ref){"List", "a"}, "Add", NULL);
    ks_await(ks_event(o, "Go"));
    return NULL;
}

static const ks_val *asks_more_at_the_end(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    ks_task *timer = ks_timer(o, 9000);
    ks_signal(o->out, (ks_ref){"List", "a"}, "Add", NULL);
    ks_await(ks_event(o, "Go"));
    ks_cancel(timer);
    ks_task *work_task = ks_call(o, "Work", NULL);
    ks_start(o->out, "Program", "another", NULL);
    ks_await(work_task);
    return NULL;
}

static const ks_val *asks_less_at_the_start(ks_orch *o)
{
    ks_await(ks_event(o, "Go"));
    return NULL;
}

static const ks_val *asks_less_in_the_middle(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    ks_timer(o, 9000);
    ks_await(ks_event(o, "Go"));
    return NULL;
}

static const ks_val *asks_less_at_the_end(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    ks_task *timer = ks_timer(o, 9000);
    ks_signal(o->out, (ks_ref){"List", "a"}, "Add", NULL);
    ks_await(ks_event(o, "Go"));
    ks_cancel(timer);
    ks_await(ks_event(o, "Go"));
    return NULL;
}

static const ks_val *calls_on_a_thread(ks_orch *o)
{
    ks_await(ks_call(o, "Work", ks_integer(o->mem, 1)));
    return NULL;
}

static const ks_val *sends_to_another(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    ks_timer(o, 9000);
    ks_signal(o->out, (ks_ref){"List", "b"}, "Add", NULL);
    ks_await(ks_event(o, "Go"));
    return NULL;
}

static const ks_val *sends_something_else(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    ks_timer(o, 9000);
    ks_raise(o->out, "a", "Add", NULL);
    ks_await(ks_event(o, "Go"));
    return NULL;
}

static const ks_val *cancels_another(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    ks_timer(o, 9000);
    ks_signal(o->out, (ks_ref){"List", "a"}, "Add", NULL);
    ks_await(ks_event(o, "Go"));
    ks_call(o, "Work", NULL);
    return NULL;
}

static const ks_val *calls_another(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    ks_task *timer = ks_timer(o, 9000);
    ks_signal(o->out, (ks_ref){"List", "a"}, "Add", NULL);
    ks_await(ks_event(o, "Go"));
    ks_cancel(timer);
    ks_await(ks_call(o, "Other", NULL));
    return NULL;
}

static const ks_val *ends_at_once(ks_orch *o)
{
    (void)o;
    return NULL;
}

static const ks_val *ends_where_it_waited(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    ks_task *timer = ks_timer(o, 9000);
    ks_signal(o->out, (ks_ref){"List", "a"}, "Add", NULL);
    ks_await(ks_event(o, "Go"));
    ks_cancel(timer);
    ks_await(ks_call(o, "Work", NULL));
    return NULL;
}

static const ks_val *ends_with_an_error(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    return ks_fail(o->mem, "Sad", "the new code does not like it");
}

static const ks_val *waits_for_another_event(ks_orch *o)
{
    ks_await(ks_call(o, "Inline", ks_integer(o->mem, 1)));
    ks_timer(o, 9000);
    ks_signal(o->out, (ks_ref){"List", "a"}, "Add", NULL);
    ks_await(ks_event(o, "Stop"));
    return NULL;
}

static const ks_val *raises(ks_orch *o)
{
    ks_raise(o->out, "a", "Add", NULL);
    return as_it_was(o);
}

static const ks_val *starts(ks_orch *o)
{
    ks_start(o->out, "Add", "a", NULL);
    return as_it_was(o);
}

/* What may change: names in another case, inputs, values that are sent, times of timers. What was
 * recorded counts. */
static const ks_val *differs_in_values_only(ks_orch *o)
{
    const ks_val *one = ks_await(ks_call(o, "INLINE", ks_integer(o->mem, 2)));
    ks_task *timer = ks_timer(o, 12345);
    ks_signal(o->out, (ks_ref){"LIST", "a"}, "ADD", one);
    ks_await(ks_event(o, "GO"));
    ks_cancel(timer);
    ks_await(ks_call(o, "work", one));
    ks_await(ks_event(o, "go"));
    ks_val *all = ks_array(o->mem);
    return ks_push(o->mem, ks_push(o->mem, all, one), ks_string(o->mem, "as it is"));
}

#define TWO_TURNS "start null; event Go 1; change; "
#define TWO_TURNS_AS_THEY_WERE "start null; event Go 1; "
#define ALL_TURNS "start null; event Go 1; result 2 2; change; "

static const struct program programs[] = {
    {"changed_code_asks_more_at_the_start", as_it_was, asks_more_at_the_start,
     .script = TWO_TURNS "result 2 2"},
    {"changed_code_asks_more_before_it_waits", as_it_was, asks_more_before_it_waits,
     .script = TWO_TURNS "result 2 2"},
    {"changed_code_asks_more_at_the_end", as_it_was, asks_more_at_the_end,
     .script = TWO_TURNS "result 2 2"},
    {"changed_code_asks_less_at_the_start", as_it_was, asks_less_at_the_start,
     .script = TWO_TURNS "result 2 2"},
    {"changed_code_asks_less_in_the_middle", as_it_was, asks_less_in_the_middle,
     .script = TWO_TURNS "result 2 2"},
    {"changed_code_asks_less_at_the_end", as_it_was, asks_less_at_the_end,
     .script = TWO_TURNS "result 2 2"},
    {"changed_code_calls_on_a_thread_what_was_inline", as_it_was, calls_on_a_thread,
     .script = TWO_TURNS "result 2 2"},
    {"changed_code_sends_to_another", as_it_was, sends_to_another,
     .script = TWO_TURNS "result 2 2"},
    {"changed_code_sends_something_else", as_it_was, sends_something_else,
     .script = TWO_TURNS "result 2 2"},
    {"changed_code_starts_what_it_raised", raises, starts, .script = TWO_TURNS "result 2 2"},
    {"changed_code_does_not_cancel", as_it_was, cancels_another, .script = TWO_TURNS "result 2 2"},
    {"changed_code_calls_another", as_it_was, calls_another, .script = TWO_TURNS "result 2 2"},
    {"changed_code_ends_at_once", as_it_was, ends_at_once, .script = TWO_TURNS "result 2 2"},
    {"changed_code_ends_where_it_waited", as_it_was, ends_where_it_waited,
     .script = ALL_TURNS "event Go 3"},
    {"changed_code_ends_with_an_error", as_it_was, ends_with_an_error,
     .script = TWO_TURNS "result 2 2"},
    {"changed_code_waits_for_another_event", as_it_was, waits_for_another_event,
     .script = TWO_TURNS "result 2 2"},
    {"changed_code_may_differ_in_values", as_it_was, differs_in_values_only,
     .script = ALL_TURNS "event Go 3"},
    {"a_function_that_was_removed_is_named", as_it_was,
     .script = TWO_TURNS_AS_THEY_WERE "remove Program; result 2 2"},
    {"an_activity_that_was_removed_is_named", as_it_was,
     .script = TWO_TURNS_AS_THEY_WERE "remove Work; result 2 2"},
    {"an_inline_activity_that_was_removed_is_named", as_it_was,
     .script = TWO_TURNS_AS_THEY_WERE "remove Inline; result 2 2"},
    {"code_that_did_not_change_goes_on", as_it_was, as_it_was, .script = ALL_TURNS "event Go 3"},
};
enum { PROGRAMS = sizeof programs / sizeof programs[0] };

static void the_error_names_history_and_code(void **state)
{
    const struct program *p = *state;
    struct trace t;
    trace_run(&t, p, functions, false);
    trace_expect(p->name, &t.text);
    trace_free(&t);
}

int main(void)
{
    struct CMUnitTest tests[PROGRAMS];
    for (size_t i = 0; i < PROGRAMS; i++)
        tests[i] = (struct CMUnitTest){programs[i].name, the_error_names_history_and_code, NULL,
                                       NULL, (void *)(uintptr_t)&programs[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
