/* Settings from the environment: a line for each of a duration, a URL and a text. A duration that
 * is accepted is what it says, and nothing else is one. */
#include "base/url.h"
#include "front/settings.h"
#include "fuzz.h"

#include <stdlib.h>

static const ks_function functions[] = {
    KS_SETTING("PAUSE", KS_AS_DURATION, "5m", "how long"),
    KS_SETTING("HOOK", KS_AS_URL, "", "whom to ask"),
    KS_SETTING("NAME", KS_AS_TEXT, "nobody", "who"),
    KS_END,
};

struct given {
    const char *values[3]; /* in the order of the table; NULL: not set */
};

static const char *get(void *ctx, const char *name)
{
    const struct given *given = ctx;
    for (int i = 0; i < 3; i++)
        if (strcmp(functions[i].name, name) == 0)
            return given->values[i];
    return NULL;
}

/* 0: it is none. */
static int64_t duration_of(const char *text)
{
    static const char *const units[] = {"ms", "s", "m", "h", "d"};
    static const int64_t ms[] = {1, 1000, 60000, 3600000, 86400000};
    const char *unit = text;
    while (*unit >= '0' && *unit <= '9')
        unit++;
    size_t zeros = strspn(text, "0");
    size_t digits = (size_t)(unit - text);
    if (digits == 0 || digits - (zeros < digits ? zeros : digits) > 16)
        return 0;
    int64_t n = strtoll(text, NULL, 10);
    for (int i = 0; i < 5; i++)
        if (strcmp(unit, units[i]) == 0 && n <= KS_DAYS(36500) / ms[i])
            return n * ms[i];
    return 0;
}

static void check_settings(struct given *given)
{
    ks_settings settings;
    char why[512] = "";
    const char *pause = given->values[0] ? given->values[0] : "5m";
    const char *hook = given->values[1] ? given->values[1] : "";
    bool is_good = duration_of(pause) > 0 && (!hook[0] || url_is_good(str_of(hook)));
    int result = settings_init(&settings, functions, get, given, why, sizeof why);
    fuzz_check((result == 0) == is_good, "\"%s\" and \"%s\" are %s: %s", pause, hook,
               result == 0 ? "accepted" : "refused", why);
    if (result < 0) {
        fuzz_check(why[0], "is refused without a reason");
        return;
    }
    fuzz_check(ks_setting_ms(&settings, "PAUSE") == duration_of(pause), "%s is %lld ms", pause,
               (long long)ks_setting_ms(&settings, "PAUSE"));
    fuzz_check(strcmp(ks_setting(&settings, "HOOK"), hook) == 0, "another URL");
    fuzz_check(!given->values[2] || strcmp(ks_setting(&settings, "NAME"), given->values[2]) == 0,
               "another text");
    fuzz_check(strcmp(ks_setting(&settings, "NONE"), "") == 0, "a setting that is none");
    settings_free(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct given given = {0};
    char *text = malloc(len + 1);
    fuzz_check(text, "no memory");
    if (len)
        memcpy(text, bytes, len);
    text[len] = 0;
    char *at = text;
    for (int i = 0; i < 3 && at; i++) {
        char *end = strchr(at, '\n');
        given.values[i] = *at == '-' ? NULL : at; /* a line with a minus: not set */
        at = end ? end + 1 : NULL;
        if (end)
            *end = 0;
    }
    check_settings(&given);
    free(text);
    return 0;
}
