/* seeds.c - what the fuzzer begins with: seeds TARGET FOLDER
 *
 * Of the targets whose input is bytes that nobody writes by hand; the others' are in corpus/. */
#include "base/die.h"
#include "core/instance.h"
#include "core/message.h"
#include "http1_vectors.h"
#include "random_val.h"

#include <stdio.h>

struct seeds {
    const char *folder;
    int count;
    struct buf bytes;
    ks_arena mem;
};

static void seed_end(struct seeds *s)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/seed-%03d", s->folder, s->count++);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(s->bytes.at, 1, s->bytes.len, file) != s->bytes.len || fclose(file) != 0)
        die("cannot write %s", path);
    s->bytes.len = 0;
}

static void http_seed(struct seeds *s, struct str request)
{
    buf_byte(&s->bytes, 20);
    buf_byte(&s->bytes, 3);
    buf_append(&s->bytes, request.at, request.len);
    if (request.len < 4096)
        seed_end(s);
    s->bytes.len = 0;
}

static void http_seeds(struct seeds *s)
{
    for (size_t i = 0; i < ACCEPTED_COUNT; i++)
        http_seed(s, accepted[i]);
    for (size_t i = 0; i < REFUSED_COUNT; i++)
        http_seed(s, refused[i].bytes);
}

static void value_seeds(struct seeds *s)
{
    struct random random = {.at = 7};
    for (int i = 0; i < 60; i++) {
        const ks_val *val = random_val(&random, &s->mem, 3, true);
        val_encode(&s->bytes, val);
        if (s->bytes.len < 2000)
            seed_end(s);
        s->bytes.len = 0;
    }
}

static void message_seeds(struct seeds *s)
{
    for (uint8_t type = MESSAGE_START; type <= MESSAGE_QUARANTINE; type++) {
        struct message m = {.type = type,
                            .task_id = 3,
                            .uid = 7,
                            .target = type % 2 ? STR("@list@7f") : STR("order-1"),
                            .name = STR("Go"),
                            .val = ks_integer(&s->mem, type),
                            .from = {.id = STR("order-2"), .uid = 9, .task_id = 1}};
        message_encode(&s->bytes, &m);
        seed_end(s);
    }
}

/* Each event once, in an order in which they fit. */
static void add_life(struct buf *out, ks_arena *mem, bool is_to_end)
{
    const ks_val *val = ks_string(mem, "x");
    const struct event events[] = {
        {.type = EVENT_EXECUTION_SCHEDULED, .time_ms = 5, .due_ms = 9, .val = val},
        {.type = EVENT_TIMER_FIRED, .id = EVENT_ID_START, .time_ms = 9},
        {.type = EVENT_EXECUTION_STARTED, .time_ms = 9, .val = val},
        {.type = EVENT_TASK_SCHEDULED, .id = 0, .name = STR("Do"), .val = val},
        {.type = EVENT_TIMER_CREATED, .id = 1, .due_ms = 50},
        {.type = EVENT_TIMER_CREATED, .id = 2, .due_ms = 40},
        {.type = EVENT_SUB_ORCHESTRATION_CREATED, .id = 3, .target = STR("c"), .name = STR("C")},
        {.type = EVENT_ENTITY_CALLED, .id = 4, .target = STR("@l@k"), .name = STR("add")},
        {.type = EVENT_LOCK_REQUESTED, .id = 5, .val = ks_array(mem)},
        {.type = EVENT_TASK_RAN, .id = 6, .name = STR("In"), .val = val},
        {.type = EVENT_MESSAGE_SENT,
         .message = MESSAGE_EVENT,
         .target = STR("o"),
         .name = STR("n")},
        {.type = EVENT_STATUS_SET, .val = val},
        {.type = EVENT_TASK_COMPLETED, .id = 0, .time_ms = 11, .val = val},
        {.type = EVENT_TIMER_FIRED, .id = 2, .time_ms = 40},
        {.type = EVENT_TIMER_CANCELED, .id = 1},
        {.type = EVENT_SUB_ORCHESTRATION_COMPLETED, .id = 3, .time_ms = 41, .val = val},
        {.type = EVENT_ENTITY_RESPONDED, .id = 4, .time_ms = 42, .val = val},
        {.type = EVENT_ENTITY_RESPONDED, .id = 5, .time_ms = 43, .val = val},
        {.type = EVENT_LOCK_RELEASED},
        {.type = EVENT_TASK_SCHEDULED, .id = 7, .name = STR("Do"), .val = val},
        {.type = EVENT_EVENT_RAISED, .time_ms = 44, .name = STR("Go"), .val = val},
        {.type = EVENT_TASK_ABANDONED, .id = 7},
        {.type = EVENT_EXECUTION_SUSPENDED, .time_ms = 45, .val = val},
        {.type = EVENT_EXECUTION_RESUMED, .time_ms = 46, .val = val},
        {.type = EVENT_EXECUTION_QUARANTINED, .time_ms = 47, .val = val},
        {.type = EVENT_EXECUTION_RESUMED, .time_ms = 48, .val = val},
        {.type = is_to_end ? EVENT_EXECUTION_COMPLETED : EVENT_EXECUTION_TERMINATED, .val = val},
    };
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        event_encode(out, &events[i]);
}

static void history_seeds(struct seeds *s)
{
    struct event start = {.type = EVENT_EXECUTION_STARTED, .time_ms = 1};
    struct event anew = {.type = EVENT_CONTINUED_AS_NEW};
    struct event rewound = {.type = EVENT_EXECUTION_REWOUND, .due_ms = 0};
    add_life(&s->bytes, &s->mem, true);
    seed_end(s);
    add_life(&s->bytes, &s->mem, false);
    event_encode(&s->bytes, &rewound);
    event_encode(&s->bytes, &start);
    seed_end(s);
    event_encode(&s->bytes, &start);
    event_encode(&s->bytes, &anew);
    add_life(&s->bytes, &s->mem, true);
    seed_end(s);
}

static void add_patches(struct buf *out, ks_arena *mem)
{
    const ks_val *val = ks_parse_json(mem, "{\"a\":[1,{\"b\":null}]}", 20);
    const struct doc_patch patches[] = {{DOC_SET, STR("name"), val, 0},
                                        {DOC_APPEND, STR("items"), val, 0},
                                        {DOC_ADD, STR("count"), NULL, 7},
                                        {DOC_SET, STR("items/0/a/1"), val, 0},
                                        {DOC_REMOVE, STR("items/0"), NULL, 0},
                                        {DOC_REMOVE, STR("name"), NULL, 0},
                                        {DOC_REMOVE, STR(""), NULL, 0}};
    for (size_t i = 0; i < sizeof patches / sizeof patches[0]; i++)
        doc_patch_encode(out, &patches[i]);
}

static void entity_seeds(struct seeds *s)
{
    add_patches(&s->bytes, &s->mem);
    seed_end(s);
    entity_log_line(&s->bytes, LINE_EXPIRE, 900, STR(""));
    entity_log_line(&s->bytes, LINE_LOCK, 0, STR("order-1"));
    entity_log_line(&s->bytes, LINE_DEFER, 0, STR("message"));
    entity_log_line(&s->bytes, LINE_DEFER, 0, STR("another"));
    entity_log_line(&s->bytes, LINE_UNLOCK, 0, STR(""));
    entity_log_line(&s->bytes, LINE_UNDEFER, 0, STR(""));
    entity_log_line(&s->bytes, LINE_UNDEFER, 0, STR(""));
    entity_log_line(&s->bytes, LINE_LATER, 700, STR("later"));
    entity_log_line(&s->bytes, LINE_LATER, 600, STR("sooner"));
    entity_log_line(&s->bytes, LINE_NOW, 0, STR(""));
    entity_log_line(&s->bytes, LINE_LOCK, 0, STR("$quarantine"));
    seed_end(s);
}

/* ---- scripts: see fuzz_journal.c and fuzz_checkpoint.c ---- */

static void op(struct buf *out, uint8_t op, uint64_t n)
{
    buf_byte(out, op);
    buf_varint(out, n);
}

static void add_created(struct buf *out, ks_arena *mem, uint64_t uid, bool is_entity)
{
    struct buf log = {0};
    if (is_entity)
        add_patches(&log, mem);
    else
        event_encode(&log, &(struct event){.type = EVENT_EXECUTION_STARTED, .time_ms = 1});
    op(out, 3, uid);
    buf_byte(out, 1);
    buf_byte(out, is_entity ? INSTANCE_ENTITY : INSTANCE_ORCHESTRATION);
    buf_string(out, is_entity ? STR("@list@a") : STR("order-1"));
    buf_string(out, is_entity ? STR("list") : STR("Order"));
    buf_string(out, (struct str){log.at, log.len});
    buf_free(&log);
}

static void journal_seeds(struct seeds *s)
{
    struct buf *out = &s->bytes;
    for (uint8_t last = 5; last <= 12; last++) {
        struct buf log = {0};
        op(out, 1, 1);
        op(out, 2, 20);
        add_created(out, &s->mem, 1, true);
        op(out, 5, 0);
        add_created(out, &s->mem, 2, false);
        op(out, 5, 0);
        op(out, 1, 2); /* the next segment */
        add_patches(&log, &s->mem);
        op(out, 3, 1);
        buf_byte(out, 0);
        buf_string(out, (struct str){log.at, log.len});
        buf_byte(out, 5);
        buf_string(out, STR("queue"));
        op(out, 3, 2); /* deleted */
        buf_byte(out, 2);
        buf_string(out, STR(""));
        op(out, 5, 0);
        op(out, last, last == 8 ? 4100 : last == 11 ? 3 : last == 12);
        buf_str(out, "\1\5x"); /* what it takes; a payload that is none */
        if (last == 6)
            add_created(out, &s->mem, 1, true); /* and was there */
        if (last == 12)
            op(out, 1, 3); /* a segment that does not go on */
        op(out, 5, 0);
        seed_end(s);
        buf_free(&log);
    }
}

static void checkpoint_seeds(struct seeds *s)
{
    struct buf *out = &s->bytes;
    for (uint8_t column = 0; column < 12; column++) {
        op(out, 1, column);
        buf_varint(out, 1 + column % 3);
        buf_byte(out, column < 4 || column > 6 ? 2 : 1);
        buf_string(out, STR("{\"a\":1}"));
        seed_end(s);
    }
    op(out, 2, 5);
    for (int i = 0; i < 7; i++) {
        buf_byte(out, i < 3 || i == 6 ? 2 : 1);
        buf_string(out, i == 0 ? STR("@list@b") : i == 1 ? STR("entity") : STR("1"));
    }
    op(out, 3, 5);
    buf_str(out, "\1\2\3\4\4\1a\3"); /* part 1; a patch: remove "a" */
    op(out, 4, 1);
    seed_end(s);
    for (uint8_t which = 0; which < 11; which++) {
        op(out, 6, which);
        op(out, 5, which);
        buf_str(out, "\1\7");
        op(out, 7 + which % 2, which);
        buf_str(out, "\x64\1");
        seed_end(s);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *target;
        void (*make)(struct seeds *s);
    } all[] = {{"http", http_seeds},
               {"value", value_seeds},
               {"message", message_seeds},
               {"history", history_seeds},
               {"entity", entity_seeds},
               {"journal", journal_seeds},
               {"checkpoint", checkpoint_seeds}};
    struct seeds s = {.folder = argc == 3 ? argv[2] : NULL};
    if (!s.folder)
        die("usage: seeds TARGET FOLDER");
    arena_init(&s.mem, 4096);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i].target, argv[1]) == 0)
            all[i].make(&s);
    arena_free(&s.mem);
    buf_free(&s.bytes);
    return 0;
}
