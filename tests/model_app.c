/* The app of test_model.c and its kin: orchestrations that do one thing each, two HTTP functions to
 * drive them and to look at them. */
#include "model_app.h"

#include <stdio.h>
#include <string.h>

static const ks_val *number(ks_arena *mem, int64_t n)
{
    return ks_integer(mem, n);
}

/* ---- activities ---- */

/* Fails as long as its key was tried fewer times than asked; counts in an entity what it was. */
static const ks_val *flaky(ks_activity *a)
{
    static struct {
        char key[128];
        int64_t tries;
    } seen[64]; /* of this process, as a service out there would have it */
    size_t i = 0;
    while (i < 63 && seen[i].key[0] && strcmp(seen[i].key, a->key) != 0)
        i++;
    snprintf(seen[i].key, sizeof seen[i].key, "%s", a->key);
    if (++seen[i].tries <= ks_int(ks_get(a->input, "failures")))
        return ks_fail(a->mem, ks_text(ks_get(a->input, "type")), "try %lld failed",
                       (long long)seen[i].tries);
    return number(a->mem, seen[i].tries);
}

static const ks_val *echo(ks_activity *a)
{
    return a->input;
}

static const ks_val *key(ks_activity *a)
{
    return ks_string(a->mem, a->key);
}

static const ks_val *fail(ks_activity *a)
{
    return ks_fail(a->mem, "Broken", "it is broken: %s", ks_text(a->input));
}

/* ---- orchestrations ---- */

static ks_retry policy(const ks_val *input)
{
    return (ks_retry){.attempts = (int)ks_int(ks_get(input, "attempts")),
                      .first_ms = ks_int(ks_get(input, "first")),
                      .backoff = ks_number(ks_get(input, "backoff")),
                      .max_ms = ks_int(ks_get(input, "max")),
                      .total_ms = ks_int(ks_get(input, "total")),
                      .jitter = ks_number(ks_get(input, "jitter")),
                      .timeout_ms = ks_int(ks_get(input, "timeout")),
                      .final_errors = "BadRequest,NotFound"};
}

static const ks_val *retry(ks_orch *o)
{
    ks_retry how = policy(o->input);
    return ks_await(ks_call_with(o, "Flaky", o->input, &how));
}

static const ks_val *retry_inline(ks_orch *o)
{
    ks_retry how = policy(o->input);
    return ks_await(ks_call_with(o, "FlakyInline", o->input, &how));
}

static const ks_val *child(ks_orch *o)
{
    if (ks_get(o->input, "fail"))
        return ks_fail(o->mem, "ChildBroke", "the child broke");
    if (ks_get(o->input, "wait"))
        return ks_await(ks_event(o, "Go"));
    return ks_put(o->mem, ks_object(o->mem), "parent", ks_string(o->mem, o->parent_id));
}

static const ks_val *parent(ks_orch *o)
{
    const ks_val *id = ks_get(o->input, "child");
    const ks_val *result = ks_try(ks_sub(o, "Child", id ? ks_text(id) : NULL, o->input));
    if (!ks_is_error(result))
        return result;
    ks_val *seen = ks_object(o->mem);
    ks_put(o->mem, seen, "type", ks_string(o->mem, ks_error_type(result)));
    return ks_put(o->mem, seen, "message", ks_string(o->mem, ks_text(result)));
}

static const ks_val *strict_parent(ks_orch *o)
{
    ks_task *first = ks_call(o, "Echo", number(o->mem, 1));
    ks_await(first);
    return ks_await(ks_sub(o, "Child", "strict-child", o->input));
}

static const ks_val *caller(ks_orch *o)
{
    ks_ref account = {"Account", ks_text(ks_get(o->input, "account"))};
    const ks_val *result = ks_try(
        ks_call_entity(o, account, "Withdraw", ks_get(o->input, "amount")));
    return ks_is_error(result) ? ks_string(o->mem, ks_text(result)) : result;
}

/* Moves money between two accounts, and waits in the middle when told to. */
static const ks_val *transfer(ks_orch *o)
{
    ks_ref from = {"Account", ks_text(ks_get(o->input, "from"))};
    ks_ref to = {"Account", ks_text(ks_get(o->input, "to"))};
    const ks_val *amount = ks_get(o->input, "amount");
    ks_await(ks_lock(o, from, to));
    ks_set_status(o, ks_string(o->mem, "locked"));
    if (ks_get(o->input, "wait"))
        ks_await(ks_event(o, "Go"));
    ks_await(ks_call_entity(o, from, "Withdraw", amount));
    ks_await(ks_call_entity(o, to, "Deposit", amount));
    if (!ks_get(o->input, "keep"))
        ks_unlock(o);
    return ks_boolean(o->mem, true);
}

static const ks_val *rounds(ks_orch *o)
{
    int64_t left = ks_int(ks_get(o->input, "left"));
    int64_t sum = ks_int(ks_get(o->input, "sum"));
    if (left == 0)
        return number(o->mem, sum);
    if (ks_get(o->input, "events"))
        sum += ks_int(ks_await(ks_event(o, "Add")));
    else
        sum += ks_int(ks_await(ks_call(o, "EchoInline", number(o->mem, left))));
    ks_val *next = ks_object(o->mem);
    ks_put(o->mem, next, "left", number(o->mem, left - 1));
    ks_put(o->mem, next, "sum", number(o->mem, sum));
    if (ks_get(o->input, "events"))
        ks_put(o->mem, next, "events", ks_get(o->input, "events"));
    ks_continue_as_new(o, next);
}

static const ks_val *patient(ks_orch *o)
{
    const ks_val *otherwise = ks_string(o->mem, "nobody came");
    return ks_await_event(o, "Visit", o->now_ms + KS_MINUTES(1), otherwise);
}

static const ks_val *dice(ks_orch *o)
{
    const char *before = ks_unique_id(o);
    uint64_t n = ks_random(o);
    ks_await(ks_event(o, "Go"));
    return ks_string(o->mem, ks_format(o->mem, "%s %llu %s", before, (unsigned long long)n,
                                       ks_unique_id(o)));
}

static const ks_val *version_1(ks_orch *o)
{
    ks_await(ks_event(o, "Go"));
    return ks_string(o->mem, "one");
}

static const ks_val *version_2(ks_orch *o)
{
    ks_await(ks_event(o, "Go"));
    return ks_string(o->mem, "two");
}

static const ks_val *careful(ks_orch *o)
{
    const ks_val *first = ks_await(ks_call(o, "Echo", ks_string(o->mem, "a")));
    const ks_val *second = ks_await(ks_call(o, "Flaky", o->input));
    ks_val *both = ks_array(o->mem);
    ks_push(o->mem, both, first);
    return ks_push(o->mem, both, second);
}

static const ks_val *fan(ks_orch *o)
{
    size_t n = (size_t)ks_int(o->input);
    ks_task **tasks = ks_alloc(o->mem, (n + 1) * sizeof tasks[0]);
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        tasks[i] = ks_call(o, "Echo", number(o->mem, (int64_t)i));
    const ks_val *all = ks_await(ks_all_of(o, tasks, n));
    for (size_t i = 0; i < n; i++)
        sum += ks_int(ks_at(all, i));
    return number(o->mem, sum);
}

static const ks_val *keys(ks_orch *o)
{
    return ks_await(ks_call(o, "Key", NULL));
}

static const ks_val *broken(ks_orch *o)
{
    return ks_await(ks_call(o, "Fail", o->input));
}

/* ---- an account ---- */

static const ks_val *deposit(ks_entity *e)
{
    ks_add(e, "balance", ks_int(e->arg));
    return ks_get(e->state, "balance");
}

static const ks_val *withdraw(ks_entity *e)
{
    if (ks_int(ks_get(e->state, "balance")) < ks_int(e->arg))
        return ks_fail(e->mem, "Overdrawn", "there is not so much");
    ks_add(e, "balance", -ks_int(e->arg));
    return ks_get(e->state, "balance");
}

static const ks_val *ask(ks_entity *e)
{
    ks_request(e, (ks_ref){"Account", ks_text(e->arg)}, "Balance", NULL, "Told");
    return NULL;
}

static const ks_val *told(ks_entity *e)
{
    ks_set(e, "told", e->arg);
    return NULL;
}

static const ks_val *balance(ks_entity *e)
{
    return ks_get(e->state, "balance");
}

static const ks_val *hire(ks_entity *e)
{
    ks_start(e->out, "Child", ks_text(e->arg), ks_object(e->mem));
    return NULL;
}

/* ---- to drive and to look ---- */

static const char *text(const ks_val *body, const char *name)
{
    const ks_val *val = ks_get(body, name);
    return val ? ks_text(val) : NULL;
}

static void start(ks_http *h, const ks_val *body, const char *id)
{
    ks_start_options how = {.due_ms = ks_int(ks_get(body, "due")),
                            .version = text(body, "version"),
                            .tags = ks_get(body, "tags"),
                            .only_if_new = ks_is_true(ks_get(body, "onlyIfNew"))};
    ks_start_with(h->out, text(body, "start"), id, ks_get(body, "input"), &how);
}

/* {"id": ..., one of "start", "raise", "terminate", "suspend", ...} */
static int http_do(ks_http *h)
{
    const ks_val *body = ks_parse_json(h->mem, ks_text(ks_body(h)), ks_len(ks_body(h)));
    const char *id = text(body, "id");
    bool with_children = ks_is_true(ks_get(body, "children"));
    if (text(body, "start"))
        start(h, body, id);
    if (text(body, "raise"))
        ks_raise(h->out, id, text(body, "raise"), ks_get(body, "value"));
    if (text(body, "terminate"))
        ks_terminate(h->out, id, text(body, "terminate"), with_children);
    if (text(body, "suspend"))
        ks_suspend(h->out, id, text(body, "suspend"));
    if (text(body, "resume"))
        ks_resume(h->out, id, text(body, "resume"));
    if (ks_get(body, "rewind"))
        ks_rewind(h->out, id, ks_int(ks_get(body, "rewind")), "again");
    if (ks_get(body, "restart"))
        ks_restart(h->out, id, text(body, "restart"));
    if (ks_get(body, "purge"))
        ks_purge(h->out, id, with_children);
    if (text(body, "signal"))
        ks_signal_at(h->out, (ks_ref){"Account", id}, text(body, "signal"), ks_get(body, "value"),
                     ks_int(ks_get(body, "due")));
    return ks_reply_empty(h, 202);
}

static int http_call(ks_http *h)
{
    const ks_val *body = ks_parse_json(h->mem, ks_text(ks_body(h)), ks_len(ks_body(h)));
    return ks_reply_result(h, (ks_ref){"Account", text(body, "id")}, text(body, "call"),
                           ks_get(body, "value"));
}

static int http_see(ks_http *h)
{
    static const char *const names[] =
        {[KS_MISSING] = "Missing",       [KS_PENDING] = "Pending",        [KS_RUNNING] = "Running",
         [KS_SUSPENDED] = "Suspended",   [KS_COMPLETED] = "Completed",    [KS_FAILED] = "Failed",
         [KS_TERMINATED] = "Terminated", [KS_QUARANTINED] = "Quarantined"};
    const char *id = ks_route(h, "id");
    ks_val *seen = ks_object(h->mem);
    ks_put(h->mem, seen, "status", ks_string(h->mem, names[ks_status(h, id)]));
    if (ks_output(h, id))
        ks_put(h->mem, seen, "output", ks_output(h, id));
    if (ks_custom_status(h, id))
        ks_put(h->mem, seen, "custom", ks_custom_status(h, id));
    return ks_reply_json(h, 200, seen);
}

static int http_history(ks_http *h)
{
    return ks_reply_json(h, 200, ks_history(h, ks_route(h, "id")));
}

static int http_state(ks_http *h)
{
    return ks_reply_json(h, 200, ks_state(h, (ks_ref){"Account", ks_route(h, "id")}));
}

const ks_function model_functions[] = {
    KS_ACTIVITY("Flaky", flaky),
    KS_ACTIVITY_INLINE("FlakyInline", flaky),
    KS_ACTIVITY("Echo", echo),
    KS_ACTIVITY_INLINE("EchoInline", echo),
    KS_ACTIVITY("Key", key),
    KS_ACTIVITY("Fail", fail),
    KS_ORCHESTRATION("Retry", retry),
    KS_ORCHESTRATION("RetryInline", retry_inline),
    KS_ORCHESTRATION("Child", child),
    KS_ORCHESTRATION("Parent", parent),
    KS_ORCHESTRATION("StrictParent", strict_parent),
    KS_ORCHESTRATION("Caller", caller),
    KS_ORCHESTRATION("Transfer", transfer),
    KS_ORCHESTRATION("Rounds", rounds),
    KS_ORCHESTRATION("Patient", patient),
    KS_ORCHESTRATION("Dice", dice),
    KS_ORCHESTRATION_VERSION("Versioned", "2", version_2),
    KS_ORCHESTRATION_VERSION("Versioned", "1", version_1),
    KS_ORCHESTRATION("Careful", careful),
    KS_ORCHESTRATION("Fan", fan),
    KS_ORCHESTRATION("Keys", keys),
    KS_ORCHESTRATION("Broken", broken),
    KS_ENTITY("Account", "Deposit", deposit),
    KS_ENTITY("Account", "Withdraw", withdraw),
    KS_ENTITY("Account", "Ask", ask),
    KS_ENTITY("Account", "Told", told),
    KS_ENTITY("Account", "Balance", balance),
    KS_ENTITY("Account", "Hire", hire),
    KS_HTTP("Do", "POST", "Do", 0, http_do),
    KS_HTTP("Call", "POST", "Call", 0, http_call),
    KS_HTTP("See", "GET", "See/{id}", 0, http_see),
    KS_HTTP("History", "GET", "History/{id}", 0, http_history),
    KS_HTTP("State", "GET", "State/{id}", 0, http_state),
    KS_END,
};
