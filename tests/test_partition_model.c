/* The partition against a model, at random: lists that are added to, chained, deleted and read,
 * timers and events, several requests a pass, with commits that are refused, crashes, time, and
 * limits of every size. The model knows what every list has after each acknowledged pass; every
 * answer is compared with it. A failure names its seed. */
#include "hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LISTS = 6, WAITERS = 3, SLEEPERS = 40, ITEMS_MAX = 400, BATCH_MAX = 6 };
enum { SEEDS = 40, STEPS = 250 };
enum { DONE = -1, FIRED = -2 }; /* what the orchestrations add to their lists */

struct list {
    size_t len;
    int at[ITEMS_MAX];
};

struct waiter {
    bool is_running;
    int events;
    struct list list;
};

struct model {
    struct list lists[LISTS];
    struct waiter waiters[WAITERS];
    int64_t due_ms[SLEEPERS]; /* 0: not started */
};

enum what {
    ADD,
    CHAIN,
    DELETE,
    READ,
    COUNT,
    START,
    RAISE,
    READ_WAITER,
    SLEEP,
    READ_SLEEPER,
    WHATS
};

struct request {
    enum what what;
    size_t i;
    int n;
    const struct hub_answer *answer;
};

struct run {
    struct hub hub;
    struct model model;
    uint64_t seed, random;
    int step;
};

static unsigned roll(struct run *r, unsigned sides)
{
    r->random = r->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(r->random >> 33) % sides;
}

/* ---- the model ---- */

static void list_push(struct list *list, int n)
{
    if (list->len < ITEMS_MAX)
        list->at[list->len] = n;
    list->len++;
}

static const char *list_text(struct run *r, const struct list *list)
{
    struct buf text = {0};
    if (!list->len)
        return "none";
    buf_byte(&text, '[');
    for (size_t i = 0; i < list->len; i++) {
        buf_str(&text, i ? "," : "");
        if (list->at[i] == DONE)
            buf_str(&text, "\"done\"");
        else if (list->at[i] == FIRED)
            buf_str(&text, "\"fired\"");
        else
            buf_printf(&text, "%d", list->at[i]);
    }
    buf_byte(&text, ']');
    const char *ret = arena_strndup(&r->hub.mem, text.at, text.len);
    buf_free(&text);
    return ret;
}

static void model_raise(struct waiter *w, int n)
{
    if (!w->is_running)
        return;
    list_push(&w->list, n);
    if (++w->events < 3)
        return;
    list_push(&w->list, DONE);
    w->is_running = false;
}

/* Does it; gives what the answer has to be, NULL when it has no body. */
static const char *model_apply(struct run *r, const struct request *q)
{
    struct model *m = &r->model;
    struct list *list = &m->lists[q->i % LISTS];
    struct waiter *waiter = &m->waiters[q->i % WAITERS];
    int64_t *due_ms = &m->due_ms[q->i % SLEEPERS];
    int64_t now_ms = partition_now_ms(r->hub.partition);
    switch (q->what) {
    case ADD:
        list_push(list, q->n);
        return NULL;
    case CHAIN:
        for (int n = q->n; n >= 0; n--)
            list_push(list, n);
        return NULL;
    case DELETE:
        list->len = 0;
        return NULL;
    case READ:
        return list_text(r, list);
    case COUNT:
        list_push(list, (int)list->len);
        return ks_format(&r->hub.mem, "%zu", list->len - 1);
    case START:
        if (!waiter->is_running)
            waiter->events = 0;
        waiter->is_running = true;
        return NULL;
    case RAISE:
        model_raise(waiter, q->n);
        return NULL;
    case READ_WAITER:
        return list_text(r, &waiter->list);
    case SLEEP:
        if (!*due_ms)
            *due_ms = now_ms + q->n;
        return NULL;
    case READ_SLEEPER:
        return *due_ms && *due_ms <= now_ms ? "[\"fired\"]" : "none";
    case WHATS:
        break;
    }
    return NULL;
}

/* ---- the partition ---- */

static const struct hub_answer *ask(struct run *r, const struct request *q)
{
    struct hub *h = &r->hub;
    const char *n = ks_format(&h->mem, "%d", q->n);
    switch (q->what) {
    case ADD:
        return hub_line(h, "POST", n, "/api/list/l%zu/add", q->i % LISTS);
    case CHAIN:
        return hub_line(h, "POST", n, "/api/list/l%zu/chain", q->i % LISTS);
    case DELETE:
        return hub_line(h, "POST", n, "/api/list/l%zu/delete", q->i % LISTS);
    case READ:
        return hub_line(h, "GET", NULL, "/api/list/l%zu", q->i % LISTS);
    case COUNT:
        return hub_line(h, "POST", NULL, "/api/list/l%zu", q->i % LISTS);
    case START:
        return hub_line(h, "POST", NULL, "/api/start/Waiter/w%zu", q->i % WAITERS);
    case RAISE:
        return hub_line(h, "POST", n, "/api/raise/w%zu/Go", q->i % WAITERS);
    case READ_WAITER:
        return hub_line(h, "GET", NULL, "/api/list/w%zu", q->i % WAITERS);
    case SLEEP:
        return hub_line(h, "POST", n, "/api/start/Sleeper/s%zu", q->i % SLEEPERS);
    case READ_SLEEPER:
        return hub_line(h, "GET", NULL, "/api/list/s%zu", q->i % SLEEPERS);
    case WHATS:
        break;
    }
    return NULL;
}

static struct request draw(struct run *r)
{
    struct request q = {.what = (enum what)roll(r, WHATS), .i = roll(r, 1000)};
    q.n = q.what == CHAIN ? (int)roll(r, 15) : (int)roll(r, 1000);
    if (q.what == SLEEP) {
        /* A sleeper starts once; its time is from now to some hours. */
        q.n = 1 + (int)roll(r, 1u << roll(r, 24));
        if (r->model.due_ms[q.i % SLEEPERS])
            q.what = READ_SLEEPER;
    }
    return q;
}

static void compare(struct run *r, const struct request *q, const char *want)
{
    /* 410: an event for an instance that is over was refused, and changed nothing. */
    if (q->answer->status >= 400 && q->answer->status != 404 && q->answer->status != 410)
        fail_msg("seed %llu, step %d: answered %d %s", (unsigned long long)r->seed, r->step,
                 q->answer->status, q->answer->body);
    if (want && strcmp(q->answer->body, want) != 0)
        fail_msg("seed %llu, step %d: what %d of %zu is\n%s\nbut has to be\n%s",
                 (unsigned long long)r->seed, r->step, (int)q->what, q->i, q->answer->body, want);
}

/* One pass; those that it answered are done by the model, too, unless the commit was refused. */
static size_t pass(struct run *r, const struct request *batch, size_t first, size_t n)
{
    struct model before = r->model;
    r->hub.commit_error = roll(r, 8) ? 0 : roll(r, 2) ? KS_E_IO : KS_E_FULL;
    uint64_t commits = r->hub.commits;
    bool is_good = hub_pass(&r->hub);
    r->hub.commit_error = 0;
    for (; first < n && batch[first].answer->status; first++)
        if (is_good || !batch[first].answer->is_held)
            compare(r, &batch[first], model_apply(r, &batch[first]));
    if (!is_good) {
        assert_int_equal(r->hub.commits, commits);
        r->model = before;
    }
    return first;
}

static void one_step(struct run *r)
{
    struct request batch[BATCH_MAX];
    size_t n = roll(r, BATCH_MAX + 1);
    for (size_t i = 0; i < n; i++) {
        batch[i] = draw(r);
        for (size_t j = 0; j < i; j++) /* a sleeper starts once */
            if (batch[i].what == SLEEP && batch[j].what == SLEEP)
                batch[i].what = READ_SLEEPER;
        batch[i].answer = ask(r, &batch[i]);
    }
    size_t first = 0;
    for (int i = 0; i < 1000 && first < n; i++)
        first = pass(r, batch, first, n);
    assert_int_equal(first, n);
    if (roll(r, 10) == 0)
        hub_crash(&r->hub);
    if (roll(r, 3) == 0)
        hub_advance(&r->hub, roll(r, 1u << roll(r, 22)));
    if (roll(r, 20) == 0)
        partition_evict_sessions(r->hub.partition);
}

static void compare_all(struct run *r)
{
    hub_advance(&r->hub, KS_HOURS(24));
    for (size_t i = 0; i < SLEEPERS; i++) {
        static const enum what reads[] = {READ, READ_WAITER, READ_SLEEPER};
        for (size_t k = 0; k < 3; k++) {
            struct request q = {.what = reads[k], .i = i};
            q.answer = ask(r, &q);
            hub_settle(&r->hub);
            compare(r, &q, model_apply(r, &q));
        }
    }
}

static void every_answer_is_the_models(void **state)
{
    static struct run r;
    const struct partition_limits *limits = *state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        r = (struct run){.seed = seed, .random = seed * 0x9E3779B97F4A7C15u};
        hub_open(&r.hub, *limits);
        r.hub.recovers_all = seed % 2;
        for (r.step = 0; r.step < STEPS; r.step++)
            one_step(&r);
        compare_all(&r);
        hub_close(&r.hub);
    }
}

int main(void)
{
    static struct partition_limits usual = {0};
    static struct partition_limits tiny = {.sessions = 1, .memory_bytes = 1};
    static struct partition_limits small = {.sessions = 2, .memory_bytes = 4000, .pass_steps = 10};
    static struct partition_limits one_byte = {.pass_steps = 3, .pass_bytes = 1};
    const struct CMUnitTest tests[] = {
        {"every_answer_is_the_models", every_answer_is_the_models, NULL, NULL, &usual},
        {"every_answer_is_the_models_with_no_memory", every_answer_is_the_models, NULL, NULL,
         &tiny},
        {"every_answer_is_the_models_with_short_passes", every_answer_is_the_models, NULL, NULL,
         &small},
        {"every_answer_is_the_models_with_tiny_passes", every_answer_is_the_models, NULL, NULL,
         &one_byte},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
