/* What stays and what goes: entities that expire, sessions and bytes that are counted, activities
 * that are (not) run again; through the partition, with all memory and with next to none. */
#include "hub.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void a_list_is_there_until_its_time_and_then_gone(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_post(h, "/api/list/a/expire", "60000");
    hub_advance(h, 59999);
    hub_expect(h, "/api/list/a", "[1]");
    hub_advance(h, 1);
    hub_expect(h, "/api/list/a", "none");
    hub_crash(h);
    hub_expect(h, "/api/list/a", "none");
    hub_post(h, "/api/list/a/add", "2");
    hub_advance(h, 120000);
    hub_expect(h, "/api/list/a", "[2]");
}

static void a_new_time_counts_and_the_old_one_does_not(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_post(h, "/api/list/a/expire", "60000");
    hub_post(h, "/api/list/b/add", "1");
    hub_post(h, "/api/list/b/expire", "60000");
    hub_advance(h, 30000);
    hub_post(h, "/api/list/a/expire", "60000");
    hub_post(h, "/api/list/b/expire", "10000");
    hub_crash(h);
    hub_advance(h, 10000);
    hub_expect(h, "/api/list/b", "none");
    hub_advance(h, 49999);
    hub_expect(h, "/api/list/a", "[1]");
    hub_advance(h, 1);
    hub_expect(h, "/api/list/a", "none");
}

/* It sleeps for the old time and for the new one. */
static void a_sleeper_for_an_old_time_deletes_nothing(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_post(h, "/api/list/a/expire", "60000");
    hub_advance(h, 30000);
    hub_post(h, "/api/list/a/expire", "60000");
    hub_advance(h, 59999);
    hub_expect(h, "/api/list/a", "[1]");
    hub_advance(h, 1);
    hub_expect(h, "/api/list/a", "none");
}

static void what_was_deleted_before_its_time_is_not_deleted_again(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_post(h, "/api/list/a/expire", "60000");
    hub_post(h, "/api/list/a/delete", "null");
    hub_post(h, "/api/list/a/add", "2");
    hub_advance(h, 120000);
    hub_expect(h, "/api/list/a", "[2]");
}

/* Its time has come within the pass that looks at it. */
static void what_is_due_is_gone_before_anybody_looks(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_line(h, "POST", "0", "/api/list/a/expire");
    const struct hub_answer *gone = hub_line(h, "GET", NULL, "/api/list/a");
    const struct hub_answer *count = hub_line(h, "POST", NULL, "/api/list/a");
    assert_true(hub_pass(h));
    assert_string_equal(gone->body, "none");
    assert_true(gone->is_held);
    assert_string_equal(count->body, "0");
    hub_crash(h);
    hub_expect(h, "/api/list/a", "[0]");
}

static void an_expiry_whose_commit_was_refused_comes_again(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_post(h, "/api/list/a/expire", "60000");
    hub_advance(h, 59999);
    h->boot_ms++;
    h->commit_error = KS_E_IO;
    assert_false(hub_pass(h));
    h->commit_error = 0;
    hub_settle(h);
    hub_expect(h, "/api/list/a", "none");
}

static void a_state_that_is_overwritten_does_not_grow(void **state)
{
    struct hub *h = *state;
    char text[1003];
    memset(text, 'x', sizeof text);
    text[0] = '"';
    text[1001] = '"';
    text[1002] = 0;
    for (int i = 0; i < 2000; i++)
        hub_post(h, "/api/list/a/put", text);
    assert_true(partition_stats(h->partition).bytes < 20000);
}

static void what_is_deleted_takes_no_memory(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_post(h, "/api/list/a/delete", "null");
    assert_int_equal(partition_stats(h->partition).bytes, 0);
    assert_int_equal(partition_stats(h->partition).instances, 0);
}

static void an_operation_that_changes_nothing_commits_nothing(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    size_t commits = h->commits;
    hub_post(h, "/api/list/a/look", "1");
    hub_post(h, "/api/list/a/refuse", "1");
    assert_int_equal(h->commits, commits);
    hub_post(h, "/api/list/a/add", "2");
    assert_int_equal(h->commits, commits + 1);
}

static void as_many_sessions_stay_as_are_allowed(void **state)
{
    struct hub *h = *state;
    for (int i = 0; i < 5; i++)
        hub_ask(h, "POST", "null", "/api/start/Waiter/w%d", i);
    assert_int_equal(partition_stats(h->partition).sessions, 2);
    assert_int_equal(partition_stats(h->partition).instances, 5);
    for (int go = 0; go < 3; go++) /* the newest stays without a replay */
        hub_post(h, "/api/raise/w4/Go", "1");
    assert_int_equal(partition_stats(h->partition).replays, 0);
    hub_expect(h, "/api/status/w4", "completed");
    assert_int_equal(partition_stats(h->partition).sessions, 1);
    hub_post(h, "/api/raise/w0/Go", "1");
    assert_int_equal(partition_stats(h->partition).replays, 1);
}

static void only_what_has_not_come_back_is_run_again(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/FanOut/f", "null");
    assert_int_equal(hub_jobs(h), 5);
    hub_run_job(h, 1);
    hub_run_job(h, 2);
    hub_settle(h);
    hub_crash(h);
    hub_settle(h);
    assert_int_equal(hub_jobs(h), 3);
    while (hub_jobs(h)) {
        hub_run_job(h, hub_jobs(h) - 1);
        hub_settle(h);
    }
    hub_expect(h, "/api/list/f", "[\"worked\"]");
    hub_expect(h, "/api/list/work", "[\"f:1:1\",\"f:1:3\",\"f:1:4\",\"f:1:2\",\"f:1:0\"]");
}

static void what_an_orchestration_does_not_wait_for_is_not_run(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Careless/c", "1");
    hub_settle(h);
    hub_expect(h, "/api/status/c", "completed");
    assert_int_equal(hub_jobs(h), 0);
}

static void of_two_timers_that_are_due_the_earlier_fires_first(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/TwoTimers/t", "null");
    h->boot_ms += 5000;
    hub_settle(h);
    hub_expect(h, "/api/list/t", "[\"early\"]");
}

static struct partition_limits usual = {0};
static struct partition_limits few = {.sessions = 2};
static struct partition_limits tiny = {.sessions = 1, .memory_bytes = 1};

#define TEST(name) HUB_TEST(name, #name, usual)
#define TEST_FEW(name) HUB_TEST(name, #name, few)
#define TEST_TINY(name) HUB_TEST(name, #name "_without_memory", tiny)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_is_there_until_its_time_and_then_gone),
        TEST_TINY(a_list_is_there_until_its_time_and_then_gone),
        TEST(a_new_time_counts_and_the_old_one_does_not),
        TEST_TINY(a_new_time_counts_and_the_old_one_does_not),
        TEST_TINY(a_sleeper_for_an_old_time_deletes_nothing),
        TEST(what_was_deleted_before_its_time_is_not_deleted_again),
        TEST_TINY(what_was_deleted_before_its_time_is_not_deleted_again),
        TEST(what_is_due_is_gone_before_anybody_looks),
        TEST_TINY(what_is_due_is_gone_before_anybody_looks),
        TEST(an_expiry_whose_commit_was_refused_comes_again),
        TEST_TINY(an_expiry_whose_commit_was_refused_comes_again),
        TEST(a_state_that_is_overwritten_does_not_grow),
        TEST(what_is_deleted_takes_no_memory),
        TEST(an_operation_that_changes_nothing_commits_nothing),
        TEST_FEW(as_many_sessions_stay_as_are_allowed),
        TEST(only_what_has_not_come_back_is_run_again),
        TEST_TINY(only_what_has_not_come_back_is_run_again),
        TEST(what_an_orchestration_does_not_wait_for_is_not_run),
        TEST(of_two_timers_that_are_due_the_earlier_fires_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
