/* Folders that no error of a disk makes: every checksum in them is right, and what they say is not.
 * A release of another format, or a bug of ours, could. Each is refused with a sentence. */
#include "ram_disk.h"
#include "store_world.h"

#include "store/record.h"
#include "store/settling.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- a journal of three segments ---- */

enum { COMMITS = 9 };

struct forged {
    struct world w;
    uint8_t header[BLOCK_BYTES];
    struct segment_header segment; /* of the file that is looked at */
};

static void set_up(struct forged *f)
{
    struct world *w = &f->w;
    world_init(w, 3, false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_open(w), 0);
        for (int k = 0; k < COMMITS / 3; k++)
            assert_int_equal(world_step(w, 3), 0);
        world_abandon(w);
    }
}

static void segment_file(const struct forged *f, int number, char ret[256])
{
    snprintf(ret, 256, "%s/journal/%016x.log", f->w.folder, (unsigned)number);
}

static int open_segment(struct forged *f, int number)
{
    char path[256];
    segment_file(f, number, path);
    int file = open(path, O_RDWR);
    assert_true(file >= 0);
    assert_int_equal(pread(file, f->header, BLOCK_BYTES, 0), BLOCK_BYTES);
    assert_null(segment_header_decode(f->header, BLOCK_BYTES, &f->segment));
    return file;
}

static void put_header(struct forged *f, int file)
{
    segment_header_encode(&f->segment, f->header);
    assert_int_equal(pwrite(file, f->header, BLOCK_BYTES, 0), BLOCK_BYTES);
    close(file);
}

static void assert_refused(struct forged *f, const char *why)
{
    assert_int_equal(world_open(&f->w), KS_E_DAMAGED);
    if (!strstr(f->w.why, why) || !strstr(f->w.why, f->w.folder))
        fail_msg("%s", f->w.why);
    world_free(&f->w);
}

/* ---- segments ---- */

static void a_segment_of_another_chain_is_refused(void **state)
{
    struct forged f;
    (void)state;
    set_up(&f);
    int file = open_segment(&f, 3);
    f.segment.chain++;
    put_header(&f, file);
    assert_refused(&f, "does not go on where the segment before it ends");
}

/* Both are in the line of sequences, each alone. */
static void segments_out_of_order_are_refused(void **state)
{
    struct forged f;
    (void)state;
    set_up(&f);
    int file = open_segment(&f, 3);
    f.segment.first_sequence = 2;
    put_header(&f, file);
    assert_refused(&f, "does not go on where the segment before it ends");
}

/* As when a newer release had begun a segment. Whoever wrote it can go on with it. */
static void a_segment_of_a_newer_format_is_refused_and_left_as_it_is(void **state)
{
    struct forged f;
    uint8_t newer[BLOCK_BYTES];
    (void)state;
    set_up(&f);
    int file = open_segment(&f, 3);
    memcpy(newer, f.header, BLOCK_BYTES);
    newer[8]++; /* FORMAT.md */
    uint64_t checksum = XXH3_64bits(newer, 56);
    memcpy(newer + 56, &checksum, sizeof checksum);
    assert_int_equal(pwrite(file, newer, BLOCK_BYTES, 0), BLOCK_BYTES);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(world_open(&f.w), KS_E_DAMAGED);
        assert_non_null(strstr(f.w.why, "it was written by another version of Keepsake"));
        assert_non_null(strstr(f.w.why, f.w.folder));
    }
    put_header(&f, file);
    assert_int_equal(world_open(&f.w), 0);
    assert_null(world_differs(&f.w));
    world_free(&f.w);
}

/* ---- records ---- */

/* Puts another in the place of the last record: its payload, behind that `more`, and what it says
 * of the record before. */
static void replace_last(struct forged *f, struct str payload, struct str more, uint64_t chain_off)
{
    static uint8_t bytes[64 * BLOCK_BYTES];
    struct record record, last = {0};
    struct buf forged = {0};
    char mark[256];
    int file = open_segment(f, 3);
    ssize_t len = pread(file, bytes, sizeof bytes, 0);
    size_t at = BLOCK_BYTES, last_at = 0;
    while (record_decode(bytes + at, (size_t)len - at, f->segment.salt, &record)) {
        last = record;
        last_at = at;
        at += record.padded_bytes;
    }
    assert_int_equal(last.sequence, COMMITS);
    record_begin(&forged);
    buf_append(&forged, payload.at ? payload.at : last.payload.at,
               payload.at ? payload.len : last.payload.len);
    buf_append(&forged, more.at, more.len);
    record_end(&forged, last.sequence, last.previous + chain_off, f->segment.salt);
    assert_int_equal(pwrite(file, forged.at, forged.len, (off_t)last_at), forged.len);
    close(file);
    buf_free(&forged);
    snprintf(mark, sizeof mark, "%s/journal/mark", f->w.folder);
    assert_int_equal(unlink(mark), 0); /* it knows the other's checksum */
}

static void a_record_behind_another_than_is_there_is_refused(void **state)
{
    struct forged f;
    (void)state;
    set_up(&f);
    replace_last(&f, (struct str){0}, STR(""), 1);
    assert_refused(&f, "a record is not what was written");
}

static void a_record_with_more_in_it_is_refused(void **state)
{
    struct forged f;
    (void)state;
    set_up(&f);
    replace_last(&f, (struct str){0}, STR("more"), 0);
    assert_refused(&f, "commit 9 cannot be read; another version may have written it");
}

static void an_instance_created_twice_is_refused(void **state)
{
    struct forged f;
    struct world *w = &f.w;
    struct buf payload = {0};
    (void)state;
    set_up(&f);
    assert_int_equal(world_open(w), 0);
    world_create(w, INSTANCE_ENTITY, "@list@twice", "list");
    payload_head_encode(&payload, w->time_ms, 2);
    w->changes[0].log = STR("");
    payload_change_encode(&payload, &w->changes[0]);
    payload_change_encode(&payload, &w->changes[0]);
    buf_string(&payload, STR(""));
    world_abandon(w);
    char path[256];
    segment_file(&f, 4, path);
    assert_int_equal(unlink(path), 0);
    replace_last(&f, (struct str){payload.at, payload.len}, STR(""), 0);
    buf_free(&payload);
    assert_refused(&f, "commit 9 creates an instance that was there");
}

/* ---- the log of the checkpoint, while it is settled ---- */

static void resize_log(struct ram_disk *d, const char *text)
{
    struct ram_file *log = ram_disk_make(d, "ram/checkpoint.db-wal");
    log->bytes.len = 0;
    buf_str(&log->bytes, text);
}

static void assert_found(struct env *env, int result, enum settling settling)
{
    enum settling found;
    assert_int_equal(settling_find(env, "ram", &found), result);
    assert_int_equal(found, settling);
}

static void a_log_is_what_was_noted_or_cut_off_or_refused(void **state)
{
    static struct ram_disk disk;
    struct env env = ram_disk_env(&disk);
    (void)state;
    assert_int_equal(settling_begin(&env, "ram", 9), 0); /* there is none */
    assert_found(&env, 0, SETTLING_NONE);
    resize_log(&disk, "as it was");
    assert_int_equal(settling_begin(&env, "ram", 9), 1);
    assert_found(&env, 0, SETTLING_BEGUN);
    resize_log(&disk, "as it was, and more");
    assert_found(&env, 0, SETTLING_BEGUN);
    assert_int_equal(ram_disk_make(&disk, "ram/checkpoint.db-wal")->bytes.len, 9);
    resize_log(&disk, "as it");
    assert_found(&env, -EBADMSG, SETTLING_NONE);
    resize_log(&disk, "not as it");
    assert_found(&env, -EBADMSG, SETTLING_NONE);
    resize_log(&disk, "");
    assert_found(&env, 0, SETTLING_NONE);
    resize_log(&disk, "as it was, and more");
    int64_t calls = disk.calls;
    assert_found(&env, 0, SETTLING_BEGUN);
    calls = disk.calls - calls;
    for (int64_t i = 1; i <= calls; i++) {
        enum settling settling;
        resize_log(&disk, "as it was, and more");
        disk.error = EIO;
        disk.fail_at = disk.calls + i;
        assert_int_equal(settling_find(&env, "ram", &settling), -EIO);
    }
    assert_true(calls > 3);
    assert_int_equal(env.disk_unlink(env.self, "ram/checkpoint.db-wal"), 0);
    assert_found(&env, -EBADMSG, SETTLING_NONE);
    settling_end(&env, "ram");
    assert_found(&env, 0, SETTLING_NONE);
    ram_disk_free(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_of_another_chain_is_refused),
        cmocka_unit_test(segments_out_of_order_are_refused),
        cmocka_unit_test(a_segment_of_a_newer_format_is_refused_and_left_as_it_is),
        cmocka_unit_test(a_record_behind_another_than_is_there_is_refused),
        cmocka_unit_test(a_record_with_more_in_it_is_refused),
        cmocka_unit_test(an_instance_created_twice_is_refused),
        cmocka_unit_test(a_log_is_what_was_noted_or_cut_off_or_refused),
    };
    return cmocka_run_group_tests_name("forged folders", tests, NULL, NULL);
}
