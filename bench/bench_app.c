/* bench_app.c - the gift registry, and beside it what the bench asks of the engine at once
 *
 *     bench_app start --port N --data DIR
 *
 * One request starts many instances or sends many signals, so that it is the engine that is
 * measured, not HTTP. An answer leaves when what the request did is on disk, as everywhere.
 *
 *     /api/bench/open?from=0&n=500&closesAt=MS   registries with the ids from, from + 1, ...
 *     /api/bench/sleep?from=0&n=500&due=MS       orchestrations that wait for that time
 *     /api/bench/chain?from=0&n=500&kind=inline  orchestrations of five activities; or "thread"
 *     /api/bench/add?id=ID&n=500                 items to one registry
 *     /api/bench/count?n=500                     operations that add 1 to a number of the entity
 *                                                Counter/ID, which has as many items as `fill` put
 *     /api/bench/fill?id=ID&n=500                items to that
 *     /api/bench/sequence?id=ID&n=100000&kind=inline   one orchestration, activity after activity
 *     /api/bench/fan?id=ID&n=10000               one orchestration, as many activities at once
 *     /api/bench/ended                           {"ended", "syncs", "syncNs"}, as of now
 *     /api/bench/dump                            has callgrind begin to count anew (instructions.c)
 *
 * "ended" counts orchestrations of this process that came to their end, whether or not that is
 * committed yet. An id is 32 hex digits of a number.
 */
#include "../apps/registry/registry.h"
#include "disk_probe.h"

#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

enum { FUNCTIONS_MAX = 128, LINKS = 5 };

static int64_t ended;

/* ---- orchestrations and entities ---- */

static const ks_val *end(const ks_orch *o)
{
    ended += !o->is_replaying;
    return NULL;
}

static const ks_val *sleeper(ks_orch *o)
{
    ks_await(ks_timer(o, ks_int(o->input)));
    return end(o);
}

static const ks_val *link_of(ks_activity *a)
{
    return ks_integer(a->mem, ks_int(a->input) + 1);
}

static const ks_val *chain_of(ks_orch *o, const char *activity, int64_t links)
{
    const ks_val *val = o->input;
    for (int64_t i = 0; i < links; i++)
        val = ks_await(ks_call(o, activity, val));
    return end(o);
}

static const ks_val *inline_chain(ks_orch *o)
{
    return chain_of(o, "InlineLink", LINKS);
}

static const ks_val *thread_chain(ks_orch *o)
{
    return chain_of(o, "ThreadLink", LINKS);
}

static const ks_val *inline_sequence(ks_orch *o)
{
    return chain_of(o, "InlineLink", ks_int(o->input));
}

static const ks_val *thread_sequence(ks_orch *o)
{
    return chain_of(o, "ThreadLink", ks_int(o->input));
}

static const ks_val *fan(ks_orch *o)
{
    size_t n = (size_t)ks_int(o->input);
    ks_task **tasks = ks_alloc(o->mem, n * sizeof tasks[0]);
    for (size_t i = 0; i < n; i++)
        tasks[i] = ks_call(o, "ThreadLink", o->input);
    ks_await(ks_all_of(o, tasks, n));
    return end(o);
}

static const ks_val *counter_fill(ks_entity *e)
{
    ks_append(e, "items", e->arg);
    return NULL;
}

static const ks_val *counter_count(ks_entity *e)
{
    ks_add(e, "count", 1);
    return NULL;
}

/* ---- HTTP functions ---- */

static int64_t number(ks_http *h, const char *name)
{
    return strtoll(ks_text(ks_query(h, name)), NULL, 10);
}

static const char *id_at(ks_http *h, int64_t i)
{
    return ks_format(h->mem, "%032llx", (unsigned long long)(number(h, "from") + i));
}

static int http_open(ks_http *h)
{
    ks_val *input = ks_object(h->mem);
    ks_put(h->mem, input, "closesAt", ks_integer(h->mem, number(h, "closesAt")));
    for (int64_t i = 0, n = number(h, "n"); i < n; i++)
        ks_start(h->out, "RegistryOrchestration", id_at(h, i), input);
    return ks_reply_empty(h, 200);
}

static int http_sleep(ks_http *h)
{
    for (int64_t i = 0, n = number(h, "n"); i < n; i++)
        ks_start(h->out, "Sleeper", id_at(h, i), ks_integer(h->mem, number(h, "due")));
    return ks_reply_empty(h, 200);
}

static bool is_inline(ks_http *h)
{
    return strcmp(ks_text(ks_query(h, "kind")), "inline") == 0;
}

static int http_chain(ks_http *h)
{
    const char *name = is_inline(h) ? "InlineChain" : "ThreadChain";
    for (int64_t i = 0, n = number(h, "n"); i < n; i++)
        ks_start(h->out, name, id_at(h, i), ks_integer(h->mem, 0));
    return ks_reply_empty(h, 200);
}

static int http_sequence(ks_http *h)
{
    ks_start(h->out, is_inline(h) ? "InlineSequence" : "ThreadSequence", ks_text(ks_query(h, "id")),
             ks_integer(h->mem, number(h, "n")));
    return ks_reply_empty(h, 200);
}

static int http_fan(ks_http *h)
{
    ks_start(h->out, "Fan", ks_text(ks_query(h, "id")), ks_integer(h->mem, number(h, "n")));
    return ks_reply_empty(h, 200);
}

static int signal_many(ks_http *h, ks_ref entity, const char *operation)
{
    const ks_val *item = ks_string(h->mem, "bench item 000000001");
    for (int64_t i = 0, n = number(h, "n"); i < n; i++)
        ks_signal(h->out, entity, operation, item);
    return ks_reply_empty(h, 200);
}

static int http_add(ks_http *h)
{
    return signal_many(h, LIST(ks_text(ks_query(h, "id"))), "AddItem");
}

static int http_count(ks_http *h)
{
    return signal_many(h, (ks_ref){"Counter", ks_text(ks_query(h, "id"))}, "Count");
}

static int http_fill(ks_http *h)
{
    return signal_many(h, (ks_ref){"Counter", ks_text(ks_query(h, "id"))}, "Fill");
}

static int http_ended(ks_http *h)
{
    struct disk_probe disk = disk_probe_get();
    ks_val *answer = ks_object(h->mem);
    ks_put(h->mem, answer, "ended", ks_integer(h->mem, ended));
    ks_put(h->mem, answer, "syncs", ks_integer(h->mem, disk.syncs));
    ks_put(h->mem, answer, "syncNs", ks_integer(h->mem, disk.busy_ns));
    return ks_reply_json(h, 200, answer);
}

static int http_dump(ks_http *h)
{
    CALLGRIND_DUMP_STATS; /* nothing, outside of valgrind */
    return ks_reply_empty(h, 200);
}

static const ks_function bench_functions[] = {
    KS_ORCHESTRATION("Sleeper", sleeper),
    KS_ORCHESTRATION("InlineChain", inline_chain),
    KS_ORCHESTRATION("ThreadChain", thread_chain),
    KS_ORCHESTRATION("InlineSequence", inline_sequence),
    KS_ORCHESTRATION("ThreadSequence", thread_sequence),
    KS_ORCHESTRATION("Fan", fan),
    KS_ACTIVITY_INLINE("InlineLink", link_of),
    KS_ACTIVITY("ThreadLink", link_of),
    KS_ENTITY("Counter", "Fill", counter_fill),
    KS_ENTITY("Counter", "Count", counter_count),
    KS_HTTP("BenchOpen", "GET", "bench/open", 0, http_open),
    KS_HTTP("BenchSleep", "GET", "bench/sleep", 0, http_sleep),
    KS_HTTP("BenchChain", "GET", "bench/chain", 0, http_chain),
    KS_HTTP("BenchSequence", "GET", "bench/sequence", 0, http_sequence),
    KS_HTTP("BenchFan", "GET", "bench/fan", 0, http_fan),
    KS_HTTP("BenchAdd", "GET", "bench/add", 0, http_add),
    KS_HTTP("BenchCount", "GET", "bench/count", 0, http_count),
    KS_HTTP("BenchFill", "GET", "bench/fill", 0, http_fill),
    KS_HTTP("BenchEnded", "GET", "bench/ended", 0, http_ended),
    KS_HTTP("BenchDump", "GET", "bench/dump", 0, http_dump),
};

int main(int argc, char **argv)
{
    static ks_function functions[FUNCTIONS_MAX];
    size_t n = 0;
    while (registry_functions[n].kind != KS_FN_END)
        n++;
    memcpy(functions, registry_functions, n * sizeof functions[0]);
    memcpy(functions + n, bench_functions, sizeof bench_functions);
    functions[n + sizeof bench_functions / sizeof bench_functions[0]] = (ks_function)KS_END;
    return ks_main(argc, argv, functions);
}
