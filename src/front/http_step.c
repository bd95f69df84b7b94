#include "front/http_step.h"

#include <stdarg.h>
#include <stdio.h>

/* The public context stands first in its step. */
static struct http_step *step_of(ks_http *h)
{
    return (struct http_step *)(void *)h;
}

void http_step_problem(struct http_step *s, int status, const char *detail)
{
    s->reply.status = status;
    s->reply.content_type = "application/problem+json";
    s->reply.feed = NULL;
    s->reply.headers->len = 0;
    s->reply.body->len = 0;
    http1_problem(s->reply.body, status, detail);
}

void http_step_run(struct http_step *s)
{
    s->reply.status = 0;
    s->reply.headers->len = 0;
    s->reply.body->len = 0;
    s->route->fn->http.run(&s->http);
    if (s->out.error) {
        char detail[256];
        snprintf(detail, sizeof detail, "The function \"%s\" sent what cannot be sent: %s",
                 s->route->fn->name, s->out.error);
        http_step_problem(s, 500, detail);
        s->out.sent = (struct message_list){0};
        s->is_deferred = false;
    } else if (s->reply.status == 0) {
        s->reply.status = 204;
        s->reply.content_type = NULL;
    }
}

/* ---- the request ---- */

/* 48 bits of time and 80 random ones, like UUIDs of version 7 (RFC 9562, 5.7): what is made at the
 * same time stands together in the checkpoint's index. */
const char *ks_new_id(ks_http *h)
{
    struct http_step *s = step_of(h);
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[16];
    for (int i = 0; i < 6; i++)
        bytes[i] = (uint8_t)((uint64_t)h->now_ms >> (40 - 8 * i));
    s->config->env->random(s->config->env->self, bytes + 6, sizeof bytes - 6);
    char *id = arena_alloc(h->mem, 33);
    for (size_t i = 0; i < sizeof bytes; i++) {
        id[2 * i] = hex[bytes[i] >> 4];
        id[2 * i + 1] = hex[bytes[i] & 15];
    }
    id[32] = 0;
    return id;
}

const char *ks_route(ks_http *h, const char *name)
{
    struct http_step *s = step_of(h);
    return route_value(s->route, s->target, str_of(name)).at;
}

size_t ks_query_count(ks_http *h, const char *name)
{
    const struct target *t = step_of(h)->target;
    size_t n = 0;
    for (size_t i = 0; i < t->query_count; i++)
        n += str_is_nocase(t->query[i].name, str_of(name));
    return n;
}

const ks_val *ks_query(ks_http *h, const char *name)
{
    const struct target *t = step_of(h)->target;
    for (size_t i = 0; i < t->query_count; i++)
        if (str_is_nocase(t->query[i].name, str_of(name)))
            return ks_string_n(h->mem, t->query[i].value.at, t->query[i].value.len);
    return NULL;
}

const char *ks_header(ks_http *h, const char *name)
{
    struct str value = http1_find(step_of(h)->request, name);
    return value.at ? arena_strndup(h->mem, value.at, value.len) : NULL;
}

const ks_val *ks_body(ks_http *h)
{
    struct str body = step_of(h)->request->body;
    return ks_string_n(h->mem, body.at, body.len);
}

bool ks_is_content_type(ks_http *h, const char *media_type)
{
    struct str type = http1_find(step_of(h)->request, "Content-Type");
    const char *end = type.len ? memchr(type.at, ';', type.len) : NULL;
    if (end)
        type.len = (size_t)(end - type.at);
    while (type.len && (type.at[type.len - 1] == ' ' || type.at[type.len - 1] == '\t'))
        type.len--;
    return str_is_nocase(type, str_of(media_type));
}

bool ks_is_utf8(const ks_val *string)
{
    return utf8_is_valid(val_str(string));
}

/* ---- the newest state ---- */

static struct instance *look(ks_http *h, const char *id)
{
    struct instance *inst = partition_look(step_of(h)->config->partition, str_of(id));
    return inst && inst->kind == INSTANCE_ORCHESTRATION ? inst : NULL;
}

ks_runtime_status ks_status(ks_http *h, const char *id)
{
    const struct instance *inst = look(h, id);
    return inst ? (ks_runtime_status)inst->status : KS_MISSING;
}

const ks_val *ks_output(ks_http *h, const char *id)
{
    const struct instance *inst = look(h, id);
    return inst ? instance_output(inst, h->mem) : NULL;
}

const ks_val *ks_custom_status(ks_http *h, const char *id)
{
    const struct instance *inst = look(h, id);
    return inst ? instance_custom_status(inst, h->mem) : NULL;
}

const ks_val *ks_input(ks_http *h, const char *id)
{
    const struct instance *inst = look(h, id);
    return inst ? instance_input(inst, h->mem) : NULL;
}

const ks_val *ks_history(ks_http *h, const char *id)
{
    const struct instance *inst = look(h, id);
    return inst ? instance_history(inst, h->mem) : NULL;
}

const ks_val *ks_state(ks_http *h, ks_ref entity)
{
    struct str id = entity_id(h->mem, str_of(entity.entity), str_of(entity.key));
    const struct instance *inst = partition_look(step_of(h)->config->partition, id);
    return inst ? inst->entity.doc.root : NULL;
}

/* ---- the answer ---- */

static int reply_start(ks_http *h, int status, const char *content_type)
{
    struct reply *reply = &step_of(h)->reply;
    reply->status = status;
    reply->content_type = content_type;
    reply->feed = NULL;
    reply->body->len = 0;
    return status;
}

int ks_reply(ks_http *h, int status, const char *content_type, const void *body, size_t len)
{
    char *type = arena_strndup(h->mem, content_type, strlen(content_type));
    buf_append((reply_start(h, status, type), step_of(h)->reply.body), body, len);
    return status;
}

int ks_reply_empty(ks_http *h, int status)
{
    return reply_start(h, status, NULL);
}

int ks_reply_text(ks_http *h, int status, const char *format, ...)
{
    va_list args;
    reply_start(h, status, "text/plain; charset=utf-8");
    va_start(args, format);
    buf_vprintf(step_of(h)->reply.body, format, args);
    va_end(args);
    return status;
}

int ks_reply_json(ks_http *h, int status, const ks_val *val)
{
    reply_start(h, status, "application/json; charset=utf-8");
    val_write_json(step_of(h)->reply.body, val);
    return status;
}

int ks_reply_problem(ks_http *h, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vformat(h->mem, format, args);
    va_end(args);
    reply_start(h, status, "application/problem+json");
    http1_problem(step_of(h)->reply.body, status, text);
    return status;
}

bool ks_wants_events(ks_http *h)
{
    /* By name: a program that takes anything at all would wait for the end of what has none. */
    const char *accept = ks_header(h, "Accept");
    return accept && strstr(accept, "text/event-stream");
}

int ks_reply_events(ks_http *h, ks_ref entity, ks_feed_fn *feed)
{
    struct reply *reply = &step_of(h)->reply;
    reply_start(h, 200, "text/event-stream; charset=utf-8");
    buf_printf(reply->body, "retry: 1000\nevent: now\ndata: %lld\n\n", (long long)h->now_ms);
    ks_reply_header(h, "X-Accel-Buffering", "no"); /* for proxies that would wait for the end */
    reply->feed = feed;
    reply->feed_id = entity_id(h->mem, str_of(entity.entity), str_of(entity.key));
    return 200;
}

int ks_reply_result(ks_http *h, ks_ref entity, const char *operation, const ks_val *arg)
{
    struct http_step *s = step_of(h);
    /* What is to be answered to a repeat is kept now, and the result is not there yet. */
    if (s->route->fn->http.flags & KS_IDEMPOTENT && !h->out->error)
        h->out->error = "an idempotent function's answer cannot be a result";
    struct message m = {.type = MESSAGE_CALL,
                        .target = entity_id(h->mem, str_of(entity.entity), str_of(entity.key)),
                        .name = str_of(operation),
                        .val = arg,
                        .from = {.id = STR("$http"), .uid = s->token}};
    outbox_send(h->out, &m);
    s->is_deferred = true;
    return reply_start(h, 200, NULL);
}

/* What would break out of a header line is left out. */
static void append_field(struct buf *out, const char *text)
{
    for (; *text; text++)
        if ((uint8_t)*text >= 0x20 && *text != 0x7F)
            buf_byte(out, (uint8_t)*text);
}

void ks_reply_header(ks_http *h, const char *name, const char *value)
{
    struct buf *headers = step_of(h)->reply.headers;
    append_field(headers, name);
    buf_str(headers, ": ");
    append_field(headers, value);
    buf_str(headers, "\r\n");
}
