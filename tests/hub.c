#include "hub.h"

#include "core/entity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the app ---- */

static const ks_val *list_add(ks_entity *e)
{
    ks_append(e, "items", e->arg);
    return NULL;
}

/* Adds n, and has itself called with n - 1, down to 0. */
static const ks_val *list_chain(ks_entity *e)
{
    int64_t n = ks_int(e->arg);
    ks_append(e, "items", e->arg);
    if (n > 0)
        ks_signal(e->out, (ks_ref){"List", e->key}, "chain", ks_integer(e->mem, n - 1));
    return NULL;
}

/* Counts what it is told. */
static const ks_val *list_tally(ks_entity *e)
{
    ks_add(e, ks_text(e->arg), 1);
    return NULL;
}

static const ks_val *list_look(ks_entity *e)
{
    return e->state;
}

static const ks_val *list_put(ks_entity *e)
{
    ks_set(e, "last", e->arg);
    return NULL;
}

/* The list goes after so many milliseconds. */
static const ks_val *list_expire(ks_entity *e)
{
    entity_expire(e, e->now_ms + ks_int(e->arg));
    return NULL;
}

static const ks_val *list_delete(ks_entity *e)
{
    ks_delete(e);
    return NULL;
}

static const ks_val *list_refuse(ks_entity *e)
{
    ks_append(e, "items", ks_string(e->mem, "never"));
    ks_signal(e->out, (ks_ref){"List", "other"}, "add", e->arg);
    return ks_fail(e->mem, "Refused", "not today");
}

static const ks_val *report(ks_orch *o, const char *what)
{
    ks_signal(o->out, (ks_ref){"List", o->id}, "add", ks_string(o->mem, what));
    return ks_string(o->mem, what);
}

/* Input: milliseconds. */
static const ks_val *sleeper(ks_orch *o)
{
    int64_t due_ms = o->now_ms + ks_int(o->input);
    ks_await(ks_timer(o, due_ms));
    return report(o, o->now_ms < due_ms ? "early" : "fired");
}

/* Input: when it is due. The list "naps" counts them. */
static const ks_val *napper(ks_orch *o)
{
    int64_t due_ms = ks_int(o->input);
    ks_await(ks_timer(o, due_ms));
    ks_signal(o->out, (ks_ref){"List", "naps"}, "tally",
              ks_string(o->mem, o->now_ms < due_ms ? "early" : "fired"));
    return NULL;
}

static const ks_val *waiter(ks_orch *o)
{
    for (int i = 0; i < 3; i++)
        ks_signal(o->out, (ks_ref){"List", o->id}, "add", ks_await(ks_event(o, "Go")));
    return report(o, "done");
}

static const ks_val *worker(ks_orch *o)
{
    const ks_val *result = ks_await(ks_call(o, "Work", o->input));
    ks_signal(o->out, (ks_ref){"List", o->id}, "add", result);
    ks_await(ks_event(o, "Go"));
    return NULL;
}

/* Works, and sleeps at the same time; input: milliseconds. */
static const ks_val *work_and_sleep(ks_orch *o)
{
    ks_task *timer = ks_timer(o, o->now_ms + ks_int(o->input));
    ks_await(ks_call(o, "Work", o->input));
    report(o, "worked");
    ks_await(timer);
    return report(o, "fired");
}

/* Calls five times, waits for all. */
static const ks_val *fan_out(ks_orch *o)
{
    ks_task *tasks[5];
    for (int64_t i = 0; i < 5; i++)
        tasks[i] = ks_call(o, "Work", ks_integer(o->mem, i));
    ks_await(ks_all_of(o, tasks, 5));
    return report(o, "worked");
}

static const ks_val *careless(ks_orch *o)
{
    ks_call(o, "Work", o->input);
    return NULL;
}

static const ks_val *two_timers(ks_orch *o)
{
    ks_task *late = ks_timer(o, o->now_ms + 2000);
    ks_task *early = ks_timer(o, o->now_ms + 1000);
    return report(o, ks_winner(ks_when_any(o, late, early)) == early ? "early" : "late");
}

/* Waits for an event or the deadline, again and again; input: milliseconds. */
static const ks_val *deadline(ks_orch *o)
{
    int64_t due_ms = o->now_ms + ks_int(o->input);
    for (int i = 0; i < 3; i++) {
        ks_task *timer = ks_timer(o, due_ms);
        bool is_due = ks_winner(ks_when_any(o, ks_event(o, "Go"), timer)) == timer;
        report(o, is_due ? "due" : "went");
        ks_await(ks_event(o, "Next"));
    }
    return NULL;
}

static const ks_val *work(ks_activity *a)
{
    ks_signal(a->out, (ks_ref){"List", "work"}, "add", ks_string(a->mem, a->key));
    return a->input;
}

/* ---- its webhooks ---- */

static const ks_val *body_of(ks_http *h)
{
    const ks_val *body = ks_body(h);
    return ks_len(body) ? ks_parse_json(h->mem, ks_text(body), ks_len(body)) : NULL;
}

static int start_one(ks_http *h)
{
    ks_start(h->out, ks_route(h, "name"), ks_route(h, "id"), body_of(h));
    return ks_reply_empty(h, 202);
}

/* Nappers n0, n1, ..., the i-th due i % 1000 ms after the time in the body. */
static int start_nappers(ks_http *h)
{
    int64_t count = strtoll(ks_route(h, "count"), NULL, 10), from_ms = ks_int(body_of(h));
    for (int64_t i = 0; i < count; i++)
        ks_start(h->out, "Napper", ks_format(h->mem, "n%lld", (long long)i),
                 ks_integer(h->mem, from_ms + i % 1000));
    return ks_reply_empty(h, 202);
}

static int raise_one(ks_http *h)
{
    ks_raise(h->out, ks_route(h, "id"), ks_route(h, "name"), body_of(h));
    return ks_reply_empty(h, 202);
}

static int signal_one(ks_http *h)
{
    ks_signal(h->out, (ks_ref){"List", ks_route(h, "key")}, ks_route(h, "name"), body_of(h));
    return ks_reply_empty(h, 202);
}

static int get_list(ks_http *h)
{
    const ks_val *items = ks_get(ks_state(h, (ks_ref){"List", ks_route(h, "key")}), "items");
    return items ? ks_reply_json(h, 200, items) : ks_reply_text(h, 404, "none");
}

static int get_state(ks_http *h)
{
    return ks_reply_json(h, 200, ks_state(h, (ks_ref){"List", ks_route(h, "key")}));
}

static int get_two(ks_http *h)
{
    size_t first = ks_len(ks_get(ks_state(h, (ks_ref){"List", ks_route(h, "first")}), "items"));
    size_t second = ks_len(ks_get(ks_state(h, (ks_ref){"List", ks_route(h, "second")}), "items"));
    return ks_reply_text(h, 200, "%zu and %zu", first, second);
}

static int get_status(ks_http *h)
{
    static const char *const names[] =
        {[KS_MISSING] = "missing",       [KS_PENDING] = "pending",        [KS_RUNNING] = "running",
         [KS_SUSPENDED] = "suspended",   [KS_COMPLETED] = "completed",    [KS_FAILED] = "failed",
         [KS_TERMINATED] = "terminated", [KS_QUARANTINED] = "quarantined"};
    return ks_reply_text(h, 200, "%s", names[ks_status(h, ks_route(h, "id"))]);
}

/* Reads, changes, and reads again in one step. */
static int read_and_add(ks_http *h)
{
    size_t before = ks_len(ks_get(ks_state(h, (ks_ref){"List", ks_route(h, "key")}), "items"));
    ks_signal(h->out, (ks_ref){"List", ks_route(h, "key")}, "add",
              ks_integer(h->mem, (int64_t)before));
    return ks_reply_text(h, 200, "%zu", before);
}

static void tell_length(ks_feed *f)
{
    size_t len = ks_len(ks_get(f->state, "items"));
    const char *id = ks_format(f->mem, "%zu", len);
    if (strcmp(id, f->seen) != 0)
        ks_emit(f, id, "length", ks_integer(f->mem, (int64_t)len));
}

static int follow(ks_http *h)
{
    return ks_reply_events(h, (ks_ref){"List", ks_route(h, "key")}, tell_length);
}

static const ks_function functions[] = {
    KS_ORCHESTRATION("Sleeper", sleeper),
    KS_ORCHESTRATION("Napper", napper),
    KS_ORCHESTRATION("Waiter", waiter),
    KS_ORCHESTRATION("Worker", worker),
    KS_ORCHESTRATION("WorkAndSleep", work_and_sleep),
    KS_ORCHESTRATION("Deadline", deadline),
    KS_ORCHESTRATION("FanOut", fan_out),
    KS_ORCHESTRATION("Careless", careless),
    KS_ORCHESTRATION("TwoTimers", two_timers),
    KS_ACTIVITY("Work", work),
    KS_ENTITY("List", "add", list_add),
    KS_ENTITY("List", "chain", list_chain),
    KS_ENTITY("List", "tally", list_tally),
    KS_ENTITY("List", "look", list_look),
    KS_ENTITY("List", "put", list_put),
    KS_ENTITY("List", "expire", list_expire),
    KS_ENTITY("List", "delete", list_delete),
    KS_ENTITY("List", "refuse", list_refuse),
    KS_HTTP("Start", "POST", "start/{name}/{id}", KS_IDEMPOTENT, start_one),
    KS_HTTP("StartNappers", "POST", "nappers/{count}", 0, start_nappers),
    KS_HTTP("Raise", "POST", "raise/{id}/{name}", 0, raise_one),
    KS_HTTP("Signal", "POST", "list/{key}/{name}", 0, signal_one),
    KS_HTTP("GetList", "GET", "list/{key}", 0, get_list),
    KS_HTTP("GetState", "GET", "state/{key}", 0, get_state),
    KS_HTTP("GetTwo", "GET", "lists/{first}/{second}", 0, get_two),
    KS_HTTP("ReadAndAdd", "POST", "list/{key}", KS_IDEMPOTENT, read_and_add),
    KS_HTTP("GetStatus", "GET", "status/{id}", 0, get_status),
    KS_HTTP("Follow", "GET", "follow/{key}", 0, follow),
    KS_END,
};

/* ---- the store ---- */

struct told_store {
    struct store store;
    struct store *inner;
    struct hub *hub;
};

static int told_commit(struct store *s, const struct commit *commit, uint64_t *ret_sequence)
{
    struct told_store *t = (struct told_store *)s;
    if (t->hub->commit_error) {
        if (t->hub->keeps_refused)
            assert_int_equal(store_commit(t->inner, commit, ret_sequence), 0);
        snprintf(s->why, sizeof s->why, "the test refuses commits (%d)", t->hub->commit_error);
        return t->hub->commit_error;
    }
    t->hub->commits++;
    return store_commit(t->inner, commit, ret_sequence);
}

static int told_load(struct store *s, struct str id, struct instance **ret)
{
    struct told_store *t = (struct told_store *)s;
    t->hub->loads++;
    return store_load(t->inner, id, ret);
}

static int told_load_uid(struct store *s, uint64_t uid, struct instance **ret)
{
    struct told_store *t = (struct told_store *)s;
    t->hub->loads++;
    return store_load_uid(t->inner, uid, ret);
}

static int told_due(struct store *s, int64_t from_ms, int64_t until_ms,
                    bool (*each)(void *ctx, const struct due *due), void *ctx)
{
    return store_due(((struct told_store *)s)->inner, from_ms, until_ms, each, ctx);
}

static int told_query(struct store *s, const struct query *query, struct query_page *ret)
{
    return store_query(((struct told_store *)s)->inner, query, ret);
}

static void told_tick(struct store *s)
{
    store_tick(((struct told_store *)s)->inner);
}

static enum store_room told_room(struct store *s)
{
    return ((struct told_store *)s)->hub->room;
}

static int told_close(struct store *s)
{
    struct told_store *t = (struct told_store *)s;
    int result = store_close(t->inner);
    free(t);
    return result;
}

static void told_abandon(struct store *s)
{
    struct told_store *t = (struct told_store *)s;
    store_abandon(t->inner);
    free(t);
}

static const struct store_ops told_ops = {.commit = told_commit,
                                          .load = told_load,
                                          .load_uid = told_load_uid,
                                          .due = told_due,
                                          .query = told_query,
                                          .tick = told_tick,
                                          .room = told_room,
                                          .close = told_close,
                                          .abandon = told_abandon};

static int open_store(void *ctx, struct table *table, struct recovered *ret,
                      struct store **ret_store, char *ret_why, size_t why_size)
{
    struct hub *h = ctx;
    if (h->open_error) {
        snprintf(ret_why, why_size, "the test refuses to open (%d)", h->open_error);
        return h->open_error;
    }
    struct told_store *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->store = (struct store){.ops = &told_ops, .env = &h->env, .table = table};
    t->hub = h;
    int result = store_memory_open(&h->env, table, &h->disk, ret, &t->inner);
    struct instance *inst;
    for (uint64_t uid = 1; h->recovers_all && uid < ret->next_uid; uid++)
        assert_int_equal(store_load_uid(t->inner, uid, &inst), 0);
    h->opens++;
    *ret_store = &t->store;
    return result;
}

/* ---- the world ---- */

static int64_t wall_ms(void *self)
{
    return ((struct hub *)self)->wall_ms;
}

static int64_t boot_ns(void *self)
{
    return ((struct hub *)self)->boot_ms * 1000000;
}

static void random_bytes(void *self, void *ret_bytes, size_t len)
{
    struct hub *h = self;
    for (size_t i = 0; i < len; i++) {
        h->random = h->random * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)ret_bytes)[i] = (uint8_t)(h->random >> 56);
    }
}

static void submit(void *self, struct job *job, bool is_activity)
{
    struct hub *h = self;
    assert_true(is_activity);
    job->next = NULL;
    if (h->last_job)
        h->last_job->next = job;
    else
        h->first_job = job;
    h->last_job = job;
}

static void log_line(void *ctx, const char *line)
{
    buf_printf(&((struct hub *)ctx)->log, "%s\n", line);
}

static void wake(void *ctx)
{
    (void)ctx;
}

static const char *no_setting(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

static void answer(void *ctx, void *request, const struct http1_answer *a, bool is_held)
{
    struct hub_answer *ret = request;
    (void)ctx;
    ret->status = a->status;
    ret->is_held = is_held;
    snprintf(ret->body, sizeof ret->body, "%.*s", (int)a->body.len, a->body.len ? a->body.at : "");
}

/* The answer is the stream. */
static void *stream(void *ctx, void *request, const struct http1_answer *head, bool is_held,
                    struct listener *listener)
{
    struct hub *h = ctx;
    struct hub_answer *ret = request;
    assert_true(h->listener_count < HUB_LISTENERS_MAX);
    h->listeners[h->listener_count++] = listener;
    *ret = (struct hub_answer){.status = head->status, .is_held = is_held};
    return ret;
}

static bool stream_send(void *ctx, void *stream, struct shared *piece)
{
    struct hub_answer *ret = stream;
    size_t len = strlen(ret->body);
    (void)ctx;
    assert_true(len + piece->len < sizeof ret->body);
    memcpy(ret->body + len, piece->at, piece->len);
    return true;
}

static void start_process(struct hub *h)
{
    char why[512];
    struct partition_config config = {.env = &h->env,
                                      .app = &h->app,
                                      .limits = h->limits,
                                      .ctx = h,
                                      .open_store = open_store,
                                      .log = log_line,
                                      .wake = wake};
    if (partition_open(&config, &h->partition, why, sizeof why) < 0)
        fail_msg("%s", why);
    struct front_config front = {.app = &h->app,
                                 .routes = &h->routes,
                                 .env = &h->env,
                                 .partition = h->partition,
                                 .ctx = h,
                                 .answer = answer,
                                 .stream = stream,
                                 .stream_send = stream_send};
    h->front = front_new(&front);
}

/* Jobs go back to their partition without having run, as those of a process that dies. */
static void end_process(struct hub *h)
{
    for (struct job *job = h->first_job, *next; job; job = next) {
        next = job->next;
        job->done(job);
    }
    h->first_job = NULL;
    h->last_job = NULL;
    while (h->listener_count)
        front_stream_closed(h->front, h->listeners[--h->listener_count]);
    partition_abandon(h->partition);
    front_free(h->front);
}

void hub_open(struct hub *h, struct partition_limits limits)
{
    char why[512];
    *h = (struct hub){.wall_ms = HUB_START_MS, .boot_ms = 5000, .random = 7, .limits = limits};
    h->env = (struct env){.self = h,
                          .wall_ms = wall_ms,
                          .boot_ns = boot_ns,
                          .random = random_bytes,
                          .submit = submit};
    arena_init(&h->mem, 16384);
    if (app_init(&h->app, functions, front_builtin, why, sizeof why) < 0 ||
        routes_init(&h->routes, functions, why, sizeof why) < 0 ||
        settings_init(&h->settings, functions, no_setting, NULL, why, sizeof why) < 0)
        fail_msg("%s", why);
    h->app.settings = &h->settings;
    start_process(h);
}

void hub_close(struct hub *h)
{
    end_process(h);
    store_memory_free(h->disk);
    settings_free(&h->settings);
    routes_free(&h->routes);
    app_free(&h->app);
    arena_free(&h->mem);
    buf_free(&h->log);
}

int hub_set_up(void **state)
{
    static struct hub h;
    const struct partition_limits *limits = *state;
    hub_open(&h, *limits);
    *state = &h;
    return 0;
}

int hub_tear_down(void **state)
{
    hub_close(*state);
    return 0;
}

void hub_crash(struct hub *h)
{
    end_process(h);
    start_process(h);
}

/* ---- passes ---- */

bool hub_pass(struct hub *h)
{
    h->passes++;
    return front_round(h->front);
}

void hub_settle(struct hub *h)
{
    enum { SPINS = 20000 };
    for (int i = 0; i < SPINS; i++) {
        hub_pass(h);
        int64_t clock_ms = partition_clock_ms(h->partition);
        if (!front_has_requests(h->front) && partition_next_ms(h->partition) > clock_ms &&
            front_next_ms(h->front) > clock_ms)
            return;
    }
    fail_msg("passes have no end: next is %lld, now is %lld",
             (long long)partition_next_ms(h->partition),
             (long long)partition_clock_ms(h->partition));
}

void hub_advance(struct hub *h, int64_t ms)
{
    hub_settle(h);
    for (int64_t left = ms; left > 0;) {
        int64_t next_ms = partition_next_ms(h->partition) - partition_clock_ms(h->partition);
        int64_t step_ms = next_ms < left ? next_ms : left;
        h->wall_ms += step_ms;
        h->boot_ms += step_ms;
        left -= step_ms;
        hub_settle(h);
    }
}

/* ---- requests ---- */

static struct hub_answer *line(struct hub *h, const char *method, const char *body,
                               const char *target)
{
    struct http1_request *http = ks_alloc(&h->mem, sizeof *http);
    struct hub_answer *ret = ks_alloc(&h->mem, sizeof *ret);
    http->method = str_of(method);
    http->target = str_of(target);
    http->body = str_of(body ? body : "");
    front_request(h->front, ret, http);
    return ret;
}

struct hub_answer *hub_line(struct hub *h, const char *method, const char *body, const char *target,
                            ...)
{
    va_list args;
    va_start(args, target);
    const char *whole = arena_vformat(&h->mem, target, args);
    va_end(args);
    return line(h, method, body, whole);
}

const struct hub_answer *hub_ask(struct hub *h, const char *method, const char *body,
                                 const char *target, ...)
{
    va_list args;
    va_start(args, target);
    const char *whole = arena_vformat(&h->mem, target, args);
    va_end(args);
    struct hub_answer *ret = line(h, method, body, whole);
    for (int i = 0; i < 1000 && front_has_requests(h->front); i++)
        hub_pass(h);
    assert_int_not_equal(ret->status, 0);
    return ret;
}

void hub_expect(struct hub *h, const char *target, const char *body)
{
    assert_string_equal(hub_ask(h, "GET", NULL, "%s", target)->body, body);
}

void hub_post(struct hub *h, const char *target, const char *body)
{
    assert_int_equal(hub_ask(h, "POST", body, "%s", target)->status, 202);
}

/* ---- jobs ---- */

void hub_run_job(struct hub *h, size_t i)
{
    struct job *before = NULL, *job = h->first_job;
    for (; job && i > 0; i--) {
        before = job;
        job = job->next;
    }
    assert_non_null(job);
    if (before)
        before->next = job->next;
    else
        h->first_job = job->next;
    if (h->last_job == job)
        h->last_job = before;
    job->work(job);
    job->done(job);
}

size_t hub_jobs(const struct hub *h)
{
    size_t n = 0;
    for (const struct job *job = h->first_job; job; job = job->next)
        n++;
    return n;
}
