/* A page of instances, made of the checkpoint's rows and of what is newer than they are.
 *
 * Rows come in falling order of uid, by one of several ways: all of them, or those that an index
 * names for a term of the filter. Each is looked at as the table has it, if it does, and passed
 * over if it is deleted. What a way does not come upon, since its row is older than it is or not
 * there at all, is merged in:
 *
 *     few are newer    every one of them is looked at before, and those that may be taken sorted
 *     many             only the way of all rows is taken. It comes upon everybody who has a row;
 *                      the others are those with a uid above all rows', since instances are saved
 *                      in the order they were made: they are asked for by number, from the newest
 *                      down
 *
 * A page is made in one read transaction: a save may end meanwhile, and the rows it wrote would be
 * above the greatest that was there before.
 *
 * Newer than its row may be who is dirty, who is being saved, and who was changed in this pass; all
 * of them are in the table. */
#include "base/die.h"
#include "core/message.h"
#include "store/checkpoint.h"
#include "store/walk.h"

#include <stdio.h>
#include <stdlib.h>

struct looking {
    struct walk walk;
    struct checkpoint *c;
    const struct newer *newer;
    const struct query *query;
    uint64_t below; /* uids from here on are not asked for */
    int result;     /* SQLite's; OK, or it is over */

    /* few are newer */
    const struct instance **few;
    size_t few_count, few_at;
    /* many are */
    bool are_many;
    uint64_t next;       /* the next to be asked for by number */
    uint64_t newest_row; /* the greatest uid that has a row; 0: there is none */
};

/* ---- ways ---- */

/* A way in: an index, and the rows there that one term of a filter names. What it binds stands from
 * ?3 on. */
struct way {
    const char *rows;
    bool is_ordered; /* else they have to be sorted, so there must not be many */
    int (*bind)(const ks_filter *f, sqlite3_stmt *statement); /* 0: the filter has no such term */
};

static int bind_text(sqlite3_stmt *statement, int i, const char *text)
{
    connection_bind_str(statement, i, str_of(text));
    return 1;
}

static int bind_tag(const ks_filter *f, sqlite3_stmt *statement)
{
    if (!is_given(f->tag) || !is_given(f->tag_value))
        return 0;
    if (statement)
        bind_text(statement, 4, f->tag_value);
    return statement ? bind_text(statement, 3, f->tag) : 1;
}

static int bind_parent(const ks_filter *f, sqlite3_stmt *statement)
{
    if (!is_given(f->parent))
        return 0;
    return statement ? bind_text(statement, 3, f->parent) : 1;
}

/* The texts that begin with a prefix are those from it on, up to it with its last byte raised. */
static int bind_prefix(const ks_filter *f, sqlite3_stmt *statement)
{
    char until[KS_ID_MAX + 1];
    size_t len = is_given(f->id_prefix) ? strlen(f->id_prefix) : 0;
    if (len == 0 || len >= sizeof until || (uint8_t)f->id_prefix[len - 1] == 0xFF)
        return 0;
    if (!statement)
        return 1;
    memcpy(until, f->id_prefix, len + 1);
    until[len - 1]++;
    sqlite3_bind_text(statement, 4, until, (int)len, SQLITE_TRANSIENT);
    return bind_text(statement, 3, f->id_prefix);
}

enum { USUAL_STATUSES = 1u << KS_COMPLETED | 1u << KS_RUNNING, STATUSES_BOUND = 5 };

static int bind_statuses(const ks_filter *f, sqlite3_stmt *statement)
{
    int n = 0;
    if (!f->statuses || f->statuses & USUAL_STATUSES)
        return 0;
    for (ks_runtime_status i = KS_PENDING; i <= KS_QUARANTINED; i++)
        if (f->statuses >> i & 1 && n++ < STATUSES_BOUND && statement)
            bind_text(statement, 2 + n, ks_status_name(i));
    return n;
}

static int bind_status(const ks_filter *f, sqlite3_stmt *statement)
{
    return bind_statuses(f, NULL) == 1 ? bind_statuses(f, statement) : 0;
}

static int bind_name(const ks_filter *f, sqlite3_stmt *statement)
{
    if (!is_given(f->name))
        return 0;
    return statement ? bind_text(statement, 3, f->name) : 1;
}

#define RARE "status NOT IN " USUAL_STATUSES_SQL
static const struct way ways[] = {
    {"tag WHERE name=?3 AND value=?4", true, bind_tag},
    {"instance INDEXED BY instance_parent WHERE parent=?3", true, bind_parent},
    {"instance INDEXED BY instance_status WHERE status=?3 AND " RARE, true, bind_status},
    {"instance INDEXED BY instance_name WHERE name=?3 COLLATE NOCASE", true, bind_name},
    {"instance INDEXED BY instance_status WHERE status IN (?3,?4,?5,?6,?7) AND " RARE, false,
     bind_statuses},
    {"instance INDEXED BY sqlite_autoindex_instance_1 WHERE id>=?3 AND id<?4", false, bind_prefix},
};

/* A statement over a way's rows below l->below; NULL, and l->result is set. */
static sqlite3_stmt *prepare(struct looking *l, const struct way *way, const char *select,
                             const char *end)
{
    char sql[256];
    sqlite3_stmt *statement = NULL;
    snprintf(sql, sizeof sql, "%s FROM %s AND uid<?1 %s", select, way->rows, end);
    l->result = sqlite3_prepare_v2(l->c->reader.db, sql, -1, &statement, NULL);
    if (l->result != SQLITE_OK)
        return NULL;
    sqlite3_bind_int64(statement, 1, (int64_t)l->below);
    way->bind(l->query->filter, statement);
    return statement;
}

/* How many rows a way has, up to a limit. */
static int64_t count_rows(struct looking *l, const struct way *way, int64_t limit)
{
    sqlite3_stmt *statement = prepare(l, way, "SELECT count(*) FROM (SELECT 1", "LIMIT ?2)");
    if (!statement)
        return limit;
    sqlite3_bind_int64(statement, 2, limit);
    l->result = sqlite3_step(statement);
    int64_t count = l->result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : limit;
    l->result = sqlite3_finalize(statement);
    return count;
}

/* The way with the fewest rows; NULL: that of all. */
static const struct way *find_way(struct looking *l)
{
    const struct way *best = NULL;
    int64_t limit = (int64_t)query_examine(l->query) + 1;
    int64_t fewest = limit;
    if (l->are_many)
        return NULL;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0] && l->result == SQLITE_OK; i++) {
        if (!ways[i].bind(l->query->filter, NULL))
            continue;
        int64_t count = count_rows(l, &ways[i], limit);
        if (count < fewest || (!best && ways[i].is_ordered)) {
            best = &ways[i];
            fewest = count;
        }
    }
    return best;
}

/* ---- what is newer than its row ---- */

static bool is_deleted(const struct looking *l, uint64_t uid)
{
    return uid_set_has(&l->walk.gone, uid) || uid_set_has(l->newer->deleted[0], uid) ||
           uid_set_has(l->newer->deleted[1], uid);
}

static void add_newer(struct looking *l, const struct instance *inst)
{
    if (!inst || inst->uid >= l->below || is_deleted(l, inst->uid))
        return;
    struct summary s = summary_of(inst);
    if (filter_takes(l->query->filter, &s))
        l->few[l->few_count++] = inst;
}

static int uid_order(const void *a, const void *b)
{
    const struct instance *const *x = a, *const *y = b;
    return ((*x)->uid < (*y)->uid) - ((*x)->uid > (*y)->uid);
}

static void gather_few(struct looking *l)
{
    const struct query *query = l->query;
    const struct save *save = l->newer->save;
    struct table *table = l->newer->table;
    size_t most = table->dirty.count + save->count + query->change_count;
    l->few = die_malloc((most + 1) * sizeof l->few[0]);
    for (const struct instance *inst = table->dirty.newest; inst; inst = inst->older)
        add_newer(l, inst);
    for (size_t i = 0; i < save->count; i++)
        add_newer(l, table_find_uid(table, save->rows[i].uid));
    for (size_t i = 0; i < query->change_count; i++)
        add_newer(l, query->changes[i].inst);
    qsort(l->few, l->few_count, sizeof l->few[0], uid_order);
}

static void gather_newer(struct looking *l)
{
    const struct query *query = l->query;
    l->are_many = l->newer->table->dirty.count + l->newer->save->count + query->change_count >
                  query_examine(query);
    if (!l->are_many) {
        gather_few(l);
        return;
    }
    l->next = l->newer->next_uid - 1;
    for (size_t i = 0; i < query->change_count; i++)
        if (query->changes[i].inst->uid > l->next)
            l->next = query->changes[i].inst->uid;
    if (l->next >= l->below)
        l->next = l->below - 1;
}

/* Shows what comes before a row, 0: before the end. False: go no further. */
static bool show_newer(struct looking *l, uint64_t row)
{
    uint64_t last = l->newest_row > row ? l->newest_row : row;
    for (; l->are_many && l->next > last; l->next--) {
        const struct instance *inst = table_find_uid(l->newer->table, l->next);
        if (!(inst ? walk_instance(&l->walk, inst) : walk_gap(&l->walk, l->next)))
            return false;
    }
    while (l->few_at < l->few_count && l->few[l->few_at]->uid >= row) {
        const struct instance *inst = l->few[l->few_at];
        if (inst->uid != row && !walk_instance(&l->walk, inst))
            return false;
        while (l->few_at < l->few_count && l->few[l->few_at] == inst)
            l->few_at++;
    }
    return true;
}

/* ---- rows ---- */

static bool show_row(struct looking *l, sqlite3_stmt *row)
{
    struct str kind = connection_column_str(row, 1);
    struct summary s = {.uid = (uint64_t)sqlite3_column_int64(row, 0),
                        .kind = str_is(kind, STR("entity")) ? INSTANCE_ENTITY
                                                            : INSTANCE_ORCHESTRATION,
                        .id = connection_column_str(row, 2),
                        .name = connection_column_str(row, 3),
                        .status = status_of_name(connection_column_str(row, 4)),
                        .created_ms = sqlite3_column_int64(row, 5),
                        .updated_ms = sqlite3_column_int64(row, 6),
                        .parent = connection_column_str(row, 7)};
    return walk_row(&l->walk, &s, connection_column_str(row, 8));
}

/* row: a statement that stands on it, or NULL: it is read if need be. */
static bool show_uid(struct looking *l, uint64_t uid, sqlite3_stmt *row)
{
    if (!show_newer(l, uid))
        return false;
    const struct instance *inst = table_find_uid(l->newer->table, uid);
    if (inst)
        return walk_instance(&l->walk, inst);
    if (is_deleted(l, uid))
        return walk_gap(&l->walk, uid);
    if (row)
        return show_row(l, row);
    row = connection_statement(&l->c->reader, READ_SUMMARY);
    if (row) {
        sqlite3_bind_int64(row, 1, (int64_t)uid);
        l->result = sqlite3_step(row);
    }
    bool goes_on = row &&
                   (l->result == SQLITE_ROW ? show_row(l, row)
                                            : l->result == SQLITE_DONE && walk_gap(&l->walk, uid));
    l->result = row ? sqlite3_reset(row) : sqlite3_extended_errcode(l->c->reader.db);
    return goes_on;
}

/* False: go no further. */
static bool show_rows(struct looking *l, sqlite3_stmt *rows, bool are_whole)
{
    int step;
    while ((step = sqlite3_step(rows)) == SQLITE_ROW)
        if (!show_uid(l, (uint64_t)sqlite3_column_int64(rows, 0), are_whole ? rows : NULL))
            return false;
    if (step != SQLITE_DONE)
        l->result = step;
    return step == SQLITE_DONE;
}

static bool show_all(struct looking *l)
{
    const struct way *way = find_way(l);
    sqlite3_stmt *rows = NULL;
    bool goes_on;
    if (l->result == SQLITE_OK && way) {
        rows = prepare(l, way, "SELECT uid", "ORDER BY uid DESC");
        goes_on = rows && show_rows(l, rows, false);
        sqlite3_finalize(rows);
        return goes_on;
    }
    if (l->result == SQLITE_OK)
        rows = connection_statement(&l->c->reader, READ_SUMMARIES);
    if (!rows)
        return false;
    sqlite3_bind_int64(rows, 1, (int64_t)l->below);
    goes_on = show_rows(l, rows, true);
    sqlite3_reset(rows);
    return goes_on;
}

/* ---- where to begin ---- */

/* One number of the first row that a statement gives; 0: it gives none. */
static int64_t read_number(struct looking *l, enum read_statement which, uint64_t uid, int column)
{
    sqlite3_stmt *statement = connection_statement(&l->c->reader, (int)which);
    int64_t number = 0;
    if (!statement) {
        l->result = sqlite3_extended_errcode(l->c->reader.db);
        return 0;
    }
    if (uid)
        sqlite3_bind_int64(statement, 1, (int64_t)uid);
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, column);
    l->result = sqlite3_reset(statement);
    return number;
}

/* Uids are in the order of creation: the first row that was made too late is found by halving. */
static void skip_too_new(struct looking *l)
{
    int64_t until_ms = l->query->filter->created_until_ms;
    uint64_t low = 1, high = l->newest_row;
    if (!until_ms || !high || read_number(l, READ_UID_FROM, high, 1) < until_ms)
        return;
    while (low < high && l->result == SQLITE_OK) {
        uint64_t middle = low + (high - low) / 2;
        if (read_number(l, READ_UID_FROM, middle, 1) < until_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (high < l->below)
        l->below = high;
}

int checkpoint_query(struct checkpoint *c, const struct newer *newer, const struct query *query,
                     struct query_page *ret, char *ret_why, size_t why_size)
{
    struct looking l = {.c = c,
                        .newer = newer,
                        .query = query,
                        .below = query->below ? query->below : INT64_MAX};
    walk_begin(&l.walk, c->env, query, ret);
    if (c->reader.db)
        l.result = connection_exec(&c->reader, "BEGIN");
    if (c->reader.db && l.result == SQLITE_OK)
        l.newest_row = (uint64_t)read_number(&l, READ_NEWEST_UID, 0, 0);
    if (l.result == SQLITE_OK)
        skip_too_new(&l);
    gather_newer(&l);
    bool goes_on = l.result == SQLITE_OK && (!c->reader.db || show_all(&l));
    if (goes_on)
        show_newer(&l, 0);
    free(l.few);
    walk_end(&l.walk);
    int result = l.result == SQLITE_OK ? 0
                                       : checkpoint_failed(&c->reader, l.result, ret_why, why_size);
    connection_rollback(&c->reader);
    return result;
}
