/* Chaining: one step after the other, each with the result of the one before. When a step fails for
 * good, what was done is taken back.
 *
 *     curl -X POST localhost:7071/api/Order -H 'Content-Type: application/json'
 *          -d '{"item":"tea","amount":12}'          -> 202, its id
 *     curl localhost:7071/api/Order/ID               -> how it stands
 *
 * If the process dies between two steps, it goes on at the second; a step that was running is done
 * again, under the same key, so whoever is asked can tell.
 */
#include "examples.h"

#include <string.h>

static const ks_val *order(ks_orch *o)
{
    const ks_retry patient = {.attempts = 5,
                              .first_ms = KS_SECONDS(1),
                              .backoff = 2,
                              .final_errors = "CardRefused"};
    const ks_val *stock = ks_await(ks_call(o, "Reserve", o->input));
    const ks_val *payment = ks_try(ks_call_with(o, "Charge", o->input, &patient));
    if (ks_is_error(payment)) {
        ks_await(ks_call(o, "Release", stock));
        return payment; /* an error: the order has failed, with this reason */
    }
    ks_val *parcel = ks_object(o->mem);
    ks_put(o->mem, parcel, "stock", stock);
    ks_put(o->mem, parcel, "payment", payment);
    return ks_await(ks_call(o, "Ship", parcel));
}

/* The activities: here they would talk to a warehouse, a bank and a carrier. They may block. */

static const ks_val *reserve(ks_activity *a)
{
    const ks_val *item = ks_get(a->input, "item");
    return ks_string(a->mem, ks_format(a->mem, "shelf of %s", ks_text(item)));
}

static const ks_val *charge(ks_activity *a)
{
    int64_t amount = ks_int(ks_get(a->input, "amount"));
    if (amount > 1000)
        return ks_fail(a->mem, "CardRefused", "%lld is more than the card has", (long long)amount);
    return ks_string(a->mem, ks_format(a->mem, "payment %s", a->key)); /* never charged twice */
}

static const ks_val *release(ks_activity *a)
{
    ks_log(a->out, "released: %s", ks_text(a->input));
    return NULL;
}

static const ks_val *ship(ks_activity *a)
{
    return ks_string(a->mem,
                     ks_format(a->mem, "sent from the %s", ks_text(ks_get(a->input, "stock"))));
}

static int http_order(ks_http *h)
{
    const ks_val *body = ks_body(h);
    const ks_val *wanted = ks_parse_json(h->mem, ks_text(body), ks_len(body));
    if (ks_type_of(ks_get(wanted, "item")) != KS_STRING)
        return ks_reply_problem(h, 400, "Send {\"item\": text, \"amount\": number}.");
    const char *id = ks_new_id(h);
    ks_start(h->out, "Order", id, wanted);
    ks_reply_header(h, "Location", ks_format(h->mem, "/api/Order/%s", id));
    return ks_reply_text(h, 202, "%s", id);
}

static int http_see(ks_http *h)
{
    const char *id = ks_route(h, "id");
    switch (ks_status(h, id)) {
    case KS_MISSING:
        return ks_reply_problem(h, 404, "There is no order %s.", id);
    case KS_COMPLETED:
        return ks_reply_json(h, 200, ks_output(h, id));
    case KS_FAILED:
    case KS_TERMINATED:
    case KS_QUARANTINED:
        return ks_reply_problem(h, 409, "%s", ks_text(ks_output(h, id)));
    case KS_PENDING:
    case KS_RUNNING:
    case KS_SUSPENDED:
        break;
    }
    return ks_reply_text(h, 202, "in the making");
}

const ks_function chaining[] = {
    KS_ORCHESTRATION("Order", order),
    KS_ACTIVITY("Reserve", reserve),
    KS_ACTIVITY("Charge", charge),
    KS_ACTIVITY("Release", release),
    KS_ACTIVITY("Ship", ship),
    KS_HTTP("NewOrder", "POST", "Order", 0, http_order),
    KS_HTTP("SeeOrder", "GET", "Order/{id}", 0, http_see),
    KS_END,
};
