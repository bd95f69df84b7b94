/* A call with a policy: attempts, one after the other.
 *
 *     attempt begins ----> done well ------------------------------> the task is done
 *        |    ^            done badly, or its time limit is over:
 *        |    |              final, the last, or too late ---------> the task failed
 *        |    +-- pause <--- else
 *        +-- beside it, a timer when attempts have a time limit
 *
 * All of it is made of activities, sub-orchestrations and timers, so history says all of it. */
#include "core/http_call.h"
#include "core/session_internal.h"

bool task_attempt(struct session *s, struct event *e, const ks_val **input, struct retry *r)
{
    bool is_first = !r || r->attempts == 1;
    if (is_first) {
        e->val = *input;
        if (r)
            r->first_bytes = session_place(s);
    } else {
        ks_val *details = ks_object(&s->mem);
        ks_put(&s->mem, details, "key", ks_integer(&s->mem, r->first_id));
        ks_put(&s->mem, details, "at", ks_integer(&s->mem, (int64_t)r->first_bytes));
        if (e->details)
            ks_put(&s->mem, details, "heartbeat", ks_get(e->details, "heartbeat"));
        e->details = details;
    }
    bool is_new = session_command(s, e);
    if (is_first)
        *input = e->val; /* what was recorded counts */
    if (is_first && r)
        r->input = e->val;
    return is_new;
}

static void attempt_begin(ks_task *task)
{
    struct session *s = task->session;
    struct retry *r = task->retry;
    r->attempts++;
    r->pause = NULL;
    r->limit = NULL;
    r->attempt = r->is_child ? task_sub_once(s, r->name, r->id, r->input, r)
                             : task_call_once(s, r->name, r->input, r);
    if (r->attempts == 1)
        r->first_id = r->attempt->id;
    if (s->is_over)
        return;
    if (r->attempt->is_done) { /* inline */
        task_retry_child_done(task, r->attempt);
        return;
    }
    task_parent_add(r->attempt, task);
    if (r->policy.timeout_ms > 0) {
        r->limit = task_timer_new(s, s->orch.now_ms + r->policy.timeout_ms);
        task_parent_add(r->limit, task);
    }
}

static bool is_listed(const char *list, const char *type)
{
    size_t len = strlen(type);
    if (len == 0)
        return false;
    for (const char *at = list ? list : ""; (at = strstr(at, type)); at += len)
        if ((at == list || at[-1] == ',') && (at[len] == 0 || at[len] == ','))
            return true;
    return false;
}

/* 0 .. 1, without 1 */
static double random_part(struct session *s)
{
    return (double)(ks_random(&s->orch) >> 11) * 0x1p-53;
}

static int64_t pause_ms(struct session *s, const struct retry *r)
{
    const ks_retry *p = &r->policy;
    double max = p->max_ms > 0 ? (double)p->max_ms : (double)KS_DAYS(36500);
    double ms = p->first_ms > 0 ? (double)p->first_ms : 1000.0;
    for (int i = 1; i < r->attempts && p->backoff > 0 && p->backoff != 1.0 && ms < max; i++)
        ms *= p->backoff;
    ms = ms < max ? ms : max;
    if (p->jitter > 0)
        ms *= 1.0 - (p->jitter < 1.0 ? p->jitter : 1.0) * random_part(s);
    return ms < 1.0 ? 1 : (int64_t)ms;
}

/* What whoever refused asked for, as far as the policy's longest pause. */
static int64_t asked_pause_ms(const struct retry *r, const ks_val *error)
{
    int64_t max_ms = r->policy.max_ms > 0 ? r->policy.max_ms : HTTP_RETRY_AFTER_MAX_MS;
    int64_t ms = ks_int(ks_get(val_error_cause(error), HTTP_RETRY_AFTER));
    return ms < max_ms ? ms : max_ms;
}

static void attempt_failed(ks_task *task, const ks_val *error)
{
    struct session *s = task->session;
    struct retry *r = task->retry;
    const ks_retry *p = &r->policy;
    bool is_last = p->attempts > 0 ? r->attempts >= p->attempts : p->total_ms <= 0;
    if (is_last || is_listed(p->final_errors, ks_error_type(error))) {
        task_complete(task, error);
        return;
    }
    int64_t own_ms = pause_ms(s, r), asked_ms = asked_pause_ms(r, error);
    int64_t next_ms = s->orch.now_ms + (asked_ms > own_ms ? asked_ms : own_ms);
    if (p->total_ms > 0 && next_ms - r->begun_ms > p->total_ms) {
        task_complete(task, error);
        return;
    }
    r->pause = task_timer_new(s, next_ms);
    task_parent_add(r->pause, task);
}

void task_retry_child_done(ks_task *task, ks_task *child)
{
    struct session *s = task->session;
    struct retry *r = task->retry;
    if (child == r->pause) {
        attempt_begin(task);
    } else if (child == r->limit) {
        /* Whatever comes of it comes too late. */
        task_abandon(r->attempt);
        r->attempt = NULL;
        r->limit = NULL;
        attempt_failed(task, ks_fail(&s->mem, KS_ERROR_TIMEOUT, "\"%s\" took longer than %lld ms",
                                     r->name, (long long)r->policy.timeout_ms));
    } else if (child == r->attempt) {
        ks_task *limit = r->limit;
        r->attempt = NULL;
        r->limit = NULL;
        if (limit)
            ks_cancel(limit);
        if (ks_is_error(child->result))
            attempt_failed(task, child->result);
        else
            task_complete(task, child->result);
    }
}

/* Nobody waits for a hundred years; and sums do not overflow. */
static void clamp(int64_t *ms)
{
    if (*ms > KS_DAYS(36500))
        *ms = KS_DAYS(36500);
}

static ks_task *retry_new(struct session *s, const char *name, const ks_val *input,
                          const ks_retry *how)
{
    ks_task *task = task_new(s, TASK_RETRY);
    task->retry = ks_alloc(&s->mem, sizeof *task->retry);
    *task->retry = (struct retry){.policy = *how,
                                  .name = arena_strndup(&s->mem, name, strlen(name)),
                                  .input = input,
                                  .begun_ms = s->orch.now_ms};
    clamp(&task->retry->policy.first_ms);
    clamp(&task->retry->policy.max_ms);
    clamp(&task->retry->policy.total_ms);
    clamp(&task->retry->policy.timeout_ms);
    clamp(&task->retry->policy.heartbeat_ms);
    if (how->final_errors)
        task->retry->policy.final_errors = arena_strndup(&s->mem, how->final_errors,
                                                         strlen(how->final_errors));
    return task;
}

ks_task *task_retry(struct session *s, const char *activity, const ks_val *input,
                    const ks_retry *how)
{
    ks_task *task = retry_new(s, activity, input, how);
    attempt_begin(task);
    return task;
}

void task_retry_stop(ks_task *task)
{
    struct retry *r = task->retry;
    ks_task *attempt = r->attempt, *timers[] = {r->limit, r->pause};
    r->attempt = NULL;
    r->limit = NULL;
    r->pause = NULL;
    if (attempt && !session_lacks(task->session,
                                  &(struct event){.type = EVENT_TASK_ABANDONED, .id = attempt->id}))
        task_abandon(attempt);
    for (size_t i = 0; i < 2; i++)
        if (timers[i])
            ks_cancel(timers[i]);
}

ks_task *ks_call_with(ks_orch *o, const char *activity, const ks_val *input, const ks_retry *how)
{
    struct session *s = task_session_of(o);
    task_check_activity(s, activity, input);
    return task_retry(s, activity, input, how);
}

ks_task *ks_sub_with(ks_orch *o, const char *orchestration, const char *id, const ks_val *input,
                     const ks_retry *how)
{
    struct session *s = task_session_of(o);
    task_check_sub(s, orchestration, id, input);
    ks_task *task = retry_new(s, orchestration, input, how);
    task->retry->is_child = true;
    if (id)
        task->retry->id = arena_strndup(&s->mem, id, strlen(id));
    attempt_begin(task);
    return task;
}
