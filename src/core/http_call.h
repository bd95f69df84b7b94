/* http_call.h - an HTTP request of the app's as a value, checked
 *
 *     {"method", "url", "headers": {name: text}, "body"?: text, "timeout": ms, "isPoll"?: true}
 *
 * It is what history has of a request: the input of the activity HTTP_ACTIVITY, which the host
 * brings along. The answer is {"status", "headers": {lower-case name: text}, "body"}. The failure
 * that a refusal becomes has, when that says so, the cause {"retryAfter": ms}: it goes with the
 * failure wherever that is passed on, and is looked at by whoever tries again (retry.c).
 */
#ifndef CORE_HTTP_CALL_H
#define CORE_HTTP_CALL_H

#include "base/buf.h"
#include "keepsake.h"

#define HTTP_ACTIVITY "$http"

#define HTTP_RETRY_AFTER "retryAfter"

enum {
    HTTP_TIMEOUT_MS = 30 * 1000,
    HTTP_POLL_MS = 30 * 1000,
    HTTP_POLL_MIN_MS = 1000,
    HTTP_RETRY_AFTER_MAX_MS = 3600 * 1000 /* where the policy has no max_ms */
};

/* What a Retry-After says, in seconds or as a date: ms from now on, at most a hundred years; -1
 * when it cannot be understood. Source: RFC 9110, section 10.2.3. */
int64_t http_retry_after_ms(const char *text, int64_t now_ms);

/* Defaults filled in; or an error "BadRequest" that says what cannot be sent. */
const ks_val *http_call_request(ks_arena *mem, const ks_http_request *request);

#endif
