#include "trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FUNCTIONS_MAX = 16, SECOND_MS = 1000 };

struct world {
    struct trace *trace;
    const struct program *program;
    ks_function functions[FUNCTIONS_MAX];
    struct app app;
    struct coroutine_pool pool;
    struct instance *inst;
    ks_arena mem;
    int64_t now_ms;
    bool is_restarted;
};

/* ---- describing ---- */

static void put_val(struct world *w, const ks_val *val)
{
    struct buf *text = &w->trace->text;
    buf_str(text, ks_is_error(val) ? " error " : " ");
    val_write_json(text, val);
}

static void put_events(struct world *w, const struct buf *log)
{
    struct buf *text = &w->trace->text;
    struct reader r = reader_of(log->at, log->len);
    while (!reader_is_at_end(&r)) {
        struct event e;
        event_decode(&r, &w->mem, &e);
        assert_false(r.is_bad);
        buf_str(text, event_describe(&w->mem, &e));
        if (event_is_incoming(e.type))
            buf_printf(text, " at %lld", (long long)e.time_ms);
        if (e.type == EVENT_TIMER_CREATED)
            buf_printf(text, " due %lld", (long long)e.due_ms);
        if (e.val)
            put_val(w, e.val);
        buf_byte(text, '\n');
    }
}

static void put_outcome(struct world *w, const struct outcome *o)
{
    static const char *const types[] = {"", "start", "event", "signal"};
    struct buf *text = &w->trace->text;
    for (const struct message *m = o->out.sent.first; m; m = m->next) {
        buf_printf(text, "  sends %s %.*s to %.*s", types[m->type], (int)m->name.len, m->name.at,
                   (int)m->target.len, m->target.at);
        put_val(w, m->val);
        buf_byte(text, '\n');
    }
    for (size_t i = 0; i < o->scheduled_count; i++) {
        const struct event *e = &o->scheduled[i];
        buf_printf(text, "  to run %u %.*s", e->id, (int)e->name.len, e->name.at);
        put_val(w, e->val);
        buf_byte(text, '\n');
    }
    for (const struct log_line *line = o->out.first_line; line; line = line->next)
        buf_printf(text, "  logs %s\n", line->text);
}

static void put_status(struct world *w)
{
    static const char *const names[] =
        {[KS_MISSING] = "missing",       [KS_PENDING] = "pending",        [KS_RUNNING] = "running",
         [KS_SUSPENDED] = "suspended",   [KS_COMPLETED] = "completed",    [KS_FAILED] = "failed",
         [KS_TERMINATED] = "terminated", [KS_QUARANTINED] = "quarantined"};
    struct buf *text = &w->trace->text;
    buf_printf(text, "  %s", names[w->inst->status]);
    if (w->inst->status != KS_RUNNING)
        put_val(w, instance_output(w->inst, &w->mem));
    else if (w->inst->due_ms != NEVER_MS)
        buf_printf(text, ", due %lld", (long long)w->inst->due_ms);
    if (w->inst->orchestration.pending.activities)
        buf_printf(text, ", %u to run", w->inst->orchestration.pending.activities);
    buf_byte(text, '\n');
}

/* ---- stepping ---- */

static void drop_session(struct world *w)
{
    if (w->inst->orchestration.session)
        session_free(w->inst->orchestration.session);
}

static struct instance *instance_make(const struct world *w)
{
    const char *name = w->program->orchestration ? w->program->orchestration : "Program";
    return instance_new(1, INSTANCE_ORCHESTRATION, STR("it"), str_of(name), 0);
}

static void restart(struct world *w)
{
    drop_session(w);
    struct buf *history = &w->inst->orchestration.history;
    struct instance *again = instance_make(w);
    struct str log = {history->at, history->len};
    assert_int_equal(instance_restore(again, STR(""), STR(""), log, &w->mem), 0);
    assert_int_equal(again->due_ms, w->inst->due_ms);
    assert_int_equal(again->status, w->inst->status);
    assert_int_equal(again->orchestration.last_ms, w->inst->orchestration.last_ms);
    assert_int_equal(again->orchestration.pending.activities,
                     w->inst->orchestration.pending.activities);
    instance_free(w->inst);
    w->inst = again;
}

static void turn(struct world *w, struct event *e)
{
    struct buf log = {0};
    struct outcome outcome;
    if (w->is_restarted && e->type != EVENT_EXECUTION_STARTED)
        restart(w);
    outcome_init(&outcome, &log, &w->mem);
    e->time_ms = w->now_ms;
    if (!w->inst->orchestration.session)
        session_new(w->inst, &w->app, &w->pool);
    session_turn(w->inst->orchestration.session, e, &outcome);
    assert_int_equal(instance_apply(w->inst, log.at, log.len, &w->mem), 0);
    put_events(w, &log);
    put_outcome(w, &outcome);
    put_status(w);
    buf_append(&w->trace->log, log.at, log.len);
    buf_free(&log);
    if (w->inst->status != KS_RUNNING)
        drop_session(w);
    w->now_ms += SECOND_MS;
}

/* ---- the script ---- */

/* The next word of the line; empty after the last. */
static const char *word(struct world *w, const char **line)
{
    while (**line == ' ')
        ++*line;
    size_t len = strcspn(*line, " ");
    const char *ret = arena_strndup(&w->mem, *line, len);
    *line += len;
    return ret;
}

static const ks_val *json(struct world *w, const char *line)
{
    const ks_val *val = ks_parse_json(&w->mem, line, strlen(line));
    if (ks_is_error(val))
        fail_msg("the script has no JSON: %s", line);
    return val;
}

static void complete(struct world *w, uint32_t id, const ks_val *val)
{
    const struct pending *pending = instance_pending(w->inst, id);
    assert_true(pending && pending->kind == PENDING_ACTIVITY);
    turn(w, &(struct event){.type = EVENT_TASK_COMPLETED, .id = id, .val = val});
}

static void fire(struct world *w, uint32_t id)
{
    const struct pending *pending = instance_pending(w->inst, id);
    assert_true(pending && pending->kind == PENDING_TIMER);
    if (pending->due_ms > w->now_ms)
        w->now_ms = pending->due_ms;
    turn(w, &(struct event){.type = EVENT_TIMER_FIRED, .id = id});
}

/* What the app's table does not have under its name is not found by it. */
static void remove_function(struct world *w, const char *name)
{
    for (size_t i = 0; i < FUNCTIONS_MAX; i++)
        if (w->functions[i].name && strcmp(w->functions[i].name, name) == 0)
            w->functions[i].name = "Removed";
    drop_session(w);
}

static void run_line(struct world *w, const char *line)
{
    const char *command = word(w, &line);
    const char *first = strcmp(command, "start") == 0 ? "" : word(w, &line);
    uint32_t n = (uint32_t)strtoul(first, NULL, 10);
    if (strcmp(command, "start") == 0) {
        turn(w, &(struct event){.type = EVENT_EXECUTION_STARTED, .val = json(w, line)});
    } else if (strcmp(command, "event") == 0) {
        turn(w, &(struct event){.type = EVENT_EVENT_RAISED,
                                .name = str_of(first),
                                .val = json(w, line)});
    } else if (strcmp(command, "result") == 0) {
        complete(w, n, json(w, line));
    } else if (strcmp(command, "fail") == 0) {
        complete(w, n, ks_fail(&w->mem, word(w, &line), "it did not work"));
    } else if (strcmp(command, "timer") == 0) {
        fire(w, n);
    } else if (strcmp(command, "reverse") == 0) {
        while (n--)
            complete(w, n, ks_integer(&w->mem, n));
    } else if (strcmp(command, "change") == 0) {
        w->functions[0].orchestration.run = w->program->changed;
        w->trace->was_changed = true;
        drop_session(w);
    } else if (strcmp(command, "remove") == 0) {
        remove_function(w, first);
    } else {
        fail_msg("the script has the command %s", command);
    }
}

static void run_script(struct world *w)
{
    for (const char *at = w->program->script; *at;) {
        size_t len = strcspn(at, ";");
        const char *line = arena_strndup(&w->mem, at, len);
        at += len + (at[len] == ';');
        while (*line == ' ')
            line++;
        buf_printf(&w->trace->text, "> %s\n", line);
        run_line(w, line);
    }
}

void trace_run(struct trace *t, const struct program *p, const ks_function *functions,
               bool is_restarted)
{
    char why[256];
    struct world w = {.trace = t, .program = p, .is_restarted = is_restarted};
    size_t n = 0;
    *t = (struct trace){0};
    arena_init(&w.mem, 4096);
    w.functions[n++] = (ks_function)KS_ORCHESTRATION("Program", p->code);
    for (; functions->kind != KS_FN_END && n + 1 < FUNCTIONS_MAX; functions++)
        w.functions[n++] = *functions;
    if (app_init(&w.app, w.functions, NULL, why, sizeof why) < 0)
        fail_msg("%s", why);
    w.inst = instance_make(&w);
    run_script(&w);
    drop_session(&w);
    instance_free(w.inst);
    coroutine_pool_free(&w.pool);
    app_free(&w.app);
    arena_free(&w.mem);
}

void trace_free(struct trace *t)
{
    buf_free(&t->text);
    buf_free(&t->log);
}

/* ---- files ---- */

static void file_name(char *ret, size_t size, const char *name)
{
    const char *slash = strrchr(__FILE__, '/');
    int folder_len = slash ? (int)(slash - __FILE__) + 1 : 0;
    snprintf(ret, size, "%.*straces/%s.txt", folder_len, __FILE__, name);
}

void trace_expect(const char *name, const struct buf *text)
{
    char path[512];
    struct buf want = {0};
    file_name(path, sizeof path, name);
    if (getenv("UPDATE")) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(text->at, 1, text->len, file), text->len);
        assert_int_equal(fclose(file), 0);
        return;
    }
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s is not there: make it with UPDATE=1 and review it", path);
    for (size_t n = 1; n;) {
        n = fread(buf_reserve(&want, 4096), 1, 4096, file);
        want.len += n;
    }
    fclose(file);
    bool is_same = want.len == text->len && memcmp(want.at, text->at, want.len) == 0;
    if (!is_same)
        fprintf(stderr, "%s has:\n%.*s\nit came out as:\n%.*s\n", path, (int)want.len, want.at,
                (int)text->len, text->at);
    buf_free(&want);
    assert_true(is_same);
}
