/* save.h - what goes into the checkpoint in one transaction
 *
 * save_take() is the only part that the partition's thread has to do: it copies the images of a few
 * hundred instances, each counted as clean from then on. A job writes them. When an instance
 * changes meanwhile, it is dirty again as of that change, so the list of the dirty stays in order
 * and nothing has to be remembered but which are being saved, by uid: one that is deleted
 * meanwhile is simply not found.
 *
 * A save that could not be written is written again later, as it is.
 */
#ifndef STORE_SAVE_H
#define STORE_SAVE_H

#include "core/table.h"
#include "store/uid_set.h"

/* What the checkpoint knows beside the instances. */
struct save_meta {
    uint64_t needed;   /* the first commit that the journal has to have for recovery */
    uint64_t last;     /* no row is true up to a later commit than this */
    uint64_t next_uid; /* greater than any that was used by then */
    int64_t time_ms;   /* of the last commit */
    uint64_t clean;    /* everything up to this commit is here, as a clean close leaves it; or 0 */
};

struct save_row {
    uint64_t uid;
    uint64_t sequence;
    int64_t created_ms, updated_ms, wake_ms;
    uint8_t kind, status;
    bool is_new; /* has no row yet */
    bool is_whole;
    bool had_log; /* before this */
    size_t texts; /* where its texts begin; they follow each other in this order: */
    size_t id_len, name_len, state_len, history_len, log_len;
    size_t input_len, output_len, parent_len, tags_len;
};

/* Whether there are rows in the log when it is written. */
static inline bool save_row_has_log(const struct save_row *row)
{
    return row->log_len || (row->had_log && !row->is_whole);
}

struct save {
    struct save_row *rows;
    size_t count, cap;
    struct buf texts;
    struct buf image;       /* used while taking */
    struct uid_set deleted; /* goes before the rows */
    struct save_meta meta;
    uint64_t newest_uid; /* that was ever taken here for its first row */
    bool is_to_settle;   /* bring everything into the database file, synced, when written */
    int result;          /* 0, or KS_E_FULL, KS_E_BUSY, KS_E_IO: nothing was written, try again */
    bool is_settled;     /* it was brought there */
    char why[512];       /* it was not written, or not settled; "" */
};

struct save_limits {
    size_t count;
    size_t bytes;
    uint64_t until; /* only what has been dirty since this commit or an earlier one */
};

void save_free(struct save *save);
/* Empties it and takes the oldest of the dirty. */
void save_take(struct save *save, struct table *table, const struct save_limits *limits);
/* What was taken is not being saved any more. */
void save_release(const struct save *save, struct table *table);

#endif
