#include "sim/damage.h"

#include <string.h>

/* In the last record of the journal: nothing behind it says that it was whole. */
static bool pick_last_record(struct sim *s, const struct disk_name **ret_name, size_t *ret_byte)
{
    const struct disk *d = &s->disk;
    const struct disk_name *newest = NULL;
    for (size_t i = 0; i < d->shown.count; i++)
        if (strstr(d->shown.at[i].path, ".log") &&
            (!newest || strcmp(d->shown.at[i].path, newest->path) > 0))
            newest = &d->shown.at[i];
    if (!newest)
        return false;
    const struct disk_bytes *bytes = &d->nodes[newest->node].shown;
    size_t end = bytes->len;
    while (end > 0 && !bytes->at[end - 1])
        end--;
    if (end <= 4096)
        return false;
    *ret_name = newest;
    *ret_byte = end - 1 - draw(s, (uint32_t)((end - 1) % 4096) + 1);
    return true;
}

bool damage_is_settling(const struct sim *s)
{
    int node = disk_find(&s->disk, "/data/hub/checkpoint.settling");
    const struct disk_bytes *note = node < 0 ? NULL : &s->disk.nodes[node].shown;
    for (size_t i = 0; note && i < note->len; i++)
        if (note->at[i])
            return true;
    return false;
}

/* In the checkpoint's log, which may have been on its way into the checkpoint. */
static bool pick_of_log(struct sim *s, const struct disk_name **ret_name, size_t *ret_byte)
{
    const struct disk *d = &s->disk;
    for (size_t i = 0; i < d->shown.count; i++) {
        const struct disk_name *name = &d->shown.at[i];
        size_t len = d->nodes[name->node].shown.len;
        if (!strstr(name->path, "-wal") || !len)
            continue;
        *ret_name = name;
        *ret_byte = draw(s, (uint32_t)len);
        return true;
    }
    return false;
}

static void pick_byte(struct sim *s, const struct disk_name **ret_name, size_t *ret_byte)
{
    const struct disk *d = &s->disk;
    uint32_t where = draw(s, 4);
    if (damage_is_settling(s) && draw(s, 2))
        where = 2;
    if (where == 3 && pick_last_record(s, ret_name, ret_byte)) {
        PROBE("a bit of the last record flipped");
        return;
    }
    if (where == 2 && pick_of_log(s, ret_name, ret_byte)) {
        PROBE("a bit of the checkpoint's log flipped");
        if (damage_is_settling(s))
            PROBE("a bit of the checkpoint's log flipped while it was settled");
        return;
    }
    *ret_name = &d->shown.at[draw(s, (uint32_t)d->shown.count)];
    size_t len = d->nodes[(*ret_name)->node].shown.len;
    *ret_byte = len ? draw(s, (uint32_t)len) : 0;
    /* Lest all is in places that nobody reads. */
    if (len > 4096 && draw(s, 2))
        *ret_byte = draw(s, 4096) + (len / 4096 > 1 ? 4096 * (size_t)draw(s, 2) : 0);
}

bool damage_something(struct sim *s)
{
    struct disk *d = &s->disk;
    const struct disk_name *name, *from;
    size_t byte, from_byte;
    pick_byte(s, &name, &byte);
    size_t len = d->nodes[name->node].shown.len;
    uint32_t how = draw(s, 4);
    if (byte >= len)
        return false;
    if (how < 2) {
        tell(s, "trial: bit flipped at %zu of %s", byte, name->path);
        disk_flip(d, name->node, byte, draw(s, 8));
        return true;
    }
    byte -= byte % 4096;
    if (how == 2) {
        tell(s, "trial: block lost at %zu of %s", byte, name->path);
        disk_misplace(d, name->node, byte, NULL, 0);
        PROBE("a block was lost");
        return true;
    }
    pick_byte(s, &from, &from_byte);
    from_byte -= from_byte % 4096;
    tell(s, "trial: block at %zu of %s is at %zu of %s", from_byte, from->path, byte, name->path);
    disk_misplace(d, name->node, byte, &d->nodes[from->node], from_byte);
    PROBE("a block was written to the wrong place");
    return true;
}
