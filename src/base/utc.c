#include "base/utc.h"

#include "keepsake.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

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
    return ks_string(mem, ks_format(mem, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900,
                                    t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, ms));
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
