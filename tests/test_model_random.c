/* Orchestrations made up at random, driven at random: resident and dropped before each step they
 * have to come out the same; crashed before each step, they have to come out; and when all are
 * over, no lock is left. A failure names its seed; `test_model_random SEED COUNT` runs others. */
#include "model_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS = 40, SCRIPT_MAX = 1 << 16 };

#define ACCOUNT(key) ((ks_ref){"Account", (key)})

/* ---- a program is a text, a letter a command ---- */

static const ks_val *json(ks_orch *o, const char *text)
{
    return ks_parse_json(o->mem, text, strlen(text));
}

static const ks_val *call(ks_orch *o, char op)
{
    static const ks_retry patient = {.attempts = 2, .first_ms = 700, .jitter = 0.5};
    static const ks_retry hasty = {.attempts = 2, .first_ms = 300, .timeout_ms = 900};
    const ks_val *bad = json(o, "{\"fail\":[\"A\"],\"value\":2}");
    switch (op) {
    case 'c':
        return ks_try(ks_call(o, "Work", json(o, "{\"value\":1}")));
    case 'f':
        return ks_try(ks_call_with(o, "Work", bad, &patient));
    case 'F':
        return ks_await(ks_call(o, "Work", bad));
    case 'T':
        return ks_try(ks_call_with(o, "Work", bad, &hasty));
    default:
        return ks_await(ks_call(o, "WorkInline", json(o, "{\"value\":3}")));
    }
}

static const ks_val *wait_for(ks_orch *o, char op)
{
    if (op == 't')
        return ks_await(ks_timer(o, o->now_ms + 1000));
    if (op == 'e')
        return ks_await_event(o, "Go", o->now_ms + 3000, NULL);
    if (op == 'E')
        return ks_await(ks_event(o, "go"));
    ks_task *timer = ks_timer(o, o->now_ms + 1500);
    ks_task *event = ks_event(o, "Go");
    ks_task *work = ks_call(o, "Work", json(o, "{\"value\":4}"));
    if (op == 'W')
        return ks_try(ks_when_all(o, work, timer, event));
    ks_task *winner = ks_winner(ks_when_any(o, timer, event, work));
    ks_cancel(timer);
    ks_cancel(event);
    ks_cancel(work);
    return ks_string(o->mem, winner == timer ? "timer" : winner == event ? "event" : "work");
}

/* Gives up attempts of an activity and of a child, in whatever state they are. */
static const ks_val *give_up(ks_orch *o)
{
    static const ks_retry hasty = {.attempts = 3, .first_ms = 300, .timeout_ms = 400};
    ks_task *child = ks_sub_with(o, "Child", "kid", json(o, "{\"wait\":true}"), &hasty);
    ks_task *work = ks_call_with(o, "Work", json(o, "{\"fail\":[\"A\"],\"value\":2}"), &hasty);
    ks_task *timer = ks_timer(o, o->now_ms + 800);
    ks_task *winner = ks_winner(ks_when_any(o, child, work, timer));
    ks_cancel(child);
    ks_cancel(work);
    ks_cancel(timer);
    return ks_string(o->mem, winner == child ? "child" : winner == work ? "work" : "timer");
}

static const ks_val *sub(ks_orch *o, char op)
{
    static const ks_retry patient = {.attempts = 2, .first_ms = 500};
    if (op == 'k')
        return give_up(o);
    if (op == 's')
        return ks_try(ks_sub(o, "Child", NULL, json(o, "{}")));
    if (op == 'S')
        return ks_try(ks_sub(o, "Child", "kid", json(o, "{\"wait\":true}")));
    return ks_try(ks_sub_with(o, "Child", NULL, json(o, "{\"fail\":true}"), &patient));
}

static const ks_val *command(ks_orch *o, const char *at, bool *is_locked)
{
    const ks_val *one = ks_integer(o->mem, 1);
    if (strchr("cfFTi", *at))
        return call(o, *at);
    if (strchr("teEwW", *at))
        return wait_for(o, *at);
    if (strchr("sSRk", *at))
        return *is_locked ? NULL : sub(o, *at);
    if (*at == 'a' || *at == 'd')
        return ks_try(ks_call_entity(o, ACCOUNT("a"), *at == 'a' ? "Deposit" : "Close", one));
    if (*at == 'l' && !*is_locked) {
        *is_locked = true;
        return ks_await(ks_lock(o, ACCOUNT("a"), ACCOUNT("b")));
    }
    if (*at == 'u') {
        ks_unlock(o);
        *is_locked = false;
    } else if (*at == 'n') {
        ks_continue_as_new(o, ks_string(o->mem, at + 1));
    } else if (*at == 'r') {
        ks_set_status(o, ks_string(o->mem, ks_unique_id(o)));
    } else if (*at == 'L') {
        ks_start(o->out, "Program", "z", ks_string(o->mem, "te"));
    } else if (*at == 'g') {
        ks_signal_at(o->out, ACCOUNT("c"), "Deposit", one, o->now_ms + 500);
    } else if (*at == 'm') {
        ks_log(o->out, "%s at %s", o->id, at);
    }
    return NULL;
}

static const ks_val *random_program(ks_orch *o)
{
    bool is_locked = false;
    ks_val *all = ks_array(o->mem);
    for (const char *at = ks_text(o->input); *at; at++) {
        if (*at == 'x')
            return ks_fail(o->mem, "Asked", "to fail");
        const ks_val *result = command(o, at, &is_locked);
        ks_push(o->mem, all,
                ks_is_error(result) ? ks_string(o->mem, ks_error_type(result)) : result);
    }
    return all;
}

static const ks_val *close_account(ks_entity *e)
{
    ks_delete(e);
    return NULL;
}

static const ks_function functions[] = {KS_ENTITY("Account", "Close", close_account), KS_END};

/* ---- a script ---- */

struct script {
    uint64_t random;
    char text[SCRIPT_MAX];
    size_t len;
};

static unsigned pick(struct script *s, unsigned n)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((s->random >> 33) % n);
}

__attribute__((format(printf, 2, 3))) static void add(struct script *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    s->len += (size_t)vsnprintf(s->text + s->len, SCRIPT_MAX - s->len, format, args);
    va_end(args);
    assert_true(s->len < SCRIPT_MAX);
}

static const char *const ids[] = {"p", "q", "r", "kid", "z"};
enum { IDS = 5, IDS_STARTED = 3 };

static void add_start(struct script *s)
{
    static const char ops[] = "cfFitteEsSRkalunxwWTrLgmd";
    char program[12] = "";
    unsigned len = 1 + pick(s, 8);
    for (unsigned i = 0; i < len; i++)
        program[i] = ops[pick(s, sizeof ops - 1)];
    add(s, "try {\"id\":\"%s\",\"start\":\"Program\",\"input\":\"%s\"%s}\n",
        ids[pick(s, IDS_STARTED)], program, pick(s, 4) ? "" : ",\"due\":1798135202000");
}

static void add_step(struct script *s)
{
    static const char *const manage[] = {"\"suspend\":\"s\"",
                                         "\"resume\":\"s\"",
                                         "\"terminate\":\"s\"",
                                         "\"terminate\":\"s\",\"children\":true",
                                         "\"rewind\":-1",
                                         "\"restart\":true",
                                         "\"restart\":\"r\"",
                                         "\"purge\":true,\"children\":true",
                                         "\"raise\":\"Go\",\"value\":1",
                                         "\"raise\":\"GO\",\"value\":2",
                                         "\"raise\":\"Other\",\"value\":3"};
    unsigned what = pick(s, 16);
    if (what < 4)
        add_start(s);
    else if (what < 11)
        add(s, "try {\"id\":\"%s\",%s}\n", ids[pick(s, IDS)], manage[pick(s, 11)]);
    else if (what < 12)
        add(s, "try {\"id\":\"%s\",\"rewind\":%u}\n", ids[pick(s, IDS)], pick(s, 12));
    else if (what < 13)
        add(s, "try {\"id\":\"a\",\"signal\":\"Deposit\",\"value\":1}\nstate a\n");
    else if (what < 14)
        add(s, "run\n");
    else
        add(s, "advance %u\n", 1 + pick(s, 1600));
}

static void make_script(struct script *s, unsigned seed)
{
    s->random = seed;
    s->len = 0;
    pick(s, 2);
    for (int i = 0; i < STEPS; i++)
        add_step(s);
    for (size_t i = 0; i < IDS; i++)
        add(s, "try {\"id\":\"%s\",\"terminate\":\"end\"}\n", ids[i]);
    add(s, "call {\"id\":\"a\",\"call\":\"Deposit\",\"value\":1}\nanswer\n"
           "call {\"id\":\"b\",\"call\":\"Deposit\",\"value\":1}\nanswer\n");
}

/* ---- the test ---- */

static struct {
    unsigned from, count;
} seeds = {1, 300};

static void expect_no_lock(unsigned seed, const char *way, const char *text)
{
    const char *first = strstr(text, "> answer\n  200 ");
    if (!first || !strstr(first + 1, "> answer\n  200 "))
        fail_msg("seed %u, %s: a lock is left:\n%s", seed, way, text);
}

static void it_comes_out_the_same(void **state)
{
    static struct script script;
    (void)state;
    for (unsigned seed = seeds.from; seed < seeds.from + seeds.count; seed++) {
        make_script(&script, seed);
        struct model_program p = {.code = random_program, .script = script.text};
        char *resident = model_trace_run(&p, functions, WAY_RESIDENT);
        char *evicted = model_trace_run(&p, functions, WAY_EVICTED);
        /* Activities are dispatched in another order after a crash, so the text may differ. */
        char *crashed = model_trace_run(&p, functions, WAY_CRASHED);
        if (strcmp(resident, evicted) != 0 || strstr(resident, "NonDeterminism"))
            fail_msg("seed %u: resident\n%s\nevicted\n%s", seed, resident, evicted);
        expect_no_lock(seed, "resident", resident);
        expect_no_lock(seed, "crashed", crashed);
        free(resident);
        free(evicted);
        free(crashed);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_comes_out_the_same)};
    if (argc == 3) {
        seeds.from = (unsigned)atoi(argv[1]);
        seeds.count = (unsigned)atoi(argv[2]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
