/* One job at a time: old segments that nobody needs become spares, or go; missing spares are
 * written full of zeros and synced. Whatever fails here leaves the journal as it was; it is tried
 * again a second later; when it was for want of room, segments_room() says meanwhile that it is
 * short. Without a spare, segments are made on the spot. */
#include "store/segment_tidy.h"

#include "base/die.h"
#include "store/background.h"

#include <stdlib.h>

#define RETRY_NS ((int64_t)1000000000)

struct tidying {
    struct background *job;
    struct segments *owner; /* only for done() */
    struct env *env;
    const char *folder;
    size_t segment_bytes;
    uint64_t *dropped; /* oldest first */
    size_t dropped_count;
    bool is_wanted[SPARES]; /* in: missing */
    bool is_made[SPARES];   /* out */
    int result;             /* 0 or what making a spare failed with */
};

static const char *spare_name(int i)
{
    static const char *const names[SPARES] = {"spare-0", "spare-1"};
    return names[i];
}

static int wanted(const struct tidying *t)
{
    for (int i = 0; i < SPARES; i++)
        if (t->is_wanted[i] && !t->is_made[i])
            return i;
    return -1;
}

static bool is_full_size(const struct tidying *t, const char *path)
{
    int file;
    int64_t size = 0;
    if (t->env->disk_open(t->env->self, path, DISK_READ, &file) < 0)
        return false;
    int result = t->env->disk_size(t->env->self, file, &size);
    t->env->disk_close(t->env->self, file);
    return result == 0 && size == (int64_t)t->segment_bytes;
}

static void drop(struct tidying *t, uint64_t number)
{
    char path[JOURNAL_PATH_MAX], spare[JOURNAL_PATH_MAX];
    int i = wanted(t);
    segment_number_path(t->folder, number, path);
    if (i >= 0 && is_full_size(t, path)) {
        segment_path(t->folder, spare_name(i), spare);
        t->is_made[i] = t->env->disk_rename(t->env->self, path, spare) == 0;
        if (t->is_made[i])
            return;
    }
    t->env->disk_unlink(t->env->self, path);
}

static int write_zeros(struct tidying *t, int file)
{
    int result = t->env->disk_truncate(t->env->self, file, 0);
    if (result == 0)
        result = segment_fill(t->env, file, t->segment_bytes);
    /* A failed sync is no end here: the file is given up, and the next try is another file. */
    return result == 0 ? t->env->disk_sync(t->env->self, file) : result;
}

static int make_spare(struct tidying *t, int i)
{
    char path[JOURNAL_PATH_MAX], spare[JOURNAL_PATH_MAX];
    int file;
    segment_path(t->folder, "prepare.tmp", path);
    segment_path(t->folder, spare_name(i), spare);
    int result = t->env->disk_open(t->env->self, path, DISK_WRITE_CREATE, &file);
    if (result < 0)
        return result;
    result = write_zeros(t, file);
    t->env->disk_close(t->env->self, file);
    if (result == 0)
        result = t->env->disk_rename(t->env->self, path, spare);
    if (result < 0)
        t->env->disk_unlink(t->env->self, path);
    else
        t->is_made[i] = true;
    return result;
}

/* The folder is synced before a recycled file gets another header: under its old name, which a
 * power loss may bring back, that would be a damaged one. */
static void tidy_work(void *task)
{
    struct tidying *t = task;
    int i;
    for (size_t n = 0; n < t->dropped_count; n++)
        drop(t, t->dropped[n]);
    while (t->result == 0 && (i = wanted(t)) >= 0)
        t->result = make_spare(t, i);
    int result = t->env->disk_sync_dir(t->env->self, t->folder);
    if (result < 0) {
        t->result = result;
        memset(t->is_made, 0, sizeof t->is_made);
    }
}

static void tidying_free(struct tidying *t)
{
    free(t->dropped);
    free(t);
}

static void tidy_done(void *task)
{
    struct tidying *t = task;
    struct segments *s = t->owner;
    bool is_missing = false;
    for (int i = 0; i < SPARES; i++) {
        s->has_spare[i] |= t->is_made[i];
        is_missing |= !s->has_spare[i];
    }
    s->is_failing = t->result < 0 && is_missing;
    s->spare_error = t->result;
    s->is_full = s->is_failing && segment_error(t->result) == KS_E_FULL;
    s->retry_ns = s->is_failing ? s->env->boot_ns(s->env->self) + RETRY_NS : 0;
    s->tidying = NULL;
    tidying_free(t);
}

void segments_forget(struct segments *s, uint64_t needed)
{
    size_t n = 0;
    while (n + 1 < s->count && s->live[n + 1].first_sequence <= needed) {
        if (s->dropped_count == s->dropped_cap) {
            s->dropped_cap = s->dropped_cap ? s->dropped_cap * 2 : 8;
            s->dropped = die_realloc(s->dropped, s->dropped_cap * sizeof s->dropped[0]);
        }
        s->dropped[s->dropped_count++] = s->live[n++].number;
    }
    s->count -= n;
    memmove(s->live, s->live + n, s->count * sizeof s->live[0]);
}

void segments_tick(struct segments *s)
{
    bool is_missing = false;
    for (int i = 0; i < SPARES; i++)
        is_missing |= !s->has_spare[i];
    if (s->tidying || (!is_missing && !s->dropped_count))
        return;
    if (s->is_failing && !s->dropped_count && s->env->boot_ns(s->env->self) < s->retry_ns)
        return;
    struct tidying *t = die_zalloc(sizeof *t);
    *t = (struct tidying){.owner = s,
                          .env = s->env,
                          .folder = s->folder,
                          .segment_bytes = s->segment_bytes,
                          .dropped = s->dropped,
                          .dropped_count = s->dropped_count};
    for (int i = 0; i < SPARES; i++)
        t->is_wanted[i] = !s->has_spare[i];
    s->dropped = NULL;
    s->dropped_count = 0;
    s->dropped_cap = 0;
    s->tidying = t;
    struct background_task task = {.work = tidy_work, .done = tidy_done, .task = t};
    background_submit(s->env, &task, &t->job);
}

void segments_stop_tidying(struct segments *s)
{
    struct tidying *t = s->tidying;
    if (!t)
        return;
    s->tidying = NULL;
    background_drop(t->job);
    tidying_free(t);
}
