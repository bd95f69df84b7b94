#include "store_world.h"

#include "base/die.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t draw(uint64_t *stream, uint64_t below)
{
    uint64_t z = *stream += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return below ? z % below : z;
}

uint64_t world_random(struct world *w, uint64_t below)
{
    return draw(&w->random, below);
}

uint64_t world_dice(struct world *w, uint64_t below)
{
    return draw(&w->dice, below);
}

/* ---- clock, randomness, jobs ---- */

static struct world *of(void *self)
{
    return self;
}

static int64_t wall_ms(void *self)
{
    return of(self)->now_ns / 1000000;
}

static int64_t boot_ns(void *self)
{
    return of(self)->now_ns;
}

static void random_bytes(void *self, void *ret_bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)ret_bytes)[i] = (uint8_t)world_dice(of(self), 256);
}

static void list_append(struct job **list, struct job *job)
{
    job->next = NULL;
    while (*list)
        list = &(*list)->next;
    *list = job;
}

struct thread {
    struct thread *next;
    pthread_t id;
    struct job *job;
};

static void *thread_main(void *arg)
{
    struct job *job = arg;
    job->work(job);
    return NULL;
}

static void submit(void *self, struct job *job, bool is_activity)
{
    struct world *w = self;
    (void)is_activity;
    if (w->jobs == JOBS_AT_ONCE) {
        job->work(job);
        job->done(job);
    } else if (w->jobs == JOBS_LATER) {
        list_append(&w->waiting, job);
    } else {
        struct thread *t = die_zalloc(sizeof *t);
        t->next = w->threads;
        t->job = job;
        w->threads = t;
        if (pthread_create(&t->id, NULL, thread_main, job) != 0)
            die("no thread");
    }
}

void world_pump(struct world *w)
{
    while (w->waiting) {
        struct job *job = w->waiting;
        w->waiting = job->next;
        job->work(job);
        job->done(job);
    }
    while (w->threads) {
        struct thread *t = w->threads;
        w->threads = t->next;
        pthread_join(t->id, NULL);
        t->job->done(t->job);
        free(t);
    }
}

/* ---- the disk: what may be lost ---- */

enum { SECTOR_BYTES = 512 };

/* What to do to take one thing back that was not synced; newest first. */
struct lost {
    struct lost *older;
    enum { LOST_SECTOR, LOST_CREATED, LOST_RENAMED, LOST_UNLINKED } what;
    ino_t inode; /* of a sector's file */
    int64_t offset;
    size_t old_len; /* 0: it lay behind the end */
    uint8_t old[SECTOR_BYTES];
    char path[200], to[200];
};

static struct lost *note(struct world *w, int what)
{
    struct lost *l = die_zalloc(sizeof *l);
    l->what = what;
    l->older = w->losable;
    w->losable = l;
    return l;
}

static ino_t inode_of(int file)
{
    struct stat st;
    return fstat(file, &st) == 0 ? st.st_ino : 0;
}

static void note_write(struct world *w, int file, size_t len, int64_t offset)
{
    int64_t end = offset + (int64_t)len;
    if (!w->is_volatile)
        return;
    for (int64_t at = offset / SECTOR_BYTES * SECTOR_BYTES; at < end; at += SECTOR_BYTES) {
        struct lost *l = note(w, LOST_SECTOR);
        l->inode = inode_of(file);
        l->offset = at;
        int64_t n = w->posix.disk_pread(NULL, file, l->old, SECTOR_BYTES, at);
        l->old_len = n > 0 ? (size_t)n : 0;
    }
}

/* Forgets what can no longer be lost. */
static void settle(struct world *w, ino_t inode, bool is_folder)
{
    for (struct lost **at = &w->losable; *at;) {
        struct lost *l = *at;
        bool is_it = l->what == LOST_SECTOR ? !is_folder && l->inode == inode : is_folder;
        if (!is_it) {
            at = &l->older;
            continue;
        }
        if (l->what == LOST_UNLINKED)
            unlink(l->to);
        *at = l->older;
        free(l);
    }
}

struct inode_search {
    const char *folder;
    ino_t inode;
    char path[256];
};

static void match_inode(void *ctx, const char *name)
{
    struct inode_search *s = ctx;
    char path[200];
    struct stat st;
    snprintf(path, sizeof path, "%s/journal/%.60s", s->folder, name);
    if (stat(path, &st) == 0 && st.st_ino == s->inode)
        snprintf(s->path, sizeof s->path, "%s", path);
}

static void take_back_sector(struct world *w, const struct lost *l)
{
    static const uint8_t zeros[SECTOR_BYTES];
    struct inode_search s = {.folder = w->folder, .inode = l->inode};
    char journal[160];
    snprintf(journal, sizeof journal, "%s/journal", w->folder);
    w->posix.disk_list(NULL, journal, match_inode, &s);
    int file = s.path[0] ? open(s.path, O_RDWR) : -1;
    if (file < 0)
        return;
    struct stat st;
    fstat(file, &st);
    bool is_at_end = l->old_len < SECTOR_BYTES && st.st_size <= l->offset + SECTOR_BYTES;
    if (pwrite(file, l->old_len ? l->old : zeros, l->old_len ? l->old_len : SECTOR_BYTES,
               l->offset) < 0)
        die("cannot take back a write");
    if (is_at_end && ftruncate(file, l->offset + (int64_t)l->old_len) < 0)
        die("cannot take back a write");
    close(file);
}

/* Sectors are lost one by one. Names are kept up to some operation, as journaling file systems do:
 * the rest are taken back, newest first. */
static void lose(struct world *w)
{
    bool is_all = world_dice(w, 4) == 0;
    uint64_t names_kept = world_dice(w, 3); /* 0: from the first on, all are lost */
    bool is_name_lost = true;
    while (w->losable) {
        struct lost *l = w->losable;
        w->losable = l->older;
        bool is_lost = is_all || world_dice(w, 2) == 0;
        if (l->what != LOST_SECTOR) {
            is_name_lost = is_name_lost && (names_kept == 0 || world_dice(w, 2) == 0);
            is_lost = is_name_lost;
        }
        if (!is_lost) {
            if (l->what == LOST_UNLINKED)
                unlink(l->to);
        } else if (l->what == LOST_SECTOR) {
            take_back_sector(w, l);
        } else if (l->what == LOST_CREATED) {
            unlink(l->path);
        } else {
            rename(l->to, l->path);
        }
        free(l);
    }
}

/* ---- the disk: calls ---- */

static void one_call(struct world *w)
{
    if (++w->calls != w->crash_at)
        return;
    lose(w);
    _exit(WORLD_CRASHED);
}

static int disk_open(void *self, const char *path, enum disk_open how, int *ret_file)
{
    struct world *w = self;
    one_call(w);
    bool was_there = access(path, F_OK) == 0;
    int result = w->posix.disk_open(NULL, path, how, ret_file);
    if (result == 0 && !was_there && w->is_volatile)
        snprintf(note(w, LOST_CREATED)->path, 200, "%s", path);
    return result;
}

static void disk_close(void *self, int file)
{
    of(self)->posix.disk_close(NULL, file);
}

static int64_t disk_pread(void *self, int file, void *buf, size_t len, int64_t offset)
{
    return of(self)->posix.disk_pread(NULL, file, buf, len, offset);
}

static bool is_hit(const struct world_fault *f, int64_t n, int64_t at)
{
    return at && (n == at || (f->is_lasting && n > at));
}

static int64_t disk_pwrite(void *self, int file, const void *buf, size_t len, int64_t offset)
{
    struct world *w = self;
    one_call(w);
    int64_t n = ++w->writes;
    const struct world_fault *f = &w->fault;
    if (f->are_interrupted && n % 2)
        return -EINTR;
    if (f->are_writes_short && len > 1)
        len = 1 + world_dice(w, len);
    if (is_hit(f, n, f->fail_write_at)) {
        if (f->is_after_some) {
            note_write(w, file, len / 2, offset);
            (void)!w->posix.disk_pwrite(NULL, file, buf, len / 2, offset);
        }
        return -f->error;
    }
    note_write(w, file, len, offset);
    return w->posix.disk_pwrite(NULL, file, buf, len, offset);
}

static int disk_sync(void *self, int file)
{
    struct world *w = self;
    one_call(w);
    if (is_hit(&w->fault, ++w->syncs, w->fault.fail_sync_at))
        return -w->fault.error;
    if (w->is_volatile)
        settle(w, inode_of(file), false);
    return 0; /* the real disk need not be bothered */
}

static int disk_size(void *self, int file, int64_t *ret_size)
{
    return of(self)->posix.disk_size(NULL, file, ret_size);
}

static int disk_truncate(void *self, int file, int64_t size)
{
    return of(self)->posix.disk_truncate(NULL, file, size);
}

static int disk_rename(void *self, const char *from, const char *to)
{
    struct world *w = self;
    one_call(w);
    int result = w->posix.disk_rename(NULL, from, to);
    if (result == 0 && w->is_volatile) {
        struct lost *l = note(w, LOST_RENAMED);
        snprintf(l->path, sizeof l->path, "%s", from);
        snprintf(l->to, sizeof l->to, "%s", to);
    }
    return result;
}

static int disk_unlink(void *self, const char *path)
{
    struct world *w = self;
    one_call(w);
    if (!w->is_volatile)
        return w->posix.disk_unlink(NULL, path);
    struct lost *l = note(w, LOST_UNLINKED);
    snprintf(l->path, sizeof l->path, "%s", path);
    snprintf(l->to, sizeof l->to, "%s/unlinked-%llx", w->folder,
             (unsigned long long)world_dice(w, 0));
    return w->posix.disk_rename(NULL, path, l->to);
}

static int disk_mkdir(void *self, const char *path)
{
    return of(self)->posix.disk_mkdir(NULL, path);
}

static int disk_sync_dir(void *self, const char *path)
{
    struct world *w = self;
    size_t len = strlen(path);
    one_call(w);
    if (is_hit(&w->fault, ++w->syncs, w->fault.fail_sync_at))
        return -w->fault.error;
    if (w->is_volatile && len > 8 && strcmp(path + len - 8, "/journal") == 0)
        settle(w, 0, true);
    return 0;
}

static int disk_list(void *self, const char *path, void (*each)(void *ctx, const char *name),
                     void *ctx)
{
    return of(self)->posix.disk_list(NULL, path, each, ctx);
}

static int disk_lock(void *self, const char *path, int *ret_file, int64_t *ret_pid)
{
    return of(self)->posix.disk_lock(NULL, path, ret_file, ret_pid);
}

/* ---- folders ---- */

struct folder_pair {
    const char *from, *to;
};

static void copy_one(void *ctx, const char *name)
{
    const struct folder_pair *pair = ctx;
    char from[512], to[512], bytes[65536];
    struct stat st;
    ssize_t n;
    snprintf(from, sizeof from, "%s/%s", pair->from, name);
    snprintf(to, sizeof to, "%s/%s", pair->to, name);
    if (stat(from, &st) == 0 && S_ISDIR(st.st_mode)) {
        world_copy_folder(from, to);
        return;
    }
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    while ((n = read(in, bytes, sizeof bytes)) > 0)
        if (write(out, bytes, (size_t)n) != n)
            die("cannot copy %s", from);
    close(in);
    close(out);
}

void world_copy_folder(const char *from, const char *to)
{
    struct env env = env_posix();
    struct folder_pair pair = {from, to};
    mkdir(to, 0700);
    env.disk_list(NULL, from, copy_one, &pair);
}

static void remove_one(void *ctx, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", (const char *)ctx, name);
    if (unlink(path) < 0)
        world_remove_folder(path);
}

void world_remove_folder(const char *folder)
{
    struct env env = env_posix();
    char path[512];
    snprintf(path, sizeof path, "%s", folder);
    env.disk_list(NULL, folder, remove_one, path);
    rmdir(folder);
}

/* ---- up and down ---- */

void world_init(struct world *w, uint64_t seed, bool is_memory)
{
    *w = (struct world){.posix = env_posix(), .random = seed, .dice = ~seed, .is_memory = is_memory};
    w->env = (struct env){.self = w,
                          .wall_ms = wall_ms,
                          .boot_ns = boot_ns,
                          .random = random_bytes,
                          .disk_open = disk_open,
                          .disk_close = disk_close,
                          .disk_pread = disk_pread,
                          .disk_pwrite = disk_pwrite,
                          .disk_sync = disk_sync,
                          .disk_size = disk_size,
                          .disk_truncate = disk_truncate,
                          .disk_rename = disk_rename,
                          .disk_unlink = disk_unlink,
                          .disk_mkdir = disk_mkdir,
                          .disk_sync_dir = disk_sync_dir,
                          .disk_list = disk_list,
                          .disk_lock = disk_lock,
                          .submit = submit};
    w->options = (struct journal_options){
        .segment_bytes = 64 << 10, .first_bytes = 16 << 10, .checkpoint_bytes = 128 << 10};
    w->row_count = 1;
    w->now_ns = 1000000000;
    arena_init(&w->mem, 4096);
    /* In memory where there is such a place, since SQLite's syncs are real ones. */
    snprintf(w->folder, sizeof w->folder, "/dev/shm/keepsake-test-XXXXXX");
    if (!mkdtemp(w->folder)) {
        snprintf(w->folder, sizeof w->folder, "/tmp/keepsake-test-XXXXXX");
        if (!mkdtemp(w->folder))
            die("cannot make %s", w->folder);
    }
}

static void drop_commit(struct world *w)
{
    for (size_t i = 0; i < w->gone_count; i++)
        instance_free(w->gone[i]);
    w->gone_count = 0;
    w->change_count = 0;
    w->log.len = 0;
}

void world_free(struct world *w)
{
    world_abandon(w);
    while (w->losable) {
        struct lost *l = w->losable;
        w->losable = l->older;
        free(l);
    }
    world_remove_folder(w->folder);
    store_memory_free(w->memory);
    for (size_t i = 1; i < w->row_count; i++) {
        free(w->rows[i].id);
        free(w->rows[i].text);
    }
    free(w->rows);
    free(w->changes);
    free(w->log_starts);
    free(w->gone);
    buf_free(&w->log);
    buf_free(&w->queue);
    arena_free(&w->mem);
}

int world_open(struct world *w)
{
    table_init(&w->table, 1);
    w->recovered = (struct recovered){0};
    int result = w->is_memory
                     ? store_memory_open(&w->env, &w->table, &w->memory, &w->recovered, &w->store)
                     : store_journal_open(&w->env, &w->table, w->folder, &w->options,
                                          &w->recovered, &w->store, w->why, sizeof w->why);
    if (result < 0) {
        w->store = NULL;
        table_free(&w->table);
    }
    return result;
}

static void let_go(struct world *w)
{
    drop_commit(w);
    table_free(&w->table);
    buf_free(&w->recovered.queue);
    w->store = NULL;
    world_pump(w); /* what was called off */
}

int world_close(struct world *w)
{
    int result = store_close(w->store);
    let_go(w);
    return result;
}

void world_abandon(struct world *w)
{
    if (!w->store)
        return;
    store_abandon(w->store);
    let_go(w);
}

void world_power_loss(struct world *w)
{
    world_abandon(w);
    lose(w);
}

void world_settle(struct world *w)
{
    do {
        w->now_ns += (int64_t)20 * 1000000000;
        store_tick(w->store);
        world_pump(w);
    } while (w->table.dirty.count);
    store_tick(w->store);
    world_pump(w);
}

/* ---- what an instance is like ---- */

const char *world_describe(const struct instance *inst, ks_arena *mem)
{
    struct buf text = {0};
    buf_printf(&text, "%s %s kind %d status %d created %lld updated %lld due %lld: ", inst->id,
               inst->name, inst->kind, inst->status, (long long)inst->created_ms,
               (long long)inst->updated_ms, (long long)inst->due_ms);
    if (inst->kind == INSTANCE_ENTITY) {
        val_write_json(&text, inst->entity.doc.root);
    } else {
        const struct orchestration *o = &inst->orchestration;
        buf_printf(&text, "last %lld output at %zu, %u activities, ", (long long)o->last_ms,
                   o->output_bytes, o->pending.activities);
        for (size_t i = 0; i < o->history.len; i++)
            buf_printf(&text, "%02x", (uint8_t)o->history.at[i]);
    }
    char *copy = arena_strndup(mem, text.at, text.len);
    buf_free(&text);
    return copy;
}

/* ---- building commits ---- */

static struct change *change_add(struct world *w, struct instance *inst, enum change_what what)
{
    if (w->change_count == w->change_cap) {
        w->change_cap = w->change_cap ? w->change_cap * 2 : 16;
        w->changes = die_realloc(w->changes, w->change_cap * sizeof w->changes[0]);
        w->log_starts = die_realloc(w->log_starts, w->change_cap * sizeof w->log_starts[0]);
        w->gone = die_realloc(w->gone, w->change_cap * sizeof w->gone[0]);
    }
    w->log_starts[w->change_count] = w->log.len;
    w->changes[w->change_count] = (struct change){.inst = inst, .what = what};
    return &w->changes[w->change_count++];
}

struct instance *world_create(struct world *w, enum instance_kind kind, const char *id,
                              const char *name)
{
    struct instance *inst = instance_new(w->row_count, kind, str_of(id), str_of(name),
                                         w->time_ms + 1);
    table_add(&w->table, inst);
    w->rows = die_realloc(w->rows, (w->row_count + 1) * sizeof w->rows[0]);
    w->rows[w->row_count++] = (struct model_row){.id = die_strndup(id, strlen(id))};
    change_add(w, inst, CHANGE_CREATED);
    return inst;
}

struct instance *world_find(struct world *w, const char *id)
{
    struct instance *inst = table_find(&w->table, str_of(id));
    if (!inst && store_load(w->store, str_of(id), &inst) < 0)
        die("cannot load %s: %s", id, store_why(w->store));
    return inst;
}

void world_change(struct world *w, struct instance *inst, struct str log)
{
    const struct change *last = w->change_count ? &w->changes[w->change_count - 1] : NULL;
    bool goes_with_last = last && last->inst == inst && last->what == CHANGE_CREATED &&
                          w->log_starts[w->change_count - 1] == w->log.len;
    struct change *change = goes_with_last ? &w->changes[w->change_count - 1]
                                           : change_add(w, inst, CHANGE_GOES_ON);
    if (instance_apply(inst, log.at, log.len, &w->mem) < 0)
        die("a test's log does not fit %s", inst->id);
    buf_append(&w->log, log.at, log.len);
    change->log.len = log.len;
}

void world_patch(struct world *w, struct instance *inst, enum doc_op op, const char *path,
                 const ks_val *val)
{
    struct buf log = {0};
    struct doc_patch patch = {.op = op, .path = str_of(path), .val = val, .n = ks_int(val)};
    doc_patch_encode(&log, &patch);
    world_change(w, inst, (struct str){log.at, log.len});
    buf_free(&log);
}

void world_delete(struct world *w, struct instance *inst)
{
    change_add(w, inst, CHANGE_DELETED);
    table_remove(&w->table, inst);
    w->gone[w->gone_count++] = inst;
}

static void model_take(struct world *w)
{
    for (size_t i = 0; i < w->change_count; i++) {
        struct instance *inst = w->changes[i].inst;
        struct model_row *row = &w->rows[inst->uid];
        bool is_gone = false;
        for (size_t k = 0; k < w->gone_count; k++)
            is_gone |= w->gone[k] == inst;
        free(row->text);
        const char *text = world_describe(inst, &w->mem);
        row->text = is_gone ? NULL : die_strndup(text, strlen(text));
    }
}

int world_commit(struct world *w, struct str queue)
{
    uint64_t sequence;
    for (size_t i = 0; i < w->change_count; i++)
        w->changes[i].log.at = w->log.at + w->log_starts[i];
    struct commit commit = {.time_ms = w->time_ms + 1,
                            .changes = w->changes,
                            .change_count = w->change_count,
                            .queue = queue};
    int result = store_commit(w->store, &commit, &sequence);
    if (result == 0) {
        w->sequence = sequence;
        w->time_ms++;
        w->queue.len = 0;
        buf_append(&w->queue, queue.at, queue.len);
        model_take(w);
    } else {
        snprintf(w->why, sizeof w->why, "%s", store_why(w->store));
    }
    drop_commit(w);
    arena_reset(&w->mem);
    return result;
}

/* ---- random commits ---- */

static void log_event(struct buf *log, struct event e, ks_arena *mem)
{
    if (!e.val)
        e.val = ks_null(mem);
    event_encode(log, &e);
}

static void grow_entity(struct world *w, struct instance *inst)
{
    char text[600];
    size_t len = world_random(w, 8) == 0 ? sizeof text - 1 : world_random(w, 40);
    memset(text, 'a' + (int)world_random(w, 26), len);
    text[len] = 0;
    switch (world_random(w, 5)) {
    case 0:
        world_patch(w, inst, DOC_SET, "name", ks_string(&w->mem, text));
        break;
    case 1:
        world_patch(w, inst, DOC_ADD, "count", ks_integer(&w->mem, (int64_t)world_random(w, 9)));
        break;
    case 2:
        world_patch(w, inst, DOC_REMOVE, "name", NULL);
        break;
    case 3: {
        struct buf log = {0};
        instance_log_expire(&log, (int64_t)world_random(w, 100000));
        world_change(w, inst, (struct str){log.at, log.len});
        buf_free(&log);
        break;
    }
    default:
        world_patch(w, inst, DOC_APPEND, "items", ks_string(&w->mem, text));
    }
}

static void begin_orchestration(struct world *w, struct instance *inst)
{
    struct buf log = {0};
    log_event(&log, (struct event){.type = EVENT_EXECUTION_STARTED, .time_ms = w->time_ms + 1},
              &w->mem);
    log_event(&log, (struct event){.type = EVENT_TIMER_CREATED, .id = 0,
                                   .time_ms = (int64_t)world_random(w, 100000)}, &w->mem);
    log_event(&log, (struct event){.type = EVENT_TASK_SCHEDULED, .id = 1, .name = STR("Greet")},
              &w->mem);
    world_change(w, inst, (struct str){log.at, log.len});
    buf_free(&log);
}

static void grow_orchestration(struct world *w, struct instance *inst)
{
    struct buf log = {0};
    const ks_val *val = ks_real(&w->mem, (double)world_random(w, 1000) / 8);
    if (inst->status != KS_RUNNING)
        return;
    if (instance_pending(inst, 1) && world_random(w, 3) == 0)
        log_event(&log, (struct event){.type = EVENT_TASK_COMPLETED, .id = 1,
                                       .time_ms = w->time_ms, .val = val}, &w->mem);
    else if (instance_pending(inst, 0) && world_random(w, 3) == 0)
        log_event(&log, (struct event){.type = EVENT_TIMER_FIRED, .id = 0,
                                       .time_ms = w->time_ms}, &w->mem);
    else
        log_event(&log, (struct event){.type = EVENT_EVENT_RAISED, .time_ms = w->time_ms,
                                       .name = STR("Go"), .val = val}, &w->mem);
    if (world_random(w, 10) == 0) {
        if (world_random(w, 2) == 0)
            val = val_error(&w->mem, "Oops", "it failed", NULL);
        log_event(&log, (struct event){.type = EVENT_EXECUTION_COMPLETED, .val = val}, &w->mem);
    }
    world_change(w, inst, (struct str){log.at, log.len});
    buf_free(&log);
}

/* One of the model's, or NULL. */
static struct instance *pick(struct world *w)
{
    size_t uid = 1 + (size_t)world_random(w, w->row_count - 1);
    if (w->row_count == 1 || !w->rows[uid].text)
        return NULL;
    for (size_t i = 0; i < w->gone_count; i++)
        if (w->gone[i]->uid == uid)
            return NULL;
    struct instance *inst = table_find_uid(&w->table, uid);
    if (!inst && store_load_uid(w->store, uid, &inst) < 0)
        die("cannot load instance %zu: %s", uid, store_why(w->store));
    if (!inst)
        die("instance %zu is missing", uid);
    return inst;
}

static void step_one(struct world *w)
{
    char id[40];
    struct instance *inst = world_random(w, 3) ? pick(w) : NULL;
    if (inst && world_random(w, 12) == 0) {
        world_delete(w, inst);
        return;
    }
    if (!inst) {
        bool is_entity = world_random(w, 2);
        snprintf(id, sizeof id, "%s%zu", is_entity ? "@list@" : "order-", w->row_count);
        inst = world_create(w, is_entity ? INSTANCE_ENTITY : INSTANCE_ORCHESTRATION, id,
                            is_entity ? "list" : "Order");
        if (!is_entity)
            begin_orchestration(w, inst);
        else
            grow_entity(w, inst);
        if (world_random(w, 30) == 0)
            world_delete(w, inst);
        return;
    }
    if (inst->kind == INSTANCE_ENTITY)
        grow_entity(w, inst);
    else
        grow_orchestration(w, inst);
}

int world_step(struct world *w, size_t changes)
{
    static const char queue[] = "messages left over for the next pass";
    for (size_t i = 0; i < changes; i++)
        step_one(w);
    size_t len = world_random(w, 3) == 0 ? world_random(w, sizeof queue) : 0;
    return world_commit(w, (struct str){queue, len});
}

void world_evict(struct world *w)
{
    struct instance *inst = w->table.clean.oldest;
    while (inst) {
        struct instance *next = inst->newer;
        if (store_may_evict(inst)) {
            table_remove(&w->table, inst);
            instance_free(inst);
        }
        inst = next;
    }
}

/* ---- comparing ---- */

static const char *row_differs(struct world *w, size_t uid)
{
    const struct model_row *row = &w->rows[uid];
    struct instance *inst = table_find(&w->table, str_of(row->id));
    if (!inst && store_load(w->store, str_of(row->id), &inst) < 0)
        return ks_format(&w->mem, "%s cannot be loaded: %s", row->id, store_why(w->store));
    if (inst && inst->uid != uid)
        return NULL; /* another has its id now */
    if (!inst || !row->text) {
        if (!inst && !row->text)
            return NULL;
        return ks_format(&w->mem, "%s should %sbe there", row->id, row->text ? "" : "not ");
    }
    const char *text = world_describe(inst, &w->mem);
    if (strcmp(text, row->text) != 0)
        return ks_format(&w->mem, "\n  is        %s\n  should be %s", text, row->text);
    return NULL;
}

const char *world_differs(struct world *w)
{
    arena_reset(&w->mem);
    for (size_t uid = 1; uid < w->row_count; uid++) {
        const char *what = row_differs(w, uid);
        if (what)
            return what;
    }
    return NULL;
}
