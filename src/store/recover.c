#include "store/recover.h"

#include "base/die.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define REMEDY "restore a backup of the whole data folder"

struct found {
    uint64_t number;
    struct segment_header header;
};

struct scan {
    struct recovery *r;
    struct found *found; /* by number */
    size_t count, cap;
    struct buf bytes; /* of the segment that is looked at */
    struct mark mark;
    struct uid_set unknown; /* changed, but nowhere: deleted later on, or lost */
    uint64_t needed;
    uint64_t newest_uid;   /* that was created so far */
    uint64_t next;         /* sequence of the next record */
    uint64_t chain;        /* checksum of the one before */
    uint64_t before_chain; /* and of the one before that */
    struct str tail;       /* payload of the last record of the newest segment */
    ks_arena scratch;
    char path[JOURNAL_PATH_MAX];
};

static int damaged_at(struct scan *s, uint64_t offset, const char *what)
{
    snprintf(s->r->why, s->r->why_size,
             "the journal is damaged: %s at offset %" PRIu64 ": %s: " REMEDY, s->path, offset,
             what);
    return KS_E_DAMAGED;
}

static int read_failed(struct scan *s, int error)
{
    snprintf(s->r->why, s->r->why_size, "the journal cannot be read: %s: %s", s->path,
             strerror(-error));
    return segment_error(error);
}

/* ---- which files there are ---- */

static void on_name(void *ctx, const char *name)
{
    struct scan *s = ctx;
    struct segments *segments = s->r->segments;
    if (strcmp(name, "spare-0") == 0)
        segments->has_spare[0] = true;
    else if (strcmp(name, "spare-1") == 0)
        segments->has_spare[1] = true;
    if (strspn(name, "0123456789abcdef") != 16 || strcmp(name + 16, ".log") != 0)
        return;
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->found = die_realloc(s->found, s->cap * sizeof s->found[0]);
    }
    s->found[s->count++] = (struct found){.number = strtoull(name, NULL, 16)};
}

static int number_order(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* A spare of another size, after the setting was changed, is made again. */
static void check_spares(struct scan *s)
{
    static const char *const names[SPARES] = {"spare-0", "spare-1"};
    struct segments *segments = s->r->segments;
    struct env *env = segments->env;
    for (int i = 0; i < SPARES; i++) {
        int64_t size = 0;
        int file;
        segment_path(segments->folder, names[i], s->path);
        if (!segments->has_spare[i])
            continue;
        segments->has_spare[i] = false;
        if (env->disk_open(env->self, s->path, DISK_READ, &file) < 0)
            continue;
        segments->has_spare[i] = env->disk_size(env->self, file, &size) == 0 &&
                                 size == (int64_t)segments->segment_bytes;
        env->disk_close(env->self, file);
    }
}

static int open_segment(struct scan *s, uint64_t number, int *ret_file)
{
    struct env *env = s->r->segments->env;
    segment_number_path(s->r->segments->folder, number, s->path);
    return env->disk_open(env->self, s->path, DISK_READ, ret_file);
}

static int read_header(struct scan *s, struct found *found)
{
    uint8_t block[BLOCK_BYTES];
    struct env *env = s->r->segments->env;
    int file;
    int result = open_segment(s, found->number, &file);
    if (result < 0)
        return read_failed(s, result);
    int64_t len = env->disk_pread(env->self, file, block, sizeof block, 0);
    env->disk_close(env->self, file);
    if (len < 0)
        return read_failed(s, (int)len);
    const char *why = segment_header_decode(block, (size_t)len, &found->header);
    if (!why && found->header.number != found->number)
        why = "it is another segment's file";
    return why ? damaged_at(s, 0, why) : 0;
}

/* One that cannot be read is not one that is not there: going on without it would write the last
 * record again, and the mark, once readable, would call that damage. */
static int read_mark(struct scan *s)
{
    uint8_t bytes[MARK_BYTES];
    struct env *env = s->r->segments->env;
    int file;
    segment_path(s->r->segments->folder, "mark", s->path);
    int result = env->disk_open(env->self, s->path, DISK_READ, &file);
    if (result < 0)
        return result == -ENOENT ? 0 : read_failed(s, result);
    int64_t len = env->disk_pread(env->self, file, bytes, sizeof bytes, 0);
    env->disk_close(env->self, file);
    if (len < 0)
        return read_failed(s, (int)len);
    mark_decode(bytes, (size_t)len, &s->mark);
    return 0;
}

static int look_at_files(struct scan *s)
{
    struct segments *segments = s->r->segments;
    struct env *env = segments->env;
    int result = env->disk_list(env->self, segments->folder, on_name, s);
    snprintf(s->path, sizeof s->path, "%s", segments->folder);
    if (result < 0)
        return read_failed(s, result);
    if (s->count)
        qsort(s->found, s->count, sizeof s->found[0], number_order);
    check_spares(s);
    for (size_t i = 0; i < s->count && result == 0; i++)
        result = read_header(s, &s->found[i]);
    return result == 0 ? read_mark(s) : result;
}

/* ---- one record ---- */

static int bad_record(struct scan *s, uint64_t sequence, const char *what)
{
    snprintf(s->r->why, s->r->why_size,
             "the journal is damaged: %s: commit %" PRIu64 " %s: " REMEDY, s->path, sequence, what);
    return KS_E_DAMAGED;
}

static int apply_created(struct scan *s, const struct change_record *c, uint64_t sequence,
                         struct instance **ret, int64_t time_ms)
{
    struct recovery *r = s->r;
    uint64_t saved;
    if (c->uid <= s->newest_uid)
        return bad_record(s, sequence, "creates an instance out of order");
    s->newest_uid = c->uid;
    if (c->uid >= r->ret->next_uid)
        r->ret->next_uid = c->uid + 1;
    if (c->uid < r->checkpoint->meta.next_uid) {
        int result = checkpoint_sequence(r->checkpoint, c->uid, &saved, r->why, r->why_size);
        if (result < 0 || saved >= sequence)
            return result;
        if (saved)
            return bad_record(s, sequence, "creates an instance that was there");
    }
    *ret = instance_new(c->uid, c->kind, c->id, c->name, time_ms);
    table_add(r->table, *ret);
    return 0;
}

/* One that is not in the table: the checkpoint's row, unless it has the change already. */
static int apply_to_saved(struct scan *s, const struct change_record *c, uint64_t sequence,
                          struct instance **ret)
{
    struct recovery *r = s->r;
    uint64_t saved;
    int result = checkpoint_sequence(r->checkpoint, c->uid, &saved, r->why, r->why_size);
    if (result < 0 || saved >= sequence)
        return result;
    if (!saved) {
        uid_set_add(&s->unknown, c->uid);
        return 0;
    }
    result = checkpoint_load(r->checkpoint, (struct str){0}, c->uid, ret, r->why, r->why_size);
    if (*ret)
        table_add(r->table, *ret);
    return result;
}

static int apply_deleted(struct scan *s, uint64_t uid, struct instance *inst)
{
    struct recovery *r = s->r;
    uint64_t saved = 0;
    int result = 0;
    uid_set_remove(&s->unknown, uid);
    if (!inst)
        result = checkpoint_sequence(r->checkpoint, uid, &saved, r->why, r->why_size);
    if (saved || (inst && inst->is_known_to_checkpoint))
        uid_set_add(r->deleted, uid);
    if (inst) {
        table_remove(r->table, inst);
        instance_free(inst);
    }
    return result;
}

static int apply_change(struct scan *s, const struct change_record *c, uint64_t sequence,
                        int64_t time_ms)
{
    struct recovery *r = s->r;
    struct instance *inst = table_find_uid(r->table, c->uid);
    int result = 0;
    if (c->what == CHANGE_DELETED)
        return apply_deleted(s, c->uid, inst);
    if (c->what == CHANGE_CREATED && inst)
        return bad_record(s, sequence, "creates an instance that was there");
    if (c->what == CHANGE_CREATED)
        result = apply_created(s, c, sequence, &inst, time_ms);
    else if (!inst)
        result = apply_to_saved(s, c, sequence, &inst);
    if (result < 0 || !inst)
        return result;
    result = instance_apply(inst, c->log.at, c->log.len, &s->scratch);
    arena_reset(&s->scratch);
    if (result < 0)
        return bad_record(s, sequence, "changes an instance in a way that does not fit it");
    table_dirty(r->table, inst, sequence);
    inst->last_sequence = sequence;
    inst->updated_ms = time_ms;
    return 0;
}

static int apply_record(struct scan *s, const struct record *record)
{
    struct recovered *ret = s->r->ret;
    struct reader reader = reader_of(record->payload.at, record->payload.len);
    struct change_record change;
    uint64_t change_count;
    payload_head_decode(&reader, &ret->time_ms, &change_count);
    for (uint64_t i = 0; i < change_count && !reader.is_bad; i++) {
        payload_change_decode(&reader, &change);
        if (reader.is_bad)
            break;
        int result = apply_change(s, &change, record->sequence, ret->time_ms);
        if (result < 0)
            return result;
    }
    struct str queue = read_string(&reader);
    if (reader.is_bad || reader.at != reader.end)
        return bad_record(s, record->sequence,
                          "cannot be read; another version may have written it");
    ret->queue.len = 0;
    buf_append(&ret->queue, queue.at, queue.len);
    s->r->queue_sequence = queue.len ? record->sequence : 0;
    ret->commits++;
    return 0;
}

/* ---- one segment ---- */

static int read_segment(struct scan *s, const struct found *found)
{
    struct env *env = s->r->segments->env;
    int64_t size = 0;
    int file;
    int result = open_segment(s, found->number, &file);
    if (result < 0)
        return read_failed(s, result);
    s->bytes.len = 0;
    result = env->disk_size(env->self, file, &size);
    if (result == 0) {
        char *at = buf_reserve(&s->bytes, (size_t)size);
        int64_t len = env->disk_pread(env->self, file, at, (size_t)size, 0);
        result = len < 0 ? (int)len : 0;
        s->bytes.len = len < 0 ? 0 : (size_t)len;
    }
    env->disk_close(env->self, file);
    return result < 0 ? read_failed(s, result) : 0;
}

static bool is_record_at(const struct scan *s, size_t offset, uint64_t salt, struct record *ret)
{
    if (offset >= s->bytes.len)
        return false;
    return record_decode((const uint8_t *)s->bytes.at + offset, s->bytes.len - offset, salt, ret);
}

/* Behind the last whole record of the newest segment nothing may be but a commit cut short. */
static int check_tail(struct scan *s, const struct found *found, size_t offset)
{
    struct record record;
    for (size_t at = offset; at < s->bytes.len; at += BLOCK_BYTES)
        if (is_record_at(s, at, found->header.salt, &record))
            return damaged_at(s, offset, "a record is not what was written, and others follow it");
    if (s->mark.sequence >= s->next)
        return damaged_at(s, offset,
                          "the record here was acknowledged, and is not what was written"
                          " or is missing");
    return 0;
}

/* Applies the records of a segment, up to where the next one goes on. */
static int scan_segment(struct scan *s, size_t i)
{
    const struct found *found = &s->found[i];
    bool is_newest = i + 1 == s->count;
    uint64_t until = is_newest ? UINT64_MAX : s->found[i + 1].header.first_sequence;
    struct record record;
    size_t offset = BLOCK_BYTES;
    int result = read_segment(s, found);
    if (result < 0)
        return result;
    if (s->next && (found->header.first_sequence != s->next || found->header.chain != s->chain))
        return damaged_at(s, 0, "it does not go on where the segment before it ends");
    s->next = found->header.first_sequence;
    s->chain = found->header.chain;
    while (s->next < until && is_record_at(s, offset, found->header.salt, &record) &&
           record.sequence == s->next && record.previous == s->chain) {
        if (record.sequence == s->mark.sequence && record.checksum != s->mark.checksum)
            return damaged_at(s, offset, "the record is not the one that was acknowledged");
        result = record.sequence < s->needed ? 0 : apply_record(s, &record);
        if (result < 0)
            return result;
        s->before_chain = s->chain;
        s->chain = record.checksum;
        s->next++;
        offset += record.padded_bytes;
        if (is_newest)
            s->tail = record.payload;
    }
    if (is_newest)
        return check_tail(s, found, offset);
    return s->next < until ? damaged_at(s, offset, "a record is not what was written") : 0;
}

/* ---- all of it ---- */

static int refuse(struct scan *s, const char *what)
{
    snprintf(s->r->why, s->r->why_size, "the data folder is damaged (%s): %s: " REMEDY,
             s->r->checkpoint->folder, what);
    return KS_E_DAMAGED;
}

static int scan_from(struct scan *s, size_t first)
{
    for (size_t i = first; i < s->count; i++) {
        int result = scan_segment(s, i);
        if (result < 0)
            return result;
    }
    uint64_t last = s->next - 1;
    const struct save_meta *meta = &s->r->checkpoint->meta;
    if (meta->last > last)
        return refuse(s, ks_format(&s->scratch,
                                   "the checkpoint has commit %" PRIu64
                                   ", but the journal ends with %" PRIu64,
                                   meta->last, last));
    for (size_t i = 0; i < s->unknown.slot_count; i++)
        if (s->unknown.slots[i])
            return refuse(s, ks_format(&s->scratch,
                                       "instance %" PRIu64 " is changed in the journal, "
                                       "but neither there nor in the checkpoint does it begin",
                                       s->unknown.slots[i]));
    return 0;
}

static int scan_all(struct scan *s)
{
    size_t first = s->count;
    if (!s->count) {
        if (s->r->checkpoint->has_tables || s->mark.sequence)
            return refuse(s, "the journal's segments are missing");
        s->next = 1;
        return 0;
    }
    for (size_t i = 0; i < s->count; i++)
        if (s->found[i].header.first_sequence <= s->needed)
            first = i;
    if (first == s->count)
        return refuse(s, ks_format(&s->scratch,
                                   "commit %" PRIu64 " is needed, but the journal begins "
                                   "with %" PRIu64,
                                   s->needed, s->found[0].header.first_sequence));
    return scan_from(s, first);
}

/* One transaction for all that is read: else SQLite locks the file for each row, which took a fifth
 * of a long recovery. Where it cannot begin, each row is read in its own. */
static int scan_in_transaction(struct scan *s)
{
    struct connection *reader = &s->r->checkpoint->reader;
    if (reader->db)
        (void)connection_exec(reader, "BEGIN");
    int result = scan_all(s);
    connection_rollback(reader);
    return result;
}

/* What was read may be in the system's cache and nowhere else. The last record is written again
 * into the next segment unless it is known to be synced; all others were synced before their
 * successors were written. */
static void hand_over(struct scan *s)
{
    struct segments *segments = s->r->segments;
    for (size_t i = 0; i < s->count; i++)
        segments_add(segments,
                     &(struct segment){s->found[i].number, s->found[i].header.first_sequence});
    bool is_again = s->tail.len > 0 && s->next - 1 > s->mark.sequence;
    if (is_again)
        buf_append(&s->r->tail, s->tail.at, s->tail.len);
    segments->last_sequence = s->next - 1 - is_again;
    segments->chain = is_again ? s->before_chain : s->chain;
}

int recover(struct recovery *r)
{
    struct scan s = {.r = r, .needed = r->checkpoint->meta.needed};
    *r->ret = (struct recovered){.next_uid = r->checkpoint->meta.next_uid,
                                 .time_ms = r->checkpoint->meta.time_ms};
    arena_init(&s.scratch, 4096);
    int result = look_at_files(&s);
    if (result == 0)
        result = scan_in_transaction(&s);
    if (result == 0)
        hand_over(&s);
    free(s.found);
    buf_free(&s.bytes);
    uid_set_free(&s.unknown);
    arena_free(&s.scratch);
    return result;
}
