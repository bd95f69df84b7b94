/* The gift registry under a virtual clock: five minutes in a millisecond. */
#include "../apps/registry/registry.h"
#include "keepsake_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = ks_test_open(registry_functions);
    return 0;
}

static int tear_down(void **state)
{
    ks_test_close(*state);
    return 0;
}

static const char *open_registry(ks_test *t)
{
    const ks_answer *a = ks_test_get(t, "/api/Open");
    assert_int_equal(a->status, 200);
    assert_int_equal(strlen(a->body), 32);
    assert_int_equal(strspn(a->body, "0123456789abcdef"), 32);
    return a->body;
}

static const ks_answer *call(ks_test *t, const char *function, const char *id, const char *query)
{
    char target[256];
    snprintf(target, sizeof target, "/api/%s/%s%s", function, id, query);
    return ks_test_get(t, target);
}

static void expect(const ks_answer *a, int status, const char *body)
{
    assert_string_equal(a->body, body);
    assert_int_equal(a->status, status);
}

static void expect_stats(ks_test *t, const char *body)
{
    expect(ks_test_get(t, "/api/Stats"), 200, body);
}

__attribute__((format(printf, 3, 4))) static void expect_peek(ks_test *t, const char *id,
                                                              const char *format, ...)
{
    char want[512], rest[400];
    va_list args;
    va_start(args, format);
    vsnprintf(rest, sizeof rest, format, args);
    va_end(args);
    snprintf(want, sizeof want, "%s", rest);
    expect(call(t, "Peek", id, ""), 200, want);
}

static void a_registry_takes_gifts_while_it_is_open(void **state)
{
    ks_test *t = *state;
    const char *id = open_registry(t);
    expect(call(t, "Add", id, "?item=Commodore+64"), 200, "");
    expect(call(t, "Add", id, "?item=Tea"), 200, "");
    expect_peek(t, id,
                "{\"status\":\"Open\",\"registry\":{\"id\":\"%s\",\"items\":[\"Commodore "
                "64\",\"Tea\"]},\"closesAt\":\"2026-12-24T18:05:00.000Z\"}",
                id);
}

static void a_registry_closes_by_itself_after_five_minutes(void **state)
{
    ks_test *t = *state;
    const char *id = open_registry(t);
    ks_test_advance(t, KS_MINUTES(5) - 1);
    expect(call(t, "Add", id, "?item=Late"), 200, "");
    ks_test_advance(t, 1);
    char refusal[128];
    snprintf(refusal, sizeof refusal, "Instance %s is not active.", id);
    expect(call(t, "Add", id, "?item=Too+late"), 400, refusal);
    expect_peek(
        t, id,
        "{\"status\":\"Closed\",\"registry\":{\"id\":\"%s\",\"items\":[\"Late\"]},"
        "\"closesAt\":\"2026-12-24T18:05:00.000Z\",\"closedAt\":\"2026-12-24T18:05:00.000Z\","
        "\"closedBy\":\"timeout\",\"processing\":\"none\"}",
        id);
}

static void finish_closes_once_and_for_good(void **state)
{
    ks_test *t = *state;
    const char *id = open_registry(t);
    ks_test_advance(t, 1000);
    expect(call(t, "Finish", id, ""), 200, "");
    char refusal[128];
    snprintf(refusal, sizeof refusal, "Instance %s is not active.", id);
    expect(call(t, "Finish", id, ""), 400, refusal);
    ks_test_advance(t, KS_HOURS(1));
    expect_peek(
        t, id,
        "{\"status\":\"Closed\",\"registry\":{\"id\":\"%s\",\"items\":[]},"
        "\"closesAt\":\"2026-12-24T18:05:00.000Z\",\"closedAt\":\"2026-12-24T18:00:01.000Z\","
        "\"closedBy\":\"user\",\"processing\":\"none\"}",
        id);
    expect_stats(t, "{\"registryCount\":1,\"itemsCount\":0,\"openCount\":0,\"closedCount\":1}");
}

static void the_outcome_is_the_same_after_eviction_and_crash(void **state)
{
    ks_test *t = *state;
    const char *by_user = open_registry(t);
    const char *by_time = open_registry(t);
    call(t, "Add", by_user, "?item=A");
    ks_test_evict(t);
    call(t, "Add", by_time, "?item=B");
    ks_test_crash(t);
    expect(call(t, "Finish", by_user, ""), 200, "");
    ks_test_crash(t);
    ks_test_advance(t, KS_MINUTES(5));
    assert_non_null(strstr(call(t, "Peek", by_user, "")->body, "\"closedBy\":\"user\""));
    assert_non_null(strstr(call(t, "Peek", by_time, "")->body, "\"closedBy\":\"timeout\""));
    expect_stats(t, "{\"registryCount\":2,\"itemsCount\":2,\"openCount\":0,\"closedCount\":2}");
}

static void a_key_makes_a_repeat_answer_as_the_first_did(void **state)
{
    ks_test *t = *state;
    const char *key = "Idempotency-Key: open-1\r\n";
    const ks_answer *first = ks_test_request(t, "POST", "/api/Open", key, "", 0);
    assert_int_equal(first->status, 201);
    ks_test_advance(t, KS_HOURS(23));
    ks_test_crash(t);
    const ks_answer *second = ks_test_request(t, "POST", "/api/Open", key, "", 0);
    assert_int_equal(second->status, 201);
    assert_string_equal(first->body, second->body);
    assert_string_equal(first->headers, second->headers);
    assert_int_equal(ks_test_request(t, "GET", "/api/Open", key, "", 0)->status, 422);
    ks_test_advance(t, KS_HOURS(1));
    const ks_answer *third = ks_test_request(t, "POST", "/api/Open", key, "", 0);
    assert_string_not_equal(first->body, third->body);
}

static void stats_are_zero_before_the_first_registry(void **state)
{
    expect_stats(*state,
                 "{\"registryCount\":0,\"itemsCount\":0,\"openCount\":0,\"closedCount\":0}");
}

static void head_changes_nothing(void **state)
{
    ks_test *t = *state;
    assert_int_equal(ks_test_request(t, "HEAD", "/api/Open", NULL, "", 0)->status, 200);
    expect_stats(t, "{\"registryCount\":0,\"itemsCount\":0,\"openCount\":0,\"closedCount\":0}");
}

static void a_setting_says_how_long_it_stays_open(void **state)
{
    ks_test *t = *state;
    ks_test_set(t, "REGISTRY_OPEN_FOR", "2s");
    const char *id = open_registry(t);
    ks_test_advance(t, 1999);
    assert_non_null(strstr(call(t, "Peek", id, "")->body, "\"Open\""));
    ks_test_advance(t, 1);
    assert_non_null(strstr(call(t, "Peek", id, "")->body, "\"Closed\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_registry_takes_gifts_while_it_is_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_registry_closes_by_itself_after_five_minutes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(finish_closes_once_and_for_good, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_outcome_is_the_same_after_eviction_and_crash, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_key_makes_a_repeat_answer_as_the_first_did, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(stats_are_zero_before_the_first_registry, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(head_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_setting_says_how_long_it_stays_open, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
