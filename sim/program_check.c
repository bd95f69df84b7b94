/* Claims against the program: a walk over both. A program does the same whatever its tasks give, so
 * all that is to be found out is whether each result is one that its task can have had. */
#include "sim/program.h"

#include "sim/programs.h"

#include <stdlib.h>
#include <string.h>

struct check {
    struct sim *s;
    struct program *p;
    const char *at, *all;
    int64_t now_ms; /* of the program, when the statement began */
    int64_t end_ms; /* and when it was over */
    size_t taken[EVENT_NAMES];
    struct {
        int node;
        bool is_canceled, is_claimed;
        int64_t value;
    } waits[EVENT_NAMES][PROGRAM_NODES_MAX];
    size_t wait_count[EVENT_NAMES];
};

static _Noreturn void wrong(struct check *c, const char *what)
{
    violated(c->s, "program p%d cannot have seen this: %s, at byte %zu of %s", c->p->number, what,
             (size_t)(c->at - c->all), c->all);
}

static bool take(struct check *c, char byte)
{
    if (*c->at != byte)
        return false;
    c->at++;
    return true;
}

static void need(struct check *c, char byte)
{
    if (!take(c, byte))
        wrong(c, "it does not say what it has to");
}

static int64_t number(struct check *c)
{
    char *end;
    int64_t n = strtoll(c->at, &end, 10);
    if (end == c->at)
        wrong(c, "a number is missing");
    c->at = end;
    return n;
}

/* Tasks that wait for events, in the order they were made. */
static void made(struct check *c, int node)
{
    const struct node *n = &c->p->nodes[node];
    if (n->kind == NODE_EVENT) {
        size_t k = c->wait_count[n->n]++;
        c->waits[n->n][k].node = node;
    }
    for (int child = n->kind == NODE_SUB ? -1 : n->first; child >= 0;
         child = c->p->nodes[child].next)
        made(c, child);
}

static void claimed_event(struct check *c, int node, bool is_canceled, int64_t value)
{
    int64_t name = c->p->nodes[node].n;
    for (size_t k = 0; k < c->wait_count[name]; k++) {
        if (c->waits[name][k].node != node)
            continue;
        c->waits[name][k].is_canceled = is_canceled;
        c->waits[name][k].is_claimed = !is_canceled;
        c->waits[name][k].value = value;
    }
}

static bool has_to_fail(const struct node *n)
{
    return (n->kind == NODE_CALL && n->flags & PROGRAM_FAILS) ||
           (n->kind == NODE_ASK && telling_fails(n->n));
}

static void check_task(struct check *c, int node);
static void check_list(struct check *c, int first);

/* All attempts were made, with their pauses, or one did well. */
static void check_policy(struct check *c, struct node *n)
{
    bool is_well = take(c, 'c');
    if (is_well && number(c) != 2 * n->n + 1)
        wrong(c, "an activity gave something else");
    n->is_seen = is_well;
    if (is_well && n->flags & PROGRAM_FAILS)
        wrong(c, "an activity did well that fails");
    if (is_well)
        return;
    bool is_late = n->flags & PROGRAM_LIMITED && (take(c, 'T') || take(c, 'H'));
    if (!is_late) {
        need(c, '!');
        if (number(c) != n->n)
            wrong(c, "another activity failed");
    }
    if (!is_late && !(n->flags & PROGRAM_FAILS) &&
        !(n->flags & PROGRAM_LIMITED && n->flags & PROGRAM_FLAKY))
        wrong(c, "an activity failed that was to be tried again");
    if (c->end_ms < c->now_ms + POLICY_PAUSES_MS)
        wrong(c, "it was given up before all attempts were made");
}

static void check_web(struct check *c, const struct node *n)
{
    static const char *const errors[WEB_KINDS] =
        {[WEB_BUSY] = "WHttp503", [WEB_AWAY] = "WUnreachable"};
    const char *error = errors[n->flags];
    if (error && strncmp(c->at, error, strlen(error)) == 0) {
        c->at += strlen(error);
        return;
    }
    need(c, 'w');
    if (error || number(c) != n->n)
        wrong(c, "a server answered something else");
    if (n->flags == WEB_LATER && c->end_ms < c->now_ms + 1000)
        wrong(c, "it was asked again before the time it gave");
}

/* Its own statements, in its own time. */
static void check_sub(struct check *c, const struct node *n)
{
    int64_t now_ms = c->now_ms, end_ms = c->end_ms;
    int64_t fails_at = program_fails_at(c->p, n->first);
    if (fails_at >= 0) {
        need(c, '!');
        if (number(c) != fails_at)
            wrong(c, "a child failed by something else");
        return;
    }
    need(c, 's');
    need(c, '(');
    c->now_ms = number(c);
    if (c->now_ms < now_ms)
        wrong(c, "a child began before its parent");
    need(c, '|');
    check_list(c, n->first);
    need(c, ')');
    if (c->now_ms > end_ms)
        wrong(c, "a child ended after its parent had its result");
    c->now_ms = now_ms;
    c->end_ms = end_ms;
}

/* Nobody was heard in between. */
static void check_lock(struct check *c, const struct node *n)
{
    need(c, 'L');
    int64_t before = number(c);
    need(c, ',');
    int64_t first = number(c);
    need(c, ',');
    int64_t second = number(c);
    need(c, ',');
    int64_t after = number(c);
    bool is_heard = !telling_fails(n->n);
    if (first != (is_heard ? before : -1) || (second >= 0) != is_heard ||
        after != before + is_heard)
        wrong(c, "somebody else was heard in a critical section");
    if (c->end_ms < c->now_ms + 50)
        wrong(c, "a timer in a critical section was early");
}

static void check_group(struct check *c, const struct node *n)
{
    struct node *nodes = c->p->nodes;
    if (n->kind == NODE_ALL) {
        int failing = n->first;
        if (*c->at == '!') { /* the first that was to fail; all are over */
            while (failing >= 0 && !has_to_fail(&nodes[failing]))
                failing = nodes[failing].next;
            c->at++;
            if (failing < 0 || number(c) != nodes[failing].n)
                wrong(c, "all failed by one that does not");
            for (int child = n->first; child >= 0; child = nodes[child].next)
                nodes[child].is_seen |= nodes[child].kind == NODE_CALL;
            return;
        }
        need(c, 'l');
        need(c, '(');
        for (int child = n->first; child >= 0; child = nodes[child].next)
            check_task(c, child);
        need(c, ')');
        return;
    }
    need(c, 'a');
    int winner = n->first;
    for (int64_t k = number(c); k > 0 && winner >= 0; k--)
        winner = nodes[winner].next;
    if (winner < 0)
        wrong(c, "nobody won");
    need(c, '(');
    check_task(c, winner);
    need(c, ')');
    if (n->kind == NODE_ANY)
        return;
    need(c, '[');
    for (int child = n->first; child >= 0; child = nodes[child].next) {
        if (child == winner || (nodes[child].kind != NODE_TIMER && nodes[child].kind != NODE_EVENT))
            continue;
        if (nodes[child].kind == NODE_EVENT && *c->at == 'x')
            claimed_event(c, child, true, 0);
        if (!take(c, 'x'))
            check_task(c, child);
    }
    need(c, ']');
}

static void check_task(struct check *c, int node)
{
    struct node *n = &c->p->nodes[node];
    switch (n->kind) {
    case NODE_CALL:
        n->is_seen = true;
        need(c, n->flags & PROGRAM_FAILS ? '!' : 'c');
        if (number(c) != (n->flags & PROGRAM_FAILS ? n->n : 2 * n->n + 1))
            wrong(c, "an activity gave something else");
        return;
    case NODE_TIMER:
        need(c, 't');
        if (c->end_ms < c->now_ms + n->n)
            wrong(c, "a timer was early");
        return;
    case NODE_EVENT:
        need(c, 'e');
        claimed_event(c, node, false, number(c));
        return;
    case NODE_ASK:
        need(c, telling_fails(n->n) ? '!' : 'k');
        if (telling_fails(n->n) ? number(c) != n->n : number(c) < 0)
            wrong(c, "a cell answered something else");
        return;
    case NODE_POLICY:
        check_policy(c, n);
        return;
    case NODE_WEB:
        check_web(c, n);
        return;
    case NODE_SUB:
        check_sub(c, n);
        return;
    case NODE_ANY:
    case NODE_ALL:
    case NODE_RACE:
        check_group(c, n);
        return;
    case NODE_LOCK:
        check_lock(c, n);
        return;
    case NODE_FICKLE:
        if (!take(c, 't')) {
            need(c, 'c');
            if (number(c) != 2 * n->n + 1)
                wrong(c, "an activity gave something else");
        }
        return;
    case NODE_TRY:
    case NODE_AWAIT:
    case NODE_SIGNAL:
    case NODE_LATER:
    case NODE_NOTE:
    case NODE_ANEW:
        break;
    }
    wrong(c, "this is no task");
}

/* The k-th that was not canceled has the k-th event. */
static void check_events(struct check *c)
{
    if (c->p->origin != c->p && program_begins_anew(c->p)) /* what it has was raised for another */
        return;
    for (int name = 0; name < EVENT_NAMES; name++) {
        const struct raised *raised = c->p->raised[name];
        size_t count = c->p->raised_count[name], next = 0;
        for (size_t k = 0; k < c->wait_count[name]; k++) {
            if (c->waits[name][k].is_canceled)
                continue;
            bool is_claimed = c->waits[name][k].is_claimed;
            int64_t value = c->waits[name][k].value;
            while (next < count && (raised[next].is_gone || (is_claimed && raised[next].is_maybe &&
                                                             raised[next].value != value)))
                next++;
            if (!is_claimed && next < count && raised[next].is_maybe)
                return; /* whether it was there, nobody saw */
            if (is_claimed && (next == count || raised[next].value != value))
                wrong(c, "an event came out of turn, or never was");
            next += next < count;
        }
    }
}

/* What can be said of a timer's lateness: a statement that is nothing but a timer. */
static void check_late(struct check *c, int task)
{
    const struct node *n = &c->p->nodes[task];
    if (n->kind == NODE_TIMER && !c->p->was_managed &&
        c->end_ms > model_latest_ms(c->s, c->now_ms + n->n))
        wrong(c, "a timer was late, and nothing held it up");
}

/* One claim for each statement that waits. */
static void check_list(struct check *c, int first)
{
    struct program *p = c->p;
    bool is_anew = false; /* then the statement began a little later than the last one ended */
    for (int i = first; i >= 0; i = p->nodes[i].next) {
        enum node_kind kind = p->nodes[i].kind;
        is_anew |= kind == NODE_ANEW;
        if (kind != NODE_TRY && kind != NODE_AWAIT && kind != NODE_LOCK)
            continue;
        int task = kind == NODE_LOCK ? i : p->nodes[i].first;
        made(c, task);
        c->end_ms = number(c);
        need(c, ':');
        if (c->end_ms < c->now_ms)
            wrong(c, "its time went back");
        int64_t end_ms = c->end_ms;
        check_task(c, task);
        if (!is_anew)
            check_late(c, task);
        is_anew = false;
        need(c, ';');
        c->now_ms = end_ms;
        c->s->stats.claims++;
    }
}

void program_check(struct sim *s, struct program *p, const char *output)
{
    static struct check c;
    memset(&c, 0, sizeof c);
    c.s = s;
    c.p = p;
    c.at = output;
    c.all = output;
    c.now_ms = number(&c);
    if (c.now_ms < p->due_ms)
        wrong(&c, "it began before its time");
    need(&c, '|');
    check_list(&c, p->first);
    if (*c.at)
        wrong(&c, "it says more than it did");
    check_events(&c);
}
