#include "front/route.h"

#include "base/die.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* The next piece up to a separator; false after the last. */
static bool next_piece(struct str *rest, char separator, struct str *ret)
{
    if (!rest->at)
        return false;
    const char *end = memchr(rest->at, separator, rest->len);
    *ret = (struct str){rest->at, end ? (size_t)(end - rest->at) : rest->len};
    *rest = end ? (struct str){end + 1, rest->len - ret->len - 1} : (struct str){NULL, 0};
    return true;
}

/* ---- routes ---- */

static int by_name(const void *a, const void *b)
{
    const struct route *x = a, *y = b;
    return strcasecmp(x->fn->name, y->fn->name);
}

static const char *segment_init(struct route_segment *s, struct str text)
{
    *s = (struct route_segment){.text = text};
    if (text.len == 0)
        return "has an empty segment";
    if (text.at[0] != '{')
        return memchr(text.at, '{', text.len) || memchr(text.at, '}', text.len)
                   ? "has a brace in the middle of a segment"
                   : NULL;
    if (text.len < 3 || text.at[text.len - 1] != '}')
        return "has a parameter that is not {name} or {name?}";
    s->is_parameter = true;
    s->text = (struct str){text.at + 1, text.len - 2};
    s->is_optional = s->text.at[s->text.len - 1] == '?';
    s->text.len -= s->is_optional;
    if (memchr(s->text.at, '{', s->text.len) || memchr(s->text.at, '}', s->text.len) ||
        memchr(s->text.at, '?', s->text.len))
        return "has a parameter that is not {name} or {name?}";
    return s->text.len ? NULL : "has a parameter without a name";
}

static bool methods_are_good(const char *methods)
{
    struct str method, rest = str_of(methods);
    while (next_piece(&rest, ',', &method)) {
        if (method.len == 0)
            return false;
        for (size_t i = 0; i < method.len; i++)
            if (method.at[i] < 'A' || method.at[i] > 'Z')
                return false;
    }
    return true;
}

static const char *route_init(struct route *route, const ks_function *fn)
{
    struct str rest = str_of(fn->http.route);
    *route = (struct route){.fn = fn};
    if (!methods_are_good(fn->http.methods))
        return "has methods that are not upper-case names with commas between them";
    for (;;) {
        const char *slash = memchr(rest.at, '/', rest.len);
        struct str text = {rest.at, slash ? (size_t)(slash - rest.at) : rest.len};
        if (route->count == ROUTE_SEGMENTS_MAX)
            return "has more than 8 segments";
        const char *why = segment_init(&route->segments[route->count++], text);
        if (why)
            return why;
        if (!slash)
            return NULL;
        if (route->segments[route->count - 1].is_optional)
            return "has an optional parameter that is not its last segment";
        rest = (struct str){slash + 1, rest.len - text.len - 1};
    }
}

int routes_init(struct routes *routes, const ks_function *functions, char *ret_why, size_t why_size)
{
    *routes = (struct routes){0};
    for (const ks_function *fn = functions; fn->kind != KS_FN_END; fn++) {
        if (fn->kind != KS_FN_HTTP)
            continue;
        routes->at = die_realloc(routes->at, (routes->count + 1) * sizeof routes->at[0]);
        const char *why = route_init(&routes->at[routes->count++], fn);
        if (why) {
            snprintf(ret_why, why_size, "the route \"%s\" of \"%s\" %s", fn->http.route, fn->name,
                     why);
            routes_free(routes);
            return -1;
        }
    }
    if (routes->count)
        qsort(routes->at, routes->count, sizeof routes->at[0], by_name);
    return 0;
}

void routes_free(struct routes *routes)
{
    free(routes->at);
    *routes = (struct routes){0};
}

/* ---- targets ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-decodes a piece of a copy, in its place, and ends it with NUL, over its separator or the
 * copy's own; in a query a plus is a blank. False when an escape is none. */
static bool decode(struct str *s, bool is_query)
{
    char *out = (char *)(uintptr_t)s->at, *end = out + s->len;
    for (char *plus = out; is_query && (plus = memchr(plus, '+', (size_t)(end - plus)));)
        *plus = ' ';
    char *to = memchr(out, '%', s->len);
    for (char *from = to; from && from < end; from++) {
        *to = *from;
        if (*from == '%') {
            int high = end - from > 2 ? hex_digit(from[1]) : -1;
            int low = end - from > 2 ? hex_digit(from[2]) : -1;
            if (high < 0 || low < 0)
                return false;
            *to = (char)(high * 16 + low);
            from += 2;
        }
        to++;
    }
    if (!to)
        to = end;
    *to = 0;
    s->len = (size_t)(to - out);
    return true;
}

static int parse_path(struct target *t, struct str path, ks_arena *mem, const char **ret_why)
{
    struct str piece, rest = path;
    t->path = (struct str){arena_strndup(mem, path.at, path.len), path.len};
    if (!decode(&t->path, false) || memchr(t->path.at, 0, t->path.len) || !utf8_is_valid(t->path)) {
        *ret_why = "The path has an escape that is none, %00, or bytes that are not UTF-8.";
        return -1;
    }
    next_piece(&rest, '/', &piece); /* what is before the first slash: nothing */
    while (next_piece(&rest, '/', &piece)) {
        if (piece.len == 0 && !rest.at)
            break; /* a slash at the end */
        if (t->segment_count > ROUTE_SEGMENTS_MAX + 1)
            break; /* longer than any route: it matches none */
        decode(&piece, false);
        if (memchr(piece.at, '/', piece.len)) {
            *ret_why = "The path has a slash that is escaped (%2F); none of ours has.";
            return -1;
        }
        t->segments[t->segment_count++] = piece;
    }
    return 0;
}

static int parse_query(struct target *t, struct str query, const char **ret_why)
{
    struct str piece, rest = query;
    while (next_piece(&rest, '&', &piece)) {
        if (piece.len == 0)
            continue;
        if (t->query_count == ROUTE_QUERY_MAX) {
            *ret_why = "The query has more than 64 parameters.";
            return -1;
        }
        struct str name, value = piece;
        next_piece(&value, '=', &name);
        bool has_value = value.at;
        if (!decode(&name, true) || (has_value && !decode(&value, true))) {
            *ret_why = "The query has an escape that is none: % has to be followed by two "
                       "hexadecimal digits.";
            return -1;
        }
        t->query[t->query_count].name = name;
        t->query[t->query_count++].value = has_value ? value : (struct str){"", 0};
    }
    return 0;
}

int target_parse(struct target *ret, struct str target, ks_arena *mem, const char **ret_why)
{
    struct str rest = {arena_strndup(mem, target.at, target.len), target.len}, path = rest;
    ret->segment_count = 0;
    ret->query_count = 0;
    next_piece(&rest, '?', &path);
    if (parse_path(ret, path, mem, ret_why) < 0)
        return -1;
    return rest.at ? parse_query(ret, rest, ret_why) : 0;
}

/* ---- matching ---- */

bool route_matches(const struct route *route, const struct target *target)
{
    size_t given = target->segment_count;
    if (given == 0 || !str_is_nocase(target->segments[0], STR("api")))
        return false;
    bool may_be_short = route->segments[route->count - 1].is_optional;
    if (given - 1 != route->count && !(may_be_short && given == route->count))
        return false;
    for (size_t i = 0; i + 1 < given; i++) {
        const struct route_segment *s = &route->segments[i];
        struct str segment = target->segments[i + 1];
        if (s->is_parameter ? segment.len == 0 : !str_is_nocase(segment, s->text))
            return false;
    }
    return true;
}

struct str route_value(const struct route *route, const struct target *target, struct str name)
{
    for (size_t i = 0; i < route->count && i + 1 < target->segment_count; i++)
        if (route->segments[i].is_parameter && str_is_nocase(route->segments[i].text, name))
            return target->segments[i + 1];
    return (struct str){"", 0};
}

bool methods_have(const char *methods, struct str method)
{
    struct str piece, rest = str_of(methods);
    while (next_piece(&rest, ',', &piece))
        if (str_is(piece, method))
            return true;
    return false;
}
