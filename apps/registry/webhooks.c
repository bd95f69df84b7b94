/* The webhooks: by GET as the original answers, by POST as a web API is written today. */
#include "registry.h"

#include <ctype.h>
#include <string.h>

/* The original answers every refusal with 400 and a text; a POST learns more. */
#define REFUSE(h, status, ...) \
    (is_post(h) ? ks_reply_problem((h), (status), __VA_ARGS__) \
                : ks_reply_text((h), 400, __VA_ARGS__))

static bool is_post(const ks_http *h)
{
    return strcmp(h->method, "POST") == 0;
}

static bool is_blank(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return !*text;
}

static ks_val *times(ks_http *h, ks_val *answer, const ks_val *list)
{
    const ks_val *closed_at = ks_get(list, "closedAt");
    ks_put(h->mem, answer, "closesAt", ks_utc(h->mem, ks_int(ks_get(list, "closesAt"))));
    if (closed_at) {
        ks_put(h->mem, answer, "closedAt", ks_utc(h->mem, ks_int(closed_at)));
        ks_put(h->mem, answer, "closedBy", ks_get(list, "closedBy"));
    }
    return answer;
}

int webhook_open(ks_http *h)
{
    const char *id = ks_new_id(h);
    int64_t closes_ms = h->now_ms + ks_setting_ms(h->settings, "REGISTRY_OPEN_FOR");
    ks_val *input = ks_object(h->mem);
    ks_put(h->mem, input, "closesAt", ks_integer(h->mem, closes_ms));
    ks_start(h->out, "RegistryOrchestration", id, input);
    if (!is_post(h))
        return ks_reply_text(h, 200, "%s", id);
    ks_val *answer = ks_object(h->mem);
    ks_put(h->mem, answer, "id", ks_string(h->mem, id));
    ks_put(h->mem, answer, "status", ks_string(h->mem, "Open"));
    ks_reply_header(h, "Location", ks_format(h->mem, "/api/Peek/%s", id));
    return ks_reply_json(h, 201, times(h, answer, input));
}

/* Each is false when a refusal was answered. */
static bool has_id(ks_http *h, const char *id, const char *function)
{
    if (!is_blank(id))
        return true;
    REFUSE(h, 400, "Id is required after %s/ on the route.", function);
    return false;
}

static bool is_open(ks_http *h, const char *id, const ks_val **ret_list)
{
    bool is_there = ks_status(h, id) != KS_MISSING; /* if it was due, it is closed then */
    *ret_list = ks_state(h, LIST(id));
    if (!is_there)
        REFUSE(h, 404, "Unable to find workflow with id %s", id);
    else if (ks_get(*ret_list, "closedAt"))
        REFUSE(h, 409, "Instance %s is not active.", id);
    else
        return true;
    return false;
}

/* One that nobody is sent may grow for as long as it likes. */
static bool has_room(ks_http *h, const char *id, const ks_val *list, const ks_val *item)
{
    if (list_bytes(list) + ITEM_BYTES(item) <= LIST_BYTES_MAX ||
        !ks_setting(h->settings, "REGISTRY_PROCESSOR_URL")[0])
        return true;
    REFUSE(h, 413,
           "Registry %s is full: its items may take %d bytes, and with this one it is more.", id,
           LIST_BYTES_MAX);
    return false;
}

/* The item of a POST, JSON or plain text; NULL when a refusal was answered. */
static const ks_val *posted_item(ks_http *h)
{
    const ks_val *body = ks_body(h);
    if (ks_is_content_type(h, "text/plain"))
        return body;
    if (!ks_is_content_type(h, "application/json")) {
        ks_reply_problem(h, 415,
                         "Send the item as application/json, {\"item\":\"…\"}, or as "
                         "text/plain.");
        return NULL;
    }
    const ks_val *json = ks_parse_json(h->mem, ks_text(body), ks_len(body));
    const ks_val *item = ks_get(json, "item");
    if (ks_is_error(json))
        ks_reply_problem(h, 400, "The body is not JSON: %s.", ks_text(json));
    else if (ks_type_of(item) != KS_STRING)
        ks_reply_problem(h, 422, "The body has to be {\"item\":\"…\"}, the item a string.");
    return ks_type_of(item) == KS_STRING ? item : NULL;
}

/* The item, good to be kept; NULL when a refusal was answered. */
static const ks_val *asked_item(ks_http *h)
{
    const ks_val *item = is_post(h) ? posted_item(h) : ks_query(h, "item");
    if (!item && is_post(h))
        return NULL;
    if (!item)
        REFUSE(h, 400, "Item is required as a querystring parameter");
    else if (!is_post(h) && ks_query_count(h, "item") > 1)
        REFUSE(h, 400, "Item is given more than once in the query; give it once.");
    else if (ks_len(item) == 0)
        REFUSE(h, 422, "Item is empty; it has to be 1 to %d bytes.", ITEM_BYTES_MAX);
    else if (ks_len(item) > ITEM_BYTES_MAX)
        REFUSE(h, 422, "Item is too long: %zu bytes, and at most %d are allowed.", ks_len(item),
               ITEM_BYTES_MAX);
    else if (!ks_is_utf8(item))
        REFUSE(h, 422, "Item is not UTF-8 text.");
    else
        return item;
    return NULL;
}

int webhook_add(ks_http *h)
{
    const char *id = ks_route(h, "id");
    if (!has_id(h, id, "Add"))
        return 0;
    const ks_val *item = asked_item(h), *list;
    if (!item || !is_open(h, id, &list) || !has_room(h, id, list, item))
        return 0;
    ks_signal(h->out, LIST(id), "AddItem", item);
    ks_signal(h->out, STATS, "NewItem", NULL);
    if (!is_post(h))
        return ks_reply_empty(h, 200);
    size_t before = ks_len(ks_get(list, "items"));
    ks_val *answer = ks_object(h->mem);
    ks_put(h->mem, answer, "id", ks_string(h->mem, id));
    ks_put(h->mem, answer, "itemsCount", ks_integer(h->mem, (int64_t)before + 1));
    return ks_reply_json(h, 200, answer);
}

int webhook_finish(ks_http *h)
{
    const char *id = ks_route(h, "id");
    const ks_val *list;
    if (!has_id(h, id, "Finish") || !is_open(h, id, &list))
        return 0;
    ks_raise(h->out, id, "Close", ks_integer(h->mem, h->now_ms));
    if (!is_post(h))
        return ks_reply_empty(h, 200);
    ks_val *answer = ks_object(h->mem);
    ks_put(h->mem, answer, "id", ks_string(h->mem, id));
    ks_put(h->mem, answer, "status", ks_string(h->mem, "Closed"));
    times(h, answer, list);
    ks_put(h->mem, answer, "closedAt", ks_utc(h->mem, h->now_ms));
    ks_put(h->mem, answer, "closedBy", ks_string(h->mem, "user"));
    return ks_reply_json(h, 200, answer);
}

int webhook_peek(ks_http *h)
{
    const char *id = ks_route(h, "id");
    if (!has_id(h, id, "Peek"))
        return 0;
    if (ks_status(h, id) == KS_MISSING)
        return REFUSE(h, 404, "Unable to find workflow with id %s", id);
    if (ks_wants_events(h))
        return ks_reply_events(h, LIST(id), feed_list);
    const ks_val *list = ks_state(h, LIST(id));
    const ks_val *processing = ks_get(list, "processing");
    ks_val *registry = ks_object(h->mem);
    ks_put(h->mem, registry, "id", ks_get(list, "id"));
    ks_put(h->mem, registry, "items", ks_get(list, "items"));
    ks_val *answer = ks_object(h->mem);
    ks_put(h->mem, answer, "status",
           ks_string(h->mem, ks_get(list, "closedAt") ? "Closed" : "Open"));
    ks_put(h->mem, answer, "registry", registry);
    times(h, answer, list);
    if (ks_get(list, "closedAt"))
        ks_put(h->mem, answer, "processing", processing ? processing : ks_string(h->mem, "none"));
    return ks_reply_json(h, 200, answer);
}

int webhook_stats(ks_http *h)
{
    if (ks_wants_events(h))
        return ks_reply_events(h, STATS, feed_stats);
    return ks_reply_json(h, 200, stats_answer(h->mem, ks_state(h, STATS)));
}
