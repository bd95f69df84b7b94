/* bench.c - one table: how fast the registry is, as a share of what the machine can do
 *
 *     bench [--seconds N] [--registry PATH]
 *
 * Three servers are up at the same time, on fresh folders, all on core 0; the generator is on core
 * 1. So every row stands beside its limit, taken a moment earlier on the same machine:
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
 * Add goes to 10,000 registries in turn; Finish ends what the row Open and a top-up opened; Peek
 * reads registries of five items; the mix is 10 % Open, 60 % Add, 20 % Peek, 5 % Stats, 5 % Finish.
 */
#include "load.h"

#include "../tests/client.h"

#include <assert.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { ID_SIZE = 33, SPREAD = 10000, PEEKED = 100, PEEKED_ITEMS = 5, OPEN_LOOP_CONNECTIONS = 64 };

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

struct row {
    double per_s, cpu_us, bytes;
    int64_t p50_ns, p99_ns;
    uint64_t failed;
};

struct bench {
    double seconds;
    bool is_pinned;
    bool has_failed;
    struct target null, ceiling, registry;
    struct histogram disk;
    struct row rows[KINDS], limits[KINDS]; /* of the current number of connections */
    double open_loop_per_s[KINDS];
};

static _Noreturn void fail(const char *what, int err)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(-err));
    exit(1);
}

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
static bool pin(size_t core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

static void start(struct bench *b, struct target *t, const char *name)
{
    static const char *const settings[] = {"REGISTRY_OPEN_FOR=1h", NULL};
    t->name = name;
    t->random = 2026;
    t->opened = &t->fresh;
    b->is_pinned = sysconf(_SC_NPROCESSORS_ONLN) > 1 && pin(0);
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

static void print_machine(const struct bench *b)
{
    char cpu[4096], load[64], *model;
    struct utsname kernel;
    uname(&kernel);
    output_read("/proc/loadavg", load, sizeof load);
    output_read("/proc/cpuinfo", cpu, sizeof cpu);
    model = strstr(cpu, "model name");
    model = model ? strchr(model, ':') + 2 : strcpy(cpu, "?");
    printf("%.*s, %ld cores, %s %s; %s; %.1f s a row\n", (int)strcspn(model, "\n"), model,
           sysconf(_SC_NPROCESSORS_ONLN), kernel.sysname, kernel.release,
           sysconf(_SC_NPROCESSORS_ONLN) > 1 ? "servers on core 0, generator on core 1"
                                             : "nothing pinned",
           b->seconds);
    printf("load average before: %.*s; whatever else runs here takes from the rows\n",
           (int)strcspn(load, " "), load);
}

static void print_head(const struct bench *b)
{
    printf("disk under %s: append 4 KiB + fdatasync p50 %.1f us, p99 %.1f us\n\n",
           b->registry.service.folder, (double)histogram_at(&b->disk, 0.5) / 1e3,
           (double)histogram_at(&b->disk, 0.99) / 1e3);
    printf("%5s  %-16s %11s %10s %10s %8s %8s %7s  %s\n", "conns", "row", "requests/s", "p50 us",
           "p99 us", "CPU us", "bytes", "failed", "of its limit");
}

/* Opens what is missing of half as many again as the row Open made: Finish needs a fresh one each
 * time, and is over early when there is none left. */
static void open_to_finish(struct bench *b, struct target *t)
{
    struct workload opens = {t, request, answer};
    const struct row *open = t == &b->ceiling ? &b->limits[OPEN] : &b->rows[OPEN];
    size_t wanted = (size_t)(open->per_s * b->seconds * 1.5) + 1000;
    size_t ready = t->fresh.len - t->fresh.taken;
    t->kind = OPEN;
    if (ready < wanted)
        run(t, 64, &opens, (struct load_plan){.requests = wanted - ready});
}

static struct row measure(struct bench *b, struct target *t, enum kind kind, unsigned connections,
                          double per_s)
{
    static struct load_result result;
    struct workload workload = {t, request, answer};
    struct load_plan plan = {.seconds = b->seconds, .per_s = per_s, .is_polled = b->is_pinned};
    struct load_plan warm_up = {.seconds = b->seconds / 10, .is_polled = b->is_pinned};
    struct load *l;

    if (kind == FINISH) {
        open_to_finish(b, t);
        warm_up.requests = (t->fresh.len - t->fresh.taken) / 10;
    }
    t->kind = kind;
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
    double n = result.answered ? (double)result.answered : 1;
    b->has_failed = b->has_failed || result.failed > 0;
    return (struct row){
        .per_s = n / result.seconds,
        .cpu_us = (double)(after.cpu_ns - before.cpu_ns) / 1e3 / n,
        .bytes = (double)(after.written_bytes - before.written_bytes) / n,
        .p50_ns = histogram_at(&result.latency, 0.5),
        .p99_ns = histogram_at(&result.latency, 0.99),
        .failed = result.failed,
    };
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

static bool is_write(enum kind kind)
{
    return kind == OPEN || kind == ADD || kind == FINISH || kind == MIX;
}

/* What the row is to be compared with, in words. */
static void describe(const struct bench *b, enum kind kind, unsigned connections, char *ret,
                     size_t size)
{
    const struct row *row = &b->rows[kind], *constant = &b->rows[CONSTANT];
    const struct row *limit = &b->limits[kind];
    if (kind == CONSTANT) {
        snprintf(ret, size, "%.2f of null", row->per_s / limit->per_s);
    } else if (!is_write(kind)) {
        snprintf(ret, size, "%.2f of constant", row->per_s / constant->per_s);
    } else if (connections > 1 || kind == MIX) {
        snprintf(ret, size, "%.2f of ceiling", row->per_s / limit->per_s);
    } else {
        double least_ns = (double)(histogram_at(&b->disk, 0.5) + constant->p50_ns);
        snprintf(ret, size, "%.2f of ceiling; p50 %.2f x (fdatasync + constant)",
                 row->per_s / limit->per_s, (double)row->p50_ns / least_ns);
    }
}

static void run_row(struct bench *b, enum kind kind, unsigned connections)
{
    char text[96];
    if (kind == CONSTANT || is_write(kind)) {
        struct target *limit = kind == CONSTANT ? &b->null : &b->ceiling;
        b->limits[kind] = measure(b, limit, kind, connections, 0);
        print_row(connections, limit->name, kind, &b->limits[kind], "");
    }
    b->rows[kind] = measure(b, &b->registry, kind, connections, 0);
    describe(b, kind, connections, text, sizeof text);
    print_row(connections, "", kind, &b->rows[kind], text);
    if (connections == OPEN_LOOP_CONNECTIONS)
        b->open_loop_per_s[kind] = b->rows[kind].per_s / 2;
}

static void run_table(struct bench *b)
{
    static const unsigned connections[] = {1, 64, 256};
    static const enum kind open_loop[] = {CONSTANT, ADD, PEEK, STATS, MIX};
    char text[96];

    for (size_t i = 0; i < sizeof connections / sizeof *connections; i++) {
        for (enum kind kind = CONSTANT; kind < KINDS; kind++)
            run_row(b, kind, connections[i]);
        printf("\n");
    }
    printf("open loop: half of the rate above, latency from when each request was due\n");
    for (size_t i = 0; i < sizeof open_loop / sizeof *open_loop; i++) {
        enum kind kind = open_loop[i];
        double per_s = b->open_loop_per_s[kind];
        struct row row = measure(b, &b->registry, kind, OPEN_LOOP_CONNECTIONS, per_s);
        snprintf(text, sizeof text, "%.2f of %.0f/s asked for", row.per_s / per_s, per_s);
        print_row(OPEN_LOOP_CONNECTIONS, "", kind, &row, text);
    }
}

/* ---- main ---------------------------------------------------------------------------------- */

/* The other programs stand beside this one, the registry a folder above. */
static void find_binaries(struct bench *b, const char *registry)
{
    char here[PATH_MAX / 2];
    ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
    assert(n > 0);
    here[n] = 0;
    *strrchr(here, '/') = 0;
    snprintf(b->null.binary, sizeof b->null.binary, "%s/null_server", here);
    snprintf(b->ceiling.binary, sizeof b->ceiling.binary, "%s/ceiling", here);
    if (registry)
        snprintf(b->registry.binary, sizeof b->registry.binary, "%s", registry);
    else
        snprintf(b->registry.binary, sizeof b->registry.binary, "%s/../registry", here);
}

int main(int argc, char **argv)
{
    static struct bench b = {.seconds = 2};
    const char *registry = NULL;

    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0) {
            b.seconds = atof(argv[++i]);
        } else if (i + 1 < argc && strcmp(argv[i], "--registry") == 0) {
            registry = argv[++i];
        } else {
            fprintf(stderr, "usage: bench [--seconds N] [--registry PATH]\n");
            return 2;
        }
    }
    if (b.seconds <= 0)
        fail("--seconds", -22);
    find_binaries(&b, registry);
    print_machine(&b);
    start(&b, &b.null, "null");
    start(&b, &b.ceiling, "ceiling");
    start(&b, &b.registry, "registry");
    int err = disk_measure(b.registry.service.folder, b.seconds, &b.disk);
    if (err < 0)
        fail("cannot measure the disk", err);
    prepare(&b.ceiling);
    prepare(&b.registry);
    print_head(&b);
    run_table(&b);
    printf("registry at the end: %.1f MiB resident\n",
           (double)cost_of(b.registry.service.pid).resident_bytes / 1048576);
    stop(&b.null);
    stop(&b.ceiling);
    stop(&b.registry);
    return b.has_failed ? 1 : 0;
}
