#include "front/idempotency.h"

#include "core/entity.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static const char *hex128(ks_arena *mem, XXH128_hash_t hash)
{
    return ks_format(mem, "%016llx%016llx", (unsigned long long)hash.high64,
                     (unsigned long long)hash.low64);
}

/* What makes a request the same request: function, method, target, type and body. */
static const char *fingerprint(const struct http_step *s)
{
    const struct http1_request *r = s->request;
    struct str type = http1_find(r, "Content-Type");
    struct str parts[] = {str_of(s->route->fn->name), r->method, r->target, type, r->body};
    struct buf all = {0};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        buf_string(&all, parts[i]);
    XXH128_hash_t hash = XXH3_128bits(all.at, all.len);
    buf_free(&all);
    return hex128(s->http.mem, hash);
}

static bool key_is_good(struct str key)
{
    for (size_t i = 0; i < key.len; i++)
        if (key.at[i] < 0x21 || key.at[i] > 0x7E)
            return false;
    return key.len > 0 && key.len <= IDEMPOTENCY_KEY_MAX;
}

static void answer_again(struct http_step *s, const ks_val *kept)
{
    struct str type = val_str(ks_get(kept, "type"));
    struct str headers = val_str(ks_get(kept, "headers"));
    struct str body = val_str(ks_get(kept, "body"));
    s->reply.status = (int)ks_int(ks_get(kept, "status"));
    s->reply.content_type = type.len ? arena_strndup(s->http.mem, type.at, type.len) : NULL;
    s->reply.headers->len = 0;
    s->reply.body->len = 0;
    buf_append(s->reply.headers, headers.at, headers.len);
    buf_append(s->reply.body, body.at, body.len);
}

bool idempotency_find(struct http_step *s, struct idempotency *ret)
{
    struct str key = http1_find(s->request, "Idempotency-Key");
    *ret = (struct idempotency){.key = key};
    if (!key.at)
        return false;
    if (!key_is_good(key)) {
        ret->is_answered = true;
        http_step_problem(s, 400,
                          "The Idempotency-Key has to be 1 to 255 visible ASCII characters.");
        return true;
    }
    ks_arena *mem = s->http.mem;
    ret->entity_key = hex128(mem, XXH3_128bits(key.at, key.len));
    ret->fingerprint = fingerprint(s);
    const ks_val *kept = ks_state(&s->http, (ks_ref){"$reply", ret->entity_key});
    if (!kept)
        return true;
    ret->is_answered = true;
    if (str_is(val_str(ks_get(kept, "key")), key) &&
        str_is(val_str(ks_get(kept, "request")), str_of(ret->fingerprint)))
        answer_again(s, kept);
    else
        http_step_problem(s, 422,
                          "This Idempotency-Key was used for another request; choose a new one.");
    return true;
}

void idempotency_remember(struct http_step *s, const struct idempotency *key)
{
    ks_arena *mem = s->http.mem;
    const struct reply *reply = &s->reply;
    if (reply->status >= 500 || reply->feed)
        return;
    ks_val *kept = ks_object(mem);
    ks_put(mem, kept, "key", ks_string_n(mem, key->key.at, key->key.len));
    ks_put(mem, kept, "request", ks_string(mem, key->fingerprint));
    ks_put(mem, kept, "status", ks_integer(mem, reply->status));
    ks_put(mem, kept, "type", ks_string(mem, reply->content_type));
    ks_put(mem, kept, "headers", ks_string_n(mem, reply->headers->at, reply->headers->len));
    ks_put(mem, kept, "body", ks_string_n(mem, reply->body->at, reply->body->len));
    ks_signal(&s->out, (ks_ref){"$reply", key->entity_key}, "keep", kept);
    if (s->out.error) {
        s->out.sent = (struct message_list){0};
        http_step_problem(s, 500, "An answer that is to be repeated has to be UTF-8 text.");
    }
}

const ks_val *idempotency_keep(ks_entity *e)
{
    ks_set(e, "", e->arg);
    entity_expire(e, e->now_ms + KS_HOURS(IDEMPOTENCY_HOURS));
    return NULL;
}
