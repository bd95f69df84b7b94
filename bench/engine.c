/* engine.c - the engine without sockets, in this process: what a step costs, what a replay does
 *
 * A partition on the store of the real program, in a folder of its own. Times are CPU time of this
 * thread, which is the partition's; the background has a thread beside it. The orchestration waits
 * for events over and over; each that is raised is one step, and makes its history longer by one.
 */
#include "suite.h"

#include "run/partition.h"
#include "run/workers.h"
#include "store/journal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEPS = 2000, PASS = 500, TURNS = 5 };

struct engine {
    struct env env;
    struct workers *workers;
    struct app app;
    struct partition *partition;
    struct service folder; /* only its folder */
};

/* ---- the app ------------------------------------------------------------------------------- */

static const ks_val *listener(ks_orch *o)
{
    while (!ks_is_error(ks_await(ks_event(o, "Go"))))
        ;
    return NULL;
}

static const ks_val *worker(ks_orch *o)
{
    while (!ks_is_error(ks_await(ks_event(o, "Go"))))
        ks_await(ks_call(o, "Link", o->input));
    return NULL;
}

static const ks_val *link_of(ks_activity *a)
{
    return a->input;
}

static const ks_function functions[] = {
    KS_ORCHESTRATION("Listener", listener),
    KS_ORCHESTRATION("Worker", worker),
    KS_ACTIVITY_INLINE("Link", link_of),
    KS_END,
};
static const ks_function no_functions[] = {KS_END};

/* ---- up and down --------------------------------------------------------------------------- */

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void submit(void *self, struct job *job, bool is_activity)
{
    workers_submit(((struct engine *)self)->workers, job, is_activity);
}

static int open_store(void *ctx, struct table *table, struct recovered *ret,
                      struct store **ret_store, char *ret_why, size_t why_size)
{
    struct engine *e = ctx;
    return store_journal_open(&e->env, table, e->folder.data, NULL, ret, ret_store, ret_why,
                              why_size);
}

static void log_line(void *ctx, const char *line)
{
    (void)ctx;
    fprintf(stderr, "bench: %s\n", line);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static void engine_open(struct engine *e)
{
    char why[512];
    memset(e, 0, sizeof *e);
    e->env = env_posix();
    e->env.self = e;
    e->env.submit = submit;
    e->workers = workers_new(1, nothing, NULL);
    int err = service_init(&e->folder, "");
    if (err < 0)
        fail("a folder for the data", err);
    if (app_init(&e->app, functions, no_functions, why, sizeof why) < 0)
        fail(why, -22);
    struct partition_config config = {.env = &e->env,
                                      .app = &e->app,
                                      .ctx = e,
                                      .open_store = open_store,
                                      .log = log_line,
                                      .wake = nothing};
    if (partition_open(&config, &e->partition, why, sizeof why) < 0)
        fail(why, -5);
}

static void engine_close(struct engine *e)
{
    workers_end_activities(e->workers);
    partition_abandon(e->partition);
    workers_free(e->workers);
    app_free(&e->app);
    service_free(&e->folder);
}

static void commit(struct engine *e)
{
    if (partition_commit(e->partition) < 0)
        fail(partition_why(e->partition), -5);
    workers_take_done(e->workers);
}

/* ---- steps --------------------------------------------------------------------------------- */

static void start(struct engine *e, const char *orchestration, const char *id, int64_t input)
{
    ks_outbox out;
    partition_begin(e->partition);
    ks_arena *mem = partition_step(e->partition, &out);
    ks_start(&out, orchestration, id, ks_integer(mem, input));
    partition_send(e->partition, &out);
    commit(e);
}

/* Raises that many events, a pass after the other; CPU time of the steps, without the commits. */
static int64_t raise_events(struct engine *e, const char *id, int64_t n)
{
    int64_t spent_ns = 0;
    while (n > 0) {
        partition_begin(e->partition);
        int64_t start_ns = cpu_ns();
        for (int i = 0; i < PASS && n > 0; i++, n--) {
            ks_outbox out;
            ks_arena *mem = partition_step(e->partition, &out);
            ks_raise(&out, id, "Go", ks_integer(mem, n));
            partition_send(e->partition, &out);
        }
        spent_ns += cpu_ns() - start_ns;
        commit(e);
    }
    return spent_ns;
}

/* About STEPS steps at a history of that many events, of as many instances as that takes. */
static void run_steps(struct run *r, struct engine *e, int64_t events)
{
    char id[40];
    int64_t window = events / 5 + 1 < STEPS ? events / 5 + 1 : STEPS, steps = 0, spent_ns = 0;
    for (int i = 0; steps < STEPS; i++, steps += window) {
        snprintf(id, sizeof id, "listener-%lld-%d", (long long)events, i);
        start(e, "Listener", id, 0);
        raise_events(e, id, events - window / 2);
        spent_ns += raise_events(e, id, window);
    }
    note(r, "engine.step", (double)events, "cpu", (double)spent_ns / 1e3 / (double)steps, "us");
    /* The last of them is replayed. */
    partition_evict_sessions(e->partition);
    int64_t replay_ns = raise_events(e, id, 1);
    for (int i = 1; i < 5; i++) {
        partition_evict_sessions(e->partition);
        int64_t again_ns = raise_events(e, id, 1);
        replay_ns = again_ns < replay_ns ? again_ns : replay_ns;
    }
    note(r, "engine.replay", (double)events, "cpu", (double)replay_ns / 1e3, "us");
}

/* An orchestration that does one inline activity for each event, each event in a commit of its own;
 * in turns with the disk's appends and syncs. */
static void run_one_commit_each(struct run *r)
{
    static struct histogram disk;
    struct engine e;
    double seconds = 0;
    int64_t n = 0;
    memset(&disk, 0, sizeof disk);
    engine_open(&e);
    start(&e, "Worker", "worker", 0);
    for (int turn = 0; turn < TURNS; turn++) {
        if (disk_measure(e.folder.folder, r->seconds / TURNS, &disk) < 0)
            fail("cannot measure the disk", -5);
        int64_t start_ns = monotonic_ns(), took_ns = 0;
        for (; (double)took_ns < r->seconds / TURNS * 1e9; n++) {
            raise_events(&e, "worker", 1);
            took_ns = monotonic_ns() - start_ns;
        }
        seconds += (double)took_ns / 1e9;
    }
    double syncs_per_s = (double)disk.count / r->seconds;
    note(r, "engine.one_commit_each", 0, "rate", (double)n / seconds, "1/s");
    note(r, "engine.one_commit_each", 0, "disk", syncs_per_s, "1/s");
    note(r, "engine.one_commit_each", 0, "share", (double)n / seconds / syncs_per_s, "x");
    engine_close(&e);
}

void suite_engine(struct run *r)
{
    struct engine e;
    if (run_wants(r, "engine.step") || run_wants(r, "engine.replay")) {
        engine_open(&e);
        for (int64_t events = 10; events <= (r->is_quick ? 10000 : 100000); events *= 10)
            run_steps(r, &e, events);
        engine_close(&e);
    }
    if (run_wants(r, "engine.one_commit_each"))
        run_one_commit_each(r);
}
