/* route.h - request targets into functions and parameters
 *
 * A route is segments under /api/: "Add/{id?}". Literal segments are compared without case; {name}
 * takes one segment that is not empty, {name?}, at the end, one that may be absent. Segments are
 * percent-decoded once, after splitting. A slash at the end is ignored. Of routes that overlap the
 * one whose function comes first in the alphabet wins, as in the host this follows.
 *
 * What cannot be decoded in one way is refused, never repaired: a bad escape, %2F or %00 in a
 * path, bytes that are not UTF-8 in a path.
 */
#ifndef FRONT_ROUTE_H
#define FRONT_ROUTE_H

#include "base/value.h"

enum { ROUTE_SEGMENTS_MAX = 8, ROUTE_QUERY_MAX = 64 };

struct route_segment {
    struct str text; /* literal, or the parameter's name */
    bool is_parameter;
    bool is_optional;
};

struct route {
    const ks_function *fn;
    struct route_segment segments[ROUTE_SEGMENTS_MAX];
    size_t count;
};

struct routes {
    struct route *at; /* in the order of their functions' names */
    size_t count;
};

/* 0, or -1 and a sentence that names the function. */
int routes_init(struct routes *routes, const ks_function *functions, char *ret_why,
                size_t why_size);
void routes_free(struct routes *routes);

/* A target taken apart; everything in mem. */
struct target {
    struct str path; /* decoded */
    struct str segments[ROUTE_SEGMENTS_MAX + 2];
    size_t segment_count; /* more than fit: one more than the array has */
    struct {
        struct str name, value;
    } query[ROUTE_QUERY_MAX];
    size_t query_count;
};

/* 0, or -1 and a sentence. */
int target_parse(struct target *ret, struct str target, ks_arena *mem, const char **ret_why);

/* Whether the path is the route's; its parameters' values stand in the same order as its parameter
 * segments. */
bool route_matches(const struct route *route, const struct target *target);
/* The value of a parameter; empty when it was left out or is none. */
struct str route_value(const struct route *route, const struct target *target, struct str name);
/* Whether a function takes a method: "GET,POST" has "GET". */
bool methods_have(const char *methods, struct str method);

#endif
