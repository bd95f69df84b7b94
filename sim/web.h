/* web.h - the servers that simulated orchestrations ask by ks_call_http()
 *
 * http://sim/KIND/N answers as enum web_kind says, with N as the body. All attempts of one call
 * have to come under one Idempotency-Key.
 */
#ifndef SIM_WEB_H
#define SIM_WEB_H

#include "sim/sim.h"

struct web *web_new(struct sim *s);
void web_free(struct web *w);

/* env->exchange, in the process. */
const ks_val *web_exchange(void *self, ks_arena *mem, const ks_http_request *request);

#endif
