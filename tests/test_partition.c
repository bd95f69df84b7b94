/* The partition when the world is unkind: commits that are refused, a store that cannot be opened,
 * a full disk, a small budget, clocks that jump. */
#include "hub.h"
#include "run/partition_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DIED = 70 };

static struct partition_limits usual = {0};
static struct partition_limits short_passes = {.pass_steps = 10};

static bool log_has(const struct hub *h, const char *text)
{
    return h->log.len && memmem(h->log.at, h->log.len, text, strlen(text));
}

/* ---- commits that are refused ---- */

static void refused_commit_undoes_its_pass(struct hub *h, int error)
{
    hub_post(h, "/api/list/a/add", "1");
    h->commit_error = error;
    const struct hub_answer *refused = hub_line(h, "POST", "2", "/api/list/a/add");
    assert_false(hub_pass(h));
    assert_true(refused->is_held);
    assert_true(partition_is_up(h->partition));
    assert_non_null(strstr(partition_why(h->partition), "the test refuses commits"));
    h->commit_error = 0;
    hub_expect(h, "/api/list/a", "[1]");
    hub_post(h, "/api/list/a/add", "3");
    hub_crash(h);
    hub_expect(h, "/api/list/a", "[1,3]");
}

static void a_commit_that_fails_with_io_undoes_its_pass(void **state)
{
    refused_commit_undoes_its_pass(*state, KS_E_IO);
}

static void a_commit_that_finds_the_disk_full_undoes_its_pass(void **state)
{
    refused_commit_undoes_its_pass(*state, KS_E_FULL);
}

static void an_orchestration_goes_on_from_the_last_commit(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Waiter/w", "null");
    hub_post(h, "/api/raise/w/Go", "1");
    h->commit_error = KS_E_IO;
    hub_line(h, "POST", "2", "/api/raise/w/Go");
    hub_line(h, "POST", "3", "/api/raise/w/Go");
    assert_false(hub_pass(h));
    h->commit_error = 0;
    hub_expect(h, "/api/list/w", "[1]");
    hub_post(h, "/api/raise/w/Go", "4");
    hub_post(h, "/api/raise/w/Go", "5");
    hub_expect(h, "/api/list/w", "[1,4,5,\"done\"]");
    hub_expect(h, "/api/status/w", "completed");
}

/* As when somebody removes the data folder, and the store, opened again, makes a new one. */
static void a_store_without_what_was_acknowledged_is_not_gone_on_with(void **state)
{
    struct hub *h = *state;
    int status;
    hub_post(h, "/api/list/a/add", "1");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        h->disk = NULL;
        h->commit_error = KS_E_IO;
        hub_line(h, "POST", "2", "/api/list/a/add");
        hub_pass(h);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), DIED);
}

static void a_timer_fires_again_after_its_pass_was_refused(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Sleeper/s", "60000");
    hub_advance(h, 59999);
    h->commit_error = KS_E_IO;
    h->boot_ms++;
    assert_false(hub_pass(h));
    assert_false(hub_pass(h));
    h->commit_error = 0;
    hub_settle(h);
    hub_expect(h, "/api/list/s", "[\"fired\"]");
}

static void what_was_deleted_is_back_when_the_pass_was_refused(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    h->commit_error = KS_E_IO;
    hub_line(h, "POST", "null", "/api/list/a/delete");
    hub_line(h, "POST", "2", "/api/list/a/add");
    assert_false(hub_pass(h));
    h->commit_error = 0;
    hub_expect(h, "/api/list/a", "[1]");
}

static void a_store_that_cannot_be_opened_keeps_it_down_until_it_can(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    h->commit_error = KS_E_IO;
    h->open_error = KS_E_IO;
    hub_line(h, "POST", "2", "/api/list/a/add");
    assert_false(hub_pass(h));
    assert_false(partition_is_up(h->partition));
    const struct hub_answer *down = hub_ask(h, "GET", NULL, "/api/list/a");
    assert_int_equal(down->status, 503);
    assert_false(down->is_held);
    assert_non_null(strstr(down->body, "the test refuses to open"));
    h->boot_ms += 1000;
    assert_int_equal(hub_ask(h, "GET", NULL, "/api/list/a")->status, 503);
    h->commit_error = 0;
    h->open_error = 0;
    assert_int_equal(hub_ask(h, "GET", NULL, "/api/list/a")->status, 503);
    assert_true(partition_next_ms(h->partition) > partition_clock_ms(h->partition));
    hub_advance(h, 1000);
    assert_true(partition_is_up(h->partition));
    hub_expect(h, "/api/list/a", "[1]");
}

/* ---- activities and their results ---- */

static void a_result_counts_once_when_its_commit_is_refused(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Worker/w", "7");
    hub_run_job(h, 0);
    h->commit_error = KS_E_IO;
    assert_false(hub_pass(h));
    h->commit_error = 0;
    hub_settle(h);
    assert_int_equal(hub_jobs(h), 1); /* it runs again */
    hub_run_job(h, 0);
    hub_settle(h);
    hub_expect(h, "/api/list/w", "[7]");
    hub_expect(h, "/api/list/work", "[\"w:1:0\"]");
}

static void an_activity_of_a_refused_pass_is_not_run(void **state)
{
    struct hub *h = *state;
    h->commit_error = KS_E_IO;
    hub_line(h, "POST", "7", "/api/start/Worker/w");
    assert_false(hub_pass(h));
    h->commit_error = 0;
    hub_settle(h);
    assert_int_equal(hub_jobs(h), 0);
    hub_expect(h, "/api/status/w", "missing");
}

static void what_recovery_left_in_memory_goes_on(void **state)
{
    struct hub *h = *state;
    h->recovers_all = true;
    hub_post(h, "/api/start/Sleeper/s", "60000");
    hub_post(h, "/api/start/Worker/w", "7");
    hub_post(h, "/api/start/WorkAndSleep/x", "50000");
    hub_crash(h);
    assert_int_equal(partition_stats(h->partition).instances, 3);
    hub_settle(h);
    assert_int_equal(hub_jobs(h), 2);
    hub_run_job(h, 0);
    hub_run_job(h, 0);
    hub_advance(h, 60000);
    hub_expect(h, "/api/list/s", "[\"fired\"]");
    hub_expect(h, "/api/list/w", "[7]");
    hub_expect(h, "/api/list/x", "[\"worked\",\"fired\"]");
}

static void of_two_results_for_one_call_the_first_counts(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Worker/w", "7");
    h->commit_error = KS_E_IO;
    hub_line(h, "POST", "1", "/api/list/a/add");
    assert_false(hub_pass(h)); /* the job still runs, and the instance is recovered */
    h->commit_error = 0;
    hub_settle(h);
    assert_int_equal(hub_jobs(h), 2);
    hub_run_job(h, 1);
    hub_settle(h);
    hub_run_job(h, 0);
    hub_settle(h);
    hub_expect(h, "/api/list/w", "[7]");
    hub_expect(h, "/api/list/work", "[\"w:1:0\"]");
    hub_expect(h, "/api/status/w", "running");
}

static void a_result_that_comes_while_down_counts(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Worker/w", "7");
    h->commit_error = KS_E_IO;
    h->open_error = KS_E_IO;
    hub_line(h, "POST", "1", "/api/list/a/add");
    assert_false(hub_pass(h));
    hub_run_job(h, 0);
    hub_pass(h);
    h->commit_error = 0;
    h->open_error = 0;
    hub_advance(h, 1000);
    hub_expect(h, "/api/list/w", "[7]");
    while (hub_jobs(h)) {
        hub_run_job(h, 0);
        hub_settle(h);
    }
    hub_expect(h, "/api/list/w", "[7]");
    hub_expect(h, "/api/list/work", "[\"w:1:0\"]");
}

static void a_result_is_too_late_for_an_instance_that_was_started_anew(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/WorkAndSleep/w", "1");
    hub_crash(h);
    hub_settle(h);
    assert_int_equal(hub_jobs(h), 1);
    h->commit_error = KS_E_IO;
    hub_line(h, "POST", "1", "/api/list/a/add");
    hub_pass(h);
    h->commit_error = 0;
    hub_settle(h);
    assert_int_equal(hub_jobs(h), 2);
    hub_run_job(h, 0);
    hub_advance(h, 1);
    hub_expect(h, "/api/status/w", "completed");
    hub_post(h, "/api/start/Worker/w", "9");
    hub_run_job(h, 0); /* of the first run */
    hub_settle(h);
    hub_expect(h, "/api/list/w", "[\"worked\",\"fired\"]");
    hub_run_job(h, 0);
    hub_settle(h);
    hub_expect(h, "/api/list/w", "[\"worked\",\"fired\",9]");
    hub_expect(h, "/api/list/work", "[\"w:1:1\",\"w:4:0\"]");
}

/* ---- a full disk ---- */

static void a_full_disk_refuses_changes_and_finishes_what_is_owed(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_post(h, "/api/start/Sleeper/s", "60000");
    hub_post(h, "/api/start/Worker/w", "7");
    h->room = ROOM_RESERVE;
    const struct hub_answer *refused = hub_ask(h, "POST", "2", "/api/list/a/add");
    assert_int_equal(refused->status, 503);
    assert_non_null(strstr(refused->body, "disk is full"));
    hub_expect(h, "/api/list/a", "[1]");
    hub_run_job(h, 0);
    hub_advance(h, 60000);
    hub_expect(h, "/api/list/s", "[\"fired\"]");
    hub_expect(h, "/api/list/w", "[7]");
    h->room = ROOM_PLENTY;
    hub_post(h, "/api/list/a/add", "3");
    hub_expect(h, "/api/list/a", "[1,3]");
}

static void without_any_room_it_is_read_only_and_idle(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_post(h, "/api/start/Sleeper/s", "40000");
    hub_post(h, "/api/start/Worker/w", "7");
    hub_crash(h);
    hub_settle(h);
    h->room = ROOM_NONE;
    size_t commits = h->commits;
    hub_run_job(h, 0);
    hub_advance(h, 100000);
    assert_int_equal(h->commits, commits);
    assert_true(h->passes < 1000);
    hub_expect(h, "/api/list/a", "[1]");
    hub_expect(h, "/api/status/s", "running");
    assert_int_equal(hub_ask(h, "POST", "2", "/api/list/a/add")->status, 503);
    h->room = ROOM_PLENTY;
    hub_settle(h);
    hub_expect(h, "/api/list/s", "[\"fired\"]");
    hub_expect(h, "/api/list/w", "[7]");
}

static void leftovers_wait_while_there_is_no_room_and_nobody_sees_them(void **state)
{
    struct hub *h = *state;
    hub_line(h, "POST", "20", "/api/list/c/chain");
    hub_pass(h);
    h->room = ROOM_NONE;
    const struct hub_answer *refused = hub_ask(h, "GET", "", "/api/list/c");
    assert_int_equal(refused->status, 503);
    assert_non_null(strstr(refused->body, "disk is full"));
    size_t commits = h->commits;
    hub_advance(h, 5000);
    hub_crash(h);
    hub_advance(h, 5000);
    assert_int_equal(h->commits, commits);
    h->room = ROOM_PLENTY;
    hub_advance(h, 1000);
    hub_expect(h, "/api/list/c", "[20,19,18,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2,1,0]");
}

/* ---- the budget ---- */

static void leftovers_survive_a_crash_and_are_done_once(void **state)
{
    struct hub *h = *state;
    hub_line(h, "POST", "20", "/api/list/c/chain");
    assert_true(hub_pass(h));
    hub_crash(h);
    struct hub_answer *next = hub_line(h, "POST", "\"next\"", "/api/list/c/add");
    assert_true(hub_pass(h));
    assert_int_equal(next->status, 0); /* what is left over comes first */
    hub_settle(h);
    hub_crash(h);
    hub_settle(h);
    hub_expect(h, "/api/list/c", "[20,19,18,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2,1,0,\"next\"]");
}

static void leftovers_survive_a_commit_that_is_refused(void **state)
{
    struct hub *h = *state;
    hub_line(h, "POST", "20", "/api/list/c/chain");
    assert_true(hub_pass(h));
    h->commit_error = KS_E_FULL;
    assert_false(hub_pass(h));
    assert_false(hub_pass(h));
    h->commit_error = 0;
    hub_settle(h);
    hub_expect(h, "/api/list/c", "[20,19,18,17,16,15,14,13,12,11,10,9,8,7,6,5,4,3,2,1,0]");
}

static void results_that_are_left_over_count_once(void **state)
{
    struct hub *h = *state;
    for (int i = 0; i < 15; i++)
        assert_int_equal(hub_ask(h, "POST", "7", "/api/start/Worker/w%d", i)->status, 202);
    while (hub_jobs(h))
        hub_run_job(h, 0);
    hub_pass(h);
    assert_int_equal(partition_next_ms(h->partition), partition_clock_ms(h->partition));
    hub_crash(h);
    hub_settle(h); /* what was left over is taken; nothing has to run for it */
    for (int i = 0; i < 15; i++)
        assert_string_equal(hub_ask(h, "GET", NULL, "/api/list/w%d", i)->body, "[7]");
    while (hub_jobs(h))
        hub_run_job(h, 0);
    hub_settle(h);
    for (int i = 0; i < 15; i++)
        assert_string_equal(hub_ask(h, "GET", NULL, "/api/list/w%d", i)->body, "[7]");
    const char *keys = hub_ask(h, "GET", NULL, "/api/list/work")->body;
    size_t n = 0;
    for (const char *at = keys; (at = strstr(at, ":0\"")); at++)
        n++;
    assert_int_equal(n, 15);
}

/* More are due than a pass has room for: what is asked for meanwhile does not wait for all of them,
 * and sees its own timer fired. */
static void a_request_is_not_kept_waiting_by_timers(void **state)
{
    struct hub *h = *state;
    for (int i = 0; i < 40; i++)
        assert_int_equal(hub_ask(h, "POST", "1000", "/api/start/Sleeper/s%d", i)->status, 202);
    h->boot_ms += 1000;
    struct hub_answer *last = hub_line(h, "GET", NULL, "/api/status/s39");
    hub_pass(h);
    assert_string_equal(last->body, "completed");
    assert_true(partition_next_ms(h->partition) <= partition_clock_ms(h->partition));
    hub_settle(h);
    for (int i = 0; i < 40; i++)
        assert_string_equal(hub_ask(h, "GET", NULL, "/api/list/s%d", i)->body, "[\"fired\"]");
}

/* ---- what an answer waits for ---- */

static void a_read_is_held_when_it_saw_what_the_pass_changed(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_post(h, "/api/list/b/add", "1");
    const struct hub_answer *before = hub_line(h, "GET", NULL, "/api/list/a");
    const struct hub_answer *change = hub_line(h, "POST", "2", "/api/list/a/add");
    const struct hub_answer *changed = hub_line(h, "GET", NULL, "/api/list/a");
    const struct hub_answer *same = hub_line(h, "GET", NULL, "/api/list/b");
    const struct hub_answer *missing = hub_line(h, "GET", NULL, "/api/list/c");
    const struct hub_answer *both = hub_line(h, "GET", NULL, "/api/lists/a/b");
    assert_true(hub_pass(h));
    assert_false(before->is_held);
    assert_true(change->is_held);
    assert_true(changed->is_held);
    assert_string_equal(changed->body, "[1,2]");
    assert_false(same->is_held);
    assert_false(missing->is_held);
    assert_string_equal(both->body, "2 and 1");
    assert_true(both->is_held);
    assert_false(hub_ask(h, "GET", NULL, "/api/list/a")->is_held);
}

static void a_read_is_held_when_it_saw_that_something_is_gone(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_line(h, "POST", "null", "/api/list/a/delete");
    const struct hub_answer *gone = hub_line(h, "GET", NULL, "/api/list/a");
    assert_true(hub_pass(h));
    assert_string_equal(gone->body, "none");
    assert_true(gone->is_held);
}

static void a_refused_operation_leaves_no_trace(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/refuse", "1");
    hub_expect(h, "/api/list/a", "none");
    hub_post(h, "/api/list/a/add", "1");
    hub_post(h, "/api/list/a/refuse", "2");
    hub_post(h, "/api/list/a/unknown", "3");
    hub_expect(h, "/api/list/a", "[1]");
    hub_expect(h, "/api/list/other", "none");
    assert_true(log_has(h, "Refused: not today"));
    assert_true(log_has(h, "has no operation \"unknown\""));
    hub_crash(h);
    hub_expect(h, "/api/list/a", "[1]");
}

/* ---- looking ---- */

static void what_is_due_has_happened_before_anybody_looks(void **state)
{
    struct hub *h = *state;
    hub_line(h, "POST", "-1", "/api/start/Sleeper/s");
    const struct hub_answer *status = hub_line(h, "GET", NULL, "/api/status/s");
    const struct hub_answer *list = hub_line(h, "GET", NULL, "/api/list/s");
    assert_true(hub_pass(h));
    assert_string_equal(status->body, "completed");
    assert_true(status->is_held);
    assert_string_equal(list->body, "[\"fired\"]");
}

static void what_is_deleted_stays_deleted_in_its_pass(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_line(h, "POST", "null", "/api/list/a/delete");
    const struct hub_answer *count = hub_line(h, "POST", NULL, "/api/list/a");
    const struct hub_answer *list = hub_line(h, "GET", NULL, "/api/list/a");
    assert_true(hub_pass(h));
    assert_string_equal(count->body, "0");
    assert_string_equal(list->body, "[0]");
    hub_expect(h, "/api/list/a", "[0]");
    hub_crash(h);
    hub_expect(h, "/api/list/a", "[0]");
}

static void starting_an_id_that_runs_changes_nothing(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Waiter/w", "null");
    hub_post(h, "/api/raise/w/Go", "1");
    hub_post(h, "/api/start/Sleeper/w", "1");
    hub_advance(h, 10);
    hub_expect(h, "/api/list/w", "[1]");
    assert_true(log_has(h, "an instance of that id is running"));
}

static void an_id_that_is_over_can_be_started_again(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Sleeper/s", "0");
    hub_settle(h);
    hub_expect(h, "/api/status/s", "completed");
    hub_line(h, "POST", "5", "/api/start/Sleeper/s");
    hub_line(h, "POST", "9", "/api/start/Sleeper/s");
    const struct hub_answer *status = hub_line(h, "GET", NULL, "/api/status/s");
    assert_true(hub_pass(h));
    assert_string_equal(status->body, "running");
    hub_crash(h);
    hub_expect(h, "/api/status/s", "running");
    hub_advance(h, 5);
    hub_expect(h, "/api/list/s", "[\"fired\",\"fired\"]");
    const struct hub_answer *late = hub_ask(h, "POST", "1", "/api/raise/s/Go");
    assert_int_equal(late->status, 410);
}

/* ---- clocks ---- */

/* Between two looks at the clock so much time passes. */
static int64_t tick_ms;

static int64_t ticking_ns(void *self)
{
    struct hub *h = self;
    h->boot_ms += tick_ms;
    return h->boot_ms * 1000000;
}

static void who_holds_the_partition_for_more_than_50_ms_is_named(void **state)
{
    static const char *const names[] = {"\"GetList\"", "\"Signal\"", "\"list\"", "\"Start\"",
                                        "\"Waiter\""};
    struct hub *h = *state;
    int64_t (*boot_ns)(void *self) = h->env.boot_ns;
    for (tick_ms = 50; tick_ms <= 51; tick_ms++) {
        h->env.boot_ns = ticking_ns;
        hub_post(h, "/api/list/a/add", "1");
        hub_ask(h, "GET", NULL, "/api/list/a");
        hub_post(h, tick_ms == 50 ? "/api/start/Waiter/v" : "/api/start/Waiter/w", "null");
        h->env.boot_ns = boot_ns;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            const char *line = ks_format(&h->mem, "%s held the partition for ", names[i]);
            if (log_has(h, line) != (tick_ms > 50))
                fail_msg("%d ms, %s: %.*s", (int)tick_ms, line, (int)h->log.len,
                         h->log.len ? h->log.at : "");
        }
    }
}

static void a_wall_clock_that_jumps_fires_nothing_early(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Sleeper/s", "60000");
    h->wall_ms += KS_DAYS(1);
    hub_settle(h);
    hub_expect(h, "/api/status/s", "running");
    h->commit_error = KS_E_IO;
    hub_line(h, "POST", "1", "/api/list/a/add");
    hub_pass(h); /* the store is opened again */
    h->commit_error = 0;
    hub_advance(h, 59999);
    hub_expect(h, "/api/status/s", "running");
    hub_advance(h, 1);
    hub_expect(h, "/api/list/s", "[\"fired\"]");
}

static void a_wall_clock_that_is_set_back_fires_nothing_late(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Sleeper/s", "60000");
    h->wall_ms -= KS_DAYS(1);
    hub_advance(h, 30000);
    h->wall_ms -= KS_DAYS(1);
    hub_advance(h, 29999);
    hub_expect(h, "/api/status/s", "running");
    hub_advance(h, 1);
    hub_expect(h, "/api/list/s", "[\"fired\"]");
}

static void time_does_not_go_back_when_the_clock_does_over_a_restart(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Sleeper/s", "60000");
    hub_advance(h, 30000);
    hub_post(h, "/api/list/a/add", "1");
    h->wall_ms -= KS_DAYS(1);
    hub_crash(h);
    assert_int_equal(partition_clock_ms(h->partition), HUB_START_MS + 30000);
    hub_advance(h, 29999);
    hub_expect(h, "/api/status/s", "running");
    hub_advance(h, 1);
    hub_expect(h, "/api/list/s", "[\"fired\"]");
}

static void what_fell_due_while_the_process_was_gone_fires_at_its_start(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Sleeper/s", "60000");
    h->wall_ms += 60000;
    hub_crash(h);
    hub_settle(h);
    hub_expect(h, "/api/list/s", "[\"fired\"]");
}

#define TEST(name) HUB_TEST(name, #name, usual)
#define TEST_SHORT(name) HUB_TEST(name, #name, short_passes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_commit_that_fails_with_io_undoes_its_pass),
        TEST(a_commit_that_finds_the_disk_full_undoes_its_pass),
        TEST(an_orchestration_goes_on_from_the_last_commit),
        TEST(a_store_without_what_was_acknowledged_is_not_gone_on_with),
        TEST(a_timer_fires_again_after_its_pass_was_refused),
        TEST(what_was_deleted_is_back_when_the_pass_was_refused),
        TEST(a_store_that_cannot_be_opened_keeps_it_down_until_it_can),
        TEST(a_result_counts_once_when_its_commit_is_refused),
        TEST(an_activity_of_a_refused_pass_is_not_run),
        TEST(what_recovery_left_in_memory_goes_on),
        TEST(of_two_results_for_one_call_the_first_counts),
        TEST(a_result_that_comes_while_down_counts),
        TEST(a_result_is_too_late_for_an_instance_that_was_started_anew),
        TEST(a_full_disk_refuses_changes_and_finishes_what_is_owed),
        TEST(without_any_room_it_is_read_only_and_idle),
        TEST_SHORT(leftovers_wait_while_there_is_no_room_and_nobody_sees_them),
        TEST_SHORT(leftovers_survive_a_crash_and_are_done_once),
        TEST_SHORT(leftovers_survive_a_commit_that_is_refused),
        TEST_SHORT(results_that_are_left_over_count_once),
        TEST_SHORT(a_request_is_not_kept_waiting_by_timers),
        TEST(a_read_is_held_when_it_saw_what_the_pass_changed),
        TEST(a_read_is_held_when_it_saw_that_something_is_gone),
        TEST(a_refused_operation_leaves_no_trace),
        TEST(what_is_due_has_happened_before_anybody_looks),
        TEST(what_is_deleted_stays_deleted_in_its_pass),
        TEST(starting_an_id_that_runs_changes_nothing),
        TEST(an_id_that_is_over_can_be_started_again),
        TEST(who_holds_the_partition_for_more_than_50_ms_is_named),
        TEST(a_wall_clock_that_jumps_fires_nothing_early),
        TEST(a_wall_clock_that_is_set_back_fires_nothing_late),
        TEST(time_does_not_go_back_when_the_clock_does_over_a_restart),
        TEST(what_fell_due_while_the_process_was_gone_fires_at_its_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
