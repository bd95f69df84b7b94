#include "front/front.h"

#include "base/die.h"
#include "front/http_step.h"
#include "front/idempotency.h"
#include "front/page.h"
#include "run/exchange.h"

#include <stdlib.h>

struct waiting {
    void *request;
    const struct http1_request *http;
};

/* A request whose answer is the result of a call. */
struct calling {
    struct calling *next;
    uint64_t token;
    struct waiting waiting;
};

struct front {
    struct front_config config;
    struct waiting *line; /* a ring */
    size_t first, count, cap;
    size_t looked_ahead; /* for so many of them */
    struct calling *callings;
    uint64_t last_token;
    struct buf body, headers; /* of the reply that is made */
    struct buf result;        /* of one that a call had */
    struct target target;
    struct feeds *feeds;
    ks_arena mem; /* of the target that is looked at */
};

const ks_function front_builtin[] = {
    KS_ENTITY("$reply", "keep", idempotency_keep),
    KS_ACTIVITY(HTTP_ACTIVITY, exchange_activity),
    KS_END,
};

struct front *front_new(const struct front_config *config)
{
    struct front *f = die_zalloc(sizeof *f);
    f->config = *config;
    /* Calls outlive the process; an answer to one of another process is nobody's. */
    config->env->random(config->env->self, &f->last_token, sizeof f->last_token);
    f->feeds = feeds_new(&(struct feeds_config){.partition = config->partition,
                                                .ctx = config->ctx,
                                                .send = config->stream_send});
    arena_init(&f->mem, 16384);
    return f;
}

void front_free(struct front *f)
{
    feeds_free(f->feeds);
    while (f->callings) {
        struct calling *calling = f->callings;
        f->callings = calling->next;
        free(calling);
    }
    free(f->line);
    buf_free(&f->body);
    buf_free(&f->headers);
    buf_free(&f->result);
    arena_free(&f->mem);
    free(f);
}

/* ---- the line ---- */

void front_request(struct front *f, void *request, const struct http1_request *http)
{
    if (f->count == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 64;
        struct waiting *line = die_malloc(cap * sizeof line[0]);
        for (size_t i = 0; i < f->count; i++)
            line[i] = f->line[(f->first + i) % f->cap];
        free(f->line);
        f->line = line;
        f->first = 0;
        f->cap = cap;
    }
    f->line[(f->first + f->count++) % f->cap] = (struct waiting){request, http};
}

static struct waiting next_waiting(struct front *f)
{
    struct waiting w = f->line[f->first];
    f->first = (f->first + 1) % f->cap;
    f->count--;
    f->looked_ahead -= f->looked_ahead > 0;
    return w;
}

/* Most requests name what they are about at the end of their path. To look for one after the other
 * is to wait for memory again and again, a tenth of an Add; all at once they wait together. */
static void look_ahead(struct front *f)
{
    struct str keys[TABLE_AHEAD_MAX];
    size_t count = 0;
    f->looked_ahead = f->count < TABLE_AHEAD_MAX ? f->count : TABLE_AHEAD_MAX;
    for (size_t i = 0; i < f->looked_ahead; i++) {
        struct str target = f->line[(f->first + i) % f->cap].http->target;
        const char *end = memchr(target.at, '?', target.len);
        end = end ? end : target.at + target.len;
        const char *slash = memrchr(target.at, '/', (size_t)(end - target.at));
        if (slash)
            keys[count++] = (struct str){slash + 1, (size_t)(end - slash - 1)};
    }
    partition_look_ahead(f->config.partition, keys, count);
}

static void put_back(struct front *f, const struct waiting *w)
{
    f->first = (f->first + f->cap - 1) % f->cap;
    f->line[f->first] = *w;
    f->count++;
}

bool front_has_requests(const struct front *f)
{
    return f->count > 0;
}

/* ---- answers that are not a function's ---- */

static void answer_with(struct front *f, const struct waiting *w, struct http1_answer *answer,
                        bool is_held)
{
    answer->head_only = str_is(w->http->method, STR("HEAD"));
    f->config.answer(f->config.ctx, w->request, answer, is_held);
}

static void answer_problem(struct front *f, const struct waiting *w, int status,
                           const char *headers, const char *detail)
{
    f->body.len = 0;
    http1_problem(&f->body, status, detail);
    struct http1_answer answer = {.status = status,
                                  .content_type = "application/problem+json",
                                  .headers = headers,
                                  .body = {f->body.at, f->body.len}};
    answer_with(f, w, &answer, false);
}

/* Nobody has this path; or, with methods, somebody has it for those. */
static void answer_not_found(struct front *f, const struct waiting *w, const char *methods)
{
    f->headers.len = 0;
    buf_str(&f->headers, "Cache-Control: no-store\r\n");
    for (const char *at = methods ? methods : ""; *at; at++) {
        if (at == methods)
            buf_str(&f->headers, "Allow: ");
        buf_str(&f->headers, *at == ',' ? ", " : (char[]){*at, 0});
        if (!at[1])
            buf_str(&f->headers, methods_have(methods, STR("GET")) ? ", HEAD\r\n" : "\r\n");
    }
    buf_byte(&f->headers, 0);
    answer_problem(f, w, 404, f->headers.at,
                   methods ? "This path does not take that method; see Allow."
                           : "There is nothing at this path.");
}

/* ---- one request ---- */

static bool is_ping(const struct target *t)
{
    return t->segment_count == 3 && str_is_nocase(t->segments[0], STR("admin")) &&
           str_is_nocase(t->segments[1], STR("host")) && str_is_nocase(t->segments[2], STR("ping"));
}

static void ping(struct front *f, const struct waiting *w, struct str method)
{
    struct http1_answer answer = {.status = 200, .headers = "Cache-Control: no-store\r\n"};
    if (methods_have("GET,POST", method))
        answer_with(f, w, &answer, false);
    else
        answer_not_found(f, w, "GET,POST");
}

static const struct route *find_route(struct front *f, struct str method, const char **ret_methods)
{
    *ret_methods = NULL;
    for (size_t i = 0; i < f->config.routes->count; i++) {
        const struct route *route = &f->config.routes->at[i];
        if (!route_matches(route, &f->target))
            continue;
        if (methods_have(route->fn->http.methods, method))
            return route;
        if (!*ret_methods)
            *ret_methods = route->fn->http.methods;
    }
    return NULL;
}

/* Runs the function, or finds what it answered to the same key before. */
static void run_step(struct http_step *s)
{
    struct idempotency key;
    if (!(s->route->fn->http.flags & KS_IDEMPOTENT) || !idempotency_find(s, &key)) {
        http_step_run(s);
        return;
    }
    if (key.is_answered)
        return;
    http_step_run(s);
    idempotency_remember(s, &key);
}

static const char api_headers[] = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";

/* ---- answers that are results ---- */

static void calling_add(struct front *f, const struct waiting *w, uint64_t token)
{
    struct calling *calling = die_malloc(sizeof *calling);
    *calling = (struct calling){.next = f->callings, .token = token, .waiting = *w};
    f->callings = calling;
}

static bool calling_take(struct front *f, uint64_t token, struct waiting *ret)
{
    for (struct calling **at = &f->callings; *at; at = &(*at)->next) {
        struct calling *calling = *at;
        if (calling->token != token)
            continue;
        *ret = calling->waiting;
        *at = calling->next;
        free(calling);
        return true;
    }
    return false; /* of a process that is gone */
}

void front_respond(struct front *f, uint64_t token, const ks_val *result)
{
    struct waiting w;
    struct http1_answer answer = {.status = 200,
                                  .content_type = "application/json; charset=utf-8",
                                  .headers = api_headers};
    if (!calling_take(f, token, &w))
        return;
    f->result.len = 0;
    if (ks_is_error(result)) {
        answer.status = 422;
        answer.content_type = "application/problem+json";
        http1_problem(&f->result, 422, ks_text(result));
    } else {
        val_write_json(&f->result, result);
    }
    answer.body = (struct str){f->result.at, f->result.len};
    answer_with(f, &w, &answer, true);
}

static void refuse_callings(struct front *f)
{
    struct waiting w;
    while (f->callings && calling_take(f, f->callings->token, &w))
        answer_problem(f, &w, 503, "Cache-Control: no-store\r\nRetry-After: 1\r\n",
                       partition_why(f->config.partition));
}

/* ---- a function ---- */

/* Browsers say where a request comes from, and no script can have them say otherwise. */
static bool is_cross_site(const struct http1_request *http)
{
    return str_is_nocase(http1_find(http, "Sec-Fetch-Site"), STR("cross-site"));
}

/* Why what the function sent cannot be, or not now; 0 when it can. */
static int refusal(struct front *f, const struct http_step *s, const char **ret_why)
{
    struct partition *p = f->config.partition;
    if (is_cross_site(s->request)) {
        *ret_why = "A page of another site asked for a change, and that is refused. Nothing was "
                   "changed. Use the registry's own page, or call from a program.";
        return 403;
    }
    int status = partition_check(p, &s->out, ret_why);
    if (!status && !partition_takes_changes(p)) {
        *ret_why = "The disk is full, so nothing can be changed at the moment; what was stored is "
                   "safe. Try again later.";
        status = 503;
    }
    return status;
}

/* Nothing is sent that must not be, and the answer says so. */
static void check_sends(struct front *f, struct http_step *s)
{
    const char *why;
    int status = s->out.sent.first ? refusal(f, s, &why) : 0;
    if (str_is(s->request->method, STR("HEAD")) || status) {
        s->out.sent = (struct message_list){0};
        s->is_deferred = false;
    }
    if (status)
        http_step_problem(s, status, why);
    if (status == 503)
        ks_reply_header(&s->http, "Retry-After", "5");
}

/* The answer is the beginning of a stream. */
static void answer_stream(struct front *f, const struct waiting *w, const struct reply *reply,
                          struct http1_answer *head, bool is_held)
{
    if (str_is(w->http->method, STR("HEAD"))) {
        head->is_stream = head->close = true;
        answer_with(f, w, head, is_held);
        return;
    }
    struct str seen = http1_find(w->http, "Last-Event-ID");
    struct listener *listener = feeds_listen(f->feeds, reply->feed_id, reply->feed, seen);
    void *stream = f->config.stream(f->config.ctx, w->request, head, is_held, listener);
    if (stream)
        feeds_set_stream(listener, stream);
    else
        feeds_leave(f->feeds, listener);
}

static void run_function(struct front *f, struct http_step *s)
{
    static const char why[] =
        "The process has ended three times while it answered this request, so "
        "it is refused until the next start.";
    struct partition *p = f->config.partition;
    if (!partition_request_begin(p, s->request->target, s->request->body)) {
        ks_log(&s->out, "%s %s is refused: the process has died of it three times", s->http.method,
               s->http.path);
        http_step_problem(s, 500, why);
        return;
    }
    s->token = ++f->last_token;
    run_step(s);
    int64_t held_ms = partition_held_ms(p);
    if (held_ms)
        partition_warn(p, held_ms, str_of(s->route->fn->name));
    check_sends(f, s);
}

static void run_route(struct front *f, const struct waiting *w, const struct route *route,
                      struct str method)
{
    struct partition *p = f->config.partition;
    struct http_step s = {.config = &f->config,
                          .request = w->http,
                          .route = route,
                          .target = &f->target,
                          .reply = {.headers = &f->headers, .body = &f->body}};
    ks_arena *mem = partition_step(p, &s.out);
    s.http = (ks_http){.mem = mem,
                       .out = &s.out,
                       .settings = f->config.app->settings,
                       .method = arena_strndup(mem, method.at, method.len),
                       .path = f->target.path.at,
                       .now_ms = partition_now_ms(p)};
    run_function(f, &s);
    if (partition_is_behind(p)) {
        put_back(f, w);
        return;
    }
    /* The NUL goes too. */
    buf_append(s.reply.headers, api_headers, sizeof api_headers);
    struct http1_answer answer = {.status = s.reply.status,
                                  .content_type = s.reply.content_type,
                                  .headers = s.reply.headers->at,
                                  .body = {s.reply.body->at, s.reply.body->len}};
    if (s.is_deferred)
        calling_add(f, w, s.token);
    partition_send(p, &s.out);
    partition_request_end(p);
    if (s.is_deferred)
        return;
    if (s.reply.feed)
        answer_stream(f, w, &s.reply, &answer, partition_is_gated(p));
    else
        answer_with(f, w, &answer, partition_is_gated(p));
}

static void answer_page(struct front *f, const struct waiting *w, const ks_page *page)
{
    struct http1_answer answer;
    page_answer(page, w->http, &f->headers, &answer);
    answer_with(f, w, &answer, false);
}

static void run_request(struct front *f, const struct waiting *w)
{
    const char *why, *methods;
    /* HEAD is GET to everybody but the one who answers. */
    struct str method = str_is(w->http->method, STR("HEAD")) ? STR("GET") : w->http->method;
    if (target_parse(&f->target, w->http->target, &f->mem, &why) < 0) {
        answer_problem(f, w, 400, "Cache-Control: no-store\r\n", why);
        return;
    }
    if (is_ping(&f->target)) {
        ping(f, w, method);
        return;
    }
    const struct route *route = find_route(f, method, &methods);
    const ks_page *page = route ? NULL : page_find(f->config.app->functions, f->target.path);
    if (page && methods_have("GET", method))
        answer_page(f, w, page);
    else if (!route)
        answer_not_found(f, w, page ? "GET" : methods);
    else if (!partition_is_up(f->config.partition))
        answer_problem(f, w, 503, "Cache-Control: no-store\r\nRetry-After: 1\r\n",
                       partition_why(f->config.partition));
    else if (!partition_takes_looks(f->config.partition))
        answer_problem(f, w, 503, "Cache-Control: no-store\r\nRetry-After: 5\r\n",
                       "The disk is full, and what was begun cannot be finished before there is "
                       "room; what was stored is safe. Try again later.");
    else
        run_route(f, w, route, method);
}

bool front_round(struct front *f)
{
    struct partition *p = f->config.partition;
    /* What the last pass has committed: its answers have left before. */
    if (partition_is_up(p))
        feeds_round(f->feeds, partition_clock_ms(p));
    partition_begin(p);
    while (f->count && (!partition_is_up(p) || partition_has_budget(p))) {
        if (!f->looked_ahead && partition_is_up(p))
            look_ahead(f);
        struct waiting w = next_waiting(f);
        run_request(f, &w);
        arena_reset(&f->mem);
    }
    bool is_committed = true; /* down, nothing was held: everybody has been told */
    if (partition_is_up(p))
        is_committed = partition_commit(p) == 0;
    if (!is_committed)
        feeds_all_changed(f->feeds);
    if (!is_committed || !partition_is_up(p))
        refuse_callings(f);
    return is_committed;
}

int64_t front_next_ms(const struct front *f)
{
    return partition_is_up(f->config.partition) ? feeds_next_ms(f->feeds) : NEVER_MS;
}

void front_stream_ready(struct front *f, struct listener *listener)
{
    feeds_ready(f->feeds, listener);
}

void front_stream_closed(struct front *f, struct listener *listener)
{
    feeds_leave(f->feeds, listener);
}
