#include "core/event.h"

#include <assert.h>

#include "core/message.h"

/* Which fields an event of a type has, in the order they are written. */
struct layout {
    const char *name;
    bool has_time, has_id, has_due, has_message, has_name, has_val;
};

static const struct layout *layout_of(enum event_type type)
{
    static const struct layout layouts[] = {
        [EVENT_EXECUTION_STARTED] = {"ExecutionStarted", .has_time = true, .has_val = true},
        [EVENT_TASK_COMPLETED] = {"TaskCompleted", .has_time = true, .has_id = true,
                                  .has_val = true},
        [EVENT_TIMER_FIRED] = {"TimerFired", .has_time = true, .has_id = true},
        [EVENT_EVENT_RAISED] = {"EventRaised", .has_time = true, .has_name = true, .has_val = true},
        [EVENT_TASK_SCHEDULED] = {"TaskScheduled", .has_id = true, .has_name = true,
                                  .has_val = true},
        [EVENT_TASK_RAN] = {"TaskRan", .has_id = true, .has_name = true, .has_val = true},
        [EVENT_TIMER_CREATED] = {"TimerCreated", .has_id = true, .has_due = true},
        [EVENT_TIMER_CANCELED] = {"TimerCanceled", .has_id = true},
        [EVENT_MESSAGE_SENT] = {"MessageSent", .has_message = true, .has_name = true,
                                .has_val = true},
        [EVENT_EXECUTION_COMPLETED] = {"ExecutionCompleted", .has_val = true},
    };
    bool is_known = (unsigned)type < sizeof layouts / sizeof layouts[0] && layouts[type].name;
    return is_known ? &layouts[type] : NULL;
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
        buf_zigzag(out, e->time_ms);
    if (layout->has_message) {
        buf_byte(out, e->message);
        buf_string(out, e->target);
    }
    if (layout->has_name)
        buf_string(out, e->name);
    if (layout->has_val)
        val_encode(out, e->val);
}

void event_decode(struct reader *r, ks_arena *mem, struct event *ret)
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
        ret->time_ms = read_zigzag(r);
    if (layout->has_message) {
        ret->message = read_byte(r);
        ret->target = read_string(r);
    }
    if (layout->has_name)
        ret->name = read_string(r);
    if (layout->has_val) {
        if (mem)
            ret->val = val_decode(mem, r);
        else
            val_skip(r);
    }
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
    if (layout && layout->has_message)
        text = ks_format(mem, "%s to \"%.*s\"", text, (int)e->target.len, e->target.at);
    return text;
}
