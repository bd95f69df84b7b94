#include "sim/world.h"

#include "sim/vfs.h"
#include "sim/web.h"

#include <string.h>

enum { SYNC_NS = 130000, ID_BYTES = 10 };

static int64_t env_wall_ms(void *self)
{
    const struct sim *s = self;
    return FIRST_WALL_MS + s->now_ns / MS_NS + s->wall_ahead_ms;
}

static int64_t env_boot_ns(void *self)
{
    return ((struct sim *)self)->now_ns;
}

/* Ids, which clients see, are of a stream of their own: how many salts the journal takes depends on
 * how its records happen to fill segments. */
static void env_random(void *self, void *ret_bytes, size_t len)
{
    struct sim *s = self;
    uint64_t *stream = len == ID_BYTES ? &s->random_ids : &s->random;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)ret_bytes)[i] = (uint8_t)mix64(stream);
}

void world_take_time(struct sim *s, int64_t ns)
{
    s->now_ns += s->is_timeless ? 0 : ns;
}

static struct disk *disk_of(void *self)
{
    return &((struct sim *)self)->disk;
}

static int env_open(void *self, const char *path, enum disk_open how, int *ret_file)
{
    return disk_open(disk_of(self), path, how, ret_file);
}
static void env_close(void *self, int file)
{
    disk_close(disk_of(self), file);
}
static int64_t env_pread(void *self, int file, void *buf, size_t len, int64_t offset)
{
    return disk_read(disk_of(self), file, buf, len, offset);
}
static int64_t env_pwrite(void *self, int file, const void *buf, size_t len, int64_t offset)
{
    return disk_write(disk_of(self), file, buf, len, offset);
}
static int env_sync(void *self, int file)
{
    world_take_time(self, SYNC_NS);
    return disk_sync(disk_of(self), file);
}
static int env_size(void *self, int file, int64_t *ret_size)
{
    *ret_size = disk_size(disk_of(self), file);
    return 0;
}
static int env_truncate(void *self, int file, int64_t size)
{
    return disk_truncate(disk_of(self), file, size);
}
static int env_rename(void *self, const char *from, const char *to)
{
    return disk_rename(disk_of(self), from, to);
}
static int env_unlink(void *self, const char *path)
{
    return disk_unlink(disk_of(self), path);
}
static int env_mkdir(void *self, const char *path)
{
    return disk_mkdir(disk_of(self), path);
}
static int env_sync_dir(void *self, const char *path)
{
    world_take_time(self, SYNC_NS);
    return disk_sync_dir(disk_of(self), path);
}

static int env_list(void *self, const char *path, void (*each)(void *ctx, const char *name),
                    void *ctx)
{
    const struct disk *d = disk_of(self);
    size_t len = strlen(path);
    for (size_t i = 0; i < d->shown.count; i++) {
        const char *at = d->shown.at[i].path;
        if (strncmp(at, path, len) == 0 && at[len] == '/' && !strchr(at + len + 1, '/'))
            each(ctx, at + len + 1);
    }
    return 0;
}

static int env_lock(void *self, const char *path, int *ret_file, int64_t *ret_pid)
{
    *ret_pid = 0;
    return disk_open(disk_of(self), path, DISK_WRITE_CREATE, ret_file);
}

void world_init(struct sim *s)
{
    s->env = (struct env){.self = s,
                          .wall_ms = env_wall_ms,
                          .boot_ns = env_boot_ns,
                          .random = env_random,
                          .disk_open = env_open,
                          .disk_close = env_close,
                          .disk_pread = env_pread,
                          .disk_pwrite = env_pwrite,
                          .disk_sync = env_sync,
                          .disk_size = env_size,
                          .disk_truncate = env_truncate,
                          .disk_rename = env_rename,
                          .disk_unlink = env_unlink,
                          .disk_mkdir = env_mkdir,
                          .disk_sync_dir = env_sync_dir,
                          .disk_list = env_list,
                          .disk_lock = env_lock,
                          .exchange = web_exchange,
                          .sqlite_vfs = SIM_VFS_NAME};
}
