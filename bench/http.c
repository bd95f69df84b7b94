/* http.c - the registry over HTTP, as a share of what the machine can do
 *
 * Three servers are up at the same time, on fresh folders, all on core 0; the generator is on core
 * 1. So every row stands beside its limit, taken in turns with it on the same machine:
 *
 *   null      answers anything with a constant, unread: what the generator itself can do
 *   ceiling   the registry by hand, without an engine (ceiling.c)
 *   registry  the real one
 *
 * Limits: the constant answer is measured against null; Peek and Stats against the constant; what
 * writes against the same row of the ceiling, and by one client against the latency that nothing
 * can beat: one append + fdatasync of this disk and one constant answer. The first part of the
 * table is a closed loop (as much as goes through), the second an open one (half of that, at a
 * fixed rate, latency from when a request was due).
 *
 * A row of several connections begins when what the one before has left to save is saved. Saves of
 * its own come every six or seven seconds at that load; that Add has them is seen in ten.
 *
 * Add goes to 10,000 registries in turn; Finish ends what the row Open and a top-up opened; Peek
 * reads registries of five items; the mix is 10 % Open, 60 % Add, 20 % Peek, 5 % Stats, 5 % Finish.
 */
#include "suite.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ID_SIZE = 33,
    SPREAD = 10000,
    PEEKED = 100,
    PEEKED_ITEMS = 5,
    OPEN_LOOP_CONNECTIONS = 64,
    OPENS_PER_S = 100000, /* that row was not wanted */
    TURNS = 2,            /* that a row and its limit take one after the other */
    LONG = 5,             /* times as long as others is Add */
    SETTLE_S = 60
};

enum kind { CONSTANT, OPEN, ADD, PEEK, STATS, FINISH, MIX, KINDS };
static const char *const kind_names[KINDS] = {"constant", "Open",   "Add", "Peek",
                                              "Stats",    "Finish", "mix"};

struct ids {
    char (*at)[ID_SIZE];
    size_t len, cap, taken;
};

/* A server, and what the generator knows of it. */
struct target {
    const char *name;
    char binary[PATH_MAX];
    struct service service;
    enum kind kind; /* of the row that runs */
    struct ids spread, peeked, fresh, *opened;
    uint64_t item_count;
    uint64_t random;
};

/* What was seen so far; zeroed, nothing. */
struct sums {
    uint64_t answered, failed;
    double seconds;
    int64_t cpu_ns, written_bytes;
    struct histogram latency;
};

struct row {
    double per_s, cpu_us, bytes;
    int64_t p50_ns, p99_ns;
    uint64_t failed;
};

struct bench {
    struct run *run;
    bool is_pinned;
    struct target null, ceiling, registry;
    struct histogram disk;
    struct row rows[KINDS], limits[KINDS]; /* of the current number of connections */
    double open_loop_per_s[KINDS];
};

/* ---- requests ------------------------------------------------------------------------------ */

static void ids_push(struct ids *ids, const char *id)
{
    if (ids->len == ids->cap) {
        ids->cap = ids->cap ? ids->cap * 2 : 16384;
        ids->at = realloc(ids->at, ids->cap * sizeof *ids->at);
        assert(ids->at);
    }
    memcpy(ids->at[ids->len], id, ID_SIZE - 1);
    ids->at[ids->len++][ID_SIZE - 1] = 0;
}

static const char *ids_next(struct ids *ids)
{
    return ids->at[ids->taken++ % ids->len];
}

static size_t put_get(char *buf, const char *path, const char *id, const char *query)
{
    char *at = stpcpy(buf, "GET ");
    at = stpcpy(stpcpy(stpcpy(at, path), id), query);
    at = stpcpy(at, " HTTP/1.1\r\nHost: localhost:7071\r\n\r\n");
    return (size_t)(at - buf);
}

static enum kind draw(struct target *t)
{
    t->random = t->random * 6364136223846793005u + 1442695040888963407u;
    unsigned percent = (unsigned)(t->random >> 33) % 100;
    if (percent < 70)
        return percent < 10 ? OPEN : ADD;
    return percent < 90 ? PEEK : percent < 95 ? STATS : FINISH;
}

static size_t request(void *self, char *buf, unsigned *ret_tag)
{
    struct target *t = self;
    enum kind kind = t->kind == MIX ? draw(t) : t->kind;
    char item[40];

    if (kind == FINISH && t->fresh.taken == t->fresh.len) {
        if (t->kind == FINISH)
            return 0;
        kind = STATS;
    }
    *ret_tag = kind;
    switch (kind) {
    case OPEN:
        return put_get(buf, "/api/Open", "", "");
    case ADD: /* 20 bytes */
        snprintf(item, sizeof item, "?item=bench+item+%09llu", (unsigned long long)t->item_count++);
        return put_get(buf, "/api/Add/", ids_next(&t->spread), item);
    case PEEK:
        return put_get(buf, "/api/Peek/", ids_next(&t->peeked), "");
    case STATS:
        return put_get(buf, "/api/Stats", "", "");
    case FINISH:
        return put_get(buf, "/api/Finish/", t->fresh.at[t->fresh.taken++], "");
    case CONSTANT:
    case MIX:
    case KINDS:
        break;
    }
    return put_get(buf, "/admin/host/ping", "", "");
}

static void answer(void *self, unsigned tag, int status, const char *body, size_t len)
{
    struct target *t = self;
    if (tag == OPEN && status == 200 && len == ID_SIZE - 1)
        ids_push(t->opened, body);
}

/* Adds to what the peeked registries are to hold, while it prepares. */
static size_t request_peeked(void *self, char *buf, unsigned *ret_tag)
{
    struct target *t = self;
    *ret_tag = ADD;
    return put_get(buf, "/api/Add/", ids_next(&t->peeked), "?item=Commodore+64");
}

static void run(struct target *t, unsigned connections, const struct workload *workload,
                struct load_plan plan)
{
    static struct load_result result;
    struct load *l;
    int err = load_open(t->service.port, connections, &l);
    if (err == 0) {
        err = load_run(l, workload, plan, &result);
        load_close(l);
    }
    if (err < 0)
        fail(t->name, err);
    if (result.failed) {
        fprintf(stderr, "bench: %s refused %llu requests of the preparation\n", t->name,
                (unsigned long long)result.failed);
        exit(1);
    }
}

static void prepare(struct target *t)
{
    struct workload opens = {t, request, answer}, adds = {t, request_peeked, answer};
    t->kind = OPEN;
    t->opened = &t->spread;
    run(t, 64, &opens, (struct load_plan){.requests = SPREAD});
    t->opened = &t->peeked;
    run(t, 64, &opens, (struct load_plan){.requests = PEEKED});
    t->opened = &t->fresh;
    run(t, 64, &adds, (struct load_plan){.requests = (uint64_t)PEEKED * PEEKED_ITEMS});
    if (t->spread.len != SPREAD || t->peeked.len != PEEKED)
        fail("Open did not answer with ids", -71);
}

/* ---- servers ------------------------------------------------------------------------------- */

/* A child has the cores of the moment it was started in. */
static void start(struct bench *b, struct target *t, const char *name)
{
    static const char *const settings[] = {"REGISTRY_OPEN_FOR=1h", NULL};
    t->name = name;
    t->random = 2026;
    t->opened = &t->fresh;
    b->is_pinned = pin(0);
    int err = service_init(&t->service, t->binary);
    if (err == 0)
        err = service_start(&t->service, settings);
    if (err < 0) {
        char output[1024];
        output_read(t->service.output, output, sizeof output);
        fprintf(stderr, "bench: cannot start %s\n%s", t->binary, output);
        service_free(&t->service);
        exit(1);
    }
    if (b->is_pinned)
        pin(1);
}

static void stop(struct target *t)
{
    service_stop(&t->service, SIGTERM);
    service_free(&t->service);
    free(t->spread.at);
    free(t->peeked.at);
    free(t->fresh.at);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void print_head(const struct bench *b)
{
    double p50_us = (double)histogram_at(&b->disk, 0.5) / 1e3;
    double p99_us = (double)histogram_at(&b->disk, 0.99) / 1e3;
    printf("append 4 KiB + fdatasync: p50 %.1f us, p99 %.1f us\n\n", p50_us, p99_us);
    figures_set(&b->run->figures, "http.disk", 0, "p50", p50_us, "us");
    figures_set(&b->run->figures, "http.disk", 0, "p99", p99_us, "us");
    printf("%5s  %-16s %11s %10s %10s %8s %8s %7s  %s\n", "conns", "row", "requests/s", "p50 us",
           "p99 us", "CPU us", "bytes", "failed", "of its limit");
}

struct disk_turn {
    struct bench *b;
    double seconds;
    int err;
    atomic_bool is_done;
};

static void *disk_main(void *arg)
{
    struct disk_turn *turn = arg;
    if (turn->b->is_pinned)
        pin(0);
    turn->err = disk_measure(turn->b->registry.service.folder, turn->seconds, &turn->b->disk);
    atomic_store(&turn->is_done, true);
    return NULL;
}

/* The disk as a server has it: from its core, while the generator polls on the other one. Here a
 * sync takes a third longer from the one than from the other, and longer still if that sleeps. */
static void measure_disk(struct bench *b, double seconds)
{
    struct disk_turn turn = {.b = b, .seconds = seconds};
    pthread_t thread;
    int err = -pthread_create(&thread, NULL, disk_main, &turn);
    while (err == 0 && b->is_pinned && !atomic_load(&turn.is_done))
        ;
    if (err == 0)
        err = -pthread_join(thread, NULL);
    if (err < 0 || turn.err < 0)
        fail("cannot measure the disk", err < 0 ? err : turn.err);
}

/* Opens what is missing of half as many again as the row Open made: Finish needs a fresh one each
 * time, and is over early when there is none left. */
static void open_to_finish(struct bench *b, struct target *t)
{
    struct workload opens = {t, request, answer};
    const struct row *open = t == &b->ceiling ? &b->limits[OPEN] : &b->rows[OPEN];
    double per_s = open->per_s > 0 ? open->per_s : OPENS_PER_S;
    size_t wanted = (size_t)(per_s * b->run->seconds * 1.5 / TURNS) + 1000;
    size_t ready = t->fresh.len - t->fresh.taken;
    t->kind = OPEN;
    if (ready < wanted)
        run(t, 64, &opens, (struct load_plan){.requests = wanted - ready});
}

static void measure(struct bench *b, struct target *t, unsigned connections, struct load_plan plan,
                    struct sums *sums)
{
    static struct load_result result;
    struct workload workload = {t, request, answer};
    struct load_plan warm_up = {.seconds = plan.seconds / 5, .is_polled = b->is_pinned};
    struct load *l;

    if (t->kind == FINISH) {
        open_to_finish(b, t);
        warm_up.requests = (t->fresh.len - t->fresh.taken) / 10;
        t->kind = FINISH;
    }
    int err = load_open(t->service.port, connections, &l);
    if (err < 0)
        fail(t->name, err);
    err = load_run(l, &workload, warm_up, &result);
    struct cost before = cost_of(t->service.pid);
    if (err == 0)
        err = load_run(l, &workload, plan, &result);
    struct cost after = cost_of(t->service.pid);
    load_close(l);
    if (err < 0)
        fail(t->name, err);
    sums->answered += result.answered;
    sums->failed += result.failed;
    sums->seconds += result.seconds;
    sums->cpu_ns += after.cpu_ns - before.cpu_ns;
    sums->written_bytes += after.written_bytes - before.written_bytes;
    histogram_merge(&sums->latency, &result.latency);
}

static struct row row_of(struct bench *b, const struct sums *sums)
{
    double n = sums->answered ? (double)sums->answered : 1;
    b->run->has_failed = b->run->has_failed || sums->failed > 0;
    return (struct row){
        .per_s = n / sums->seconds,
        .cpu_us = (double)sums->cpu_ns / 1e3 / n,
        .bytes = (double)sums->written_bytes / n,
        .p50_ns = histogram_at(&sums->latency, 0.5),
        .p99_ns = histogram_at(&sums->latency, 0.99),
        .failed = sums->failed,
    };
}

static bool is_write(enum kind kind)
{
    return kind == OPEN || kind == ADD || kind == FINISH || kind == MIX;
}

/* Compared with an append and fdatasync, and a constant answer: nothing can be faster. */
static bool has_least(enum kind kind, unsigned connections)
{
    return connections == 1 && is_write(kind) && kind != MIX;
}

/* The row and, in turns with it, its limit (NULL: none). */
static void measure_both(struct bench *b, enum kind kind, unsigned connections,
                         struct target *limit)
{
    static struct sums ours, limits;
    struct load_plan plan = {.seconds = b->run->seconds / TURNS, .is_polled = b->is_pinned};
    if (kind == ADD && connections > 1 && !b->run->is_quick)
        plan.seconds *= LONG;
    memset(&ours, 0, sizeof ours);
    memset(&limits, 0, sizeof limits);
    b->registry.kind = kind;
    if (has_least(kind, connections))
        memset(&b->disk, 0, sizeof b->disk);
    for (int turn = 0; turn < TURNS; turn++) {
        if (has_least(kind, connections))
            measure_disk(b, plan.seconds / 2);
        if (limit) {
            limit->kind = kind;
            measure(b, limit, connections, plan, &limits);
        }
        measure(b, &b->registry, connections, plan, &ours);
    }
    if (limit)
        b->limits[kind] = row_of(b, &limits);
    b->rows[kind] = row_of(b, &ours);
}

static void keep(struct bench *b, const char *of, enum kind kind, unsigned connections,
                 const struct row *row)
{
    struct figures *f = &b->run->figures;
    char name[40];
    snprintf(name, sizeof name, "http.%s%s%s", of, *of ? "." : "", kind_names[kind]);
    figures_set(f, name, connections, "rate", row->per_s, "1/s");
    figures_set(f, name, connections, "p50", (double)row->p50_ns / 1e3, "us");
    figures_set(f, name, connections, "p99", (double)row->p99_ns / 1e3, "us");
    figures_set(f, name, connections, "cpu", row->cpu_us, "us");
    figures_set(f, name, connections, "written", row->bytes, "bytes");
}

static void print_row(unsigned connections, const char *of, enum kind kind, const struct row *row,
                      const char *limit)
{
    char name[40];
    snprintf(name, sizeof name, "%s%s%s", of, *of ? " " : "", kind_names[kind]);
    printf("%5u  %-16s %11.0f %10.1f %10.1f %8.2f %8.0f %7llu  %s\n", connections, name, row->per_s,
           (double)row->p50_ns / 1e3, (double)row->p99_ns / 1e3, row->cpu_us, row->bytes,
           (unsigned long long)row->failed, limit);
    fflush(stdout);
}

static void keep_share(struct bench *b, enum kind kind, unsigned connections, const char *metric,
                       double share)
{
    char name[40];
    snprintf(name, sizeof name, "http.%s", kind_names[kind]);
    figures_set(&b->run->figures, name, connections, metric, share, "x");
}

/* What the row is to be compared with, in words. */
static void compare(struct bench *b, enum kind kind, unsigned connections, char *ret, size_t size)
{
    const struct row *row = &b->rows[kind], *constant = &b->rows[CONSTANT];
    bool is_read = kind == PEEK || kind == STATS;
    const struct row *limit = is_read ? constant : &b->limits[kind];
    const char *of = is_read ? "constant" : kind == CONSTANT ? "null" : "ceiling";
    double share = row->per_s / limit->per_s;
    keep_share(b, kind, connections, "share", share);
    int n = snprintf(ret, size, "%.2f of %s", share, of);
    if (!has_least(kind, connections))
        return;
    double least_ns = (double)(histogram_at(&b->disk, 0.5) + constant->p50_ns);
    keep_share(b, kind, connections, "p50_of_least", (double)row->p50_ns / least_ns);
    snprintf(ret + n, size - (size_t)n, "; p50 %.2f x (fdatasync + constant)",
             (double)row->p50_ns / least_ns);
}

static void run_row(struct bench *b, enum kind kind, unsigned connections)
{
    char text[96];
    struct target *limit = kind == CONSTANT ? &b->null : is_write(kind) ? &b->ceiling : NULL;
    if (connections > 1 && !b->run->is_quick && !process_settle(b->registry.service.pid, SETTLE_S))
        printf("       the checkpoint did not catch up in %d s\n", SETTLE_S);
    measure_both(b, kind, connections, limit);
    compare(b, kind, connections, text, sizeof text);
    if (limit) {
        print_row(connections, limit->name, kind, &b->limits[kind], "");
        keep(b, limit->name, kind, connections, &b->limits[kind]);
    }
    print_row(connections, "", kind, &b->rows[kind], text);
    keep(b, "", kind, connections, &b->rows[kind]);
    if (connections == OPEN_LOOP_CONNECTIONS)
        b->open_loop_per_s[kind] = b->rows[kind].per_s / 2;
}

static bool is_wanted(const struct bench *b, enum kind kind)
{
    char name[40];
    snprintf(name, sizeof name, "http.%s", kind_names[kind]);
    return kind == CONSTANT || run_wants(b->run, name);
}

static void run_open_loop(struct bench *b)
{
    static const enum kind kinds[] = {CONSTANT, ADD, PEEK, STATS, MIX};
    static struct sums sums;
    char text[96];

    printf("open loop: half of the rate above, latency from when each request was due\n");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!is_wanted(b, kinds[i]))
            continue;
        struct load_plan plan = {.seconds = b->run->seconds,
                                 .per_s = b->open_loop_per_s[kinds[i]],
                                 .is_polled = b->is_pinned};
        memset(&sums, 0, sizeof sums);
        b->registry.kind = kinds[i];
        measure(b, &b->registry, OPEN_LOOP_CONNECTIONS, plan, &sums);
        struct row row = row_of(b, &sums);
        snprintf(text, sizeof text, "%.2f of %.0f/s asked for", row.per_s / plan.per_s, plan.per_s);
        print_row(OPEN_LOOP_CONNECTIONS, "", kinds[i], &row, text);
        keep(b, "open_loop", kinds[i], OPEN_LOOP_CONNECTIONS, &row);
    }
    printf("\n");
}

static void run_table(struct bench *b)
{
    static const unsigned connections[] = {1, 64, 256};
    for (size_t i = 0; i < sizeof connections / sizeof *connections; i++) {
        for (enum kind kind = CONSTANT; kind < KINDS; kind++)
            if (is_wanted(b, kind))
                run_row(b, kind, connections[i]);
        printf("\n");
    }
    run_open_loop(b);
}

void suite_http(struct run *r)
{
    static struct bench b;
    if (!run_wants(r, "http"))
        return;
    b = (struct bench){.run = r};
    snprintf(b.null.binary, sizeof b.null.binary, "%s/null_server", r->binaries);
    snprintf(b.ceiling.binary, sizeof b.ceiling.binary, "%s/ceiling", r->binaries);
    snprintf(b.registry.binary, sizeof b.registry.binary, "%s", r->registry);
    start(&b, &b.null, "null");
    start(&b, &b.ceiling, "ceiling");
    start(&b, &b.registry, "registry");
    measure_disk(&b, r->seconds / 2);
    prepare(&b.ceiling);
    prepare(&b.registry);
    print_head(&b);
    run_table(&b);
    note(r, "http.registry", 0, "resident",
         (double)cost_of(b.registry.service.pid).resident_bytes / 1048576, "MiB");
    stop(&b.null);
    stop(&b.ceiling);
    stop(&b.registry);
    unpin();
}
