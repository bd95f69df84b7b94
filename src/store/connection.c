#include "store/connection.h"

#include "base/die.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BUSY_MS = 5000 };

int connection_open(struct connection *c, const char *path, const char *vfs_name, bool may_create,
                    const char *const *sqls)
{
    *c = (struct connection){.path = path, .sqls = sqls};
    const char *why = pages_init(&c->pages, vfs_name);
    if (why)
        die("the checkpoint %s cannot be opened: %s", path, why);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (may_create)
        flags |= SQLITE_OPEN_CREATE;
    /* Counting what it allocates takes a lock each time. Refused when SQLite is in use already. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    int result = sqlite3_open_v2(path, &c->db, flags, c->pages.name);
    if (!c->db)
        die("out of memory: SQLite could not open %s", path);
    if (result == SQLITE_OK)
        result = sqlite3_busy_timeout(c->db, BUSY_MS);
    /* Closing is no time to write: what has to be in the file by then was put there. */
    if (result == SQLITE_OK)
        result = sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return result;
}

void connection_close(struct connection *c)
{
    if (!c->db)
        return;
    for (int i = 0; i < CONNECTION_STATEMENTS_MAX; i++)
        sqlite3_finalize(c->statements[i]);
    sqlite3_close(c->db);
    pages_free(&c->pages);
    *c = (struct connection){0};
}

sqlite3_stmt *connection_statement(struct connection *c, int number)
{
    sqlite3_stmt **at = &c->statements[number];
    if (!*at)
        sqlite3_prepare_v3(c->db, c->sqls[number], -1, SQLITE_PREPARE_PERSISTENT, at, NULL);
    return *at;
}

int connection_run(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    int reset = sqlite3_reset(statement);
    return result == SQLITE_DONE ? SQLITE_OK : reset;
}

int connection_exec(struct connection *c, const char *sql)
{
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

void connection_rollback(struct connection *c)
{
    if (c->db && !sqlite3_get_autocommit(c->db) && connection_exec(c, "ROLLBACK") != SQLITE_OK)
        die("a transaction on the checkpoint %s could not be ended: %s", c->path,
            sqlite3_errmsg(c->db));
}

int connection_number(struct connection *c, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);
    if (result != SQLITE_OK)
        return result;
    result = sqlite3_step(statement);
    *ret = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    int end = sqlite3_finalize(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : end;
}

void connection_bind_str(sqlite3_stmt *statement, int i, struct str s)
{
    sqlite3_bind_text64(statement, i, s.at ? s.at : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
}

struct str connection_column_str(sqlite3_stmt *statement, int i)
{
    const void *at = sqlite3_column_blob(statement, i);
    return (struct str){at ? at : "", (size_t)sqlite3_column_bytes(statement, i)};
}

enum connection_trouble connection_trouble(const struct connection *c, int result)
{
    int error = sqlite3_system_errno(c->db);
    if (result == SQLITE_IOERR_FSYNC || result == SQLITE_IOERR_DIR_FSYNC)
        return TROUBLE_SYNC;
    if (c->pages.is_damaged || result == SQLITE_IOERR_DATA)
        return TROUBLE_DAMAGED;
    switch (result & 0xff) {
    case SQLITE_FULL:
        return TROUBLE_FULL;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return error == ENOSPC || error == EDQUOT ? TROUBLE_FULL : TROUBLE_DISK;
    case SQLITE_READONLY: /* what SQLite makes of a log that cannot be opened */
    case SQLITE_PROTOCOL: /* ... or locked */
        return TROUBLE_DISK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return TROUBLE_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* a table that is not there, say: all our texts are good ones */
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return TROUBLE_DAMAGED;
    default:
        return TROUBLE_OTHER;
    }
}

void connection_why(const struct connection *c, int result, char *ret, size_t size)
{
    const char *text = sqlite3_errmsg(c->db);
    switch (connection_trouble(c, result)) {
    case TROUBLE_FULL:
        snprintf(ret, size, "there is no room on the disk for the checkpoint %s", c->path);
        break;
    case TROUBLE_BUSY:
        snprintf(ret, size, "the checkpoint %s is locked by another program: end it", c->path);
        break;
    case TROUBLE_SYNC:
        snprintf(ret, size,
                 "the disk could not make the checkpoint %s last (error %d); a start "
                 "recovers from what is there",
                 c->path, sqlite3_system_errno(c->db));
        break;
    case TROUBLE_DAMAGED:
        if (c->pages.is_damaged)
            snprintf(ret, size,
                     "the checkpoint %s is damaged at offset %" PRId64 " (page %" PRId64
                     "): restore "
                     "a backup of the whole data folder",
                     c->path, c->pages.damaged_offset, c->pages.damaged_offset / PAGE_BYTES + 1);
        else
            snprintf(ret, size,
                     "the checkpoint %s is damaged (%s): restore a backup of the whole "
                     "data folder",
                     c->path, text);
        break;
    case TROUBLE_DISK:
    case TROUBLE_OTHER:
        snprintf(ret, size, "the checkpoint %s cannot be read or written: %s (error %d)", c->path,
                 text, sqlite3_system_errno(c->db));
        break;
    }
}
