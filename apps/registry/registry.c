/* The gift registry: opened, added to, finished - or closed by itself when its time has passed -
 * and then handed to its processor, if there is one. */
#include "registry.h"

/* Who finished was told the time; that may be an earlier pass's than the one that gets here. */
static int64_t closing_ms(const ks_orch *o, ks_task *closed, bool is_by_user)
{
    const ks_val *told = is_by_user ? ks_await(closed) : NULL;
    return ks_type_of(told) == KS_INTEGER ? ks_int(told) : o->now_ms;
}

static const ks_val *registry_orchestration(ks_orch *o)
{
    int64_t closes_ms = ks_int(ks_get(o->input, "closesAt"));
    ks_await(ks_call(o, "NewList", o->input));
    ks_task *closed = ks_event(o, "Close");
    ks_task *timeout = ks_timer(o, closes_ms);
    bool is_by_user = ks_winner(ks_when_any(o, closed, timeout)) == closed;
    bool is_processed = ks_is_true(ks_await(ks_call(o, "HasProcessor", NULL)));
    ks_val *how = ks_object(o->mem);
    ks_put(o->mem, how, "by", ks_string(o->mem, is_by_user ? "user" : "timeout"));
    ks_put(o->mem, how, "at", ks_integer(o->mem, closing_ms(o, closed, is_by_user)));
    ks_put(o->mem, how, "isProcessed", ks_boolean(o->mem, is_processed));
    ks_signal(o->out, LIST(o->id), "Close", how);
    ks_signal(o->out, STATS, "RegistryClosed", NULL);
    if (is_processed)
        registry_hand_over(o);
    return ks_boolean(o->mem, is_by_user);
}

static const ks_val *new_list(ks_activity *a)
{
    ks_signal(a->out, LIST(a->id), "New", a->input);
    ks_signal(a->out, STATS, "NewRegistry", NULL);
    return NULL;
}

static const ks_val *list_new(ks_entity *e)
{
    ks_val *list = ks_object(e->mem);
    ks_put(e->mem, list, "id", ks_string(e->mem, e->key));
    ks_put(e->mem, list, "items", ks_array(e->mem));
    ks_put(e->mem, list, "openedAt", ks_integer(e->mem, e->now_ms));
    ks_put(e->mem, list, "closesAt", ks_get(e->arg, "closesAt"));
    ks_set(e, "", list);
    return NULL;
}

int64_t list_bytes(const ks_val *list)
{
    const ks_val *items = ks_get(list, "items"), *counted = ks_get(list, "bytes");
    int64_t bytes = ks_int(counted);
    if (ks_len(items) < LIST_COUNTED_FROM)
        return (int64_t)ks_len(items) * (ITEM_BYTES_MAX + 8);
    for (size_t i = 0; !counted && i < ks_len(items); i++)
        bytes += ITEM_BYTES(ks_at(items, i));
    return bytes;
}

static const ks_val *list_add_item(ks_entity *e)
{
    if (ks_get(e->state, "bytes"))
        ks_add(e, "bytes", ITEM_BYTES(e->arg));
    else if (ks_len(ks_get(e->state, "items")) >= LIST_COUNTED_FROM)
        ks_set(e, "bytes", ks_integer(e->mem, list_bytes(e->state) + ITEM_BYTES(e->arg)));
    ks_append(e, "items", e->arg);
    return NULL;
}

static const ks_val *list_close(ks_entity *e)
{
    ks_set(e, "closedAt", ks_get(e->arg, "at"));
    ks_set(e, "closedBy", ks_get(e->arg, "by"));
    if (ks_is_true(ks_get(e->arg, "isProcessed")))
        ks_set(e, "processing", ks_string(e->mem, "pending"));
    return NULL;
}

static const ks_val *list_read(ks_entity *e)
{
    return e->state;
}

static const ks_val *list_processed(ks_entity *e)
{
    ks_set(e, "processing", e->arg);
    return NULL;
}

static const ks_val *stats_new_registry(ks_entity *e)
{
    ks_add(e, "registryCount", 1);
    ks_add(e, "openCount", 1);
    return NULL;
}

static const ks_val *stats_new_item(ks_entity *e)
{
    ks_add(e, "itemsCount", 1);
    return NULL;
}

static const ks_val *stats_registry_closed(ks_entity *e)
{
    ks_add(e, "openCount", -1);
    ks_add(e, "closedCount", 1);
    return NULL;
}

const ks_function registry_functions[] = {
    KS_SETTING("REGISTRY_OPEN_FOR", KS_AS_DURATION, "5m", "how long a registry stays open"),
    KS_SETTING("REGISTRY_PROCESSOR_URL", KS_AS_URL, "", "who gets registries that have closed"),
    KS_SETTING("REGISTRY_PROCESSOR_SECRET", KS_AS_TEXT, "", "what signs them; unsigned without"),
    KS_ORCHESTRATION("RegistryOrchestration", registry_orchestration),
    KS_ACTIVITY_INLINE("NewList", new_list),
    KS_ACTIVITY_INLINE("HasProcessor", has_processor),
    KS_ACTIVITY("SendToProcessor", send_to_processor),
    KS_ENTITY("RegistryList", "New", list_new),
    KS_ENTITY("RegistryList", "AddItem", list_add_item),
    KS_ENTITY("RegistryList", "Close", list_close),
    KS_ENTITY("RegistryList", "Read", list_read),
    KS_ENTITY("RegistryList", "Processed", list_processed),
    KS_ENTITY("RegistryStats", "NewRegistry", stats_new_registry),
    KS_ENTITY("RegistryStats", "NewItem", stats_new_item),
    KS_ENTITY("RegistryStats", "RegistryClosed", stats_registry_closed),
    KS_HTTP("Open", "GET,POST", "Open", KS_IDEMPOTENT, webhook_open),
    KS_HTTP("Add", "GET,POST", "Add/{id?}", KS_IDEMPOTENT, webhook_add),
    KS_HTTP("Finish", "GET,POST", "Finish/{id?}", 0, webhook_finish),
    KS_HTTP("Peek", "GET", "Peek/{id?}", 0, webhook_peek),
    KS_HTTP("Stats", "GET", "Stats", 0, webhook_stats),
    KS_PAGES("Page", registry_pages),
    KS_END,
};
