/* ks_list(), ks_count(), ks_purge_all(), and what is done to instances with their children: what an
 * app sees of them. What queries find is in test_query.c. */
#include "hub.h"
#include "keepsake_test.h"
#include "run/partition_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the app ---- */

/* Starts the next of a line as its child, and waits for it, if there is to be one. */
static const ks_val *link_of_line(ks_orch *o)
{
    int64_t left = ks_int(o->input);
    if (left == 0)
        return ks_await(ks_event(o, "Go"));
    const char *id = ks_format(o->mem, "%s-%lld", o->id, (long long)left);
    return ks_await(ks_sub(o, "Line", id, ks_integer(o->mem, left - 1)));
}

static const ks_val *answers(ks_orch *o)
{
    return o->input;
}

static const ks_val *fails(ks_orch *o)
{
    return ks_fail(o->mem, "Oops", "%s failed", o->id);
}

static const ks_val *sleeps(ks_orch *o)
{
    return ks_await(ks_timer(o, o->now_ms + KS_MINUTES(1)));
}

/* Forgets each day what was over for a day. */
static const ks_val *tidies(ks_orch *o)
{
    ks_await(ks_timer(o, o->now_ms + KS_DAYS(1)));
    ks_purge_all(o->out, &(ks_filter){.created_until_ms = o->now_ms - KS_DAYS(1)}, false);
    ks_await(ks_event(o, "Go"));
    return NULL;
}

static const ks_val *count_up(ks_entity *e)
{
    ks_add(e, "n", 1);
    return NULL;
}

static ks_filter filter_of(ks_http *h)
{
    ks_filter f = {.name = ks_text(ks_query(h, "name")),
                   .id_prefix = ks_text(ks_query(h, "prefix")),
                   .parent = ks_text(ks_query(h, "parent")),
                   .tag = ks_text(ks_query(h, "tag")),
                   .tag_value = ks_text(ks_query(h, "value")),
                   .created_until_ms = atoll(ks_text(ks_query(h, "until")))};
    const char *kind = ks_text(ks_query(h, "kind"));
    if (*kind)
        f.kind = *kind == 'e' ? KS_FN_ENTITY : KS_FN_ORCHESTRATION;
    for (ks_runtime_status i = KS_PENDING; i <= KS_QUARANTINED; i++)
        if (strstr(ks_text(ks_query(h, "status")), ks_status_name(i)))
            f.statuses |= 1u << i;
    return f;
}

static int reply_page(ks_http *h, const ks_val *page)
{
    if (ks_is_error(page))
        return ks_reply_problem(h, 400, "%s", ks_text(page));
    return ks_reply_json(h, 200, page);
}

static int http_list(ks_http *h)
{
    ks_filter f = filter_of(h);
    return reply_page(h, ks_list(h, &f, atoi(ks_text(ks_query(h, "limit"))),
                                 ks_text(ks_query(h, "continuation"))));
}

static int http_count(ks_http *h)
{
    ks_filter f = filter_of(h);
    return reply_page(h, ks_count(h, &f, ks_text(ks_query(h, "continuation"))));
}

/* The ids of all. */
static int http_ids(ks_http *h)
{
    const char *ids = "", *continuation = "";
    do {
        ks_filter f = filter_of(h);
        const ks_val *page = ks_list(h, &f, 3, continuation);
        const ks_val *instances = ks_get(page, "instances");
        for (size_t i = 0; i < ks_len(instances); i++)
            ids = ks_format(h->mem, "%s %s", ids, ks_text(ks_get(ks_at(instances, i), "id")));
        continuation = ks_text(ks_get(page, "continuation"));
    } while (*continuation);
    return ks_reply_text(h, 200, "%s", *ids ? ids + 1 : "");
}

static int http_start(ks_http *h)
{
    const ks_val *input = ks_parse_json(h->mem, ks_text(ks_body(h)), ks_len(ks_body(h)));
    const char *color = ks_text(ks_query(h, "color"));
    ks_start_options how = {.due_ms = atoll(ks_text(ks_query(h, "due")))};
    if (*color)
        how.tags = ks_put(h->mem, ks_object(h->mem), "color", ks_string(h->mem, color));
    ks_start_with(h->out, ks_route(h, "name"), ks_route(h, "id"), input, &how);
    return ks_reply_empty(h, 202);
}

static int http_operate(ks_http *h)
{
    const char *id = ks_route(h, "id"), *what = ks_route(h, "what");
    if (strcmp(what, "go") == 0)
        ks_raise(h->out, id, "Go", NULL);
    else if (strcmp(what, "suspend") == 0)
        ks_suspend(h->out, id, "so");
    else if (strcmp(what, "terminate") == 0)
        ks_terminate(h->out, id, "so", true);
    else if (strcmp(what, "end") == 0)
        ks_terminate(h->out, id, "so", false);
    else if (strcmp(what, "purge") == 0)
        ks_purge(h->out, id, true);
    else
        ks_signal(h->out, (ks_ref){"Counter", id}, "Up", NULL);
    return ks_reply_empty(h, 202);
}

static int http_purge_all(ks_http *h)
{
    ks_filter f = filter_of(h);
    ks_purge_all(h->out, ks_query(h, "any") ? NULL : &f, ks_query(h, "children"));
    return ks_reply_empty(h, 202);
}

static const ks_function functions[] = {
    KS_ORCHESTRATION("Line", link_of_line),
    KS_ORCHESTRATION("Answers", answers),
    KS_ORCHESTRATION("Fails", fails),
    KS_ORCHESTRATION("Sleeps", sleeps),
    KS_ORCHESTRATION("Tidies", tidies),
    KS_ENTITY("Counter", "Up", count_up),
    KS_HTTP("List", "GET", "list", 0, http_list),
    KS_HTTP("Count", "GET", "count", 0, http_count),
    KS_HTTP("Ids", "GET", "ids", 0, http_ids),
    KS_HTTP("Start", "POST", "start/{name}/{id}", KS_IDEMPOTENT, http_start),
    KS_HTTP("Operate", "POST", "do/{what}/{id}", 0, http_operate),
    KS_HTTP("PurgeAll", "POST", "purge", 0, http_purge_all),
    KS_END,
};

/* ---- helpers ---- */

static int set_up(void **state)
{
    *state = ks_test_open(functions);
    return 0;
}

static int tear_down(void **state)
{
    ks_test_close(*state);
    return 0;
}

static void post(ks_test *t, const char *target, const char *body)
{
    const ks_answer *answer = ks_test_post(t, target, "application/json", body);
    if (answer->status != 202)
        fail_msg("%s: %d %s", target, answer->status, answer->body);
}

static void expect(ks_test *t, const char *target, const char *body)
{
    assert_string_equal(ks_test_get(t, target)->body, body);
}

static void start_many(ks_test *t, const char *function, int count)
{
    char target[64];
    for (int i = 0; i < count; i++) {
        snprintf(target, sizeof target, "/api/start/%s/%s%d", function, function, i);
        post(t, target, "1");
    }
}

/* ---- lists ---- */

static void a_list_shows_what_there_is(void **state)
{
    ks_test *t = *state;
    expect(t, "/api/list", "{\"instances\":[]}");
    post(t, "/api/start/Answers/a?color=red", "1");
    ks_test_advance(t, 1000);
    post(t, "/api/do/up/c", "");
    post(t, "/api/start/Line/p", "1");
    ks_test_advance(t, 1000);
    post(t, "/api/do/suspend/p-1", "");
    expect(t, "/api/list",
           "{\"instances\":["
           "{\"id\":\"p-1\",\"kind\":\"orchestration\",\"name\":\"Line\",\"status\":\"Suspended\","
           "\"created\":1798135201000,\"updated\":1798135202000,\"parent\":\"p\"},"
           "{\"id\":\"p\",\"kind\":\"orchestration\",\"name\":\"Line\",\"status\":\"Running\","
           "\"created\":1798135201000,\"updated\":1798135201000},"
           "{\"id\":\"@counter@c\",\"kind\":\"entity\",\"name\":\"counter\",\"status\":\"Running\","
           "\"created\":1798135201000,\"updated\":1798135201000},"
           "{\"id\":\"a\",\"kind\":\"orchestration\",\"name\":\"Answers\",\"status\":\"Completed\","
           "\"created\":1798135200000,\"updated\":1798135200000,\"tags\":{\"color\":\"red\"}}]}");
}

static void a_list_is_of_those_the_filter_takes(void **state)
{
    ks_test *t = *state;
    post(t, "/api/start/Answers/a1?color=red", "1");
    post(t, "/api/start/Answers/a2?color=blue", "1");
    post(t, "/api/start/Fails/f1", "1");
    post(t, "/api/start/Line/l", "2");
    post(t, "/api/start/Sleeps/s?due=1798135260000", "1");
    post(t, "/api/do/up/c", "");
    expect(t, "/api/ids", "@counter@c s l-2-1 l-2 l f1 a2 a1");
    expect(t, "/api/ids?name=ANSWERS", "a2 a1");
    expect(t, "/api/ids?name=counter", "@counter@c");
    expect(t, "/api/ids?kind=entity", "@counter@c");
    expect(t, "/api/ids?kind=orchestration&status=Completed,Failed", "f1 a2 a1");
    expect(t, "/api/ids?status=Pending", "s");
    expect(t, "/api/ids?status=Running&kind=orchestration", "l-2-1 l-2 l");
    expect(t, "/api/ids?prefix=l-", "l-2-1 l-2");
    expect(t, "/api/ids?parent=l", "l-2");
    expect(t, "/api/ids?tag=color", "a2 a1");
    expect(t, "/api/ids?tag=color&value=red", "a1");
    expect(t, "/api/ids?until=1798135200000", "");
    ks_test_crash(t);
    expect(t, "/api/ids?parent=l-2", "l-2-1");
    expect(t, "/api/count?name=Line", "{\"count\":3}");
    expect(t, "/api/count?name=Nobody", "{\"count\":0}");
}

static void a_page_has_a_hundred_or_what_is_asked_for_up_to_a_thousand(void **state)
{
    static const struct {
        const char *target;
        size_t count;
    } pages[] = {{"/api/list", 100}, {"/api/list?limit=7", 7}, {"/api/list?limit=2000", 1000}};
    ks_test *t = *state;
    ks_arena mem;
    start_many(t, "Answers", 1001);
    arena_init(&mem, 4096);
    for (size_t i = 0; i < 3; i++) {
        const ks_answer *answer = ks_test_get(t, pages[i].target);
        const ks_val *page = ks_parse_json(&mem, answer->body, answer->body_len);
        assert_int_equal(ks_len(ks_get(page, "instances")), pages[i].count);
        assert_true(ks_len(ks_get(page, "continuation")) > 0);
    }
    arena_free(&mem);
    expect(t, "/api/count", "{\"count\":1001}");
}

static void a_text_that_is_no_continuation_is_an_error(void **state)
{
    static const char *const bad[] = {"x", "-1", "1x", "0", "9999999999999999999999"};
    char target[64];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(target, sizeof target, "/api/list?continuation=%s", bad[i]);
        assert_int_equal(ks_test_get(*state, target)->status, 400);
        snprintf(target, sizeof target, "/api/count?continuation=%s", bad[i]);
        assert_int_equal(ks_test_get(*state, target)->status, 400);
    }
}

static void what_is_due_has_happened_before_a_list(void **state)
{
    ks_test *t = *state;
    post(t, "/api/start/Sleeps/s", "1");
    expect(t, "/api/ids?status=Running", "s");
    ks_test_advance(t, KS_MINUTES(1));
    expect(t, "/api/ids?status=Completed", "s");
}

static void answers_that_are_kept_are_not_listed(void **state)
{
    ks_test *t = *state;
    ks_test_request(t, "POST", "/api/start/Answers/a", "Idempotency-Key: 1\r\n", "1", 1);
    expect(t, "/api/ids", "a");
}

/* ---- purges ---- */

static void a_purge_of_all_takes_those_that_are_over_and_such(void **state)
{
    ks_test *t = *state;
    post(t, "/api/start/Answers/a", "1");
    post(t, "/api/start/Fails/f", "1");
    post(t, "/api/start/Fails/g", "1");
    post(t, "/api/start/Line/l", "0");
    post(t, "/api/do/up/c", "");
    post(t, "/api/purge?status=Failed,Running&prefix=f", "");
    expect(t, "/api/ids", "@counter@c l g a");
    post(t, "/api/purge?status=Running", "");
    post(t, "/api/purge?kind=entity", "");
    expect(t, "/api/ids", "@counter@c l g a");
    post(t, "/api/purge?any=1", "");
    expect(t, "/api/ids", "@counter@c l");
    ks_test_crash(t);
    expect(t, "/api/ids", "@counter@c l");
    assert_non_null(strstr(ks_test_log(t), "instances purged: 1\n"));
    assert_non_null(strstr(ks_test_log(t), "instances purged: 2\n"));
}

static void a_purge_of_all_takes_thousands(void **state)
{
    ks_test *t = *state;
    start_many(t, "Answers", 2600);
    post(t, "/api/start/Line/l", "0");
    post(t, "/api/purge?name=answers", "");
    expect(t, "/api/ids", "l");
    assert_non_null(strstr(ks_test_log(t), "instances purged: 2600\n"));
}

static void a_purge_of_all_takes_children_that_are_not_such(void **state)
{
    ks_test *t = *state;
    post(t, "/api/start/Line/l", "2");
    post(t, "/api/do/go/l-2-1", "");
    post(t, "/api/purge?prefix=l&parent=nobody", "");
    expect(t, "/api/ids", "l-2-1 l-2 l");
    post(t, "/api/purge?until=1798135200001&children=1", "");
    expect(t, "/api/ids", "");
    assert_null(strstr(ks_test_log(t), "was not taken"));
}

static void an_orchestration_forgets_each_day_what_is_old(void **state)
{
    ks_test *t = *state;
    post(t, "/api/start/Answers/old", "1");
    post(t, "/api/start/Tidies/t", "1");
    ks_test_advance(t, KS_DAYS(1) / 2);
    post(t, "/api/start/Answers/young", "1");
    ks_test_advance(t, KS_DAYS(1) / 2);
    expect(t, "/api/ids", "young t old"); /* it is no day older than a day */
    post(t, "/api/start/Tidies/u", "1");
    ks_test_evict(t);
    ks_test_advance(t, KS_DAYS(1));
    expect(t, "/api/ids", "u t");
    ks_test_crash(t);
    post(t, "/api/do/go/u", "");
    expect(t, "/api/ids?status=Completed", "u");
}

/* ---- a purge goes on in parts ---- */

static size_t count_all(struct hub *h)
{
    const ks_filter any = {.kind = KS_FN_ORCHESTRATION};
    struct query query = {.filter = &any, .is_count = true};
    struct query_page page;
    partition_query(h->partition, &query, &page);
    return page.count;
}

static void purge_everything(struct hub *h)
{
    ks_outbox out;
    partition_begin(h->partition);
    partition_step(h->partition, &out);
    ks_purge_all(&out, NULL, false);
    partition_send(h->partition, &out);
    assert_int_equal(partition_commit(h->partition), 0);
}

static void a_purge_of_all_is_one_part_a_pass_and_outlives_a_crash(void **state)
{
    static struct hub h;
    (void)state;
    hub_open(&h, (struct partition_limits){0});
    for (int i = 0; i < 700; i++)
        assert_int_equal(hub_ask(&h, "POST", "null", "/api/start/Nobody/%d", i)->status, 202);
    purge_everything(&h);
    assert_int_equal(count_all(&h), 450);
    assert_int_equal(partition_next_ms(h.partition), partition_now_ms(h.partition));
    hub_crash(&h);
    assert_int_equal(count_all(&h), 450);
    /* A request is answered in between, and what it starts is not touched. */
    hub_line(&h, "POST", "null", "/api/start/Nobody/late");
    assert_true(hub_pass(&h));
    assert_int_equal(count_all(&h), 201);
    hub_settle(&h);
    assert_int_equal(count_all(&h), 1);
    assert_non_null(memmem(h.log.at, h.log.len, "instances purged: 700\n", 22));
    hub_close(&h);
}

static void what_a_list_saw_waits_for_its_commit(void **state)
{
    static struct hub h;
    ks_outbox out;
    (void)state;
    hub_open(&h, (struct partition_limits){0});
    partition_begin(h.partition);
    partition_step(h.partition, &out);
    assert_int_equal(count_all(&h), 0);
    assert_false(partition_is_gated(h.partition));
    ks_start(&out, "Waiter", "w", NULL);
    partition_send(h.partition, &out);
    partition_step(h.partition, &out);
    assert_int_equal(count_all(&h), 1);
    assert_true(partition_is_gated(h.partition));
    assert_int_equal(partition_commit(h.partition), 0);
    partition_begin(h.partition);
    partition_step(h.partition, &out);
    assert_int_equal(count_all(&h), 1);
    assert_false(partition_is_gated(h.partition));
    hub_close(&h);
}

/* ---- trees ---- */

/* The statuses of l, its child and its grandchild. */
static void expect_line(ks_test *t, const char *want)
{
    static const char *const ids[] = {"l", "l-2", "l-2-1"};
    const char *statuses[] = {"Missing", "Missing", "Missing"};
    char got[128];
    ks_arena mem;
    arena_init(&mem, 4096);
    const ks_answer *answer = ks_test_get(t, "/api/list");
    const ks_val *page = ks_parse_json(&mem, answer->body, answer->body_len);
    const ks_val *instances = ks_get(page, "instances");
    for (size_t i = 0; i < ks_len(instances); i++)
        for (size_t k = 0; k < 3; k++)
            if (strcmp(ks_text(ks_get(ks_at(instances, i), "id")), ids[k]) == 0)
                statuses[k] = ks_text(ks_get(ks_at(instances, i), "status"));
    snprintf(got, sizeof got, "%s %s %s", statuses[0], statuses[1], statuses[2]);
    arena_free(&mem);
    assert_string_equal(got, want);
}

static void quarantine(ks_test *t, const char *id)
{
    for (int i = 0; i < 3; i++)
        ks_test_die_in(t, id);
}

static void a_tree_is_terminated_to_its_leaves(void **state)
{
    ks_test *t = *state;
    post(t, "/api/start/Line/l", "2");
    expect_line(t, "Running Running Running");
    post(t, "/api/do/terminate/l", "");
    expect_line(t, "Terminated Terminated Terminated");
}

static void a_tree_is_terminated_though_some_of_it_is_suspended(void **state)
{
    ks_test *t = *state;
    post(t, "/api/start/Line/l", "2");
    post(t, "/api/do/suspend/l-2", "");
    post(t, "/api/do/suspend/l-2-1", "");
    expect_line(t, "Running Suspended Suspended");
    ks_test_crash(t);
    post(t, "/api/do/terminate/l", "");
    expect_line(t, "Terminated Terminated Terminated");
}

static void a_tree_is_terminated_though_some_of_it_is_quarantined(void **state)
{
    ks_test *t = *state;
    post(t, "/api/start/Line/l", "2");
    quarantine(t, "l-2");
    quarantine(t, "l-2-1");
    expect_line(t, "Running Quarantined Quarantined");
    post(t, "/api/do/terminate/l", "");
    expect_line(t, "Terminated Terminated Terminated");
}

static void children_go_on_when_only_their_parent_is_terminated(void **state)
{
    ks_test *t = *state;
    post(t, "/api/start/Line/l", "2");
    post(t, "/api/do/end/l", "");
    expect_line(t, "Terminated Running Running");
    post(t, "/api/do/go/l-2-1", "");
    expect_line(t, "Terminated Completed Completed");
}

static void a_tree_that_is_over_is_purged_to_its_leaves(void **state)
{
    ks_test *t = *state;
    post(t, "/api/start/Line/l", "2");
    post(t, "/api/do/go/l-2-1", "");
    expect_line(t, "Completed Completed Completed");
    ks_test_crash(t);
    post(t, "/api/do/purge/l", "");
    expect_line(t, "Missing Missing Missing");
    ks_test_crash(t);
    expect_line(t, "Missing Missing Missing");
}

static void a_purge_stops_at_a_child_that_is_not_over(void **state)
{
    static const char *const how[] = {"Running", "Suspended", "Quarantined"};
    for (int i = 0; i < 3; i++) {
        ks_test *t = *state;
        char want[64];
        post(t, "/api/start/Line/l", "2");
        if (i == 1)
            post(t, "/api/do/suspend/l-2-1", "");
        if (i == 2)
            quarantine(t, "l-2-1");
        post(t, "/api/do/end/l", "");
        post(t, "/api/do/end/l-2", "");
        snprintf(want, sizeof want, "Terminated Terminated %s", how[i]);
        expect_line(t, want);
        post(t, "/api/do/purge/l", "");
        snprintf(want, sizeof want, "Missing Missing %s", how[i]);
        expect_line(t, want);
        assert_non_null(strstr(ks_test_log(t), "is not over"));
        post(t, "/api/do/end/l-2-1", "");
        post(t, "/api/do/purge/l-2-1", "");
        expect_line(t, "Missing Missing Missing");
    }
}

static void what_is_not_over_keeps_what_hangs_on_it(void **state)
{
    ks_test *t = *state;
    post(t, "/api/start/Line/l", "2");
    post(t, "/api/do/end/l-2-1", ""); /* fails l-2, and that l */
    expect_line(t, "Failed Failed Terminated");
    post(t, "/api/start/Line/l", "2");
    expect_line(t, "Running Running Running");
    post(t, "/api/do/end/l", "");
    post(t, "/api/do/purge/l", "");
    expect_line(t, "Missing Running Running");
}

int main(void)
{
#define CLAIM(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(a_list_shows_what_there_is),
        CLAIM(a_list_is_of_those_the_filter_takes),
        CLAIM(a_page_has_a_hundred_or_what_is_asked_for_up_to_a_thousand),
        CLAIM(a_text_that_is_no_continuation_is_an_error),
        CLAIM(what_is_due_has_happened_before_a_list),
        CLAIM(answers_that_are_kept_are_not_listed),
        CLAIM(a_purge_of_all_takes_those_that_are_over_and_such),
        CLAIM(a_purge_of_all_takes_thousands),
        CLAIM(a_purge_of_all_takes_children_that_are_not_such),
        CLAIM(an_orchestration_forgets_each_day_what_is_old),
        cmocka_unit_test(what_a_list_saw_waits_for_its_commit),
        cmocka_unit_test(a_purge_of_all_is_one_part_a_pass_and_outlives_a_crash),
        CLAIM(a_tree_is_terminated_to_its_leaves),
        CLAIM(a_tree_is_terminated_though_some_of_it_is_suspended),
        CLAIM(a_tree_is_terminated_though_some_of_it_is_quarantined),
        CLAIM(children_go_on_when_only_their_parent_is_terminated),
        CLAIM(a_tree_that_is_over_is_purged_to_its_leaves),
        CLAIM(a_purge_stops_at_a_child_that_is_not_over),
        CLAIM(what_is_not_over_keeps_what_hangs_on_it),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
