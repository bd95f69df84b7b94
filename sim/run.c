/* The loop of events, and what a run consists of: hours of chaos, then calm, in which everything
 * has to come to its end, then a last look at all there is. */
#include "sim/run.h"

#include "sim/chaos.h"
#include "sim/clients.h"
#include "sim/heap.h"
#include "sim/model.h"
#include "sim/programs.h"
#include "sim/watchers.h"
#include "sim/web.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct sim *the_sim;

/* ---- the story ---- */

static void print_line(const struct sim *s, const char *what, const char *line)
{
    printf("%12.3f %s%s\n", (double)s->now_ns / 1e9, what, line);
}

void tell(struct sim *s, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (len >= (int)sizeof line)
        len = sizeof line - 1;
    s->hash = XXH3_64bits_withSeed(line, (size_t)len, s->hash + (uint64_t)s->now_ns);
    if (s->tracing == TRACE_NONE)
        return;
    s->aside[0] = 0;
    if (s->is_aside && s->tracing == TRACE_SHORT)
        snprintf(s->aside, sizeof s->aside, "%s", line);
    else
        print_line(s, "", line);
}

void run_over(struct sim *s)
{
    heap_leave();
    longjmp(s->end, 1);
}

void violated(struct sim *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->violation, sizeof s->violation, format, args);
    va_end(args);
    if (s->tracing && s->aside[0])
        print_line(s, "", s->aside);
    if (s->tracing)
        print_line(s, "VIOLATED: ", s->violation);
    heap_leave();
    longjmp(s->end, 1);
}

/* ---- events: a heap, first by time, then by the order they were made in ---- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->ns != b->ns ? a->ns < b->ns : a->order < b->order;
}

static void sift_up(struct sim *s, size_t i)
{
    struct sim_event e = s->events[i];
    for (; i > 0 && is_before(&e, &s->events[(i - 1) / 2]); i = (i - 1) / 2)
        s->events[i] = s->events[(i - 1) / 2];
    s->events[i] = e;
}

static void sift_down(struct sim *s, size_t i)
{
    struct sim_event e = s->events[i];
    for (size_t child; (child = 2 * i + 1) < s->event_count; i = child) {
        if (child + 1 < s->event_count && is_before(&s->events[child + 1], &s->events[child]))
            child++;
        if (!is_before(&s->events[child], &e))
            break;
        s->events[i] = s->events[child];
    }
    s->events[i] = e;
}

void sim_at(struct sim *s, int64_t ns, enum event_kind kind, uint64_t who)
{
    if (s->event_count == s->event_cap) {
        s->event_cap = s->event_cap ? s->event_cap * 2 : 256;
        s->events = sim_realloc(s->events, s->event_cap * sizeof s->events[0]);
    }
    s->events[s->event_count] = (struct sim_event){ns, s->event_order++, kind, who};
    sift_up(s, s->event_count++);
}

void sim_forget(struct sim *s, enum event_kind kind)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->event_count; i++)
        if (s->events[i].kind != kind)
            s->events[kept++] = s->events[i];
    s->event_count = kept;
    for (size_t i = kept / 2 + 1; i-- > 0;)
        if (i < kept)
            sift_down(s, i);
}

static struct sim_event event_take(struct sim *s)
{
    struct sim_event e = s->events[0];
    s->events[0] = s->events[--s->event_count];
    if (s->event_count)
        sift_down(s, 0);
    return e;
}

void sim_do_jobs(struct sim *s)
{
    for (size_t i = 0; i < s->event_count && s->process->is_up; i++) {
        struct sim_event e = s->events[i];
        if (e.kind != EV_JOB || e.ns > s->now_ns)
            continue;
        s->events[i] = s->events[--s->event_count];
        for (size_t k = s->event_count / 2 + 1; k-- > 0;)
            if (k < s->event_count)
                sift_down(s, k);
        process_job(s, e.who);
        i = (size_t)-1;
    }
}

/* ---- the loop ---- */

static void happen(struct sim *s, const struct sim_event *e)
{
    switch (e->kind) {
    case EV_CLIENT:
        clients_wake(s, e->who);
        return;
    case EV_ARRIVE:
        clients_arrive(s, e->who);
        return;
    case EV_JOB:
        process_job(s, e->who);
        return;
    case EV_WATCHER:
        watchers_ready(s, e->who);
        return;
    case EV_CRASH:
    case EV_FAULT:
    case EV_START:
    case EV_FAULT_OVER:
        chaos_happens(s, e);
        return;
    }
}

static bool evicts_now(struct sim *s)
{
    struct turn before = tape_use(s->tape, s->process->evicts);
    bool evicts = once_in(s, s->swarm.evict_once_in);
    tape_use(s->tape, before);
    return evicts;
}

static void loop(struct sim *s, int64_t until_ns)
{
    while (s->now_ns < until_ns) {
        struct process *p = s->process;
        int64_t round_ns = p->is_up ? p->round_ns : NEVER_NS;
        int64_t next_ns = s->event_count ? s->events[0].ns : NEVER_NS;
        bool is_round = round_ns <= next_ns;
        next_ns = is_round ? round_ns : next_ns;
        if (next_ns >= until_ns) {
            s->now_ns = until_ns;
            return;
        }
        if (next_ns > s->now_ns)
            s->now_ns = next_ns;
        if (is_round) {
            if (process_round(s) && evicts_now(s))
                process_evict(s);
        } else {
            struct sim_event e = event_take(s);
            happen(s, &e);
        }
    }
}

/* ---- a run ---- */

static void start_for_sure(struct sim *s)
{
    for (int i = 0; i < 1000 && !s->process->is_up; i++)
        loop(s, s->now_ns + 1000 * MS_NS);
    if (!s->process->is_up)
        violated(s, "it does not start, although nothing is wrong any more");
}

static void in_the_end(struct sim *s)
{
    tell(s, "calm");
    chaos_calm(s);
    if (s->process->is_up)
        process_end(s, DEATH_KILLED); /* activities that never answer are asked again */
    start_for_sure(s);
    watchers_return(s);
    loop(s, s->now_ns + (s->swarm.open_ms + 900000) * MS_NS);
    for (int i = 0; i < 40 && programs_nudge(s); i++)
        loop(s, s->now_ns + 800000 * MS_NS);
    loop(s, s->now_ns + 900000 * MS_NS); /* what they told to come later */
    if (clients_pending(s))
        violated(s, "%zu requests were never answered", clients_pending(s));
    model_audit(s, true);
    programs_audit(s);
    model_end(s);
    watchers_end(s);
    programs_end(s);
    if (!process_close(s))
        violated(s, "it did not end when it was told to");
    start_for_sure(s);
    model_audit(s, true);
    programs_audit(s);
    process_close(s);
}

/* In one of them coroutines leave memory after each pass. Instances stay, in both: of two that are
 * due in the same millisecond the one in memory is first, and nothing is promised of that. */
static void make_twin(struct swarm *w, enum twin twin)
{
    w->program_percent = 60;
    w->crash_every_s = 0;
    w->fault_every_s = 0;
    w->are_writes_odd = false;
    w->slow_once_in = 0;
    w->options.checkpoint_bytes = 1;
    w->options.checkpoint_ms = 1;
    w->limits.memory_bytes = (size_t)512 << 20;
    w->evict_once_in = twin == TWIN_REPLAYED;
    w->limits.sessions = twin == TWIN_REPLAYED ? 1 : 1024;
}

static void all(struct sim *s, double hours, enum twin twin)
{
    chaos_draw_swarm(s);
    s->is_timeless = twin;
    if (twin)
        make_twin(&s->swarm, twin);
    chaos_start(s);
    clients_start(s);
    loop(s, (int64_t)(hours * 3600e9));
    in_the_end(s);
    s->stats.simulated_ns = s->now_ns;
}

static void sim_free_all(struct sim *s)
{
    if (s->process->is_up || s->process->partition || heap_count())
        process_forget(s);
    process_free(s->process);
    clients_free(s->clients);
    programs_free(s->programs);
    watchers_free(s->watchers);
    model_free(s->model);
    chaos_free(s->chaos);
    web_free(s->web);
    disk_free(&s->disk);
    sim_free(s->events);
    sim_free(s);
}

static void run_once(const struct run_options *options, struct run_result *ret)
{
    struct sim *s = sim_zalloc(sizeof *s);
    the_sim = s;
    s->seed = options->seed;
    s->random = options->seed ^ 0x5bd1e995;
    s->random_ids = ~s->random;
    s->now_ns = 1000 * MS_NS;
    s->tracing = options->tracing;
    s->tape = options->tape ? options->tape : tape_new(options->seed);
    if (options->tape)
        tape_replay(s->tape);
    disk_init(&s->disk, s->tape);
    s->process = process_new(s, sim_functions());
    s->clients = clients_new(s);
    s->model = model_new(s);
    s->programs = programs_new(s);
    s->watchers = watchers_new(s);
    s->chaos = chaos_new(s);
    s->web = web_new(s);
    disk_mkdir(&s->disk, "/data");
    disk_sync_dir(&s->disk, "");
    if (setjmp(s->end) == 0)
        all(s, options->hours, options->twin);
    *ret = (struct run_result){.hash = s->hash ^ (s->is_timeless ? 0 : s->disk.hash),
                               .stats = s->stats};
    ret->stats.simulated_ns = s->now_ns;
    memcpy(ret->violation, s->violation, sizeof ret->violation);
    if (!options->tape)
        ret->tape = s->tape;
    sim_free_all(s);
    the_sim = NULL;
}

void run(const struct run_options *options, struct run_result *ret)
{
    struct run_options try = *options;
    struct run_result second;
    try.twin = options->twin ? TWIN_RESIDENT : TWIN_NONE;
    run_once(&try, ret);
    if (ret->violation[0] || (options->is_once && !options->twin))
        return;
    try.tracing = options->twin ? options->tracing : TRACE_NONE;
    try.twin = options->twin ? TWIN_REPLAYED : TWIN_NONE;
    run_once(&try, &second);
    if (second.hash != ret->hash)
        snprintf(ret->violation, sizeof ret->violation,
                 "two runs of one seed%s differ: %016llx and %016llx %.900s",
                 options->twin ? ", resident and replayed," : "", (unsigned long long)ret->hash,
                 (unsigned long long)second.hash, second.violation);
    tape_free(options->tape ? NULL : second.tape);
}
