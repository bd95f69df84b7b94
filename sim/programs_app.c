/* The simulated app beside the registry: an orchestration that carries out the program it is given,
 * entities that keep what they are told, and webhooks for both.
 *
 *     program    := [ statement ... ]
 *     statement  := ["try", task] | ["await", task] | ["signal", cell, n]
 *     task       := ["call", n, flags] | ["timer", ms] | ["event", name] | ["any", task ...]
 *                 | ["all", task ...] | ["race", task ...]   (an any whose losers are canceled)
 *
 * It returns what it saw, as text, a claim for each try and await; program_check.c reads it.
 *
 *     claims := "<start>|" ( claim "@" time ";" )*
 *     claim  := "c" result | "!" n | "t" | "e" value | "x" (canceled)
 *             | "a" winner "(" claim ")" [ claims of canceled losers in [] ] | "l(" claim ... ")"
 */
#include "apps/registry/registry.h"
#include "sim/program.h"
#include "sim/programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the orchestration ---- */

struct interpreter {
    ks_orch *o;
    struct text {
        char *at;
        size_t len, cap;
    } claims;
};

static void say(struct interpreter *i, const char *text)
{
    struct text *t = &i->claims;
    size_t len = strlen(text);
    if (t->len + len + 1 > t->cap) {
        size_t cap = (t->len + len + 1) * 2;
        char *more = ks_alloc(i->o->mem, cap);
        if (t->len)
            memcpy(more, t->at, t->len);
        t->at = more;
        t->cap = cap;
    }
    memcpy(t->at + t->len, text, len + 1);
    t->len += len;
}

static bool is_word(const ks_val *val, const char *word)
{
    return strcmp(ks_text(ks_at(val, 0)), word) == 0;
}

static bool is_group(const ks_val *t)
{
    return is_word(t, "any") || is_word(t, "all") || is_word(t, "race");
}

struct made {
    ks_task *task;
    struct made *children;
};

static struct made make(struct interpreter *i, const ks_val *t)
{
    ks_orch *o = i->o;
    struct made made = {0};
    if (is_word(t, "call")) {
        bool is_inline = ks_int(ks_at(t, 2)) & PROGRAM_INLINE;
        made.task = ks_call(o, is_inline ? "WorkInline" : "Work", t);
    } else if (is_word(t, "timer")) {
        made.task = ks_timer(o, o->now_ms + ks_int(ks_at(t, 1)));
    } else if (is_word(t, "event")) {
        made.task = ks_event(o, ks_text(ks_at(t, 1)));
    } else {
        size_t n = ks_len(t) - 1;
        ks_task **tasks = ks_alloc(o->mem, (n + 1) * sizeof *tasks);
        made.children = ks_alloc(o->mem, (n + 1) * sizeof *made.children);
        for (size_t k = 0; k < n; k++) {
            made.children[k] = make(i, ks_at(t, k + 1));
            tasks[k] = made.children[k].task;
        }
        made.task = is_word(t, "all") ? ks_all_of(o, tasks, n) : ks_any_of(o, tasks, n);
    }
    return made;
}

static void claim(struct interpreter *i, const ks_val *t, const struct made *made);

static void claim_any(struct interpreter *i, const ks_val *t, const struct made *made)
{
    ks_arena *mem = i->o->mem;
    const ks_task *winner = ks_winner(made->task);
    size_t n = ks_len(t) - 1, k = 0;
    while (k < n && made->children[k].task != winner)
        k++;
    say(i, ks_format(mem, "a%zu(", k));
    claim(i, ks_at(t, k + 1), &made->children[k]);
    say(i, ")");
    if (!is_word(t, "race"))
        return;
    say(i, "[");
    for (size_t c = 0; c < n; c++) {
        const ks_val *child = ks_at(t, c + 1);
        if (c == k || (!is_word(child, "timer") && !is_word(child, "event")))
            continue;
        ks_cancel(made->children[c].task);
        claim(i, child, &made->children[c]);
    }
    say(i, "]");
}

static void claim(struct interpreter *i, const ks_val *t, const struct made *made)
{
    ks_arena *mem = i->o->mem;
    if (is_word(t, "any") || is_word(t, "race")) {
        claim_any(i, t, made);
        return;
    }
    const ks_val *result = ks_try(made->task);
    if (ks_is_error(result) && strcmp(ks_error_type(result), "Canceled") == 0) {
        say(i, "x");
    } else if (ks_is_error(result)) {
        say(i, ks_format(mem, "!%s", ks_text(result)));
    } else if (is_word(t, "all")) {
        say(i, "l(");
        for (size_t k = 0; k + 1 < ks_len(t); k++)
            claim(i, ks_at(t, k + 1), &made->children[k]);
        say(i, ")");
    } else if (is_word(t, "timer")) {
        say(i, "t");
    } else {
        say(i, ks_format(mem, "%c%lld", is_word(t, "call") ? 'c' : 'e', (long long)ks_int(result)));
    }
}

static const ks_val *program(ks_orch *o)
{
    struct interpreter i = {.o = o};
    say(&i, ks_format(o->mem, "%lld|", (long long)o->now_ms));
    for (size_t k = 0; k < ks_len(o->input); k++) {
        const ks_val *statement = ks_at(o->input, k);
        const ks_val *t = ks_at(statement, 1);
        if (is_word(statement, "signal")) {
            char *cell = ks_format(o->mem, "%lld", (long long)ks_int(t));
            ks_signal(o->out, (ks_ref){"Cell", cell}, "Add", ks_at(statement, 2));
            continue;
        }
        struct made made = make(&i, t);
        if (is_word(statement, "await") && !is_group(t))
            ks_await(made.task);
        claim(&i, t, &made);
        say(&i, ks_format(o->mem, "@%lld;", (long long)o->now_ms));
    }
    return ks_string(o->mem, i.claims.at);
}

/* ---- activities and cells ---- */

static const ks_val *work(ks_activity *a)
{
    int64_t n = ks_int(ks_at(a->input, 1)), flags = ks_int(ks_at(a->input, 2));
    if (!(flags & PROGRAM_INLINE))
        programs_ran(the_sim, n, a->key);
    if (flags & PROGRAM_SENDS)
        ks_signal(a->out, (ks_ref){"Cell", ks_format(a->mem, "%d", (int)(n % CELLS))}, "Add",
                  ks_integer(a->mem, n));
    if (flags & PROGRAM_FAILS)
        return ks_fail(a->mem, "Oops", "%lld", (long long)n);
    return ks_integer(a->mem, 2 * n + 1);
}

static const ks_val *cell_add(ks_entity *e)
{
    int64_t n = ks_int(e->arg);
    ks_append(e, "log", e->arg);
    ks_add(e, "sum", n);
    if (n % 7 == 3)
        return ks_fail(e->mem, "Oops", "not this one");
    if (n % 5 == 2 && n < RELAYED) {
        char *next = ks_format(e->mem, "%d", (atoi(e->key) + 1) % CELLS);
        ks_signal(e->out, (ks_ref){"Cell", next}, "Add", ks_integer(e->mem, n + RELAYED));
    }
    return NULL;
}

/* ---- webhooks ---- */

static int web_run(ks_http *h)
{
    const ks_val *body = ks_body(h);
    ks_start(h->out, "Program", ks_route(h, "id"),
             ks_parse_json(h->mem, ks_text(body), ks_len(body)));
    return ks_reply_empty(h, 200);
}

static int web_raise(ks_http *h)
{
    const char *id = ks_route(h, "id");
    if (ks_status(h, id) != KS_RUNNING)
        return ks_reply_empty(h, 409);
    int64_t n = strtoll(ks_text(ks_query(h, "n")), NULL, 10);
    ks_raise(h->out, id, ks_route(h, "name"), ks_integer(h->mem, n));
    return ks_reply_empty(h, 200);
}

static int web_program(ks_http *h)
{
    const char *id = ks_route(h, "id");
    const ks_val *output = ks_output(h, id);
    switch (ks_status(h, id)) {
    case KS_MISSING:
        return ks_reply_empty(h, 404);
    case KS_PENDING:
    case KS_RUNNING:
    case KS_SUSPENDED:
    case KS_QUARANTINED:
        return ks_reply_text(h, 200, "R");
    case KS_COMPLETED:
        return ks_reply_text(h, 200, "C%s", ks_text(output));
    case KS_FAILED:
    case KS_TERMINATED:
        return ks_reply_text(h, 200, "F%s:%s", ks_error_type(output), ks_text(output));
    default:
        return ks_reply_text(h, 200, "?");
    }
}

static int web_cell(ks_http *h)
{
    const ks_val *state = ks_state(h, (ks_ref){"Cell", ks_route(h, "id")});
    return ks_reply_text(h, 200, "%lld %s", (long long)ks_int(ks_get(state, "sum")),
                         ks_to_json(h->mem, ks_get(state, "log")));
}

static const ks_function own[] = {
    KS_ORCHESTRATION("Program", program),
    KS_ACTIVITY("Work", work),
    KS_ACTIVITY_INLINE("WorkInline", work),
    KS_ENTITY("Cell", "Add", cell_add),
    KS_HTTP("Run", "POST", "Run/{id}", 0, web_run),
    KS_HTTP("Raise", "POST", "Raise/{id}/{name}", 0, web_raise),
    KS_HTTP("Program", "GET", "Program/{id}", 0, web_program),
    KS_HTTP("Cell", "GET", "Cell/{id}", 0, web_cell),
    KS_END,
};

const ks_function *sim_functions(void)
{
    static ks_function all[64];
    size_t n = 0;
    for (const ks_function *f = registry_functions; f->kind != KS_FN_END; f++)
        all[n++] = *f;
    for (const ks_function *f = own; f->kind != KS_FN_END; f++)
        all[n++] = *f;
    return all;
}
