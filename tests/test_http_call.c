/* The durable HTTP call under a virtual clock: whom the app asks is a script of this program. Each
 * test runs twice, the second time with every coroutine dropped at each step, so that all of it is
 * also a replay. */
#include "keepsake_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the app ---- */

static const char *text(const ks_val *val, const char *name)
{
    return ks_get(val, name) ? ks_text(ks_get(val, name)) : NULL;
}

static ks_http_request request_of(const ks_val *input)
{
    return (ks_http_request){.method = text(input, "method"),
                             .url = text(input, "url"),
                             .headers = ks_get(input, "headers"),
                             .body = ks_get(input, "body"),
                             .total_ms = ks_int(ks_get(input, "total")),
                             .no_polling = ks_is_true(ks_get(input, "noPolling"))};
}

static const ks_val *fetch(ks_orch *o)
{
    ks_retry retry = {.attempts = (int)ks_int(ks_get(o->input, "attempts")),
                      .first_ms = 1000,
                      .backoff = 2,
                      .max_ms = ks_int(ks_get(o->input, "max")),
                      .total_ms = ks_int(ks_get(o->input, "totalOfAttempts")),
                      .final_errors = "Http501"};
    ks_http_request request = request_of(o->input);
    request.retry = retry.attempts || retry.total_ms ? &retry : NULL;
    const ks_val *answer = ks_await(ks_call_http(o, &request));
    ks_await(ks_event(o, "End")); /* what is left over would show while it goes on */
    return answer;
}

static const ks_val *race(ks_orch *o)
{
    ks_task *first = ks_call_http(o, &(ks_http_request){.url = "http://slow/"});
    ks_retry twice = {.attempts = 2};
    ks_task *second = ks_call_http(o, &(ks_http_request){.url = "http://fast/", .retry = &twice});
    return ks_boolean(o->mem, ks_winner(ks_when_any(o, first, second)) == second);
}

/* Waits for "End" first, whatever comes of the call. */
static const ks_val *give_up(ks_orch *o)
{
    ks_retry retry = {.attempts = 9, .first_ms = 1000, .timeout_ms = 60000};
    ks_http_request request = request_of(o->input);
    request.retry = &retry;
    ks_task *call = ks_call_http(o, &request);
    ks_await(ks_event(o, "End"));
    ks_cancel(call);
    const ks_val *answer = ks_try(call);
    ks_await(ks_event(o, "End"));
    return answer;
}

static const ks_val *send_now(ks_activity *a)
{
    ks_http_request request = request_of(a->input);
    return ks_get(ks_send_http(a, &request), "status");
}

static const ks_val *by_activity(ks_orch *o)
{
    return ks_await(ks_call(o, "SendNow", o->input));
}

static int http_start(ks_http *h)
{
    const ks_val *body = ks_parse_json(h->mem, ks_text(ks_body(h)), ks_len(ks_body(h)));
    ks_start(h->out, ks_route(h, "name"), "x", body);
    return ks_reply_empty(h, 202);
}

static int http_end(ks_http *h)
{
    ks_raise(h->out, "x", "End", NULL);
    return ks_reply_empty(h, 202);
}

static int http_see(ks_http *h)
{
    const ks_val *output = ks_output(h, "x");
    return ks_reply_json(h, ks_status(h, "x") == KS_RUNNING ? 202 : 200, output);
}

static int http_history(ks_http *h)
{
    return ks_reply_json(h, 200, ks_history(h, "x"));
}

static const ks_function functions[] = {
    KS_ORCHESTRATION("Fetch", fetch),
    KS_ORCHESTRATION("Race", race),
    KS_ORCHESTRATION("GiveUp", give_up),
    KS_ORCHESTRATION("ByActivity", by_activity),
    KS_ACTIVITY("SendNow", send_now),
    KS_HTTP("Start", "POST", "Start/{name}", 0, http_start),
    KS_HTTP("End", "GET", "End", 0, http_end),
    KS_HTTP("See", "GET", "See", 0, http_see),
    KS_HTTP("History", "GET", "History", 0, http_history),
    KS_END,
};

/* ---- whom it asks ---- */

enum { ASKED_MAX = 32, SCRIPT_MAX = 8 };

struct world {
    ks_test *t;
    bool evicts;
    const char *script[SCRIPT_MAX]; /* answers as JSON, or names of errors; the last for good */
    size_t place;
    size_t asked;
    char seen[ASKED_MAX][600]; /* "method url | name: value | ... | body" */
    int64_t at_ms[ASKED_MAX];
};

static const ks_val *on_http(void *ctx, ks_arena *mem, const ks_http_request *request)
{
    struct world *w = ctx;
    assert_true(w->asked < ASKED_MAX);
    char *seen = w->seen[w->asked];
    size_t size = sizeof w->seen[0];
    int n = snprintf(seen, size, "%s %s", request->method, request->url);
    for (size_t i = 0; i < ks_len(request->headers); i++)
        n += snprintf(seen + n, size - (size_t)n, " | %s: %s", ks_key_at(request->headers, i),
                      ks_text(ks_val_at(request->headers, i)));
    snprintf(seen + n, size - (size_t)n, " | %s", ks_text(request->body));
    w->at_ms[w->asked++] = ks_test_now_ms(w->t);
    const char *answer = w->script[w->place];
    if (w->script[w->place + 1])
        w->place++;
    return answer[0] == '{' ? ks_parse_json(mem, answer, strlen(answer))
                            : ks_fail(mem, answer, "as the test wants it");
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->evicts = *state;
    w->t = ks_test_open(functions);
    ks_test_on_http(w->t, on_http, w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    ks_test_close(w->t);
    free(w);
    return 0;
}

static void set_script(struct world *w, const char *const script[SCRIPT_MAX])
{
    memcpy(w->script, script, sizeof w->script);
    w->place = 0;
}

#define SCRIPT(w, ...) set_script((w), (const char *const[SCRIPT_MAX]){__VA_ARGS__})

static void advance(struct world *w, int64_t ms)
{
    if (w->evicts)
        ks_test_evict(w->t);
    ks_test_advance(w->t, ms);
}

static void start(struct world *w, const char *name, const char *input)
{
    char target[64];
    snprintf(target, sizeof target, "/api/Start/%s", name);
    assert_int_equal(ks_test_post(w->t, target, "application/json", input)->status, 202);
    advance(w, 0);
}

static void expect_asked(const struct world *w, size_t n, const char *last)
{
    assert_int_equal(w->asked, n);
    assert_string_equal(w->seen[n - 1], last);
}

static void expect_running(struct world *w)
{
    assert_int_equal(ks_test_get(w->t, "/api/See")->status, 202);
}

/* The call is over, and nothing of it is left: no timer, no attempt. */
static void expect_result(struct world *w, const char *want)
{
    size_t asked = w->asked;
    advance(w, KS_DAYS(2));
    assert_int_equal(w->asked, asked);
    ks_test_get(w->t, "/api/End");
    const ks_answer *a = ks_test_get(w->t, "/api/See");
    assert_string_equal(a->body, want);
    assert_int_equal(a->status, 200);
}

static size_t count_of(const char *in, const char *what)
{
    size_t n = 0;
    for (const char *at = in; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

static void expect_events(struct world *w, const char *type, size_t n)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"type\":\"%s\"", type);
    assert_int_equal(count_of(ks_test_get(w->t, "/api/History")->body, wanted), n);
}

/* ---- one exchange ---- */

static void an_answer_is_the_result(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":200,\"headers\":{\"Content-Type\":\"text/plain\"},\"body\":\"hello\"}");
    start(w, "Fetch", "{\"url\":\"http://a.test/x\"}");
    expect_asked(w, 1, "GET http://a.test/x | User-Agent: keepsake | Idempotency-Key: x:1:0 | ");
    expect_result(
        w, "{\"status\":200,\"headers\":{\"content-type\":\"text/plain\"},\"body\":\"hello\"}");
}

static void a_body_is_sent_as_text_or_as_json(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":204}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"body\":{\"n\":1}}");
    expect_asked(w, 1,
                 "POST http://a.test/ | Content-Type: application/json | User-Agent: keepsake "
                 "| Idempotency-Key: x:1:0 | {\"n\":1}");
    expect_result(w, "{\"status\":204,\"headers\":{},\"body\":\"\"}");
    start(w, "Fetch",
          "{\"method\":\"PUT\",\"url\":\"https://a.test\",\"body\":\"as it is\",\"headers\":{"
          "\"idempotency-key\":\"mine\",\"user-agent\":\"me\"}}");
    expect_asked(w, 2, "PUT https://a.test | idempotency-key: mine | user-agent: me | as it is");
}

static void what_the_app_asked_wrongly_is_the_result(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":404,\"body\":\"who?\"}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"attempts\":5}");
    expect_result(w, "{\"status\":404,\"headers\":{},\"body\":\"who?\"}");
    assert_int_equal(w->asked, 1);
}

/* A type that the app gives stays, and a tab is no control character. */
static void a_json_body_has_the_type_that_is_given(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":202,\"headers\":{\"Location\":\"/l\"}}", "{\"status\":204}");
    start(w, "Fetch",
          "{\"url\":\"http://a.test/"
          "\",\"body\":[],\"headers\":{\"X\":\"a\\tb\",\"content-type\":\"b/c\"}}");
    expect_asked(w, 1,
                 "POST http://a.test/ | X: a\tb | content-type: b/c | User-Agent: keepsake "
                 "| Idempotency-Key: x:1:0 | []");
    advance(w, 30000);
    expect_asked(w, 2, "GET http://a.test/l | X: a\tb | User-Agent: keepsake | ");
    SCRIPT(w, "{\"status\":202,\"headers\":{\"Location\":\"/l\"}}", "{\"status\":204}");
    ks_test_get(w->t, "/api/End");
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"headers\":{\"Idempotency-Key\":\"mine\"}}");
    advance(w, 30000);
    expect_asked(w, 4, "GET http://a.test/l | User-Agent: keepsake | ");
    SCRIPT(w, "{\"status\":204}");
    ks_test_get(w->t, "/api/End");
    w->asked = 0;
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"body\":[],\"headers\":{\"X\":\"y\"}}");
}

#define TEN "ABCDEFGHIJ"

static void what_cannot_be_sent_fails_with_a_reason(void **state)
{
    struct world *w = *state;
    static const char *const inputs[] = {
        "{\"url\":\"ftp://a.test/\"}",
        "{\"url\":\"http://me:secret@a.test/\"}",
        "{\"url\":\"http:///path\"}",
        "{\"url\":\"http://a.test/ä\"}",
        "{}",
        "{\"url\":\"http://a.test/\",\"method\":\"GE T\"}",
        "{\"url\":\"http://a.test/\",\"headers\":{\"a\":\"b\\r\\nc: d\"}}",
        "{\"url\":\"http://a.test/\",\"headers\":{\"a b\":\"c\"}}",
        "{\"url\":\"http://a.test/\",\"headers\":{\"Content-Length\":\"7\"}}",
        "{\"url\":\"http://a.test/\",\"headers\":{\"a\":7}}",
        "{\"url\":\"http://a.test/\",\"headers\":{\"\":\"b\"}}",
        "{\"url\":\"http://a.test/\",\"headers\":{\"a\":\"\x7F\"}}",
        "{\"url\":\"http://a.test/\",\"method\":\"" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
        "ABCDEFGHI\"}",
    };
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        start(w, "Fetch", inputs[i]);
        const char *body = ks_test_get(w->t, "/api/See")->body;
        if (!strstr(body, "\"type\":\"BadRequest\""))
            fail_msg("%s: %s", inputs[i], body);
    }
    assert_int_equal(w->asked, 0);
}

static void an_activity_asks_here_and_now(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":202,\"headers\":{\"Location\":\"/later\"}}");
    start(w, "ByActivity", "{\"url\":\"http://a.test/\",\"body\":\"b\"}");
    expect_asked(w, 1, "POST http://a.test/ | User-Agent: keepsake | Idempotency-Key: x:1:0 | b");
    assert_string_equal(ks_test_get(w->t, "/api/See")->body, "202");
}

static void calls_run_side_by_side(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":202,\"headers\":{\"Location\":\"/l\",\"Retry-After\":\"100\"}}",
           "{\"status\":200}");
    start(w, "Race", "{}");
    assert_string_equal(ks_test_get(w->t, "/api/See")->body, "true");
    assert_int_equal(w->asked, 2);
}

/* ---- redirects ---- */

static void a_get_follows_and_takes_its_headers_home_only(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":301,\"headers\":{\"Location\":\"../b?c\"}}",
           "{\"status\":307,\"headers\":{\"location\":\"https://other.test/d\"}}",
           "{\"status\":200}");
    start(w, "Fetch", "{\"url\":\"http://a.test/x/y/z\",\"headers\":{\"Api-Key\":\"k\"}}");
    assert_string_equal(w->seen[1],
                        "GET http://a.test/x/y/../b?c | Api-Key: k | User-Agent: keepsake "
                        "| Idempotency-Key: x:1:0 | ");
    expect_asked(w, 3, "GET https://other.test/d | User-Agent: keepsake | ");
    expect_result(w, "{\"status\":200,\"headers\":{},\"body\":\"\"}");
}

static void redirects_end(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":302,\"headers\":{\"Location\":\"/round\"}}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\"}");
    assert_int_equal(w->asked, 6);
    assert_non_null(strstr(ks_test_get(w->t, "/api/See")->body, "\"type\":\"BadAnswer\""));
    SCRIPT(w, "{\"status\":302,\"headers\":{\"Location\":\"http://a.test/\"}}");
    start(w, "Fetch", "{\"url\":\"https://a.test/\"}");
    assert_non_null(strstr(ks_test_get(w->t, "/api/See")->body, "from https to http"));
    SCRIPT(w, "{\"status\":302,\"headers\":{\"Location\":\"file:///etc/passwd\"}}");
    start(w, "Fetch", "{\"url\":\"https://a.test/\"}");
    assert_non_null(strstr(ks_test_get(w->t, "/api/See")->body, "cannot be asked"));
}

static void a_post_is_not_redirected(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":307,\"headers\":{\"Location\":\"/b\"}}");
    start(w, "Fetch", "{\"url\":\"http://a.test/a\",\"body\":\"x\"}");
    expect_result(w, "{\"status\":307,\"headers\":{\"location\":\"http://a.test/b\"},"
                     "\"body\":\"\"}");
}

/* ---- polls ---- */

static void an_accepted_call_is_polled_until_it_is_done(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":202,\"headers\":{\"Location\":\"/job/7\",\"Retry-After\":\"10\"}}",
           "{\"status\":202,\"headers\":{}}", "{\"status\":200,\"body\":\"done\"}");
    start(w, "Fetch",
          "{\"url\":\"http://a.test/job\",\"body\":{},\"headers\":{\"Api-Key\":\"k\"}}");
    int64_t begun_ms = w->at_ms[0];
    advance(w, 9999);
    assert_int_equal(w->asked, 1);
    advance(w, 1);
    expect_asked(w, 2, "GET http://a.test/job/7 | Api-Key: k | User-Agent: keepsake | ");
    ks_test_crash(w->t);
    advance(w, 29999);
    assert_int_equal(w->asked, 2);
    advance(w, 1);
    expect_asked(w, 3, "GET http://a.test/job/7 | Api-Key: k | User-Agent: keepsake | ");
    assert_int_equal(w->at_ms[2] - begun_ms, 40000);
    expect_events(w, "TaskScheduled", 3);
    expect_events(w, "TimerCreated", 2);
    expect_result(w, "{\"status\":200,\"headers\":{},\"body\":\"done\"}");
}

static void retry_after_can_be_a_date_or_nonsense(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *retry_after;
        int64_t pause_ms;
    } rows[] = {{"Thu, 24 Dec 2026 18:02:00 GMT", 120000},
                {"Thu, 24 Dec 2026 17:00:00 GMT", 1000},
                {"0", 1000},
                {"soon", 30000},
                {"7x", 30000},
                {"99999999999999999999", KS_DAYS(36500)},
                {"-5", 30000},
                {"Thu, 24 Foo 2026 18:02:00 GMT", 30000},
                {"", 30000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char answer[200];
        struct world *x = w;
        void *fresh = w->evicts ? w : NULL;
        snprintf(answer, sizeof answer,
                 "{\"status\":202,\"headers\":{\"Location\":\"/l\",\"Retry-After\":\"%s\"}}",
                 rows[i].retry_after);
        set_up(&fresh); /* the clock begins again */
        x = fresh;
        SCRIPT(x, answer, "{\"status\":200}");
        start(x, "Fetch", "{\"url\":\"http://a.test/\"}");
        advance(x, rows[i].pause_ms - 1);
        assert_int_equal(x->asked, 1);
        advance(x, 1);
        assert_int_equal(x->asked, 2);
        tear_down(&fresh);
    }
}

static void a_poll_elsewhere_takes_no_headers_along(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":202,\"headers\":{\"Location\":\"//b.test/job\"}}", "{\"status\":200}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"headers\":{\"Authorization\":\"k\"}}");
    advance(w, 30000);
    expect_asked(w, 2, "GET http://b.test/job | User-Agent: keepsake | ");
}

static void without_polling_202_is_the_answer(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":202,\"headers\":{\"Location\":\"/l\"}}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"noPolling\":true}");
    expect_result(w,
                  "{\"status\":202,\"headers\":{\"location\":\"http://a.test/l\"},\"body\":\"\"}");
}

static void a_202_that_says_nowhere_to_look_is_the_answer(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":202}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\"}");
    expect_result(w, "{\"status\":202,\"headers\":{},\"body\":\"\"}");
}

static void a_location_that_is_none_fails(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":202,\"headers\":{\"Location\":\"gopher://a.test/\"}}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\"}");
    assert_non_null(strstr(ks_test_get(w->t, "/api/See")->body, "\"type\":\"BadAnswer\""));
}

/* ---- failures ---- */

static void failures_are_tried_again_with_the_same_key(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "Unreachable", "{\"status\":503}", "Timeout", "{\"status\":429}",
           "{\"status\":200,\"body\":\"at last\"}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"attempts\":5,\"body\":\"b\"}");
    advance(w, 1000 + 2000 + 4000 + 8000);
    assert_int_equal(w->asked, 5);
    for (size_t i = 1; i < 5; i++)
        assert_string_equal(w->seen[i], w->seen[0]);
    assert_int_equal(w->at_ms[4] - w->at_ms[0], 15000);
    expect_result(w, "{\"status\":200,\"headers\":{},\"body\":\"at last\"}");
}

/* The second attempt comes after so long, and not before. */
static void expect_pause(struct world *w, const char *refusal, const char *more, int64_t ms)
{
    char input[128];
    snprintf(input, sizeof input, "{\"url\":\"http://a.test/\",\"attempts\":3%s}", more);
    SCRIPT(w, refusal, "{\"status\":200}");
    w->asked = 0;
    start(w, "Fetch", input);
    advance(w, ms - 1);
    assert_int_equal(w->asked, 1);
    advance(w, 1);
    assert_int_equal(w->asked, 2);
    expect_result(w, "{\"status\":200,\"headers\":{},\"body\":\"\"}");
}

#define REFUSAL(status, after) "{\"status\":" status ",\"headers\":{\"Retry-After\":\"" after "\"}}"

static void retry_after_of_a_refusal_makes_the_pause_longer(void **state)
{
    struct world *w = *state;
    expect_pause(w, REFUSAL("503", "120"), "", 120000);
    expect_pause(w, REFUSAL("429", "7"), "", 7000);
    expect_pause(w, REFUSAL("503", "0"), "", 1000);
    expect_pause(w, REFUSAL("503", "soon"), "", 1000);
    expect_pause(w, REFUSAL("500", "120"), "", 1000); /* says nothing about when */
    expect_pause(w, "{\"status\":429,\"headers\":{\"retry-after\":\"9\"}}", "", 9000);
}

static void retry_after_of_a_refusal_can_be_a_date(void **state)
{
    struct world *w = *state;
    assert_int_equal(ks_test_now_ms(w->t), 1798135200000);
    expect_pause(w, REFUSAL("503", "Thu, 24 Dec 2026 18:00:45 GMT"), "", 45000);
    expect_pause(w, REFUSAL("503", "Thu, 24 Dec 2026 18:00:45 GMT"), "", 1000); /* is past */
}

static void retry_after_of_a_refusal_has_a_limit(void **state)
{
    struct world *w = *state;
    expect_pause(w, REFUSAL("503", "99999999999999999999"), "", KS_HOURS(1));
    expect_pause(w, REFUSAL("503", "3601"), "", KS_HOURS(1));
    expect_pause(w, REFUSAL("503", "3600"), ",\"max\":5000", 5000);
    expect_pause(w, REFUSAL("503", "4"), ",\"max\":5000", 4000);
}

static void retry_after_that_is_too_late_is_the_end(void **state)
{
    struct world *w = *state;
    SCRIPT(w, REFUSAL("503", "61"));
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"totalOfAttempts\":60000}");
    assert_int_equal(w->asked, 1);
    expect_result(w, "{\"type\":\"Http503\",\"message\":\"the answer has the status 503\","
                     "\"cause\":{\"retryAfter\":61000}}");
}

static void the_last_failure_is_the_error(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":500}", "{\"status\":503}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"attempts\":2}");
    advance(w, KS_HOURS(1));
    assert_int_equal(w->asked, 2);
    assert_string_equal(ks_test_get(w->t, "/api/See")->body,
                        "{\"type\":\"Http503\",\"message\":\"the answer has the status 503\"}");
}

static void without_a_policy_there_is_one_attempt(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "Unreachable");
    start(w, "Fetch", "{\"url\":\"http://a.test/\"}");
    advance(w, KS_HOURS(1));
    assert_int_equal(w->asked, 1);
    assert_non_null(strstr(ks_test_get(w->t, "/api/See")->body, "\"type\":\"Unreachable\""));
}

static void a_final_failure_is_not_tried_again(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":501}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"attempts\":9}");
    advance(w, KS_HOURS(1));
    assert_int_equal(w->asked, 1);
}

static void what_is_no_answer_is_a_failure(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":0}", "{}", "{\"status\":\"ok\"}", "{\"status\":100}");
    for (int i = 1; i <= 4; i++) {
        start(w, "Fetch", "{\"url\":\"http://a.test/\"}");
        assert_non_null(strstr(ks_test_get(w->t, "/api/See")->body, "\"type\":\"BadAnswer\""));
        assert_int_equal(w->asked, i);
    }
}

/* Three places where the limit can find it: asking, between polls, between attempts. */

static void a_limit_ends_an_exchange(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":200}");
    ks_test_hold_activities(w->t, true);
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"total\":5000}");
    advance(w, 4999);
    expect_running(w);
    advance(w, 1);
    assert_string_equal(ks_test_get(w->t, "/api/See")->body,
                        "{\"type\":\"Timeout\",\"message\":\"it took longer than 5000 ms\"}");
    ks_test_hold_activities(w->t, false);
    advance(w, 1000);
    assert_non_null(strstr(ks_test_get(w->t, "/api/See")->body, "\"type\":\"Timeout\""));
}

static void a_limit_ends_polling(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":202,\"headers\":{\"Location\":\"/l\",\"Retry-After\":\"2\"}}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"total\":5000}");
    advance(w, 5000);
    assert_int_equal(w->asked, 3);
    assert_non_null(strstr(ks_test_get(w->t, "/api/See")->body, "\"type\":\"Timeout\""));
    advance(w, KS_HOURS(1));
    assert_int_equal(w->asked, 3);
    expect_events(w, "TimerCanceled", 1);
}

static void a_limit_ends_the_attempts(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "Unreachable");
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"total\":5000,\"attempts\":99}");
    advance(w, 5000);
    assert_int_equal(w->asked, 3);
    assert_non_null(strstr(ks_test_get(w->t, "/api/See")->body, "\"type\":\"Timeout\""));
    expect_events(w, "TimerCanceled", 1);
}

static void a_limit_that_was_not_reached_leaves_nothing(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":200}");
    start(w, "Fetch", "{\"url\":\"http://a.test/\",\"total\":5000}");
    expect_events(w, "TimerCanceled", 1);
    expect_result(w, "{\"status\":200,\"headers\":{},\"body\":\"\"}");
}

/* ---- canceled ---- */

#define CANCELED "{\"type\":\"Canceled\",\"message\":\"the orchestration canceled it\"}"

static void a_call_canceled_in_an_exchange_leaves_nothing(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "{\"status\":200}");
    ks_test_hold_activities(w->t, true);
    start(w, "GiveUp", "{\"url\":\"http://a.test/\",\"total\":5000}");
    ks_test_get(w->t, "/api/End");
    expect_events(w, "TaskAbandoned", 1);
    expect_events(w, "TimerCanceled", 2);
    expect_result(w, CANCELED);
}

static void cancel_between_polls(struct world *w, const char *request)
{
    SCRIPT(w, "{\"status\":202,\"headers\":{\"Location\":\"/l\",\"Retry-After\":\"2\"}}");
    start(w, "GiveUp", request);
    ks_test_get(w->t, "/api/End");
    expect_events(w, "TaskAbandoned", 0);
    expect_result(w, CANCELED);
}

static void a_call_canceled_between_polls_leaves_nothing(void **state)
{
    cancel_between_polls(*state, "{\"url\":\"http://a.test/\",\"total\":5000}");
}

static void a_call_without_a_limit_canceled_between_polls_leaves_nothing(void **state)
{
    cancel_between_polls(*state, "{\"url\":\"http://a.test/\"}");
    expect_events(*state, "TimerFired", 0);
}

static void a_call_canceled_between_attempts_leaves_nothing(void **state)
{
    struct world *w = *state;
    SCRIPT(w, "Unreachable");
    start(w, "GiveUp", "{\"url\":\"http://a.test/\"}");
    ks_test_get(w->t, "/api/End");
    expect_events(w, "TaskAbandoned", 0);
    expect_result(w, CANCELED);
}

#define BOTH(test) \
    {#test, test, set_up, tear_down, NULL}, \
    { \
#test " (replayed)", test, set_up, tear_down, (void *)1 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(an_answer_is_the_result),
        BOTH(a_body_is_sent_as_text_or_as_json),
        BOTH(what_the_app_asked_wrongly_is_the_result),
        BOTH(a_json_body_has_the_type_that_is_given),
        BOTH(what_cannot_be_sent_fails_with_a_reason),
        BOTH(an_activity_asks_here_and_now),
        BOTH(calls_run_side_by_side),
        BOTH(a_get_follows_and_takes_its_headers_home_only),
        BOTH(redirects_end),
        BOTH(a_post_is_not_redirected),
        BOTH(an_accepted_call_is_polled_until_it_is_done),
        BOTH(retry_after_can_be_a_date_or_nonsense),
        BOTH(a_poll_elsewhere_takes_no_headers_along),
        BOTH(without_polling_202_is_the_answer),
        BOTH(a_202_that_says_nowhere_to_look_is_the_answer),
        BOTH(a_location_that_is_none_fails),
        BOTH(failures_are_tried_again_with_the_same_key),
        BOTH(retry_after_of_a_refusal_makes_the_pause_longer),
        BOTH(retry_after_of_a_refusal_can_be_a_date),
        BOTH(retry_after_of_a_refusal_has_a_limit),
        BOTH(retry_after_that_is_too_late_is_the_end),
        BOTH(the_last_failure_is_the_error),
        BOTH(without_a_policy_there_is_one_attempt),
        BOTH(a_final_failure_is_not_tried_again),
        BOTH(what_is_no_answer_is_a_failure),
        BOTH(a_limit_ends_an_exchange),
        BOTH(a_limit_ends_polling),
        BOTH(a_limit_ends_the_attempts),
        BOTH(a_limit_that_was_not_reached_leaves_nothing),
        BOTH(a_call_canceled_in_an_exchange_leaves_nothing),
        BOTH(a_call_canceled_between_polls_leaves_nothing),
        BOTH(a_call_without_a_limit_canceled_between_polls_leaves_nothing),
        BOTH(a_call_canceled_between_attempts_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
