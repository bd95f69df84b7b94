/* model_traces_cancel.h - of test_model_traces.c: what nobody waits for any more */
#ifndef TESTS_MODEL_TRACES_CANCEL_H
#define TESTS_MODEL_TRACES_CANCEL_H

/* Waits for a task or for "Stop"; then the task is canceled, and it waits for "Go". */
static const ks_val *gives_up_at_stop(ks_orch *o, ks_task *task)
{
    ks_task *stop = ks_event(o, "Stop");
    ks_await(ks_when_any(o, task, stop));
    ks_cancel(task);
    ks_cancel(task);
    const ks_val *result = ks_try(task);
    ks_await(ks_event(o, "Go"));
    return ks_is_error(result) ? type_of(o, result) : result;
}

static const ks_retry twice_in_two_seconds = {.attempts = 2, .first_ms = 1000, .timeout_ms = 2000};

static const ks_val *gives_up_attempts(ks_orch *o)
{
    return gives_up_at_stop(o, ks_call_with(o, "Work", o->input, &twice_in_two_seconds));
}

static const ks_val *gives_up_an_activity(ks_orch *o)
{
    return gives_up_at_stop(o, ks_call(o, "Work", o->input));
}

static const ks_val *gives_up_a_child(ks_orch *o)
{
    return gives_up_at_stop(o, ks_sub(o, "Child", "c", o->input));
}

static const ks_val *gives_up_the_attempts_of_a_child(ks_orch *o)
{
    return gives_up_at_stop(o, ks_sub_with(o, "Child", "c", o->input, &twice_in_two_seconds));
}

static const ks_val *gives_up_a_child_with_a_child(ks_orch *o)
{
    return gives_up_at_stop(o, ks_sub(o, "StrictParent", "c", o->input));
}

static const ks_val *gives_up_a_call(ks_orch *o)
{
    return gives_up_at_stop(o, ks_call_entity(o, account("a"), "Withdraw", number(o, 3)));
}

static const ks_val *gives_up_at_once(ks_orch *o)
{
    ks_cancel(ks_call(o, "Work", o->input));
    ks_cancel(ks_call_with(o, "Work", o->input, &twice_in_two_seconds));
    ks_cancel(ks_sub(o, "Child", "c", o->input));
    return ks_await(ks_event(o, "Go"));
}

static const ks_val *cancels_a_group_and_a_lock(ks_orch *o)
{
    ks_task *work = ks_call(o, "Work", o->input), *lock = ks_lock(o, account("a"));
    ks_task *both = ks_when_all(o, work, lock), *first = ks_when_any(o, work, lock);
    ks_cancel(both);
    ks_cancel(first);
    ks_cancel(lock);
    ks_await(both);
    ks_await(first);
    return ks_await(work);
}

static const ks_val *does_not_give_up(ks_orch *o)
{
    ks_task *work = ks_call_with(o, "Work", o->input, &twice_in_two_seconds);
    ks_await(ks_event(o, "Stop"));
    return ks_await(work);
}

static const ks_val *gives_up_and_waits(ks_orch *o)
{
    ks_task *work = ks_call_with(o, "Work", o->input, &twice_in_two_seconds);
    ks_await(ks_event(o, "Stop"));
    ks_cancel(work);
    return ks_await(work);
}

/* The pause that could not be canceled then, and a timer that could. */
static const ks_val *gives_up_a_timer(ks_orch *o, bool gives_up_work)
{
    ks_task *work = ks_call_with(o, "Work", o->input, &twice_in_two_seconds);
    ks_task *timer = ks_timer(o, INT64_MAX / 2);
    ks_await(ks_event(o, "Stop"));
    if (gives_up_work)
        ks_cancel(work);
    ks_cancel(timer);
    return ks_await(work);
}

static const ks_val *gives_up_a_timer_alone(ks_orch *o)
{
    return gives_up_a_timer(o, false);
}

static const ks_val *gives_up_a_timer_too(ks_orch *o)
{
    return gives_up_a_timer(o, true);
}

#define STOP EVENT("Stop", "1")
#define GO EVENT("Go", "1")
#define WATCH_C "do {\"id\":\"c\"}\n"

static const struct model_program cancel_programs[] = {
    {"canceled_attempt_suspends", gives_up_attempts, NULL, START_WITH(FAILS("")) STOP},
    {"canceled_attempt_completes", gives_up_attempts, NULL,
     START_WITH(FAILS("")) STOP "run\nadvance 10000\nstate work\n" GO},
    {"canceled_attempt_still_waits_when_an_event_comes", gives_up_attempts, NULL,
     START_WITH(FAILS("")) STOP EVENT("Other", "1") "run\n"},
    {"canceled_in_the_pause_between_attempts", gives_up_attempts, NULL,
     START_WITH(FAILS("\"Busy\"")) "run\n" STOP "advance 10000\n" GO},
    {"canceled_when_it_is_done", gives_up_attempts, NULL, START_WITH(FAILS("")) "run\n" STOP GO},
    {"canceled_activity_suspends", gives_up_an_activity, NULL, START_WITH(FAILS("")) STOP},
    {"canceled_activity_completes", gives_up_an_activity, NULL,
     START_WITH(FAILS("")) STOP "run\nstate work\n" GO},
    {"canceled_child_suspends", gives_up_a_child, NULL, WATCH_C START_WITH(WAITS) STOP},
    {"canceled_child_completes", gives_up_a_child, NULL, WATCH_C START_WITH(WAITS) STOP GO},
    {"canceled_child_of_a_child", gives_up_a_child_with_a_child, NULL,
     "do {\"id\":\"strict-child\"}\n" WATCH_C START_WITH(WAITS) "run\n" STOP},
    {"canceled_attempt_of_a_child", gives_up_the_attempts_of_a_child, NULL,
     WATCH_C START_WITH(WAITS) "advance 1999\n" STOP "advance 10000\n" GO},
    {"canceled_child_whose_id_is_another_ones_by_now", gives_up_a_child, NULL,
     WATCH_C START_WITH(WAITS) "do {\"id\":\"p\",\"suspend\":\"x\"}\n" STOP
                               "do {\"id\":\"c\",\"raise\":\"Go\"}\n"
                               "do {\"id\":\"c\",\"start\":\"Child\",\"input\":{\"wait\":true}}\n"
                               "do {\"id\":\"p\",\"resume\":\"y\"}\n"},
    {"canceled_child_that_came_while_suspended", gives_up_a_child, NULL,
     WATCH_C START_WITH(
         WAITS) "do {\"id\":\"p\",\"suspend\":\"x\"}\n" STOP
                "do {\"id\":\"c\",\"raise\":\"Go\"}\ndo {\"id\":\"p\",\"resume\":\"y\"}\n" GO},
    {"canceled_call_is_done_all_the_same", gives_up_a_call, NULL,
     "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":5}\n"
     "do {\"id\":\"t\",\"start\":\"Transfer\",\"input\":{\"from\":\"a\",\"to\":\"b\","
     "\"amount\":0,\"wait\":true}}\n" START STOP "do {\"id\":\"t\",\"raise\":\"Go\"}\n"
     "state a\n" GO},
    {"canceled_in_the_turn_that_asked", gives_up_at_once, NULL,
     WATCH_C START_WITH(WAITS) "run\nstate work\nadvance 10000\n" GO},
    {"canceled_group_and_lock_stay_as_they_are", cancels_a_group_and_a_lock, NULL,
     START_WITH(FAILS("")) "run\n"},
    {"canceled_where_history_has_nothing_of_it", does_not_give_up, gives_up_and_waits,
     START_WITH(FAILS("")) STOP "change\nrun\n"},
    {"canceled_where_history_has_another_timer", gives_up_a_timer_alone, gives_up_a_timer_too,
     START_WITH(FAILS("\"Busy\"")) "run\n" STOP "change\nadvance 1000\nrun\n"},
};

#endif
