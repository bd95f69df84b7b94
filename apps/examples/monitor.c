/* Monitor: look at something again and again until it is as wanted, or until time is up. Here:
 * until a file is there.
 *
 *     curl -X POST 'localhost:7071/api/Watch/invoice?path=/tmp/invoice.pdf'   -> 202
 *     curl localhost:7071/api/Watch/invoice                                  -> how often it looked
 *
 * It looks after 10 s, 20 s, 40 s and so on, at least every ten minutes, for a day. Each look is
 * a new round (ks_continue_as_new), so its history never grows, however long it watches.
 */
#include "examples.h"

#include <unistd.h>

enum { FIRST_MS = 10 * 1000, LONGEST_MS = 10 * 60 * 1000 };

static const ks_val *watch(ks_orch *o)
{
    int64_t looks = ks_int(ks_get(o->input, "looks")) + 1;
    int64_t pause_ms = ks_int(ks_get(o->input, "pause"));
    int64_t until_ms = ks_int(ks_get(o->input, "until"));
    ks_set_status(o, ks_integer(o->mem, looks));

    const ks_val *is_there = ks_await(ks_call(o, "IsThere", ks_get(o->input, "path")));
    if (ks_is_true(is_there))
        return ks_string(o->mem, "it is there");
    if (o->now_ms + pause_ms > until_ms)
        return ks_fail(o->mem, "GaveUp", "it was not there after %lld looks", (long long)looks);
    ks_await(ks_timer(o, o->now_ms + pause_ms));

    ks_val *next = ks_object(o->mem);
    ks_put(o->mem, next, "path", ks_get(o->input, "path"));
    ks_put(o->mem, next, "until", ks_get(o->input, "until"));
    ks_put(o->mem, next, "looks", ks_integer(o->mem, looks));
    int64_t longer_ms = pause_ms * 2 < LONGEST_MS ? pause_ms * 2 : LONGEST_MS;
    ks_put(o->mem, next, "pause", ks_integer(o->mem, longer_ms));
    ks_continue_as_new(o, next);
}

/* An orchestration must not look at the world itself: it would see something else in a replay. */
static const ks_val *is_there(ks_activity *a)
{
    return ks_boolean(a->mem, access(ks_text(a->input), F_OK) == 0);
}

/* The name is the id, and one id runs once: nobody watches for the same thing twice. */
static int http_watch(ks_http *h)
{
    const ks_val *path = ks_query(h, "path");
    if (ks_len(path) == 0)
        return ks_reply_problem(h, 400, "Say which file: ?path=/tmp/invoice.pdf");
    ks_val *input = ks_object(h->mem);
    ks_put(h->mem, input, "path", path);
    ks_put(h->mem, input, "pause", ks_integer(h->mem, FIRST_MS));
    ks_put(h->mem, input, "until", ks_integer(h->mem, h->now_ms + KS_DAYS(1)));
    ks_start(h->out, "Watch", ks_route(h, "name"), input);
    return ks_reply_empty(h, 202);
}

static int http_see(ks_http *h)
{
    const char *name = ks_route(h, "name");
    if (ks_status(h, name) == KS_MISSING)
        return ks_reply_problem(h, 404, "Nobody watches for %s.", name);
    const ks_val *end = ks_output(h, name);
    if (end)
        return ks_reply_text(h, 200, "%s", ks_text(end)); /* of an error, its message */
    return ks_reply_text(h, 202, "looked %lld times", (long long)ks_int(ks_custom_status(h, name)));
}

const ks_function monitor[] = {
    KS_ORCHESTRATION("Watch", watch),
    KS_ACTIVITY("IsThere", is_there),
    KS_HTTP("StartWatch", "POST", "Watch/{name}", 0, http_watch),
    KS_HTTP("SeeWatch", "GET", "Watch/{name}", 0, http_see),
    KS_END,
};
