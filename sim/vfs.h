/* vfs.h - SQLite on the simulated disk
 *
 * The VFS that the engine's own (src/store/pages.c) stands on. Locks are trivial: there is one
 * process, and its connections take turns. The shared memory of the write-ahead log is the
 * process's memory and ends with it.
 */
#ifndef SIM_VFS_H
#define SIM_VFS_H

#include "sim/disk.h"

#define SIM_VFS_NAME "sim"

/* Starts SQLite for a new process, in its heap. */
void vfs_start(struct disk *d, uint64_t seed, int64_t (*wall_ms)(void *ctx), void *ctx);
/* The process is over, whatever it was doing; before heap_drop(). */
void vfs_end(void);

#endif
