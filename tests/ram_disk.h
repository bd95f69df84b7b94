/* ram_disk.h - a disk in memory, for struct env and for SQLite alike
 *
 * Fast enough that a test opens a store a thousand times. What was written stays until it is taken
 * away, as after a kill: what a loss of power leaves is store_world.h's and the simulator's. Any
 * call may be told to fail, by its number: so a test finds every place that asks the disk for
 * something by counting from 1 on until nothing fails any more. Jobs run inside submit(). Time
 * stands still unless it is moved.
 *
 * SQLite sees one disk at a time, the one that was last handed to ram_disk_env().
 */
#ifndef TESTS_RAM_DISK_H
#define TESTS_RAM_DISK_H

#include "base/buf.h"
#include "base/env.h"

enum { RAM_FILES_MAX = 64, RAM_PATH_MAX = 128, RAM_REGIONS_MAX = 16 };

struct ram_file {
    bool is_used, is_folder;
    char path[RAM_PATH_MAX];
    struct buf bytes;
    void *regions[RAM_REGIONS_MAX]; /* SQLite's shared memory beside it */
};

struct ram_disk {
    struct ram_file files[RAM_FILES_MAX];
    int64_t calls;      /* that could have failed */
    int64_t fail_at;    /* the n-th fails; 0: none */
    int error;          /* with this errno; of these only what is SQLite's fails: EBUSY, its locks;
                        ENOLCK, letting go of them; EREMOTEIO, its syncs; ENOMEM, its memory,
                        once that was taken */
    bool is_lasting;    /* and so do all after it */
    int64_t also_after; /* and so does the one so many behind it; 0: none */
    bool has_failed;
    int last_error; /* what SQLite is told */
    int64_t boot_ms;
    uint64_t random;
};

/* Zeroed is an empty disk. */
void ram_disk_free(struct ram_disk *d);
/* Good until the next one is asked for. */
struct env ram_disk_env(struct ram_disk *d);
/* Of this process SQLite's memory may fail too. Before a disk is handed to it. */
void ram_disk_take_memory(void);
/* The process is over: what is only in its memory is gone. */
void ram_disk_process_over(struct ram_disk *d);
/* The file of that name, or NULL. */
struct ram_file *ram_disk_find(struct ram_disk *d, const char *path);
/* The same, made when it is missing. */
struct ram_file *ram_disk_make(struct ram_disk *d, const char *path);
void ram_disk_copy(struct ram_disk *to, const struct ram_disk *from);

#endif
