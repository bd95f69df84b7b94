/* Instances: what their log makes of them, what is pending, and that saved in pieces and restored
 * they are what they were. */
#include "core/instance.h"
#include "random_val.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static ks_arena scratch;

static int set_up(void **state)
{
    (void)state;
    arena_init(&scratch, 4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&scratch);
    return 0;
}

static struct instance *orchestration_new(void)
{
    return instance_new(1, INSTANCE_ORCHESTRATION, STR("it"), STR("Program"), 0);
}

static struct instance *entity_new(void)
{
    return instance_new(2, INSTANCE_ENTITY, STR("@box@k"), STR("box"), 0);
}

static int apply(struct instance *inst, const struct event *e)
{
    struct buf log = {0};
    event_encode(&log, e);
    int result = instance_apply(inst, log.at, log.len, &scratch);
    buf_free(&log);
    return result;
}

/* ---- pending, against a plain array ---- */

enum { TASKS_MAX = 400 };

struct tasks {
    size_t count;
    struct {
        bool is_pending, is_activity;
        int64_t due_ms;
    } at[TASKS_MAX];
};

static void expect_same(const struct tasks *tasks, const struct instance *inst)
{
    int64_t due_ms = NEVER_MS;
    uint32_t activities = 0;
    for (uint32_t i = 0; i < tasks->count; i++) {
        const struct pending *p = instance_pending(inst, i);
        assert_int_equal(p != NULL, tasks->at[i].is_pending);
        if (!p)
            continue;
        bool is_activity = p->kind == PENDING_ACTIVITY;
        assert_int_equal(is_activity, tasks->at[i].is_activity);
        activities += is_activity;
        if (!is_activity && tasks->at[i].due_ms < due_ms)
            due_ms = tasks->at[i].due_ms;
    }
    assert_null(instance_pending(inst, (uint32_t)tasks->count));
    assert_int_equal(inst->orchestration.pending.activities, activities);
    assert_true(inst->due_ms == due_ms);
    assert_true(instance_wake_ms(inst) == (activities ? 0 : due_ms));
}

static struct event random_event(struct random *r, const struct tasks *tasks)
{
    static const enum event_type types[] = {EVENT_TASK_SCHEDULED, EVENT_TIMER_CREATED,
                                            EVENT_TASK_COMPLETED, EVENT_TIMER_FIRED,
                                            EVENT_TIMER_CANCELED, EVENT_TASK_RAN};
    struct event e = {.type = types[random_below(r, 6)], .name = STR("Work")};
    bool is_new = e.type == EVENT_TASK_SCHEDULED || e.type == EVENT_TIMER_CREATED ||
                  e.type == EVENT_TASK_RAN;
    e.id = is_new ? (uint32_t)tasks->count : random_below(r, (unsigned)tasks->count + 1);
    e.time_ms = (int64_t)random_below(r, 50);
    e.due_ms = e.time_ms;
    return e;
}

/* Whether the log may have it, and then it is done. */
static bool tasks_apply(struct tasks *tasks, const struct event *e)
{
    bool is_there = e->id < tasks->count && tasks->at[e->id].is_pending;
    bool is_activity = e->id < tasks->count && tasks->at[e->id].is_activity;
    if (e->type == EVENT_TASK_SCHEDULED || e->type == EVENT_TIMER_CREATED ||
        e->type == EVENT_TASK_RAN) {
        tasks->at[tasks->count].is_pending = e->type != EVENT_TASK_RAN;
        tasks->at[tasks->count].is_activity = e->type == EVENT_TASK_SCHEDULED;
        tasks->at[tasks->count++].due_ms = e->due_ms;
        return true;
    }
    if (e->type == EVENT_TIMER_CANCELED && (!is_there || is_activity))
        return true; /* a timer that fired meanwhile can be canceled */
    if (!is_there || is_activity != (e->type == EVENT_TASK_COMPLETED))
        return false;
    tasks->at[e->id].is_pending = false;
    return true;
}

static void what_is_pending_is_what_was_asked_and_has_not_come(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        static struct tasks tasks;
        struct random r = {seed};
        struct instance *inst = orchestration_new();
        tasks = (struct tasks){0};
        for (int i = 0; i < 800 && tasks.count < TASKS_MAX; i++) {
            struct event e = random_event(&r, &tasks);
            struct tasks before = tasks;
            if (tasks_apply(&tasks, &e)) {
                assert_int_equal(apply(inst, &e), 0);
            } else {
                struct instance *other = orchestration_new(); /* one that is refused is lost */
                struct buf *history = &inst->orchestration.history;
                instance_apply(other, history->at, history->len, &scratch);
                assert_int_equal(apply(other, &e), -1);
                instance_free(other);
                tasks = before;
            }
            expect_same(&tasks, inst);
        }
        instance_free(inst);
    }
}

/* ---- logs that could not have been written ---- */

static void nothing_follows_the_end(void **state)
{
    struct instance *inst = orchestration_new();
    (void)state;
    assert_int_equal(apply(inst, &(struct event){.type = EVENT_EXECUTION_STARTED, .time_ms = 7}),
                     0);
    assert_int_equal(inst->orchestration.last_ms, 7);
    assert_null(instance_output(inst, &scratch));
    assert_int_equal(apply(inst, &(struct event){.type = EVENT_TIMER_CREATED, .due_ms = 9}), 0);
    assert_int_equal(inst->orchestration.last_ms, 7);
    struct event end = {.type = EVENT_EXECUTION_COMPLETED, .val = ks_integer(&scratch, 5)};
    assert_int_equal(apply(inst, &end), 0);
    assert_int_equal(inst->status, KS_COMPLETED);
    assert_true(inst->due_ms == NEVER_MS);
    assert_int_equal(ks_int(instance_output(inst, &scratch)), 5);
    assert_int_equal(apply(inst, &end), -1);
    instance_free(inst);
}

static void bytes_that_are_no_events_are_refused(void **state)
{
    struct buf log = {0};
    (void)state;
    event_encode(&log, &(struct event){.type = EVENT_EXECUTION_STARTED,
                                       .time_ms = 1000,
                                       .val = ks_string(&scratch, "input")});
    event_encode(&log, &(struct event){.type = EVENT_MESSAGE_SENT,
                                       .message = 3,
                                       .target = STR("@a@b"),
                                       .name = STR("add"),
                                       .val = ks_string(&scratch, "x")});
    size_t whole = 0;
    for (size_t len = 0; len <= log.len; len++) {
        struct instance *inst = orchestration_new();
        char *cut = arena_memdup(&scratch, log.at, len);
        whole += instance_apply(inst, cut, len, &scratch) == 0;
        instance_free(inst);
    }
    static const char large_id[] = "\3\0\x80\x80\x80\x80\x10"; /* 2^32 */
    struct event e;
    struct reader r = reader_of(large_id, sizeof large_id - 1);
    event_decode(&r, &scratch, &e);
    assert_true(r.is_bad);
    assert_int_equal(whole, 2); /* the first, both; nothing at all is no history */
    for (unsigned type = 0; type < 256; type++) {
        static const char *const names[] = {[1] = "ExecutionStarted",
                                            [2] = "TaskCompleted",
                                            [3] = "TimerFired",
                                            [4] = "EventRaised",
                                            [5] = "SubOrchestrationCompleted",
                                            [6] = "EntityResponded",
                                            [7] = "ExecutionSuspended",
                                            [8] = "ExecutionResumed",
                                            [9] = "ExecutionTerminated",
                                            [10] = "ExecutionScheduled",
                                            [11] = "ExecutionRewound",
                                            [12] = "ExecutionQuarantined",
                                            [32] = "TaskScheduled",
                                            [33] = "TaskRan",
                                            [34] = "TimerCreated",
                                            [35] = "TimerCanceled",
                                            [36] = "MessageSent",
                                            [37] = "SubOrchestrationCreated",
                                            [38] = "EntityCalled",
                                            [39] = "LockRequested",
                                            [40] = "LockReleased",
                                            [41] = "StatusSet",
                                            [42] = "ContinuedAsNew",
                                            [43] = "ExecutionCompleted",
                                            [44] = "TaskAbandoned",
                                            [255] = NULL};
        assert_string_equal(event_type_name((enum event_type)type),
                            names[type] ? names[type] : "Unknown");
        if (names[type])
            continue;
        log.at[0] = (char)type;
        struct instance *inst = orchestration_new();
        assert_int_equal(instance_apply(inst, log.at, log.len, &scratch), -1);
        instance_free(inst);
    }
    buf_free(&log);
}

/* ---- saving ---- */

/* What a store keeps of one instance, and how much it wrote for it. */
struct row {
    struct buf state, history, log;
    size_t written_bytes, wholes;
};

/* As if it had never been saved. */
static void save_whole_next(struct instance *inst)
{
    inst->saved_bytes = 0;
    if (inst->kind == INSTANCE_ENTITY)
        buf_free(&inst->entity.unsaved);
}

static void row_save(struct row *row, struct instance *inst)
{
    struct buf texts = {0};
    struct image image;
    instance_save(inst, &texts, &image);
    if (image.is_whole) {
        row->state.len = 0;
        row->log.len = 0;
        buf_append(&row->state, image.state.at, image.state.len);
    } else {
        assert_int_equal(image.state.len, 0);
    }
    row->history.len = 0;
    buf_append(&row->history, image.history.at, image.history.len);
    buf_append(&row->log, image.log.at, image.log.len);
    row->written_bytes += image.state.len + image.history.len + image.log.len;
    row->wholes += image.is_whole;
    buf_free(&texts);
}

static struct instance *row_load(const struct row *row, struct instance *inst)
{
    struct str state = {row->state.len ? row->state.at : "", row->state.len};
    struct str log = {row->log.len ? row->log.at : "", row->log.len};
    struct str history = {row->history.len ? row->history.at : "", row->history.len};
    assert_int_equal(instance_restore(inst, state, history, log, &scratch), 0);
    return inst;
}

static void row_free(struct row *row)
{
    buf_free(&row->state);
    buf_free(&row->history);
    buf_free(&row->log);
}

/* As a step does it: the document first, then the bytes. */
static void change(struct instance *inst, const struct doc_patch *p)
{
    struct buf log = {0};
    doc_patch_encode(&log, p);
    if (!doc_apply(&inst->entity.doc, p, &scratch, NULL))
        instance_note(inst, log.at, log.len);
    doc_tidy(&inst->entity.doc);
    buf_free(&log);
}

static void an_entity_saved_in_pieces_is_restored(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct random r = {seed};
        struct row row = {0};
        struct instance *inst = entity_new();
        for (int i = 0; i < 300; i++) {
            char path[16];
            snprintf(path, sizeof path, "k%u/%c", random_below(&r, 20), "abc"[random_below(&r, 3)]);
            struct doc_patch p = {.op = random_below(&r, 3) ? DOC_SET : DOC_REMOVE,
                                  .path = str_of(path)};
            if (p.op == DOC_SET)
                p.val = random_val(&r, &scratch, 4, true);
            change(inst, &p);
            if (random_below(&r, 40) == 0)
                save_whole_next(inst);
            if (random_below(&r, 4))
                continue;
            row_save(&row, inst);
            struct instance *again = row_load(&row, entity_new());
            if (!val_equal(again->entity.doc.root, inst->entity.doc.root))
                fail_msg("seed %llu, change %d: restored it is another", (unsigned long long)seed,
                         i);
            if (random_below(&r, 2)) { /* goes on as what was loaded */
                struct instance *old = inst;
                inst = again;
                again = old;
            }
            instance_free(again);
            arena_reset(&scratch);
        }
        row_free(&row);
        instance_free(inst);
    }
}

static void saving_a_large_entity_costs_what_changed(void **state)
{
    struct row row = {0};
    struct instance *inst = entity_new();
    enum { N = 5000 };
    (void)state;
    for (int64_t i = 0; i < N; i++) {
        struct doc_patch p = {.op = DOC_APPEND,
                              .path = STR("items"),
                              .val = ks_string(&scratch, "a gift")};
        change(inst, &p);
        row_save(&row, inst);
        arena_reset(&scratch);
    }
    struct instance *again = row_load(&row, entity_new());
    assert_true(val_equal(again->entity.doc.root, inst->entity.doc.root));
    assert_true(row.log.len > 0);
    size_t wholes = row.wholes;
    change(again, &(struct doc_patch){.op = DOC_ADD, .path = STR("n"), .n = 1});
    row_save(&row, again); /* loaded, it goes on in pieces */
    assert_int_equal(row.wholes, wholes);
    char text[201];
    memset(text, 'x', 200);
    text[200] = 0;
    for (int64_t i = 0; i < N; i++) { /* a log that says the same again and again is cut */
        change(again, &(struct doc_patch){.op = DOC_SET,
                                          .path = STR("last"),
                                          .val = ks_string(&scratch, text)});
        row_save(&row, again);
        assert_true(row.log.len <= again->entity.doc.mem.used_bytes);
        arena_reset(&scratch);
    }
    assert_true(row.wholes < 400);
    assert_true(row.written_bytes < (size_t)N * 1500);
    instance_free(again);
    instance_free(inst);
    row_free(&row);
}

/* In one place or the other. */
static void assert_is_saved(const struct row *row, const struct instance *inst)
{
    const struct buf *history = &inst->orchestration.history;
    bool is_short = history->len <= SHORT_HISTORY_BYTES;
    const struct buf *there = is_short ? &row->history : &row->log;
    assert_int_equal((is_short ? &row->log : &row->history)->len, 0);
    assert_int_equal(there->len, history->len);
    assert_memory_equal(there->at, history->at, history->len);
}

static void a_short_history_in_a_log_goes_to_its_row(void **state)
{
    (void)state;
    struct row row = {0};
    struct instance *inst = orchestration_new();
    assert_int_equal(apply(inst, &(struct event){.type = EVENT_EXECUTION_STARTED}), 0);
    buf_append(&row.log, inst->orchestration.history.at, inst->orchestration.history.len);
    struct instance *again = row_load(&row, orchestration_new());
    row_save(&row, again);
    assert_int_equal(row.wholes, 1);
    assert_is_saved(&row, again);
    instance_free(again);
    instance_free(inst);
    row_free(&row);
}

static void an_orchestration_saved_in_pieces_is_restored(void **state)
{
    struct row row = {0};
    struct instance *inst = orchestration_new();
    (void)state;
    assert_int_equal(apply(inst, &(struct event){.type = EVENT_EXECUTION_STARTED}), 0);
    row_save(&row, inst);
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(apply(inst, &(struct event){.type = EVENT_TASK_SCHEDULED,
                                                     .id = 2 * i,
                                                     .name = STR("Work")}),
                         0);
        assert_int_equal(apply(inst, &(struct event){.type = EVENT_TIMER_CREATED,
                                                     .id = 2 * i + 1,
                                                     .due_ms = 1000 - i}),
                         0);
        if (i % 3 == 0) {
            row_save(&row, inst);
            assert_is_saved(&row, inst);
        }
        if (i % 11 == 0) { /* goes on as what was loaded */
            row_save(&row, inst);
            instance_free(inst);
            inst = row_load(&row, orchestration_new());
        }
        if (i % 7 == 0)
            save_whole_next(inst);
    }
    row_save(&row, inst);
    assert_is_saved(&row, inst);
    size_t len = row.log.len;
    row_save(&row, inst); /* nothing new */
    assert_int_equal(row.log.len, len);
    assert_true(row.written_bytes < 20 * len);
    struct instance *again = row_load(&row, orchestration_new());
    assert_memory_equal(again->orchestration.history.at, inst->orchestration.history.at, len);
    assert_int_equal(again->due_ms, 801);
    assert_int_equal(instance_wake_ms(again), 0);
    const struct pending *p = instance_pending(again, 398);
    struct reader r = reader_of(again->orchestration.history.at + p->history_bytes,
                                len - p->history_bytes);
    struct event e;
    event_decode(&r, &scratch, &e);
    assert_int_equal(e.type, EVENT_TASK_SCHEDULED);
    assert_int_equal(e.id, 398);
    instance_free(again);
    instance_free(inst);
    row_free(&row);
}

static void damaged_saves_are_refused(void **state)
{
    struct instance *inst = entity_new();
    (void)state;
    assert_int_equal(instance_restore(inst, STR("{\"a\":"), STR(""), STR(""), &scratch), -1);
    instance_free(inst);
    inst = entity_new();
    assert_int_equal(instance_restore(inst, STR("{}"), STR(""), STR("\x09"), &scratch), -1);
    instance_free(inst);
    inst = entity_new(); /* an addition that does not fit */
    assert_int_equal(instance_restore(inst, STR("{\"a\":[]}"), STR(""), STR("\3\1a\2"), &scratch),
                     -1);
    instance_free(inst);
    inst = orchestration_new();
    assert_int_equal(instance_restore(inst, STR(""), STR(""), STR("\3\0\0"), &scratch), -1);
    instance_free(inst);
    inst = orchestration_new(); /* a history in both places */
    assert_int_equal(apply(inst, &(struct event){.type = EVENT_EXECUTION_STARTED}), 0);
    struct str all = {inst->orchestration.history.at, inst->orchestration.history.len};
    struct instance *again = orchestration_new();
    assert_int_equal(instance_restore(again, STR(""), all, all, &scratch), -1);
    instance_free(again);
    instance_free(inst);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_pending_is_what_was_asked_and_has_not_come),
        TEST(nothing_follows_the_end),
        TEST(bytes_that_are_no_events_are_refused),
        TEST(an_entity_saved_in_pieces_is_restored),
        TEST(saving_a_large_entity_costs_what_changed),
        TEST(an_orchestration_saved_in_pieces_is_restored),
        TEST(a_short_history_in_a_log_goes_to_its_row),
        TEST(damaged_saves_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
