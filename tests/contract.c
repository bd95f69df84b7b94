/* contract.c - see contract.h */
#include "contract.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLLS_MAX = 2000 };

static int try_start(struct world *w, const char *setting)
{
    const char *settings[] = {setting, NULL};
    char output[OUTPUT_MAX];
    client_free(&w->client);
    int err = service_start(&w->service, settings);
    output_read(w->service.output, output, sizeof output);
    if (err < 0)
        print_error("cannot start %s: %s\n%s", w->service.binary,
                    err == -ECHILD ? "it ended" : strerror(-err), output);
    client_init(&w->client, w->service.port);
    return err;
}

void start(struct world *w, const char *setting)
{
    assert_int_equal(try_start(w, setting), 0);
}

int stop(struct world *w, int signal_number)
{
    client_disconnect(&w->client);
    return service_stop(&w->service, signal_number);
}

static int set_up_with(void **state, const char *binary)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->client.fd = -1;
    w->row = *state;
    assert_int_equal(service_init(&w->service, binary), 0);
    *state = w;
    return 0;
}

int set_up_stopped(void **state)
{
    return set_up_with(state, service_binary());
}

int set_up_here(void **state)
{
    return set_up_with(state, "/proc/self/exe");
}

int set_up(void **state)
{
    set_up_stopped(state);
    int err = try_start(*state, NULL);
    if (err < 0)
        tear_down(state); /* cmocka would not */
    return err;
}

int tear_down(void **state)
{
    struct world *w = *state;
    client_free(&w->client);
    service_free(&w->service);
    free(w);
    return 0;
}

const struct answer *ask(struct world *w, struct ask what)
{
    int err = client_ask(&w->client, &what, &w->answer);
    if (err < 0)
        fail_msg("%s %.60s: %s", what.method ? what.method : "GET", what.path, strerror(-err));
    return &w->answer;
}

const struct answer *get(struct world *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(w->path, sizeof w->path, format, args);
    va_end(args);
    return ask(w, (struct ask){.path = w->path});
}

const struct answer *post(struct world *w, const char *route, const char *type, const char *body,
                          const char *key)
{
    size_t len = body ? strlen(body) : 0;
    snprintf(w->path, sizeof w->path, "/api/%s", route);
    return ask(w, (struct ask){.method = "POST",
                               .path = w->path,
                               .body = body ? body : "",
                               .body_len = len,
                               .type = type,
                               .key = key});
}

const char *to(const char *route, const char *id)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s%s", route, id);
    return path;
}

const struct answer *ask_raw(struct world *w, const char *bytes, size_t len)
{
    int err = client_connect(&w->client);
    if (err == 0)
        err = client_send(&w->client, bytes, len);
    if (err == 0)
        err = client_read(&w->client, false, &w->answer);
    if (err < 0)
        fail_msg("'%.60s': %s", bytes, strerror(-err));
    return &w->answer;
}

void expect(const struct answer *a, int status, const char *body)
{
    if (a->status != status)
        fail_msg("status %d instead of %d: %s", a->status, status, a->body);
    assert_string_equal(a->body, body);
}

void expect_header(const struct answer *a, const char *name, const char *starts_with)
{
    char value[256];
    answer_header(a, name, value, sizeof value);
    if (strncasecmp(value, starts_with, strlen(starts_with)) != 0)
        fail_msg("%s is '%s', expected '%s'\n%s", name, value, starts_with, a->head);
}

void expect_bad(const struct answer *a, const char *text)
{
    expect(a, 400, text);
    expect_header(a, "Content-Type", "text/plain; charset=utf-8");
}

void expect_refused(const struct answer *a)
{
    assert_int_equal(a->status, 400);
    expect_header(a, "Content-Type", "text/plain; charset=utf-8");
    assert_true(a->body_len > 10);
}

void expect_problem(const struct answer *a, int status)
{
    if (a->status != status)
        fail_msg("status %d instead of %d: %s", a->status, status, a->body);
    expect_header(a, "Content-Type", "application/problem+json");
    assert_int_equal(json_number(a->body, "status"), status);
    assert_non_null(json_find(a->body, "title"));
}

void expect_like(const struct answer *a, const char *pattern, const char *id)
{
    char time[25];
    const char *at = a->body;
    for (; *pattern; pattern++) {
        bool is_time = *pattern == '@';
        const char *wanted = *pattern == '#' ? id : (char[]){*pattern, 0};
        size_t len = is_time ? 24 : strlen(wanted);
        snprintf(time, sizeof time, "%.24s", at);
        if (is_time ? time_of(time) < 0 : strncmp(at, wanted, len) != 0)
            fail_msg("'%s' does not go on with '%s'", a->body, pattern);
        at += len;
    }
    assert_string_equal(at, "");
}

void open_registry(struct world *w, char id[static ID_SIZE])
{
    const struct answer *a = get(w, "/api/Open");
    assert_int_equal(a->status, 200);
    assert_int_equal(a->body_len, ID_SIZE - 1);
    memcpy(id, a->body, ID_SIZE);
}

void expect_stats(struct world *w, int registries, int items, int open, int closed)
{
    char text[200];
    snprintf(text, sizeof text,
             "{\"registryCount\":%d,\"itemsCount\":%d,\"openCount\":%d,\"closedCount\":%d}",
             registries, items, open, closed);
    expect(get(w, "/api/Stats"), 200, text);
}

void expect_only_item(struct world *w, const char *id, const char *item, size_t len)
{
    size_t size = 2 * (size_t)ITEM_MAX, got = 0;
    char *text = malloc(size);
    const char *at = json_find(get(w, "/api/Peek/%s", id)->body, "items");
    assert_true(at && *at == '[');
    at = json_string(at + 1, text, size, &got);
    assert_non_null(at);
    assert_int_equal(*at, ']');
    assert_int_equal(got, len);
    assert_memory_equal(text, item, len);
    free(text);
}

void await_closed(struct world *w, const char *id)
{
    char status[16] = "";
    for (int i = 0; i < POLLS_MAX && strcmp(status, "Closed") != 0; i++) {
        json_text(get(w, "/api/Peek/%s", id)->body, "status", status, sizeof status);
        nap_ms(5);
    }
    assert_string_equal(status, "Closed");
}
