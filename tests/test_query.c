/* Lists and counts: one suite for every store. What a query finds is compared with a plain model,
 * which goes through all instances there are; saves, evictions, crashes and restarts happen in
 * between. */
#include "store_world.h"

#include "core/aside.h"
#include "store/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What the model knows of an instance. */
struct known {
    bool is_there;
    int status;
    bool is_entity;
    char id[40], name[16], parent[40], color[16]; /* empty: none */
    int64_t created_ms, updated_ms;
};

struct shelf {
    struct world w;      /* first */
    struct known *known; /* by uid */
    size_t count, cap;
    ks_arena mem;
};

static int set_up(void **state, bool is_memory)
{
    struct shelf *s = calloc(1, sizeof *s);
    world_init(&s->w, 1, is_memory);
    arena_init(&s->mem, 4096);
    s->count = 1;
    *state = s;
    return world_open(&s->w);
}

static int set_up_memory(void **state)
{
    return set_up(state, true);
}

static int set_up_journal(void **state)
{
    return set_up(state, false);
}

static int tear_down(void **state)
{
    struct shelf *s = *state;
    world_free(&s->w);
    arena_free(&s->mem);
    free(s->known);
    free(s);
    return 0;
}

/* ---- doing ---- */

static void assert_ok(struct shelf *s, int result)
{
    if (result < 0)
        fail_msg("%d: %s", result, s->w.why);
}

static void commit(struct shelf *s)
{
    for (size_t i = 0; i < s->w.change_count; i++)
        s->known[s->w.changes[i].inst->uid].updated_ms = s->w.time_ms + 1;
    assert_ok(s, world_commit(&s->w, STR("")));
}

static void crash(struct shelf *s)
{
    world_abandon(&s->w);
    assert_ok(s, world_open(&s->w));
}

static void restart(struct shelf *s)
{
    assert_int_equal(world_close(&s->w), 0);
    assert_ok(s, world_open(&s->w));
}

static void happen(struct shelf *s, struct instance *inst, struct event e)
{
    struct buf log = {0};
    if (!e.val)
        e.val = ks_null(&s->w.mem);
    event_encode(&log, &e);
    world_change(&s->w, inst, (struct str){log.at, log.len});
    buf_free(&log);
    s->known[inst->uid].status = inst->status;
}

static struct known *know(struct shelf *s, const struct instance *inst)
{
    if (s->count >= s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->known = realloc(s->known, s->cap * sizeof s->known[0]);
    }
    if (inst->uid != s->count)
        fail_msg("uid %d is not the next", (int)inst->uid);
    struct known *known = &s->known[s->count++];
    *known = (struct known){.is_there = true,
                            .is_entity = inst->kind == INSTANCE_ENTITY,
                            .status = inst->status,
                            .created_ms = inst->created_ms,
                            .updated_ms = inst->created_ms};
    snprintf(known->id, sizeof known->id, "%s", inst->id);
    snprintf(known->name, sizeof known->name, "%s", inst->name);
    return known;
}

static struct instance *create_entity(struct shelf *s, const char *id, const char *name)
{
    struct instance *inst = world_create(&s->w, INSTANCE_ENTITY, id, name);
    know(s, inst);
    world_patch(&s->w, inst, DOC_SET, "is", ks_boolean(&s->w.mem, true));
    return inst;
}

static const ks_val *details(struct shelf *s, const char *parent, const char *color)
{
    ks_arena *mem = &s->w.mem;
    ks_val *all = ks_object(mem), *of = ks_object(mem), *tags = ks_object(mem);
    if (*parent)
        ks_put(mem, all, "parent", ks_put(mem, of, "id", ks_string(mem, parent)));
    ks_put(mem, tags, "shape", ks_string(mem, "round"));
    if (*color)
        ks_put(mem, all, "tags", ks_put(mem, tags, "color", ks_string(mem, color)));
    return all;
}

/* One that is to start later is pending. */
static struct instance *create(struct shelf *s, const char *id, const char *name,
                               const char *parent, const char *color)
{
    struct instance *inst = world_create(&s->w, INSTANCE_ORCHESTRATION, id, name);
    struct known *known = know(s, inst);
    snprintf(known->parent, sizeof known->parent, "%s", parent);
    snprintf(known->color, sizeof known->color, "%s", color);
    bool is_later = inst->uid % 5 == 0;
    happen(s, inst,
           (struct event){.type = is_later ? EVENT_EXECUTION_SCHEDULED : EVENT_EXECUTION_STARTED,
                          .time_ms = inst->created_ms,
                          .due_ms = inst->created_ms + 1000,
                          .details = details(s, parent, color)});
    return inst;
}

static struct instance *find(struct shelf *s, uint64_t uid)
{
    struct instance *inst = table_find_uid(&s->w.table, uid);
    if (!inst && (store_load_uid(s->w.store, uid, &inst) < 0 || !inst))
        fail_msg("instance %d cannot be loaded", (int)uid);
    return inst;
}

static void end(struct shelf *s, uint64_t uid, bool is_good)
{
    struct instance *inst = find(s, uid);
    const ks_val *val = is_good ? ks_null(&s->w.mem) : val_error(&s->w.mem, "Oops", "it", NULL);
    happen(s, inst, (struct event){.type = EVENT_EXECUTION_COMPLETED, .val = val});
}

static void delete (struct shelf *s, uint64_t uid)
{
    world_delete(&s->w, find(s, uid));
    s->known[uid].is_there = false;
}

/* ---- random doing ---- */

static uint64_t chance(struct shelf *s, uint64_t below)
{
    return world_random(&s->w, below);
}

static void create_any(struct shelf *s)
{
    static const char *const names[] = {"Order", "ORDER", "Gift", "list"};
    static const char *const colors[] = {"", "", "red", "blue"};
    char id[40], parent[40] = "";
    const char *name = names[chance(s, 4)];
    snprintf(id, sizeof id, "%c%02d-%zu", "aabbc"[chance(s, 5)], (int)chance(s, 30), s -> count);
    if (s->count > 3 && chance(s, 3) == 0)
        snprintf(parent, sizeof parent, "%s", s->known[1 + chance(s, 3)].id);
    if (chance(s, 3) == 0)
        create_entity(s, ks_format(&s->mem, "@list@%s", id), "list");
    else
        create(s, id, name, parent, colors[chance(s, 4)]);
}

static void change_entity(struct shelf *s, struct instance *inst)
{
    struct buf log = {0};
    if (inst->status == KS_RUNNING && chance(s, 4) == 0)
        entity_log_line(&log, LINE_LOCK, 0, STR(QUARANTINE_OWNER));
    else
        entity_log_line(&log, LINE_EXPIRE, 1000000, STR(""));
    world_change(&s->w, inst, (struct str){log.at, log.len});
    buf_free(&log);
    s->known[inst->uid].status = inst->status;
}

static void change_orchestration(struct shelf *s, struct instance *inst)
{
    const struct known *known = &s->known[inst->uid];
    int64_t now_ms = s->w.time_ms + 1;
    if (status_is_final(inst->status))
        return;
    switch (chance(s, 6)) {
    case 0:
        end(s, inst->uid, true);
        break;
    case 1:
        end(s, inst->uid, chance(s, 3));
        break;
    case 2:
        happen(s, inst, (struct event){.type = EVENT_EXECUTION_TERMINATED, .time_ms = now_ms});
        break;
    case 3:
        happen(s, inst, (struct event){.type = EVENT_CONTINUED_AS_NEW});
        happen(s, inst,
               (struct event){.type = EVENT_EXECUTION_SCHEDULED,
                              .time_ms = now_ms,
                              .due_ms = now_ms,
                              .details = details(s, known->parent, known->color)});
        break;
    case 4:
        happen(s, inst, (struct event){.type = EVENT_EXECUTION_QUARANTINED, .time_ms = now_ms});
        break;
    default:
        happen(s, inst,
               (struct event){.type = inst->status == KS_SUSPENDED ? EVENT_EXECUTION_RESUMED
                                                                   : EVENT_EXECUTION_SUSPENDED,
                              .time_ms = now_ms});
    }
}

static void change_any(struct shelf *s)
{
    uint64_t uid = 1 + chance(s, s->count);
    if (uid >= s->count || !s->known[uid].is_there) {
        create_any(s);
        return;
    }
    struct instance *inst = find(s, uid);
    if (chance(s, 5) == 0)
        delete (s, uid);
    else if (inst->kind == INSTANCE_ENTITY)
        change_entity(s, inst);
    else
        change_orchestration(s, inst);
}

/* After a commit. */
static void live_on(struct shelf *s)
{
    s->w.time_ms += (int64_t)chance(s, 20);
    s->w.now_ns += (int64_t)chance(s, 3000) * 1000000;
    if (chance(s, 3) == 0)
        store_tick(s->w.store);
    if (chance(s, 5) == 0)
        world_pump(&s->w);
    if (chance(s, 20) == 0)
        world_settle(&s->w);
    if (chance(s, 8) == 0)
        world_evict(&s->w);
    if (chance(s, 40) == 0)
        chance(s, 2) ? crash(s) : restart(s);
}

/* ---- asking ---- */

static bool is_such(const ks_filter *f, const struct known *k)
{
    bool is_tagged = k->color[0] && f->tag && strcmp(f->tag, "color") == 0 &&
                     (!f->tag_value || strcmp(f->tag_value, k->color) == 0);
    return k->is_there && (!f->kind || (f->kind == KS_FN_ENTITY) == k->is_entity) &&
           (!f->name || strcasecmp(f->name, k->name) == 0) &&
           (!f->statuses || f->statuses & 1u << k->status) &&
           (!f->id_prefix || strncmp(k->id, f->id_prefix, strlen(f->id_prefix)) == 0) &&
           (!f->parent || strcmp(f->parent, k->parent) == 0) && (!f->tag || is_tagged) &&
           k->created_ms >= f->created_from_ms &&
           (!f->created_until_ms || k->created_ms < f->created_until_ms) &&
           k->updated_ms >= f->updated_from_ms &&
           (!f->updated_until_ms || k->updated_ms < f->updated_until_ms);
}

static ks_filter random_filter(struct shelf *s)
{
    static const char *const prefixes[] = {"a", "b1", "@list@", "c0"};
    static const char *const names[] = {"order", "Gift", "LIST", "nobody"};
    ks_filter f = {.kind = (int[]){0, KS_FN_ORCHESTRATION, KS_FN_ENTITY, 0}[chance(s, 4)]};
    for (uint64_t terms = chance(s, 4); terms > 0; terms--) {
        switch (chance(s, 8)) {
        case 0:
            f.name = names[chance(s, 4)];
            break;
        case 1:
            f.statuses = 1u << (1 + chance(s, 7));
            break;
        case 2:
            f.statuses = (unsigned)chance(s, 128) << 1;
            break;
        case 3:
            f.id_prefix = prefixes[chance(s, 4)];
            break;
        case 4:
            f.parent = ks_format(&s->mem, "%s", s->known[1 + chance(s, 3)].id);
            break;
        case 5:
            f.tag = "color";
            f.tag_value = (const char *[]){"red", "blue", NULL}[chance(s, 3)];
            break;
        case 6:
            f.created_from_ms = (int64_t)chance(s, (uint64_t)s->w.time_ms + 1);
            f.created_until_ms = f.created_from_ms + (int64_t)chance(s, 500);
            break;
        default:
            f.updated_from_ms = (int64_t)chance(s, (uint64_t)s->w.time_ms + 1);
        }
    }
    return f;
}

static struct query query_of(struct shelf *s, const ks_filter *f)
{
    return (struct query){.filter = f,
                          .limit = 10,
                          .changes = s->w.changes,
                          .change_count = s->w.change_count,
                          .mem = &s->mem};
}

static void assert_is_known(const struct known *k, const struct summary *s)
{
    assert_true(str_is(s->id, str_of(k->id)));
    assert_true(str_is(s->name, str_of(k->name)));
    assert_true(str_is(s->parent, str_of(k->parent)));
    assert_int_equal(s->kind == INSTANCE_ENTITY, k->is_entity);
    assert_int_equal(s->status, k->status);
    assert_int_equal(s->created_ms, k->created_ms);
    assert_int_equal(s->updated_ms, k->updated_ms);
    assert_string_equal(ks_text(ks_get(s->tags, "color")), k->color);
    assert_int_equal(ks_len(s->tags), k->color[0] ? 2 : 0);
}

/* All pages say what the model says, and so does the count. */
static void assert_found(struct shelf *s, struct query q)
{
    struct query_page page;
    uint64_t uid = s->count;
    size_t count = 0, counted = 0;
    do {
        assert_ok(s, store_query(s->w.store, &q, &page));
        for (size_t i = 0; i < page.count; i++) {
            do
                uid--;
            while (uid > page.at[i].uid && !is_such(q.filter, &s->known[uid]));
            if (uid != page.at[i].uid)
                fail_msg("found %d instead of %d", (int)page.at[i].uid, (int)uid);
            if (!is_such(q.filter, &s->known[uid]))
                fail_msg("found %d, which is not such", (int)uid);
            assert_is_known(&s->known[uid], &page.at[i]);
        }
        count += page.count;
        assert_true(page.count <= q.limit);
        assert_true(!page.below || !q.below || page.below < q.below);
        q.below = page.below;
    } while (page.below);
    while (--uid > 0)
        if (is_such(q.filter, &s->known[uid]))
            fail_msg("missed %d", (int)uid);
    q.is_count = true;
    do {
        assert_ok(s, store_query(s->w.store, &q, &page));
        counted += page.count;
        q.below = page.below;
    } while (page.below);
    assert_int_equal(counted, count);
    arena_reset(&s->mem);
}

static void every_query_agrees_with_the_model(void **at)
{
    struct shelf *s = *at;
    for (int i = 0; i < 5; i++)
        create_any(s);
    for (int i = 0; i < 1500; i++) {
        for (uint64_t n = 1 + chance(s, 4); n > 0; n--)
            change_any(s);
        bool is_before = chance(s, 2);
        if (!is_before)
            commit(s);
        ks_filter f = random_filter(s);
        struct query q = query_of(s, &f);
        q.limit = 1 + (size_t)chance(s, 40);
        q.examine = (size_t[]){0, 1 + chance(s, 10), 1 + chance(s, 300)}[chance(s, 3)];
        assert_found(s, q);
        if (is_before)
            commit(s);
        live_on(s);
    }
}

static void every_query_agrees_with_jobs_on_threads(void **at)
{
    ((struct shelf *)*at)->w.jobs = JOBS_ON_THREADS;
    every_query_agrees_with_the_model(at);
}

/* ---- while things change ---- */

/* Who was such at each page so far. */
static void keep_those_that_are(struct shelf *s, const ks_filter *f, bool *all, size_t count)
{
    for (size_t uid = 1; uid < count; uid++)
        all[uid] &= is_such(f, &s->known[uid]);
}

static void page_through_changes(struct shelf *s, const ks_filter *f)
{
    struct query_page page;
    size_t count = s->count;
    bool *always = malloc(count), *seen = calloc(count, 1);
    memset(always, true, count);
    uint64_t below = 0;
    do {
        keep_those_that_are(s, f, always, count);
        struct query q = query_of(s, f);
        q.limit = 1 + (size_t)chance(s, 5);
        q.below = below;
        q.examine = (size_t[]){0, 1 + chance(s, 40)}[chance(s, 2)];
        assert_ok(s, store_query(s->w.store, &q, &page));
        for (size_t i = 0; i < page.count; i++) {
            uint64_t uid = page.at[i].uid;
            assert_true(is_such(f, &s->known[uid]));
            assert_true(!below || uid < below);
            if (uid >= count)
                continue; /* of before the first page ended */
            assert_false(seen[uid]);
            seen[uid] = true;
        }
        below = page.below;
        for (uint64_t n = chance(s, 6); n > 0; n--)
            change_any(s);
        commit(s);
        live_on(s);
    } while (below);
    for (size_t uid = 1; uid < count; uid++)
        if (always[uid] && !seen[uid])
            fail_msg("missed %zu", uid);
    arena_reset(&s->mem);
    free(always);
    free(seen);
}

static void pages_stay_right_while_instances_come_and_go(void **at)
{
    struct shelf *s = *at;
    for (int i = 0; i < 300; i++)
        create_any(s);
    commit(s);
    for (int i = 0; i < 60; i++) {
        ks_filter f = random_filter(s);
        char parent[40];
        snprintf(parent, sizeof parent, "%s", f.parent ? f.parent : "");
        f.parent = f.parent ? parent : NULL;
        page_through_changes(s, &f);
    }
}

/* ---- claims ---- */

static size_t count_all(struct shelf *s, const ks_filter *f)
{
    struct query q = query_of(s, f);
    struct query_page page;
    size_t count = 0;
    q.is_count = true;
    do {
        assert_ok(s, store_query(s->w.store, &q, &page));
        count += page.count;
        q.below = page.below;
    } while (page.below);
    return count;
}

static void nothing_is_found_in_an_empty_store(void **at)
{
    struct shelf *s = *at;
    struct query_page page;
    ks_filter f = {.name = "Order"};
    struct query q = query_of(s, &f);
    assert_ok(s, store_query(s->w.store, &q, &page));
    assert_int_equal(page.count, 0);
    assert_int_equal(page.below, 0);
}

static void what_the_pass_did_is_seen_before_its_commit(void **at)
{
    struct shelf *s = *at;
    const ks_filter running = {.statuses = 1u << KS_RUNNING},
                    failed = {.statuses = 1u << KS_FAILED};
    create(s, "a", "Order", "", "");
    create(s, "b", "Order", "", "");
    assert_int_equal(count_all(s, &running), 2);
    commit(s);
    world_settle(&s->w);
    world_evict(&s->w);
    end(s, 1, false);
    assert_int_equal(count_all(s, &running), 1);
    assert_int_equal(count_all(s, &failed), 1);
    delete (s, 2);
    assert_int_equal(count_all(s, &running), 0);
    crash(s);
    assert_int_equal(count_all(s, &running), 2);
    assert_int_equal(count_all(s, &failed), 0);
}

static void what_is_being_saved_is_seen_as_it_is(void **at)
{
    struct shelf *s = *at;
    const ks_filter failed = {.statuses = 1u << KS_FAILED};
    create(s, "a", "Order", "", "");
    commit(s);
    world_settle(&s->w);
    end(s, 1, false);
    create(s, "b", "Order", "", "");
    commit(s);
    s->w.now_ns += (int64_t)20 * 1000000000;
    store_tick(s->w.store);
    store_tick(s->w.store); /* the save is taken; it is not written yet */
    s->w.now_ns += (int64_t)20 * 1000000000;
    store_tick(s->w.store);
    assert_int_equal(count_all(s, &failed), 1);
    assert_int_equal(count_all(s, &(ks_filter){0}), 2);
    world_pump(&s->w);
    assert_int_equal(count_all(s, &failed), 1);
    assert_int_equal(count_all(s, &(ks_filter){0}), 2);
}

static void what_keepsake_keeps_for_itself_is_not_shown(void **at)
{
    struct shelf *s = *at;
    create_entity(s, "@$reply@1", "$reply");
    create_entity(s, "@list@1", "list");
    commit(s);
    assert_int_equal(count_all(s, &(ks_filter){0}), 1);
    assert_int_equal(count_all(s, &(ks_filter){.name = "$reply"}), 0);
    restart(s);
    assert_int_equal(count_all(s, &(ks_filter){0}), 1);
}

static int64_t ever_later(void *self)
{
    struct world *w = self;
    return w->now_ns += 1000000;
}

static void a_page_ends_after_some_milliseconds(void **at)
{
    struct shelf *s = *at;
    const ks_filter none = {.name = "nobody", .kind = KS_FN_ENTITY, .updated_from_ms = 1};
    struct query_page page;
    int pages = 0;
    for (int i = 0; i < 3000; i++)
        create_entity(s, ks_format(&s->mem, "@list@%d", i), "list");
    commit(s);
    restart(s);
    s->w.env.boot_ns = ever_later;
    struct query q = query_of(s, &none);
    q.filter = &(ks_filter){.updated_from_ms = INT64_MAX};
    do {
        assert_ok(s, store_query(s->w.store, &q, &page));
        assert_int_equal(page.count, 0);
        q.below = page.below;
        pages++;
    } while (page.below);
    assert_in_range(pages, 3, 8);
}

/* More is newer than its row than a page may look at, and the save ends while pages are made. */
static void a_save_may_end_while_a_page_is_made(void **at)
{
    struct shelf *s = *at;
    s->w.jobs = JOBS_ON_THREADS;
    for (int i = 0; i < 200; i++) {
        const ks_filter of_this_round = {.created_from_ms = s->w.time_ms += 1000};
        for (int k = 0; k < 30; k++)
            create_any(s);
        commit(s);
        s->w.now_ns += (int64_t)20 * 1000000000;
        store_tick(s->w.store);
        for (int k = 0; k < 20; k++) {
            struct query q = query_of(s, &of_this_round);
            q.limit = 10;
            q.examine = 10;
            assert_found(s, q);
        }
        world_pump(&s->w);
    }
}

static void run_sql(struct shelf *s, const char *sql, int64_t *ret)
{
    struct connection c;
    const char *const none[CONNECTION_STATEMENTS_MAX] = {NULL};
    char path[200];
    snprintf(path, sizeof path, "%s/checkpoint.db", s->w.folder);
    assert_int_equal(connection_open(&c, path, NULL, false, none), SQLITE_OK);
    int result = ret ? connection_number(&c, sql, ret) : connection_exec(&c, sql);
    if (result != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(c.db));
    connection_close(&c);
}

static void a_tag_is_any_text(void **at)
{
    struct shelf *s = *at;
    struct buf log = {0};
    ks_arena *mem = &s->w.mem;
    struct instance *inst = world_create(&s->w, INSTANCE_ORCHESTRATION, "a", "Order");
    know(s, inst);
    ks_val *tags = ks_object(mem);
    ks_put(mem, tags, "k", ks_string_n(mem, "v\0a", 3));
    ks_put(mem, tags, "n", ks_integer(mem, 1));
    ks_put(mem, tags, "color", ks_string(mem, "r\xC3\xB6t \"\\"));
    event_encode(&log, &(struct event){.type = EVENT_EXECUTION_STARTED,
                                       .val = ks_null(mem),
                                       .details = ks_put(mem, ks_object(mem), "tags", tags)});
    world_change(&s->w, inst, (struct str){log.at, log.len});
    buf_free(&log);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(count_all(s, &(ks_filter){.tag = "color", .tag_value = "r\xC3\xB6t \"\\"}),
                         1);
        assert_int_equal(count_all(s, &(ks_filter){.tag = "k", .tag_value = "v"}), 0);
        assert_int_equal(count_all(s, &(ks_filter){.tag = "n", .tag_value = "1"}), 0);
        commit(s);
        if (i == 1)
            restart(s);
    }
    delete (s, 1);
    commit(s);
    restart(s);
    assert_int_equal(count_all(s, &(ks_filter){.tag = "color"}), 0);
    if (!s->w.is_memory) {
        int64_t left = 1;
        run_sql(s, "SELECT count(*) FROM tag", &left);
        assert_int_equal(left, 0);
    }
}

/* Bytes, not characters: the last one may be the greatest there is; and no id is that long. */
static void an_id_prefix_is_any_bytes(void **at)
{
    struct shelf *s = *at;
    char is_long[KS_ID_MAX + 40] = "";
    memset(is_long, 'a', sizeof is_long - 1);
    create(s, "a\xC3\xBF", "Order", "", "");
    create(s, "a\xC3\xC0", "Order", "", "");
    create(s, "b", "Order", "", "");
    commit(s);
    restart(s);
    assert_int_equal(count_all(s, &(ks_filter){.id_prefix = "a\xC3\xBF"}), 1);
    assert_int_equal(count_all(s, &(ks_filter){.id_prefix = "a\xC3"}), 2);
    assert_int_equal(count_all(s, &(ks_filter){.id_prefix = "\xFF"}), 0);
    assert_int_equal(count_all(s, &(ks_filter){.id_prefix = is_long}), 0);
}

/* ---- a folder of before ---- */

static void a_folder_of_before_there_were_queries_is_brought_up_to_date(void **at)
{
    struct shelf *s = *at;
    for (int i = 0; i < 400; i++) {
        for (int k = 0; k < 4; k++)
            change_any(s);
        commit(s);
    }
    assert_int_equal(world_close(&s->w), 0);
    run_sql(s, CHECKPOINT_OLDER_SQL, NULL);
    for (int i = 0; i < 2; i++) {
        assert_ok(s, world_open(&s->w));
        ks_filter filters[] = {{0},
                               {.tag = "color", .tag_value = "red"},
                               {.tag = "color"},
                               {.parent = s->known[1].id},
                               {.parent = s->known[2].id},
                               {.name = "order", .statuses = 1u << KS_FAILED}};
        for (size_t k = 0; k < sizeof filters / sizeof filters[0]; k++)
            assert_found(s, query_of(s, &filters[k]));
        crash(s);
        assert_int_equal(world_close(&s->w), 0);
    }
    assert_ok(s, world_open(&s->w));
}

static void a_status_has_a_name_or_none(void **at)
{
    (void)at;
    for (ks_runtime_status i = KS_PENDING; i <= KS_QUARANTINED; i++)
        assert_int_equal(status_of_name(str_of(ks_status_name(i))), i);
    assert_string_equal(ks_status_name((ks_runtime_status)99), "Unknown");
    assert_int_equal(status_of_name(STR("Unknown")), KS_MISSING);
}

/* Whoever has the history finds that out; a start does not. */
static void a_history_that_cannot_be_read_is_brought_up_to_date_without_its_tags(void **at)
{
    struct shelf *s = *at;
    struct instance *inst;
    create(s, "a", "Order", "", "red");
    create(s, "b", "Order", "", "red");
    commit(s);
    assert_int_equal(world_close(&s->w), 0);
    run_sql(s, CHECKPOINT_OLDER_SQL "UPDATE log SET bytes=x'02ff' WHERE uid=1", NULL);
    assert_ok(s, world_open(&s->w));
    assert_int_equal(count_all(s, &(ks_filter){.name = "Order"}), 2);
    assert_int_equal(count_all(s, &(ks_filter){.tag = "color", .tag_value = "red"}), 1);
    assert_int_equal(store_load(s->w.store, STR("a"), &inst), KS_E_DAMAGED);
}

static void a_folder_of_format_1_keeps_its_tags(void **at)
{
    struct shelf *s = *at;
    create(s, "a", "Order", "", "red");
    commit(s);
    assert_int_equal(world_close(&s->w), 0);
    run_sql(s,
            "INSERT INTO log SELECT uid,1,history FROM instance WHERE history IS NOT NULL;"
            "ALTER TABLE instance DROP COLUMN history;PRAGMA user_version=1",
            NULL);
    for (int i = 0; i < 2; i++) {
        assert_ok(s, world_open(&s->w));
        assert_int_equal(count_all(s, &(ks_filter){.tag = "color", .tag_value = "red"}), 1);
        assert_null(world_differs(&s->w));
        assert_int_equal(world_close(&s->w), 0);
    }
    assert_ok(s, world_open(&s->w));
}

#define ON_BOTH(claim) \
    {"memory: " #claim, claim, set_up_memory, tear_down, NULL}, \
    { \
        "journal: " #claim, claim, set_up_journal, tear_down, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"a_status_has_a_name_or_none", a_status_has_a_name_or_none, NULL, NULL, NULL},
        ON_BOTH(nothing_is_found_in_an_empty_store),
        ON_BOTH(what_the_pass_did_is_seen_before_its_commit),
        ON_BOTH(what_is_being_saved_is_seen_as_it_is),
        ON_BOTH(what_keepsake_keeps_for_itself_is_not_shown),
        ON_BOTH(a_page_ends_after_some_milliseconds),
        ON_BOTH(a_tag_is_any_text),
        ON_BOTH(an_id_prefix_is_any_bytes),
        ON_BOTH(every_query_agrees_with_the_model),
        ON_BOTH(every_query_agrees_with_jobs_on_threads),
        ON_BOTH(a_save_may_end_while_a_page_is_made),
        ON_BOTH(pages_stay_right_while_instances_come_and_go),
        {"journal: a_folder_of_before_there_were_queries_is_brought_up_to_date",
         a_folder_of_before_there_were_queries_is_brought_up_to_date, set_up_journal, tear_down,
         NULL},
        {"journal: a_folder_of_format_1_keeps_its_tags", a_folder_of_format_1_keeps_its_tags,
         set_up_journal, tear_down, NULL},
        {"journal: a_history_that_cannot_be_read_is_brought_up_to_date_without_its_tags",
         a_history_that_cannot_be_read_is_brought_up_to_date_without_its_tags, set_up_journal,
         tear_down, NULL},
    };
    return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
