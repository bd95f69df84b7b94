/* One message, one step: find or make the instance, run it, keep what it changed, queue what it
 * sent. */
#include "base/die.h"
#include "core/entity.h"
#include "run/partition_internal.h"

#include <assert.h>

/* ---- what a step leaves behind ---- */

static void change_add(struct partition *p, struct instance *inst, enum change_what what,
                       size_t log_start)
{
    if (p->change_count == p->change_cap) {
        p->change_cap = p->change_cap ? p->change_cap * 2 : 64;
        p->changes = die_realloc(p->changes, p->change_cap * sizeof p->changes[0]);
        p->change_starts = die_realloc(p->change_starts, p->change_cap * sizeof(size_t));
    }
    p->change_starts[p->change_count] = log_start;
    p->changes[p->change_count++] = (struct change){.inst = inst,
                                                    .what = what,
                                                    .log = {NULL, p->log.len - log_start}};
}

void pass_add_lines(struct partition *p, ks_outbox *out)
{
    if (!out->first_line)
        return;
    if (p->last_line)
        p->last_line->next = out->first_line;
    else
        p->first_line = out->first_line;
    p->last_line = out->last_line;
}

static void keep_sends(struct partition *p, struct outcome *outcome)
{
    message_append_all(&p->queue, &outcome->out.sent);
    pass_add_lines(p, &outcome->out);
}

static void refuse(struct partition *p, const struct message *m, const char *why)
{
    ks_outbox out = {.mem = &p->pass_mem};
    ks_log(&out, "\"%.*s\" for \"%.*s\" was not taken: %s", (int)m->name.len, m->name.at,
           (int)m->target.len, m->target.at, why);
    pass_add_lines(p, &out);
}

/* ---- orchestrations ---- */

static void turn(struct partition *p, struct instance *inst, struct event *e, enum change_what what)
{
    size_t start = p->log.len;
    struct outcome outcome;
    outcome_init(&outcome, &p->log, &p->pass_mem);
    int64_t last_ms = inst->orchestration.last_ms;
    e->time_ms = p->now_ms > last_ms ? p->now_ms : last_ms;
    struct session *session = resident_session(p, inst);
    session_turn(session, e, &outcome);
    if (instance_apply(inst, p->log.at + start, p->log.len - start, &p->step_mem) < 0)
        die("bug: the history of %s does not follow from what it did", inst->id);
    for (size_t i = 0; i < outcome.scheduled_count && inst->status == KS_RUNNING; i++)
        activity_schedule(p, inst, &outcome.scheduled[i]);
    if (inst->status == KS_FAILED) {
        const ks_val *error = instance_output(inst, &p->pass_mem);
        ks_log(&outcome.out, "%s %s failed: %s: %s", inst->name, inst->id, ks_error_type(error),
               ks_text(error));
    }
    if (inst->status != KS_RUNNING)
        resident_session_over(p, session);
    change_add(p, inst, what, start);
    resident_changed(p, inst);
    keep_sends(p, &outcome);
}

static void step_start(struct partition *p, const struct message *m)
{
    struct instance *inst = resident_find(p, m->target);
    if (inst && inst->status == KS_RUNNING) {
        refuse(p, m, "an instance of that id is running");
        return;
    }
    if (inst) {
        change_add(p, inst, CHANGE_DELETED, p->log.len);
        resident_delete(p, inst);
    }
    inst = resident_create(p, INSTANCE_ORCHESTRATION, m->target, m->name);
    turn(p, inst, &(struct event){.type = EVENT_EXECUTION_STARTED, .val = m->val}, CHANGE_CREATED);
}

static void step_event(struct partition *p, const struct message *m)
{
    struct instance *inst = resident_find(p, m->target);
    if (!inst || inst->status != KS_RUNNING) {
        refuse(p, m, inst ? "the instance is over" : "there is no such instance");
        return;
    }
    turn(p, inst, &(struct event){.type = EVENT_EVENT_RAISED, .name = m->name, .val = m->val},
         CHANGE_GOES_ON);
}

static void queue_sent(struct partition *p, const struct message *result)
{
    struct reader r = reader_of(result->name.at, result->name.len);
    while (!reader_is_at_end(&r)) {
        struct message *m = message_decode(&r, &p->pass_mem);
        if (!m)
            die("bug: what an activity sent cannot be read");
        message_append(&p->queue, m);
    }
    ks_outbox logged = {.mem = &p->pass_mem};
    r = reader_of(result->target.at, result->target.len);
    while (!reader_is_at_end(&r)) {
        struct str line = read_string(&r);
        ks_log(&logged, "%.*s", (int)line.len, line.at);
    }
    pass_add_lines(p, &logged);
}

/* A result nobody waits for (any more) is a repetition, or too late. */
static void step_result(struct partition *p, const struct message *m)
{
    struct instance *inst = resident_find_uid(p, m->uid);
    if (!inst || inst->kind != INSTANCE_ORCHESTRATION || inst->status != KS_RUNNING)
        return;
    const struct pending *pending = instance_pending(inst, m->task_id);
    if (!pending || !pending->is_activity)
        return;
    queue_sent(p, m);
    turn(p, inst, &(struct event){.type = EVENT_TASK_COMPLETED, .id = m->task_id, .val = m->val},
         CHANGE_GOES_ON);
}

/* ---- entities ---- */

static void step_signal(struct partition *p, const struct message *m)
{
    struct str name, key;
    if (!entity_id_parts(m->target, &name, &key))
        die("bug: an entity is called %.*s", (int)m->target.len, m->target.at);
    struct instance *inst = resident_find(p, m->target);
    bool is_new = !inst;
    if (is_new)
        inst = resident_create(p, INSTANCE_ENTITY, m->target, name);
    size_t start = p->log.len;
    struct outcome outcome;
    outcome_init(&outcome, &p->log, &p->pass_mem);
    struct entity_result result = entity_step(inst, p->app, m, p->now_ms, &p->step_mem, &outcome);
    keep_sends(p, &outcome);
    if (is_new && (ks_is_error(result.val) || result.is_deleted)) {
        /* It never was. */
        table_remove(&p->table, inst);
        instance_free(inst);
        p->log.len = start;
        return;
    }
    if (ks_is_error(result.val) || (p->log.len == start && !is_new && !result.is_deleted))
        return; /* nothing changed */
    if (result.is_deleted) {
        p->log.len = start;
        change_add(p, inst, CHANGE_DELETED, start);
        resident_delete(p, inst);
        return;
    }
    instance_note(inst, p->log.at + start, p->log.len - start);
    change_add(p, inst, is_new ? CHANGE_CREATED : CHANGE_GOES_ON, start);
    resident_changed(p, inst);
}

/* ---- timers ---- */

static bool due_timer(const struct instance *inst, int64_t now_ms, uint32_t *ret_id)
{
    const struct pending_list *list = &inst->orchestration.pending;
    const struct pending *first = NULL;
    for (uint32_t i = 0; i < list->len; i++) {
        const struct pending *p = &list->at[i];
        if (!p->is_done && !p->is_activity && p->due_ms <= now_ms &&
            (!first || p->due_ms < first->due_ms))
            first = p;
    }
    if (first)
        *ret_id = first->id;
    return first;
}

/* Fires the first timer that is due; an entity that is due goes. */
static void step_timer(struct partition *p, const struct message *m)
{
    uint32_t id;
    struct instance *inst = resident_find_uid(p, m->uid);
    if (!inst || inst->due_ms > p->now_ms)
        return;
    if (inst->kind == INSTANCE_ENTITY) {
        change_add(p, inst, CHANGE_DELETED, p->log.len);
        resident_delete(p, inst);
    } else if (due_timer(inst, p->now_ms, &id)) {
        turn(p, inst, &(struct event){.type = EVENT_TIMER_FIRED, .id = id}, CHANGE_GOES_ON);
    }
}

void step_due_timers(struct partition *p, struct instance *inst)
{
    uint64_t uid = inst->uid;
    while (inst && inst->due_ms <= p->now_ms) {
        struct message m = {.type = MESSAGE_TIMER, .uid = uid};
        step_timer(p, &m);
        p->steps++;
        step_queue(p, false);
        inst = table_find_uid(&p->table, uid);
    }
}

/* ---- the queue ---- */

static void step(struct partition *p, const struct message *m)
{
    switch (m->type) {
    case MESSAGE_START:
        step_start(p, m);
        return;
    case MESSAGE_EVENT:
        step_event(p, m);
        return;
    case MESSAGE_SIGNAL:
        step_signal(p, m);
        return;
    case MESSAGE_TIMER:
        step_timer(p, m);
        return;
    case MESSAGE_RESULT:
        step_result(p, m);
        return;
    }
    die("bug: a message of type %d", (int)m->type);
}

/* Whose code a message had run; for the watchdog. */
static struct str function_of(struct partition *p, const struct message *m)
{
    if (m->type == MESSAGE_START)
        return m->name;
    bool has_target = m->target.len && m->type != MESSAGE_RESULT;
    struct instance *inst = has_target ? table_find(&p->table, m->target)
                                       : table_find_uid(&p->table, m->uid);
    return inst ? str_of(inst->name) : m->target;
}

void step_queue(struct partition *p, bool is_limited)
{
    while (p->queue.first && (!is_limited || partition_has_budget(p))) {
        struct message *m = p->queue.first;
        p->queue.first = m->next;
        if (!m->next)
            p->queue.last = NULL;
        int64_t since_ns = partition_watch_begin(p);
        step(p, m);
        if (partition_is_late(p, since_ns))
            partition_watch_end(p, since_ns, function_of(p, m));
        p->steps++;
        p->stats.steps++;
    }
}
