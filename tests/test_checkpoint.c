/* The checkpoint where it is not what the store left there, and while a save of it is under way. */
#include "store/checkpoint.h"
#include "store/uid_set.h"
#include "store_world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DIED = 70 };
#define LATER_NS ((int64_t)20 * 1000000000)

static int set_up(void **state)
{
    static struct world w;
    world_init(&w, 5, false);
    *state = &w;
    return world_open(&w);
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

/* ---- while a save is under way ---- */

/* An entity that is due at a time, in the checkpoint and no more in memory. */
static void save_one(struct world *w, const char *id, int64_t due_ms)
{
    struct buf log = {0};
    struct instance *inst = world_create(w, INSTANCE_ENTITY, id, "list");
    world_patch(w, inst, DOC_SET, "name", ks_string(&w->mem, id));
    entity_log_line(&log, LINE_EXPIRE, due_ms, STR(""));
    world_change(w, inst, (struct str){log.at, log.len});
    buf_free(&log);
    assert_int_equal(world_commit(w, STR("")), 0);
    world_settle(w);
    world_evict(w);
}

static bool each_due(void *ctx, const struct due *due)
{
    *(uint64_t *)ctx = *(uint64_t *)ctx * 10 + due->uid;
    return true;
}

/* The uids of all that are due, as digits. */
static uint64_t due_uids(struct world *w)
{
    uint64_t uids = 0;
    assert_int_equal(store_due(w->store, 0, NEVER_MS, each_due, &uids), 0);
    return uids;
}

static void what_is_deleted_is_gone_before_during_and_after_the_save(void **state)
{
    struct world *w = *state;
    save_one(w, "@list@a", 300);
    save_one(w, "@list@b", 200);
    save_one(w, "@list@c", 100);
    assert_int_equal(due_uids(w), 321);
    world_delete(w, world_find(w, "@list@b"));
    assert_int_equal(world_commit(w, STR("")), 0);
    assert_int_equal(due_uids(w), 31);
    assert_null(world_find(w, "@list@b"));
    w->now_ns += LATER_NS;
    store_tick(w->store);
    w->now_ns += LATER_NS;
    store_tick(w->store); /* the save waits for a thread */
    assert_int_equal(due_uids(w), 31);
    assert_null(world_find(w, "@list@b"));
    world_delete(w, world_find(w, "@list@c"));
    assert_int_equal(world_commit(w, STR("")), 0);
    assert_int_equal(due_uids(w), 1);
    world_settle(w);
    assert_int_equal(due_uids(w), 1);
    assert_null(world_differs(w));
}

static void a_close_finishes_the_save_that_waits(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(world_step(w, 3), 0);
    w->now_ns += LATER_NS;
    store_tick(w->store);
    w->now_ns += LATER_NS;
    store_tick(w->store);
    assert_int_equal(world_step(w, 3), 0);
    assert_int_equal(world_close(w), 0);
    assert_int_equal(world_open(w), 0);
    assert_true(w->recovered.was_clean);
    assert_null(world_differs(w));
}

/* So many instances as were dirty when one of them had changed again, and some time had passed. */
static size_t dirty_after(struct world *w, int64_t ms)
{
    world_patch(w, world_find(w, "@list@0"), DOC_ADD, "n", ks_integer(&w->mem, 1));
    assert_int_equal(world_commit(w, STR("")), 0);
    store_tick(w->store);
    world_pump(w);
    w->now_ns += ms * 1000000;
    store_tick(w->store);
    world_pump(w);
    return w->table.dirty.count;
}

static void a_round_begins_with_much_to_save_or_in_time(void **state)
{
    enum { COUNT = 20, LATEST_MS = 30000, QUIET_MS = 5000 };
    struct world w;
    char id[40];
    (void)state;
    world_init(&w, 1, false);
    w.options = (struct journal_options){.checkpoint_count = COUNT};
    assert_int_equal(world_open(&w), 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(w.table.dirty.count, i);
        snprintf(id, sizeof id, "@list@%d", i);
        world_patch(&w, world_create(&w, INSTANCE_ENTITY, id, "list"), DOC_ADD, "n",
                    ks_integer(&w.mem, i));
        assert_int_equal(world_commit(&w, STR("")), 0);
        store_tick(w.store);
        world_pump(&w);
    }
    assert_int_equal(w.table.dirty.count, 0);
    assert_int_equal(dirty_after(&w, QUIET_MS - 1), 1);
    assert_int_equal(dirty_after(&w, QUIET_MS), 0);
    for (int ms = 0; ms < LATEST_MS; ms += 1000)
        assert_int_equal(dirty_after(&w, ms < LATEST_MS - 1000 ? 1000 : 999), 1);
    assert_int_equal(dirty_after(&w, 1), 0);
    world_free(&w);
}

/* What changes while a round is under way is for the next one. */
static void a_round_ends_with_what_was_there_when_it_began(void **state)
{
    enum { MANY = 1001 };
    struct world *w = *state;
    char id[40];
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "@list@many-%d", i);
        world_patch(w, world_create(w, INSTANCE_ENTITY, id, "list"), DOC_ADD, "n",
                    ks_integer(&w->mem, i));
    }
    assert_int_equal(world_commit(w, STR("")), 0);
    for (int i = 0; i < 2; i++) {
        store_tick(w->store);
        w->now_ns += LATER_NS;
    }
    store_tick(w->store); /* some wait for a thread */
    world_patch(w, world_find(w, "@list@many-7"), DOC_ADD, "n", ks_integer(&w->mem, 1));
    assert_int_equal(world_commit(w, STR("")), 0);
    world_pump(w);
    assert_int_equal(w->table.dirty.count, 2); /* one was too many for the save */
    store_tick(w->store);
    world_pump(w);
    assert_int_equal(w->table.dirty.count, 1);
    world_settle(w);
    world_evict(w);
    assert_null(world_differs(w));
}

static void a_broken_journal_is_closed_as_it_is(void **state)
{
    struct world *w = *state;
    assert_int_equal(world_step(w, 3), 0);
    w->writes = 0;
    w->fault = (struct world_fault){.fail_write_at = 1, .error = EIO};
    assert_int_equal(world_step(w, 3), KS_E_IO);
    w->fault = (struct world_fault){0};
    assert_int_equal(world_close(w), 0);
    assert_int_equal(world_open(w), 0);
    assert_null(world_differs(w));
}

static void a_set_of_uids_has_what_was_put_into_it(void **state)
{
    enum { UIDS = 300 };
    struct world *w = *state;
    struct uid_set set = {0};
    bool is_in[UIDS + 1] = {false};
    for (int i = 0; i < 20000; i++) {
        uint64_t uid = 1 + world_random(w, UIDS);
        bool is_to_be_in = world_random(w, 3) < (i % 4000 < 2000 ? 2 : 1);
        if (is_to_be_in)
            uid_set_add(&set, uid);
        else
            uid_set_remove(&set, uid);
        is_in[uid] = is_to_be_in;
        for (uint64_t other = 1; i % 500 == 0 && other <= UIDS; other++)
            assert_int_equal(uid_set_has(&set, other), is_in[other]);
    }
    uid_set_free(&set);
    assert_false(uid_set_has(&set, 1));
}

static void a_commit_of_many_megabytes_is_one_as_any(void **state)
{
    struct world *w = *state;
    static char text[1000000];
    memset(text, 'a', sizeof text - 1);
    struct instance *inst = world_create(w, INSTANCE_ENTITY, "@list@large", "list");
    for (int i = 0; i < 10; i++)
        world_patch(w, inst, DOC_APPEND, "items", ks_string(&w->mem, text));
    assert_int_equal(world_commit(w, STR("")), 0);
    assert_int_equal(world_step(w, 3), 0);
    world_abandon(w);
    assert_int_equal(world_open(w), 0);
    assert_null(world_differs(w));
}

/* The write-ahead log, that is: copied into the file and cut off. */
static void the_log_of_a_long_round_is_settled_when_it_has_grown(void **state)
{
    enum { MANY = 30, LOG_MIB_MAX = 19, LOG_MIB_MIN = 10 };
    static char text[1000000];
    struct world *w = *state;
    struct stat st;
    char id[40], log[200];
    off_t most = 0, before = 0;
    int cuts = 0;
    memset(text, 'a', sizeof text - 1);
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "@list@many-%d", i);
        world_patch(w, world_create(w, INSTANCE_ENTITY, id, "list"), DOC_SET, "name",
                    ks_string(&w->mem, text));
    }
    assert_int_equal(world_commit(w, STR("")), 0);
    snprintf(log, sizeof log, "%s/checkpoint.db-wal", w->folder);
    while (w->table.dirty.count) {
        w->now_ns += LATER_NS;
        store_tick(w->store);
        world_pump(w);
        off_t size = stat(log, &st) == 0 ? st.st_size : 0;
        cuts += size < before && w->table.dirty.count;
        most = size > most ? size : most;
        before = size;
    }
    assert_true(cuts > 0 && most > LOG_MIB_MIN << 20 && most < LOG_MIB_MAX << 20);
    world_evict(w);
    assert_null(world_differs(w));
}

/* ---- where it is not what it should be ---- */

/* The text with which a process ends that does it; 0 bytes: it did not. */
static void dies_of(struct world *w, void (*does)(struct world *w), const char *text)
{
    char said[1024] = "";
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipes[1], STDERR_FILENO);
        does(w);
        _exit(0);
    }
    close(pipes[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ssize_t n = read(pipes[0], said, sizeof said - 1);
    close(pipes[0]);
    assert_true(n >= 0 && WIFEXITED(status));
    if (WEXITSTATUS(status) != DIED || !strstr(said, text))
        fail_msg("ended with %d: %s, not %s", WEXITSTATUS(status), said, text);
}

/* Does something to the file that keeps the pages' checksums right. */
static void spoil(struct world *w, const char *sql)
{
    struct connection c;
    char path[200];
    snprintf(path, sizeof path, "%s/checkpoint.db", w->folder);
    assert_int_equal(connection_open(&c, path, NULL, false, NULL), SQLITE_OK);
    assert_int_equal(connection_exec(&c, sql), SQLITE_OK);
    connection_close(&c);
}

static const char *gone; /* what is to go */

static void commit_and_save(struct world *w)
{
    spoil(w, gone);
    for (int i = 0; world_commit(w, STR("")) == 0 && i < 2; i++)
        world_settle(w); /* what is deleted is not dirty: it takes a second look */
}

static void change_and_save(struct world *w)
{
    world_patch(w, world_find(w, "@list@a"), DOC_SET, "name", ks_string(&w->mem, "b"));
    commit_and_save(w);
}

static void delete_and_save(struct world *w)
{
    world_delete(w, world_find(w, "@list@a"));
    commit_and_save(w);
}

static void create_and_save(struct world *w)
{
    static char input[SHORT_HISTORY_BYTES]; /* too long for the row */
    struct buf log = {0};
    event_encode(&log, &(struct event){.type = EVENT_EXECUTION_STARTED,
                                       .val = ks_string_n(&w->mem, input, sizeof input)});
    world_change(w, world_create(w, INSTANCE_ORCHESTRATION, "new", "New"),
                 (struct str){log.at, log.len});
    commit_and_save(w);
}

static void a_save_into_a_file_without_its_tables_ends_the_process(void **state)
{
    static const struct {
        const char *gone;
        void (*does)(struct world *w);
    } all[] = {{"DROP TABLE log", change_and_save},  {"DROP TABLE log", delete_and_save},
               {"DROP TABLE log", create_and_save},  {"DROP TABLE instance", delete_and_save},
               {"DROP TABLE meta", create_and_save}, {"DROP TABLE instance", create_and_save}};
    struct world *w = *state;
    save_one(w, "@list@a", 300);
    world_close(w);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct world copy = *w;
        snprintf(copy.folder, sizeof copy.folder, "%.100s-%zu", w->folder, i);
        world_copy_folder(w->folder, copy.folder);
        copy.env.self = &copy;
        assert_int_equal(world_open(&copy), 0);
        gone = all[i].gone;
        dies_of(&copy, all[i].does, "is damaged");
        world_abandon(&copy);
        world_remove_folder(copy.folder);
    }
    assert_int_equal(world_open(w), 0);
}

/* ---- a file that is too large to be looked at when it is opened ---- */

enum { LARGE_MIB = 270, DAMAGED_AT_MIB = 255, SAVES = 40 };

static void save_often(struct world *w)
{
    for (int i = 0; i < SAVES; i++) {
        world_patch(w, world_find(w, "@list@a"), DOC_ADD, "n", ks_integer(&w->mem, 1));
        assert_int_equal(world_commit(w, STR("")), 0);
        world_settle(w);
    }
}

static void a_large_file_is_looked_at_bit_by_bit(void **state)
{
    struct world *w = *state;
    char sql[256], path[200];
    save_one(w, "@list@a", 300);
    world_close(w);
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode=OFF;CREATE TABLE filler(bytes BLOB);"
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d) "
             "INSERT INTO filler SELECT zeroblob(1<<20) FROM n;PRAGMA journal_mode=WAL",
             LARGE_MIB);
    spoil(w, sql);
    assert_int_equal(world_open(w), 0);
    save_often(w);
    world_close(w);
    snprintf(path, sizeof path, "%s/checkpoint.db", w->folder);
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(file, "x", 1, (off_t)DAMAGED_AT_MIB << 20), 1);
    close(file);
    assert_int_equal(world_open(w), 0);
    assert_null(world_differs(w));
    dies_of(w, save_often, "is damaged");
}

static void a_file_without_its_tables_is_refused(void **state)
{
    static const char *const all[] = {"DROP TABLE instance", "DROP TABLE meta",
                                      "PRAGMA user_version=0"};
    struct world *w = *state;
    save_one(w, "@list@a", 300);
    world_close(w);
    for (size_t i = 0; i < 3; i++) {
        struct world copy = *w;
        char folder[128];
        snprintf(folder, sizeof folder, "%.100s-%zu", w->folder, i);
        world_copy_folder(w->folder, folder);
        snprintf(copy.folder, sizeof copy.folder, "%s", folder);
        spoil(&copy, all[i]);
        struct instance *inst = NULL;
        int result = world_open(&copy);
        if (result == 0) {
            result = store_load(copy.store, STR("@list@a"), &inst);
            snprintf(copy.why, sizeof copy.why, "%s", store_why(copy.store));
            world_abandon(&copy);
        }
        assert_int_equal(result, KS_E_DAMAGED);
        assert_non_null(strstr(copy.why, i < 2 ? "is damaged" : "another version"));
        world_remove_folder(folder);
    }
    assert_int_equal(world_open(w), 0);
}

/* And whoever wrote it can go on with it. */
static void a_checkpoint_of_a_newer_format_is_refused_and_left_as_it_is(void **state)
{
    struct world *w = *state;
    save_one(w, "@list@a", 300);
    for (int i = 0; i < 5; i++)
        assert_int_equal(world_step(w, 3), 0); /* in the journal alone */
    world_abandon(w);
    spoil(w, "PRAGMA user_version=3");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(world_open(w), KS_E_DAMAGED);
        assert_non_null(strstr(w->why, w->folder));
        assert_non_null(strstr(w->why, "was written by another version of Keepsake"));
    }
    spoil(w, CHECKPOINT_FORMAT_SQL);
    assert_int_equal(world_open(w), 0);
    assert_null(world_differs(w));
}

static void numbers_of_a_later_version_are_passed_over(void **state)
{
    struct world *w = *state;
    save_one(w, "@list@a", 300);
    world_close(w);
    spoil(w, "INSERT INTO meta VALUES('other',7)");
    assert_int_equal(world_open(w), 0);
    assert_true(w->recovered.was_clean);
    assert_null(world_differs(w));
}

/* ---- without SQLite's help ---- */

static void save_through_no_vfs(struct world *w)
{
    w->env.sqlite_vfs = "none";
    world_create(w, INSTANCE_ENTITY, "@list@a", "list");
    if (world_commit(w, STR("")) == 0)
        world_settle(w);
}

static void save_through_an_old_vfs(struct world *w)
{
    static sqlite3_vfs old;
    old = *sqlite3_vfs_find(NULL);
    old.iVersion = 1;
    old.zName = "old";
    sqlite3_vfs_register(&old, 0);
    w->env.sqlite_vfs = "old";
    world_create(w, INSTANCE_ENTITY, "@list@a", "list");
    if (world_commit(w, STR("")) == 0)
        world_settle(w);
}

static void a_vfs_that_is_none_ends_the_process(void **state)
{
    dies_of(*state, save_through_no_vfs, "SQLite has no such VFS");
    dies_of(*state, save_through_an_old_vfs, "SQLite has no such VFS");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_deleted_is_gone_before_during_and_after_the_save),
        TEST(a_close_finishes_the_save_that_waits),
        cmocka_unit_test(a_round_begins_with_much_to_save_or_in_time),
        TEST(a_round_ends_with_what_was_there_when_it_began),
        TEST(a_broken_journal_is_closed_as_it_is),
        TEST(a_set_of_uids_has_what_was_put_into_it),
        TEST(a_commit_of_many_megabytes_is_one_as_any),
        TEST(the_log_of_a_long_round_is_settled_when_it_has_grown),
        TEST(a_save_into_a_file_without_its_tables_ends_the_process),
        TEST(a_large_file_is_looked_at_bit_by_bit),
        TEST(a_file_without_its_tables_is_refused),
        TEST(a_checkpoint_of_a_newer_format_is_refused_and_left_as_it_is),
        TEST(numbers_of_a_later_version_are_passed_over),
        TEST(a_vfs_that_is_none_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
