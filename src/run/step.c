/* One message, one step: find or make the instance, run it, keep what it changed, queue what it
 * sent. What operators do to instances is in manage.c. */
#include "base/die.h"
#include "core/entity.h"
#include "run/partition_internal.h"

/* ---- what a step leaves behind ---- */

void step_change(struct partition *p, struct instance *inst, enum change_what what,
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

void step_send(struct partition *p, const struct message *m)
{
    message_append(&p->queue, message_copy(&p->pass_mem, m));
}

void step_send_encoded(struct partition *p, struct str messages, const char *what)
{
    struct reader r = reader_of(messages.at, messages.len);
    while (!reader_is_at_end(&r)) {
        struct message *m = message_decode(&r, &p->pass_mem);
        if (!m)
            die("bug: %s cannot be read", what);
        message_append(&p->queue, m);
    }
}

void step_refuse(struct partition *p, const struct message *m, const char *why)
{
    ks_outbox out = {.mem = &p->pass_mem};
    bool is_named = m->type < MESSAGE_TERMINATE;
    struct str what = is_named ? m->name : str_of(message_type_name((uint8_t)m->type));
    ks_log(&out, "\"%.*s\" for \"%.*s\" was not taken: %s", (int)what.len, what.at,
           (int)m->target.len, m->target.at, why);
    pass_add_lines(p, &out);
}

/* Answers whoever waits; operation: of an entity that asked. */
static void respond(struct partition *p, const struct sender *to, const ks_val *answer,
                    const ks_val *operation)
{
    if (!to->id.len)
        return;
    if (to->id.at[0] == '$') {
        p->config.respond(p->config.ctx, to->uid, answer);
        return;
    }
    bool is_entity = to->id.at[0] == '@';
    step_send(p, &(struct message){.type = is_entity ? MESSAGE_SIGNAL : MESSAGE_RESPONSE,
                                   .target = to->id,
                                   .name = is_entity ? val_str(operation) : (struct str){"", 0},
                                   .uid = to->uid,
                                   .task_id = to->task_id,
                                   .val = answer});
}

/* ---- orchestrations ---- */

/* Locks it has or waits for are free again. */
static void unlock(struct partition *p, const struct instance *inst, const ks_val *ids)
{
    for (size_t i = 0; i < ks_len(ids); i++)
        step_send(p, &(struct message){.type = MESSAGE_UNLOCK,
                                       .target = val_str(ks_at(ids, i)),
                                       .from.id = {inst->id, inst->id_len}});
}

static const ks_val *answer_of(struct partition *p, const struct instance *inst)
{
    const ks_val *output = instance_output(inst, &p->pass_mem);
    if (inst->status != KS_TERMINATED)
        return output;
    return ks_fail(&p->pass_mem, KS_ERROR_TERMINATED, "%s was terminated: %s", inst->id,
                   ks_text(output));
}

void step_answer_parent(struct partition *p, const struct instance *inst)
{
    struct sender parent = instance_parent(inst, &p->pass_mem);
    respond(p, &parent, answer_of(p, inst), NULL);
}

static void log_failure(struct partition *p, const struct instance *inst)
{
    ks_outbox out = {.mem = &p->pass_mem};
    const ks_val *error = instance_output(inst, &p->pass_mem);
    ks_log(&out, "%s %s failed: %s: %s", inst->name, inst->id, ks_error_type(error),
           ks_text(error));
    pass_add_lines(p, &out);
}

void step_apply(struct partition *p, struct instance *inst, enum change_what what, size_t log_start)
{
    const ks_val *locks = instance_locks(inst, &p->pass_mem);
    if (instance_apply(inst, p->log.at + log_start, p->log.len - log_start, &p->step_mem) < 0)
        die("bug: the history of %s does not follow from what it did", inst->id);
    step_change(p, inst, what, log_start);
    resident_changed(p, inst);
    if (status_is_final(inst->status))
        locks = instance_locks(inst, &p->pass_mem);
    else if (inst->orchestration.lock_bytes)
        locks = NULL; /* it goes on, and has them */
    unlock(p, inst, locks);
    if (!status_is_final(inst->status))
        return;
    if (inst->status == KS_FAILED)
        log_failure(p, inst);
    step_answer_parent(p, inst);
}

void step_turn(struct partition *p, struct instance *inst, struct event *e, enum change_what what)
{
    size_t start = p->log.len;
    struct outcome outcome;
    outcome_init(&outcome, &p->log, &p->pass_mem);
    int64_t last_ms = inst->orchestration.last_ms;
    e->time_ms = p->now_ms > last_ms ? p->now_ms : last_ms;
    struct session *session = resident_session(p, inst);
    quarantine_begin(p, inst);
    session_turn(session, e, &outcome);
    quarantine_end(p);
    bool is_over = session_is_over(session);
    if (is_over)
        resident_session_over(p, session);
    keep_sends(p, &outcome);
    step_apply(p, inst, what, start);
    for (size_t i = 0; i < outcome.scheduled_count; i++)
        if (instance_pending(inst, outcome.scheduled[i].id)) /* not over, and not canceled */
            activity_schedule(p, inst, &outcome.scheduled[i]);
    resident_trim_sessions(p);
}

static ks_val *start_details(struct partition *p, const struct message *m)
{
    static const char *const of_message[] = {"only_if_new", NULL};
    ks_arena *mem = &p->pass_mem;
    ks_val *details = start_details_without(mem, m->details, of_message);
    const ks_function *newest = app_newest_orchestration(p->app, m->name);
    if (!ks_get(details, "version") && newest && newest->orchestration.version[0])
        ks_put(mem, details, "version", ks_string(mem, newest->orchestration.version));
    if (m->from.id.len) {
        ks_val *parent = ks_object(mem);
        ks_put(mem, parent, "id", ks_string_n(mem, m->from.id.at, m->from.id.len));
        ks_put(mem, parent, "uid", ks_integer(mem, (int64_t)m->from.uid));
        ks_put(mem, parent, "task", ks_integer(mem, m->from.task_id));
        ks_put(mem, details, "parent", parent);
    }
    return details->len ? details : NULL;
}

/* It is not run before it is resumed. */
static void start_aside(struct partition *p, struct instance *inst, struct event *e)
{
    size_t start = p->log.len;
    e->type = EVENT_EXECUTION_SCHEDULED;
    e->time_ms = p->now_ms;
    e->due_ms = e->due_ms > p->now_ms ? e->due_ms : p->now_ms;
    event_encode(&p->log, e);
    event_encode(&p->log, &(struct event){.type = EVENT_EXECUTION_QUARANTINED,
                                          .time_ms = p->now_ms,
                                          .val = ks_string(&p->pass_mem, QUARANTINE_WHY)});
    step_apply(p, inst, CHANGE_CREATED, start);
}

static void step_start(struct partition *p, const struct message *m)
{
    struct instance *inst = resident_find(p, m->target);
    bool is_final = inst && status_is_final(inst->status);
    if (inst && (!is_final || ks_is_true(ks_get(m->details, "only_if_new")))) {
        const char *why = is_final ? "an instance of that id has been"
                                   : "an instance of that id is "
                                     "running";
        step_refuse(p, m, why);
        respond(p, &m->from, ks_fail(&p->pass_mem, KS_ERROR_ALREADY_EXISTS, "%s", why), NULL);
        return;
    }
    if (inst) {
        step_change(p, inst, CHANGE_DELETED, p->log.len);
        resident_delete(p, inst);
    }
    inst = resident_create(p, INSTANCE_ORCHESTRATION, m->target, m->name);
    struct event e = {.type = EVENT_EXECUTION_STARTED,
                      .val = m->val,
                      .details = start_details(p, m)};
    if (m->due_ms > p->now_ms) {
        e.type = EVENT_EXECUTION_SCHEDULED;
        e.due_ms = m->due_ms;
    }
    if (quarantine_takes(p, inst))
        start_aside(p, inst, &e);
    else
        step_turn(p, inst, &e, CHANGE_CREATED);
}

static bool is_alive(const struct instance *inst)
{
    return inst && inst->kind == INSTANCE_ORCHESTRATION && !status_is_final(inst->status);
}

static void step_event(struct partition *p, const struct message *m)
{
    const char *why;
    if (manage_check(p, m, &why) != 0)
        step_refuse(p, m, why);
    else
        step_turn(p, resident_find(p, m->target),
                  &(struct event){.type = EVENT_EVENT_RAISED, .name = m->name, .val = m->val},
                  CHANGE_GOES_ON);
}

static void queue_sent(struct partition *p, const struct message *result)
{
    step_send_encoded(p, result->name, "what an activity sent");
    ks_outbox logged = {.mem = &p->pass_mem};
    struct reader r = reader_of(result->target.at, result->target.len);
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
    const struct pending *pending = is_alive(inst) ? instance_pending(inst, m->task_id) : NULL;
    if (!pending || pending->kind != PENDING_ACTIVITY)
        return;
    queue_sent(p, m);
    step_turn(p, inst,
              &(struct event){.type = EVENT_TASK_COMPLETED, .id = m->task_id, .val = m->val},
              CHANGE_GOES_ON);
}

static void step_response(struct partition *p, const struct message *m)
{
    struct instance *inst = resident_find(p, m->target);
    if (!is_alive(inst) || inst->uid != m->uid)
        return;
    const struct pending *pending = instance_pending(inst, m->task_id);
    if (!pending || pending->kind == PENDING_ACTIVITY || pending->kind == PENDING_TIMER)
        return;
    bool is_child = pending->kind == PENDING_CHILD;
    step_turn(p, inst,
              &(struct event){.type = is_child ? EVENT_SUB_ORCHESTRATION_COMPLETED
                                               : EVENT_ENTITY_RESPONDED,
                              .id = m->task_id,
                              .val = m->val},
              CHANGE_GOES_ON);
}

/* ---- entities ---- */

static struct instance *entity_create(struct partition *p, struct str id)
{
    struct str name, key;
    if (!entity_id_parts(id, &name, &key))
        die("bug: an entity is called %.*s", (int)id.len, id.at);
    return resident_create(p, INSTANCE_ENTITY, id, name);
}

/* An entity is there as long as it has a state, or something is kept for it. */
static bool is_nothing(const struct instance *inst)
{
    const struct aside *aside = inst->entity.aside;
    return inst->entity.doc.root->type == KS_NULL &&
           !(aside && (aside->owner || aside->first || aside->later));
}

static void entity_changed(struct partition *p, struct instance *inst, bool is_new, size_t start)
{
    if (is_nothing(inst)) {
        p->log.len = start;
        if (is_new) {
            resident_forget(p, inst); /* it never was */
            return;
        }
        step_change(p, inst, CHANGE_DELETED, start);
        resident_delete(p, inst);
        return;
    }
    instance_note(inst, p->log.at + start, p->log.len - start);
    step_change(p, inst, is_new ? CHANGE_CREATED : CHANGE_GOES_ON, start);
    resident_changed(p, inst);
}

static void forget_state(struct partition *p, struct instance *inst)
{
    const struct doc_patch nothing = {.op = DOC_SET, .path = STR(""), .val = ks_null(&p->step_mem)};
    doc_patch_encode(&p->log, &nothing);
    doc_apply(&inst->entity.doc, &nothing, &p->step_mem, NULL);
}

/* Keeps a message with the entity it is for, until a time or until the lock is gone. */
static void keep_message(struct partition *p, const struct message *m, enum entity_line line)
{
    struct buf bytes = {0};
    size_t start = p->log.len;
    struct instance *inst = resident_find(p, m->target);
    bool is_new = !inst;
    if (is_new)
        inst = entity_create(p, m->target);
    struct message kept = *m;
    kept.due_ms = 0;
    message_encode(&bytes, &kept);
    entity_add_line(inst, &p->log, line, m->due_ms, (struct str){bytes.at, bytes.len});
    buf_free(&bytes);
    entity_changed(p, inst, is_new, start);
}

static bool is_locked_for(const struct instance *inst, const struct sender *from)
{
    const struct aside *aside = inst ? inst->entity.aside : NULL;
    return aside && aside->owner && !str_is(from->id, str_of(aside->owner));
}

/* The entity that a message is for, made when there is none. NULL while another's section has it:
 * the message is kept until that is over. */
static struct instance *entity_for(struct partition *p, const struct message *m, bool *ret_is_new)
{
    struct instance *inst = resident_find(p, m->target);
    if (is_locked_for(inst, &m->from)) {
        keep_message(p, m, LINE_DEFER);
        return NULL;
    }
    *ret_is_new = !inst;
    return inst ? inst : entity_create(p, m->target);
}

static void step_operation(struct partition *p, const struct message *m)
{
    if (m->due_ms > p->now_ms) {
        keep_message(p, m, LINE_LATER);
        return;
    }
    bool is_new;
    struct instance *inst = entity_for(p, m, &is_new);
    if (!inst)
        return;
    if (quarantine_takes(p, inst)) {
        entity_quarantine(p, inst, is_new);
        keep_message(p, m, LINE_DEFER);
        return;
    }
    size_t start = p->log.len;
    struct outcome outcome;
    outcome_init(&outcome, &p->log, &p->pass_mem);
    quarantine_begin(p, inst);
    struct entity_result result = entity_step(inst, p->app, m, p->now_ms, &p->step_mem, &outcome);
    quarantine_end(p);
    keep_sends(p, &outcome);
    respond(p, &m->from, result.val, m->details);
    if (result.is_deleted)
        forget_state(p, inst);
    if (is_new || p->log.len > start)
        entity_changed(p, inst, is_new, start);
}

/* Whether whoever asked for a lock is still there and waits for it. */
static bool is_wanted(struct partition *p, const struct message *lock)
{
    const struct instance *owner = resident_find(p, lock->from.id);
    return is_alive(owner) && owner->uid == lock->from.uid &&
           instance_pending(owner, lock->from.task_id);
}

/* Takes out what waited, up to the first that is going to lock the entity again: what is behind
 * that waits on, so that a thousand sections cost a thousand steps. */
static struct message_list undefer(struct partition *p, struct instance *inst)
{
    struct message_list waiting = {0};
    bool is_to_be_locked = false;
    while (!is_to_be_locked && inst->entity.aside && inst->entity.aside->first) {
        struct kept_message *kept = inst->entity.aside->first;
        struct reader r = reader_of(kept->bytes, kept->len);
        struct message *m = message_decode(&r, &p->pass_mem);
        if (!m)
            die("bug: what %s kept cannot be read", inst->id);
        entity_add_line(inst, &p->log, LINE_UNDEFER, 0, (struct str){"", 0});
        is_to_be_locked = m->type == MESSAGE_LOCK && is_wanted(p, m);
        if (m->type != MESSAGE_LOCK || is_to_be_locked)
            message_append(&waiting, m);
    }
    return waiting;
}

/* Puts before everything that is in the queue what waited for an entity that is free now. */
static void go_on(struct partition *p, struct instance *inst, size_t log_start)
{
    struct message_list waiting = undefer(p, inst);
    entity_changed(p, inst, false, log_start);
    message_append_all(&waiting, &p->queue);
    p->queue = waiting;
}

/* Whoever was to have the lock next is gone after all. */
static void go_on_without(struct partition *p, struct str entity)
{
    struct instance *inst = resident_find(p, entity);
    if (inst && inst->entity.aside && !inst->entity.aside->owner && inst->entity.aside->first)
        go_on(p, inst, p->log.len);
}

/* Grants a lock, and passes on to the next entity of the section; the last one answers. */
static void step_lock(struct partition *p, const struct message *m)
{
    if (!is_wanted(p, m)) {
        go_on_without(p, m->target);
        return;
    }
    bool is_new;
    struct instance *inst = entity_for(p, m, &is_new);
    if (!inst)
        return;
    size_t start = p->log.len;
    entity_add_line(inst, &p->log, LINE_LOCK, 0, m->from.id);
    entity_changed(p, inst, is_new, start);
    uint32_t next = m->task_id + 1;
    if (next == ks_len(m->val)) {
        respond(p, &m->from, NULL, NULL);
        return;
    }
    struct message further = *m;
    further.target = val_str(ks_at(m->val, next));
    further.task_id = next;
    step_send(p, &further);
}

void step_unlock(struct partition *p, const struct message *m)
{
    struct instance *inst = resident_find(p, m->target);
    const struct aside *aside = inst ? inst->entity.aside : NULL;
    if (!aside || !aside->owner || !str_is(m->from.id, str_of(aside->owner)))
        return;
    size_t start = p->log.len;
    entity_add_line(inst, &p->log, LINE_UNLOCK, 0, (struct str){"", 0});
    go_on(p, inst, start);
}

/* Nobody's operations are done until it is resumed: it is in a critical section of no one. */
void entity_quarantine(struct partition *p, struct instance *inst, bool is_new)
{
    size_t start = p->log.len;
    const struct aside *aside = inst->entity.aside;
    if (aside && aside->owner)
        entity_add_line(inst, &p->log, LINE_UNLOCK, 0, (struct str){"", 0});
    entity_add_line(inst, &p->log, LINE_LOCK, 0, STR(QUARANTINE_OWNER));
    entity_changed(p, inst, is_new, start);
}

/* ---- timers ---- */

static bool due_timer(const struct instance *inst, int64_t now_ms, uint32_t *ret_id)
{
    const struct pending_list *list = &inst->orchestration.pending;
    const struct pending *first = NULL;
    for (uint32_t i = 0; i < list->len; i++) {
        const struct pending *p = &list->at[i];
        if (!p->is_done && p->kind == PENDING_TIMER && p->due_ms <= now_ms &&
            (!first || p->due_ms < first->due_ms))
            first = p;
    }
    if (first)
        *ret_id = first->id;
    return first;
}

/* Does the first thing that an entity kept for later; or the entity goes. */
static void entity_due(struct partition *p, struct instance *inst)
{
    const struct aside *aside = inst->entity.aside;
    if (!aside)
        return;
    if (aside->expires_ms <= p->now_ms) {
        step_change(p, inst, CHANGE_DELETED, p->log.len);
        resident_delete(p, inst);
        return;
    }
    size_t start = p->log.len;
    struct reader r = reader_of(aside->later->bytes, aside->later->len);
    struct message *m = message_decode(&r, &p->pass_mem);
    if (!m)
        die("bug: what %s kept for later cannot be read", inst->id);
    message_append(&p->queue, m);
    entity_add_line(inst, &p->log, LINE_NOW, 0, (struct str){"", 0});
    entity_changed(p, inst, false, start);
}

static void step_timer(struct partition *p, const struct message *m)
{
    uint32_t id;
    struct instance *inst = resident_find_uid(p, m->uid);
    if (!inst || inst->due_ms > p->now_ms)
        return;
    if (inst->kind == INSTANCE_ENTITY)
        entity_due(p, inst);
    else if (due_timer(inst, p->now_ms, &id))
        step_turn(p, inst, &(struct event){.type = EVENT_TIMER_FIRED, .id = id}, CHANGE_GOES_ON);
}

void step_due_timers(struct partition *p, struct instance *inst)
{
    uint64_t uid = inst->uid;
    while (inst && inst->due_ms <= p->now_ms && partition_has_budget(p)) {
        struct message m = {.type = MESSAGE_TIMER, .uid = uid};
        step_timer(p, &m);
        p->steps++;
        step_queue(p);
        inst = table_find_uid(&p->table, uid);
    }
}

/* ---- the queue ---- */

static void step(struct partition *p, const struct message *m)
{
    static void (*const steps[])(struct partition * p, const struct message *m) =
        {[MESSAGE_START] = step_start,
         [MESSAGE_EVENT] = step_event,
         [MESSAGE_SIGNAL] = step_operation,
         [MESSAGE_TIMER] = step_timer,
         [MESSAGE_RESULT] = step_result,
         [MESSAGE_CALL] = step_operation,
         [MESSAGE_LOCK] = step_lock,
         [MESSAGE_UNLOCK] = step_unlock,
         [MESSAGE_RESPONSE] = step_response,
         [MESSAGE_TERMINATE] = manage_terminate,
         [MESSAGE_SUSPEND] = manage_suspend,
         [MESSAGE_RESUME] = manage_resume,
         [MESSAGE_REWIND] = manage_rewind,
         [MESSAGE_RESTART] = manage_restart,
         [MESSAGE_PURGE] = manage_purge,
         [MESSAGE_QUARANTINE] = manage_quarantine,
         [MESSAGE_PURGE_ALL] = manage_purge_all};
    if ((size_t)m->type >= sizeof steps / sizeof steps[0] || !steps[m->type])
        die("bug: a message of type %d", (int)m->type);
    steps[m->type](p, m);
}

/* Whose code a message had run; for the watchdog. */
static struct str function_of(struct partition *p, const struct message *m)
{
    if (m->type == MESSAGE_START)
        return m->name;
    if (m->type == MESSAGE_PURGE_ALL)
        return str_of(message_type_name((uint8_t)m->type));
    bool has_target = m->target.len && m->type != MESSAGE_RESULT;
    struct instance *inst = has_target ? table_find(&p->table, m->target)
                                       : table_find_uid(&p->table, m->uid);
    return inst ? str_of(inst->name) : m->target;
}

void step_queue(struct partition *p)
{
    while (p->queue.first && partition_has_budget(p)) {
        struct message *m = p->queue.first;
        p->queue.first = m->next;
        if (!m->next)
            p->queue.last = NULL;
        step(p, m);
        int64_t held_ms = partition_held_ms(p);
        if (held_ms)
            partition_warn(p, held_ms, function_of(p, m));
        p->steps++;
        p->stats.steps++;
    }
}
