#include "run/partition.h"

#include "base/die.h"
#include "run/partition_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { WATCHDOG_MS = 50, RETRY_MS = 1000, TICK_MS = 1000, ARENA_BYTES = 64 * 1024 };

static const struct partition_limits defaults = {
    .sessions = 1024,
    .memory_bytes = (size_t)512 << 20,
    .pass_steps = 4096,
    .pass_bytes = (size_t)4 << 20,
};

/* ---- time ---- */

int64_t partition_clock_ms(const struct partition *p)
{
    return p->clock_base_ms + (p->env->boot_ns(p->env->self) - p->clock_base_ns) / 1000000;
}

/* A store that had to be opened again goes on with the time that is: only a new process looks at
 * the wall clock. */
static void clock_set(struct partition *p, int64_t last_ms)
{
    int64_t now_ms = p->clock_base_ns ? partition_clock_ms(p) : p->env->wall_ms(p->env->self);
    if (p->clock_base_ns && now_ms >= last_ms)
        return; /* set anew it would lose a part of a millisecond each time */
    p->clock_base_ms = now_ms > last_ms ? now_ms : last_ms;
    p->clock_base_ns = p->env->boot_ns(p->env->self);
}

/* ---- up and down ---- */

static int open_store(struct partition *p)
{
    struct recovered recovered = {0};
    uint64_t seed;
    p->env->random(p->env->self, &seed, sizeof seed);
    table_init(&p->table, seed);
    int result = p->config.open_store(p->config.ctx, &p->table, &recovered, &p->store, p->why,
                                      sizeof p->why);
    if (result < 0) {
        table_free(&p->table);
        return result;
    }
    if (recovered.sequence < p->last_sequence)
        die("commit %" PRIu64 " was acknowledged, and the data folder has only those up to %" PRIu64
            ": somebody changed or removed it while this process ran; put it back, and start again",
            p->last_sequence, recovered.sequence);
    clock_set(p, recovered.time_ms);
    p->next_uid = recovered.next_uid;
    p->has_all = recovered.is_all_there;
    p->horizon_ms = -1;
    p->leftover.len = 0;
    buf_append(&p->leftover, recovered.queue.at, recovered.queue.len);
    buf_free(&recovered.queue);
    p->now_ms = partition_clock_ms(p);
    resident_recovered(p);
    resident_look_ahead(p);
    p->stats.recovered = recovered;
    quarantine_look(p);
    p->is_up = true;
    return 0;
}

static void pass_reset(struct partition *p)
{
    p->queue = (struct message_list){0};
    p->next_pass = (struct message_list){0};
    p->log.len = 0;
    p->change_count = 0;
    p->first_line = NULL;
    p->last_line = NULL;
    p->steps = 0;
    arena_reset(&p->pass_mem);
    arena_reset(&p->step_mem);
}

static void go_down(struct partition *p)
{
    p->is_up = false;
    if (store_why(p->store)[0])
        snprintf(p->why, sizeof p->why, "%s", store_why(p->store));
    activity_forget_scheduled(p);
    resident_drop_all(p);
    store_abandon(p->store);
    p->store = NULL;
    pass_reset(p);
}

static void come_up(struct partition *p)
{
    char why[sizeof p->why];
    memcpy(why, p->why, sizeof why);
    if (open_store(p) == 0)
        memcpy(p->why, why, sizeof why); /* of the last failure, for whoever asks */
    else
        p->retry_ns = p->env->boot_ns(p->env->self) + (int64_t)RETRY_MS * 1000000;
}

int partition_open(const struct partition_config *config, struct partition **ret, char *ret_why,
                   size_t why_size)
{
    struct partition *p = die_zalloc(sizeof *p);
    p->config = *config;
    p->limits = config->limits;
    p->env = config->env;
    p->app = config->app;
    if (!p->limits.sessions)
        p->limits.sessions = defaults.sessions;
    if (!p->limits.memory_bytes)
        p->limits.memory_bytes = defaults.memory_bytes;
    if (!p->limits.pass_steps)
        p->limits.pass_steps = defaults.pass_steps;
    if (!p->limits.pass_bytes)
        p->limits.pass_bytes = defaults.pass_bytes;
    p->to_dispatch_last = &p->to_dispatch;
    arena_init(&p->pass_mem, ARENA_BYTES);
    arena_init(&p->step_mem, ARENA_BYTES);
    int result = open_store(p);
    if (result < 0) {
        snprintf(ret_why, why_size, "%s", p->why);
        partition_abandon(p);
        return result;
    }
    *ret = p;
    return 0;
}

static void partition_free(struct partition *p)
{
    activity_forget_scheduled(p);
    resident_drop_all(p);
    coroutine_pool_free(&p->pool);
    arena_free(&p->pass_mem);
    arena_free(&p->step_mem);
    buf_free(&p->log);
    buf_free(&p->leftover);
    free(p->changes);
    free(p->change_starts);
    free(p->deleted);
    free(p);
}

void partition_abandon(struct partition *p)
{
    if (p->store)
        store_abandon(p->store);
    partition_free(p);
}

int partition_close(struct partition *p)
{
    int result = p->store ? store_close(p->store) : 0;
    partition_free(p);
    return result;
}

bool partition_is_up(const struct partition *p)
{
    return p->is_up;
}

const char *partition_why(const struct partition *p)
{
    return p->why;
}

/* ---- the pass ---- */

bool partition_has_budget(const struct partition *p)
{
    return p->steps < p->limits.pass_steps && p->log.len < p->limits.pass_bytes;
}

bool partition_takes_changes(const struct partition *p)
{
    return store_room(p->store) == ROOM_PLENTY;
}

bool partition_is_behind(const struct partition *p)
{
    return p->queue.first;
}

bool partition_takes_looks(const struct partition *p)
{
    return !p->leftover.len || store_room(p->store) != ROOM_NONE;
}

int64_t partition_now_ms(const struct partition *p)
{
    return p->now_ms;
}

/* Half of what is left of the pass is for timers: when a million are due at once, requests are
 * taken all the same. Whoever looks at one whose timer waits here has it fired first. */
static void fire_due(struct partition *p)
{
    size_t steps = p->steps < p->limits.pass_steps ? p->limits.pass_steps - p->steps : 0;
    size_t bytes = p->log.len < p->limits.pass_bytes ? p->limits.pass_bytes - p->log.len : 0;
    size_t steps_max = p->steps + (steps + 1) / 2, bytes_max = p->log.len + (bytes + 1) / 2;
    while (p->steps < steps_max && p->log.len < bytes_max &&
           timers_next_ms(&p->timers) <= p->now_ms) {
        const struct sleeper *sleeper = timers_first_sleeper(&p->timers);
        struct instance *first = timers_first(&p->timers);
        struct message *m = ks_alloc(&p->pass_mem, sizeof *m);
        m->type = MESSAGE_TIMER;
        if (sleeper && (!first || sleeper->wake_ms < first->due_ms)) {
            m->uid = sleeper->uid;
            timers_wake_sleeper(&p->timers);
        } else {
            m->uid = first->uid;
        }
        message_append(&p->queue, m);
        step_queue(p);
    }
}

void partition_begin(struct partition *p)
{
    if (!p->is_up && p->env->boot_ns(p->env->self) >= p->retry_ns)
        come_up(p);
    if (!p->is_up)
        return;
    p->pass++;
    p->stats.passes++;
    p->first_new_uid = p->next_uid;
    p->now_ms = partition_clock_ms(p);
    (void)partition_held_ms(p);
    if (store_room(p->store) == ROOM_NONE)
        return; /* reading goes on; nothing else can */
    quarantine_send(p);
    step_send_encoded(p, (struct str){p->leftover.at, p->leftover.len}, "what was left over");
    activity_take_results(p);
    activity_check_hearts(p);
    step_queue(p);
    resident_look_ahead(p);
    (void)partition_held_ms(p); /* it may have loaded many */
    fire_due(p);
}

ks_arena *partition_step(struct partition *p, ks_outbox *ret_out)
{
    arena_reset(&p->step_mem);
    *ret_out = (ks_outbox){.mem = &p->pass_mem};
    p->is_gated = false;
    return &p->step_mem;
}

struct instance *partition_look(struct partition *p, struct str id)
{
    struct instance *inst = resident_find(p, id);
    if (inst && inst->due_ms <= p->now_ms && store_room(p->store) != ROOM_NONE) {
        step_due_timers(p, inst);
        inst = resident_find(p, id);
    }
    p->is_gated |= inst ? inst->changed_in_pass == p->pass : p->deleted_count > 0;
    return inst;
}

void partition_look_ahead(struct partition *p, const struct str *keys, size_t count)
{
    table_look_ahead(&p->table, keys, count);
}

void partition_query(struct partition *p, struct query *query, struct query_page *ret)
{
    query->changes = p->changes;
    query->change_count = p->change_count;
    p->is_gated |= p->change_count > 0;
    if (store_query(p->store, query, ret) < 0)
        die("%s", store_why(p->store));
}

/* Messages that an instance has to be there for. */
static bool needs_instance(enum message_type type)
{
    return type == MESSAGE_EVENT || (type >= MESSAGE_TERMINATE && type != MESSAGE_PURGE_ALL);
}

/* What becomes of the instance by what is sent to it before cannot be known yet. */
static bool is_sent_to_before(const ks_outbox *out, const struct message *until)
{
    for (const struct message *m = out->sent.first; m != until; m = m->next)
        if (str_is(m->target, until->target) ||
            (m->type == MESSAGE_RESTART && str_is(m->name, until->target)))
            return true;
    return false;
}

int partition_check(struct partition *p, const ks_outbox *out, const char **ret_why)
{
    int status = 0;
    for (const struct message *m = out->sent.first; m && !status; m = m->next)
        if (needs_instance(m->type) && !is_sent_to_before(out, m))
            status = manage_check(p, m, ret_why);
    return status;
}

void partition_send(struct partition *p, ks_outbox *out)
{
    pass_add_lines(p, out);
    p->steps++;
    p->stats.steps++;
    if (!out->sent.first)
        return;
    p->is_gated = true;
    message_append_all(&p->queue, &out->sent);
    step_queue(p);
}

bool partition_is_gated(const struct partition *p)
{
    return p->is_gated;
}

int64_t partition_held_ms(struct partition *p)
{
    int64_t since_ns = p->watched_ns;
    p->watched_ns = p->env->boot_ns(p->env->self);
    int64_t held_ns = p->watched_ns - since_ns;
    return held_ns > (int64_t)WATCHDOG_MS * 1000000 ? held_ns / 1000000 : 0;
}

void partition_warn(struct partition *p, int64_t held_ms, struct str function)
{
    char line[256];
    snprintf(line, sizeof line,
             "\"%.*s\" held the partition for %lld ms, and nothing else was done meanwhile; let an "
             "activity do what takes long",
             (int)function.len, function.at, (long long)held_ms);
    p->config.log(p->config.ctx, line);
}

/* ---- the commit ---- */

static void encode_queue(struct partition *p)
{
    p->leftover.len = 0;
    message_append_all(&p->queue, &p->next_pass);
    for (struct message *m = p->queue.first; m; m = m->next)
        message_encode(&p->leftover, m);
}

static void let_leave(struct partition *p)
{
    activity_dispatch_all(p);
    for (struct log_line *line = p->first_line; line; line = line->next)
        p->config.log(p->config.ctx, line->text);
    for (size_t i = 0; i < p->change_count; i++)
        if (p->changes[i].what != CHANGE_DELETED && p->changes[i].inst->kind == INSTANCE_ENTITY)
            doc_tidy(&p->changes[i].inst->entity.doc);
    if (p->committed && p->change_count)
        p->committed(p->committed_ctx, p->changes, p->change_count);
    for (size_t i = 0; i < p->deleted_count; i++)
        instance_free(p->deleted[i]);
    p->deleted_count = 0;
    pass_reset(p);
    store_tick(p->store);
    if (p->store->notice[0])
        p->config.log(p->config.ctx, p->store->notice);
    p->store->notice[0] = 0;
    resident_trim(p);
}

int partition_commit(struct partition *p)
{
    if (!p->is_up)
        return KS_E_IO;
    bool had_leftover = p->leftover.len > 0;
    if (store_room(p->store) != ROOM_NONE)
        encode_queue(p);
    else
        had_leftover = false; /* it was not touched */
    bool has_new_leftover = p->queue.first;
    if (!p->change_count && !has_new_leftover && !had_leftover) {
        let_leave(p);
        return 0;
    }
    for (size_t i = 0; i < p->change_count; i++)
        p->changes[i].log.at = p->log.at + p->change_starts[i];
    struct commit commit = {.time_ms = p->now_ms,
                            .changes = p->changes,
                            .change_count = p->change_count,
                            .queue = {p->leftover.at, p->leftover.len}};
    int result = store_commit(p->store, &commit, &p->last_sequence);
    if (result < 0) {
        go_down(p);
        come_up(p);
        return result;
    }
    p->stats.commits++;
    let_leave(p);
    return 0;
}

void partition_on_commit(struct partition *p, partition_committed_fn *committed, void *ctx)
{
    p->committed = committed;
    p->committed_ctx = ctx;
}

const struct instance *partition_peek(struct partition *p, struct str id)
{
    return p->is_up ? resident_find(p, id) : NULL;
}

int64_t partition_next_ms(const struct partition *p)
{
    if (!p->is_up)
        return partition_clock_ms(p) + RETRY_MS;
    bool has_room = store_room(p->store) != ROOM_NONE;
    if (has_room && (p->leftover.len || p->done_first))
        return p->now_ms;
    int64_t next_ms = has_room ? timers_next_ms(&p->timers) : NEVER_MS;
    int64_t heart_ms = activity_next_ms(p);
    next_ms = heart_ms < next_ms ? heart_ms : next_ms;
    if (has_room && p->horizon_ms < NEVER_MS && p->horizon_ms - LOOK_AHEAD_MS < next_ms)
        next_ms = p->horizon_ms - LOOK_AHEAD_MS;
    bool has_work = p->table.dirty.count || store_room(p->store) != ROOM_PLENTY;
    if (has_work && p->now_ms + TICK_MS < next_ms)
        next_ms = p->now_ms + TICK_MS;
    return next_ms;
}

void partition_evict_sessions(struct partition *p)
{
    resident_evict_sessions(p);
}

struct partition_stats partition_stats(const struct partition *p)
{
    struct partition_stats stats = p->stats;
    stats.instances = p->table.count;
    stats.dirty = p->table.dirty.count;
    stats.sessions = resident_sessions(p);
    stats.bytes = p->bytes;
    return stats;
}
