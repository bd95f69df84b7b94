/* idempotency.h - the first answer to an Idempotency-Key, kept for a day */
#ifndef FRONT_IDEMPOTENCY_H
#define FRONT_IDEMPOTENCY_H

#include "front/http_step.h"

enum { IDEMPOTENCY_KEY_MAX = 255, IDEMPOTENCY_HOURS = 24 };

struct idempotency {
    struct str key;
    const char *entity_key;  /* of the "$reply" that has, or will have, the answer */
    const char *fingerprint; /* of the request */
    bool is_answered;        /* the step's reply is set: a repeat, or a refusal */
};

/* False when the request has no key. */
bool idempotency_find(struct http_step *s, struct idempotency *ret);
/* Sends the step's reply to be kept, in the same commit as all else that was sent. */
void idempotency_remember(struct http_step *s, const struct idempotency *key);

/* The operation "keep" of "$reply". */
const ks_val *idempotency_keep(ks_entity *e);

#endif
