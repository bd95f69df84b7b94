/* What programs told the cells: each telling once, none that nobody sent, none of those that had to
 * fail, and what a cell makes of it. */
#include "sim/program_told.h"

struct told {
    struct sim *s;
    const struct program *p;
    const struct cells *cells;
    bool is_certain; /* that what it reached came to be: it was not terminated */
    size_t most;     /* a restart does all of it again, a rewind the turn that failed */
};

static size_t times_told(const struct cells *cells, int cell, int64_t n)
{
    size_t times = 0;
    for (size_t i = 0; i < cells->count[cell]; i++)
        times += cells->at[cell][i] == n;
    return times;
}

static void expect_told(const struct told *t, int cell, int64_t n, bool is_certain)
{
    size_t times = times_told(t->cells, cell, n);
    if (times > t->most)
        violated(t->s, "cell %d was told %lld %zu times", cell, (long long)n, times);
    if (times && telling_fails(n))
        violated(t->s, "cell %d kept %lld, of an operation that failed", cell, (long long)n);
    if (!times && is_certain && !telling_fails(n))
        violated(t->s, "cell %d was not told %lld", cell, (long long)n);
    if (!times || n >= RELAYED)
        return;
    if (n % 5 == 2)
        expect_told(t, (cell + 1) % CELLS, n + RELAYED, true);
    if (n % 11 == 4)
        expect_told(t, (cell + 2) % CELLS, n + 2ll * RELAYED, true);
    if (n % 13 == 6)
        expect_told(t, cell, n + 3ll * RELAYED, true);
}

static void expect_nothing(const struct told *t, int cell, int64_t n, const char *why)
{
    if (times_told(t->cells, cell, n))
        violated(t->s, "cell %d was told %lld, and %s", cell, (long long)n, why);
}

static void check_list(const struct told *t, int first, bool is_reached);

static void check_telling(const struct told *t, const struct node *n, bool is_reached)
{
    if (is_reached)
        expect_told(t, n->cell, n->n, t->is_certain);
    else
        expect_nothing(t, n->cell, n->n, "its sender had ended before");
}

/* One that was called, and whose result nobody claimed, may have sent or not. */
static void check_call(const struct told *t, const struct node *n, bool is_reached)
{
    int cell = (int)(n->n % CELLS);
    if (!(n->flags & PROGRAM_SENDS))
        return;
    if (n->flags & PROGRAM_FAILS || !is_reached)
        expect_nothing(t, cell, n->n, "its sender failed, or was not called");
    else
        expect_told(t, cell, n->n, n->is_seen && t->is_certain && !t->p->is_failed);
}

static void check_task(const struct told *t, int node, bool is_reached)
{
    const struct node *n = &t->p->nodes[node];
    if (n->kind == NODE_ASK)
        check_telling(t, n, is_reached);
    else if (n->kind == NODE_CALL || n->kind == NODE_POLICY)
        check_call(t, n, is_reached);
    else if (n->kind == NODE_SUB)
        check_list(t, n->first, is_reached);
    else if (n->kind >= NODE_ANY)
        for (int child = n->first; child >= 0; child = t->p->nodes[child].next)
            check_task(t, child, is_reached);
}

static void check_list(const struct told *t, int first, bool is_reached)
{
    int64_t fails_at = program_fails_at(t->p, first);
    for (int i = first; i >= 0; i = t->p->nodes[i].next) {
        const struct node *n = &t->p->nodes[i];
        if (n->kind == NODE_SIGNAL || n->kind == NODE_LATER || n->kind == NODE_NOTE) {
            check_telling(t, n, is_reached);
        } else if (n->kind == NODE_LOCK) {
            check_telling(t, n, is_reached);
            struct node second = *n;
            second.cell = n->other;
            check_telling(t, &second, is_reached);
        } else if (n->kind != NODE_ANEW) {
            check_task(t, n->first, is_reached);
            is_reached &= n->kind != NODE_AWAIT || fails_at != t->p->nodes[n->first].n;
        }
    }
}

void program_check_told(struct sim *s, const struct program *p, const struct cells *cells)
{
    struct told t = {.s = s,
                     .p = p,
                     .cells = cells,
                     .is_certain = p->is_over && !p->is_terminated && !p->has_diverged,
                     .most = 1 + p->origin->rewinds + p->origin->restarts};
    check_list(&t, p->first, true);
}

void program_check_told_once(struct sim *s, const struct cells *cells, int cell, int64_t n)
{
    struct told t = {.s = s, .cells = cells, .most = 1};
    expect_told(&t, cell, n, false);
}
