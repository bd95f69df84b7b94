/* A file of format 1 has no column for short histories: all are in its log, and each goes over
 * when it is saved next. One that was made before there were queries has no tags, no parents, and
 * none of the indexes and tables for them either. All that is made when the file is opened, once,
 * in a transaction of its own: a crash leaves the file as it was. */
#include "store/checkpoint.h"

static bool is_start(enum event_type type)
{
    return type == EVENT_EXECUTION_STARTED || type == EVENT_EXECUTION_SCHEDULED;
}

/* Of the start that stands in a history's first part. */
static const ks_val *read_details(struct str part, ks_arena *mem)
{
    struct reader r = reader_of(part.at, part.len);
    struct event e = {0};
    while (!reader_is_at_end(&r) && !is_start(e.type))
        event_decode_details(&r, mem, &e);
    return r.is_bad ? NULL : e.details;
}

static int fill_row(sqlite3_stmt *update, sqlite3_stmt *tag, int64_t uid, const ks_val *details)
{
    struct str parent = instance_parent_id(details);
    const ks_val *tags = instance_tags(details);
    struct buf text = {0};
    if (!parent.len && !tags)
        return SQLITE_OK;
    if (tags)
        val_write_json(&text, tags);
    sqlite3_bind_int64(update, 1, uid);
    sqlite3_bind_int64(tag, 1, uid);
    if (parent.len)
        connection_bind_str(update, 2, parent);
    else
        sqlite3_bind_null(update, 2);
    if (text.len)
        connection_bind_str(update, 3, (struct str){text.at, text.len});
    else
        sqlite3_bind_null(update, 3);
    connection_bind_str(tag, 2, text.len ? (struct str){text.at, text.len} : STR("{}"));
    int result = connection_run(update);
    if (result == SQLITE_OK)
        result = connection_run(tag);
    buf_free(&text);
    return result;
}

static int fill_rows(struct checkpoint *c)
{
    static const char *const sqls[] =
        {"SELECT i.uid,l.bytes FROM instance i JOIN log l ON l.uid=i.uid AND "
         "l.part=(SELECT min(part) FROM log WHERE uid=i.uid) WHERE i.kind='orchestration'",
         "UPDATE instance SET parent=?2,tags=?3 WHERE uid=?1", INSERT_TAGS_SQL};
    sqlite3_stmt *statements[3] = {NULL};
    int result = SQLITE_OK, step = SQLITE_DONE;
    for (size_t i = 0; i < 3 && result == SQLITE_OK; i++)
        result = sqlite3_prepare_v2(c->writer.db, sqls[i], -1, &statements[i], NULL);
    while (result == SQLITE_OK && (step = sqlite3_step(statements[0])) == SQLITE_ROW) {
        const ks_val *details = read_details(connection_column_str(statements[0], 1), &c->scratch);
        result = fill_row(statements[1], statements[2], sqlite3_column_int64(statements[0], 0),
                          details);
        arena_reset(&c->scratch);
    }
    if (result == SQLITE_OK && step != SQLITE_DONE)
        result = step;
    for (size_t i = 0; i < 3; i++)
        sqlite3_finalize(statements[i]);
    return result;
}

int checkpoint_upgrade(struct checkpoint *c)
{
    int64_t version = 0, has_tags = 0;
    int result = connection_number(&c->writer, "PRAGMA user_version", &version);
    if (result != SQLITE_OK || version == CHECKPOINT_FORMAT)
        return result;
    result = connection_number(&c->writer, "SELECT count(*) FROM sqlite_schema WHERE name='tag'",
                               &has_tags);
    if (result == SQLITE_OK)
        result = connection_exec(&c->writer,
                                 "BEGIN IMMEDIATE;ALTER TABLE instance ADD COLUMN history BLOB");
    if (result == SQLITE_OK && !has_tags)
        result = connection_exec(&c->writer, QUERY_SCHEMA);
    if (result == SQLITE_OK && !has_tags)
        result = fill_rows(c);
    if (result == SQLITE_OK)
        result = connection_exec(&c->writer, CHECKPOINT_FORMAT_SQL "COMMIT");
    return result;
}
