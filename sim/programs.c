#include "sim/programs.h"

#include "sim/clients.h"
#include "sim/heap.h"
#include "sim/process.h"
#include "sim/tellings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum what { WHAT_RUN, WHAT_RAISE, WHAT_LOOK, WHAT_CELL, WHAT_MANAGE, WHAT_TELL };
enum verb { SUSPEND, RESUME, REWIND, TERMINATE, PURGE, RESTART, RESTART_AS };
enum { PROGRAMS_MAX = 100000 };

struct programs {
    struct program **at;
    size_t count, cap;
    bool is_trial;
    bool is_settled; /* nothing was answered since the last pass */
    int64_t next_event;
    struct {
        int64_t n;
        uint64_t key;
    } * ran, *keys; /* by n, by key */
    size_t ran_mask;
    struct cells cells;
    struct tellings *tellings;
};

struct programs *programs_new(struct sim *s)
{
    (void)s;
    struct programs *all = sim_zalloc(sizeof *all);
    all->tellings = tellings_new();
    all->ran_mask = (1 << 16) - 1;
    all->ran = sim_zalloc((all->ran_mask + 1) * sizeof all->ran[0]);
    all->keys = sim_zalloc((all->ran_mask + 1) * sizeof all->keys[0]);
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
        sim_free(all->cells.at[k]);
    tellings_free(all->tellings);
    sim_free(all->at);
    sim_free(all->ran);
    sim_free(all->keys);
    sim_free(all);
}

/* ---- activities ---- */

int64_t programs_activity_ms(struct sim *s)
{
    if (!s->is_calm && once_in(s, s->swarm.never_once_in))
        return -1;
    return 1 + (int64_t)draw(s, s->swarm.activity_ms);
}

void programs_due(struct sim *s, int64_t due_ms, int64_t now_ms)
{
    if (now_ms < due_ms)
        violated(s, "a cell was told at %lld what was not to come before %lld", (long long)now_ms,
                 (long long)due_ms);
    PROBE("a cell was told later");
}

bool programs_were_restarted(const struct sim *s, int64_t n)
{
    return s->programs->at[n / PROGRAM_NUMBERS]->restarts > 0;
}

const char *programs_origin(struct sim *s, const char *id)
{
    static char origin[24];
    size_t number = strtoul(id + 1, NULL, 10);
    if (number >= s->programs->count)
        return id;
    snprintf(origin, sizeof origin, "p%d", s->programs->at[number]->origin->number);
    return origin;
}

bool programs_change_their_mind(struct sim *s, int64_t n)
{
    struct program *p = s->programs->at[n / PROGRAM_NUMBERS];
    s->programs->is_settled = false;
    p->is_asked = true;
    p->has_to_diverge |= p->was_asked && !s->programs->is_trial;
    return p->was_asked;
}

bool programs_ran(struct sim *s, int64_t n, const char *key)
{
    struct programs *all = s->programs;
    size_t number = (size_t)(n / PROGRAM_NUMBERS);
    uint64_t hash = XXH3_64bits(key, strlen(key));
    if (number >= all->count || all->at[number]->is_gone)
        violated(s, "an activity ran for a program that never was: p%zu", number);
    if (all->at[number]->is_tentative)
        violated(s, "an activity ran before the commit that scheduled it: %lld", (long long)n);
    size_t i = (size_t)n & all->ran_mask, k = hash & all->ran_mask;
    bool ran_before = all->ran[i].n == n && all->ran[i].key;
    if (ran_before && all->ran[i].key != hash && !programs_were_restarted(s, n))
        violated(s, "activity %lld ran again under another key: %s", (long long)n, key);
    if (all->keys[k].key == hash && all->keys[k].n != n)
        violated(s, "activity %lld ran under the key of %lld: %s", (long long)n,
                 (long long)all->keys[k].n, key);
    if (ran_before)
        PROBE("activity ran again");
    all->ran[i].n = n;
    all->ran[i].key = hash;
    all->keys[k].n = n;
    all->keys[k].key = hash;
    return ran_before;
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

static struct op pick_telling(struct sim *s)
{
    int cell = (int)draw(s, CELLS);
    return op_of(WHAT_TELL, cell, tellings_add(s->programs->tellings, cell), true);
}

static int pick_program(struct sim *s)
{
    const struct programs *all = s->programs;
    uint32_t back = all->count < 12 ? (uint32_t)all->count : 12;
    return (int)(all->count - 1 - draw(s, back));
}

/* A new one, which is not there before it was asked for. NULL: there are too many. */
static struct program *program_new(struct sim *s)
{
    struct programs *all = s->programs;
    if (all->count == PROGRAMS_MAX)
        return NULL;
    if (all->count == all->cap) {
        all->cap = all->cap ? all->cap * 2 : 64;
        all->at = sim_realloc(all->at, all->cap * sizeof all->at[0]);
    }
    struct program *p = sim_zalloc(sizeof *p);
    all->at[all->count++] = p;
    return p;
}

/* Under another id it is another program, which has the same statements, with the same numbers. */
static struct op restart_as(struct sim *s, int program)
{
    const struct program *p = s->programs->at[program];
    struct program *copy = program_new(s);
    if (!copy)
        return op_of(WHAT_LOOK, program, 0, false);
    *copy = (struct program){.number = (int)s->programs->count - 1,
                             .origin = p->origin,
                             .count = p->count,
                             .first = p->first,
                             .is_version_1 = p->is_version_1,
                             .is_fickle = p->is_fickle,
                             .is_gone = true};
    memcpy(copy->nodes, p->nodes, sizeof copy->nodes);
    struct op op = op_of(WHAT_MANAGE, program, RESTART_AS, true);
    op.other = copy->number;
    return op;
}

/* What an operator wants. */
static struct op pick_order(struct sim *s)
{
    static const enum verb verbs[] = {SUSPEND, RESUME, RESUME, RESUME, REWIND, TERMINATE};
    int program = pick_program(s);
    const struct program *p = s->programs->at[program];
    bool is_over = p->is_over && !p->is_over_tentative;
    uint32_t how = is_over ? draw(s, 4) : 0;
    enum verb verb = how == 3                   ? RESTART
                     : how == 2                 ? PURGE
                     : how == 1 && p->is_failed ? REWIND
                                                : verbs[draw(s, 6)];
    if (verb == RESTART && draw(s, 2))
        return restart_as(s, program);
    return op_of(WHAT_MANAGE, program, verb, true);
}

bool programs_pick(struct sim *s, struct op *ret)
{
    struct programs *all = s->programs;
    uint32_t what = draw(s, 8);
    if (what >= 5 || !all->count) {
        struct program *p = program_new(s);
        if (!p)
            return false;
        program_make(s, p, (int)all->count - 1);
        p->is_gone = true;
        *ret = op_of(WHAT_RUN, p->number, 0, true);
        s->stats.programs++;
        return true;
    }
    bool is_raise = what >= 2;
    if (once_in(s, 8)) {
        *ret = pick_order(s);
        is_raise = false;
    } else if (once_in(s, 6)) {
        *ret = pick_telling(s);
        is_raise = false;
    } else if (is_raise)
        *ret = op_of(WHAT_RAISE, pick_program(s), draw(s, EVENT_NAMES), true);
    else if (what == 1)
        *ret = op_of(WHAT_CELL, (int)draw(s, CELLS), 0, false);
    else
        *ret = op_of(WHAT_LOOK, pick_program(s), 0, false);
    if (is_raise)
        ret->n += ++all->next_event * EVENT_NAMES;
    return true;
}

void programs_write(struct sim *s, const struct op *op, char *target, size_t size, struct buf *body)
{
    static const char *const verbs[] =
        {[SUSPEND] = "suspend",     [RESUME] = "resume", [REWIND] = "rewind",
         [TERMINATE] = "terminate", [PURGE] = "purge",   [RESTART] = "restart",
         [RESTART_AS] = "restart"};
    const struct program *p = op->item == WHAT_RUN ? s->programs->at[op->registry] : NULL;
    switch ((enum what)op->item) {
    case WHAT_RUN:
        snprintf(target, size, "/api/Run/p%d?wait=%lld%s", op->registry, (long long)p->wait_ms,
                 p->is_version_1 ? "&version=1" : "");
        program_write(p, body);
        break;
    case WHAT_MANAGE:
        snprintf(target, size, "/api/Manage/%s/p%d", verbs[op->n], op->registry);
        if (op->n == RESTART_AS)
            snprintf(target, size, "/api/Manage/restart/p%d?as=p%d", op->registry, op->other);
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
    case WHAT_TELL:
        snprintf(target, size, "/api/Tell/%d?n=%lld", op->registry, (long long)op->n);
        break;
    }
}

/* ---- answers ---- */

static void is_over(struct sim *s, struct program *p)
{
    int64_t fails_at = program_fails_at(p, p->first);
    const char *diverged = "FNonDeterminism:";
    p->is_failed = p->output[0] == 'F';
    p->is_terminated = p->output[0] == 'X';
    if (p->is_terminated && !p->may_be_terminated)
        violated(s, "program p%d was terminated by nobody", p->number);
    if (p->is_terminated)
        return;
    p->has_diverged = p->is_fickle && strncmp(p->output, diverged, strlen(diverged)) == 0;
    if (p->has_to_diverge && !p->has_diverged && p->origin == p && !p->restarts && !p->rewinds)
        violated(s, "program p%d asked for something else than before, and went on", p->number);
    if (p->has_diverged) {
        PROBE("a program asked for something else than before");
        if (!strstr(p->output, "TaskScheduled") || !strstr(p->output, "TimerCreated"))
            violated(s, "program p%d failed, and its end does not say by what: %s", p->number,
                     p->output);
        return;
    }
    if (p->is_failed != (fails_at >= 0) ||
        (p->is_failed &&
         (strncmp(p->output, "FOops:", 6) != 0 || strtoll(p->output + 6, NULL, 10) != fails_at)))
        violated(s, "program p%d has to %s: %s", p->number, fails_at < 0 ? "do well" : "fail",
                 p->output);
    if (!p->is_failed)
        program_check(s, p, p->output + 1);
}

static void looked(struct sim *s, struct program *p, const struct answer *a)
{
    if (a->status == 404) {
        p->is_purged |= p->may_be_purged;
        if (p->is_purged || p->is_purge_tentative)
            return;
        if (!p->is_gone && !p->is_unknown)
            violated(s, "program p%d is gone", p->number);
        p->is_gone = true;
        p->is_unknown = false;
        return;
    }
    p->is_unknown = false;
    p->may_be_purged = false;
    if (p->is_purged)
        violated(s, "program p%d is there again, after it was forgotten", p->number);
    if (p->is_gone)
        violated(s, "program p%d is there, and was never started", p->number);
    if (a->body[0] == 'R') {
        int64_t stage = strtoll(a->body + 1, NULL, 10);
        if (p->is_over)
            violated(s, "program p%d goes on after its end", p->number);
        if (stage < p->stage)
            violated(s, "program p%d was at its statement %lld, and is at %lld", p->number,
                     (long long)p->stage, (long long)stage);
        p->tentative_stage = stage;
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
    is_over(s, p);
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

/* It runs again from its start, or is to: which of the events were for the run before, is open. */
static void restarted(struct program *p)
{
    if (p->is_over)
        PROBE("a program was restarted");
    p->origin->restarts++;
    p->is_over = false;
    p->stage = 0;
    p->tentative_stage = 0;
    for (int name = 0; name < EVENT_NAMES; name++)
        for (size_t i = 0; i < p->raised_count[name]; i++)
            p->raised[name][i].is_maybe = true;
    sim_free(p->output);
    p->output = NULL;
}

static void restarted_as(struct sim *s, struct program *p, int other)
{
    struct program *copy = s->programs->at[other];
    PROBE("a program was restarted under another id");
    p->origin->restarts++;
    copy->is_gone = false;
    copy->is_tentative = true;
    if (!program_begins_anew(p)) /* else it goes on from where that was */
        copy->due_ms = partition_now_ms(s->process->partition);
}

/* Whatever comes of it may have been there before it is known to be. */
static void managed(struct sim *s, struct program *p, const struct op *op, const struct answer *a)
{
    if (a->status == 409) /* nothing came of it */
        return;
    if (a->status != 200 && a->status != 404 && a->status != 410)
        violated(s, "an operator was answered %d", a->status);
    p->was_managed = true;
    p->may_be_terminated |= op->n == TERMINATE;
    p->origin->rewinds += op->n == REWIND;
    if (op->n == RESTART && a->status == 200)
        restarted(p);
    if (op->n == RESTART_AS && a->status == 200)
        restarted_as(s, p, op->other);
    if (op->n == PURGE && a->status == 200) {
        p->is_purge_tentative |= p->is_over;
        p->may_be_purged |= !p->is_over; /* it was rewound meanwhile */
    }
    if (op->n == REWIND && p->is_over && p->is_failed) { /* and has to fail again */
        PROBE("a program was rewound");
        p->is_over = false;
        p->stage = 0;
        sim_free(p->output);
        p->output = NULL;
    }
}

void programs_answer(struct sim *s, const struct op *op, const struct answer *a)
{
    s->programs->is_settled = false;
    if ((enum what)op->item == WHAT_TELL) {
        tellings_answered(s, s->programs->tellings, op->n, a);
        return;
    }
    if (a->status == 503) {
        if (!clients_may_be_stuck(s))
            violated(s, "refused without need: %s", a->body);
        return;
    }
    if ((enum what)op->item == WHAT_CELL) {
        tellings_cell_has(s, s->programs->tellings, &s->programs->cells, op->registry, a);
        return;
    }
    struct program *p = s->programs->at[op->registry];
    if ((enum what)op->item == WHAT_RUN) {
        p->is_gone = false;
        p->is_tentative = true;
        p->due_ms = strtoll(a->body, NULL, 10);
    } else if ((enum what)op->item == WHAT_MANAGE) {
        managed(s, p, op, a);
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
    if (all->is_settled)
        return;
    all->is_settled = true;
    tellings_settle(all->tellings, verdict == IS_THERE);
    for (size_t i = 0; i < all->count; i++) { /* also old ones: operators start and purge them */
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
        p->was_asked |= p->is_asked && verdict == IS_THERE && !all->is_trial;
        p->is_asked = false;
        p->is_over_tentative = false;
        p->is_purged |= p->is_purge_tentative && verdict == IS_THERE;
        p->may_be_purged |= p->is_purge_tentative && verdict == IS_UNKNOWN;
        p->is_purge_tentative = false;
        if (verdict == IS_THERE && p->tentative_stage > p->stage)
            p->stage = p->tentative_stage;
        p->tentative_stage = 0;
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
        if (all->at[i]->is_unknown || all->at[i]->may_be_purged)
            return true;
    return false;
}

void programs_trial(struct sim *s, bool is_begin)
{
    struct programs *all = s->programs;
    all->is_trial = is_begin;
    for (size_t i = 0; i < all->count; i++) {
        struct program *p = all->at[i];
        if (is_begin)
            p->stage_before = p->stage;
        else
            p->stage = p->stage_before;
        if (is_begin || !p->is_over || p->over_generation != s->process->generation)
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
        if (p->is_gone || p->is_over || p->is_purged || !clients_ask(s, &look) || p->is_over)
            continue;
        is_any = true;
        struct op resume = op_of(WHAT_MANAGE, (int)i, RESUME, true);
        (void)!clients_ask(s, &resume);
        for (int name = 0; name < EVENT_NAMES; name++) {
            struct op raise = op_of(WHAT_RAISE, (int)i, name + ++all->next_event * EVENT_NAMES,
                                    true);
            (void)!clients_ask(s, &raise);
        }
    }
    return is_any;
}

void programs_end(struct sim *s)
{
    struct programs *all = s->programs;
    for (int cell = 0; cell < CELLS; cell++) {
        struct op tell = op_of(WHAT_TELL, cell, tellings_add(all->tellings, cell), true);
        if (!clients_ask(s, &tell))
            violated(s, "a cell does not answer");
    }
    for (int cell = 0; cell < CELLS; cell++) {
        struct op look = op_of(WHAT_CELL, cell, 0, false);
        if (!clients_ask(s, &look))
            violated(s, "a cell cannot be looked at");
    }
    tellings_end(s, all->tellings, &all->cells);
    for (size_t i = 0; i < all->count; i++) {
        if (!all->at[i]->is_gone && !all->at[i]->is_over && !all->at[i]->is_purged)
            violated(s, "program p%zu did not come to its end", i);
        if (!all->at[i]->is_gone)
            program_check_told(s, all->at[i], &all->cells);
    }
    for (int cell = 0; cell < CELLS; cell++)
        for (size_t i = 0; i < all->cells.count[cell]; i++) {
            int64_t n = all->cells.at[cell][i] % RELAYED / PROGRAM_NUMBERS;
            if (n >= OF_CLIENTS / PROGRAM_NUMBERS)
                continue;
            if (n >= (int64_t)all->count || all->at[n]->is_gone)
                violated(s, "cell %d was told %lld by nobody", cell,
                         (long long)all->cells.at[cell][i]);
        }
}
