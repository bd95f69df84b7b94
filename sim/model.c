#include "sim/model_internal.h"

#include "sim/clients.h"
#include "sim/heap.h"
#include "sim/model_view.h"
#include "sim/process.h"

#include <stdio.h>
#include <string.h>

enum { LATE_MS = 1500, KEY_MS = 24 * 3600 * 1000 };

#define GROW(at, count, cap) \
    do { \
        if ((count) == (cap)) { \
            (cap) = (cap) ? (cap)*2 : 32; \
            (at) = sim_realloc((at), (cap) * sizeof(at)[0]); \
        } \
    } while (0)

struct model *model_new(struct sim *s)
{
    (void)s;
    return sim_zalloc(sizeof(struct model));
}

void model_free(struct model *m)
{
    for (size_t i = 0; i < m->count; i++)
        sim_free(m->registries[i].items);
    for (size_t i = 0; i < m->kept_count; i++)
        sim_free(m->kept[i].body);
    for (size_t i = 0; i < m->tentative_count; i++)
        sim_free(m->tentative[i].was.body);
    sim_free(m->registries);
    sim_free(m->kept);
    sim_free(m->tentative);
    sim_free(m->gaps);
    sim_free(m);
}

size_t model_count(const struct sim *s)
{
    return s->model->count;
}

bool model_is_gone(const struct sim *s, int registry)
{
    return registry >= 0 && s->model->registries[registry].is_gone;
}

const char *model_id(const struct sim *s, int registry)
{
    return registry < 0 ? "ffffffffffffffffffffffffffffffff" : s->model->registries[registry].id;
}

int64_t model_closes_ms(const struct sim *s, int registry)
{
    return s->model->registries[registry].closes_ms;
}

size_t item_text(uint32_t item, char ret[9000])
{
    size_t len = (size_t)snprintf(ret, 9000, "i%u.", item);
    size_t pad = item % 97 == 0 ? 4000 : item % 11;
    memset(ret + len, 'x', pad);
    ret[len + pad] = 0;
    return len + pad;
}

/* ---- lateness ---- */

void model_unhealthy(struct sim *s, int64_t from_ms, int64_t until_ms)
{
    struct model *m = s->model;
    if (m->gap_count && from_ms <= m->gaps[m->gap_count - 1].until_ms + LATE_MS) {
        struct gap *last = &m->gaps[m->gap_count - 1];
        last->from_ms = from_ms < last->from_ms ? from_ms : last->from_ms;
        last->until_ms = until_ms > last->until_ms ? until_ms : last->until_ms;
        return;
    }
    GROW(m->gaps, m->gap_count, m->gap_cap);
    m->gaps[m->gap_count++] = (struct gap){from_ms, until_ms};
}

int64_t model_latest_ms(const struct sim *s, int64_t due_ms)
{
    const struct model *m = s->model;
    for (size_t i = 0; i < m->gap_count; i++)
        if (m->gaps[i].from_ms <= due_ms + LATE_MS && m->gaps[i].until_ms > due_ms)
            due_ms = m->gaps[i].until_ms;
    return due_ms + LATE_MS;
}

/* ---- what is tentative ---- */

static void did(struct model *m, enum trace_kind kind, int registry, uint32_t item)
{
    GROW(m->tentative, m->tentative_count, m->tentative_cap);
    m->tentative[m->tentative_count++] = (struct trace){.kind = kind,
                                                        .registry = registry,
                                                        .item = item};
}

/* Of a registry; of any: -1. A kept answer is of none. */
static bool is_tentative(const struct model *m, int registry)
{
    for (size_t i = 0; i < m->tentative_count; i++)
        if (m->tentative[i].kind != KEPT_ANSWER &&
            (registry < 0 || m->tentative[i].registry == registry))
            return true;
    return false;
}

void model_committed(struct sim *s)
{
    struct model *m = s->model;
    if (m->is_resolving)
        return;
    for (size_t i = 0; i < m->tentative_count; i++)
        sim_free(m->tentative[i].was.body);
    if (m->tentative_count && !m->is_unknown)
        m->committed_ms = m->now_ms;
    m->tentative_count = 0;
    m->is_unknown = false;
    m->leaked[0] = 0;
}

static void undo(struct model *m, struct trace *t)
{
    struct registry *r = t->registry >= 0 ? &m->registries[t->registry] : NULL;
    switch (t->kind) {
    case DID_OPEN:
        r->is_gone = true;
        break;
    case DID_ADD:
        r->count--;
        break;
    case DID_FINISH:
    case SAW_CLOSED:
        r->is_closed = false;
        break;
    case KEPT_ANSWER:
        sim_free(m->kept[t->item].body);
        m->kept[t->item] = t->was;
        t->was.body = NULL;
        break;
    }
}

void model_rolled_back(struct sim *s)
{
    struct model *m = s->model;
    if (m->is_resolving)
        return;
    if (m->leaked[0] && m->tentative_count)
        violated(s, "answered before it was on disk, and then it was not: %s", m->leaked);
    for (size_t i = m->tentative_count; i-- > 0;)
        undo(m, &m->tentative[i]);
    m->is_unknown = true;
    model_committed(s);
}

void model_unknown(struct sim *s)
{
    s->model->is_resolving = false;
    s->model->is_unknown = s->model->tentative_count > 0;
    if (!s->model->is_unknown)
        model_committed(s);
}

/* ---- checking ---- */

static struct registry *registry_of(struct sim *s, const struct op *op)
{
    struct registry *r = op->registry >= 0 ? &s->model->registries[op->registry] : NULL;
    return r && !r->is_gone ? r : NULL;
}

static bool is_over(const struct registry *r, int64_t now_ms)
{
    return r->is_closed || now_ms >= r->closes_ms;
}

static void expect_status(struct sim *s, const struct op *op, const struct answer *a, int get,
                          int post)
{
    static const char *const names[] = {"Open",  "Add", "Finish", "Peek",
                                        "Stats", "?",   "app",    "watch"};
    int want = op->is_post ? post : get;
    if (a->status != want)
        violated(s, "%s %s of %s was answered %d, and has to be %d: %.*s", names[op->kind],
                 op->is_post ? "POST" : "GET", model_id(s, op->registry), a->status, want,
                 (int)a->len, a->body);
}

static void check_open(struct sim *s, const struct op *op, const struct answer *a, int64_t now_ms)
{
    struct model *m = s->model;
    const char *id = op->is_post ? view_after(a, "\"id\":\"") : a->body;
    expect_status(s, op, a, 200, 201);
    GROW(m->registries, m->count, m->cap);
    struct registry *r = &m->registries[m->count];
    *r = (struct registry){.closes_ms = now_ms + s->swarm.open_ms, .touched_ms = now_ms};
    if (!id || strspn(id, "0123456789abcdef") != 32)
        violated(s, "Open did not answer an id: %.*s", (int)a->len, a->body);
    snprintf(r->id, sizeof r->id, "%.32s", id);
    for (size_t i = m->count; i-- > 0 && i + 100 > m->count;)
        if (strcmp(m->registries[i].id, r->id) == 0)
            violated(s, "Open answered an id that was answered before: %s", r->id);
    m->count++;
    if (op->is_post && view_time(view_after(a, "\"closesAt\":\"")) != r->closes_ms)
        violated(s, "Open answered another time of closing: %.*s", (int)a->len, a->body);
    did(m, DID_OPEN, (int)m->count - 1, 0);
    s->stats.registries++;
}

/* False when the registry takes nothing and the answer said so. */
static bool check_takes(struct sim *s, const struct op *op, const struct answer *a, int64_t now_ms)
{
    struct registry *r = registry_of(s, op);
    if (!r || is_over(r, now_ms)) {
        expect_status(s, op, a, 400, r ? 409 : 404);
        if (r && !r->is_closed)
            PROBE("refused at the deadline, before anybody saw it closed");
        return false;
    }
    expect_status(s, op, a, 200, 200);
    r->touched_ms = now_ms;
    return true;
}

static void check_add(struct sim *s, const struct op *op, const struct answer *a, int64_t now_ms)
{
    if (!check_takes(s, op, a, now_ms))
        return;
    struct registry *r = registry_of(s, op);
    GROW(r->items, r->count, r->cap);
    r->items[r->count++] = op->item;
    if (op->is_post && view_number(view_after(a, "\"itemsCount\":")) != (int64_t)r->count)
        violated(s, "Add answered another count than %zu: %.*s", r->count, (int)a->len, a->body);
    did(s->model, DID_ADD, op->registry, op->item);
    s->model->tentative[s->model->tentative_count - 1].place = r->count;
    s->stats.items++;
    if (r->closes_ms - now_ms <= 3)
        PROBE("added within 3 ms before the deadline");
}

static void check_finish(struct sim *s, const struct op *op, const struct answer *a, int64_t now_ms)
{
    if (!check_takes(s, op, a, now_ms))
        return;
    struct registry *r = registry_of(s, op);
    r->is_closed = true;
    r->is_by_user = true;
    r->closed_ms = now_ms;
    did(s->model, DID_FINISH, op->registry, 0);
}

static void learn_closed(struct sim *s, int registry, const struct view *v, int64_t now_ms)
{
    struct registry *r = &s->model->registries[registry];
    if (v->is_by_user)
        violated(s, "%s is closed by a user who did not", r->id);
    if (v->closed_ms < r->closes_ms)
        violated(s, "%s was closed %lld ms before its time", r->id,
                 (long long)(r->closes_ms - v->closed_ms));
    if (v->closed_ms > now_ms || v->closed_ms > model_latest_ms(s, r->closes_ms))
        violated(s, "%s was closed at %lld, %lld ms late, and nothing held it up", r->id,
                 (long long)v->closed_ms, (long long)(v->closed_ms - r->closes_ms));
    r->is_closed = true;
    r->is_by_user = false;
    r->closed_generation = s->process->generation;
    r->closed_ms = v->closed_ms;
    if (v->closed_ms == now_ms)
        did(s->model, SAW_CLOSED, registry, 0);
}

static void compare(struct sim *s, int registry, const struct view *v, int64_t now_ms)
{
    struct registry *r = &s->model->registries[registry];
    if (v->closes_ms != r->closes_ms)
        violated(s, "%s closes at another time than was answered", r->id);
    if (v->count != r->count)
        violated(s, "%s has %zu items, and has to have %zu", r->id, v->count, r->count);
    for (size_t i = 0; i < r->count; i++)
        if (v->items[i] != r->items[i])
            violated(s, "item %zu of %s is i%u, and has to be i%u", i, r->id, v->items[i],
                     r->items[i]);
    if (r->told_closed_ms && (!v->is_closed || v->closed_ms != r->told_closed_ms))
        violated(s, "%s was not closed when a watcher was told it was", r->id);
    if (v->is_closed && !r->is_closed)
        learn_closed(s, registry, v, now_ms);
    if (v->is_closed != is_over(r, now_ms) && !clients_may_be_stuck(s))
        violated(s, "%s is %s, and has to be %s", r->id, v->is_closed ? "closed" : "open",
                 v->is_closed ? "open" : "closed");
    if (v->is_closed && (v->is_by_user != r->is_by_user || v->closed_ms != r->closed_ms))
        violated(s, "%s was closed another way than was answered before", r->id);
}

static void check_peek(struct sim *s, const struct op *op, const struct answer *a, int64_t now_ms)
{
    struct view v;
    if (!registry_of(s, op)) {
        expect_status(s, op, a, 400, 404);
        return;
    }
    expect_status(s, op, a, 200, 200);
    if (!view_read(&v, a))
        violated(s, "Peek answered what cannot be read: %.*s", (int)a->len, a->body);
    compare(s, op->registry, &v, now_ms);
    sim_free(v.items);
}

struct sum model_sum(const struct model *m, int64_t now_ms)
{
    struct sum sum = {0};
    for (size_t i = 0; i < m->count; i++) {
        const struct registry *r = &m->registries[i];
        if (r->is_gone)
            continue;
        sum.registries++;
        sum.items += (int64_t)r->count;
        sum.closed += r->is_closed;
        sum.due += !r->is_closed && now_ms >= r->closes_ms;
    }
    return sum;
}

static void check_stats(struct sim *s, const struct answer *a, int64_t now_ms)
{
    struct sum sum = model_sum(s->model, now_ms);
    int64_t has[COUNTS];
    view_counts(a, has);
    if (a->status != 200 || has[0] != sum.registries || has[1] != sum.items ||
        has[3] < sum.closed || has[3] > sum.closed + sum.due || has[2] != sum.registries - has[3])
        violated(s,
                 "Stats are not the sum (registries %lld, items %lld, closed %lld to %lld): %.*s",
                 (long long)sum.registries, (long long)sum.items, (long long)sum.closed,
                 (long long)(sum.closed + sum.due), (int)a->len, a->body);
}

/* ---- keys ---- */

static struct kept *kept_find(struct model *m, uint32_t key)
{
    if (key >= m->kept_count) {
        size_t count = key + 64;
        m->kept = sim_realloc(m->kept, count * sizeof m->kept[0]);
        memset(m->kept + m->kept_count, 0, (count - m->kept_count) * sizeof m->kept[0]);
        m->kept_count = count;
    }
    return &m->kept[key];
}

/* True when the answer had to be, and was, the one given before. */
static bool check_repeat(struct sim *s, const struct op *op, const struct answer *a, int64_t now_ms)
{
    const struct kept *k = kept_find(s->model, op->key);
    if (!k->body)
        return false;
    /* Kept for a day from when it was put down, which may be later than it was given. */
    if (now_ms >= k->at_ms + KEY_MS &&
        (a->is_held || now_ms >= model_latest_ms(s, k->at_ms) + KEY_MS))
        return false;
    if (k->is_maybe) /* it was a refusal, which comes out the same again */
        return a->status == 422;
    PROBE("answered again by its key");
    if (k->kind != op->kind || k->is_post != op->is_post || k->registry != op->registry ||
        k->item != op->item) {
        if (a->status != 422)
            violated(s, "a key of another request was answered %d", a->status);
        return true;
    }
    if (k->status != a->status || k->len != a->len || memcmp(k->body, a->body, a->len) != 0)
        violated(s, "a repeat was answered %d %.*s, and at first %d %.*s", a->status, (int)a->len,
                 a->body, k->status, (int)k->len, k->body);
    return true;
}

static void keep(struct sim *s, const struct op *op, const struct answer *a, int64_t now_ms)
{
    struct model *m = s->model;
    struct kept *k = kept_find(m, op->key);
    if (k->is_maybe && !a->is_held) { /* it was kept, after all */
        k->is_maybe = false;
        return;
    }
    did(m, KEPT_ANSWER, -1, op->key);
    m->tentative[m->tentative_count - 1].was = *k;
    *k = (struct kept){.at_ms = now_ms,
                       .kind = op->kind,
                       .is_post = op->is_post,
                       .registry = op->registry,
                       .item = op->item,
                       .status = a->status,
                       .body = sim_malloc(a->len + 1),
                       .len = a->len};
    memcpy(k->body, a->body, a->len);
}

/* ---- one answer ---- */

static void check(struct sim *s, const struct op *op, const struct answer *a, int64_t now_ms)
{
    switch (op->kind) {
    case OP_OPEN:
        check_open(s, op, a, now_ms);
        return;
    case OP_ADD:
        check_add(s, op, a, now_ms);
        return;
    case OP_FINISH:
        check_finish(s, op, a, now_ms);
        return;
    case OP_PEEK:
        check_peek(s, op, a, now_ms);
        return;
    case OP_STATS:
        check_stats(s, a, now_ms);
        return;
    case OP_NOISE:
        if (a->status < 400 || a->status >= 500)
            violated(s, "nonsense was answered %d", a->status);
        return;
    case OP_APP:
    case OP_WATCH:
        return;
    }
}

void model_answer(struct sim *s, const struct op *op, const struct answer *a, int64_t now_ms)
{
    struct model *m = s->model;
    size_t before = m->tentative_count;
    if (op->is_after_lie) {
        model_older(s, op, a);
        return;
    }
    if (now_ms < m->committed_ms)
        violated(s, "the engine's time went back by %lld ms",
                 (long long)(m->committed_ms - now_ms));
    m->now_ms = now_ms;
    if (op->is_probe) {
        model_probe(s, op, a);
        return;
    }
    if (a->status == 503) {
        if (!clients_may_be_stuck(s))
            violated(s, "refused without need: %.*s", (int)a->len, a->body);
        PROBE("refused by 503");
        if (strstr(a->body, "what was begun cannot be finished"))
            PROBE("not even a look was taken, with no room at all");
        return;
    }
    if (op->is_head)
        return;
    bool has_key = op->key && (op->kind == OP_OPEN || op->kind == OP_ADD);
    if (has_key && check_repeat(s, op, a, now_ms)) {
        for (size_t i = 0; i < m->tentative_count && !a->is_held; i++)
            if (m->tentative[i].kind == KEPT_ANSWER && m->tentative[i].item == op->key)
                snprintf(m->leaked, sizeof m->leaked, "a repeat with key %u", op->key);
        return;
    }
    check(s, op, a, now_ms);
    if (has_key)
        keep(s, op, a, now_ms);
    bool is_seen = op->kind == OP_STATS ? is_tentative(m, -1)
                                        : op->registry >= 0 && is_tentative(m, op->registry);
    if (!a->is_held && !m->leaked[0] && (is_seen || m->tentative_count > before))
        snprintf(m->leaked, sizeof m->leaked, "op %d of %s, answered %d %.80s", (int)op->kind,
                 model_id(s, op->registry), a->status, a->len ? a->body : "");
}
