/* fault_shim.c - a library to be preloaded that makes calls fail; see fault_page.h
 *
 * It asks the kernel itself and not the libc behind it, so nothing here depends on the order in
 * which things were loaded; what has no system call of its own is looked up. Without a page it
 * passes everything through. A call's file is what /proc says the descriptor is now.
 *
 * The names with 64 are what libraries that were built for large files ask for; the types are one.
 */
#include "fault_page.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ALSO_AS(name, function) __asm__(".globl " #name "\n.set " #name ", " #function)

static struct fault_page *page;
static DIR *(*real_opendir)(const char *name);
static struct dirent *(*real_readdir)(DIR *dir);
static int (*real_thread)(pthread_t *ret, const pthread_attr_t *attributes, void *(*fn)(void *),
                          void *arg);

static void on_wake_up(int number);

/* ISO C converts no object pointer to a function pointer; POSIX says they are the same. */
static void find(void *ret, const char *name)
{
    *(void **)ret = dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv(FAULT_PAGE_VARIABLE);
    find(&real_opendir, "opendir");
    find(&real_readdir, "readdir");
    find(&real_thread, "pthread_create");
    long file = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    long at = syscall(SYS_mmap, NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0L);
    syscall(SYS_close, file);
    if (at == -1)
        return;
    page = (struct fault_page *)at;
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_wake_up}, NULL);
}

/* ---- sites ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static enum fault_place place_of_path(const char *path)
{
    static const struct {
        const char *end;
        enum fault_place place;
    } ends[] = {
        {".log", PLACE_LOG},
        {"/mark", PLACE_MARK},
        {"/spare-0", PLACE_SPARE},
        {"/spare-1", PLACE_SPARE},
        {"/prepare.tmp", PLACE_PREPARE},
        {"/new.tmp", PLACE_NEW},
        {"/checkpoint.db", PLACE_DB},
        {"/checkpoint.db-wal", PLACE_WAL},
        {"/checkpoint.db-journal", PLACE_UNDO},
        {"/checkpoint.db-shm", PLACE_SHM},
        {"/checkpoint.tmp", PLACE_COPY},
        {"/lock", PLACE_LOCK},
        {"/blackbox", PLACE_BLACKBOX},
        {"/data", PLACE_FOLDER},
        {"/data/journal", PLACE_FOLDER},
    };
    const char *name = strrchr(path, '/');
    if (strncmp(path, "socket:", 7) == 0)
        return PLACE_SOCKET;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(path, ends[i].end))
            return ends[i].place;
    return name && strncmp(name, "/keepsake-", 10) == 0 ? PLACE_PARENT : PLACE_OTHER;
}

static enum fault_place place_of(int file)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    long n = page ? syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1) : 0;
    path[n > 0 ? n : 0] = 0;
    return place_of_path(path);
}

/* Counts the call; 0, or what it has to fail with. */
static int fault(enum fault_call call, enum fault_place place)
{
    if (!page)
        return 0;
    uint64_t n = atomic_fetch_add(&page->calls[call][place], 1) + 1;
    struct fault *f = &page->faults[call][place];
    int error = atomic_load(&f->error);
    if (!error || n < atomic_load(&f->from) || n >= atomic_load(&f->until))
        return 0;
    atomic_fetch_add(&page->hits, 1);
    return error;
}

/* Whether a call without a short form is to fail; then errno says how. */
static bool fails(enum fault_call call, enum fault_place place)
{
    int error = fault(call, place);
    if (error)
        errno = error;
    return error;
}

/* Of a call that moves bytes: false when it is to fail. */
static bool bytes_may_go(enum fault_call call, enum fault_place place, size_t *len)
{
    int error = fault(call, place);
    if (error && error != FAULT_SHORT) {
        errno = error;
        return false;
    }
    if (error)
        *len = (*len + 1) / 2;
    return true;
}

/* ---- files ---- */

static int open_at(int folder, const char *path, int flags, unsigned mode)
{
    if (fails(CALL_OPEN, place_of_path(path)))
        return -1;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, unsigned) : 0;
    va_end(args);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, unsigned) : 0;
    va_end(args);
    return open_at(folder, path, flags, mode);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_at(AT_FDCWD, path, flags, 0);
}

DIR *opendir(const char *name)
{
    return fails(CALL_OPEN, place_of_path(name)) ? NULL : real_opendir(name);
}

struct dirent *readdir(DIR *dir)
{
    return fails(CALL_LIST, place_of(dirfd(dir))) ? NULL : real_readdir(dir);
}

ssize_t read(int file, void *to, size_t len)
{
    return bytes_may_go(CALL_READ, place_of(file), &len) ? syscall(SYS_read, file, to, len) : -1;
}

ssize_t pread(int file, void *to, size_t len, off_t offset)
{
    if (!bytes_may_go(CALL_READ, place_of(file), &len))
        return -1;
    return syscall(SYS_pread64, file, to, len, offset);
}

ssize_t write(int file, const void *from, size_t len)
{
    return bytes_may_go(CALL_WRITE, place_of(file), &len) ? syscall(SYS_write, file, from, len)
                                                          : -1;
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    size_t len = count > 0 ? parts[0].iov_len : 0, all = len;
    if (!bytes_may_go(CALL_WRITE, place_of(file), &len))
        return -1;
    return len < all ? syscall(SYS_write, file, parts[0].iov_base, len)
                     : syscall(SYS_writev, file, parts, count);
}

static bool has_no_room(int file, enum fault_place place, int64_t end)
{
    struct stat st;
    if (!page || !atomic_load(&page->is_full) || place >= PLACE_SOCKET)
        return false;
    if (syscall(SYS_newfstatat, file, "", &st, AT_EMPTY_PATH) < 0 || end <= st.st_size)
        return false;
    atomic_fetch_add(&page->hits, 1);
    errno = ENOSPC;
    return true;
}

ssize_t pwrite(int file, const void *from, size_t len, off_t offset)
{
    enum fault_place place = place_of(file);
    if (!bytes_may_go(CALL_WRITE, place, &len) || has_no_room(file, place, offset + (off_t)len))
        return -1;
    return syscall(SYS_pwrite64, file, from, len, offset);
}

int fsync(int file)
{
    return fails(CALL_SYNC, place_of(file)) ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    return fails(CALL_SYNC, place_of(file)) ? -1 : (int)syscall(SYS_fdatasync, file);
}

int ftruncate(int file, off_t size)
{
    return fails(CALL_TRUNCATE, place_of(file)) ? -1 : (int)syscall(SYS_ftruncate, file, size);
}

int rename(const char *from, const char *to)
{
    if (fails(CALL_RENAME, place_of_path(from)))
        return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
    return fails(CALL_UNLINK, place_of_path(path)) ? -1
                                                   : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int mkdir(const char *path, mode_t mode)
{
    return fails(CALL_MKDIR, place_of_path(path)) ? -1
                                                  : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int stat(const char *restrict path, struct stat *restrict ret)
{
    if (fails(CALL_STAT, place_of_path(path)))
        return -1;
    return (int)syscall(SYS_newfstatat, AT_FDCWD, path, ret, 0);
}

int fstat(int file, struct stat *ret)
{
    if (fails(CALL_STAT, place_of(file)))
        return -1;
    return (int)syscall(SYS_newfstatat, file, "", ret, AT_EMPTY_PATH);
}

int fcntl(int file, int command, ...)
{
    va_list args;
    va_start(args, command);
    long arg = va_arg(args, long); /* or a pointer; the kernel takes either so */
    va_end(args);
    bool is_lock = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK;
    bool is_unlock = is_lock && ((const struct flock *)arg)->l_type == F_UNLCK;
    if (is_lock && fails(is_unlock ? CALL_UNLOCK : CALL_LOCK, place_of(file)))
        return -1;
    return (int)syscall(SYS_fcntl, file, command, arg);
}

void *mmap(void *at, size_t len, int protection, int flags, int file, off_t offset)
{
    if (fails(CALL_MAP, file < 0 ? PLACE_OTHER : place_of(file)))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, len, protection, flags, file, offset);
}

ALSO_AS(open64, open);
ALSO_AS(openat64, openat);
ALSO_AS(__open64_2, __open_2);
ALSO_AS(readdir64, readdir);
ALSO_AS(pread64, pread);
ALSO_AS(pwrite64, pwrite);
ALSO_AS(ftruncate64, ftruncate);
ALSO_AS(stat64, stat);
ALSO_AS(fstat64, fstat);
ALSO_AS(fcntl64, fcntl);
ALSO_AS(mmap64, mmap);

/* ---- all else ---- */

int accept4(int file, struct sockaddr *restrict ret, socklen_t *restrict len, int flags)
{
    if (fails(CALL_ACCEPT, PLACE_SOCKET))
        return -1;
    return (int)syscall(SYS_accept4, file, ret, len, flags);
}

int pthread_create(pthread_t *restrict ret, const pthread_attr_t *restrict attributes,
                   void *(*fn)(void *), void *restrict arg)
{
    int error = fault(CALL_THREAD, PLACE_OTHER);
    return error ? error : real_thread(ret, attributes, fn, arg);
}

static int64_t ns_of(const struct timespec *t)
{
    return t->tv_sec * INT64_C(1000000000) + t->tv_nsec;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int result = (int)syscall(SYS_clock_gettime, clock, ret);
    if (result == 0 && clock == CLOCK_BOOTTIME && page) {
        int64_t ns = ns_of(ret) + atomic_load(&page->ahead_ns);
        *ret = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    }
    return result;
}

static int64_t boot_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return ns_of(&now);
}

/* The last timer on the boot clock that was set: there is one. */
static int timer_file = -1;
static _Atomic int64_t timer_due_ns;

static int set_timer(int file, int64_t ns)
{
    struct itimerspec at = {.it_value = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}};
    return (int)syscall(SYS_timerfd_settime, file, 0, &at, NULL);
}

int timerfd_settime(int file, int flags, const struct itimerspec *at, struct itimerspec *ret)
{
    timer_file = file;
    atomic_store(&timer_due_ns, boot_ns() + ns_of(&at->it_value));
    return (int)syscall(SYS_timerfd_settime, file, flags, at, ret);
}

/* The kernel looks at the timers of a clock that has gone ahead. */
static void on_wake_up(int number)
{
    int error = errno;
    int64_t left_ns = atomic_load(&timer_due_ns) - boot_ns();
    (void)number;
    if (timer_file >= 0)
        set_timer(timer_file, left_ns > 0 ? left_ns : 1);
    errno = error;
}

/* glibc's own, under the names that are there for this. Under ASan its own come first. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);

void *malloc(size_t size)
{
    return fails(CALL_ALLOC, PLACE_OTHER) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(CALL_ALLOC, PLACE_OTHER) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *at, size_t size)
{
    return fails(CALL_ALLOC, PLACE_OTHER) ? NULL : __libc_realloc(at, size);
}
