/* The tables, and the transaction that brings a save into them.
 *
 *     instance  a row an instance; what may be looked for has a column, its content is text
 *     tag       the tags of instances once more, to find these by them
 *     log       orchestration: its history when it is not short; entity: patches since its state
 *               was saved. In parts, in the order of `part`; bytes as in event.h and doc.h
 *     meta      numbers: needed, last, next_uid, time_ms, clean (save.h)
 *
 * A transaction is not synced page by page into the database file: it is in the write-ahead log
 * (FILE-wal) first. At the end of a round of saves, and when that log has grown, everything is
 * settled: copied into the file, which is synced, and the log cut off. Only what is settled lets
 * the journal forget, since a flipped bit in the log silently drops what is behind it; and cut off
 * it is because SQLite, finding an old log with a flipped bit behind a newer file, would mix the
 * two. */
#include "base/die.h"
#include "store/checkpoint.h"

/* The write-ahead log is settled when it has grown to this. Commits may have to wait for it. */
#define WAL_BYTES_MAX ((int64_t)16 * 1024 * 1024)
#define WAL_HEADER_BYTES ((int64_t)32)
#define WAL_FRAME_BYTES ((int64_t)24 + PAGE_BYTES)
enum { VERIFY_SOME_PAGES = 2048 };

enum write_statement {
    DELETE_TAGS,
    DELETE_ROW,
    DELETE_LOG,
    INSERT_ROW,
    UPDATE_ROW,
    INSERT_TAGS,
    INSERT_LOG,
    INSERT_FIRST_LOG,
    SET_META
};

const char *const checkpoint_write_sqls[] = {
    [DELETE_TAGS] = ("DELETE FROM tag WHERE (name,value,uid) IN (SELECT t.key,t.value,i.uid "
                     "FROM instance i,json_each(i.tags) t WHERE i.uid=?1)"),
    [DELETE_ROW] = "DELETE FROM instance WHERE uid=?1",
    [DELETE_LOG] = "DELETE FROM log WHERE uid=?1",
    [INSERT_ROW] = ("INSERT INTO instance(uid,kind,id,name,created_ms,status,updated_ms,wake_ms,"
                    "sequence,state,input,output,history,parent,tags) "
                    "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)"),
    /* What is not given stays as it is. */
    [UPDATE_ROW] = ("UPDATE instance SET status=?6,updated_ms=?7,wake_ms=?8,sequence=?9,"
                    "state=coalesce(?10,state),input=coalesce(?11,input),output=?12,history=?13 "
                    "WHERE uid=?1"),
    [INSERT_TAGS] = INSERT_TAGS_SQL,
    [INSERT_LOG] = ("INSERT INTO log(uid,part,bytes) VALUES(?1,"
                    "(SELECT coalesce(max(part),0)+1 FROM log WHERE uid=?1),?2)"),
    [INSERT_FIRST_LOG] = "INSERT INTO log(uid,part,bytes) VALUES(?1,1,?2)",
    [SET_META] = ("INSERT INTO meta(key,value) VALUES(?1,?2) "
                  "ON CONFLICT(key) DO UPDATE SET value=excluded.value"),
};

static const char schema[] =
    "BEGIN;"
    "CREATE TABLE instance("
    " uid INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " kind TEXT NOT NULL," /* orchestration, entity */
    " name TEXT NOT NULL,"
    " status TEXT NOT NULL," /* Running, Completed, Failed, ... */
    " created_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL,"
    " wake_ms INTEGER,"           /* when a start has to look at it; 0: at once; NULL: never */
    " sequence INTEGER NOT NULL," /* the row is true up to this commit */
    " parent TEXT,"               /* the id of who waits for it */
    " tags TEXT,"                 /* JSON */
    " input TEXT,"                /* JSON */
    " output TEXT,"               /* JSON */
    " state TEXT,"                /* entity: JSON */
    " history BLOB"               /* orchestration: while it is short; NULL: see the log */
    ") STRICT;"
    "CREATE INDEX instance_wake ON instance(wake_ms) WHERE wake_ms IS NOT NULL;"
    "CREATE TABLE log("
    " uid INTEGER NOT NULL,"
    " part INTEGER NOT NULL,"
    " bytes BLOB NOT NULL,"
    " PRIMARY KEY(uid,part)"
    ") STRICT;"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;" QUERY_SCHEMA
        CHECKPOINT_FORMAT_SQL "COMMIT";

static int statement_failed(struct checkpoint *c)
{
    return sqlite3_extended_errcode(c->writer.db);
}

/* ---- the file ---- */

static int make_file(struct checkpoint *c)
{
    int reserved = PAGE_RESERVED_BYTES;
    int result = connection_open(&c->writer, c->path, c->env->sqlite_vfs, true,
                                 checkpoint_write_sqls);
    if (result == SQLITE_OK)
        result = connection_exec(&c->writer, "PRAGMA page_size=4096");
    if (result == SQLITE_OK)
        result = sqlite3_file_control(c->writer.db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
    if (result == SQLITE_OK)
        result = connection_exec(&c->writer, "PRAGMA journal_mode=WAL;" CHECKPOINT_WRITER_PRAGMAS);
    if (result == SQLITE_OK)
        result = connection_exec(&c->writer, schema);
    return result;
}

static int64_t wal_bytes(struct checkpoint *c)
{
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;
    int result = sqlite3_file_control(c->writer.db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (result != SQLITE_OK || !file || !file->pMethods ||
        file->pMethods->xFileSize(file, &size) != SQLITE_OK)
        return 0;
    return size;
}

/* What SQLite's index of the log says (https://sqlite.org/walformat.html: mxFrame, nBackfill). A
 * save that failed may have left more in the log. */
struct log_index {
    uint32_t committed; /* frames */
    uint32_t copied;    /* of these, into the file, which was synced then */
};

static struct log_index log_index(struct checkpoint *c)
{
    enum { INDEX_BYTES = 32768, COMMITTED_AT = 16, COPIED_AT = 96 };
    struct log_index ret = {0};
    sqlite3_file *file = NULL;
    void volatile *index = NULL;
    int result = sqlite3_file_control(c->writer.db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (result == SQLITE_OK && file && file->pMethods)
        result = file->pMethods->xShmMap(file, 0, INDEX_BYTES, 0, &index);
    if (result == SQLITE_OK && index) {
        memcpy(&ret.committed, (const char *)index + COMMITTED_AT, sizeof ret.committed);
        memcpy(&ret.copied, (const char *)index + COPIED_AT, sizeof ret.copied);
    }
    return ret;
}

static int64_t committed_bytes(struct checkpoint *c)
{
    int64_t frames = log_index(c).committed;
    return frames ? WAL_HEADER_BYTES + frames * WAL_FRAME_BYTES : 0;
}

/* Then the next save begins at the log's start, whatever kept SQLite from cutting it off. */
static bool is_all_copied(struct checkpoint *c)
{
    struct log_index index = log_index(c);
    return index.copied >= index.committed;
}

/* What is written down of the log has to be true until everything is in the file, and gone before
 * anything new is in the log. A full disk or a foreign reader may keep SQLite from copying all of
 * it, or from cutting it off. */
int checkpoint_settle(struct checkpoint *c)
{
    int begun = settling_begin(c->env, c->folder, committed_bytes(c));
    if (begun < 0)
        return SQLITE_FULL; /* whatever it was: another time, then */
    int result = sqlite3_wal_checkpoint_v2(c->writer.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                           NULL);
    if (result == SQLITE_OK && !c->is_dir_synced) {
        if (c->env->disk_sync_dir(c->env->self, c->folder) < 0)
            die("the disk could not make the checkpoint %s last", c->path);
        c->is_dir_synced = true;
    }
    if (is_all_copied(c) && (begun || c->settling != SETTLING_NONE)) {
        settling_end(c->env, c->folder);
        c->settling = SETTLING_NONE;
    }
    return result;
}

/* ---- one save ---- */

static int run_with_uid(struct checkpoint *c, enum write_statement which, uint64_t uid)
{
    sqlite3_stmt *statement = connection_statement(&c->writer, (int)which);
    if (!statement)
        return statement_failed(c);
    sqlite3_bind_int64(statement, 1, (int64_t)uid);
    return connection_run(statement);
}

static int delete_rows(struct checkpoint *c, const struct uid_set *deleted)
{
    int result = SQLITE_OK;
    for (size_t i = 0; i < deleted->slot_count && result == SQLITE_OK; i++) {
        if (!deleted->slots[i])
            continue;
        result = run_with_uid(c, DELETE_TAGS, deleted->slots[i]);
        if (result == SQLITE_OK)
            result = run_with_uid(c, DELETE_ROW, deleted->slots[i]);
        if (result == SQLITE_OK)
            result = run_with_uid(c, DELETE_LOG, deleted->slots[i]);
    }
    return result;
}

static void bind_text_or_null(sqlite3_stmt *statement, int i, struct str s)
{
    if (s.len)
        connection_bind_str(statement, i, s);
    else
        sqlite3_bind_null(statement, i);
}

static struct str take_text(const char **at, size_t len)
{
    struct str s = {*at, len};
    *at += len;
    return s;
}

static int write_log(struct checkpoint *c, const struct save_row *row, struct str log)
{
    int result = SQLITE_OK;
    if (row->is_whole && row->had_log)
        result = run_with_uid(c, DELETE_LOG, row->uid);
    if (result != SQLITE_OK || !log.len)
        return result;
    bool is_first = row->is_whole || !row->had_log;
    sqlite3_stmt *statement = connection_statement(&c->writer,
                                                   is_first ? INSERT_FIRST_LOG : INSERT_LOG);
    if (!statement)
        return statement_failed(c);
    sqlite3_bind_int64(statement, 1, (int64_t)row->uid);
    sqlite3_bind_blob64(statement, 2, log.at, log.len, SQLITE_STATIC);
    return connection_run(statement);
}

static int write_tags(struct checkpoint *c, const struct save_row *row, struct str tags)
{
    if (!row->is_new || !tags.len)
        return SQLITE_OK;
    sqlite3_stmt *statement = connection_statement(&c->writer, INSERT_TAGS);
    if (!statement)
        return statement_failed(c);
    sqlite3_bind_int64(statement, 1, (int64_t)row->uid);
    connection_bind_str(statement, 2, tags);
    return connection_run(statement);
}

static int write_row(struct checkpoint *c, const struct save_row *row, const char *texts)
{
    const char *at = texts + row->texts;
    struct str id = take_text(&at, row->id_len);
    struct str name = take_text(&at, row->name_len);
    struct str state = take_text(&at, row->state_len);
    struct str history = take_text(&at, row->history_len);
    struct str log = take_text(&at, row->log_len);
    struct str input = take_text(&at, row->input_len);
    struct str output = take_text(&at, row->output_len);
    struct str parent = take_text(&at, row->parent_len);
    struct str tags = take_text(&at, row->tags_len);
    sqlite3_stmt *statement = connection_statement(&c->writer,
                                                   row->is_new ? INSERT_ROW : UPDATE_ROW);
    if (!statement)
        return statement_failed(c);
    sqlite3_bind_int64(statement, 1, (int64_t)row->uid);
    if (row->is_new) {
        bool is_entity = row->kind == INSTANCE_ENTITY;
        connection_bind_str(statement, 2, is_entity ? STR("entity") : STR("orchestration"));
        connection_bind_str(statement, 3, id);
        connection_bind_str(statement, 4, name);
        sqlite3_bind_int64(statement, 5, row->created_ms);
        bind_text_or_null(statement, 14, parent);
        bind_text_or_null(statement, 15, tags);
    }
    connection_bind_str(statement, 6, str_of(ks_status_name(row->status)));
    sqlite3_bind_int64(statement, 7, row->updated_ms);
    if (row->wake_ms == NEVER_MS)
        sqlite3_bind_null(statement, 8);
    else
        sqlite3_bind_int64(statement, 8, row->wake_ms);
    sqlite3_bind_int64(statement, 9, (int64_t)row->sequence);
    bind_text_or_null(statement, 10, state);
    bind_text_or_null(statement, 11, input);
    bind_text_or_null(statement, 12, output);
    if (save_row_has_log(row))
        sqlite3_bind_null(statement, 13);
    else
        sqlite3_bind_blob64(statement, 13, history.at ? history.at : "", history.len,
                            SQLITE_STATIC);
    int result = connection_run(statement);
    if (result == SQLITE_OK)
        result = write_tags(c, row, tags);
    return result == SQLITE_OK ? write_log(c, row, log) : result;
}

static int write_meta(struct checkpoint *c, const struct save_meta *meta)
{
    const struct {
        const char *key;
        int64_t value;
    } pairs[] = {{"needed", (int64_t)meta->needed},
                 {"last", (int64_t)meta->last},
                 {"next_uid", (int64_t)meta->next_uid},
                 {"time_ms", meta->time_ms},
                 {"clean", (int64_t)meta->clean}};
    sqlite3_stmt *statement = connection_statement(&c->writer, SET_META);
    int result = statement ? SQLITE_OK : statement_failed(c);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0] && result == SQLITE_OK; i++) {
        connection_bind_str(statement, 1, str_of(pairs[i].key));
        sqlite3_bind_int64(statement, 2, pairs[i].value);
        result = connection_run(statement);
    }
    return result;
}

static int write_all(struct checkpoint *c, const struct save *save)
{
    int result = c->writer.db ? SQLITE_OK : make_file(c);
    c->has_tables = c->has_tables || result == SQLITE_OK;
    if (result == SQLITE_OK)
        result = connection_exec(&c->writer, "BEGIN IMMEDIATE");
    if (result == SQLITE_OK)
        result = delete_rows(c, &save->deleted);
    for (size_t i = 0; i < save->count && result == SQLITE_OK; i++)
        result = write_row(c, &save->rows[i], save->texts.at);
    if (result == SQLITE_OK)
        result = write_meta(c, &save->meta);
    if (result == SQLITE_OK)
        result = connection_exec(&c->writer, "COMMIT");
    return result;
}

/* What may pass is a result, with its text in the save; the rest is the end. */
static int or_die(struct checkpoint *c, int result, struct save *save)
{
    if (result == SQLITE_OK)
        return 0;
    connection_why(&c->writer, result, save->why, sizeof save->why);
    switch (connection_trouble(&c->writer, result)) {
    case TROUBLE_FULL:
        return KS_E_FULL;
    case TROUBLE_BUSY:
        return KS_E_BUSY;
    case TROUBLE_DISK:
        return KS_E_IO;
    case TROUBLE_SYNC:
    case TROUBLE_DAMAGED:
    case TROUBLE_OTHER:
        break;
    }
    die("%s", save->why);
}

/* Looks at the next part of a large file. */
static void verify_some(struct checkpoint *c, struct save *save)
{
    if (c->verified_pages < 0)
        return;
    int64_t until = c->verified_pages + VERIFY_SOME_PAGES;
    int result = pages_verify(&c->writer.pages, c->writer.db, c->verified_pages, until);
    if (result == SQLITE_OK)
        c->verified_pages = until;
    else if (result == SQLITE_DONE)
        c->verified_pages = -1;
    else
        (void)or_die(c, result, save); /* looked at again after the next save */
}

void checkpoint_write(struct checkpoint *c, struct save *save)
{
    save->is_settled = false;
    save->why[0] = 0;
    save->result = or_die(c, write_all(c, save), save);
    if (save->result < 0) {
        connection_rollback(&c->writer);
        if (!c->has_tables)
            connection_close(&c->writer); /* it is made from the start next time */
        return;
    }
    if (save->is_to_settle || wal_bytes(c) > WAL_BYTES_MAX)
        save->is_settled = or_die(c, checkpoint_settle(c), save) == 0;
    if (save->is_settled)
        verify_some(c, save);
}
