#include "keepsake.h"

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
