/* suite.h - what the parts of the bench share: the run, and programs that are measured
 *
 * bench.c runs suites one after the other; each measures rows and notes figures. A suite ends the
 * bench when it cannot measure (a program does not start, the disk is full): a figure that was not
 * taken must not look like one that was.
 *
 *     http.c        the registry over HTTP beside its ceiling
 *     app_rows.c    orchestrations, entities and a slow disk, in a program of the bench's
 *     engine.c      the engine without sockets: steps, replays, fan-out
 *     crowd.c       many registries: memory, growth, start after kill -9, timers due at once
 *     small.c       start, idleness, size
 */
#ifndef BENCH_SUITE_H
#define BENCH_SUITE_H

#include "figures.h"
#include "load.h"

#include "../tests/client.h"

enum { LARGE_HELD = 10000000 }; /* registries that only --large opens */

struct run {
    double seconds; /* that a row is measured for */
    bool is_quick, is_large;
    const char *only; /* a suite or a row; NULL: all */
    char binaries[PATH_MAX / 2];
    char registry[PATH_MAX];
    struct figures figures;
    size_t noted;    /* figures, so far */
    bool has_failed; /* a request was refused that should not have been */
};

_Noreturn void fail(const char *what, int err);
/* Whether that row is wanted: `only` is its name or begins it up to a dot. */
bool run_wants(const struct run *r, const char *row);
/* Notes the figure and prints it. */
void note(struct run *r, const char *row, double x, const char *metric, double value,
          const char *unit);
/* Says why a row has no figure. */
void note_missing(const char *row, const char *why);

/* Binds this thread, and what it starts from now on, to a core; false where there is only one. */
bool pin(size_t core);
void unpin(void);

void suite_http(struct run *r);
void suite_app(struct run *r);
void suite_slow_disk(struct run *r);
void suite_engine(struct run *r);
void suite_crowd(struct run *r);
void suite_storm(struct run *r);
void suite_small(struct run *r);

/* ---- a program under measurement ----------------------------------------------------------- */

struct program {
    char binary[PATH_MAX];
    struct service service;
    struct client client; /* for one request at a time */
};

/* Starts a program that stands beside the bench, on a fresh folder. */
void program_open(struct run *r, struct program *p, const char *name, const char *const settings[]);
/* The same on the folder it had, after it was killed; nanoseconds from exec to the first answer. */
int64_t program_start(struct program *p, const char *const settings[]);
void program_kill(struct program *p);
void program_close(struct program *p);

/* One request that has to be answered with 200; the body, until the next. */
const char *program_get(struct program *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for "PATH&from=I&n=500" with I from `from` to `until`, a few under way at a time. */
void program_get_many(struct program *p, const char *path, uint64_t from, uint64_t until);
/* A number of the JSON that a request is answered with. */
int64_t program_number(struct program *p, const char *path, const char *key);
/* Waits until it is at least that much, asking each millisecond; false after timeout_s. */
bool program_await(struct program *p, const char *path, const char *key, int64_t least,
                   double timeout_s);
/* Waits until the process has done nothing for a while, its checkpoint included. */
bool process_settle(pid_t pid, double timeout_s);
bool program_settle(struct program *p, double timeout_s);

/* Adds to registries in turn, those with the ids first, first + 1, ...; a workload's self. */
struct spread {
    uint64_t first, count;
    uint64_t next, items;
};
struct workload spread_adds(struct spread *spread);

struct lap {
    double per_s, cpu_us, bytes, p50_us, p99_us;
    uint64_t answered;
};
/* Loads it, after a tenth of that to warm up. */
struct lap program_load(struct run *r, struct program *p, unsigned connections,
                        const struct workload *workload, struct load_plan plan);

#endif
