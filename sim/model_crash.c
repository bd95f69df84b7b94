/* What is there after a process ended in a pass, in a copy of the disk, after a lie of the disk,
 * and in the end. */
#include "sim/clients.h"
#include "sim/heap.h"
#include "sim/model_internal.h"
#include "sim/model_view.h"
#include "sim/process.h"

enum { RECENT_MS = 15 * 60 * 1000 };

/* ---- after a crash ---- */

/* Whether one thing that the last pass may have done is there. */
static bool is_there(struct sim *s, const struct trace *t, const struct answer *a,
                     const struct view *v)
{
    const struct registry *r = &s->model->registries[t->registry];
    switch (t->kind) {
    case DID_OPEN:
        return a->status == 200;
    case DID_ADD:
        return v && v->count >= t->place && v->items[t->place - 1] == t->item;
    case DID_FINISH:
    case SAW_CLOSED:
        return v && v->is_closed && v->is_by_user == r->is_by_user && v->closed_ms == r->closed_ms;
    case KEPT_ANSWER:
        break;
    }
    return false;
}

void model_probe(struct sim *s, const struct op *op, const struct answer *a)
{
    struct model *m = s->model;
    struct view v = {0};
    if (a->status == 503 && clients_may_be_stuck(s)) {
        m->is_untold = true;
        return;
    }
    bool is_read = a->status == 200 && view_read(&v, a);
    if (a->status == 200 && !is_read)
        violated(s, "Peek answered what cannot be read: %.*s", (int)a->len, a->body);
    for (size_t i = 0; i < m->tentative_count; i++) {
        const struct trace *t = &m->tentative[i];
        if (t->kind == KEPT_ANSWER || t->registry != op->registry)
            continue;
        if (is_there(s, t, a, is_read ? &v : NULL))
            m->seen_there++;
        else
            m->seen_missing++;
    }
    sim_free(v.items);
}

static bool resolve(struct sim *s)
{
    struct model *m = s->model;
    m->seen_there = 0;
    m->seen_missing = 0;
    m->is_resolving = true;
    m->is_untold = false;
    for (size_t i = 0; i < m->tentative_count; i++) {
        const struct trace *t = &m->tentative[i];
        bool is_asked = t->kind == KEPT_ANSWER;
        for (size_t k = 0; k < i && !is_asked; k++)
            is_asked = m->tentative[k].kind != KEPT_ANSWER &&
                       m->tentative[k].registry == t->registry;
        if (!is_asked &&
            !clients_ask(s,
                         &(struct op){.kind = OP_PEEK, .is_probe = true, .registry = t->registry}))
            return false;
    }
    if (m->is_untold) { /* the next one may have room */
        process_end(s, DEATH_KILLED);
        return false;
    }
    m->is_resolving = false;
    if (m->seen_there && m->seen_missing)
        violated(s, "half of a pass is there: of its effects %zu are, %zu are not", m->seen_there,
                 m->seen_missing);
    tell(s, "the last pass %s", m->seen_there ? "is there" : "is not there");
    if (m->seen_there) {
        PROBE("the pass of a crash was there");
        model_committed(s);
    } else if (m->seen_missing) {
        PROBE("the pass of a crash was not there");
        model_rolled_back(s);
    } else { /* nothing but refusals with keys */
        for (size_t i = 0; i < m->tentative_count; i++)
            m->kept[m->tentative[i].item].is_maybe = true;
        model_committed(s);
    }
    return true;
}

void model_audit(struct sim *s, bool is_all)
{
    struct model *m = s->model;
    if (m->is_unknown && !resolve(s))
        return;
    for (size_t i = 0; i < m->count; i++) {
        const struct registry *r = &m->registries[i];
        bool is_recent = m->now_ms - r->touched_ms < RECENT_MS && i + 40 > m->count;
        if (!is_all && !is_recent && i % 64 != s->process->generation % 64)
            continue;
        if (!clients_ask(s, &(struct op){.kind = OP_PEEK, .registry = (int)i}))
            return;
    }
    (void)!clients_ask(s, &(struct op){.kind = OP_STATS, .registry = -1});
}

/* ---- after a lie ---- */

void model_older(struct sim *s, const struct op *op, const struct answer *a)
{
    struct model *m = s->model;
    struct view v;
    if (op->kind == OP_STATS) {
        m->older_registries = view_number(view_after(a, "\"registryCount\":"));
        m->older_items = view_number(view_after(a, "\"itemsCount\":"));
        return;
    }
    const struct registry *r = &m->registries[op->registry];
    if (a->status == 400 || a->status == 404)
        return;
    if (a->status != 200 || !view_read(&v, a))
        violated(s, "after a lie Peek answered %d %.*s", a->status, (int)a->len, a->body);
    bool is_older = !r->is_gone && v.count <= r->count && v.closes_ms == r->closes_ms;
    for (size_t i = 0; i < v.count && is_older; i++)
        is_older = v.items[i] == r->items[i];
    if (!is_older)
        violated(s, "after a lie %s is what it never was: %.*s", r->id, (int)a->len, a->body);
    m->older_registries--;
    m->older_items -= (int64_t)v.count;
    sim_free(v.items);
}

void model_after_lie(struct sim *s)
{
    struct model *m = s->model;
    bool is_up = clients_ask(s, &(struct op){.kind = OP_STATS, .is_after_lie = true});
    for (size_t i = 0; i < m->count && is_up; i++)
        is_up = clients_ask(s, &(struct op){.kind = OP_PEEK,
                                            .is_after_lie = true,
                                            .registry = (int)i});
    if (is_up && (m->older_registries || m->older_items))
        violated(s, "after a lie Stats is not the sum: %lld registries, %lld items too many",
                 (long long)m->older_registries, (long long)m->older_items);
}

bool model_is_unknown(const struct sim *s)
{
    return s->model->is_unknown;
}

int64_t model_now_ms(const struct sim *s)
{
    return s->model->now_ms;
}

void model_trial(struct sim *s, bool is_begin)
{
    struct model *m = s->model;
    if (is_begin) {
        m->trial_now_ms = m->now_ms;
        m->trial_committed_ms = m->committed_ms;
        return;
    }
    for (size_t i = 0; i < m->count; i++)
        if (m->registries[i].is_closed && !m->registries[i].is_by_user &&
            m->registries[i].closed_generation == s->process->generation)
            m->registries[i].is_closed = false;
    m->now_ms = m->trial_now_ms;
    model_committed(s);
    m->committed_ms = m->trial_committed_ms;
}

void model_end(struct sim *s)
{
    const struct model *m = s->model;
    for (size_t i = 0; i < m->count; i++)
        if (!m->registries[i].is_gone && !m->registries[i].is_closed)
            violated(s, "%s is still open, long after its time", m->registries[i].id);
}
