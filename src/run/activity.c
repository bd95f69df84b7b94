/* Activities on threads: scheduled by a turn, dispatched after its commit, run wherever the env
 * runs jobs, taken back as messages. One that was running when the process died is found pending by
 * recovery and dispatched again, under the same key.
 *
 * What an activity sends travels with its result and is stepped when the result is recorded, so it
 * happens once, however often the activity ran. */
#include "base/die.h"
#include "run/partition_internal.h"

#include <stdatomic.h>
#include <stdlib.h>

struct ks_pulse {
    struct env *env;
    int64_t every_ms;             /* 0: no heartbeat is asked for */
    _Atomic int64_t last_beat_ns; /* written by the activity's thread; 0: it does not run yet */
};

struct activity {
    struct job job; /* stands first */
    struct activity *next;
    struct partition *partition;
    const ks_function *fn; /* NULL: the app has none of that name */
    const ks_settings *settings;
    uint64_t uid;
    uint32_t task_id;
    char *name;
    char *id;
    char *key;
    struct ks_pulse pulse;
    ks_arena mem;                                     /* while it runs */
    struct activity *next_beating, *previous_beating; /* those that have a heartbeat and run */
    struct buf input;                                 /* encoded */
    struct buf result;
    struct buf sent;  /* encoded messages */
    struct buf lines; /* encoded strings for the log */
};

static void activity_free(struct activity *a)
{
    free(a->name);
    free(a->id);
    free(a->key);
    arena_free(&a->mem);
    buf_free(&a->input);
    buf_free(&a->result);
    buf_free(&a->sent);
    buf_free(&a->lines);
    free(a);
}

static void beat(struct ks_pulse *pulse)
{
    if (pulse->every_ms)
        atomic_store(&pulse->last_beat_ns, pulse->env->boot_ns(pulse->env->self));
}

void ks_heartbeat(ks_activity *a)
{
    if (a->pulse) /* an inline one has none */
        beat(a->pulse);
}

struct env *activity_env(const ks_activity *a)
{
    return a->pulse ? a->pulse->env : NULL;
}

static const ks_val *run(struct activity *a, ks_arena *mem, ks_outbox *out)
{
    struct reader r = reader_of(a->input.at, a->input.len);
    struct env *env = a->pulse.env;
    ks_activity public = {.mem = mem,
                          .out = out,
                          .settings = a->settings,
                          .id = a->id,
                          .key = a->key,
                          .input = val_decode(mem, &r),
                          .now_ms = env->wall_ms(env->self),
                          .pulse = &a->pulse};
    beat(&a->pulse);
    if (!a->fn)
        return ks_fail(mem, KS_ERROR_MISSING_FUNCTION, "the app has no activity \"%s\" any more",
                       a->name);
    const ks_val *result = a->fn->activity(&public);
    const char *why = out->error ? out->error : val_check(result);
    return why ? ks_fail(mem, KS_ERROR_BAD_SEND, "%s", why) : result;
}

static void work(struct job *job)
{
    struct activity *a = (struct activity *)job;
    arena_init(&a->mem, 4096);
    ks_outbox out = {.mem = &a->mem};
    const ks_val *result = run(a, &a->mem, &out);
    val_encode(&a->result, result);
    for (struct message *m = ks_is_error(result) ? NULL : out.sent.first; m; m = m->next)
        message_encode(&a->sent, m);
    for (const struct log_line *line = out.first_line; line; line = line->next)
        buf_string(&a->lines, str_of(line->text));
    arena_free(&a->mem);
}

static void stop_listening(struct partition *p, struct activity *a)
{
    if (a->previous_beating)
        a->previous_beating->next_beating = a->next_beating;
    else if (p->beating == a)
        p->beating = a->next_beating;
    if (a->next_beating)
        a->next_beating->previous_beating = a->previous_beating;
    a->next_beating = NULL;
    a->previous_beating = NULL;
}

static int64_t due_ns(const struct activity *a)
{
    int64_t last_ns = atomic_load(&a->pulse.last_beat_ns);
    return last_ns ? last_ns + a->pulse.every_ms * 1000000 : INT64_MAX;
}

void activity_check_hearts(struct partition *p)
{
    int64_t now_ns = p->beating ? p->env->boot_ns(p->env->self) : 0;
    for (struct activity *a = p->beating, *next; a; a = next) {
        next = a->next_beating;
        if (due_ns(a) > now_ns)
            continue;
        stop_listening(p, a);
        step_send(p, &(struct message){.type = MESSAGE_RESULT,
                                       .uid = a->uid,
                                       .task_id = a->task_id,
                                       .val = ks_fail(&p->pass_mem, KS_ERROR_HEARTBEAT,
                                                      "\"%s\" was not heard of for %lld ms",
                                                      a->name, (long long)a->pulse.every_ms)});
    }
}

int64_t activity_next_ms(const struct partition *p)
{
    int64_t first_ns = INT64_MAX;
    for (const struct activity *a = p->beating; a; a = a->next_beating) {
        /* One that waits for its thread is looked at again after a whole period. */
        int64_t ns = due_ns(a) < INT64_MAX
                         ? due_ns(a)
                         : p->env->boot_ns(p->env->self) + a->pulse.every_ms * 1000000;
        first_ns = ns < first_ns ? ns : first_ns;
    }
    return first_ns == INT64_MAX ? NEVER_MS
                                 : p->clock_base_ms + (first_ns - p->clock_base_ns) / 1000000 + 1;
}

static void done(struct job *job)
{
    struct activity *a = (struct activity *)job;
    struct partition *p = a->partition;
    if (a->pulse.every_ms)
        stop_listening(p, a);
    a->next = NULL;
    if (p->done_last)
        p->done_last->next = a;
    else
        p->done_first = a;
    p->done_last = a;
    p->config.wake(p->config.ctx);
}

void activity_schedule(struct partition *p, const struct instance *inst, const struct event *e)
{
    struct activity *a = die_zalloc(sizeof *a);
    a->job = (struct job){.work = work, .done = done};
    a->partition = p;
    a->fn = app_activity(p->app, e->name);
    a->settings = p->app->settings;
    a->uid = inst->uid;
    a->task_id = e->id;
    a->name = die_strndup(e->name.at, e->name.len);
    a->id = die_strndup(inst->id, inst->id_len);
    const ks_val *first = ks_get(e->details, "key");
    const char *key = session_activity_key(&p->pass_mem, inst,
                                           first ? (uint32_t)ks_int(first) : e->id);
    a->pulse = (struct ks_pulse){.env = p->env,
                                 .every_ms = ks_int(ks_get(e->details, "heartbeat"))};
    a->key = die_strndup(key, strlen(key));
    val_encode(&a->input, e->val);
    *p->to_dispatch_last = a;
    p->to_dispatch_last = &a->next;
}

void activity_dispatch_all(struct partition *p)
{
    struct activity *a = p->to_dispatch;
    p->to_dispatch = NULL;
    p->to_dispatch_last = &p->to_dispatch;
    while (a) {
        struct activity *next = a->next;
        if (a->pulse.every_ms) {
            a->next_beating = p->beating;
            if (p->beating)
                p->beating->previous_beating = a;
            p->beating = a;
        }
        p->env->submit(p->env->self, &a->job, true);
        a = next;
    }
}

void activity_take_results(struct partition *p)
{
    while (p->done_first) {
        struct activity *a = p->done_first;
        p->done_first = a->next;
        if (!p->done_first)
            p->done_last = NULL;
        struct reader r = reader_of(a->result.at, a->result.len);
        struct message *m = ks_alloc(&p->pass_mem, sizeof *m);
        *m = (struct message){.type = MESSAGE_RESULT,
                              .uid = a->uid,
                              .task_id = a->task_id,
                              .val = val_decode(&p->pass_mem, &r)};
        m->name = (struct str){arena_memdup(&p->pass_mem, a->sent.at, a->sent.len), a->sent.len};
        m->target = (struct str){arena_memdup(&p->pass_mem, a->lines.at, a->lines.len),
                                 a->lines.len};
        message_append(&p->queue, m);
        activity_free(a);
    }
}

void activity_forget_scheduled(struct partition *p)
{
    while (p->to_dispatch) {
        struct activity *a = p->to_dispatch;
        p->to_dispatch = a->next;
        activity_free(a);
    }
    p->to_dispatch_last = &p->to_dispatch;
    while (p->done_first) {
        struct activity *a = p->done_first;
        p->done_first = a->next;
        activity_free(a);
    }
    p->done_last = NULL;
}
