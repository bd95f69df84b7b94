/* exchange.h - one HTTP request and its answer, for activities
 *
 * What an answer is worth is decided here, for every transport: which is a failure, and what its
 * headers are called. The transport itself is env->exchange.
 */
#ifndef RUN_EXCHANGE_H
#define RUN_EXCHANGE_H

#include "core/http_call.h"

/* The activity HTTP_ACTIVITY of ks_call_http(). */
ks_activity_fn exchange_activity;

#endif
