/* A durable HTTP call: one exchange after the other until an answer is more than "accepted".
 *
 *     exchange ----> done well -----------------------------------> the task is done
 *        ^    |      done badly, after all its attempts ----------> the task failed
 *        |    +----> 202, and where to look again ---> pause --+
 *        +-----------------------------------------------------+
 *     beside it all, a timer when the call has a time limit
 *
 * An exchange is an activity with a policy and a pause is a timer, so history says all of it.
 * Source: RFC 9110, sections 10.2.3 (Retry-After) and 15.3.3 (202). */
#include "core/http_call.h"

#include "base/url.h"
#include "base/utc.h"
#include "core/session_internal.h"

#include <ctype.h>

/* ---- the request ---- */

/* RFC 9110, section 5.6.2 */
static bool is_token(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("!#$%&'*+-.^_`|~", text[i]))
            return false;
    return len > 0 && len <= 128;
}

/* What would end the line, and what only the transport may say. */
static const char *header_fault(const char *name, const ks_val *val)
{
    static const char *const ours[] = {"Connection", "Content-Length", "Transfer-Encoding"};
    struct str text = val_str(val);
    if (!is_token(name))
        return "its name is none";
    if (ks_type_of(val) != KS_STRING)
        return "its value is no string";
    for (size_t i = 0; i < text.len; i++)
        if (((uint8_t)text.at[i] < ' ' && text.at[i] != '\t') || text.at[i] == 0x7F)
            return "its value has a control character";
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (str_is_nocase(str_of(name), str_of(ours[i])))
            return "it is not the app's to say";
    return NULL;
}

static bool has_header(const ks_val *headers, struct str name)
{
    for (size_t i = 0; i < ks_len(headers); i++)
        if (str_is_nocase(str_of(ks_key_at(headers, i)), name))
            return true;
    return false;
}

static const ks_val *request_fault(ks_arena *mem, const ks_http_request *request,
                                   const char *method)
{
    if (!request->url || !url_is_good(str_of(request->url)))
        return ks_fail(mem, KS_ERROR_BAD_REQUEST,
                       "\"%s\" is no URL of http or https that can be asked",
                       request->url ? request->url : "");
    if (!is_token(method))
        return ks_fail(mem, KS_ERROR_BAD_REQUEST, "\"%s\" is no method", method);
    for (size_t i = 0; i < ks_len(request->headers); i++) {
        const char *name = ks_key_at(request->headers, i);
        const char *fault = header_fault(name, ks_val_at(request->headers, i));
        if (fault)
            return ks_fail(mem, KS_ERROR_BAD_REQUEST, "the header \"%s\": %s", name, fault);
    }
    return NULL;
}

const ks_val *http_call_request(ks_arena *mem, const ks_http_request *request)
{
    const ks_val *body = request->body;
    const char *method = request->method ? request->method : body ? "POST" : "GET";
    const ks_val *fault = request_fault(mem, request, method);
    if (fault)
        return fault;
    ks_val *headers = ks_object(mem);
    for (size_t i = 0; i < ks_len(request->headers); i++)
        ks_put(mem, headers, ks_key_at(request->headers, i), ks_val_at(request->headers, i));
    if (body && ks_type_of(body) != KS_STRING) {
        body = ks_string(mem, ks_to_json(mem, body));
        if (!has_header(headers, STR("Content-Type")))
            ks_put(mem, headers, "Content-Type", ks_string(mem, "application/json"));
    }
    ks_val *val = ks_object(mem);
    ks_put(mem, val, "method", ks_string(mem, method));
    ks_put(mem, val, "url", ks_string(mem, request->url));
    ks_put(mem, val, "headers", headers);
    if (body)
        ks_put(mem, val, "body", body);
    return ks_put(mem, val, "timeout",
                  ks_integer(mem, request->timeout_ms > 0 ? request->timeout_ms : HTTP_TIMEOUT_MS));
}

/* ---- polling ---- */

static const ks_val *answer_header(const ks_val *answer, const char *name)
{
    return ks_get(ks_get(answer, "headers"), name);
}

int64_t http_retry_after_ms(const char *text, int64_t now_ms)
{
    size_t digits = strspn(text, "0123456789");
    int64_t ms = -1, date_ms;
    if (digits > 0 && !text[digits]) {
        ms = 0;
        for (size_t i = 0; i < digits && ms < KS_DAYS(36500); i++)
            ms = ms * 10 + (int64_t)(text[i] - '0') * 1000;
    } else if (utc_of_http_date(text, &date_ms)) {
        ms = date_ms > now_ms ? date_ms - now_ms : 0;
    }
    return ms < KS_DAYS(36500) ? ms : KS_DAYS(36500);
}

/* How long to wait before the next poll. */
static int64_t pause_ms(const ks_val *answer, int64_t now_ms)
{
    int64_t ms = http_retry_after_ms(ks_text(answer_header(answer, "retry-after")), now_ms);
    if (ms < 0)
        ms = HTTP_POLL_MS;
    return ms > HTTP_POLL_MIN_MS ? ms : HTTP_POLL_MIN_MS;
}

/* Where the answer says to look; the same place again when a poll's answer says nothing. NULL: the
 * answer is the last. */
static const char *next_url(const struct http_call *call, const ks_val *answer)
{
    const ks_val *location = answer_header(answer, "location");
    if (!call->polls || ks_int(ks_get(answer, "status")) != 202)
        return NULL;
    if (location)
        return ks_text(location);
    return ks_get(call->request, "isPoll") ? ks_text(ks_get(call->request, "url")) : NULL;
}

static bool is_about_body(const char *name)
{
    return strncasecmp(name, "Content-", 8) == 0 || strcasecmp(name, "Idempotency-Key") == 0;
}

/* Elsewhere nobody gets what was meant for the one who was asked first. */
static const ks_val *poll_of(ks_arena *mem, const ks_val *request, const char *url)
{
    const ks_val *headers = ks_get(request, "headers");
    ks_val *kept = ks_object(mem);
    if (url_same_origin(val_str(ks_get(request, "url")), str_of(url)))
        for (size_t i = 0; i < ks_len(headers); i++)
            if (!is_about_body(ks_key_at(headers, i)))
                ks_put(mem, kept, ks_key_at(headers, i), ks_val_at(headers, i));
    ks_val *val = ks_object(mem);
    ks_put(mem, val, "method", ks_string(mem, "GET"));
    ks_put(mem, val, "url", ks_string(mem, url));
    ks_put(mem, val, "headers", kept);
    ks_put(mem, val, "timeout", ks_get(request, "timeout"));
    return ks_put(mem, val, "isPoll", ks_boolean(mem, true));
}

/* ---- the task ---- */

static void exchange_begin(ks_task *task)
{
    struct http_call *call = task->http;
    call->pause = NULL;
    call->exchange = task_retry(task->session, HTTP_ACTIVITY, call->request, &call->policy);
    task_parent_add(call->exchange, task);
}

void task_http_stop(ks_task *task)
{
    struct http_call *call = task->http;
    ks_task *exchange = call->exchange, *limit = call->limit, *pause = call->pause;
    call->exchange = NULL;
    call->limit = NULL;
    call->pause = NULL;
    if (exchange)
        task_retry_stop(exchange);
    if (limit)
        ks_cancel(limit);
    if (pause)
        ks_cancel(pause);
}

static void end(ks_task *task, const ks_val *result)
{
    task_http_stop(task);
    task_complete(task, result);
}

static void answered(ks_task *task, const ks_val *answer)
{
    struct http_call *call = task->http;
    struct session *s = task->session;
    const char *url = ks_is_error(answer) ? NULL : next_url(call, answer);
    call->exchange = NULL;
    if (!url) {
        end(task, answer);
    } else if (!url_is_good(str_of(url))) {
        end(task, ks_fail(&s->mem, KS_ERROR_BAD_ANSWER,
                          "the answer 202 has a Location that cannot be "
                          "asked: \"%.200s\"",
                          url));
    } else {
        call->request = poll_of(&s->mem, call->request, url);
        call->pause = task_timer_new(s, s->orch.now_ms + pause_ms(answer, s->orch.now_ms));
        task_parent_add(call->pause, task);
    }
}

void task_http_child_done(ks_task *task, ks_task *child)
{
    struct http_call *call = task->http;
    if (child == call->pause) {
        exchange_begin(task);
    } else if (child == call->exchange) {
        answered(task, child->result);
    } else if (child == call->limit) {
        call->limit = NULL;
        end(task, ks_fail(&task->session->mem, KS_ERROR_TIMEOUT, "it took longer than %lld ms",
                          (long long)call->total_ms));
    }
}

ks_task *ks_call_http(ks_orch *o, const ks_http_request *request)
{
    struct session *s = task_session_of(o);
    const ks_val *val = http_call_request(o->mem, request);
    ks_task *task = task_new(s, TASK_HTTP);
    if (ks_is_error(val)) {
        task_complete(task, val);
        return task;
    }
    task_check_activity(s, HTTP_ACTIVITY, val);
    task->http = ks_alloc(&s->mem, sizeof *task->http);
    *task->http = (struct http_call){.request = val,
                                     .polls = !request->no_polling,
                                     .total_ms = request->total_ms};
    if (request->retry) {
        const char *final = request->retry->final_errors;
        task->http->policy = *request->retry;
        if (final)
            task->http->policy.final_errors = arena_strndup(&s->mem, final, strlen(final));
    }
    exchange_begin(task);
    if (request->total_ms > 0 && !s->is_over) {
        task->http->limit = task_timer_new(s, s->orch.now_ms + request->total_ms);
        task_parent_add(task->http->limit, task);
    }
    return task;
}
