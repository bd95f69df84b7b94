#include "model_trace.h"

#include "model_app.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FUNCTIONS_MAX = 96, IDS_MAX = 16, KEYS_MAX = 1024, TEXT_MAX = 1 << 17 };
#define FIRST_MS 1798135200000

static const char *const way_names[] = {"resident", "evicted", "crashed"};

static struct {
    const struct model_program *program;
    bool is_changed;
    struct {
        char key[128];
        size_t runs;
    } keys[KEYS_MAX]; /* as a service out there would count */
    ks_function functions[FUNCTIONS_MAX];
    const ks_answer *last_call;
} app;

struct seen {
    char id[64];
    char *history; /* as text, a line an event */
    char see[8192];
};

struct model_trace {
    ks_test *t;
    enum way way;
    struct seen seen[IDS_MAX];
    size_t log_len;
    char *text;
    size_t len;
};

/* ---- the app ---- */

static const ks_val *model_work(ks_activity *a)
{
    size_t i = 0;
    while (app.keys[i].key[0] && strcmp(app.keys[i].key, a->key) != 0)
        i++;
    assert_true(i < KEYS_MAX - 1);
    snprintf(app.keys[i].key, sizeof app.keys[i].key, "%s", a->key);
    const ks_val *type = ks_at(ks_get(a->input, "fail"), app.keys[i].runs++);
    ks_signal(a->out, (ks_ref){"Account", "work"}, "Deposit", ks_integer(a->mem, 1));
    if (ks_get(a->input, "log"))
        ks_log(a->out, "%s", ks_text(ks_get(a->input, "log")));
    if (type)
        return ks_fail(a->mem, ks_text(type), "run %zu failed", app.keys[i].runs);
    return ks_get(a->input, "value");
}

static const ks_val *run_program(ks_orch *o)
{
    const struct model_program *p = app.program;
    return app.is_changed && p->changed ? p->changed(o) : p->code(o);
}

static void add_all(const ks_function *functions, size_t *n)
{
    for (const ks_function *f = functions; f && f->kind != KS_FN_END; f++)
        app.functions[(*n)++] = *f;
    assert_true(*n < FUNCTIONS_MAX);
}

ks_test *model_open(const struct model_program *p, const ks_function *functions)
{
    const ks_function own[] = {KS_ORCHESTRATION("Program", run_program),
                               KS_ACTIVITY("Work", model_work),
                               KS_ACTIVITY_INLINE("WorkInline", model_work), KS_END};
    size_t n = 0;
    memset(&app, 0, sizeof app);
    app.program = p;
    add_all(own, &n);
    add_all(functions, &n);
    add_all(model_functions, &n);
    app.functions[n] = (ks_function)KS_END;
    ks_test *t = ks_test_open(app.functions);
    ks_test_hold_activities(t, true);
    return t;
}

void model_rename(const char *name, const char *new_name)
{
    ks_function *f = app.functions;
    while (f->kind != KS_FN_END && strcmp(f->name, name) != 0)
        f++;
    assert_true(f->kind != KS_FN_END);
    f->name = new_name;
}

const char *model_get(ks_test *t, const char *function, const char *id)
{
    char target[256];
    snprintf(target, sizeof target, "/api/%s/%s", function, id);
    return ks_test_get(t, target)->body;
}

/* ---- text ---- */

__attribute__((format(printf, 2, 3))) static void put(struct model_trace *m, const char *format,
                                                      ...)
{
    va_list args;
    va_start(args, format);
    m->len += (size_t)vsnprintf(m->text + m->len, TEXT_MAX - m->len, format, args);
    va_end(args);
    assert_true(m->len < TEXT_MAX);
}

/* Writes text with the times in it relative to the first. */
static void put_times(struct model_trace *m, const char *at)
{
    while (*at) {
        char *end;
        long long n = isdigit((unsigned char)*at) ? strtoll(at, &end, 10) : 0;
        if (n >= FIRST_MS && n < FIRST_MS + KS_DAYS(40000) && end - at == 13) {
            put(m, "T+%lld", n - FIRST_MS);
            at = end;
        } else {
            do
                put(m, "%c", *at++);
            while (*at && isdigit((unsigned char)at[-1]) && isdigit((unsigned char)*at));
        }
    }
}

/* The events of a JSON array of objects, a line each. */
static char *lines_of(const char *json)
{
    char *lines = calloc(1, strlen(json) + 2);
    size_t len = 0;
    int depth = 0;
    bool is_string = false;
    if (json[0] != '[')
        return lines;
    for (const char *at = json + 1; *at; at++) {
        if (*at == '"' && at[-1] != '\\')
            is_string = !is_string;
        depth += is_string ? 0 : (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
        if (depth == 0 && !is_string && (*at == ',' || *at == ']'))
            continue;
        if (depth < 0)
            break;
        lines[len++] = *at;
        if (depth == 0 && *at == '}')
            lines[len++] = '\n';
    }
    return lines;
}

/* ---- what came of a step ---- */

static void put_instance(struct model_trace *m, struct seen *seen)
{
    char *lines = lines_of(model_get(m->t, "History", seen->id));
    const char *see = model_get(m->t, "See", seen->id);
    size_t had = strlen(seen->history);
    bool goes_on = strncmp(lines, seen->history, had) == 0;
    if (!goes_on)
        put(m, "  %s anew\n", seen->id);
    for (const char *at = lines + (goes_on ? had : 0); *at;) {
        const char *end = strchr(at, '\n');
        char *line = strndup(at, (size_t)(end - at));
        put(m, "  %s ", seen->id);
        put_times(m, line);
        put(m, "\n");
        free(line);
        at = end + 1;
    }
    if (strcmp(see, seen->see) != 0) {
        put(m, "  %s is ", seen->id);
        put_times(m, see);
        put(m, "\n");
    }
    free(seen->history);
    seen->history = lines;
    snprintf(seen->see, sizeof seen->see, "%s", see);
}

static void put_news(struct model_trace *m)
{
    for (size_t i = 0; i < IDS_MAX && m->seen[i].history; i++)
        put_instance(m, &m->seen[i]);
    const char *log = ks_test_log(m->t);
    for (const char *at = log + m->log_len; *at;) {
        const char *end = strchr(at, '\n');
        put(m, "  log: %.*s\n", (int)(end - at), at);
        at = end + 1;
    }
    m->log_len = strlen(log);
}

/* Notes the id a step is about, to look at from then on. */
static void watch(struct model_trace *m, const char *step)
{
    const char *id = strstr(step, "\"id\":\"");
    size_t i = 0, len = id ? strcspn(id + 6, "\"") : 0;
    if (!id || len >= sizeof m->seen[0].id || strstr(step, "\"signal\"") ||
        strstr(step, "\"call\""))
        return;
    while (i < IDS_MAX && m->seen[i].history &&
           !(strlen(m->seen[i].id) == len && strncmp(m->seen[i].id, id + 6, len) == 0))
        i++;
    assert_true(i < IDS_MAX);
    if (m->seen[i].history)
        return;
    snprintf(m->seen[i].id, sizeof m->seen[i].id, "%.*s", (int)len, id + 6);
    m->seen[i].history = strdup("");
}

/* ---- steps ---- */

void model_do(ks_test *t, const char *step)
{
    static const char json[] = "application/json";
    if (strncmp(step, "do ", 3) == 0) {
        const ks_answer *a = ks_test_post(t, "/api/Do", json, step + 3);
        if (a->status != 202)
            fail_msg("%s: %d %s", step, a->status, a->body);
    } else if (strncmp(step, "try ", 4) == 0) {
        app.last_call = ks_test_post(t, "/api/Do", json, step + 4);
    } else if (strncmp(step, "call ", 5) == 0) {
        app.last_call = ks_test_post(t, "/api/Call", json, step + 5);
    } else if (strcmp(step, "run") == 0) {
        ks_test_hold_activities(t, false);
        ks_test_run(t);
        ks_test_hold_activities(t, true);
    } else if (strncmp(step, "advance ", 8) == 0) {
        ks_test_advance(t, atoll(step + 8));
    } else if (strcmp(step, "crash") == 0) {
        ks_test_crash(t);
    } else if (strcmp(step, "change") == 0) {
        app.is_changed = !app.is_changed;
        ks_test_evict(t);
    } else {
        fail_msg("a script has the step \"%s\"", step);
    }
}

static void step(struct model_trace *m, const char *line)
{
    put(m, "> %s\n", line);
    if (m->way == WAY_EVICTED)
        ks_test_evict(m->t);
    else if (m->way == WAY_CRASHED)
        ks_test_crash(m->t);
    watch(m, line);
    if (strncmp(line, "state ", 6) == 0) {
        put(m, "  %s\n", model_get(m->t, "State", line + 6));
    } else if (strncmp(line, "history ", 8) == 0) {
        put_times(m, model_get(m->t, "History", line + 8));
        put(m, "\n");
    } else if (strcmp(line, "answer") == 0) {
        put(m, "  %d %s\n", app.last_call->status, app.last_call->body);
    } else {
        model_do(m->t, line);
    }
    put_news(m);
}

char *model_trace_run(const struct model_program *p, const ks_function *functions, enum way way)
{
    struct model_trace m = {.t = model_open(p, functions), .way = way};
    m.text = calloc(1, TEXT_MAX);
    for (const char *at = p->script; *at;) {
        size_t len = strcspn(at, "\n");
        char *line = strndup(at, len);
        if (len)
            step(&m, line);
        free(line);
        at += len + (at[len] == '\n');
    }
    ks_test_close(m.t);
    for (size_t i = 0; i < IDS_MAX; i++)
        free(m.seen[i].history);
    return m.text;
}

static char *read_file(const char *path)
{
    char *text = calloc(1, TEXT_MAX);
    FILE *f = fopen(path, "r");
    if (f) {
        if (fread(text, 1, TEXT_MAX - 1, f) == 0)
            text[0] = 0;
        fclose(f);
    }
    return text;
}

static void expect_text(const struct model_program *p, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "tests/traces/model_%s.txt", p->name);
    if (getenv("UPDATE")) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
    }
    char *want = read_file(path);
    if (strcmp(want, text) != 0)
        print_error("%s is another now:\n%s", path, text);
    assert_string_equal(text, want);
    free(want);
}

void model_trace_expect(const struct model_program *p, const ks_function *functions)
{
    char *resident = model_trace_run(p, functions, WAY_RESIDENT);
    for (enum way way = WAY_EVICTED; way <= WAY_CRASHED; way++) {
        char *other = model_trace_run(p, functions, way);
        if (strcmp(resident, other) != 0)
            print_error("%s, %s:\n%s\n%s:\n%s", p->name, way_names[WAY_RESIDENT], resident,
                        way_names[way], other);
        assert_string_equal(other, resident);
        free(other);
    }
    expect_text(p, resident);
    free(resident);
}
