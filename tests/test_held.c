/* A real process that does not get on: stopped from outside (SIGSTOP), or held by a function that
 * never returns. For the latter this program is its own service.
 *
 * Nothing here waits for a fixed while: what is due has passed when the clock says so, and a
 * function that is going to spin says that first. */
#include "contract.h"
#include "keepsake.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { KILLS = 3, REGISTRIES = 20, POLLS_MAX = 20000 };

/* ---- stopped ---- */

static void hold(struct world *w)
{
    siginfo_t info = {0};
    assert_int_equal(kill(w->service.pid, SIGSTOP), 0);
    assert_int_equal(waitid(P_PID, (id_t)w->service.pid, &info, WSTOPPED | WNOWAIT), 0);
    assert_int_equal(info.si_code, CLD_STOPPED);
}

static void go_on(struct world *w)
{
    assert_int_equal(kill(w->service.pid, SIGCONT), 0);
}

/* Opens some that close after a second; the time of the last. */
static int64_t open_many(struct world *w, char ids[REGISTRIES][ID_SIZE])
{
    char closes[32];
    start(w, "REGISTRY_OPEN_FOR=1s");
    for (int i = 0; i < REGISTRIES; i++)
        open_registry(w, ids[i]);
    json_text(get(w, "/api/Peek/%s", ids[REGISTRIES - 1])->body, "closesAt", closes, sizeof closes);
    return time_of(closes);
}

static void await_time(int64_t until_ms)
{
    for (int polls = 0; polls < POLLS_MAX && wall_ms() <= until_ms; polls++)
        nap_ms(1);
}

static void expect_closed_by_time(struct world *w, const char *id, char ret_closed[32])
{
    char by[16], closes[32];
    await_closed(w, id);
    json_text(w->answer.body, "closedBy", by, sizeof by);
    json_text(w->answer.body, "closesAt", closes, sizeof closes);
    json_text(w->answer.body, "closedAt", ret_closed, 32);
    assert_string_equal(by, "timeout");
    assert_true(time_of(closes) > 0 && time_of(ret_closed) >= time_of(closes));
}

static void what_falls_due_while_it_is_stopped_is_done_once(void **state)
{
    struct world *w = *state;
    char ids[REGISTRIES][ID_SIZE], closed[REGISTRIES][32], again[32];
    int64_t due_ms = open_many(w, ids);
    hold(w);
    await_time(due_ms);
    go_on(w);
    for (int i = 0; i < REGISTRIES; i++)
        expect_closed_by_time(w, ids[i], closed[i]);
    expect_stats(w, REGISTRIES, 0, 0, REGISTRIES);
    assert_int_equal(stop(w, SIGKILL), 128 + SIGKILL);
    start(w, NULL);
    for (int i = 0; i < REGISTRIES; i++) {
        expect_closed_by_time(w, ids[i], again);
        assert_string_equal(again, closed[i]);
    }
    expect_stats(w, REGISTRIES, 0, 0, REGISTRIES);
}

/* One that was connected before, and one that came meanwhile. */
static void who_asks_while_it_is_stopped_is_answered_when_it_goes_on(void **state)
{
    static const char add[] = "GET /api/Add/%s?item=%s HTTP/1.1\r\nHost: a\r\n\r\n";
    struct world *w = *state;
    struct client newcomer;
    struct answer a;
    char id[ID_SIZE], bytes[200];
    start(w, NULL);
    open_registry(w, id);
    client_init(&newcomer, w->service.port);
    hold(w);
    int len = snprintf(bytes, sizeof bytes, add, id, "a");
    assert_int_equal(client_send(&w->client, bytes, (size_t)len), 0);
    assert_int_equal(client_connect(&newcomer), 0);
    len = snprintf(bytes, sizeof bytes, add, id, "b");
    assert_int_equal(client_send(&newcomer, bytes, (size_t)len), 0);
    go_on(w);
    assert_int_equal(client_read(&w->client, false, &a), 0);
    assert_int_equal(a.status, 200);
    assert_int_equal(client_read(&newcomer, false, &a), 0);
    assert_int_equal(a.status, 200);
    client_free(&newcomer);
    expect_stats(w, 1, 2, 1, 0);
}

static void a_stop_that_is_asked_for_while_it_is_stopped_comes_when_it_goes_on(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE];
    start(w, NULL);
    open_registry(w, id);
    client_disconnect(&w->client);
    hold(w);
    assert_int_equal(kill(w->service.pid, SIGTERM), 0);
    assert_int_equal(stop(w, SIGCONT), 0);
    start(w, NULL);
    expect_stats(w, 1, 0, 1, 0);
}

/* An operator who is out of patience, oftener than code may end the process. */
static void nobody_is_set_aside_for_being_killed_while_stopped(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE];
    start(w, NULL);
    open_registry(w, id);
    for (int i = 0; i <= KILLS; i++) {
        get(w, "/api/Add/%s?item=%d", id, i);
        hold(w);
        assert_int_equal(stop(w, SIGKILL), 128 + SIGKILL);
        start(w, NULL);
    }
    expect_stats(w, 1, KILLS + 1, 1, 0);
    expect(get(w, "/api/Finish/%s", id), 200, "");
    expect_stats(w, 1, KILLS + 1, 0, 1);
}

/* ---- a function that does not return ---- */

static void spin_if_asked(void)
{
    if (!getenv("SPINS"))
        return;
    puts("spins");
    fflush(stdout);
    for (volatile bool spins = true; spins;)
        ;
}

static const ks_val *ticks(ks_orch *o)
{
    ks_await(ks_timer(o, o->now_ms + 1));
    spin_if_asked();
    return NULL;
}

static const ks_val *works(ks_orch *o)
{
    return ks_await(ks_call(o, "Spin", NULL));
}

static const ks_val *spin(ks_activity *a)
{
    spin_if_asked();
    return ks_string(a->mem, "worked");
}

static int http_start(ks_http *h)
{
    ks_start(h->out, ks_route(h, "name"), ks_route(h, "id"), NULL);
    return ks_reply_empty(h, 202);
}

static int http_spin(ks_http *h)
{
    spin_if_asked();
    return ks_reply_empty(h, 200);
}

static int http_resume(ks_http *h)
{
    ks_resume(h->out, ks_route(h, "id"), "mended");
    return ks_reply_empty(h, 202);
}

static int http_see(ks_http *h)
{
    static const char *const words[] = {[KS_MISSING] = "Missing",
                                        [KS_RUNNING] = "Running",
                                        [KS_COMPLETED] = "Completed",
                                        [KS_QUARANTINED] = "Quarantined"};
    return ks_reply_text(h, 200, "%s", words[ks_status(h, ks_route(h, "id"))]);
}

static const ks_function functions[] = {
    KS_ORCHESTRATION("Ticks", ticks),
    KS_ORCHESTRATION("Works", works),
    KS_ACTIVITY("Spin", spin),
    KS_HTTP("Start", "GET", "Start/{name}/{id}", 0, http_start),
    KS_HTTP("Spin", "GET", "Spin", 0, http_spin),
    KS_HTTP("Resume", "GET", "Resume/{id}", 0, http_resume),
    KS_HTTP("See", "GET", "See/{id}", 0, http_see),
    KS_END,
};

static const char *const spins[] = {"SPINS=1", NULL}, *const mended[] = {NULL};

static void live(struct world *w, const char *const settings[])
{
    client_free(&w->client);
    assert_int_equal(service_start(&w->service, settings), 0);
    client_init(&w->client, w->service.port);
}

/* Asked on a connection that is not waited for. */
static void send_get(struct world *w, const char *path)
{
    char bytes[200];
    int len = snprintf(bytes, sizeof bytes, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    assert_int_equal(client_connect(&w->client), 0);
    assert_int_equal(client_send(&w->client, bytes, (size_t)len), 0);
}

static void await_spin(struct world *w)
{
    char output[OUTPUT_MAX] = "";
    for (int polls = 0; polls < POLLS_MAX && !strstr(output, "spins\n"); polls++) {
        nap_ms(1);
        output_read(w->service.output, output, sizeof output);
    }
    assert_non_null(strstr(output, "spins\n"));
}

/* It does not hear SIGTERM: that is for the loop, which has not its turn. */
static void end_the_spin(struct world *w)
{
    await_spin(w);
    assert_int_equal(kill(w->service.pid, SIGTERM), 0);
    assert_int_equal(stop(w, SIGKILL), 128 + SIGKILL);
}

static void an_orchestration_that_never_returns_is_set_aside_after_three_kills(void **state)
{
    struct world *w = *state;
    live(w, spins);
    send_get(w, "/api/Start/Ticks/a");
    end_the_spin(w);
    for (int kills = 1; kills < KILLS; kills++) {
        assert_int_equal(service_spawn(&w->service, spins), 0); /* it spins before it serves */
        end_the_spin(w);
    }
    live(w, spins);
    expect(get(w, "/api/See/a"), 200, "Quarantined");
    assert_int_equal(stop(w, SIGTERM), 0);
    live(w, mended);
    expect(get(w, "/api/Resume/a"), 202, "");
    expect(get(w, "/api/See/a"), 200, "Completed");
}

static void a_request_that_never_returns_is_refused_after_three_kills(void **state)
{
    struct world *w = *state;
    for (int kills = 0; kills < KILLS; kills++) {
        live(w, spins);
        send_get(w, "/api/Spin");
        end_the_spin(w);
    }
    live(w, spins);
    expect_problem(get(w, "/api/Spin"), 500);
    expect(get(w, "/api/See/a"), 200, "Missing");
    assert_int_equal(stop(w, SIGTERM), 0);
    live(w, mended);
    expect(get(w, "/api/Spin"), 200, "");
}

static bool is_listening(struct world *w)
{
    client_disconnect(&w->client);
    return client_connect(&w->client) == 0;
}

/* It holds its thread, and the end of the process; nobody else. */
static void an_activity_that_never_returns_keeps_nobody_but_the_end(void **state)
{
    struct world *w = *state;
    live(w, spins);
    expect(get(w, "/api/Start/Works/a"), 202, "");
    await_spin(w);
    expect(get(w, "/api/See/a"), 200, "Running");
    expect(get(w, "/api/See/b"), 200, "Missing");
    assert_int_equal(kill(w->service.pid, SIGTERM), 0);
    for (int polls = 0; polls < POLLS_MAX && is_listening(w); polls++)
        nap_ms(1);
    assert_false(is_listening(w));
    assert_false(service_has_ended(&w->service));
    assert_int_equal(stop(w, SIGKILL), 128 + SIGKILL);
    live(w, mended);
    for (int polls = 0; polls < POLLS_MAX; polls++) {
        if (strcmp(get(w, "/api/See/a")->body, "Running") != 0)
            break;
        nap_ms(1);
    }
    expect(&w->answer, 200, "Completed");
}

#define STOPPED(name) cmocka_unit_test_setup_teardown(name, set_up_stopped, tear_down)
#define SPINNING(name) cmocka_unit_test_setup_teardown(name, set_up_here, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        STOPPED(what_falls_due_while_it_is_stopped_is_done_once),
        STOPPED(who_asks_while_it_is_stopped_is_answered_when_it_goes_on),
        STOPPED(a_stop_that_is_asked_for_while_it_is_stopped_comes_when_it_goes_on),
        STOPPED(nobody_is_set_aside_for_being_killed_while_stopped),
        SPINNING(an_orchestration_that_never_returns_is_set_aside_after_three_kills),
        SPINNING(a_request_that_never_returns_is_refused_after_three_kills),
        SPINNING(an_activity_that_never_returns_keeps_nobody_but_the_end),
    };
    if (argc > 1)
        return ks_main(argc, argv, functions);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
