#include "store/segment.h"

#include "base/die.h"
#include "store/segment_tidy.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Less than this left, and the disk full: not even what is owed can be finished. More than a pass
 * writes when it takes nothing new. */
#define ROOM_LEFT_MIN ((int64_t)256 * 1024)

int segment_error(int error)
{
    switch (error < 0 ? -error : error) {
    case ENOSPC:
    case EDQUOT:
        return KS_E_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return KS_E_ACCESS;
    default:
        return KS_E_IO;
    }
}

void segment_path(const char *folder, const char *name, char ret[JOURNAL_PATH_MAX])
{
    snprintf(ret, JOURNAL_PATH_MAX, "%s/%s", folder, name);
}

void segment_number_path(const char *folder, uint64_t number, char ret[JOURNAL_PATH_MAX])
{
    snprintf(ret, JOURNAL_PATH_MAX, "%s/%016" PRIx64 ".log", folder, number);
}

int segment_write(struct env *env, int file, const void *bytes, size_t len, int64_t offset)
{
    const char *at = bytes;
    while (len > 0) {
        int64_t n = env->disk_pwrite(env->self, file, at, len, offset);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        at += n;
        offset += n;
        len -= (size_t)n;
    }
    return 0;
}

int segment_fill(struct env *env, int file, size_t size_bytes)
{
    static const char zeros[BLOCK_BYTES];
    int result = 0;
    for (size_t at = 0; at < size_bytes && result == 0; at += BLOCK_BYTES) {
        size_t len = size_bytes - at < BLOCK_BYTES ? size_bytes - at : BLOCK_BYTES;
        result = segment_write(env, file, zeros, len, (int64_t)at);
    }
    return result;
}

static int failed(int error, char *ret_why, size_t why_size, const char *path)
{
    int result = segment_error(error);
    if (result == KS_E_FULL)
        snprintf(ret_why, why_size, "there is no room on the disk for the journal (%s): make room",
                 path);
    else
        snprintf(ret_why, why_size, "the journal cannot be written (%s): %s", path,
                 strerror(-error));
    return result;
}

static _Noreturn void sync_failed(const char *path, int error)
{
    die("the disk could not make %s last (%s). What is on it is not known now; the next start "
        "recovers everything that was acknowledged",
        path, strerror(-error));
}

/* ---- up and down ---- */

void segments_init(struct segments *s, struct env *env, const char *folder)
{
    *s = (struct segments){.env = env,
                           .folder = die_strndup(folder, strlen(folder)),
                           .file = -1,
                           .mark_file = -1};
}

void segments_free(struct segments *s)
{
    segments_stop_tidying(s);
    if (s->file >= 0)
        s->env->disk_close(s->env->self, s->file);
    if (s->mark_file >= 0)
        s->env->disk_close(s->env->self, s->mark_file);
    free(s->live);
    free(s->dropped);
    free(s->folder);
    *s = (struct segments){.file = -1, .mark_file = -1};
}

void segments_add(struct segments *s, const struct segment *segment)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 8;
        s->live = die_realloc(s->live, s->cap * sizeof s->live[0]);
    }
    s->live[s->count++] = *segment;
}

/* ---- the mark ---- */

static void open_mark(struct segments *s)
{
    char path[JOURNAL_PATH_MAX];
    segment_path(s->folder, "mark", path);
    if (s->env->disk_open(s->env->self, path, DISK_WRITE_CREATE, &s->mark_file) < 0)
        s->mark_file = -1;
}

/* Not synced: it is for a process that was killed, whose writes the system still has. After power
 * was lost it may be an old one; it is never ahead of what was synced. An error changes nothing but
 * how much a damage would be noticed by, until the next commit writes it. */
static void write_mark(struct segments *s)
{
    uint8_t bytes[MARK_BYTES];
    if (s->mark_file < 0)
        open_mark(s);
    if (s->mark_file < 0)
        return;
    mark_encode(&(struct mark){.sequence = s->last_sequence, .checksum = s->chain}, bytes);
    (void)!segment_write(s->env, s->mark_file, bytes, sizeof bytes, 0);
}

/* ---- coming into use ---- */

/* A file that is going to be a segment. */
struct fresh {
    int file;
    char path[JOURNAL_PATH_MAX];
    int64_t size_bytes;
    bool is_prewritten;
    bool is_spare;
};

static bool take_spare(struct segments *s, size_t need, struct fresh *ret)
{
    static const char *const names[SPARES] = {"spare-0", "spare-1"};
    for (int i = 0; i < SPARES && need <= s->segment_bytes; i++) {
        if (!s->has_spare[i])
            continue;
        segment_path(s->folder, names[i], ret->path);
        s->has_spare[i] = false;
        if (s->env->disk_open(s->env->self, ret->path, DISK_WRITE, &ret->file) == 0) {
            ret->size_bytes = (int64_t)s->segment_bytes;
            ret->is_prewritten = true;
            ret->is_spare = true;
            return true;
        }
    }
    return false;
}

/* The first segment of a start is small and written full, so that it takes a few milliseconds; one
 * that is made in between because no spare is ready grows. */
static int make_fresh(struct segments *s, size_t need, struct fresh *ret)
{
    struct env *env = s->env;
    bool is_first = s->file < 0 && need <= s->first_bytes;
    segment_path(s->folder, "new.tmp", ret->path);
    int result = env->disk_open(env->self, ret->path, DISK_WRITE_CREATE, &ret->file);
    if (result < 0)
        return result;
    result = env->disk_truncate(env->self, ret->file, 0);
    if (is_first && result == 0)
        result = segment_fill(env, ret->file, s->first_bytes);
    size_t size_bytes = is_first                  ? s->first_bytes
                        : need > s->segment_bytes ? need
                                                  : s->segment_bytes;
    ret->size_bytes = (int64_t)size_bytes;
    ret->is_prewritten = is_first;
    ret->is_spare = false;
    if (result == 0)
        return 0;
    env->disk_close(env->self, ret->file);
    env->disk_unlink(env->self, ret->path);
    return result;
}

static int fill_fresh(struct segments *s, const struct fresh *fresh, struct str payload)
{
    struct buf bytes = {0}, record = {0};
    struct segment_header header = {.number = s->count ? s->live[s->count - 1].number + 1 : 1,
                                    .salt = s->salt,
                                    .first_sequence = s->last_sequence + 1,
                                    .chain = s->chain,
                                    .size_bytes = (uint64_t)fresh->size_bytes};
    segment_header_encode(&header, (uint8_t *)buf_reserve(&bytes, BLOCK_BYTES));
    bytes.len = BLOCK_BYTES;
    if (payload.len) {
        record_begin(&record);
        buf_append(&record, payload.at, payload.len);
        s->last_sequence++;
        s->chain = record_end(&record, s->last_sequence, s->chain, s->salt);
        buf_append(&bytes, record.at, record.len);
    }
    int result = segment_write(s->env, fresh->file, bytes.at, bytes.len, 0);
    s->offset = (int64_t)bytes.len;
    buf_free(&record);
    buf_free(&bytes);
    if (result < 0)
        return result;
    result = s->env->disk_sync(s->env->self, fresh->file);
    if (result < 0)
        sync_failed(fresh->path, result);
    segments_add(s, &(struct segment){header.number, header.first_sequence});
    return 0;
}

/* Goes on in a new segment that has room for this many bytes, header included. */
static int start(struct segments *s, size_t need, struct str payload, char *ret_why,
                 size_t why_size)
{
    struct fresh fresh;
    char path[JOURNAL_PATH_MAX];
    struct env *env = s->env;
    int result = take_spare(s, need, &fresh) ? 0 : make_fresh(s, need, &fresh);
    if (result < 0)
        return failed(result, ret_why, why_size, fresh.path);
    env->random(env->self, &s->salt, sizeof s->salt);
    result = fill_fresh(s, &fresh, payload);
    if (result == 0) {
        segment_number_path(s->folder, s->live[s->count - 1].number, path);
        result = env->disk_rename(env->self, fresh.path, path);
        s->count -= result < 0;
    }
    if (result < 0) {
        env->disk_close(env->self, fresh.file);
        if (!fresh.is_spare)
            env->disk_unlink(env->self, fresh.path);
        return failed(result, ret_why, why_size, fresh.path);
    }
    result = env->disk_sync_dir(env->self, s->folder);
    if (result < 0)
        sync_failed(s->folder, result);
    if (s->file >= 0)
        env->disk_close(env->self, s->file);
    s->file = fresh.file;
    s->size_bytes = fresh.size_bytes;
    s->is_prewritten = fresh.is_prewritten;
    return 0;
}

static size_t blocks(size_t bytes)
{
    return (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

/* A process that was killed may have renamed an old segment to a spare and not synced that: before
 * it gets another header, its old name must be gone for good. */
static int settle_spares(struct segments *s, char *ret_why, size_t why_size)
{
    if (!s->has_spare[0] && !s->has_spare[1])
        return 0;
    int result = s->env->disk_sync_dir(s->env->self, s->folder);
    return result < 0 ? failed(result, ret_why, why_size, s->folder) : 0;
}

int segments_start(struct segments *s, struct str payload, char *ret_why, size_t why_size)
{
    size_t need = BLOCK_BYTES;
    if (payload.len)
        need += blocks(RECORD_HEADER_BYTES + payload.len);
    int result = settle_spares(s, ret_why, why_size);
    if (result == 0)
        result = start(s, need, payload, ret_why, why_size);
    if (result < 0)
        return result;
    write_mark(s);
    /* The last record has another checksum now: a mark that knows the old one must not come back.
     * */
    if (payload.len && s->mark_file >= 0)
        result = s->env->disk_sync(s->env->self, s->mark_file);
    return result < 0 ? failed(result, ret_why, why_size, s->folder) : 0;
}

/* ---- appending ---- */

/* A record was not written whole: what is there of it must not be found by a recovery, since its
 * caller was told that it is not. Its first block is overwritten, or the file cut off before it. */
static void strike_out(struct segments *s)
{
    static const char zeros[BLOCK_BYTES];
    struct env *env = s->env;
    char path[JOURNAL_PATH_MAX];
    segment_number_path(s->folder, s->live[s->count - 1].number, path);
    int result = segment_write(env, s->file, zeros, sizeof zeros, s->offset);
    if (result < 0)
        result = env->disk_truncate(env->self, s->file, s->offset);
    if (result < 0)
        die("a write to %s failed and could not be taken back (%s); the next start recovers "
            "everything that was acknowledged",
            path, strerror(-result));
    result = env->disk_sync(env->self, s->file);
    if (result < 0)
        sync_failed(path, result);
}

int segments_append(struct segments *s, struct buf *record, char *ret_why, size_t why_size)
{
    assert(!s->is_broken);
    size_t len = blocks(record->len);
    int result = 0;
    if (s->offset + (int64_t)len > s->size_bytes)
        result = start(s, BLOCK_BYTES + len, (struct str){0}, ret_why, why_size);
    if (result < 0) {
        s->is_broken = true;
        return result;
    }
    uint64_t checksum = record_end(record, s->last_sequence + 1, s->chain, s->salt);
    result = segment_write(s->env, s->file, record->at, len, s->offset);
    if (result < 0) {
        char path[JOURNAL_PATH_MAX];
        segment_number_path(s->folder, s->live[s->count - 1].number, path);
        s->is_broken = true;
        strike_out(s);
        return failed(result, ret_why, why_size, path);
    }
    result = s->env->disk_sync(s->env->self, s->file);
    if (result < 0)
        sync_failed(s->folder, result);
    s->last_sequence++;
    s->chain = checksum;
    s->offset += (int64_t)len;
    write_mark(s);
    return 0;
}

/* ---- room ---- */

enum store_room segments_room(const struct segments *s)
{
    int spares = 0;
    for (int i = 0; i < SPARES; i++)
        spares += s->has_spare[i];
    if (!s->is_full || spares == SPARES)
        return ROOM_PLENTY;
    int64_t left = spares * (int64_t)s->segment_bytes;
    if (s->is_prewritten)
        left += s->size_bytes - s->offset;
    int64_t least = (int64_t)s->segment_bytes / 8;
    return left < (least < ROOM_LEFT_MIN ? least : ROOM_LEFT_MIN) ? ROOM_NONE : ROOM_RESERVE;
}
