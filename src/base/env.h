/* env.h - the world behind one struct
 *
 * Clock, randomness, disk and threads reach everything above base/ only through a struct env. The
 * production one is env_posix(); tests and the simulator bring their own: a clock that is wound by
 * hand, a disk that forgets what was not synced, jobs that run when a seed says so.
 *
 * All calls that can fail return 0 (or a count) or a negative errno, and never set errno for the
 * caller to read. Paths are UTF-8 and end with NUL.
 */
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include "keepsake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Something to be done off the partition's thread. work() runs on another thread and touches only
 * what the job owns; done() runs later on the partition's thread. The job is its submitter's and
 * must stay until done() was called. */
struct job {
    void (*work)(struct job *job);
    void (*done)(struct job *job);
    struct job *next; /* the submittee's */
    bool can_wait;    /* nobody waits for it, as far as the submitter can tell */
};

enum disk_open {
    DISK_READ,        /* it has to exist */
    DISK_WRITE,       /* read and write; it has to exist */
    DISK_CREATE,      /* read and write; it must not exist */
    DISK_WRITE_CREATE /* read and write; made when missing */
};

struct env {
    void *self;

    /* UTC milliseconds of the wall clock, which may jump. */
    int64_t (*wall_ms)(void *self);
    /* Nanoseconds that only move forward, and go on while the machine sleeps. */
    int64_t (*boot_ns)(void *self);
    void (*random)(void *self, void *ret_bytes, size_t len);

    /* Disk. Files are small numbers. pread gives fewer bytes than asked only at the end of the
     * file; pwrite may write fewer, as in POSIX. sync is fdatasync. sync_dir makes creations and
     * renames in a folder last. list calls back with each name but . and .. in no order. */
    int (*disk_open)(void *self, const char *path, enum disk_open how, int *ret_file);
    void (*disk_close)(void *self, int file);
    int64_t (*disk_pread)(void *self, int file, void *buf, size_t len, int64_t offset);
    int64_t (*disk_pwrite)(void *self, int file, const void *buf, size_t len, int64_t offset);
    int (*disk_sync)(void *self, int file);
    int (*disk_size)(void *self, int file, int64_t *ret_size);
    int (*disk_truncate)(void *self, int file, int64_t size);
    int (*disk_rename)(void *self, const char *from, const char *to);
    int (*disk_unlink)(void *self, const char *path);
    int (*disk_mkdir)(void *self, const char *path); /* 0 also when it is there already */
    int (*disk_sync_dir)(void *self, const char *path);
    int (*disk_list)(void *self, const char *path, void (*each)(void *ctx, const char *name),
                     void *ctx);
    /* An exclusive lock on a file, held until it is closed or the process ends. -EBUSY with the
     * holder's pid (0: unknown) when somebody has it. */
    int (*disk_lock)(void *self, const char *path, int *ret_file, int64_t *ret_pid);

    /* A few words that live through the end of the process, though not of the machine: a page of a
     * mapped file. NULL: there are none. See quarantine.c. */
    uint64_t *blackbox;

    /* Run a job in the background. Two lanes, so that work that blocks for long (activities)
     * never stands before the checkpoint. */
    void (*submit)(void *self, struct job *job, bool is_activity);

    /* Asks a server and waits for its answer, on a thread for activities: {"status", "headers":
     * {name: text}, "body"} in mem, or an error "Unreachable", "Timeout" or "BadAnswer". The
     * request is whole: method, headers, body (a string or NULL) and timeout. NULL: there is no
     * network. */
    const ks_val *(*exchange)(void *self, ks_arena *mem, const ks_http_request *request);

    /* Name of the SQLite VFS that the checkpoint is kept through; NULL is SQLite's default. */
    const char *sqlite_vfs;
};

/* The real world, but for submit and exchange, which the host fills in. */
struct env env_posix(void);

#endif
