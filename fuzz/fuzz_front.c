/* Requests as bytes, all the way: parsed, routed, run, stepped, committed, answered. Every request
 * that is whole gets one answer with a status that there is; and it is the same whether all of them
 * come in one pass or each in a pass of its own, with a crash of the process before each. */
#include "fuzz.h"
#include "hub.h"

#include <stdlib.h>

enum { REQUESTS_MAX = 12, PASSES_MAX = 60 };

struct requests {
    struct buf bytes; /* what the requests point into */
    struct http1_request at[REQUESTS_MAX];
    struct hub_answer answers[REQUESTS_MAX];
    size_t count;
};

static void requests_parse(struct requests *r, const uint8_t *bytes, size_t len)
{
    size_t from = 0;
    int64_t took = 1;
    buf_append(&r->bytes, bytes, len);
    while (r->count < REQUESTS_MAX && from < len && took > 0) {
        struct http1 parser = {0};
        took = http1_parse(&parser, r->bytes.at + from, len - from, &r->at[r->count]);
        r->count += took > 0;
        from += (size_t)(took > 0 ? took : 0);
    }
}

static void pass_all(struct hub *h)
{
    for (int i = 0; i < PASSES_MAX && front_has_requests(h->front); i++)
        hub_pass(h);
}

static void ask_together(struct requests *r)
{
    static struct hub h;
    hub_open(&h, (struct partition_limits){.pass_steps = 50});
    for (size_t i = 0; i < r->count; i++)
        front_request(h.front, &r->answers[i], &r->at[i]);
    pass_all(&h);
    hub_close(&h);
}

static void ask_one_by_one(struct requests *r, bool dies)
{
    static struct hub h;
    hub_open(&h, (struct partition_limits){.pass_steps = 50});
    for (size_t i = 0; i < r->count; i++) {
        if (dies)
            hub_crash(&h);
        front_request(h.front, &r->answers[i], &r->at[i]);
        pass_all(&h);
        if (front_has_requests(h.front))
            break; /* work without end, from a request before */
    }
    hub_close(&h);
}

/* 0: nobody got so far, for work without end. */
static void check_statuses(const struct requests *r)
{
    for (size_t i = 0; i < r->count; i++) {
        int status = r->answers[i].status;
        fuzz_check(status == 0 || (status >= 200 && status < 600), "answer %zu has status %d", i,
                   status);
    }
}

static void check_same(const struct requests *a, const struct requests *b)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct hub_answer *x = &a->answers[i], *y = &b->answers[i];
        if (!x->status || !y->status)
            return;
        fuzz_check(x->status == y->status && strcmp(x->body, y->body) == 0,
                   "%.*s %.*s is answered\n%d %s\nand with a crash before it\n%d %s",
                   (int)a->at[i].method.len, a->at[i].method.at, (int)a->at[i].target.len,
                   a->at[i].target.at, x->status, x->body, y->status, y->body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct requests all[3];
    memset(all, 0, sizeof all);
    for (int i = 0; i < 3; i++)
        requests_parse(&all[i], bytes, len);
    if (all[0].count) {
        ask_together(&all[0]);
        check_statuses(&all[0]);
        ask_one_by_one(&all[1], false);
        ask_one_by_one(&all[2], true);
        check_statuses(&all[1]);
        check_same(&all[1], &all[2]);
    }
    for (int i = 0; i < 3; i++)
        buf_free(&all[i].bytes);
    return 0;
}
