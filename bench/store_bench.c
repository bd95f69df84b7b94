/* store_bench.c - what the store on disk costs
 *
 *     store_bench FOLDER
 *
 * Prints: commits a second at 1, 16, 128 and 1,024 changes a commit beside the disk's own pwrite +
 * fdatasync of the same bytes into a file that was written before; opening an empty folder;
 * recovery after a crash; saving to the checkpoint. FOLDER is made, and has to be removed by hand.
 */
#include "base/die.h"
#include "store/journal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { INSTANCES = 100000, TURNS = 10, CHANGES_MAX = 1024, RAW_BYTES = 16 << 20 };

struct bench {
    struct env env;
    struct table table;
    struct store *store;
    struct recovered recovered;
    const char *folder;
    struct journal_options options;
    char why[512];
    struct buf logs[CHANGES_MAX];
    struct change changes[CHANGES_MAX];
    ks_arena mem;
    int64_t time_ms;
    uint64_t next;
    pthread_mutex_t lock;
    struct job *jobs;   /* done by their threads */
    int jobs_under_way; /* submitted and not taken back */
};

static double seconds(void)
{
    struct env env = env_posix();
    return (double)env.boot_ns(NULL) / 1e9;
}

/* ---- jobs: a thread each ---- */

struct ride {
    struct bench *b;
    struct job *job;
};

static void *ride_main(void *arg)
{
    struct ride *ride = arg;
    ride->job->work(ride->job);
    pthread_mutex_lock(&ride->b->lock);
    ride->job->next = ride->b->jobs;
    ride->b->jobs = ride->job;
    pthread_mutex_unlock(&ride->b->lock);
    free(ride);
    return NULL;
}

static void submit(void *self, struct job *job, bool is_activity)
{
    struct bench *b = self;
    struct ride *ride = die_malloc(sizeof *ride);
    pthread_t thread;
    (void)is_activity;
    *ride = (struct ride){b, job};
    b->jobs_under_way++;
    if (pthread_create(&thread, NULL, ride_main, ride) != 0)
        die("no thread");
    pthread_detach(thread);
}

static void take_done(struct bench *b)
{
    pthread_mutex_lock(&b->lock);
    struct job *jobs = b->jobs;
    b->jobs = NULL;
    pthread_mutex_unlock(&b->lock);
    while (jobs) {
        struct job *job = jobs;
        jobs = job->next;
        b->jobs_under_way--;
        job->done(job);
    }
}

static void wait_for_jobs(struct bench *b)
{
    while (b->jobs_under_way) {
        take_done(b);
        usleep(200);
    }
}

/* ---- up and down ---- */

static double open_store(struct bench *b)
{
    double start = seconds();
    table_init(&b->table, 1);
    if (store_journal_open(&b->env, &b->table, b->folder, &b->options, &b->recovered, &b->store,
                           b->why, sizeof b->why) < 0)
        die("%s", b->why);
    return seconds() - start;
}

static void crash(struct bench *b)
{
    store_abandon(b->store);
    wait_for_jobs(b);
    table_free(&b->table);
    buf_free(&b->recovered.queue);
}

/* ---- commits ---- */

static void add_item(struct bench *b, struct change *change, struct buf *log)
{
    char id[40];
    uint64_t n = b->next++ % INSTANCES + 1;
    struct instance *inst = table_find_uid(&b->table, n);
    struct doc_patch patch = {.op = DOC_APPEND,
                              .path = STR("items"),
                              .val = ks_string(&b->mem,
                                               "a train set with a station and two tunnels,"
                                               " wrapped in blue, for a child of six")};
    log->len = 0;
    *change = (struct change){.what = CHANGE_GOES_ON};
    if (!inst) {
        int len = snprintf(id, sizeof id, "@list@%032llx", (unsigned long long)n);
        inst = instance_new(n, INSTANCE_ENTITY, (struct str){id, (size_t)len}, STR("list"), 1);
        table_add(&b->table, inst);
        change->what = CHANGE_CREATED;
    }
    if (inst->entity.doc.mem.used_bytes > 2000)
        patch = (struct doc_patch){.op = DOC_REMOVE, .path = STR("items")};
    doc_patch_encode(log, &patch);
    if (doc_apply(&inst->entity.doc, &patch, &b->mem, NULL))
        die("bug: the patch does not fit");
    instance_note(inst, log->at, log->len);
    doc_tidy(&inst->entity.doc);
    change->inst = inst;
    change->log = (struct str){log->at, log->len};
}

/* The time that committing took, without making the changes. */
static double commit(struct bench *b, size_t changes)
{
    uint64_t sequence;
    for (size_t i = 0; i < changes; i++)
        add_item(b, &b->changes[i], &b->logs[i]);
    struct commit c = {.time_ms = ++b->time_ms, .changes = b->changes, .change_count = changes};
    double start = seconds();
    if (store_commit(b->store, &c, &sequence) < 0)
        die("%s", store_why(b->store));
    double took = seconds() - start;
    arena_reset(&b->mem);
    return took;
}

/* ---- rates ---- */

/* Time spent, and how often. */
struct rate {
    double spent;
    long n;
};

static double per_second(const struct rate *rate)
{
    return (double)rate->n / rate->spent;
}

static void commit_for(struct bench *b, size_t changes, double how_long, struct rate *rate)
{
    double until = seconds() + how_long;
    while (seconds() < until) {
        rate->spent += commit(b, changes);
        rate->n++;
        store_tick(b->store);
        take_done(b);
    }
}

struct raw_file {
    int file;
    int64_t at;
    char *bytes;
};

static void raw_open(struct bench *b, struct raw_file *raw)
{
    char path[4096];
    struct env *env = &b->env;
    snprintf(path, sizeof path, "%s/raw", b->folder);
    raw->bytes = die_zalloc(RAW_BYTES);
    raw->at = 0;
    if (env->disk_open(NULL, path, DISK_WRITE_CREATE, &raw->file) < 0 ||
        env->disk_pwrite(NULL, raw->file, raw->bytes, RAW_BYTES, 0) != RAW_BYTES ||
        env->disk_sync(NULL, raw->file) < 0)
        die("cannot write %s", path);
}

static void raw_for(struct bench *b, struct raw_file *raw, size_t len, double how_long,
                    struct rate *rate)
{
    double start = seconds(), now = start;
    for (; now - start < how_long; now = seconds()) {
        raw->at = raw->at + 2 * (int64_t)len > RAW_BYTES ? 0 : raw->at + (int64_t)len;
        if (b->env.disk_pwrite(NULL, raw->file, raw->bytes, len, raw->at) < 0 ||
            b->env.disk_sync(NULL, raw->file) < 0)
            die("cannot write");
        rate->n++;
    }
    rate->spent += now - start;
}

/* In turns of a fifth of a second, so that what else the machine does meets both alike. */
static void bench_commits(struct bench *b, const char *title)
{
    static const size_t sizes[] = {1, 16, 128, 1024};
    struct raw_file raw;
    raw_open(b, &raw);
    printf("%s\n%8s %12s %12s %8s %14s\n", title, "changes", "commits/s", "raw/s", "ratio",
           "changes/s");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct rate ours = {0}, raws = {0};
        size_t len = (40 + sizes[i] * 90 + 4095) / 4096 * 4096;
        for (int turn = 0; turn < TURNS; turn++) {
            raw_for(b, &raw, len, 0.2, &raws);
            commit_for(b, sizes[i], 0.2, &ours);
        }
        printf("%8zu %12.0f %12.0f %8.2f %14.0f\n", sizes[i], per_second(&ours), per_second(&raws),
               per_second(&ours) / per_second(&raws), per_second(&ours) * (double)sizes[i]);
        fflush(stdout);
    }
    b->env.disk_close(NULL, raw.file);
    free(raw.bytes);
}

int main(int argc, char **argv)
{
    static struct bench b;
    if (argc != 2)
        die("usage: store_bench FOLDER");
    b.folder = argv[1];
    b.env = env_posix();
    b.env.self = &b;
    b.env.submit = submit;
    pthread_mutex_init(&b.lock, NULL);
    arena_init(&b.mem, 1 << 16);
    b.options.checkpoint_bytes = (size_t)1 << 50;
    b.options.checkpoint_ms = (int64_t)1 << 40;
    printf("open an empty folder: %.2f ms\n", open_store(&b) * 1e3);
    store_tick(b.store);
    wait_for_jobs(&b);
    bench_commits(&b, "journal alone");

    /* Everything dirty is saved, as a close does. */
    for (int i = 0; i < 100; i++)
        commit(&b, 1024);
    size_t dirty = b.table.dirty.count;
    double start = seconds();
    if (store_close(b.store) < 0)
        die("not closed");
    double took = seconds() - start;
    printf("close: %zu rows in %.2f s, %.0f rows/s\n", dirty, took, (double)dirty / took);
    wait_for_jobs(&b);
    table_free(&b.table);

    printf("open after a clean close: %.2f ms\n", open_store(&b) * 1e3);
    for (int i = 0; i < 1000; i++) {
        for (uint64_t k = 0; k < 1024; k++) {
            struct instance *inst;
            uint64_t uid = (b.next + k) % INSTANCES + 1;
            if (!table_find_uid(&b.table, uid) && store_load_uid(b.store, uid, &inst) < 0)
                die("%s", store_why(b.store));
        }
        commit(&b, 1024);
    }
    crash(&b);
    took = open_store(&b);
    printf("open after a crash: %.0f ms, %llu commits, %.0f changes/s\n", took * 1e3,
           (unsigned long long)b.recovered.commits, (double)b.recovered.commits * 1024 / took);
    crash(&b);

    b.options = (struct journal_options){0};
    open_store(&b);
    bench_commits(&b, "while saving");
    crash(&b);
    return 0;
}
