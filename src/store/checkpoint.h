/* checkpoint.h - one SQLite file with a row an instance
 *
 * It is what the journal would make of everything up to some time, a little different time for each
 * instance: a row says up to which commit it is true. What it does not have yet, the journal has.
 *
 *     partition's thread   checkpoint_load, _due, _sequence          reader
 *                          save_take -> struct save --+              (save.h)
 *     background                                      +-> checkpoint_write -> writer
 *
 * The file is made by the first write. Its tables are in docs/FORMAT.md and in checkpoint_write.c;
 * anyone may look at them with sqlite3 while it is in use.
 */
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include "store/connection.h"
#include "store/save.h"
#include "store/settling.h"
#include "store/store.h"

/* Of the connection that writes. The cache is in KiB: with SQLite's own 2 MiB a save of many new
 * rows writes and reads its pages again and again. */
#define CHECKPOINT_WRITER_PRAGMAS \
    "PRAGMA synchronous=NORMAL;PRAGMA secure_delete=ON;" \
    "PRAGMA wal_autocheckpoint=0;PRAGMA cache_size=-65536"

/* The file's user_version. One of before is brought up to date. */
enum { CHECKPOINT_FORMAT = 2, CHECKPOINT_FORMAT_BEFORE = 1 };
#define CHECKPOINT_FORMAT_SQL "PRAGMA user_version=2;"

struct checkpoint {
    struct env *env;
    char *path;
    char *folder;
    bool has_tables;          /* the writer's: the file is made */
    struct save_meta meta;    /* as found by open */
    struct connection reader; /* not open while there is no file */
    struct connection writer;
    bool is_dir_synced;
    bool is_settled;        /* found or made so by open */
    enum settling settling; /* as found by open */
    int64_t verified_pages; /* so far; -1: all, or nothing to verify */
    struct buf log;         /* of what is being loaded */
    ks_arena scratch;
};

/* Looks whether the file is there and, if so, whether it is good. 0 or KS_E_... and a sentence. */
int checkpoint_open(struct checkpoint *c, struct env *env, const char *folder, char *ret_why,
                    size_t why_size);
void checkpoint_close(struct checkpoint *c);
/* After the first checkpoint_write() has made the file. An SQLite result. */
int checkpoint_open_reader(struct checkpoint *c);

/* Makes what the row of an id or (id.at is NULL) a uid says. Not added to a table. NULL: no row. */
int checkpoint_load(struct checkpoint *c, struct str id, uint64_t uid, struct instance **ret,
                    char *ret_why, size_t why_size);
/* Up to which commit the row of an instance is true; 0: it has none. */
int checkpoint_sequence(struct checkpoint *c, uint64_t uid, uint64_t *ret, char *ret_why,
                        size_t why_size);
/* In the order of wake times, but those of `except`, until `each` says false. */
struct due_range {
    int64_t from_ms, until_ms;
    const struct uid_set *except[2];
};
int checkpoint_due(struct checkpoint *c, const struct due_range *range,
                   bool (*each)(void *ctx, const struct due *due), void *ctx, char *ret_why,
                   size_t why_size);

/* What has to be known to make of its rows what is true now. */
struct newer {
    struct table *table;
    const struct uid_set *deleted[2];
    const struct save *save; /* whose rows are being written, or will be */
    uint64_t next_uid;       /* greater than any that was committed */
};
/* As store_query(); checkpoint_query.c. */
int checkpoint_query(struct checkpoint *c, const struct newer *newer, const struct query *query,
                     struct query_page *ret, char *ret_why, size_t why_size);

/* Writes a save in one transaction; off the partition's thread. Sets save->result and is_settled.
 * Trouble that does not pass ends the process. */
void checkpoint_write(struct checkpoint *c, struct save *save);

/* Of checkpoint.c, for checkpoint_write.c. */
extern const char *const checkpoint_write_sqls[];
int checkpoint_settle(struct checkpoint *c);

/* Of checkpoint_upgrade.c: makes a file of an older format like one of now. An SQLite result. */
int checkpoint_upgrade(struct checkpoint *c);

/* What only queries need. Most instances are Running or Completed: an index would tell little about
 * them, and cost each save. */
#define USUAL_STATUSES_SQL "('Completed','Running')"
#define QUERY_SCHEMA \
    "CREATE INDEX instance_name ON instance(name COLLATE NOCASE);" \
    "CREATE INDEX instance_status ON instance(status) WHERE status NOT " \
    "IN " USUAL_STATUSES_SQL ";" \
    "CREATE INDEX instance_parent ON instance(parent) WHERE parent IS NOT NULL;" \
    "CREATE TABLE tag(" \
    " name TEXT NOT NULL," \
    " value TEXT NOT NULL," \
    " uid INTEGER NOT NULL," \
    " PRIMARY KEY(name,value,uid)" \
    ") STRICT,WITHOUT ROWID;"
#define INSERT_TAGS_SQL \
    ("INSERT INTO tag(name,value,uid) " \
     "SELECT key,value,?1 FROM json_each(?2) WHERE type='text'")

/* KS_E_... and a sentence of what SQLite gave. */
int checkpoint_failed(const struct connection *c, int result, char *ret_why, size_t why_size);

/* Statements of the reader; texts in checkpoint.c. */
enum read_statement {
    READ_ID,
    READ_UID,
    READ_LOG,
    READ_SEQUENCE,
    READ_DUE,
    READ_NEWEST_UID,
    READ_UID_FROM,
    READ_SUMMARY,
    READ_SUMMARIES
};

#endif
