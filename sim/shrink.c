#include "sim/shrink.h"

#include "sim/heap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool fails(const struct run_options *options, uint32_t *tape, size_t len)
{
    struct run_options try = *options;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct run_result result;
        try.tape = tape;
        try.tape_len = len;
        try.is_tracing = false;
        (void)!freopen("/dev/null", "w", stderr);
        alarm(20);
        run_once(&try, &result);
        _exit(result.violation[0] ? 1 : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static size_t shortest_prefix(const struct run_options *o, double until_s)
{
    size_t good = 0, bad = o->tape_len;
    while (bad - good > 1 && now_s() < until_s) {
        size_t middle = good + (bad - good) / 2;
        if (fails(o, o->tape, middle))
            bad = middle;
        else
            good = middle;
    }
    return bad;
}

static void zero_pieces(struct run_options *o, double until_s)
{
    uint32_t *try = sim_malloc((o->tape_len + 1) * sizeof *try);
    for (size_t piece = o->tape_len / 2 + 1; piece > 0 && now_s() < until_s; piece /= 2) {
        for (size_t at = 0; at < o->tape_len && now_s() < until_s; at += piece) {
            size_t len = piece < o->tape_len - at ? piece : o->tape_len - at;
            bool is_dull = true;
            for (size_t i = at; i < at + len; i++)
                is_dull &= o->tape[i] == 0;
            if (is_dull)
                continue;
            memcpy(try, o->tape, o->tape_len * sizeof *try);
            memset(try + at, 0, len * sizeof *try);
            if (fails(o, try, o->tape_len))
                memcpy(o->tape, try, o->tape_len * sizeof *try);
        }
    }
    sim_free(try);
}

void shrink(struct run_options *options, double seconds)
{
    double until_s = now_s() + seconds;
    options->tape_len = shortest_prefix(options, until_s);
    zero_pieces(options, until_s);
    while (options->tape_len && options->tape[options->tape_len - 1] == 0)
        options->tape_len--;
}

bool tape_save(const char *path, const struct run_options *o, const char *why)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    fprintf(file, "seed %" PRIu64 " hours %g %.200s\n", o->seed, o->hours, why);
    size_t column = 0;
    for (size_t i = 0; i < o->tape_len; column++) {
        size_t zeros = 0;
        while (i + zeros < o->tape_len && o->tape[i + zeros] == 0)
            zeros++;
        if (zeros > 1)
            fprintf(file, "0x%zu", zeros);
        else
            fprintf(file, "%" PRIu32, o->tape[i]);
        i += zeros > 1 ? zeros : 1;
        fputc(column % 16 == 15 ? '\n' : ' ', file);
    }
    fputc('\n', file);
    return fclose(file) == 0;
}

bool tape_load(const char *path, struct run_options *ret)
{
    FILE *file = fopen(path, "r");
    char word[64];
    size_t cap = 1024;
    if (!file)
        return false;
    bool is_good = fscanf(file, "seed %" SCNu64 " hours %lf", &ret->seed, &ret->hours) == 2;
    while (is_good && fgetc(file) != '\n' && !feof(file))
        ;
    ret->tape = sim_malloc(cap * sizeof ret->tape[0]);
    ret->tape_len = 0;
    while (is_good && fscanf(file, "%63s", word) == 1) {
        size_t count = word[0] == '0' && word[1] == 'x' ? strtoul(word + 2, NULL, 10) : 1;
        uint32_t value = count > 1 ? 0 : (uint32_t)strtoul(word, NULL, 10);
        while (ret->tape_len + count > cap)
            ret->tape = sim_realloc(ret->tape, (cap *= 2) * sizeof ret->tape[0]);
        while (count--)
            ret->tape[ret->tape_len++] = value;
    }
    fclose(file);
    if (!ret->tape_len) {
        sim_free(ret->tape);
        ret->tape = NULL;
    }
    return is_good;
}
