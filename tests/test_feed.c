/* test_feed.c - what a listener is told when a commit fails, and when the store was away
 *
 * The app's own feed says how many items a list has. A failed commit may or may not be found on the
 * disk when the store is opened again; nobody is told before it is known, and then as it is there.
 */
#include "hub.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define TOLD(n) "id: " n "\nevent: length\ndata: " n "\n\n"

static void expect_told(const struct hub_answer *stream, const char *text)
{
    assert_int_equal(stream->status, 200);
    assert_string_equal(stream->body, text);
}

/* One who listens to List/a, and has been told of its one item. */
static struct hub_answer *listen_to_one(struct hub *h)
{
    hub_open(h, (struct partition_limits){0});
    hub_post(h, "/api/list/a/add", "1");
    struct hub_answer *stream = hub_line(h, "GET", NULL, "/api/follow/a");
    hub_settle(h);
    expect_told(stream, TOLD("1"));
    return stream;
}

static void fail_to_add(struct hub *h, bool is_kept)
{
    h->commit_error = KS_E_FULL;
    h->keeps_refused = is_kept;
    assert_int_equal(hub_ask(h, "POST", "2", "/api/list/a/add")->status, 202);
    h->commit_error = 0;
}

static void a_change_that_was_not_committed_is_told_to_nobody(void **state)
{
    struct hub h;
    (void)state;
    struct hub_answer *stream = listen_to_one(&h);
    fail_to_add(&h, false);
    hub_advance(&h, 1000);
    expect_told(stream, TOLD("1"));
    hub_post(&h, "/api/list/a/add", "3");
    hub_advance(&h, 1000);
    expect_told(stream, TOLD("1") TOLD("2"));
    hub_close(&h);
}

static void a_change_that_is_found_on_the_disk_after_all_is_told_without_another(void **state)
{
    struct hub h;
    (void)state;
    struct hub_answer *stream = listen_to_one(&h);
    fail_to_add(&h, true);
    hub_advance(&h, 1000);
    expect_told(stream, TOLD("1") TOLD("2"));
    hub_close(&h);
}

static void nothing_is_told_while_the_store_is_away(void **state)
{
    struct hub h;
    (void)state;
    struct hub_answer *stream = listen_to_one(&h);
    h.open_error = KS_E_IO;
    fail_to_add(&h, true);
    for (int i = 0; i < 5; i++) {
        h.boot_ms += 1000;
        h.wall_ms += 1000;
        hub_pass(&h);
        expect_told(stream, TOLD("1"));
    }
    h.open_error = 0;
    hub_advance(&h, 2000);
    expect_told(stream, TOLD("1") TOLD("2"));
    hub_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_that_was_not_committed_is_told_to_nobody),
        cmocka_unit_test(a_change_that_is_found_on_the_disk_after_all_is_told_without_another),
        cmocka_unit_test(nothing_is_told_while_the_store_is_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
