/* disk.h - a disk in memory that forgets, tears, fills up and fails
 *
 * A file has two images: the durable one, which is on the medium, and the volatile one, which is
 * what the system shows. Each write goes to the volatile image and into a log of what was not
 * synced yet; a sync puts the log's effects into the durable image.
 *
 *     process killed    the volatile image is what the next one finds
 *     power lost        durable image + what the tape takes of the log: each sector of each write
 *                       is there, is not, is there in part, or is garbage
 *     failed sync       the log is gone and the durable image has nothing of it, while the volatile
 *                       one still shows it: as Linux does, where the next sync then succeeds
 *     lying sync        the same, but the sync says that all is well
 *
 * Names are kept the same way: creations, renames and unlinks of a folder are in a log until the
 * folder is synced, and of them a power loss keeps the first few, in order, as file systems with a
 * journal do.
 *
 * What nobody syncs is written in the end all the same: of a log that grows long, the older half.
 *
 * What goes wrong at which call is set in `faults`; what was done is counted in `did`.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "base/env.h"
#include "sim/tape.h"

enum {
    SECTOR_BYTES = 512,
    DISK_NODES_MAX = 6400,
    DISK_FILES_MAX = 64,
    DISK_NAMES_MAX = 3200,
    UNSYNCED_MAX = 200
};

struct disk_bytes {
    uint8_t *at;
    size_t len, cap;
};

struct disk_write {
    int64_t offset;
    size_t len; /* 0: cut off at offset */
    uint8_t *bytes;
};

struct disk_node {
    bool is_used, is_folder;
    struct disk_bytes durable, shown;
    struct disk_write *log; /* not synced, oldest first */
    size_t log_count, log_cap;
    int64_t lost_from, lost_until; /* shown, but the disk does not have it, after a failed sync */
    bool was_lost;                 /* something was */
};

struct disk_name {
    char path[72];
    int node;
};

struct disk_names {
    struct disk_name at[DISK_NAMES_MAX];
    size_t count;
};

enum disk_change_kind { NAME_MADE, NAME_MOVED, NAME_GONE };

struct disk_change {
    enum disk_change_kind kind;
    char path[72], to[72];
    int node;
};

/* Each counts down and goes off at 1; 0: it does not. */
struct disk_faults {
    uint32_t fail_record; /* a write to the journal */
    uint32_t fail_write, fail_sync, fail_sync_dir, fail_read, lie_sync;
    const char *fail_read_in; /* what files are called whose reads count; "": any */
    int sync_dir_error;
    uint32_t full_in;    /* so many writes that make a file grow, and it is */
    bool is_full;        /* nothing grows */
    bool are_writes_odd; /* short, interrupted */
    uint32_t slow_once_in;
};

/* SHORT: what went wrong; ALL: each call. */
enum trace_level { TRACE_NONE, TRACE_SHORT, TRACE_ALL };

struct disk_did {
    uint64_t reads, writes, syncs, bytes;
    uint64_t failed_writes, failed_syncs, failed_reads, full, lies; /* of `faults` */
};

struct disk {
    struct tape *tape;
    struct turn life; /* what calls draw is of this span; what is left at an end, of tape->now */
    void *ctx;
    /* Before each call that changes something, be it names or bytes; may not return. */
    void (*on_call)(void *ctx, bool is_of_names);
    void (*on_slow)(void *ctx); /* a sync that takes long */
    struct disk_node nodes[DISK_NODES_MAX];
    struct disk_names shown, durable;
    struct disk_change *changes; /* of names, not synced, oldest first */
    size_t change_count, change_cap;
    int files[DISK_FILES_MAX]; /* node of an open file, or -1 */
    struct disk_faults faults;
    struct disk_did did;
    uint64_t hash; /* of everything that was done */
    enum trace_level tracing;
};

void disk_init(struct disk *d, struct tape *tape);
void disk_free(struct disk *d);

/* Negative errnos, as struct env has them. */
int disk_open(struct disk *d, const char *path, enum disk_open how, int *ret_file);
int disk_open_nameless(struct disk *d);
void disk_close(struct disk *d, int file);
int64_t disk_read(struct disk *d, int file, void *buf, size_t len, int64_t offset);
int64_t disk_write(struct disk *d, int file, const void *buf, size_t len, int64_t offset);
int disk_sync(struct disk *d, int file);
int64_t disk_size(struct disk *d, int file);
int disk_truncate(struct disk *d, int file, int64_t size);
int disk_rename(struct disk *d, const char *from, const char *to);
int disk_unlink(struct disk *d, const char *path);
int disk_mkdir(struct disk *d, const char *path);
int disk_sync_dir(struct disk *d, const char *path);
/* The node, or -1. */
int disk_find(const struct disk *d, const char *path);

/* Lets go of what has no name and is not open. */
void disk_tidy(struct disk *d);

/* The process that had files open is gone; the system goes on. */
void disk_process_over(struct disk *d);
/* So is the system. */
void disk_power_lost(struct disk *d);
/* Flips a bit of a file, in both images. */
void disk_flip(struct disk *d, int node, size_t byte, unsigned bit);
/* A block of a file is another one, or (from is NULL) zeros. The offsets lie in the files. */
void disk_misplace(struct disk *d, int node, size_t offset, const struct disk_node *from,
                   size_t from_offset);
/* What a file is called, as shown. */
const char *disk_name_of(const struct disk *d, int node);
/* What all files take, as shown. */
size_t disk_bytes_shown(const struct disk *d);

#endif
