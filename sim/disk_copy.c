#include "sim/disk_copy.h"

#include "sim/heap.h"

#include <string.h>

struct disk_copy {
    struct disk_node nodes[DISK_NODES_MAX];
    struct disk_names shown, durable;
    struct disk_change *changes;
    size_t change_count;
};

static void *memdup_or_null(const void *at, size_t len)
{
    if (!len)
        return NULL;
    void *copy = sim_malloc(len);
    memcpy(copy, at, len);
    return copy;
}

static struct disk_bytes bytes_copy(const struct disk_bytes *b)
{
    return (struct disk_bytes){memdup_or_null(b->at, b->cap), b->len, b->cap};
}

struct disk_copy *disk_copy(const struct disk *d)
{
    struct disk_copy *c = sim_zalloc(sizeof *c);
    c->shown = d->shown;
    c->durable = d->durable;
    c->changes = memdup_or_null(d->changes, d->change_count * sizeof d->changes[0]);
    c->change_count = d->change_count;
    for (int i = 0; i < DISK_NODES_MAX; i++) {
        const struct disk_node *from = &d->nodes[i];
        struct disk_node *to = &c->nodes[i];
        *to = *from;
        to->durable = bytes_copy(&from->durable);
        to->shown = bytes_copy(&from->shown);
        to->log = memdup_or_null(from->log, from->log_count * sizeof from->log[0]);
        to->log_cap = from->log_count;
        for (size_t k = 0; k < from->log_count; k++)
            to->log[k].bytes = memdup_or_null(from->log[k].bytes, from->log[k].len);
    }
    return c;
}

void disk_restore(struct disk *d, struct disk_copy *c)
{
    uint64_t hash = d->hash;
    disk_free(d);
    memcpy(d->nodes, c->nodes, sizeof d->nodes);
    d->shown = c->shown;
    d->durable = c->durable;
    d->changes = c->changes;
    d->change_count = c->change_count;
    d->change_cap = c->change_count;
    d->hash = hash;
    sim_free(c);
}
