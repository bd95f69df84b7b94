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
    *w = (struct world){.posix = env_posix(),
                        .random = seed,
                        .dice = ~seed,
                        .is_memory = is_memory};
    w->env = world_disk_env();
    w->env.self = w;
    w->env.wall_ms = wall_ms;
    w->env.boot_ns = boot_ns;
    w->env.random = random_bytes;
    w->env.submit = submit;
    w->options = (struct journal_options){.segment_bytes = 64 << 10,
                                          .first_bytes = 16 << 10,
                                          .checkpoint_bytes = 128 << 10};
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
    world_disk_free(w);
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
                     : store_journal_open(&w->env, &w->table, w->folder, &w->options, &w->recovered,
                                          &w->store, w->why, sizeof w->why);
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

static const char *world_describe(const struct instance *inst, ks_arena *mem)
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
        entity_log_line(&log, LINE_EXPIRE, (int64_t)world_random(w, 100000), STR(""));
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
    log_event(&log,
              (struct event){.type = EVENT_TIMER_CREATED,
                             .id = 0,
                             .due_ms = (int64_t)world_random(w, 100000)},
              &w->mem);
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
        log_event(&log,
                  (struct event){.type = EVENT_TASK_COMPLETED,
                                 .id = 1,
                                 .time_ms = w->time_ms,
                                 .val = val},
                  &w->mem);
    else if (instance_pending(inst, 0) && world_random(w, 3) == 0)
        log_event(&log, (struct event){.type = EVENT_TIMER_FIRED, .id = 0, .time_ms = w->time_ms},
                  &w->mem);
    else
        log_event(&log,
                  (struct event){.type = EVENT_EVENT_RAISED,
                                 .time_ms = w->time_ms,
                                 .name = STR("Go"),
                                 .val = val},
                  &w->mem);
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
