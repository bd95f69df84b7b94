/* The store in memory: what the one on disk has to do, done in the plainest way. A commit saves
 * every changed instance at once, as the bytes a checkpoint would keep, so a load goes through the
 * same codec as on disk. */
#include "base/die.h"
#include "store/walk.h"

#include <assert.h>
#include <stdlib.h>

struct row {
    struct row *next_by_id, *next_by_uid;
    struct row *newer, *older; /* by uid */
    uint64_t uid;
    enum instance_kind kind;
    struct buf id, name;
    int64_t created_ms, updated_ms, wake_ms;
    uint64_t sequence;
    ks_runtime_status status;
    struct buf state, history, log, parent, tags;
};

struct memory_disk {
    struct row **by_id, **by_uid; /* chains; mask + 1 of them */
    size_t mask;
    size_t count;
    struct row *newest;
    int64_t time_ms;
    uint64_t next_uid;
    uint64_t sequence;
    struct buf queue;
};

struct memory_store {
    struct store store;
    struct memory_disk *disk;
    struct buf texts;
    ks_arena scratch;
};

enum { CHAINS_AT_FIRST = 64 };

/* ---- rows ---- */

static size_t id_hash(struct str id)
{
    size_t hash = 5381;
    for (size_t i = 0; i < id.len; i++)
        hash = hash * 33 + (uint8_t)id.at[i];
    return hash;
}

static struct str view(const struct buf *b)
{
    return (struct str){b->len ? b->at : "", b->len};
}

static struct row **id_chain(const struct memory_disk *d, struct str id)
{
    return &d->by_id[id_hash(id) & d->mask];
}

static struct row **uid_chain(const struct memory_disk *d, uint64_t uid)
{
    return &d->by_uid[uid & d->mask];
}

static struct row *row_find(const struct memory_disk *d, uint64_t uid)
{
    struct row *row = *uid_chain(d, uid);
    while (row && row->uid != uid)
        row = row->next_by_uid;
    return row;
}

static void row_link(struct memory_disk *d, struct row *row)
{
    struct row **by_id = id_chain(d, view(&row->id));
    struct row **by_uid = uid_chain(d, row->uid);
    row->next_by_id = *by_id;
    row->next_by_uid = *by_uid;
    *by_id = row;
    *by_uid = row;
}

static void chains_new(struct memory_disk *d, size_t count)
{
    d->by_id = die_zalloc(count * sizeof d->by_id[0]);
    d->by_uid = die_zalloc(count * sizeof d->by_uid[0]);
    d->mask = count - 1;
}

static void grow(struct memory_disk *d)
{
    struct memory_disk old = *d;
    if (d->count <= d->mask)
        return;
    chains_new(d, (old.mask + 1) * 2);
    for (size_t i = 0; i <= old.mask; i++)
        for (struct row *row = old.by_uid[i], *next; row; row = next) {
            next = row->next_by_uid;
            row_link(d, row);
        }
    free(old.by_id);
    free(old.by_uid);
}

/* By uid: instances are committed in the order they were made. */
static void row_line_up(struct memory_disk *d, struct row *row)
{
    assert(!d->newest || d->newest->uid < row->uid);
    row->older = d->newest;
    if (row->older)
        row->older->newer = row;
    d->newest = row;
}

static struct row *row_new(struct memory_disk *d, const struct instance *inst)
{
    grow(d);
    struct row *row = die_zalloc(sizeof *row);
    row->uid = inst->uid;
    row->kind = inst->kind;
    row->created_ms = inst->created_ms;
    buf_append(&row->id, inst->id, inst->id_len);
    buf_str(&row->name, inst->name);
    row_link(d, row);
    row_line_up(d, row);
    d->count++;
    return row;
}

static void row_free(struct row *row)
{
    buf_free(&row->id);
    buf_free(&row->name);
    buf_free(&row->state);
    buf_free(&row->history);
    buf_free(&row->log);
    buf_free(&row->parent);
    buf_free(&row->tags);
    free(row);
}

static void row_delete(struct memory_disk *d, uint64_t uid)
{
    struct row *row = row_find(d, uid);
    if (!row)
        return;
    struct row **at = id_chain(d, view(&row->id));
    while (*at != row)
        at = &(*at)->next_by_id;
    *at = row->next_by_id;
    at = uid_chain(d, uid);
    while (*at != row)
        at = &(*at)->next_by_uid;
    *at = row->next_by_uid;
    *(row->newer ? &row->newer->older : &d->newest) = row->older;
    if (row->older)
        row->older->newer = row->newer;
    d->count--;
    row_free(row);
}

/* ---- the port ---- */

static void save(struct memory_store *m, struct instance *inst, int64_t time_ms)
{
    struct image image;
    struct row *row = row_find(m->disk, inst->uid);
    if (!row)
        row = row_new(m->disk, inst);
    instance_save(inst, &m->texts, &image);
    if (image.is_whole) {
        row->state.len = 0;
        row->log.len = 0;
        buf_append(&row->state, image.state.at, image.state.len);
        row->parent.len = 0;
        row->tags.len = 0;
        buf_append(&row->parent, image.parent.at, image.parent.len);
        buf_append(&row->tags, image.tags.at, image.tags.len);
    }
    row->history.len = 0;
    buf_append(&row->history, image.history.at, image.history.len);
    buf_append(&row->log, image.log.at, image.log.len);
    row->updated_ms = time_ms;
    row->wake_ms = instance_wake_ms(inst);
    row->sequence = m->disk->sequence;
    row->status = inst->status;
    inst->updated_ms = time_ms;
    inst->last_sequence = m->disk->sequence;
    inst->is_known_to_checkpoint = true;
}

static int memory_commit(struct store *s, const struct commit *commit, uint64_t *ret_sequence)
{
    struct memory_store *m = (struct memory_store *)s;
    struct memory_disk *d = m->disk;
    d->sequence++;
    d->time_ms = commit->time_ms;
    d->queue.len = 0;
    buf_append(&d->queue, commit->queue.at, commit->queue.len);
    for (size_t i = 0; i < commit->change_count; i++) {
        const struct change *change = &commit->changes[i];
        if (change->inst->uid >= d->next_uid)
            d->next_uid = change->inst->uid + 1;
        if (change->what == CHANGE_DELETED)
            row_delete(d, change->inst->uid);
        else
            save(m, change->inst, commit->time_ms);
    }
    *ret_sequence = d->sequence;
    return 0;
}

static int load_row(struct memory_store *m, const struct row *row, struct instance **ret)
{
    *ret = NULL;
    if (!row)
        return 0;
    struct instance *inst = instance_new(row->uid, row->kind, view(&row->id), view(&row->name),
                                         row->created_ms);
    inst->updated_ms = row->updated_ms;
    inst->last_sequence = row->sequence;
    inst->is_known_to_checkpoint = true;
    int result = instance_restore(inst, view(&row->state), view(&row->history), view(&row->log),
                                  &m->scratch);
    arena_reset(&m->scratch);
    if (result < 0)
        die("bug: what instance %.*s was saved as cannot be read", (int)row->id.len, row->id.at);
    table_add(m->store.table, inst);
    *ret = inst;
    return 0;
}

static int memory_load(struct store *s, struct str id, struct instance **ret)
{
    struct memory_store *m = (struct memory_store *)s;
    const struct row *row = *id_chain(m->disk, id);
    while (row && !str_is(view(&row->id), id))
        row = row->next_by_id;
    return load_row(m, row, ret);
}

static int memory_load_uid(struct store *s, uint64_t uid, struct instance **ret)
{
    struct memory_store *m = (struct memory_store *)s;
    return load_row(m, row_find(m->disk, uid), ret);
}

static int due_order(const void *a, const void *b)
{
    const struct due *x = a, *y = b;
    return (x->wake_ms > y->wake_ms) - (x->wake_ms < y->wake_ms);
}

static int memory_due(struct store *s, int64_t from_ms, int64_t until_ms,
                      bool (*each)(void *ctx, const struct due *due), void *ctx)
{
    const struct memory_disk *d = ((struct memory_store *)s)->disk;
    struct due *dues = die_malloc(d->count * sizeof *dues);
    size_t count = 0;
    for (size_t i = 0; i <= d->mask; i++)
        for (const struct row *row = d->by_uid[i]; row; row = row->next_by_uid)
            if (row->wake_ms >= from_ms && row->wake_ms < until_ms)
                dues[count++] = (struct due){.uid = row->uid, .wake_ms = row->wake_ms};
    qsort(dues, count, sizeof *dues, due_order);
    for (size_t i = 0; i < count && each(ctx, &dues[i]); i++)
        ;
    free(dues);
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct instance *const *x = a, *const *y = b;
    return ((*x)->uid < (*y)->uid) - ((*x)->uid > (*y)->uid);
}

/* What the pass that is under way has changed. */
static const struct instance **changed(const struct query *query)
{
    const struct instance **ret = die_malloc((query->change_count + 1) * sizeof *ret);
    for (size_t i = 0; i < query->change_count; i++)
        ret[i] = query->changes[i].inst;
    qsort(ret, query->change_count, sizeof *ret, newest_first);
    return ret;
}

static bool show_row(struct walk *w, const struct row *row)
{
    struct summary s = {.uid = row->uid,
                        .kind = row->kind,
                        .status = row->status,
                        .id = view(&row->id),
                        .name = view(&row->name),
                        .created_ms = row->created_ms,
                        .updated_ms = row->updated_ms,
                        .parent = view(&row->parent)};
    return walk_row(w, &s, view(&row->tags));
}

/* Rows, and where the pass has one that is newer or has no row yet, that. */
static int memory_query(struct store *s, const struct query *query, struct query_page *ret)
{
    const struct instance **pass = changed(query);
    const struct row *row = ((struct memory_store *)s)->disk->newest;
    uint64_t below = query->below ? query->below : UINT64_MAX;
    bool goes_on = true;
    struct walk w;
    walk_begin(&w, s->env, query, ret);
    for (size_t i = 0; goes_on && (row || i < query->change_count);) {
        bool is_row = row && (i == query->change_count || pass[i]->uid < row->uid);
        uint64_t uid = is_row ? row->uid : pass[i]->uid;
        if (uid < below && !uid_set_has(&w.gone, uid))
            goes_on = is_row ? show_row(&w, row) : walk_instance(&w, pass[i]);
        if (row && row->uid == uid)
            row = row->older;
        while (i < query->change_count && pass[i]->uid == uid)
            i++;
    }
    walk_end(&w);
    free(pass);
    return 0;
}

static void memory_tick(struct store *s)
{
    (void)s;
}

static enum store_room memory_room(struct store *s)
{
    (void)s;
    return ROOM_PLENTY;
}

static void memory_abandon(struct store *s)
{
    struct memory_store *m = (struct memory_store *)s;
    buf_free(&m->texts);
    arena_free(&m->scratch);
    free(m);
}

static int memory_close(struct store *s)
{
    memory_abandon(s);
    return 0;
}

static const struct store_ops memory_ops = {.commit = memory_commit,
                                            .load = memory_load,
                                            .load_uid = memory_load_uid,
                                            .due = memory_due,
                                            .query = memory_query,
                                            .tick = memory_tick,
                                            .room = memory_room,
                                            .close = memory_close,
                                            .abandon = memory_abandon};

int store_memory_open(struct env *env, struct table *table, struct memory_disk **disk,
                      struct recovered *ret, struct store **ret_store)
{
    if (!*disk) {
        *disk = die_zalloc(sizeof **disk);
        (*disk)->next_uid = 1;
        chains_new(*disk, CHAINS_AT_FIRST);
    }
    struct memory_store *m = die_zalloc(sizeof *m);
    m->store = (struct store){.ops = &memory_ops, .env = env, .table = table};
    m->disk = *disk;
    arena_init(&m->scratch, 4096);
    *ret = (struct recovered){.sequence = m->disk->sequence,
                              .time_ms = m->disk->time_ms,
                              .next_uid = m->disk->next_uid,
                              .was_clean = true};
    buf_append(&ret->queue, m->disk->queue.at, m->disk->queue.len);
    *ret_store = &m->store;
    return 0;
}

void store_memory_free(struct memory_disk *disk)
{
    if (!disk)
        return;
    for (size_t i = 0; i <= disk->mask; i++)
        for (struct row *row = disk->by_uid[i], *next; row; row = next) {
            next = row->next_by_uid;
            row_free(row);
        }
    free(disk->by_id);
    free(disk->by_uid);
    buf_free(&disk->queue);
    free(disk);
}
