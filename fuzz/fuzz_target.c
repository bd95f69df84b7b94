/* Request targets: percent-encoding, query strings, routes. What is accepted is what a second,
 * plainer decoder makes of it; encoded again, with every byte as %XX, it is taken for the same. */
#include "front/route.h"
#include "fuzz.h"

static const ks_function functions[] = {
    {.kind = KS_FN_HTTP, .name = "Add", .http = {"GET,POST", "Add/{id?}", 0, NULL}},
    {.kind = KS_FN_HTTP, .name = "Box", .http = {"GET", "list/{key}/{name}", 0, NULL}},
    {.kind = KS_FN_HTTP, .name = "Deep", .http = {"PUT", "a/b/c/d/e/f/{g}/{h?}", 0, NULL}},
    KS_END,
};

/* Decodes in front of the eyes; false: an escape that is none. */
static bool decode_plainly(struct buf *out, struct str s, bool is_query)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] != '%') {
            buf_byte(out, s.at[i] == '+' && is_query ? ' ' : (uint8_t)s.at[i]);
            continue;
        }
        const char *high = i + 1 < s.len && s.at[i + 1] ? strchr(digits, s.at[i + 1]) : NULL;
        const char *low = i + 2 < s.len && s.at[i + 2] ? strchr(digits, s.at[i + 2]) : NULL;
        if (!high || !low)
            return false;
        buf_byte(out, (uint8_t)(((high - digits) & 15) * 16 + ((low - digits) & 15)));
        i += 2;
    }
    return true;
}

static struct str view(const struct buf *b)
{
    return (struct str){b->at ? b->at : "", b->len};
}

static void check_path(const struct target *t, struct str raw)
{
    struct buf plain = {0};
    fuzz_check(decode_plainly(&plain, raw, false), "a bad escape in the path was taken");
    fuzz_check(str_is(t->path, view(&plain)), "the path is decoded otherwise");
    fuzz_check(utf8_is_valid(t->path), "the path is not UTF-8");
    fuzz_check(!memchr(t->path.at, 0, t->path.len), "the path has a NUL");
    fuzz_check(t->path.at[t->path.len] == 0, "the path does not end with NUL");
    for (size_t i = 0; i < t->segment_count; i++) {
        fuzz_check(!memchr(t->segments[i].at, '/', t->segments[i].len), "a slash in a segment");
        fuzz_check(t->segments[i].at[t->segments[i].len] == 0, "a segment without NUL behind it");
    }
    buf_free(&plain);
}

static void encode(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        buf_printf(out, i % 2 ? "%%%02x" : "%%%02X", (uint8_t)s.at[i]);
}

static void check_again(const struct target *t, ks_arena *mem)
{
    struct target again;
    struct buf all = {0};
    const char *why = "";
    for (size_t i = 0; i < t->segment_count; i++) {
        buf_byte(&all, '/');
        encode(&all, t->segments[i]);
    }
    buf_str(&all, "/?");
    for (size_t i = 0; i < t->query_count; i++) {
        encode(&all, t->query[i].name);
        buf_byte(&all, '=');
        encode(&all, t->query[i].value);
        buf_byte(&all, '&');
    }
    fuzz_check(target_parse(&again, view(&all), mem, &why) == 0, "%.*s is refused: %s",
               (int)all.len, all.at, why);
    fuzz_check(again.segment_count == t->segment_count, "other segments");
    fuzz_check(again.query_count == t->query_count, "other parameters");
    for (size_t i = 0; i < t->segment_count; i++)
        fuzz_check(str_is(again.segments[i], t->segments[i]), "segment %zu is another", i);
    for (size_t i = 0; i < t->query_count; i++)
        fuzz_check(str_is(again.query[i].name, t->query[i].name) &&
                       str_is(again.query[i].value, t->query[i].value),
                   "parameter %zu is another", i);
    buf_free(&all);
}

static void check_query(const struct target *t, struct str raw)
{
    struct buf plain = {0}, ours = {0};
    fuzz_check(decode_plainly(&plain, raw, true), "a bad escape in the query was taken");
    for (size_t i = 0; i < t->query_count; i++) {
        buf_append(&ours, t->query[i].name.at, t->query[i].name.len);
        buf_append(&ours, t->query[i].value.at, t->query[i].value.len);
    }
    /* But for & and = it is all there. */
    fuzz_check(ours.len <= plain.len, "the query became longer");
    buf_free(&plain);
    buf_free(&ours);
}

static void check_routes(const struct target *t, struct str method)
{
    struct routes routes;
    char why[256];
    fuzz_check(routes_init(&routes, functions, why, sizeof why) == 0, "%s", why);
    size_t matches = 0;
    for (size_t i = 0; i < routes.count; i++) {
        const struct route *route = &routes.at[i];
        if (!route_matches(route, t))
            continue;
        matches++;
        struct str id = route_value(route, t, STR("ID"));
        fuzz_check(id.at[id.len] == 0, "a value without NUL behind it");
        (void)methods_have(route->fn->http.methods, method);
    }
    fuzz_check(matches <= 1, "one path is of %zu routes", matches);
    routes_free(&routes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct target target;
    const char *why = NULL;
    struct str raw = {(const char *)bytes, len};
    ks_arena mem;
    if (!len)
        return 0;
    arena_init(&mem, 4096);
    if (target_parse(&target, raw, &mem, &why) == 0) {
        const char *mark = memchr(bytes, '?', len);
        size_t path_len = mark ? (size_t)(mark - raw.at) : len;
        check_path(&target, (struct str){raw.at, path_len});
        if (mark)
            check_query(&target, (struct str){mark + 1, len - path_len - 1});
        if (raw.at[0] == '/' && target.segment_count <= ROUTE_SEGMENTS_MAX)
            check_again(&target, &mem);
        check_routes(&target, (struct str){raw.at, len < 4 ? len : 4});
    } else {
        fuzz_check(why && *why, "is refused without a reason");
    }
    arena_free(&mem);
    return 0;
}
