/* Numbers of a fixed width are little-endian. Checksums are XXH3, 64 bits.
 *
 *     segment := header in the first block, records from the second block on
 *     header  := "KEEPSAKE", format u32, block size u32, number u64, salt u64, first sequence u64,
 *                chain u64, size u64, checksum u64 of all before it
 *     record  := checksum u64, magic u32, payload length u32, sequence u64, previous u64, payload,
 *                zeros up to the end of the block
 *     payload := time zigzag, flags byte (0), change count, changes, queue string
 *     change  := uid, what byte, [created: kind byte, id string, name string], log string
 *     mark    := sequence u64, checksum u64 of that record, checksum u64 of these two
 *
 * A record's checksum is seeded with its segment's salt and covers the rest of its header and the
 * payload, so what a recycled segment held before is never taken for a record. `previous` is the
 * checksum of the record before, so none can be missing or stand in another's place.
 */
#include "store/record.h"

#include "base/die.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static const uint8_t segment_magic[8] = {'K', 'E', 'E', 'P', 'S', 'A', 'K', 'E'};
enum { SEGMENT_HEADER_BYTES = 64, RECORD_MAGIC = 0x4352534B }; /* "KSRC" */

static void put_le(uint8_t *at, uint64_t n, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(n >> (8 * i));
}

static uint64_t get_le(const uint8_t *at, size_t bytes)
{
    uint64_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n |= (uint64_t)at[i] << (8 * i);
    return n;
}

/* ---- segment header ---- */

void segment_header_encode(const struct segment_header *header, uint8_t ret[BLOCK_BYTES])
{
    memset(ret, 0, BLOCK_BYTES);
    memcpy(ret, segment_magic, 8);
    put_le(ret + 8, JOURNAL_FORMAT, 4);
    put_le(ret + 12, BLOCK_BYTES, 4);
    put_le(ret + 16, header->number, 8);
    put_le(ret + 24, header->salt, 8);
    put_le(ret + 32, header->first_sequence, 8);
    put_le(ret + 40, header->chain, 8);
    put_le(ret + 48, header->size_bytes, 8);
    put_le(ret + 56, XXH3_64bits(ret, 56), 8);
}

const char *segment_header_decode(const uint8_t *bytes, size_t len, struct segment_header *ret)
{
    if (len < SEGMENT_HEADER_BYTES)
        return "the file ends inside its header";
    if (get_le(bytes + 56, 8) != XXH3_64bits(bytes, 56) || memcmp(bytes, segment_magic, 8) != 0)
        return "the header of the segment is not what was written";
    if (get_le(bytes + 8, 4) != JOURNAL_FORMAT || get_le(bytes + 12, 4) != BLOCK_BYTES)
        return "it was written by another version of Keepsake";
    *ret = (struct segment_header){.number = get_le(bytes + 16, 8),
                                   .salt = get_le(bytes + 24, 8),
                                   .first_sequence = get_le(bytes + 32, 8),
                                   .chain = get_le(bytes + 40, 8),
                                   .size_bytes = get_le(bytes + 48, 8)};
    return NULL;
}

/* ---- records ---- */

void record_begin(struct buf *out)
{
    out->len = 0;
    memset(buf_reserve(out, RECORD_HEADER_BYTES), 0, RECORD_HEADER_BYTES);
    out->len = RECORD_HEADER_BYTES;
}

uint64_t record_end(struct buf *out, uint64_t sequence, uint64_t previous, uint64_t salt)
{
    size_t payload_len = out->len - RECORD_HEADER_BYTES;
    if (payload_len > UINT32_MAX)
        die("bug: a commit of %zu bytes; a record of the journal holds at most %u", payload_len,
            UINT32_MAX);
    uint8_t *at = (uint8_t *)out->at;
    put_le(at + 8, RECORD_MAGIC, 4);
    put_le(at + 12, payload_len, 4);
    put_le(at + 16, sequence, 8);
    put_le(at + 24, previous, 8);
    uint64_t checksum = XXH3_64bits_withSeed(at + 8, out->len - 8, salt);
    put_le(at, checksum, 8);
    size_t padding = (size_t)-out->len % BLOCK_BYTES;
    memset(buf_reserve(out, padding), 0, padding);
    out->len += padding;
    return checksum;
}

bool record_decode(const uint8_t *bytes, size_t len, uint64_t salt, struct record *ret)
{
    if (len < RECORD_HEADER_BYTES || get_le(bytes + 8, 4) != RECORD_MAGIC)
        return false;
    size_t payload_len = (size_t)get_le(bytes + 12, 4);
    if (payload_len > len - RECORD_HEADER_BYTES)
        return false;
    size_t record_len = RECORD_HEADER_BYTES + payload_len;
    uint64_t checksum = get_le(bytes, 8);
    if (checksum != XXH3_64bits_withSeed(bytes + 8, record_len - 8, salt))
        return false;
    *ret = (struct record){.sequence = get_le(bytes + 16, 8),
                           .previous = get_le(bytes + 24, 8),
                           .checksum = checksum,
                           .payload = {(const char *)bytes + RECORD_HEADER_BYTES, payload_len},
                           .padded_bytes = (record_len + BLOCK_BYTES - 1) / BLOCK_BYTES *
                                           BLOCK_BYTES};
    return true;
}

/* ---- payloads ---- */

void payload_head_encode(struct buf *out, int64_t time_ms, size_t change_count)
{
    buf_zigzag(out, time_ms);
    buf_byte(out, 0);
    buf_varint(out, change_count);
}

void payload_change_encode(struct buf *out, const struct change *change)
{
    const struct instance *inst = change->inst;
    buf_varint(out, inst->uid);
    buf_byte(out, (uint8_t)change->what);
    if (change->what == CHANGE_CREATED) {
        buf_byte(out, inst->kind);
        buf_string(out, (struct str){inst->id, inst->id_len});
        buf_string(out, str_of(inst->name));
    }
    buf_string(out, change->log);
}

void payload_head_decode(struct reader *r, int64_t *ret_time_ms, uint64_t *ret_change_count)
{
    *ret_time_ms = read_zigzag(r);
    r->is_bad |= read_byte(r) != 0;
    *ret_change_count = read_varint(r);
}

void payload_change_decode(struct reader *r, struct change_record *ret)
{
    *ret = (struct change_record){.uid = read_varint(r)};
    uint8_t what = read_byte(r);
    r->is_bad |= what > CHANGE_DELETED || ret->uid == 0;
    ret->what = what;
    if (what == CHANGE_CREATED) {
        ret->kind = read_byte(r);
        r->is_bad |= ret->kind != INSTANCE_ORCHESTRATION && ret->kind != INSTANCE_ENTITY;
        ret->id = read_string(r);
        ret->name = read_string(r);
    }
    ret->log = read_string(r);
}

/* ---- the mark ---- */

void mark_encode(const struct mark *mark, uint8_t ret[MARK_BYTES])
{
    put_le(ret, mark->sequence, 8);
    put_le(ret + 8, mark->checksum, 8);
    put_le(ret + 16, XXH3_64bits(ret, 16), 8);
}

void mark_decode(const uint8_t *bytes, size_t len, struct mark *ret)
{
    *ret = (struct mark){0};
    if (len < MARK_BYTES || get_le(bytes + 16, 8) != XXH3_64bits(bytes, 16))
        return;
    *ret = (struct mark){.sequence = get_le(bytes, 8), .checksum = get_le(bytes + 8, 8)};
}
