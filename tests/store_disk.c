/* The disk of store_world.h: the real one, with a layer that fails, counts and forgets. */
#include "store_world.h"

#include "base/die.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct world *of(void *self)
{
    return self;
}

/* ---- the disk: what may be lost ---- */

enum { SECTOR_BYTES = 512 };

/* What to do to take one thing back that was not synced; newest first. */
struct lost {
    struct lost *older;
    enum lost_what { LOST_SECTOR, LOST_CREATED, LOST_RENAMED, LOST_UNLINKED } what;
    ino_t inode; /* of a sector's file */
    int64_t offset;
    size_t old_len; /* 0: it lay behind the end */
    uint8_t old[SECTOR_BYTES];
    char path[200], to[200];
};

static struct lost *note(struct world *w, enum lost_what what)
{
    struct lost *l = die_zalloc(sizeof *l);
    l->what = what;
    l->older = w->losable;
    w->losable = l;
    return l;
}

static ino_t inode_of(int file)
{
    struct stat st;
    return fstat(file, &st) == 0 ? st.st_ino : 0;
}

static void note_write(struct world *w, int file, size_t len, int64_t offset)
{
    int64_t end = offset + (int64_t)len;
    if (!w->is_volatile)
        return;
    for (int64_t at = offset / SECTOR_BYTES * SECTOR_BYTES; at < end; at += SECTOR_BYTES) {
        struct lost *l = note(w, LOST_SECTOR);
        l->inode = inode_of(file);
        l->offset = at;
        int64_t n = w->posix.disk_pread(NULL, file, l->old, SECTOR_BYTES, at);
        l->old_len = n > 0 ? (size_t)n : 0;
    }
}

static bool is_in(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && path[len] == '/' && !strchr(path + len + 1, '/');
}

/* Forgets what can no longer be lost: of a file, or (folder is not NULL) the names in a folder. */
static void settle(struct world *w, ino_t inode, const char *folder)
{
    for (struct lost **at = &w->losable; *at;) {
        struct lost *l = *at;
        bool is_it = l->what == LOST_SECTOR ? !folder && l->inode == inode
                                            : folder && is_in(l->path, folder);
        if (!is_it) {
            at = &l->older;
            continue;
        }
        if (l->what == LOST_UNLINKED)
            unlink(l->to);
        *at = l->older;
        free(l);
    }
}

struct inode_search {
    const char *folder;
    ino_t inode;
    char path[256];
};

static void match_inode(void *ctx, const char *name)
{
    struct inode_search *s = ctx;
    char path[200];
    struct stat st;
    snprintf(path, sizeof path, "%s/journal/%.60s", s->folder, name);
    if (stat(path, &st) == 0 && st.st_ino == s->inode)
        snprintf(s->path, sizeof s->path, "%s", path);
}

static void take_back_sector(struct world *w, const struct lost *l)
{
    static const uint8_t zeros[SECTOR_BYTES];
    struct inode_search s = {.folder = w->folder, .inode = l->inode};
    char journal[160];
    snprintf(journal, sizeof journal, "%s/journal", w->folder);
    w->posix.disk_list(NULL, journal, match_inode, &s);
    int file = s.path[0] ? open(s.path, O_RDWR) : -1;
    if (file < 0)
        return;
    struct stat st;
    fstat(file, &st);
    bool is_at_end = l->old_len < SECTOR_BYTES && st.st_size <= l->offset + SECTOR_BYTES;
    if (pwrite(file, l->old_len ? l->old : zeros, l->old_len ? l->old_len : SECTOR_BYTES,
               l->offset) < 0)
        die("cannot take back a write");
    if (is_at_end && ftruncate(file, l->offset + (int64_t)l->old_len) < 0)
        die("cannot take back a write");
    close(file);
}

/* Sectors are lost one by one. Names are kept up to some operation, as journaling file systems do:
 * the rest are taken back, newest first. */
static void world_disk_lose(struct world *w)
{
    bool is_all = world_dice(w, 4) == 0;
    uint64_t names_kept = world_dice(w, 3); /* 0: from the first on, all are lost */
    bool is_name_lost = true;
    while (w->losable) {
        struct lost *l = w->losable;
        w->losable = l->older;
        bool is_lost = is_all || world_dice(w, 2) == 0;
        if (l->what != LOST_SECTOR) {
            is_name_lost = is_name_lost && (names_kept == 0 || world_dice(w, 2) == 0);
            is_lost = is_name_lost;
        }
        if (!is_lost) {
            if (l->what == LOST_UNLINKED)
                unlink(l->to);
        } else if (l->what == LOST_SECTOR) {
            take_back_sector(w, l);
        } else if (l->what == LOST_CREATED) {
            unlink(l->path);
        } else {
            rename(l->to, l->path);
        }
        free(l);
    }
}

/* ---- the disk: calls ---- */

static void one_call(struct world *w)
{
    if (__atomic_add_fetch(&w->calls, 1, __ATOMIC_RELAXED) != w->crash_at)
        return;
    world_disk_lose(w);
    _exit(WORLD_CRASHED);
}

static int disk_open(void *self, const char *path, enum disk_open how, int *ret_file)
{
    struct world *w = self;
    one_call(w);
    bool was_there = access(path, F_OK) == 0;
    int result = w->posix.disk_open(NULL, path, how, ret_file);
    if (result == 0 && !was_there && w->is_volatile)
        snprintf(note(w, LOST_CREATED)->path, 200, "%s", path);
    return result;
}

static void disk_close(void *self, int file)
{
    of(self)->posix.disk_close(NULL, file);
}

static int64_t disk_pread(void *self, int file, void *buf, size_t len, int64_t offset)
{
    return of(self)->posix.disk_pread(NULL, file, buf, len, offset);
}

static bool is_hit(const struct world_fault *f, int64_t n, int64_t at)
{
    return at && (n == at || (f->is_lasting && n > at));
}

static bool sync_fails(struct world *w)
{
    int64_t n = __atomic_add_fetch(&w->syncs, 1, __ATOMIC_RELAXED);
    return is_hit(&w->fault, n, w->fault.fail_sync_at);
}

static int64_t disk_pwrite(void *self, int file, const void *buf, size_t len, int64_t offset)
{
    struct world *w = self;
    one_call(w);
    int64_t n = __atomic_add_fetch(&w->writes, 1, __ATOMIC_RELAXED);
    const struct world_fault *f = &w->fault;
    if (f->are_interrupted && n % 2)
        return -EINTR;
    if (f->are_writes_short && len > 1)
        len = 1 + world_dice(w, len);
    if (is_hit(f, n, f->fail_write_at)) {
        if (f->is_after_some) {
            note_write(w, file, len / 2, offset);
            (void)!w->posix.disk_pwrite(NULL, file, buf, len / 2, offset);
        }
        return -f->error;
    }
    note_write(w, file, len, offset);
    return w->posix.disk_pwrite(NULL, file, buf, len, offset);
}

static int disk_sync(void *self, int file)
{
    struct world *w = self;
    one_call(w);
    if (sync_fails(w))
        return -w->fault.error;
    if (w->is_volatile)
        settle(w, inode_of(file), NULL);
    return 0; /* the real disk need not be bothered */
}

static int disk_size(void *self, int file, int64_t *ret_size)
{
    return of(self)->posix.disk_size(NULL, file, ret_size);
}

static int disk_truncate(void *self, int file, int64_t size)
{
    return of(self)->posix.disk_truncate(NULL, file, size);
}

static int disk_rename(void *self, const char *from, const char *to)
{
    struct world *w = self;
    one_call(w);
    int result = w->posix.disk_rename(NULL, from, to);
    if (result == 0 && w->is_volatile) {
        struct lost *l = note(w, LOST_RENAMED);
        snprintf(l->path, sizeof l->path, "%s", from);
        snprintf(l->to, sizeof l->to, "%s", to);
    }
    return result;
}

static int disk_unlink(void *self, const char *path)
{
    struct world *w = self;
    one_call(w);
    if (!w->is_volatile)
        return w->posix.disk_unlink(NULL, path);
    struct lost *l = note(w, LOST_UNLINKED);
    snprintf(l->path, sizeof l->path, "%s", path);
    snprintf(l->to, sizeof l->to, "%s/unlinked-%llx", w->folder,
             (unsigned long long)world_dice(w, 0));
    return w->posix.disk_rename(NULL, path, l->to);
}

static int disk_mkdir(void *self, const char *path)
{
    return of(self)->posix.disk_mkdir(NULL, path);
}

static int disk_sync_dir(void *self, const char *path)
{
    struct world *w = self;
    one_call(w);
    if (sync_fails(w))
        return -w->fault.error;
    if (w->is_volatile)
        settle(w, 0, path);
    return 0;
}

static int disk_list(void *self, const char *path, void (*each)(void *ctx, const char *name),
                     void *ctx)
{
    return of(self)->posix.disk_list(NULL, path, each, ctx);
}

static int disk_lock(void *self, const char *path, int *ret_file, int64_t *ret_pid)
{
    return of(self)->posix.disk_lock(NULL, path, ret_file, ret_pid);
}

struct env world_disk_env(void)
{
    return (struct env){.disk_open = disk_open,
                        .disk_close = disk_close,
                        .disk_pread = disk_pread,
                        .disk_pwrite = disk_pwrite,
                        .disk_sync = disk_sync,
                        .disk_size = disk_size,
                        .disk_truncate = disk_truncate,
                        .disk_rename = disk_rename,
                        .disk_unlink = disk_unlink,
                        .disk_mkdir = disk_mkdir,
                        .disk_sync_dir = disk_sync_dir,
                        .disk_list = disk_list,
                        .disk_lock = disk_lock};
}

void world_disk_free(struct world *w)
{
    while (w->losable) {
        struct lost *l = w->losable;
        w->losable = l->older;
        free(l);
    }
}
