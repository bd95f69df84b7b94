/* test_server_chaos.c - random clients, random answers */
#include "server_world.h"

#include "base/die.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Whatever clients do: random requests in random pieces, random aborts and half-closes; answers in
 * random order, held or not, commits that fail. Each client sees its own answers, in order. */

enum { CHAOS_CLIENTS = 12, CHAOS_STEPS = 30000 };

struct chaos {
    struct world w;
    uint64_t seed;
    unsigned clients; /* ever */
    struct chaotic {
        struct peer client;
        struct buf unsent;
        unsigned id, asked, answered;
        bool is_half_closed;
    } c[CHAOS_CLIENTS];
};

/* xorshift64: what a seed makes is the same everywhere. */
static size_t chance(struct chaos *k, size_t below)
{
    k->seed ^= k->seed << 13;
    k->seed ^= k->seed >> 7;
    k->seed ^= k->seed << 17;
    return k->seed % below;
}

static void chaos_connect(struct chaos *k, struct chaotic *c)
{
    *c = (struct chaotic){.client = peer_open(&k->w), .id = k->clients++};
}

static void chaos_ask(struct chaos *k, struct chaotic *c)
{
    if (c->is_half_closed)
        return;
    size_t len = chance(k, 8) ? chance(k, 300) : chance(k, 20000);
    buf_printf(&c->unsent, "PUT /%u/%u HTTP/1.1\r\nHost: a\r\n", c->id, c->asked++);
    bool is_chunked = chance(k, 2);
    if (is_chunked)
        buf_printf(&c->unsent, "Transfer-Encoding: chunked\r\n\r\n%s", len ? "" : "0\r\n\r\n");
    else
        buf_printf(&c->unsent, "Content-Length: %zu\r\n\r\n", len);
    if (is_chunked && len)
        buf_printf(&c->unsent, "%zx\r\n", len);
    memset(buf_reserve(&c->unsent, len), 'x', len);
    c->unsent.len += len;
    if (is_chunked && len)
        buf_str(&c->unsent, "\r\n0\r\n\r\n");
}

static void chaos_send(struct chaotic *c, size_t len)
{
    len = len < c->unsent.len ? len : c->unsent.len;
    ssize_t n = send(c->client.fd, c->unsent.at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0)
        return;
    c->unsent.len -= (size_t)n;
    memmove(c->unsent.at, c->unsent.at + n, c->unsent.len);
}

/* The body of an answer is the target; some are large. */
static void chaos_answer(struct chaos *k)
{
    if (!k->w.asked_count)
        return;
    struct asked *asked = &k->w.asked[chance(k, k->w.asked_count)];
    struct buf body = {0};
    buf_append(&body, asked->http->target.at, asked->http->target.len);
    buf_byte(&body, ' ');
    size_t fill = chance(k, 20) ? chance(k, 50) : chance(k, 1 << 20);
    memset(buf_reserve(&body, fill), 'y', fill);
    body.len += fill;
    struct http1_answer ok = {.status = 200, .body = {body.at, body.len}};
    server_answer(asked->req, &ok, chance(k, 2));
    buf_free(&body);
    *asked = k->w.asked[--k->w.asked_count];
}

static void chaos_check(struct chaotic *c)
{
    while (has_whole_head(&c->client)) {
        char wanted[32];
        char *head = c->client.in.at;
        char *body = strstr(head, "\r\n\r\n") + 4;
        size_t len = strtoul(strstr(head, "Content-Length: ") + 16, NULL, 10);
        size_t taken = (size_t)(body - head) + len;
        if (c->client.in.len < taken)
            return;
        snprintf(wanted, sizeof wanted, "/%u/%u ", c->id, c->answered++);
        if (strncmp(head + 9, "503", 3) != 0)
            assert_memory_equal(body, wanted, strlen(wanted));
        c->client.in.len -= taken;
        memmove(head, head + taken, c->client.in.len);
    }
}

static void chaos_close(struct chaotic *c, bool is_rude)
{
    buf_free(&c->unsent);
    if (is_rude)
        peer_abort(&c->client);
    else
        peer_close(&c->client);
}

static void chaos_step(struct chaos *k)
{
    struct chaotic *c = &k->c[chance(k, CHAOS_CLIENTS)];
    switch (chance(k, 12)) {
    case 0:
    case 1:
        chaos_ask(k, c);
        return;
    case 2:
    case 3:
    case 4:
        chaos_send(c, chance(k, 4) ? 1 + chance(k, 300) : 30000);
        return;
    case 5:
    case 6:
    case 7:
        chaos_answer(k);
        return;
    case 8:
        server_release(k->w.server, chance(k, 4), "no");
        return;
    case 9:
        peer_take(&c->client, 1 + chance(k, 100000));
        chaos_check(c);
        return;
    case 10:
        turn(&k->w);
        return;
    default:
        if (chance(k, 60))
            return;
        if (!c->unsent.len && chance(k, 2)) {
            c->is_half_closed = true;
            shutdown(c->client.fd, SHUT_WR);
            return;
        }
        chaos_close(c, chance(k, 2));
        chaos_connect(k, c);
        return;
    }
}

static bool chaos_is_settled(struct chaotic *c)
{
    return c->unsent.len == 0 && c->answered == c->asked;
}

static void answers_stay_in_order_whatever_clients_do(void **state)
{
    static struct chaos k;
    (void)state;
    k = (struct chaos){.seed = 0x6b65657073616b65};
    open_world(&k.w, (struct server_limits){0});
    for (int i = 0; i < CHAOS_CLIENTS; i++)
        chaos_connect(&k, &k.c[i]);
    for (int i = 0; i < CHAOS_STEPS; i++)
        chaos_step(&k);
    for (int i = 0; i < CHAOS_CLIENTS; i++) {
        while (!chaos_is_settled(&k.c[i])) {
            chaos_send(&k.c[i], 100000);
            chaos_answer(&k);
            server_release(k.w.server, true, NULL);
            turn(&k.w);
            peer_take(&k.c[i].client, 100000);
            chaos_check(&k.c[i]);
        }
        chaos_close(&k.c[i], false);
    }
    close_world(&k.w);
}

int main(void)
{
    alarm(300); /* a test that waits for what never comes */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_stay_in_order_whatever_clients_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
