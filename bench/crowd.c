/* crowd.c - many registries at once: memory, what they make an Add cost, a start after kill -9, and
 * a million timers due in the same second
 *
 * bench_app opens many with one request; they are registries like any others, each with its timer.
 * Before a size is measured the checkpoint has caught up, so what is measured is how it stands, not
 * what came before.
 */
#include "suite.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HELD = 1000000,
    QUICK = 20000,
    CONNECTIONS = 64,
    IDS = 1 << 18, /* of Open, for Finish */
    ID_LEN = 32,
    SETTLE_S = 120,
    PROBES_PER_S = 500,
    PROBE_CONNECTIONS = 16,
    STORM_LIMIT_S = 240,
    STORM_TRIES = 3,
    TIMEOUT_S = 30 /* of load.c */
};
#define FAR_PATH "/api/bench/open?closesAt=9000000000000"

static const char *const open_for_long[] = {"REGISTRY_OPEN_FOR=7d", NULL};

/* ---- Open and Finish ----------------------------------------------------------------------- */

struct opened {
    char (*ids)[ID_LEN + 1];
    size_t count, taken;
    bool is_finishing;
};

static size_t request_open_or_finish(void *self, char *buf, unsigned *ret_tag)
{
    struct opened *o = self;
    *ret_tag = 0;
    if (!o->is_finishing)
        return (size_t)snprintf(buf, LOAD_REQUEST_MAX,
                                "GET /api/Open HTTP/1.1\r\nHost: localhost\r\n\r\n");
    if (o->taken == o->count)
        return 0;
    return (size_t)snprintf(buf, LOAD_REQUEST_MAX,
                            "GET /api/Finish/%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                            o->ids[o->taken++]);
}

static void answer_opened(void *self, unsigned tag, int status, const char *body, size_t len)
{
    struct opened *o = self;
    (void)tag;
    if (o->is_finishing || status != 200 || len != ID_LEN || o->count == IDS)
        return;
    memcpy(o->ids[o->count], body, ID_LEN);
    o->ids[o->count++][ID_LEN] = 0;
}

static void run_open_finish(struct run *r, struct program *p, uint64_t held)
{
    struct opened opened = {.ids = calloc(IDS, sizeof *opened.ids)};
    struct workload workload = {&opened, request_open_or_finish, answer_opened};
    assert(opened.ids);
    struct lap lap = program_load(r, p, CONNECTIONS, &workload,
                                  (struct load_plan){.seconds = r->seconds / 2});
    note(r, "crowd.Open", (double)held, "cpu", lap.cpu_us, "us");
    opened.is_finishing = true;
    lap = program_load(r, p, CONNECTIONS, &workload, (struct load_plan){.requests = opened.count});
    note(r, "crowd.Finish", (double)held, "cpu", lap.cpu_us, "us");
    free(opened.ids);
}

/* ---- registries held ----------------------------------------------------------------------- */

static double resident_mib(const struct program *p)
{
    return (double)cost_of(p->service.pid).resident_bytes / 1048576;
}

static void settle(const struct run *r, struct program *p, const char *row)
{
    if (!r->is_quick && !program_settle(p, SETTLE_S))
        printf("%-28s the checkpoint did not catch up in %d s\n", row, SETTLE_S);
}

static void run_held(struct run *r, struct program *p, uint64_t held)
{
    struct spread spread = {.count = held};
    struct workload adds = spread_adds(&spread);
    note(r, "crowd.held", (double)held, "loaded", resident_mib(p), "MiB");
    settle(r, p, "crowd.held");
    note(r, "crowd.held", (double)held, "resident", resident_mib(p), "MiB");
    struct lap lap = program_load(r, p, CONNECTIONS, &adds,
                                  (struct load_plan){.seconds = r->seconds});
    note(r, "crowd.Add", (double)held, "cpu", lap.cpu_us, "us");
    note(r, "crowd.Add", (double)held, "rate", lap.per_s, "1/s");
    note(r, "crowd.Add", (double)held, "p99", lap.p99_us, "us");
    run_open_finish(r, p, held);
    settle(r, p, "crowd.held");
}

/* That all are there is asked at once; that none has lost its timer is seen in the storm, where
 * each has to fire. */
static void run_restart(struct run *r, struct program *p, const char *metric, uint64_t held)
{
    char cpu[24];
    int64_t before = program_number(p, "/api/Stats", "registryCount");
    program_kill(p);
    int64_t took_ns = program_start(p, open_for_long);
    snprintf(cpu, sizeof cpu, "%s_cpu", metric);
    note(r, "crowd.start_after_kill", (double)held, metric, (double)took_ns / 1e9, "s");
    note(r, "crowd.start_after_kill", (double)held, cpu,
         (double)cost_of(p->service.pid).cpu_ns / 1e9, "s");
    int64_t after = program_number(p, "/api/Stats", "registryCount");
    if (after == before)
        return;
    fprintf(stderr, "bench: there were %lld registries, and after the start there are %lld\n",
            (long long)before, (long long)after);
    exit(1);
}

static void run_growth(struct run *r)
{
    struct program p;
    uint64_t most = r->is_large ? LARGE_HELD : r->is_quick ? QUICK / 2 : HELD, from = 0;
    program_open(r, &p, "bench_app", open_for_long);
    for (uint64_t held = 1000; held <= most; from = held, held *= 10) {
        int64_t start_ns = monotonic_ns();
        program_get_many(&p, FAR_PATH, from, held);
        note(r, "crowd.fill", (double)held, "rate",
             (double)(held - from) * 1e9 / (double)(monotonic_ns() - start_ns), "1/s");
        run_held(r, &p, held);
        if (held >= HELD || held * 10 > most)
            run_restart(r, &p, "settled", held);
    }
    program_close(&p);
}

/* ---- items in a registry ------------------------------------------------------------------- */

static void run_items(struct run *r)
{
    struct program p;
    uint64_t most = r->is_quick ? 10000 : 1000000, have = 0;
    program_open(r, &p, "bench_app", open_for_long);
    program_get_many(&p, FAR_PATH, 0, 1);
    for (uint64_t items = 10; items <= most; items *= 10) {
        struct spread spread = {.count = 1};
        struct workload adds = spread_adds(&spread);
        char path[80];
        snprintf(path, sizeof path, "/api/bench/add?id=%032d", 0);
        if (have < items)
            program_get_many(&p, path, have, items);
        /* As many requests as change the number of items little; a few thousand at least. */
        struct load_plan plan = {.requests = items < 20000 ? 2000 : items / 10};
        have = (items > have ? items : have) + plan.requests;
        struct lap lap = program_load(r, &p, CONNECTIONS, &adds, plan);
        note(r, "crowd.items", (double)items, "cpu", lap.cpu_us, "us");
    }
    program_close(&p);
}

/* ---- a storm of timers --------------------------------------------------------------------- */

enum { CURVE_MAX = 200000 };

/* Who asks, every few milliseconds, how many have fired. */
struct probe {
    const char *path, *key;
    bool is_killed; /* the process, after they were all made */
    int64_t due_ms;
    size_t count;
    struct {
        double late_s;
        int64_t fired;
    } curve[CURVE_MAX];
};

static size_t request_probe(void *self, char *buf, unsigned *ret_tag)
{
    struct probe *probe = self;
    *ret_tag = 0;
    return (size_t)snprintf(buf, LOAD_REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                            probe->path);
}

static void answer_probe(void *self, unsigned tag, int status, const char *body, size_t len)
{
    struct probe *probe = self;
    char json[512];
    (void)tag;
    if (status != 200 || len >= sizeof json || probe->count == CURVE_MAX)
        return;
    memcpy(json, body, len);
    json[len] = 0;
    probe->curve[probe->count].late_s = (double)(wall_ms() - probe->due_ms) / 1e3;
    probe->curve[probe->count++].fired = json_number(json, probe->key);
}

static double late_s(const struct probe *probe, double fired)
{
    for (size_t i = 0; i < probe->count; i++)
        if ((double)probe->curve[i].fired >= fired)
            return probe->curve[i].late_s;
    return STORM_LIMIT_S;
}

/* How many had fired at fifty times until the last had. */
static void keep_curve(struct run *r, const struct probe *probe, const char *row, double last_s)
{
    char name[40];
    size_t k = 0;
    int64_t fired = 0;
    snprintf(name, sizeof name, "%s_curve", row);
    figures_forget(&r->figures, name);
    for (int i = 0; i <= 50; i++) {
        double t = last_s * i / 50;
        for (; k < probe->count && probe->curve[k].late_s <= t; k++)
            fired = probe->curve[k].fired;
        figures_set(&r->figures, name, t, "fired", (double)fired, "timers");
    }
}

/* Probes from a second before they are due until all have fired. The latencies are of what was
 * asked in the half seconds from when they were due to when the last had fired. */
static void watch_storm(struct run *r, struct program *p, struct probe *probe, const char *row,
                        uint64_t timers)
{
    static struct load_result result;
    static struct histogram latency;
    struct workload workload = {probe, request_probe, answer_probe};
    struct load_plan plan = {.seconds = 0.5, .per_s = PROBES_PER_S};
    struct load *l;
    memset(&latency, 0, sizeof latency);
    while (wall_ms() < probe->due_ms - 1000)
        nap_ms(20);
    if (load_open(p->service.port, PROBE_CONNECTIONS, &l) < 0)
        fail(p->binary, -111);
    int64_t fired = 0, cpu_ns = cost_of(p->service.pid).cpu_ns;
    while (fired < (int64_t)timers && wall_ms() < probe->due_ms + STORM_LIMIT_S * 1000) {
        int err = load_run(l, &workload, plan, &result);
        if (err == -ETIMEDOUT) {
            histogram_add(&result.latency, (int64_t)TIMEOUT_S * 1000000000);
            histogram_merge(&latency, &result.latency);
            break;
        }
        if (err < 0)
            fail(p->binary, err);
        if (wall_ms() >= probe->due_ms)
            histogram_merge(&latency, &result.latency);
        if (probe->count)
            fired = probe->curve[probe->count - 1].fired;
    }
    load_close(l);
    if (fired != (int64_t)timers) {
        fprintf(stderr, "bench: %s: %lld of %llu timers have fired\n", row, (long long)fired,
                (unsigned long long)timers);
        r->has_failed = true;
    }
    double n = (double)timers;
    note(r, row, n, "late_p50", late_s(probe, n * 0.5), "s");
    note(r, row, n, "late_p99", late_s(probe, n * 0.99), "s");
    note(r, row, n, "late_last", late_s(probe, n), "s");
    note(r, row, n, "cpu", (double)(cost_of(p->service.pid).cpu_ns - cpu_ns) / 1e3 / n, "us");
    note(r, row, n, "request_p50", (double)histogram_at(&latency, 0.5) / 1e6, "ms");
    note(r, row, n, "request_p99", (double)histogram_at(&latency, 0.99) / 1e6, "ms");
    note(r, row, n, "request_worst", (double)latency.max_ns / 1e6, "ms");
    keep_curve(r, probe, row, late_s(probe, n));
}

/* How long it takes to make so many, gauged by the first few. */
static int64_t gauge_ms(struct program *p, const char *path, uint64_t few)
{
    char far[80];
    snprintf(far, sizeof far, "%s9000000000000", path);
    int64_t start_ns = monotonic_ns();
    program_get_many(p, far, 0, few);
    return (monotonic_ns() - start_ns) / 1000000;
}

/* False when they were due before all of them were there; *lead_ms is then how long it takes. */
static bool try_storm(struct run *r, const char *row, const char *path, struct probe *probe,
                      int64_t *lead_ms)
{
    struct program p;
    uint64_t timers = r->is_quick ? QUICK : HELD, few = timers / 50;
    char due[80];
    program_open(r, &p, "bench_app", open_for_long);
    int64_t guess_ms = gauge_ms(&p, path, few) * 50 * 3 / 2 + (r->is_quick ? 3000 : 15000);
    if (guess_ms > *lead_ms)
        *lead_ms = guess_ms;
    int64_t start_ms = wall_ms();
    probe->count = 0;
    probe->due_ms = start_ms + *lead_ms;
    snprintf(due, sizeof due, "%s%lld", path, (long long)probe->due_ms);
    program_get_many(&p, due, few, few + timers);
    if (probe->is_killed)
        run_restart(r, &p, "loaded", timers);
    *lead_ms = (wall_ms() - start_ms) * 3 / 2 + 15000;
    bool is_in_time = wall_ms() < probe->due_ms;
    if (is_in_time)
        watch_storm(r, &p, probe, row, timers);
    program_close(&p);
    return is_in_time;
}

static void run_storm(struct run *r, const char *row, const char *path, struct probe *probe)
{
    int64_t lead_ms = 0;
    for (int i = 0; i < STORM_TRIES; i++)
        if (try_storm(r, row, path, probe, &lead_ms))
            return;
    note_missing(row, "the machine is so busy that they were due before all were there");
}

/* ---- the suites ---------------------------------------------------------------------------- */

void suite_crowd(struct run *r)
{
    static const char *const growth[] = {"crowd.held", "crowd.fill",   "crowd.Add",
                                         "crowd.Open", "crowd.Finish", "crowd.start_after_kill"};
    bool is_wanted = false;
    for (size_t i = 0; i < sizeof growth / sizeof growth[0]; i++)
        is_wanted = is_wanted || run_wants(r, growth[i]);
    if (is_wanted)
        run_growth(r);
    if (run_wants(r, "crowd.items"))
        run_items(r);
}

void suite_storm(struct run *r)
{
    static struct probe timers = {.path = "/api/bench/ended", .key = "ended"};
    static struct probe registries = {.path = "/api/Stats",
                                      .key = "closedCount",
                                      .is_killed = true};
    if (run_wants(r, "storm.timers"))
        run_storm(r, "storm.timers", "/api/bench/sleep?due=", &timers);
    if (run_wants(r, "storm.registries"))
        run_storm(r, "storm.registries", "/api/bench/open?closesAt=", &registries);
}
