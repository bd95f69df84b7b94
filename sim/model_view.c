#include "sim/model_view.h"

#include "sim/heap.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bodies end with NUL; see clients.c. */
const char *view_after(const struct answer *a, const char *text)
{
    const char *at = strstr(a->body, text);
    return at ? at + strlen(text) : NULL;
}

int64_t view_number(const char *at)
{
    char *end;
    if (!at)
        return INT64_MIN;
    long long n = strtoll(at, &end, 10);
    return end == at ? INT64_MIN : n;
}

static int64_t days_before_year(int64_t year)
{
    year--;
    return year * 365 + year / 4 - year / 100 + year / 400;
}

int64_t view_time(const char *at)
{
    static const int days[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int year, month, day, hour, minute, second, ms, end = 0;
    if (!at ||
        sscanf(at, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour, &minute, &second,
               &ms, &end) != 7 ||
        end != 24 || month < 1 || month > 12)
        return INT64_MIN;
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int64_t n = days_before_year(year) - days_before_year(1970) + days[month - 1] + day - 1;
    n += is_leap && month > 2;
    return (((n * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms;
}

static bool skip(const char **at, const char *text)
{
    size_t len = strlen(text);
    if (strncmp(*at, text, len) != 0)
        return false;
    *at += len;
    return true;
}

static bool read_item(struct view *v, const char **at)
{
    char text[9000];
    if (!skip(at, "\"i") || !isdigit((unsigned char)**at))
        return false;
    uint32_t item = (uint32_t)strtoul(*at, NULL, 10);
    (*at)--;
    item_text(item, text);
    if (!skip(at, text) || !skip(at, "\""))
        return false;
    v->items = sim_realloc(v->items, (v->count + 1) * sizeof v->items[0]);
    v->items[v->count++] = item;
    return true;
}

static bool read_items(struct view *v, const char **at)
{
    while (**at != ']')
        if ((v->count && !skip(at, ",")) || !read_item(v, at))
            return false;
    return true;
}

bool view_items(struct view *v, const char *at)
{
    return at && read_items(v, &at);
}

void view_counts(const struct answer *a, int64_t ret[COUNTS])
{
    static const char *const names[COUNTS] = {"\"registryCount\":", "\"itemsCount\":",
                                              "\"openCount\":", "\"closedCount\":"};
    for (int i = 0; i < COUNTS; i++)
        ret[i] = view_number(view_after(a, names[i]));
}

static bool read_time(const char **at, int64_t *ret)
{
    *ret = view_time(*at);
    if (*ret == INT64_MIN)
        return false;
    *at += 24;
    return skip(at, "\"");
}

static bool read_all(struct view *v, const char *at)
{
    v->is_closed = strncmp(at, "{\"status\":\"Closed", 17) == 0;
    if (!skip(&at, v->is_closed ? "{\"status\":\"Closed\"" : "{\"status\":\"Open\"") ||
        !skip(&at, ",\"registry\":{\"id\":\""))
        return false;
    at += strspn(at, "0123456789abcdef");
    if (!skip(&at, "\",\"items\":["))
        return false;
    if (!read_items(v, &at) || !skip(&at, "]},\"closesAt\":\"") || !read_time(&at, &v->closes_ms))
        return false;
    if (v->is_closed) {
        if (!skip(&at, ",\"closedAt\":\"") || !read_time(&at, &v->closed_ms) ||
            !skip(&at, ",\"closedBy\":\""))
            return false;
        v->is_by_user = strncmp(at, "user", 4) == 0;
        if (!skip(&at, v->is_by_user ? "user\"" : "timeout\"") ||
            !skip(&at, ",\"processing\":\"none\"")) /* nobody is configured here */
            return false;
    }
    return strcmp(at, "}") == 0;
}

bool view_read(struct view *v, const struct answer *a)
{
    *v = (struct view){0};
    if (read_all(v, a->body))
        return true;
    sim_free(v->items);
    v->items = NULL;
    return false;
}
