#include "ram_disk.h"

#include "base/die.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static struct ram_disk *sqlite_disk;

static struct ram_disk *of(void *self)
{
    return self;
}

/* What may fail, by the error that only it gives; everything else is the disk's. */
enum kind {
    OF_THE_DISK = 0,
    LOCKING = EBUSY,
    UNLOCKING = ENOLCK,
    SYNCING = EREMOTEIO,
    MEMORY = ENOMEM
};

static enum kind kind_of(int error)
{
    bool is_of_a_kind = error == LOCKING || error == UNLOCKING || error == SYNCING ||
                        error == MEMORY;
    return is_of_a_kind ? (enum kind)error : OF_THE_DISK;
}

/* 0, or the negative error of a call that is to fail. */
static int call_of(struct ram_disk *d, enum kind kind)
{
    if (kind != kind_of(d->error))
        return 0;
    int64_t n = ++d->calls;
    bool is_again = d->also_after && n == d->fail_at + d->also_after;
    bool fails = d->fail_at && (n == d->fail_at || is_again || (d->is_lasting && n > d->fail_at));
    d->has_failed |= fails;
    d->last_error = fails ? d->error : 0;
    return fails ? -d->error : 0;
}

static int call(struct ram_disk *d)
{
    return call_of(d, OF_THE_DISK);
}

static void regions_free(struct ram_file *f)
{
    for (int i = 0; i < RAM_REGIONS_MAX; i++)
        free(f->regions[i]);
    memset(f->regions, 0, sizeof f->regions);
}

static void file_gone(struct ram_file *f)
{
    regions_free(f);
    buf_free(&f->bytes);
    *f = (struct ram_file){0};
}

void ram_disk_free(struct ram_disk *d)
{
    for (int i = 0; i < RAM_FILES_MAX; i++)
        file_gone(&d->files[i]);
}

void ram_disk_process_over(struct ram_disk *d)
{
    for (int i = 0; i < RAM_FILES_MAX; i++)
        regions_free(&d->files[i]);
}

void ram_disk_copy(struct ram_disk *to, const struct ram_disk *from)
{
    ram_disk_free(to);
    *to = *from;
    for (int i = 0; i < RAM_FILES_MAX; i++) {
        const struct ram_file *f = &from->files[i];
        to->files[i].bytes = (struct buf){0};
        buf_append(&to->files[i].bytes, f->bytes.at, f->bytes.len);
        memset(to->files[i].regions, 0, sizeof f->regions);
    }
}

struct ram_file *ram_disk_find(struct ram_disk *d, const char *path)
{
    for (int i = 0; i < RAM_FILES_MAX; i++)
        if (d->files[i].is_used && strcmp(d->files[i].path, path) == 0)
            return &d->files[i];
    return NULL;
}

struct ram_file *ram_disk_make(struct ram_disk *d, const char *path)
{
    struct ram_file *f = ram_disk_find(d, path);
    for (int i = 0; i < RAM_FILES_MAX && !f; i++)
        if (!d->files[i].is_used)
            f = &d->files[i];
    if (!f || strlen(path) >= RAM_PATH_MAX)
        die("the disk in memory has no room for %s", path);
    f->is_used = true;
    snprintf(f->path, sizeof f->path, "%s", path);
    return f;
}

/* ---- bytes ---- */

static int64_t bytes_read(const struct ram_file *f, void *to, size_t len, int64_t offset)
{
    size_t left = (size_t)offset < f->bytes.len ? f->bytes.len - (size_t)offset : 0;
    len = len < left ? len : left;
    if (len)
        memcpy(to, f->bytes.at + offset, len);
    return (int64_t)len;
}

static void bytes_resize(struct ram_file *f, size_t size)
{
    if (size > f->bytes.len)
        memset(buf_reserve(&f->bytes, size - f->bytes.len), 0, size - f->bytes.len);
    f->bytes.len = size;
}

static void bytes_write(struct ram_file *f, const void *from, size_t len, int64_t offset)
{
    if ((size_t)offset + len > f->bytes.len)
        bytes_resize(f, (size_t)offset + len);
    if (len)
        memcpy(f->bytes.at + offset, from, len);
}

/* ---- struct env ---- */

static int64_t wall_ms(void *self)
{
    return 1000000000000 + of(self)->boot_ms;
}

static int64_t boot_ns(void *self)
{
    return of(self)->boot_ms * 1000000;
}

static void random_bytes(void *self, void *ret_bytes, size_t len)
{
    struct ram_disk *d = self;
    for (size_t i = 0; i < len; i++) {
        d->random = d->random * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)ret_bytes)[i] = (uint8_t)(d->random >> 56);
    }
}

static int disk_open(void *self, const char *path, enum disk_open how, int *ret_file)
{
    struct ram_disk *d = self;
    struct ram_file *f = ram_disk_find(d, path);
    int result = call(d);
    if (result < 0)
        return result;
    if (!f && (how == DISK_READ || how == DISK_WRITE))
        return -ENOENT;
    if (f && how == DISK_CREATE)
        return -EEXIST;
    f = f ? f : ram_disk_make(d, path);
    *ret_file = (int)(f - d->files);
    return 0;
}

static void disk_close(void *self, int file)
{
    (void)self;
    (void)file;
}

static int64_t disk_pread(void *self, int file, void *buf, size_t len, int64_t offset)
{
    int result = call(self);
    return result < 0 ? result : bytes_read(&of(self)->files[file], buf, len, offset);
}

static int64_t disk_pwrite(void *self, int file, const void *buf, size_t len, int64_t offset)
{
    int result = call(self);
    if (result < 0)
        return result;
    bytes_write(&of(self)->files[file], buf, len, offset);
    return (int64_t)len;
}

static int disk_sync(void *self, int file)
{
    (void)file;
    return call(self);
}

static int disk_size(void *self, int file, int64_t *ret_size)
{
    *ret_size = (int64_t)of(self)->files[file].bytes.len;
    return call(self);
}

static int disk_truncate(void *self, int file, int64_t size)
{
    int result = call(self);
    if (result == 0)
        bytes_resize(&of(self)->files[file], (size_t)size);
    return result;
}

static int disk_unlink(void *self, const char *path)
{
    struct ram_file *f = ram_disk_find(self, path);
    int result = call(self);
    if (result < 0)
        return result;
    if (!f)
        return -ENOENT;
    file_gone(f);
    return 0;
}

static int disk_rename(void *self, const char *from, const char *to)
{
    struct ram_file *f = ram_disk_find(self, from), *old = ram_disk_find(self, to);
    int result = call(self);
    if (result < 0)
        return result;
    if (!f)
        return -ENOENT;
    if (old && old != f)
        file_gone(old);
    snprintf(f->path, sizeof f->path, "%s", to);
    return 0;
}

static int disk_mkdir(void *self, const char *path)
{
    int result = call(self);
    if (result == 0)
        ram_disk_make(self, path)->is_folder = true;
    return result;
}

static int disk_sync_dir(void *self, const char *path)
{
    (void)path;
    return call(self);
}

static int disk_list(void *self, const char *path, void (*each)(void *ctx, const char *name),
                     void *ctx)
{
    size_t len = strlen(path);
    int result = call(self);
    if (result < 0)
        return result;
    for (int i = 0; i < RAM_FILES_MAX; i++) {
        const struct ram_file *f = &of(self)->files[i];
        if (f->is_used && strncmp(f->path, path, len) == 0 && f->path[len] == '/')
            each(ctx, f->path + len + 1);
    }
    return 0;
}

static int disk_lock(void *self, const char *path, int *ret_file, int64_t *ret_pid)
{
    (void)ret_pid;
    return disk_open(self, path, DISK_WRITE_CREATE, ret_file);
}

static void submit(void *self, struct job *job, bool is_activity)
{
    (void)self;
    (void)is_activity;
    job->work(job);
    job->done(job);
}

/* ---- SQLite: files ---- */

struct vfs_file {
    sqlite3_file file;
    int number;
    bool is_deleted_on_close;
};

static struct ram_file *ram(sqlite3_file *file)
{
    return &sqlite_disk->files[((struct vfs_file *)file)->number];
}

static int failed(int error, int result)
{
    return error == -ENOSPC || error == -EDQUOT ? SQLITE_FULL : result;
}

static int file_close(sqlite3_file *file)
{
    if (((struct vfs_file *)file)->is_deleted_on_close)
        file_gone(ram(file));
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *to, int len, sqlite3_int64 offset)
{
    if (call(sqlite_disk) < 0)
        return SQLITE_IOERR_CORRUPTFS; /* as unix says when it gets EIO */
    int64_t n = bytes_read(ram(file), to, (size_t)len, offset);
    memset((char *)to + n, 0, (size_t)(len - n));
    return n == len ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 offset)
{
    int error = call(sqlite_disk);
    if (error < 0)
        return failed(error, SQLITE_IOERR_WRITE);
    bytes_write(ram(file), from, (size_t)len, offset);
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (call(sqlite_disk) < 0)
        return SQLITE_IOERR_TRUNCATE;
    bytes_resize(ram(file), (size_t)size);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    bool fails = call(sqlite_disk) < 0 || call_of(sqlite_disk, SYNCING) < 0;
    return fails ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)ram(file)->bytes.len;
    return call(sqlite_disk) < 0 ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int lock)
{
    (void)file;
    (void)lock;
    return call_of(sqlite_disk, LOCKING) < 0 ? SQLITE_BUSY : SQLITE_OK;
}

static int file_unlock(sqlite3_file *file, int lock)
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

static int file_characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int file_shm_map(sqlite3_file *file, int region, int size, int is_write, void volatile **ret)
{
    if (region >= RAM_REGIONS_MAX || call(sqlite_disk) < 0)
        return SQLITE_IOERR_SHMMAP;
    void **at = &ram(file)->regions[region];
    if (!*at && is_write)
        *at = die_zalloc((size_t)size);
    *ret = *at;
    return SQLITE_OK;
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    (void)offset;
    (void)n;
    if (flags & SQLITE_SHM_UNLOCK)
        return call_of(sqlite_disk, UNLOCKING) < 0 ? SQLITE_BUSY : SQLITE_OK;
    return file_lock(file, 0);
}

static void file_shm_barrier(sqlite3_file *file)
{
    (void)file;
}

static int file_shm_unmap(sqlite3_file *file, int is_delete)
{
    if (is_delete)
        regions_free(ram(file));
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
                                           .xUnlock = file_unlock,
                                           .xCheckReservedLock = file_check_lock,
                                           .xFileControl = file_control,
                                           .xSectorSize = file_sector_size,
                                           .xDeviceCharacteristics = file_characteristics,
                                           .xShmMap = file_shm_map,
                                           .xShmLock = file_shm_lock,
                                           .xShmBarrier = file_shm_barrier,
                                           .xShmUnmap = file_shm_unmap};

/* ---- SQLite: memory ---- */

static sqlite3_mem_methods real_memory;

static void *memory_alloc(int size)
{
    return call_of(sqlite_disk, MEMORY) < 0 ? NULL : real_memory.xMalloc(size);
}

static void *memory_realloc(void *at, int size)
{
    return call_of(sqlite_disk, MEMORY) < 0 ? NULL : real_memory.xRealloc(at, size);
}

void ram_disk_take_memory(void)
{
    sqlite3_shutdown();
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
    sqlite3_mem_methods memory = real_memory;
    memory.xMalloc = memory_alloc;
    memory.xRealloc = memory_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK)
        die("SQLite takes no memory");
}

/* ---- SQLite: the VFS ---- */

/* As unix does: what cannot be opened for writing is opened for reading. */
static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *ret_flags)
{
    struct vfs_file *f = (struct vfs_file *)file;
    enum disk_open how = flags & SQLITE_OPEN_CREATE ? DISK_WRITE_CREATE : DISK_WRITE;
    const char *path = name ? name : "nameless";
    (void)vfs;
    *f = (struct vfs_file){.is_deleted_on_close = flags & SQLITE_OPEN_DELETEONCLOSE};
    if (disk_open(sqlite_disk, path, how, &f->number) < 0) {
        if (disk_open(sqlite_disk, path, DISK_READ, &f->number) < 0)
            return SQLITE_CANTOPEN;
        flags &= ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
        flags |= SQLITE_OPEN_READONLY;
    }
    f->file.pMethods = &methods;
    if (ret_flags)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int is_sync_dir)
{
    (void)vfs;
    (void)is_sync_dir;
    int error = disk_unlink(sqlite_disk, name);
    return error == 0         ? SQLITE_OK
           : error == -ENOENT ? SQLITE_IOERR_DELETE_NOENT
                              : SQLITE_IOERR_DELETE;
}

/* As unix does: a file of no bytes counts as none. */
static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    const struct ram_file *f = ram_disk_find(sqlite_disk, name);
    (void)vfs;
    *ret = f && (flags != SQLITE_ACCESS_EXISTS || f->bytes.len > 0);
    return call(sqlite_disk) < 0 ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int len, char *ret)
{
    (void)vfs;
    snprintf(ret, (size_t)len, "%s", name);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int len, char *ret)
{
    (void)vfs;
    random_bytes(sqlite_disk, ret, (size_t)len);
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
    *ret = 210866760000000 + wall_ms(sqlite_disk);
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
    return sqlite_disk->last_error;
}

struct env ram_disk_env(struct ram_disk *d)
{
    static sqlite3_vfs vfs = {.iVersion = 2,
                              .szOsFile = sizeof(struct vfs_file),
                              .mxPathname = RAM_PATH_MAX - 1,
                              .zName = "ram",
                              .xOpen = vfs_open,
                              .xDelete = vfs_delete,
                              .xAccess = vfs_access,
                              .xFullPathname = vfs_full_path,
                              .xRandomness = vfs_randomness,
                              .xSleep = vfs_sleep,
                              .xCurrentTime = vfs_time,
                              .xGetLastError = vfs_last_error,
                              .xCurrentTimeInt64 = vfs_time_ms};
    sqlite_disk = d;
    if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
        die("SQLite takes no VFS");
    return (struct env){.self = d,
                        .wall_ms = wall_ms,
                        .boot_ns = boot_ns,
                        .random = random_bytes,
                        .disk_open = disk_open,
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
                        .disk_lock = disk_lock,
                        .submit = submit,
                        .sqlite_vfs = "ram"};
}
