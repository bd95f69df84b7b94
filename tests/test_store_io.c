/* Every call to the disk fails once: of a short life of a store the first call, then the second,
 * and so on until none is left that could. Whatever fails, the store says so, or goes on, or ends
 * the process; it does not take it for damage; and when the disk is well again, everything that was
 * acknowledged is there.
 *
 * Each run is a process of its own, and what ends a process in earnest is a jump here, so that its
 * disk, which is in its memory, can be looked at. */
#include "ram_disk.h"
#include "store_world.h"

#include "store/connection.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct run {
    struct world world;
    struct ram_disk disk;
    bool is_committing; /* whether it will be there nobody knows */
    char story[200];
};

/* A round of saves begins with the third commit, by the clock: there is never much to save. */
enum { NOT_REACHED = 77, STEP_MS = 4000, SAVE_MS = 2 * STEP_MS };

static jmp_buf dead;
static bool may_die;

_Noreturn void __wrap_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_die(const char *format, ...)
{
    va_list args;
    if (may_die)
        longjmp(dead, 1);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    _exit(1);
}

static void expect(struct run *r, bool is_so, const char *what, const char *why)
{
    if (is_so)
        return;
    fprintf(stderr, "%s: %s: %s\n", r->story, what, why);
    _exit(1);
}

static void expect_trouble(struct run *r, int result)
{
    expect(r, r->disk.has_failed, "an error although nothing failed", r->world.why);
    if (r->world.store) /* else it was not opened */
        snprintf(r->world.why, sizeof r->world.why, "%s", store_why(r->world.store));
    expect(r, result == KS_E_IO || result == KS_E_FULL || result == KS_E_BUSY, "taken for another",
           r->world.why);
}

/* ---- the life of a store ---- */

static int open_it(struct run *r)
{
    snprintf(r->world.why, sizeof r->world.why, "no reason given");
    return world_open(&r->world);
}

static int commit_it(struct run *r)
{
    r->is_committing = true;
    int result = world_step(&r->world, 3);
    r->is_committing = false;
    return result;
}

static int commit_some(struct run *r, int count)
{
    int result = 0;
    for (int i = 0; i < count && result == 0; i++) {
        result = commit_it(r);
        r->disk.boot_ms += STEP_MS;
        for (int k = 0; k < 2 && result == 0; k++)
            store_tick(r->world.store); /* the second time it is too early to try again */
        if (result == 0 && i % 4 == 3)
            world_evict(&r->world);
    }
    return result;
}

static bool each_due(void *ctx, const struct due *due)
{
    *(size_t *)ctx += due->uid > 0;
    return true;
}

static int ask(struct run *r, const ks_filter *filter)
{
    struct query query = {.filter = filter, .limit = 50, .mem = &r->world.mem};
    struct query_page page;
    return store_query(r->world.store, &query, &page);
}

static int look(struct run *r)
{
    size_t count = 0;
    int result = ask(r, &(ks_filter){0});
    return result < 0 ? result : store_due(r->world.store, 0, INT64_MAX, each_due, &count);
}

static int live(struct run *r)
{
    int result = open_it(r);
    if (result == 0)
        result = commit_some(r, 5);
    if (result == 0)
        result = world_close(&r->world);
    if (result == 0) /* from the checkpoint */
        result = open_it(r);
    if (result == 0)
        result = look(r);
    if (result == 0)
        result = commit_some(r, 4);
    if (result == 0)
        result = look(r);
    if (result == 0) {
        world_abandon(&r->world);
        ram_disk_process_over(&r->disk);
        result = open_it(r); /* from both */
    }
    return result == 0 ? world_close(&r->world) : result;
}

/* More than is saved in one transaction: the next process finds the first half in the checkpoint's
 * log. */
static int commit_many(struct run *r, const char *name)
{
    enum { MANY = 1001 };
    static char text[400];
    char id[40];
    struct world *w = &r->world;
    memset(text, 'a', sizeof text - 1);
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "@list@%s-%d", name, i);
        struct instance *inst = world_create(w, INSTANCE_ENTITY, id, "list");
        world_patch(w, inst, DOC_SET, "name", ks_string(&w->mem, text));
    }
    r->is_committing = true;
    int result = world_commit(w, STR(""));
    r->is_committing = false;
    if (result == 0)
        store_tick(w->store);
    return result;
}

static void kill_it(struct run *r)
{
    world_abandon(&r->world);
    ram_disk_process_over(&r->disk);
}

/* What a life does to begin with does not fail; then the n-th call from here on does. */
static int64_t fail_nowhere(struct run *r)
{
    int64_t fail_at = r->disk.fail_at;
    r->disk.fail_at = 0;
    return fail_at;
}

static void fail_from_here(struct run *r, int64_t fail_at)
{
    r->disk.fail_at = r->disk.calls + fail_at;
}

/* A folder that was closed, with so many commits; many: and one of many instances. */
static void make_folder(struct run *r, int count, const char *many)
{
    int result = open_it(r);
    if (result == 0)
        result = commit_some(r, count);
    if (result == 0 && many)
        result = commit_many(r, many);
    if (result == 0)
        result = world_close(&r->world);
    ram_disk_process_over(&r->disk);
    expect(r, result == 0, "cannot be made", r->world.why);
}

/* Only the start counts that finds such a log. */
static int live_many(struct run *r)
{
    int64_t fail_at = fail_nowhere(r);
    expect(r, open_it(r) == 0, "cannot be opened", r->world.why);
    expect(r, commit_many(r, "many") == 0, "cannot commit", r->world.why);
    kill_it(r);
    const struct ram_file *log = ram_disk_find(&r->disk, "ram/checkpoint.db-wal");
    expect(r, log && log->bytes.len > 256 << 10, "leaves no log", "");
    fail_from_here(r, fail_at);
    int result = open_it(r);
    return result == 0 ? look(r) : result;
}

/* Behind the last commit of the log is what a save left that failed; the next one writes over it,
 * also when the start could not settle the log. */
static int live_with_a_tail(struct run *r)
{
    static const char tail[20000] = "the frames of a save that failed";
    int64_t fail_at = fail_nowhere(r);
    expect(r, open_it(r) == 0, "cannot be opened", r->world.why);
    expect(r, commit_many(r, "many") == 0, "cannot commit", r->world.why);
    kill_it(r);
    buf_append(&ram_disk_find(&r->disk, "ram/checkpoint.db-wal")->bytes, tail, sizeof tail);
    fail_from_here(r, fail_at);
    int result = open_it(r);
    if (result == 0)
        result = commit_many(r, "more");
    if (result < 0)
        return result;
    kill_it(r);
    return open_it(r);
}

/* Only what a query reads counts: by each of the ways there are, from a file that nobody read. */
static int live_asking(struct run *r)
{
    static const ks_filter filters[] = {{.id_prefix = "@list@many-50"},
                                        {.name = "Order", .statuses = 1u << KS_COMPLETED},
                                        {.statuses = 1u << KS_FAILED},
                                        {.created_until_ms = 20},
                                        {0}};
    int64_t fail_at = fail_nowhere(r);
    int result = 0;
    make_folder(r, 20, "many");
    expect(r, open_it(r) == 0, "cannot be opened", r->world.why);
    fail_from_here(r, fail_at);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0] && result == 0; i++)
        result = ask(r, &filters[i]);
    return result;
}

static void run_sql(struct run *r, const char *sql)
{
    struct connection c;
    const char *const none[CONNECTION_STATEMENTS_MAX] = {NULL};
    int result = connection_open(&c, "ram/checkpoint.db", "ram", false, none);
    if (result == SQLITE_OK)
        result = connection_exec(&c, sql);
    expect(r, result == SQLITE_OK, "cannot be made", sqlite3_errmsg(c.db));
    connection_close(&c);
    ram_disk_process_over(&r->disk);
}

/* Only the start counts that brings a folder of before there were queries up to date. */
static int live_older(struct run *r)
{
    int64_t fail_at = fail_nowhere(r);
    make_folder(r, 5, NULL);
    run_sql(r, CHECKPOINT_OLDER_SQL);
    fail_from_here(r, fail_at);
    int result = open_it(r);
    return result == 0 ? look(r) : result;
}

/* The last record is the one that nobody knows to be synced; it is written again. */
static int live_without_a_mark(struct run *r)
{
    int64_t fail_at = fail_nowhere(r);
    expect(r, open_it(r) == 0, "cannot be opened", r->world.why);
    expect(r, commit_some(r, 3) == 0, "cannot commit", r->world.why);
    kill_it(r);
    ram_disk_find(&r->disk, "ram/journal/mark")->bytes.len = 0;
    fail_from_here(r, fail_at);
    int result = open_it(r);
    if (result == 0)
        result = commit_some(r, 1);
    return result;
}

/* Whatever failed while it was opened: when it is open, it saves. */
static int live_reopened(struct run *r)
{
    int64_t fail_at = fail_nowhere(r);
    make_folder(r, 5, NULL);
    fail_from_here(r, fail_at);
    int result = open_it(r);
    r->disk.fail_at = 0;
    if (result < 0)
        return result;
    expect(r, commit_some(r, 2) == 0, "does not commit", r->world.why);
    expect(r, world_close(&r->world) == 0, "does not save", r->world.why);
    return open_it(r);
}

/* A save of more than is written before a sync, and what follows it. */
static int live_large(struct run *r)
{
    enum { MANY = 300, BYTES = 20000 };
    static char text[BYTES];
    char id[40];
    int64_t fail_at = fail_nowhere(r);
    struct world *w = &r->world;
    expect(r, open_it(r) == 0, "cannot be opened", w->why);
    memset(text, 'a', sizeof text - 1);
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "@list@large-%d", i);
        world_patch(w, world_create(w, INSTANCE_ENTITY, id, "list"), DOC_SET, "name",
                    ks_string(&w->mem, text));
    }
    expect(r, world_commit(w, STR("")) == 0, "cannot commit", w->why);
    fail_from_here(r, fail_at);
    for (int i = 0; i < 6; i++) {
        r->disk.boot_ms += STEP_MS;
        store_tick(w->store);
    }
    return 0;
}

/* ---- one run ---- */

static void set_up_ram(struct run *r, const char *folder)
{
    memset(r, 0, sizeof *r);
    world_init(&r->world, 11, false);
    world_remove_folder(r->world.folder);
    snprintf(r->world.folder, sizeof r->world.folder, "%s", folder);
    r->world.options.checkpoint_ms = SAVE_MS;
    r->world.env = ram_disk_env(&r->disk);
}

static void one_run(const struct ram_disk *fault, int (*life)(struct run *r))
{
    static struct run run; /* its addresses outlive the jump */
    struct run *r = &run;
    ram_disk_take_memory();
    set_up_ram(r, "ram");
    r->disk = *fault;
    snprintf(r->story, sizeof r->story, "call %lld fails with %s%s", (long long)fault->fail_at,
             strerror(fault->error), fault->is_lasting ? ", and all after it" : "");
    may_die = true;
    if (setjmp(dead) == 0) {
        int result = life(r);
        if (result < 0)
            expect_trouble(r, result);
        expect(r, !r->disk.has_failed || (fault->error != ENOLCK && fault->error != EREMOTEIO),
               "goes on with a lock, or without a sync", "");
        kill_it(r);
    } else {
        expect(r, r->disk.has_failed, "died although nothing failed", "");
        r->world.store = NULL; /* its memory is lost with it, and the commit it was at */
        r->world.change_count = r->world.gone_count = r->world.log.len = 0;
        ram_disk_process_over(&r->disk);
    }
    may_die = false;
    if (!r->disk.has_failed)
        _exit(NOT_REACHED);
    r->disk.fail_at = 0;
    r->disk.boot_ms += 60000;
    expect(r, open_it(r) == 0, "cannot be opened afterwards", r->world.why);
    if (!r->is_committing) { /* else it may be there or not, and the model cannot know */
        const char *what = world_differs(&r->world);
        expect(r, !what, "is not as it was", what);
        expect(r, commit_some(r, 2) == 0, "cannot go on", r->world.why);
    }
    expect(r, world_close(&r->world) == 0, "cannot be closed", r->world.why);
    _exit(0);
}

/* Whether there was such a call. */
static bool survives(const struct ram_disk *fault, int (*life)(struct run *r))
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        one_run(fault, life);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != NOT_REACHED)
        fail_msg("call %lld, error %d%s: see above", (long long)fault->fail_at, fault->error,
                 fault->is_lasting ? ", lasting" : "");
    return WEXITSTATUS(status) == 0;
}

#ifdef __SANITIZE_ADDRESS__
enum { IS_SLOW = true };
#else
enum { IS_SLOW = false };
#endif

/* The many calls that read the log's frames are all alike, and so are many of those for memory. */
static int64_t pace(const struct ram_disk *fault, int (*life)(struct run *r))
{
    if (fault->error == ENOMEM)
        return life == live && !fault->is_lasting ? 5 : life == live_older ? 11 : 61;
    bool is_alike = life == live_many || (life == live_with_a_tail && IS_SLOW);
    return is_alike && fault->fail_at > 40 ? 13 : 1;
}

static void survives_all_of(struct ram_disk fault, int (*life)(struct run *r))
{
    fault.fail_at = 1;
    while (survives(&fault, life))
        fault.fail_at += pace(&fault, life);
    assert_true(fault.fail_at > 20);
}

static void survives_all(struct ram_disk fault)
{
    survives_all_of(fault, live);
}

static void an_error_of_any_call_loses_nothing(void **state)
{
    (void)state;
    survives_all((struct ram_disk){.error = EIO});
}

static void a_disk_that_fails_from_any_call_on_loses_nothing(void **state)
{
    (void)state;
    survives_all((struct ram_disk){.error = EIO, .is_lasting = true});
}

static void a_disk_that_is_full_from_any_call_on_loses_nothing(void **state)
{
    (void)state;
    survives_all((struct ram_disk){.error = ENOSPC, .is_lasting = true});
    survives_all((struct ram_disk){.error = EDQUOT});
}

static void an_error_while_the_checkpoints_log_is_made_again_loses_nothing(void **state)
{
    (void)state;
    survives_all_of((struct ram_disk){.error = EIO}, live_many);
    survives_all_of((struct ram_disk){.error = ENOSPC, .is_lasting = true}, live_many);
}

static void a_log_that_a_full_disk_keeps_from_being_settled_is_no_damaged_one(void **state)
{
    (void)state;
    survives_all_of((struct ram_disk){.error = ENOSPC}, live_with_a_tail);
}

static void an_error_while_a_query_reads_loses_nothing(void **state)
{
    (void)state;
    survives_all_of((struct ram_disk){.error = EIO}, live_asking);
    survives_all_of((struct ram_disk){.error = ENOMEM}, live_asking);
}

static void an_error_while_an_older_folder_is_brought_up_to_date_loses_nothing(void **state)
{
    (void)state;
    survives_all_of((struct ram_disk){.error = EIO}, live_older);
    survives_all_of((struct ram_disk){.error = ENOMEM}, live_older);
}

static void an_error_while_the_last_record_is_written_again_loses_nothing(void **state)
{
    (void)state;
    survives_all_of((struct ram_disk){.error = EIO}, live_without_a_mark);
    survives_all_of((struct ram_disk){.error = ENOSPC, .is_lasting = true}, live_without_a_mark);
}

/* The first is made good, or that is tried. */
static void a_second_error_soon_after_the_first_loses_nothing(void **state)
{
    enum { SOON = 4 };
    (void)state;
    for (int64_t after = 1; after <= SOON; after++)
        survives_all_of((struct ram_disk){.error = EIO, .also_after = after}, live_without_a_mark);
}

static void an_error_while_it_is_opened_is_over_when_it_is_open(void **state)
{
    (void)state;
    survives_all_of((struct ram_disk){.error = EIO}, live_reopened);
    survives_all_of((struct ram_disk){.error = ENOSPC}, live_reopened);
}

static void a_checkpoint_that_others_lock_loses_nothing(void **state)
{
    (void)state;
    survives_all((struct ram_disk){.error = EBUSY});
    survives_all((struct ram_disk){.error = EBUSY, .is_lasting = true});
}

static void a_lock_that_cannot_be_let_go_loses_nothing(void **state)
{
    (void)state;
    survives_all((struct ram_disk){.error = ENOLCK});
}

static void a_sync_of_a_save_that_fails_ends_the_process(void **state)
{
    struct ram_disk fault = {.error = EREMOTEIO, .fail_at = 1};
    (void)state;
    while (survives(&fault, live_large))
        fault.fail_at++;
    assert_true(fault.fail_at > 4);
}

static void no_memory_for_sqlite_loses_nothing(void **state)
{
    (void)state;
    survives_all((struct ram_disk){.error = ENOMEM});
    survives_all((struct ram_disk){.error = ENOMEM, .is_lasting = true});
}

/* ---- what is told of a folder ---- */

static void tear_down_ram(struct run *r)
{
    snprintf(r->world.folder, sizeof r->world.folder, "none-such");
    world_free(&r->world);
    ram_disk_free(&r->disk);
}

static void a_folder_says_what_is_wrong_with_it(void **state)
{
    static const struct {
        int error, result;
        const char *text;
    } rows[] = {{EACCES, KS_E_ACCESS, "run as its owner"},
                {EPERM, KS_E_ACCESS, "owner"},
                {EROFS, KS_E_ACCESS, "owner"},
                {ENOSPC, KS_E_FULL, "make room"},
                {EDQUOT, KS_E_FULL, "make room"},
                {ENOENT, KS_E_IO, "make the folder"},
                {EIO, KS_E_IO, "start with another --data"}};
    static struct run r;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_up_ram(&r, "ram");
        r.disk.fail_at = 1;
        r.disk.error = rows[i].error;
        assert_int_equal(world_open(&r.world), rows[i].result);
        assert_non_null(strstr(r.world.why, rows[i].text));
        tear_down_ram(&r);
    }
}

static int is_locked(void *self, const char *path, int *ret_file, int64_t *ret_pid)
{
    (void)self;
    (void)path;
    (void)ret_file;
    *ret_pid = 0;
    return -EBUSY;
}

static void a_holder_that_cannot_be_named_is_another_process(void **state)
{
    static struct run r;
    (void)state;
    set_up_ram(&r, "ram");
    r.world.env.disk_lock = is_locked;
    assert_int_equal(world_open(&r.world), KS_E_BUSY);
    assert_non_null(strstr(r.world.why, "in use by another process"));
    tear_down_ram(&r);
}

static int64_t write_nothing(void *self, int file, const void *buf, size_t len, int64_t offset)
{
    (void)self;
    (void)file;
    (void)buf;
    (void)len;
    (void)offset;
    return 0;
}

static void a_write_that_writes_nothing_is_an_error(void **state)
{
    static struct run r;
    (void)state;
    set_up_ram(&r, "ram");
    r.world.env.disk_pwrite = write_nothing;
    assert_int_equal(world_open(&r.world), KS_E_IO);
    tear_down_ram(&r);
}

static void a_folder_may_stand_anywhere_and_sizes_have_defaults(void **state)
{
    static const char *const folders[] = {"/ram", "a/ram", "ram"};
    static struct run r;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        set_up_ram(&r, folders[i]);
        if (i == 0)
            r.world.options = (struct journal_options){.checkpoint_ms = 1};
        assert_int_equal(world_open(&r.world), 0);
        assert_int_equal(commit_some(&r, 3), 0);
        assert_int_equal(world_close(&r.world), 0);
        assert_int_equal(world_open(&r.world), 0);
        assert_null(world_differs(&r.world));
        tear_down_ram(&r);
    }
}

static void files_of_others_in_the_journal_are_left_alone(void **state)
{
    static struct run r;
    (void)state;
    set_up_ram(&r, "ram");
    assert_int_equal(world_open(&r.world), 0);
    assert_int_equal(commit_some(&r, 3), 0);
    ram_disk_make(&r.disk, "ram/journal/0123456789abcdef.txt");
    ram_disk_make(&r.disk, "ram/journal/0123456789abcde.log");
    world_abandon(&r.world);
    ram_disk_process_over(&r.disk);
    assert_int_equal(world_open(&r.world), 0);
    assert_null(world_differs(&r.world));
    tear_down_ram(&r);
}

/* With no mark nobody knows that it was synced; it is larger than a first segment is. */
static void a_large_record_without_a_mark_is_written_again(void **state)
{
    static struct run r;
    static char text[60000];
    (void)state;
    memset(text, 'a', sizeof text - 1);
    set_up_ram(&r, "ram");
    assert_int_equal(world_open(&r.world), 0);
    struct instance *inst = world_create(&r.world, INSTANCE_ENTITY, "@list@a", "list");
    world_patch(&r.world, inst, DOC_SET, "name", ks_string(&r.world.mem, text));
    assert_int_equal(world_commit(&r.world, STR("queue")), 0);
    ram_disk_find(&r.disk, "ram/journal/mark")->bytes.len = 0;
    world_abandon(&r.world);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(world_open(&r.world), 0);
        assert_null(world_differs(&r.world));
        assert_int_equal(r.world.recovered.queue.len, 5);
        for (int k = 0; k < 2;
             k++) { /* the queue is not in the checkpoint: the journal is needed */
            r.disk.boot_ms += 60000;
            store_tick(r.world.store);
        }
        assert_int_equal(r.world.table.dirty.count, 0);
        world_abandon(&r.world);
        ram_disk_process_over(&r.disk);
    }
    tear_down_ram(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_of_any_call_loses_nothing),
        cmocka_unit_test(a_disk_that_fails_from_any_call_on_loses_nothing),
        cmocka_unit_test(a_disk_that_is_full_from_any_call_on_loses_nothing),
        cmocka_unit_test(an_error_while_the_checkpoints_log_is_made_again_loses_nothing),
        cmocka_unit_test(a_log_that_a_full_disk_keeps_from_being_settled_is_no_damaged_one),
        cmocka_unit_test(an_error_while_a_query_reads_loses_nothing),
        cmocka_unit_test(an_error_while_an_older_folder_is_brought_up_to_date_loses_nothing),
        cmocka_unit_test(an_error_while_the_last_record_is_written_again_loses_nothing),
        cmocka_unit_test(a_second_error_soon_after_the_first_loses_nothing),
        cmocka_unit_test(an_error_while_it_is_opened_is_over_when_it_is_open),
        cmocka_unit_test(a_checkpoint_that_others_lock_loses_nothing),
        cmocka_unit_test(a_lock_that_cannot_be_let_go_loses_nothing),
        cmocka_unit_test(a_sync_of_a_save_that_fails_ends_the_process),
        cmocka_unit_test(no_memory_for_sqlite_loses_nothing),
        cmocka_unit_test(a_folder_says_what_is_wrong_with_it),
        cmocka_unit_test(a_holder_that_cannot_be_named_is_another_process),
        cmocka_unit_test(a_write_that_writes_nothing_is_an_error),
        cmocka_unit_test(a_folder_may_stand_anywhere_and_sizes_have_defaults),
        cmocka_unit_test(files_of_others_in_the_journal_are_left_alone),
        cmocka_unit_test(a_large_record_without_a_mark_is_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
