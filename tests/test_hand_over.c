/* What has closed is handed to the processor: under a virtual clock, with a processor that does
 * what the test says. */
#include "../apps/registry/registry.h"
#include "keepsake_test.h"
#include "signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECRET "whsec-5f0e"
#define TIMES "\"closesAt\":\"2026-12-24T18:05:00.000Z\",\"closedAt\":\"2026-12-24T18:00:00.000Z\""

enum { SENT_MAX = 400, FUNCTIONS_MAX = 40 };

struct sent {
    int64_t at_ms;
    char body[400];
    char key[64];
    char signature[128];
};

struct world {
    ks_test *t;
    ks_function functions[FUNCTIONS_MAX]; /* the registry's, and one that shows histories */
    const char *answer;                   /* JSON, or the name of an error */
    size_t count;
    struct sent sent[SENT_MAX];
    char method[16], url[64], type[64];
};

/* ---- the processor ---- */

static void keep(char *ret, size_t size, const ks_val *val)
{
    snprintf(ret, size, "%s", val ? ks_text(val) : "none");
}

static const ks_val *on_http(void *ctx, ks_arena *mem, const ks_http_request *request)
{
    struct world *w = ctx;
    assert_true(w->count < SENT_MAX);
    struct sent *sent = &w->sent[w->count++];
    sent->at_ms = ks_test_now_ms(w->t);
    keep(sent->body, sizeof sent->body, request->body);
    keep(sent->key, sizeof sent->key, ks_get(request->headers, "Idempotency-Key"));
    keep(sent->signature, sizeof sent->signature, ks_get(request->headers, "X-Keepsake-Signature"));
    keep(w->type, sizeof w->type, ks_get(request->headers, "Content-Type"));
    snprintf(w->method, sizeof w->method, "%s", request->method);
    snprintf(w->url, sizeof w->url, "%s", request->url);
    return w->answer[0] == '{' ? ks_parse_json(mem, w->answer, strlen(w->answer))
                               : ks_fail(mem, w->answer, "as the test wants it");
}

/* ---- the registry ---- */

static int http_history(ks_http *h)
{
    return ks_reply_json(h, 200, ks_history(h, ks_route(h, "id")));
}

static int set_up(void **state)
{
    static const ks_function history = KS_HTTP("History", "GET", "History/{id}", 0, http_history);
    struct world *w = calloc(1, sizeof *w);
    size_t n = 0;
    for (; registry_functions[n].kind != KS_FN_END; n++)
        w->functions[n] = registry_functions[n];
    assert_true(n + 2 <= FUNCTIONS_MAX);
    w->functions[n] = history;
    w->answer = "{\"status\":200}";
    w->t = ks_test_open(w->functions);
    ks_test_on_http(w->t, on_http, w);
    *state = w;
    return 0;
}

static int set_up_processor(void **state)
{
    set_up(state);
    struct world *w = *state;
    ks_test_set(w->t, "REGISTRY_PROCESSOR_URL", "https://processor.test/in");
    ks_test_set(w->t, "REGISTRY_PROCESSOR_SECRET", SECRET);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    ks_test_close(w->t);
    free(w);
    return 0;
}

static const char *get(struct world *w, const char *function, const char *id)
{
    char target[128];
    snprintf(target, sizeof target, "/api/%s/%s", function, id);
    return ks_test_get(w->t, target)->body;
}

/* One registry with one gift. */
static const char *open_registry(struct world *w)
{
    char target[128];
    const char *id = ks_test_get(w->t, "/api/Open")->body;
    snprintf(target, sizeof target, "/api/Add/%s?item=Commodore+64", id);
    assert_int_equal(ks_test_get(w->t, target)->status, 200);
    return id;
}

static const char *finish_one(struct world *w)
{
    const char *id = open_registry(w);
    assert_string_equal(get(w, "Finish", id), "");
    return id;
}

static void expect_processing(struct world *w, const char *id, const char *processing)
{
    char end[64];
    snprintf(end, sizeof end, ",\"processing\":\"%s\"}", processing);
    const char *body = get(w, "Peek", id);
    size_t len = strlen(body), end_len = strlen(end);
    if (len < end_len || strcmp(body + len - end_len, end) != 0)
        fail_msg("%s does not end with %s", body, end);
    assert_non_null(strstr(body, "{\"status\":\"Closed\",\"registry\":{\"id\":"));
}

static void expect_stats(struct world *w, const char *body)
{
    assert_string_equal(ks_test_get(w->t, "/api/Stats")->body, body);
}

static int64_t signed_at(const struct sent *sent)
{
    return signature_check(sent->signature, SECRET, sent->body, strlen(sent->body));
}

/* ---- claims ---- */

static void the_check_of_signatures_is_right(void **state)
{
    (void)state; /* made with another program's HMAC */
    assert_int_equal(
        signature_check("t=1798135200,v1="
                        "5fa1c2f839d4f15cdd829e5fd823f9f58d5e44a1af7a48acafe5322671ad57c9",
                        "whsec", "{\"id\":\"a\"}", 10),
        1798135200);
}

static void without_a_processor_nothing_is_sent(void **state)
{
    struct world *w = *state;
    const char *id = open_registry(w);
    assert_null(strstr(get(w, "Peek", id), "processing"));
    get(w, "Finish", id);
    expect_processing(w, id, "none");
    ks_test_advance(w->t, KS_DAYS(1));
    expect_processing(w, id, "none");
    assert_int_equal(w->count, 0);
}

static void the_processor_gets_the_registry(void **state)
{
    struct world *w = *state;
    char body[400];
    const char *id = open_registry(w);
    assert_null(strstr(get(w, "Peek", id), "processing"));
    get(w, "Finish", id);
    expect_processing(w, id, "sent");
    assert_int_equal(w->count, 1);
    snprintf(body, sizeof body,
             "{\"id\":\"%s\",\"items\":[\"Commodore 64\"]," TIMES ",\"closedBy\":\"user\"}", id);
    assert_string_equal(w->sent[0].body, body);
    assert_string_equal(w->sent[0].key, id);
    assert_string_equal(w->method, "POST");
    assert_string_equal(w->url, "https://processor.test/in");
    assert_string_equal(w->type, "application/json");
    assert_int_equal(signed_at(&w->sent[0]), w->sent[0].at_ms / 1000);
}

static void one_that_closed_by_itself_is_sent_too(void **state)
{
    struct world *w = *state;
    const char *id = open_registry(w);
    ks_test_advance(w->t, KS_MINUTES(5));
    expect_processing(w, id, "sent");
    assert_non_null(strstr(w->sent[0].body, "\"closedBy\":\"timeout\""));
    assert_int_equal(w->sent[0].at_ms, ks_test_now_ms(w->t));
}

/* Down, slow, busy, broken, moved, not deployed, nonsense. */
static void whatever_it_answers_it_is_tried_again_until_it_takes_it(void **state)
{
    static const char *const answers[] = {"Unreachable",
                                          "Timeout",
                                          "{\"status\":429}",
                                          "{\"status\":500}",
                                          "{\"status\":307,\"headers\":{\"Location\":\"/x\"}}",
                                          "{\"status\":404}",
                                          "BadAnswer"};
    struct world *w = *state;
    w->answer = answers[0];
    const char *id = finish_one(w);
    for (size_t i = 1; i <= sizeof answers / sizeof answers[0]; i++) {
        expect_processing(w, id, "pending");
        expect_stats(w, "{\"registryCount\":1,\"itemsCount\":1,\"openCount\":0,\"closedCount\":1}");
        assert_int_equal(w->count, i);
        w->answer = i < sizeof answers / sizeof answers[0] ? answers[i] : "{\"status\":202}";
        while (w->count == i)
            ks_test_advance(w->t, 100);
    }
    expect_processing(w, id, "sent");
    for (size_t i = 1; i < w->count; i++) {
        int64_t pause_ms = w->sent[i].at_ms - w->sent[i - 1].at_ms, most_ms = 1000 << (i - 1);
        assert_in_range(pause_ms, most_ms / 2, most_ms + 1);
        assert_string_equal(w->sent[i].key, id);
        assert_string_equal(w->sent[i].body, w->sent[0].body);
        assert_int_equal(signed_at(&w->sent[i]), w->sent[i].at_ms / 1000);
    }
}

static void a_day_of_failures_is_the_end(void **state)
{
    struct world *w = *state;
    w->answer = "Unreachable";
    const char *id = finish_one(w);
    ks_test_advance(w->t, KS_HOURS(23));
    expect_processing(w, id, "pending");
    ks_test_advance(w->t, KS_HOURS(1));
    expect_processing(w, id, "failed");
    assert_in_range(w->count, 96, 250);
    for (size_t i = 1; i < w->count; i++)
        assert_true(w->sent[i].at_ms - w->sent[i - 1].at_ms <= KS_MINUTES(15));
    assert_true(w->sent[w->count - 1].at_ms - w->sent[0].at_ms <= KS_DAYS(1));
    assert_non_null(strstr(ks_test_log(w->t), "was not taken by its processor: Unreachable"));
    size_t count = w->count;
    ks_test_advance(w->t, KS_DAYS(2));
    assert_int_equal(w->count, count);
    expect_stats(w, "{\"registryCount\":1,\"itemsCount\":1,\"openCount\":0,\"closedCount\":1}");
}

/* Up to its longest pause, a quarter of an hour. */
static void a_processor_that_says_when_is_asked_then(void **state)
{
    struct world *w = *state;
    w->answer = "{\"status\":429,\"headers\":{\"Retry-After\":\"600\"}}";
    const char *id = finish_one(w);
    w->answer = "{\"status\":503,\"headers\":{\"Retry-After\":\"7200\"}}";
    ks_test_advance(w->t, KS_SECONDS(600) - 1);
    assert_int_equal(w->count, 1);
    ks_test_advance(w->t, 1);
    assert_int_equal(w->count, 2);
    w->answer = "{\"status\":200}";
    ks_test_advance(w->t, KS_MINUTES(15) - 1);
    assert_int_equal(w->count, 2);
    ks_test_advance(w->t, 1);
    expect_processing(w, id, "sent");
    assert_int_equal(w->count, 3);
}

static void a_slow_processor_holds_up_nobody(void **state)
{
    struct world *w = *state;
    ks_test_hold_activities(w->t, true);
    const char *first = finish_one(w), *second = finish_one(w);
    expect_processing(w, first, "pending");
    expect_processing(w, second, "pending");
    assert_non_null(strstr(get(w, "Finish", first), "is not active."));
    expect_stats(w, "{\"registryCount\":2,\"itemsCount\":2,\"openCount\":0,\"closedCount\":2}");
    ks_test_hold_activities(w->t, false);
    ks_test_run(w->t);
    expect_processing(w, first, "sent");
    expect_processing(w, second, "sent");
    assert_int_equal(w->count, 2);
}

/* The process dies between attempts, and while one is on its way. */
static void a_crash_loses_nothing(void **state)
{
    struct world *w = *state;
    w->answer = "Unreachable";
    const char *id = finish_one(w);
    ks_test_crash(w->t);
    expect_processing(w, id, "pending");
    assert_int_equal(w->count, 1);
    ks_test_hold_activities(w->t, true);
    ks_test_advance(w->t, 1000);
    ks_test_crash(w->t);
    ks_test_hold_activities(w->t, false);
    w->answer = "{\"status\":200}";
    ks_test_evict(w->t);
    expect_processing(w, id, "sent");
    assert_int_equal(w->count, 2);
    assert_string_equal(w->sent[1].key, id);
    ks_test_crash(w->t);
    ks_test_advance(w->t, KS_DAYS(2));
    expect_processing(w, id, "sent");
    assert_int_equal(w->count, 2);
    expect_stats(w, "{\"registryCount\":1,\"itemsCount\":1,\"openCount\":0,\"closedCount\":1}");
}

static void the_secret_is_nowhere(void **state)
{
    struct world *w = *state;
    w->answer = "{\"status\":500}";
    const char *id = finish_one(w);
    ks_test_advance(w->t, KS_HOURS(1));
    assert_true(w->count > 5);
    w->answer = "{\"status\":200}";
    ks_test_advance(w->t, KS_HOURS(1));
    expect_processing(w, id, "sent");
    const char *history = get(w, "History", id);
    assert_non_null(strstr(history, "SendToProcessor"));
    assert_non_null(strstr(history, "Http500"));
    assert_null(strstr(history, SECRET));
    assert_null(strstr(history, "v1="));
    assert_null(strstr(ks_test_log(w->t), SECRET));
}

static void without_a_secret_there_is_no_signature(void **state)
{
    struct world *w = *state;
    ks_test_set(w->t, "REGISTRY_PROCESSOR_URL", "http://processor.test/");
    expect_processing(w, finish_one(w), "sent");
    assert_string_equal(w->sent[0].signature, "none");
}

/* Adds items of a size until one is refused; how many were not. */
static size_t fill(struct world *w, const char *id, size_t size)
{
    char target[64], *item = calloc(1, size + 1);
    size_t n = 0;
    memset(item, 'x', size);
    snprintf(target, sizeof target, "/api/Add/%s", id);
    const ks_answer *a = ks_test_post(w->t, target, "text/plain", item);
    for (; a->status == 200; n++)
        a = ks_test_post(w->t, target, "text/plain", item);
    free(item);
    assert_int_equal(a->status, 413);
    assert_non_null(strstr(a->body, "is full: its items may take 1000000 bytes"));
    return n;
}

static void one_that_is_full_is_refused_more_and_sent(void **state)
{
    struct world *w = *state;
    char target[64], sum[64];
    const char *id = open_registry(w);
    size_t large = fill(w, id, ITEM_BYTES_MAX), small = fill(w, id, 1);
    assert_int_equal(large, (LIST_BYTES_MAX - 20) / (ITEM_BYTES_MAX + 8));
    assert_in_range(small, 1, (ITEM_BYTES_MAX + 8) / 9);
    snprintf(target, sizeof target, "/api/Add/%s?item=x", id);
    assert_int_equal(ks_test_get(w->t, target)->status, 400);
    snprintf(sum, sizeof sum, "\"itemsCount\":%zu,", 1 + large + small);
    assert_non_null(strstr(ks_test_get(w->t, "/api/Stats")->body, sum));
    get(w, "Finish", id);
    expect_processing(w, id, "sent");
}

static void without_a_processor_none_is_full(void **state)
{
    struct world *w = *state;
    static char item[ITEM_BYTES_MAX + 1];
    char target[64];
    const char *id = open_registry(w);
    memset(item, 'x', ITEM_BYTES_MAX);
    snprintf(target, sizeof target, "/api/Add/%s", id);
    for (int i = 0; i < 2 * LIST_COUNTED_FROM; i++)
        assert_int_equal(ks_test_post(w->t, target, "text/plain", item)->status, 200);
}

/* However short its items are: what is counted for each is more than it takes. (ASan takes its time
 * for a hundred thousand.) */
static void one_that_is_full_of_little_is_sent(void **state)
{
#ifdef KS_ASAN
    enum { LITTLE = 64 };
#else
    enum { LITTLE = 1 };
#endif
    struct world *w = *state;
    const char *id = open_registry(w);
    assert_int_equal(fill(w, id, LITTLE), (LIST_BYTES_MAX - 20) / (LITTLE + 8));
    get(w, "Finish", id);
    expect_processing(w, id, "sent");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up_processor, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_of_signatures_is_right),
        cmocka_unit_test_setup_teardown(without_a_processor_nothing_is_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_secret_there_is_no_signature, set_up, tear_down),
        TEST(the_processor_gets_the_registry),
        TEST(one_that_closed_by_itself_is_sent_too),
        TEST(whatever_it_answers_it_is_tried_again_until_it_takes_it),
        TEST(a_day_of_failures_is_the_end),
        TEST(a_processor_that_says_when_is_asked_then),
        TEST(a_slow_processor_holds_up_nobody),
        TEST(a_crash_loses_nothing),
        TEST(the_secret_is_nowhere),
        cmocka_unit_test_setup_teardown(without_a_processor_none_is_full, set_up, tear_down),
        TEST(one_that_is_full_is_refused_more_and_sent),
        TEST(one_that_is_full_of_little_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
