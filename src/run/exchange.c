#include "run/exchange.h"

#include "base/url.h"
#include "base/value.h"
#include "core/http_call.h"
#include "run/partition_internal.h"

#include <ctype.h>

enum { REDIRECTS_MAX = 5 };

static const ks_val *header_of(const ks_val *headers, struct str name)
{
    for (size_t i = 0; i < ks_len(headers); i++)
        if (str_is_nocase(str_of(ks_key_at(headers, i)), name))
            return ks_val_at(headers, i);
    return NULL;
}

/* A poll changes nothing, so it needs no key. */
static const ks_val *all_headers(const ks_activity *a, const ks_val *request)
{
    const ks_val *given = ks_get(request, "headers");
    ks_val *headers = ks_object(a->mem);
    for (size_t i = 0; i < ks_len(given); i++)
        ks_put(a->mem, headers, ks_key_at(given, i), ks_val_at(given, i));
    if (!header_of(given, STR("User-Agent")))
        ks_put(a->mem, headers, "User-Agent", ks_string(a->mem, "keepsake"));
    if (!header_of(given, STR("Idempotency-Key")) && !ks_get(request, "isPoll"))
        ks_put(a->mem, headers, "Idempotency-Key", ks_string(a->mem, a->key));
    return headers;
}

static char *lower(ks_arena *mem, const char *text)
{
    char *copy = arena_strndup(mem, text, strlen(text));
    for (char *at = copy; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return copy;
}

/* Names in lower case, and Location absolute. What is no UTF-8 cannot be kept, and an answer is not
 * refused for it. */
static ks_val *plain_headers(ks_arena *mem, const ks_val *headers, const char *url)
{
    ks_val *plain = ks_object(mem);
    for (size_t i = 0; i < ks_len(headers); i++) {
        const char *name = lower(mem, ks_key_at(headers, i));
        const ks_val *val = ks_val_at(headers, i);
        if (!utf8_is_valid(str_of(name)) || !utf8_is_valid(val_str(val)))
            continue;
        if (strcmp(name, "location") == 0)
            val = ks_string(mem, url_resolve(mem, str_of(url), val_str(val)));
        ks_put(mem, plain, name, val);
    }
    return plain;
}

/* "Not now", and perhaps when. */
static const ks_val *refused(ks_arena *mem, const ks_val *answer, int64_t status, int64_t now_ms)
{
    const ks_val *after = header_of(ks_get(answer, "headers"), STR("Retry-After"));
    bool says_when = after && (status == 429 || status == 503);
    int64_t ms = says_when ? http_retry_after_ms(ks_text(after), now_ms) : -1;
    const ks_val *cause = NULL;
    if (ms >= 0)
        cause = ks_put(mem, ks_object(mem), HTTP_RETRY_AFTER, ks_integer(mem, ms));
    return val_error(mem, ks_format(mem, KS_ERROR_HTTP "%lld", (long long)status),
                     ks_format(mem, "the answer has the status %lld", (long long)status), cause);
}

static const ks_val *judge(ks_arena *mem, const ks_val *answer, const char *url, int64_t now_ms)
{
    int64_t status = ks_int(ks_get(answer, "status"));
    const ks_val *body = ks_get(answer, "body");
    if (ks_is_error(answer))
        return answer;
    if (status < 200 || status > 999)
        return ks_fail(mem, KS_ERROR_BAD_ANSWER, "the answer has the status %lld",
                       (long long)status);
    if (status == 429 || (status >= 500 && status <= 599))
        return refused(mem, answer, status, now_ms);
    ks_val *val = ks_object(mem);
    ks_put(mem, val, "status", ks_integer(mem, status));
    ks_put(mem, val, "headers", plain_headers(mem, ks_get(answer, "headers"), url));
    return ks_put(mem, val, "body", body ? body : ks_string(mem, ""));
}

/* ---- redirects ---- */

static bool is_redirect(const ks_http_request *request, const ks_val *answer)
{
    int64_t status = ks_int(ks_get(answer, "status"));
    bool only_reads = !request->body &&
                      (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0);
    bool is_elsewhere = status == 301 || status == 302 || status == 303 || status == 307 ||
                        status == 308;
    return only_reads && is_elsewhere && ks_get(ks_get(answer, "headers"), "location");
}

/* What the request becomes; NULL, or why it must not be followed. Elsewhere nobody gets the headers
 * that were meant for the one who was asked first. */
static const char *redirect(ks_arena *mem, ks_http_request *request, const ks_val *answer)
{
    struct str from = str_of(request->url);
    struct str to = val_str(ks_get(ks_get(answer, "headers"), "location"));
    if (!url_is_good(to))
        return "the answer has a Location that cannot be asked";
    if (url_is_tls(from) && !url_is_tls(to))
        return "the answer leads from https to http";
    if (!url_same_origin(from, to))
        request->headers = ks_put(mem, ks_object(mem), "User-Agent", ks_string(mem, "keepsake"));
    request->url = to.at;
    return NULL;
}

static const ks_val *follow(const struct env *env, ks_arena *mem, ks_http_request *request)
{
    int64_t until_ns = env->boot_ns(env->self) + request->timeout_ms * 1000000;
    for (int i = 0; i <= REDIRECTS_MAX; i++) {
        const ks_val *answer = judge(mem, env->exchange(env->self, mem, request), request->url,
                                     env->wall_ms(env->self));
        if (!is_redirect(request, answer))
            return answer;
        request->timeout_ms = (until_ns - env->boot_ns(env->self)) / 1000000;
        if (request->timeout_ms <= 0)
            return ks_fail(mem, KS_ERROR_TIMEOUT, "its redirects took too long");
        const char *fault = redirect(mem, request, answer);
        if (fault)
            return ks_fail(mem, KS_ERROR_BAD_ANSWER, "%s", fault);
    }
    return ks_fail(mem, KS_ERROR_BAD_ANSWER, "the answer leads on, more than %d times",
                   REDIRECTS_MAX);
}

/* ---- asking ---- */

static const ks_val *exchange(ks_activity *a, const ks_val *request)
{
    const struct env *env = activity_env(a);
    if (!env)
        return ks_fail(a->mem, KS_ERROR_BAD_REQUEST,
                       "an inline activity must not wait for an answer");
    if (!env->exchange)
        return ks_fail(a->mem, KS_ERROR_UNREACHABLE, "this host has no network");
    ks_http_request whole = {.method = ks_text(ks_get(request, "method")),
                             .url = ks_text(ks_get(request, "url")),
                             .headers = all_headers(a, request),
                             .body = ks_get(request, "body"),
                             .timeout_ms = ks_int(ks_get(request, "timeout"))};
    return follow(env, a->mem, &whole);
}

const ks_val *ks_send_http(ks_activity *a, const ks_http_request *request)
{
    const ks_val *val = http_call_request(a->mem, request);
    return ks_is_error(val) ? val : exchange(a, val);
}

const ks_val *exchange_activity(ks_activity *a)
{
    const ks_val *answer = exchange(a, a->input);
    const char *why = ks_is_error(answer) ? NULL : val_check(answer);
    return why ? ks_fail(a->mem, KS_ERROR_BAD_ANSWER, "the answer cannot be kept: %s", why)
               : answer;
}
