/* model_traces_changed.h - of test_model_traces.c: code that is not the one that made the history.
 * Each program waits for "Go", and its changed one asks for something else before. */
#ifndef TESTS_MODEL_TRACES_CHANGED_H
#define TESTS_MODEL_TRACES_CHANGED_H

static const ks_val *go(ks_orch *o)
{
    return ks_await(ks_event(o, "Go"));
}

static const ks_val *asks_a_child(ks_orch *o)
{
    ks_sub(o, "Child", "c", NULL);
    return go(o);
}

static const ks_val *asks_another_child(ks_orch *o)
{
    ks_sub(o, "Child", "d", NULL);
    return go(o);
}

static const ks_val *asks_another_function(ks_orch *o)
{
    ks_sub(o, "Nests", "c", NULL);
    return go(o);
}

static const ks_val *asks_an_entity(ks_orch *o)
{
    ks_call_entity(o, account("a"), "Balance", NULL);
    return go(o);
}

static const ks_val *asks_another_entity(ks_orch *o)
{
    ks_call_entity(o, account("b"), "Balance", NULL);
    return go(o);
}

static const ks_val *asks_another_operation(ks_orch *o)
{
    ks_call_entity(o, account("a"), "Deposit", number(o, 1));
    return go(o);
}

static const ks_val *asks_a_lock(ks_orch *o)
{
    ks_await(ks_lock(o, account("a")));
    return go(o);
}

static const ks_val *asks_another_lock(ks_orch *o)
{
    ks_await(ks_lock(o, account("b")));
    return go(o);
}

static const ks_val *asks_a_lock_and_unlocks(ks_orch *o)
{
    ks_await(ks_lock(o, account("a")));
    ks_unlock(o);
    return go(o);
}

static const ks_val *asks_a_status(ks_orch *o)
{
    ks_set_status(o, NULL);
    return go(o);
}

static const ks_val *asks_a_retry(ks_orch *o)
{
    ks_call_with(o, "WorkInline", ks_parse_json(o->mem, "{\"fail\":[\"A\"]}", 14),
                 &(ks_retry){.attempts = 2});
    return go(o);
}

static const ks_val *asks_no_retry(ks_orch *o)
{
    ks_call(o, "WorkInline", NULL);
    return go(o);
}

static const ks_val *asks_a_limit(ks_orch *o)
{
    ks_call_with(o, "Work", NULL, &(ks_retry){.timeout_ms = 1000});
    return go(o);
}

static const ks_val *asks_no_limit(ks_orch *o)
{
    ks_call(o, "Work", NULL);
    return go(o);
}

static const ks_val *begins_anew(ks_orch *o)
{
    ks_continue_as_new(o, NULL);
}

static const ks_val *asks_a_start(ks_orch *o)
{
    ks_start(o->out, "Child", "c", NULL);
    return go(o);
}

static const ks_val *asks_a_terminate(ks_orch *o)
{
    ks_terminate(o->out, "c", "x", false);
    return go(o);
}

#define CHANGED(name, code, changed) \
    { \
        "changed_code_" name, code, changed, START "change\n" EVENT("Go", "1") \
    }
static const struct model_program changed_programs[] =
    {CHANGED("does_not_ask_a_child", asks_a_child, go),
     CHANGED("asks_a_child", go, asks_a_child),
     CHANGED("asks_another_child", asks_a_child, asks_another_child),
     CHANGED("asks_another_function", asks_a_child, asks_another_function),
     CHANGED("asks_an_entity", go, asks_an_entity),
     CHANGED("asks_another_entity", asks_an_entity, asks_another_entity),
     CHANGED("asks_another_operation", asks_an_entity, asks_another_operation),
     CHANGED("asks_a_lock", go, asks_a_lock),
     CHANGED("asks_another_lock", asks_a_lock, asks_another_lock),
     CHANGED("unlocks", asks_a_lock, asks_a_lock_and_unlocks),
     CHANGED("does_not_unlock", asks_a_lock_and_unlocks, asks_a_lock),
     CHANGED("sets_a_status", go, asks_a_status),
     CHANGED("sets_no_status", asks_a_status, go),
     CHANGED("tries_once", asks_a_retry, asks_no_retry),
     CHANGED("tries_again", asks_no_retry, asks_a_retry),
     CHANGED("has_no_limit", asks_a_limit, asks_no_limit),
     CHANGED("has_a_limit", asks_no_limit, asks_a_limit),
     CHANGED("begins_anew", go, begins_anew),
     CHANGED("terminates_what_it_started", asks_a_start, asks_a_terminate)};

#endif
