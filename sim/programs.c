#include "sim/programs.h"

#include "sim/clients.h"
#include "sim/heap.h"
#include "sim/process.h"
#include "sim/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum what { WHAT_RUN, WHAT_RAISE, WHAT_LOOK, WHAT_CELL };
enum { PROGRAMS_MAX = 100000 };

struct programs {
    struct program **at;
    size_t count, cap, first_running;
    int64_t next_event;
    struct {
        int64_t n;
        uint64_t key;
    } * ran; /* by hash of n */
    size_t ran_mask;
    int64_t *cells[CELLS]; /* what each has, as last looked at */
    size_t cell_count[CELLS], cell_cap[CELLS];
};

struct programs *programs_new(struct sim *s)
{
    (void)s;
    struct programs *all = sim_zalloc(sizeof *all);
    all->ran_mask = (1 << 16) - 1;
    all->ran = sim_zalloc((all->ran_mask + 1) * sizeof all->ran[0]);
    return all;
}

void programs_free(struct programs *all)
{
    for (size_t i = 0; i < all->count; i++) {
        for (int k = 0; k < EVENT_NAMES; k++)
            sim_free(all->at[i]->raised[k]);
        sim_free(all->at[i]->output);
        sim_free(all->at[i]);
    }
    for (int k = 0; k < CELLS; k++)
        sim_free(all->cells[k]);
    sim_free(all->at);
    sim_free(all->ran);
    sim_free(all);
}

/* ---- activities ---- */

int64_t programs_activity_ms(struct sim *s)
{
    if (!s->is_calm && once_in(s, s->swarm.never_once_in))
        return -1;
    return 1 + (int64_t)draw(s, s->swarm.activity_ms);
}

void programs_ran(struct sim *s, int64_t n, const char *key)
{
    struct programs *all = s->programs;
    size_t number = (size_t)(n / 100);
    uint64_t hash = XXH3_64bits(key, strlen(key));
    if (number >= all->count || all->at[number]->is_gone)
        violated(s, "an activity ran for a program that never was: p%zu", number);
    if (all->at[number]->is_tentative && !s->process->is_up)
        return;
    size_t i = (size_t)n & all->ran_mask;
    if (all->ran[i].n == n && all->ran[i].key != hash)
        violated(s, "activity %lld ran again under another key: %s", (long long)n, key);
    if (all->ran[i].n == n)
        PROBE("activity ran again");
    all->ran[i].n = n;
    all->ran[i].key = hash;
}

/* ---- asking ---- */

static struct op op_of(enum what what, int program, int64_t n, bool is_post)
{
    return (struct op){.kind = OP_APP,
                       .registry = program,
                       .item = (uint32_t)what,
                       .n = n,
                       .is_post = is_post};
}

static int pick_program(struct sim *s)
{
    const struct programs *all = s->programs;
    uint32_t back = all->count < 12 ? (uint32_t)all->count : 12;
    return (int)(all->count - 1 - draw(s, back));
}

bool programs_pick(struct sim *s, struct op *ret)
{
    struct programs *all = s->programs;
    uint32_t what = draw(s, 8);
    if (what >= 5 || !all->count) {
        if (all->count == PROGRAMS_MAX)
            return false;
        if (all->count == all->cap) {
            all->cap = all->cap ? all->cap * 2 : 64;
            all->at = sim_realloc(all->at, all->cap * sizeof all->at[0]);
        }
        struct program *p = sim_malloc(sizeof *p);
        program_make(s, p, (int)all->count);
        p->is_gone = true; /* until it was asked for */
        all->at[all->count] = p;
        *ret = op_of(WHAT_RUN, (int)all->count++, 0, true);
        s->stats.programs++;
        return true;
    }
    if (what >= 2)
        *ret = op_of(WHAT_RAISE, pick_program(s), draw(s, EVENT_NAMES), true);
    else if (what == 1)
        *ret = op_of(WHAT_CELL, (int)draw(s, CELLS), 0, false);
    else
        *ret = op_of(WHAT_LOOK, pick_program(s), 0, false);
    if (what >= 2)
        ret->n += ++all->next_event * EVENT_NAMES;
    return true;
}

void programs_write(struct sim *s, const struct op *op, char *target, size_t size, struct buf *body)
{
    switch ((enum what)op->item) {
    case WHAT_RUN:
        snprintf(target, size, "/api/Run/p%d", op->registry);
        program_write(s->programs->at[op->registry], body);
        break;
    case WHAT_RAISE:
        snprintf(target, size, "/api/Raise/p%d/E%lld?n=%lld", op->registry,
                 (long long)(op->n % EVENT_NAMES), (long long)op->n);
        break;
    case WHAT_LOOK:
        snprintf(target, size, "/api/Program/p%d", op->registry);
        break;
    case WHAT_CELL:
        snprintf(target, size, "/api/Cell/%d", op->registry);
        break;
    }
}

/* ---- answers ---- */

static void looked(struct sim *s, struct program *p, const struct answer *a)
{
    if (a->status == 404) {
        if (!p->is_gone && !p->is_unknown)
            violated(s, "program p%d is gone", p->number);
        p->is_gone = true;
        p->is_unknown = false;
        return;
    }
    p->is_unknown = false;
    if (p->is_gone)
        violated(s, "program p%d is there, and was never started", p->number);
    if (a->body[0] == 'R') {
        if (p->is_over)
            violated(s, "program p%d goes on after its end", p->number);
        return;
    }
    if (p->is_over && strcmp(p->output, a->body) != 0)
        violated(s, "program p%d ended otherwise than was answered: %s, not %s", p->number,
                 p->output, a->body);
    if (p->is_over)
        return;
    p->is_over = true;
    p->is_over_tentative = true;
    p->over_generation = s->process->generation;
    p->output = sim_malloc(a->len + 1);
    memcpy(p->output, a->body, a->len + 1);
    p->is_failed = a->body[0] == 'F';
    if (p->is_failed && strncmp(a->body, "FOops:", 6) != 0)
        violated(s, "program p%d failed: %s", p->number, a->body);
    p->failed_at = p->is_failed ? strtoll(a->body + 6, NULL, 10) : 0;
    if (!p->is_failed)
        program_check(s, p, a->body + 1);
}

static void raised(struct sim *s, struct program *p, const struct op *op, const struct answer *a)
{
    int name = (int)(op->n % EVENT_NAMES);
    if (a->status != 200) {
        if (a->status != 409)
            violated(s, "an event was answered %d", a->status);
        return;
    }
    if (p->is_over)
        violated(s, "program p%d took an event after its end", p->number);
    size_t n = p->raised_count[name];
    p->raised[name] = sim_realloc(p->raised[name], (n + 1) * sizeof p->raised[name][0]);
    p->raised[name][n] = (struct raised){.value = op->n, .is_tentative = true};
    p->raised_count[name]++;
}

static void cell_has(struct sim *s, int cell, const struct answer *a)
{
    struct programs *all = s->programs;
    int64_t sum = strtoll(a->body, NULL, 10), real = 0;
    const char *at = strchr(a->body, '[');
    size_t n = 0;
    while (at && *at != ']') {
        char *end;
        int64_t value = strtoll(at + 1, &end, 10);
        if (end == at + 1)
            break;
        if (n == all->cell_cap[cell]) {
            all->cell_cap[cell] = all->cell_cap[cell] ? all->cell_cap[cell] * 2 : 64;
            all->cells[cell] = sim_realloc(all->cells[cell], all->cell_cap[cell] * sizeof(int64_t));
        }
        all->cells[cell][n++] = value;
        real += value;
        at = end;
    }
    all->cell_count[cell] = n;
    if (real != sum)
        violated(s, "cell %d says %lld, and what it was told adds up to %lld", cell, (long long)sum,
                 (long long)real);
}

void programs_answer(struct sim *s, const struct op *op, const struct answer *a)
{
    if (a->status == 503) {
        if (!clients_may_be_stuck(s))
            violated(s, "refused without need: %s", a->body);
        return;
    }
    if ((enum what)op->item == WHAT_CELL) {
        cell_has(s, op->registry, a);
        return;
    }
    struct program *p = s->programs->at[op->registry];
    if ((enum what)op->item == WHAT_RUN) {
        p->is_gone = false;
        p->is_tentative = true;
    } else if ((enum what)op->item == WHAT_RAISE) {
        raised(s, p, op, a);
    } else {
        looked(s, p, a);
    }
}

/* ---- commits ---- */

enum verdict { IS_THERE, IS_NOT, IS_UNKNOWN };

static void settle(struct sim *s, enum verdict verdict)
{
    struct programs *all = s->programs;
    size_t first = all->count > 64 ? all->count - 64 : 0;
    for (size_t i = first; i < all->count; i++) {
        struct program *p = all->at[i];
        if (p->is_tentative) {
            p->is_tentative = false;
            p->is_unknown = verdict == IS_UNKNOWN;
            p->is_gone |= verdict == IS_NOT;
        }
        for (int name = 0; name < EVENT_NAMES; name++)
            for (size_t k = p->raised_count[name]; k-- > 0;) {
                struct raised *r = &p->raised[name][k];
                if (!r->is_tentative)
                    break;
                r->is_tentative = false;
                r->is_maybe = verdict == IS_UNKNOWN;
                r->is_gone = verdict == IS_NOT;
            }
        if (p->is_over_tentative && verdict != IS_THERE) { /* another end may come */
            p->is_over = false;
            sim_free(p->output);
            p->output = NULL;
        }
        p->is_over_tentative = false;
    }
}

void programs_committed(struct sim *s)
{
    settle(s, IS_THERE);
}

void programs_rolled_back(struct sim *s)
{
    settle(s, IS_NOT);
}

void programs_unknown(struct sim *s)
{
    settle(s, IS_UNKNOWN);
}

bool programs_are_unknown(const struct sim *s)
{
    const struct programs *all = s->programs;
    for (size_t i = all->count > 64 ? all->count - 64 : 0; i < all->count; i++)
        if (all->at[i]->is_unknown)
            return true;
    return false;
}

void programs_trial_over(struct sim *s)
{
    struct programs *all = s->programs;
    for (size_t i = 0; i < all->count; i++) {
        struct program *p = all->at[i];
        if (!p->is_over || p->over_generation != s->process->generation)
            continue;
        p->is_over = false;
        sim_free(p->output);
        p->output = NULL;
    }
}

void programs_audit(struct sim *s)
{
    struct programs *all = s->programs;
    size_t first = all->count > 64 ? all->count - 64 : 0;
    for (size_t i = first; i < all->count; i++)
        if (!all->at[i]->is_gone &&
            !clients_ask(s, &(struct op){.kind = OP_APP, .registry = (int)i, .item = WHAT_LOOK}))
            return;
}

/* ---- the end ---- */

bool programs_nudge(struct sim *s)
{
    struct programs *all = s->programs;
    bool is_any = false;
    for (size_t i = 0; i < all->count; i++) {
        struct program *p = all->at[i];
        struct op look = op_of(WHAT_LOOK, (int)i, 0, false);
        if (p->is_gone || p->is_over || !clients_ask(s, &look) || p->is_over)
            continue;
        is_any = true;
        for (int name = 0; name < EVENT_NAMES; name++) {
            struct op raise = op_of(WHAT_RAISE, (int)i, name + ++all->next_event * EVENT_NAMES,
                                    true);
            (void)!clients_ask(s, &raise);
        }
    }
    return is_any;
}

static size_t times_told(const struct programs *all, int cell, int64_t n)
{
    size_t times = 0;
    for (size_t i = 0; i < all->cell_count[cell]; i++)
        times += all->cells[cell][i] == n;
    return times;
}

static void expect_told(struct sim *s, int cell, int64_t n, bool is_certain)
{
    size_t times = times_told(s->programs, cell, n);
    bool is_failing = n % 7 == 3;
    if (times > 1)
        violated(s, "cell %d was told %lld %zu times", cell, (long long)n, times);
    if (times && is_failing)
        violated(s, "cell %d kept %lld, of an operation that failed", cell, (long long)n);
    if (!times && is_certain && !is_failing)
        violated(s, "cell %d was not told %lld", cell, (long long)n);
    if (times && n % 5 == 2 && n < RELAYED)
        expect_told(s, (cell + 1) % CELLS, n + RELAYED, true);
}

/* A program that failed got as far as the call it failed by. Statements lie in the order they were
 * made, so what has a smaller number was before. */
static void check_told(struct sim *s, const struct program *p)
{
    for (int i = 0; i < p->count; i++) {
        const struct node *n = &p->nodes[i];
        bool is_before = !p->is_failed || n->n < p->failed_at;
        if (p->is_gone || (n->kind != NODE_SIGNAL && n->kind != NODE_CALL))
            continue;
        if (n->kind == NODE_SIGNAL && (is_before || times_told(s->programs, n->flags, n->n)))
            expect_told(s, n->flags, n->n, is_before);
        if (n->kind == NODE_SIGNAL && !is_before && times_told(s->programs, n->flags, n->n))
            violated(s, "cell %d was told %lld after the program's end", n->flags, (long long)n->n);
        if (n->kind != NODE_CALL || !(n->flags & PROGRAM_SENDS))
            continue;
        bool is_sure = !(n->flags & PROGRAM_FAILS) && n->is_seen && !p->is_failed;
        expect_told(s, (int)(n->n % CELLS), n->n, is_sure);
        if (n->flags & PROGRAM_FAILS && times_told(s->programs, (int)(n->n % CELLS), n->n))
            violated(s, "activity %lld failed, and what it sent came", (long long)n->n);
    }
}

void programs_end(struct sim *s)
{
    struct programs *all = s->programs;
    for (int cell = 0; cell < CELLS; cell++)
        if (!clients_ask(s, &(struct op){.kind = OP_APP, .registry = cell, .item = WHAT_CELL}))
            violated(s, "a cell does not answer");
    for (size_t i = 0; i < all->count; i++) {
        if (!all->at[i]->is_gone && !all->at[i]->is_over)
            violated(s, "program p%zu did not come to its end", i);
        check_told(s, all->at[i]);
    }
    for (int cell = 0; cell < CELLS; cell++)
        for (size_t i = 0; i < all->cell_count[cell]; i++) {
            int64_t n = all->cells[cell][i] % RELAYED / 100;
            if (n >= (int64_t)all->count || all->at[n]->is_gone)
                violated(s, "cell %d was told %lld by nobody", cell,
                         (long long)all->cells[cell][i]);
        }
}
