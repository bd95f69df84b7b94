/* The struct stands at the top of its own stack:
 *
 *     guard page | ... stack, grows down ... | struct coroutine
 */
#include "core/coroutine.h"

#include "base/die.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__) || defined(__aarch64__)
#define HAS_SWITCH 1
#else
#include <ucontext.h>
#endif

/* So many free stacks are kept for reuse. */
enum { POOL_MAX = 64, GUARD_BYTES = 16384 };

struct coroutine {
    void *sp;        /* of the coroutine while it is suspended */
    void *caller_sp; /* of whoever resumed it while it runs */
    char *bottom;    /* lowest byte of its stack */
    size_t stack_bytes;
    void (*fn)(void *arg);
    void *arg;
    bool is_over;
    bool is_running;
    struct coroutine *next_free;
#ifndef HAS_SWITCH
    ucontext_t context, caller_context;
#endif
#if defined(__SANITIZE_ADDRESS__)
    const void *caller_bottom;
    size_t caller_bytes;
    void *fake_stack;
#endif
#if defined(__SANITIZE_THREAD__)
    void *fiber, *caller_fiber;
#endif
};

/* ---- what sanitizers have to be told about a switch ---- */

static void entered(struct coroutine *co)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(co->fake_stack, &co->caller_bottom, &co->caller_bytes);
#endif
    (void)co;
}

static void leaving(struct coroutine *co)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(co->is_over ? NULL : &co->fake_stack, co->caller_bottom,
                                   co->caller_bytes);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(co->caller_fiber, 0);
#endif
    (void)co;
}

/* ---- the switch ---- */

void coroutine_main(struct coroutine *co);

#ifdef HAS_SWITCH
void coroutine_switch(void **save_sp, void *load_sp);
void coroutine_start(void);

static void switch_prepare(struct coroutine *co)
{
    uintptr_t *sp = (uintptr_t *)(void *)co;
#if defined(__x86_64__)
    /* As coroutine_switch leaves it: control words, r15 r14 r13 r12 rbx rbp, return address. */
    sp -= 2; /* so that the stack is aligned when coroutine_start() calls */
    *--sp = (uintptr_t)coroutine_start;
    *--sp = 0;             /* rbp */
    *--sp = 0;             /* rbx */
    *--sp = (uintptr_t)co; /* r12 */
    *--sp = 0;
    *--sp = 0;
    *--sp = 0;
    *--sp = 0x0000037F00001F80u; /* x87 control word, mxcsr: the defaults of the ABI */
#else
    sp -= 22;
    memset(sp, 0, 22 * sizeof *sp);
    sp[0] = (uintptr_t)co;               /* x19 */
    sp[11] = (uintptr_t)coroutine_start; /* x30 */
#endif
    co->sp = sp;
}

static void switch_in(struct coroutine *co)
{
    coroutine_switch(&co->caller_sp, co->sp);
}

static void switch_out(struct coroutine *co)
{
    coroutine_switch(&co->sp, co->caller_sp);
}
#else
static void start(unsigned high, unsigned low)
{
    coroutine_main((struct coroutine *)(((uintptr_t)high << 32) | low));
}

static void switch_prepare(struct coroutine *co)
{
    getcontext(&co->context);
    co->context.uc_stack.ss_sp = co->bottom;
    co->context.uc_stack.ss_size = co->stack_bytes;
    co->context.uc_link = NULL;
    makecontext(&co->context, (void (*)(void))start, 2, (unsigned)((uint64_t)(uintptr_t)co >> 32),
                (unsigned)(uintptr_t)co);
}

static void switch_in(struct coroutine *co)
{
    swapcontext(&co->caller_context, &co->context);
}

static void switch_out(struct coroutine *co)
{
    swapcontext(&co->context, &co->caller_context);
}
#endif

/* The first function on a coroutine's stack; never returns. */
void coroutine_main(struct coroutine *co)
{
    entered(co);
    co->fn(co->arg);
    co->is_over = true;
    leaving(co);
    switch_out(co);
    die("a coroutine that was over has been resumed");
}

/* ---- public ---- */

static struct coroutine *stack_new(void)
{
    size_t size = GUARD_BYTES + COROUTINE_STACK_BYTES;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (at == MAP_FAILED || mprotect(at, GUARD_BYTES, PROT_NONE) < 0)
        die("out of memory: no room for the stack of an orchestration");
    size_t used = (sizeof(struct coroutine) + 63) & ~(size_t)63;
    struct coroutine *co = (struct coroutine *)(void *)(at + size - used);
    co->bottom = at + GUARD_BYTES;
    co->stack_bytes = COROUTINE_STACK_BYTES - used;
    return co;
}

static void stack_free(struct coroutine *co)
{
    munmap(co->bottom - GUARD_BYTES, GUARD_BYTES + COROUTINE_STACK_BYTES);
}

void coroutine_pool_free(struct coroutine_pool *pool)
{
    while (pool->free) {
        struct coroutine *co = pool->free;
        pool->free = co->next_free;
        stack_free(co);
    }
    pool->free_count = 0;
}

struct coroutine *coroutine_new(struct coroutine_pool *pool, void (*fn)(void *arg), void *arg)
{
    struct coroutine *co = pool->free;
    if (co) {
        pool->free = co->next_free;
        pool->free_count--;
    } else {
        co = stack_new();
    }
    co->fn = fn;
    co->arg = arg;
    co->is_over = false;
    co->is_running = false;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(co->bottom, co->stack_bytes);
    co->fake_stack = NULL;
#endif
#if defined(__SANITIZE_THREAD__)
    co->fiber = __tsan_create_fiber(0);
#endif
    switch_prepare(co);
    return co;
}

void coroutine_free(struct coroutine_pool *pool, struct coroutine *co)
{
    assert(!co->is_running);
#if defined(__SANITIZE_THREAD__)
    __tsan_destroy_fiber(co->fiber);
#endif
    if (pool->free_count == POOL_MAX) {
        stack_free(co);
        return;
    }
    co->next_free = pool->free;
    pool->free = co;
    pool->free_count++;
}

void coroutine_resume(struct coroutine *co)
{
    assert(!co->is_over && !co->is_running);
    co->is_running = true;
#if defined(__SANITIZE_ADDRESS__)
    void *fake_stack = NULL;
    __sanitizer_start_switch_fiber(&fake_stack, co->bottom, co->stack_bytes);
#endif
#if defined(__SANITIZE_THREAD__)
    co->caller_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(co->fiber, 0);
#endif
    switch_in(co);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
    co->is_running = false;
}

void coroutine_suspend(struct coroutine *co)
{
    leaving(co);
    switch_out(co);
    entered(co);
}

bool coroutine_is_over(const struct coroutine *co)
{
    return co->is_over;
}
