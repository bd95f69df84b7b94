/* What the page is told while it is open: Peek and Stats, asked for text/event-stream.
 *
 *     event       id            data
 *     registry    0             {"id", "openedAt", "closesAt"}: begin anew
 *     items       12            {"from": 9, "items": [3 texts]}: items 9 to 11
 *     closed      12.user       {"closedAt", "closedBy", "processing" if there is such a thing}
 *     stats       3.12.1.2      what Stats answers
 *
 * An id says what was seen: how many items; then by whom it was closed and how processing stands.
 */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

/* A piece has no more items than this, or as many as have this many bytes. */
enum { PIECE_ITEMS = 500, PIECE_BYTES = 65536 };

/* How many items were seen; -1 for a listener that has to begin anew: it has seen nothing, or what
 * it has seen is not of this list. */
static int64_t seen_items(const ks_feed *f, size_t count)
{
    char *end;
    if (f->seen[0] < '0' || f->seen[0] > '9')
        return -1;
    long long n = strtoll(f->seen, &end, 10);
    return n <= (long long)count && (!*end || *end == '.') ? n : -1;
}

static void tell_registry(ks_feed *f)
{
    ks_val *data = ks_object(f->mem);
    ks_put(f->mem, data, "id", ks_string(f->mem, f->key));
    ks_put(f->mem, data, "openedAt", ks_utc(f->mem, ks_int(ks_get(f->state, "openedAt"))));
    ks_put(f->mem, data, "closesAt", ks_utc(f->mem, ks_int(ks_get(f->state, "closesAt"))));
    ks_emit(f, "0", "registry", data);
}

/* As many as fit into a piece; how many have been told then. */
static size_t tell_items(ks_feed *f, const ks_val *items, size_t from)
{
    ks_val *part = ks_array(f->mem), *data = ks_object(f->mem);
    size_t to = from, bytes = 0;
    for (; to < ks_len(items) && to < from + PIECE_ITEMS && bytes < PIECE_BYTES; to++) {
        ks_push(f->mem, part, ks_at(items, to));
        bytes += ks_len(ks_at(items, to));
    }
    if (to == from)
        return to;
    ks_put(f->mem, data, "from", ks_integer(f->mem, (int64_t)from));
    ks_put(f->mem, data, "items", part);
    ks_emit(f, ks_format(f->mem, "%zu", to), "items", data);
    return to;
}

void feed_list(ks_feed *f)
{
    const ks_val *items = ks_get(f->state, "items"), *closed_at = ks_get(f->state, "closedAt");
    const ks_val *by = ks_get(f->state, "closedBy"), *processing = ks_get(f->state, "processing");
    if (!f->state)
        return;
    int64_t seen = seen_items(f, ks_len(items));
    if (seen < 0)
        tell_registry(f);
    size_t told = tell_items(f, items, seen < 0 ? 0 : (size_t)seen);
    if (!closed_at || told < ks_len(items))
        return;
    const char *id = ks_format(f->mem, "%zu.%.15s%s%.15s", told, ks_text(by), processing ? "." : "",
                               ks_text(processing));
    if (strcmp(id, f->seen) == 0)
        return;
    ks_val *data = ks_object(f->mem);
    ks_put(f->mem, data, "closedAt", ks_utc(f->mem, ks_int(closed_at)));
    ks_put(f->mem, data, "closedBy", by);
    if (processing)
        ks_put(f->mem, data, "processing", processing);
    ks_emit(f, id, "closed", data);
}

ks_val *stats_answer(ks_arena *mem, const ks_val *stats)
{
    static const char *const counts[] = {"registryCount", "itemsCount", "openCount", "closedCount"};
    ks_val *answer = ks_object(mem);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        ks_put(mem, answer, counts[i], ks_integer(mem, ks_int(ks_get(stats, counts[i]))));
    return answer;
}

void feed_stats(ks_feed *f)
{
    const ks_val *answer = stats_answer(f->mem, f->state);
    const char *id = "";
    for (size_t i = 0; i < ks_len(answer); i++)
        id = ks_format(f->mem, "%s%s%lld", id, i ? "." : "",
                       (long long)ks_int(ks_val_at(answer, i)));
    if (strcmp(id, f->seen) != 0)
        ks_emit(f, id, "stats", answer);
}
