/* record.h - the journal's bytes: segment headers, records, what is in them, the mark
 *
 * Only bytes to structs and back; no file is touched here. The format is told in docs/FORMAT.md
 * and, in short, at the head of record.c.
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "store/store.h"

enum {
    BLOCK_BYTES = 4096, /* nothing that is acknowledged shares a block with what comes later */
    RECORD_HEADER_BYTES = 32,
    MARK_BYTES = 24,
    JOURNAL_FORMAT = 1
};

struct segment_header {
    uint64_t number;
    uint64_t salt;           /* seed of every checksum in the segment */
    uint64_t first_sequence; /* older segments' records from here on do not count */
    uint64_t chain;          /* checksum of the record before the first; 0: there is none */
    uint64_t size_bytes;     /* that were written before the segment came into use */
};

void segment_header_encode(const struct segment_header *header, uint8_t ret[BLOCK_BYTES]);
/* NULL, or what is wrong with it. */
const char *segment_header_decode(const uint8_t *bytes, size_t len, struct segment_header *ret);

struct record {
    uint64_t sequence;
    uint64_t previous; /* checksum of the record before */
    uint64_t checksum;
    struct str payload;
    size_t padded_bytes; /* that it takes in the file */
};

/* A record is built in a buffer: begin, then the payload, then end. */
void record_begin(struct buf *out);
/* Fills in the header and pads to whole blocks. Returns the checksum. */
uint64_t record_end(struct buf *out, uint64_t sequence, uint64_t previous, uint64_t salt);
/* Whether there is a whole record at the start of the bytes. */
bool record_decode(const uint8_t *bytes, size_t len, uint64_t salt, struct record *ret);

/* A change as it is written. kind, id and name only of one that was created. */
struct change_record {
    uint64_t uid;
    enum change_what what;
    enum instance_kind kind;
    struct str id;
    struct str name;
    struct str log;
};

/* A payload: head, changes, queue. Reading is checked once, at the end, by r->is_bad. */
void payload_head_encode(struct buf *out, int64_t time_ms, size_t change_count);
void payload_change_encode(struct buf *out, const struct change *change);
void payload_head_decode(struct reader *r, int64_t *ret_time_ms, uint64_t *ret_change_count);
void payload_change_decode(struct reader *r, struct change_record *ret);

struct mark {
    uint64_t sequence; /* 0: nothing is known */
    uint64_t checksum; /* of the record of that number */
};

void mark_encode(const struct mark *mark, uint8_t ret[MARK_BYTES]);
void mark_decode(const uint8_t *bytes, size_t len, struct mark *ret);

#endif
