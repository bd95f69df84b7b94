#include "base/arena.h"

#include "base/die.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    _Alignas(16) char bytes[];
};

enum { ALIGN = 8 };

void arena_init(ks_arena *a, size_t chunk_bytes)
{
    *a = (ks_arena){.chunk_bytes = chunk_bytes};
}

static void chunk_add(ks_arena *a, size_t size)
{
    struct arena_chunk *chunk = die_malloc(sizeof *chunk + size);
    chunk->next = a->chunks;
    chunk->size = size;
    a->chunks = chunk;
    a->at = chunk->bytes;
    a->end = chunk->bytes + size;
}

static void chunks_free(struct arena_chunk *chunk)
{
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_free(ks_arena *a)
{
    chunks_free(a->chunks);
    arena_init(a, a->chunk_bytes);
}

#ifdef KS_ASAN
void arena_reset(ks_arena *a)
{
    arena_free(a);
}

void *arena_alloc(ks_arena *a, size_t size)
{
    chunk_add(a, size);
    a->used_bytes += size;
    return a->chunks->bytes;
}
#else
void arena_reset(ks_arena *a)
{
    a->used_bytes = 0;
    if (!a->chunks)
        return;
    chunks_free(a->chunks->next);
    a->chunks->next = NULL;
    a->at = a->chunks->bytes;
    a->end = a->chunks->bytes + a->chunks->size;
}

void *arena_alloc(ks_arena *a, size_t size)
{
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if ((size_t)(a->end - a->at) < size) {
        chunk_add(a, size > a->chunk_bytes ? size : a->chunk_bytes);
        if (a->chunk_bytes < ARENA_CHUNK_MAX)
            a->chunk_bytes *= 2;
    }
    void *at = a->at;
    a->at += size;
    a->used_bytes += size;
    return at;
}
#endif

char *arena_strndup(ks_arena *a, const char *text, size_t len)
{
    char *copy = arena_alloc(a, len + 1);
    if (len)
        memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

void *arena_memdup(ks_arena *a, const void *bytes, size_t len)
{
    void *copy = arena_alloc(a, len);
    if (len)
        memcpy(copy, bytes, len);
    return copy;
}

void *ks_alloc(ks_arena *mem, size_t size_bytes)
{
    return memset(arena_alloc(mem, size_bytes), 0, size_bytes);
}

char *arena_vformat(ks_arena *a, const char *format, va_list args)
{
    va_list again;
    char small[256];
    va_copy(again, args);
    int len = vsnprintf(small, sizeof small, format, args);
    size_t size = len < 0 ? 1 : (size_t)len + 1;
    char *text = arena_alloc(a, size);
    text[0] = 0;
    if (size <= sizeof small)
        memcpy(text, small, size);
    else
        vsnprintf(text, size, format, again);
    va_end(again);
    return text;
}

char *ks_format(ks_arena *mem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vformat(mem, format, args);
    va_end(args);
    return text;
}
