#include "hammer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* False when it is over. */
static bool take_op(struct hammer *h, struct op *ret, char id[static ID_SIZE])
{
    struct hammers *all = h->all;
    struct model *m = all->model;
    pthread_mutex_lock(&all->lock);
    bool is_over = all->is_over || (all->asks && all->asked == all->asks);
    id[0] = 0;
    all->asked += !is_over;
    if (!is_over)
        *ret = model_begin(m, &h->random);
    if (!is_over && ret->kind != OPEN && ret->kind != STATS)
        memcpy(id, m->registries[ret->registry].id, ID_SIZE);
    pthread_mutex_unlock(&all->lock);
    return !is_over;
}

static void take_answer(struct hammers *all, const struct op *op, int err, const struct answer *a)
{
    pthread_mutex_lock(&all->lock);
    model_answered(all->model, op, err, a);
    all->cut += err < 0;
    if (err == 0 && a->status == 503) {
        all->refused++;
        snprintf(all->refusal, sizeof all->refusal, "%s", a->body);
    }
    pthread_mutex_unlock(&all->lock);
}

static void *hammer(void *self)
{
    struct hammer *h = self;
    struct client c;
    struct answer a = {0};
    struct op op;
    char id[ID_SIZE];
    int err = 0;

    client_init(&c, h->all->port);
    while ((err == 0 || (h->all->is_tenacious && err != -ECONNREFUSED && err != -ETIMEDOUT)) &&
           take_op(h, &op, id)) {
        err = op_send(&c, &op, id, &a);
        take_answer(h->all, &op, err, &a);
    }
    client_free(&c);
    return NULL;
}

void hammers_start(struct hammers *h)
{
    assert(h->clients <= HAMMERS_MAX);
    pthread_mutex_init(&h->lock, NULL);
    for (unsigned i = 0; i < h->clients; i++) {
        h->each[i] = (struct hammer){.all = h, .random = h->random + (uint64_t)i * 7919u};
        int err = pthread_create(&h->each[i].thread, NULL, hammer, &h->each[i]);
        assert(err == 0);
    }
}

void hammers_tell_over(struct hammers *h)
{
    pthread_mutex_lock(&h->lock);
    h->is_over = true;
    h->model->is_ending = true;
    pthread_mutex_unlock(&h->lock);
}

void hammers_join(struct hammers *h)
{
    for (unsigned i = 0; i < h->clients; i++)
        pthread_join(h->each[i].thread, NULL);
    pthread_mutex_destroy(&h->lock);
}
