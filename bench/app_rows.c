/* app_rows.c - orchestrations and entities of bench_app, and what a slow disk does to it
 *
 * Hundreds of starts or signals come with each request, so that the engine is measured with its
 * commits, but hardly any HTTP. Nothing is pinned: activities have threads.
 */
#include "suite.h"

#include <stdio.h>
#include <string.h>

enum {
    BATCH = 10000,
    LARGE_ITEMS = 1000000,
    SLOW_SYNC_US = 2000,
    SLOW_SPREAD = 10000,
    SETTLE_S = 60
};

/* ---- orchestrations ------------------------------------------------------------------------ */

/* Starts batches until the time is over and all have ended. */
static void run_chains(struct run *r, struct program *p, const char *kind, uint64_t *next)
{
    char path[64], row[40];
    uint64_t first = *next;
    int64_t ended = program_number(p, "/api/bench/ended", "ended");
    struct cost before = cost_of(p->service.pid);
    int64_t start_ns = monotonic_ns(), took_ns = 0;
    snprintf(path, sizeof path, "/api/bench/chain?kind=%s", kind);
    snprintf(row, sizeof row, "engine.chain_%s", kind);
    while ((double)took_ns < r->seconds * 1e9) {
        program_get_many(p, path, *next, *next + BATCH);
        *next += BATCH;
        if (!program_await(p, "/api/bench/ended", "ended", ended + (int64_t)(*next - first), 60))
            fail("orchestrations do not come to their end", -62);
        took_ns = monotonic_ns() - start_ns;
    }
    struct cost after = cost_of(p->service.pid);
    double n = (double)(*next - first);
    note(r, row, 0, "rate", n * 1e9 / (double)took_ns, "1/s");
    note(r, row, 0, "cpu", (double)(after.cpu_ns - before.cpu_ns) / 1e3 / n, "us");
}

static void run_sequence(struct run *r, struct program *p, const char *kind, int64_t activities)
{
    char row[40];
    int64_t ended = program_number(p, "/api/bench/ended", "ended");
    int64_t syncs = program_number(p, "/api/bench/ended", "syncs");
    int64_t start_ns = monotonic_ns();
    snprintf(row, sizeof row, "engine.sequence_%s", kind);
    program_get(p, "/api/bench/sequence?id=sequence-%s&kind=%s&n=%lld", kind, kind,
                (long long)activities);
    if (!program_await(p, "/api/bench/ended", "ended", ended + 1, 120))
        fail("an orchestration does not come to its end", -62);
    double seconds = (double)(monotonic_ns() - start_ns) / 1e9;
    syncs = program_number(p, "/api/bench/ended", "syncs") - syncs;
    note(r, row, 0, "rate", (double)activities / seconds, "1/s");
    note(r, row, 0, "activities_a_commit", (double)activities / (double)syncs, "each");
}

/* As many activities in all, on threads: what one of them costs must not depend on n. */
static void run_fan(struct run *r, struct program *p, int64_t n, int64_t times)
{
    int64_t ended = program_number(p, "/api/bench/ended", "ended");
    struct cost before = cost_of(p->service.pid);
    int64_t start_ns = monotonic_ns();
    for (int64_t i = 0; i < times; i++) {
        program_get(p, "/api/bench/fan?id=fan-%lld-%lld&n=%lld", (long long)n, (long long)i,
                    (long long)n);
        if (!program_await(p, "/api/bench/ended", "ended", ended + i + 1, 120))
            fail("a fan-out does not come to its end", -62);
    }
    double took_ns = (double)(monotonic_ns() - start_ns), all = (double)(n * times);
    struct cost after = cost_of(p->service.pid);
    note(r, "engine.fan", (double)n, "wall", took_ns / 1e3 / all, "us");
    note(r, "engine.fan", (double)n, "cpu", (double)(after.cpu_ns - before.cpu_ns) / 1e3 / all,
         "us");
}

/* ---- one entity ---------------------------------------------------------------------------- */

static void run_entity(struct run *r, struct program *p, const char *id, uint64_t items)
{
    char path[64];
    uint64_t n = 0;
    snprintf(path, sizeof path, "/api/bench/count?id=%s", id);
    struct cost before = cost_of(p->service.pid);
    int64_t start_ns = monotonic_ns(), took_ns = 0;
    while ((double)took_ns < r->seconds * 1e9) {
        program_get_many(p, path, 0, BATCH);
        n += BATCH;
        took_ns = monotonic_ns() - start_ns;
    }
    struct cost after = cost_of(p->service.pid);
    note(r, "engine.entity", (double)items, "rate", (double)n * 1e9 / (double)took_ns, "1/s");
    note(r, "engine.entity", (double)items, "cpu",
         (double)(after.cpu_ns - before.cpu_ns) / 1e3 / (double)n, "us");
}

static void run_entities(struct run *r, struct program *p)
{
    uint64_t large = r->is_quick ? LARGE_ITEMS / 10 : LARGE_ITEMS;
    program_get_many(p, "/api/bench/fill?id=small", 0, 10);
    program_get_many(p, "/api/bench/fill?id=large", 0, large);
    if (!r->is_quick && !program_settle(p, SETTLE_S))
        printf("%-28s the checkpoint did not catch up in %d s\n", "engine.entity", SETTLE_S);
    run_entity(r, p, "small", 10);
    run_entity(r, p, "large", large);
}

void suite_app(struct run *r)
{
    struct program p;
    uint64_t next = 0;
    bool has_chains = run_wants(r, "engine.chain_inline") || run_wants(r, "engine.chain_thread");
    bool has_sequence = run_wants(r, "engine.sequence_inline");
    bool has_fan = run_wants(r, "engine.fan"), has_entity = run_wants(r, "engine.entity");
    if (!has_chains && !has_sequence && !has_fan && !has_entity)
        return;
    program_open(r, &p, "bench_app", NULL);
    if (has_chains) {
        run_chains(r, &p, "inline", &next);
        run_chains(r, &p, "thread", &next);
    }
    if (has_sequence) {
        run_sequence(r, &p, "inline", r->is_quick ? 20000 : 100000);
        run_sequence(r, &p, "thread", r->is_quick ? 1000 : 5000);
    }
    if (has_fan) {
        run_fan(r, &p, 1000, r->is_quick ? 5 : 20);
        run_fan(r, &p, 10000, r->is_quick ? 1 : 2);
    }
    if (has_entity)
        run_entities(r, &p);
    program_close(&p);
}

/* ---- a slow disk --------------------------------------------------------------------------- */

/* A turn is one sync and, for each request of it, the time that its step takes. What is predicted
 * goes through when every turn has all connections' requests. */
static void run_slow(struct run *r, struct program *p, const char *row, unsigned connections)
{
    static struct spread spread = {.count = SLOW_SPREAD};
    struct workload adds = spread_adds(&spread);
    int64_t syncs = program_number(p, "/api/bench/ended", "syncs");
    int64_t sync_ns = program_number(p, "/api/bench/ended", "syncNs");
    int64_t start_ns = monotonic_ns();
    uint64_t before = spread.items;
    struct lap lap = program_load(r, p, connections, &adds,
                                  (struct load_plan){.seconds = r->seconds});
    double took_ns = (double)(monotonic_ns() - start_ns);
    double n = (double)(spread.items - before);
    syncs = program_number(p, "/api/bench/ended", "syncs") - syncs;
    sync_ns = program_number(p, "/api/bench/ended", "syncNs") - sync_ns;
    double one_us = (double)sync_ns / (double)syncs / 1e3;
    note(r, row, connections, "rate", lap.per_s, "1/s");
    note(r, row, connections, "sync", one_us, "us");
    note(r, row, connections, "requests_a_sync", n / (double)syncs, "each");
    note(r, row, connections, "disk_busy", 100 * (double)sync_ns / took_ns, "%");
    note(r, row, connections, "predicted", connections / (one_us + connections * lap.cpu_us) * 1e6,
         "1/s");
    note(r, row, connections, "p99", lap.p99_us, "us");
}

void suite_slow_disk(struct run *r)
{
    char delay[40];
    static const int delays_us[] = {0, SLOW_SYNC_US};
    if (!run_wants(r, "slow_disk"))
        return;
    for (size_t i = 0; i < sizeof delays_us / sizeof delays_us[0]; i++) {
        struct program p;
        const char *settings[] = {delay, NULL};
        snprintf(delay, sizeof delay, "BENCH_SYNC_US=%d", delays_us[i]);
        bool is_pinned = pin(0);
        program_open(r, &p, "bench_app", settings);
        if (is_pinned)
            pin(1);
        program_get_many(&p, "/api/bench/open?closesAt=9000000000000", 0, SLOW_SPREAD);
        run_slow(r, &p, delays_us[i] ? "slow_disk.2ms" : "slow_disk.as_it_is", 64);
        run_slow(r, &p, delays_us[i] ? "slow_disk.2ms" : "slow_disk.as_it_is", 256);
        program_close(&p);
        unpin();
    }
}
