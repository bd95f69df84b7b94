#include "store/background.h"

#include "base/die.h"

#include <pthread.h>
#include <stdlib.h>

enum background_state { QUEUED, RUNNING, OVER, TAKEN_BACK };

struct background {
    struct job job; /* first, so that one is the other */
    struct background_task task;
    pthread_mutex_t lock;
    pthread_cond_t is_over;
    enum background_state state;
    bool has_owner; /* only its owner's thread looks at it */
};

static bool begin(struct background *b)
{
    pthread_mutex_lock(&b->lock);
    bool is_queued = b->state == QUEUED;
    if (is_queued)
        b->state = RUNNING;
    pthread_mutex_unlock(&b->lock);
    return is_queued;
}

static void on_work(struct job *job)
{
    struct background *b = (struct background *)job;
    if (!begin(b))
        return;
    b->task.work(b->task.task);
    pthread_mutex_lock(&b->lock);
    b->state = OVER;
    pthread_cond_signal(&b->is_over);
    pthread_mutex_unlock(&b->lock);
}

static void on_done(struct job *job)
{
    struct background *b = (struct background *)job;
    if (b->has_owner)
        b->task.done(b->task.task);
    pthread_cond_destroy(&b->is_over);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

void background_submit(struct env *env, const struct background_task *task, struct background **ret)
{
    struct background *b = die_zalloc(sizeof *b);
    b->job = (struct job){.work = on_work, .done = on_done, .can_wait = task->can_wait};
    b->task = *task;
    b->has_owner = true;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->is_over, NULL);
    *ret = b;
    env->submit(env->self, &b->job, false);
}

/* Whether work() has yet to be done; if it has begun, waits for its end. */
static bool take_back(struct background *b)
{
    pthread_mutex_lock(&b->lock);
    bool is_queued = b->state == QUEUED;
    if (is_queued)
        b->state = TAKEN_BACK;
    while (b->state == RUNNING)
        pthread_cond_wait(&b->is_over, &b->lock);
    pthread_mutex_unlock(&b->lock);
    b->has_owner = false;
    return is_queued;
}

void background_finish(struct background *b)
{
    struct background_task task = b->task;
    if (take_back(b))
        task.work(task.task);
    task.done(task.task);
}

void background_drop(struct background *b)
{
    take_back(b);
}
