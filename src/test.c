/* keepsake_test.h: the front and the partition on a memory store, a clock that is wound by hand,
 * and jobs that run when they are pumped. */
#include "keepsake_test.h"

#include "base/die.h"
#include "core/coroutine.h"
#include "front/front.h"
#include "front/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_MS 1798135200000 /* 2026-12-24T18:00:00Z */

struct override {
    const char *name, *value;
};

/* An answer that goes on; all it is sent is taken at once. */
struct open_stream {
    struct open_stream *next;
    ks_answer *answer;
    struct listener *listener;
    struct buf body;
};

/* An activity that has begun and takes time. */
struct running {
    struct running *next;
    struct job *job;
    struct coroutine *coroutine;
    int64_t until_ms;
};

struct ks_test {
    ks_arena mem; /* of all answers */
    const ks_function *functions;
    struct env env;
    int64_t now_ms;
    uint64_t random;
    struct job *first_job, *last_job; /* activities */
    bool holds_activities, takes_time;
    struct running *running; /* in the order they began */
    struct running *current; /* whose stack we are on */
    struct coroutine_pool pool;
    ks_test_http_fn *on_http;
    void *http_ctx;
    struct override overrides[16];
    size_t override_count;
    struct app app;
    struct routes routes;
    ks_settings settings;
    struct memory_disk *disk;
    struct partition *partition;
    struct front *front;
    struct open_stream *streams;
    struct buf log;
    bool is_open;
    uint64_t blackbox[64];
};

/* ---- the world ---- */

static int64_t wall_ms(void *self)
{
    return ((ks_test *)self)->now_ms;
}

static int64_t boot_ns(void *self)
{
    return (((ks_test *)self)->now_ms - FIRST_MS + 1000) * 1000000;
}

/* splitmix64 (Steele, Lea, Flood 2014) */
static void random_bytes(void *self, void *ret_bytes, size_t len)
{
    ks_test *t = self;
    for (size_t i = 0; i < len; i++) {
        uint64_t z = (t->random += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        ((uint8_t *)ret_bytes)[i] = (uint8_t)(z ^ (z >> 31));
    }
}

static void submit(void *self, struct job *job, bool is_activity)
{
    ks_test *t = self;
    if (!is_activity) {
        job->work(job);
        job->done(job);
        return;
    }
    job->next = NULL;
    if (t->last_job)
        t->last_job->next = job;
    else
        t->first_job = job;
    t->last_job = job;
}

static const ks_val *exchange(void *self, ks_arena *mem, const ks_http_request *request)
{
    ks_test *t = self;
    return t->on_http ? t->on_http(t->http_ctx, mem, request)
                      : ks_fail(mem, KS_ERROR_UNREACHABLE, "nobody answers in this test");
}

static void log_line(void *ctx, const char *line)
{
    ks_test *t = ctx;
    buf_printf(&t->log, "%s\n", line);
}

static void wake(void *ctx)
{
    (void)ctx; /* whoever pumps jobs runs a pass after it */
}

static int open_store(void *ctx, struct table *table, struct recovered *ret,
                      struct store **ret_store, char *ret_why, size_t why_size)
{
    ks_test *t = ctx;
    (void)ret_why;
    (void)why_size;
    return store_memory_open(&t->env, table, &t->disk, ret, ret_store);
}

static const char *setting_get(void *ctx, const char *name)
{
    const ks_test *t = ctx;
    for (size_t i = 0; i < t->override_count; i++)
        if (strcmp(t->overrides[i].name, name) == 0)
            return t->overrides[i].value;
    return NULL;
}

static void settle(ks_test *t);

/* ---- answers ---- */

static void answer(void *ctx, void *request, const struct http1_answer *a, bool is_held)
{
    ks_test *t = ctx;
    ks_answer *ret = request;
    const char *type = a->content_type ? a->content_type : "";
    const char *headers = a->headers ? a->headers : "";
    size_t body_len = a->head_only ? 0 : a->body.len;
    (void)is_held; /* the test looks only after the commit */
    ret->status = a->status;
    ret->content_type = arena_strndup(&t->mem, type, strlen(type));
    ret->headers = arena_strndup(&t->mem, headers, strlen(headers));
    ret->body = arena_strndup(&t->mem, a->body.at ? a->body.at : "", body_len);
    ret->body_len = body_len;
}

static void stream_append(ks_test *t, struct open_stream *s, const char *bytes, size_t len)
{
    buf_append(&s->body, bytes, len);
    s->answer->body = arena_strndup(&t->mem, s->body.at, s->body.len);
    s->answer->body_len = s->body.len;
}

static void *stream(void *ctx, void *request, const struct http1_answer *head, bool is_held,
                    struct listener *listener)
{
    ks_test *t = ctx;
    struct open_stream *s = die_zalloc(sizeof *s);
    answer(ctx, request, head, is_held);
    *s = (struct open_stream){.next = t->streams, .answer = request, .listener = listener};
    t->streams = s;
    stream_append(t, s, head->body.at, head->body.len);
    return s;
}

static bool stream_send(void *ctx, void *to, struct shared *piece)
{
    stream_append(ctx, to, piece->at, piece->len);
    return true;
}

static void close_streams(ks_test *t)
{
    while (t->streams) {
        struct open_stream *s = t->streams;
        t->streams = s->next;
        front_stream_closed(t->front, s->listener);
        buf_free(&s->body);
        free(s);
    }
}

static void respond(void *ctx, uint64_t token, const ks_val *result)
{
    front_respond(((ks_test *)ctx)->front, token, result);
}

/* ---- opening ---- */

static void open_world(ks_test *t)
{
    char why[512];
    struct partition_config partition = {.env = &t->env,
                                         .app = &t->app,
                                         .ctx = t,
                                         .open_store = open_store,
                                         .log = log_line,
                                         .wake = wake,
                                         .respond = respond};
    if (app_init(&t->app, t->functions, front_builtin, why, sizeof why) < 0 ||
        routes_init(&t->routes, t->functions, why, sizeof why) < 0 ||
        settings_init(&t->settings, t->functions, setting_get, t, why, sizeof why) < 0)
        die("%s", why);
    t->app.settings = &t->settings;
    if (partition_open(&partition, &t->partition, why, sizeof why) < 0)
        die("%s", why);
    struct front_config front = {.app = &t->app,
                                 .routes = &t->routes,
                                 .env = &t->env,
                                 .partition = t->partition,
                                 .ctx = t,
                                 .answer = answer,
                                 .stream = stream,
                                 .stream_send = stream_send};
    t->front = front_new(&front);
    t->is_open = true;
}

static void end_running(ks_test *t, struct running *r)
{
    struct running **at = &t->running;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
    coroutine_free(&t->pool, r->coroutine);
    r->job->done(r->job);
    free(r);
}

static void close_world(ks_test *t)
{
    /* Jobs are the partition's: those that never ran have to be given back to it. */
    while (t->first_job) {
        struct job *job = t->first_job;
        t->first_job = job->next;
        job->done(job);
    }
    t->last_job = NULL;
    close_streams(t);
    while (t->running)
        end_running(t, t->running);
    partition_abandon(t->partition);
    front_free(t->front);
    settings_free(&t->settings);
    routes_free(&t->routes);
    app_free(&t->app);
    t->is_open = false;
}

ks_test *ks_test_open(const ks_function *functions)
{
    ks_test *t = die_zalloc(sizeof *t);
    arena_init(&t->mem, 16384);
    t->functions = functions;
    t->now_ms = FIRST_MS;
    t->env = (struct env){.self = t,
                          .wall_ms = wall_ms,
                          .boot_ns = boot_ns,
                          .random = random_bytes,
                          .submit = submit,
                          .exchange = exchange,
                          .blackbox = t->blackbox};
    return t;
}

void ks_test_close(ks_test *t)
{
    if (t->is_open)
        close_world(t);
    if (t->disk)
        store_memory_free(t->disk);
    coroutine_pool_free(&t->pool);
    arena_free(&t->mem);
    buf_free(&t->log);
    free(t);
}

void ks_test_set(ks_test *t, const char *setting, const char *value)
{
    if (t->override_count == sizeof t->overrides / sizeof t->overrides[0])
        die("a test sets more than 16 settings");
    t->overrides[t->override_count++] = (struct override){setting, value};
}

void ks_test_on_http(ks_test *t, ks_test_http_fn *fn, void *ctx)
{
    t->on_http = fn;
    t->http_ctx = ctx;
}

void ks_test_crash(ks_test *t)
{
    if (!t->is_open)
        return;
    close_world(t);
    open_world(t);
}

void ks_test_die_in(ks_test *t, const char *id)
{
    settle(t);
    const struct instance *inst = partition_look(t->partition, str_of(id));
    if (!inst)
        die("a test has the process die in %s, which is not there", id);
    t->blackbox[0] = inst->uid;
    ks_test_crash(t);
}

/* ---- running ---- */

static void run_job(void *arg)
{
    struct job *job = arg;
    job->work(job);
}

/* Lets it go on until it is over or takes more time. */
static void go_on(ks_test *t, struct running *r)
{
    t->current = r;
    coroutine_resume(r->coroutine);
    t->current = NULL;
    if (coroutine_is_over(r->coroutine))
        end_running(t, r);
}

static void begin_job(ks_test *t, struct job *job)
{
    if (!t->takes_time) {
        job->work(job);
        job->done(job);
        return;
    }
    struct running *r = die_zalloc(sizeof *r);
    *r = (struct running){.job = job, .coroutine = coroutine_new(&t->pool, run_job, job)};
    struct running **at = &t->running;
    while (*at)
        at = &(*at)->next;
    *at = r;
    go_on(t, r);
}

/* The one whose time is over first; NULL when nobody works. */
static struct running *first_running(const ks_test *t)
{
    struct running *first = t->running;
    for (struct running *r = first; r; r = r->next)
        if (r->until_ms < first->until_ms)
            first = r;
    return first;
}

void ks_test_let_activities_take_time(ks_test *t)
{
    t->takes_time = true;
}

void ks_test_work(ks_test *t, int64_t ms)
{
    if (!t->current)
        die("ks_test_work() is for activities, after ks_test_let_activities_take_time()");
    t->current->until_ms = t->now_ms + ms;
    coroutine_suspend(t->current->coroutine);
}

static int64_t next_pass_ms(const ks_test *t)
{
    int64_t partition_ms = partition_next_ms(t->partition), front_ms = front_next_ms(t->front);
    return front_ms < partition_ms ? front_ms : partition_ms;
}

/* Passes until nothing is left to do at this time. */
static void settle(ks_test *t)
{
    if (!t->is_open)
        open_world(t);
    for (;;) {
        front_round(t->front);
        struct running *r = first_running(t);
        if (r && r->until_ms <= t->now_ms) {
            go_on(t, r);
            continue;
        }
        if (t->first_job && !t->holds_activities) {
            struct job *job = t->first_job;
            t->first_job = job->next;
            if (!t->first_job)
                t->last_job = NULL;
            begin_job(t, job);
            continue;
        }
        if (!front_has_requests(t->front) && next_pass_ms(t) > t->now_ms)
            return;
    }
}

void ks_test_run(ks_test *t)
{
    settle(t);
}

void ks_test_hold_activities(ks_test *t, bool is_held)
{
    t->holds_activities = is_held;
}

int64_t ks_test_now_ms(const ks_test *t)
{
    return t->now_ms;
}

static int64_t next_of(const ks_test *t)
{
    const struct running *r = first_running(t);
    int64_t pass_ms = next_pass_ms(t);
    return r && r->until_ms < pass_ms ? r->until_ms : pass_ms;
}

void ks_test_advance(ks_test *t, int64_t ms)
{
    int64_t until_ms = t->now_ms + ms;
    settle(t);
    for (;;) {
        int64_t due_ms = next_of(t);
        if (due_ms > until_ms)
            break;
        if (due_ms > t->now_ms)
            t->now_ms = due_ms;
        settle(t);
    }
    t->now_ms = until_ms;
    settle(t);
}

void ks_test_evict(ks_test *t)
{
    settle(t);
    partition_evict_sessions(t->partition);
}

const char *ks_test_log(const ks_test *t)
{
    return t->log.at ? arena_strndup((ks_arena *)(uintptr_t)&t->mem, t->log.at, t->log.len) : "";
}

/* ---- requests ---- */

static void header_add(struct http1_request *http, struct str line)
{
    const char *colon = memchr(line.at, ':', line.len);
    if (!colon || http->header_count == HTTP1_HEADERS_MAX)
        die("a test's header line is none: %.*s", (int)line.len, line.at);
    struct str name = {line.at, (size_t)(colon - line.at)};
    struct str value = {colon + 1, line.len - name.len - 1};
    while (value.len && *value.at == ' ')
        value = (struct str){value.at + 1, value.len - 1};
    http->headers[http->header_count++] = (struct http1_header){name, value};
}

const ks_answer *ks_test_request(ks_test *t, const char *method, const char *target,
                                 const char *headers, const void *body, size_t body_len)
{
    struct http1_request *http = ks_alloc(&t->mem, sizeof *http);
    ks_answer *ret = ks_alloc(&t->mem, sizeof *ret);
    http->method = str_of(method);
    http->target = str_of(target);
    http->body = (struct str){body, body_len};
    for (const char *at = headers ? headers : ""; *at;) {
        const char *end = strstr(at, "\r\n");
        size_t len = end ? (size_t)(end - at) : strlen(at);
        header_add(http, (struct str){at, len});
        at += len + (end ? 2 : 0);
    }
    settle(t);
    front_request(t->front, ret, http);
    settle(t);
    return ret;
}

const ks_answer *ks_test_get(ks_test *t, const char *target)
{
    return ks_test_request(t, "GET", target, NULL, "", 0);
}

const ks_answer *ks_test_post(ks_test *t, const char *target, const char *content_type,
                              const char *body)
{
    const char *headers = ks_format(&t->mem, "Content-Type: %s\r\n", content_type);
    return ks_test_request(t, "POST", target, headers, body, strlen(body));
}
