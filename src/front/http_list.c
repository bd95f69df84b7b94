/* ks_list() and ks_count(). A continuation is the number below which the next page begins. */
#include "front/http_step.h"

enum { LIST_DEFAULT = 100, DIGITS_MAX = 18 };

static struct partition *partition_of(ks_http *h)
{
    return ((struct http_step *)(void *)h)->config->partition;
}

/* 0: it is none. */
static uint64_t read_continuation(const char *text)
{
    uint64_t n = 0;
    size_t len = strspn(text, "0123456789");
    if (text[len] || len > DIGITS_MAX)
        return 0;
    for (; *text; text++)
        n = n * 10 + (uint64_t)(*text - '0');
    return n;
}

/* NULL, or an error. */
static const ks_val *ask(ks_http *h, struct query *query, const char *continuation,
                         struct query_page *ret)
{
    static const ks_filter any;
    if (!query->filter)
        query->filter = &any;
    query->mem = h->mem;
    query->below = is_given(continuation) ? read_continuation(continuation) : 0;
    if (is_given(continuation) && !query->below)
        return ks_fail(h->mem, "BadContinuation", "\"%s\" is no continuation", continuation);
    partition_query(partition_of(h), query, ret);
    return NULL;
}

static ks_val *with_continuation(ks_http *h, ks_val *val, const struct query_page *page)
{
    if (page->below)
        ks_put(h->mem, val, "continuation",
               ks_string(h->mem, ks_format(h->mem, "%llu", (unsigned long long)page->below)));
    return val;
}

static ks_val *string_of(ks_arena *mem, struct str s)
{
    return ks_string_n(mem, s.at, s.len);
}

static ks_val *summary_to_val(ks_arena *mem, const struct summary *s)
{
    ks_val *val = ks_object(mem);
    bool is_entity = s->kind == INSTANCE_ENTITY;
    ks_put(mem, val, "id", string_of(mem, s->id));
    ks_put(mem, val, "kind", ks_string(mem, is_entity ? "entity" : "orchestration"));
    ks_put(mem, val, "name", string_of(mem, s->name));
    ks_put(mem, val, "status", ks_string(mem, ks_status_name(s->status)));
    ks_put(mem, val, "created", ks_integer(mem, s->created_ms));
    ks_put(mem, val, "updated", ks_integer(mem, s->updated_ms));
    if (s->parent.len)
        ks_put(mem, val, "parent", string_of(mem, s->parent));
    if (s->tags)
        ks_put(mem, val, "tags", s->tags);
    return val;
}

const ks_val *ks_list(ks_http *h, const ks_filter *which, int limit, const char *continuation)
{
    struct query query = {.filter = which, .limit = limit > 0 ? (size_t)limit : LIST_DEFAULT};
    struct query_page page = {0};
    if (query.limit > KS_LIST_MAX)
        query.limit = KS_LIST_MAX;
    const ks_val *error = ask(h, &query, continuation, &page);
    if (error)
        return error;
    ks_val *instances = ks_array(h->mem);
    for (size_t i = 0; i < page.count; i++)
        ks_push(h->mem, instances, summary_to_val(h->mem, &page.at[i]));
    return with_continuation(h, ks_put(h->mem, ks_object(h->mem), "instances", instances), &page);
}

const ks_val *ks_count(ks_http *h, const ks_filter *which, const char *continuation)
{
    struct query query = {.filter = which, .is_count = true};
    struct query_page page = {0};
    const ks_val *error = ask(h, &query, continuation, &page);
    if (error)
        return error;
    const ks_val *count = ks_integer(h->mem, (int64_t)page.count);
    return with_continuation(h, ks_put(h->mem, ks_object(h->mem), "count", count), &page);
}
