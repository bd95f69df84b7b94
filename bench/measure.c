/* measure.c - see measure.h
 *
 * Histogram: values below 128 have a bucket each; above, the bucket is the power of two and the
 * six bits that follow the leading one.
 */
#include "measure.h"

#include "../tests/client.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4096, PROBE_BYTES = 16 << 20 };

static size_t bucket_of(uint64_t value)
{
    if (value < 2u << HISTOGRAM_SUB_BITS)
        return value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((size_t)shift << HISTOGRAM_SUB_BITS) + (value >> shift);
}

/* The middle of a bucket. */
static uint64_t value_of(size_t bucket)
{
    if (bucket < 2u << HISTOGRAM_SUB_BITS)
        return bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t low = (bucket - ((uint64_t)shift << HISTOGRAM_SUB_BITS)) << shift;
    return low + (1ull << shift) / 2;
}

void histogram_add(struct histogram *h, int64_t ns)
{
    size_t bucket = bucket_of(ns > 0 ? (uint64_t)ns : 0);
    assert(bucket < HISTOGRAM_BUCKETS);
    h->buckets[bucket]++;
    h->count++;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

void histogram_merge(struct histogram *h, const struct histogram *more)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->buckets[i] += more->buckets[i];
    h->count += more->count;
    if (more->max_ns > h->max_ns)
        h->max_ns = more->max_ns;
}

int64_t histogram_at(const struct histogram *h, double part)
{
    uint64_t before = 0, wanted = (uint64_t)((double)h->count * part);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        before += h->buckets[i];
        if (before > wanted)
            return (int64_t)value_of(i);
    }
    return h->max_ns;
}

/* ---- costs --------------------------------------------------------------------------------- */

static int64_t number_in(const char *path, const char *before)
{
    char text[4096];
    output_read(path, text, sizeof text);
    const char *at = strstr(text, before);
    return at && *text ? strtoll(at + strlen(before), NULL, 10) : -1;
}

struct cost cost_of(pid_t pid)
{
    struct cost cost = {0};
    char path[64 + 256];

    snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
    cost.written_bytes = number_in(path, "\nwrite_bytes: ");
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    cost.resident_bytes = number_in(path, "VmRSS:") * 1024;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, task->d_name);
        int64_t ns = number_in(path, "");
        cost.cpu_ns += ns > 0 ? ns : 0;
        snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid, task->d_name);
        int64_t switches = number_in(path, "\nvoluntary_ctxt_switches:");
        int64_t forced = number_in(path, "\nnonvoluntary_ctxt_switches:");
        cost.switches += (switches > 0 ? switches : 0) + (forced > 0 ? forced : 0);
    }
    if (tasks)
        closedir(tasks);
    return cost;
}

/* ---- disk ---------------------------------------------------------------------------------- */

static int fill_file(int file)
{
    static const char zeros[1 << 20];
    for (off_t at = 0; at < PROBE_BYTES; at += (off_t)sizeof zeros)
        if (pwrite(file, zeros, sizeof zeros, at) != (ssize_t)sizeof zeros)
            return -errno;
    if (fsync(file) < 0)
        return -errno;
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED); /* no large folios: see ceiling.c */
    return 0;
}

int disk_measure(const char *folder, double seconds, struct histogram *ret)
{
    char path[512], block[BLOCK_BYTES];
    int64_t start_ns, now_ns;
    off_t at = 0;

    snprintf(path, sizeof path, "%s/probe", folder);
    int file = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    int err = fill_file(file);
    memset(block, 'k', sizeof block);
    start_ns = now_ns = monotonic_ns();
    while (err == 0 && (double)(now_ns - start_ns) < seconds * 1e9) {
        if (pwrite(file, block, sizeof block, at) != BLOCK_BYTES || fdatasync(file) < 0) {
            err = -errno;
            break;
        }
        int64_t then_ns = now_ns;
        now_ns = monotonic_ns();
        histogram_add(ret, now_ns - then_ns);
        at = (at + BLOCK_BYTES) % PROBE_BYTES;
    }
    close(file);
    unlink(path);
    return err;
}
