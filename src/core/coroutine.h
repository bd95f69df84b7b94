/* coroutine.h - a function that can be left in the middle and gone on with
 *
 * Stackful: it has a stack of its own, from a pool, with a page below it that faults. Resuming and
 * suspending is one switch of registers (x86-64 and aarch64 in coroutine_switch.S: about 5 ns here
 * against 438 ns for ucontext, which serves everywhere else).
 *
 *     resume        caller -> coroutine, until it suspends or its function returns
 *     suspend       coroutine -> caller
 *     free          whatever it was doing never goes on; nothing on its stack is run or freed
 */
#ifndef CORE_COROUTINE_H
#define CORE_COROUTINE_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of stack a coroutine has; more, and it faults. And what most of them really use. */
enum { COROUTINE_STACK_BYTES = 64 * 1024, COROUTINE_TOUCHED_BYTES = 8 * 1024 };

struct coroutine;
struct coroutine_pool {
    struct coroutine *free;
    size_t free_count;
};

void coroutine_pool_free(struct coroutine_pool *pool);

/* A coroutine that runs fn(arg) from its first resume on. */
struct coroutine *coroutine_new(struct coroutine_pool *pool, void (*fn)(void *arg), void *arg);
void coroutine_free(struct coroutine_pool *pool, struct coroutine *co);
/* Not of one that is over. */
void coroutine_resume(struct coroutine *co);
void coroutine_suspend(struct coroutine *co);
bool coroutine_is_over(const struct coroutine *co);

#endif
