#include "sim/watchers.h"

#include "sim/clients.h"
#include "sim/heap.h"
#include "sim/model_view.h"
#include "sim/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WATCHERS_MAX = 24, ID_MAX = 63 };
enum state { GONE, HELD, THERE, BUSY };

struct watcher {
    enum state state;
    int registry; /* -1: it watches the counts */
    uint64_t connection;
    struct turn turn; /* what is left to chance of this connection */
    struct listener *listener;
    char seen[ID_MAX + 1]; /* "": nothing yet */
    size_t items;
    bool is_over; /* it was told that the list is closed */
    int64_t counts[COUNTS];
};

struct watchers {
    struct watcher at[WATCHERS_MAX];
    size_t count;
};

struct watchers *watchers_new(struct sim *s)
{
    (void)s;
    return sim_zalloc(sizeof(struct watchers));
}

void watchers_free(struct watchers *w)
{
    sim_free(w);
}

static struct watcher *watcher_of(const struct sim *s, const struct op *op)
{
    return &s->watchers->at[op->n];
}

/* ---- who comes and goes ---- */

static void leave(struct sim *s, struct watcher *w)
{
    w->state = GONE;
    process_stream_closed(s, w->listener);
}

bool watchers_pick(struct sim *s, int registry, struct op *ret)
{
    struct watchers *all = s->watchers;
    uint32_t what = draw(s, 4);
    size_t i = all->count ? draw(s, (uint32_t)all->count) : 0;
    *ret = (struct op){.kind = OP_WATCH, .registry = registry, .n = (int64_t)i};
    if (what >= 2 && all->count < WATCHERS_MAX) {
        ret->n = (int64_t)all->count++;
        *watcher_of(s, ret) = (struct watcher){.registry = registry};
        return true;
    }
    struct watcher *w = &all->at[i];
    ret->registry = w->registry;
    if (w->state == GONE)
        return all->count > 0;
    if (what == 0) {
        PROBE("a watcher left");
        leave(s, w);
    }
    return false;
}

const char *watchers_seen(const struct sim *s, const struct op *op)
{
    return watcher_of(s, op)->seen;
}

void watchers_refused(struct sim *s, const struct op *op, const struct answer *a)
{
    const struct watcher *w = watcher_of(s, op);
    bool is_well = a->status == 503
                       ? clients_may_be_stuck(s)
                       : a->status == 400 && !w->seen[0] && model_is_gone(s, w->registry);
    if (!is_well)
        violated(s, "a watcher was answered %d %s", a->status, a->body);
}

void *watchers_begin(struct sim *s, const struct op *op, bool is_held, struct listener *listener)
{
    struct watcher *w = watcher_of(s, op);
    if (w->state != GONE) /* it had asked twice */
        return NULL;
    if (w->seen[0])
        PROBE("a watcher came back");
    tell(s, "watcher %lld of %s is there, and has seen %s", (long long)op->n,
         w->registry < 0 ? "the counts" : model_id(s, w->registry), w->seen);
    w->state = is_held ? HELD : THERE;
    w->listener = listener;
    w->connection++;
    w->turn = tape_next(s->tape, STREAM_WATCH);
    return w;
}

void watchers_release(struct sim *s, bool is_committed)
{
    for (size_t i = 0; i < s->watchers->count && s->process->is_up; i++) {
        struct watcher *w = &s->watchers->at[i];
        if (w->state == HELD && is_committed)
            w->state = THERE;
        else if (w->state == HELD)
            leave(s, w);
    }
}

void watchers_close(struct sim *s)
{
    for (size_t i = 0; i < s->watchers->count && s->process->is_up; i++)
        if (s->watchers->at[i].state != GONE)
            leave(s, &s->watchers->at[i]);
}

void watchers_cut_off(struct sim *s)
{
    for (size_t i = 0; i < s->watchers->count; i++)
        s->watchers->at[i].state = GONE;
}

void watchers_ready(struct sim *s, uint64_t watcher)
{
    struct watcher *w = &s->watchers->at[watcher % WATCHERS_MAX];
    if (w->state != BUSY || w->connection != watcher / WATCHERS_MAX)
        return;
    w->state = THERE;
    process_stream_ready(s, w->listener);
}

/* ---- what they are told ---- */

static bool is_event(const struct answer *a, const char *name)
{
    const char *event = view_after(a, "event: ");
    return event && strncmp(event, name, strlen(name)) == 0 && event[strlen(name)] == '\n';
}

static void told_items(struct sim *s, struct watcher *w, const struct answer *a)
{
    struct view v = {0};
    if (!view_items(&v, view_after(a, "\"items\":[")) || !v.count)
        violated(s, "a watcher was told what cannot be read: %s", a->body);
    if (view_number(view_after(a, "\"from\":")) != (int64_t)w->items)
        violated(s, "a watcher has seen %zu items, and is told others: %s", w->items, a->body);
    model_told_items(s, w->registry, w->items, &v);
    w->items += v.count;
    sim_free(v.items);
    PROBE("a watcher was told of items");
}

static void told_closed(struct sim *s, struct watcher *w, const struct answer *a)
{
    const char *by = view_after(a, "\"closedBy\":\"");
    struct view v = {.is_closed = true,
                     .is_by_user = by && strncmp(by, "user\"", 5) == 0,
                     .closed_ms = view_time(view_after(a, "\"closedAt\":\"")),
                     .count = w->items};
    if (w->is_over)
        violated(s, "a watcher was told twice that a list is closed: %s", a->body);
    model_told_closed(s, w->registry, &v);
    w->is_over = true;
    PROBE("a watcher was told of an end");
}

static void told_counts(struct sim *s, struct watcher *w, const struct answer *a)
{
    int64_t counts[COUNTS];
    view_counts(a, counts);
    if (counts[0] < w->counts[0] || counts[1] < w->counts[1] || counts[3] < w->counts[3])
        violated(s, "a watcher was told less than before: %s", a->body);
    model_told_counts(s, counts);
    memcpy(w->counts, counts, sizeof counts);
}

static void told(struct sim *s, struct watcher *w, const struct answer *a)
{
    const char *id = view_after(a, "id: ");
    tell(s, "watcher %td is told %.300s", w - s->watchers->at, a->body);
    if (w->state != THERE)
        violated(s, "a watcher was told something before its time: %s", a->body);
    if (w->registry < 0 && is_event(a, "stats"))
        told_counts(s, w, a);
    else if (w->registry >= 0 && is_event(a, "items"))
        told_items(s, w, a);
    else if (w->registry >= 0 && is_event(a, "closed"))
        told_closed(s, w, a);
    else if (w->registry < 0 || !is_event(a, "registry") || w->seen[0])
        violated(s, "a watcher was told something strange: %s", a->body);
    snprintf(w->seen, sizeof w->seen, "%.*s", id ? (int)strcspn(id, "\n") : 0, id ? id : "");
}

/* Events end with an empty line. */
bool watchers_told(struct sim *s, void *watcher, const char *piece, size_t len)
{
    struct watcher *w = watcher;
    char *text = sim_malloc(len + 1);
    memcpy(text, piece, len);
    text[len] = 0;
    for (char *at = text, *end; *at; at = end + 2) {
        end = strstr(at, "\n\n");
        if (!end)
            violated(s, "a watcher was told half an event: %s", at);
        *end = 0;
        told(s, w, &(struct answer){.status = 200, .body = at, .len = (size_t)(end - at)});
    }
    sim_free(text);
    struct turn before = tape_use(s->tape, w->turn);
    int64_t wait_ms = once_in(s, 4) ? 1 + (int64_t)draw(s, 20000) : 0;
    tape_use(s->tape, before);
    if (!wait_ms)
        return true;
    PROBE("a watcher was slow");
    w->state = BUSY;
    sim_at(s, s->now_ns + wait_ms * MS_NS, EV_WATCHER,
           (uint64_t)(w - s->watchers->at) + w->connection * WATCHERS_MAX);
    return false;
}

/* ---- the end ---- */

void watchers_return(struct sim *s)
{
    for (size_t i = 0; i < s->watchers->count; i++) {
        const struct watcher *w = &s->watchers->at[i];
        struct op op = {.kind = OP_WATCH, .registry = w->registry, .n = (int64_t)i};
        if (w->state == GONE && !clients_ask(s, &op))
            return;
    }
}

void watchers_end(struct sim *s)
{
    for (size_t i = 0; i < s->watchers->count; i++) {
        const struct watcher *w = &s->watchers->at[i];
        if (w->state != GONE && w->registry < 0)
            model_told_counts_at_last(s, w->counts);
        else if (w->state != GONE)
            model_told_at_last(s, w->registry, w->items, w->is_over);
    }
}
