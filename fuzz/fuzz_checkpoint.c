/* Opening a checkpoint in which other things stand than the engine writes. A good one is taken, and
 * the bytes say what is changed in it: cells, rows, tables, pages; with checksums that are right,
 * but for op 8. It is refused with a sentence that names it; or what can be read of it is: an
 * instance that is made of a row is the same when it is saved and restored.
 *
 *     1  uid, column, value       a cell of a row
 *     2  uid, column values       a row
 *     3  uid, part, bytes         a part of a log
 *     4  uid                      a row goes
 *     5  key, value               a number of the store's own
 *     6  which                    something else that SQLite can do
 *     7  page, place, bits        bits of a page, whose checksum is made right again
 *     8  page, place, bits        bits of a page
 *
 * Numbers and strings as in buf.h; a value is a type byte and what it says. */
#include "describe.h"
#include "fuzz.h"
#include "ram_disk.h"
#include "store/connection.h"
#include "store/journal.h"

#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { LINES_MAX = 40, UIDS = 8 };

static const char *const columns[] = {"id",         "kind",     "name",   "status", "created_ms",
                                      "wake_ms",    "sequence", "input",  "output", "state",
                                      "updated_ms", "uid",      "history"};

struct opened {
    struct table table;
    struct recovered recovered;
    struct store *store;
    char why[512];
};

static int open_folder(struct opened *o, struct env *env)
{
    static const struct journal_options options = {.segment_bytes = 16 << 10,
                                                   .first_bytes = 8 << 10};
    *o = (struct opened){0};
    table_init(&o->table, 1);
    int result = store_journal_open(env, &o->table, "ram", &options, &o->recovered, &o->store,
                                    o->why, sizeof o->why);
    if (result < 0)
        table_free(&o->table);
    return result;
}

/* ---- a good one ---- */

static void add_instance(struct opened *o, enum instance_kind kind, const char *id,
                         const char *name, const struct buf *log, ks_arena *mem)
{
    uint64_t sequence;
    struct instance *inst = instance_new(o->recovered.next_uid++, kind, str_of(id), str_of(name),
                                         1000);
    fuzz_check(instance_apply(inst, log->at, log->len, mem) == 0, "a log does not fit");
    table_add(&o->table, inst);
    struct change change = {inst, CHANGE_CREATED, {log->at, log->len}};
    struct commit commit = {.time_ms = 2000, .changes = &change, .change_count = 1};
    fuzz_check(store_commit(o->store, &commit, &sequence) == 0, "%s", store_why(o->store));
}

static void make_good(struct ram_disk *disk)
{
    struct env env = ram_disk_env(disk);
    struct buf log = {0};
    struct opened o;
    ks_arena mem;
    arena_init(&mem, 1024);
    fuzz_check(open_folder(&o, &env) == 0, "%s", o.why);
    doc_patch_encode(&log, &(struct doc_patch){DOC_SET, STR("name"), ks_string(&mem, "Kim"), 0});
    doc_patch_encode(&log, &(struct doc_patch){DOC_APPEND, STR("items"), ks_integer(&mem, 7), 0});
    entity_log_line(&log, LINE_EXPIRE, 9000, STR(""));
    add_instance(&o, INSTANCE_ENTITY, "@list@a", "list", &log, &mem);
    log.len = 0;
    event_encode(&log, &(struct event){.type = EVENT_EXECUTION_STARTED, .time_ms = 2000});
    event_encode(&log, &(struct event){.type = EVENT_TIMER_CREATED, .id = 0, .due_ms = 5000});
    event_encode(&log, &(struct event){.type = EVENT_TASK_SCHEDULED, .id = 1, .name = STR("Do")});
    add_instance(&o, INSTANCE_ORCHESTRATION, "order-2", "Order", &log, &mem);
    event_encode(&log, &(struct event){.type = EVENT_EXECUTION_COMPLETED});
    add_instance(&o, INSTANCE_ORCHESTRATION, "order-3", "Order", &log, &mem);
    fuzz_check(store_close(o.store) == 0, "a good one cannot be closed");
    table_free(&o.table);
    buf_free(&log);
    arena_free(&mem);
}

/* ---- what is changed ---- */

static void bind_value(sqlite3_stmt *statement, int i, struct reader *r)
{
    struct str text;
    switch (read_byte(r) % 5) {
    case 0:
        sqlite3_bind_null(statement, i);
        break;
    case 1:
        sqlite3_bind_int64(statement, i, read_zigzag(r));
        break;
    case 2:
        text = read_string(r);
        sqlite3_bind_text(statement, i, text.at, (int)text.len, SQLITE_TRANSIENT);
        break;
    case 3:
        text = read_string(r);
        sqlite3_bind_blob(statement, i, text.at, (int)text.len, SQLITE_TRANSIENT);
        break;
    default:
        sqlite3_bind_double(statement, i, (double)read_zigzag(r) / 4);
        break;
    }
}

/* What SQLite does not want to do, types that do not fit, say, is not done. */
static void change_row(struct connection *c, const char *sql, int values, struct reader *r)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);
    if (statement)
        sqlite3_bind_int64(statement, 1, (int64_t)read_varint(r));
    for (int i = 0; statement && i < values; i++)
        bind_value(statement, i + 2, r);
    sqlite3_step(statement);
    sqlite3_finalize(statement);
}

static void change_meta(struct connection *c, struct reader *r)
{
    static const char *const keys[] = {"needed", "last", "next_uid", "time_ms", "clean", "other"};
    sqlite3_stmt *statement = NULL;
    const char *key = keys[read_byte(r) % 6];
    sqlite3_prepare_v2(c->db, "UPDATE meta SET value=?2 WHERE key=?1", -1, &statement, NULL);
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    if (statement)
        bind_value(statement, 2, r);
    sqlite3_step(statement);
    sqlite3_finalize(statement);
}

static void change_more(struct connection *c, uint8_t which)
{
    static const char *const sqls[] = {"DROP TABLE log",
                                       "DROP TABLE meta",
                                       "DROP INDEX instance_wake",
                                       "ALTER TABLE instance DROP COLUMN state",
                                       "ALTER TABLE instance DROP COLUMN history",
                                       "PRAGMA user_version=1",
                                       "DELETE FROM meta",
                                       "DELETE FROM instance",
                                       "CREATE TABLE more(x)",
                                       "PRAGMA user_version=0",
                                       "DROP TABLE instance",
                                       "INSERT INTO meta VALUES('other',7)",
                                       "PRAGMA wal_checkpoint(TRUNCATE)"};
    connection_exec(c, sqls[which % (sizeof sqls / sizeof sqls[0])]);
}

static void change_page(struct ram_disk *disk, struct reader *r, bool is_made_right)
{
    struct ram_file *f = ram_disk_find(disk, "ram/checkpoint.db");
    size_t page = read_byte(r);
    size_t place = (size_t)read_varint(r) % PAGE_BYTES;
    uint8_t bits = read_byte(r);
    if (!f || f->bytes.len < (page + 1) * PAGE_BYTES)
        return;
    char *at = f->bytes.at + page * PAGE_BYTES;
    at[place] = (char)(at[place] ^ (char)bits);
    uint64_t checksum = XXH3_64bits_withSeed(at, PAGE_BYTES - PAGE_RESERVED_BYTES, page + 1);
    if (is_made_right)
        memcpy(at + PAGE_BYTES - PAGE_RESERVED_BYTES, &checksum, sizeof checksum);
}

static void change_row_by(struct connection *c, uint8_t op, struct reader *r)
{
    char sql[200];
    if (op == 1) {
        const char *column = columns[read_byte(r) % (sizeof columns / sizeof columns[0])];
        snprintf(sql, sizeof sql, "UPDATE instance SET %s=?2 WHERE uid=?1", column);
        change_row(c, sql, 1, r);
    } else if (op == 2) {
        change_row(c,
                   "INSERT INTO instance(uid,id,kind,name,status,created_ms,updated_ms,wake_ms,"
                   "sequence,state) VALUES(?1,?2,?3,?4,'Running',?5,0,?6,?7,?8)",
                   7, r);
    } else if (op == 3) {
        change_row(c, "INSERT INTO log(uid,part,bytes) VALUES(?1,?2,?3)", 2, r);
    } else {
        change_row(c, "DELETE FROM instance WHERE uid=?1", 0, r);
    }
}

static void change_all(struct ram_disk *disk, const uint8_t *bytes, size_t len)
{
    struct reader r = reader_of(bytes, len);
    struct connection c;
    if (connection_open(&c, "ram/checkpoint.db", "ram", false, NULL) == SQLITE_OK)
        connection_exec(&c, "BEGIN");
    for (int i = 0; i < LINES_MAX && !reader_is_at_end(&r); i++) {
        uint8_t op = read_byte(&r) % 10;
        if (op >= 1 && op <= 4)
            change_row_by(&c, op, &r);
        else if (op == 5)
            change_meta(&c, &r);
        else if (op == 6)
            change_more(&c, read_byte(&r));
        else if (op == 7 || op == 8)
            change_page(disk, &r, op == 7);
    }
    connection_exec(&c, "COMMIT");
    connection_close(&c);
    ram_disk_process_over(disk);
}

/* ---- what comes of it ---- */

static bool each_due(void *ctx, const struct due *due)
{
    *(int64_t *)ctx += due->wake_ms;
    return true;
}

static void check_result(int result, const char *why)
{
    fuzz_check(result == 0 || (result == KS_E_DAMAGED && strstr(why, "ram")), "%d: %s", result,
               why);
}

/* A state that is JSON, but no object's or not as we write it, is as good as any. */
static void check_instance(struct instance *inst, ks_arena *mem)
{
    if (!utf8_is_valid((struct str){inst->id, inst->id_len}))
        return;
    if (inst->kind == INSTANCE_ENTITY && !could_be_stored(inst->entity.doc.root))
        return;
    if (inst->kind == INSTANCE_ORCHESTRATION && !inst->orchestration.history.len)
        return;
    check_saved(inst, mem);
}

static void look_at_all(struct opened *o)
{
    static const char *const ids[] = {"@list@a", "order-2", "order-3", ""};
    int64_t sum = 0;
    ks_arena mem;
    arena_init(&mem, 1024);
    for (uint64_t uid = 1; uid < UIDS; uid++) {
        struct instance *inst = table_find_uid(&o->table, uid);
        if (!inst)
            check_result(store_load_uid(o->store, uid, &inst), store_why(o->store));
        if (inst)
            check_instance(inst, &mem);
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct instance *inst = table_find(&o->table, str_of(ids[i]));
        if (!inst && store_load(o->store, str_of(ids[i]), &inst) == 0 && inst)
            check_instance(inst, &mem);
    }
    check_result(store_due(o->store, INT64_MIN, INT64_MAX, each_due, &sum), store_why(o->store));
    arena_free(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct ram_disk good;
    struct ram_disk disk = {.random = 7};
    struct opened o;
    if (!ram_disk_find(&good, "ram/checkpoint.db"))
        make_good(&good);
    ram_disk_copy(&disk, &good);
    struct env env = ram_disk_env(&disk);
    change_all(&disk, bytes, len);
    int result = open_folder(&o, &env);
    check_result(result, o.why);
    if (result == 0) {
        look_at_all(&o);
        store_abandon(o.store);
        table_free(&o.table);
        buf_free(&o.recovered.queue);
    }
    ram_disk_free(&disk);
    return 0;
}
