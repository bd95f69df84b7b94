/* What watchers are told: never what no commit has made last. */
#include "sim/model_internal.h"
#include "sim/model_view.h"
#include "sim/process.h"

/* How often the pass that is not committed yet did that; to any registry: -1. */
static int64_t times_tentative(const struct model *m, enum trace_kind kind, int registry)
{
    int64_t times = 0;
    for (size_t i = 0; i < m->tentative_count; i++)
        times += m->tentative[i].kind == kind &&
                 (registry < 0 || m->tentative[i].registry == registry);
    return times;
}

void model_told_items(struct sim *s, int registry, size_t from, const struct view *v)
{
    const struct registry *r = &s->model->registries[registry];
    size_t tentative = (size_t)times_tentative(s->model, DID_ADD, registry);
    if (from + v->count > r->count - tentative)
        violated(s, "a watcher was told of %zu items of %s, and %zu are committed", from + v->count,
                 r->id, r->count - tentative);
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i] != r->items[from + i])
            violated(s, "a watcher was told that item %zu of %s is i%u, and it is i%u", from + i,
                     r->id, v->items[i], r->items[from + i]);
}

void model_told_closed(struct sim *s, int registry, const struct view *v)
{
    struct registry *r = &s->model->registries[registry];
    if (v->count != r->count)
        violated(s, "a watcher was told of %zu items of %s, then that it is closed; it has %zu",
                 v->count, r->id, r->count);
    if (times_tentative(s->model, DID_FINISH, registry))
        violated(s, "a watcher was told that %s is closed, and no commit says so", r->id);
    if (v->is_by_user ? !r->is_closed : v->closed_ms < r->closes_ms)
        violated(s, "a watcher was told that %s is closed, and it is not", r->id);
    if ((r->is_closed && (v->is_by_user != r->is_by_user || v->closed_ms != r->closed_ms)) ||
        (r->told_closed_ms && v->closed_ms != r->told_closed_ms))
        violated(s, "a watcher was told that %s was closed another way", r->id);
    r->told_closed_ms = v->closed_ms;
}

/* What is left of a pass whose budget was spent is not counted yet. */
void model_told_counts(struct sim *s, const int64_t counts[4])
{
    const struct model *m = s->model;
    struct sum sum = model_sum(m, process_clock_ms(s));
    if (counts[0] > sum.registries - times_tentative(m, DID_OPEN, -1) ||
        counts[1] > sum.items - times_tentative(m, DID_ADD, -1) ||
        counts[3] > sum.closed + sum.due - times_tentative(m, DID_FINISH, -1))
        violated(s, "a watcher was told of more than is committed");
    if (counts[0] != counts[2] + counts[3])
        violated(s, "a watcher was told of counts that are no sum");
}

void model_told_at_last(struct sim *s, int registry, size_t count, bool is_closed)
{
    const struct registry *r = &s->model->registries[registry];
    if (!r->is_gone && (!is_closed || count != r->count))
        violated(s, "a watcher of %s was not told all: %zu items of %zu%s", r->id, count, r->count,
                 is_closed ? "" : ", not that it is closed");
}

void model_told_counts_at_last(struct sim *s, const int64_t counts[4])
{
    struct sum sum = model_sum(s->model, process_clock_ms(s));
    if (counts[0] != sum.registries || counts[1] != sum.items || counts[3] != sum.registries)
        violated(s, "a watcher was not told the last counts: %lld, %lld, %lld",
                 (long long)counts[0], (long long)counts[1], (long long)counts[3]);
}
