#include "sim/chaos.h"

#include "sim/clients.h"
#include "sim/damage.h"
#include "sim/disk_copy.h"
#include "sim/heap.h"
#include "sim/model.h"
#include "sim/programs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EXCUSE_NS (40000 * MS_NS)
enum { NEVER_MS_OR_SO = 1 << 30 };
enum { HEAP_MAX_BYTES = 96 << 20, DISK_MAX_BYTES = 256 << 20 };

struct chaos {
    struct disk_did did_at_start; /* of the disk, when the process started */
    int64_t last_fault_ns;        /* something failed, or there was no room */
    struct disk_did did;          /* as of the last look */
    int64_t clock_ms, clock_ns;   /* the engine's, and ours, when it started */
    int64_t last_clock_ms;        /* of the engine, as last seen */
    bool is_running, was_own_end;
    enum death last_end;
    bool has_lost; /* power, or who knows what, since a process was up */
    int64_t last_end_ns;
    struct turn ending; /* who has armed an end at some call; of STREAMS: nobody */
    int64_t down_ms;
    bool is_trial;     /* a bit was flipped in a copy */
    char refusal[600]; /* of the last start */
};

struct chaos *chaos_new(struct sim *s)
{
    struct chaos *c = sim_zalloc(sizeof *c);
    c->last_fault_ns = -EXCUSE_NS;
    c->ending = s->tape->now;
    return c;
}

void chaos_free(struct chaos *c)
{
    sim_free(c);
}

/* ---- what the seed is about ---- */

/* Each is a span of its own, so that it can be made dull by itself. */
static uint32_t option(struct sim *s, uint32_t below)
{
    tape_begin(s->tape, STREAM_SWARM);
    return draw(s, below);
}
static bool is_on(struct sim *s, uint32_t once_in)
{
    return option(s, once_in) == once_in - 1;
}
static uint32_t one_of(struct sim *s, const uint32_t *at, uint32_t n)
{
    return at[option(s, n)];
}
#define ONE_OF(s, ...) \
    one_of((s), (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / 4)

static void draw_limits(struct sim *s)
{
    struct swarm *w = &s->swarm;
    w->limits.sessions = ONE_OF(s, 1024, 1, 3, 16);
    w->limits.memory_bytes = ONE_OF(s, 512u << 20, 1, 20000, 1u << 20);
    w->limits.pass_steps = ONE_OF(s, 4096, 4096, 1, 3, 40);
    w->limits.pass_bytes = ONE_OF(s, 4u << 20, 4u << 20, 1, 3000);
    w->options.segment_bytes = ONE_OF(s, 128u << 10, 8u << 10, 16u << 10, 32u << 10, 64u << 10,
                                      512u << 10);
    w->options.first_bytes = ONE_OF(s, 32u << 10, 8u << 10, 16u << 10);
    w->options.checkpoint_bytes = ONE_OF(s, 256u << 10, 1, 8u << 10, 64u << 10);
    w->options.save_count = is_on(s, 4) ? 1 + draw(s, 20) : 1000;
    w->options.checkpoint_ms = ONE_OF(s, 10000, 1, 1000, 60000, NEVER_MS_OR_SO);
    if (w->options.checkpoint_ms == NEVER_MS_OR_SO) { /* most recoveries are by the journal alone */
        w->options.checkpoint_bytes = 16 << 20;
        w->options.segment_bytes = 256 << 10;
    }
}

/* One of eight: the disk is full now and then, and the journal has little in reserve. */
static void draw_tight(struct sim *s)
{
    struct swarm *w = &s->swarm;
    w->is_tight = is_on(s, 8);
    if (!w->is_tight)
        return;
    w->may_be_full = true;
    w->fault_every_s = 300;
    w->program_percent /= 4;
    w->limits.pass_steps = 1 + draw(s, 3);
    if (w->options.checkpoint_ms != NEVER_MS_OR_SO)
        w->options.segment_bytes = 8 << 10;
}

/* Small segments are many, and each of them is a name. */
static void bound_segments(struct swarm *w)
{
    enum { SMALL_BYTES = 16 << 10, SAVED_BYTES = 64 << 10 };
    if (w->options.segment_bytes <= SMALL_BYTES && w->options.checkpoint_bytes > SAVED_BYTES)
        w->options.checkpoint_bytes = SAVED_BYTES;
}

void chaos_draw_swarm(struct sim *s)
{
    struct swarm *w = &s->swarm;
    struct turn before = s->tape->now;
    w->clients = 1 + option(s, 8);
    w->think_ms = ONE_OF(s, 60000, 2000, 10000, 20000, 60000, 120000);
    w->program_percent = ONE_OF(s, 0, 20, 50, 90);
    w->burst = ONE_OF(s, 0, 5, 30, 60);
    w->crash_every_s = ONE_OF(s, 0, 0, 30, 60, 300, 900);
    w->power_percent = ONE_OF(s, 0, 20, 50, 100);
    w->crash_at_call_percent = ONE_OF(s, 0, 50, 80, 100);
    w->down_ms = ONE_OF(s, 1, 1000, 30000, 600000);
    w->fault_every_s = ONE_OF(s, 0, 60, 300, 1200);
    w->may_fail_sync = is_on(s, 2);
    w->may_fail_write = is_on(s, 2);
    w->may_fail_read = is_on(s, 2);
    w->may_be_full = is_on(s, 2);
    w->may_flip = is_on(s, 2);
    w->may_jump = is_on(s, 2);
    w->may_close = is_on(s, 2);
    w->may_lie = is_on(s, 8);
    w->may_starve = is_on(s, 4);
    w->are_writes_odd = is_on(s, 4);
    w->slow_once_in = ONE_OF(s, 0, 0, 50, 1000);
    w->evict_once_in = ONE_OF(s, 0, 1, 2, 10);
    w->activity_ms = ONE_OF(s, 1, 100, 3000, 120000);
    w->never_once_in = ONE_OF(s, 0, 0, 20);
    w->job_ms = ONE_OF(s, 0, 5, 200, 5000);
    w->open_ms = ONE_OF(s, 300000, 300000, 20000, 3600000);
    draw_limits(s);
    draw_tight(s);
    bound_segments(w);
    tape_use(s->tape, before);
}

/* ---- schedule ---- */

/* Each is a span, and begins with when the next one is. */
static void again(struct sim *s, enum event_kind kind, uint32_t every_s)
{
    if (every_s && !s->is_calm)
        sim_at(s, s->now_ns + (int64_t)(2 * every_s * 1000 - draw(s, 2 * every_s * 1000)) * MS_NS,
               kind, 0); /* late is dull */
}

void chaos_start(struct sim *s)
{
    s->disk.faults.are_writes_odd = s->swarm.are_writes_odd;
    s->disk.faults.slow_once_in = s->swarm.slow_once_in;
    struct turn before = tape_begin(s->tape, STREAM_CRASH);
    again(s, EV_CRASH, s->swarm.crash_every_s);
    tape_begin(s->tape, STREAM_FAULT);
    again(s, EV_FAULT, s->swarm.fault_every_s);
    tape_use(s->tape, before);
    sim_at(s, s->now_ns, EV_START, 0);
}

void chaos_calm(struct sim *s)
{
    s->is_calm = true;
    memset(&s->disk.faults, 0, sizeof s->disk.faults);
    heap_fail_in(0);
    s->process->ends_in = 0;
    s->chaos->last_fault_ns = s->now_ns;
    sim_forget(s, EV_CRASH);
    sim_forget(s, EV_FAULT);
    sim_forget(s, EV_FAULT_OVER);
}

static enum death how_to_end(struct sim *s)
{
    uint32_t percent = s->swarm.power_percent;
    if ((s->chaos->was_own_end || s->disk.change_count) && percent)
        percent = 70; /* what a failed sync left in the cache is at stake, or names are */
    return draw(s, 100) >= 100 - percent ? DEATH_POWER : DEATH_KILLED;
}

static void end_at_call(struct sim *s, uint32_t most, enum death how)
{
    struct process *p = s->process;
    uint32_t where = draw(s, 8);
    p->ends_where = where == 7 ? END_WHILE_SETTLING : where >= 4 ? END_AT_NAME : END_ANYWHERE;
    p->ends_in = 1 + draw(s, p->ends_where == END_ANYWHERE ? most : 8);
    p->ends_how = how;
    s->chaos->ending = s->tape->now;
}

static const char mark[] = "/journal/mark";

/* Troubles that follow each other are those that nobody thought of. */
static void arm_start(struct sim *s)
{
    struct process *p = s->process;
    const struct disk_faults *f = &s->disk.faults;
    bool has_names = s->disk.change_count > 0;
    bool is_mark = f->fail_read && f->fail_read_in == mark;
    uint32_t percent = has_names || is_mark ? 85 : s->chaos->was_own_end || f->fail_read ? 50 : 25;
    if (s->is_calm || !s->swarm.crash_at_call_percent || draw(s, 100) < 100 - percent)
        return;
    end_at_call(s, is_mark ? 12 : 30, how_to_end(s));
    if (has_names && draw(s, 2)) {
        p->ends_where = END_AT_NAME;
        p->ends_in = 1 + draw(s, 6);
    }
    PROBE("crash armed during recovery");
}

static void crash(struct sim *s)
{
    struct process *p = s->process;
    again(s, EV_CRASH, s->swarm.crash_every_s);
    if (!draw(s, 50) || !p->is_up)
        return;
    enum death how = how_to_end(s);
    if (s->swarm.may_close && once_in(s, 4)) {
        process_close(s);
    } else if (draw(s, 100) >= 100 - s->swarm.crash_at_call_percent) {
        end_at_call(s, 40, how);
    } else {
        process_end(s, how);
    }
}

enum fault {
    F_NONE,
    F_SYNC,
    F_SYNC_DIR,
    F_WRITE,
    F_RECORD,
    F_READ,
    F_FULL,
    F_JUMP,
    F_LIE,
    F_STARVE,
    FAULTS
};

static bool may(const struct sim *s, enum fault fault)
{
    const struct swarm *w = &s->swarm;
    const bool is_allowed[FAULTS] = {[F_SYNC] = w->may_fail_sync,   [F_SYNC_DIR] = w->may_fail_sync,
                                     [F_WRITE] = w->may_fail_write, [F_RECORD] = w->may_fail_write,
                                     [F_READ] = w->may_fail_read,   [F_FULL] = w->may_be_full,
                                     [F_JUMP] = w->may_jump,        [F_LIE] = w->may_lie,
                                     [F_STARVE] = w->may_starve};
    return is_allowed[fault];
}

static void fault(struct sim *s)
{
    static const char *const read_in[] = {"", "/journal/", mark};
    struct disk_faults *f = &s->disk.faults;
    enum fault fault = (enum fault)draw(s, FAULTS);
    if (s->swarm.is_tight && draw(s, 2))
        fault = F_FULL;
    again(s, EV_FAULT, s->swarm.fault_every_s);
    if (!may(s, fault))
        return;
    s->stats.faults++;
    tell(s, "fault %d is set", (int)fault);
    switch (fault) {
    case F_SYNC:
        f->fail_sync = 1 + draw(s, 10);
        break;
    case F_SYNC_DIR:
        f->fail_sync_dir = 1 + draw(s, 3);
        f->sync_dir_error = draw(s, 2) ? -ENOSPC : -EIO;
        break;
    case F_WRITE:
        f->fail_write = 1 + draw(s, 20);
        break;
    case F_RECORD:
        f->fail_record = 1 + draw(s, 5);
        break;
    case F_READ:
        f->fail_read_in = read_in[draw(s, 3)];
        f->fail_read = f->fail_read_in == mark ? 1 : 1 + draw(s, 10);
        if (f->fail_read_in == mark && draw(s, 2)) /* which is read at a start */
            process_end(s, how_to_end(s));
        break;
    case F_FULL:
        f->is_full = draw(s, 2) == 0;
        f->full_in = f->is_full ? 0 : 1 + draw(s, 60);
        sim_at(s, s->now_ns + (1 + (int64_t)draw(s, 600000)) * MS_NS, EV_FAULT_OVER, 0);
        break;
    case F_JUMP:
        s->wall_ahead_ms += ((int64_t)draw(s, 7200) - 3600) * (once_in(s, 4) ? 100000 : 1000);
        PROBE("wall clock jumped");
        break;
    case F_LIE:
        f->lie_sync = 1 + draw(s, 20);
        break;
    case F_STARVE:
        heap_fail_in(1 + draw(s, once_in(s, 2) ? 100 : 5000));
        break;
    case F_NONE:
    case FAULTS:
        break;
    }
}

/* ---- starting, with a bit flipped before ---- */

static bool is_by_name(const char *why)
{
    return strstr(why, "/data/hub") && (strstr(why, "damaged") || strstr(why, "cannot be read") ||
                                        strstr(why, "another version"));
}

/* In a copy of the disk: refused by name, or nothing is different. */
static void try_damaged(struct sim *s)
{
    struct chaos *c = s->chaos;
    struct disk *d = &s->disk;
    disk_tidy(d);
    struct disk_copy *copy = disk_copy(d);
    struct disk_faults faults = d->faults;
    int64_t last_clock_ms = c->last_clock_ms;
    enum death last_end = c->last_end;
    if (damage_something(s)) {
        c->is_trial = true;
        c->refusal[0] = 0;
        memset(&d->faults, 0, sizeof d->faults);
        heap_fail_in(0);
        model_trial(s, true);
        programs_trial(s, true);
        if (process_start(s)) {
            PROBE("a damage changed nothing");
            model_audit(s, true);
            programs_audit(s);
            if (s->process->is_up)
                process_end(s, DEATH_KILLED);
        }
        model_trial(s, false);
        programs_trial(s, false);
        c->last_clock_ms = last_clock_ms;
        c->last_end = last_end;
        c->is_trial = false;
        d->faults = faults;
        if (c->refusal[0] && !is_by_name(c->refusal))
            violated(s, "damage was refused, but not by name: %s", c->refusal);
        if (c->refusal[0])
            PROBE("damage was refused by name");
        tell(s, "trial is over: %s", c->refusal);
    }
    disk_restore(d, copy);
    sim_forget(s, EV_START);
}

/* A sync had lied when the last process ended: what it said was on disk may not be. It is refused
 * by name, or all that is there is what was there at some time. The run ends with it. */
static _Noreturn void end_after_lie(struct sim *s)
{
    s->process->ends_in = 0;
    memset(&s->disk.faults, 0, sizeof s->disk.faults);
    heap_fail_in(0);
    s->chaos->is_trial = true;
    s->chaos->refusal[0] = 0;
    if (process_start(s)) {
        PROBE("a lie of the disk left something older");
        model_after_lie(s);
    } else if (!is_by_name(s->chaos->refusal)) {
        violated(s, "what a lie had lost was refused, but not by name: %s", s->chaos->refusal);
    } else {
        PROBE("a lie of the disk was refused by name");
    }
    run_over(s);
}

/* Only if all is known, and nothing else was wrong: a last record whose mark could not be written,
 * or was lost with the power, may be damaged and nobody can tell. */
static bool may_try(const struct sim *s)
{
    const struct chaos *c = s->chaos;
    return !s->is_calm && s->swarm.may_flip && c->last_end == DEATH_KILLED && s->stats.starts &&
           !c->has_lost && !model_is_unknown(s) && !programs_are_unknown(s) &&
           s->disk.shown.count > 3 && c->last_end_ns - c->last_fault_ns > 1000 * MS_NS;
}

static void start(struct sim *s)
{
    struct process *p = s->process;
    if (p->is_up)
        return;
    if (s->disk.did.lies)
        end_after_lie(s);
    if (may_try(s) && once_in(s, damage_is_settling(s) ? 2 : 4))
        try_damaged(s);
    arm_start(s);
    if (process_start(s)) {
        model_audit(s, false);
        programs_audit(s);
    }
}

static void there_is_room(struct sim *s)
{
    s->disk.faults.is_full = false;
    s->disk.faults.full_in = 0;
    tell(s, "there is room again");
}

static void happens(struct sim *s, size_t stream, void (*what)(struct sim *s))
{
    struct turn before = tape_begin(s->tape, stream);
    what(s);
    tape_use(s->tape, before);
}

void chaos_happens(struct sim *s, const struct sim_event *e)
{
    if (e->kind == EV_CRASH)
        happens(s, STREAM_CRASH, crash);
    else if (e->kind == EV_FAULT)
        happens(s, STREAM_FAULT, fault);
    else if (e->kind == EV_START)
        happens(s, STREAM_START, start);
    else
        there_is_room(s);
}

/* ---- what excuses what ---- */

static bool has_failed(const struct disk_did *now, const struct disk_did *then)
{
    return now->failed_writes != then->failed_writes || now->failed_syncs != then->failed_syncs ||
           now->failed_reads != then->failed_reads || now->full != then->full;
}

static void look_for_faults(struct sim *s)
{
    struct chaos *c = s->chaos;
    if (has_failed(&s->disk.did, &c->did) || s->disk.faults.is_full)
        c->last_fault_ns = s->now_ns;
    c->did = s->disk.did;
}

bool chaos_excuses(const struct sim *s)
{
    const struct chaos *c = s->chaos;
    return s->disk.faults.is_full || has_failed(&s->disk.did, &c->did) ||
           s->now_ns - c->last_fault_ns < EXCUSE_NS;
}

static int64_t down_ms(struct sim *s)
{
    return s->is_calm ? 0 : (int64_t)draw(s, s->swarm.down_ms);
}

struct turn chaos_process_ends(struct sim *s)
{
    struct chaos *c = s->chaos;
    struct turn now = s->tape->now, before = now;
    if (c->ending.stream != STREAMS)
        before = tape_use(s->tape, c->ending);
    else if (now.stream == STREAMS)
        before = tape_begin(s->tape, STREAM_END);
    c->ending.stream = STREAMS;
    c->down_ms = down_ms(s);
    return before;
}

static void start_later(struct sim *s, int64_t after_ms)
{
    sim_at(s, s->now_ns + after_ms * MS_NS, EV_START, 0);
}

void chaos_process_over(struct sim *s, enum death how, const char *why)
{
    struct chaos *c = s->chaos;
    bool is_starved = heap_has_failed();
    bool has_reason = is_starved || has_failed(&s->disk.did, &c->did_at_start);
    if (is_starved)
        PROBE("an allocation failed");
    look_for_faults(s);
    if (c->is_running) {
        int64_t clock_ms = c->clock_ms + (s->now_ns - c->clock_ns) / MS_NS + 1;
        model_unhealthy(s, c->last_clock_ms, clock_ms);
        c->last_clock_ms = clock_ms;
    }
    c->is_running = false;
    c->last_end_ns = s->now_ns;
    c->was_own_end = how == DEATH_OWN;
    c->last_end = how == DEATH_OWN ? DEATH_POWER : how; /* after a failed sync, who knows */
    c->has_lost |= c->last_end == DEATH_POWER && !c->is_trial;
    if (c->is_trial) {
        if (how == DEATH_OWN)
            snprintf(c->refusal, sizeof c->refusal, "%s", why);
        return;
    }
    if (how == DEATH_OWN && (!has_reason || strncmp(why, "bug", 3) == 0))
        violated(s, "the process ended itself without need: %s", why);
    start_later(s, 1 + c->down_ms);
}

void chaos_refused(struct sim *s, const char *why)
{
    struct chaos *c = s->chaos;
    bool has_reason = heap_has_failed() || has_failed(&s->disk.did, &c->did) ||
                      s->disk.faults.is_full;
    look_for_faults(s);
    if (c->is_trial) {
        snprintf(c->refusal, sizeof c->refusal, "%s", why);
        return;
    }
    c->last_end = DEATH_POWER;
    if (!has_reason)
        violated(s, "refused to start without need: %s", why);
    start_later(s, 2000 + down_ms(s));
}

void chaos_pass_failed(struct sim *s)
{
    if (!has_failed(&s->disk.did, &s->chaos->did_at_start))
        violated(s, "a pass was not committed, and nothing had failed");
    look_for_faults(s);
    s->chaos->clock_ms = process_clock_ms(s); /* a millisecond may be lost when it opens again */
    s->chaos->clock_ns = s->now_ns;
}

/* ---- time ---- */

void chaos_started(struct sim *s)
{
    struct chaos *c = s->chaos;
    int64_t wall_ms = FIRST_WALL_MS + s->now_ns / MS_NS + s->wall_ahead_ms;
    look_for_faults(s);
    c->did_at_start = s->disk.did;
    c->has_lost &= c->is_trial;
    c->clock_ms = process_clock_ms(s);
    c->clock_ns = s->now_ns;
    c->is_running = true;
    int64_t most_ms = model_now_ms(s) > wall_ms ? model_now_ms(s) : wall_ms;
    if (c->last_clock_ms > most_ms)
        most_ms = c->last_clock_ms;
    int64_t took_ms = (s->now_ns - s->process->started_ns) / MS_NS + 1;
    if (c->clock_ms < wall_ms - took_ms || c->clock_ms > most_ms + took_ms)
        violated(s,
                 "the engine starts at %lld, and the wall clock is at %lld, the last pass was "
                 "at %lld",
                 (long long)c->clock_ms, (long long)wall_ms, (long long)model_now_ms(s));
    if (c->last_clock_ms)
        model_unhealthy(s, c->last_clock_ms < c->clock_ms ? c->last_clock_ms : c->clock_ms,
                        c->clock_ms + took_ms);
    c->last_clock_ms = c->clock_ms;
}

void chaos_took(struct sim *s, int64_t ns)
{
    int64_t clock_ms = process_clock_ms(s);
    if (ns > 200 * MS_NS)
        model_unhealthy(s, clock_ms - ns / MS_NS - 1, clock_ms);
}

void chaos_round(struct sim *s)
{
    struct chaos *c = s->chaos;
    int64_t clock_ms = process_clock_ms(s);
    int64_t by_boot_ms = c->clock_ms + (s->now_ns - c->clock_ns) / MS_NS;
    look_for_faults(s);
    if (clock_ms < by_boot_ms - 1 || clock_ms > by_boot_ms + 1)
        violated(s, "the engine's time is %lld, and by the boot clock it has to be %lld",
                 (long long)clock_ms, (long long)by_boot_ms);
    if (chaos_excuses(s))
        model_unhealthy(s, c->last_clock_ms, clock_ms);
    c->last_clock_ms = clock_ms;
    if (heap_bytes() > HEAP_MAX_BYTES)
        violated(s, "the process holds %zu bytes of memory", heap_bytes());
    if (disk_bytes_shown(&s->disk) > DISK_MAX_BYTES)
        violated(s, "the folder has grown to %zu bytes", disk_bytes_shown(&s->disk));
}
