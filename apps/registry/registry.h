/* registry.h - the gift registry: its life (registry.c), its webhooks (webhooks.c), and who gets it
 * when it has closed (processor.c) */
#ifndef REGISTRY_H
#define REGISTRY_H

#include "keepsake.h"

/* {"id", "items": [text], "openedAt": ms, "closesAt": ms}, with LIST_COUNTED_FROM items or more
 * {"bytes": how much they take} and, once it has closed, {"closedAt": ms, "closedBy": text,
 * "processing": text}; without the last, nobody processes it */
#define LIST(id) ((ks_ref){"RegistryList", (id)})
/* {"registryCount", "itemsCount", "openCount", "closedCount"} */
#define STATS ((ks_ref){"RegistryStats", ""})

/* A registry is handed over to its processor as one value, which may have 1 MiB. */
enum { ITEM_BYTES_MAX = 8192, LIST_BYTES_MAX = 1000000 };
/* What an item counts as. Fewer than these need no counting: they fit. */
#define ITEM_BYTES(item) ((int64_t)ks_len(item) + 8)
enum { LIST_COUNTED_FROM = LIST_BYTES_MAX / (ITEM_BYTES_MAX + 8) };
/* What the items of a list take; an estimate from above while there are few. */
int64_t list_bytes(const ks_val *list);

extern const ks_function registry_functions[];
extern const ks_page registry_pages[]; /* web/registry, embedded by tools/embed */

/* Sends the registry, which is closed, to its processor. */
void registry_hand_over(ks_orch *o);
ks_activity_fn has_processor, send_to_processor;

ks_http_fn webhook_open, webhook_add, webhook_finish, webhook_peek, webhook_stats;

ks_feed_fn feed_list, feed_stats;
ks_val *stats_answer(ks_arena *mem, const ks_val *stats);

#endif
