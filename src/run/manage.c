/* What operators do to instances: terminate, suspend and resume, rewind, restart, purge.
 *
 * A purge of all that are such goes on in parts, one a pass, so that requests are answered in
 * between: what is left to do is a message that the commit keeps for the next pass, as it keeps
 * what the budget left over. Its first part sees everybody there is; the next one goes on below the
 * uid where that ended, so who comes later is not touched, and it ends. */
#include "base/die.h"
#include "run/partition_internal.h"

static bool has_place(struct partition *p, const struct instance *inst, int64_t n);

/* ---- what can be taken ---- */

static bool is_running(const struct instance *inst)
{
    return inst->status == KS_RUNNING || inst->status == KS_PENDING;
}

static bool is_set_aside(const struct instance *inst)
{
    return inst->status == KS_SUSPENDED || inst->status == KS_QUARANTINED;
}

/* Why an instance, as it stands, cannot take a message; NULL: it can. */
static const char *why_not_now(struct partition *p, const struct message *m,
                               const struct instance *inst)
{
    const struct instance *other;
    if (m->type == MESSAGE_SUSPEND)
        return is_running(inst) ? NULL : "does not run, so it cannot be suspended";
    if (m->type == MESSAGE_RESUME)
        return is_set_aside(inst) ? NULL : "is neither suspended nor quarantined";
    if (m->type == MESSAGE_PURGE)
        return status_is_final(inst->status) ? NULL : "is not over; terminate it first";
    if (m->type == MESSAGE_REWIND && inst->status != KS_FAILED)
        return "has not failed, and only what has can be rewound";
    if (m->type == MESSAGE_REWIND)
        return has_place(p, inst, ks_int(m->details)) ? NULL : "has no such event in its history";
    if (m->type != MESSAGE_RESTART)
        return NULL;
    other = m->name.len ? resident_find(p, m->name) : inst;
    return !other || status_is_final(other->status)
               ? NULL
               : "cannot be restarted under the id of one that is not over yet";
}

int manage_check(struct partition *p, const struct message *m, const char **ret_why)
{
    const struct instance *inst = resident_find(p, m->target);
    bool needs_running = m->type == MESSAGE_EVENT || m->type == MESSAGE_TERMINATE ||
                         m->type == MESSAGE_SUSPEND || m->type == MESSAGE_RESUME;
    if (!inst || (inst->kind == INSTANCE_ENTITY && m->type != MESSAGE_RESUME)) {
        *ret_why = ks_format(&p->pass_mem, "There is no instance %s.", m->target.at);
        return 404;
    }
    bool is_over = needs_running && status_is_final(inst->status);
    const char *why = is_over ? "is over" : why_not_now(p, m, inst);
    if (!why)
        return 0;
    *ret_why = ks_format(&p->pass_mem, "Instance %s %s.", inst->id, why);
    return is_over ? 410 : 409;
}

/* NULL, and the message is refused, when it cannot be taken. */
static struct instance *target_of(struct partition *p, const struct message *m)
{
    const char *why;
    if (manage_check(p, m, &why) == 0)
        return resident_find(p, m->target);
    step_refuse(p, m, why);
    return NULL;
}

/* Appends an event that no code takes part in. */
static void happen(struct partition *p, struct instance *inst, struct event *e)
{
    size_t start = p->log.len;
    int64_t last_ms = inst->orchestration.last_ms;
    e->time_ms = p->now_ms > last_ms ? p->now_ms : last_ms;
    event_encode(&p->log, e);
    step_apply(p, inst, CHANGE_GOES_ON, start);
}

static void forget_session(struct partition *p, struct instance *inst)
{
    if (inst->orchestration.session)
        resident_session_over(p, inst->orchestration.session);
}

/* ---- terminate ---- */

static void terminate_children(struct partition *p, const struct instance *inst,
                               const struct message *m)
{
    const struct orchestration *o = &inst->orchestration;
    for (uint32_t i = 0; i < o->pending.len; i++) {
        struct event e;
        if (o->pending.at[i].is_done || o->pending.at[i].kind != PENDING_CHILD)
            continue;
        instance_asked(inst, &o->pending.at[i], &p->pass_mem, &e);
        struct message further = *m;
        further.target = e.target;
        further.from = (struct sender){0};
        step_send(p, &further);
    }
}

/* The child that a task has given up; NULL when it is over, or the id is somebody else's by now. */
static struct instance *child_of(struct partition *p, const struct message *m)
{
    struct instance *inst = resident_find(p, m->target);
    if (!inst || inst->kind != INSTANCE_ORCHESTRATION || status_is_final(inst->status))
        return NULL;
    struct sender parent = instance_parent(inst, &p->pass_mem);
    bool is_it = str_is(parent.id, m->from.id) && parent.uid == m->from.uid &&
                 parent.task_id == m->from.task_id;
    return is_it ? inst : NULL;
}

void manage_terminate(struct partition *p, const struct message *m)
{
    struct instance *inst = m->from.id.len ? child_of(p, m) : target_of(p, m);
    if (!inst)
        return;
    if (str_is(m->name, STR(MESSAGE_WITH_CHILDREN)))
        terminate_children(p, inst, m);
    forget_session(p, inst);
    happen(p, inst, &(struct event){.type = EVENT_EXECUTION_TERMINATED, .val = m->val});
}

/* ---- suspend and resume ---- */

void manage_suspend(struct partition *p, const struct message *m)
{
    struct instance *inst = target_of(p, m);
    if (inst)
        step_turn(p, inst, &(struct event){.type = EVENT_EXECUTION_SUSPENDED, .val = m->val},
                  CHANGE_GOES_ON);
}

/* A quarantined entity gets another try. */
void manage_resume(struct partition *p, const struct message *m)
{
    struct instance *inst = target_of(p, m);
    if (inst && inst->kind == INSTANCE_ENTITY)
        step_unlock(p, &(struct message){.type = MESSAGE_UNLOCK,
                                         .target = m->target,
                                         .from.id = STR(QUARANTINE_OWNER)});
    else if (inst)
        step_turn(p, inst, &(struct event){.type = EVENT_EXECUTION_RESUMED, .val = m->val},
                  CHANGE_GOES_ON);
}

void manage_quarantine(struct partition *p, const struct message *m)
{
    struct instance *inst = resident_find_uid(p, m->uid);
    if (!inst)
        return;
    if (inst->kind == INSTANCE_ENTITY) {
        entity_quarantine(p, inst, false);
    } else if (!status_is_final(inst->status)) {
        happen(p, inst,
               &(struct event){.type = EVENT_EXECUTION_QUARANTINED,
                               .val = ks_string(&p->pass_mem, QUARANTINE_WHY)});
    }
    step_refuse(p, &(struct message){.target = {inst->id, inst->id_len}, .name = STR("what comes")},
                QUARANTINE_WHY);
}

/* ---- rewind ---- */

/* Where in history a rewind begins: at a turn. */
struct place {
    size_t bytes;
    bool is_found;
    struct event incoming; /* the event that began the turn */
};

static bool is_answer(enum event_type type)
{
    return type == EVENT_TASK_COMPLETED || type == EVENT_SUB_ORCHESTRATION_COMPLETED ||
           type == EVENT_ENTITY_RESPONDED;
}

static bool is_failed_answer(const struct event *e)
{
    return is_answer(e->type) && ks_is_error(e->val);
}

/* Goes through a history and knows where its critical sections begin. */
struct walk {
    struct reader r;
    struct place place;   /* the turn it is in */
    struct place section; /* the turn that began the section it is in; if is_found */
    uint32_t lock_id;
};

static void walk_on(struct walk *w, struct event *e, const struct buf *history, ks_arena *mem)
{
    size_t at_bytes = (size_t)(w->r.at - (const uint8_t *)history->at);
    event_decode(&w->r, mem, e);
    if (event_is_incoming(e->type) && e->type != EVENT_EXECUTION_REWOUND)
        w->place = (struct place){.bytes = at_bytes, .is_found = true, .incoming = *e};
    if (e->type == EVENT_LOCK_REQUESTED)
        w->lock_id = e->id;
    if (e->type == EVENT_ENTITY_RESPONDED && e->id == w->lock_id && !ks_is_error(e->val))
        w->section = (struct place){.bytes = at_bytes, .is_found = true, .incoming = *e};
    if (e->type == EVENT_LOCK_RELEASED)
        w->section.is_found = false;
}

/* The turn that has event number n; with n negative, the one whose answer was the failure, else the
 * last. Within a critical section it is the turn that began it, since its locks are free by now. */
static struct place find_place(struct partition *p, const struct instance *inst, int64_t n)
{
    const struct buf *history = &inst->orchestration.history;
    const ks_val *output = instance_output(inst, &p->pass_mem);
    struct walk w = {.r = reader_of(history->at, history->len), .lock_id = UINT32_MAX};
    bool is_found = false;
    for (int64_t i = 0; !is_found && !reader_is_at_end(&w.r); i++) {
        struct event e;
        walk_on(&w, &e, history, &p->pass_mem);
        /* What began with a rewind begins with the turn behind it. */
        is_found = n < 0 ? is_failed_answer(&e) && val_equal(e.val, output)
                         : i >= n && w.place.is_found;
    }
    struct place place = w.section.is_found ? w.section : w.place;
    place.is_found = w.place.is_found && (is_found || n < 0);
    return place;
}

static bool has_place(struct partition *p, const struct instance *inst, int64_t n)
{
    return find_place(p, inst, n).is_found;
}

/* A child that failed is rewound too; one that is over answers again; one that is gone starts. */
static void ask_child_again(struct partition *p, struct message *m, const ks_val *reason)
{
    const struct instance *child = resident_find(p, m->target);
    if (child && child->status == KS_FAILED) {
        m->type = MESSAGE_REWIND;
        m->val = reason;
        m->details = ks_integer(&p->pass_mem, -1);
        step_send(p, m);
    } else if (child && status_is_final(child->status)) {
        step_answer_parent(p, child);
    } else if (!child) {
        step_send(p, m);
    }
}

static void ask_again(struct partition *p, struct instance *inst, const struct pending *pending,
                      const ks_val *reason)
{
    struct event e;
    instance_asked(inst, pending, &p->pass_mem, &e);
    struct message m = {.type = MESSAGE_CALL,
                        .target = e.target,
                        .name = e.name,
                        .val = e.val,
                        .from = {.id = {inst->id, inst->id_len},
                                 .uid = inst->uid,
                                 .task_id = e.id}};
    switch ((enum pending_kind)pending->kind) {
    case PENDING_TIMER:
        return;
    case PENDING_ACTIVITY:
        activity_schedule(p, inst, &e);
        return;
    case PENDING_CHILD:
        m.type = MESSAGE_START;
        ask_child_again(p, &m, reason);
        return;
    case PENDING_CALL:
        step_send(p, &m);
        return;
    case PENDING_LOCK:
        m.type = MESSAGE_LOCK;
        m.target = val_str(ks_at(e.val, 0));
        step_send(p, &m);
        return;
    }
}

/* What came after the place where history is cut, and comes again. */
struct later {
    struct later *next;
    struct event event;
};

/* Events that were raised were acknowledged, so they are not lost. Good answers are taken again
 * when it is only a failure that is to be mended. */
static struct later *find_later(struct partition *p, const struct instance *inst,
                                const struct place *place, bool with_answers)
{
    const struct buf *history = &inst->orchestration.history;
    struct later *first = NULL, **at = &first;
    struct reader r = reader_of(history->at + place->bytes, history->len - place->bytes);
    for (bool is_first = true; !reader_is_at_end(&r); is_first = false) {
        struct later *later = ks_alloc(&p->pass_mem, sizeof *later);
        event_decode(&r, &p->pass_mem, &later->event);
        enum event_type type = later->event.type;
        bool comes_again = type == EVENT_EVENT_RAISED ||
                           (with_answers && is_answer(type) && !is_failed_answer(&later->event));
        if (is_first || !comes_again)
            continue;
        later->event.name = str_dup(&p->pass_mem, later->event.name);
        *at = later;
        at = &later->next;
    }
    return first;
}

static bool is_answered(const struct later *later, uint32_t id)
{
    for (; later; later = later->next)
        if (is_answer(later->event.type) && later->event.id == id)
            return true;
    return false;
}

/* What is pending after history was cut had been answered, or was forgotten when it failed. */
static void ask_all_again(struct partition *p, struct instance *inst, const struct later *later,
                          const ks_val *reason)
{
    for (uint32_t i = 0; i < inst->orchestration.pending.len; i++) {
        const struct pending *pending = &inst->orchestration.pending.at[i];
        if (!pending->is_done && !is_answered(later, pending->id))
            ask_again(p, inst, pending, reason);
    }
}

/* Numbers below this were given to tasks before history was cut; the code may give others to other
 * tasks now. */
static uint32_t first_free_id(const struct instance *inst)
{
    const struct buf *history = &inst->orchestration.history;
    struct reader r = reader_of(history->at, history->len);
    uint32_t free_id = 0;
    while (!reader_is_at_end(&r)) {
        struct event e;
        event_decode(&r, NULL, &e);
        if (!event_is_incoming(e.type) && event_has_id(e.type) && e.id >= free_id)
            free_id = e.id + 1;
    }
    return free_id;
}

static void happen_again(struct partition *p, struct instance *inst, struct event *again,
                         const struct later *later)
{
    uint32_t free_id = first_free_id(inst);
    /* An answer that was an error, or a lock, is asked for again; anything else comes again. */
    const struct pending *pending = instance_pending(inst, again->id);
    bool is_lock = again->type == EVENT_ENTITY_RESPONDED && pending &&
                   pending->kind == PENDING_LOCK;
    if (!is_failed_answer(again) && !is_lock)
        step_turn(p, inst, again, CHANGE_GOES_ON);
    for (; later && !status_is_final(inst->status); later = later->next) {
        struct event e = later->event;
        bool is_wanted = e.type == EVENT_EVENT_RAISED ||
                         (e.id < free_id && instance_pending(inst, e.id));
        if (is_wanted)
            step_turn(p, inst, &e, CHANGE_GOES_ON);
    }
}

void manage_rewind(struct partition *p, const struct message *m)
{
    struct instance *inst = target_of(p, m);
    if (!inst)
        return;
    int64_t n = ks_int(m->details);
    struct place place = find_place(p, inst, n);
    struct event again = place.incoming;
    again.name = str_dup(&p->pass_mem, again.name);
    const struct later *later = find_later(p, inst, &place, n < 0);
    happen(p, inst,
           &(struct event){.type = EVENT_EXECUTION_REWOUND,
                           .due_ms = (int64_t)place.bytes,
                           .val = m->val});
    ask_all_again(p, inst, later, m->val);
    happen_again(p, inst, &again, later);
}

/* ---- restart, purge ---- */

void manage_restart(struct partition *p, const struct message *m)
{
    /* How far a run had come, and who waited for it. */
    static const char *const of_one_run[] = {"parent", "task", "draws", "status", NULL};
    struct instance *inst = target_of(p, m);
    if (!inst)
        return;
    const ks_val *details = instance_details(inst, &p->pass_mem);
    step_send(p, &(struct message){.type = MESSAGE_START,
                                   .target = m->name.len ? m->name : m->target,
                                   .name = str_of(inst->name),
                                   .val = instance_input(inst, &p->pass_mem),
                                   .details = start_details_without(&p->pass_mem, details,
                                                                    of_one_run)});
}

static void purge_children(struct partition *p, const struct instance *inst,
                           const struct message *m)
{
    const struct buf *history = &inst->orchestration.history;
    struct reader r = reader_of(history->at, history->len);
    while (!reader_is_at_end(&r)) {
        struct event e;
        event_decode(&r, NULL, &e);
        if (e.type != EVENT_SUB_ORCHESTRATION_CREATED || !resident_find(p, e.target))
            continue;
        struct message further = {.type = MESSAGE_PURGE, .target = e.target, .name = m->name};
        step_send(p, &further);
    }
}

void manage_purge(struct partition *p, const struct message *m)
{
    struct instance *inst = target_of(p, m);
    if (!inst)
        return;
    if (str_is(m->name, STR(MESSAGE_WITH_CHILDREN)))
        purge_children(p, inst, m);
    step_change(p, inst, CHANGE_DELETED, p->log.len);
    resident_delete(p, inst);
}

static const ks_val *left_to_do(struct partition *p, uint64_t below, int64_t purged)
{
    ks_arena *mem = &p->pass_mem;
    ks_val *left = ks_object(mem);
    ks_put(mem, left, "below", ks_integer(mem, (int64_t)below));
    return ks_put(mem, left, "purged", ks_integer(mem, purged));
}

void manage_purge_all(struct partition *p, const struct message *m)
{
    enum { PART = 250, OVER = 1u << KS_COMPLETED | 1u << KS_FAILED | 1u << KS_TERMINATED };
    ks_filter filter = filter_of_val(m->val);
    int64_t purged = ks_int(ks_get(m->details, "purged"));
    struct query query = {.filter = &filter,
                          .below = (uint64_t)ks_int(ks_get(m->details, "below")),
                          .limit = PART,
                          .mem = &p->pass_mem};
    struct query_page page = {0};
    filter.statuses = filter.statuses ? filter.statuses & OVER : OVER;
    if (filter.statuses && filter.kind != KS_FN_ENTITY) {
        filter.kind = KS_FN_ORCHESTRATION;
        partition_query(p, &query, &page);
    }
    for (size_t i = 0; i < page.count; i++)
        manage_purge(p, &(struct message){.target = page.at[i].id, .name = m->name});
    purged += (int64_t)page.count;
    if (page.below) {
        struct message *further = message_copy(&p->pass_mem, m);
        further->details = left_to_do(p, page.below, purged);
        message_append(&p->next_pass, further);
        return;
    }
    ks_outbox out = {.mem = &p->pass_mem};
    ks_log(&out, "instances purged: %lld", (long long)purged);
    pass_add_lines(p, &out);
}
