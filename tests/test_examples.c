/* The six examples under a virtual clock: days in a millisecond. */
#include "../apps/examples/examples.h"
#include "keepsake_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void expect(const ks_answer *a, int status, const char *body)
{
    assert_string_equal(a->body, body);
    assert_int_equal(a->status, status);
}

/* GET of a path and an id. */
static const ks_answer *get(ks_test *t, const char *path, const char *id)
{
    char target[256];
    snprintf(target, sizeof target, "/api/%s/%s", path, id);
    return ks_test_get(t, target);
}

static const ks_answer *post(ks_test *t, const char *target, const char *json)
{
    return ks_test_post(t, target, "application/json", json);
}

/* ---- chaining ---- */

static void an_order_goes_through_its_steps(void **state)
{
    (void)state;
    ks_test *t = ks_test_open(chaining);
    const ks_answer *a = post(t, "/api/Order", "{\"item\":\"tea\",\"amount\":12}");
    assert_int_equal(a->status, 202);
    assert_non_null(strstr(a->headers, "Location: /api/Order/"));
    expect(get(t, "Order", a->body), 200, "\"sent from the shelf of tea\"");
    ks_test_close(t);
}

static void an_order_that_cannot_be_paid_is_taken_back(void **state)
{
    (void)state;
    ks_test *t = ks_test_open(chaining);
    const ks_answer *a = post(t, "/api/Order", "{\"item\":\"car\",\"amount\":9000}");
    assert_int_equal(get(t, "Order", a->body)->status, 409);
    assert_non_null(strstr(ks_test_log(t), "released: shelf of car"));
    ks_test_close(t);
}

static void an_order_goes_on_after_a_crash(void **state)
{
    (void)state;
    ks_test *t = ks_test_open(chaining);
    ks_test_hold_activities(t, true);
    const ks_answer *a = post(t, "/api/Order", "{\"item\":\"tea\",\"amount\":12}");
    expect(get(t, "Order", a->body), 202, "in the making");
    ks_test_crash(t);
    expect(get(t, "Order", a->body), 202, "in the making");
    ks_test_hold_activities(t, false);
    expect(get(t, "Order", a->body), 200, "\"sent from the shelf of tea\"");
    expect(post(t, "/api/Order", "{}"), 400,
           "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\"detail\":\"Send "
           "{\\\"item\\\": text, \\\"amount\\\": number}.\"}");
    ks_test_close(t);
}

/* ---- fan-out, fan-in ---- */

static void words_are_counted_side_by_side(void **state)
{
    (void)state;
    ks_test *t = ks_test_open(fan_out_fan_in);
    const ks_answer *a = post(t, "/api/Count", "[\"to be or not to be\",\" that  is\\nit \",\"\"]");
    expect(get(t, "Count", a->body), 200, "{\"words\":9,\"texts\":3}");
    a = post(t, "/api/Count", "[]");
    expect(get(t, "Count", a->body), 200, "{\"words\":0,\"texts\":0}");
    ks_test_close(t);
}

static void what_cannot_be_counted_fails_the_count(void **state)
{
    (void)state;
    ks_test *t = ks_test_open(fan_out_fan_in);
    const ks_answer *a = post(t, "/api/Count", "[\"one\",2]");
    assert_int_equal(get(t, "Count", a->body)->status, 409);
    assert_int_equal(post(t, "/api/Count", "{}")->status, 400);
    assert_int_equal(get(t, "Count", "nobody")->status, 404);
    ks_test_close(t);
}

/* ---- async HTTP ---- */

static void a_report_says_how_far_it_is(void **state)
{
    char path[128];
    (void)state;
    ks_test *t = ks_test_open(async_http);
    ks_test_hold_activities(t, true);
    const ks_answer *a = post(t, "/api/Report?pages=2", "");
    assert_int_equal(a->status, 202);
    const char *location = strstr(a->headers, "Location: ");
    assert_int_equal(sscanf(location, "Location: %127[^\r]", path), 1);
    a = ks_test_get(t, path);
    expect(a, 202, "{\"page\":1,\"of\":2}");
    assert_non_null(strstr(a->headers, "Retry-After: 1\r\n"));
    ks_test_hold_activities(t, false);
    expect(ks_test_get(t, path), 200, "[\"page 1\",\"page 2\"]");
    ks_test_close(t);
}

static void a_report_that_fails_says_why(void **state)
{
    char path[128];
    (void)state;
    ks_test *t = ks_test_open(async_http);
    const ks_answer *a = post(t, "/api/Report?pages=20", "");
    assert_int_equal(sscanf(strstr(a->headers, "Location: "), "Location: %127[^\r]", path), 1);
    a = ks_test_get(t, path);
    assert_int_equal(a->status, 500);
    assert_non_null(strstr(a->body, "nobody writes page 13"));
    ks_test_close(t);
}

/* ---- monitor ---- */

static void a_monitor_sees_what_it_waits_for(void **state)
{
    char file[64], target[128];
    (void)state;
    ks_test *t = ks_test_open(monitor);
    snprintf(file, sizeof file, "/tmp/keepsake-monitor-%d", (int)getpid());
    snprintf(target, sizeof target, "/api/Watch/it?path=%s", file);
    unlink(file);
    assert_int_equal(post(t, target, "")->status, 202);
    ks_test_advance(t, KS_SECONDS(10 + 20 + 40));
    expect(get(t, "Watch", "it"), 202, "looked 4 times");
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fclose(f);
    ks_test_advance(t, KS_SECONDS(80));
    expect(get(t, "Watch", "it"), 200, "it is there");
    unlink(file);
    ks_test_close(t);
}

static void a_monitor_gives_up_after_a_day(void **state)
{
    (void)state;
    ks_test *t = ks_test_open(monitor);
    post(t, "/api/Watch/never?path=/nowhere/at/all", "");
    ks_test_advance(t, KS_HOURS(23));
    ks_test_crash(t);
    assert_int_equal(get(t, "Watch", "never")->status, 202);
    ks_test_advance(t, KS_HOURS(1));
    expect(get(t, "Watch", "never"), 200, "it was not there after 149 looks");
    ks_test_close(t);
}

/* ---- human interaction ---- */

static void decide(ks_test *t, const char *id, const char *yes, int status)
{
    char target[128];
    snprintf(target, sizeof target, "/api/Decide/%s?yes=%s", id, yes);
    assert_int_equal(post(t, target, "")->status, status);
}

static void a_request_is_granted_once(void **state)
{
    (void)state;
    ks_test *t = ks_test_open(human_interaction);
    const char *id = post(t, "/api/Request?what=a+chair", "")->body;
    expect(get(t, "Request", id), 202, "with the team lead");
    assert_non_null(strstr(ks_test_log(t), "mail to the team lead: a chair?"));
    decide(t, id, "true", 200);
    decide(t, id, "false", 409);
    expect(get(t, "Request", id), 200, "granted");
    ks_test_close(t);
}

static void a_request_is_escalated_and_then_refused(void **state)
{
    (void)state;
    ks_test *t = ks_test_open(human_interaction);
    const char *id = post(t, "/api/Request?what=a+chair", "")->body;
    const char *other = post(t, "/api/Request?what=a+table", "")->body;
    ks_test_advance(t, KS_DAYS(1) - 1);
    expect(get(t, "Request", id), 202, "with the team lead");
    ks_test_advance(t, 1);
    expect(get(t, "Request", id), 202, "with the manager");
    decide(t, other, "false", 200);
    ks_test_crash(t);
    ks_test_advance(t, KS_DAYS(1));
    expect(get(t, "Request", id), 200, "refused: nobody said anything");
    expect(get(t, "Request", other), 200, "refused");
    ks_test_close(t);
}

/* ---- aggregator ---- */

static void reports_are_summed_up(void **state)
{
    (void)state;
    ks_test *t = ks_test_open(aggregator);
    expect(post(t, "/api/Sensor/kitchen?celsius=21", ""), 200,
           "{\"count\":1,\"sum\":21,\"min\":21,\"max\":21}");
    post(t, "/api/Sensor/kitchen?celsius=-3", "");
    ks_test_crash(t);
    post(t, "/api/Sensor/oven?celsius=200", "");
    expect(get(t, "Sensor", "kitchen"), 200, "{\"count\":2,\"sum\":18,\"min\":-3,\"max\":21}");
    expect(ks_test_get(t, "/api/House"), 200, "{\"reports\":3,\"alarms\":1}");
    ks_test_close(t);
}

static void a_report_that_fails_counts_nowhere(void **state)
{
    (void)state;
    ks_test *t = ks_test_open(aggregator);
    assert_int_equal(post(t, "/api/Sensor/kitchen?celsius=-300", "")->status, 422);
    assert_int_equal(get(t, "Sensor", "kitchen")->status, 404);
    expect(ks_test_get(t, "/api/House"), 200, "null");
    ks_test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_goes_through_its_steps),
        cmocka_unit_test(an_order_that_cannot_be_paid_is_taken_back),
        cmocka_unit_test(an_order_goes_on_after_a_crash),
        cmocka_unit_test(words_are_counted_side_by_side),
        cmocka_unit_test(what_cannot_be_counted_fails_the_count),
        cmocka_unit_test(a_report_says_how_far_it_is),
        cmocka_unit_test(a_report_that_fails_says_why),
        cmocka_unit_test(a_monitor_sees_what_it_waits_for),
        cmocka_unit_test(a_monitor_gives_up_after_a_day),
        cmocka_unit_test(a_request_is_granted_once),
        cmocka_unit_test(a_request_is_escalated_and_then_refused),
        cmocka_unit_test(reports_are_summed_up),
        cmocka_unit_test(a_report_that_fails_counts_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
