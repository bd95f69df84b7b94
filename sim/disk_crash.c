/* What is left of a disk. */
#include "sim/disk.h"
#include "sim/heap.h"
#include "sim/probe.h"

#include <stdio.h>
#include <string.h>

/* Of disk.c. */
void disk_bytes_put(struct disk_bytes *b, const void *from, size_t len, int64_t offset);
void disk_bytes_cut(struct disk_bytes *b, size_t len);
void disk_log_clear(struct disk_node *n);
void disk_names_apply(struct disk_names *names, const struct disk_change *c);
bool disk_is_in(const char *path, const char *folder);

/* How a power loss treats what was not synced. */
enum { BLOCK_BYTES = 4096 };
enum mood { LOSE_ALL, KEEP_ALL, KEEP_FIRST, KEEP_SOME, TEAR_SOME, MOODS };

static void put_sector(struct disk *d, struct disk_node *n, const uint8_t *bytes, size_t len,
                       int64_t offset, enum mood mood)
{
    uint8_t garbage[SECTOR_BYTES];
    uint32_t what = mood == TEAR_SOME ? tape_draw(d->tape, 8) : tape_draw(d->tape, 2);
    if (what == 0)
        return;
    if (what == 6 && len > 1) {
        len = 1 + tape_draw(d->tape, (uint32_t)len - 1);
        PROBE("sector torn");
    } else if (what == 7 && len == SECTOR_BYTES) {
        uint64_t stream = tape_draw(d->tape, 1u << 30);
        for (size_t i = 0; i < len; i++)
            garbage[i] = (uint8_t)mix64(&stream);
        bytes = garbage;
        PROBE("sector garbage");
    }
    disk_bytes_put(&n->durable, bytes, len, offset);
}

static void put_write(struct disk *d, struct disk_node *n, const struct disk_write *w,
                      enum mood mood)
{
    if (!w->len) {
        if (tape_once_in(d->tape, 2))
            disk_bytes_cut(&n->durable, (size_t)w->offset);
        return;
    }
    for (size_t done = 0; done < w->len;) {
        int64_t at = w->offset + (int64_t)done;
        size_t len = SECTOR_BYTES - (size_t)(at % SECTOR_BYTES);
        if (len > w->len - done)
            len = w->len - done;
        put_sector(d, n, w->bytes + done, len, at, mood);
        done += len;
    }
}

static void node_lose(struct disk *d, struct disk_node *n)
{
    static const char *const moods[] = {[LOSE_ALL] = "nothing",
                                        [KEEP_ALL] = "all",
                                        [KEEP_FIRST] = "the first",
                                        [KEEP_SOME] = "some sectors",
                                        [TEAR_SOME] = "some sectors, torn or garbage,"};
    if (!n->log_count && !n->was_lost) /* the images are the same */
        return;
    enum mood mood = n->log_count ? (enum mood)tape_draw(d->tape, MOODS) : LOSE_ALL;
    size_t first = n->log_count;
    if (mood == KEEP_FIRST)
        first = tape_draw(d->tape, (uint32_t)n->log_count + 1);
    if (d->tracing && n->log_count)
        printf("                 of %zu writes to %s that nobody had synced %s stayed\n",
               n->log_count, disk_name_of(d, (int)(n - d->nodes)), moods[mood]);
    for (size_t i = 0; i < n->log_count; i++) {
        const struct disk_write *w = &n->log[i];
        if (mood == KEEP_ALL || (mood == KEEP_FIRST && i < first)) {
            if (w->len)
                disk_bytes_put(&n->durable, w->bytes, w->len, w->offset);
            else
                disk_bytes_cut(&n->durable, (size_t)w->offset);
        } else if (mood == KEEP_SOME || mood == TEAR_SOME) {
            put_write(d, n, w, mood);
        }
    }
    disk_log_clear(n);
    disk_bytes_cut(&n->shown, 0);
    disk_bytes_put(&n->shown, n->durable.at, n->durable.len, 0);
    n->lost_from = 0;
    n->lost_until = 0;
    n->was_lost = false;
}

/* Of each folder's changes the first few are kept. */
static void names_lose(struct disk *d)
{
    while (d->change_count) {
        char folder[72];
        size_t left = 0, of_folder = 0;
        const char *slash = strrchr(d->changes[0].path, '/');
        size_t len = slash ? (size_t)(slash - d->changes[0].path) : 0;
        memcpy(folder, d->changes[0].path, len);
        folder[len] = 0;
        for (size_t i = 0; i < d->change_count; i++)
            of_folder += disk_is_in(d->changes[i].path, folder);
        size_t kept = tape_draw(d->tape, 2) ? tape_draw(d->tape, (uint32_t)of_folder + 1) : 0;
        if (kept < of_folder)
            PROBE("names lost");
        if (d->tracing)
            printf("                 of %zu changes of names in %s that nobody had synced %zu "
                   "stayed\n",
                   of_folder, folder, kept);
        for (size_t i = 0; i < d->change_count; i++) {
            if (!disk_is_in(d->changes[i].path, folder))
                d->changes[left++] = d->changes[i];
            else if (kept) {
                disk_names_apply(&d->durable, &d->changes[i]);
                kept--;
            }
        }
        d->change_count = left;
    }
    /* A folder that is not there takes what is in it along. */
    for (bool is_same = false; !is_same;) {
        is_same = true;
        d->shown = d->durable;
        for (size_t i = 0; i < d->durable.count; i++) {
            const char *path = d->durable.at[i].path;
            const char *slash = strrchr(path, '/');
            char parent[72] = "";
            if (!slash || slash == path)
                continue;
            memcpy(parent, path, (size_t)(slash - path));
            if (disk_find(d, parent) >= 0)
                continue;
            d->durable.at[i] = d->durable.at[--d->durable.count];
            is_same = false;
            break;
        }
    }
}

/* The system's cache drops what it shows but does not know to be unwritten. Of what was cut off
 * since it has nothing. */
static void cache_forget(struct disk *d, struct disk_node *n)
{
    if (n->lost_from == n->lost_until || !tape_once_in(d->tape, 2))
        return;
    size_t until = (size_t)n->lost_until;
    if (until > n->durable.len)
        until = n->durable.len;
    PROBE("cache forgot what a sync had failed to write");
    if (n->lost_until >= (int64_t)n->shown.len && (size_t)n->lost_from < n->shown.len)
        disk_bytes_cut(&n->shown, n->durable.len > (size_t)n->lost_from ? n->durable.len
                                                                        : (size_t)n->lost_from);
    if (until > n->shown.len)
        until = n->shown.len;
    if ((size_t)n->lost_from < until)
        disk_bytes_put(&n->shown, n->durable.at + n->lost_from, until - (size_t)n->lost_from,
                       n->lost_from);
    for (size_t i = 0; i < n->log_count; i++)
        if (n->log[i].len)
            disk_bytes_put(&n->shown, n->log[i].bytes, n->log[i].len, n->log[i].offset);
    n->lost_from = 0;
    n->lost_until = 0;
}

void disk_process_over(struct disk *d)
{
    for (int i = 0; i < DISK_FILES_MAX; i++)
        d->files[i] = -1;
    for (int i = 0; i < DISK_NODES_MAX; i++)
        if (d->nodes[i].is_used)
            cache_forget(d, &d->nodes[i]);
}

void disk_power_lost(struct disk *d)
{
    for (int i = 0; i < DISK_FILES_MAX; i++)
        d->files[i] = -1;
    names_lose(d);
    for (int i = 0; i < DISK_NODES_MAX; i++)
        if (d->nodes[i].is_used && !d->nodes[i].is_folder)
            node_lose(d, &d->nodes[i]);
}

void disk_flip(struct disk *d, int node, size_t byte, unsigned bit)
{
    struct disk_node *n = &d->nodes[node];
    if (byte < n->shown.len)
        n->shown.at[byte] ^= (uint8_t)(1u << bit);
    if (byte < n->durable.len)
        n->durable.at[byte] ^= (uint8_t)(1u << bit);
}

static void misplace(struct disk_bytes *to, size_t offset, const uint8_t block[BLOCK_BYTES])
{
    for (size_t i = 0; i < BLOCK_BYTES && offset + i < to->len; i++)
        to->at[offset + i] = block[i];
}

void disk_misplace(struct disk *d, int node, size_t offset, const struct disk_node *from,
                   size_t from_offset)
{
    uint8_t block[BLOCK_BYTES] = {0};
    for (size_t i = 0; from && i < BLOCK_BYTES && from_offset + i < from->shown.len; i++)
        block[i] = from->shown.at[from_offset + i];
    misplace(&d->nodes[node].shown, offset, block);
    misplace(&d->nodes[node].durable, offset, block);
}

size_t disk_bytes_shown(const struct disk *d)
{
    size_t bytes = 0;
    for (size_t i = 0; i < d->shown.count; i++)
        bytes += d->nodes[d->shown.at[i].node].shown.len;
    return bytes;
}
