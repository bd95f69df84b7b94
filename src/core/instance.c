#include "core/instance.h"
#include "core/aside.h"

#include "base/die.h"

#include <assert.h>
#include <stdlib.h>

/* A document up to this size is saved whole each time. */
enum { SAVE_WHOLE_BYTES = 4096 };

struct instance *instance_new(uint64_t uid, enum instance_kind kind, struct str id, struct str name,
                              int64_t created_ms)
{
    struct instance *inst = die_zalloc(sizeof *inst + id.len + 1 + name.len + 1);
    inst->uid = uid;
    inst->kind = (uint8_t)kind;
    inst->status = KS_RUNNING;
    inst->id_len = (uint32_t)id.len;
    inst->name = inst->id + id.len + 1;
    memcpy(inst->id, id.at, id.len);
    memcpy(inst->id + id.len + 1, name.at, name.len);
    inst->created_ms = created_ms;
    inst->updated_ms = created_ms;
    inst->due_ms = NEVER_MS;
    if (kind == INSTANCE_ENTITY)
        doc_init(&inst->entity.doc);
    else
        inst->orchestration.last_ms = created_ms;
    return inst;
}

void instance_free(struct instance *inst)
{
    if (inst->kind == INSTANCE_ENTITY) {
        doc_free(&inst->entity.doc);
        buf_free(&inst->entity.unsaved);
        aside_free(inst->entity.aside);
    } else {
        assert(!inst->orchestration.session);
        buf_free(&inst->orchestration.history);
        free(inst->orchestration.pending.at);
    }
    free(inst);
}

/* ---- what is pending ---- */

static void pending_compact(struct pending_list *list)
{
    uint32_t len = 0;
    for (uint32_t i = 0; i < list->len; i++)
        if (!list->at[i].is_done)
            list->at[len++] = list->at[i];
    list->len = len;
    list->done = 0;
}

static void pending_count(struct pending_list *list, enum pending_kind kind, bool is_more)
{
    uint32_t n = is_more ? 1u : UINT32_MAX;
    if (kind == PENDING_TIMER)
        list->timers += n;
    else if (kind == PENDING_ACTIVITY)
        list->activities += n;
}

static int pending_add(struct pending_list *list, const struct pending *p)
{
    if (list->len && list->at[list->len - 1].id >= p->id)
        return -1;
    if (list->len == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 1;
        list->at = die_realloc(list->at, list->cap * sizeof list->at[0]);
    }
    list->at[list->len++] = *p;
    pending_count(list, p->kind, true);
    return 0;
}

static struct pending *pending_find(const struct pending_list *list, uint32_t id)
{
    uint32_t low = 0, high = list->len;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->at[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_there = low < list->len && list->at[low].id == id && !list->at[low].is_done;
    return is_there ? &list->at[low] : NULL;
}

static int pending_take(struct pending_list *list, uint32_t id, enum pending_kind kind)
{
    struct pending *p = pending_find(list, id);
    if (!p || p->kind != kind)
        return -1;
    p->is_done = true;
    pending_count(list, kind, false);
    if (++list->done > list->len / 2)
        pending_compact(list);
    return 0;
}

static int64_t pending_due(const struct pending_list *list)
{
    int64_t due_ms = NEVER_MS;
    for (uint32_t i = 0; i < list->len && list->timers; i++) {
        const struct pending *p = &list->at[i];
        if (!p->is_done && p->kind == PENDING_TIMER && p->due_ms < due_ms)
            due_ms = p->due_ms;
    }
    return due_ms;
}

static void pending_clear(struct pending_list *list)
{
    free(list->at);
    *list = (struct pending_list){0};
}

size_t instance_bytes(const struct instance *inst)
{
    size_t bytes = sizeof *inst + inst->id_len + 64; /* name, table, allocator */
    if (inst->kind == INSTANCE_ENTITY)
        return bytes + inst->entity.doc.mem.used_bytes + inst->entity.unsaved.cap;
    return bytes + inst->orchestration.history.cap +
           inst->orchestration.pending.cap * sizeof(struct pending);
}

const struct pending *instance_pending(const struct instance *inst, uint32_t id)
{
    return pending_find(&inst->orchestration.pending, id);
}

/* ---- applying events ---- */

static int timer_is_gone(struct instance *inst, uint32_t id)
{
    struct pending_list *list = &inst->orchestration.pending;
    const struct pending *p = pending_find(list, id);
    bool was_first = p && p->due_ms == inst->due_ms;
    if (pending_take(list, id, PENDING_TIMER) < 0)
        return -1;
    if (was_first)
        inst->due_ms = pending_due(list);
    return 0;
}

static int ask(struct instance *inst, const struct event *e, size_t at_bytes,
               enum pending_kind kind)
{
    struct pending p = {.id = e->id,
                        .kind = (uint8_t)kind,
                        .history_bytes = (uint32_t)at_bytes,
                        .due_ms = e->due_ms};
    if (kind == PENDING_TIMER && e->due_ms < inst->due_ms)
        inst->due_ms = e->due_ms;
    return pending_add(&inst->orchestration.pending, &p);
}

/* Nothing fires before it is resumed: whatever answers in time, as its code sees it, is in time. */
static int stopped(struct instance *inst, ks_runtime_status status)
{
    inst->status = (uint8_t)status;
    inst->due_ms = NEVER_MS;
    return 0;
}

static int resumed(struct instance *inst, int64_t now_ms)
{
    const struct pending_list *list = &inst->orchestration.pending;
    const struct pending *start = pending_find(list, EVENT_ID_START);
    inst->status = start && start->due_ms > now_ms ? KS_PENDING : KS_RUNNING;
    inst->due_ms = pending_due(list);
    return 0;
}

static int is_over(struct instance *inst, ks_runtime_status status, size_t at_bytes)
{
    struct orchestration *o = &inst->orchestration;
    pending_clear(&o->pending);
    o->output_bytes = at_bytes;
    inst->due_ms = NEVER_MS;
    inst->status = (uint8_t)status;
    return 0;
}

static void forget_history(struct instance *inst)
{
    struct orchestration *o = &inst->orchestration;
    pending_clear(&o->pending);
    o->output_bytes = 0;
    o->status_bytes = 0;
    o->lock_bytes = 0;
    inst->due_ms = NEVER_MS;
    inst->status = KS_RUNNING;
    inst->saved_bytes = 0;
}

static int start_fired(struct instance *inst)
{
    if (pending_take(&inst->orchestration.pending, EVENT_ID_START, PENDING_TIMER) < 0)
        return -1;
    inst->due_ms = pending_due(&inst->orchestration.pending);
    if (inst->status == KS_PENDING)
        inst->status = KS_RUNNING;
    return 0;
}

/* What was pending is answered. */
static int answered(struct orchestration *o, const struct event *e)
{
    if (e->type == EVENT_TASK_COMPLETED)
        return pending_take(&o->pending, e->id, PENDING_ACTIVITY);
    if (e->type == EVENT_SUB_ORCHESTRATION_COMPLETED)
        return pending_take(&o->pending, e->id, PENDING_CHILD);
    if (pending_take(&o->pending, e->id, PENDING_CALL) == 0)
        return 0;
    return pending_take(&o->pending, e->id, PENDING_LOCK);
}

/* It may have been answered while the instance was suspended; the code did not know. */
static int given_up(struct orchestration *o, uint32_t id)
{
    const struct pending *p = pending_find(&o->pending, id);
    if (p && p->kind == PENDING_TIMER)
        return -1;
    return p ? pending_take(&o->pending, id, p->kind) : 0;
}

static int apply_event(struct instance *inst, const struct event *e, size_t at_bytes)
{
    struct orchestration *o = &inst->orchestration;
    const uint8_t *history = (const uint8_t *)o->history.at;
    if (event_is_incoming(e->type))
        o->last_ms = e->time_ms;
    switch (e->type) {
    case EVENT_EXECUTION_STARTED:
    case EVENT_EVENT_RAISED:
    case EVENT_TASK_RAN:
    case EVENT_MESSAGE_SENT:
    case EVENT_CONTINUED_AS_NEW: /* see cut() */
    case EVENT_EXECUTION_REWOUND:
        return 0;
    case EVENT_EXECUTION_SCHEDULED:
        if (e->due_ms > e->time_ms)
            inst->status = KS_PENDING;
        inst->due_ms = e->due_ms;
        return pending_add(&o->pending,
                           &(struct pending){.id = EVENT_ID_START, .due_ms = e->due_ms});
    case EVENT_TASK_SCHEDULED:
        return ask(inst, e, at_bytes, PENDING_ACTIVITY);
    case EVENT_SUB_ORCHESTRATION_CREATED:
        return ask(inst, e, at_bytes, PENDING_CHILD);
    case EVENT_ENTITY_CALLED:
        return ask(inst, e, at_bytes, PENDING_CALL);
    case EVENT_LOCK_REQUESTED:
        o->lock_bytes = at_bytes;
        return ask(inst, e, at_bytes, PENDING_LOCK);
    case EVENT_LOCK_RELEASED:
        o->lock_bytes = 0;
        return 0;
    case EVENT_TIMER_CREATED:
        return ask(inst, e, at_bytes, PENDING_TIMER);
    case EVENT_TIMER_FIRED:
        return e->id == EVENT_ID_START ? start_fired(inst) : timer_is_gone(inst, e->id);
    case EVENT_TIMER_CANCELED:
        (void)timer_is_gone(inst, e->id); /* in older folders one fired while it was suspended */
        return 0;
    case EVENT_EXECUTION_SUSPENDED:
        return stopped(inst, KS_SUSPENDED);
    case EVENT_EXECUTION_QUARANTINED:
        return stopped(inst, KS_QUARANTINED);
    case EVENT_EXECUTION_RESUMED:
        return resumed(inst, e->time_ms);
    case EVENT_TASK_COMPLETED:
    case EVENT_SUB_ORCHESTRATION_COMPLETED:
    case EVENT_ENTITY_RESPONDED:
        return answered(o, e);
    case EVENT_TASK_ABANDONED:
        return given_up(o, e->id);
    case EVENT_STATUS_SET:
        o->status_bytes = at_bytes;
        return 0;
    case EVENT_EXECUTION_TERMINATED:
        return is_over(inst, KS_TERMINATED, at_bytes);
    case EVENT_EXECUTION_COMPLETED:
        return is_over(inst, val_is_encoded_error(history[at_bytes + 1]) ? KS_FAILED : KS_COMPLETED,
                       at_bytes);
    }
    return -1;
}

/* An instance that continued as new: its history begins behind this event. */
static void begin_anew(struct instance *inst, struct reader *r)
{
    struct buf *history = &inst->orchestration.history;
    size_t left = (size_t)(r->end - r->at);
    uint8_t status = inst->status;
    memmove(history->at, r->at, left);
    history->len = left;
    forget_history(inst);
    inst->status = status;
    *r = reader_of(history->at, left);
}

static int apply_range(struct instance *inst, size_t from, size_t len);

/* A rewound instance: what it did since a place never was. The event itself stays. */
static int cut(struct instance *inst, size_t cut_bytes, size_t event_bytes, struct reader *r)
{
    struct buf *history = &inst->orchestration.history;
    const uint8_t *start = (const uint8_t *)history->at;
    if (cut_bytes > event_bytes)
        return -1;
    size_t rest = history->len - event_bytes;
    size_t behind = (size_t)(r->at - start) - event_bytes;
    memmove(history->at + cut_bytes, history->at + event_bytes, rest);
    history->len = cut_bytes + rest;
    forget_history(inst);
    *r = reader_of(history->at + cut_bytes + behind, rest - behind);
    return apply_range(inst, 0, cut_bytes);
}

static int apply_range(struct instance *inst, size_t from, size_t len)
{
    struct buf *history = &inst->orchestration.history;
    struct reader r = reader_of(history->at + from, len);
    while (!reader_is_at_end(&r)) {
        struct event e;
        size_t at_bytes = (size_t)(r.at - (const uint8_t *)history->at);
        event_decode(&r, NULL, &e);
        if (r.is_bad || (status_is_final(inst->status) && e.type != EVENT_EXECUTION_REWOUND))
            return -1; /* nothing else follows an end */
        if (e.type == EVENT_EXECUTION_REWOUND && (size_t)e.due_ms != at_bytes &&
            cut(inst, (size_t)e.due_ms, at_bytes, &r) < 0)
            return -1;
        if (e.type == EVENT_CONTINUED_AS_NEW)
            begin_anew(inst, &r);
        else if (apply_event(inst, &e, at_bytes) < 0)
            return -1;
    }
    return r.is_bad ? -1 : 0;
}

static int apply_history(struct instance *inst, const void *log, size_t len)
{
    struct buf *history = &inst->orchestration.history;
    size_t from = history->len;
    buf_append(history, log, len);
    return history->len ? apply_range(inst, from, len) : -1; /* it would never have begun */
}

/* ---- applying patches ---- */

static int apply_patches(struct instance *inst, const void *log, size_t len, ks_arena *scratch)
{
    struct reader r = reader_of(log, len);
    while (!reader_is_at_end(&r)) {
        uint8_t op = read_byte(&r);
        struct doc_patch patch;
        if (op >= LINE_EXPIRE && op <= LINE_NOW) {
            if (entity_apply_line(inst, op, &r) < 0)
                return -1;
            continue;
        }
        doc_patch_decode(&r, op, scratch, &patch);
        if (r.is_bad || doc_apply(&inst->entity.doc, &patch, scratch, NULL))
            return -1;
        doc_tidy(&inst->entity.doc);
    }
    return r.is_bad ? -1 : 0;
}

void instance_note(struct instance *inst, const void *log, size_t len)
{
    assert(inst->kind == INSTANCE_ENTITY);
    struct entity *e = &inst->entity;
    if (inst->saved_bytes && e->doc.mem.used_bytes > SAVE_WHOLE_BYTES)
        buf_append(&e->unsaved, log, len);
    else
        inst->saved_bytes = 0; /* the next image is whole */
}

int instance_apply(struct instance *inst, const void *log, size_t len, ks_arena *scratch)
{
    if (inst->kind == INSTANCE_ORCHESTRATION)
        return apply_history(inst, log, len);
    if (apply_patches(inst, log, len, scratch) < 0)
        return -1;
    instance_note(inst, log, len);
    return 0;
}

/* ---- reading history ---- */

static struct event event_at(const struct instance *inst, size_t at_bytes, ks_arena *mem)
{
    const struct buf *history = &inst->orchestration.history;
    struct reader r = reader_of(history->at + at_bytes, history->len - at_bytes);
    struct event e = {0};
    if (at_bytes < history->len)
        event_decode(&r, mem, &e);
    return e;
}

const ks_val *instance_output(const struct instance *inst, ks_arena *mem)
{
    if (inst->kind != INSTANCE_ORCHESTRATION || !status_is_final(inst->status))
        return NULL;
    return event_at(inst, inst->orchestration.output_bytes, mem).val;
}

const ks_val *instance_custom_status(const struct instance *inst, ks_arena *mem)
{
    if (inst->kind == INSTANCE_ORCHESTRATION && inst->orchestration.status_bytes)
        return event_at(inst, inst->orchestration.status_bytes, mem).val;
    return ks_get(instance_details(inst, mem), "status"); /* of the run it continues */
}

/* How it started; that it was rewound to its very start may stand before it. */
static struct event start_of(const struct instance *inst, ks_arena *mem,
                             void (*decode)(struct reader *r, ks_arena *mem, struct event *ret))
{
    struct event e = {0};
    if (inst->kind != INSTANCE_ORCHESTRATION)
        return e;
    const struct buf *history = &inst->orchestration.history;
    struct reader r = reader_of(history->at, history->len);
    do
        decode(&r, mem, &e);
    while (e.type == EVENT_EXECUTION_REWOUND && !reader_is_at_end(&r));
    return e;
}

const ks_val *instance_input(const struct instance *inst, ks_arena *mem)
{
    return start_of(inst, mem, event_decode).val;
}

const ks_val *instance_locks(const struct instance *inst, ks_arena *mem)
{
    if (inst->kind != INSTANCE_ORCHESTRATION || !inst->orchestration.lock_bytes)
        return NULL;
    return event_at(inst, inst->orchestration.lock_bytes, mem).val;
}

const ks_val *instance_history(const struct instance *inst, ks_arena *mem)
{
    const struct buf *history = &inst->orchestration.history;
    ks_val *events = ks_array(mem);
    struct reader r = reader_of(history->at, history->len);
    while (!reader_is_at_end(&r)) {
        struct event e;
        event_decode(&r, mem, &e);
        ks_push(mem, events, event_to_val(mem, &e));
    }
    return events;
}

void instance_asked(const struct instance *inst, const struct pending *pending, ks_arena *mem,
                    struct event *ret)
{
    *ret = event_at(inst, pending->history_bytes, mem);
    const ks_val *first = ks_get(ret->details, "at");
    if (first)
        ret->val = event_at(inst, (size_t)ks_int(first), mem).val;
}

const ks_val *instance_details(const struct instance *inst, ks_arena *mem)
{
    return start_of(inst, mem, event_decode_details).details;
}

struct str instance_parent_id(const ks_val *details)
{
    return val_str(ks_get(ks_get(details, "parent"), "id"));
}

const ks_val *instance_tags(const ks_val *details)
{
    const ks_val *tags = ks_get(details, "tags");
    return ks_type_of(tags) == KS_OBJECT ? tags : NULL;
}

struct sender instance_parent(const struct instance *inst, ks_arena *mem)
{
    const ks_val *parent = ks_get(instance_details(inst, mem), "parent");
    return (struct sender){.id = val_str(ks_get(parent, "id")),
                           .uid = (uint64_t)ks_int(ks_get(parent, "uid")),
                           .task_id = (uint32_t)ks_int(ks_get(parent, "task"))};
}

/* ---- saving ---- */

static struct str view(const struct buf *out, size_t from)
{
    return (struct str){out->at + from, out->len - from};
}

static void save_orchestration(struct instance *inst, struct buf *out, struct image *ret)
{
    struct orchestration *o = &inst->orchestration;
    size_t parent_at = 0, tags_at = 0, output_at;
    ks_arena mem;
    arena_init(&mem, 1024);
    ret->is_whole = inst->saved_bytes == 0;
    if (o->history.len <= SHORT_HISTORY_BYTES)
        ret->history = view(&o->history, 0);
    else
        ret->log = view(&o->history,
                        inst->saved_bytes <= SHORT_HISTORY_BYTES ? 0 : inst->saved_bytes);
    if (ret->is_whole && o->history.len) {
        struct event start = start_of(inst, &mem, event_decode);
        struct str parent = instance_parent_id(start.details);
        const ks_val *tags = instance_tags(start.details);
        val_write_json(out, start.val);
        parent_at = out->len;
        buf_append(out, parent.at, parent.len);
        tags_at = out->len;
        if (tags)
            val_write_json(out, tags);
    }
    output_at = out->len;
    if (status_is_final(inst->status))
        val_write_json(out, instance_output(inst, &mem));
    ret->input = (struct str){out->at, parent_at};
    ret->parent = (struct str){out->at + parent_at, tags_at - parent_at};
    ret->tags = (struct str){out->at + tags_at, output_at - tags_at};
    ret->output = view(out, output_at);
    inst->saved_bytes = o->history.len;
    arena_free(&mem);
}

static void save_entity(struct instance *inst, struct buf *out, struct image *ret)
{
    struct entity *e = &inst->entity;
    size_t log_bytes = inst->saved_bytes + e->unsaved.len;
    ret->is_whole = inst->saved_bytes == 0 || log_bytes > e->doc.mem.used_bytes;
    if (ret->is_whole) {
        val_write_json(out, e->doc.root);
        size_t state_len = out->len;
        if (e->aside)
            aside_write(e->aside, out);
        ret->state = (struct str){out->at, state_len};
        ret->log = view(out, state_len);
    } else {
        buf_append(out, e->unsaved.at, e->unsaved.len);
        ret->log = view(out, 0);
    }
    buf_free(&e->unsaved);
    inst->saved_bytes = ret->is_whole ? 1 : log_bytes; /* 1: saved, with no log behind the state */
}

void instance_save(struct instance *inst, struct buf *out, struct image *ret)
{
    *ret = (struct image){0};
    out->len = 0;
    if (inst->kind == INSTANCE_ORCHESTRATION)
        save_orchestration(inst, out, ret);
    else
        save_entity(inst, out, ret);
}

int64_t instance_wake_ms(const struct instance *inst)
{
    bool has_activities = inst->kind == INSTANCE_ORCHESTRATION &&
                          inst->orchestration.pending.activities > 0;
    return has_activities ? 0 : inst->due_ms;
}

int instance_restore(struct instance *inst, struct str state, struct str history, struct str log,
                     ks_arena *scratch)
{
    const char *why = NULL;
    if (inst->kind == INSTANCE_ENTITY) {
        struct entity *e = &inst->entity;
        if (state.len) {
            const ks_val *val = val_read_json(scratch, state, &why);
            if (!val)
                return -1;
            e->doc.root = val_copy(&e->doc.mem, val);
        }
        if (apply_patches(inst, log.at, log.len, scratch) < 0)
            return -1;
        inst->saved_bytes = 1 + log.len;
        return 0;
    }
    if (history.len && log.len)
        return -1;
    struct str all = history.len ? history : log;
    if (apply_history(inst, all.at, all.len) < 0)
        return -1;
    /* A short one in a log, as older folders have it, is saved whole next time. */
    bool is_in_place = (history.len > 0) == (all.len <= SHORT_HISTORY_BYTES);
    inst->saved_bytes = is_in_place ? inst->orchestration.history.len : 0;
    return 0;
}
