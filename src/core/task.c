#include "core/session_internal.h"

#include "base/die.h"

#include <assert.h>

/* The public context stands first in its session. */
struct session *task_session_of(ks_orch *o)
{
    return (struct session *)(void *)o;
}

ks_task *task_new(struct session *s, enum task_kind kind)
{
    ks_task *task = ks_alloc(&s->mem, sizeof *task);
    task->session = s;
    task->kind = kind;
    return task;
}

/* Takes the next id and makes the task findable by it. */
void task_number(ks_task *task)
{
    struct session *s = task->session;
    if (s->task_count == s->task_cap) {
        s->task_cap = s->task_cap ? s->task_cap * 2 : 4;
        s->tasks = die_realloc(s->tasks, s->task_cap * sizeof s->tasks[0]);
    }
    task->id = s->first_task + s->task_count;
    s->tasks[s->task_count++] = task;
}

static void parent_child_done(ks_task *parent, ks_task *child)
{
    if (parent->is_done)
        return;
    if (parent->kind == TASK_RETRY) {
        task_retry_child_done(parent, child);
        return;
    }
    if (parent->kind == TASK_HTTP) {
        task_http_child_done(parent, child);
        return;
    }
    if (parent->kind == TASK_ANY) {
        parent->winner = child;
        task_complete(parent, child->result);
        return;
    }
    if (--parent->children_left > 0)
        return;
    ks_arena *mem = &parent->session->mem;
    ks_val *results = ks_array(mem);
    const ks_val *failed = NULL;
    for (size_t i = 0; i < parent->child_count; i++) {
        ks_push(mem, results, parent->children[i]->result);
        if (!failed && ks_is_error(parent->children[i]->result))
            failed = parent->children[i]->result;
    }
    task_complete(parent, failed ? failed : results);
}

void task_complete(ks_task *task, const ks_val *result)
{
    assert(!task->is_done);
    task->is_done = true;
    task->result = result;
    if (task->kind == TASK_LOCK)
        task->session->has_locks = !ks_is_error(result);
    for (struct task_parent *p = task->parents; p; p = p->next)
        parent_child_done(p->task, task);
}

void task_parent_add(ks_task *child, ks_task *parent)
{
    struct task_parent *link = arena_alloc(&child->session->mem, sizeof *link);
    *link = (struct task_parent){.task = parent, .next = child->parents};
    child->parents = link;
}

/* ---- activities ---- */

static void schedule(struct session *s, const struct event *e, const ks_val *input)
{
    struct outcome *o = s->outcome;
    if (o->scheduled_count == o->scheduled_cap) {
        size_t cap = o->scheduled_cap ? o->scheduled_cap * 2 : 4;
        struct event *more = arena_alloc(o->mem, cap * sizeof *more);
        if (o->scheduled_count)
            memcpy(more, o->scheduled, o->scheduled_count * sizeof *more);
        o->scheduled = more;
        o->scheduled_cap = cap;
    }
    struct event own = *e;
    own.name = (struct str){arena_strndup(o->mem, e->name.at, e->name.len), e->name.len};
    own.val = val_copy(o->mem, input);
    own.details = val_copy(o->mem, e->details);
    o->scheduled[o->scheduled_count++] = own;
}

char *session_activity_key(ks_arena *mem, const struct instance *inst, uint32_t task_id)
{
    /* With the uid, since an id may be used again for another run. */
    return ks_format(mem, "%s:%llx:%u", inst->id, (unsigned long long)inst->uid, task_id);
}

/* Its sends count only if it did not fail. */
static const ks_val *run_inline(struct session *s, const ks_function *fn, uint32_t key,
                                const ks_val *input)
{
    ks_outbox out = {.mem = s->outcome->mem};
    ks_activity a = {.mem = &s->mem,
                     .out = &out,
                     .settings = s->app->settings,
                     .id = s->inst->id,
                     .key = session_activity_key(&s->mem, s->inst, key),
                     .input = input,
                     .now_ms = s->orch.now_ms};
    const ks_val *result = fn->activity(&a);
    const char *why = out.error ? out.error : val_check(result);
    if (why)
        result = ks_fail(&s->mem, KS_ERROR_BAD_SEND, "%s", why);
    if (!ks_is_error(result))
        outbox_append(&s->out, &out);
    return result ? result : ks_null(&s->mem);
}

static void call_inline(ks_task *task, const ks_function *fn, const ks_val *input, uint32_t key)
{
    struct session *s = task->session;
    struct event ran = {.type = EVENT_TASK_RAN, .id = task->id, .name = str_of(fn->name)};
    if (!s->is_replaying)
        ran.val = run_inline(s, fn, key, input);
    session_command(s, &ran);
    if (!s->is_over)
        task_complete(task, ran.val);
}

ks_task *task_call_once(struct session *s, const char *activity, const ks_val *input,
                        struct retry *r)
{
    const ks_function *fn = app_activity(s->app, str_of(activity));
    ks_task *task = task_new(s, TASK_ACTIVITY);
    task_number(task);
    if (fn->kind == KS_FN_ACTIVITY_INLINE) {
        call_inline(task, fn, input, r && r->attempts > 1 ? r->first_id : task->id);
        return task;
    }
    struct event e = {.type = EVENT_TASK_SCHEDULED, .id = task->id, .name = str_of(fn->name)};
    if (r && r->policy.heartbeat_ms > 0)
        e.details = ks_put(&s->mem, ks_object(&s->mem), "heartbeat",
                           ks_integer(&s->mem, r->policy.heartbeat_ms));
    if (task_attempt(s, &e, &input, r))
        schedule(s, &e, input);
    return task;
}

/* On the coroutine: what cannot be asked for fails the orchestration. */
void task_check_input(struct session *s, const char *name, const ks_val *input)
{
    const char *why = val_check(input);
    if (why)
        session_fail(s, ks_fail(&s->mem, KS_ERROR_BAD_SEND, "the input of \"%s\": %s", name, why));
}

void task_check_activity(struct session *s, const char *activity, const ks_val *input)
{
    if (!app_activity(s->app, str_of(activity)))
        session_fail(s, ks_fail(&s->mem, KS_ERROR_MISSING_FUNCTION,
                                "the app has no activity \"%s\"", activity));
    task_check_input(s, activity, input);
}

ks_task *ks_call(ks_orch *o, const char *activity, const ks_val *input)
{
    struct session *s = task_session_of(o);
    task_check_activity(s, activity, input);
    return task_call_once(s, activity, input, NULL);
}

/* ---- timers ---- */

ks_task *task_timer_new(struct session *s, int64_t due_ms)
{
    ks_task *task = task_new(s, TASK_TIMER);
    task_number(task);
    session_command(s,
                    &(struct event){.type = EVENT_TIMER_CREATED, .id = task->id, .due_ms = due_ms});
    return task;
}

ks_task *ks_timer(ks_orch *o, int64_t due_ms)
{
    return task_timer_new(task_session_of(o), due_ms);
}

/* ---- events ---- */

ks_task *ks_event(ks_orch *o, const char *name)
{
    struct session *s = task_session_of(o);
    ks_task *task = task_new(s, TASK_EVENT);
    task->name = (struct str){arena_strndup(&s->mem, name, strlen(name)), strlen(name)};
    struct early_event *before = NULL;
    for (struct early_event *e = s->first_early; e; before = e, e = e->next) {
        if (!str_is_nocase(e->name, task->name))
            continue;
        *(before ? &before->next : &s->first_early) = e->next;
        if (s->last_early == e)
            s->last_early = before;
        task_complete(task, e->val);
        return task;
    }
    if (s->last_waiting)
        s->last_waiting->next_waiting = task;
    else
        s->first_waiting = task;
    s->last_waiting = task;
    return task;
}

static void stop_waiting(struct session *s, ks_task *task, ks_task *before)
{
    *(before ? &before->next_waiting : &s->first_waiting) = task->next_waiting;
    if (s->last_waiting == task)
        s->last_waiting = before;
}

void task_event_came(struct session *s, struct str name, const ks_val *val)
{
    ks_task *before = NULL;
    for (ks_task *task = s->first_waiting; task; before = task, task = task->next_waiting) {
        if (!str_is_nocase(task->name, name))
            continue;
        stop_waiting(s, task, before);
        task_complete(task, val);
        return;
    }
    struct early_event *early = ks_alloc(&s->mem, sizeof *early);
    early->name = (struct str){arena_strndup(&s->mem, name.at, name.len), name.len};
    early->val = val;
    if (s->last_early)
        s->last_early->next = early;
    else
        s->first_early = early;
    s->last_early = early;
}

static void stop_waiting_for_event(ks_task *task)
{
    struct session *s = task->session;
    ks_task *before = NULL;
    for (ks_task *t = s->first_waiting; t != task; t = t->next_waiting)
        before = t;
    stop_waiting(s, task, before);
}

/* The task whose end is the first that canceling this one writes. */
static const ks_task *first_to_end(const ks_task *task)
{
    const struct retry *r = task->retry;
    const struct http_call *call = task->http;
    if (task->kind == TASK_RETRY)
        return r->attempt ? r->attempt : r->pause;
    if (task->kind == TASK_HTTP)
        return call->exchange ? first_to_end(call->exchange)
                              : (call->limit ? call->limit : call->pause);
    return task;
}

/* In replay of a history that was made when such a task could not be canceled: it was not. */
static bool was_not_canceled(const ks_task *task)
{
    const ks_task *first = first_to_end(task);
    enum event_type type = first->kind == TASK_TIMER ? EVENT_TIMER_CANCELED : EVENT_TASK_ABANDONED;
    return session_lacks(task->session, &(struct event){.type = type, .id = first->id});
}

static void cancel(ks_task *task)
{
    switch (task->kind) {
    case TASK_TIMER:
        session_command(task->session,
                        &(struct event){.type = EVENT_TIMER_CANCELED, .id = task->id});
        break;
    case TASK_EVENT:
        stop_waiting_for_event(task);
        break;
    case TASK_ACTIVITY:
    case TASK_CHILD:
    case TASK_CALL:
        task_abandon(task);
        break;
    case TASK_RETRY:
        task_retry_stop(task);
        break;
    case TASK_HTTP:
        task_http_stop(task);
        break;
    case TASK_ANY:
    case TASK_ALL:
    case TASK_LOCK:
        assert(false && "these stay as they are");
    }
    task_complete(task,
                  ks_fail(&task->session->mem, KS_ERROR_CANCELED, "the orchestration canceled it"));
}

void ks_cancel(ks_task *task)
{
    bool stays = task->kind == TASK_ANY || task->kind == TASK_ALL || task->kind == TASK_LOCK;
    bool always_could = task->kind == TASK_TIMER || task->kind == TASK_EVENT;
    if (!task->is_done && !stays && (always_could || !was_not_canceled(task)))
        cancel(task);
}

/* ---- composites ---- */

static ks_task *composite_new(ks_orch *o, enum task_kind kind, ks_task *const *tasks, size_t n)
{
    struct session *s = task_session_of(o);
    ks_task *task = task_new(s, kind);
    task->children = arena_memdup(&s->mem, tasks, n * sizeof tasks[0]);
    task->child_count = n;
    task->children_left = n;
    for (size_t i = 0; i < n; i++)
        task_parent_add(tasks[i], task);
    for (size_t i = 0; i < n && !task->is_done; i++)
        if (tasks[i]->is_done)
            parent_child_done(task, tasks[i]);
    if (n == 0)
        task_complete(task, ks_array(&s->mem));
    return task;
}

ks_task *ks_any_of(ks_orch *o, ks_task *const *tasks, size_t n)
{
    return composite_new(o, TASK_ANY, tasks, n);
}

ks_task *ks_all_of(ks_orch *o, ks_task *const *tasks, size_t n)
{
    return composite_new(o, TASK_ALL, tasks, n);
}

/* ---- waiting ---- */

const ks_val *ks_try(ks_task *task)
{
    session_wait(task->session, task);
    return task->result;
}

const ks_val *ks_await(ks_task *task)
{
    const ks_val *result = ks_try(task);
    if (ks_is_error(result))
        session_fail(task->session, result);
    return result;
}

ks_task *ks_winner(ks_task *any)
{
    session_wait(any->session, any);
    return any->winner;
}

const ks_val *ks_await_event(ks_orch *o, const char *name, int64_t until_ms,
                             const ks_val *otherwise)
{
    ks_task *event = ks_event(o, name);
    ks_task *timer = ks_timer(o, until_ms);
    bool came = ks_winner(ks_when_any(o, event, timer)) == event;
    ks_cancel(came ? timer : event);
    return came ? ks_await(event) : otherwise;
}
