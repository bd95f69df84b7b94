#include "core/event.h"

#include <assert.h>

#include "core/message.h"

/* Which fields an event of a type has, in the order they are written. */
struct layout {
    const char *name;
    bool has_time, has_id, has_due, has_message, has_target, has_name, has_val, has_details;
};

static const struct layout *layout_of(enum event_type type)
{
    static const struct layout layouts[] = {
        [EVENT_EXECUTION_STARTED] = {"ExecutionStarted", .has_time = true, .has_val = true,
                                     .has_details = true},
        [EVENT_TASK_COMPLETED] = {"TaskCompleted", .has_time = true, .has_id = true,
                                  .has_val = true},
        [EVENT_TIMER_FIRED] = {"TimerFired", .has_time = true, .has_id = true},
        [EVENT_EVENT_RAISED] = {"EventRaised", .has_time = true, .has_name = true, .has_val = true},
        [EVENT_SUB_ORCHESTRATION_COMPLETED] = {"SubOrchestrationCompleted", .has_time = true,
                                               .has_id = true, .has_val = true},
        [EVENT_ENTITY_RESPONDED] = {"EntityResponded", .has_time = true, .has_id = true,
                                    .has_val = true},
        [EVENT_EXECUTION_SUSPENDED] = {"ExecutionSuspended", .has_time = true, .has_val = true},
        [EVENT_EXECUTION_RESUMED] = {"ExecutionResumed", .has_time = true, .has_val = true},
        [EVENT_EXECUTION_TERMINATED] = {"ExecutionTerminated", .has_time = true, .has_val = true},
        [EVENT_EXECUTION_SCHEDULED] = {"ExecutionScheduled", .has_time = true, .has_due = true,
                                       .has_val = true, .has_details = true},
        [EVENT_EXECUTION_REWOUND] = {"ExecutionRewound", .has_time = true, .has_due = true,
                                     .has_val = true},
        [EVENT_EXECUTION_QUARANTINED] = {"ExecutionQuarantined", .has_time = true, .has_val = true},
        [EVENT_TASK_SCHEDULED] = {"TaskScheduled", .has_id = true, .has_name = true,
                                  .has_val = true, .has_details = true},
        [EVENT_TASK_RAN] = {"TaskRan", .has_id = true, .has_name = true, .has_val = true},
        [EVENT_TIMER_CREATED] = {"TimerCreated", .has_id = true, .has_due = true},
        [EVENT_TIMER_CANCELED] = {"TimerCanceled", .has_id = true},
        [EVENT_MESSAGE_SENT] = {"MessageSent", .has_message = true, .has_target = true,
                                .has_name = true, .has_val = true},
        [EVENT_SUB_ORCHESTRATION_CREATED] = {"SubOrchestrationCreated", .has_id = true,
                                             .has_target = true, .has_name = true, .has_val = true,
                                             .has_details = true},
        [EVENT_ENTITY_CALLED] = {"EntityCalled", .has_id = true, .has_target = true,
                                 .has_name = true, .has_val = true},
        [EVENT_LOCK_REQUESTED] = {"LockRequested", .has_id = true, .has_val = true},
        [EVENT_LOCK_RELEASED] = {"LockReleased", .has_id = false},
        [EVENT_STATUS_SET] = {"StatusSet", .has_val = true},
        [EVENT_CONTINUED_AS_NEW] = {"ContinuedAsNew", .has_val = true},
        [EVENT_EXECUTION_COMPLETED] = {"ExecutionCompleted", .has_val = true},
        [EVENT_TASK_ABANDONED] = {"TaskAbandoned", .has_id = true},
    };
    bool is_known = (unsigned)type < sizeof layouts / sizeof layouts[0] && layouts[type].name;
    return is_known ? &layouts[type] : NULL;
}

bool event_has_id(enum event_type type)
{
    const struct layout *layout = layout_of(type);
    return layout && layout->has_id;
}

const char *event_type_name(enum event_type type)
{
    const struct layout *layout = layout_of(type);
    return layout ? layout->name : "Unknown";
}

void event_encode(struct buf *out, const struct event *e)
{
    const struct layout *layout = layout_of(e->type);
    assert(layout);
    buf_byte(out, (uint8_t)e->type);
    if (layout->has_time)
        buf_zigzag(out, e->time_ms);
    if (layout->has_id)
        buf_varint(out, e->id);
    if (layout->has_due)
        buf_zigzag(out, e->due_ms);
    if (layout->has_message)
        buf_byte(out, e->message);
    if (layout->has_target)
        buf_string(out, e->target);
    if (layout->has_name)
        buf_string(out, e->name);
    if (layout->has_val)
        val_encode(out, e->val);
    if (layout->has_details)
        val_encode(out, e->details);
}

static const ks_val *value_read(struct reader *r, ks_arena *mem)
{
    if (mem)
        return val_decode(mem, r);
    val_skip(r);
    return NULL;
}

static void decode(struct reader *r, ks_arena *mem, ks_arena *details_mem, struct event *ret)
{
    *ret = (struct event){.type = read_byte(r)};
    const struct layout *layout = layout_of(ret->type);
    if (!layout) {
        r->is_bad = true;
        return;
    }
    if (layout->has_time)
        ret->time_ms = read_zigzag(r);
    if (layout->has_id) {
        uint64_t id = read_varint(r);
        r->is_bad |= id > UINT32_MAX;
        ret->id = (uint32_t)id;
    }
    if (layout->has_due)
        ret->due_ms = read_zigzag(r);
    if (layout->has_message)
        ret->message = read_byte(r);
    if (layout->has_target)
        ret->target = read_string(r);
    if (layout->has_name)
        ret->name = read_string(r);
    if (layout->has_val)
        ret->val = value_read(r, mem);
    if (layout->has_details)
        ret->details = value_read(r, details_mem);
}

void event_decode(struct reader *r, ks_arena *mem, struct event *ret)
{
    decode(r, mem, mem, ret);
}

void event_decode_details(struct reader *r, ks_arena *mem, struct event *ret)
{
    decode(r, NULL, mem, ret);
}

const char *event_describe(ks_arena *mem, const struct event *e)
{
    const struct layout *layout = layout_of(e->type);
    const char *text = event_type_name(e->type);
    if (layout && layout->has_message)
        text = ks_format(mem, "%s %s", text, message_type_name(e->message));
    if (layout && layout->has_id)
        text = ks_format(mem, "%s %u", text, e->id);
    if (layout && layout->has_name)
        text = ks_format(mem, "%s \"%.*s\"", text, (int)e->name.len, e->name.at);
    if (layout && layout->has_target)
        text = ks_format(mem, "%s to \"%.*s\"", text, (int)e->target.len, e->target.at);
    return text;
}

static void put_str(ks_arena *mem, ks_val *object, const char *key, struct str s)
{
    ks_put(mem, object, key, ks_string_n(mem, s.at, s.len));
}

ks_val *event_to_val(ks_arena *mem, const struct event *e)
{
    const struct layout *layout = layout_of(e->type);
    ks_val *object = ks_object(mem);
    ks_put(mem, object, "type", ks_string(mem, event_type_name(e->type)));
    if (!layout)
        return object;
    if (layout->has_time)
        ks_put(mem, object, "time", ks_integer(mem, e->time_ms));
    if (layout->has_id)
        ks_put(mem, object, "id", ks_integer(mem, e->id));
    if (layout->has_due)
        ks_put(mem, object, "due", ks_integer(mem, e->due_ms));
    if (layout->has_target)
        put_str(mem, object, "target", e->target);
    if (layout->has_name)
        put_str(mem, object, "name", e->name);
    if (layout->has_val)
        ks_put(mem, object, ks_is_error(e->val) ? "error" : "value", e->val);
    if (layout->has_details && ks_type_of(e->details) != KS_NULL)
        ks_put(mem, object, "details", e->details);
    return object;
}

ks_val *start_details_without(ks_arena *mem, const ks_val *details, const char *const names[])
{
    ks_val *left = ks_object(mem);
    for (size_t i = 0; i < ks_len(details); i++) {
        const char *const *name = names;
        while (*name && strcmp(*name, ks_key_at(details, i)) != 0)
            name++;
        if (!*name)
            ks_put(mem, left, ks_key_at(details, i), ks_val_at(details, i));
    }
    return left;
}
