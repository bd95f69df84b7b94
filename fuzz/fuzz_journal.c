/* Recovery of a journal whose checksums are right, or almost. The bytes are a script that writes
 * the files of a data folder; the folder is opened. It is refused with a sentence that names what
 * is damaged; or it can be read, goes on with a commit, and after a close is found as it was left.
 *
 *     1  number byte                  a segment begins; it goes on where the last one ends
 *     2  time                         a record begins
 *     3  uid, what, [kind, id, name], log     a change in it
 *     4  bytes                        anything in it
 *     5  queue                        the record ends
 *     6  skip                         the next record's number is so many too high
 *     7                               the mark is set to the last record
 *     8  place, bits                  bytes of the last file are changed
 *     9  size                         the last file is cut
 *    10  name byte, bytes             a spare, or some other file
 *    11  payload                      a record with anything in it
 *    12  bits                         the chain of checksums is another from here on
 *
 * Numbers and strings as in buf.h. What does not fit is passed over. */
#include "describe.h"
#include "fuzz.h"
#include "ram_disk.h"
#include "store/journal.h"
#include "store/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_BYTES_MAX = 256 << 10, COMMITS_MAX = 40 };

struct script {
    struct reader r;
    struct ram_disk *disk;
    struct ram_file *segment;
    struct segment_header header;
    struct buf record;
    uint64_t sequence, chain; /* of the last record */
    uint64_t count;           /* of changes in it */
    struct buf changes;
    int64_t time_ms;
};

static void begin_segment(struct script *s)
{
    char path[RAM_PATH_MAX];
    uint8_t block[BLOCK_BYTES];
    s->header = (struct segment_header){.number = read_byte(&s->r),
                                        .salt = s->sequence + 77,
                                        .first_sequence = s->sequence + 1,
                                        .chain = s->chain,
                                        .size_bytes = 64 << 10};
    snprintf(path, sizeof path, "ram/journal/%016" PRIx64 ".log", s->header.number);
    s->segment = ram_disk_make(s->disk, path);
    s->segment->bytes.len = 0;
    segment_header_encode(&s->header, block);
    buf_append(&s->segment->bytes, block, sizeof block);
}

static void add_change(struct script *s)
{
    s->count++;
    buf_varint(&s->changes, read_varint(&s->r));
    uint8_t what = read_byte(&s->r);
    buf_byte(&s->changes, what);
    if (what == CHANGE_CREATED) {
        buf_byte(&s->changes, read_byte(&s->r));
        buf_string(&s->changes, read_string(&s->r));
        buf_string(&s->changes, read_string(&s->r));
    }
    buf_string(&s->changes, read_string(&s->r));
}

/* Of the payload that is in s->record. */
static void add_record(struct script *s)
{
    if (!s->segment || s->segment->bytes.len > FILE_BYTES_MAX)
        return;
    s->sequence++;
    s->chain = record_end(&s->record, s->sequence, s->chain, s->header.salt);
    buf_append(&s->segment->bytes, s->record.at, s->record.len);
}

static void end_record(struct script *s)
{
    struct str queue = read_string(&s->r);
    record_begin(&s->record);
    payload_head_encode(&s->record, s->time_ms, s->count);
    buf_append(&s->record, s->changes.at, s->changes.len);
    buf_string(&s->record, queue);
    add_record(s);
    s->changes.len = 0;
    s->count = 0;
}

static void any_record(struct script *s)
{
    struct str payload = read_string(&s->r);
    record_begin(&s->record);
    buf_append(&s->record, payload.at, payload.len);
    add_record(s);
}

static void set_mark(struct script *s)
{
    uint8_t bytes[MARK_BYTES];
    struct ram_file *f = ram_disk_make(s->disk, "ram/journal/mark");
    mark_encode(&(struct mark){.sequence = s->sequence, .checksum = s->chain}, bytes);
    f->bytes.len = 0;
    buf_append(&f->bytes, bytes, sizeof bytes);
}

static void other_file(struct script *s)
{
    static const char *const names[] = {"spare-0", "spare-1", "mark", "new.tmp", "notes"};
    char path[RAM_PATH_MAX];
    snprintf(path, sizeof path, "ram/journal/%s", names[read_byte(&s->r) % 5]);
    struct ram_file *f = ram_disk_make(s->disk, path);
    struct str bytes = read_string(&s->r);
    buf_append(&f->bytes, bytes.at, bytes.len);
}

static void one_line(struct script *s)
{
    uint64_t n;
    struct str text;
    switch (read_byte(&s->r) % 16) {
    case 1:
        begin_segment(s);
        break;
    case 2:
        s->time_ms = read_zigzag(&s->r);
        break;
    case 3:
        add_change(s);
        break;
    case 4:
        text = read_string(&s->r);
        buf_append(&s->changes, text.at, text.len);
        break;
    case 5:
        end_record(s);
        break;
    case 6:
        s->sequence += read_byte(&s->r);
        break;
    case 7:
        set_mark(s);
        break;
    case 8:
        n = read_varint(&s->r);
        if (s->segment && n < s->segment->bytes.len)
            s->segment->bytes.at[n] = (char)(s->segment->bytes.at[n] ^ (char)read_byte(&s->r));
        break;
    case 9:
        n = read_varint(&s->r);
        if (s->segment && n < s->segment->bytes.len)
            s->segment->bytes.len = n;
        break;
    case 10:
        other_file(s);
        break;
    case 11:
        any_record(s);
        break;
    case 12:
        s->chain ^= read_byte(&s->r);
        break;
    default:
        break;
    }
}

static void write_folder(struct ram_disk *disk, const uint8_t *bytes, size_t len)
{
    struct script s = {.r = reader_of(bytes, len), .disk = disk};
    for (int i = 0; i < COMMITS_MAX * 4 && !reader_is_at_end(&s.r); i++)
        one_line(&s);
    buf_free(&s.record);
    buf_free(&s.changes);
}

/* ---- what comes of it ---- */

struct opened {
    struct table table;
    struct recovered recovered;
    struct store *store;
    char why[512];
};

static int open_folder(struct opened *o, struct env *env)
{
    static const struct journal_options options = {.segment_bytes = 16 << 10,
                                                   .first_bytes = 8 << 10};
    *o = (struct opened){0};
    table_init(&o->table, 1);
    int result = store_journal_open(env, &o->table, "ram", &options, &o->recovered, &o->store,
                                    o->why, sizeof o->why);
    if (result < 0)
        table_free(&o->table);
    return result;
}

static void let_go(struct opened *o)
{
    table_free(&o->table);
    buf_free(&o->recovered.queue);
}

/* What the instances up to a uid are like, in a string. */
static struct buf describe_all(struct opened *o, uint64_t uids)
{
    struct buf out = {0};
    for (uint64_t uid = 1; uid < uids; uid++) {
        struct instance *inst = table_find_uid(&o->table, uid);
        if (!inst)
            fuzz_check(store_load_uid(o->store, uid, &inst) == 0, "%s", store_why(o->store));
        if (!inst)
            continue;
        struct buf text = describe_instance(inst);
        buf_str(&out, text.at);
        buf_str(&out, "\n");
        buf_free(&text);
    }
    buf_byte(&out, 0);
    return out;
}

/* A commit with a new instance in it. */
static void commit_one(struct opened *o)
{
    static const char id[] = "new";
    struct instance *inst;
    uint64_t sequence;
    struct buf log = {0};
    ks_arena mem;
    arena_init(&mem, 256);
    event_encode(&log, &(struct event){.type = EVENT_EXECUTION_STARTED, .time_ms = 1});
    inst = instance_new(o->recovered.next_uid, INSTANCE_ORCHESTRATION, str_of(id), str_of("New"),
                        o->recovered.time_ms);
    fuzz_check(instance_apply(inst, log.at, log.len, &mem) == 0, "a start does not fit");
    table_add(&o->table, inst);
    struct change change = {inst, CHANGE_CREATED, {log.at, log.len}};
    struct commit commit = {.time_ms = o->recovered.time_ms, .changes = &change, .change_count = 1};
    fuzz_check(store_commit(o->store, &commit, &sequence) == 0, "%s", store_why(o->store));
    buf_free(&log);
    arena_free(&mem);
}

/* Instances as no engine makes them cannot be saved: ids twice, texts that no JSON says. */
static bool could_be_made(const struct opened *o)
{
    for (const struct instance *a = o->table.dirty.oldest; a; a = a->newer) {
        if (a->uid > 1000 || !utf8_is_valid((struct str){a->id, a->id_len}) ||
            memchr(a->id, 0, a->id_len) || !utf8_is_valid(str_of(a->name)))
            return false;
        for (const struct instance *b = a->newer; b; b = b->newer)
            if (a->id_len == b->id_len && memcmp(a->id, b->id, a->id_len) == 0)
                return false;
        if (a->id_len == 3 && memcmp(a->id, "new", 3) == 0)
            return false;
    }
    return o->recovered.next_uid <= 1000;
}

/* JSON cannot say what is not UTF-8; every value was checked before it got into a log. */
static bool has_only_text(const struct opened *o)
{
    bool has = true;
    for (const struct instance *i = o->table.dirty.oldest; i && has; i = i->newer)
        if (i->kind == INSTANCE_ENTITY)
            has = could_be_stored(i->entity.doc.root);
    return has;
}

static void check_goes_on(struct opened *o, struct env *env)
{
    struct opened again;
    bool is_savable = could_be_made(o) && has_only_text(o);
    uint64_t uids = o->recovered.next_uid + 1;
    if (!is_savable) {
        store_abandon(o->store);
        let_go(o);
        return;
    }
    commit_one(o);
    struct buf before = describe_all(o, uids);
    fuzz_check(store_close(o->store) == 0, "cannot be closed");
    let_go(o);
    fuzz_check(open_folder(&again, env) == 0, "after a close: %s", again.why);
    fuzz_check(again.recovered.was_clean, "a clean close was none");
    struct buf after = describe_all(&again, uids);
    fuzz_check(strcmp(before.at, after.at) == 0, "was\n%s\nis, after a close\n%s", before.at,
               after.at);
    store_abandon(again.store);
    let_go(&again);
    buf_free(&before);
    buf_free(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct ram_disk disk = {.random = 7};
    struct env env = ram_disk_env(&disk);
    struct opened o;
    ram_disk_make(&disk, "ram")->is_folder = true;
    ram_disk_make(&disk, "ram/journal")->is_folder = true;
    write_folder(&disk, bytes, len);
    int result = open_folder(&o, &env);
    if (result == 0)
        check_goes_on(&o, &env);
    else
        fuzz_check(result == KS_E_DAMAGED && strstr(o.why, "ram"), "%d: %s", result, o.why);
    ram_disk_free(&disk);
    return 0;
}
