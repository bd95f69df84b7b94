/* test_processor.c - the registry as a process, and a processor that is down, slow, broken, and
 * then well; the process dies in between
 *
 * Nothing here sleeps for a while and hopes: what has to come is asked for until it is there.
 */
#include "contract.h"
#include "fake_server.h"
#include "signature.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET "whsec-77aa51"
#define GOOD "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthank"
#define BROKEN "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
#define NONSENSE "\x16\x03\x01 what? \r\n\r\n\r\n"
#define CUT_SHORT "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nnot all of"

enum { POLLS_MAX = 4000, CROWD = 24 };

static struct fake_server *processor; /* of the test that runs */

#define ANSWER(text) fake_server_answer(processor, text, sizeof text - 1)
#define SILENCE() fake_server_answer(processor, NULL, 0)

static void start_registry(struct world *w)
{
    char url[64];
    const char *const settings[] = {url, "REGISTRY_PROCESSOR_SECRET=" SECRET,
                                    "http_proxy=http://127.0.0.1:1/", NULL};
    snprintf(url, sizeof url, "REGISTRY_PROCESSOR_URL=http://127.0.0.1:%u/in",
             fake_server_port(processor));
    client_free(&w->client);
    assert_int_equal(service_start(&w->service, settings), 0);
    client_init(&w->client, w->service.port);
}

static void die_and_start(struct world *w)
{
    stop(w, SIGKILL);
    start_registry(w);
}

static int set_up_processor(void **state)
{
    set_up_stopped(state);
    processor = fake_server_new();
    start_registry(*state);
    return 0;
}

static int tear_down_processor(void **state)
{
    fake_server_free(processor);
    return tear_down(state);
}

static void finish_one(struct world *w, char id[static ID_SIZE])
{
    open_registry(w, id);
    expect(get(w, "/api/Add/%s?item=Commodore+64", id), 200, "");
    expect(get(w, "/api/Finish/%s", id), 200, "");
}

static void read_processing(struct world *w, const char *id, char ret[static 16])
{
    snprintf(ret, 16, "%s", "");
    json_text(get(w, "/api/Peek/%s", id)->body, "processing", ret, 16);
}

static void expect_pending(struct world *w, const char *id)
{
    char processing[16];
    read_processing(w, id, processing);
    assert_string_equal(processing, "pending");
}

static void await_sent(struct world *w, const char *id)
{
    char processing[16] = "";
    for (int i = 0; i < POLLS_MAX && strcmp(processing, "sent") != 0; i++) {
        read_processing(w, id, processing);
        nap_ms(5);
    }
    assert_string_equal(processing, "sent");
    expect_like(get(w, "/api/Peek/%s", id),
                "{\"status\":\"Closed\",\"registry\":{\"id\":\"#\",\"items\":[\"Commodore 64\"]},"
                "\"closesAt\":\"@\",\"closedAt\":\"@\",\"closedBy\":\"user\","
                "\"processing\":\"sent\"}",
                id);
}

/* Every delivery is this registry's, with its key, the same body, and a signature of its own. */
static void expect_deliveries(const char *id, size_t count)
{
    assert_int_equal(fake_server_count(processor), count);
    const struct fake_request *first = fake_server_request(processor, 0);
    for (size_t i = 0; i < count; i++) {
        char key[64], signature[160], type[64];
        const struct fake_request *r = fake_server_request(processor, i);
        assert_int_equal(strncmp(r->text, "POST /in HTTP/1.1\r\n", 19), 0);
        fake_request_header(r, "Idempotency-Key", key, sizeof key);
        fake_request_header(r, "X-Keepsake-Signature", signature, sizeof signature);
        fake_request_header(r, "Content-Type", type, sizeof type);
        assert_string_equal(key, id);
        assert_string_equal(type, "application/json");
        assert_string_equal(r->body, first->body);
        int64_t at_s = signature_check(signature, SECRET, r->body, r->body_len);
        assert_in_range(at_s, wall_ms() / 1000 - 120, wall_ms() / 1000 + 1);
    }
    char found[ID_SIZE];
    assert_true(json_text(first->body, "id", found, sizeof found));
    assert_string_equal(found, id);
    assert_non_null(strstr(first->body, "\"items\":[\"Commodore 64\"],\"closesAt\":\""));
}

static void one_that_is_down_is_waited_for(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE];
    finish_one(w, id);
    expect_pending(w, id);
    expect_stats(w, 1, 1, 0, 1);
    die_and_start(w);
    expect_pending(w, id);
    ANSWER(GOOD);
    fake_server_open(processor);
    await_sent(w, id);
    die_and_start(w);
    await_sent(w, id);
    expect_deliveries(id, 1);
    expect_stats(w, 1, 1, 0, 1);
}

static void one_that_is_silent_does_not_see_two_registries(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE];
    SILENCE();
    fake_server_open(processor);
    finish_one(w, id);
    assert_true(fake_server_await(processor, 1));
    expect_pending(w, id);
    die_and_start(w); /* what was on its way is sent again at once */
    assert_true(fake_server_await(processor, 2));
    ANSWER(GOOD);
    await_sent(w, id);
    expect_deliveries(id, 3);
}

static void one_that_is_broken_is_tried_again(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE];
    ANSWER(BROKEN);
    fake_server_open(processor);
    finish_one(w, id);
    assert_true(fake_server_await(processor, 1));
    ANSWER(NONSENSE);
    expect_pending(w, id);
    stop(w, SIGKILL);
    start_registry(w);
    assert_true(fake_server_await(processor, 2));
    ANSWER(CUT_SHORT);
    assert_true(fake_server_await(processor, 3));
    ANSWER(GOOD);
    await_sent(w, id);
    expect_deliveries(id, 4);
}

static void the_end_does_not_wait_for_a_silent_one(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE];
    SILENCE();
    fake_server_open(processor);
    finish_one(w, id);
    assert_true(fake_server_await(processor, 1));
    int64_t since_ns = monotonic_ns();
    assert_int_equal(stop(w, SIGTERM), 0);
    assert_true(monotonic_ns() - since_ns < 15 * INT64_C(1000000000)); /* the attempt has 30 s */
    ANSWER(GOOD);
    start_registry(w);
    await_sent(w, id);
    expect_deliveries(id, 2);
}

/* More than there are threads. */
static void a_crowd_waits_and_nobody_else_does(void **state)
{
    struct world *w = *state;
    static char ids[CROWD][ID_SIZE];
    SILENCE();
    fake_server_open(processor);
    for (int i = 0; i < CROWD; i++)
        finish_one(w, ids[i]);
    assert_true(fake_server_await(processor, 16));
    expect_stats(w, CROWD, CROWD, 0, CROWD);
    ANSWER(GOOD);
    for (int i = 0; i < CROWD; i++)
        await_sent(w, ids[i]);
    for (int i = 0; i < CROWD; i++) {
        size_t seen = 0;
        for (size_t j = 0; j < fake_server_count(processor); j++) {
            char key[64];
            fake_request_header(fake_server_request(processor, j), "Idempotency-Key", key,
                                sizeof key);
            seen += strcmp(key, ids[i]) == 0;
        }
        assert_in_range(seen, 1, 2);
    }
}

static void expect_no_secret(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *bytes = malloc(1 << 20);
    size_t kept = 0, n;
    while ((n = fread(bytes + kept, 1, (1 << 20) - kept, file)) > 0) {
        if (memmem(bytes, kept + n, SECRET, strlen(SECRET)))
            fail_msg("the secret is in %s", path);
        kept = kept + n < 64 ? kept + n : 64; /* what lies across two reads */
        memmove(bytes, bytes + (n > 64 ? n - 64 : 0), kept);
    }
    free(bytes);
    fclose(file);
}

static void the_secret_is_in_no_file(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE], path[700];
    ANSWER(BROKEN);
    fake_server_open(processor);
    finish_one(w, id);
    assert_true(fake_server_await(processor, 2));
    ANSWER(GOOD);
    await_sent(w, id);
    assert_int_equal(stop(w, SIGTERM), 0);
    expect_no_secret(w->service.output);
    DIR *folder = opendir(w->service.data);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", w->service.data, entry->d_name);
        expect_no_secret(path);
    }
    closedir(folder);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up_processor, tear_down_processor)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_down_is_waited_for),
        TEST(one_that_is_silent_does_not_see_two_registries),
        TEST(one_that_is_broken_is_tried_again),
        TEST(the_end_does_not_wait_for_a_silent_one),
        TEST(a_crowd_waits_and_nobody_else_does),
        TEST(the_secret_is_in_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
