/* Opening and reading. What is written, and the tables, are in checkpoint_write.c. */
#include "store/checkpoint.h"

#include "base/die.h"
#include "store/segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A file up to this size is looked at whole before it is used (some 30 ms, read ahead); of a larger
 * one, a part with each save. */
#define VERIFY_AT_OPEN_PAGES ((int64_t)256 * 1024 * 1024 / PAGE_BYTES)
enum { REWRITE_BYTES = 256 * 1024 };

#define ROW_COLUMNS "uid,kind,id,name,created_ms,updated_ms,wake_ms,sequence,state,history"
#define SUMMARY_COLUMNS "uid,kind,id,name,status,created_ms,updated_ms,parent,tags"
static const char *const read_sqls[] = {
    [READ_ID] = "SELECT " ROW_COLUMNS " FROM instance WHERE id=?1",
    [READ_UID] = "SELECT " ROW_COLUMNS " FROM instance WHERE uid=?1",
    [READ_LOG] = "SELECT bytes FROM log WHERE uid=?1 ORDER BY part",
    [READ_SEQUENCE] = "SELECT sequence FROM instance WHERE uid=?1",
    [READ_DUE] = ("SELECT uid,wake_ms FROM instance WHERE wake_ms>=?1 AND wake_ms<?2 "
                  "ORDER BY wake_ms"),
    [READ_NEWEST_UID] = "SELECT max(uid) FROM instance",
    [READ_UID_FROM] = "SELECT uid,created_ms FROM instance WHERE uid>=?1 ORDER BY uid LIMIT 1",
    [READ_SUMMARY] = "SELECT " SUMMARY_COLUMNS " FROM instance WHERE uid=?1",
    [READ_SUMMARIES] = ("SELECT " SUMMARY_COLUMNS " FROM instance WHERE uid<?1 "
                        "ORDER BY uid DESC"),
};

static int error_of(const struct connection *c, int result)
{
    switch (connection_trouble(c, result)) {
    case TROUBLE_FULL:
        return KS_E_FULL;
    case TROUBLE_BUSY:
        return KS_E_BUSY;
    case TROUBLE_DAMAGED:
        return KS_E_DAMAGED;
    case TROUBLE_SYNC:
    case TROUBLE_DISK:
    case TROUBLE_OTHER:
        return KS_E_IO;
    }
    return KS_E_IO;
}

int checkpoint_failed(const struct connection *c, int result, char *ret_why, size_t why_size)
{
    connection_why(c, result, ret_why, why_size);
    return error_of(c, result);
}

/* ---- opening ---- */

/* One that cannot be read now is not one that is not there: without it the journal's beginning
 * would be missed, and that be called damage. An empty one is none: a crash came before its first
 * page. */
static int look_for_file(const struct checkpoint *c, bool *ret_is_there, char *ret_why,
                         size_t why_size)
{
    struct env *env = c->env;
    int64_t size = 0;
    int file;
    int result = env->disk_open(env->self, c->path, DISK_READ, &file);
    if (result == 0) {
        result = env->disk_size(env->self, file, &size);
        env->disk_close(env->self, file);
    }
    *ret_is_there = size > 0;
    if (result == 0 || result == -ENOENT)
        return 0;
    snprintf(ret_why, why_size, "the checkpoint %s cannot be read: %s", c->path, strerror(-result));
    return segment_error(result);
}

static int read_meta(struct checkpoint *c)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(c->writer.db, "SELECT key,value FROM meta", -1, &statement,
                                    NULL);
    if (result != SQLITE_OK)
        return result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        struct str key = connection_column_str(statement, 0);
        int64_t value = sqlite3_column_int64(statement, 1);
        if (str_is(key, STR("needed")))
            c->meta.needed = (uint64_t)value;
        else if (str_is(key, STR("last")))
            c->meta.last = (uint64_t)value;
        else if (str_is(key, STR("next_uid")))
            c->meta.next_uid = (uint64_t)value;
        else if (str_is(key, STR("time_ms")))
            c->meta.time_ms = value;
        else if (str_is(key, STR("clean")))
            c->meta.clean = (uint64_t)value;
    }
    int end = sqlite3_finalize(statement);
    return result == SQLITE_DONE ? SQLITE_OK : end;
}

/* Pages can only be looked at when none is newer in the write-ahead log: one that was being written
 * when the power failed is bad in the file and good there. */
static int verify_at_open(struct checkpoint *c)
{
    int64_t pages;
    c->verified_pages = 0;
    int result = connection_number(&c->writer, "PRAGMA page_count", &pages);
    if (result != SQLITE_OK || (pages > VERIFY_AT_OPEN_PAGES && c->settling == SETTLING_NONE))
        return result;
    result = checkpoint_settle(c);
    if (result != SQLITE_OK) {
        enum connection_trouble trouble = connection_trouble(&c->writer, result);
        bool may_wait = trouble == TROUBLE_FULL || trouble == TROUBLE_BUSY;
        return may_wait ? SQLITE_OK : result; /* with the saves, then */
    }
    c->is_settled = true;
    result = pages_verify(&c->writer.pages, c->writer.db, 0, INT64_MAX);
    if (result != SQLITE_DONE)
        return result;
    c->verified_pages = -1;
    return SQLITE_OK;
}

static int open_writer(struct checkpoint *c, bool *ret_is_empty, bool *ret_is_foreign)
{
    int64_t version = 0, tables = 0;
    int result = connection_open(&c->writer, c->path, c->env->sqlite_vfs, false,
                                 checkpoint_write_sqls);
    if (result == SQLITE_OK)
        result = connection_number(&c->writer, "PRAGMA user_version", &version);
    if (result == SQLITE_OK)
        result = connection_number(&c->writer, "SELECT count(*) FROM sqlite_schema", &tables);
    if (result == SQLITE_OK)
        result = connection_exec(&c->writer, CHECKPOINT_WRITER_PRAGMAS);
    *ret_is_empty = version == 0 && tables == 0;
    *ret_is_foreign = !*ret_is_empty && version != CHECKPOINT_FORMAT &&
                      version != CHECKPOINT_FORMAT_BEFORE;
    return result;
}

int checkpoint_open_reader(struct checkpoint *c)
{
    if (c->reader.db)
        return SQLITE_OK;
    int result = connection_open(&c->reader, c->path, c->env->sqlite_vfs, false, read_sqls);
    if (result == SQLITE_OK)
        result = connection_exec(&c->reader, "PRAGMA query_only=ON;PRAGMA cache_size=-16384");
    return result;
}

static int open_existing(struct checkpoint *c, char *ret_why, size_t why_size)
{
    bool is_empty, is_foreign;
    int result = open_writer(c, &is_empty, &is_foreign);
    if (result == SQLITE_OK && is_empty) {
        connection_close(&c->writer); /* a crash came before its tables; it is made again */
        return 0;
    }
    if (result == SQLITE_OK && is_foreign) {
        snprintf(ret_why, why_size, "the checkpoint %s was written by another version of Keepsake",
                 c->path);
        return KS_E_DAMAGED;
    }
    if (result == SQLITE_OK)
        result = verify_at_open(c);
    if (result == SQLITE_OK)
        result = read_meta(c);
    if (result == SQLITE_OK)
        result = checkpoint_upgrade(c);
    if (result != SQLITE_OK)
        return checkpoint_failed(&c->writer, result, ret_why, why_size);
    result = checkpoint_open_reader(c);
    if (result != SQLITE_OK)
        return checkpoint_failed(&c->reader, result, ret_why, why_size);
    c->has_tables = true;
    return 0;
}

static int copy_bytes(struct env *env, int from, int to, int64_t size)
{
    struct buf part = {0};
    int result = 0;
    for (int64_t at = 0; at < size && result == 0; at += REWRITE_BYTES) {
        size_t len = size - at < REWRITE_BYTES ? (size_t)(size - at) : REWRITE_BYTES;
        int64_t n = env->disk_pread(env->self, from, buf_reserve(&part, len), len, at);
        result = n < 0 ? (int)n : segment_write(env, to, part.at, (size_t)n, at);
    }
    buf_free(&part);
    return result == 0 ? env->disk_sync(env->self, to) : result;
}

static int copy_file(struct env *env, const char *from_path, const char *to_path)
{
    int from, to;
    int64_t size = 0;
    int result = env->disk_open(env->self, from_path, DISK_READ, &from);
    if (result < 0)
        return result;
    result = env->disk_size(env->self, from, &size);
    if (result == 0 && size > 0) {
        result = env->disk_open(env->self, to_path, DISK_WRITE_CREATE, &to);
        if (result == 0) {
            result = env->disk_truncate(env->self, to, 0);
            if (result == 0)
                result = copy_bytes(env, from, to, size);
            env->disk_close(env->self, to);
        }
        if (result == 0)
            result = env->disk_rename(env->self, to_path, from_path);
        if (result < 0)
            env->disk_unlink(env->self, to_path);
    }
    env->disk_close(env->self, from);
    return result;
}

static int copy_over_itself(struct env *env, const char *path)
{
    int file;
    int64_t size = 0;
    int result = env->disk_open(env->self, path, DISK_WRITE, &file);
    if (result < 0)
        return result;
    result = env->disk_size(env->self, file, &size);
    if (result == 0)
        result = copy_bytes(env, file, file, size);
    env->disk_close(env->self, file);
    return result;
}

/* Whether a process ended while it settled; then the log is what it was, or nothing is opened. */
static int find_settling(struct checkpoint *c, char *ret_why, size_t why_size)
{
    int result = settling_find(c->env, c->folder, &c->settling);
    if (result == 0 && c->settling == SETTLING_NONE)
        settling_end(c->env, c->folder);
    if (result == 0)
        return 0;
    if (result == -EBADMSG) {
        snprintf(ret_why, why_size,
                 "the log of the checkpoint is damaged: %s-wal is not what was written, and a part "
                 "of it is in the checkpoint already: restore a backup of the whole data folder",
                 c->path);
        return KS_E_DAMAGED;
    }
    snprintf(ret_why, why_size, "the log of the checkpoint cannot be read: %s-wal: %s", c->path,
             strerror(-result));
    return segment_error(result);
}

/* What a process leaves in the write-ahead log may be in the system's cache and nowhere else: after
 * a sync that failed the cache still shows what the disk does not have, and a later sync says that
 * all is well. Pages would be copied from there into the file and, the log gone with the cache, be
 * half of them. So the log is made again, under another name until it is whole, before anybody goes
 * by it. With no room for that it is written over itself, which a power loss could turn to garbage,
 * but not to anything else. */
static int make_log_again(struct checkpoint *c, char *ret_why, size_t why_size)
{
    struct env *env = c->env;
    char log[JOURNAL_PATH_MAX], copy[JOURNAL_PATH_MAX];
    segment_path(c->folder, "checkpoint.db-wal", log);
    segment_path(c->folder, "checkpoint.tmp", copy);
    int result = copy_file(env, log, copy);
    if (result == -ENOENT)
        return 0;
    if (result == 0)
        result = env->disk_sync_dir(env->self, c->folder);
    else if (segment_error(result) == KS_E_FULL)
        result = copy_over_itself(env, log);
    if (result == 0)
        return 0;
    snprintf(ret_why, why_size,
             "the log of the checkpoint cannot be read, or not written again: "
             "%s: %s",
             log, strerror(-result));
    return segment_error(result);
}

int checkpoint_open(struct checkpoint *c, struct env *env, const char *folder, char *ret_why,
                    size_t why_size)
{
    struct buf path = {0};
    buf_printf(&path, "%s/checkpoint.db", folder);
    *c = (struct checkpoint){.env = env,
                             .path = die_strndup(path.at, path.len),
                             .folder = die_strndup(folder, strlen(folder)),
                             .verified_pages = -1};
    buf_free(&path);
    arena_init(&c->scratch, 4096);
    c->meta = (struct save_meta){.needed = 1, .next_uid = 1};
    bool is_there;
    int result = look_for_file(c, &is_there, ret_why, why_size);
    if (result < 0)
        return result;
    if (!is_there) {
        settling_end(env, folder);
        return 0;
    }
    result = find_settling(c, ret_why, why_size);
    if (result == 0 && c->settling != SETTLING_BEGUN)
        result = make_log_again(c, ret_why, why_size);
    return result == 0 ? open_existing(c, ret_why, why_size) : result;
}

void checkpoint_close(struct checkpoint *c)
{
    connection_close(&c->reader);
    connection_close(&c->writer);
    buf_free(&c->log);
    arena_free(&c->scratch);
    free(c->path);
    free(c->folder);
    *c = (struct checkpoint){0};
}

/* ---- reading ---- */

/* Of the row a statement stands on, if it has any. */
static int read_log(struct checkpoint *c, sqlite3_stmt *row)
{
    int result;
    c->log.len = 0;
    if (sqlite3_column_type(row, 9) != SQLITE_NULL)
        return SQLITE_OK;
    sqlite3_stmt *statement = connection_statement(&c->reader, READ_LOG);
    if (!statement)
        return sqlite3_extended_errcode(c->reader.db);
    sqlite3_bind_int64(statement, 1, sqlite3_column_int64(row, 0));
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        struct str part = connection_column_str(statement, 0);
        buf_append(&c->log, part.at, part.len);
    }
    int end = sqlite3_reset(statement);
    return result == SQLITE_DONE ? SQLITE_OK : end;
}

/* Of the row a statement stands on. NULL when it is none that could have been written. */
static struct instance *make(struct checkpoint *c, sqlite3_stmt *statement)
{
    struct str kind = connection_column_str(statement, 1);
    bool is_entity = str_is(kind, STR("entity"));
    if (!is_entity && !str_is(kind, STR("orchestration")))
        return NULL;
    struct instance *inst = instance_new((uint64_t)sqlite3_column_int64(statement, 0),
                                         is_entity ? INSTANCE_ENTITY : INSTANCE_ORCHESTRATION,
                                         connection_column_str(statement, 2),
                                         connection_column_str(statement, 3),
                                         sqlite3_column_int64(statement, 4));
    inst->updated_ms = sqlite3_column_int64(statement, 5);
    inst->last_sequence = (uint64_t)sqlite3_column_int64(statement, 7);
    inst->is_known_to_checkpoint = true;
    inst->has_log = c->log.len > 0;
    struct str state = connection_column_str(statement, 8);
    struct str history = connection_column_str(statement, 9);
    struct str log = {c->log.len ? c->log.at : "", c->log.len};
    int result = instance_restore(inst, state, history, log, &c->scratch);
    arena_reset(&c->scratch);
    if (result == 0)
        return inst;
    instance_free(inst);
    return NULL;
}

int checkpoint_load(struct checkpoint *c, struct str id, uint64_t uid, struct instance **ret,
                    char *ret_why, size_t why_size)
{
    *ret = NULL;
    if (!c->reader.db)
        return 0;
    sqlite3_stmt *statement = connection_statement(&c->reader, id.at ? READ_ID : READ_UID);
    if (!statement)
        return checkpoint_failed(&c->reader, sqlite3_extended_errcode(c->reader.db), ret_why,
                                 why_size);
    if (id.at)
        connection_bind_str(statement, 1, id);
    else
        sqlite3_bind_int64(statement, 1, (int64_t)uid);
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        uid = (uint64_t)sqlite3_column_int64(statement, 0);
        result = read_log(c, statement);
        if (result == SQLITE_OK && !(*ret = make(c, statement))) {
            snprintf(ret_why, why_size,
                     "the checkpoint %s is damaged: the row of instance %" PRIu64
                     " cannot be read: restore a backup of the whole data folder",
                     c->path, uid);
            sqlite3_reset(statement);
            return KS_E_DAMAGED;
        }
    }
    sqlite3_reset(statement);
    if (result == SQLITE_OK || result == SQLITE_DONE)
        return 0;
    return checkpoint_failed(&c->reader, result, ret_why, why_size);
}

int checkpoint_sequence(struct checkpoint *c, uint64_t uid, uint64_t *ret, char *ret_why,
                        size_t why_size)
{
    *ret = 0;
    if (!c->reader.db)
        return 0;
    sqlite3_stmt *statement = connection_statement(&c->reader, READ_SEQUENCE);
    int result = SQLITE_ERROR;
    if (statement) {
        sqlite3_bind_int64(statement, 1, (int64_t)uid);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
            *ret = (uint64_t)sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
    }
    if (result == SQLITE_ROW || result == SQLITE_DONE)
        return 0;
    return checkpoint_failed(&c->reader, sqlite3_extended_errcode(c->reader.db), ret_why, why_size);
}

int checkpoint_due(struct checkpoint *c, const struct due_range *range,
                   bool (*each)(void *ctx, const struct due *due), void *ctx, char *ret_why,
                   size_t why_size)
{
    if (!c->reader.db)
        return 0;
    sqlite3_stmt *statement = connection_statement(&c->reader, READ_DUE);
    int result = SQLITE_ERROR;
    if (statement) {
        sqlite3_bind_int64(statement, 1, range->from_ms);
        sqlite3_bind_int64(statement, 2, range->until_ms);
        while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
            struct due due = {.uid = (uint64_t)sqlite3_column_int64(statement, 0),
                              .wake_ms = sqlite3_column_int64(statement, 1)};
            bool is_gone = uid_set_has(range->except[0], due.uid) ||
                           uid_set_has(range->except[1], due.uid);
            if (!is_gone && !each(ctx, &due)) {
                result = SQLITE_DONE;
                break;
            }
        }
        sqlite3_reset(statement);
    }
    if (result == SQLITE_DONE)
        return 0;
    return checkpoint_failed(&c->reader, sqlite3_extended_errcode(c->reader.db), ret_why, why_size);
}
