/* http_client.h - asking servers, with libcurl
 *
 * One exchange blocks the thread it is called on; up to as many run at once as there are threads. A
 * connection is kept for the next exchange of whoever gets its handle. libcurl is loaded by the
 * first exchange (curl_library.h).
 *
 * What is fixed here: TLS certificates are verified; nothing but http and https; no redirects (who
 * asks looks at them), proxy, netrc, cookies or compression, whatever the environment says; an
 * answer is at most 1 MiB of body and 64 KiB of headers.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/env.h"

struct http_client;

struct http_client *http_client_new(void);
/* As env->exchange. On any thread. */
const ks_val *http_client_exchange(struct http_client *c, ks_arena *mem,
                                   const ks_http_request *request);
/* Ends the exchanges that run, within about a second; each fails, and so does every further one. */
void http_client_end(struct http_client *c);
/* When no exchange runs any more. */
void http_client_free(struct http_client *c);

#endif
