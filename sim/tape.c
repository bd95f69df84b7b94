#include "sim/tape.h"

#include "sim/heap.h"
#include "sim/probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct turn nobodys = {STREAMS, 0};

static const char *const names[] = {"swarm", "crash", "end", "start",    "fault",
                                    "disk",  "evict", "job", "activity", "client"};

uint64_t mix64(uint64_t *stream)
{
    uint64_t z = *stream += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

struct tape *tape_new(uint64_t seed)
{
    struct tape *t = sim_zalloc(sizeof *t);
    t->seed = seed;
    t->now = nobodys;
    return t;
}

void tape_free(struct tape *t)
{
    for (size_t i = 0; t && i < STREAMS; i++) {
        for (size_t k = 0; k < t->streams[i].count; k++)
            sim_free(t->streams[i].at[k].at);
        sim_free(t->streams[i].at);
    }
    sim_free(t);
}

struct tape *tape_copy(const struct tape *t)
{
    struct tape *copy = sim_malloc(sizeof *copy);
    *copy = *t;
    for (size_t i = 0; i < STREAMS; i++) {
        struct spans *to = &copy->streams[i];
        to->cap = to->count;
        to->at = sim_malloc(to->cap * sizeof to->at[0]);
        for (size_t k = 0; k < to->count; k++) {
            const struct span *from = &t->streams[i].at[k];
            to->at[k] = (struct span){.len = from->len, .cap = from->len};
            to->at[k].at = sim_malloc(from->len * sizeof from->at[0]);
            if (from->len)
                memcpy(to->at[k].at, from->at, from->len * sizeof from->at[0]);
        }
    }
    return copy;
}

void tape_replay(struct tape *t)
{
    t->is_replay = true;
    t->now = nobodys;
    for (size_t i = 0; i < STREAMS; i++) {
        t->streams[i].next = 0;
        for (size_t k = 0; k < t->streams[i].count; k++)
            t->streams[i].at[k].next = 0;
    }
}

static struct span *span_get(struct tape *t, struct turn turn)
{
    struct spans *spans = &t->streams[turn.stream];
    while (turn.place >= spans->count) {
        if (spans->count == spans->cap) {
            spans->cap = spans->cap ? spans->cap * 2 : 64;
            spans->at = sim_realloc(spans->at, spans->cap * sizeof spans->at[0]);
        }
        uint64_t of_stream = t->seed * 0x9E3779B97F4A7C15u + turn.stream;
        uint64_t of_span = mix64(&of_stream) + spans->count;
        spans->at[spans->count++] = (struct span){.random = mix64(&of_span)};
    }
    return &spans->at[turn.place];
}

struct turn tape_next(struct tape *t, size_t stream)
{
    return (struct turn){stream, t->streams[stream].next++};
}

struct turn tape_use(struct tape *t, struct turn turn)
{
    struct turn before = t->now;
    t->now = turn;
    return before;
}

struct turn tape_begin(struct tape *t, size_t stream)
{
    return tape_use(t, tape_next(t, stream));
}

static void span_put(struct span *s, uint32_t n)
{
    if (s->len == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 8;
        s->at = sim_realloc(s->at, s->cap * sizeof s->at[0]);
    }
    s->at[s->len++] = n;
}

uint32_t tape_draw(struct tape *t, uint32_t below)
{
    if (t->now.stream == STREAMS)
        sim_fail("a draw is nobody's");
    if (below <= 1)
        return 0;
    const struct spans *spans = &t->streams[t->now.stream];
    if (t->is_replay && t->now.place >= spans->count)
        return 0;
    struct span *s = span_get(t, t->now);
    if (t->is_replay)
        return s->next < s->len ? s->at[s->next++] % below : 0;
    uint32_t n = (uint32_t)((mix64(&s->random) >> 32) * below >> 32);
    span_put(s, n);
    return n;
}

bool tape_once_in(struct tape *t, uint32_t times)
{
    return times && tape_draw(t, times) == times - 1;
}

size_t tape_draws(const struct tape *t)
{
    size_t n = 0;
    for (size_t i = 0; i < STREAMS; i++)
        for (size_t k = 0; k < t->streams[i].count; k++)
            n += t->streams[i].at[k].len;
    return n;
}

/* ---- in a file ---- */

static void stream_name(size_t stream, char ret[16])
{
    if (stream < STREAM_CLIENT)
        snprintf(ret, 16, "%s", names[stream]);
    else if (stream == STREAM_WATCH)
        snprintf(ret, 16, "watch");
    else
        snprintf(ret, 16, "%s%zu", names[STREAM_CLIENT], stream - STREAM_CLIENT);
}

static size_t stream_called(const char *name)
{
    char is[16];
    for (size_t i = 0; i < STREAMS; i++) {
        stream_name(i, is);
        if (strcmp(is, name) == 0)
            return i;
    }
    return STREAMS;
}

bool tape_save(const char *path, const struct tape *t, double hours, const char *why)
{
    char name[16];
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    fprintf(file, "seed %" PRIu64 " hours %g %.200s\n", t->seed, hours, why);
    for (size_t i = 0; i < STREAMS; i++) {
        stream_name(i, name);
        for (size_t k = 0; k < t->streams[i].count; k++) {
            const struct span *s = &t->streams[i].at[k];
            if (!s->len)
                continue;
            fprintf(file, "%s %zu", name, k);
            for (size_t n = 0; n < s->len; n++)
                fprintf(file, " %" PRIu32, s->at[n]);
            fputc('\n', file);
        }
    }
    return fclose(file) == 0;
}

struct tape *tape_load(const char *path, double *ret_hours)
{
    char word[64];
    size_t place;
    FILE *file = fopen(path, "r");
    struct tape *t = tape_new(0);
    struct span *s = NULL;
    bool is_good = file && fscanf(file, "seed %" SCNu64 " hours %lf", &t->seed, ret_hours) == 2;
    while (is_good && fgetc(file) != '\n' && !feof(file))
        ;
    while (is_good && fscanf(file, "%63s", word) == 1) {
        if (word[0] >= '0' && word[0] <= '9' && s) {
            span_put(s, (uint32_t)strtoul(word, NULL, 10));
            continue;
        }
        size_t stream = stream_called(word);
        is_good = stream < STREAMS && fscanf(file, "%zu", &place) == 1;
        s = is_good ? span_get(t, (struct turn){stream, place}) : NULL;
        t->is_replay = true;
    }
    if (file)
        fclose(file);
    if (is_good)
        return t;
    tape_free(t);
    return NULL;
}
