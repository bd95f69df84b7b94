/* The real world: POSIX and Linux. Calls that a signal interrupted are made again here; a write
 * that was cut short is the caller's to go on with. */
#include "base/env.h"

#include "base/die.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t wall_ms(void *self)
{
    (void)self;
    return clock_ns(CLOCK_REALTIME) / 1000000;
}

static int64_t boot_ns(void *self)
{
    (void)self;
    return clock_ns(CLOCK_BOOTTIME);
}

static void random_bytes(void *self, void *ret_bytes, size_t len)
{
    (void)self;
    char *at = ret_bytes;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno != EINTR)
            die("the system gives no random numbers (error %d)", errno);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}

/* ---- disk ---- */

static int or_errno(int result)
{
    return result < 0 ? -errno : 0;
}

static int disk_open(void *self, const char *path, enum disk_open how, int *ret_file)
{
    static const int flags[] = {[DISK_READ] = O_RDONLY,
                                [DISK_WRITE] = O_RDWR,
                                [DISK_CREATE] = O_RDWR | O_CREAT | O_EXCL,
                                [DISK_WRITE_CREATE] = O_RDWR | O_CREAT};
    (void)self;
    int file;
    do {
        file = open(path, flags[how] | O_CLOEXEC, 0640);
    } while (file < 0 && errno == EINTR);
    if (file < 0)
        return -errno;
    *ret_file = file;
    return 0;
}

static void disk_close(void *self, int file)
{
    (void)self;
    close(file);
}

static int64_t disk_pread(void *self, int file, void *buf, size_t len, int64_t offset)
{
    (void)self;
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(file, (char *)buf + done, len - done, offset + (int64_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (int64_t)done;
}

static int64_t disk_pwrite(void *self, int file, const void *buf, size_t len, int64_t offset)
{
    (void)self;
    ssize_t n;
    do {
        n = pwrite(file, buf, len, offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int disk_sync(void *self, int file)
{
    (void)self;
    int result;
    do {
        result = fdatasync(file);
    } while (result < 0 && errno == EINTR); /* it has said nothing about the disk yet */
    return or_errno(result);
}

static int disk_size(void *self, int file, int64_t *ret_size)
{
    (void)self;
    struct stat st;
    if (fstat(file, &st) < 0)
        return -errno;
    *ret_size = st.st_size;
    return 0;
}

static int disk_truncate(void *self, int file, int64_t size)
{
    (void)self;
    int result;
    do {
        result = ftruncate(file, size);
    } while (result < 0 && errno == EINTR);
    return or_errno(result);
}

static int disk_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return or_errno(rename(from, to));
}

static int disk_unlink(void *self, const char *path)
{
    (void)self;
    return or_errno(unlink(path));
}

static int disk_mkdir(void *self, const char *path)
{
    (void)self;
    struct stat st;
    if (mkdir(path, 0750) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (stat(path, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int disk_sync_dir(void *self, const char *path)
{
    (void)self;
    int dir, result;
    do {
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (dir < 0 && errno == EINTR);
    if (dir < 0)
        return -errno;
    do {
        result = fsync(dir);
    } while (result < 0 && errno == EINTR);
    result = or_errno(result);
    close(dir);
    return result;
}

static int disk_list(void *self, const char *path, void (*each)(void *ctx, const char *name),
                     void *ctx)
{
    (void)self;
    DIR *dir = opendir(path);
    if (!dir)
        return -errno;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(ctx, entry->d_name);
    int result = -errno;
    closedir(dir);
    return result;
}

/* ---- the lock ---- */

/* A lock of the open file description: it is let go when the file is closed, however that comes
 * about, and a second opener in the same process does not get it either. Whom it belongs to, the
 * kernel does not say, so the holder writes it down. */
static int lock_take(void *self, int file, int64_t *ret_pid)
{
    char text[32] = "";
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(file, F_OFD_SETLK, &lock) < 0) {
        int result = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
        ssize_t n = pread(file, text, sizeof text - 1, 0);
        *ret_pid = n > 0 ? strtoll(text, NULL, 10) : 0;
        return result;
    }
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    int64_t result = disk_truncate(self, file, 0);
    if (result == 0)
        result = disk_pwrite(self, file, text, (size_t)len, 0);
    /* The lock holds all the same. */
    return result >= 0 || result == -ENOSPC || result == -EDQUOT ? 0 : (int)result;
}

static int disk_lock(void *self, const char *path, int *ret_file, int64_t *ret_pid)
{
    int file = -1;
    *ret_pid = 0;
    int result = disk_open(self, path, DISK_WRITE_CREATE, &file);
    if (result < 0)
        return result;
    result = lock_take(self, file, ret_pid);
    if (result < 0) {
        close(file);
        return result;
    }
    *ret_file = file;
    return 0;
}

struct env env_posix(void)
{
    return (struct env){.wall_ms = wall_ms,
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
                        .disk_lock = disk_lock};
}
