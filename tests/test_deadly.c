/* Code that ends the process, in a real process: this program is its own service. Whatever it is
 * that does it again and again - an orchestration, an entity's operation, an HTTP function, or what
 * nobody has seen yet since the process died before it was there - is set aside after three deaths,
 * and the others are served. */
#include "contract.h"
#include "keepsake.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { DEATHS_MAX = 3 };

/* ---- the app ---- */

static void die_if_deadly(void)
{
    if (getenv("DEADLY"))
        abort();
}

/* Dies when it hears "Go". */
static const ks_val *waits(ks_orch *o)
{
    const ks_val *what = ks_await(ks_event(o, "Go"));
    die_if_deadly();
    return what;
}

/* Dies a millisecond after it was started. */
static const ks_val *ticks(ks_orch *o)
{
    ks_await(ks_timer(o, o->now_ms + 1));
    die_if_deadly();
    return ks_string(o->mem, "ticked");
}

static const ks_val *dies_at_once(ks_orch *o)
{
    die_if_deadly();
    return ks_string(o->mem, o->id);
}

static int64_t dig(int64_t depth)
{
    volatile char frame[512];
    frame[0] = 1;
    return depth ? dig(depth - 1) + frame[0] : 0;
}

/* Needs more stack than there is, a millisecond after it was started. */
static const ks_val *digs(ks_orch *o)
{
    ks_await(ks_timer(o, o->now_ms + 1));
    return ks_integer(o->mem, dig(getenv("DEADLY") ? INT64_MAX : 3));
}

/* What dies is another's first turn, which no commit has seen. */
static const ks_val *bears(ks_orch *o)
{
    ks_await(ks_timer(o, o->now_ms + 1));
    ks_start(o->out, "DiesAtOnce", "born", NULL);
    return NULL;
}

static const ks_val *breaks_a_new_one(ks_orch *o)
{
    ks_await(ks_timer(o, o->now_ms + 1));
    ks_signal(o->out, (ks_ref){"Fragile", "new"}, "Break", NULL);
    return NULL;
}

static const ks_val *fragile_break(ks_entity *e)
{
    die_if_deadly();
    ks_add(e, "broken", 1);
    return NULL;
}

static const ks_val *fragile_add(ks_entity *e)
{
    ks_add(e, "added", 1);
    return NULL;
}

static int http_start(ks_http *h)
{
    ks_start(h->out, ks_route(h, "name"), ks_route(h, "id"), NULL);
    return ks_reply_empty(h, 202);
}

static int http_go(ks_http *h)
{
    ks_raise(h->out, ks_route(h, "id"), "Go", ks_string(h->mem, "gone"));
    return ks_reply_empty(h, 202);
}

static int http_signal(ks_http *h)
{
    ks_signal(h->out, (ks_ref){"Fragile", ks_route(h, "key")}, ks_route(h, "operation"), NULL);
    return ks_reply_empty(h, 202);
}

static int http_resume(ks_http *h)
{
    ks_resume(h->out, ks_route(h, "id"), "mended");
    return ks_reply_empty(h, 202);
}

static int http_die(ks_http *h)
{
    if (strcmp(ks_route(h, "what"), "now") == 0)
        die_if_deadly();
    return ks_reply_text(h, 200, "%s", ks_route(h, "what"));
}

static int http_see(ks_http *h)
{
    static const char *const words[] =
        {[KS_MISSING] = "Missing",       [KS_PENDING] = "Pending",        [KS_RUNNING] = "Running",
         [KS_SUSPENDED] = "Suspended",   [KS_COMPLETED] = "Completed",    [KS_FAILED] = "Failed",
         [KS_TERMINATED] = "Terminated", [KS_QUARANTINED] = "Quarantined"};
    return ks_reply_text(h, 200, "%s", words[ks_status(h, ks_route(h, "id"))]);
}

static int http_state(ks_http *h)
{
    return ks_reply_json(h, 200, ks_state(h, (ks_ref){"Fragile", ks_route(h, "key")}));
}

static const ks_function functions[] = {
    KS_ORCHESTRATION("Waits", waits),
    KS_ORCHESTRATION("Ticks", ticks),
    KS_ORCHESTRATION("DiesAtOnce", dies_at_once),
    KS_ORCHESTRATION("Digs", digs),
    KS_ORCHESTRATION("Bears", bears),
    KS_ORCHESTRATION("BreaksANewOne", breaks_a_new_one),
    KS_ENTITY("Fragile", "Break", fragile_break),
    KS_ENTITY("Fragile", "Add", fragile_add),
    KS_HTTP("Start", "GET", "Start/{name}/{id}", 0, http_start),
    KS_HTTP("Go", "GET", "Go/{id}", 0, http_go),
    KS_HTTP("Signal", "GET", "Signal/{key}/{operation}", 0, http_signal),
    KS_HTTP("Resume", "GET", "Resume/{id}", 0, http_resume),
    KS_HTTP("Die", "GET,POST", "Die/{what}", 0, http_die),
    KS_HTTP("See", "GET", "See/{id}", 0, http_see),
    KS_HTTP("State", "GET", "State/{key}", 0, http_state),
    KS_END,
};

/* ---- a life after the other ---- */

static const char *const deadly[] = {"DEADLY=1", NULL};
static const char *const mended[] = {NULL};

/* By abort(), or by the page below a stack; ASan makes an exit code of that. */
static void expect_death(struct world *w)
{
    int code = process_wait(w->service.pid, 20000);
    if (code != 128 + SIGABRT && code != 128 + SIGSEGV && code != 1)
        fail_msg("it ended with %d", code);
    w->service.pid = 0;
    client_free(&w->client);
}

/* Starts it until it lives; how often it died before. */
static int come_to_life(struct world *w, const char *const settings[])
{
    int deaths = 0, err;
    while ((err = service_start(&w->service, settings)) == -ECHILD && deaths < 10) {
        expect_death(w);
        deaths++;
    }
    assert_int_equal(err, 0);
    client_init(&w->client, w->service.port);
    return deaths;
}

static void live(struct world *w, const char *const settings[])
{
    assert_int_equal(come_to_life(w, settings), 0);
}

static void end(struct world *w)
{
    client_free(&w->client);
    assert_int_equal(service_stop(&w->service, SIGTERM), 0);
}

/* The request that nobody answers, since it is the end. */
static void die_of(struct world *w, const char *path)
{
    assert_true(client_ask(&w->client, &(struct ask){.path = path}, &w->answer) < 0);
    expect_death(w);
}

/* Three lives, each ended by that request; then a fourth. */
static void die_three_times_of(struct world *w, const char *path)
{
    for (int i = 0; i < DEATHS_MAX; i++) {
        die_of(w, path);
        live(w, deadly);
    }
}

static void expect_get(struct world *w, const char *path, int status, const char *body)
{
    expect(get(w, "%s", path), status, body);
}

/* ---- the claims ---- */

static void an_orchestration_that_ends_the_process_is_set_aside(void **state)
{
    struct world *w = *state;
    live(w, deadly);
    expect_get(w, "/api/Start/Waits/a", 202, "");
    expect_get(w, "/api/Start/Waits/b", 202, "");
    die_three_times_of(w, "/api/Go/a");
    expect_get(w, "/api/See/a", 200, "Quarantined");
    expect_get(w, "/api/See/b", 200, "Running");
    expect_get(w, "/api/Go/a", 202, ""); /* kept: it is the instance, not the request */
    end(w);
    live(w, mended);
    expect_get(w, "/api/Resume/a", 202, "");
    expect_get(w, "/api/See/a", 200, "Completed");
}

static void ends_by_itself(struct world *w, const char *path)
{
    live(w, deadly);
    (void)!client_ask(&w->client, &(struct ask){.path = path}, &w->answer);
    expect_death(w);
    assert_int_equal(come_to_life(w, deadly), DEATHS_MAX - 1);
    expect_get(w, "/api/See/a", 200, "Quarantined");
    end(w);
    live(w, mended);
    expect_get(w, "/api/Resume/a", 202, "");
    expect_get(w, "/api/See/a", 200, "Completed");
}

static void an_orchestration_that_ends_the_process_by_itself_is_set_aside(void **state)
{
    ends_by_itself(*state, "/api/Start/Ticks/a");
}

static void an_orchestration_that_overflows_its_stack_is_set_aside(void **state)
{
    ends_by_itself(*state, "/api/Start/Digs/a");
}

static void an_operation_that_ends_the_process_is_set_aside(void **state)
{
    struct world *w = *state;
    live(w, deadly);
    expect_get(w, "/api/Signal/a/Add", 202, "");
    die_three_times_of(w, "/api/Signal/a/Break");
    expect_get(w, "/api/Signal/b/Add", 202, "");
    expect_get(w, "/api/Signal/a/Add", 202, "");
    expect_get(w, "/api/State/a", 200, "{\"added\":1}");
    expect_get(w, "/api/State/b", 200, "{\"added\":1}");
    end(w);
    live(w, mended);
    expect_get(w, "/api/Resume/@fragile@a", 202, "");
    expect_get(w, "/api/State/a", 200, "{\"added\":2}");
}

static void a_request_that_ends_the_process_is_set_aside(void **state)
{
    struct world *w = *state;
    struct ask by_post = {.method = "POST", .path = "/api/Die/now", .body = "x", .body_len = 1};
    live(w, deadly);
    die_three_times_of(w, "/api/Die/now");
    for (int i = 0; i < 2; i++)
        expect_problem(get(w, "/api/Die/now"), 500);
    expect_get(w, "/api/Die/later", 200, "later");
    /* Another body is another request. */
    assert_true(client_ask(&w->client, &by_post, &w->answer) < 0);
    expect_death(w);
    /* A process later it has one more try. */
    live(w, deadly);
    die_of(w, "/api/Die/now");
    live(w, deadly);
    expect_problem(get(w, "/api/Die/now"), 500);
    end(w);
    live(w, mended);
    expect_get(w, "/api/Die/now", 200, "now");
}

static void a_request_that_starts_what_ends_the_process_is_set_aside(void **state)
{
    struct world *w = *state;
    live(w, deadly);
    die_three_times_of(w, "/api/Start/DiesAtOnce/a");
    expect_problem(get(w, "/api/Start/DiesAtOnce/a"), 500);
    expect_get(w, "/api/Start/Waits/b", 202, "");
    expect_get(w, "/api/See/a", 200, "Missing");
}

static void one_that_is_born_deadly_is_set_aside(void **state)
{
    struct world *w = *state;
    live(w, deadly);
    (void)!client_ask(&w->client, &(struct ask){.path = "/api/Start/Bears/a"}, &w->answer);
    expect_death(w);
    assert_int_equal(come_to_life(w, deadly), DEATHS_MAX - 1);
    expect_get(w, "/api/See/born", 200, "Quarantined");
    expect_get(w, "/api/See/a", 200, "Completed");
    end(w);
    live(w, mended);
    expect_get(w, "/api/Resume/born", 202, "");
    expect_get(w, "/api/See/born", 200, "Completed");
}

static void an_entity_that_dies_of_its_first_operation_is_set_aside(void **state)
{
    struct world *w = *state;
    live(w, deadly);
    (void)!client_ask(&w->client, &(struct ask){.path = "/api/Start/BreaksANewOne/a"}, &w->answer);
    expect_death(w);
    assert_int_equal(come_to_life(w, deadly), DEATHS_MAX - 1);
    expect_get(w, "/api/See/a", 200, "Completed");
    expect_get(w, "/api/Signal/new/Add", 202, "");
    expect_get(w, "/api/State/new", 200, "null");
    end(w);
    live(w, mended);
    expect_get(w, "/api/Resume/@fragile@new", 202, "");
    expect_get(w, "/api/State/new", 200, "{\"broken\":1,\"added\":1}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_here, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_orchestration_that_ends_the_process_is_set_aside),
        TEST(an_orchestration_that_ends_the_process_by_itself_is_set_aside),
        TEST(an_orchestration_that_overflows_its_stack_is_set_aside),
        TEST(an_operation_that_ends_the_process_is_set_aside),
        TEST(a_request_that_ends_the_process_is_set_aside),
        TEST(a_request_that_starts_what_ends_the_process_is_set_aside),
        TEST(one_that_is_born_deadly_is_set_aside),
        TEST(an_entity_that_dies_of_its_first_operation_is_set_aside),
    };
    setrlimit(RLIMIT_CORE, &(struct rlimit){0}); /* its deaths leave nothing behind */
    if (argc > 1)
        return ks_main(argc, argv, functions);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
