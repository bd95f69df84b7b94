/* connection.h - one connection to the checkpoint's SQLite file
 *
 * The checkpoint has two: the reader belongs to the partition's thread, the writer to whoever runs
 * the job that writes, which is one at a time. Statements are prepared when they are first needed.
 */
#ifndef STORE_CONNECTION_H
#define STORE_CONNECTION_H

#include "base/buf.h"
#include "store/pages.h"

enum { CONNECTION_STATEMENTS_MAX = 12 };

struct connection {
    struct pages pages;
    sqlite3 *db;             /* NULL: not open */
    const char *const *sqls; /* texts of the statements, by number */
    sqlite3_stmt *statements[CONNECTION_STATEMENTS_MAX];
    const char *path; /* the owner's */
};

/* Opens a file that exists, or makes it. An SQLite result; whatever it is, close afterwards. */
int connection_open(struct connection *c, const char *path, const char *vfs_name, bool may_create,
                    const char *const *sqls);
void connection_close(struct connection *c);

/* A statement, reset and ready to be bound; NULL when it cannot be prepared. */
sqlite3_stmt *connection_statement(struct connection *c, int number);
/* Runs a statement that was bound and gives no rows. SQLITE_OK or what went wrong. */
int connection_run(sqlite3_stmt *statement);
/* Runs texts without parameters. */
int connection_exec(struct connection *c, const char *sql);
/* Ends a transaction that only read, or whose writes are taken back; without one it does nothing.
 * There is no error: with no memory for it the process ends, since left open it would show this
 * connection for ever what was there when it began. */
void connection_rollback(struct connection *c);
/* Runs a text that gives one number. */
int connection_number(struct connection *c, const char *sql, int64_t *ret);

void connection_bind_str(sqlite3_stmt *statement, int i, struct str s);
struct str connection_column_str(sqlite3_stmt *statement, int i);

/* What an SQLite result that is none of OK, ROW, DONE means. */
enum connection_trouble {
    TROUBLE_FULL,    /* no room on the disk; it may come back */
    TROUBLE_BUSY,    /* somebody else holds the file; it may come back */
    TROUBLE_DISK,    /* reading or writing failed, or there was no descriptor; it may come back */
    TROUBLE_SYNC,    /* a sync failed; what is on the disk is not known */
    TROUBLE_DAMAGED, /* what was read is not what was written */
    TROUBLE_OTHER
};
enum connection_trouble connection_trouble(const struct connection *c, int result);
/* A sentence about it: what, which file, where, what can be done. */
void connection_why(const struct connection *c, int result, char *ret, size_t size);

#endif
