#include "store/pages.h"

#include "base/die.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* SQLite allocates vfs.szOsFile bytes for each file; the base's file follows ours in them. */
struct page_file {
    sqlite3_file file;
    struct pages *pages;
    bool is_database;
    int64_t unsynced_bytes;
    sqlite3_file *real;
};

enum { SYNC_BYTES = 1 << 20 };
enum { VERIFY_BYTES = 64 * PAGE_BYTES, PAGE_DATA_BYTES = PAGE_BYTES - PAGE_RESERVED_BYTES };

/* SQLite never writes the page at this offset, where its locks are. */
#define LOCK_PAGE_OFFSET ((int64_t)0x40000000)

static struct page_file *of(sqlite3_file *file)
{
    return (struct page_file *)file;
}

static sqlite3_file *real(sqlite3_file *file)
{
    return of(file)->real;
}

/* ---- checksums ---- */

static uint64_t page_checksum(const uint8_t *page, int64_t offset)
{
    return XXH3_64bits_withSeed(page, PAGE_DATA_BYTES, (uint64_t)(offset / PAGE_BYTES) + 1);
}

static bool page_is_whole(const uint8_t *page, int64_t offset)
{
    uint64_t checksum;
    memcpy(&checksum, page + PAGE_DATA_BYTES, sizeof checksum);
    return checksum == page_checksum(page, offset);
}

static int damaged(struct pages *p, int64_t offset)
{
    if (!p->is_damaged)
        p->damaged_offset = offset;
    p->is_damaged = true;
    return SQLITE_IOERR_DATA;
}

/* A read of part of a page, or of a page of another size, which only a damaged header asks for:
 * the pages it lies in are looked at. */
static int read_odd(struct page_file *f, uint8_t *to, int len, int64_t offset)
{
    uint8_t page[PAGE_BYTES];
    while (len > 0) {
        int64_t start = offset / PAGE_BYTES * PAGE_BYTES;
        int skip = (int)(offset - start);
        int part = PAGE_BYTES - skip < len ? PAGE_BYTES - skip : len;
        int result = f->real->pMethods->xRead(f->real, page, PAGE_BYTES, start);
        if (result != SQLITE_OK)
            return result;
        if (!page_is_whole(page, start))
            return damaged(f->pages, start);
        memcpy(to, page + skip, (size_t)part);
        to += part;
        offset += part;
        len -= part;
    }
    return SQLITE_OK;
}

/* A disk that gives an error is not one that gives something else than was written: SQLite makes
 * "malformed" of the one, and for that a backup is the remedy. */
static int real_read(struct page_file *f, void *to, int len, sqlite3_int64 offset)
{
    int result = f->real->pMethods->xRead(f->real, to, len, offset);
    return result == SQLITE_IOERR_CORRUPTFS ? SQLITE_IOERR_READ : result;
}

static int page_read(sqlite3_file *file, void *to, int len, sqlite3_int64 offset)
{
    struct page_file *f = of(file);
    if (!f->is_database || (offset == 0 && len <= 100))
        return real_read(f, to, len, offset); /* see page_write */
    if (len != PAGE_BYTES || offset % PAGE_BYTES)
        return read_odd(f, to, len, offset);
    int result = real_read(f, to, len, offset);
    if (result == SQLITE_OK && !page_is_whole(to, offset))
        return damaged(f->pages, offset);
    return result;
}

/* What is written is synced in portions: one of all at the end would hold up everybody else's syncs
 * on that disk, the journal's first of all. */
static int real_write(struct page_file *f, const void *from, int len, sqlite3_int64 offset)
{
    int result = f->real->pMethods->xWrite(f->real, from, len, offset);
    f->unsynced_bytes += len;
    if (result != SQLITE_OK || f->unsynced_bytes < SYNC_BYTES)
        return result;
    f->unsynced_bytes = 0;
    return f->real->pMethods->xSync(f->real, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
}

/* SQLite looks at the first 100 bytes before it looks into the write-ahead log, which may have a
 * newer first page because this one was being written when the power failed. So these are not
 * checked; the page is, when it is read as a page. */
static int page_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 offset)
{
    struct page_file *f = of(file);
    if (!f->is_database)
        return real_write(f, from, len, offset);
    if (len != PAGE_BYTES || offset % PAGE_BYTES)
        return SQLITE_IOERR_WRITE; /* not by this SQLite: a checksum could not be kept */
    uint8_t page[PAGE_BYTES];
    memcpy(page, from, PAGE_DATA_BYTES);
    uint64_t checksum = page_checksum(page, offset);
    memcpy(page + PAGE_DATA_BYTES, &checksum, sizeof checksum);
    return real_write(f, page, PAGE_BYTES, offset);
}

static bool page_is_fine(const uint8_t *page, int64_t offset)
{
    return offset == LOCK_PAGE_OFFSET || page_is_whole(page, offset);
}

int pages_verify(struct pages *p, sqlite3 *db, int64_t from, int64_t until)
{
    sqlite3_file *file = NULL;
    sqlite3_int64 size;
    int result = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (result != SQLITE_OK || !file->pMethods)
        return result;
    file = real(file);
    result = file->pMethods->xFileSize(file, &size);
    if (result != SQLITE_OK)
        return result;
    if (size % PAGE_BYTES)
        return damaged(p, size / PAGE_BYTES * PAGE_BYTES);
    uint8_t *block = die_malloc(VERIFY_BYTES);
    int64_t offset = from * PAGE_BYTES;
    int64_t end = until < size / PAGE_BYTES ? until * PAGE_BYTES : size;
    while (result == SQLITE_OK && offset < end) {
        int len = VERIFY_BYTES < end - offset ? VERIFY_BYTES : (int)(end - offset);
        result = file->pMethods->xRead(file, block, len, offset);
        for (int i = 0; i < len && result == SQLITE_OK; i += PAGE_BYTES)
            if (!page_is_fine(block + i, offset + i))
                result = damaged(p, offset + i);
        offset += len;
    }
    free(block);
    return result == SQLITE_OK && end == size ? SQLITE_DONE : result;
}

/* ---- what passes through: files ---- */

static int file_close(sqlite3_file *file)
{
    return real(file)->pMethods->xClose(real(file));
}
static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real(file)->pMethods->xTruncate(real(file), size);
}
static int file_sync(sqlite3_file *file, int flags)
{
    of(file)->unsynced_bytes = 0;
    return real(file)->pMethods->xSync(real(file), flags);
}
static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    return real(file)->pMethods->xFileSize(real(file), ret);
}
static int file_lock(sqlite3_file *file, int lock)
{
    return real(file)->pMethods->xLock(real(file), lock);
}
static int file_unlock(sqlite3_file *file, int lock)
{
    return real(file)->pMethods->xUnlock(real(file), lock);
}
static int file_check_lock(sqlite3_file *file, int *ret)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), ret);
}
static int file_control(sqlite3_file *file, int op, void *arg)
{
    return real(file)->pMethods->xFileControl(real(file), op, arg);
}
static int file_sector_size(sqlite3_file *file)
{
    return real(file)->pMethods->xSectorSize(real(file));
}
static int file_characteristics(sqlite3_file *file)
{
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}
static int file_shm_map(sqlite3_file *file, int region, int size, int is_write, void volatile **ret)
{
    return real(file)->pMethods->xShmMap(real(file), region, size, is_write, ret);
}
/* SQLite does not look whether it could let go of a lock, and goes on with one that nobody can get
 * any more: saves would fail until the next start. */
static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    int result = real(file)->pMethods->xShmLock(real(file), offset, n, flags);
    if (result != SQLITE_OK && flags & SQLITE_SHM_UNLOCK)
        die("a lock of the checkpoint could not be let go; the next start recovers everything that "
            "was acknowledged");
    return result;
}
static void file_shm_barrier(sqlite3_file *file)
{
    real(file)->pMethods->xShmBarrier(real(file));
}
static int file_shm_unmap(sqlite3_file *file, int is_delete)
{
    return real(file)->pMethods->xShmUnmap(real(file), is_delete);
}

/* Version 2: no memory mapping, which would go round xRead. */
static const sqlite3_io_methods page_methods = {.iVersion = 2,
                                                .xClose = file_close,
                                                .xRead = page_read,
                                                .xWrite = page_write,
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

/* ---- what passes through: the VFS ---- */

static struct pages *pages_of(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}
static sqlite3_vfs *base(sqlite3_vfs *vfs)
{
    return pages_of(vfs)->base;
}

/* What cannot be opened for writing, if only since there are no descriptors just now, SQLite opens
 * for reading, and writes nothing into it any more until the next start. */
static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *ret_flags)
{
    struct page_file *f = of(file);
    int got = 0;
    *f = (struct page_file){.pages = pages_of(vfs),
                            .is_database = flags & SQLITE_OPEN_MAIN_DB,
                            .real = (sqlite3_file *)(f + 1)};
    int result = base(vfs)->xOpen(base(vfs), name, f->real, flags, &got);
    if (result == SQLITE_OK && flags & SQLITE_OPEN_READWRITE && got & SQLITE_OPEN_READONLY) {
        f->real->pMethods->xClose(f->real);
        return SQLITE_CANTOPEN;
    }
    if (ret_flags)
        *ret_flags = got;
    if (f->real->pMethods)
        f->file.pMethods = &page_methods;
    return result;
}
static int vfs_delete(sqlite3_vfs *vfs, const char *name, int is_sync_dir)
{
    return base(vfs)->xDelete(base(vfs), name, is_sync_dir);
}
static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    return base(vfs)->xAccess(base(vfs), name, flags, ret);
}
static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int len, char *ret)
{
    return base(vfs)->xFullPathname(base(vfs), name, len, ret);
}
static int vfs_randomness(sqlite3_vfs *vfs, int len, char *ret)
{
    return base(vfs)->xRandomness(base(vfs), len, ret);
}
static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    return base(vfs)->xSleep(base(vfs), us);
}
static int vfs_time(sqlite3_vfs *vfs, double *ret)
{
    return base(vfs)->xCurrentTime(base(vfs), ret);
}
static int vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret)
{
    return base(vfs)->xCurrentTimeInt64(base(vfs), ret);
}
static int vfs_last_error(sqlite3_vfs *vfs, int len, char *ret)
{
    return base(vfs)->xGetLastError(base(vfs), len, ret);
}

const char *pages_init(struct pages *p, const char *base_name)
{
    memset(p, 0, sizeof *p);
    p->base = sqlite3_vfs_find(base_name);
    if (!p->base || p->base->iVersion < 2)
        return "SQLite has no such VFS";
    snprintf(p->name, sizeof p->name, "keepsake-pages-%p", (void *)p);
    p->vfs = (sqlite3_vfs){.iVersion = 2,
                           .szOsFile = (int)sizeof(struct page_file) + p->base->szOsFile,
                           .mxPathname = p->base->mxPathname,
                           .zName = p->name,
                           .pAppData = p,
                           .xOpen = vfs_open,
                           .xDelete = vfs_delete,
                           .xAccess = vfs_access,
                           .xFullPathname = vfs_full_path,
                           .xRandomness = vfs_randomness,
                           .xSleep = vfs_sleep,
                           .xCurrentTime = vfs_time,
                           .xGetLastError = vfs_last_error,
                           .xCurrentTimeInt64 = vfs_time_ms};
    return sqlite3_vfs_register(&p->vfs, 0) == SQLITE_OK ? NULL : "SQLite took no VFS";
}

void pages_free(struct pages *p)
{
    sqlite3_vfs_unregister(&p->vfs);
}
