/* recover.h - what the journal and the checkpoint add up to
 *
 *     needed = what the checkpoint says (1 without one)
 *     segments: ... [ | needed ------- | ] [ ------------ ] [ ----- last |???? ]
 *                     applied to what the checkpoint's rows say           cut, or refused
 *
 * Every record that was acknowledged has to be there and whole: from the first that is needed on,
 * without a gap, each carrying the checksum of the one before. What lies behind the last whole one
 * is either the commit that a crash cut short, which nobody was told about, or damage. It is damage
 * when the mark knows of it, when a whole record follows it, or when a later segment does; then
 * nothing is opened and the sentence names file and offset.
 */
#ifndef STORE_RECOVER_H
#define STORE_RECOVER_H

#include "store/checkpoint.h"
#include "store/segment.h"

struct recovery {
    struct table *table;
    struct checkpoint *checkpoint;
    struct segments *segments; /* found ones are added; its numbers are set for segments_start() */
    struct uid_set *deleted;   /* rows that the checkpoint still has */
    struct recovered *ret;
    uint64_t queue_sequence; /* of the commit that the queue is of; 0: it is empty */
    struct buf tail; /* the last record's payload, if nothing says that it was synced: it has
                                to be written again */
    char *why;
    size_t why_size;
};

/* 0 or KS_E_... and a sentence. The caller frees tail. */
int recover(struct recovery *r);

#endif
