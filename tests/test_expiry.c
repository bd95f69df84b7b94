/* Entities that go by themselves, and the memory of those that stay: through the partition, with
 * all memory and with next to none. */
#include "hub.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int set_up(void **state)
{
    static struct hub h;
    const struct partition_limits *limits = *state;
    hub_open(&h, *limits);
    *state = &h;
    return 0;
}

static int tear_down(void **state)
{
    hub_close(*state);
    return 0;
}

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

#define TEST(name) \
    { \
#name, name, set_up, tear_down, &usual \
    }
#define TEST_TINY(name) \
    { \
#name "_without_memory", name, set_up, tear_down, &tiny \
    }

int main(void)
{
    static struct partition_limits usual = {0};
    static struct partition_limits tiny = {.sessions = 1, .memory_bytes = 1};
    const struct CMUnitTest tests[] = {
        TEST(a_list_is_there_until_its_time_and_then_gone),
        TEST_TINY(a_list_is_there_until_its_time_and_then_gone),
        TEST(a_new_time_counts_and_the_old_one_does_not),
        TEST_TINY(a_new_time_counts_and_the_old_one_does_not),
        TEST(what_was_deleted_before_its_time_is_not_deleted_again),
        TEST_TINY(what_was_deleted_before_its_time_is_not_deleted_again),
        TEST(what_is_due_is_gone_before_anybody_looks),
        TEST_TINY(what_is_due_is_gone_before_anybody_looks),
        TEST(an_expiry_whose_commit_was_refused_comes_again),
        TEST_TINY(an_expiry_whose_commit_was_refused_comes_again),
        TEST(a_state_that_is_overwritten_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
