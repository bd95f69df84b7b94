/* disk_probe.h - the disk of a program of the bench, counted and, if asked, made slow
 *
 * A program linked with -Wl,--wrap=env_posix has this disk: the real one, each sync of which is
 * counted and takes BENCH_SYNC_US microseconds more (an environment variable; 0). Only syncs of the
 * partition's own thread count; those of the background are made slow but not counted.
 */
#ifndef BENCH_DISK_PROBE_H
#define BENCH_DISK_PROBE_H

#include <stdint.h>

struct disk_probe {
    int64_t syncs;
    int64_t busy_ns; /* in these */
};
struct disk_probe disk_probe_get(void);

#endif
