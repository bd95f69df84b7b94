/* registry.h - the gift registry: its life (registry.c) and its webhooks (webhooks.c) */
#ifndef REGISTRY_H
#define REGISTRY_H

#include "keepsake.h"

/* {"id", "items": [text], "openedAt": ms, "closesAt": ms} and, once closed, {"closedAt": ms,
 * "closedBy": text} */
#define LIST(id) ((ks_ref){"RegistryList", (id)})
/* {"registryCount", "itemsCount", "openCount", "closedCount"} */
#define STATS ((ks_ref){"RegistryStats", ""})

enum { ITEM_BYTES_MAX = 8192 };

extern const ks_function registry_functions[];
extern const ks_page registry_pages[]; /* web/registry, embedded by tools/embed */

ks_http_fn webhook_open, webhook_add, webhook_finish, webhook_peek, webhook_stats;

ks_feed_fn feed_list, feed_stats;
ks_val *stats_answer(ks_arena *mem, const ks_val *stats);

#endif
