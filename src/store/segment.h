/* segment.h - the journal's files as they are written
 *
 *     journal/0000000000000007.log   segments in use, oldest first; the newest is appended to
 *     journal/spare-0, spare-1       written full of zeros and synced (or recycled): the next two
 *     journal/mark                   the last record known to be synced
 *     journal/new.tmp, prepare.tmp   being made; worth nothing after a crash
 *
 * Writing into space that was written before costs half of growing a file, so segments are made
 * ready in the background, before they are needed; the second spare is the reserve for when the
 * disk is full. A segment comes into use in this order: header (and perhaps a first record)
 * written, synced, renamed to its number, folder synced. So a file with a number always has a good
 * header.
 *
 * With no spare, a segment is made on the spot and grows as it is written.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "store/record.h"
#include "store/store.h"

enum { SPARES = 2, JOURNAL_PATH_MAX = 4096 };

struct segment {
    uint64_t number;
    uint64_t first_sequence;
};

struct tidying; /* a job: old segments become spares or go, spares are made */

struct segments {
    struct env *env;
    char *folder;
    size_t segment_bytes;
    size_t first_bytes;
    struct segment *live; /* oldest first; the last is the one that is appended to */
    size_t count, cap;
    uint64_t *dropped; /* numbers of old ones that nobody needs */
    size_t dropped_count, dropped_cap;

    int file; /* of the last; -1: none */
    int mark_file;
    uint64_t salt;
    uint64_t chain; /* checksum of the last record */
    uint64_t last_sequence;
    int64_t offset;     /* where the next record goes */
    int64_t size_bytes; /* how far records may go */
    bool is_prewritten; /* up to size_bytes, so the disk cannot be too full for it */
    bool is_broken;     /* a write failed; nothing may be appended any more */

    bool has_spare[SPARES];
    struct tidying *tidying; /* under way, or NULL */
    bool is_failing;         /* the last spare could not be made */
    bool is_full;            /* ... for want of room */
    int spare_error;         /* ... a negative errno */
    int64_t retry_ns;
};

/* An errno as KS_E_... */
int segment_error(int error);
/* FOLDER/name, or FOLDER/NUMBER.log. */
void segment_path(const char *folder, const char *name, char ret[JOURNAL_PATH_MAX]);
void segment_number_path(const char *folder, uint64_t number, char ret[JOURNAL_PATH_MAX]);

/* Writes all of it: goes on after a short write. 0 or a negative errno. */
int segment_write(struct env *env, int file, const void *bytes, size_t len, int64_t offset);
/* Writes a file full of zeros, block by block: of one large write the system keeps one large page,
 * and each commit into it would walk, and account for, all of it. 0 or a negative errno. */
int segment_fill(struct env *env, int file, size_t size_bytes);

void segments_init(struct segments *s, struct env *env, const char *folder);
/* Files are let go; a job under way is called off. */
void segments_free(struct segments *s);
/* One that recovery found, oldest first. */
void segments_add(struct segments *s, const struct segment *segment);

/* Goes on in a new segment, whose first record will be last_sequence + 1. With a payload, that
 * record is in it from the start. */
int segments_start(struct segments *s, struct str payload, char *ret_why, size_t why_size);
/* Appends a record (record.h: begun, with its payload) and syncs it. */
int segments_append(struct segments *s, struct buf *record, char *ret_why, size_t why_size);

/* Commits before this one are not needed. */
void segments_forget(struct segments *s, uint64_t needed);
/* Has spares made and old segments cleared away in the background. */
void segments_tick(struct segments *s);
enum store_room segments_room(const struct segments *s);

#endif
