#include "front/feed.h"

#include "base/die.h"
#include "base/link.h"
#include "base/value.h"

#include <assert.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { CHAINS = 1024, PIECES = 8, OUT_KEPT_BYTES = 1 << 20 };

/* What follows a place in a version of the state; made once for all who stand there. */
struct piece {
    uint64_t version; /* 0: none */
    char from[FEED_ID_MAX + 1], to[FEED_ID_MAX + 1];
    struct shared *bytes; /* NULL: nothing is new */
};

struct topic {
    struct topic *next; /* in its chain */
    uint64_t hash;      /* of the id */
    struct str id;      /* of the entity */
    const char *key;
    ks_feed_fn *fn;
    struct link listeners;
    struct link changed; /* in the list of those to be told of */
    uint64_t version;    /* grows with each change */
    int64_t next_ms;     /* not before it */
    struct piece pieces[PIECES];
    unsigned next_piece;
};

enum listener_state { LISTENER_IDLE, LISTENER_QUEUED, LISTENER_BUSY };

struct listener {
    struct topic *topic;
    void *stream;
    enum listener_state state;
    struct link link;  /* in its topic */
    struct link queue; /* QUEUED */
    char seen[FEED_ID_MAX + 1];
};

struct feeds {
    struct feeds_config config;
    struct topic *chains[CHAINS];
    size_t listener_count;
    int64_t now_ms;      /* of the last round */
    struct link changed; /* topics: first those that were quiet, then as they changed */
    struct link queue;   /* listeners */
    ks_arena mem;
    struct buf out;
};

/* A ks_feed, as it really is. */
struct feed_step {
    ks_feed feed;
    struct buf *out;
    char to[FEED_ID_MAX + 1];
};

struct feeds *feeds_new(const struct feeds_config *config)
{
    struct feeds *f = die_zalloc(sizeof *f);
    f->config = *config;
    link_init(&f->changed);
    link_init(&f->queue);
    arena_init(&f->mem, 16384);
    return f;
}

void feeds_free(struct feeds *f)
{
    assert(f->listener_count == 0);
    arena_free(&f->mem);
    buf_free(&f->out);
    free(f);
}

/* ---- topics ---- */

static uint64_t hash_of(struct str id)
{
    return XXH3_64bits(id.at, id.len);
}

static struct topic **topic_slot(struct feeds *f, uint64_t hash, struct str id, ks_feed_fn *fn)
{
    struct topic **slot = &f->chains[hash % CHAINS];
    while (*slot && !((*slot)->hash == hash && (*slot)->fn == fn && str_is((*slot)->id, id)))
        slot = &(*slot)->next;
    return slot;
}

static struct topic *topic_get(struct feeds *f, struct str id, ks_feed_fn *fn)
{
    struct str name, key;
    uint64_t hash = hash_of(id);
    struct topic **slot = topic_slot(f, hash, id, fn);
    if (*slot)
        return *slot;
    if (!entity_id_parts(id, &name, &key))
        die("bug: an entity is called %.*s", (int)id.len, id.at);
    struct topic *t = die_zalloc(sizeof *t);
    char *text = die_malloc(id.len + 1);
    memcpy(text, id.at, id.len);
    text[id.len] = 0;
    *t = (struct topic){.hash = hash, .id = {text, id.len}, .fn = fn, .version = 1};
    t->key = text + (key.at - id.at);
    link_init(&t->listeners);
    link_init(&t->changed);
    *slot = t;
    return t;
}

static void topic_drop(struct feeds *f, struct topic *t)
{
    struct topic **slot = topic_slot(f, t->hash, t->id, t->fn);
    *slot = t->next;
    link_remove(&t->changed);
    for (size_t i = 0; i < PIECES; i++)
        shared_drop(t->pieces[i].bytes);
    free((char *)(uintptr_t)t->id.at);
    free(t);
}

static void topic_changed(struct feeds *f, struct topic *t)
{
    t->version++;
    if (!link_is_alone(&t->changed))
        return;
    bool is_quiet = t->next_ms <= f->now_ms;
    link_append(is_quiet ? f->changed.next : &f->changed, &t->changed);
}

static void on_commit(void *ctx, const struct change *changes, size_t count)
{
    struct feeds *f = ctx;
    for (size_t i = 0; i < count; i++) {
        const struct instance *inst = changes[i].inst;
        struct str id = {inst->id, inst->id_len};
        uint64_t hash = hash_of(id);
        for (struct topic *t = f->chains[hash % CHAINS]; t; t = t->next)
            if (t->hash == hash && str_is(t->id, id))
                topic_changed(f, t);
    }
}

void feeds_all_changed(struct feeds *f)
{
    for (size_t i = 0; i < CHAINS; i++)
        for (struct topic *t = f->chains[i]; t; t = t->next)
            topic_changed(f, t);
}

/* ---- listeners ---- */

static void enqueue(struct feeds *f, struct listener *l)
{
    l->state = LISTENER_QUEUED;
    link_append(&f->queue, &l->queue);
}

struct listener *feeds_listen(struct feeds *f, struct str entity_id, ks_feed_fn *fn,
                              struct str seen)
{
    struct listener *l = die_zalloc(sizeof *l);
    l->topic = topic_get(f, entity_id, fn);
    if (seen.len && seen.len <= FEED_ID_MAX)
        memcpy(l->seen, seen.at, seen.len);
    link_init(&l->link);
    link_init(&l->queue);
    link_append(&l->topic->listeners, &l->link);
    if (!f->listener_count++)
        partition_on_commit(f->config.partition, on_commit, f);
    enqueue(f, l);
    return l;
}

void feeds_set_stream(struct listener *l, void *stream)
{
    l->stream = stream;
}

void feeds_leave(struct feeds *f, struct listener *l)
{
    struct topic *t = l->topic;
    link_remove(&l->link);
    link_remove(&l->queue);
    free(l);
    if (link_is_alone(&t->listeners))
        topic_drop(f, t);
    if (!--f->listener_count)
        partition_on_commit(f->config.partition, NULL, NULL);
}

void feeds_ready(struct feeds *f, struct listener *l)
{
    if (l->state != LISTENER_QUEUED)
        enqueue(f, l);
}

/* ---- pieces ---- */

/* One line of an event: what would end it is left out. */
static void append_line(struct buf *out, const char *field, const char *text)
{
    buf_str(out, field);
    for (; *text; text++)
        if ((uint8_t)*text >= 0x20)
            buf_byte(out, (uint8_t)*text);
    buf_byte(out, '\n');
}

void ks_emit(ks_feed *feed, const char *id, const char *event, const ks_val *data)
{
    struct feed_step *s = (struct feed_step *)(void *)feed;
    size_t len = strlen(id);
    assert(len <= FEED_ID_MAX);
    memcpy(s->to, id, len + 1);
    append_line(s->out, "id: ", id);
    append_line(s->out, "event: ", event);
    buf_str(s->out, "data: ");
    val_write_json(s->out, data); /* in which line feeds are escaped */
    buf_str(s->out, "\n\n");
}

static void make_piece(struct feeds *f, const struct topic *t, struct piece *piece,
                       const char *from)
{
    const struct instance *inst = partition_peek(f->config.partition, t->id);
    struct feed_step step = {.feed = {.mem = &f->mem,
                                      .key = t->key,
                                      .state = inst ? inst->entity.doc.root : NULL,
                                      .seen = from},
                             .out = &f->out};
    f->out.len = 0;
    memcpy(step.to, from, strlen(from) + 1);
    t->fn(&step.feed);
    arena_reset(&f->mem);
    /* Events that do not move the place would come for ever. */
    bool is_new = f->out.len && strcmp(step.to, from) != 0;
    shared_drop(piece->bytes);
    piece->bytes = is_new ? shared_new((struct str){f->out.at, f->out.len}) : NULL;
    piece->version = t->version;
    memcpy(piece->from, from, strlen(from) + 1);
    memcpy(piece->to, step.to, sizeof step.to);
    if (f->out.cap > OUT_KEPT_BYTES)
        buf_free(&f->out);
}

static const struct piece *piece_get(struct feeds *f, struct topic *t, const char *from)
{
    for (size_t i = 0; i < PIECES; i++)
        if (t->pieces[i].version == t->version && strcmp(t->pieces[i].from, from) == 0)
            return &t->pieces[i];
    struct piece *piece = &t->pieces[t->next_piece++ % PIECES];
    make_piece(f, t, piece, from);
    return piece;
}

/* Whether something was sent. */
static bool deliver(struct feeds *f, struct listener *l)
{
    link_remove(&l->queue);
    l->state = LISTENER_IDLE;
    const struct piece *piece = piece_get(f, l->topic, l->seen);
    if (!piece->bytes)
        return false;
    memcpy(l->seen, piece->to, sizeof l->seen);
    if (f->config.send(f->config.ctx, l->stream, piece->bytes))
        enqueue(f, l); /* there may be more */
    else
        l->state = LISTENER_BUSY;
    return true;
}

/* ---- the round ---- */

static void tell_changed(struct feeds *f, int64_t now_ms)
{
    while (!link_is_alone(&f->changed)) {
        struct topic *t = LINK_OWNER(f->changed.next, struct topic, changed);
        if (t->next_ms > now_ms)
            return;
        link_remove(&t->changed);
        t->next_ms = now_ms + FEED_PACE_MS;
        for (struct link *l = t->listeners.next; l != &t->listeners; l = l->next) {
            struct listener *listener = LINK_OWNER(l, struct listener, link);
            if (listener->state == LISTENER_IDLE)
                enqueue(f, listener);
        }
    }
}

void feeds_round(struct feeds *f, int64_t now_ms)
{
    unsigned sends = 0;
    f->now_ms = now_ms;
    tell_changed(f, now_ms);
    while (!link_is_alone(&f->queue) && sends < FEED_ROUND_SENDS)
        sends += deliver(f, LINK_OWNER(f->queue.next, struct listener, queue));
}

int64_t feeds_next_ms(const struct feeds *f)
{
    if (!link_is_alone(&f->queue))
        return INT64_MIN;
    if (link_is_alone(&f->changed))
        return NEVER_MS;
    return LINK_OWNER(f->changed.next, struct topic, changed)->next_ms;
}
