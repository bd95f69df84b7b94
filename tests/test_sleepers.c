/* The partition with next to no memory: whoever is not needed right now is let go, and what waits
 * for a time sleeps without its instance. */
#include "hub.h"
#include "run/partition_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct partition_limits usual = {0};
static struct partition_limits tiny = {.sessions = 1, .memory_bytes = 1};

static void nothing_stays_in_memory_and_nothing_is_lost(void **state)
{
    struct hub *h = *state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(hub_ask(h, "POST", "null", "/api/start/Waiter/w%d", i)->status, 202);
    for (int go = 0; go < 3; go++)
        for (int i = 0; i < 5; i++) {
            hub_ask(h, "POST", "1", "/api/raise/w%d/Go", i);
            struct partition_stats stats = partition_stats(h->partition);
            assert_int_equal(stats.instances, 0);
            assert_int_equal(stats.sessions, 0);
            assert_int_equal(stats.bytes, 0);
        }
    for (int i = 0; i < 5; i++) {
        assert_string_equal(hub_ask(h, "GET", NULL, "/api/list/w%d", i)->body, "[1,1,1,\"done\"]");
        assert_string_equal(hub_ask(h, "GET", NULL, "/api/status/w%d", i)->body, "completed");
    }
    assert_true(partition_stats(h->partition).replays >= 15);
}

static void an_instance_with_work_on_a_thread_stays_in_memory(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Worker/w", "7");
    assert_int_equal(partition_stats(h->partition).instances, 1);
    hub_run_job(h, 0);
    hub_settle(h);
    assert_int_equal(partition_stats(h->partition).instances, 0);
    assert_int_equal(hub_jobs(h), 0);
    hub_expect(h, "/api/list/w", "[7]");
}

static void sleepers_fire_on_time(struct hub *h, bool crashes)
{
    static const int64_t after_ms[] = {1,     29999, 30000,  30001,   40000,     59999,
                                       60000, 60001, 300000, 7200000, 432000000, 86400000000};
    enum { N = sizeof after_ms / sizeof after_ms[0] };
    int64_t start_ms = partition_clock_ms(h->partition);
    for (size_t i = 0; i < N; i++) {
        const char *input = ks_format(&h->mem, "%lld", (long long)after_ms[i]);
        assert_int_equal(hub_ask(h, "POST", input, "/api/start/Sleeper/s%zu", i)->status, 202);
    }
    for (size_t i = 0; i < N; i++) {
        if (crashes)
            hub_crash(h);
        hub_advance(h, start_ms + after_ms[i] - 1 - partition_clock_ms(h->partition));
        assert_string_equal(hub_ask(h, "GET", NULL, "/api/status/s%zu", i)->body, "running");
        hub_advance(h, 1);
        assert_string_equal(hub_ask(h, "GET", NULL, "/api/list/s%zu", i)->body, "[\"fired\"]");
    }
    assert_true(h->passes < 1000);
}

static void sleepers_in_memory_fire_on_time(void **state)
{
    sleepers_fire_on_time(*state, false);
}

static void sleepers_that_were_let_go_fire_on_time(void **state)
{
    sleepers_fire_on_time(*state, false);
}

static void sleepers_of_another_process_fire_on_time(void **state)
{
    sleepers_fire_on_time(*state, true);
}

/* What was loaded because its activity has to run again is known to sleep, too. */
static void a_timer_beside_an_activity_fires_after_a_restart(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/WorkAndSleep/w", "40000");
    hub_crash(h);
    hub_settle(h);
    hub_run_job(h, 0);
    hub_settle(h);
    hub_expect(h, "/api/list/w", "[\"worked\"]");
    assert_int_equal(partition_stats(h->partition).instances, 0);
    hub_advance(h, 40000);
    hub_expect(h, "/api/list/w", "[\"worked\",\"fired\"]");
}

/* A timer for a time that has passed already, and for which one slept before. */
static void a_deadline_that_has_passed_is_due_at_once_every_time(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Deadline/d", "40000");
    hub_advance(h, 40000);
    hub_expect(h, "/api/list/d", "[\"due\"]");
    for (int i = 0; i < 2; i++) {
        hub_line(h, "POST", "null", "/api/raise/d/Next");
        hub_pass(h);
        hub_settle(h);
    }
    hub_expect(h, "/api/list/d", "[\"due\",\"due\",\"due\"]");
}

/* It slept, came back into memory and stayed until it was due; then a timer for the same time. */
static void a_deadline_is_due_again_for_one_that_is_let_go(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Deadline/d", "40000");
    h->partition->limits.memory_bytes = 1 << 20;
    hub_post(h, "/api/raise/d/Other", "null");
    hub_advance(h, 40000);
    hub_expect(h, "/api/list/d", "[\"due\"]");
    h->partition->limits.memory_bytes = 1;
    hub_post(h, "/api/raise/d/Next", "null");
    hub_settle(h);
    hub_expect(h, "/api/list/d", "[\"due\",\"due\"]");
}

/* More sleepers than may be known by heart, all within the next half minute. */
static void a_timer_is_not_forgotten_behind_a_million_others(void **state)
{
    struct hub *h = *state;
    enum { MANY = (1 << 20) + 10 };
    hub_post(h, "/api/start/Sleeper/s", "60500");
    for (uint64_t i = 0; i < MANY; i++)
        timers_sleep(&h->partition->timers, HUB_START_MS + 20000, 1000000 + i);
    hub_post(h, "/api/list/a/add", "1");
    h->boot_ms += 1000;
    hub_post(h, "/api/list/a/add", "2");
    hub_advance(h, 59499);
    hub_expect(h, "/api/list/s", "none"); /* not its status: that would bring it into memory */
    hub_advance(h, 1);
    hub_expect(h, "/api/list/s", "[\"fired\"]");
}

/* It sleeps once more each time it is let go, and all but one of them are stale. */
static void a_timer_fires_once_however_often_it_slept(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/start/Deadline/d", "40000");
    for (int i = 0; i < 1000; i++)
        hub_post(h, "/api/raise/d/Other", "1");
    assert_int_equal(partition_stats(h->partition).instances, 0);
    hub_advance(h, 40000);
    hub_expect(h, "/api/list/d", "[\"due\"]");
    hub_advance(h, 40000);
    hub_expect(h, "/api/list/d", "[\"due\"]");
}

static void what_is_not_saved_yet_stays_when_all_else_was_let_go(void **state)
{
    struct hub *h = *state;
    hub_post(h, "/api/list/a/add", "1");
    hub_post(h, "/api/list/b/add", "1");
    struct instance *b = table_find(&h->partition->table, STR("@list@b"));
    assert_non_null(b);
    table_dirty(&h->partition->table, b, 1);
    h->partition->limits.memory_bytes = 1;
    assert_true(hub_pass(h));
    assert_int_equal(partition_stats(h->partition).instances, 1);
    table_clean(&h->partition->table, b);
}

/* They are all due at the same time, so no look at a time of its own would bring fewer. */
static void many_timers_far_away_are_not_all_read(void **state)
{
    struct hub *h = *state;
    enum { MANY = 3000 };
    for (int i = 0; i < MANY; i++)
        assert_int_equal(hub_ask(h, "POST", "86400000", "/api/start/Sleeper/s%d", i)->status, 202);
    hub_crash(h);
    hub_expect(h, "/api/list/s0", "none");
    assert_true(h->partition->timers.sleeper_count <= 1000);
    hub_advance(h, 86400000);
    for (int i = 0; i < MANY; i++)
        assert_string_equal(hub_ask(h, "GET", NULL, "/api/list/s%d", i)->body, "[\"fired\"]");
}

/* Half of them before a crash, and half behind it. */
static void a_hundred_thousand_due_within_a_second_fire_once_and_none_early(void **state)
{
    struct hub *h = *state;
    enum { MANY = 100000 };
    int64_t from_ms = partition_clock_ms(h->partition) + 60000;
    const char *body = ks_format(&h->mem, "%lld", (long long)from_ms);
    assert_int_equal(hub_ask(h, "POST", body, "/api/nappers/%d", MANY)->status, 202);
    hub_advance(h, from_ms - 1 - partition_clock_ms(h->partition));
    hub_expect(h, "/api/state/naps", "null");
    hub_advance(h, 500);
    hub_expect(h, "/api/state/naps", "{\"fired\":50000}");
    hub_crash(h);
    hub_expect(h, "/api/state/naps", "{\"fired\":50000}");
    hub_advance(h, 500);
    hub_expect(h, "/api/state/naps", "{\"fired\":100000}");
    for (int i = 0; i < MANY; i++) {
        char id[16];
        snprintf(id, sizeof id, "n%d", i);
        assert_int_equal(partition_peek(h->partition, str_of(id))->status, KS_COMPLETED);
    }
    hub_crash(h);
    hub_advance(h, 60000);
    hub_expect(h, "/api/state/naps", "{\"fired\":100000}");
}

#define TEST(name) HUB_TEST(name, #name, usual)
#define TEST_TINY(name) HUB_TEST(name, #name, tiny)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_TINY(nothing_stays_in_memory_and_nothing_is_lost),
        TEST_TINY(an_instance_with_work_on_a_thread_stays_in_memory),
        TEST(sleepers_in_memory_fire_on_time),
        TEST_TINY(sleepers_that_were_let_go_fire_on_time),
        TEST_TINY(sleepers_of_another_process_fire_on_time),
        TEST_TINY(a_timer_beside_an_activity_fires_after_a_restart),
        TEST_TINY(a_deadline_that_has_passed_is_due_at_once_every_time),
        TEST_TINY(a_deadline_is_due_again_for_one_that_is_let_go),
        TEST_TINY(a_timer_is_not_forgotten_behind_a_million_others),
        TEST_TINY(a_timer_fires_once_however_often_it_slept),
        TEST_TINY(many_timers_far_away_are_not_all_read),
        TEST(a_hundred_thousand_due_within_a_second_fire_once_and_none_early),
        TEST_TINY(a_hundred_thousand_due_within_a_second_fire_once_and_none_early),
        TEST(what_is_not_saved_yet_stays_when_all_else_was_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
