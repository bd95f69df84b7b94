/* http_call.h - an HTTP request of the app's as a value, checked
 *
 *     {"method", "url", "headers": {name: text}, "body"?: text, "timeout": ms, "isPoll"?: true}
 *
 * It is what history has of a request: the input of the activity HTTP_ACTIVITY, which the host
 * brings along. The answer is {"status", "headers": {lower-case name: text}, "body"}.
 */
#ifndef CORE_HTTP_CALL_H
#define CORE_HTTP_CALL_H

#include "base/buf.h"
#include "keepsake.h"

#define HTTP_ACTIVITY "$http"

enum { HTTP_TIMEOUT_MS = 30 * 1000, HTTP_POLL_MS = 30 * 1000, HTTP_POLL_MIN_MS = 1000 };

/* Defaults filled in; or an error "BadRequest" that says what cannot be sent. */
const ks_val *http_call_request(ks_arena *mem, const ks_http_request *request);

#endif
