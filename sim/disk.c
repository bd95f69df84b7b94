#include "sim/disk.h"

#include "sim/heap.h"
#include "sim/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void disk_init(struct disk *d, struct tape *tape)
{
    memset(d, 0, sizeof *d);
    d->tape = tape;
    for (int i = 0; i < DISK_FILES_MAX; i++)
        d->files[i] = -1;
}

static void note(struct disk *d, const char *what, const void *bytes, size_t len, int64_t n)
{
    d->hash = XXH3_64bits_withSeed(bytes, len, d->hash + (uint64_t)n * 31 + (uint64_t)what[0]);
}

const char *disk_name_of(const struct disk *d, int node)
{
    for (size_t i = 0; i < d->shown.count; i++)
        if (d->shown.at[i].node == node)
            return d->shown.at[i].path;
    return "?";
}

/* It goes wrong, as `end` says; "": it does not. */
static void trace(const struct disk *d, const char *what, int node, int64_t from, int64_t len,
                  const char *end)
{
    if (d->tracing == TRACE_ALL || (d->tracing && end[0]))
        printf("                 %s %s %lld+%lld%s\n", what, disk_name_of(d, node), (long long)from,
               (long long)len, end);
}

/* ---- bytes and nodes ---- */

static void bytes_reserve(struct disk_bytes *b, size_t len)
{
    if (len > b->cap) {
        size_t cap = len + len / 2 + 4096;
        b->at = sim_realloc(b->at, cap);
        memset(b->at + b->cap, 0, cap - b->cap);
        b->cap = cap;
    }
}

void disk_bytes_put(struct disk_bytes *b, const void *from, size_t len, int64_t offset);
void disk_bytes_put(struct disk_bytes *b, const void *from, size_t len, int64_t offset)
{
    size_t end = (size_t)offset + len;
    bytes_reserve(b, end);
    if (len)
        memcpy(b->at + offset, from, len);
    if (end > b->len)
        b->len = end;
}

void disk_bytes_cut(struct disk_bytes *b, size_t len);
void disk_bytes_cut(struct disk_bytes *b, size_t len)
{
    bytes_reserve(b, len);
    if (len < b->len)
        memset(b->at + len, 0, b->len - len);
    b->len = len;
}

void disk_log_clear(struct disk_node *n);
void disk_log_clear(struct disk_node *n)
{
    for (size_t i = 0; i < n->log_count; i++)
        sim_free(n->log[i].bytes);
    n->log_count = 0;
}

static void node_free(struct disk_node *n)
{
    disk_log_clear(n);
    sim_free(n->log);
    sim_free(n->durable.at);
    sim_free(n->shown.at);
    *n = (struct disk_node){0};
}

void disk_free(struct disk *d)
{
    for (int i = 0; i < DISK_NODES_MAX; i++)
        node_free(&d->nodes[i]);
    sim_free(d->changes);
    d->changes = NULL;
}

static bool is_named(const struct disk *d, int node)
{
    for (size_t i = 0; i < d->shown.count; i++)
        if (d->shown.at[i].node == node)
            return true;
    for (size_t i = 0; i < d->durable.count; i++)
        if (d->durable.at[i].node == node)
            return true;
    for (size_t i = 0; i < d->change_count; i++)
        if (d->changes[i].node == node)
            return true;
    for (int i = 0; i < DISK_FILES_MAX; i++)
        if (d->files[i] == node)
            return true;
    return false;
}

void disk_tidy(struct disk *d)
{
    for (int i = 0; i < DISK_NODES_MAX; i++)
        if (d->nodes[i].is_used && !is_named(d, i))
            node_free(&d->nodes[i]);
}

static int node_new(struct disk *d, bool is_folder)
{
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < DISK_NODES_MAX; i++) {
            if (d->nodes[i].is_used)
                continue;
            d->nodes[i].is_used = true;
            d->nodes[i].is_folder = is_folder;
            return i;
        }
        disk_tidy(d);
    }
    sim_fail("the simulated disk has too many files");
}

/* ---- names ---- */

static struct disk_name *name_find(struct disk_names *names, const char *path)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->at[i].path, path) == 0)
            return &names->at[i];
    return NULL;
}

int disk_find(const struct disk *d, const char *path)
{
    for (size_t i = 0; i < d->shown.count; i++)
        if (strcmp(d->shown.at[i].path, path) == 0)
            return d->shown.at[i].node;
    return -1;
}

static void name_drop(struct disk_names *names, const char *path)
{
    struct disk_name *name = name_find(names, path);
    if (name)
        *name = names->at[--names->count];
}

static void name_put(struct disk_names *names, const char *path, int node)
{
    name_drop(names, path);
    if (names->count == DISK_NAMES_MAX)
        sim_fail("the simulated disk has too many names");
    struct disk_name *name = &names->at[names->count++];
    snprintf(name->path, sizeof name->path, "%s", path);
    name->node = node;
}

void disk_names_apply(struct disk_names *names, const struct disk_change *c);
void disk_names_apply(struct disk_names *names, const struct disk_change *c)
{
    if (c->kind != NAME_MADE)
        name_drop(names, c->path);
    if (c->kind == NAME_MADE)
        name_put(names, c->path, c->node);
    else if (c->kind == NAME_MOVED)
        name_put(names, c->to, c->node);
}

/* In time the system writes on its own what nobody syncs. */
static void settle_names(struct disk *d, size_t count)
{
    for (size_t i = 0; i < count; i++)
        disk_names_apply(&d->durable, &d->changes[i]);
    d->change_count -= count;
    memmove(d->changes, d->changes + count, d->change_count * sizeof d->changes[0]);
}

static void change(struct disk *d, enum disk_change_kind kind, const char *path, const char *to,
                   int node)
{
    if (d->change_count >= UNSYNCED_MAX)
        settle_names(d, d->change_count / 2);
    if (d->change_count == d->change_cap) {
        d->change_cap = d->change_cap ? d->change_cap * 2 : 32;
        d->changes = sim_realloc(d->changes, d->change_cap * sizeof d->changes[0]);
    }
    struct disk_change *c = &d->changes[d->change_count++];
    c->kind = kind;
    c->node = node;
    snprintf(c->path, sizeof c->path, "%s", path);
    snprintf(c->to, sizeof c->to, "%s", to);
    static const char *const whats[] = {"make", "rename", "unlink"};
    trace(d, whats[kind], c->node, 0, 0, "");
    disk_names_apply(&d->shown, c);
    note(d, "name", path, strlen(path), kind);
}

bool disk_is_in(const char *path, const char *folder);
bool disk_is_in(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    return strlen(folder) == len && strncmp(path, folder, len) == 0;
}

static bool parent_is_there(const struct disk *d, const char *path)
{
    char parent[72];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return true;
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    return disk_find(d, parent) >= 0;
}

/* ---- faults ---- */

static bool goes_off(uint32_t *count)
{
    return *count && --*count == 0;
}

static bool grows(const struct disk_node *n, size_t len, int64_t offset)
{
    return offset + (int64_t)len > (int64_t)n->shown.len;
}

static bool is_called(const struct disk *d, int file, const char *text)
{
    return strstr(disk_name_of(d, d->files[file]), text) != NULL;
}

static bool read_fails(struct disk *d, int file)
{
    return d->faults.fail_read && is_called(d, file, d->faults.fail_read_in) &&
           goes_off(&d->faults.fail_read);
}

static bool write_fails(struct disk *d, int file)
{
    if (d->faults.fail_record && is_called(d, file, ".log") && goes_off(&d->faults.fail_record))
        return true;
    return goes_off(&d->faults.fail_write);
}

/* ---- calls ---- */

static uint32_t draw_call(struct disk *d, uint32_t below)
{
    struct turn before = tape_use(d->tape, d->life);
    uint32_t n = tape_draw(d->tape, below);
    tape_use(d->tape, before);
    return n;
}

static bool call_once_in(struct disk *d, uint32_t times)
{
    return times && draw_call(d, times) == times - 1;
}

int disk_open(struct disk *d, const char *path, enum disk_open how, int *ret_file)
{
    int node = disk_find(d, path);
    if (node >= 0 && how == DISK_CREATE)
        return -EEXIST;
    if (node < 0 && (how == DISK_READ || how == DISK_WRITE))
        return -ENOENT;
    if (node < 0) {
        d->on_call(d->ctx, true);
        if (!parent_is_there(d, path))
            return -ENOENT;
        if (d->faults.is_full && call_once_in(d, 2)) {
            d->did.full++;
            return -ENOSPC;
        }
        node = node_new(d, false);
        change(d, NAME_MADE, path, "", node);
    }
    for (int i = 0; i < DISK_FILES_MAX; i++) {
        if (d->files[i] >= 0)
            continue;
        d->files[i] = node;
        *ret_file = i;
        return 0;
    }
    return -EMFILE;
}

int disk_open_nameless(struct disk *d)
{
    for (int i = 0; i < DISK_FILES_MAX; i++) {
        if (d->files[i] >= 0)
            continue;
        d->files[i] = node_new(d, false);
        return i;
    }
    return -EMFILE;
}

void disk_close(struct disk *d, int file)
{
    d->files[file] = -1;
}

static struct disk_node *node_of(struct disk *d, int file)
{
    if (file < 0 || file >= DISK_FILES_MAX || d->files[file] < 0)
        sim_fail("a file is used that is not open");
    return &d->nodes[d->files[file]];
}

int64_t disk_read(struct disk *d, int file, void *buf, size_t len, int64_t offset)
{
    struct disk_node *n = node_of(d, file);
    d->did.reads++;
    if (read_fails(d, file)) {
        d->did.failed_reads++;
        trace(d, "read", d->files[file], offset, (int64_t)len, " FAILS");
        PROBE("read failed");
        return -EIO;
    }
    if (offset >= (int64_t)n->shown.len)
        return 0;
    if (len > n->shown.len - (size_t)offset)
        len = n->shown.len - (size_t)offset;
    memcpy(buf, n->shown.at + offset, len);
    return (int64_t)len;
}

static void log_settle(struct disk_node *n, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct disk_write *w = &n->log[i];
        if (w->len)
            disk_bytes_put(&n->durable, w->bytes, w->len, w->offset);
        else
            disk_bytes_cut(&n->durable, (size_t)w->offset);
        sim_free(w->bytes);
    }
    n->log_count -= count;
    if (n->log_count)
        memmove(n->log, n->log + count, n->log_count * sizeof n->log[0]);
}

static void log_add(struct disk_node *n, const void *bytes, size_t len, int64_t offset)
{
    if (n->log_count >= UNSYNCED_MAX)
        log_settle(n, n->log_count / 2);
    if (n->log_count == n->log_cap) {
        n->log_cap = n->log_cap ? n->log_cap * 2 : 8;
        n->log = sim_realloc(n->log, n->log_cap * sizeof n->log[0]);
    }
    struct disk_write *w = &n->log[n->log_count++];
    *w = (struct disk_write){.offset = offset, .len = len};
    if (len) {
        w->bytes = sim_malloc(len);
        memcpy(w->bytes, bytes, len);
    }
}

int64_t disk_write(struct disk *d, int file, const void *buf, size_t len, int64_t offset)
{
    struct disk_node *n = node_of(d, file);
    d->on_call(d->ctx, false);
    d->did.writes++;
    if (d->faults.are_writes_odd) {
        uint32_t odd = draw_call(d, 4);
        if (odd == 3)
            return -EINTR;
        if (odd == 2 && len > 1)
            len = 1 + draw_call(d, (uint32_t)len);
    }
    if (write_fails(d, file)) {
        d->did.failed_writes++;
        trace(d, "write", d->files[file], offset, (int64_t)len, " FAILS");
        if (!call_once_in(d, 2) || len < 2)
            return -EIO;
        len = 1 + draw_call(d, (uint32_t)len - 1); /* some of it; the next call fails */
        d->faults.fail_write = 1;
        PROBE("write failed after some of it");
    }
    if (d->faults.full_in && grows(n, len, offset) && goes_off(&d->faults.full_in))
        d->faults.is_full = true;
    if (d->faults.is_full && grows(n, len, offset)) {
        d->did.full++;
        trace(d, "write", d->files[file], offset, (int64_t)len, " FINDS THE DISK FULL");
        if (offset >= (int64_t)n->shown.len)
            return -ENOSPC;
        len = n->shown.len - (size_t)offset;
        PROBE("disk full in the middle of a write");
    }
    trace(d, "write", d->files[file], offset, (int64_t)len, "");
    disk_bytes_put(&n->shown, buf, len, offset);
    log_add(n, buf, len, offset);
    d->did.bytes += len;
    note(d, "write", buf, len, offset);
    return (int64_t)len;
}

static void log_lose(struct disk_node *n)
{
    n->was_lost = true;
    for (size_t i = 0; i < n->log_count; i++) {
        const struct disk_write *w = &n->log[i];
        int64_t until = w->offset + (int64_t)w->len;
        if (n->lost_until == n->lost_from) {
            n->lost_from = w->offset;
            n->lost_until = until;
        }
        n->lost_from = w->offset < n->lost_from ? w->offset : n->lost_from;
        n->lost_until = until > n->lost_until ? until : n->lost_until;
    }
    disk_log_clear(n);
}

int disk_sync(struct disk *d, int file)
{
    struct disk_node *n = node_of(d, file);
    d->on_call(d->ctx, false);
    d->did.syncs++;
    note(d, "sync", NULL, 0, file);
    if (call_once_in(d, d->faults.slow_once_in))
        d->on_slow(d->ctx);
    if (goes_off(&d->faults.fail_sync)) {
        d->did.failed_syncs++;
        trace(d, "sync", d->files[file], 0, 0, " FAILS");
        log_lose(n);
        return -EIO;
    }
    if (n->log_count && goes_off(&d->faults.lie_sync)) {
        d->did.lies++;
        trace(d, "sync", d->files[file], 0, 0, " LIES");
        log_lose(n);
        return 0;
    }
    trace(d, "sync", d->files[file], 0, 0, "");
    log_settle(n, n->log_count);
    return 0;
}

int64_t disk_size(struct disk *d, int file)
{
    return (int64_t)node_of(d, file)->shown.len;
}

int disk_truncate(struct disk *d, int file, int64_t size)
{
    struct disk_node *n = node_of(d, file);
    d->on_call(d->ctx, false);
    trace(d, "truncate", d->files[file], size, 0, "");
    disk_bytes_cut(&n->shown, (size_t)size);
    log_add(n, NULL, 0, size);
    note(d, "truncate", NULL, 0, size);
    return 0;
}

int disk_rename(struct disk *d, const char *from, const char *to)
{
    int node = disk_find(d, from);
    d->on_call(d->ctx, true);
    if (node < 0)
        return -ENOENT;
    change(d, NAME_MOVED, from, to, node);
    return 0;
}

int disk_unlink(struct disk *d, const char *path)
{
    int node = disk_find(d, path);
    d->on_call(d->ctx, true);
    if (node < 0)
        return -ENOENT;
    change(d, NAME_GONE, path, "", node);
    return 0;
}

int disk_mkdir(struct disk *d, const char *path)
{
    if (disk_find(d, path) >= 0)
        return 0;
    d->on_call(d->ctx, true);
    if (!parent_is_there(d, path))
        return -ENOENT;
    if (d->faults.is_full) {
        d->did.full++;
        return -ENOSPC;
    }
    change(d, NAME_MADE, path, "", node_new(d, true));
    return 0;
}

int disk_sync_dir(struct disk *d, const char *path)
{
    size_t kept = 0;
    d->on_call(d->ctx, true);
    d->did.syncs++;
    if (goes_off(&d->faults.fail_sync_dir)) {
        d->did.failed_syncs++;
        trace(d, "sync folder", disk_find(d, path), 0, 0, " FAILS");
        return d->faults.sync_dir_error;
    }
    for (size_t i = 0; i < d->change_count; i++) {
        if (disk_is_in(d->changes[i].path, path))
            disk_names_apply(&d->durable, &d->changes[i]);
        else
            d->changes[kept++] = d->changes[i];
    }
    d->change_count = kept;
    trace(d, "sync folder", disk_find(d, path), 0, 0, "");
    note(d, "folder", path, strlen(path), 0);
    return 0;
}
