/* The store on a disk that fails, and in processes that end at any moment.
 *
 * A crash is a child process that ends before some call to the disk; what it had acknowledged by
 * then it leaves in memory that it shares with the test. The test makes the same steps on the store
 * in memory: what the folder holds must be what that store has after as many commits, or one more.
 * */
#include "store_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEPS = 60, DIED = 70 };

/* ---- the workload ---- */

static void between_steps(struct world *w)
{
    w->now_ns += (int64_t)world_dice(w, 3000) * 1000000;
    if (world_dice(w, 2) == 0)
        store_tick(w->store);
    if (world_dice(w, 3) == 0)
        world_pump(w);
    if (world_dice(w, 6) == 0)
        world_evict(w);
}

static int step(struct world *w)
{
    return world_step(w, 1 + world_random(w, 5));
}

static void assert_same(struct world *w, const char *where, int64_t n)
{
    const char *what = world_differs(w);
    if (what)
        fail_msg("%s %lld: %s", where, (long long)n, what);
}

/* A store makes a folder that is not there, and has nothing in it then: when somebody tidies up
 * under a test, that must not look like a loss. */
static void reopen(struct world *w, const char *where, int64_t n)
{
    if (access(w->folder, F_OK) != 0)
        fail_msg("%s %lld: somebody removed %s", where, (long long)n, w->folder);
    if (world_open(w) < 0)
        fail_msg("%s %lld: cannot be opened: %s", where, (long long)n, w->why);
    assert_same(w, where, n);
    assert_int_equal(w->recovered.time_ms, w->time_ms);
    assert_true(w->recovered.next_uid <= w->row_count);
    assert_int_equal(w->recovered.queue.len, w->queue.len);
}

/* ---- writes that fail ---- */

/* A failed commit leaves nothing, and the store goes on when the disk does. What fails in the
 * background is no failure. */
static bool survive_fault(const struct world_fault *fault)
{
    struct world w;
    bool was_hit;
    int64_t n = fault->fail_write_at;
    world_init(&w, 7, false);
    assert_int_equal(world_open(&w), 0);
    w.writes = 0;
    w.fault = *fault;
    for (int i = 0; i < STEPS; i++) {
        uint64_t row_count = w.row_count;
        int64_t time_ms = w.time_ms;
        int result = step(&w);
        if (result < 0) {
            assert_int_equal(result, fault->error == ENOSPC ? KS_E_FULL : KS_E_IO);
            assert_int_equal(time_ms, w.time_ms);
            world_abandon(&w);
            while (fault->is_lasting && world_open(&w) == 0) {
                assert_same(&w, "while it fails", n); /* on a spare */
                result = step(&w);
                assert_true(result < 0);
                world_abandon(&w);
            }
            w.fault = (struct world_fault){0};
            reopen(&w, "after a failed write", n);
        }
        (void)row_count;
        between_steps(&w);
    }
    was_hit = w.writes >= n || !w.fault.fail_write_at;
    w.fault = (struct world_fault){0};
    w.now_ns += (int64_t)2 * 1000000000;
    world_settle(&w);
    assert_int_equal(store_room(w.store), ROOM_PLENTY);
    world_abandon(&w);
    reopen(&w, "at the end", n);
    world_free(&w);
    return was_hit;
}

static void survive_all(struct world_fault fault)
{
    fault.fail_write_at = 1;
    while (survive_fault(&fault))
        fault.fail_write_at++;
    assert_true(fault.fail_write_at > STEPS);
}

static void a_full_disk_loses_nothing_wherever_it_is_met(void **state)
{
    (void)state;
    survive_all((struct world_fault){.error = ENOSPC});
    survive_all((struct world_fault){.error = ENOSPC, .is_lasting = true, .is_after_some = true});
}

static void a_write_error_loses_nothing_wherever_it_is_met(void **state)
{
    (void)state;
    survive_all((struct world_fault){.error = EIO, .is_after_some = true});
    survive_all((struct world_fault){.error = EIO, .is_lasting = true});
}

static void short_and_interrupted_writes_are_gone_on_with(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, 3, false);
    w.fault = (struct world_fault){.are_writes_short = true, .are_interrupted = true};
    assert_int_equal(world_open(&w), 0);
    for (int i = 0; i < STEPS; i++) {
        assert_int_equal(step(&w), 0);
        between_steps(&w);
        if (i % 10 == 9) {
            world_abandon(&w);
            reopen(&w, "after short writes", i);
        }
    }
    world_free(&w);
}

/* While no segment can be made ready, first the reserve is left, then nothing; it recovers alone.
   */
static void room_is_told_before_it_is_gone(void **state)
{
    struct world w;
    enum store_room room, last = ROOM_PLENTY;
    (void)state;
    world_init(&w, 5, false);
    w.options.checkpoint_bytes = (size_t)1 << 40;
    w.options.checkpoint_ms = (int64_t)1 << 40;
    w.jobs = JOBS_AT_ONCE;
    assert_int_equal(world_open(&w), 0);
    store_tick(w.store);
    assert_int_equal(store_room(w.store), ROOM_PLENTY);
    for (int commits = 0; (room = store_room(w.store)) != ROOM_NONE; commits++) {
        assert_true(commits < 1000);
        assert_true(room >= last);
        last = room;
        assert_int_equal(step(&w), 0);
        w.fault = (struct world_fault){.fail_write_at = w.writes + 1, .error = ENOSPC};
        w.now_ns += (int64_t)2 * 1000000000;
        store_tick(w.store); /* only this meets the full disk */
        w.fault = (struct world_fault){0};
    }
    assert_int_equal(last, ROOM_RESERVE);
    w.now_ns += (int64_t)2 * 1000000000;
    store_tick(w.store);
    assert_int_equal(store_room(w.store), ROOM_PLENTY);
    world_abandon(&w);
    reopen(&w, "after the disk was full", 0);
    world_free(&w);
}

static void count_segment(void *ctx, const char *name)
{
    *(int *)ctx += strstr(name, ".log") != NULL;
}

/* One that never lives as long as it takes until a save is due. */
static void restarts_do_not_heap_up_segments(void **state)
{
    struct world w;
    char journal[160];
    (void)state;
    world_init(&w, 5, false);
    w.options.checkpoint_bytes = (size_t)1 << 40;
    w.options.checkpoint_ms = (int64_t)1 << 40;
    snprintf(journal, sizeof journal, "%s/journal", w.folder);
    for (int i = 0; i < 40; i++) {
        int segments = 0;
        assert_int_equal(world_open(&w), 0);
        assert_same(&w, "start", i);
        assert_int_equal(step(&w), 0);
        for (int k = 0; k < 4; k++) {
            store_tick(w.store);
            world_pump(&w);
        }
        w.posix.disk_list(NULL, journal, count_segment, &segments);
        assert_true(segments < 12);
        world_abandon(&w);
    }
    world_free(&w);
}

/* ---- crashes ---- */

struct crash {
    uint64_t seed;

    int64_t at;    /* the call before which it comes */
    bool is_power; /* else the process is killed, and the system has all writes */
    int64_t fail_sync_at;
    int steps; /* before it stops by itself */
    enum world_jobs jobs;
};

struct shared {
    int64_t acknowledged;
    int64_t calls, syncs;
};

static void run_child(const struct crash *c, struct shared *shared, struct world *w)
{
    w->crash_at = c->at;
    w->is_volatile = c->is_power;
    w->fault = (struct world_fault){.fail_sync_at = c->fail_sync_at, .error = EIO};
    w->jobs = c->jobs;
    if (c->seed % 2 == 0) { /* segments are used again and again */
        w->options.checkpoint_bytes = 8 << 10;
        w->options.segment_bytes = 16 << 10;
    }
    if (c->fail_sync_at)
        fclose(stderr);
    if (world_open(w) < 0)
        _exit(1);
    for (int i = 0; i < c->steps; i++) {
        if (step(w) < 0)
            _exit(2);
        shared->acknowledged++;
        between_steps(w);
        shared->calls = w->calls;
        shared->syncs = w->syncs;
    }
    shared->calls = w->calls;
    shared->syncs = w->syncs;
    _exit(0);
}

static struct shared *shared_memory(void)
{
    return mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                0);
}

/* The exit code. The folder is w's, made by its init. */
static int run_to_crash(const struct crash *c, struct shared *shared, struct world *w)
{
    int status;
    *shared = (struct shared){0};
    pid_t pid = fork();
    if (pid == 0)
        run_child(c, shared, w);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    bool is_bad = WEXITSTATUS(status) == 2 || (WEXITSTATUS(status) == 1 && !c->fail_sync_at);
    if (!WIFEXITED(status) || is_bad)
        fail_msg("seed %llu, crash at call %lld: the process ended with %d",
                 (unsigned long long)c->seed, (long long)c->at, status);
    return WEXITSTATUS(status);
}

/* Has the model made n steps, on the store in memory; then looks into the folder. */
static const char *folder_differs(const struct crash *c, const char *folder, int64_t n,
                                  struct world *model)
{
    world_init(model, c->seed, true);
    assert_int_equal(world_open(model), 0);
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(step(model), 0);
    world_abandon(model);
    world_remove_folder(model->folder);
    model->is_memory = false;
    snprintf(model->folder, sizeof model->folder, "%s", folder);
    if (world_open(model) < 0)
        return model->why;
    return world_differs(model);
}

static void check_folder(const struct crash *c, const char *folder, int64_t acknowledged)
{
    struct world model;
    char first[2000], copy[160];
    snprintf(copy, sizeof copy, "%s-copy", folder);
    world_copy_folder(folder, copy);
    const char *what = folder_differs(c, copy, acknowledged, &model);
    snprintf(first, sizeof first, "%s", what ? what : "");
    world_free(&model);
    world_remove_folder(copy);
    if (!what)
        return;
    world_copy_folder(folder, copy);
    what = folder_differs(c, copy, acknowledged + 1, &model);
    if (what)
        fail_msg("seed %llu, crash at call %lld, %s: with %lld commits: %s\nwith one more: %s",
                 (unsigned long long)c->seed, (long long)c->at, c->is_power ? "power" : "kill",
                 (long long)acknowledged, first, what);
    world_free(&model);
    world_remove_folder(copy);
}

/* A second process opens what the first left and crashes, at each of its first calls; after any of
 * them the folder still has the same. */
static void crash_in_recovery(const struct crash *c, struct shared *shared, struct world *w,
                              int64_t acknowledged)
{
    char copy[160];
    snprintf(copy, sizeof copy, "%s-again", w->folder);
    for (int64_t at = 1;; at++) {
        struct crash again = *c;
        struct world second;
        world_copy_folder(w->folder, copy);
        world_init(&second, c->seed, false);
        world_remove_folder(second.folder);
        snprintf(second.folder, sizeof second.folder, "%.120s", copy);
        again.at = at;
        again.fail_sync_at = 0;
        again.steps = 0;
        second.dice = c->seed * 1000 + (uint64_t)at;
        bool is_over = run_to_crash(&again, shared, &second) == 0;
        check_folder(c, copy, acknowledged);
        world_free(&second);
        if (is_over)
            break;
    }
}

static void crash_once(const struct crash *c, struct shared *shared, bool is_nested)
{
    struct world w;
    world_init(&w, c->seed, false);
    run_to_crash(c, shared, &w);
    int64_t acknowledged = shared->acknowledged;
    check_folder(c, w.folder, acknowledged);
    if (is_nested)
        crash_in_recovery(c, shared, &w, acknowledged);
    world_free(&w);
}

static int64_t calls_of(struct crash *c, struct shared *shared)
{
    struct world w;
    world_init(&w, c->seed, false);
    c->at = 0;
    assert_int_equal(run_to_crash(c, shared, &w), 0);
    world_free(&w);
    return shared->calls;
}

static void crash_everywhere(bool is_power)
{
    struct shared *shared = shared_memory();
    const char *seeds = getenv("STORE_SEEDS");
    uint64_t last = seeds ? strtoull(seeds, NULL, 10) : 3;
    for (uint64_t seed = 1; seed <= last; seed++) {
        struct crash c = {.seed = seed, .is_power = is_power, .steps = 40, .jobs = (seed % 2)};
        int64_t calls = calls_of(&c, shared);
        assert_true(calls > 80);
        for (c.at = 1; c.at <= calls; c.at++)
            crash_once(&c, shared, c.at % 16 == (int64_t)seed % 16);
    }
    munmap(shared, sizeof *shared);
}

static void a_process_killed_before_any_call_loses_nothing(void **state)
{
    (void)state;
    crash_everywhere(false);
}

static void power_lost_before_any_call_loses_nothing(void **state)
{
    (void)state;
    crash_everywhere(true);
}

static void a_failed_sync_ends_the_process_and_loses_nothing(void **state)
{
    struct shared *shared = shared_memory();
    int deaths = 0;
    (void)state;
    for (int64_t at = 1; at <= 60; at++) {
        struct crash c = {.seed = 11, .steps = 40, .fail_sync_at = at};
        struct world w;
        world_init(&w, c.seed, false);
        int code = run_to_crash(&c, shared, &w);
        assert_true(code == DIED || code < 2); /* 0: a spare that was being made; 1: not opened */
        deaths += code == DIED;
        check_folder(&c, w.folder, shared->acknowledged);
        world_free(&w);
    }
    assert_true(deaths > 40);
    munmap(shared, sizeof *shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_loses_nothing_wherever_it_is_met),
        cmocka_unit_test(a_write_error_loses_nothing_wherever_it_is_met),
        cmocka_unit_test(short_and_interrupted_writes_are_gone_on_with),
        cmocka_unit_test(room_is_told_before_it_is_gone),
        cmocka_unit_test(restarts_do_not_heap_up_segments),
        cmocka_unit_test(a_process_killed_before_any_call_loses_nothing),
        cmocka_unit_test(power_lost_before_any_call_loses_nothing),
        cmocka_unit_test(a_failed_sync_ends_the_process_and_loses_nothing),
    };
    return cmocka_run_group_tests_name("store faults", tests, NULL, NULL);
}
