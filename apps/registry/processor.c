/* "Closed and sent for processing": a registry that has closed is handed to whoever is at
 * REGISTRY_PROCESSOR_URL, for a day if need be.
 *
 *     POST /...
 *     Content-Type: application/json
 *     Idempotency-Key: {id}
 *     X-Keepsake-Signature: t={unix seconds},v1={hex HMAC-SHA-256 of "{t}.{body}"}
 *
 *     {"id":"...","items":["..."],"closesAt":"...Z","closedAt":"...Z","closedBy":"user"}
 *
 * Any 2xx says that it was taken; after anything else it is sent again: after 1, 2, 4, ... seconds,
 * up to a quarter of an hour, or when a 429 or 503 says in Retry-After, up to that, too. The key of
 * the signature is REGISTRY_PROCESSOR_SECRET; without one there is no signature. Both are read
 * where it is sent, at each attempt: so the secret is in no history, the time is fresh, and a
 * setting that was wrong helps as soon as it is right. */
#include "registry.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static const ks_retry for_a_day = {.first_ms = KS_SECONDS(1),
                                   .backoff = 2,
                                   .max_ms = KS_MINUTES(15),
                                   .total_ms = KS_DAYS(1),
                                   .jitter = 0.5};

void registry_hand_over(ks_orch *o)
{
    const ks_val *registry = ks_try(ks_call_entity(o, LIST(o->id), "Read", NULL));
    if (!ks_is_error(registry))
        registry = ks_try(ks_call_with(o, "SendToProcessor", registry, &for_a_day));
    if (ks_is_error(registry))
        ks_log(o->out, "Registry %s was not taken by its processor: %s: %s", o->id,
               ks_error_type(registry), ks_text(registry));
    ks_signal(o->out, LIST(o->id), "Processed",
              ks_string(o->mem, ks_is_error(registry) ? "failed" : "sent"));
}

const ks_val *has_processor(ks_activity *a)
{
    return ks_boolean(a->mem, ks_setting(a->settings, "REGISTRY_PROCESSOR_URL")[0]);
}

/* NULL: OpenSSL could not. */
static const ks_val *signature(ks_activity *a, const char *secret, const char *body)
{
    long long seconds = a->now_ms / 1000;
    const char *text = ks_format(a->mem, "%lld.%s", seconds, body);
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text, strlen(text),
              mac, &mac_len))
        return NULL;
    char *hex = ks_alloc(a->mem, 2 * sizeof mac + 1);
    for (size_t i = 0; i < mac_len; i++) {
        hex[2 * i] = "0123456789abcdef"[mac[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[mac[i] & 15];
    }
    return ks_string(a->mem, ks_format(a->mem, "t=%lld,v1=%s", seconds, hex));
}

/* The registry as others see it: times as text. */
static const char *body_of(ks_activity *a)
{
    ks_val *body = ks_object(a->mem);
    ks_put(a->mem, body, "id", ks_get(a->input, "id"));
    ks_put(a->mem, body, "items", ks_get(a->input, "items"));
    ks_put(a->mem, body, "closesAt", ks_utc(a->mem, ks_int(ks_get(a->input, "closesAt"))));
    ks_put(a->mem, body, "closedAt", ks_utc(a->mem, ks_int(ks_get(a->input, "closedAt"))));
    ks_put(a->mem, body, "closedBy", ks_get(a->input, "closedBy"));
    return ks_to_json(a->mem, body);
}

const ks_val *send_to_processor(ks_activity *a)
{
    const char *url = ks_setting(a->settings, "REGISTRY_PROCESSOR_URL");
    const char *secret = ks_setting(a->settings, "REGISTRY_PROCESSOR_SECRET");
    const char *body = body_of(a);
    if (!url[0])
        return ks_fail(a->mem, "NoProcessor", "REGISTRY_PROCESSOR_URL is not set any more");
    ks_val *headers = ks_object(a->mem);
    ks_put(a->mem, headers, "Content-Type", ks_string(a->mem, "application/json"));
    ks_put(a->mem, headers, "Idempotency-Key", ks_string(a->mem, a->id));
    if (secret[0]) {
        const ks_val *sign = signature(a, secret, body);
        if (!sign)
            return ks_fail(a->mem, "NoSignature", "the HMAC could not be computed");
        ks_put(a->mem, headers, "X-Keepsake-Signature", sign);
    }
    const ks_http_request request = {.url = url,
                                     .headers = headers,
                                     .body = ks_string(a->mem, body),
                                     .timeout_ms = KS_SECONDS(30)};
    const ks_val *answer = ks_send_http(a, &request);
    int64_t status = ks_int(ks_get(answer, "status"));
    if (!ks_is_error(answer) && (status < 200 || status > 299))
        return ks_fail(a->mem, "NotTaken", "the processor answered with status %lld",
                       (long long)status);
    return ks_is_error(answer) ? answer : NULL;
}
