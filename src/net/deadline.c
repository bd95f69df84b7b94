#include "net/deadline.h"

static void on_timer(uv_timer_t *timer);

static void arm(struct deadlines *all, uint64_t due_ms)
{
    if (all->armed_ms && all->armed_ms <= due_ms)
        return;
    uint64_t now_ms = uv_now(all->timer.loop);
    all->armed_ms = due_ms;
    uv_timer_start(&all->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static struct deadline *first_of(struct link *list)
{
    return link_is_alone(list) ? NULL : LINK_OWNER(list->next, struct deadline, link);
}

static void on_timer(uv_timer_t *timer)
{
    struct deadlines *all = LINK_OWNER(timer, struct deadlines, timer);
    uint64_t now_ms = uv_now(timer->loop);
    struct deadline *d;
    all->armed_ms = 0;
    for (int kind = 0; kind < DEADLINE_KINDS; kind++)
        while ((d = first_of(&all->lists[kind])) && d->due_ms <= now_ms) {
            deadline_clear(d);
            all->expired(d, (enum deadline_kind)kind);
        }
    for (int kind = 0; kind < DEADLINE_KINDS; kind++)
        if ((d = first_of(&all->lists[kind])))
            arm(all, d->due_ms);
}

void deadlines_init(struct deadlines *all, uv_loop_t *loop,
                    void (*expired)(struct deadline *d, enum deadline_kind kind))
{
    uv_timer_init(loop, &all->timer);
    for (int kind = 0; kind < DEADLINE_KINDS; kind++)
        link_init(&all->lists[kind]);
    all->armed_ms = 0;
    all->expired = expired;
}

void deadline_init(struct deadline *d)
{
    link_init(&d->link);
    d->due_ms = 0;
    d->kind = DEADLINE_NONE;
}

void deadline_set(struct deadlines *all, struct deadline *d, enum deadline_kind kind)
{
    if (d->kind == kind)
        return;
    deadline_clear(d);
    if (kind == DEADLINE_NONE)
        return;
    d->kind = kind;
    d->due_ms = uv_now(all->timer.loop) + all->length_ms[kind];
    link_append(&all->lists[kind], &d->link);
    arm(all, d->due_ms);
}

void deadline_clear(struct deadline *d)
{
    link_remove(&d->link);
    d->kind = DEADLINE_NONE;
}
