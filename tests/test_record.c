/* The journal's bytes, without a file: what is not whole, not ours, or of another version is told
 * apart, wherever it is cut. */
#include "store/record.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static void checksum_again(uint8_t block[BLOCK_BYTES])
{
    uint64_t checksum = XXH3_64bits(block, 56);
    memcpy(block + 56, &checksum, sizeof checksum);
}

static void a_segment_header_of_others_is_refused(void **state)
{
    (void)state;
    const struct segment_header header = {.number = 7,
                                          .salt = 9,
                                          .first_sequence = 3,
                                          .chain = 5,
                                          .size_bytes = 4096};
    struct segment_header got;
    uint8_t block[BLOCK_BYTES];
    segment_header_encode(&header, block);
    assert_null(segment_header_decode(block, sizeof block, &got));
    assert_memory_equal(&got, &header, sizeof got);
    for (size_t len = 0; len < 64; len++)
        assert_non_null(segment_header_decode(block, len, &got));
    assert_null(segment_header_decode(block, 64, &got));
    for (size_t i = 0; i < 64; i++) {
        block[i] ^= 4;
        assert_string_equal(segment_header_decode(block, sizeof block, &got),
                            "the header of the segment is not what was written");
        block[i] ^= 4;
    }
    static const struct {
        size_t at;
        const char *why;
    } others[] = {{0, "the header of the segment is not what was written"},
                  {8, "it was written by another version of Keepsake"},
                  {12, "it was written by another version of Keepsake"}};
    for (size_t i = 0; i < 3; i++) {
        segment_header_encode(&header, block);
        block[others[i].at] ^= 4;
        checksum_again(block);
        assert_string_equal(segment_header_decode(block, sizeof block, &got), others[i].why);
    }
}

static void a_record_is_whole_or_none(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct record record;
    record_begin(&bytes);
    buf_str(&bytes, "payload");
    uint64_t checksum = record_end(&bytes, 3, 5, 7);
    const uint8_t *at = (const uint8_t *)bytes.at;
    size_t len = RECORD_HEADER_BYTES + 7;
    assert_int_equal(bytes.len, BLOCK_BYTES);
    assert_true(record_decode(at, len, 7, &record));
    assert_int_equal(record.sequence, 3);
    assert_int_equal(record.previous, 5);
    assert_int_equal(record.checksum, checksum);
    assert_int_equal(record.padded_bytes, BLOCK_BYTES);
    assert_true(str_is(record.payload, STR("payload")));
    assert_false(record_decode(at, len, 8, &record));
    for (size_t cut = 0; cut < len; cut++)
        assert_false(record_decode(at, cut, 7, &record));
    for (size_t i = 0; i < len; i++) {
        bytes.at[i] = (char)(bytes.at[i] ^ 16);
        assert_false(record_decode(at, bytes.len, 7, &record));
        bytes.at[i] = (char)(bytes.at[i] ^ 16);
    }
    buf_free(&bytes);
}

/* uid 1, created, kind, id "a", name "b", log "c" */
static const uint8_t created[] = {1, CHANGE_CREATED, INSTANCE_ENTITY, 1, 'a', 1, 'b', 1, 'c'};

static bool is_change(const uint8_t *bytes, size_t len)
{
    struct change_record change;
    struct reader r = reader_of(bytes, len);
    payload_change_decode(&r, &change);
    return !r.is_bad && r.at == r.end;
}

static void a_change_of_no_kind_is_refused(void **state)
{
    (void)state;
    uint8_t other[sizeof created];
    assert_true(is_change(created, sizeof created));
    assert_true(is_change((const uint8_t[]){1, CHANGE_GOES_ON, 1, 'c'}, 4));
    assert_true(is_change((const uint8_t[]){1, CHANGE_DELETED, 0}, 3));
    assert_false(is_change((const uint8_t[]){0, CHANGE_DELETED, 0}, 3));
    assert_false(is_change((const uint8_t[]){1, CHANGE_DELETED + 1, 0}, 3));
    for (size_t len = 0; len < sizeof created; len++)
        assert_false(is_change(created, len));
    memcpy(other, created, sizeof created);
    other[2] = INSTANCE_ORCHESTRATION;
    assert_true(is_change(other, sizeof other));
    other[2] = 0;
    assert_false(is_change(other, sizeof other));
    other[2] = INSTANCE_ENTITY + 1;
    assert_false(is_change(other, sizeof other));
}

static void a_mark_that_is_not_whole_says_nothing(void **state)
{
    (void)state;
    uint8_t bytes[MARK_BYTES];
    struct mark got = {.sequence = 1};
    mark_encode(&(struct mark){.sequence = 7, .checksum = 9}, bytes);
    mark_decode(bytes, sizeof bytes, &got);
    assert_int_equal(got.sequence, 7);
    assert_int_equal(got.checksum, 9);
    for (size_t len = 0; len < sizeof bytes; len++) {
        mark_decode(bytes, len, &got);
        assert_int_equal(got.sequence, 0);
    }
    bytes[3] ^= 1;
    mark_decode(bytes, sizeof bytes, &got);
    assert_int_equal(got.sequence, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_header_of_others_is_refused),
        cmocka_unit_test(a_record_is_whole_or_none),
        cmocka_unit_test(a_change_of_no_kind_is_refused),
        cmocka_unit_test(a_mark_that_is_not_whole_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
