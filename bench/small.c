/* small.c - how soon it answers, how still it is, how large it is */
#include "suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STARTS = 15, IDLE_S = 5, IDLE_REGISTRIES = 1000, SETTLE_S = 60 };

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void run_start(struct run *r)
{
    int64_t took_ns[STARTS];
    for (int i = 0; i < STARTS; i++) {
        struct program p = {0};
        snprintf(p.binary, sizeof p.binary, "%s", r->registry);
        if (service_init(&p.service, p.binary) < 0)
            fail("a folder for the data", -2);
        took_ns[i] = program_start(&p, NULL);
        program_close(&p);
    }
    qsort(took_ns, STARTS, sizeof took_ns[0], by_value);
    note(r, "small.start_empty", 0, "p50", (double)took_ns[STARTS / 2] / 1e6, "ms");
    note(r, "small.start_empty", 0, "worst", (double)took_ns[STARTS - 1] / 1e6, "ms");
}

/* How often any of its threads was let go on: one that sleeps in a system call cannot make another
 * without that. */
static int64_t switches_of(pid_t pid)
{
    struct cost cost = cost_of(pid);
    return cost.switches;
}

static void run_idle(struct run *r, const char *row, uint64_t registries)
{
    struct program p;
    program_open(r, &p, "bench_app", NULL);
    if (registries)
        program_get_many(&p, "/api/bench/open?closesAt=9000000000000", 0, registries);
    client_disconnect(&p.client);
    if (!program_settle(&p, SETTLE_S))
        printf("%-28s it was never still for a while\n", row);
    int64_t before = switches_of(p.service.pid);
    int idle_s = r->is_quick ? 1 : IDLE_S;
    nap_ms(idle_s * 1000);
    double n = (double)(switches_of(p.service.pid) - before);
    note(r, row, 0, "wake_ups", n / idle_s, "1/s");
    program_close(&p);
}

static void run_size(struct run *r)
{
    char stripped[PATH_MAX];
    struct stat st;
    pid_t pid;
    snprintf(stripped, sizeof stripped, "%s/registry.stripped", r->binaries);
    const char *argv[] = {"/usr/bin/strip", "-o", stripped, r->registry, NULL};
    if (process_start(argv, NULL, "/dev/null", &pid) < 0 || process_wait(pid, 10000) != 0 ||
        stat(stripped, &st) < 0) {
        note_missing("small.binary", "no strip");
        return;
    }
    note(r, "small.binary", 0, "stripped", (double)st.st_size / 1048576, "MiB");
    unlink(stripped);
}

void suite_small(struct run *r)
{
    if (run_wants(r, "small.start_empty"))
        run_start(r);
    if (run_wants(r, "small.idle_empty"))
        run_idle(r, "small.idle_empty", 0);
    if (run_wants(r, "small.idle_timers"))
        run_idle(r, "small.idle_timers", IDLE_REGISTRIES);
    if (run_wants(r, "small.binary"))
        run_size(r);
}
