/* sim --seed N --hours H [--seeds COUNT]   runs; each seed twice, unless --once
 *     --first                              no further than the first seed that fails
 *     --trace, --trace-all                 tells the story; also what is hardly worth it
 *     --shrink SECONDS                     how long the first failure is made short; 0: not at all
 *     --save FILE                          where its tape goes; else build/seed-N.tape
 *     --tape FILE ...                      runs kept tapes
 *     --tapes FOLDER                       all in a folder
 *     --twins                              each seed resident and replayed: no difference
 *     --probes                             what was reached; fails when a listed probe was not
 */
#include "sim/heap.h"
#include "sim/probe.h"
#include "sim/process.h"
#include "sim/shrink.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
    uint64_t seed, seeds;
    double hours, shrink_s;
    const char *save;
    char **tapes;
    int tape_count;
    glob_t folder;
    enum trace_level tracing;
    bool is_first, is_once, has_probes, are_twins;
} opt = {.seed = 1, .seeds = 1, .hours = 1, .shrink_s = -1};

static void usage(void)
{
    fputs("sim [--seed N] [--seeds COUNT] [--hours H] [--first] [--once] [--twins] [--probes]\n"
          "    [--trace] [--trace-all] [--shrink SECONDS] [--save FILE] [--tapes FOLDER]\n"
          "    [--tape FILE...]\n",
          stderr);
    exit(64);
}

static bool flag(const char *text)
{
    if (strcmp(text, "--trace") == 0)
        opt.tracing = TRACE_SHORT;
    else if (strcmp(text, "--trace-all") == 0)
        opt.tracing = TRACE_ALL;
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

static void add(struct sim_stats *sum, const struct sim_stats *one)
{
    const uint64_t *from = (const uint64_t *)one;
    uint64_t *to = (uint64_t *)sum;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}

/* Takes the tape. */
static void make_short(struct run_options *options, struct tape *tape, const char *why)
{
    char path[64];
    struct run_result result;
    size_t draws = tape_draws(tape);
    const char *save = opt.save ? opt.save : path;
    snprintf(path, sizeof path, "build/seed-%llu.tape", (unsigned long long)options->seed);
    options->tape = tape;
    size_t tries = shrink(options, opt.shrink_s);
    printf("  made short by %zu tries, of %zu draws %zu:\n", tries, draws,
           tape_draws(options->tape));
    if (tape_save(save, options->tape, options->hours, why))
        printf("  again by: build/release/sim --trace --tape %s\n", save);
    options->tracing = TRACE_SHORT;
    run(options, &result);
    tape_free(options->tape);
}

static bool is_well(struct run_options *options, struct sim_stats *sum)
{
    struct run_result result;
    options->tracing = opt.tracing;
    options->is_once = opt.is_once;
    options->twin = opt.are_twins ? TWIN_RESIDENT : TWIN_NONE;
    run(options, &result);
    add(sum, &result.stats);
    struct tape *tape = options->tape ? options->tape : result.tape;
    bool is_failure = result.violation[0];
    if (is_failure && !options->tape)
        printf("seed %llu: %s\n  again by: build/release/sim --seed %llu --hours %g%s --trace\n",
               (unsigned long long)options->seed, result.violation,
               (unsigned long long)options->seed, options->hours, opt.are_twins ? " --twins" : "");
    if (is_failure && opt.shrink_s > 0) {
        make_short(options, tape, result.violation);
        opt.shrink_s = 0; /* the first is enough */
    } else {
        tape_free(tape);
    }
    return !is_failure;
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
        struct tape *tape = tape_load(opt.tapes[i], &options.hours);
        if (!tape) {
            fprintf(stderr, "sim: %s is no tape\n", opt.tapes[i]);
            exit(66);
        }
        options.seed = tape->seed;
        options.tape = tape->is_replay ? tape : NULL;
        if (!tape->is_replay)
            tape_free(tape);
        opt.is_once = true;
        if (!is_well(&options, sum)) {
            printf("  it was the tape %s\n", opt.tapes[i]);
            failed++;
        }
    }
    return failed;
}

int main(int argc, char **argv)
{
    struct sim_stats sum = {0};
    uint64_t failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    parse(argc, argv);
    if (opt.shrink_s < 0)
        opt.shrink_s = opt.tracing || opt.tape_count ? 0 : 30;
    process_catch_signals();
    clock_t from = clock();
    if (opt.tape_count)
        failed = run_tapes(&sum);
    uint64_t runs = (uint64_t)opt.tape_count;
    for (; runs < opt.seeds && !opt.tape_count && !(opt.is_first && failed); runs++) {
        struct run_options options = {.seed = opt.seed + runs, .hours = opt.hours};
        failed += !is_well(&options, &sum);
    }
    report(&sum, (double)(clock() - from) / CLOCKS_PER_SEC, runs, failed);
    size_t missed = opt.has_probes ? probe_report() : 0;
    printf("%llu passed, %llu failed\n", (unsigned long long)(runs - failed),
           (unsigned long long)(failed + missed));
    return failed || missed ? 1 : 0;
}
