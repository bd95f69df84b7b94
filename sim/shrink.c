#include "sim/shrink.h"

#include "sim/heap.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shrinker {
    struct run_options *best; /* whose tape is the best so far */
    double until_s;
    bool is_better; /* than when this round began */
    size_t tries;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool has_time(const struct shrinker *k)
{
    return now_s() < k->until_s;
}

/* ---- one try ---- */

/* What was drawn of each span is written to the pipe, as lengths. */
static _Noreturn void try_it(const struct run_options *options, int to)
{
    struct run_result result;
    (void)!freopen("/dev/null", "w", stderr);
    alarm(20);
    run(options, &result);
    FILE *file = fdopen(to, "w");
    for (size_t i = 0; i < STREAMS && result.violation[0]; i++)
        for (size_t n = 0; n < options->tape->streams[i].count; n++)
            fwrite(&options->tape->streams[i].at[n].next, sizeof(uint32_t), 1, file);
    fclose(file);
    _exit(result.violation[0] ? 1 : 0);
}

static void drop_undrawn(struct tape *t, FILE *from)
{
    for (size_t i = 0; i < STREAMS; i++) {
        struct spans *spans = &t->streams[i];
        size_t count = 0;
        for (size_t n = 0; n < spans->count; n++) {
            struct span *s = &spans->at[n];
            uint32_t len;
            if (fread(&len, sizeof len, 1, from) != 1)
                return;
            s->len = len < s->len ? len : s->len;
            while (s->len && !s->at[s->len - 1])
                s->len--;
            count = s->len ? n + 1 : count;
        }
        while (spans->count > count)
            sim_free(spans->at[--spans->count].at);
    }
}

static bool fails(const struct run_options *options)
{
    int ends[2], status = 0;
    fflush(stdout);
    if (pipe(ends) < 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        try_it(options, ends[1]);
    }
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    drop_undrawn(options->tape, from);
    fclose(from);
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

/* Takes the tape, which becomes the best or is gone. */
static bool is_better(struct shrinker *k, struct tape *t, double hours)
{
    struct run_options try = *k->best;
    try.tape = t;
    try.hours = hours;
    try.tracing = TRACE_NONE;
    k->tries++;
    if (!has_time(k) || !fails(&try)) {
        tape_free(t);
        return false;
    }
    tape_free(k->best->tape);
    k->best->tape = t;
    k->best->hours = hours;
    k->is_better = true;
    return true;
}

/* ---- less of it ---- */

static const struct spans *best(const struct shrinker *k, size_t stream)
{
    return &k->best->tape->streams[stream];
}

/* So many spans from one on are cut to a length. Whether it was better. */
static bool cut(struct shrinker *k, size_t stream, size_t first, size_t count, uint32_t len)
{
    bool is_less = false;
    const struct spans *now = best(k, stream);
    count = first + count < now->count ? count : now->count - first;
    for (size_t i = first; i < first + count; i++)
        is_less |= now->at[i].len > len;
    if (!is_less)
        return false;
    struct tape *t = tape_copy(k->best->tape);
    for (size_t i = first; i < first + count; i++) {
        struct span *s = &t->streams[stream].at[i];
        s->len = s->len > len ? len : s->len;
    }
    return is_better(k, t, k->best->hours);
}

static void shorter(struct shrinker *k)
{
    double good = 0;
    while (k->best->hours - good > 0.02 && has_time(k)) {
        double middle = good + (k->best->hours - good) / 2;
        if (!is_better(k, tape_copy(k->best->tape), middle))
            good = middle;
    }
}

/* What a span has to draw so that nothing comes of it but when the next one is. */
static uint32_t idle_len(size_t stream)
{
    return stream >= STREAM_CLIENT && stream < STREAM_WATCH   ? 2
           : stream == STREAM_CRASH || stream == STREAM_FAULT ? 1
                                                              : 0;
}

/* Whole streams, options, then ever smaller pieces of streams. */
static void fewer_spans(struct shrinker *k)
{
    for (size_t stream = STREAMS; stream-- > STREAM_CRASH;)
        (void)cut(k, stream, 0, best(k, stream)->count, 0);
    for (size_t i = best(k, STREAM_SWARM)->count; i-- > 0;)
        (void)cut(k, STREAM_SWARM, i, 1, 0);
    for (size_t stream = STREAMS; stream-- > STREAM_CRASH;)
        for (size_t piece = best(k, stream)->count; piece > 0; piece /= 2)
            for (size_t i = best(k, stream)->count; i > 0 && has_time(k);) {
                i = i > piece ? i - piece : 0;
                (void)cut(k, stream, i, piece, idle_len(stream));
            }
}

/* A span without some of its draws. */
static bool without(struct shrinker *k, struct turn turn, uint32_t from, uint32_t count)
{
    struct tape *t = tape_copy(k->best->tape);
    struct span *s = &t->streams[turn.stream].at[turn.place];
    memmove(s->at + from, s->at + from + count, (s->len - from - count) * sizeof s->at[0]);
    s->len -= count;
    return is_better(k, t, k->best->hours);
}

static bool with(struct shrinker *k, struct turn turn, uint32_t at, uint32_t n)
{
    struct tape *t = tape_copy(k->best->tape);
    t->streams[turn.stream].at[turn.place].at[at] = n;
    return is_better(k, t, k->best->hours);
}

static const struct span *span_at(const struct shrinker *k, struct turn turn)
{
    static const struct span none;
    const struct spans *spans = best(k, turn.stream);
    return turn.place < spans->count ? &spans->at[turn.place] : &none;
}

static void halve_span(struct shrinker *k, struct turn turn)
{
    while (span_at(k, turn)->len > 1 &&
           cut(k, turn.stream, turn.place, 1, span_at(k, turn)->len / 2))
        ;
}

static void thin_span(struct shrinker *k, struct turn turn)
{
    for (uint32_t piece = 8; piece; piece /= 2)
        for (uint32_t i = span_at(k, turn)->len; i >= piece && has_time(k); i--)
            if (i <= span_at(k, turn)->len)
                (void)without(k, turn, i - piece, piece);
}

static void lower_draws(struct shrinker *k, struct turn turn)
{
    for (uint32_t i = 0; i < span_at(k, turn)->len && has_time(k); i++) {
        uint32_t n = span_at(k, turn)->at[i];
        if (!n || with(k, turn, i, 0))
            continue;
        for (uint32_t less = n / 2; less; less /= 2)
            while (i < span_at(k, turn)->len && (n = span_at(k, turn)->at[i]) > less &&
                   with(k, turn, i, n - less))
                ;
    }
}

static void each_span(struct shrinker *k, void (*less)(struct shrinker *k, struct turn turn))
{
    for (size_t stream = 0; stream < STREAMS; stream++)
        for (size_t i = 0; i < best(k, stream)->count; i++)
            less(k, (struct turn){stream, i});
}

static void fewer_until_none(struct shrinker *k)
{
    do {
        k->is_better = false;
        shorter(k);
        fewer_spans(k);
    } while (k->is_better && has_time(k));
}

size_t shrink(struct run_options *options, double seconds)
{
    struct shrinker k = {.best = options, .until_s = now_s() + seconds};
    options->tracing = TRACE_NONE;
    do {
        fewer_until_none(&k);
        each_span(&k, halve_span);
        each_span(&k, lower_draws);
        each_span(&k, thin_span);
    } while (k.is_better && has_time(&k));
    return k.tries;
}
