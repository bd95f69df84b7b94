/* The simulated app beside the registry: an orchestration that carries out the program it is given,
 * entities that keep what they are told, and webhooks for both.
 *
 *     program    := [ statement ... ], or {"do": program, "said": text, "stage": n} after "anew"
 *     statement  := ["try", ..., task] | ["await", ..., task]
 *                 | ["signal", ...] | ["later", ...] | ["note", ...]   tell a cell: at once, later,
 *                                                        by an orchestration of its own
 *                 | ["lock", ...]                        tell two, in a critical section
 *                 | ["anew", ...]                        go on with an empty history
 *     task       := ["call", ...] | ["timer", ...] | ["event", ...] | ["ask", ...]
 *                 | ["policy", ...] | ["web", ...] | ["sub", ..., program]
 *                 | ["any", ..., task ...] | ["all", ...] | ["race", ...]
 *                 | ["fickle", ...]                      an activity; replayed, a timer
 *     race is an any whose losers are canceled; ... is n, flags, cell, other: see struct node
 *
 * It returns what it saw, as text, a claim for each statement that waits; program_check.c reads it.
 *
 *     claims := "<start>|" ( time ":" claim ";" )*
 *     claim  := "c" result | "!" n | "t" | "e" value | "x" (canceled) | "k" place | "T" | "H"
 *             | "w" n | "W" error type | "s(" claims ")" | "L" place "," place "," ...
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
    int64_t stage;
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

enum { AT_N = 1, AT_FLAGS, AT_CELL, AT_OTHER, AT_CHILDREN };

static int64_t number_at(const ks_val *t, size_t i)
{
    return ks_int(ks_at(t, i));
}

static bool is_group(const ks_val *t)
{
    return is_word(t, "any") || is_word(t, "all") || is_word(t, "race");
}

static ks_ref cell_of(ks_arena *mem, int64_t cell)
{
    return (ks_ref){"Cell", ks_format(mem, "%lld", (long long)cell)};
}

struct made {
    ks_task *task;
    struct made *children;
};

static ks_task *make_call_with(ks_orch *o, const ks_val *t)
{
    ks_retry how = {.attempts = POLICY_ATTEMPTS, .first_ms = 1000, .backoff = 2};
    if (number_at(t, AT_FLAGS) & PROGRAM_LIMITED) {
        how.timeout_ms = POLICY_LIMIT_MS;
        how.heartbeat_ms = POLICY_BEAT_MS;
    }
    return ks_call_with(o, "Work", t, &how);
}

static ks_task *make_web(ks_orch *o, const ks_val *t)
{
    static const ks_retry retry = {.attempts = POLICY_ATTEMPTS, .first_ms = 1000};
    char *url = ks_format(o->mem, "http://sim/%lld/%lld", (long long)number_at(t, AT_FLAGS),
                          (long long)number_at(t, AT_N));
    return ks_call_http(o, &(ks_http_request){.url = url,
                                              .body = ks_string(o->mem, "x"),
                                              .retry = &retry});
}

static ks_task *make_sub(ks_orch *o, const ks_val *t)
{
    static const ks_retry retry = {.attempts = 2, .first_ms = 500};
    int64_t mode = number_at(t, AT_FLAGS);
    char *id = ks_format(o->mem, "%s.s%lld", o->id, (long long)number_at(t, AT_N));
    ks_val *input = ks_object(o->mem);
    ks_put(o->mem, input, "do", ks_at(t, AT_CHILDREN));
    ks_put(o->mem, input, "parent", ks_string(o->mem, o->id));
    if (mode == SUB_AGAIN)
        return ks_sub_with(o, "Program", NULL, input, &retry);
    return ks_sub(o, "Program", mode == SUB_NAMED ? id : NULL, input);
}

static struct made make(const struct interpreter *i, const ks_val *t)
{
    ks_orch *o = i->o;
    struct made made = {0};
    if (is_word(t, "call")) {
        bool is_inline = number_at(t, AT_FLAGS) & PROGRAM_INLINE;
        made.task = ks_call(o, is_inline ? "WorkInline" : "Work", t);
    } else if (is_word(t, "fickle")) {
        bool is_timer = programs_change_their_mind(the_sim, number_at(t, AT_N));
        made.task = is_timer ? ks_timer(o, o->now_ms + 1) : ks_call(o, "Work", t);
    } else if (is_word(t, "timer")) {
        made.task = ks_timer(o, o->now_ms + number_at(t, AT_N));
    } else if (is_word(t, "event")) {
        made.task = ks_event(o, ks_format(o->mem, "e%lld", (long long)number_at(t, AT_N)));
    } else if (is_word(t, "ask")) {
        made.task = ks_call_entity(o, cell_of(o->mem, number_at(t, AT_CELL)), "Add",
                                   ks_at(t, AT_N));
    } else if (is_word(t, "policy")) {
        made.task = make_call_with(o, t);
    } else if (is_word(t, "web")) {
        made.task = make_web(o, t);
    } else if (is_word(t, "sub")) {
        made.task = make_sub(o, t);
    } else {
        size_t n = ks_len(t) - AT_CHILDREN;
        ks_task **tasks = ks_alloc(o->mem, (n + 1) * sizeof *tasks);
        made.children = ks_alloc(o->mem, (n + 1) * sizeof *made.children);
        for (size_t k = 0; k < n; k++) {
            made.children[k] = make(i, ks_at(t, AT_CHILDREN + k));
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
    size_t n = ks_len(t) - AT_CHILDREN, k = 0;
    while (k < n && made->children[k].task != winner)
        k++;
    say(i, ks_format(mem, "a%zu(", k));
    claim(i, ks_at(t, AT_CHILDREN + k), &made->children[k]);
    say(i, ")");
    if (!is_word(t, "race"))
        return;
    say(i, "[");
    for (size_t c = 0; c < n; c++) {
        const ks_val *child = ks_at(t, AT_CHILDREN + c);
        if (c == k || (!is_word(child, "timer") && !is_word(child, "event")))
            continue;
        ks_cancel(made->children[c].task);
        claim(i, child, &made->children[c]);
    }
    say(i, "]");
}

static void claim_error(struct interpreter *i, const ks_val *t, const ks_val *error)
{
    const char *type = ks_error_type(error);
    if (is_word(t, "web"))
        say(i, ks_format(i->o->mem, "W%s", type));
    else if (strcmp(type, "Canceled") == 0)
        say(i, "x");
    else if (strcmp(type, "Timeout") == 0)
        say(i, "T");
    else if (strcmp(type, "Heartbeat") == 0)
        say(i, "H");
    else
        say(i, ks_format(i->o->mem, "!%s", ks_text(error)));
}

static void claim(struct interpreter *i, const ks_val *t, const struct made *made)
{
    ks_arena *mem = i->o->mem;
    if (is_word(t, "any") || is_word(t, "race")) {
        claim_any(i, t, made);
        return;
    }
    const ks_val *result = ks_try(made->task);
    if (ks_is_error(result)) {
        claim_error(i, t, result);
    } else if (is_word(t, "all")) {
        say(i, "l(");
        for (size_t k = AT_CHILDREN; k < ks_len(t); k++)
            claim(i, ks_at(t, k), &made->children[k - AT_CHILDREN]);
        say(i, ")");
    } else if (is_word(t, "timer") || (is_word(t, "fickle") && ks_type_of(result) != KS_INTEGER)) {
        say(i, "t");
    } else if (is_word(t, "web")) {
        say(i, ks_format(mem, "w%s", ks_text(ks_get(result, "body"))));
    } else if (is_word(t, "sub")) {
        say(i, ks_format(mem, "s(%s)", ks_text(result)));
    } else {
        char what = is_word(t, "ask") ? 'k' : is_word(t, "event") ? 'e' : 'c';
        say(i, ks_format(mem, "%c%lld", what, (long long)ks_int(result)));
    }
}

static const ks_val *ask_len(ks_orch *o, ks_ref cell)
{
    return ks_await(ks_call_entity(o, cell, "Len", NULL));
}

/* Nobody else is heard by the cells while it has them, though time goes by. */
static void critical_section(struct interpreter *i, const ks_val *t)
{
    ks_orch *o = i->o;
    ks_ref a = cell_of(o->mem, number_at(t, AT_CELL)), b = cell_of(o->mem, number_at(t, AT_OTHER));
    ks_await(ks_lock(o, a, b));
    int64_t before = ks_int(ask_len(o, a));
    ks_await(ks_timer(o, o->now_ms + 50));
    const ks_val *first = ks_try(ks_call_entity(o, a, "Add", ks_at(t, AT_N)));
    const ks_val *second = ks_try(ks_call_entity(o, b, "Add", ks_at(t, AT_N)));
    int64_t after = ks_int(ask_len(o, a));
    ks_unlock(o);
    say(i, ks_format(o->mem, "%lld:L%lld,%lld,%lld,%lld;", (long long)o->now_ms, (long long)before,
                     ks_is_error(first) ? -1ll : (long long)ks_int(first),
                     ks_is_error(second) ? -1ll : (long long)ks_int(second), (long long)after));
}

static void begin_anew(struct interpreter *i, const ks_val *list, size_t done)
{
    ks_arena *mem = i->o->mem;
    ks_val *rest = ks_array(mem), *input = ks_object(mem);
    for (size_t k = done + 1; k < ks_len(list); k++)
        ks_push(mem, rest, ks_at(list, k));
    ks_put(mem, input, "do", rest);
    ks_put(mem, input, "said", ks_string(mem, i->claims.at));
    ks_put(mem, input, "stage", ks_integer(mem, i->stage));
    ks_continue_as_new(i->o, input);
}

/* False when the statement is to be waited for. */
static bool tell_others(struct interpreter *i, const ks_val *list, size_t k)
{
    ks_orch *o = i->o;
    const ks_val *t = ks_at(list, k);
    ks_ref cell = cell_of(o->mem, number_at(t, AT_CELL));
    if (is_word(t, "signal")) {
        ks_signal(o->out, cell, "Add", ks_at(t, AT_N));
    } else if (is_word(t, "later")) {
        int64_t due_ms = o->now_ms + number_at(t, AT_FLAGS);
        ks_val *arg = ks_array(o->mem);
        ks_push(o->mem, ks_push(o->mem, arg, ks_at(t, AT_N)), ks_integer(o->mem, due_ms));
        ks_signal_at(o->out, cell, "After", arg, due_ms);
    } else if (is_word(t, "note")) {
        char *id = ks_format(o->mem, "n%lld", (long long)number_at(t, AT_N));
        ks_val *input = ks_array(o->mem);
        ks_push(o->mem, ks_push(o->mem, input, ks_at(t, AT_CELL)), ks_at(t, AT_N));
        ks_start(o->out, "Note", id, input);
    } else if (is_word(t, "lock")) {
        critical_section(i, t);
    } else if (is_word(t, "anew")) {
        begin_anew(i, list, k);
    } else {
        return false;
    }
    return true;
}

static void carry_out(struct interpreter *i, const ks_val *list)
{
    ks_orch *o = i->o;
    for (size_t k = 0; k < ks_len(list); k++) {
        const ks_val *statement = ks_at(list, k), *t = ks_at(statement, AT_CHILDREN);
        ks_set_status(o, ks_integer(o->mem, ++i->stage));
        if (tell_others(i, list, k))
            continue;
        struct made made = make(i, t);
        if (is_word(statement, "await") && !is_group(t))
            ks_await(made.task);
        else
            ks_try(made.task);
        say(i, ks_format(o->mem, "%lld:", (long long)o->now_ms));
        claim(i, t, &made);
        say(i, ";");
    }
}

/* What it was started with: NULL, or what is wrong. */
static const char *look_round(const ks_orch *o, const char *version, const ks_val *parent)
{
    if (strcmp(o->version, version) != 0)
        return "it runs as another version";
    if (parent)
        return o->parent_id && strcmp(o->parent_id, ks_text(parent)) == 0 ? NULL
                                                                          : "its parent is another";
    if (o->parent_id)
        return "it has a parent";
    if (strcmp(ks_text(ks_get(o->tags, "id")), programs_origin(the_sim, o->id)) != 0)
        return "its tags are another's";
    if (strcmp(ks_text(ks_get(o->tags, "version")), version) != 0)
        return "it was to be of another version";
    return NULL;
}

static const ks_val *program(ks_orch *o, const char *version)
{
    struct interpreter i = {.o = o, .stage = ks_int(ks_get(o->input, "stage"))};
    const ks_val *list = ks_get(o->input, "do"), *said = ks_get(o->input, "said");
    const char *wrong = look_round(o, version, ks_get(o->input, "parent"));
    if (wrong)
        return ks_fail(o->mem, "Wrong", "%s", wrong);
    say(&i, said ? ks_text(said) : ks_format(o->mem, "%lld|", (long long)o->now_ms));
    carry_out(&i, list ? list : o->input);
    return ks_string(o->mem, i.claims.at);
}

static const ks_val *program_1(ks_orch *o)
{
    return program(o, "1");
}

static const ks_val *program_2(ks_orch *o)
{
    return program(o, "2");
}

static const ks_val *note(ks_orch *o)
{
    ks_signal(o->out, cell_of(o->mem, ks_int(ks_at(o->input, 0))), "Add", ks_at(o->input, 1));
    return NULL;
}

/* ---- activities ---- */

static const ks_val *work(ks_activity *a)
{
    int64_t n = number_at(a->input, AT_N), flags = number_at(a->input, AT_FLAGS);
    bool ran_before = true;
    if (!(flags & (PROGRAM_INLINE | PROGRAM_AGAIN)))
        ran_before = programs_ran(the_sim, n, a->key);
    ks_heartbeat(a);
    if (flags & PROGRAM_SENDS)
        ks_signal(a->out, cell_of(a->mem, n % CELLS), "Add", ks_integer(a->mem, n));
    if (flags & PROGRAM_FAILS || (flags & PROGRAM_FLAKY && !ran_before))
        return ks_fail(a->mem, "Oops", "%lld", (long long)n);
    return ks_integer(a->mem, 2 * n + 1);
}

/* ---- cells ---- */

static int64_t len_of(const ks_entity *e)
{
    return (int64_t)ks_len(ks_get(e->state, "log"));
}

/* What follows from it is told with other numbers: by the cell, by an orchestration that the cell
 * starts, by another cell that it asks. Returns its place. */
static const ks_val *cell_hear(ks_entity *e, int64_t n)
{
    int64_t place = len_of(e), own = atoi(e->key), next = (own + 1) % CELLS;
    ks_append(e, "log", ks_integer(e->mem, n));
    ks_add(e, "sum", n);
    if (n < RELAYED && n % 5 == 2)
        ks_signal(e->out, cell_of(e->mem, next), "Add", ks_integer(e->mem, n + RELAYED));
    if (n < RELAYED && n % 11 == 4) {
        ks_val *input = ks_array(e->mem);
        ks_push(e->mem, input, ks_integer(e->mem, (own + 2) % CELLS));
        ks_push(e->mem, input, ks_integer(e->mem, n + 2ll * RELAYED));
        char *id = ks_format(e->mem, "c%lld.%lld", (long long)own, (long long)n);
        ks_start(e->out, "Note", id, input);
    }
    if (n < RELAYED && n % 13 == 6)
        ks_request(e, cell_of(e->mem, next), "Echo", ks_integer(e->mem, n + 3ll * RELAYED), "Add");
    if (telling_fails(n))
        return ks_fail(e->mem, "Oops", "%lld", (long long)n);
    return ks_integer(e->mem, place);
}

static const ks_val *cell_add(ks_entity *e)
{
    return cell_hear(e, ks_int(e->arg));
}

static const ks_val *cell_after(ks_entity *e)
{
    programs_due(the_sim, ks_int(ks_at(e->arg, 1)), e->now_ms);
    return cell_hear(e, ks_int(ks_at(e->arg, 0)));
}

static const ks_val *cell_len(ks_entity *e)
{
    return ks_integer(e->mem, len_of(e));
}

static const ks_val *cell_echo(ks_entity *e)
{
    return e->arg;
}

/* ---- webhooks ---- */

static int web_run(ks_http *h)
{
    const ks_val *body = ks_body(h);
    const char *version = ks_text(ks_query(h, "version"));
    ks_val *tags = ks_object(h->mem);
    ks_put(h->mem, tags, "id", ks_string(h->mem, ks_route(h, "id")));
    ks_put(h->mem, tags, "version", ks_string(h->mem, version[0] ? version : "2"));
    int64_t wait_ms = strtoll(ks_text(ks_query(h, "wait")), NULL, 10);
    ks_start_options how = {.due_ms = wait_ms ? h->now_ms + wait_ms : 0,
                            .version = version[0] ? version : NULL,
                            .tags = tags,
                            .only_if_new = true};
    ks_start_with(h->out, "Program", ks_route(h, "id"),
                  ks_parse_json(h->mem, ks_text(body), ks_len(body)), &how);
    return ks_reply_text(h, 200, "%lld", (long long)(h->now_ms + wait_ms));
}

static int web_raise(ks_http *h)
{
    const char *id = ks_route(h, "id");
    ks_runtime_status status = ks_status(h, id);
    if (status != KS_RUNNING && status != KS_SUSPENDED && status != KS_PENDING)
        return ks_reply_empty(h, 409);
    int64_t n = strtoll(ks_text(ks_query(h, "n")), NULL, 10);
    ks_raise(h->out, id, ks_route(h, "name"), ks_integer(h->mem, n));
    return ks_reply_empty(h, 200);
}

static int web_manage(ks_http *h)
{
    const char *id = ks_route(h, "id"), *verb = ks_route(h, "verb");
    if (ks_status(h, id) == KS_MISSING)
        return ks_reply_empty(h, 404);
    if (strcmp(verb, "suspend") == 0)
        ks_suspend(h->out, id, "why not");
    else if (strcmp(verb, "resume") == 0)
        ks_resume(h->out, id, "enough");
    else if (strcmp(verb, "terminate") == 0)
        ks_terminate(h->out, id, "away with it", true);
    else if (strcmp(verb, "purge") == 0)
        ks_purge(h->out, id, true);
    else if (strcmp(verb, "restart") == 0)
        ks_restart(h->out, id, ks_query(h, "as") ? ks_text(ks_query(h, "as")) : NULL);
    else
        ks_rewind(h->out, id, -1, "once more");
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
        return ks_reply_text(h, 200, "R%lld", (long long)ks_int(ks_custom_status(h, id)));
    case KS_COMPLETED:
        return ks_reply_text(h, 200, "C%s", ks_text(output));
    case KS_FAILED:
        return ks_reply_text(h, 200, "F%s:%s", ks_error_type(output), ks_text(output));
    case KS_TERMINATED:
        return ks_reply_text(h, 200, "X");
    default:
        return ks_reply_text(h, 200, "?");
    }
}

/* Answered by what the cell answers. */
static int web_tell(ks_http *h)
{
    int64_t n = strtoll(ks_text(ks_query(h, "n")), NULL, 10);
    ks_ref cell = {"Cell", ks_route(h, "id")};
    return ks_reply_result(h, cell, "Add", ks_integer(h->mem, n));
}

static int web_cell(ks_http *h)
{
    const ks_val *state = ks_state(h, (ks_ref){"Cell", ks_route(h, "id")});
    return ks_reply_text(h, 200, "%lld %s", (long long)ks_int(ks_get(state, "sum")),
                         ks_to_json(h->mem, ks_get(state, "log")));
}

static const ks_function own[] = {
    KS_ORCHESTRATION_VERSION("Program", "2", program_2),
    KS_ORCHESTRATION_VERSION("Program", "1", program_1),
    KS_ORCHESTRATION("Note", note),
    KS_ACTIVITY("Work", work),
    KS_ACTIVITY_INLINE("WorkInline", work),
    KS_ENTITY("Cell", "Add", cell_add),
    KS_ENTITY("Cell", "After", cell_after),
    KS_ENTITY("Cell", "Len", cell_len),
    KS_ENTITY("Cell", "Echo", cell_echo),
    KS_HTTP("Run", "POST", "Run/{id}", 0, web_run),
    KS_HTTP("Raise", "POST", "Raise/{id}/{name}", 0, web_raise),
    KS_HTTP("Manage", "POST", "Manage/{verb}/{id}", 0, web_manage),
    KS_HTTP("Program", "GET", "Program/{id}", 0, web_program),
    KS_HTTP("Cell", "GET", "Cell/{id}", 0, web_cell),
    KS_HTTP("Tell", "POST", "Tell/{id}", 0, web_tell),
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
