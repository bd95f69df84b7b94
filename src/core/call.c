/* What an orchestration asks of others and waits for: sub-orchestrations, entities, locks. Each is
 * a command in history and a message that says who waits; the answer comes back as a message. */
#include "core/session_internal.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Sends a message whose answer is to come to a task. Only what is new is sent. */
static void send_for(ks_task *task, struct message *m)
{
    struct session *s = task->session;
    m->from = (struct sender){.id = {s->inst->id, s->inst->id_len},
                              .uid = s->inst->uid,
                              .task_id = task->id};
    message_append(&s->out.sent, message_copy(s->out.mem, m));
}

/* ---- what is drawn, the same in every replay ---- */

static XXH128_hash_t draw(struct session *s)
{
    const struct instance *inst = s->inst;
    uint64_t seed[3] = {inst->uid, (uint64_t)inst->created_ms, s->draws++};
    return XXH3_128bits_withSeed(seed, sizeof seed, (uint64_t)s->begun_ms);
}

const char *ks_unique_id(ks_orch *o)
{
    XXH128_hash_t hash = draw(task_session_of(o));
    return ks_format(o->mem, "%016llx%016llx", (unsigned long long)hash.high64,
                     (unsigned long long)hash.low64);
}

uint64_t ks_random(ks_orch *o)
{
    return draw(task_session_of(o)).low64;
}

/* ---- sub-orchestrations ---- */

ks_task *task_sub_once(struct session *s, const char *orchestration, const char *id,
                       const ks_val *input, struct retry *r)
{
    ks_task *task = task_new(s, TASK_CHILD);
    task_number(task);
    if (!id)
        id = ks_unique_id(&s->orch);
    struct event e = {.type = EVENT_SUB_ORCHESTRATION_CREATED,
                      .id = task->id,
                      .target = str_of(id),
                      .name = str_of(orchestration)};
    task->name = str_dup(&s->mem, e.target);
    if (task_attempt(s, &e, &input, r))
        send_for(task, &(struct message){.type = MESSAGE_START,
                                         .target = e.target,
                                         .name = e.name,
                                         .val = input});
    return task;
}

void task_abandon(ks_task *task)
{
    struct session *s = task->session;
    bool is_new = session_command(s, &(struct event){.type = EVENT_TASK_ABANDONED, .id = task->id});
    if (is_new && task->kind == TASK_CHILD)
        send_for(task, &(struct message){.type = MESSAGE_TERMINATE,
                                         .target = task->name,
                                         .name = STR(MESSAGE_WITH_CHILDREN),
                                         .val = ks_string(&s->mem, "nobody waits for it")});
}

void task_check_sub(struct session *s, const char *orchestration, const char *id,
                    const ks_val *input)
{
    struct message m = {.type = MESSAGE_START,
                        .target = str_of(id ? id : s->inst->id),
                        .name = str_of(orchestration)};
    const char *why = message_check(&m);
    if (why)
        session_fail(s, ks_fail(&s->mem, KS_ERROR_BAD_SEND, "%s", why));
    if (s->locked)
        session_fail(s, ks_fail(&s->mem, KS_ERROR_BAD_LOCK,
                                "no sub-orchestration can be begun in a critical section"));
    task_check_input(s, orchestration, input);
}

ks_task *ks_sub(ks_orch *o, const char *orchestration, const char *id, const ks_val *input)
{
    struct session *s = task_session_of(o);
    task_check_sub(s, orchestration, id, input);
    return task_sub_once(s, orchestration, id, input, NULL);
}

/* ---- entities ---- */

static bool is_locked(const struct session *s, struct str id)
{
    for (size_t i = 0; i < ks_len(s->locked); i++)
        if (str_is(val_str(ks_at(s->locked, i)), id))
            return true;
    return false;
}

/* In histories made when it was not refused, it was done. */
static bool is_before_its_lock(const struct session *s)
{
    struct event call = {.type = EVENT_ENTITY_CALLED, .id = s->first_task + s->task_count};
    bool has_been = s->is_replaying && !session_lacks(s, &call);
    return s->locked && !s->has_locks && !has_been;
}

ks_task *ks_call_entity(ks_orch *o, ks_ref entity, const char *operation, const ks_val *arg)
{
    struct session *s = task_session_of(o);
    struct str id = entity_id(&s->mem, str_of(entity.entity), str_of(entity.key));
    struct message m = {.type = MESSAGE_CALL, .target = id, .name = str_of(operation), .val = arg};
    const char *why = message_check(&m);
    if (why)
        session_fail(s, ks_fail(&s->mem, KS_ERROR_BAD_SEND, "%s", why));
    if (s->locked && !is_locked(s, id))
        session_fail(s, ks_fail(&s->mem, KS_ERROR_BAD_LOCK,
                                "%s is called in a critical section that does not have it", id.at));
    if (is_before_its_lock(s))
        session_fail(s, ks_fail(&s->mem, KS_ERROR_BAD_LOCK,
                                "%s is called before the critical section has begun; await it",
                                id.at));
    ks_task *task = task_new(s, TASK_CALL);
    task_number(task);
    struct event e = {.type = EVENT_ENTITY_CALLED,
                      .id = task->id,
                      .target = id,
                      .name = m.name,
                      .val = arg};
    if (session_command(s, &e))
        send_for(task, &m);
    return task;
}

/* ---- locks ---- */

static int by_id(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In one order for everybody, so that no two sections wait for each other; each once. */
static ks_val *sorted_ids(struct session *s, const ks_ref *entities, size_t n)
{
    const char **ids = ks_alloc(&s->mem, (n + 1) * sizeof ids[0]);
    ks_val *list = ks_array(&s->mem);
    for (size_t i = 0; i < n; i++) {
        struct str id = entity_id(&s->mem, str_of(entities[i].entity), str_of(entities[i].key));
        const char *why = message_check(
            &(struct message){.type = MESSAGE_CALL, .target = id, .name = STR("lock")});
        if (why)
            session_fail(s, ks_fail(&s->mem, KS_ERROR_BAD_SEND, "%s", why));
        ids[i] = id.at;
    }
    qsort(ids, n, sizeof ids[0], by_id);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(ids[i], ids[i - 1]) != 0)
            ks_push(&s->mem, list, ks_string(&s->mem, ids[i]));
    return list;
}

ks_task *ks_lock_all(ks_orch *o, const ks_ref *entities, size_t n)
{
    struct session *s = task_session_of(o);
    if (s->locked)
        session_fail(s, ks_fail(&s->mem, KS_ERROR_BAD_LOCK,
                                "a critical section cannot begin in a critical section"));
    if (n == 0)
        session_fail(s, ks_fail(&s->mem, KS_ERROR_BAD_LOCK, "a critical section needs an entity"));
    s->locked = sorted_ids(s, entities, n);
    ks_task *task = task_new(s, TASK_LOCK);
    task_number(task);
    struct event e = {.type = EVENT_LOCK_REQUESTED, .id = task->id, .val = s->locked};
    if (session_command(s, &e))
        send_for(task, &(struct message){.type = MESSAGE_LOCK,
                                         .target = val_str(ks_at(s->locked, 0)),
                                         .val = s->locked});
    return task;
}

void ks_unlock(ks_orch *o)
{
    struct session *s = task_session_of(o);
    const ks_val *ids = s->locked;
    if (!ids)
        return;
    if (!s->has_locks)
        session_fail(s, ks_fail(&s->mem, KS_ERROR_BAD_LOCK,
                                "a critical section was ended before it had begun; await it"));
    s->locked = NULL;
    s->has_locks = false;
    if (!session_command(s, &(struct event){.type = EVENT_LOCK_RELEASED}))
        return;
    for (size_t i = 0; i < ks_len(ids); i++) {
        struct message m = {.type = MESSAGE_UNLOCK,
                            .target = val_str(ks_at(ids, i)),
                            .from.id = {s->inst->id, s->inst->id_len}};
        message_append(&s->out.sent, message_copy(s->out.mem, &m));
    }
}

bool session_may_signal(const struct session *s, struct str entity)
{
    return !is_locked(s, entity);
}

/* ---- the rest of what code may ask ---- */

void ks_set_status(ks_orch *o, const ks_val *status)
{
    struct session *s = task_session_of(o);
    struct buf encoded = {0};
    task_check_input(s, "custom status", status);
    val_encode(&encoded, status);
    size_t len = encoded.len;
    buf_free(&encoded);
    if (len > KS_STATUS_MAX)
        session_fail(s, ks_fail(&s->mem, KS_ERROR_BAD_SEND,
                                "the custom status takes %zu bytes, and at most 65536 are allowed",
                                len));
    s->status = status ? status : ks_null(&s->mem);
    session_command(s, &(struct event){.type = EVENT_STATUS_SET, .val = status});
}

_Noreturn void ks_continue_as_new(ks_orch *o, const ks_val *input)
{
    struct session *s = task_session_of(o);
    task_check_input(s, "continue as new", input);
    s->is_continued = true;
    session_fail(s, input ? input : ks_null(&s->mem));
}
