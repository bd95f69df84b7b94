#include "sim/vfs.h"

#include "base/die.h"
#include "sim/heap.h"
#include "sim/probe.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { SHARED_MAX = 4, REGIONS_MAX = 256 };

/* The shared memory beside one database file. */
struct shared {
    int node;
    void *regions[REGIONS_MAX];
    int users;
};

struct vfs_file {
    sqlite3_file file;
    int number;
    bool is_deleted_on_close;
    bool is_folder_to_sync; /* with its first sync, as on unix */
    struct shared *shared;
    char path[72];
};

static struct {
    struct disk *disk;
    uint64_t random;
    int64_t (*wall_ms)(void *ctx);
    void *ctx;
    int last_error;
    struct shared shared[SHARED_MAX];
} world;

static struct vfs_file *of(sqlite3_file *file)
{
    return (struct vfs_file *)file;
}

static int failed(int error, int result)
{
    world.last_error = -error;
    return error == -ENOSPC ? SQLITE_FULL : result;
}

/* ---- files ---- */

static int file_close(sqlite3_file *file)
{
    disk_close(world.disk, of(file)->number);
    if (of(file)->is_deleted_on_close)
        disk_unlink(world.disk, of(file)->path);
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *to, int len, sqlite3_int64 offset)
{
    int64_t n = disk_read(world.disk, of(file)->number, to, (size_t)len, offset);
    if (n < 0)
        return failed((int)n, SQLITE_IOERR_READ);
    if (n == len)
        return SQLITE_OK;
    memset((char *)to + n, 0, (size_t)(len - n));
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 offset)
{
    const char *at = from;
    while (len > 0) {
        int64_t n = disk_write(world.disk, of(file)->number, at, (size_t)len, offset);
        if (n == -EINTR)
            continue;
        if (n < 0)
            return failed((int)n, SQLITE_IOERR_WRITE);
        at += n;
        offset += n;
        len -= (int)n;
    }
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    disk_truncate(world.disk, of(file)->number, size);
    return SQLITE_OK;
}

static int sync_folder_of(const char *path)
{
    char folder[72];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    memcpy(folder, path, len);
    folder[len] = 0;
    if (disk_sync_dir(world.disk, folder) < 0)
        return failed(-EIO, SQLITE_IOERR_DIR_FSYNC);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct vfs_file *f = of(file);
    (void)flags;
    int error = disk_sync(world.disk, f->number);
    if (error < 0)
        return failed(error, SQLITE_IOERR_FSYNC);
    if (!f->is_folder_to_sync)
        return SQLITE_OK;
    f->is_folder_to_sync = false;
    return sync_folder_of(f->path);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    *ret = disk_size(world.disk, of(file)->number);
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int lock)
{
    (void)file;
    (void)lock;
    return SQLITE_OK;
}

static int file_check_lock(sqlite3_file *file, int *ret)
{
    (void)file;
    *ret = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
    (void)file;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *file)
{
    (void)file;
    return 4096;
}

/* As on Linux. */
static int file_characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- shared memory ---- */

static struct shared *shared_of(struct vfs_file *f)
{
    int node = world.disk->files[f->number];
    if (f->shared)
        return f->shared;
    for (int i = 0; i < SHARED_MAX && !f->shared; i++)
        if (world.shared[i].users && world.shared[i].node == node)
            f->shared = &world.shared[i];
    for (int i = 0; i < SHARED_MAX && !f->shared; i++)
        if (!world.shared[i].users)
            f->shared = &world.shared[i];
    if (!f->shared)
        sim_fail("too many databases are open");
    f->shared->node = node;
    f->shared->users++;
    return f->shared;
}

static int file_shm_map(sqlite3_file *file, int region, int size, int is_write, void volatile **ret)
{
    struct shared *shared = shared_of(of(file));
    if (region >= REGIONS_MAX)
        sim_fail("a write-ahead log is larger than the simulator takes");
    if (!shared->regions[region] && is_write)
        shared->regions[region] = calloc(1, (size_t)size);
    *ret = shared->regions[region];
    return SQLITE_OK;
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    (void)file;
    (void)offset;
    (void)n;
    (void)flags;
    return SQLITE_OK;
}

static void file_shm_barrier(sqlite3_file *file)
{
    (void)file;
}

static int file_shm_unmap(sqlite3_file *file, int is_delete)
{
    struct shared *shared = of(file)->shared;
    (void)is_delete;
    of(file)->shared = NULL;
    if (!shared || --shared->users)
        return SQLITE_OK;
    for (int i = 0; i < REGIONS_MAX; i++)
        free(shared->regions[i]);
    *shared = (struct shared){0};
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {.iVersion = 2,
                                           .xClose = file_close,
                                           .xRead = file_read,
                                           .xWrite = file_write,
                                           .xTruncate = file_truncate,
                                           .xSync = file_sync,
                                           .xFileSize = file_size,
                                           .xLock = file_lock,
                                           .xUnlock = file_lock,
                                           .xCheckReservedLock = file_check_lock,
                                           .xFileControl = file_control,
                                           .xSectorSize = file_sector_size,
                                           .xDeviceCharacteristics = file_characteristics,
                                           .xShmMap = file_shm_map,
                                           .xShmLock = file_shm_lock,
                                           .xShmBarrier = file_shm_barrier,
                                           .xShmUnmap = file_shm_unmap};

/* ---- the VFS ---- */

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *ret_flags)
{
    struct vfs_file *f = of(file);
    enum disk_open how = flags & SQLITE_OPEN_CREATE ? DISK_WRITE_CREATE : DISK_WRITE;
    (void)vfs;
    *f = (struct vfs_file){.number = -1};
    int error = 0;
    if (name) {
        size_t len = strlen(name);
        if (len >= sizeof f->path)
            sim_fail("a path is longer than the simulator takes");
        memcpy(f->path, name, len + 1);
        error = disk_open(world.disk, name, how, &f->number);
        f->is_folder_to_sync = flags & SQLITE_OPEN_CREATE &&
                               flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL);
        f->is_deleted_on_close = flags & SQLITE_OPEN_DELETEONCLOSE;
    } else {
        f->number = disk_open_nameless(world.disk);
    }
    if (error < 0) {
        world.last_error = -error;
        return SQLITE_CANTOPEN;
    }
    f->file.pMethods = &methods;
    if (ret_flags)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int is_sync_dir)
{
    (void)vfs;
    if (disk_unlink(world.disk, name) < 0)
        return SQLITE_IOERR_DELETE_NOENT;
    return is_sync_dir ? sync_folder_of(name) : SQLITE_OK;
}

/* As unix does: a file of no bytes counts as none. */
static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    (void)vfs;
    int node = disk_find(world.disk, name);
    *ret = node >= 0 && (flags != SQLITE_ACCESS_EXISTS || world.disk->nodes[node].shown.len > 0);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int len, char *ret)
{
    (void)vfs;
    if ((int)strlen(name) >= len)
        return SQLITE_CANTOPEN;
    memcpy(ret, name, strlen(name) + 1);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int len, char *ret)
{
    (void)vfs;
    for (int i = 0; i < len; i++)
        ret[i] = (char)mix64(&world.random);
    return len;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

static int vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret)
{
    (void)vfs;
    *ret = 210866760000000 + world.wall_ms(world.ctx); /* since noon of 24 November 4714 BC */
    return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *vfs, double *ret)
{
    sqlite3_int64 ms;
    vfs_time_ms(vfs, &ms);
    *ret = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int len, char *ret)
{
    (void)vfs;
    (void)len;
    (void)ret;
    return world.last_error;
}

void vfs_start(struct disk *d, uint64_t seed, int64_t (*wall_ms)(void *ctx), void *ctx)
{
    static sqlite3_vfs vfs = {.iVersion = 2,
                              .szOsFile = sizeof(struct vfs_file),
                              .mxPathname = 71,
                              .zName = SIM_VFS_NAME,
                              .xOpen = vfs_open,
                              .xDelete = vfs_delete,
                              .xAccess = vfs_access,
                              .xFullPathname = vfs_full_path,
                              .xRandomness = vfs_randomness,
                              .xSleep = vfs_sleep,
                              .xCurrentTime = vfs_time,
                              .xGetLastError = vfs_last_error,
                              .xCurrentTimeInt64 = vfs_time_ms};
    memset(&world, 0, sizeof world);
    world.disk = d;
    world.random = seed;
    world.wall_ms = wall_ms;
    world.ctx = ctx;
    heap_config_sqlite();
    if (sqlite3_initialize() != SQLITE_OK || sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
        die("SQLite does not start"); /* as pages_init() finds out; for want of memory it may */
    sqlite3_randomness(0, NULL);
}

void vfs_end(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    while (vfs) {
        sqlite3_vfs *next = vfs->pNext;
        if (strncmp(vfs->zName, "keepsake-pages-", 15) == 0)
            sqlite3_vfs_unregister(vfs);
        vfs = next;
    }
    sqlite3_shutdown();
}
