#include "core/message.h"

#include "core/filter.h"
#include "core/session.h"

#include <ctype.h>

const char *message_type_name(uint8_t type)
{
    static const char *const names[] =
        {[MESSAGE_START] = "start",        [MESSAGE_EVENT] = "event",
         [MESSAGE_SIGNAL] = "signal",      [MESSAGE_TIMER] = "timer",
         [MESSAGE_RESULT] = "result",      [MESSAGE_CALL] = "call",
         [MESSAGE_LOCK] = "lock",          [MESSAGE_UNLOCK] = "unlock",
         [MESSAGE_RESPONSE] = "response",  [MESSAGE_TERMINATE] = "terminate",
         [MESSAGE_SUSPEND] = "suspend",    [MESSAGE_RESUME] = "resume",
         [MESSAGE_REWIND] = "rewind",      [MESSAGE_RESTART] = "restart",
         [MESSAGE_PURGE] = "purge",        [MESSAGE_QUARANTINE] = "quarantine",
         [MESSAGE_PURGE_ALL] = "purge all"};
    return type < sizeof names / sizeof names[0] && names[type] ? names[type] : "unknown";
}

void message_append(struct message_list *list, struct message *m)
{
    m->next = NULL;
    if (list->last)
        list->last->next = m;
    else
        list->first = m;
    list->last = m;
}

void message_append_all(struct message_list *list, const struct message_list *more)
{
    if (!more->first)
        return;
    if (list->last)
        list->last->next = more->first;
    else
        list->first = more->first;
    list->last = more->last;
}

void message_encode(struct buf *out, const struct message *m)
{
    buf_byte(out, (uint8_t)m->type);
    buf_varint(out, m->task_id);
    buf_varint(out, m->uid);
    buf_zigzag(out, m->due_ms);
    buf_string(out, m->target);
    buf_string(out, m->name);
    buf_string(out, m->from.id);
    buf_varint(out, m->from.uid);
    buf_varint(out, m->from.task_id);
    val_encode(out, m->val);
    val_encode(out, m->details);
}

struct str str_dup(ks_arena *mem, struct str s)
{
    return (struct str){arena_strndup(mem, s.at, s.len), s.len};
}

struct message *message_decode(struct reader *r, ks_arena *mem)
{
    struct message *m = ks_alloc(mem, sizeof *m);
    m->type = read_byte(r);
    m->task_id = (uint32_t)read_varint(r);
    m->uid = read_varint(r);
    m->due_ms = read_zigzag(r);
    m->target = str_dup(mem, read_string(r));
    m->name = str_dup(mem, read_string(r));
    m->from.id = str_dup(mem, read_string(r));
    m->from.uid = read_varint(r);
    m->from.task_id = (uint32_t)read_varint(r);
    m->val = val_decode(mem, r);
    m->details = val_decode(mem, r);
    if (m->type < MESSAGE_START || m->type > MESSAGE_PURGE_ALL)
        r->is_bad = true;
    return r->is_bad ? NULL : m;
}

struct message *message_copy(ks_arena *mem, const struct message *m)
{
    struct message *copy = arena_memdup(mem, m, sizeof *m);
    copy->target = str_dup(mem, m->target);
    copy->name = str_dup(mem, m->name);
    copy->from.id = str_dup(mem, m->from.id);
    copy->val = val_copy(mem, m->val);
    copy->details = val_copy(mem, m->details);
    return copy;
}

/* ---- entity ids ---- */

struct str entity_id(ks_arena *mem, struct str name, struct str key)
{
    size_t len = name.len + key.len + 2;
    char *id = arena_alloc(mem, len + 1);
    id[0] = '@';
    for (size_t i = 0; i < name.len; i++)
        id[1 + i] = (char)tolower((unsigned char)name.at[i]);
    id[1 + name.len] = '@';
    if (key.len)
        memcpy(id + 2 + name.len, key.at, key.len);
    id[len] = 0;
    return (struct str){id, len};
}

bool entity_id_parts(struct str id, struct str *ret_name, struct str *ret_key)
{
    const char *second = id.len > 1 && id.at[0] == '@' ? memchr(id.at + 1, '@', id.len - 1) : NULL;
    if (!second)
        return false;
    *ret_name = (struct str){id.at + 1, (size_t)(second - id.at) - 1};
    *ret_key = (struct str){second + 1, id.len - ret_name->len - 2};
    return true;
}

/* ---- what may be sent ---- */

static bool has_only_good_bytes(struct str s)
{
    static const bool is_bad[256] = {[0 ... 0x1F] = true, [0x7F] = true, ['/'] = true,
                                     ['\\'] = true,       ['#'] = true,  ['?'] = true};
    bool has_bad = false;
    for (size_t i = 0; i < s.len; i++)
        has_bad |= is_bad[(uint8_t)s.at[i]];
    return !has_bad && utf8_is_valid(s);
}

static bool is_about_entity(enum message_type type)
{
    return type == MESSAGE_SIGNAL || type == MESSAGE_CALL || type == MESSAGE_LOCK ||
           type == MESSAGE_UNLOCK;
}

/* Messages whose name is a function, event or operation. */
static bool has_name(enum message_type type)
{
    return type == MESSAGE_START || type == MESSAGE_EVENT || type == MESSAGE_SIGNAL ||
           type == MESSAGE_CALL;
}

static const char *check_id(struct str id)
{
    if (id.len == 0 || id.len > KS_ID_MAX)
        return "an instance id has to be 1 to 256 bytes";
    if (id.at[0] == '@' || !has_only_good_bytes(id))
        return "Instance ids must not start with @ or contain /, \\, #, ?, or control characters.";
    return NULL;
}

static const char *check_target(const struct message *m)
{
    struct str name, key;
    if (m->type == MESSAGE_PURGE_ALL)
        return NULL; /* for nobody in particular */
    if (is_about_entity(m->type)) {
        if (!entity_id_parts(m->target, &name, &key) || name.len == 0 || name.len > KS_NAME_MAX)
            return "an entity's name has to be 1 to 128 bytes";
        if (key.len > KS_ID_MAX)
            return "an entity's key has to be at most 256 bytes";
        if (!has_only_good_bytes(key))
            return "Entity keys must not contain /, \\, #, ?, or control characters.";
        return NULL;
    }
    if (m->type == MESSAGE_RESUME && entity_id_parts(m->target, &name, &key))
        return NULL;
    return check_id(m->target);
}

const char *message_check(const struct message *m)
{
    const char *why = check_target(m);
    if (!why && m->type == MESSAGE_RESTART && m->name.len)
        why = check_id(m->name);
    if (!why && has_name(m->type) && (m->name.len == 0 || m->name.len > KS_NAME_MAX))
        why = "a function's, event's or operation's name has to be 1 to 128 bytes";
    if (!why && !utf8_is_valid(m->name))
        why = "a function's, event's or operation's name has to be UTF-8";
    if (!why)
        why = val_check(m->val);
    return why ? why : val_check(m->details);
}

/* ---- the outbox ---- */

void outbox_send(ks_outbox *out, const struct message *m)
{
    const char *why = message_check(m);
    if (out->error)
        return;
    if (why) {
        out->error = why;
        return;
    }
    if (out->session && !session_sends(out->session, m))
        return; /* a replay: it was sent then */
    message_append(&out->sent, message_copy(out->mem, m));
}

void outbox_append(ks_outbox *out, ks_outbox *more)
{
    message_append_all(&out->sent, &more->sent);
    if (!more->first_line)
        return;
    if (out->last_line)
        out->last_line->next = more->first_line;
    else
        out->first_line = more->first_line;
    out->last_line = more->last_line;
}

static void send(ks_outbox *out, enum message_type type, const char *id, const char *name,
                 const ks_val *val)
{
    outbox_send(out, &(struct message){.type = type,
                                       .target = str_of(id),
                                       .name = str_of(name),
                                       .val = val});
}

void ks_start(ks_outbox *out, const char *orchestration, const char *id, const ks_val *input)
{
    send(out, MESSAGE_START, id, orchestration, input);
}

void ks_start_with(ks_outbox *out, const char *orchestration, const char *id, const ks_val *input,
                   const ks_start_options *how)
{
    ks_arena *mem = out->mem;
    ks_val *details = ks_object(mem);
    if (how->version)
        ks_put(mem, details, "version", ks_string(mem, how->version));
    if (how->tags)
        ks_put(mem, details, "tags", how->tags);
    if (how->only_if_new)
        ks_put(mem, details, "only_if_new", ks_boolean(mem, true));
    outbox_send(out, &(struct message){.type = MESSAGE_START,
                                       .target = str_of(id),
                                       .name = str_of(orchestration),
                                       .val = input,
                                       .details = details,
                                       .due_ms = how->due_ms});
}

void ks_raise(ks_outbox *out, const char *id, const char *event, const ks_val *val)
{
    send(out, MESSAGE_EVENT, id, event, val);
}

void ks_signal_at(ks_outbox *out, ks_ref entity, const char *operation, const ks_val *arg,
                  int64_t due_ms)
{
    struct str id = entity_id(out->mem, str_of(entity.entity), str_of(entity.key));
    if (out->session && !session_may_signal(out->session, id) && !out->error)
        out->error = "an entity is signaled in the critical section that has it; call it";
    outbox_send(out, &(struct message){.type = MESSAGE_SIGNAL,
                                       .target = id,
                                       .name = str_of(operation),
                                       .val = arg,
                                       .due_ms = due_ms});
}

void ks_signal(ks_outbox *out, ks_ref entity, const char *operation, const ks_val *arg)
{
    ks_signal_at(out, entity, operation, arg, 0);
}

void ks_terminate(ks_outbox *out, const char *id, const char *reason, bool with_children)
{
    send(out, MESSAGE_TERMINATE, id, with_children ? MESSAGE_WITH_CHILDREN : "",
         ks_string(out->mem, reason));
}

void ks_suspend(ks_outbox *out, const char *id, const char *reason)
{
    send(out, MESSAGE_SUSPEND, id, "", ks_string(out->mem, reason));
}

void ks_resume(ks_outbox *out, const char *id, const char *reason)
{
    send(out, MESSAGE_RESUME, id, "", ks_string(out->mem, reason));
}

void ks_rewind(ks_outbox *out, const char *id, int64_t event, const char *reason)
{
    outbox_send(out, &(struct message){.type = MESSAGE_REWIND,
                                       .target = str_of(id),
                                       .val = ks_string(out->mem, reason),
                                       .details = ks_integer(out->mem, event)});
}

void ks_restart(ks_outbox *out, const char *id, const char *new_id)
{
    send(out, MESSAGE_RESTART, id, new_id ? new_id : "", NULL);
}

void ks_purge(ks_outbox *out, const char *id, bool with_children)
{
    send(out, MESSAGE_PURGE, id, with_children ? MESSAGE_WITH_CHILDREN : "", NULL);
}

void ks_purge_all(ks_outbox *out, const ks_filter *which, bool with_children)
{
    static const ks_filter any;
    send(out, MESSAGE_PURGE_ALL, "", with_children ? MESSAGE_WITH_CHILDREN : "",
         filter_to_val(out->mem, which ? which : &any));
}

void ks_log(ks_outbox *out, const char *format, ...)
{
    va_list args;
    if (out->session && session_is_replaying(out->session))
        return;
    struct log_line *line = ks_alloc(out->mem, sizeof *line);
    va_start(args, format);
    line->text = arena_vformat(out->mem, format, args);
    va_end(args);
    outbox_append(out, &(ks_outbox){.first_line = line, .last_line = line});
}
