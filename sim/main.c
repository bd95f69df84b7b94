/* sim --seed N --hours H [--seeds COUNT] [--trace] [--once] [--probes] */
#include "sim/heap.h"
#include "sim/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct options {
    uint64_t seed, seeds;
    double hours;
    bool is_tracing, is_once, has_probes;
};

static struct options opt = {.seed = 1, .seeds = 1, .hours = 1};
static uint64_t seed_now;

static void usage(void)
{
    fputs("sim [--seed N] [--seeds COUNT] [--hours H] [--trace] [--once] [--probes]\n", stderr);
    exit(64);
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--trace") == 0)
            opt.is_tracing = true;
        else if (strcmp(argv[i], "--once") == 0)
            opt.is_once = true;
        else if (strcmp(argv[i], "--probes") == 0)
            opt.has_probes = true;
        else if (!value)
            usage();
        else if (strcmp(argv[i], "--seed") == 0)
            opt.seed = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--seeds") == 0)
            opt.seeds = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--hours") == 0)
            opt.hours = strtod(argv[++i], NULL);
        else
            usage();
    }
}

/* An assertion of the engine, or worse. */
static void on_signal(int number)
{
    char text[256];
    int len = snprintf(text, sizeof text, "seed %llu: signal %d; again by: build/release/sim/sim --seed "
                       "%llu --hours %g --trace\n", (unsigned long long)seed_now, number,
                       (unsigned long long)seed_now, opt.hours);
    (void)!write(2, text, (size_t)len);
    signal(number, SIG_DFL);
    raise(number);
}

static void add(struct sim_stats *sum, const struct sim_stats *one)
{
    const uint64_t *from = (const uint64_t *)one;
    uint64_t *to = (uint64_t *)sum;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}

static bool run_seed(uint64_t seed, struct sim_stats *sum)
{
    struct run_options options = {.seed = seed, .hours = opt.hours, .is_tracing = opt.is_tracing};
    struct run_result first, second;
    seed_now = seed;
    run_once(&options, &first);
    add(sum, &first.stats);
    if (!first.violation[0] && !opt.is_once) {
        options.is_tracing = false;
        run_once(&options, &second);
        if (second.hash != first.hash)
            snprintf(first.violation, sizeof first.violation,
                     "two runs of one seed differ: %016llx and %016llx %.900s",
                     (unsigned long long)first.hash, (unsigned long long)second.hash,
                     second.violation);
        sim_free(second.tape);
    }
    sim_free(first.tape);
    if (!first.violation[0])
        return true;
    printf("seed %llu: %s\n  again by: build/release/sim/sim --seed %llu --hours %g --trace\n",
           (unsigned long long)seed, first.violation, (unsigned long long)seed, opt.hours);
    return false;
}

static void report(const struct sim_stats *sum, double cpu_s, uint64_t failed)
{
    double hours = (double)sum->simulated_ns / 3600e9;
    uint64_t crashes = sum->kills + sum->power_losses + sum->deaths;
    printf("%llu seeds, %llu failed; %.1f hours in %.2f s of CPU: %.0f hours per CPU hour, %.0f "
           "crashes per second\n", (unsigned long long)opt.seeds, (unsigned long long)failed, hours,
           cpu_s, hours / cpu_s * 3600, (double)crashes / cpu_s);
    printf("requests %llu, acknowledged %llu, registries %llu, items %llu, programs %llu, claims "
           "%llu\nkills %llu, power losses %llu, own ends %llu, closes %llu, starts %llu, refusals "
           "%llu, passes %llu, jobs %llu, faults %llu\n",
           (unsigned long long)sum->requests, (unsigned long long)sum->acknowledged,
           (unsigned long long)sum->registries, (unsigned long long)sum->items,
           (unsigned long long)sum->programs, (unsigned long long)sum->claims,
           (unsigned long long)sum->kills, (unsigned long long)sum->power_losses,
           (unsigned long long)sum->deaths, (unsigned long long)sum->closes,
           (unsigned long long)sum->starts, (unsigned long long)sum->refusals,
           (unsigned long long)sum->rounds, (unsigned long long)sum->jobs,
           (unsigned long long)sum->faults);
}

int main(int argc, char **argv)
{
    struct sim_stats sum = {0};
    uint64_t failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    parse(argc, argv);
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    clock_t from = clock();
    for (uint64_t i = 0; i < opt.seeds; i++)
        failed += !run_seed(opt.seed + i, &sum);
    report(&sum, (double)(clock() - from) / CLOCKS_PER_SEC, failed);
    size_t missed = opt.has_probes ? probe_report() : 0;
    return failed || missed ? 1 : 0;
}
