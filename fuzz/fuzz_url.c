/* URLs and dates that come in answers: a line with the base, one with a reference (Location), one
 * with a date (Retry-After). */
#include "base/url.h"
#include "base/utc.h"
#include "fuzz.h"

#include <stdio.h>

static struct str take_line(struct str *rest)
{
    const char *end = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
    struct str line = {rest->at, end ? (size_t)(end - rest->at) : rest->len};
    *rest = end ? (struct str){end + 1, rest->len - line.len - 1}
                : (struct str){rest->at + rest->len, 0};
    return line;
}

static void check_good(struct str url)
{
    for (size_t i = 0; i < url.len; i++)
        fuzz_check(url.at[i] > ' ' && url.at[i] < 0x7F, "a good URL has the byte %d", url.at[i]);
    fuzz_check(url.len <= URL_BYTES_MAX, "a good URL has %zu bytes", url.len);
    fuzz_check(url_same_origin(url, url), "a URL is not of its own origin");
}

static void check_url(ks_arena *mem, struct str base, struct str reference)
{
    if (!url_is_good(base))
        return;
    check_good(base);
    const char *same = url_resolve(mem, base, base);
    fuzz_check(str_is(str_of(same), base), "%.*s became %s", (int)base.len, base.at, same);
    const char *result = url_resolve(mem, base, reference);
    if (url_is_good(reference))
        fuzz_check(str_is(str_of(result), reference), "a whole URL became another");
    if (reference.len && memchr(reference.at, 0, reference.len) == NULL &&
        (reference.at[0] == '?' || reference.at[0] == '#' ||
         (reference.at[0] == '/' && (reference.len < 2 || reference.at[1] != '/'))))
        fuzz_check(url_same_origin(base, str_of(result)), "%s left the origin of %.*s", result,
                   (int)base.len, base.at);
    if (url_is_good(str_of(result)))
        check_good(str_of(result));
}

/* Days since 1970 of a day of the Gregorian calendar, counted from 1 March on. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2) {
        year--;
        month += 12;
    }
    return 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day -
           719469;
}

static void check_date(const char *text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char name[4];
    int day, year, hour, minute, second;
    int64_t ms;
    if (!utc_of_http_date(text, &ms))
        return;
    int n = sscanf(text + 5, "%2d %3s %4d %2d:%2d:%2d GMT", &day, name, &year, &hour, &minute,
                   &second);
    const char *month = n == 6 ? strstr(months, name) : NULL;
    fuzz_check(month, "%s is taken for a date", text);
    int64_t days = days_of(year, (month - months) / 3 + 1, day);
    int64_t wanted = (days * 86400 + hour * 3600 + minute * 60 + second) * 1000;
    fuzz_check(ms == wanted, "%s is %lld, not %lld", text, (long long)ms, (long long)wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str rest = {(const char *)bytes, len};
    ks_arena mem;
    arena_init(&mem, 4096);
    struct str base = take_line(&rest);
    struct str reference = take_line(&rest);
    check_url(&mem, base, reference);
    struct str date = take_line(&rest);
    check_date(arena_strndup(&mem, date.at, date.len));
    arena_free(&mem);
    return 0;
}
