#include "sim/clients.h"

#include "sim/chaos.h"
#include "sim/heap.h"
#include "sim/process.h"
#include "sim/programs.h"
#include "sim/watchers.h"

#include <stdio.h>
#include <string.h>

enum { REQUESTS_MAX = 4096, OPEN_RECENT = 8 };

struct request {
    bool is_used, is_sent, is_answered, is_awaited;
    int client; /* -1: ours */
    uint64_t generation;
    struct op op;
    struct http1_request http;
    char target[9200], key[32];
    struct buf body;
};

struct client {
    struct op last; /* what it may ask again */
    bool has_last;
    uint32_t left_in_burst;
};

struct clients {
    struct request *requests[REQUESTS_MAX];
    struct client at[CLIENTS_MAX];
    uint32_t next_item, next_key;
    char *answer; /* body of the one that is looked at, with a NUL */
    size_t answer_cap;
};

struct clients *clients_new(struct sim *s)
{
    (void)s;
    struct clients *c = sim_zalloc(sizeof *c);
    c->next_item = 1;
    c->next_key = 1;
    return c;
}

void clients_free(struct clients *c)
{
    for (size_t i = 0; i < REQUESTS_MAX; i++)
        if (c->requests[i]) {
            buf_free(&c->requests[i]->body);
            sim_free(c->requests[i]);
        }
    sim_free(c->answer);
    sim_free(c);
}

bool clients_may_be_stuck(const struct sim *s)
{
    const struct process *p = s->process;
    return chaos_excuses(s) && p->partition &&
           (!partition_is_up(p->partition) || !partition_takes_changes(p->partition));
}

size_t clients_pending(const struct sim *s)
{
    size_t n = 0;
    for (size_t i = 0; i < REQUESTS_MAX; i++)
        n += s->clients->requests[i] && s->clients->requests[i]->is_used;
    return n;
}

/* ---- requests ---- */

static void header(struct request *r, const char *name, const char *value)
{
    r->http.headers[r->http.header_count++] = (struct http1_header){str_of(name), str_of(value)};
}

static void write_target(struct sim *s, struct request *r)
{
    static const char *const nonsense[] = {"/api/Nothing", "/api/Add", "/api/Add/%zz",
                                           "/api/Add/ffffffffffffffffffffffffffffffff",
                                           "/api/Peek/a%2fb"};
    char item[9000];
    const struct op *op = &r->op;
    bool has_id = op->kind == OP_ADD || op->kind == OP_FINISH || op->kind == OP_PEEK;
    const char *id = has_id ? model_id(s, op->registry) : "";
    item_text(op->item, item);
    switch (op->kind) {
    case OP_OPEN:
        snprintf(r->target, sizeof r->target, "/api/Open");
        break;
    case OP_ADD:
        snprintf(r->target, sizeof r->target, op->is_post ? "/api/Add/%s" : "/api/Add/%s?item=%s",
                 id, item);
        buf_str(&r->body, op->is_post ? item : "");
        break;
    case OP_FINISH:
        snprintf(r->target, sizeof r->target, "/api/Finish/%s", id);
        break;
    case OP_PEEK:
        snprintf(r->target, sizeof r->target, "/api/Peek/%s", id);
        break;
    case OP_STATS:
        snprintf(r->target, sizeof r->target, "/api/Stats");
        break;
    case OP_NOISE:
        snprintf(r->target, sizeof r->target, "%s", nonsense[op->n % 5]);
        break;
    case OP_WATCH:
        snprintf(r->target, sizeof r->target, op->registry < 0 ? "/api/Stats" : "/api/Peek/%s",
                 model_id(s, op->registry));
        header(r, "Accept", "text/event-stream");
        header(r, "Last-Event-ID", watchers_seen(s, op));
        break;
    case OP_APP:
        programs_write(s, op, r->target, sizeof r->target, &r->body);
        break;
    }
}

static struct request *request_new(struct sim *s, int client, const struct op *op)
{
    struct clients *c = s->clients;
    size_t i = 0;
    while (i < REQUESTS_MAX && c->requests[i] && c->requests[i]->is_used)
        i++;
    if (i == REQUESTS_MAX)
        return NULL;
    if (!c->requests[i])
        c->requests[i] = sim_zalloc(sizeof *c->requests[i]);
    struct request *r = c->requests[i];
    r->is_used = true;
    r->is_sent = false;
    r->is_answered = false;
    r->is_awaited = false;
    r->client = client;
    r->generation++;
    r->op = *op;
    r->http.header_count = 0;
    r->body.len = 0;
    write_target(s, r);
    r->http.method = op->is_post ? STR("POST") : op->is_head ? STR("HEAD") : STR("GET");
    r->http.target = str_of(r->target);
    r->http.body = (struct str){r->body.at, r->body.len};
    if (op->is_post)
        header(r, "Content-Type", "text/plain");
    r->key[0] = 0;
    if (op->key) {
        snprintf(r->key, sizeof r->key, "key-%u", op->key);
        header(r, "Idempotency-Key", r->key);
    }
    s->stats.requests++;
    return r;
}

static size_t slot_of(const struct clients *c, const struct request *r)
{
    size_t i = 0;
    while (c->requests[i] != r)
        i++;
    return i;
}

static void send_after(struct sim *s, int client, const struct op *op, int64_t wait_ns)
{
    struct request *r = request_new(s, client, op);
    if (r)
        sim_at(s, s->now_ns + wait_ns, EV_ARRIVE, slot_of(s->clients, r) | r->generation << 16);
}

void clients_arrive(struct sim *s, uint64_t request)
{
    struct request *r = s->clients->requests[request & 0xffff];
    if (!r->is_used || r->is_sent || r->generation != request >> 16)
        return;
    r->is_sent = true;
    if (!process_request(s, r, &r->http))
        r->is_used = false;
}

/* ---- answers ---- */

void clients_answered(struct sim *s, void *request, const struct http1_answer *answer, bool is_held)
{
    struct clients *c = s->clients;
    struct request *r = request;
    size_t len = answer->head_only ? 0 : answer->body.len;
    int64_t now_ms = partition_now_ms(s->process->partition);
    if (r->is_answered)
        violated(s, "a request was answered twice");
    /* The copy is ours, not the process's. */
    if (c->answer_cap <= len) {
        c->answer_cap = len + 4096;
        c->answer = sim_realloc(c->answer, c->answer_cap);
    }
    if (len)
        memcpy(c->answer, answer->body.at, len);
    c->answer[len] = 0;
    struct answer a = {answer->status, c->answer, len, is_held};
    tell(s, "%.6s %.60s%s%s%s%.*s at %.3f: %d %.300s%s", r->http.method.at, r->target,
         r->key[0] ? " " : "", r->key, r->body.len ? " " : "",
         (int)(r->body.len < 300 ? r->body.len : 300), r->body.len ? r->body.at : "",
         (double)(now_ms - FIRST_WALL_MS) / 1e3, a.status, a.body, is_held ? " (held)" : "");
    r->is_answered = true;
    if (r->op.kind == OP_WATCH)
        watchers_refused(s, &r->op, &a);
    else if (r->op.kind == OP_APP)
        programs_answer(s, &r->op, &a);
    else
        model_answer(s, &r->op, &a, now_ms);
    if (!is_held) {
        s->stats.acknowledged++;
        r->is_used = r->is_awaited;
    }
}

void *clients_streamed(struct sim *s, void *request, const struct http1_answer *head, bool is_held,
                       struct listener *listener)
{
    struct request *r = request;
    if (head->status != 200 || r->op.kind != OP_WATCH)
        violated(s, "a stream is the answer to %s, with %d", r->target, head->status);
    r->is_answered = true;
    r->is_used = is_held || r->is_awaited;
    return watchers_begin(s, &r->op, is_held, listener);
}

void clients_release(struct sim *s, bool is_committed)
{
    struct clients *c = s->clients;
    if (is_committed) {
        model_committed(s);
        programs_committed(s);
    } else {
        chaos_pass_failed(s);
        model_rolled_back(s);
        programs_rolled_back(s);
    }
    watchers_release(s, is_committed);
    for (size_t i = 0; i < REQUESTS_MAX && c->requests[i]; i++) {
        struct request *r = c->requests[i];
        if (!r->is_used || !r->is_answered)
            continue;
        s->stats.acknowledged++;
        r->is_used = r->is_awaited;
    }
}

void clients_cut_off(struct sim *s)
{
    struct clients *c = s->clients;
    for (size_t i = 0; i < REQUESTS_MAX && c->requests[i]; i++)
        if (c->requests[i]->is_used && c->requests[i]->is_sent)
            c->requests[i]->is_used = false;
    watchers_cut_off(s);
    model_unknown(s);
    programs_unknown(s);
}

bool clients_ask(struct sim *s, const struct op *op)
{
    struct request *r = request_new(s, -1, op);
    if (!r)
        sim_fail("too many requests are under way");
    r->is_awaited = true;
    r->is_sent = true;
    s->is_aside = true;
    bool is_up = process_request(s, r, &r->http);
    while (is_up && !r->is_answered) {
        is_up = process_round(s);
        sim_do_jobs(s);
        is_up = is_up && s->process->is_up;
    }
    r->is_used = false;
    s->is_aside = false;
    return is_up && r->is_answered;
}

/* ---- what they do ---- */

static int pick_registry(struct sim *s)
{
    uint32_t count = (uint32_t)model_count(s);
    uint32_t how = draw(s, 8);
    if (!count || how == 7)
        return -1;
    if (how == 6)
        return (int)draw(s, count);
    uint32_t back = draw(s, count < OPEN_RECENT ? count : OPEN_RECENT);
    return (int)(count - 1 - back);
}

/* 0 is a look at the numbers. */
static struct op pick(struct sim *s)
{
    static const enum op_kind kinds[] = {OP_STATS, OP_PEEK, OP_OPEN, OP_OPEN,   OP_ADD,  OP_ADD,
                                         OP_ADD,   OP_ADD,  OP_ADD,  OP_FINISH, OP_NOISE};
    struct clients *c = s->clients;
    struct op op = {.kind = kinds[draw(s, sizeof kinds / sizeof kinds[0])], .registry = -1};
    bool is_write = op.kind == OP_OPEN || op.kind == OP_ADD || op.kind == OP_FINISH;
    if (op.kind == OP_ADD || op.kind == OP_FINISH || op.kind == OP_PEEK)
        op.registry = pick_registry(s);
    if (op.kind == OP_ADD)
        op.item = c->next_item++;
    if (op.kind == OP_NOISE)
        op.n = draw(s, 5);
    if (is_write) {
        op.is_post = draw(s, 2);
        op.key = op.kind != OP_FINISH && draw(s, 2) ? c->next_key++ : 0;
    } else {
        op.is_head = once_in(s, 16);
    }
    return op;
}

static int64_t think_ns(struct sim *s)
{
    int64_t ms = 1 + draw(s, s->swarm.think_ms + 1);
    return ms * MS_NS;
}

/* Right before, at or after the time when a registry closes. */
static bool aim(struct sim *s, int client)
{
    uint32_t count = (uint32_t)model_count(s);
    if (!count || !s->process->is_up)
        return false;
    int registry = (int)(count - 1 - draw(s, count < 4 ? count : 4));
    int64_t wait_ms = model_closes_ms(s, registry) - process_clock_ms(s) + (int64_t)draw(s, 7) - 3;
    if (wait_ms <= 0 || wait_ms > 3600000)
        return false;
    struct op op = {.kind = draw(s, 2) ? OP_ADD : OP_FINISH, .registry = registry};
    op.item = op.kind == OP_ADD ? s->clients->next_item++ : 0;
    op.is_post = draw(s, 2);
    PROBE("aimed at a deadline");
    send_after(s, client, &op, wait_ms * MS_NS);
    return true;
}

/* Who can change nothing looks at what there is: all of it has to go together. */
static void look_round(struct sim *s, int client)
{
    int count = (int)model_count(s);
    for (int i = count < 4 ? 0 : count - 4; i < count; i++)
        send_after(s, client, &(struct op){.kind = OP_PEEK, .registry = i}, 0);
    send_after(s, client, &(struct op){.kind = OP_STATS, .registry = -1}, 0);
}

static void ask(struct sim *s, int client)
{
    struct client *c = &s->clients->at[client];
    int64_t wait_ns = (int64_t)draw(s, 20) * MS_NS;
    bool looks = draw(s, 2), is_again = once_in(s, 6);
    if (s->disk.faults.is_full && looks) {
        look_round(s, client);
        return;
    }
    if (once_in(s, 12) && aim(s, client))
        return;
    if (draw(s, 100) >= 100 - s->swarm.program_percent) {
        struct op op;
        if (programs_pick(s, &op))
            send_after(s, client, &op, wait_ns);
        return;
    }
    if (c->has_last && is_again) {
        PROBE("asked again");
        if (c->last.key && c->last.kind == OP_ADD && once_in(s, 10))
            c->last.item++;
        send_after(s, client, &c->last, wait_ns);
        return;
    }
    c->last = pick(s);
    c->has_last = true;
    send_after(s, client, &c->last, wait_ns);
    if (once_in(s, 10))
        send_after(s, client, &c->last, wait_ns + (int64_t)draw(s, 3) * MS_NS);
}

static void act(struct sim *s, int client)
{
    struct op op;
    ask(s, client);
    if (once_in(s, 12) && watchers_pick(s, pick_registry(s), &op))
        send_after(s, client, &op, 0);
}

/* A turn begins with when the next one is. */
static int64_t turn(struct sim *s, int client)
{
    struct client *c = &s->clients->at[client];
    bool is_away = !draw(s, 40) && !c->left_in_burst;
    int64_t wait_ns = think_ns(s);
    if (is_away)
        return 600000 * MS_NS;
    if (once_in(s, 20) && !c->left_in_burst && s->swarm.burst)
        c->left_in_burst = 1 + draw(s, s->swarm.burst);
    if (draw(s, 60))
        act(s, client);
    if (!c->left_in_burst)
        return wait_ns;
    c->left_in_burst--;
    return 20000;
}

void clients_wake(struct sim *s, uint64_t client)
{
    if (s->is_calm)
        return;
    struct turn before = tape_begin(s->tape, STREAM_CLIENT + client);
    sim_at(s, s->now_ns + turn(s, (int)client), EV_CLIENT, client);
    tape_use(s->tape, before);
}

void clients_start(struct sim *s)
{
    for (uint32_t i = 0; i < s->swarm.clients && i < CLIENTS_MAX; i++) {
        struct turn before = tape_begin(s->tape, STREAM_CLIENT + i);
        sim_at(s, s->now_ns + think_ns(s), EV_CLIENT, i);
        tape_use(s->tape, before);
    }
}
