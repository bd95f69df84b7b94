/* Async HTTP: a request whose work takes longer than anybody wants to hold a connection. It is
 * answered at once with where to look; who looks is told how far it is, and at the end the result.
 *
 *     curl -i -X POST 'localhost:7071/api/Report?pages=3'
 *         202, Location: /api/Report/ID, Retry-After: 1
 *     curl -i localhost:7071/api/Report/ID
 *         202, Retry-After: 1, {"page":2,"of":3}     while it is made
 *         200, the report                            when it is done
 *         500, a problem                             when it failed
 *
 * The same request with the same Idempotency-Key gets the same answer, and starts nothing.
 */
#include "examples.h"

#include <stdlib.h>

static const ks_val *report(ks_orch *o)
{
    int64_t pages = ks_int(o->input);
    ks_val *all = ks_array(o->mem);
    for (int64_t page = 1; page <= pages; page++) {
        ks_val *progress = ks_object(o->mem);
        ks_put(o->mem, progress, "page", ks_integer(o->mem, page));
        ks_put(o->mem, progress, "of", o->input);
        ks_set_status(o, progress);
        ks_push(o->mem, all, ks_await(ks_call(o, "WritePage", ks_integer(o->mem, page))));
    }
    return all;
}

static const ks_val *write_page(ks_activity *a)
{
    int64_t page = ks_int(a->input);
    if (page == 13)
        return ks_fail(a->mem, "Unlucky", "nobody writes page 13");
    return ks_string(a->mem, ks_format(a->mem, "page %lld", (long long)page));
}

static int http_start(ks_http *h)
{
    int64_t pages = strtoll(ks_text(ks_query(h, "pages")), NULL, 10);
    if (pages < 1 || pages > 1000)
        return ks_reply_problem(h, 400, "Say how many pages, 1 to 1000: ?pages=3");
    const char *id = ks_new_id(h);
    ks_start(h->out, "Report", id, ks_integer(h->mem, pages));
    ks_reply_header(h, "Location", ks_format(h->mem, "/api/Report/%s", id));
    ks_reply_header(h, "Retry-After", "1");
    return ks_reply_empty(h, 202);
}

static int http_status(ks_http *h)
{
    const char *id = ks_route(h, "id");
    switch (ks_status(h, id)) {
    case KS_MISSING:
        return ks_reply_problem(h, 404, "There is no report %s.", id);
    case KS_COMPLETED:
        return ks_reply_json(h, 200, ks_output(h, id));
    case KS_FAILED:
    case KS_TERMINATED:
    case KS_QUARANTINED:
        return ks_reply_problem(h, 500, "%s", ks_text(ks_output(h, id)));
    case KS_PENDING:
    case KS_RUNNING:
    case KS_SUSPENDED:
        break;
    }
    ks_reply_header(h, "Retry-After", "1");
    return ks_reply_json(h, 202, ks_custom_status(h, id));
}

const ks_function async_http[] = {
    KS_ORCHESTRATION("Report", report),
    KS_ACTIVITY("WritePage", write_page),
    KS_HTTP("StartReport", "POST", "Report", KS_IDEMPOTENT, http_start),
    KS_HTTP("ReportStatus", "GET", "Report/{id}", 0, http_status),
    KS_END,
};
