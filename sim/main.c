/* sim --seed N --hours H [--seeds COUNT]   runs; each seed twice, unless --once
 *     --first                              no further than the first seed that fails
 *     --trace                              tells the story
 *     --shrink SECONDS --save FILE         makes the first tape that fails short, and keeps it
 *     --tape FILE ...                      runs kept tapes
 *     --tapes FOLDER                       all in a folder
 *     --twins                              each seed resident and replayed: no difference
 *     --probes                             what was reached; fails when a listed probe was not
 */
#include "sim/heap.h"
#include "sim/probe.h"
#include "sim/shrink.h"

#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    uint64_t seed, seeds;
    double hours, shrink_s;
    const char *save;
    char **tapes;
    int tape_count;
    glob_t folder;
    bool is_first, is_tracing, is_once, has_probes, are_twins;
} opt = {.seed = 1, .seeds = 1, .hours = 1};
static uint64_t seed_now;

static void usage(void)
{
    fputs("sim [--seed N] [--seeds COUNT] [--hours H] [--trace] [--once] [--twins] [--probes]\n"
          "    [--shrink SECONDS] [--save FILE] [--tapes FOLDER] [--tape FILE...]\n",
          stderr);
    exit(64);
}

static bool flag(const char *text)
{
    if (strcmp(text, "--trace") == 0)
        opt.is_tracing = true;
    else if (strcmp(text, "--first") == 0)
        opt.is_first = true;
    else if (strcmp(text, "--once") == 0)
        opt.is_once = true;
    else if (strcmp(text, "--probes") == 0)
        opt.has_probes = true;
    else if (strcmp(text, "--twins") == 0)
        opt.are_twins = true;
    else
        return false;
    return true;
}

static void list_tapes(const char *folder)
{
    char pattern[256];
    snprintf(pattern, sizeof pattern, "%s/*.tape", folder);
    if (glob(pattern, 0, NULL, &opt.folder) != 0) {
        fprintf(stderr, "sim: there is no tape in %s\n", folder);
        exit(66);
    }
    opt.tapes = opt.folder.gl_pathv;
    opt.tape_count = (int)opt.folder.gl_pathc;
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (flag(argv[i]))
            continue;
        const char *name = argv[i++], *value = argv[i];
        if (!value)
            usage();
        if (strcmp(name, "--seed") == 0)
            opt.seed = strtoull(value, NULL, 0);
        else if (strcmp(name, "--seeds") == 0)
            opt.seeds = strtoull(value, NULL, 0);
        else if (strcmp(name, "--hours") == 0)
            opt.hours = strtod(value, NULL);
        else if (strcmp(name, "--shrink") == 0)
            opt.shrink_s = strtod(value, NULL);
        else if (strcmp(name, "--save") == 0)
            opt.save = value;
        else if (strcmp(name, "--tape") == 0) {
            opt.tapes = argv + i;
            opt.tape_count = argc - i;
            return;
        } else if (strcmp(name, "--tapes") == 0)
            list_tapes(value);
        else
            usage();
    }
}

/* An assertion of the engine, or worse. */
static void on_signal(int number)
{
    char text[256];
    int len = snprintf(text, sizeof text,
                       "seed %llu: signal %d\n  again by: build/release/sim "
                       "--seed %llu --hours %g --trace\n",
                       (unsigned long long)seed_now, number, (unsigned long long)seed_now,
                       opt.hours);
    (void)!write(1, text, (size_t)len);
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

/* Runs again, and compares: the same, or what may not make a difference made otherwise. */
static void run_again(struct run_options *options, struct run_result *first)
{
    struct run_result second;
    options->is_tracing &= options->twin != TWIN_NONE;
    if (options->twin)
        options->twin = TWIN_REPLAYED;
    run_once(options, &second);
    if (second.hash != first->hash)
        snprintf(first->violation, sizeof first->violation,
                 "two runs of one seed%s differ: %016llx "
                 "and %016llx %.900s",
                 options->twin ? ", resident and replayed," : "", (unsigned long long)first->hash,
                 (unsigned long long)second.hash, second.violation);
    sim_free(second.tape);
}

static bool run(struct run_options *options, struct sim_stats *sum)
{
    struct run_result first;
    options->is_tracing = opt.is_tracing;
    options->twin = opt.are_twins ? TWIN_RESIDENT : TWIN_NONE;
    seed_now = options->seed;
    run_once(options, &first);
    add(sum, &first.stats);
    if (!first.violation[0] && (!opt.is_once || opt.are_twins))
        run_again(options, &first);
    if (first.violation[0])
        printf("seed %llu: %s\n  again by: build/release/sim --seed %llu --hours %g%s --trace\n",
               (unsigned long long)options->seed, first.violation,
               (unsigned long long)options->seed, options->hours, opt.are_twins ? " --twins" : "");
    if (first.violation[0] && opt.shrink_s > 0) {
        options->tape = first.tape;
        options->tape_len = first.tape_len;
        options->twin = TWIN_NONE;
        shrink(options, opt.shrink_s);
        printf("  %zu draws made %zu\n", first.tape_len, options->tape_len);
        if (opt.save && tape_save(opt.save, options, first.violation))
            printf("  again by: build/release/sim --trace --tape %s\n", opt.save);
        exit(1);
    }
    sim_free(first.tape);
    return !first.violation[0];
}

static void report(const struct sim_stats *s, double cpu_s, uint64_t runs, uint64_t failed)
{
    double hours = (double)s->simulated_ns / 3600e9;
    uint64_t crashes = s->kills + s->power_losses + s->deaths;
    printf("%llu runs, %llu failed; %.1f hours in %.2f s of CPU: %.0f hours per CPU hour, %.0f "
           "crashes per second\n",
           (unsigned long long)runs, (unsigned long long)failed, hours, cpu_s, hours / cpu_s * 3600,
           (double)crashes / cpu_s);
    printf("requests %llu, acknowledged %llu, registries %llu, items %llu, programs %llu, claims "
           "%llu\nkills %llu, power losses %llu, own ends %llu, closes %llu, starts %llu, refusals "
           "%llu, passes %llu, jobs %llu, faults %llu\n",
           (unsigned long long)s->requests, (unsigned long long)s->acknowledged,
           (unsigned long long)s->registries, (unsigned long long)s->items,
           (unsigned long long)s->programs, (unsigned long long)s->claims,
           (unsigned long long)s->kills, (unsigned long long)s->power_losses,
           (unsigned long long)s->deaths, (unsigned long long)s->closes,
           (unsigned long long)s->starts, (unsigned long long)s->refusals,
           (unsigned long long)s->rounds, (unsigned long long)s->jobs,
           (unsigned long long)s->faults);
}

static uint64_t run_tapes(struct sim_stats *sum)
{
    uint64_t failed = 0;
    for (int i = 0; i < opt.tape_count; i++) {
        struct run_options options = {0};
        if (!tape_load(opt.tapes[i], &options)) {
            fprintf(stderr, "sim: %s is no tape\n", opt.tapes[i]);
            exit(66);
        }
        uint32_t *tape = options.tape;
        opt.is_once = true;
        if (!run(&options, sum)) {
            printf("  it was the tape %s\n", opt.tapes[i]);
            failed++;
        }
        sim_free(tape);
    }
    return failed;
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
    if (opt.tape_count)
        failed = run_tapes(&sum);
    uint64_t runs = (uint64_t)opt.tape_count;
    for (; runs < opt.seeds && !opt.tape_count && !(opt.is_first && failed); runs++) {
        struct run_options options = {.seed = opt.seed + runs, .hours = opt.hours};
        failed += !run(&options, &sum);
    }
    report(&sum, (double)(clock() - from) / CLOCKS_PER_SEC, runs, failed);
    size_t missed = opt.has_probes ? probe_report() : 0;
    printf("%llu passed, %llu failed\n", (unsigned long long)(runs - failed),
           (unsigned long long)(failed + missed));
    return failed || missed ? 1 : 0;
}
