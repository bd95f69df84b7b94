/* keepsake_test.h - an app under a virtual clock
 *
 * The real engine runs the app in the test's own process: requests go in, answers come out, time
 * stands still until it is moved. "Closes after five minutes" is a test of a millisecond.
 *
 *     ks_test *t = ks_test_open(functions);
 *     const char *id = ks_test_get(t, "/api/Open")->body;
 *     ks_test_advance(t, KS_MINUTES(5));
 *     assert(strstr(ks_test_get(t, path)->body, "timeout"));
 *     ks_test_close(t);
 *
 * What is stored is kept in memory and goes with the test. ks_test_crash() drops everything that
 * was not committed, as kill -9 would, and starts again.
 */
#ifndef KEEPSAKE_TEST_H
#define KEEPSAKE_TEST_H

#include "keepsake.h"

typedef struct ks_test ks_test;

typedef struct ks_answer {
    int status;
    const char *content_type; /* "" when there is none */
    const char *headers;      /* lines that end with CRLF */
    const char *body;         /* ends with NUL; may hold more */
    size_t body_len;
} ks_answer;

/* Time begins at 2026-12-24T18:00:00Z. A table that is wrong ends the process with a sentence. */
ks_test *ks_test_open(const ks_function *functions);
void ks_test_close(ks_test *t);

/* Before the first request: what a KS_SETTING says. */
void ks_test_set(ks_test *t, const char *setting, const char *value);

/* One request, and everything it leads to. The answer is good until the test is closed; the body of
 * one that goes on (ks_reply_events) grows as events come. */
const ks_answer *ks_test_get(ks_test *t, const char *target);
const ks_answer *ks_test_post(ks_test *t, const char *target, const char *content_type,
                              const char *body);
/* With any method and further header lines ("Idempotency-Key: 1\r\n"; NULL: none). */
const ks_answer *ks_test_request(ks_test *t, const char *method, const char *target,
                                 const char *headers, const void *body, size_t body_len);

/* Whom the app asks over HTTP: gives {"status", "headers", "body"}, or what ks_fail() makes of
 * "Unreachable" or "Timeout". The request has all its headers. Without it nobody is reachable. */
typedef const ks_val *ks_test_http_fn(void *ctx, ks_arena *mem, const ks_http_request *request);
void ks_test_on_http(ks_test *t, ks_test_http_fn *fn, void *ctx);

int64_t ks_test_now_ms(const ks_test *t);
/* Moves time forward, through everything that becomes due on the way, in its order. */
void ks_test_advance(ks_test *t, int64_t ms);
/* Runs activities that are waiting for a thread, and all they lead to. Requests and advancing do
 * that too, unless activities are held. */
void ks_test_run(ks_test *t);
void ks_test_hold_activities(ks_test *t, bool is_held);
/* From here on activities may take time: each runs on a stack of its own, of 64 KiB, and one that
 * calls ks_test_work() is at work until the clock has been moved on by that much. */
void ks_test_let_activities_take_time(ks_test *t);
void ks_test_work(ks_test *t, int64_t ms);

/* Drops every coroutine: what goes on is replayed. */
void ks_test_evict(ks_test *t);
/* The process dies and is started again. Activities that were running run again. */
void ks_test_crash(ks_test *t);
/* The same, as if the process had died while an orchestration of that id was stepped, or an entity
 * "@name@key". */
void ks_test_die_in(ks_test *t, const char *id);
/* Everything that was logged, a line each. */
const char *ks_test_log(const ks_test *t);

#endif
