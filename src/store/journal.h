/* journal.h - the store on disk: a journal that is the database, a checkpoint that catches up
 *
 *     FOLDER/lock              held while open; the pid of who has it
 *     FOLDER/journal/N.log     segments; the newest is appended to, 16 hex digits
 *     FOLDER/journal/mark      the last sequence known to be synced
 *     FOLDER/checkpoint.db     SQLite: one row an instance
 *
 * The format, with an example that is decoded by a test, is in docs/FORMAT.md and at the head of
 * the file that implements each part: record.c (segments' headers, records), segment.h (segments'
 * files), checkpoint_write.c (tables), pages.h (a checksum on each page of the checkpoint),
 * recover.h (what both add up to). journal.c joins them.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "store/store.h"

/* 0 anywhere: the default. */
struct journal_options {
    size_t segment_bytes;    /* of all but the first: 16 MiB */
    size_t first_bytes;      /* of a new folder's first segment: 1 MiB, so that it opens at once */
    size_t checkpoint_bytes; /* journal not yet in the checkpoint that starts one: 48 MiB; with five
                                thirds of that commits wait for saves */
    size_t checkpoint_count; /* ... or so many instances: 200,000 */
    int64_t checkpoint_ms;   /* ... or that much time with anything dirty: 30 s; a sixth of it, if
                                nothing changes meanwhile */
    size_t save_count;       /* instances in one of its transactions: 1,000 */
};

int store_journal_open(struct env *env, struct table *table, const char *folder,
                       const struct journal_options *options, struct recovered *ret,
                       struct store **ret_store, char *ret_why, size_t why_size);

#endif
