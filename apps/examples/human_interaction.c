/* Human interaction: somebody has to say yes. When nobody does in time, somebody else is asked;
 * when they do not either, the answer is no.
 *
 *     curl -X POST 'localhost:7071/api/Request?what=a+new+chair'   -> 202, its id
 *     curl -X POST 'localhost:7071/api/Decide/ID?yes=true'         -> the decision
 *     curl localhost:7071/api/Request/ID                           -> who is asked, or the end
 *
 * It may wait for days, through restarts, and takes a few hundred bytes meanwhile.
 */
#include "examples.h"

#include <string.h>

static const ks_val *ask(ks_orch *o, const char *whom)
{
    ks_set_status(o, ks_string(o->mem, whom));
    ks_val *mail = ks_object(o->mem);
    ks_put(o->mem, mail, "to", ks_string(o->mem, whom));
    ks_put(o->mem, mail, "request", ks_string(o->mem, o->id));
    ks_put(o->mem, mail, "what", o->input);
    ks_await(ks_call_with(o, "SendMail", mail, &(ks_retry){.attempts = 10, .backoff = 2}));
    return ks_await_event(o, "Decision", o->now_ms + KS_DAYS(1), NULL); /* NULL: nobody said */
}

static const ks_val *request(ks_orch *o)
{
    const ks_val *decision = ask(o, "the team lead");
    if (!decision)
        decision = ask(o, "the manager"); /* escalated */
    if (!decision)
        return ks_string(o->mem, "refused: nobody said anything");
    return ks_string(o->mem, ks_is_true(decision) ? "granted" : "refused");
}

static const ks_val *send_mail(ks_activity *a)
{
    ks_log(a->out, "mail to %s: %s? Decide at /api/Decide/%s", ks_text(ks_get(a->input, "to")),
           ks_text(ks_get(a->input, "what")), ks_text(ks_get(a->input, "request")));
    return NULL;
}

static int http_request(ks_http *h)
{
    const ks_val *what = ks_query(h, "what");
    if (ks_len(what) == 0)
        return ks_reply_problem(h, 400, "Say what you would like: ?what=a+new+chair");
    const char *id = ks_new_id(h);
    ks_start(h->out, "Request", id, what);
    return ks_reply_text(h, 202, "%s", id);
}

/* Looking and raising are one step: no second decision can slip in between. */
static int http_decide(ks_http *h)
{
    const char *id = ks_route(h, "id");
    bool is_yes = strcmp(ks_text(ks_query(h, "yes")), "true") == 0;
    if (ks_status(h, id) == KS_MISSING)
        return ks_reply_problem(h, 404, "There is no request %s.", id);
    if (ks_status(h, id) != KS_RUNNING)
        return ks_reply_problem(h, 409, "It is decided: %s.", ks_text(ks_output(h, id)));
    ks_raise(h->out, id, "Decision", ks_boolean(h->mem, is_yes));
    return ks_reply_text(h, 200, is_yes ? "granted" : "refused");
}

static int http_see(ks_http *h)
{
    const char *id = ks_route(h, "id");
    if (ks_status(h, id) == KS_MISSING)
        return ks_reply_problem(h, 404, "There is no request %s.", id);
    const ks_val *end = ks_output(h, id);
    if (end)
        return ks_reply_text(h, 200, "%s", ks_text(end));
    return ks_reply_text(h, 202, "with %s", ks_text(ks_custom_status(h, id)));
}

const ks_function human_interaction[] = {
    KS_ORCHESTRATION("Request", request),
    KS_ACTIVITY("SendMail", send_mail),
    KS_HTTP("NewRequest", "POST", "Request", 0, http_request),
    KS_HTTP("Decide", "POST", "Decide/{id}", 0, http_decide),
    KS_HTTP("SeeRequest", "GET", "Request/{id}", 0, http_see),
    KS_END,
};
