/* query_bench.c - what lists and counts cost in a large folder
 *
 *     query_bench FOLDER [INSTANCES]
 *
 * Fills a folder with orchestrations that are over: one in a hundred failed, one in ten has a tag,
 * one in three a parent; a thousand of them have a name of their own. Then asks for this and that,
 * to the end: how many were found, in how many pages, CPU in all and of the longest page. At last
 * the same with a few, and with many, that the checkpoint does not have yet. FOLDER is made, and
 * has to be removed by hand.
 */
#include "base/die.h"
#include "store/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COMMIT = 1000 };

struct bench {
    struct env env;
    struct table table;
    struct store *store;
    const char *folder;
    ks_arena mem;
    int64_t time_ms;
    uint64_t next_uid;
    struct buf log;
    struct change changes[COMMIT];
    size_t starts[COMMIT];
};

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void submit(void *self, struct job *job, bool is_activity)
{
    (void)self;
    (void)is_activity;
    job->work(job);
    job->done(job);
}

static void open_store(struct bench *b)
{
    char why[512];
    struct recovered recovered;
    const struct journal_options options = {.checkpoint_bytes = (size_t)1 << 40,
                                            .checkpoint_ms = INT32_MAX};
    table_init(&b->table, 1);
    if (store_journal_open(&b->env, &b->table, b->folder, &options, &recovered, &b->store, why,
                           sizeof why) < 0)
        die("%s", why);
    b->next_uid = recovered.next_uid;
    b->time_ms = recovered.time_ms;
    buf_free(&recovered.queue);
}

static void close_store(struct bench *b)
{
    if (store_close(b->store) < 0)
        die("cannot close");
    table_free(&b->table);
}

static const ks_val *details_of(struct bench *b, uint64_t uid)
{
    ks_arena *mem = &b->mem;
    ks_val *details = ks_object(mem), *inner = ks_object(mem);
    if (uid % 3 == 0)
        ks_put(mem, details, "parent",
               ks_put(mem, inner, "id", ks_string(mem, ks_format(mem, "p%d", (int)(uid / 30)))));
    if (uid % 10 == 0)
        ks_put(mem, details, "tags",
               ks_put(mem, ks_object(mem), "customer",
                      ks_string(mem, ks_format(mem, "c%d", (int)(uid / 100)))));
    return details;
}

static void add(struct bench *b, size_t i, bool is_over)
{
    char id[40];
    uint64_t uid = b->next_uid++;
    int len = snprintf(id, sizeof id, "%016llx%016llx",
                       (unsigned long long)(uid * 0x9E3779B97F4A7C15u), (unsigned long long)uid);
    struct instance *inst = instance_new(uid, INSTANCE_ORCHESTRATION, (struct str){id, (size_t)len},
                                         uid <= COMMIT ? STR("Rare") : STR("ProcessOrder"),
                                         b->time_ms);
    const ks_val *input = ks_string(&b->mem, "an order of three things by ann, to be sent at once");
    size_t start = b->log.len;
    event_encode(&b->log, &(struct event){.type = EVENT_EXECUTION_STARTED,
                                          .time_ms = b->time_ms,
                                          .val = input,
                                          .details = details_of(b, uid)});
    if (is_over)
        event_encode(&b->log,
                     &(struct event){.type = EVENT_EXECUTION_COMPLETED,
                                     .val = uid % 100 ? input
                                                      : val_error(&b->mem, "Oops", "it", NULL)});
    table_add(&b->table, inst);
    if (instance_apply(inst, b->log.at + start, b->log.len - start, &b->mem) < 0)
        die("bug: a log that cannot be applied");
    b->starts[i] = start;
    b->changes[i] = (struct change){.inst = inst,
                                    .what = CHANGE_CREATED,
                                    .log = {NULL, b->log.len - start}};
}

static void commit(struct bench *b, size_t count, bool are_over)
{
    uint64_t sequence;
    b->log.len = 0;
    b->time_ms += 10;
    for (size_t i = 0; i < count; i++)
        add(b, i, are_over);
    for (size_t i = 0; i < count; i++)
        b->changes[i].log.at = b->log.at + b->starts[i];
    const struct commit commit = {.time_ms = b->time_ms,
                                  .changes = b->changes,
                                  .change_count = count};
    if (store_commit(b->store, &commit, &sequence) < 0)
        die("%s", store_why(b->store));
    arena_reset(&b->mem);
}

static void ask(struct bench *b, const char *what, const ks_filter *filter, bool is_count)
{
    struct query query = {.filter = filter, .limit = 100, .is_count = is_count, .mem = &b->mem};
    struct query_page page;
    size_t pages = 0, found = 0;
    double all = 0, longest = 0, first = 0;
    do {
        double start = cpu_ms();
        if (store_query(b->store, &query, &page) < 0)
            die("%s", store_why(b->store));
        double took = cpu_ms() - start;
        first = pages++ ? first : took;
        longest = took > longest ? took : longest;
        all += took;
        found += page.count;
        query.below = page.below;
        arena_reset(&b->mem);
    } while (page.below);
    printf("%-44s %8zu in %6zu pages, %8.2f ms; first %6.2f, longest %6.2f\n", what, found, pages,
           all, first, longest);
}

static void ask_all(struct bench *b, int64_t middle_ms)
{
    ask(b, "count all", &(ks_filter){0}, true);
    ask(b, "list all, 100 a page", &(ks_filter){0}, false);
    ask(b, "none by name", &(ks_filter){.name = "Nobody"}, false);
    ask(b, "none by time of change", &(ks_filter){.updated_from_ms = INT64_MAX}, false);
    ask(b, "the oldest thousand, by name", &(ks_filter){.name = "rare"}, false);
    ask(b, "failed", &(ks_filter){.statuses = 1u << KS_FAILED}, false);
    ask(b, "suspended or quarantined: none",
        &(ks_filter){.statuses = 1u << KS_SUSPENDED | 1u << KS_QUARANTINED}, false);
    ask(b, "running", &(ks_filter){.statuses = 1u << KS_RUNNING}, false);
    ask(b, "by a tag", &(ks_filter){.tag = "customer", .tag_value = "c77"}, false);
    ask(b, "by a prefix of the id", &(ks_filter){.id_prefix = "00ab"}, false);
    ask(b, "created in 100 ms of the middle",
        &(ks_filter){.created_from_ms = middle_ms, .created_until_ms = middle_ms + 100}, false);
}

int main(int argc, char **argv)
{
    static struct bench b;
    size_t count = argc > 2 ? (size_t)atoll(argv[2]) : 1000000;
    if (argc < 2)
        die("query_bench FOLDER [INSTANCES]");
    b.env = env_posix();
    b.env.submit = submit;
    b.folder = argv[1];
    arena_init(&b.mem, 65536);
    open_store(&b);
    for (size_t i = 0; i < count; i += COMMIT)
        commit(&b, COMMIT, true);
    double start = cpu_ms();
    close_store(&b);
    printf("saved in %.0f ms\n", cpu_ms() - start);
    open_store(&b);
    ask_all(&b, b.time_ms / 2);
    printf("with 5,000 that are not saved\n");
    for (int i = 0; i < 5; i++)
        commit(&b, COMMIT, false);
    ask_all(&b, b.time_ms / 2);
    printf("with half as many again that are not saved\n");
    for (size_t i = 0; i < count / 2; i += COMMIT)
        commit(&b, COMMIT, false);
    ask_all(&b, b.time_ms / 2);
    close_store(&b);
    arena_free(&b.mem);
    buf_free(&b.log);
    return 0;
}
