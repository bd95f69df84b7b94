/* background.h - a job that its owner can wait for or call off
 *
 * struct env runs jobs, but knows no way to wait for one or take one back: a host's pool, a test's
 * list and a simulator's schedule would each need their own. So the waiting is here: a store that
 * is closed with a job under way finishes or drops it at once, and whenever the env gets round to
 * the job, it finds nothing left to do.
 *
 *     queued ----> running ----> over        work() on another thread, then done() on the owner's
 *        |            |
 *        +- finish: work() and done() here   +- finish: waits, then done() here
 *        +- drop: neither                    +- drop: waits, no done()
 */
#ifndef STORE_BACKGROUND_H
#define STORE_BACKGROUND_H

#include "base/env.h"

/* What is done is its owner's: task is handed to both. */
struct background_task {
    void (*work)(void *task); /* on any thread; touches only what the task owns */
    void (*done)(void *task); /* on the owner's thread */
    void *task;
    bool can_wait; /* as in struct job */
};

struct background;

/* *ret is set first, since done() may be called before this returns. It is good until done(),
 * background_finish() or background_drop() was called. */
void background_submit(struct env *env, const struct background_task *task,
                       struct background **ret);
/* Returns when work() and done() are over. */
void background_finish(struct background *b);
/* Returns when work() is over or will not happen; done() will not be called. */
void background_drop(struct background *b);

#endif
