/* Everything an orchestration can wait for, by traces: programs, a script for each, and the whole
 * outcome as text in tests/traces/model_*.txt (UPDATE=1 writes it anew). Three for each thing that
 * waits: it suspends, it completes, it still waits when something else comes. */
#include "model_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define START "do {\"id\":\"p\",\"start\":\"Program\"}\n"
#define START_WITH(input) "do {\"id\":\"p\",\"start\":\"Program\",\"input\":" input "}\n"
#define EVENT(name, value) "do {\"id\":\"p\",\"raise\":\"" name "\",\"value\":" value "}\n"

static ks_ref account(const char *key)
{
    return (ks_ref){"Account", key};
}

static const ks_val *number(ks_orch *o, int64_t n)
{
    return ks_integer(o->mem, n);
}

static const ks_val *type_of(ks_orch *o, const ks_val *error)
{
    return ks_string(o->mem, ks_format(o->mem, "%s: %s", ks_error_type(error), ks_text(error)));
}

/* ---- retries ---- */

static const ks_val *retries(ks_orch *o)
{
    return ks_await(ks_call_with(o, "Work", o->input,
                                 &(ks_retry){.attempts = 3, .first_ms = 1000, .backoff = 2.0}));
}

static const ks_val *retries_inline(ks_orch *o)
{
    return ks_await(ks_call_with(o, "WorkInline", o->input,
                                 &(ks_retry){.attempts = 3, .first_ms = 1000, .max_ms = 500}));
}

static const ks_val *retries_for_a_time(ks_orch *o)
{
    return ks_await(ks_call_with(o, "WorkInline", o->input,
                                 &(ks_retry){.first_ms = 1000, .backoff = 10, .total_ms = 20000}));
}

static const ks_val *retries_with_jitter(ks_orch *o)
{
    return ks_await(ks_call_with(o, "WorkInline", o->input,
                                 &(ks_retry){.attempts = 4, .first_ms = 1000, .jitter = 0.5}));
}

static const ks_val *retries_but_not_all(ks_orch *o)
{
    const ks_val *error = ks_try(
        ks_call_with(o, "WorkInline", o->input,
                     &(ks_retry){.attempts = 3, .final_errors = "Bad,NotFound"}));
    return ks_string(o->mem, ks_error_type(error));
}

static const ks_val *gives_it_two_seconds(ks_orch *o)
{
    return ks_await(ks_call_with(o, "Work", o->input,
                                 &(ks_retry){.attempts = 2, .first_ms = 1000, .timeout_ms = 2000}));
}

static const ks_val *waits_for_any_attempt(ks_orch *o)
{
    ks_task *work = ks_call_with(o, "Work", o->input, &(ks_retry){.attempts = 2});
    ks_task *stop = ks_event(o, "Stop");
    return ks_boolean(o->mem, ks_winner(ks_when_any(o, work, stop)) == work);
}

/* ---- sub-orchestrations ---- */

static const ks_val *has_a_child(ks_orch *o)
{
    return type_of(o, ks_try(ks_sub(o, "Child", "c", o->input)));
}

static const ks_val *has_a_nameless_child(ks_orch *o)
{
    return ks_await(ks_sub(o, "Child", NULL, o->input));
}

/* Fails the first time it runs under its parent. */
static const ks_val *learns(ks_orch *o)
{
    int64_t tries = ks_int(
        ks_await(ks_call_entity(o, account("tries"), "Deposit", ks_integer(o->mem, 1))));
    return tries < 3 ? ks_fail(o->mem, "TooSoon", "try %lld", (long long)tries) : number(o, tries);
}

static const ks_val *has_a_child_that_learns(ks_orch *o)
{
    const char *id = ks_is_true(ks_get(o->input, "named")) ? "c" : NULL;
    return ks_await(ks_sub_with(o, "Learns", id, NULL,
                                &(ks_retry){.attempts = 4, .first_ms = 1000, .backoff = 2}));
}

static const ks_val *lets_a_child_go(ks_orch *o)
{
    ks_start(o->out, "Child", "c", o->input);
    return ks_string(o->mem, "gone");
}

static const ks_val *nests(ks_orch *o)
{
    if (ks_int(o->input) == 0)
        return ks_fail(o->mem, "Deep", "it is dark down here");
    return ks_await(ks_sub(o, "Nests", NULL, number(o, ks_int(o->input) - 1)));
}

/* ---- entities ---- */

static const ks_val *calls_an_account(ks_orch *o)
{
    const ks_val *left = ks_try(ks_call_entity(o, account("a"), "Withdraw", o->input));
    return ks_is_error(left) ? type_of(o, left) : left;
}

static const ks_val *calls_what_is_missing(ks_orch *o)
{
    return ks_await(ks_call_entity(o, account("a"), "Burn", NULL));
}

static const ks_val *calls_two_at_once(ks_orch *o)
{
    ks_task *a = ks_call_entity(o, account("a"), "Balance", NULL);
    ks_task *b = ks_call_entity(o, account("b"), "Balance", NULL);
    return ks_await(ks_when_all(o, b, a));
}

/* ---- locks ---- */

static const ks_val *locks(ks_orch *o)
{
    ks_await(ks_lock(o, account("b"), account("a"), account("b")));
    ks_set_status(o, ks_string(o->mem, "in"));
    const ks_val *end = ks_await(ks_event(o, "End"));
    if (strcmp(ks_text(end), "fail") == 0)
        return ks_fail(o->mem, "Asked", "to fail");
    if (strcmp(ks_text(end), "again") == 0)
        ks_continue_as_new(o, NULL);
    if (strcmp(ks_text(end), "unlock") == 0) {
        ks_unlock(o);
        ks_set_status(o, ks_string(o->mem, "out"));
        ks_await(ks_event(o, "End"));
    }
    return end;
}

static const ks_val *locks_twice(ks_orch *o)
{
    ks_await(ks_lock(o, account("a")));
    ks_await(ks_lock(o, account("b")));
    return NULL;
}

static const ks_val *unlocks_and_locks(ks_orch *o)
{
    for (int i = 0; i < 3; i++) {
        ks_await(ks_lock(o, account("a")));
        ks_await(ks_call_entity(o, account("a"), "Deposit", number(o, 1)));
        ks_unlock(o);
    }
    return ks_await(ks_call_entity(o, account("a"), "Balance", NULL));
}

static const ks_val *unlocks_too_early(ks_orch *o)
{
    ks_lock(o, account("a"));
    ks_unlock(o);
    return NULL;
}

static const ks_val *unlocks_nothing(ks_orch *o)
{
    ks_unlock(o);
    return ks_boolean(o->mem, true);
}

static const ks_val *signals_what_it_locked(ks_orch *o)
{
    ks_await(ks_lock(o, account("a")));
    ks_signal(o->out, account("b"), "Deposit", number(o, 1));
    ks_signal(o->out, account("a"), "Deposit", number(o, 1));
    ks_await(ks_event(o, "End"));
    return NULL;
}

static const ks_val *calls_what_it_did_not_lock(ks_orch *o)
{
    ks_await(ks_lock(o, account("a")));
    ks_await(ks_call_entity(o, account("b"), "Deposit", number(o, 1)));
    return NULL;
}

static const ks_val *calls_before_its_lock(ks_orch *o)
{
    ks_task *lock = ks_lock(o, account("a"), account("b"));
    if (ks_is_true(o->input))
        ks_await(ks_event(o, "Go"));
    ks_task *call = ks_call_entity(o, account("a"), "Deposit", number(o, 1));
    ks_await(lock);
    return ks_await(call);
}

static const ks_val *has_a_child_in_a_section(ks_orch *o)
{
    ks_await(ks_lock(o, account("a")));
    ks_await(ks_sub(o, "Child", NULL, NULL));
    return NULL;
}

static const ks_val *locks_none(ks_orch *o)
{
    ks_await(ks_lock_all(o, NULL, 0));
    return NULL;
}

static const ks_val *does_not_wait_for_its_lock(ks_orch *o)
{
    ks_lock(o, account("a"));
    return NULL;
}

static const ks_val *begins_anew_before_its_lock(ks_orch *o)
{
    ks_lock(o, account("a"));
    if (ks_type_of(o->input) == KS_NULL)
        ks_continue_as_new(o, ks_boolean(o->mem, true));
    return ks_await(ks_event(o, "End"));
}

/* ---- events, time, rounds ---- */

static const ks_val *waits_with_a_limit(ks_orch *o)
{
    return ks_await_event(o, "Visit", o->now_ms + 60000, ks_string(o->mem, "nobody came"));
}

static const ks_val *begins_anew_with_much_open(ks_orch *o)
{
    int64_t round = ks_int(o->input);
    ks_task *work = ks_call(o, "Work", ks_put(o->mem, ks_object(o->mem), "value", o->input));
    ks_task *child = ks_sub(o, "Child", NULL,
                            ks_put(o->mem, ks_object(o->mem), "wait", ks_boolean(o->mem, true)));
    ks_task *timer = ks_timer(o, o->now_ms + 5000);
    ks_await(ks_event(o, "Next"));
    if (round < 2)
        ks_continue_as_new(o, number(o, round + 1));
    ks_task *first = ks_winner(ks_when_any(o, work, child, timer));
    return ks_string(o->mem, first == work ? "work" : first == child ? "child" : "timer");
}

static const ks_val *adds_up(ks_orch *o)
{
    int64_t sum = ks_int(o->input) + ks_int(ks_await(ks_event(o, "Add")));
    if (sum >= 100)
        return number(o, sum);
    ks_continue_as_new(o, number(o, sum));
}

static const ks_val *draws(ks_orch *o)
{
    const char *id = ks_unique_id(o);
    uint64_t n = ks_random(o);
    ks_await(ks_event(o, "Go"));
    return ks_string(o->mem, ks_format(o->mem, "%s %016llx %s", id, (unsigned long long)n,
                                       ks_unique_id(o)));
}

static const ks_val *tells_what_it_is(ks_orch *o)
{
    ks_log(o->out, "%s replays: %d", o->id, o->is_replaying);
    ks_await(ks_event(o, "Go"));
    ks_log(o->out, "%s goes on, replays: %d", o->id, o->is_replaying);
    ks_val *all = ks_object(o->mem);
    ks_put(o->mem, all, "version", ks_string(o->mem, o->version));
    ks_put(o->mem, all, "parent", ks_string(o->mem, o->parent_id));
    return ks_put(o->mem, all, "tags", o->tags);
}

static const ks_val *shows(ks_orch *o)
{
    ks_set_status(o, ks_string(o->mem, "first"));
    ks_set_status(o, o->input);
    ks_await(ks_event(o, "Go"));
    ks_set_status(o, NULL);
    return NULL;
}

/* ---- operators ---- */

static const ks_val *waits_for_three(ks_orch *o)
{
    ks_val *work = ks_put(o->mem, ks_object(o->mem), "value", ks_string(o->mem, "worked"));
    ks_task *a = ks_call(o, "Work", work);
    ks_task *b = ks_timer(o, o->now_ms + 3000);
    ks_task *c = ks_event(o, "Go");
    return ks_await(ks_when_all(o, a, b, c));
}

static const ks_val *fails_at_the_end(ks_orch *o)
{
    ks_val *work = ks_put(o->mem, ks_object(o->mem), "value", ks_string(o->mem, "worked"));
    ks_await(ks_call(o, "Work", work));
    ks_await(ks_timer(o, o->now_ms + 1000));
    ks_await(ks_event(o, "Go"));
    ks_await(ks_call_entity(o, account("a"), "Deposit", number(o, 1)));
    return ks_await(ks_call(o, "Work", ks_get(o->input, "last")));
}

static const ks_val *raises_its_child(ks_orch *o)
{
    ks_val *wait = ks_put(o->mem, ks_object(o->mem), "wait", ks_boolean(o->mem, true));
    ks_task *child = ks_sub(o, "Child", "c", wait);
    ks_await(ks_event(o, "Go"));
    ks_terminate(o->out, "c", "by its parent", false);
    return type_of(o, ks_try(child));
}

static const ks_val *terminates_itself(ks_orch *o)
{
    ks_terminate(o->out, o->id, "by itself", false);
    ks_await(ks_event(o, "Never"));
    return NULL;
}

/* ---- more of children and entities ---- */

static const ks_val *has_a_child_with_a_limit(ks_orch *o)
{
    return type_of(o, ks_try(ks_sub_with(o, "Child", "c", o->input,
                                         &(ks_retry){.attempts = 2, .timeout_ms = 2000})));
}

static const ks_val *has_nameless_children_with_a_limit(ks_orch *o)
{
    return type_of(o, ks_try(ks_sub_with(o, "Child", NULL, o->input,
                                         &(ks_retry){.attempts = 2, .timeout_ms = 2000})));
}

static const ks_val *waits_in_a_group(ks_orch *o)
{
    ks_task *child = ks_sub(o, "Child", "c", o->input);
    ks_task *call = ks_call_entity(o, account("a"), "Balance", NULL);
    ks_task *limit = ks_timer(o, o->now_ms + 3000);
    ks_task *both = ks_when_all(o, child, call);
    return ks_boolean(o->mem, ks_winner(ks_when_any(o, both, limit)) == both);
}

static const ks_val *asks_itself(ks_entity *e)
{
    ks_request(e, account(ks_text(e->arg)), "Burn", NULL, "Told2");
    return NULL;
}

static const ks_val *told(ks_entity *e)
{
    ks_set(e, "told", ks_string(e->mem, ks_error_type(e->arg)));
    return NULL;
}

static const ks_val *sends_and_fails(ks_entity *e)
{
    ks_add(e, "balance", 100);
    ks_signal(e->out, account("b"), "Deposit", e->arg);
    ks_start(e->out, "Child", "never", NULL);
    return ks_fail(e->mem, "No", "not this time");
}

static const ks_val *deletes_itself(ks_entity *e)
{
    ks_add(e, "balance", 1);
    ks_delete(e);
    return ks_get(e->state, "balance");
}

#include "model_traces_changed.h"
#include "model_traces_more.h"

static const ks_function functions[] = {
    KS_ORCHESTRATION("Learns", learns),
    KS_ORCHESTRATION("Nests", nests),
    KS_ORCHESTRATION("Rounding", rounds_with_tags),
    KS_ENTITY("Account", "AskBadly", asks_itself),
    KS_ENTITY("Account", "Told2", told),
    KS_ENTITY("Account", "SendAndFail", sends_and_fails),
    KS_ENTITY("Account", "Delete", deletes_itself),
    KS_END,
};

#define FAILS(types) "{\"fail\":[" types "],\"value\":7}"

static const struct model_program programs[] =
    {{"retry_suspends", retries, NULL, START_WITH(FAILS("\"Busy\",\"Busy\""))},
     {"retry_completes", retries, NULL,
      START_WITH(FAILS("\"Busy\",\"Busy\"")) "run\nadvance 999\nadvance 1\nrun\nadvance 2000\nrun\n"
                                             "state work\n"},
     {"retry_still_waits_when_an_event_comes", retries, NULL,
      START_WITH(FAILS("\"Busy\"")) "run\n" EVENT("Go", "1") "advance 1000\n" EVENT("Go",
                                                                                    "2") "run\n"},
     {"retry_ends_with_the_last_error", retries, NULL,
      START_WITH(FAILS("\"A\",\"B\",\"C\"")) "run\nadvance 1000\nrun\nadvance 2000\nrun\n"},
     {"retry_of_an_inline_activity_pauses_no_longer_than_max", retries_inline, NULL,
      START_WITH(FAILS("\"A\",\"B\"")) "advance 499\nadvance 1\nadvance 500\nstate work\n"},
     {"retry_ends_when_its_total_time_is_over", retries_for_a_time, NULL,
      START_WITH(FAILS("\"A\",\"B\",\"C\",\"D\"")) "advance 1000\nadvance 100000\n"},
     {"retry_pauses_a_random_part_shorter", retries_with_jitter, NULL,
      START_WITH(FAILS("\"A\",\"B\",\"C\"")) "advance 10000\n"},
     {"retry_ends_with_a_final_error", retries_but_not_all, NULL,
      START_WITH(FAILS("\"NotFoun\",\"NotFound\"")) "advance 1000\n"},
     {"retry_goes_on_after_an_error_that_is_a_part_of_a_final_one", retries_but_not_all, NULL,
      START_WITH(FAILS("\"Found\",\"ad\",\"Ba\"")) "advance 1000\nadvance 1000\n"},
     {"attempt_with_a_limit_suspends", gives_it_two_seconds, NULL, START_WITH(FAILS(""))},
     {"attempt_with_a_limit_completes_in_time", gives_it_two_seconds, NULL,
      START_WITH(FAILS("")) "advance 1999\nrun\nadvance 5000\n"},
     {"attempt_with_a_limit_still_waits_before_it", gives_it_two_seconds, NULL,
      START_WITH(FAILS("")) "advance 1999\n" EVENT("Go", "1")},
     {"attempt_that_took_too_long_is_made_again", gives_it_two_seconds, NULL,
      START_WITH(FAILS("")) "advance 2000\nadvance 1000\nadvance 2000\n"},
     {"attempts_lose_against_an_event", waits_for_any_attempt, NULL,
      START_WITH(FAILS("\"Busy\"")) "run\n" EVENT("Stop", "1")},

     {"child_suspends", has_a_child, NULL, "do {\"id\":\"c\"}\n" START_WITH("{\"wait\":true}")},
     {"child_completes", has_a_child, NULL,
      "do {\"id\":\"c\"}\n" START_WITH("{\"wait\":true}") "do {\"id\":\"c\",\"raise\":\"Go\"}\n"},
     {"child_still_waits_when_its_parent_hears_something", has_a_child, NULL,
      "do {\"id\":\"c\"}\n" START_WITH("{\"wait\":true}") EVENT("Go", "1")},
     {"child_fails_with_type_and_message", has_a_child, NULL, START_WITH("{\"fail\":true}")},
     {"child_whose_id_runs_is_an_error", has_a_child, NULL,
      "do {\"id\":\"c\",\"start\":\"Child\",\"input\":{\"wait\":true}}\n" START},
     {"child_that_is_terminated_is_an_error", has_a_child, NULL,
      START_WITH("{\"wait\":true}") "do {\"id\":\"c\",\"terminate\":\"no more\"}\n"},
     {"child_without_an_id_gets_one", has_a_nameless_child, NULL, START},
     {"child_is_tried_again", has_a_child_that_learns, NULL,
      START_WITH("{}") "advance 1000\nadvance 1999\nadvance 1\n"},
     {"child_is_tried_again_under_its_id", has_a_child_that_learns, NULL,
      "do {\"id\":\"c\"}\n" START_WITH("{\"named\":true}") "advance 1000\nadvance 2000\n"},
     {"child_that_nobody_waits_for_goes_on", lets_a_child_go, NULL,
      "do {\"id\":\"c\"}\n" START_WITH("{\"wait\":true}") "do {\"id\":\"c\",\"raise\":\"Go\"}\n"},
     {"failure_of_a_childs_child_arrives_whole", nests, NULL, START_WITH("3")},

     {"call_suspends_while_the_entity_is_locked", calls_an_account, NULL,
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":5}\n"
      "do "
      "{\"id\":\"t\",\"start\":\"Transfer\",\"input\":{\"from\":\"a\",\"to\":\"b\",\"wait\":true}}"
      "\n" START_WITH("3")},
     {"call_completes", calls_an_account, NULL,
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":5}\n" START_WITH("3") "state a\n"},
     {"call_still_waits_when_an_event_comes", calls_an_account, NULL,
      "do {\"id\":\"t\",\"start\":\"Transfer\",\"input\":{\"from\":\"a\",\"to\":\"b\",\"amount\":0,"
      "\"wait\":true}}\n" START_WITH("3") EVENT("Go", "1") "do {\"id\":\"t\",\"raise\":\"Go\"}\n"},
     {"call_fails_and_leaves_no_trace", calls_an_account, NULL,
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":5}\n" START_WITH("6") "state a\n"},
     {"call_of_a_missing_operation_fails", calls_what_is_missing, NULL, START "state a\n"},
     {"calls_of_two_entities_run_side_by_side", calls_two_at_once, NULL,
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":1}\n"
      "do {\"id\":\"b\",\"signal\":\"Deposit\",\"value\":2}\n" START},

     {"lock_suspends", locks, NULL, "do {\"id\":\"q\",\"start\":\"Program\"}\n" START},
     {"lock_completes", locks, NULL, START},
     {"lock_still_waits_when_an_event_comes", locks, NULL,
      "do {\"id\":\"q\",\"start\":\"Program\"}\n" START EVENT("End", "\"fine\"")},
     {"lock_goes_to_the_next_when_its_owner_unlocks", locks, NULL,
      "do {\"id\":\"q\",\"start\":\"Program\"}\n" START
      "do {\"id\":\"q\",\"raise\":\"End\",\"value\":\"unlock\"}\n"},
     {"lock_goes_to_the_next_when_its_owner_ends", locks, NULL,
      "do {\"id\":\"q\",\"start\":\"Program\"}\n" START
      "do {\"id\":\"q\",\"raise\":\"End\",\"value\":\"fine\"}\n"},
     {"lock_goes_to_the_next_when_its_owner_fails", locks, NULL,
      "do {\"id\":\"q\",\"start\":\"Program\"}\n" START
      "do {\"id\":\"q\",\"raise\":\"End\",\"value\":\"fail\"}\n"},
     {"lock_goes_to_the_next_when_its_owner_begins_anew", locks, NULL,
      "do {\"id\":\"q\",\"start\":\"Program\"}\n" START
      "do {\"id\":\"q\",\"raise\":\"End\",\"value\":\"again\"}\n" EVENT("End", "\"fine\"")},
     {"lock_goes_to_the_next_when_its_owner_is_terminated", locks, NULL,
      "do {\"id\":\"q\",\"start\":\"Program\"}\n" START
      "do {\"id\":\"q\",\"terminate\":\"enough\"}\n"},
     {"lock_of_one_that_is_terminated_while_it_waits_is_nobodys", locks, NULL,
      "do {\"id\":\"q\",\"start\":\"Program\"}\n" START "do {\"id\":\"r\",\"start\":\"Program\"}\n"
      "do {\"id\":\"p\",\"terminate\":\"enough\"}\n"
      "do {\"id\":\"q\",\"raise\":\"End\",\"value\":\"fine\"}\n"},
     {"lock_holds_back_operations_in_their_order", locks, NULL,
      START "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":3}\n"
            "do {\"id\":\"a\",\"signal\":\"Withdraw\",\"value\":2}\nstate a\n" EVENT(
                "End", "\"fine\"") "state a\n"},
     {"lock_in_a_lock_fails", locks_twice, NULL, START},
     {"lock_after_unlock_is_fine", unlocks_and_locks, NULL, START},
     {"unlock_before_the_lock_fails", unlocks_too_early, NULL, START},
     {"unlock_of_nothing_is_nothing", unlocks_nothing, NULL, START},
     {"signal_of_a_locked_entity_by_its_owner_fails", signals_what_it_locked, NULL,
      START "state a\nstate b\n"},
     {"call_of_what_is_not_locked_fails", calls_what_it_did_not_lock, NULL, START},
     {"call_before_the_lock_fails", calls_before_its_lock, NULL,
      START "state a\ncall {\"id\":\"a\",\"call\":\"Deposit\",\"value\":2}\nanswer\n"},
     {"call_while_another_has_the_lock_fails", calls_before_its_lock, NULL,
      "do {\"id\":\"t\",\"start\":\"Transfer\",\"input\":{\"from\":\"b\",\"to\":\"c\",\"amount\":0,"
      "\"wait\":true}}\n" START_WITH("true") EVENT("Go", "1")},
     {"call_when_the_lock_is_there_completes", calls_before_its_lock, NULL,
      START_WITH("true") EVENT("Go", "1") "state a\n"},
     {"child_in_a_critical_section_fails", has_a_child_in_a_section, NULL, START},
     {"lock_of_nothing_fails", locks_none, NULL, START},
     {"lock_nobody_waits_for_is_gone_at_the_end", does_not_wait_for_its_lock, NULL,
      START "call {\"id\":\"a\",\"call\":\"Deposit\",\"value\":1}\nanswer\n"},
     {"lock_asked_for_before_beginning_anew_is_nobodys", begins_anew_before_its_lock, NULL,
      START "call {\"id\":\"a\",\"call\":\"Deposit\",\"value\":1}\n" EVENT("End", "1")},

     {"event_with_a_limit_suspends", waits_with_a_limit, NULL, START},
     {"event_with_a_limit_completes", waits_with_a_limit, NULL, START EVENT("visit", "\"Ann\"")},
     {"event_with_a_limit_still_waits_for_its_name", waits_with_a_limit, NULL,
      START EVENT("Call", "1") "advance 59999\n"},
     {"event_with_a_limit_gives_its_default", waits_with_a_limit, NULL, START "advance 60000\n"},
     {"begins_anew_and_late_answers_are_ignored", begins_anew_with_much_open, NULL,
      START_WITH("0")
          EVENT("Next", "1") "run\nadvance 5000\n" EVENT("Next", "2") "run\n" EVENT("Next",
                                                                                    "3") "run\n"},
     {"begins_anew_with_events_in_their_order", adds_up, NULL,
      START_WITH("0") "do {\"id\":\"p\",\"suspend\":\"a moment\"}\n" EVENT("Add", "1")
          EVENT("Other", "9") EVENT("ADD", "20")
              EVENT("add", "300") "do {\"id\":\"p\",\"resume\":\"go\"}\n"},
     {"draws_are_the_same_in_every_replay", draws, NULL, START EVENT("Go", "1")},
     {"version_tags_and_logs", tells_what_it_is, NULL,
      "do {\"id\":\"p\",\"start\":\"Program\",\"tags\":{\"who\":\"Ann\"}}\n" EVENT("Go", "1")},
     {"custom_status_is_the_last", shows, NULL, START_WITH("{\"step\":2}") EVENT("Go", "1")},

     {"start_at_a_time_suspends", draws, NULL,
      "do {\"id\":\"p\",\"start\":\"Program\",\"due\":1798135260000}\n"},
     {"start_at_a_time_completes", waits_with_a_limit, NULL,
      "do {\"id\":\"p\",\"start\":\"Program\",\"due\":1798135260000}\nadvance 59999\nadvance 1\n"},
     {"start_at_a_time_still_waits_when_an_event_comes", waits_with_a_limit, NULL,
      "do {\"id\":\"p\",\"start\":\"Program\",\"due\":1798135260000}\n" EVENT(
          "Visit", "1") "advance 60000\n"},
     {"start_at_a_time_that_is_past_is_now", waits_with_a_limit, NULL,
      "do {\"id\":\"p\",\"start\":\"Program\",\"due\":5}\n"},
     {"start_at_a_time_can_be_suspended", waits_with_a_limit, NULL,
      "do {\"id\":\"p\",\"start\":\"Program\",\"due\":1798135260000}\n"
      "do {\"id\":\"p\",\"suspend\":\"x\"}\ndo {\"id\":\"p\",\"resume\":\"y\"}\nadvance 60000\n"},
     {"start_at_a_time_that_comes_while_suspended", waits_with_a_limit, NULL,
      "do {\"id\":\"p\",\"start\":\"Program\",\"due\":1798135260000}\n"
      "do {\"id\":\"p\",\"suspend\":\"x\"}\nadvance 60000\ndo {\"id\":\"p\",\"resume\":\"y\"}\n"},
     {"start_at_a_time_can_be_terminated", waits_with_a_limit, NULL,
      "do {\"id\":\"p\",\"start\":\"Program\",\"due\":1798135260000}\n"
      "do {\"id\":\"p\",\"terminate\":\"x\"}\nadvance 60000\n"},
     {"signal_at_a_time", unlocks_nothing, NULL,
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":1,\"due\":1798135205000}\n"
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":2,\"due\":1798135203000}\n"
      "do {\"id\":\"a\",\"signal\":\"Withdraw\",\"value\":2,\"due\":1798135203000}\n"
      "advance 2999\nstate a\nadvance 1\nstate a\nadvance 2000\nstate a\n"},

     {"suspended_keeps_all_that_comes", waits_for_three, NULL,
      START "do {\"id\":\"p\",\"suspend\":\"x\"}\nrun\nadvance 3000\n" EVENT(
          "Go", "1") "do {\"id\":\"p\",\"resume\":\"y\"}\n"},
     {"suspended_still_waits_when_resumed", waits_for_three, NULL,
      START
      "do {\"id\":\"p\",\"suspend\":\"x\"}\nrun\ndo {\"id\":\"p\",\"resume\":\"y\"}\n" EVENT("Go",
                                                                                             "1")},
     {"suspended_can_be_terminated", waits_for_three, NULL,
      START
      "do {\"id\":\"p\",\"suspend\":\"x\"}\n" EVENT("Go", "1") "do {\"id\":\"p\",\"terminate\":"
                                                               "\"z\"}\nrun\nadvance 3000\n"},
     {"suspended_twice_is_refused", waits_for_three, NULL,
      START "do {\"id\":\"p\",\"suspend\":\"x\"}\ntry {\"id\":\"p\",\"suspend\":\"y\"}\nanswer\n"
            "do {\"id\":\"p\",\"resume\":\"y\"}\ntry {\"id\":\"p\",\"resume\":\"y\"}\nanswer\n"},
     {"terminated_by_its_parent", raises_its_child, NULL, START EVENT("Go", "1")},
     {"terminated_by_itself", terminates_itself, NULL, START},
     {"terminated_ignores_what_comes_late", waits_for_three, NULL,
      START "do {\"id\":\"p\",\"terminate\":\"x\"}\nrun\nadvance 3000\nstate work\n"
            "try {\"id\":\"p\",\"terminate\":\"y\"}\nanswer\n"},
     {"rewound_to_what_failed", fails_at_the_end, NULL,
      START_WITH("{\"last\":" FAILS("\"Busy\"") "}") "run\nadvance 1000\n" EVENT(
          "Go", "1") "run\n"
                     "do {\"id\":\"p\",\"rewind\":-1}\nrun\nstate a\n"},
     {"rewound_child_and_parent", has_a_nameless_child, NULL,
      START_WITH("{\"fail\":true}") "do {\"id\":\"p\",\"rewind\":-1}\n"},
     {"rewind_of_what_did_not_fail_is_refused", waits_for_three, NULL,
      START "try {\"id\":\"p\",\"rewind\":-1}\nanswer\ndo {\"id\":\"p\",\"terminate\":\"x\"}\n"
            "try {\"id\":\"p\",\"rewind\":0}\nanswer\n"},
     {"rewind_to_an_event_that_is_none_is_refused", nests, NULL,
      START_WITH("0") "try {\"id\":\"p\",\"rewind\":2}\nanswer\ndo {\"id\":\"p\",\"rewind\":1}\n"},
     {"restarted_under_its_id_and_another", nests, NULL,
      "do {\"id\":\"q\"}\n" START_WITH("0") "do {\"id\":\"p\",\"restart\":\"q\"}\n"
                                            "do {\"id\":\"p\",\"restart\":true}\n"},
     {"restart_of_what_runs_needs_a_new_id", waits_for_three, NULL,
      "do {\"id\":\"q\"}\n" START "try {\"id\":\"p\",\"restart\":true}\nanswer\n"
      "do {\"id\":\"p\",\"restart\":\"q\"}\n"
      "try {\"id\":\"p\",\"restart\":\"q\"}\nanswer\n"
      "try {\"id\":\"p\",\"restart\":\"@a@b\"}\nanswer\n"},
     {"purged_with_children", has_a_child, NULL,
      "do {\"id\":\"c\"}\n" START "do {\"id\":\"p\",\"purge\":true,\"children\":true}\n"},
     {"purged_without_children", has_a_child, NULL,
      "do {\"id\":\"c\"}\n" START "do {\"id\":\"p\",\"purge\":true}\n"},
     {"purge_of_what_runs_is_refused", waits_for_three, NULL,
      START "try {\"id\":\"p\",\"purge\":true}\nanswer\n"},
     {"operators_are_told_that_there_is_none", waits_for_three, NULL,
      "try {\"id\":\"p\",\"terminate\":\"x\"}\nanswer\ntry "
      "{\"id\":\"p\",\"suspend\":\"x\"}\nanswer\n"
      "try {\"id\":\"p\",\"resume\":\"x\"}\nanswer\ntry {\"id\":\"p\",\"rewind\":-1}\nanswer\n"
      "try {\"id\":\"p\",\"restart\":true}\nanswer\ntry {\"id\":\"p\",\"restart\":\"q\"}\nanswer\n"
      "try {\"id\":\"p\",\"purge\":true}\nanswer\ntry {\"id\":\"p\",\"raise\":\"Go\"}\nanswer\n"
      "try {\"id\":\"@account@a\",\"resume\":\"x\"}\nanswer\n"},
     {"operators_are_told_that_it_is_over", nests, NULL,
      START_WITH("0") "try {\"id\":\"p\",\"terminate\":\"x\"}\nanswer\n"
                      "try {\"id\":\"p\",\"suspend\":\"x\"}\nanswer\ntry "
                      "{\"id\":\"p\",\"resume\":\"x\"}\nanswer\n"
                      "try {\"id\":\"p\",\"raise\":\"Go\"}\nanswer\n"},
     {"operators_are_told_that_it_runs", waits_for_three, NULL,
      START
      "try {\"id\":\"p\",\"resume\":\"x\"}\nanswer\ntry {\"id\":\"p\",\"purge\":true}\nanswer\n"
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":1}\n"
      "try {\"id\":\"@account@a\",\"resume\":\"x\"}\nanswer\n"},
     {"operators_may_send_several_messages_at_once", waits_for_three, NULL,
      START "do {\"id\":\"p\",\"terminate\":\"x\",\"purge\":true}\n" START
            "try {\"id\":\"p\",\"terminate\":\"x\",\"suspend\":\"y\"}\nanswer\n"},

     {"child_with_a_limit_suspends", has_a_child_with_a_limit, NULL,
      "do {\"id\":\"c\"}\n" START_WITH("{\"wait\":true}")},
     {"child_with_a_limit_completes", has_a_child_with_a_limit, NULL,
      "do {\"id\":\"c\"}\n" START_WITH(
          "{\"wait\":true}") "advance 1999\ndo {\"id\":\"c\",\"raise\":\"Go\"}\nadvance 10000\n"},
     {"child_with_a_limit_that_took_too_long", has_a_child_with_a_limit, NULL,
      "do {\"id\":\"c\"}\n" START_WITH("{\"wait\":true}") "advance 10000\n"},
     {"children_with_a_limit_that_took_too_long", has_nameless_children_with_a_limit, NULL,
      START_WITH("{\"wait\":true}") "advance 10000\n"},
     {"group_of_child_and_call_suspends", waits_in_a_group, NULL, START_WITH("{\"wait\":true}")},
     {"group_of_child_and_call_completes", waits_in_a_group, NULL,
      START_WITH("{\"wait\":true}") "do {\"id\":\"c\",\"raise\":\"Go\"}\n"},
     {"group_of_child_and_call_still_waits", waits_in_a_group, NULL,
      START_WITH("{\"wait\":true}") "advance 2999\n" EVENT("Go", "1") "advance 1\n"},
     {"group_whose_child_is_terminated", waits_in_a_group, NULL,
      START_WITH("{\"wait\":true}") "do {\"id\":\"c\",\"terminate\":\"x\"}\n"},
     {"request_completes", unlocks_nothing, NULL,
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":3}\n"
      "do {\"id\":\"b\",\"signal\":\"Ask\",\"value\":\"a\"}\nstate b\n"},
     {"request_of_what_is_missing_answers_with_the_error", unlocks_nothing, NULL,
      "do {\"id\":\"b\",\"signal\":\"AskBadly\",\"value\":\"a\"}\nstate b\nstate a\n"},
     {"request_of_itself_completes", unlocks_nothing, NULL,
      "do {\"id\":\"b\",\"signal\":\"Deposit\",\"value\":2}\n"
      "do {\"id\":\"b\",\"signal\":\"Ask\",\"value\":\"b\"}\nstate b\n"},
     {"request_waits_for_the_lock", locks, NULL,
      START "do {\"id\":\"c\",\"signal\":\"Ask\",\"value\":\"a\"}\nstate c\n" EVENT(
          "Other", "1") "state c\n" EVENT("End", "1") "state c\n"},
     {"operation_that_fails_leaves_no_trace", unlocks_nothing, NULL,
      "do {\"id\":\"never\"}\ndo {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":2}\n"
      "do {\"id\":\"a\",\"signal\":\"SendAndFail\",\"value\":2}\nstate a\nstate b\n"
      "call {\"id\":\"a\",\"call\":\"SendAndFail\"}\nanswer\n"},
     {"entity_that_is_deleted_begins_anew", unlocks_nothing, NULL,
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":2}\n"
      "call {\"id\":\"a\",\"call\":\"Delete\"}\nanswer\nstate a\n"
      "do {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":5}\nstate a\n"},
     {"lock_comes_while_suspended", locks, NULL,
      "do {\"id\":\"q\",\"start\":\"Program\"}\n" START "do {\"id\":\"p\",\"suspend\":\"x\"}\n"
      "do {\"id\":\"q\",\"terminate\":\"x\"}\ndo {\"id\":\"q\",\"start\":\"Program\"}\n"
      "do {\"id\":\"p\",\"resume\":\"y\"}\n" EVENT("End", "1")},
     {"lock_of_a_suspended_one_is_gone_when_it_is_terminated", locks, NULL,
      START "do {\"id\":\"p\",\"suspend\":\"x\"}\ndo {\"id\":\"q\",\"start\":\"Program\"}\n"
            "do {\"id\":\"p\",\"terminate\":\"y\"}\n"},
     {"terminated_and_started_again_at_once", locks, NULL,
      START "do {\"id\":\"q\",\"start\":\"Program\"}\n"
            "do {\"id\":\"p\",\"terminate\":\"x\"}\n" START},
     {"retry_pauses_while_suspended", retries, NULL,
      START_WITH(FAILS("\"Busy\"")) "run\ndo {\"id\":\"p\",\"suspend\":\"x\"}\nadvance 60000\n"
                                    "run\ndo {\"id\":\"p\",\"resume\":\"y\"}\nrun\n"},
     {"rewound_parent_of_a_purged_child", has_a_nameless_child, NULL,
      START_WITH(
          "{\"fail\":true}") "do {\"id\":\"c0351186f966a4437fd0cc237c1bc846\",\"purge\":true}\ndo "
                             "{\"id\":\"p\",\"rewind\":-1}\n"},
     {"rewound_when_the_code_is_back", asks_an_entity, go,
      START "change\n" EVENT("Go", "1") "change\ndo {\"id\":\"p\",\"rewind\":-1}\n"},
     {"rewound_twice_from_its_start", nests, NULL,
      START_WITH("0") "do {\"id\":\"p\",\"rewind\":0}\ndo {\"id\":\"p\",\"rewind\":0}\n"
                      "do {\"id\":\"p\",\"rewind\":-1}\n"},
     {"restart_forgets_the_parent", has_a_child, NULL,
      "do {\"id\":\"c\"}\n" START "do {\"id\":\"c\",\"restart\":true}\n"}};

#include "model_traces_cancel.h"

static void traced(void **state)
{
    model_trace_expect(*state, functions);
}

int main(void)
{
    static const struct {
        const struct model_program *at;
        size_t count;
    } lists[] = {
        {programs, sizeof programs / sizeof programs[0]},
        {more_programs, sizeof more_programs / sizeof more_programs[0]},
        {cancel_programs, sizeof cancel_programs / sizeof cancel_programs[0]},
        {changed_programs, sizeof changed_programs / sizeof changed_programs[0]},
    };
    enum { TESTS_MAX = 256 };
    struct CMUnitTest tests[TESTS_MAX] = {0};
    size_t n = 0;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (size_t k = 0; k < lists[i].count && n < TESTS_MAX; k++)
            tests[n++] = (struct CMUnitTest){.name = lists[i].at[k].name,
                                             .test_func = traced,
                                             .initial_state = (void *)(uintptr_t)&lists[i].at[k]};
    return _cmocka_run_group_tests("model", tests, n, NULL, NULL);
}
