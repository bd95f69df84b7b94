/* The format of the data folder, and what becomes of one that is damaged: whatever byte is flipped,
 * whatever file is missing, cut short or exchanged, a start either has exactly what was
 * acknowledged or refuses with a sentence. KEEPSAKE_TEST_ALL=1 flips every byte instead of a part
 * of them. */
#include "store_world.h"

#include "store/record.h"
#include "store/settling.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the documented example ---- */

static size_t read_example(uint8_t *ret, size_t size)
{
    char line[256];
    size_t end = 0;
    FILE *file = fopen("docs/FORMAT.md", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        unsigned offset, byte;
        int len, at = 0;
        if (sscanf(line, "    %4x %n", &offset, &at) != 1 || at != 10 || line[9] != ' ')
            continue;
        while (sscanf(line + at, "%2x%n", &byte, &len) == 1) {
            assert_true(offset < size);
            ret[offset++] = (uint8_t)byte;
            at += len;
            end = offset;
        }
    }
    fclose(file);
    return end;
}

static void the_documented_example_is_what_is_written(void **state)
{
    static uint8_t bytes[2 * BLOCK_BYTES], block[BLOCK_BYTES];
    struct segment_header header;
    struct record record;
    struct change_record change;
    struct doc_patch patch;
    int64_t time_ms;
    uint64_t count;
    ks_arena mem;
    (void)state;
    arena_init(&mem, 1024);
    size_t len = read_example(bytes, sizeof bytes);
    assert_int_equal(len, 0x1046);
    assert_null(segment_header_decode(bytes, sizeof bytes, &header));
    assert_int_equal(header.number, 1);
    assert_int_equal(header.salt, 0x1122334455667788);
    assert_int_equal(header.first_sequence, 1);
    assert_int_equal(header.chain, 0);
    assert_int_equal(header.size_bytes, 1 << 20);
    segment_header_encode(&header, block);
    assert_memory_equal(block, bytes, sizeof block);

    assert_true(record_decode(bytes + BLOCK_BYTES, len - BLOCK_BYTES, header.salt, &record));
    assert_int_equal(record.sequence, 1);
    assert_int_equal(record.previous, 0);
    assert_int_equal(record.padded_bytes, BLOCK_BYTES);
    struct reader r = reader_of(record.payload.at, record.payload.len);
    payload_head_decode(&r, &time_ms, &count);
    assert_int_equal(time_ms, 1000);
    assert_int_equal(count, 1);
    payload_change_decode(&r, &change);
    assert_int_equal(change.uid, 1);
    assert_int_equal(change.what, CHANGE_CREATED);
    assert_int_equal(change.kind, INSTANCE_ENTITY);
    assert_true(str_is(change.id, STR("@list@7")));
    assert_true(str_is(change.name, STR("list")));
    assert_int_equal(read_string(&r).len, 0);
    assert_true(!r.is_bad && reader_is_at_end(&r));
    struct reader log = reader_of(change.log.at, change.log.len);
    doc_patch_decode(&log, read_byte(&log), &mem, &patch);
    assert_int_equal(patch.op, DOC_APPEND);
    assert_true(str_is(patch.path, STR("items")));
    assert_string_equal(ks_text(patch.val), "a train");

    struct buf again = {0};
    record_begin(&again);
    buf_append(&again, record.payload.at, record.payload.len);
    assert_int_equal(record_end(&again, 1, 0, header.salt), record.checksum);
    assert_memory_equal(again.at, bytes + BLOCK_BYTES, BLOCK_BYTES);
    buf_free(&again);
    arena_free(&mem);
}

/* ---- a folder to damage ---- */

struct folder {
    struct world w;
    char good[160]; /* a copy that stays as it was */
};

static void folder_path(const struct folder *f, const char *name, char ret[256])
{
    snprintf(ret, 256, "%s/%s", f->w.folder, name);
}

static void heal(struct folder *f)
{
    world_abandon(&f->w);
    world_remove_folder(f->w.folder);
    world_copy_folder(f->good, f->w.folder);
}

static void folder_free(struct folder *f)
{
    world_free(&f->w);
    world_remove_folder(f->good);
}

/* A small history: saved at one time, changed after that, and either closed or left. */
static void make_folder(struct folder *f, int saved, int unsaved, bool is_closed)
{
    struct world *w = &f->w;
    world_init(w, 21, false);
    w->options.segment_bytes = 32 << 10;
    w->options.first_bytes = saved ? 16 << 10 : 48 << 10;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < saved; i++)
        assert_int_equal(world_step(w, 3), 0);
    if (saved)
        world_settle(w);
    for (int i = 0; i < unsaved; i++)
        assert_int_equal(world_step(w, 3), 0);
    if (is_closed)
        assert_int_equal(world_close(w), 0);
    else
        world_abandon(w);
    snprintf(f->good, sizeof f->good, "%s-good", w->folder);
    world_copy_folder(w->folder, f->good);
}

/* Exactly what was acknowledged, or a refusal that says why. Returns whether it was refused. */
static bool check(struct folder *f, const char *what, int64_t n)
{
    struct world *w = &f->w;
    w->why[0] = 0;
    int result = world_open(w);
    if (result < 0) {
        if (result != KS_E_DAMAGED || !strstr(w->why, w->folder))
            fail_msg("%s %lld: %d %s", what, (long long)n, result, w->why);
        return true;
    }
    const char *differs = world_differs(w);
    if (differs)
        fail_msg("%s %lld: %s", what, (long long)n, differs);
    assert_int_equal(w->recovered.time_ms, w->time_ms);
    assert_int_equal(w->recovered.queue.len, w->queue.len);
    return false;
}

static bool is_refused(struct folder *f, const char *what)
{
    bool is_it = check(f, what, 0);
    heal(f);
    return is_it;
}

/* ---- flipped bits ---- */

static void flip(const char *path, int64_t offset, uint8_t with)
{
    uint8_t byte;
    int file = open(path, O_RDWR);
    assert_true(file >= 0);
    assert_int_equal(pread(file, &byte, 1, offset), 1);
    byte ^= with;
    assert_int_equal(pwrite(file, &byte, 1, offset), 1);
    close(file);
}

static bool is_zero_block(const char *path, int64_t offset)
{
    uint8_t block[64];
    int file = open(path, O_RDONLY);
    ssize_t n = pread(file, block, sizeof block, offset / 64 * 64);
    close(file);
    for (ssize_t i = 0; i < n; i++)
        if (block[i])
            return false;
    return true;
}

static int64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

/* How many flips were refused. */
static int flip_all(struct folder *f, const char *name, int64_t stride)
{
    char path[256];
    int refused = 0;
    bool is_all = getenv("KEEPSAKE_TEST_ALL") != NULL && stride < 1000;
    folder_path(f, name, path);
    int64_t size = size_of(path);
    for (int64_t at = 0; at < size; at += is_all ? 1 : is_zero_block(path, at) ? 61 : stride) {
        flip(path, at, (uint8_t)(1 << (at % 8)));
        refused += check(f, name, at);
        heal(f);
    }
    return refused;
}

static const char *const files[] = {"journal/0000000000000001.log",
                                    "journal/0000000000000002.log",
                                    "journal/0000000000000003.log",
                                    "journal/0000000000000004.log",
                                    "journal/mark",
                                    "journal/spare-0",
                                    "checkpoint.db",
                                    "checkpoint.db-wal",
                                    "lock"};
enum { FILES = sizeof files / sizeof files[0] };

static void a_flipped_bit_in_the_journal_is_seen_or_does_not_matter(void **state)
{
    struct folder f;
    (void)state;
    make_folder(&f, 0, 8, false);
    assert_true(flip_all(&f, "journal/0000000000000001.log", 1) > 300);
    assert_int_equal(flip_all(&f, "journal/mark", 1), 0);
    flip(strcat(strcpy(f.w.why, f.w.folder), "/journal/0000000000000001.log"), 3 * 4096 + 40, 4);
    assert_int_equal(world_open(&f.w), KS_E_DAMAGED);
    assert_non_null(strstr(f.w.why, "0000000000000001.log at offset 12288"));
    assert_non_null(strstr(f.w.why, "backup"));
    folder_free(&f);
}

static void a_flipped_bit_in_the_checkpoint_is_seen_or_does_not_matter(void **state)
{
    struct folder f;
    (void)state;
    for (int is_closed = 0; is_closed < 2; is_closed++) {
        make_folder(&f, 15, is_closed ? 0 : 5, is_closed);
        assert_true(flip_all(&f, "checkpoint.db", 17) > 500);
        for (int i = 0; i < FILES; i++)
            if (strcmp(files[i], "checkpoint.db") != 0)
                flip_all(&f, files[i], 97);
        folder_free(&f);
    }
}

/* Left between two saves, so that the newest rows are in SQLite's log alone. */
static void make_unsettled_folder(struct folder *f)
{
    struct world *w = &f->w;
    world_init(w, 5, false);
    w->options.checkpoint_bytes = 8 << 20;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(world_step(w, 50), 0);
    store_tick(w->store);
    w->now_ns += (int64_t)20 * 1000000000;
    for (int i = 0; i < 2; i++) {
        store_tick(w->store);
        world_pump(w); /* some saves of a round */
    }
    assert_true(w->table.dirty.count > 0);
    world_abandon(w);
    snprintf(f->good, sizeof f->good, "%s-good", w->folder);
    world_copy_folder(w->folder, f->good);
}

static void a_flipped_bit_in_the_write_ahead_log_loses_nothing(void **state)
{
    struct folder f;
    char path[256];
    (void)state;
    make_unsettled_folder(&f);
    folder_path(&f, "checkpoint.db-wal", path);
    assert_true(size_of(path) > 20000);
    assert_int_equal(flip_all(&f, "checkpoint.db-wal", 4001), 0);
    unlink(path);
    assert_false(is_refused(&f, "without the write-ahead log"));
    folder_free(&f);
}

static void copy_odd_pages(const char *from_path, const char *to_path)
{
    uint8_t page[4096];
    int from = open(from_path, O_RDONLY), to = open(to_path, O_RDWR);
    for (int64_t at = 4096; pread(from, page, sizeof page, at) == sizeof page; at += 8192)
        assert_int_equal(pwrite(to, page, sizeof page, at), sizeof page);
    close(from);
    close(to);
}

/* Half of its log is in the checkpoint already: pages of two ages, if the other half were lost. */
static void a_log_damaged_while_it_was_settled_is_refused(void **state)
{
    struct folder f;
    struct world *w = &f.w;
    enum settling settling;
    char path[256], good[256];
    (void)state;
    make_unsettled_folder(&f);
    snprintf(good, sizeof good, "%s/checkpoint.db", f.good);
    folder_path(&f, "checkpoint.db-wal", path);
    assert_int_equal(settling_begin(&w->env, w->folder, size_of(path)), 1);
    folder_path(&f, "checkpoint.db", path);
    snprintf(f.good, sizeof f.good, "%s-half", w->folder);
    world_copy_folder(w->folder, f.good);
    assert_false(check(&f, "settled at the start", 0));
    world_abandon(w);
    copy_odd_pages(path, strcat(strcpy(good, f.good), "/checkpoint.db"));
    heal(&f);
    assert_true(flip_all(&f, "checkpoint.db-wal", 4001) > 5);
    assert_int_equal(flip_all(&f, "checkpoint.settling", 1), 0);
    folder_path(&f, "checkpoint.db-wal", path);
    unlink(path);
    assert_true(is_refused(&f, "without the write-ahead log"));
    assert_false(check(&f, "half settled", 0));
    world_abandon(w);
    assert_int_equal(settling_find(&w->env, w->folder, &settling), 0);
    assert_int_equal(settling, SETTLING_NONE);
    folder_free(&f);
    snprintf(f.good, sizeof f.good, "%s-good", w->folder);
    world_remove_folder(f.good);
}

/* ---- torn tails ---- */

static void a_torn_last_record_is_cut_at_whatever_byte(void **state)
{
    struct folder f;
    struct world *w = &f.w;
    char path[256];
    uint8_t block[BLOCK_BYTES];
    (void)state;
    make_folder(&f, 0, 6, false);
    folder_path(&f, "journal/0000000000000001.log", path);
    int file = open(path, O_RDWR);
    const int64_t last = 6 * BLOCK_BYTES;
    struct segment_header header;
    struct record record;
    uint8_t first[BLOCK_BYTES];
    assert_int_equal(pread(file, first, sizeof first, 0), BLOCK_BYTES);
    assert_int_equal(pread(file, block, sizeof block, last), BLOCK_BYTES);
    close(file);
    assert_null(segment_header_decode(first, sizeof first, &header));
    assert_true(record_decode(block, sizeof block, header.salt, &record));
    /* The seventh record, torn after each of its bytes, over zeros and over what was there. */
    struct buf torn = {0};
    record_begin(&torn);
    payload_head_encode(&torn, 99999, 0);
    buf_string(&torn, STR("a queue that nobody was told about"));
    size_t len = torn.len;
    record_end(&torn, record.sequence + 1, record.checksum, header.salt);
    for (size_t n = 0; n < len; n++) {
        file = open(path, O_RDWR);
        assert_int_equal(pwrite(file, torn.at, n, last + BLOCK_BYTES), n);
        close(file);
        assert_false(check(&f, "torn after", (int64_t)n));
        world_abandon(w);
        assert_false(check(&f, "torn after, again", (int64_t)n));
        heal(&f);
    }
    buf_free(&torn);
    folder_free(&f);
}

/* A record that was synced but not marked (the process was killed in between) is there, and it is
 * in the new segment before anything is served: the old one may be in the system's cache alone. */
static void an_unmarked_last_record_is_written_again(void **state)
{
    struct folder f;
    char path[256];
    uint8_t bytes[2 * BLOCK_BYTES];
    struct segment_header header;
    struct record record;
    (void)state;
    make_folder(&f, 0, 6, false);
    folder_path(&f, "journal/mark", path);
    assert_int_equal(unlink(path), 0);
    assert_false(check(&f, "without a mark", 0));
    world_abandon(&f.w);
    folder_path(&f, "journal/0000000000000002.log", path);
    int file = open(path, O_RDONLY);
    assert_int_equal(pread(file, bytes, sizeof bytes, 0), sizeof bytes);
    close(file);
    assert_null(segment_header_decode(bytes, sizeof bytes, &header));
    assert_int_equal(header.first_sequence, 6);
    assert_true(record_decode(bytes + BLOCK_BYTES, BLOCK_BYTES, header.salt, &record));
    assert_int_equal(record.sequence, 6);
    assert_false(check(&f, "once more", 0));
    folder_free(&f);
}

static void a_mark_that_could_not_be_written_is_written_with_the_next_commit(void **state)
{
    struct folder f;
    struct world *w = &f.w;
    char path[256];
    (void)state;
    world_init(w, 21, false);
    w->options.first_bytes = 48 << 10;
    assert_int_equal(world_open(w), 0);
    assert_int_equal(world_step(w, 3), 0);
    w->fault = (struct world_fault){.fail_write_at = w->writes + 2, .error = EIO};
    assert_int_equal(world_step(w, 3), 0);
    w->fault = (struct world_fault){0};
    assert_int_equal(world_step(w, 3), 0);
    world_abandon(w);
    folder_path(&f, "journal/0000000000000001.log", path);
    flip(path, 3 * BLOCK_BYTES + 40, 1);
    assert_int_equal(world_open(w), KS_E_DAMAGED);
    world_free(w);
}

/* ---- files ---- */

static void a_missing_file_is_seen_or_does_not_matter(void **state)
{
    struct folder f;
    char path[256];
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        make_folder(&f, kind ? 40 : 0, kind == 2 ? 0 : 20, kind == 2);
        for (int i = 0; i < FILES; i++) {
            folder_path(&f, files[i], path);
            unlink(path);
            check(&f, files[i], 0);
            heal(&f);
        }
        folder_path(&f, "checkpoint.db", path);
        unlink(path);
        if (kind)
            assert_true(is_refused(&f, "without a checkpoint"));
        else
            assert_false(is_refused(&f, "without a checkpoint"));
        folder_path(&f, "journal", path);
        world_remove_folder(path);
        if (kind) /* without either, it is a new folder */
            assert_true(is_refused(&f, "without a journal"));
        folder_free(&f);
    }
}

static void a_file_cut_short_is_seen_or_does_not_matter(void **state)
{
    struct folder f;
    char path[256];
    (void)state;
    for (int is_closed = 0; is_closed < 2; is_closed++) {
        make_folder(&f, 40, is_closed ? 0 : 20, is_closed);
        for (int i = 0; i < FILES; i++) {
            folder_path(&f, files[i], path);
            int64_t size = size_of(path);
            for (int64_t len = 0; len < size; len += 1 + size / 23) {
                assert_int_equal(truncate(path, len), 0);
                check(&f, files[i], len);
                heal(&f);
            }
        }
        folder_free(&f);
    }
}

static void exchanged_files_are_seen_or_do_not_matter(void **state)
{
    struct folder f, g;
    char path[256], other[256], third[256];
    (void)state;
    make_folder(&f, 0, 60, false);
    make_folder(&g, 30, 30, false);
    for (int i = 0; i < FILES; i++) {
        folder_path(&f, files[i], path);
        if (size_of(path) < 0)
            continue;
        folder_path(&g, files[i], other); /* of another folder */
        if (size_of(other) >= 0 && i != FILES - 1) {
            assert_int_equal(rename(other, path), 0);
            check(&f, files[i], -1);
            heal(&f);
            heal(&g);
        }
        for (int k = i + 1; k < 4; k++) { /* of one folder, among each other */
            folder_path(&f, files[k], other);
            folder_path(&f, "third", third);
            if (size_of(other) < 0)
                continue;
            assert_int_equal(rename(path, third), 0);
            assert_int_equal(rename(other, path), 0);
            assert_int_equal(rename(third, other), 0);
            assert_true(is_refused(&f, "two segments exchanged"));
        }
    }
    folder_free(&f);
    folder_free(&g);
}

/* A journal that went on, with the checkpoint of a backup, or the other way round. */
static void halves_of_different_age_are_seen_or_do_not_matter(void **state)
{
    struct folder f;
    struct world *w = &f.w;
    char old[200], path[256], from[256];
    (void)state;
    make_folder(&f, 40, 10, true);
    snprintf(old, sizeof old, "%s-old", w->folder);
    world_copy_folder(w->folder, old);
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(world_step(w, 3), 0);
        if (i % 20 == 19)
            world_settle(w);
    }
    assert_int_equal(world_close(w), 0);
    world_remove_folder(f.good);
    world_copy_folder(w->folder, f.good);
    folder_path(&f, "checkpoint.db", path);
    snprintf(from, sizeof from, "%s/checkpoint.db", old);
    assert_int_equal(rename(from, path), 0);
    check(&f, "an old checkpoint", 0);
    heal(&f);
    folder_path(&f, "journal", path);
    world_remove_folder(path);
    snprintf(from, sizeof from, "%s/journal", old);
    world_copy_folder(from, path);
    assert_true(is_refused(&f, "an old journal"));
    world_remove_folder(old);
    folder_free(&f);
}

/* ---- the folder ---- */

static void a_second_opener_is_told_who_has_it(void **state)
{
    struct world w, second;
    char pid[32];
    (void)state;
    world_init(&w, 1, false);
    world_init(&second, 2, false);
    world_remove_folder(second.folder);
    snprintf(second.folder, sizeof second.folder, "%s", w.folder);
    assert_int_equal(world_open(&w), 0);
    assert_int_equal(world_open(&second), KS_E_BUSY);
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_non_null(strstr(second.why, pid));
    assert_non_null(strstr(second.why, "--data"));
    world_abandon(&w);
    assert_int_equal(world_open(&second), 0);
    world_free(&second);
    world_free(&w);
}

static void a_folder_that_cannot_be_written_is_named(void **state)
{
    struct world w;
    char folder[128];
    (void)state;
    world_init(&w, 1, false);
    snprintf(folder, sizeof folder, "%s", w.folder);
    snprintf(w.folder, sizeof w.folder, "%.100s/there/is/none", folder);
    assert_int_equal(world_open(&w), KS_E_IO);
    assert_non_null(strstr(w.why, "cannot write to the data folder"));
    snprintf(w.folder, sizeof w.folder, "/proc/keepsake");
    assert_true(world_open(&w) < 0);
    assert_non_null(strstr(w.why, "/proc/keepsake"));
    snprintf(w.folder, sizeof w.folder, "%s", folder);
    world_free(&w);
}

/* Nothing runs in the background here unless somebody waits for it. */
static void commits_wait_for_saves_that_lag(void **state)
{
    struct world w;
    size_t dirty_most = 0;
    (void)state;
    world_init(&w, 1, false);
    w.options.checkpoint_bytes = 16 << 10;
    assert_int_equal(world_open(&w), 0);
    for (int i = 0; i < 5000; i++) {
        char id[32];
        snprintf(id, sizeof id, "@list@%d", i);
        struct instance *inst = world_create(&w, INSTANCE_ENTITY, id, "list");
        world_patch(&w, inst, DOC_SET, "items", ks_string(&w.mem, id));
        if (i % 10 < 9)
            continue;
        assert_int_equal(world_commit(&w, STR("")), 0);
        store_tick(w.store);
        if (w.table.dirty.count > dirty_most)
            dirty_most = w.table.dirty.count;
    }
    assert_in_range(dirty_most, 10, 1000);
    world_abandon(&w);
    assert_int_equal(world_open(&w), 0);
    assert_true(w.recovered.commits < 150);
    const char *differs = world_differs(&w);
    if (differs)
        fail_msg("%s", differs);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_example_is_what_is_written),
        cmocka_unit_test(a_flipped_bit_in_the_journal_is_seen_or_does_not_matter),
        cmocka_unit_test(a_flipped_bit_in_the_checkpoint_is_seen_or_does_not_matter),
        cmocka_unit_test(a_flipped_bit_in_the_write_ahead_log_loses_nothing),
        cmocka_unit_test(a_torn_last_record_is_cut_at_whatever_byte),
        cmocka_unit_test(an_unmarked_last_record_is_written_again),
        cmocka_unit_test(a_mark_that_could_not_be_written_is_written_with_the_next_commit),
        cmocka_unit_test(a_log_damaged_while_it_was_settled_is_refused),
        cmocka_unit_test(a_missing_file_is_seen_or_does_not_matter),
        cmocka_unit_test(a_file_cut_short_is_seen_or_does_not_matter),
        cmocka_unit_test(exchanged_files_are_seen_or_do_not_matter),
        cmocka_unit_test(halves_of_different_age_are_seen_or_do_not_matter),
        cmocka_unit_test(a_second_opener_is_told_who_has_it),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_named),
        cmocka_unit_test(commits_wait_for_saves_that_lag),
    };
    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
