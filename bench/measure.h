/* measure.h - what the bench measures with: a latency histogram, a process's costs, the disk
 *
 * All times are nanoseconds.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdint.h>
#include <sys/types.h>

/* 64 buckets for each power of two: a value is known to within 1.6 %. */
enum { HISTOGRAM_SUB_BITS = 6, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS) << 6 };

/* Zeroed is empty. */
struct histogram {
    uint64_t count;
    int64_t max_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, int64_t ns);
void histogram_merge(struct histogram *h, const struct histogram *more);
/* The value below which that part (0.5, 0.99) of all are; 0 when empty. */
int64_t histogram_at(const struct histogram *h, double part);

/* What a process has used since it began. CPU time is all its threads' that still run; bytes are
 * those it caused to be sent to the disk (write_bytes of /proc/PID/io), -1 when unreadable. */
struct cost {
    int64_t cpu_ns;
    int64_t written_bytes;
    int64_t resident_bytes;
    int64_t switches; /* how often a thread of it was let go on, after it had waited or not */
};
struct cost cost_of(pid_t pid);

/* Appends 4 KiB and syncs, over and over, for that long: what a journal does at best, into a file
 * in the folder that was written full before. 0 or a negative errno. */
__attribute__((warn_unused_result)) int disk_measure(const char *folder, double seconds,
                                                     struct histogram *ret);

#endif
