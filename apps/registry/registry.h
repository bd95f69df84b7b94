/* registry.h - the gift registry: its life (registry.c) and its webhooks (webhooks.c) */
#ifndef REGISTRY_H
#define REGISTRY_H

#include "keepsake.h"

/* {"id", "items": [text], "closesAt": ms} and, once closed, {"closedAt": ms, "closedBy": text} */
#define LIST(id) ((ks_ref){"RegistryList", (id)})
/* {"registryCount", "itemsCount", "openCount", "closedCount"} */
#define STATS ((ks_ref){"RegistryStats", ""})

enum { ITEM_BYTES_MAX = 8192 };

extern const ks_function registry_functions[];

ks_http_fn webhook_open, webhook_add, webhook_finish, webhook_peek, webhook_stats;

#endif
