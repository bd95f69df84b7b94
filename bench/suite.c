#include "suite.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MANY = 500, WINDOW = 8, SETTLED_MS = 1500, STRIDE = 7919 };

_Noreturn void fail(const char *what, int err)
{
    fflush(stdout);
    fprintf(stderr, "bench: %s: %s\n", what, strerror(-err));
    exit(1);
}

bool run_wants(const struct run *r, const char *row)
{
    size_t len = r->only ? strlen(r->only) : 0;
    return len == 0 || (strncmp(row, r->only, len) == 0 && (row[len] == 0 || row[len] == '.')) ||
           (strncmp(row, r->only, strlen(row)) == 0 && r->only[strlen(row)] == '.');
}

void note(struct run *r, const char *row, double x, const char *metric, double value,
          const char *unit)
{
    char at[32] = "";
    if (x != 0)
        snprintf(at, sizeof at, "%.10g", x);
    printf("%-28s %10s  %-16s %14.6g %s\n", row, at, metric, value, unit);
    fflush(stdout);
    figures_set(&r->figures, row, x, metric, value, unit);
    r->noted++;
}

void note_missing(const char *row, const char *why)
{
    printf("%-28s not measured: %s\n", row, why);
    fflush(stdout);
}

/* ---- cores --------------------------------------------------------------------------------- */

bool pin(size_t core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sysconf(_SC_NPROCESSORS_ONLN) > 1 && sched_setaffinity(0, sizeof set, &set) == 0;
}

void unpin(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (long core = 0; core < sysconf(_SC_NPROCESSORS_ONLN) && core < CPU_SETSIZE; core++)
        CPU_SET((size_t)core, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* ---- programs ------------------------------------------------------------------------------ */

static _Noreturn void fail_to_start(struct program *p)
{
    char output[1024];
    output_read(p->service.output, output, sizeof output);
    fprintf(stderr, "bench: %s does not start\n%s", p->binary, output);
    service_free(&p->service);
    exit(1);
}

int64_t program_start(struct program *p, const char *const settings[])
{
    struct ask ping = {.path = "/admin/host/ping"};
    struct answer a = {0};
    int64_t start_ns = monotonic_ns();
    if (service_spawn(&p->service, settings) < 0)
        fail_to_start(p);
    client_init(&p->client, p->service.port);
    while (client_ask(&p->client, &ping, &a) < 0) {
        int64_t waited_ns = monotonic_ns() - start_ns;
        if (waited_ns > (int64_t)120 * 1000000000 || kill(p->service.pid, 0) < 0)
            fail_to_start(p);
        if (waited_ns > 20 * 1000000)
            nap_ms(1); /* what takes long must not be robbed of a core by who waits */
    }
    return monotonic_ns() - start_ns;
}

void program_open(struct run *r, struct program *p, const char *name, const char *const settings[])
{
    *p = (struct program){0};
    snprintf(p->binary, sizeof p->binary, "%s/%s", r->binaries, name);
    int err = service_init(&p->service, p->binary);
    if (err < 0)
        fail("a folder for the data", err);
    program_start(p, settings);
}

void program_kill(struct program *p)
{
    client_free(&p->client);
    service_stop(&p->service, SIGKILL);
}

void program_close(struct program *p)
{
    client_free(&p->client);
    service_free(&p->service);
}

static void check(struct program *p, int err, const struct answer *a)
{
    if (err < 0)
        fail(p->binary, err);
    if (a->status == 200)
        return;
    fprintf(stderr, "bench: %s answers %d: %s\n", p->binary, a->status, a->body);
    exit(1);
}

const char *program_get(struct program *p, const char *format, ...)
{
    char path[512];
    struct answer a = {0};
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    int err = client_ask(&p->client, &(struct ask){.path = path}, &a);
    if (err == -ECONNRESET) /* a connection that was idle for long is hung up */
        err = client_ask(&p->client, &(struct ask){.path = path}, &a);
    check(p, err, &a);
    return a.body;
}

void program_get_many(struct program *p, const char *path, uint64_t from, uint64_t until)
{
    char request[512];
    struct answer a = {0};
    unsigned under_way = 0;
    int err = client_connect(&p->client); /* a fresh one: it may have been idle for long */
    if (err < 0)
        fail(p->binary, err);
    while (from < until || under_way) {
        if (from < until && under_way < WINDOW) {
            uint64_t n = until - from < MANY ? until - from : MANY;
            int len = snprintf(request, sizeof request,
                               "GET %s&from=%llu&n=%llu HTTP/1.1\r\nHost: localhost\r\n\r\n", path,
                               (unsigned long long)from, (unsigned long long)n);
            if (client_send(&p->client, request, (size_t)len) < 0)
                fail(p->binary, -71);
            from += n;
            under_way++;
            continue;
        }
        check(p, client_read(&p->client, false, &a), &a);
        under_way--;
    }
}

int64_t program_number(struct program *p, const char *path, const char *key)
{
    return json_number(program_get(p, "%s", path), key);
}

bool program_await(struct program *p, const char *path, const char *key, int64_t least,
                   double timeout_s)
{
    int64_t until_ns = monotonic_ns() + (int64_t)(timeout_s * 1e9);
    while (program_number(p, path, key) < least) {
        if (monotonic_ns() > until_ns)
            return false;
        nap_ms(1);
    }
    return true;
}

/* Sleeping threads that are never woken do nothing, and need no CPU. */
bool process_settle(pid_t pid, double timeout_s)
{
    int64_t until_ns = monotonic_ns() + (int64_t)(timeout_s * 1e9), quiet_ns = monotonic_ns();
    int64_t cpu_ns = cost_of(pid).cpu_ns;
    while (monotonic_ns() < until_ns) {
        nap_ms(50);
        int64_t now_ns = monotonic_ns(), cpu_now_ns = cost_of(pid).cpu_ns;
        /* The tick that looks whether a checkpoint is due is a second apart. */
        if (cpu_now_ns != cpu_ns)
            quiet_ns = now_ns;
        cpu_ns = cpu_now_ns;
        if (now_ns - quiet_ns > (int64_t)SETTLED_MS * 1000000)
            return true;
    }
    return false;
}

bool program_settle(struct program *p, double timeout_s)
{
    return process_settle(p->service.pid, timeout_s);
}

/* ---- load ---------------------------------------------------------------------------------- */

/* In strides, so that neighbours in memory are not asked one after the other. */
static size_t request_add(void *self, char *buf, unsigned *ret_tag)
{
    struct spread *s = self;
    uint64_t id = s->first + s->next % s->count;
    s->next += s->count > STRIDE * 2 ? STRIDE : 1;
    *ret_tag = 0;
    return (size_t)snprintf(buf, LOAD_REQUEST_MAX,
                            "GET /api/Add/%032llx?item=bench+item+%09llu HTTP/1.1\r\n"
                            "Host: localhost\r\n\r\n",
                            (unsigned long long)id, (unsigned long long)s->items++);
}

static void ignore_answer(void *self, unsigned tag, int status, const char *body, size_t len)
{
    (void)self, (void)tag, (void)status, (void)body, (void)len;
}

struct workload spread_adds(struct spread *spread)
{
    return (struct workload){spread, request_add, ignore_answer};
}

struct lap program_load(struct run *r, struct program *p, unsigned connections,
                        const struct workload *workload, struct load_plan plan)
{
    static struct load_result result;
    struct load *l;
    int err = load_open(p->service.port, connections, &l);
    if (err < 0)
        fail(p->binary, err);
    struct load_plan warm_up = {.seconds = plan.seconds / 10};
    if (plan.seconds > 0)
        err = load_run(l, workload, warm_up, &result);
    struct cost before = cost_of(p->service.pid);
    if (err == 0)
        err = load_run(l, workload, plan, &result);
    struct cost after = cost_of(p->service.pid);
    load_close(l);
    if (err < 0)
        fail(p->binary, err);
    if (result.failed)
        fprintf(stderr, "bench: %llu requests were refused\n", (unsigned long long)result.failed);
    r->has_failed = r->has_failed || result.failed;
    double n = result.answered ? (double)result.answered : 1;
    return (struct lap){.per_s = n / result.seconds,
                        .cpu_us = (double)(after.cpu_ns - before.cpu_ns) / 1e3 / n,
                        .bytes = (double)(after.written_bytes - before.written_bytes) / n,
                        .p50_us = (double)histogram_at(&result.latency, 0.5) / 1e3,
                        .p99_us = (double)histogram_at(&result.latency, 0.99) / 1e3,
                        .answered = result.answered};
}
