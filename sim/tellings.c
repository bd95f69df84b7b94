#include "sim/tellings.h"

#include "sim/chaos.h"
#include "sim/heap.h"

#include <stdlib.h>
#include <string.h>

enum state { ASKED, TENTATIVE, ANSWERED };

struct telling {
    int cell;
    enum state state;
    int64_t place; /* -1: it failed */
};

struct tellings {
    struct telling *at;
    size_t count, cap;
};

struct tellings *tellings_new(void)
{
    return sim_zalloc(sizeof(struct tellings));
}

void tellings_free(struct tellings *t)
{
    sim_free(t->at);
    sim_free(t);
}

int64_t tellings_add(struct tellings *t, int cell)
{
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->at = sim_realloc(t->at, t->cap * sizeof t->at[0]);
    }
    t->at[t->count] = (struct telling){.cell = cell};
    return OF_CLIENTS + (int64_t)t->count++;
}

void tellings_answered(struct sim *s, struct tellings *t, int64_t n, const struct answer *a)
{
    struct telling *telling = &t->at[n - OF_CLIENTS];
    char *end;
    int64_t place = strtoll(a->body, &end, 10);
    if (a->status == 503) { /* also of a pass that failed, after it was sent by one that did not */
        if (!chaos_excuses(s))
            violated(s, "refused without need: %s", a->body);
        return;
    }
    bool is_place = a->status == 200 && end != a->body && !*end && place >= 0;
    if (telling_fails(n) ? a->status != 422 : !is_place)
        violated(s, "what a cell answers to %lld was given as %d %s", (long long)n, a->status,
                 a->body);
    telling->state = a->is_held ? TENTATIVE : ANSWERED;
    telling->place = telling_fails(n) ? -1 : place;
    PROBE("a request was answered by what a cell answered");
}

void tellings_settle(struct tellings *t, bool is_committed)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->at[i].state == TENTATIVE)
            t->at[i].state = is_committed ? ANSWERED : ASKED;
}

static void look(struct sim *s, const struct tellings *t, const struct cells *cells, int cell)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct telling *telling = &t->at[i];
        int64_t n = OF_CLIENTS + (int64_t)i, place = telling->place;
        if (telling->cell != cell || telling->state != ANSWERED || place < 0)
            continue;
        if (place >= (int64_t)cells->count[cell] || cells->at[cell][place] != n)
            violated(s, "cell %d answered that %lld is at %lld, and it is not", cell, (long long)n,
                     (long long)place);
    }
}

void tellings_cell_has(struct sim *s, const struct tellings *t, struct cells *cells, int cell,
                       const struct answer *a)
{
    int64_t sum = strtoll(a->body, NULL, 10), real = 0;
    const char *at = strchr(a->body, '[');
    size_t n = 0;
    while (at && *at != ']') {
        char *end;
        int64_t value = strtoll(at + 1, &end, 10);
        if (end == at + 1)
            break;
        if (n == cells->cap[cell]) {
            cells->cap[cell] = cells->cap[cell] ? cells->cap[cell] * 2 : 64;
            cells->at[cell] = sim_realloc(cells->at[cell], cells->cap[cell] * sizeof(int64_t));
        }
        cells->at[cell][n++] = value;
        real += value;
        at = end;
    }
    cells->count[cell] = n;
    look(s, t, cells, cell);
    if (real != sum)
        violated(s, "cell %d says %lld, and what it was told adds up to %lld", cell, (long long)sum,
                 (long long)real);
}

void tellings_end(struct sim *s, const struct tellings *t, const struct cells *cells)
{
    for (int cell = 0; cell < CELLS; cell++)
        look(s, t, cells, cell);
    for (size_t i = 0; i < t->count; i++)
        program_check_told_once(s, cells, t->at[i].cell, OF_CLIENTS + (int64_t)i);
}
