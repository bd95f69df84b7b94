/* What is in memory: found or loaded, created, bounded, let go. */
#include "base/die.h"
#include "run/partition_internal.h"

enum {
    WINDOW_MS = 60 * 1000,
    SLEEPERS_MAX = 1 << 20,
    FAR_SLEEPERS_MAX = 1000,
    FAR_LOOKS_MAX = 4096
};
/* Instances that a pass looks at to let some go: a millisecond or two. */
enum { TRIM_LOOKS_MAX = 16384 };

static void count_bytes(struct partition *p, struct instance *inst)
{
    size_t bytes = instance_bytes(inst);
    if (inst->kind == INSTANCE_ORCHESTRATION && inst->orchestration.session)
        bytes += session_bytes(inst->orchestration.session);
    p->bytes += bytes - inst->counted_bytes;
    inst->counted_bytes = bytes;
}

/* An instance has come from the store, in recovery or by a load: what it waits for is set going. */
static void arrived(struct partition *p, struct instance *inst)
{
    timers_update(&p->timers, inst);
    count_bytes(p, inst);
    if (inst->kind != INSTANCE_ORCHESTRATION)
        return;
    const struct orchestration *o = &inst->orchestration;
    for (uint32_t i = 0; i < o->pending.len && o->pending.activities; i++) {
        const struct pending *pending = &o->pending.at[i];
        if (pending->is_done || pending->kind != PENDING_ACTIVITY)
            continue;
        struct event e;
        instance_asked(inst, pending, &p->pass_mem, &e);
        activity_schedule(p, inst, &e);
    }
}

static struct instance *loaded(struct partition *p, int result, struct instance *inst)
{
    if (result < 0)
        die("%s", store_why(p->store));
    if (inst)
        arrived(p, inst);
    return inst;
}

/* What is not in the table. Deleted in this pass: the store still has it, until the commit. */
static bool may_be_stored(const struct partition *p, struct str id, uint64_t uid)
{
    if (p->has_all)
        return false; /* to ask for each new id is a quarter of an Open */
    for (size_t i = p->deleted_count; i-- > 0;) {
        const struct instance *inst = p->deleted[i];
        if (id.at ? str_is((struct str){inst->id, inst->id_len}, id) : inst->uid == uid)
            return false;
    }
    return true;
}

struct instance *resident_find(struct partition *p, struct str id)
{
    struct instance *inst = table_find(&p->table, id);
    if (inst) {
        inst->is_used = true;
        return inst;
    }
    if (!may_be_stored(p, id, 0))
        return NULL;
    int result = store_load(p->store, id, &inst);
    return loaded(p, result, inst);
}

struct instance *resident_find_uid(struct partition *p, uint64_t uid)
{
    struct instance *inst = table_find_uid(&p->table, uid);
    if (inst || !may_be_stored(p, (struct str){NULL, 0}, uid))
        return inst;
    int result = store_load_uid(p->store, uid, &inst);
    return loaded(p, result, inst);
}

struct instance *resident_create(struct partition *p, enum instance_kind kind, struct str id,
                                 struct str name)
{
    struct instance *inst = instance_new(p->next_uid++, kind, id, name, p->now_ms);
    table_add(&p->table, inst);
    return inst;
}

void resident_changed(struct partition *p, struct instance *inst)
{
    timers_update(&p->timers, inst);
    count_bytes(p, inst);
    inst->updated_ms = p->now_ms;
    inst->changed_in_pass = p->pass;
}

/* ---- sessions ---- */

/* Replaying a history this short costs no more than waking a coroutine whose stack is in no cache
 * any more. So of those only a few stay, and the next ones have their stacks: with 64 clients that
 * is a tenth of an Open and two fifths of a Finish, with 256 nearly half of both. */
enum { SHORT_SESSIONS_MAX = 32 };

static void session_unlink(struct partition *p, struct session *s)
{
    struct session_links *links = session_links(s);
    struct session_list *list = links->is_short ? &p->short_sessions : &p->long_sessions;
    *(links->newer ? &session_links(links->newer)->older : &list->newest) = links->older;
    *(links->older ? &session_links(links->older)->newer : &list->oldest) = links->newer;
    list->count--;
}

static void session_link(struct partition *p, struct session *s, bool is_short)
{
    struct session_list *list = is_short ? &p->short_sessions : &p->long_sessions;
    *session_links(s) = (struct session_links){.older = list->newest, .is_short = is_short};
    *(list->newest ? &session_links(list->newest)->newer : &list->oldest) = s;
    list->newest = s;
    list->count++;
}

struct session *resident_session(struct partition *p, struct instance *inst)
{
    struct session *s = inst->orchestration.session;
    if (s) {
        session_unlink(p, s);
    } else {
        p->stats.replays += inst->orchestration.history.len > 0;
        s = session_new(inst, p->app, &p->pool);
    }
    session_link(p, s, inst->orchestration.history.len < SHORT_HISTORY_BYTES);
    return s;
}

void resident_session_over(struct partition *p, struct session *s)
{
    session_unlink(p, s);
    session_free(s);
}

static void evict_from(struct partition *p, struct session_list *list)
{
    struct instance *inst = session_instance(list->oldest);
    resident_session_over(p, list->oldest);
    count_bytes(p, inst);
}

static void evict_session(struct partition *p)
{
    evict_from(p, p->long_sessions.count ? &p->long_sessions : &p->short_sessions);
}

size_t resident_sessions(const struct partition *p)
{
    return p->short_sessions.count + p->long_sessions.count;
}

void resident_trim_sessions(struct partition *p)
{
    while (p->short_sessions.count > SHORT_SESSIONS_MAX)
        evict_from(p, &p->short_sessions);
    while (resident_sessions(p) > p->limits.sessions)
        evict_session(p);
}

void resident_evict_sessions(struct partition *p)
{
    while (resident_sessions(p))
        evict_session(p);
}

/* ---- leaving memory ---- */

static void take_out(struct partition *p, struct instance *inst)
{
    if (inst->kind == INSTANCE_ORCHESTRATION && inst->orchestration.session)
        resident_session_over(p, inst->orchestration.session);
    timers_forget(&p->timers, inst);
    table_remove(&p->table, inst);
    p->bytes -= inst->counted_bytes;
}

/* Takes it out of everything but the commit. */
void resident_delete(struct partition *p, struct instance *inst)
{
    take_out(p, inst);
    if (p->deleted_count == p->deleted_cap) {
        p->deleted_cap = p->deleted_cap ? p->deleted_cap * 2 : 16;
        p->deleted = die_realloc(p->deleted, p->deleted_cap * sizeof p->deleted[0]);
    }
    p->deleted[p->deleted_count++] = inst;
}

void resident_forget(struct partition *p, struct instance *inst)
{
    take_out(p, inst);
    instance_free(inst);
}

void resident_recovered(struct partition *p)
{
    for (struct instance *i = p->table.clean.newest; i; i = i->older)
        arrived(p, i);
    for (struct instance *i = p->table.dirty.newest; i; i = i->older)
        arrived(p, i);
}

static bool may_go(const struct instance *inst)
{
    return !inst->is_used && store_may_evict(inst) &&
           !(inst->kind == INSTANCE_ORCHESTRATION && inst->orchestration.pending.activities > 0);
}

static void let_go(struct partition *p, struct instance *inst)
{
    p->has_all = false;
    take_out(p, inst);
    if (inst->due_ms < p->horizon_ms)
        timers_sleep(&p->timers, inst->due_ms, inst->uid);
    instance_free(inst);
}

void resident_trim(struct partition *p)
{
    while (resident_sessions(p) && p->bytes > p->limits.memory_bytes)
        evict_session(p);
    int64_t near_ms = p->now_ms + 2 * (int64_t)LOOK_AHEAD_MS;
    if (p->timers.sleeper_count > SLEEPERS_MAX && near_ms < p->horizon_ms) {
        p->horizon_ms = near_ms;
        timers_keep_before(&p->timers, near_ms);
    }
    /* Twice: one that was used is passed over once. */
    size_t left = p->table.clean.count < TRIM_LOOKS_MAX / 2 ? 2 * p->table.clean.count
                                                            : TRIM_LOOKS_MAX;
    struct instance *oldest;
    while ((oldest = p->table.clean.oldest) && p->bytes > p->limits.memory_bytes && left-- > 0) {
        if (may_go(oldest))
            let_go(p, oldest);
        else
            table_pass_over(&p->table, oldest);
    }
}

static bool is_due(void *ctx, const struct due *due)
{
    struct partition *p = ctx;
    if (!table_find_uid(&p->table, due->uid))
        timers_sleep(&p->timers, due->wake_ms, due->uid);
    return true;
}

/* How a look into the far future goes; see look_far(). */
struct far {
    struct partition *p;
    size_t looked;
    int64_t until_ms; /* everything before it is known */
};

static bool is_due_far(void *ctx, const struct due *due)
{
    struct far *far = ctx;
    is_due(far->p, due);
    if (++far->looked < FAR_LOOKS_MAX && far->p->timers.sleeper_count < FAR_SLEEPERS_MAX)
        return true;
    far->until_ms = due->wake_ms;
    return false;
}

/* Nobody sleeps: looks as far as it takes to find the next few, so that idling costs nothing. Not
 * all who are due then: a million may be. */
static void look_far(struct partition *p)
{
    struct far far = {.p = p, .until_ms = NEVER_MS};
    if (store_due(p->store, p->horizon_ms, NEVER_MS, is_due_far, &far) < 0)
        die("%s", store_why(p->store));
    p->horizon_ms = far.until_ms;
}

void resident_look_ahead(struct partition *p)
{
    if (p->horizon_ms == NEVER_MS || p->horizon_ms - p->now_ms > LOOK_AHEAD_MS)
        return;
    int64_t start_ms = p->horizon_ms > p->now_ms ? p->horizon_ms : p->now_ms;
    int64_t until_ms = start_ms + WINDOW_MS;
    if (store_due(p->store, p->horizon_ms, until_ms, is_due, p) < 0)
        die("%s", store_why(p->store));
    p->horizon_ms = until_ms;
    if (!p->timers.sleeper_count)
        look_far(p);
}

void resident_drop_all(struct partition *p)
{
    resident_evict_sessions(p);
    for (size_t i = 0; i < p->deleted_count; i++)
        instance_free(p->deleted[i]);
    p->deleted_count = 0;
    timers_free(&p->timers);
    table_free(&p->table);
    p->bytes = 0;
}
