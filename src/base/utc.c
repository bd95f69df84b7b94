#include "base/utc.h"

#include "keepsake.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

static void put_digits(char *at, int n, int count)
{
    for (int i = count; i-- > 0; n /= 10)
        at[i] = (char)('0' + n % 10);
}

const ks_val *ks_utc(ks_arena *mem, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    int ms = (int)(time_ms % 1000);
    struct tm t;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    if (!gmtime_r(&seconds, &t))
        return ks_null(mem);
    if (t.tm_year < -1900 || t.tm_year > 9999 - 1900)
        return ks_string(mem,
                         ks_format(mem, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900,
                                   t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, ms));
    /* By hand: by printf it was a fifth of a Peek's instructions. */
    char text[] = "0000-00-00T00:00:00.000Z";
    const struct {
        int at, n, count;
    } fields[] =
        {{0, t.tm_year + 1900, 4}, {5, t.tm_mon + 1, 2}, {8, t.tm_mday, 2}, {11, t.tm_hour, 2},
         {14, t.tm_min, 2},        {17, t.tm_sec, 2},    {20, ms, 3}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        put_digits(text + fields[i].at, fields[i].n, fields[i].count);
    return ks_string_n(mem, text, sizeof text - 1);
}

/* Two digits, or -1. */
static int two(const char *at)
{
    if (!isdigit((unsigned char)at[0]) || !isdigit((unsigned char)at[1]))
        return -1;
    return (at[0] - '0') * 10 + (at[1] - '0');
}

bool utc_of_http_date(const char *text, int64_t *ret_ms)
{
    static const char pattern[] = "aaa, 00 aaa 0000 00:00:00 GMT";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (strlen(text) != sizeof pattern - 1)
        return false;
    for (size_t i = 0; pattern[i]; i++) {
        bool fits = pattern[i] == 'a'   ? isalpha((unsigned char)text[i])
                    : pattern[i] == '0' ? isdigit((unsigned char)text[i])
                                        : text[i] == pattern[i];
        if (!fits)
            return false;
    }
    const char *month = NULL;
    for (const char *at = months; *at && !month; at += 3)
        if (strncmp(at, text + 8, 3) == 0)
            month = at;
    struct tm t = {.tm_mday = two(text + 5),
                   .tm_mon = month ? (int)(month - months) / 3 : -1,
                   .tm_year = two(text + 12) * 100 + two(text + 14) - 1900,
                   .tm_hour = two(text + 17),
                   .tm_min = two(text + 20),
                   .tm_sec = two(text + 23)};
    if (!month || t.tm_mday < 1 || t.tm_mday > 31)
        return false;
    *ret_ms = (int64_t)timegm(&t) * 1000;
    return true;
}
