/* One suite for every store: what was committed is there, whatever happened in between. Each test
 * runs against the store in memory and the one on disk. */
#include "store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int set_up(void **state, bool is_memory)
{
    struct world *w = malloc(sizeof *w);
    world_init(w, 1, is_memory);
    if (world_open(w) < 0)
        return -1;
    *state = w;
    return 0;
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
    world_free(*state);
    free(*state);
    return 0;
}

/* ---- helpers ---- */

static void assert_same(struct world *w)
{
    const char *what = world_differs(w);
    if (what)
        fail_msg("%s", what);
}

static void assert_ok(struct world *w, int result)
{
    if (result < 0)
        fail_msg("%d: %s", result, w->why);
}

static void commit(struct world *w)
{
    assert_ok(w, world_commit(w, (struct str){"", 0}));
}

static void crash(struct world *w)
{
    world_abandon(w);
    assert_ok(w, world_open(w));
}

static void restart(struct world *w)
{
    assert_int_equal(world_close(w), 0);
    assert_ok(w, world_open(w));
    assert_true(w->recovered.was_clean);
}

static struct instance *create_list(struct world *w, const char *id)
{
    struct instance *inst = world_create(w, INSTANCE_ENTITY, id, "list");
    world_patch(w, inst, DOC_APPEND, "items", ks_string(&w->mem, "a train"));
    return inst;
}

static const ks_val *state(struct world *w, const char *id)
{
    struct instance *inst = world_find(w, id);
    return inst ? inst->entity.doc.root : NULL;
}

/* ---- claims ---- */

static void an_empty_store_begins_at_the_beginning(void **at)
{
    struct world *w = *at;
    assert_int_equal(w->recovered.time_ms, 0);
    assert_int_equal(w->recovered.next_uid, 1);
    assert_int_equal(w->recovered.queue.len, 0);
    assert_true(w->recovered.was_clean);
    assert_null(world_find(w, "nobody"));
}

static void what_was_committed_is_there_after_a_crash(void **at)
{
    struct world *w = *at;
    create_list(w, "@list@1");
    commit(w);
    world_patch(w, world_find(w, "@list@1"), DOC_APPEND, "items", ks_string(&w->mem, "a ball"));
    commit(w);
    crash(w);
    assert_same(w);
    assert_string_equal(ks_text(ks_at(ks_get(state(w, "@list@1"), "items"), 1)), "a ball");
}

static void what_was_committed_is_there_after_a_restart(void **at)
{
    struct world *w = *at;
    create_list(w, "@list@1");
    commit(w);
    restart(w);
    assert_same(w);
    restart(w);
    assert_same(w);
    crash(w);
    assert_same(w);
}

static void sequences_grow_by_one_and_go_on_after_a_crash(void **at)
{
    struct world *w = *at;
    for (uint64_t i = 1; i <= 5; i++) {
        create_list(w, ks_format(&w->mem, "@list@%d", (int)i));
        commit(w);
        assert_int_equal(w->sequence, i);
        if (i == 2)
            crash(w);
        if (i == 3)
            restart(w);
    }
}

static void what_was_not_committed_is_not_there(void **at)
{
    struct world *w = *at;
    create_list(w, "@list@1");
    commit(w);
    world_patch(w, world_find(w, "@list@1"), DOC_APPEND, "items", ks_string(&w->mem, "a ball"));
    crash(w);
    assert_same(w);
    assert_int_equal(ks_len(ks_get(state(w, "@list@1"), "items")), 1);
}

static void a_deleted_instance_is_gone(void **at)
{
    struct world *w = *at;
    create_list(w, "@list@1");
    commit(w);
    world_settle(w);
    world_delete(w, world_find(w, "@list@1"));
    commit(w);
    assert_null(world_find(w, "@list@1"));
    crash(w);
    assert_null(world_find(w, "@list@1"));
    world_settle(w);
    assert_null(world_find(w, "@list@1"));
    restart(w);
    assert_null(world_find(w, "@list@1"));
}

static void an_id_may_be_used_again(void **at)
{
    struct world *w = *at;
    for (int i = 0; i < 4; i++) {
        create_list(w, "@list@1");
        world_patch(w, world_find(w, "@list@1"), DOC_SET, "round", ks_integer(&w->mem, i));
        commit(w);
        if (i % 2)
            world_settle(w);
        if (i == 3)
            break;
        world_delete(w, world_find(w, "@list@1"));
        if (i == 0) {
            create_list(w, "@list@1"); /* in one commit */
            commit(w);
            world_delete(w, world_find(w, "@list@1"));
        }
        commit(w);
    }
    assert_int_equal(ks_int(ks_get(state(w, "@list@1"), "round")), 3);
    world_settle(w);
    world_evict(w);
    assert_int_equal(ks_int(ks_get(state(w, "@list@1"), "round")), 3);
    crash(w);
    assert_int_equal(ks_int(ks_get(state(w, "@list@1"), "round")), 3);
}

static void created_and_deleted_in_one_commit_leaves_nothing_but_its_uid(void **at)
{
    struct world *w = *at;
    world_delete(w, create_list(w, "@list@1"));
    commit(w);
    assert_null(world_find(w, "@list@1"));
    crash(w);
    assert_null(world_find(w, "@list@1"));
    assert_int_equal(w->recovered.next_uid, 2);
    restart(w);
    assert_int_equal(w->recovered.next_uid, 2);
}

static void the_queue_of_the_last_commit_survives(void **at)
{
    struct world *w = *at;
    static const char *const queues[] = {"one", "", "three"};
    for (int i = 0; i < 3; i++) {
        create_list(w, ks_format(&w->mem, "@list@%d", i));
        assert_ok(w, world_commit(w, str_of(queues[i])));
        world_settle(w);
        crash(w);
        assert_int_equal(w->recovered.queue.len, strlen(queues[i]));
        assert_memory_equal(w->recovered.queue.at ? w->recovered.queue.at : "", queues[i],
                            strlen(queues[i]));
        restart(w);
        assert_int_equal(w->recovered.queue.len, strlen(queues[i]));
        restart(w);
        assert_int_equal(w->recovered.queue.len, strlen(queues[i]));
        assert_same(w);
    }
}

static void a_commit_of_nothing_but_a_queue_counts(void **at)
{
    struct world *w = *at;
    assert_ok(w, world_commit(w, STR("messages")));
    crash(w);
    assert_int_equal(w->recovered.queue.len, 8);
    commit(w);
    crash(w);
    assert_int_equal(w->recovered.queue.len, 0);
}

static void time_and_uids_never_go_back(void **at)
{
    struct world *w = *at;
    create_list(w, "@list@1");
    create_list(w, "@list@2");
    w->time_ms = 777;
    commit(w);
    world_delete(w, world_find(w, "@list@2"));
    commit(w);
    for (int i = 0; i < 3; i++) {
        i % 2 ? restart(w) : crash(w);
        assert_int_equal(w->recovered.time_ms, 779);
        assert_int_equal(w->recovered.next_uid, 3);
        world_settle(w);
    }
}

struct due_list {
    struct due at[8];
    size_t count, wanted;
};

/* As many as are wanted; 0: all. */
static bool take_due(void *ctx, const struct due *due)
{
    struct due_list *list = ctx;
    assert_true(list->count < 8);
    list->at[list->count++] = *due;
    return list->count != list->wanted;
}

static void expire(struct world *w, const char *id, int64_t due_ms)
{
    struct buf log = {0};
    entity_log_line(&log, LINE_EXPIRE, due_ms, STR(""));
    world_change(w, create_list(w, id), (struct str){log.at, log.len});
    buf_free(&log);
}

static void what_is_due_comes_in_order_and_once(void **at)
{
    struct world *w = *at;
    struct due_list list = {0};
    expire(w, "@list@1", 300);
    expire(w, "@list@2", 100);
    expire(w, "@list@3", 200);
    expire(w, "@list@4", 400);
    create_list(w, "@list@5"); /* never */
    commit(w);
    world_settle(w);
    assert_int_equal(store_due(w->store, 100, 400, take_due, &list), 0);
    assert_int_equal(list.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(list.at[i].wake_ms, 100 + 100 * (int64_t)i);
    assert_int_equal(list.at[0].uid, 2);
    world_delete(w, world_find(w, "@list@2"));
    commit(w);
    list.count = 0;
    assert_int_equal(store_due(w->store, INT64_MIN, NEVER_MS, take_due, &list), 0);
    assert_int_equal(list.count, 3);
    restart(w);
    list.count = 0;
    assert_int_equal(store_due(w->store, 0, 300, take_due, &list), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.at[0].uid, 3);
    list = (struct due_list){.wanted = 2};
    assert_int_equal(store_due(w->store, 0, NEVER_MS, take_due, &list), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.at[1].uid, 1);
}

static void an_activity_that_waits_is_due_at_once(void **at)
{
    struct world *w = *at;
    struct due_list list = {0};
    struct buf log = {0};
    struct instance *inst = world_create(w, INSTANCE_ORCHESTRATION, "order", "Order");
    event_encode(&log, &(struct event){.type = EVENT_EXECUTION_STARTED,
                                       .time_ms = 5,
                                       .val = ks_null(&w->mem)});
    event_encode(&log, &(struct event){.type = EVENT_TASK_SCHEDULED,
                                       .name = STR("Greet"),
                                       .val = ks_null(&w->mem)});
    world_change(w, inst, (struct str){log.at, log.len});
    buf_free(&log);
    commit(w);
    restart(w);
    assert_int_equal(store_due(w->store, -1, 1, take_due, &list), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.at[0].wake_ms, 0);
    assert_same(w);
}

static void an_evicted_instance_comes_back_as_it_was(void **at)
{
    struct world *w = *at;
    for (int i = 0; i < 300; i++)
        assert_ok(w, world_step(w, 4));
    world_settle(w);
    world_evict(w);
    assert_int_equal(w->table.count, 0);
    assert_same(w);
}

static void all_sorts_of_values_come_back(void **at)
{
    struct world *w = *at;
    struct instance *inst = create_list(w, "@list@1");
    world_patch(w, inst, DOC_SET, "text",
                ks_string_n(&w->mem, "quote\" slash\\ nul\0 line\n \xF0\x9F\x8E\x81", 29));
    world_patch(w, inst, DOC_SET, "least", ks_integer(&w->mem, INT64_MIN));
    world_patch(w, inst, DOC_SET, "most", ks_integer(&w->mem, INT64_MAX));
    world_patch(w, inst, DOC_SET, "tenth", ks_real(&w->mem, 0.1));
    world_patch(w, inst, DOC_SET, "whole", ks_real(&w->mem, 2.0));
    world_patch(w, inst, DOC_SET, "tiny", ks_real(&w->mem, 5e-324));
    world_patch(w, inst, DOC_SET, "deep/er/est", ks_boolean(&w->mem, true));
    world_patch(w, inst, DOC_SET, "error", val_error(&w->mem, "Oops", "it failed", NULL));
    commit(w);
    struct buf before = {0}, after = {0};
    val_encode(&before, state(w, "@list@1"));
    for (int i = 0; i < 3; i++) {
        i == 1 ? restart(w) : crash(w);
        world_evict(w);
        after.len = 0;
        val_encode(&after, state(w, "@list@1"));
        assert_int_equal(after.len, before.len);
        assert_memory_equal(after.at, before.at, before.len);
    }
    buf_free(&before);
    buf_free(&after);
}

/* A large document is saved once; after that, what changed. */
static void a_large_document_grows_by_patches(void **at)
{
    struct world *w = *at;
    char text[500];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    create_list(w, "@list@1");
    for (int i = 0; i < 200; i++) {
        struct instance *inst = world_find(w, "@list@1");
        text[0] = (char)('a' + i % 26);
        world_patch(w, inst, DOC_APPEND, "items", ks_string(&w->mem, text));
        world_patch(w, inst, DOC_ADD, "count", ks_integer(&w->mem, 1));
        commit(w);
        if (i % 7 == 0)
            world_settle(w);
        if (i % 14 == 0)
            world_evict(w);
        if (i % 31 == 0)
            crash(w);
        if (i % 67 == 0)
            restart(w);
    }
    assert_same(w);
    assert_int_equal(ks_int(ks_get(state(w, "@list@1"), "count")), 200);
    assert_int_equal(ks_len(ks_get(state(w, "@list@1"), "items")), 201);
}

static void a_commit_larger_than_a_segment_is_a_commit(void **at)
{
    struct world *w = *at;
    static char text[300000];
    memset(text, 'y', sizeof text - 1);
    for (int i = 0; i < 3; i++) {
        struct instance *inst = create_list(w, ks_format(&w->mem, "@list@%d", i));
        world_patch(w, inst, DOC_SET, "big", ks_string(&w->mem, text));
        commit(w);
        create_list(w, ks_format(&w->mem, "@small@%d", i));
        commit(w);
    }
    crash(w);
    assert_same(w);
    restart(w);
    assert_same(w);
}

static void many_instances_come_back(void **at)
{
    struct world *w = *at;
    for (int i = 0; i < 40; i++) {
        for (int k = 0; k < 100; k++)
            create_list(w, ks_format(&w->mem, "@list@%d-%d", i, k));
        commit(w);
        store_tick(w->store);
        if (i % 3 == 0)
            world_pump(w);
    }
    crash(w);
    assert_same(w);
    restart(w);
    assert_same(w);
}

static void every_history_of_commits_crashes_and_restarts_agrees_with_the_model(void **at)
{
    struct world *w = *at;
    for (int i = 0; i < 1500; i++) {
        assert_ok(w, world_step(w, 1 + world_random(w, 6)));
        w->now_ns += (int64_t)world_random(w, 3000) * 1000000;
        if (world_random(w, 3) == 0)
            store_tick(w->store);
        if (world_random(w, 5) == 0)
            world_pump(w);
        if (world_random(w, 10) == 0)
            world_evict(w);
        if (world_random(w, 25) == 0) {
            world_random(w, 2) ? crash(w) : restart(w);
            assert_same(w);
            assert_int_equal(w->recovered.time_ms, w->time_ms);
            assert_int_equal(w->recovered.next_uid, w->row_count);
            assert_int_equal(w->recovered.queue.len, w->queue.len);
        }
    }
    assert_same(w);
}

static void jobs_at_once_are_the_same(void **at)
{
    ((struct world *)*at)->jobs = JOBS_AT_ONCE;
    every_history_of_commits_crashes_and_restarts_agrees_with_the_model(at);
}

static void jobs_on_threads_are_the_same(void **at)
{
    ((struct world *)*at)->jobs = JOBS_ON_THREADS;
    every_history_of_commits_crashes_and_restarts_agrees_with_the_model(at);
}

#define ON_BOTH(claim) \
    {"memory: " #claim, claim, set_up_memory, tear_down, NULL}, \
    { \
        "journal: " #claim, claim, set_up_journal, tear_down, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(an_empty_store_begins_at_the_beginning),
        ON_BOTH(what_was_committed_is_there_after_a_crash),
        ON_BOTH(what_was_committed_is_there_after_a_restart),
        ON_BOTH(sequences_grow_by_one_and_go_on_after_a_crash),
        ON_BOTH(what_was_not_committed_is_not_there),
        ON_BOTH(a_deleted_instance_is_gone),
        ON_BOTH(an_id_may_be_used_again),
        ON_BOTH(created_and_deleted_in_one_commit_leaves_nothing_but_its_uid),
        ON_BOTH(the_queue_of_the_last_commit_survives),
        ON_BOTH(a_commit_of_nothing_but_a_queue_counts),
        ON_BOTH(time_and_uids_never_go_back),
        ON_BOTH(what_is_due_comes_in_order_and_once),
        ON_BOTH(an_activity_that_waits_is_due_at_once),
        ON_BOTH(an_evicted_instance_comes_back_as_it_was),
        ON_BOTH(all_sorts_of_values_come_back),
        ON_BOTH(a_large_document_grows_by_patches),
        ON_BOTH(a_commit_larger_than_a_segment_is_a_commit),
        ON_BOTH(many_instances_come_back),
        ON_BOTH(every_history_of_commits_crashes_and_restarts_agrees_with_the_model),
        ON_BOTH(jobs_at_once_are_the_same),
        ON_BOTH(jobs_on_threads_are_the_same),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
