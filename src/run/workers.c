#include "run/workers.h"

#include "base/die.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Where there are fewer cores than threads, saves wait for what clients wait for, until commits
 * wait for them (journal.c, is_behind()). */
enum { WAITING_NICE = 10 };

struct lane {
    struct job *first, *last;
    pthread_cond_t has_work;
    unsigned threads, threads_max, idle;
    bool drops_rest; /* at the end, jobs that have not begun are not run */
    bool is_ending;
    pthread_t *ids;
    struct workers *workers;
};

struct workers {
    pthread_mutex_t lock;
    struct lane activities, background, waiting;
    struct job *done_first, *done_last;
    void (*wake)(void *ctx);
    void *ctx;
};

static void append(struct job **first, struct job **last, struct job *job)
{
    job->next = NULL;
    if (*last)
        (*last)->next = job;
    else
        *first = job;
    *last = job;
}

static struct job *take(struct job **first, struct job **last)
{
    struct job *job = *first;
    *first = job->next;
    if (!*first)
        *last = NULL;
    return job;
}

/* With the lock held: the next job, or NULL at the end. */
static struct job *next_job(struct lane *lane)
{
    struct workers *w = lane->workers;
    while (!lane->first && !lane->is_ending) {
        lane->idle++;
        pthread_cond_wait(&lane->has_work, &w->lock);
        lane->idle--;
    }
    if (!lane->first || (lane->is_ending && lane->drops_rest))
        return NULL;
    return take(&lane->first, &lane->last);
}

static void *thread_main(void *arg)
{
    struct lane *lane = arg;
    struct workers *w = lane->workers;
    if (lane == &w->waiting)
        (void)!setpriority(PRIO_PROCESS, (id_t)gettid(), WAITING_NICE);
    pthread_mutex_lock(&w->lock);
    for (struct job *job; (job = next_job(lane));) {
        pthread_mutex_unlock(&w->lock);
        job->work(job);
        pthread_mutex_lock(&w->lock);
        append(&w->done_first, &w->done_last, job);
        w->wake(w->ctx);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void lane_init(struct lane *lane, struct workers *w, unsigned threads_max)
{
    *lane = (struct lane){.threads_max = threads_max, .workers = w};
    lane->ids = die_zalloc(threads_max * sizeof lane->ids[0]);
    pthread_cond_init(&lane->has_work, NULL);
}

void signal_block(int number, sigset_t *ret_before)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_BLOCK, &set, ret_before);
}

/* SIGTERM is the loop's business: its thread can keep it waiting, others cannot. */
static int thread_start(pthread_t *ret, struct lane *lane)
{
    sigset_t before;
    signal_block(SIGTERM, &before);
    int error = pthread_create(ret, NULL, thread_main, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct workers *workers_new(unsigned activity_threads, void (*wake)(void *ctx), void *ctx)
{
    struct workers *w = die_zalloc(sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    lane_init(&w->activities, w, activity_threads);
    lane_init(&w->background, w, 1);
    lane_init(&w->waiting, w, 1);
    w->activities.drops_rest = true;
    w->wake = wake;
    w->ctx = ctx;
    return w;
}

void workers_submit(struct workers *w, struct job *job, bool is_activity)
{
    struct lane *lane = job->can_wait ? &w->waiting : &w->background;
    if (is_activity)
        lane = &w->activities;
    pthread_mutex_lock(&w->lock);
    append(&lane->first, &lane->last, job);
    if (lane->idle) {
        pthread_cond_signal(&lane->has_work);
    } else if (!lane->is_ending && lane->threads < lane->threads_max) {
        int error = thread_start(&lane->ids[lane->threads], lane);
        if (!error)
            lane->threads++;
        else if (!lane->threads)
            die("no thread could be started: %s", strerror(error));
    }
    pthread_mutex_unlock(&w->lock);
}

void workers_take_done(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    while (w->done_first) {
        struct job *job = take(&w->done_first, &w->done_last);
        pthread_mutex_unlock(&w->lock);
        job->done(job);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
}

/* With the lock held. */
static void lane_end(struct lane *lane)
{
    struct workers *w = lane->workers;
    lane->is_ending = true;
    pthread_cond_broadcast(&lane->has_work);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < lane->threads; i++)
        pthread_join(lane->ids[i], NULL);
    pthread_mutex_lock(&w->lock);
    lane->threads = 0;
    while (lane->first)
        append(&w->done_first, &w->done_last, take(&lane->first, &lane->last));
}

static void lane_free(struct lane *lane)
{
    pthread_cond_destroy(&lane->has_work);
    free(lane->ids);
}

void workers_end_activities(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    lane_end(&w->activities);
    pthread_mutex_unlock(&w->lock);
    workers_take_done(w);
}

void workers_free(struct workers *w)
{
    workers_end_activities(w);
    pthread_mutex_lock(&w->lock);
    lane_end(&w->background);
    lane_end(&w->waiting);
    pthread_mutex_unlock(&w->lock);
    workers_take_done(w);
    lane_free(&w->activities);
    lane_free(&w->background);
    lane_free(&w->waiting);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
