/* Each piece has a header in a list, newest first. In an ASan build the pieces are its own, so that
 * a use after the process's end is seen. */
#include "sim/heap.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *at, size_t size);
void __real_free(void *at);
void *__real_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
int __real_munmap(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *at, size_t size);
void __wrap_free(void *at);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
int __wrap_munmap(void *at, size_t size);

struct piece {
    struct piece *next, **back; /* back: what points here; NULL: not the process's */
    size_t size;
    size_t padding;
};

enum { STACKS_MAX = 8192 };

struct stack {
    void *at;
    size_t size;
    bool is_used;
};

static struct {
    bool is_process;
    struct piece *first;
    size_t count, bytes;
    uint64_t fails_in;
    bool has_failed;
    struct stack stacks[STACKS_MAX];
    size_t stack_count;
} heap;

static void *or_end(void *at)
{
    if (!at) {
        fputs("sim: out of memory\n", stderr);
        abort();
    }
    return at;
}

void *sim_malloc(size_t size)
{
    return or_end(__real_malloc(size ? size : 1));
}
void *sim_zalloc(size_t size)
{
    return or_end(__real_calloc(1, size ? size : 1));
}
void *sim_realloc(void *at, size_t size)
{
    return or_end(__real_realloc(at, size ? size : 1));
}
void sim_free(void *at)
{
    __real_free(at);
}

void heap_enter(void)
{
    heap.is_process = true;
}
void heap_leave(void)
{
    heap.is_process = false;
}
size_t heap_bytes(void)
{
    return heap.bytes;
}
size_t heap_count(void)
{
    return heap.count;
}

static void link_piece(struct piece *p)
{
    p->next = heap.first;
    p->back = &heap.first;
    if (p->next)
        p->next->back = &p->next;
    heap.first = p;
    heap.count++;
    heap.bytes += p->size;
}

static void unlink_piece(struct piece *p)
{
    *p->back = p->next;
    if (p->next)
        p->next->back = p->back;
    heap.count--;
    heap.bytes -= p->size;
}

void heap_fail_in(uint64_t n)
{
    heap.fails_in = n;
}

bool heap_has_failed(void)
{
    bool has_failed = heap.has_failed;
    heap.has_failed = false;
    return has_failed;
}

static bool fails(void)
{
    if (!heap.is_process || !heap.fails_in || --heap.fails_in)
        return false;
    heap.has_failed = true;
    return true;
}

static void *begin(struct piece *p, size_t size)
{
    or_end(p);
    p->size = size;
    p->back = NULL;
    if (heap.is_process)
        link_piece(p);
    return p + 1;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : begin(__real_malloc(sizeof(struct piece) + size), size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : begin(__real_calloc(1, sizeof(struct piece) + n * size), n * size);
}

void __wrap_free(void *at)
{
    if (!at)
        return;
    struct piece *p = (struct piece *)at - 1;
    if (p->back)
        unlink_piece(p);
    __real_free(p);
}

void *__wrap_realloc(void *at, size_t size)
{
    if (!at)
        return __wrap_malloc(size);
    struct piece *p = (struct piece *)at - 1;
    bool is_process = p->back;
    if (fails())
        return NULL;
    if (is_process)
        unlink_piece(p);
    p = or_end(__real_realloc(p, sizeof *p + size));
    p->size = size;
    if (is_process)
        link_piece(p);
    return p + 1;
}

void heap_drop(void)
{
    for (struct piece *p = heap.first; p;) {
        struct piece *next = p->next;
        __real_free(p);
        p = next;
    }
    heap.first = NULL;
    heap.count = 0;
    heap.bytes = 0;
    heap.fails_in = 0;
    for (size_t i = 0; i < heap.stack_count; i++)
        heap.stacks[i].is_used = false;
}

/* ---- stacks ---- */

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset)
{
    for (size_t i = 0; i < heap.stack_count; i++) {
        if (heap.stacks[i].is_used || heap.stacks[i].size != size)
            continue;
        heap.stacks[i].is_used = true;
        return heap.stacks[i].at;
    }
    at = __real_mmap(at, size, protection, flags, file, offset);
    if (heap.stack_count == STACKS_MAX)
        abort();
    heap.stacks[heap.stack_count++] = (struct stack){at, size, true};
    return at;
}

int __wrap_munmap(void *at, size_t size)
{
    for (size_t i = 0; i < heap.stack_count; i++) {
        if (heap.stacks[i].at != at)
            continue;
        heap.stacks[i].is_used = false;
        return 0;
    }
    return __real_munmap(at, size);
}

/* ---- SQLite ---- */

static void *lite_malloc(int size)
{
    return __wrap_malloc((size_t)size);
}
static void *lite_realloc(void *at, int size)
{
    return __wrap_realloc(at, (size_t)size);
}
static int lite_size(void *at)
{
    return at ? (int)((struct piece *)at - 1)->size : 0;
}
static int lite_round_up(int size)
{
    return (size + 7) & ~7;
}
static int lite_init(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}
static void lite_shutdown(void *ctx)
{
    (void)ctx;
}

void heap_config_sqlite(void)
{
    static const sqlite3_mem_methods methods = {.xMalloc = lite_malloc,
                                                .xFree = __wrap_free,
                                                .xRealloc = lite_realloc,
                                                .xSize = lite_size,
                                                .xRoundup = lite_round_up,
                                                .xInit = lite_init,
                                                .xShutdown = lite_shutdown};
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}
