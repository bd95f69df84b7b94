/* model_traces_more.h - of test_model_traces.c: what mutants of the code survived at first */
#ifndef TESTS_MODEL_TRACES_MORE_H
#define TESTS_MODEL_TRACES_MORE_H

static const ks_val *retries_to_the_last_moment(ks_orch *o)
{
    return ks_await(
        ks_call_with(o, "WorkInline", o->input, &(ks_retry){.first_ms = 1000, .total_ms = 1000}));
}

/* What is passed may change as soon as the call has returned. */
static const ks_val *passes_what_it_changes(ks_orch *o)
{
    char name[] = "Learns", id[] = "c", final[] = "TooSoon";
    ks_task *child = ks_sub_with(o, name, id, NULL, &(ks_retry){.attempts = 3});
    ks_task *work = ks_call_with(o, "Work", o->input,
                                 &(ks_retry){.attempts = 2, .final_errors = final});
    memset(name, 'x', sizeof name - 1);
    memset(id, 'x', sizeof id - 1);
    memset(final, 'x', sizeof final - 1);
    const ks_val *error = ks_try(work);
    return ks_string(o->mem, ks_format(o->mem, "%lld, %s", (long long)ks_int(ks_await(child)),
                                       ks_error_type(error)));
}

static const ks_val *unlocks_the_second_too_early(ks_orch *o)
{
    ks_await(ks_lock(o, account("a")));
    ks_unlock(o);
    ks_lock(o, account("a"));
    ks_unlock(o);
    return NULL;
}

static const ks_val *tells_the_time(ks_orch *o)
{
    ks_await(ks_event(o, "Go"));
    int64_t first_ms = o->now_ms;
    ks_await(ks_event(o, "Go"));
    ks_val *times = ks_array(o->mem);
    return ks_push(o->mem, ks_push(o->mem, times, number(o, first_ms)), number(o, o->now_ms));
}

static const ks_val *rounds_with_tags(ks_orch *o)
{
    if (!ks_is_true(o->input))
        ks_continue_as_new(o, ks_boolean(o->mem, true));
    ks_call(o, "WorkInline", NULL);
    ks_val *all = ks_object(o->mem);
    ks_put(o->mem, all, "parent", ks_string(o->mem, o->parent_id));
    return ks_put(o->mem, all, "tags", o->tags);
}

static const ks_val *rounds_with_tasks(ks_orch *o)
{
    if (!ks_is_true(o->input)) {
        ks_await(ks_call(o, "WorkInline", NULL));
        ks_continue_as_new(o, ks_boolean(o->mem, true));
    }
    return ks_await(ks_call(o, "WorkInline", NULL));
}

static const ks_val *has_a_child_in_rounds(ks_orch *o)
{
    return ks_await(ks_sub(o, "Rounding", "c", NULL));
}

static const ks_val *two_timers(ks_orch *o)
{
    ks_task *late = ks_timer(o, o->now_ms + 5000);
    ks_task *early = ks_timer(o, o->now_ms + 3000);
    ks_task *latest = ks_timer(o, o->now_ms + 9000);
    ks_await(ks_when_all(o, late, early, latest));
    return NULL;
}

static const ks_val *two_timers_of_the_past(ks_orch *o)
{
    ks_task *second = ks_timer(o, o->now_ms - 1);
    ks_task *first = ks_timer(o, o->now_ms - 2);
    return ks_boolean(o->mem, ks_winner(ks_when_any(o, second, first)) == first);
}

static const ks_val *unlocks_and_signals(ks_orch *o)
{
    ks_await(ks_lock(o, account("a")));
    ks_await(ks_event(o, "End"));
    ks_unlock(o);
    ks_signal(o->out, account("a"), "Withdraw", number(o, 5));
    return NULL;
}

static const ks_val *has_three_children(ks_orch *o)
{
    ks_task *tasks[3];
    const char *const ids[] = {"c", "d", "e"};
    for (size_t i = 0; i < 3; i++)
        tasks[i] = ks_sub(o, "Child", ids[i], o->input);
    return ks_await(ks_all_of(o, tasks, 3));
}

static const ks_val *has_the_child_it_is_told(ks_orch *o)
{
    return ks_await(ks_sub(o, "Child", ks_text(ks_get(o->input, "child")), o->input));
}

static const ks_val *withdraws(ks_orch *o)
{
    return ks_await(ks_call_entity(o, account("a"), "Withdraw", number(o, 5)));
}

static const ks_val *cancels_the_first(ks_orch *o)
{
    ks_task *first = ks_timer(o, o->now_ms + 1000);
    ks_timer(o, o->now_ms + 1000);
    ks_cancel(first);
    return ks_await(ks_event(o, "Go"));
}

static const ks_val *cancels_the_second(ks_orch *o)
{
    ks_timer(o, o->now_ms + 1000);
    ks_cancel(ks_timer(o, o->now_ms + 1000));
    return ks_await(ks_event(o, "Go"));
}

static const ks_val *starts_child(ks_orch *o)
{
    ks_start(o->out, "Child", "c", NULL);
    return ks_await(ks_event(o, "Go"));
}

static const ks_val *raises_child(ks_orch *o)
{
    ks_raise(o->out, "c", "Child", NULL);
    return ks_await(ks_event(o, "Go"));
}

static const ks_val *tries_a_child_twice(ks_orch *o)
{
    return ks_await(
        ks_sub_with(o, "Child", "c", o->input, &(ks_retry){.attempts = 2, .first_ms = 1000}));
}

#define SUSPEND "do {\"id\":\"p\",\"suspend\":\"x\"}\n"
#define RESUME "do {\"id\":\"p\",\"resume\":\"y\"}\n"
#define WAITS "{\"wait\":true}"

static const struct model_program more_programs[] =
    {{"retry_begins_in_the_last_moment_of_its_total_time", retries_to_the_last_moment, NULL,
      START_WITH("{\"fail\":[\"A\",\"B\"],\"value\":7}") "advance 1000\n"},
     {"attempt_that_answers_in_the_pause_is_too_late", gives_it_two_seconds, NULL,
      START_WITH("{\"value\":7}") "advance 2000\nrun\nadvance 1000\nrun\n"},
     {"what_was_passed_may_change", passes_what_it_changes, NULL,
      START_WITH("{\"fail\":[\"A\",\"TooSoon\"]}") "run\nadvance 1000\nrun\nadvance 1000\n"},
     {"unlock_before_the_second_lock_fails", unlocks_the_second_too_early, NULL, START},
     {"time_does_not_go_back_when_resumed", tells_the_time, NULL,
      START SUSPEND EVENT("Go", "1") "advance 1000\n" RESUME "advance 500\n" EVENT("Go", "2")},
     {"suspended_again_and_again", tells_the_time, NULL,
      START SUSPEND EVENT("Go", "1") RESUME SUSPEND EVENT("Go", "2") RESUME},
     {"rounds_keep_parent_and_tags", has_a_child_in_rounds, NULL,
      "do {\"id\":\"c\"}\n" START
      "do {\"id\":\"d\",\"start\":\"Rounding\",\"tags\":{\"who\":\"Ann\"}}\n"},
     {"rounds_forget_what_came_while_suspended_but_events", begins_anew_with_much_open, NULL,
      START_WITH("1")
          SUSPEND EVENT("Next", "1") "run\n" EVENT("Other", "2") "advance 5000\n" RESUME},
     {"rounds_are_numbered_anew_by_a_restart", rounds_with_tasks, NULL,
      START "do {\"id\":\"p\",\"restart\":true}\n"},
     {"timers_fire_in_turn", two_timers, NULL, START "advance 3000\nadvance 2000\nadvance 4000\n"},
     {"timers_of_the_past_fire_in_turn", two_timers_of_the_past, NULL, START},
     {"lock_lets_the_waiting_go_first", unlocks_and_signals, NULL,
      START "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":5}\n" EVENT("End", "1") "state a\n"},
     {"lock_holds_back_in_each_of_two_sections", locks, NULL,
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":100,\"due\":1798135300000}\n" START
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":1}\n" EVENT(
          "End",
          "\"again\"") "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":2}\n"
                       "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":3}\nstate a\n" EVENT(
                           "End", "1") "state a\n"
                                       "advance 100000\nstate a\n"},
     {"lock_is_not_for_an_earlier_one_of_that_id", locks, NULL,
      "do {\"id\":\"q\",\"start\":\"Program\"}\n" START
      "do {\"id\":\"p\",\"terminate\":\"x\"}\n" START "do {\"id\":\"q\",\"terminate\":\"x\"}\n"},
     {"answer_of_a_child_is_not_for_a_later_one_of_that_id", has_the_child_it_is_told, NULL,
      START_WITH("{\"wait\":true,\"child\":\"c\"}") "do "
                                                    "{\"id\":\"p\",\"terminate\":\"x\"}"
                                                    "\n" START_WITH("{\"wait\":true,\"child\":"
                                                                    "\"d\"}") "do "
                                                                              "{\"id\":\"c\","
                                                                              "\"raise\":\"Go\","
                                                                              "\"value\":1}\n"
                                                                              "do "
                                                                              "{\"id\":\"d\","
                                                                              "\"raise\":\"Go\","
                                                                              "\"value\":2}\n"},
     {"terminated_with_those_children_that_still_run", has_three_children, NULL,
      "do {\"id\":\"d\"}\n" START_WITH(
          WAITS) "do {\"id\":\"d\",\"raise\":\"Go\"}\n"
                 "do {\"id\":\"c\"}\ndo {\"id\":\"p\",\"terminate\":\"x\",\"children\":true}\n"},
     {"signal_in_a_millisecond", unlocks_nothing, NULL,
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":1,\"due\":1798135200001}\nstate a\n"
      "advance 1\nstate a\n"},
     {"entity_that_is_deleted_by_its_first_operation_never_was", unlocks_nothing, NULL,
      "call {\"id\":\"a\",\"call\":\"Delete\"}\nanswer\nstate a\n"
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":5}\nstate a\n"},
     {"rewound_call_is_made_again", withdraws, NULL,
      START "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":9}\n"
            "do {\"id\":\"p\",\"rewind\":-1}\nstate a\n"},
     {"rewound_parent_of_a_purged_child_that_was_tried_twice", tries_a_child_twice, NULL,
      "do {\"id\":\"c\"}\n" START_WITH(
          "{\"fail\":true}") "advance 1000\n"
                             "do {\"id\":\"c\",\"purge\":true}\ndo {\"id\":\"p\",\"rewind\":6}\n"},
     CHANGED("cancels_another_timer", cancels_the_first, cancels_the_second),
     CHANGED("raises_what_it_started", starts_child, raises_child)};

#endif
