/* workers.h - threads for jobs, and the way back to the partition's thread
 *
 *     workers_submit()  ->  lane  ->  a thread: job->work()  ->  done list  ->  wake()
 *     workers_take_done(), on the partition's thread: job->done() of each
 *
 * Three lanes: activities, which may block for as long as they like, on up to activity_threads
 * threads that are started when needed; the background (segments), on one thread of its own; and
 * what can wait (saves), on another, which gets little of a core that others want.
 */
#ifndef RUN_WORKERS_H
#define RUN_WORKERS_H

#include "base/env.h"

#include <signal.h>

struct workers;

/* wake is called on any thread when something is done; it must only poke the loop. */
struct workers *workers_new(unsigned activity_threads, void (*wake)(void *ctx), void *ctx);
void workers_submit(struct workers *w, struct job *job, bool is_activity);
/* On the partition's thread. */
void workers_take_done(struct workers *w);
/* Waits for the activities that run; none begins any more. done() of all of them is called, also of
 * those that did not run. */
void workers_end_activities(struct workers *w);
/* The same, and the background's jobs all run. Then the threads are gone. */
void workers_free(struct workers *w);
/* The calling thread does not take that signal until *ret_before is set as its mask again. Workers
 * never take SIGTERM. */
void signal_block(int number, sigset_t *ret_before);

#endif
