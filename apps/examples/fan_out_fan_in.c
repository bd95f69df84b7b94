/* Fan-out and fan-in: many things at once, and one answer when all are done.
 *
 *     curl -X POST localhost:7071/api/Count -H 'Content-Type: application/json'
 *          -d '["to be or not to be", "that is the question"]'   -> 202, its id
 *     curl localhost:7071/api/Count/ID                           -> {"words":10,"texts":2}
 *
 * The activities run on threads, as many at a time as the host has; the orchestration takes no
 * thread while it waits. Ten thousand texts cost ten times a thousand.
 */
#include "examples.h"

#include <ctype.h>

static const ks_val *count(ks_orch *o)
{
    size_t n = ks_len(o->input);
    ks_task **counts = ks_alloc(o->mem, n * sizeof counts[0]);
    for (size_t i = 0; i < n; i++) /* out: nothing waits here */
        counts[i] = ks_call(o, "CountWords", ks_at(o->input, i));

    const ks_val *all = ks_await(ks_all_of(o, counts, n)); /* in, in the order they were asked */

    int64_t words = 0;
    for (size_t i = 0; i < n; i++)
        words += ks_int(ks_at(all, i));
    ks_val *sum = ks_object(o->mem);
    ks_put(o->mem, sum, "words", ks_integer(o->mem, words));
    return ks_put(o->mem, sum, "texts", ks_integer(o->mem, (int64_t)n));
}

static const ks_val *count_words(ks_activity *a)
{
    const char *text = ks_text(a->input);
    int64_t words = 0;
    bool is_in_word = false;
    if (ks_type_of(a->input) != KS_STRING)
        return ks_fail(a->mem, "NotText", "only texts have words");
    for (; *text; text++) {
        bool is_letter = !isspace((unsigned char)*text);
        words += is_letter && !is_in_word;
        is_in_word = is_letter;
    }
    return ks_integer(a->mem, words);
}

static int http_count(ks_http *h)
{
    const ks_val *body = ks_body(h);
    const ks_val *texts = ks_parse_json(h->mem, ks_text(body), ks_len(body));
    if (ks_type_of(texts) != KS_ARRAY)
        return ks_reply_problem(h, 400, "Send an array of texts.");
    const char *id = ks_new_id(h);
    ks_start(h->out, "Count", id, texts);
    ks_reply_header(h, "Location", ks_format(h->mem, "/api/Count/%s", id));
    return ks_reply_text(h, 202, "%s", id);
}

static int http_see(ks_http *h)
{
    const char *id = ks_route(h, "id");
    const ks_val *sum = ks_output(h, id); /* NULL while it runs, an error when it failed */
    if (ks_status(h, id) == KS_MISSING)
        return ks_reply_problem(h, 404, "Nobody counts under %s.", id);
    if (!sum)
        return ks_reply_text(h, 202, "counting");
    if (ks_is_error(sum))
        return ks_reply_problem(h, 409, "%s", ks_text(sum));
    return ks_reply_json(h, 200, sum);
}

const ks_function fan_out_fan_in[] = {
    KS_ORCHESTRATION("Count", count),
    KS_ACTIVITY("CountWords", count_words),
    KS_HTTP("NewCount", "POST", "Count", 0, http_count),
    KS_HTTP("SeeCount", "GET", "Count/{id}", 0, http_see),
    KS_END,
};
