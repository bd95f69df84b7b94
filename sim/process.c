#include "sim/process.h"

#include "base/die.h"
#include "sim/chaos.h"
#include "sim/clients.h"
#include "sim/damage.h"
#include "sim/heap.h"
#include "sim/model.h"
#include "sim/programs.h"
#include "sim/vfs.h"
#include "sim/watchers.h"
#include "sim/world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "/data/hub"
enum { ROUND_NS = 20000, ROUNDS_AT_ONCE_MAX = 100000 };

/* ---- every way to end ---- */

static _Noreturn void end_inside(struct sim *s, enum death how)
{
    s->process->kind = how;
    longjmp(s->process->death, 1);
}

void __wrap_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_die(const char *format, ...)
{
    struct sim *s = the_sim;
    va_list args;
    va_start(args, format);
    vsnprintf(s->process->why, sizeof s->process->why, format, args);
    va_end(args);
    if (!s->process->is_inside) {
        fprintf(stderr, "sim: %s\n", s->process->why);
        abort();
    }
    end_inside(s, DEATH_OWN);
}

/* die_malloc() and its kin call a die() that is not wrapped. */
_Noreturn void __wrap__exit(int code);
_Noreturn void __real__exit(int code);
_Noreturn void __wrap__exit(int code)
{
    struct sim *s = the_sim;
    if (!s || !s->process->is_inside)
        __real__exit(code);
    snprintf(s->process->why, sizeof s->process->why, "out of memory");
    end_inside(s, DEATH_OWN);
}

/* An assertion of the engine, or worse: that no seed may come to. */
_Noreturn void __wrap___assert_fail(const char *text, const char *file, unsigned line,
                                    const char *function);
_Noreturn void __wrap___assert_fail(const char *text, const char *file, unsigned line,
                                    const char *function)
{
    if (the_sim)
        violated(the_sim, "assertion %s at %s:%u in %s()", text, file, line, function);
    fprintf(stderr, "sim: assertion %s at %s:%u in %s()\n", text, file, line, function);
    abort();
}

static void on_signal(int number)
{
    if (the_sim)
        violated(the_sim, "it crashed by signal %d", number);
}

void process_catch_signals(void)
{
    static uint8_t stack[64 << 10]; /* its own may be used up */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER | SA_ONSTACK};
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

static bool is_where_it_ends(const struct sim *s, bool is_of_names)
{
    switch (s->process->ends_where) {
    case END_ANYWHERE:
        return true;
    case END_AT_NAME:
        return is_of_names;
    case END_WHILE_SETTLING:
        return damage_is_settling(s);
    }
    return true;
}

static void on_disk_call(void *ctx, bool is_of_names)
{
    struct sim *s = ctx;
    struct process *p = s->process;
    if (p->is_inside && p->ends_in && is_where_it_ends(s, is_of_names) && --p->ends_in == 0)
        end_inside(s, p->ends_how);
}

static void on_slow_disk(void *ctx)
{
    struct sim *s = ctx;
    static const int64_t ms[] = {10, 60, 1000, 30000};
    struct turn before = tape_use(s->tape, s->disk.life);
    s->now_ns += ms[draw(s, 4)] * MS_NS;
    tape_use(s->tape, before);
    PROBE("slow sync");
}

void process_forget(struct sim *s)
{
    struct process *p = s->process;
    vfs_end();
    heap_drop();
    memset(p->jobs, 0, p->jobs_end * sizeof p->jobs[0]);
    p->jobs_end = 0;
    sim_forget(s, EV_JOB);
    p->is_up = false;
    p->partition = NULL;
    p->front = NULL;
    p->round_ns = NEVER_NS;
    p->ends_in = 0;
}

static void is_over(struct sim *s, enum death how)
{
    static const char *const names[] = {"killed", "power lost", "ended itself"};
    struct process *p = s->process;
    tell(s, "process %s%s%s", names[how], how == DEATH_OWN ? ": " : "",
         how == DEATH_OWN ? p->why : "");
    s->stats.kills += how == DEATH_KILLED;
    s->stats.power_losses += how == DEATH_POWER;
    s->stats.deaths += how == DEATH_OWN;
    process_forget(s);
    struct turn before = chaos_process_ends(s);
    if (how == DEATH_POWER)
        disk_power_lost(&s->disk);
    else
        disk_process_over(&s->disk);
    tape_use(s->tape, before);
    clients_cut_off(s);
    chaos_process_over(s, how, p->why);
}

/* Runs a part of the process. False when it ended in there. */
static bool inside(struct sim *s, void (*fn)(struct sim *s))
{
    struct process *p = s->process;
    p->entered_ns = s->now_ns;
    if (setjmp(p->death) == 0) {
        p->is_inside = true;
        heap_enter();
        fn(s);
        heap_leave();
        p->is_inside = false;
        if (p->is_up)
            chaos_took(s, s->now_ns - p->entered_ns);
        return true;
    }
    heap_leave();
    p->is_inside = false;
    is_over(s, p->kind);
    return false;
}

void process_end(struct sim *s, enum death how)
{
    if (s->process->is_up)
        is_over(s, how);
}

/* ---- jobs ---- */

static int64_t job_ms(struct sim *s, const struct sim_job *j)
{
    struct turn before = tape_use(s->tape, j->turn);
    int64_t ms = j->is_activity   ? programs_activity_ms(s)
                 : s->is_timeless ? 1
                                  : (int64_t)draw(s, s->swarm.job_ms + 1);
    tape_use(s->tape, before);
    return ms;
}

/* Activities take the time that is theirs; what is in the background goes one after the other. */
static void env_submit(void *self, struct job *job, bool is_activity)
{
    struct sim *s = self;
    struct process *p = s->process;
    size_t i = 0;
    while (i < JOBS_MAX && p->jobs[i].job)
        i++;
    if (i == JOBS_MAX)
        sim_fail("too many jobs");
    p->jobs_end = i < p->jobs_end ? p->jobs_end : i + 1;
    size_t stream = is_activity ? STREAM_ACTIVITY : STREAM_JOB;
    p->jobs[i] = (struct sim_job){.job = job,
                                  .is_activity = is_activity,
                                  .turn = tape_next(s->tape, stream),
                                  .order = p->job_order++};
    int64_t wait_ms = job_ms(s, &p->jobs[i]);
    s->stats.jobs++;
    if (wait_ms < 0)
        PROBE("activity never answers");
    else
        sim_at(s, s->now_ns + wait_ms * MS_NS, EV_JOB, i);
}

static bool is_behind_another(const struct process *p, const struct sim_job *j)
{
    if (j->is_activity)
        return false;
    for (size_t i = 0; i < p->jobs_end; i++)
        if (p->jobs[i].job && !p->jobs[i].is_activity && p->jobs[i].order < j->order)
            return true;
    return false;
}

/* One is done: those whose time had come meanwhile try again. */
static void next_in_background(struct sim *s)
{
    struct process *p = s->process;
    for (size_t i = 0; i < p->jobs_end; i++)
        if (p->jobs[i].is_waiting) {
            p->jobs[i].is_waiting = false;
            sim_at(s, s->now_ns, EV_JOB, i);
        }
}

static size_t job_now;

static void job_inside(struct sim *s)
{
    struct sim_job *j = &s->process->jobs[job_now];
    struct job *job = j->job;
    if (!j->is_worked) {
        job->work(job);
        j->is_worked = true;
    } else {
        *j = (struct sim_job){0};
        job->done(job);
    }
}

void process_job(struct sim *s, uint64_t slot)
{
    struct process *p = s->process;
    struct sim_job *j = &p->jobs[slot];
    j->is_waiting = is_behind_another(p, j);
    if (j->is_waiting)
        return;
    bool was_worked = j->is_worked, is_activity = j->is_activity;
    uint64_t calls = s->disk.did.reads + s->disk.did.writes + s->disk.did.syncs;
    job_now = slot;
    if (!inside(s, job_inside))
        return;
    /* One that was taken back takes no time. */
    bool did_nothing = calls == s->disk.did.reads + s->disk.did.writes + s->disk.did.syncs;
    if (!was_worked)
        sim_at(s, s->now_ns + (is_activity || did_nothing ? 0 : job_ms(s, j)) * MS_NS, EV_JOB,
               slot);
    else
        p->round_ns = s->now_ns;
    if (was_worked && !is_activity)
        next_in_background(s);
}

/* ---- starting ---- */

static int open_store(void *ctx, struct table *table, struct recovered *ret,
                      struct store **ret_store, char *ret_why, size_t why_size)
{
    struct sim *s = ctx;
    return store_journal_open(&s->env, table, FOLDER, &s->swarm.options, ret, ret_store, ret_why,
                              why_size);
}

static void on_log(void *ctx, const char *line)
{
    struct sim *s = ctx;
    tell(s, "  log: %s", line);
}

static void on_wake(void *ctx)
{
    struct sim *s = ctx;
    s->process->round_ns = s->now_ns;
}

static const char *setting_get(void *ctx, const char *name)
{
    static char text[32];
    const struct sim *s = ctx;
    snprintf(text, sizeof text, "%lldms", (long long)s->swarm.open_ms);
    return strcmp(name, "REGISTRY_OPEN_FOR") == 0 ? text : NULL;
}

static void on_answer(void *ctx, void *request, const struct http1_answer *answer, bool is_held)
{
    clients_answered(ctx, request, answer, is_held);
}

static void *on_stream(void *ctx, void *request, const struct http1_answer *head, bool is_held,
                       struct listener *listener)
{
    return clients_streamed(ctx, request, head, is_held, listener);
}

static bool stream_send(void *ctx, void *stream, struct shared *piece)
{
    return watchers_told(ctx, stream, piece->at, piece->len);
}

static void respond(void *ctx, uint64_t token, const ks_val *result)
{
    front_respond(((struct sim *)ctx)->process->front, token, result);
}

static void start_inside(struct sim *s)
{
    struct process *p = s->process;
    struct partition_config config = {.env = &s->env,
                                      .app = &p->app,
                                      .limits = s->swarm.limits,
                                      .ctx = s,
                                      .open_store = open_store,
                                      .log = on_log,
                                      .wake = on_wake,
                                      .respond = respond};
    vfs_start(&s->disk, mix64(&s->random), s->env.wall_ms, s);
    if (app_init(&p->app, p->functions, front_builtin, p->why, sizeof p->why) < 0 ||
        routes_init(&p->routes, p->functions, p->why, sizeof p->why) < 0 ||
        settings_init(&p->settings, p->functions, setting_get, s, p->why, sizeof p->why) < 0)
        sim_fail(p->why);
    p->app.settings = &p->settings;
    if (partition_open(&config, &p->partition, p->why, sizeof p->why) < 0) {
        p->partition = NULL;
        return;
    }
    struct front_config front = {.app = &p->app,
                                 .routes = &p->routes,
                                 .env = &s->env,
                                 .partition = p->partition,
                                 .ctx = s,
                                 .answer = on_answer,
                                 .stream = on_stream,
                                 .stream_send = stream_send};
    p->front = front_new(&front);
}

static void refused(struct sim *s)
{
    struct process *p = s->process;
    tell(s, "start refused: %s", p->why);
    s->stats.refusals++;
    process_forget(s);
    disk_process_over(&s->disk);
    chaos_refused(s, p->why);
}

bool process_start(struct sim *s)
{
    struct process *p = s->process;
    s->stats.starts++;
    p->generation++;
    p->started_ns = s->now_ns;
    p->evicts = tape_next(s->tape, STREAM_EVICT);
    s->disk.life = tape_next(s->tape, STREAM_DISK);
    p->why[0] = 0;
    tell(s, "process starts");
    if (!inside(s, start_inside))
        return false;
    if (!p->partition) {
        refused(s);
        return false;
    }
    p->is_up = true;
    p->round_ns = s->now_ns;
    chaos_started(s);
    return true;
}

struct process *process_new(struct sim *s, const ks_function *functions)
{
    struct process *p = sim_zalloc(sizeof *p);
    p->functions = functions;
    p->round_ns = NEVER_NS;
    s->disk.ctx = s;
    s->disk.tracing = s->tracing;
    s->disk.on_call = on_disk_call;
    s->disk.on_slow = on_slow_disk;
    world_init(s);
    s->env.submit = env_submit;
    return p;
}

void process_free(struct process *p)
{
    sim_free(p);
}

/* ---- running ---- */

int64_t process_clock_ms(const struct sim *s)
{
    return partition_clock_ms(s->process->partition);
}

static struct {
    void *request;
    const struct http1_request *http;
} arriving;

static void request_inside(struct sim *s)
{
    front_request(s->process->front, arriving.request, arriving.http);
}

bool process_request(struct sim *s, void *request, const struct http1_request *http)
{
    struct process *p = s->process;
    arriving.request = request;
    arriving.http = http;
    if (!p->is_up || !inside(s, request_inside))
        return false;
    p->round_ns = s->now_ns;
    return true;
}

static struct listener *listener_now;

static void closed_inside(struct sim *s)
{
    front_stream_closed(s->process->front, listener_now);
}

static void ready_inside(struct sim *s)
{
    front_stream_ready(s->process->front, listener_now);
}

void process_stream_closed(struct sim *s, struct listener *listener)
{
    listener_now = listener;
    (void)inside(s, closed_inside);
}

void process_stream_ready(struct sim *s, struct listener *listener)
{
    listener_now = listener;
    if (inside(s, ready_inside))
        s->process->round_ns = s->now_ns;
}

static bool round_committed;

static void round_inside(struct sim *s)
{
    struct process *p = s->process;
    round_committed = front_round(p->front);
    if (front_has_requests(p->front)) {
        p->round_ns = s->now_ns;
        return;
    }
    int64_t next_ms = partition_next_ms(p->partition), feeds_ms = front_next_ms(p->front);
    next_ms = feeds_ms < next_ms ? feeds_ms : next_ms;
    int64_t now_ms = partition_clock_ms(p->partition);
    int64_t wait_ms = next_ms == NEVER_MS || next_ms < now_ms ? -1 : next_ms - now_ms;
    if (next_ms == NEVER_MS)
        p->round_ns = NEVER_NS;
    else /* as the host does: a tick later, since both clocks are cut to whole milliseconds */
        p->round_ns = wait_ms <= 0 ? s->now_ns : s->now_ns + (wait_ms + 1) * MS_NS;
}

bool process_round(struct sim *s)
{
    struct process *p = s->process;
    s->stats.rounds++;
    world_take_time(s, ROUND_NS);
    p->rounds_now = s->now_ns - p->rounds_now_ns < 1000 * MS_NS ? p->rounds_now + 1 : 0;
    if (!p->rounds_now)
        p->rounds_now_ns = s->now_ns;
    if (p->rounds_now > ROUNDS_AT_ONCE_MAX)
        violated(s, "the partition spins: %u passes within a second", (unsigned)p->rounds_now);
    p->round_ns = NEVER_NS;
    if (!inside(s, round_inside))
        return false;
    chaos_round(s);
    if (!round_committed)
        tell(s, "pass not committed: %s", partition_why(p->partition));
    clients_release(s, round_committed);
    return true;
}

static void evict_inside(struct sim *s)
{
    partition_evict_sessions(s->process->partition);
}

void process_evict(struct sim *s)
{
    s->stats.evictions++;
    (void)inside(s, evict_inside);
}

/* ---- an orderly end ---- */

static void finish_jobs(struct process *p, bool is_activity)
{
    for (size_t i = 0; i < p->jobs_end; i++) {
        struct job *job = p->jobs[i].job;
        if (!job || p->jobs[i].is_activity != is_activity)
            continue;
        if (!p->jobs[i].is_worked && !is_activity)
            job->work(job);
        p->jobs[i].job = NULL;
        job->done(job);
    }
}

static void close_inside(struct sim *s)
{
    struct process *p = s->process;
    front_free(p->front);
    finish_jobs(p, true);
    if (partition_close(p->partition) < 0)
        PROBE("close could not write the checkpoint");
    p->partition = NULL;
    p->is_up = false;
    finish_jobs(p, false);
    settings_free(&p->settings);
    routes_free(&p->routes);
    app_free(&p->app);
}

bool process_close(struct sim *s)
{
    tell(s, "process closes");
    watchers_close(s);
    if (!inside(s, close_inside))
        return false;
    s->stats.closes++;
    vfs_end();
    size_t left = heap_count(), bytes = heap_bytes();
    process_forget(s);
    struct turn before = chaos_process_ends(s);
    disk_process_over(&s->disk);
    tape_use(s->tape, before);
    clients_cut_off(s);
    if (left)
        violated(s, "memory was left after an orderly end: %zu pieces, %zu bytes", left, bytes);
    chaos_process_over(s, DEATH_KILLED, "");
    return true;
}
