#include "core/session_internal.h"

#include "base/die.h"

#include <assert.h>
#include <stdlib.h>

enum { ARENA_FIRST = 2048 };

void outcome_init(struct outcome *o, struct buf *log, ks_arena *pass_mem)
{
    *o = (struct outcome){.log = log, .out.mem = pass_mem, .mem = pass_mem};
}

/* ---- the code's side: on the coroutine's stack ---- */

_Noreturn void session_fail(struct session *s, const ks_val *error)
{
    s->result = error;
    s->is_over = true;
    for (;;)
        coroutine_suspend(s->coroutine); /* it is never resumed */
}

void session_wait(struct session *s, struct ks_task *task)
{
    while (!task->is_done) {
        s->awaited = task;
        coroutine_suspend(s->coroutine);
    }
    s->awaited = NULL;
}

static const ks_val *diverged(struct session *s, const char *history, const char *code)
{
    s->has_diverged = true;
    return ks_fail(&s->mem, "NonDeterminism",
                   "the code is not the one that made the history: at byte %zu history has %s, the "
                   "code asked for %s",
                   (size_t)(s->history.at - (const uint8_t *)s->inst->orchestration.history.at),
                   history, code);
}

static bool is_same_command(const struct event *had, const struct event *asked)
{
    return had->type == asked->type && had->id == asked->id && had->message == asked->message &&
           str_is(had->target, asked->target) && str_is_nocase(had->name, asked->name);
}

bool session_command(struct session *s, struct event *asked)
{
    if (!s->is_replaying) {
        event_encode(s->outcome->log, asked);
        return true;
    }
    struct event had = {0};
    struct reader before = s->history;
    if (reader_is_at_end(&s->history)) {
        session_fail(s, diverged(s, "nothing more", event_describe(&s->mem, asked)));
    }
    event_decode(&s->history, &s->mem, &had);
    if (!is_same_command(&had, asked)) {
        s->history = before;
        session_fail(s, diverged(s, event_describe(&s->mem, &had), event_describe(&s->mem, asked)));
    }
    asked->val = had.val;
    asked->time_ms = had.time_ms;
    return false;
}

bool session_sends(struct session *s, const struct message *m)
{
    struct event sent = {.type = EVENT_MESSAGE_SENT,
                         .message = (uint8_t)m->type,
                         .target = m->target,
                         .name = m->name,
                         .val = m->val};
    return session_command(s, &sent);
}

bool session_is_replaying(const struct session *s)
{
    return s->is_replaying;
}

static void run(void *arg)
{
    struct session *s = arg;
    const ks_function *fn = app_orchestration(s->app, str_of(s->inst->name));
    if (!fn)
        session_fail(s, ks_fail(&s->mem, "MissingFunction",
                                "the app has no orchestration \"%s\" any more", s->inst->name));
    const ks_val *result = fn->orchestration(&s->orch);
    const char *why = val_check(result);
    if (why)
        result = ks_fail(&s->mem, "BadSend", "%s", why);
    s->result = result ? result : ks_null(&s->mem);
    s->is_over = true;
}

/* ---- the engine's side ---- */

struct session *session_new(struct instance *inst, const struct app *app,
                            struct coroutine_pool *pool)
{
    assert(inst->kind == INSTANCE_ORCHESTRATION && !inst->orchestration.session);
    struct session *s = die_zalloc(sizeof *s);
    arena_init(&s->mem, ARENA_FIRST);
    s->inst = inst;
    s->app = app;
    s->pool = pool;
    s->out.session = s;
    s->orch = (ks_orch){.mem = &s->mem, .out = &s->out, .id = inst->id};
    s->history = reader_of(inst->orchestration.history.at, inst->orchestration.history.len);
    s->is_replaying = inst->orchestration.history.len > 0;
    s->coroutine = coroutine_new(pool, run, s);
    inst->orchestration.session = s;
    return s;
}

void session_free(struct session *s)
{
    s->inst->orchestration.session = NULL;
    coroutine_free(s->pool, s->coroutine);
    arena_free(&s->mem);
    free(s->tasks);
    free(s);
}

struct instance *session_instance(const struct session *s)
{
    return s->inst;
}

struct session_links *session_links(struct session *s)
{
    return &s->links;
}

static void complete_by_id(struct session *s, uint32_t id, const ks_val *result)
{
    /* A result nobody asked for does not get here: see instance_pending(). In replay, code that
     * asked for less than history has shows itself at the next command or here. */
    if (id < s->task_count && s->tasks[id] && !s->tasks[id]->is_done)
        task_complete(s->tasks[id], result);
}

/* Something happened; the code runs as far as it can. */
static void deliver(struct session *s, const struct event *e)
{
    s->orch.now_ms = e->time_ms;
    s->orch.is_replaying = s->is_replaying;
    switch (e->type) {
    case EVENT_EXECUTION_STARTED:
        s->orch.input = e->val;
        break;
    case EVENT_TASK_COMPLETED:
        complete_by_id(s, e->id, e->val);
        break;
    case EVENT_TIMER_FIRED:
        complete_by_id(s, e->id, ks_null(&s->mem));
        break;
    case EVENT_EVENT_RAISED:
        task_event_came(s, e->name, e->val);
        break;
    case EVENT_TASK_SCHEDULED:
    case EVENT_TASK_RAN:
    case EVENT_TIMER_CREATED:
    case EVENT_TIMER_CANCELED:
    case EVENT_MESSAGE_SENT:
    case EVENT_EXECUTION_COMPLETED:
        assert(false && "a command was delivered");
    }
    if (!s->is_over && (!s->awaited || s->awaited->is_done))
        coroutine_resume(s->coroutine);
}

/* What history has at the place where the code is. */
static const char *describe_next(struct session *s)
{
    struct reader r = s->history;
    struct event e;
    if (reader_is_at_end(&r))
        return "more to come";
    event_decode(&r, &s->mem, &e);
    return event_describe(&s->mem, &e);
}

static void replay(struct session *s)
{
    while (!reader_is_at_end(&s->history) && !s->is_over) {
        struct reader before = s->history;
        struct event e;
        event_decode(&s->history, &s->mem, &e);
        if (!s->history.is_bad && event_is_incoming(e.type)) {
            deliver(s, &e);
            continue;
        }
        s->history = before;
        s->result = diverged(s, event_describe(&s->mem, &e), "nothing");
        s->is_over = true;
    }
    /* A replay of a run that was not over cannot end, but for want of the function. */
    bool is_missing = s->is_over && strcmp(ks_error_type(s->result), "MissingFunction") == 0;
    if (s->is_over && !s->has_diverged && !is_missing)
        s->result = diverged(s, describe_next(s), "its end");
    s->is_replaying = false;
}

void session_turn(struct session *s, const struct event *incoming, struct outcome *outcome)
{
    assert(!s->is_over);
    event_encode(outcome->log, incoming);
    size_t log_len = outcome->log->len;
    s->outcome = outcome;
    s->out.mem = outcome->mem;
    if (s->is_replaying)
        replay(s);
    if (!s->is_over) {
        /* What is delivered stays with the code: a copy in its own arena. */
        struct event own = *incoming;
        own.val = val_copy(&s->mem, incoming->val);
        deliver(s, &own);
    }
    if (s->out.error) {
        /* Nothing of the turn was, but that it failed. */
        s->result = ks_fail(&s->mem, "BadSend", "%s", s->out.error);
        s->is_over = true;
        s->out.sent = (struct message_list){0};
        outcome->log->len = log_len;
        outcome->scheduled_count = 0;
    }
    if (s->is_over) {
        struct event end = {.type = EVENT_EXECUTION_COMPLETED, .val = s->result};
        event_encode(outcome->log, &end);
    }
    outbox_append(&outcome->out, &s->out);
    s->out = (ks_outbox){.session = s};
    s->outcome = NULL;
}
