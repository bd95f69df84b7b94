/* The file: length of the log, its checksum, a checksum of both; 8 bytes each, little-endian. It is
 * made once and written over; one that was torn, or is all zeros, says nothing. */
#include "store/settling.h"

#include "base/buf.h"
#include "base/die.h"
#include "store/segment.h"

#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { NOTE_BYTES = 24, NOTE_SEED = 0x5e77, PART_BYTES = 256 * 1024 };

struct note {
    int64_t len;
    uint64_t checksum;
};

static void note_encode(const struct note *note, uint8_t bytes[NOTE_BYTES])
{
    uint64_t len = (uint64_t)note->len;
    memcpy(bytes, &len, 8);
    memcpy(bytes + 8, &note->checksum, 8);
    uint64_t own = XXH3_64bits_withSeed(bytes, 16, NOTE_SEED);
    memcpy(bytes + 16, &own, 8);
}

static bool note_decode(const uint8_t bytes[NOTE_BYTES], struct note *ret)
{
    uint64_t own, len;
    memcpy(&len, bytes, 8);
    memcpy(&ret->checksum, bytes + 8, 8);
    memcpy(&own, bytes + 16, 8);
    ret->len = (int64_t)len;
    return own == XXH3_64bits_withSeed(bytes, 16, NOTE_SEED);
}

/* Of its first len bytes; -EBADMSG when it is shorter. */
static int log_checksum(struct env *env, int file, int64_t len, uint64_t *ret)
{
    struct buf part = {0};
    int result = 0;
    *ret = 0;
    for (int64_t at = 0; at < len && result == 0;) {
        size_t want = len - at < PART_BYTES ? (size_t)(len - at) : PART_BYTES;
        int64_t n = env->disk_pread(env->self, file, buf_reserve(&part, want), want, at);
        if (n < 0)
            result = (int)n;
        else if ((size_t)n < want)
            result = -EBADMSG;
        else
            *ret = XXH3_64bits_withSeed(part.at, want, *ret);
        at += n;
    }
    buf_free(&part);
    return result;
}

static int log_open(struct env *env, const char *folder, enum disk_open how, int *ret_file,
                    int64_t *ret_size)
{
    char path[JOURNAL_PATH_MAX];
    segment_path(folder, "checkpoint.db-wal", path);
    int result = env->disk_open(env->self, path, how, ret_file);
    if (result < 0)
        return result;
    result = env->disk_size(env->self, *ret_file, ret_size);
    if (result < 0)
        env->disk_close(env->self, *ret_file);
    return result;
}

_Noreturn static void not_lasting(const char *path, int result)
{
    die("the disk could not make %s last (%s); the next start recovers everything that was "
        "acknowledged",
        path, strerror(-result));
}

/* Synced when it returns 0. */
static int write_note(struct env *env, const char *folder, const uint8_t bytes[NOTE_BYTES])
{
    char path[JOURNAL_PATH_MAX];
    int file;
    bool is_new = false;
    segment_path(folder, "checkpoint.settling", path);
    int result = env->disk_open(env->self, path, DISK_WRITE, &file);
    if (result == -ENOENT) {
        is_new = true;
        result = env->disk_open(env->self, path, DISK_CREATE, &file);
    }
    if (result < 0)
        return result;
    result = segment_write(env, file, bytes, NOTE_BYTES, 0);
    bool is_written = result == 0;
    if (is_written)
        result = env->disk_sync(env->self, file);
    if (is_written && result == 0 && is_new)
        result = env->disk_sync_dir(env->self, folder);
    env->disk_close(env->self, file);
    if (is_written && result < 0)
        not_lasting(path, result);
    return result;
}

int settling_begin(struct env *env, const char *folder, int64_t len)
{
    uint8_t bytes[NOTE_BYTES];
    struct note note;
    int64_t size;
    int file;
    int result = log_open(env, folder, DISK_READ, &file, &size);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    note.len = len;
    result = log_checksum(env, file, note.len, &note.checksum);
    int sync = result == 0 && note.len ? env->disk_sync(env->self, file) : 0;
    env->disk_close(env->self, file);
    if (sync < 0) {
        char path[JOURNAL_PATH_MAX];
        segment_path(folder, "checkpoint.db-wal", path);
        not_lasting(path, sync);
    }
    if (result < 0 || !note.len)
        return result;
    note_encode(&note, bytes);
    result = write_note(env, folder, bytes);
    return result < 0 ? result : 1;
}

/* -ENOENT: there is no file; -EBADMSG: it says nothing. */
static int read_note(struct env *env, const char *folder, struct note *ret)
{
    char path[JOURNAL_PATH_MAX];
    uint8_t bytes[NOTE_BYTES];
    int file;
    segment_path(folder, "checkpoint.settling", path);
    int result = env->disk_open(env->self, path, DISK_READ, &file);
    if (result < 0)
        return result;
    int64_t n = env->disk_pread(env->self, file, bytes, sizeof bytes, 0);
    env->disk_close(env->self, file);
    if (n < 0)
        return (int)n;
    return n == NOTE_BYTES && note_decode(bytes, ret) ? 0 : -EBADMSG;
}

/* Even if it says nothing: that may be in the system's cache alone. A file system that has no room
 * for new bytes in place of old ones still lets go of the file. */
void settling_end(struct env *env, const char *folder)
{
    static const uint8_t nothing[NOTE_BYTES];
    char path[JOURNAL_PATH_MAX];
    struct note note;
    if (read_note(env, folder, &note) == -ENOENT || write_note(env, folder, nothing) == 0)
        return;
    segment_path(folder, "checkpoint.settling", path);
    int result = env->disk_unlink(env->self, path);
    if (result == 0)
        result = env->disk_sync_dir(env->self, folder);
    if (result < 0)
        die("%s cannot be written (%s); the next start recovers everything that was acknowledged",
            path, strerror(-result));
}

int settling_find(struct env *env, const char *folder, enum settling *ret)
{
    struct note note;
    uint64_t checksum;
    int64_t size;
    int file;
    *ret = SETTLING_NONE;
    int result = read_note(env, folder, &note);
    if (result < 0)
        return result == -ENOENT || result == -EBADMSG ? 0 : result;
    result = log_open(env, folder, DISK_WRITE, &file, &size);
    if (result < 0)
        return result == -ENOENT ? -EBADMSG : result;
    if (size) { /* else it was cut off: that is done when all is in the file */
        result = log_checksum(env, file, note.len, &checksum);
        if (result == 0 && checksum != note.checksum)
            result = -EBADMSG;
        if (result == 0 && size > note.len)
            result = env->disk_truncate(env->self, file, note.len);
        if (result == 0)
            *ret = SETTLING_BEGUN;
    }
    env->disk_close(env->self, file);
    return result;
}
