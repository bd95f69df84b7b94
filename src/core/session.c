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

/* The number, in the whole history, of the event that the replay has come to. */
static size_t event_number(const struct session *s)
{
    const struct buf *history = &s->inst->orchestration.history;
    struct reader r = reader_of(history->at, history->len);
    size_t n = 0;
    for (; r.at < s->history.at && !r.is_bad; n++) {
        struct event e;
        event_decode(&r, NULL, &e);
    }
    return n;
}

static const ks_val *diverged(struct session *s, const char *history, const char *code)
{
    s->has_diverged = true;
    return ks_fail(
        &s->mem, KS_ERROR_NON_DETERMINISM,
        "the code is not the one that made the history: at event %zu history has %s, and "
        "the code asked for %s",
        event_number(s), history, code);
}

static void over(struct session *s, const ks_val *result)
{
    s->result = result;
    s->is_over = true;
    if (s->is_on_coroutine)
        session_fail(s, result);
}

static bool is_same_command(const struct event *had, const struct event *asked)
{
    return had->type == asked->type && had->id == asked->id && had->message == asked->message &&
           str_is(had->target, asked->target) && str_is_nocase(had->name, asked->name) &&
           (had->type != EVENT_LOCK_REQUESTED || val_equal(had->val, asked->val));
}

bool session_command(struct session *s, struct event *asked)
{
    if (s->is_over)
        return false;
    if (!s->is_replaying) {
        event_encode(s->outcome->log, asked);
        return true;
    }
    struct event had = {0};
    struct reader before = s->history;
    if (reader_is_at_end(&s->history)) {
        over(s, diverged(s, "nothing more", event_describe(&s->mem, asked)));
        return false;
    }
    event_decode(&s->history, &s->mem, &had);
    if (!is_same_command(&had, asked)) {
        s->history = before;
        over(s, diverged(s, event_describe(&s->mem, &had), event_describe(&s->mem, asked)));
        return false;
    }
    asked->val = had.val;
    asked->due_ms = had.due_ms;
    return false;
}

bool session_lacks(const struct session *s, const struct event *asked)
{
    struct reader r = s->history;
    struct event had = {0};
    if (!s->is_replaying)
        return false;
    if (!reader_is_at_end(&r))
        event_decode(&r, NULL, &had);
    return had.type != asked->type || had.id != asked->id;
}

size_t session_place(const struct session *s)
{
    const struct buf *history = &s->inst->orchestration.history;
    if (s->is_replaying)
        return (size_t)(s->history.at - (const uint8_t *)history->at);
    return history->len + s->outcome->log->len - s->turn_bytes;
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
    const ks_function *fn = app_orchestration(s->app, str_of(s->inst->name),
                                              str_of(s->orch.version));
    if (!fn)
        session_fail(s, ks_fail(&s->mem, KS_ERROR_MISSING_FUNCTION,
                                "the app has no orchestration \"%s\"%s%s any more", s->inst->name,
                                s->orch.version[0] ? " of version " : "", s->orch.version));
    const ks_val *result = fn->orchestration.run(&s->orch);
    const char *why = val_check(result);
    if (why)
        result = ks_fail(&s->mem, KS_ERROR_BAD_SEND, "%s", why);
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
    s->orch = (ks_orch){.mem = &s->mem, .out = &s->out, .id = inst->id, .version = ""};
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

size_t session_bytes(const struct session *s)
{
    return s->mem.used_bytes + COROUTINE_TOUCHED_BYTES + s->task_cap * sizeof s->tasks[0];
}

struct session_links *session_links(struct session *s)
{
    return &s->links;
}

static void complete_by_id(struct session *s, uint32_t id, const ks_val *result)
{
    /* A result nobody asked for does not get here: see instance_pending(). In replay, code that
     * asked for less than history has shows itself at the next command or here. */
    uint32_t i = id - s->first_task;
    if (i < s->task_count && !s->tasks[i]->is_done)
        task_complete(s->tasks[i], result);
}

/* ---- what happens to it ---- */

static void begin(struct session *s, const struct event *e)
{
    const ks_val *parent = ks_get(ks_get(e->details, "parent"), "id");
    s->begun_ms = e->time_ms;
    s->details = e->details;
    s->status = ks_get(e->details, "status");
    s->first_task = (uint32_t)ks_int(ks_get(e->details, "task"));
    s->draws = (uint64_t)ks_int(ks_get(e->details, "draws"));
    s->orch.input = e->val;
    s->orch.version = ks_text(ks_get(e->details, "version"));
    s->orch.tags = ks_get(e->details, "tags");
    s->orch.parent_id = parent ? ks_text(parent) : NULL;
}

static void hold(struct session *s, const struct event *e)
{
    struct held_event *held = ks_alloc(&s->mem, sizeof *held);
    held->event = *e;
    held->event.name = (struct str){arena_strndup(&s->mem, e->name.at, e->name.len), e->name.len};
    if (s->last_held)
        s->last_held->next = held;
    else
        s->first_held = held;
    s->last_held = held;
}

static void deliver(struct session *s, const struct event *e);

static void resume(struct session *s)
{
    s->is_suspended = false;
    while (s->first_held && !s->is_over) {
        struct held_event *held = s->first_held;
        s->first_held = held->next;
        if (!s->first_held)
            s->last_held = NULL;
        held->event.time_ms = s->orch.now_ms;
        deliver(s, &held->event);
    }
}

/* What an event means to the tasks. */
static void happen(struct session *s, const struct event *e)
{
    switch (e->type) {
    case EVENT_EXECUTION_STARTED:
        begin(s, e);
        s->is_started = true;
        break;
    case EVENT_EXECUTION_SCHEDULED:
        begin(s, e);
        break;
    case EVENT_TIMER_FIRED:
        if (e->id == EVENT_ID_START)
            s->is_started = true;
        else
            complete_by_id(s, e->id, ks_null(&s->mem));
        break;
    case EVENT_TASK_COMPLETED:
    case EVENT_SUB_ORCHESTRATION_COMPLETED:
    case EVENT_ENTITY_RESPONDED:
        complete_by_id(s, e->id, e->val);
        break;
    case EVENT_EVENT_RAISED:
        task_event_came(s, e->name, e->val);
        break;
    case EVENT_EXECUTION_RESUMED:
    case EVENT_EXECUTION_SUSPENDED:
    case EVENT_EXECUTION_QUARANTINED:
    case EVENT_EXECUTION_TERMINATED:
    case EVENT_EXECUTION_REWOUND:
        break;
    case EVENT_TASK_SCHEDULED:
    case EVENT_TASK_RAN:
    case EVENT_TIMER_CREATED:
    case EVENT_TIMER_CANCELED:
    case EVENT_MESSAGE_SENT:
    case EVENT_SUB_ORCHESTRATION_CREATED:
    case EVENT_ENTITY_CALLED:
    case EVENT_LOCK_REQUESTED:
    case EVENT_LOCK_RELEASED:
    case EVENT_STATUS_SET:
    case EVENT_CONTINUED_AS_NEW:
    case EVENT_EXECUTION_COMPLETED:
    case EVENT_TASK_ABANDONED:
        assert(false && "a command was delivered");
    }
}

/* Something happened; the code runs as far as it can. */
static void deliver(struct session *s, const struct event *e)
{
    s->orch.now_ms = e->time_ms;
    s->orch.is_replaying = s->is_replaying;
    if (e->type == EVENT_EXECUTION_SUSPENDED || e->type == EVENT_EXECUTION_QUARANTINED) {
        s->is_suspended = true;
    } else if (e->type == EVENT_EXECUTION_RESUMED) {
        resume(s);
    } else if (s->is_suspended) {
        hold(s, e);
    } else {
        happen(s, e);
        if (s->is_started && !s->is_over && (!s->awaited || s->awaited->is_done)) {
            s->is_on_coroutine = true;
            coroutine_resume(s->coroutine);
            s->is_on_coroutine = false;
        }
    }
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
        over(s, diverged(s, event_describe(&s->mem, &e), "nothing"));
    }
    /* A replay of a run that was not over cannot end, but for want of the function. */
    bool is_missing = s->is_over &&
                      strcmp(ks_error_type(s->result), KS_ERROR_MISSING_FUNCTION) == 0;
    if (s->is_over && !s->has_diverged && !is_missing) {
        s->is_continued = false;
        s->result = diverged(s, describe_next(s), "its end");
    }
    s->is_replaying = false;
}

/* ---- a turn ---- */

/* The run begins again with a new input, and the events that nobody has waited for yet. */
static void continue_as_new(struct session *s, struct outcome *outcome)
{
    ks_arena *mem = &s->mem;
    ks_val *details = start_details_without(mem, s->details, (const char *const[]){NULL});
    /* Numbers go on, so that no late answer is taken for one of the new run. */
    ks_put(mem, details, "task", ks_integer(mem, s->first_task + s->task_count));
    ks_put(mem, details, "draws", ks_integer(mem, (int64_t)s->draws));
    if (s->status)
        ks_put(mem, details, "status", s->status);
    event_encode(outcome->log, &(struct event){.type = EVENT_CONTINUED_AS_NEW, .val = s->result});
    event_encode(outcome->log, &(struct event){.type = EVENT_EXECUTION_SCHEDULED,
                                               .time_ms = s->orch.now_ms,
                                               .due_ms = s->orch.now_ms,
                                               .val = s->result,
                                               .details = details});
    for (struct early_event *early = s->first_early; early; early = early->next)
        event_encode(outcome->log, &(struct event){.type = EVENT_EVENT_RAISED,
                                                   .time_ms = s->orch.now_ms,
                                                   .name = early->name,
                                                   .val = early->val});
    for (struct held_event *held = s->first_held; held; held = held->next)
        if (held->event.type == EVENT_EVENT_RAISED)
            event_encode(outcome->log, &held->event);
}

static void end_turn(struct session *s, struct outcome *outcome, size_t log_len)
{
    if (s->out.error) {
        /* Nothing of the turn was, but that it failed. */
        s->result = ks_fail(&s->mem, KS_ERROR_BAD_SEND, "%s", s->out.error);
        s->is_over = true;
        s->is_continued = false;
        s->out.sent = (struct message_list){0};
        outcome->log->len = log_len;
        outcome->scheduled_count = 0;
    }
    if (s->is_continued)
        continue_as_new(s, outcome);
    else if (s->is_over)
        event_encode(outcome->log,
                     &(struct event){.type = EVENT_EXECUTION_COMPLETED, .val = s->result});
    outbox_append(&outcome->out, &s->out);
    s->out = (ks_outbox){.session = s};
    s->outcome = NULL;
}

void session_turn(struct session *s, const struct event *incoming, struct outcome *outcome)
{
    assert(!s->is_over);
    s->turn_bytes = outcome->log->len;
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
        own.details = val_copy(&s->mem, incoming->details);
        deliver(s, &own);
    }
    end_turn(s, outcome, log_len);
}

bool session_is_over(const struct session *s)
{
    return s->is_over;
}
