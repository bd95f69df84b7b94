#include "disk_probe.h"

#include "base/env.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct env __real_env_posix(void);
struct env __wrap_env_posix(void);

static struct {
    struct env env;
    int64_t delay_ns;
    pid_t thread; /* the one that made the env: the partition's */
    struct disk_probe probe;
} disk;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int disk_sync(void *self, int file)
{
    int64_t start_ns = now_ns();
    int result = disk.env.disk_sync(self, file);
    struct timespec until = {.tv_sec = (start_ns + disk.delay_ns) / 1000000000,
                             .tv_nsec = (start_ns + disk.delay_ns) % 1000000000};
    if (disk.delay_ns)
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    if (gettid() == disk.thread) {
        disk.probe.syncs++;
        disk.probe.busy_ns += now_ns() - start_ns;
    }
    return result;
}

struct env __wrap_env_posix(void)
{
    const char *delay = getenv("BENCH_SYNC_US");
    disk.env = __real_env_posix();
    disk.delay_ns = delay ? atoll(delay) * 1000 : 0;
    disk.thread = gettid();
    struct env env = disk.env;
    env.disk_sync = disk_sync;
    return env;
}

struct disk_probe disk_probe_get(void)
{
    return disk.probe;
}
