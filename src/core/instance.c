/* An entity's log has, beside the patches of doc.h:
 *
 *     16 expire   zigzag: when the entity is to be deleted
 */
#include "core/instance.h"

#include "base/die.h"

#include <assert.h>
#include <stdlib.h>

/* A document up to this size is saved whole each time. */
enum { SAVE_WHOLE_BYTES = 4096 };

struct instance *instance_new(uint64_t uid, enum instance_kind kind, struct str id, struct str name,
                              int64_t created_ms)
{
    struct instance *inst = die_zalloc(sizeof *inst);
    inst->uid = uid;
    inst->kind = (uint8_t)kind;
    inst->status = KS_RUNNING;
    inst->id = die_strndup(id.at, id.len);
    inst->id_len = (uint32_t)id.len;
    inst->name = die_strndup(name.at, name.len);
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
    } else {
        assert(!inst->orchestration.session);
        buf_free(&inst->orchestration.history);
        free(inst->orchestration.pending.at);
    }
    free(inst->id);
    free(inst->name);
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

static int pending_add(struct pending_list *list, const struct pending *p)
{
    if (list->len && list->at[list->len - 1].id >= p->id)
        return -1;
    if (list->len == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 1;
        list->at = die_realloc(list->at, list->cap * sizeof list->at[0]);
    }
    list->at[list->len++] = *p;
    list->activities += p->is_activity;
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

static int pending_take(struct pending_list *list, uint32_t id, bool is_activity)
{
    struct pending *p = pending_find(list, id);
    if (!p || p->is_activity != is_activity)
        return -1;
    p->is_done = true;
    list->activities -= is_activity;
    if (++list->done > list->len / 2)
        pending_compact(list);
    return 0;
}

static int64_t pending_due(const struct pending_list *list)
{
    int64_t due_ms = NEVER_MS;
    if (list->activities == list->len - list->done)
        return due_ms;
    for (uint32_t i = 0; i < list->len; i++) {
        const struct pending *p = &list->at[i];
        if (!p->is_done && !p->is_activity && p->due_ms < due_ms)
            due_ms = p->due_ms;
    }
    return due_ms;
}

size_t instance_bytes(const struct instance *inst)
{
    size_t bytes = sizeof *inst + inst->id_len + 64; /* names, links of the allocator */
    if (inst->kind == INSTANCE_ENTITY)
        return bytes + inst->entity.doc.mem.used_bytes + inst->entity.unsaved.cap;
    return bytes + inst->orchestration.history.cap +
           inst->orchestration.pending.cap * sizeof(struct pending);
}

const struct pending *instance_pending(const struct instance *inst, uint32_t id)
{
    return pending_find(&inst->orchestration.pending, id);
}

/* ---- applying ---- */

static int timer_is_gone(struct instance *inst, uint32_t id)
{
    struct pending_list *list = &inst->orchestration.pending;
    const struct pending *p = pending_find(list, id);
    bool was_first = p && p->due_ms == inst->due_ms;
    if (pending_take(list, id, false) < 0)
        return -1;
    if (was_first)
        inst->due_ms = pending_due(list);
    return 0;
}

static void orchestration_is_over(struct instance *inst, size_t output_bytes)
{
    struct orchestration *o = &inst->orchestration;
    free(o->pending.at);
    o->pending = (struct pending_list){0};
    o->output_bytes = output_bytes;
    inst->due_ms = NEVER_MS;
}

static int apply_event(struct instance *inst, const struct event *e, size_t at_bytes, bool is_error)
{
    struct orchestration *o = &inst->orchestration;
    if (event_is_incoming(e->type))
        o->last_ms = e->time_ms;
    switch (e->type) {
    case EVENT_EXECUTION_STARTED:
    case EVENT_EVENT_RAISED:
    case EVENT_TASK_RAN:
    case EVENT_MESSAGE_SENT:
        return 0;
    case EVENT_TASK_SCHEDULED:
        return pending_add(&o->pending, &(struct pending){.id = e->id,
                                                          .is_activity = true,
                                                          .history_bytes = (uint32_t)at_bytes});
    case EVENT_TASK_COMPLETED:
        return pending_take(&o->pending, e->id, true);
    case EVENT_TIMER_CREATED:
        if (e->time_ms < inst->due_ms)
            inst->due_ms = e->time_ms;
        return pending_add(&o->pending, &(struct pending){.id = e->id, .due_ms = e->time_ms});
    case EVENT_TIMER_FIRED:
    case EVENT_TIMER_CANCELED:
        return timer_is_gone(inst, e->id);
    case EVENT_EXECUTION_COMPLETED:
        orchestration_is_over(inst, at_bytes);
        inst->status = is_error ? KS_FAILED : KS_COMPLETED;
        return 0;
    }
    return -1;
}

static int apply_history(struct instance *inst, const void *log, size_t len)
{
    struct buf *history = &inst->orchestration.history;
    size_t from = history->len;
    buf_append(history, log, len);
    const uint8_t *start = (const uint8_t *)history->at;
    struct reader r = reader_of(history->at + from, len);
    while (!reader_is_at_end(&r)) {
        struct event e;
        size_t at_bytes = (size_t)(r.at - start);
        if (inst->status != KS_RUNNING)
            return -1; /* nothing follows an end */
        event_decode(&r, NULL, &e);
        bool is_error = false;
        if (e.type == EVENT_EXECUTION_COMPLETED && !r.is_bad)
            is_error = val_is_encoded_error(start[at_bytes + 1]);
        if (r.is_bad || apply_event(inst, &e, at_bytes, is_error) < 0)
            return -1;
    }
    return r.is_bad ? -1 : 0;
}

enum { LOG_EXPIRE = 16 };

void instance_log_expire(struct buf *log, int64_t due_ms)
{
    buf_byte(log, LOG_EXPIRE);
    buf_zigzag(log, due_ms);
}

static int apply_patches(struct instance *inst, const void *log, size_t len, ks_arena *scratch)
{
    struct reader r = reader_of(log, len);
    while (!reader_is_at_end(&r)) {
        uint8_t op = read_byte(&r);
        if (op == LOG_EXPIRE) {
            inst->due_ms = read_zigzag(&r);
            continue;
        }
        struct doc_patch patch;
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

const ks_val *instance_output(const struct instance *inst, ks_arena *mem)
{
    if (inst->kind != INSTANCE_ORCHESTRATION || inst->status == KS_RUNNING)
        return NULL;
    const struct orchestration *o = &inst->orchestration;
    struct reader r = reader_of(o->history.at + o->output_bytes, o->history.len - o->output_bytes);
    struct event e;
    event_decode(&r, mem, &e);
    return e.val;
}

/* ---- saving ---- */

static struct str view(const struct buf *out, size_t from)
{
    return (struct str){out->at + from, out->len - from};
}

static void save_orchestration(struct instance *inst, struct buf *out, struct image *ret)
{
    struct orchestration *o = &inst->orchestration;
    ks_arena mem;
    struct event e;
    arena_init(&mem, 1024);
    ret->is_whole = inst->saved_bytes == 0;
    ret->log = (struct str){o->history.at + inst->saved_bytes, o->history.len - inst->saved_bytes};
    size_t input_len = 0;
    if (ret->is_whole && o->history.len) {
        struct reader r = reader_of(o->history.at, o->history.len);
        event_decode(&r, &mem, &e);
        val_write_json(out, e.val);
        input_len = out->len;
    }
    if (inst->status != KS_RUNNING)
        val_write_json(out, instance_output(inst, &mem));
    ret->input = (struct str){out->at, input_len};
    ret->output = view(out, input_len);
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
        ret->state = view(out, 0);
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

void instance_unsave(struct instance *inst)
{
    inst->saved_bytes = 0;
    if (inst->kind == INSTANCE_ENTITY)
        buf_free(&inst->entity.unsaved);
}

int64_t instance_wake_ms(const struct instance *inst)
{
    bool has_activities = inst->kind == INSTANCE_ORCHESTRATION &&
                          inst->orchestration.pending.activities > 0;
    return has_activities ? 0 : inst->due_ms;
}

int instance_restore(struct instance *inst, int64_t wake_ms, struct str state, struct str log,
                     ks_arena *scratch)
{
    const char *why = NULL;
    if (inst->kind == INSTANCE_ENTITY) {
        struct entity *e = &inst->entity;
        inst->due_ms = wake_ms;
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
    if (apply_history(inst, log.at, log.len) < 0)
        return -1;
    inst->saved_bytes = inst->orchestration.history.len;
    return 0;
}
