/* Aggregator: many small reports, from anywhere and in any order, and one place that has the sum.
 * The place is an entity: operations are done one at a time, so nothing is lost or counted twice.
 *
 *     curl -X POST 'localhost:7071/api/Sensor/kitchen?celsius=21'   -> the sensor's sum
 *     curl localhost:7071/api/Sensor/kitchen     -> {"count":1,"sum":21,"min":21,"max":21}
 *     curl localhost:7071/api/House              -> {"reports":1,"alarms":0}
 *
 * A sensor reports to the house as well; a signal from one entity to another is never lost either.
 */
#include "examples.h"

#include <stdlib.h>

#define SENSOR(name) ((ks_ref){"Sensor", (name)})
#define HOUSE ((ks_ref){"House", ""})

enum { TOO_HOT = 60 };

static const ks_val *sensor_report(ks_entity *e)
{
    int64_t celsius = ks_int(e->arg);
    bool is_first = !ks_get(e->state, "count");
    if (celsius < -273)
        return ks_fail(e->mem, "NoSuchCold", "%lld °C is colder than cold", (long long)celsius);
    ks_add(e, "count", 1);
    ks_add(e, "sum", celsius);
    if (is_first || celsius < ks_int(ks_get(e->state, "min")))
        ks_set(e, "min", e->arg);
    if (is_first || celsius > ks_int(ks_get(e->state, "max")))
        ks_set(e, "max", e->arg);
    ks_signal(e->out, HOUSE, "Report", e->arg);
    return e->state; /* as it is now; the caller gets it */
}

static const ks_val *house_report(ks_entity *e)
{
    ks_add(e, "reports", 1);
    ks_add(e, "alarms", ks_int(e->arg) >= TOO_HOT);
    return NULL;
}

/* Answers when the operation was done, with its result; an error of it is a problem, status 422. */
static int http_report(ks_http *h)
{
    const ks_val *celsius = ks_query(h, "celsius");
    if (ks_len(celsius) == 0)
        return ks_reply_problem(h, 400, "Say how warm it is: ?celsius=21");
    int64_t n = strtoll(ks_text(celsius), NULL, 10);
    return ks_reply_result(h, SENSOR(ks_route(h, "name")), "Report", ks_integer(h->mem, n));
}

static int http_sensor(ks_http *h)
{
    const ks_val *sensor = ks_state(h, SENSOR(ks_route(h, "name")));
    if (ks_type_of(sensor) != KS_OBJECT)
        return ks_reply_problem(h, 404, "%s has not reported yet.", ks_route(h, "name"));
    return ks_reply_json(h, 200, sensor);
}

static int http_house(ks_http *h)
{
    return ks_reply_json(h, 200, ks_state(h, HOUSE));
}

const ks_function aggregator[] = {
    KS_ENTITY("Sensor", "Report", sensor_report),
    KS_ENTITY("House", "Report", house_report),
    KS_HTTP("SensorReport", "POST", "Sensor/{name}", 0, http_report),
    KS_HTTP("SensorState", "GET", "Sensor/{name}", 0, http_sensor),
    KS_HTTP("HouseState", "GET", "House", 0, http_house),
    KS_END,
};
