/* The port over its two halves: commits go to the segments (segment.h, record.h); in the background
 * their effects go to the checkpoint (save.h, checkpoint.h) in rounds, a few hundred instances a
 * transaction, and what is there and settled lets the segments go; a start puts both together again
 * (recover.h).
 *
 *     commit --> record --> segment, synced                    on the partition's thread
 *        |
 *        +--> dirty --> save --> transaction --> settled       in the background
 *                                                   |
 *     forget segments <-----------------------------+
 *
 * What must stay true:
 *
 * - The journal has every commit from `needed` on, and `needed`, as the settled database file says
 *   it, is not later than the first commit with an effect that this file lacks.
 * - Rows are true up to commits that were synced, never ahead of the journal.
 * - A clean close is one more save, which says so. Nothing has to take that back later: it counts
 *   only as long as the journal ends with the commit it names.
 */
#include "store/journal.h"

#include "base/die.h"
#include "store/background.h"
#include "store/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAVE_BYTES = 2 << 20, RECORD_KEEP_BYTES = 8 << 20, WHY_MAX = 400 };
enum { QUIET_SHARE = 6 };   /* of checkpoint_ms: nothing changes, so saving is in nobody's way */
enum { SEGMENTS_MANY = 8 }; /* each start begins one, so a round of saves is due then */
#define RETRY_NS ((int64_t)1000000000)

static const struct journal_options defaults = {.segment_bytes = (size_t)16 << 20,
                                                .first_bytes = (size_t)1 << 20,
                                                .checkpoint_bytes = (size_t)48 << 20,
                                                .checkpoint_count = 200000,
                                                .checkpoint_ms = 30000,
                                                .save_count = 1000};

struct journal {
    struct store store; /* first, so that one is the other */
    struct journal_options options;
    char *folder;
    int lock_file; /* -1: none */
    struct segments segments;
    struct checkpoint checkpoint;
    struct buf record;
    int64_t time_ms;
    uint64_t next_uid;
    uint64_t queue_sequence; /* as in recover.h */
    struct uid_set deleted;  /* the checkpoint has their rows; they go with the next save */

    struct save save;          /* being written, or to be tried again */
    struct background *saving; /* NULL: not now */
    bool is_to_retry;
    int64_t retry_ns;
    bool is_save_failing; /* the last save failed, as the log was told */
    bool is_short;        /* the last spare could not be made, as it was told */
    bool is_in_round;
    uint64_t round_until; /* it ends when what was dirty by this commit is saved */
    size_t round_bytes;   /* of journal since the round began, or the last one did */
    size_t taken_bytes;   /* of journal that the round is about; 0: no round */
    size_t new_changes;   /* since the last tick */
    int64_t dirty_ns;     /* when the first tick saw something dirty after a round; 0: not yet */
    int64_t changed_ns;   /* the last tick that saw something new */
    bool is_clean;        /* nothing happened since a clean close */
};

static struct journal *of(struct store *s)
{
    return (struct journal *)s;
}

static int64_t now_ns(const struct journal *j)
{
    return j->store.env->boot_ns(j->store.env->self);
}

/* ---- commit ---- */

static void encode(struct journal *j, const struct commit *commit)
{
    if (j->record.cap > RECORD_KEEP_BYTES)
        buf_free(&j->record);
    record_begin(&j->record);
    payload_head_encode(&j->record, commit->time_ms, commit->change_count);
    for (size_t i = 0; i < commit->change_count; i++)
        payload_change_encode(&j->record, &commit->changes[i]);
    buf_string(&j->record, commit->queue);
}

/* One that is deleted is out of the table, and no change of it may put it into a list there. */
static void mark_deleted(struct journal *j, const struct commit *commit)
{
    for (size_t i = 0; i < commit->change_count; i++) {
        struct instance *inst = commit->changes[i].inst;
        if (commit->changes[i].what != CHANGE_DELETED)
            continue;
        inst->dirty_sequence = UINT64_MAX;
        if (inst->is_known_to_checkpoint)
            uid_set_add(&j->deleted, inst->uid);
    }
}

static void mark_dirty(struct journal *j, const struct commit *commit, uint64_t sequence)
{
    for (size_t i = 0; i < commit->change_count; i++) {
        struct instance *inst = commit->changes[i].inst;
        inst->last_sequence = sequence;
        inst->updated_ms = commit->time_ms;
        table_dirty(j->store.table, inst, sequence);
        if (inst->uid >= j->next_uid)
            j->next_uid = inst->uid + 1;
    }
}

static int journal_commit(struct store *s, const struct commit *commit, uint64_t *ret_sequence)
{
    struct journal *j = of(s);
    encode(j, commit);
    int result = segments_append(&j->segments, &j->record, s->why, sizeof s->why);
    if (result < 0)
        return result;
    uint64_t sequence = j->segments.last_sequence;
    mark_deleted(j, commit);
    mark_dirty(j, commit, sequence);
    /* What a start replays, and the padding, which it just reads. */
    j->round_bytes += j->record.len + BLOCK_BYTES / 8;
    j->new_changes += commit->change_count;
    j->time_ms = commit->time_ms;
    j->queue_sequence = commit->queue.len ? sequence : 0;
    j->is_clean = false;
    *ret_sequence = sequence;
    return 0;
}

/* ---- reading ---- */

static int load(struct journal *j, struct str id, uint64_t uid, struct instance **ret)
{
    struct store *s = &j->store;
    struct instance *inst = NULL;
    *ret = NULL;
    int result = checkpoint_load(&j->checkpoint, id, uid, &inst, s->why, sizeof s->why);
    if (result < 0 || !inst)
        return result;
    if (uid_set_has(&j->deleted, inst->uid) || uid_set_has(&j->save.deleted, inst->uid)) {
        instance_free(inst);
        return 0;
    }
    table_add(s->table, inst);
    *ret = inst;
    return 0;
}

static int journal_load(struct store *s, struct str id, struct instance **ret)
{
    return load(of(s), id, 0, ret);
}

static int journal_load_uid(struct store *s, uint64_t uid, struct instance **ret)
{
    return load(of(s), (struct str){0}, uid, ret);
}

static int journal_due(struct store *s, int64_t from_ms, int64_t until_ms,
                       bool (*each)(void *ctx, const struct due *due), void *ctx)
{
    struct journal *j = of(s);
    struct due_range range = {.from_ms = from_ms,
                              .until_ms = until_ms,
                              .except = {&j->deleted, &j->save.deleted}};
    return checkpoint_due(&j->checkpoint, &range, each, ctx, s->why, sizeof s->why);
}

static int journal_query(struct store *s, const struct query *query, struct query_page *ret)
{
    struct journal *j = of(s);
    struct newer newer = {.table = s->table,
                          .deleted = {&j->deleted, &j->save.deleted},
                          .save = &j->save,
                          .next_uid = j->next_uid};
    return checkpoint_query(&j->checkpoint, &newer, query, ret, s->why, sizeof s->why);
}

/* ---- saving ---- */

static void save_work(void *task)
{
    struct journal *j = task;
    checkpoint_write(&j->checkpoint, &j->save);
}

static void say_save(struct journal *j)
{
    bool is_failing = j->save.why[0];
    if (is_failing && !j->is_save_failing)
        snprintf(j->store.notice, sizeof j->store.notice,
                 "%s; nothing is lost, since the journal has it, and it is tried again",
                 j->save.why);
    else if (!is_failing && j->is_save_failing)
        snprintf(j->store.notice, sizeof j->store.notice, "the checkpoint is written again");
    j->is_save_failing = is_failing;
}

static void say_segments(struct journal *j)
{
    const struct segments *s = &j->segments;
    if (s->is_failing && !j->is_short)
        snprintf(j->store.notice, sizeof j->store.notice,
                 "the next file of the journal cannot be made ready in %s: %s; it is tried again",
                 s->folder, strerror(-s->spare_error));
    j->is_short = s->is_failing;
}

static void save_done(void *task)
{
    struct journal *j = task;
    j->saving = NULL;
    say_save(j);
    if (j->save.result < 0) {
        j->is_to_retry = true;
        j->retry_ns = now_ns(j) + RETRY_NS;
        return;
    }
    save_release(&j->save, j->store.table);
    uid_set_free(&j->save.deleted);
    if (checkpoint_open_reader(&j->checkpoint) != SQLITE_OK)
        die("the checkpoint %s was written but cannot be read", j->checkpoint.path);
    if (j->save.is_settled)
        segments_forget(&j->segments, j->save.meta.needed);
    if (j->save.is_to_settle) {
        j->is_in_round = false;
        j->taken_bytes = 0;
        j->dirty_ns = 0;
    }
}

static void submit_save(struct journal *j)
{
    struct background_task task = {.work = save_work,
                                   .done = save_done,
                                   .task = j,
                                   .can_wait = true};
    j->is_to_retry = false;
    background_submit(j->store.env, &task, &j->saving);
}

/* The oldest of the dirty, all of the deleted, and what is true once they are written. */
static void take_save(struct journal *j)
{
    const struct save_limits limits = {j->options.save_count, SAVE_BYTES, j->round_until};
    const struct instance *oldest;
    uint64_t last = j->segments.last_sequence;
    j->save.deleted = j->deleted;
    j->deleted = (struct uid_set){0};
    save_take(&j->save, j->store.table, &limits);
    oldest = j->store.table->dirty.oldest;
    uint64_t needed = oldest ? oldest->dirty_sequence : last + 1;
    if (j->queue_sequence && j->queue_sequence < needed)
        needed = j->queue_sequence;
    j->save.meta = (struct save_meta){.needed = needed,
                                      .last = last,
                                      .next_uid = j->next_uid,
                                      .time_ms = j->time_ms};
    j->save.is_to_settle = !oldest || oldest->dirty_sequence > j->round_until;
}

static bool has_unsaved(const struct journal *j)
{
    return j->store.table->dirty.count > 0 || j->deleted.count > 0;
}

static void begin_round(struct journal *j)
{
    j->is_in_round = true;
    j->round_until = j->segments.last_sequence;
    j->taken_bytes = j->round_bytes;
    j->round_bytes = 0;
}

/* A round costs by the instance, and a start by the byte. Adds to a few lists fill the journal with
 * little to save, so they wait for long; what is opened fills the checkpoint. */
static bool is_much(const struct journal *j)
{
    return j->round_bytes >= j->options.checkpoint_bytes ||
           j->store.table->dirty.count >= j->options.checkpoint_count;
}

static bool is_old(const struct journal *j, int64_t now_ns)
{
    int64_t all_ns = j->options.checkpoint_ms * 1000000;
    return now_ns - j->dirty_ns >= all_ns || now_ns - j->changed_ns >= all_ns / QUIET_SHARE;
}

static void save_next(struct journal *j)
{
    int64_t now = now_ns(j);
    if (j->new_changes)
        j->changed_ns = now;
    if (j->saving || (!j->is_to_retry && !j->is_in_round && !has_unsaved(j)))
        return;
    if (j->is_to_retry) {
        if (now >= j->retry_ns)
            submit_save(j);
        return;
    }
    if (!j->dirty_ns)
        j->dirty_ns = j->changed_ns = now;
    if (!j->is_in_round && (is_much(j) || is_old(j, now)))
        begin_round(j);
    if (j->is_in_round) {
        take_save(j);
        submit_save(j);
    }
}

/* What waits to be saved cannot leave memory, and a start has to replay the journal that has it. So
 * when saves lag, commits wait for them: each for about as many instances as it has changed. */
static bool is_behind(const struct journal *j)
{
    return j->saving && j->taken_bytes + j->round_bytes > j->options.checkpoint_bytes / 3 * 5;
}

static void journal_tick(struct store *s)
{
    struct journal *j = of(s);
    segments_tick(&j->segments);
    say_segments(j);
    save_next(j);
    size_t waits = j->new_changes / j->options.save_count + (j->new_changes > 0);
    for (j->new_changes = 0; waits > 0 && is_behind(j); waits--) {
        background_finish(j->saving);
        save_next(j);
    }
}

static enum store_room journal_room(struct store *s)
{
    return segments_room(&of(s)->segments);
}

/* ---- down ---- */

static void release(struct journal *j)
{
    if (j->saving)
        background_drop(j->saving);
    segments_free(&j->segments);
    checkpoint_close(&j->checkpoint);
    if (j->lock_file >= 0)
        j->store.env->disk_close(j->store.env->self, j->lock_file);
    save_free(&j->save);
    uid_set_free(&j->deleted);
    buf_free(&j->record);
    free(j->folder);
    free(j);
}

static void journal_abandon(struct store *s)
{
    release(of(s));
}

static int save_here(struct journal *j)
{
    save_work(j);
    save_done(j);
    if (j->save.result < 0)
        snprintf(j->store.why, sizeof j->store.why, "%.*s%s", WHY_MAX, j->save.why,
                 "; nothing is lost, the next start goes by the journal");
    return j->save.result;
}

static int save_all(struct journal *j)
{
    int result = 0;
    if (j->saving)
        background_finish(j->saving);
    if (j->is_to_retry)
        result = save_here(j);
    begin_round(j);
    while (result == 0 && has_unsaved(j)) {
        take_save(j);
        j->save.is_to_settle = false;
        result = save_here(j);
    }
    if (result < 0)
        return result;
    take_save(j);
    j->save.meta.clean = j->segments.last_sequence;
    j->save.is_to_settle = true;
    return save_here(j);
}

static int journal_close(struct store *s)
{
    struct journal *j = of(s);
    int result = 0;
    if (j->saving)
        background_finish(j->saving);
    if (!j->is_clean && !j->segments.is_broken)
        result = save_all(j);
    release(j);
    return result;
}

/* ---- up ---- */

static int folder_failed(const char *folder, int error, char *ret_why, size_t why_size)
{
    const char *remedy = "start with another --data folder";
    int result = segment_error(error);
    if (result == KS_E_ACCESS)
        remedy = "run as its owner, or start with another --data folder";
    else if (result == KS_E_FULL)
        remedy = "make room on the disk";
    else if (error == -ENOENT)
        remedy = "make the folder that it is to be in";
    snprintf(ret_why, why_size, "cannot write to the data folder %s: %s; %s", folder,
             strerror(-error), remedy);
    return result;
}

static int make_folders(struct journal *j, const char *segments_folder, char *ret_why,
                        size_t why_size)
{
    struct env *env = j->store.env;
    char path[JOURNAL_PATH_MAX];
    int64_t pid = 0;
    int result = env->disk_mkdir(env->self, j->folder);
    if (result < 0)
        return folder_failed(j->folder, result, ret_why, why_size);
    segment_path(j->folder, "lock", path);
    result = env->disk_lock(env->self, path, &j->lock_file, &pid);
    if (result == -EBUSY) {
        char holder[32] = "another process";
        if (pid > 0)
            snprintf(holder, sizeof holder, "process %" PRId64, pid);
        snprintf(ret_why, why_size,
                 "the data folder %s is in use by %s: stop that process, or "
                 "start with another --data folder",
                 j->folder, holder);
        return KS_E_BUSY;
    }
    if (result == 0)
        result = env->disk_mkdir(env->self, segments_folder);
    return result < 0 ? folder_failed(j->folder, result, ret_why, why_size) : 0;
}

/* Names last only when their folder is synced: the journal's in the data folder, and that in its
 * own, which may not let us. */
static int sync_folders(struct journal *j, char *ret_why, size_t why_size)
{
    struct env *env = j->store.env;
    struct buf parent = {0};
    const char *slash = strrchr(j->folder, '/');
    buf_append(&parent, j->folder, slash ? (size_t)(slash - j->folder) : 0);
    buf_str(&parent, !slash ? "." : slash == j->folder ? "/" : "");
    buf_byte(&parent, 0);
    (void)!env->disk_sync_dir(env->self, parent.at);
    buf_free(&parent);
    int result = env->disk_sync_dir(env->self, j->folder);
    return result < 0 ? folder_failed(j->folder, result, ret_why, why_size) : 0;
}

static void set_options(struct journal *j, const struct journal_options *options)
{
    struct journal_options *o = &j->options;
    *o = options ? *options : defaults;
    if (!o->segment_bytes)
        o->segment_bytes = defaults.segment_bytes;
    if (!o->first_bytes)
        o->first_bytes = defaults.first_bytes;
    if (!o->checkpoint_bytes)
        o->checkpoint_bytes = defaults.checkpoint_bytes;
    if (!o->checkpoint_count)
        o->checkpoint_count = defaults.checkpoint_count;
    if (!o->checkpoint_ms)
        o->checkpoint_ms = defaults.checkpoint_ms;
    if (!o->save_count)
        o->save_count = defaults.save_count;
    j->segments.segment_bytes = o->segment_bytes;
    j->segments.first_bytes = o->first_bytes;
}

static int put_together(struct journal *j, struct recovered *ret, char *ret_why, size_t why_size)
{
    struct recovery r = {.table = j->store.table,
                         .checkpoint = &j->checkpoint,
                         .segments = &j->segments,
                         .deleted = &j->deleted,
                         .ret = ret,
                         .why = ret_why,
                         .why_size = why_size};
    int result = recover(&r);
    if (result == 0 && j->segments.count == 0) /* a new folder, or one that a crash left new */
        result = sync_folders(j, ret_why, why_size);
    if (result == 0)
        result = segments_start(&j->segments, (struct str){r.tail.at, r.tail.len}, ret_why,
                                why_size);
    buf_free(&r.tail);
    j->queue_sequence = r.queue_sequence;
    if (result < 0)
        buf_free(&ret->queue);
    return result;
}

int store_journal_open(struct env *env, struct table *table, const char *folder,
                       const struct journal_options *options, struct recovered *ret,
                       struct store **ret_store, char *ret_why, size_t why_size)
{
    char path[JOURNAL_PATH_MAX];
    struct recovered recovered = {0};
    struct journal *j = die_zalloc(sizeof *j);
    j->folder = die_strndup(folder, strlen(folder));
    j->lock_file = -1;
    segment_path(folder, "journal", path);
    segments_init(&j->segments, env, path);
    j->store = (struct store){.env = env, .table = table};
    set_options(j, options);
    int result = make_folders(j, path, ret_why, why_size);
    if (result == 0)
        result = checkpoint_open(&j->checkpoint, env, folder, ret_why, why_size);
    if (result == 0)
        result = put_together(j, &recovered, ret_why, why_size);
    if (result < 0) {
        release(j);
        return result;
    }
    uint64_t last = j->segments.last_sequence;
    recovered.sequence = last;
    recovered.was_clean = j->checkpoint.meta.clean == last;
    if (recovered.was_clean)
        recovered.commits = 0;
    j->is_clean = recovered.was_clean;
    recovered.is_all_there = !j->checkpoint.has_tables;
    j->time_ms = recovered.time_ms;
    j->next_uid = recovered.next_uid;
    if (j->checkpoint.is_settled)
        segments_forget(&j->segments, j->checkpoint.meta.needed);
    if (j->segments.count > SEGMENTS_MANY)
        j->round_bytes = j->options.checkpoint_bytes;
    static const struct store_ops ops = {.commit = journal_commit,
                                         .load = journal_load,
                                         .load_uid = journal_load_uid,
                                         .due = journal_due,
                                         .query = journal_query,
                                         .tick = journal_tick,
                                         .room = journal_room,
                                         .close = journal_close,
                                         .abandon = journal_abandon};
    j->store.ops = &ops;
    *ret = recovered;
    *ret_store = &j->store;
    return 0;
}
