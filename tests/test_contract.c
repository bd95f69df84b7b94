/* test_contract.c - what the registry promises over HTTP
 *
 * Each claim is held against the real binary, which is started on a folder of its own for each
 * test. Claims that differ only in what is sent are rows of a table; each row is a test.
 */
#include "contract.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY "0123456789abcdef0123456789abcdef"

/* Something to send, and what it must be answered with. */
struct row {
    const char *claim;
    const char *type; /* of a POST */
    const char *text;
    size_t len; /* of text, when it holds NUL; else 0 */
    int status;
};

#define ROW(claim_, text_, status_) \
    { \
        claim_, NULL, text_, sizeof(text_) - 1, status_ \
    }
#define POST_ROW(claim_, type_, text_, status_) \
    { \
        claim_, type_, text_, sizeof(text_) - 1, status_ \
    }

/* ---- GET, as in the original --------------------------------------------------------------- */

static void open_answers_with_an_id(void **state)
{
    const struct answer *a = get(*state, "/api/Open");
    assert_int_equal(a->status, 200);
    expect_header(a, "Content-Type", "text/plain; charset=utf-8");
    assert_int_equal(a->body_len, 32);
    assert_int_equal(strspn(a->body, "0123456789abcdef"), 32);
}

static void ids_are_unlike(void **state)
{
    char id[ID_SIZE], other[ID_SIZE];
    open_registry(*state, id);
    open_registry(*state, other);
    assert_string_not_equal(id, other);
}

static void add_and_finish_answer_empty(void **state)
{
    char id[ID_SIZE];
    open_registry(*state, id);
    expect(get(*state, "/api/Add/%s?item=Commodore+64", id), 200, "");
    expect(get(*state, "/api/Finish/%s", id), 200, "");
}

static void stats_are_zeros_first_and_then_count(void **state)
{
    char id[ID_SIZE], other[ID_SIZE];
    expect_stats(*state, 0, 0, 0, 0);
    expect_header(&((struct world *)*state)->answer, "Content-Type", "application/json");
    open_registry(*state, id);
    open_registry(*state, other);
    expect_stats(*state, 2, 0, 2, 0);
    for (int i = 0; i < 3; i++)
        expect(get(*state, "/api/Add/%s?item=%d", i ? id : other, i), 200, "");
    expect(get(*state, "/api/Finish/%s", id), 200, "");
    expect_stats(*state, 2, 3, 1, 1);
}

static void peek_shows_an_open_registry(void **state)
{
    char id[ID_SIZE];
    open_registry(*state, id);
    expect_like(get(*state, "/api/Peek/%s", id),
                "{\"status\":\"Open\",\"registry\":{\"id\":\"#\",\"items\":[]},\"closesAt\":\"@\"}",
                id);
    expect_header(&((struct world *)*state)->answer, "Content-Type", "application/json");
    get(*state, "/api/Add/%s?item=Commodore+64", id);
    get(*state, "/api/Add/%s?item=Atari%%202600", id);
    expect_like(get(*state, "/api/Peek/%s", id),
                "{\"status\":\"Open\",\"registry\":{\"id\":\"#\",\"items\":[\"Commodore 64\","
                "\"Atari 2600\"]},\"closesAt\":\"@\"}",
                id);
}

static void peek_shows_who_closed_and_when(void **state)
{
    char id[ID_SIZE];
    open_registry(*state, id);
    get(*state, "/api/Add/%s?item=Commodore+64", id);
    get(*state, "/api/Finish/%s", id);
    expect_like(get(*state, "/api/Peek/%s", id),
                "{\"status\":\"Closed\",\"registry\":{\"id\":\"#\",\"items\":[\"Commodore 64\"]},"
                "\"closesAt\":\"@\",\"closedAt\":\"@\",\"closedBy\":\"user\","
                "\"processing\":\"none\"}",
                id);
}

static void a_registry_stays_open_for_five_minutes(void **state)
{
    char id[ID_SIZE], text[32];
    int64_t before_ms = wall_ms();
    open_registry(*state, id);
    assert_true(json_text(get(*state, "/api/Peek/%s", id)->body, "closesAt", text, sizeof text));
    /* The engine's time only moves forward; it need not be the wall's to the millisecond. */
    assert_in_range(time_of(text), before_ms + 299900, wall_ms() + 300100);
}

static void wrong_requests_get_the_original_texts(void **state)
{
    static const char unknown[] = "Unable to find workflow with id " NOBODY;
    char id[ID_SIZE], text[128];
    open_registry(*state, id);
    expect_bad(get(*state, "/api/Add/%s", id), "Item is required as a querystring parameter");
    expect_bad(get(*state, "/api/Add/" NOBODY "?item=a"), unknown);
    expect_bad(get(*state, "/api/Finish/" NOBODY), unknown);
    expect_bad(get(*state, "/api/Peek/" NOBODY), unknown);
    expect_bad(get(*state, "/api/Peek/a%%20b"), "Unable to find workflow with id a b");
    get(*state, "/api/Finish/%s", id);
    snprintf(text, sizeof text, "Instance %s is not active.", id);
    expect_bad(get(*state, "/api/Add/%s?item=a", id), text);
    expect_bad(get(*state, "/api/Finish/%s", id), text);
}

static void a_missing_id_is_named(void **state)
{
    static const char *const blanks[] = {"", "/", "/%20"};
    for (size_t i = 0; i < 3; i++) {
        expect_bad(get(*state, "/api/Add%s?item=a", blanks[i]),
                   "Id is required after Add/ on the route.");
        expect_bad(get(*state, "/api/Finish%s", blanks[i]),
                   "Id is required after Finish/ on the route.");
        expect_refused(get(*state, "/api/Peek%s", blanks[i]));
        assert_non_null(strstr(((struct world *)*state)->answer.body, "Id is required after "));
    }
}

static void route_names_are_read_in_any_case_and_ids_are_not(void **state)
{
    char id[ID_SIZE];
    memcpy(id, get(*state, "/API/open")->body, ID_SIZE);
    expect(get(*state, "/api/aDD/%s?item=a", id), 200, "");
    assert_int_equal(get(*state, "/Api/PEEK/%s", id)->status, 200);
    assert_int_equal(get(*state, "/api/stats")->status, 200);
    for (char *at = id; *at; at++)
        *at = (char)(*at >= 'a' ? *at - 32 : *at);
    assert_int_equal(get(*state, "/api/Peek/%s", id)->status, 400);
}

static void closed_registries_take_nothing(void **state)
{
    char id[ID_SIZE];
    open_registry(*state, id);
    get(*state, "/api/Finish/%s", id);
    get(*state, "/api/Add/%s?item=late", id);
    assert_null(strstr(get(*state, "/api/Peek/%s", id)->body, "late"));
}

/* ---- POST, as today ------------------------------------------------------------------------ */

static void post_open_creates(void **state)
{
    char id[ID_SIZE], location[64];
    const struct answer *a = post(*state, "Open", NULL, NULL, NULL);
    assert_int_equal(a->status, 201);
    assert_true(json_text(a->body, "id", id, sizeof id));
    expect_like(a, "{\"id\":\"#\",\"status\":\"Open\",\"closesAt\":\"@\"}", id);
    expect_header(a, "Content-Type", "application/json");
    snprintf(location, sizeof location, "/api/Peek/%s", id);
    expect_header(a, "Location", location);
    assert_int_equal(get(*state, "%s", location)->status, 200);
}

static void post_add_takes_json_and_text(void **state)
{
    static const char pattern[] = "{\"id\":\"#\",\"itemsCount\":0}";
    static const char *const types[] = {"application/json", "text/plain",
                                        "application/json; charset=utf-8",
                                        "text/plain;charset=UTF-8"};
    char id[ID_SIZE], wanted[64];
    open_registry(*state, id);
    for (int i = 0; i < 4; i++) {
        const struct answer *a = post(*state, to("Add/", id), types[i],
                                      i % 2 ? "C 64+%20" : "{\"item\": \"C 64+%20\"}", NULL);
        assert_int_equal(a->status, 200);
        snprintf(wanted, sizeof wanted, "%s", pattern);
        *strrchr(wanted, '0') = (char)('1' + i);
        expect_like(a, wanted, id);
        expect_header(a, "Content-Type", "application/json");
    }
    assert_non_null(strstr(get(*state, "/api/Peek/%s", id)->body,
                           "[\"C 64+%20\",\"C 64+%20\",\"C 64+%20\",\"C 64+%20\"]"));
}

static void post_finish_says_how_it_ended_as_peek_does(void **state)
{
    static const char *const keys[] = {"closesAt", "closedAt", "closedBy"};
    char id[ID_SIZE], said[3][32], peeked[32];
    open_registry(*state, id);
    const struct answer *a = post(*state, to("Finish/", id), NULL, NULL, NULL);
    assert_int_equal(a->status, 200);
    expect_like(a,
                "{\"id\":\"#\",\"status\":\"Closed\",\"closesAt\":\"@\",\"closedAt\":\"@\","
                "\"closedBy\":\"user\"}",
                id);
    for (size_t i = 0; i < 3; i++)
        json_text(a->body, keys[i], said[i], sizeof said[i]);
    a = get(*state, "/api/Peek/%s", id);
    for (size_t i = 0; i < 3; i++) {
        json_text(a->body, keys[i], peeked, sizeof peeked);
        assert_string_equal(peeked, said[i]);
    }
}

static const struct row refused_posts[] = {
    POST_ROW("json_that_ends_early_is_400", "application/json", "{\"item\":", 400),
    POST_ROW("json_with_something_behind_is_400", "application/json", "{\"item\":\"a\"}x", 400),
    POST_ROW("json_without_item_is_422", "application/json", "{}", 422),
    POST_ROW("json_item_that_is_no_text_is_422", "application/json", "{\"item\":7}", 422),
    POST_ROW("json_that_is_no_object_is_422", "application/json", "[\"item\"]", 422),
    POST_ROW("empty_item_in_json_is_422", "application/json", "{\"item\":\"\"}", 422),
    POST_ROW("empty_text_is_422", "text/plain", "", 422),
    POST_ROW("other_content_type_is_415", "image/png", "a", 415),
    POST_ROW("another_type_with_json_in_its_name_is_415", "application/jsonp", "{\"item\":\"a\"}",
             415),
    POST_ROW("text_that_is_not_utf8_is_refused", "text/plain", "a\xff", 0),
    POST_ROW("json_that_is_not_utf8_is_refused", "application/json", "{\"item\":\"a\xff\"}", 0),
    POST_ROW("json_with_half_a_surrogate_is_refused", "application/json", "{\"item\":\"\\ud800\"}",
             0),
    POST_ROW("json_with_item_twice_is_refused", "application/json",
             "{\"item\":\"a\",\"item\":\"b\"}", 0),
};

/* Status 0: 400 or 422, as one sees it. */
static void a_post_is_refused(void **state)
{
    struct world *w = *state;
    const struct row *row = w->row;
    char id[ID_SIZE];
    open_registry(w, id);
    const struct answer *a = ask(w, (struct ask){.method = "POST",
                                                 .path = to("/api/Add/", id),
                                                 .type = row->type,
                                                 .body = row->text,
                                                 .body_len = row->len});
    expect_problem(a, row->status ? row->status : a->status == 422 ? 422 : 400);
    expect_stats(w, 1, 0, 1, 0);
}

static void post_to_an_unknown_id_is_404(void **state)
{
    expect_problem(post(*state, "Add/" NOBODY, "text/plain", "a", NULL), 404);
    expect_problem(post(*state, "Finish/" NOBODY, NULL, NULL, NULL), 404);
}

static void post_to_a_closed_one_is_409(void **state)
{
    char id[ID_SIZE];
    open_registry(*state, id);
    post(*state, to("Finish/", id), NULL, NULL, NULL);
    expect_problem(post(*state, to("Add/", id), "text/plain", "a", NULL), 409);
    expect_problem(post(*state, to("Finish/", id), NULL, NULL, NULL), 409);
    expect_stats(*state, 1, 0, 0, 1);
}

/* ---- Idempotency-Key ----------------------------------------------------------------------- */

static const struct answer *get_with_key(struct world *w, const char *path, const char *key)
{
    return ask(w, (struct ask){.path = path, .key = key});
}

static void open_with_a_key_opens_once(void **state)
{
    char body[256], id[ID_SIZE];
    snprintf(body, sizeof body, "%s", post(*state, "Open", NULL, NULL, "k-1")->body);
    expect(post(*state, "Open", NULL, NULL, "k-1"), 201, body);
    expect_stats(*state, 1, 0, 1, 0);
    snprintf(id, sizeof id, "%s", get_with_key(*state, "/api/Open", "k-2")->body);
    expect(get_with_key(*state, "/api/Open", "k-2"), 200, id);
    expect_stats(*state, 2, 0, 2, 0);
}

static void add_with_a_key_adds_once(void **state)
{
    char id[ID_SIZE], body[256];
    open_registry(*state, id);
    snprintf(body, sizeof body, "%s", post(*state, to("Add/", id), "text/plain", "a", "k")->body);
    post(*state, to("Add/", id), "text/plain", "b", NULL);
    expect(post(*state, to("Add/", id), "text/plain", "a", "k"), 200, body);
    assert_non_null(strstr(get(*state, "/api/Peek/%s", id)->body, "\"items\":[\"a\",\"b\"]"));
    char path[128];
    snprintf(path, sizeof path, "/api/Add/%s?item=c", id);
    expect(get_with_key(*state, path, "k-get"), 200, "");
    expect(get_with_key(*state, path, "k-get"), 200, "");
    expect_stats(*state, 1, 3, 1, 0);
}

static void a_repeat_answers_as_the_first_after_the_close_too(void **state)
{
    char id[ID_SIZE], body[256];
    open_registry(*state, id);
    snprintf(body, sizeof body, "%s", post(*state, to("Add/", id), "text/plain", "a", "k")->body);
    post(*state, to("Finish/", id), NULL, NULL, NULL);
    expect(post(*state, to("Add/", id), "text/plain", "a", "k"), 200, body);
    expect_stats(*state, 1, 1, 0, 1);
}

static void a_key_for_another_request_is_422(void **state)
{
    char id[ID_SIZE], other[ID_SIZE];
    open_registry(*state, id);
    open_registry(*state, other);
    assert_int_equal(post(*state, to("Add/", id), "text/plain", "a", "k")->status, 200);
    expect_problem(post(*state, to("Add/", id), "text/plain", "b", "k"), 422);
    expect_problem(post(*state, to("Add/", other), "text/plain", "a", "k"), 422);
    expect_problem(post(*state, "Open", NULL, NULL, "k"), 422);
    expect_stats(*state, 2, 1, 2, 0);
}

/* ---- items --------------------------------------------------------------------------------- */

static const struct row exact_items[] = {
    ROW("quotes_come_back", "say \"hello\" or 'bye' \\ \\\\ \\\"", 0),
    ROW("newlines_and_control_characters_come_back", "a\nb\r\nc\td\x01\x1f\x7f", 0),
    ROW("emoji_come_back", "\xf0\x9f\x8e\x81 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80", 0),
    ROW("nul_comes_back", "before\0after", 0),
    ROW("what_looks_like_an_escape_comes_back", "%41 \\u0041 &amp; a&b=c;d#e?f/g", 0),
    ROW("plus_and_blanks_come_back", " 1 + 1  = 2 ", 0),
    ROW("rare_characters_come_back", "\xe2\x80\xa8\xef\xbb\xbf\xef\xbf\xbf\xc2\xa0\xf4\x8f\xbf\xbf",
        0),
    ROW("one_byte_comes_back", "x", 0),
};

static size_t put_json(const char *text, size_t len, char *ret)
{
    char *at = stpcpy(ret, "{\"item\":\"");
    for (size_t i = 0; i < len; i++) {
        if (iscntrl((unsigned char)text[i]) || strchr("\"\\", text[i]))
            at += sprintf(at, "\\u%04x", (unsigned char)text[i]);
        else
            *at++ = text[i];
    }
    return (size_t)(stpcpy(at, "\"}") - ret);
}

/* By GET, by text and by JSON, each into a registry of its own. */
static void expect_exact(struct world *w, const char *item, size_t len)
{
    static char encoded[3 * ITEM_MAX + 1], json[6 * ITEM_MAX + 32];
    char id[ID_SIZE];
    url_encode(item, len, encoded);
    open_registry(w, id);
    expect(get(w, "/api/Add/%s?item=%s", id, encoded), 200, "");
    expect_only_item(w, id, item, len);
    open_registry(w, id);
    struct ask text = {.method = "POST",
                       .path = to("/api/Add/", id),
                       .type = "text/plain",
                       .body = item,
                       .body_len = len};
    assert_int_equal(ask(w, text)->status, 200);
    expect_only_item(w, id, item, len);
    open_registry(w, id);
    text.path = to("/api/Add/", id);
    text.type = "application/json";
    text.body = json;
    text.body_len = put_json(item, len, json);
    assert_int_equal(ask(w, text)->status, 200);
    expect_only_item(w, id, item, len);
}

static void an_item_comes_back_exactly(void **state)
{
    struct world *w = *state;
    const struct row *row = w->row;
    expect_exact(w, row->text, row->len);
}

static void items_of_8192_bytes_come_back(void **state)
{
    char item[ITEM_MAX];
    memset(item, 'a', sizeof item);
    expect_exact(*state, item, sizeof item);
    for (size_t i = 0; i < sizeof item; i += 4)
        memcpy(item + i, "\xf0\x9f\x8e\x81", 4);
    expect_exact(*state, item, sizeof item);
}

static void longer_items_are_refused(void **state)
{
    char id[ID_SIZE], item[ITEM_MAX + 2];
    open_registry(*state, id);
    memset(item, 'a', sizeof item);
    item[ITEM_MAX + 1] = 0;
    expect_refused(get(*state, "/api/Add/%s?item=%s", id, item));
    const struct answer *a = post(*state, to("Add/", id), "text/plain", item, NULL);
    expect_problem(a, a->status == 413 ? 413 : 422);
    expect_stats(*state, 1, 0, 1, 0);
}

static void a_plus_is_a_blank_in_a_query(void **state)
{
    char id[ID_SIZE];
    open_registry(*state, id);
    get(*state, "/api/Add/%s?item=1+%%2B+1", id);
    expect_only_item(*state, id, "1 + 1", 5);
}

static const struct row refused_queries[] = {
    ROW("an_empty_item_is_refused", "item=", 0),
    ROW("an_item_without_a_value_is_refused", "item", 0),
    ROW("an_item_given_twice_is_refused", "item=a&item=b", 0),
    ROW("an_item_given_twice_the_same_is_refused", "item=a&x=1&item=a", 0),
    ROW("a_byte_that_utf8_does_not_have_is_refused", "item=a%FF", 0),
    ROW("overlong_utf8_is_refused", "item=%C0%80", 0),
    ROW("a_surrogate_in_utf8_is_refused", "item=%ED%A0%80", 0),
    ROW("utf8_that_ends_early_is_refused", "item=%E2%82", 0),
    ROW("utf8_beyond_the_last_character_is_refused", "item=%F4%90%80%80", 0),
};

static void a_query_is_refused(void **state)
{
    struct world *w = *state;
    const struct row *row = w->row;
    char id[ID_SIZE];
    open_registry(w, id);
    expect_refused(get(w, "/api/Add/%s?%s", id, row->text));
    expect_stats(w, 1, 0, 1, 0);
}

/* ---- the rest of what every answer keeps to ------------------------------------------------ */

static void head_changes_nothing_and_has_no_body(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE], add[128];
    open_registry(w, id);
    snprintf(add, sizeof add, "/api/Add/%s?item=a", id);
    const char *const paths[] = {"/api/Open",          add,          to("/api/Finish/", id),
                                 to("/api/Peek/", id), "/api/Stats", "/admin/host/ping"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        /* A body would be taken for the next answer. */
        assert_int_equal(ask(w, (struct ask){.method = "HEAD", .path = paths[i]})->status, 200);
        expect_stats(w, 1, 0, 1, 0);
    }
}

static void answers_of_the_api_are_not_stored(void **state)
{
    char id[ID_SIZE];
    open_registry(*state, id);
    expect_header(get(*state, "/api/Open"), "Cache-Control", "no-store");
    expect_header(get(*state, "/api/Stats"), "Cache-Control", "no-store");
    expect_header(get(*state, "/api/Peek/%s", id), "Cache-Control", "no-store");
    expect_header(get(*state, "/api/Add/%s?item=a", id), "Cache-Control", "no-store");
    expect_header(get(*state, "/api/Add/%s", id), "Cache-Control", "no-store");
    expect_header(get(*state, "/api/Peek/" NOBODY), "Cache-Control", "no-store");
    expect_header(post(*state, "Open", NULL, NULL, NULL), "Cache-Control", "no-store");
    expect_header(post(*state, "Finish/" NOBODY, NULL, NULL, NULL), "Cache-Control", "no-store");
}

static void unknown_paths_are_404(void **state)
{
    static const char *const paths[] =
        {"/api/nothing",        "/nothing", "/api",      "/api/Stats/more",
         "/api/Add/a/b?item=c", "/Open",    "/api/Open2"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (get(*state, "%s", paths[i])->status != 404)
            fail_msg("%s is not 404", paths[i]);
}

static void a_wrong_verb_is_404_and_says_which_are_right(void **state)
{
    char allow[64];
    const struct answer *a = ask(*state, (struct ask){.method = "DELETE", .path = "/api/Open"});
    assert_int_equal(a->status, 404);
    answer_header(a, "Allow", allow, sizeof allow);
    assert_true(strstr(allow, "GET") && strstr(allow, "POST"));
    a = post(*state, "Stats", NULL, NULL, NULL);
    assert_int_equal(a->status, 404);
    answer_header(a, "Allow", allow, sizeof allow);
    assert_true(strstr(allow, "GET") && !strstr(allow, "POST"));
}

static void ping_answers_empty(void **state)
{
    expect(get(*state, "/admin/host/ping"), 200, "");
}

/* ---- main ---------------------------------------------------------------------------------- */

#define TEST(claim) \
    { \
#claim, claim, set_up, tear_down, NULL \
    }
#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const struct CMUnitTest claims[] = {
    TEST(open_answers_with_an_id),
    TEST(ids_are_unlike),
    TEST(add_and_finish_answer_empty),
    TEST(stats_are_zeros_first_and_then_count),
    TEST(peek_shows_an_open_registry),
    TEST(peek_shows_who_closed_and_when),
    TEST(a_registry_stays_open_for_five_minutes),
    TEST(wrong_requests_get_the_original_texts),
    TEST(a_missing_id_is_named),
    TEST(route_names_are_read_in_any_case_and_ids_are_not),
    TEST(closed_registries_take_nothing),
    TEST(post_open_creates),
    TEST(post_add_takes_json_and_text),
    TEST(post_finish_says_how_it_ended_as_peek_does),
    TEST(post_to_an_unknown_id_is_404),
    TEST(post_to_a_closed_one_is_409),
    TEST(open_with_a_key_opens_once),
    TEST(add_with_a_key_adds_once),
    TEST(a_repeat_answers_as_the_first_after_the_close_too),
    TEST(a_key_for_another_request_is_422),
    TEST(items_of_8192_bytes_come_back),
    TEST(longer_items_are_refused),
    TEST(a_plus_is_a_blank_in_a_query),
    TEST(head_changes_nothing_and_has_no_body),
    TEST(answers_of_the_api_are_not_stored),
    TEST(unknown_paths_are_404),
    TEST(a_wrong_verb_is_404_and_says_which_are_right),
    TEST(ping_answers_empty),
};

static size_t add_rows(struct CMUnitTest *tests, size_t n, const struct row *rows, size_t count,
                       CMUnitTestFunction run)
{
    for (size_t i = 0; i < count; i++)
        tests[n++] = (struct CMUnitTest){rows[i].claim, run, set_up, tear_down,
                                         (void *)(uintptr_t)&rows[i]};
    return n;
}

int main(void)
{
    static struct CMUnitTest tests[LENGTH(claims) + LENGTH(refused_posts) + LENGTH(exact_items) +
                                   LENGTH(refused_queries)];
    size_t n = LENGTH(claims);
    memcpy(tests, claims, sizeof claims);
    n = add_rows(tests, n, refused_posts, LENGTH(refused_posts), a_post_is_refused);
    n = add_rows(tests, n, exact_items, LENGTH(exact_items), an_item_comes_back_exactly);
    n = add_rows(tests, n, refused_queries, LENGTH(refused_queries), a_query_is_refused);
    return _cmocka_run_group_tests("contract", tests, n, NULL, NULL);
}
