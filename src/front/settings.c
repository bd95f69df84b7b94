#include "front/settings.h"

#include "base/die.h"
#include "base/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool duration_parse(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const int64_t max_ms = KS_DAYS(36500);
    int64_t n = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (n > max_ms)
            return false;
        n = n * 10 + (*at - '0');
    }
    if (at == text || n == 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(at, units[i].unit) != 0)
            continue;
        if (n > max_ms / units[i].ms)
            return false;
        *ret_ms = n * units[i].ms;
        return true;
    }
    return false;
}

/* False, and a sentence, when the value is not of the setting's type. */
static bool parse(struct setting *setting, const char *value, char *ret_why, size_t why_size)
{
    const ks_function *fn = setting->fn;
    switch (fn->setting.type) {
    case KS_AS_TEXT:
        return true;
    case KS_AS_DURATION:
        if (duration_parse(value, &setting->ms))
            return true;
        snprintf(ret_why, why_size,
                 "%s is \"%s\", which is no length of time: write a whole number and ms, s, m, "
                 "h or d, such as %s",
                 fn->name, value, fn->setting.value);
        return false;
    case KS_AS_URL:
        if (!value[0] || url_is_good(str_of(value)))
            return true;
        /* Not the value: it may hold a password. */
        snprintf(ret_why, why_size,
                 "%s is no URL that can be asked: write http:// or https://, a host and a path, "
                 "without a user name or password, other characters than ASCII as %%XX",
                 fn->name);
        return false;
    }
    return false;
}

int settings_init(ks_settings *s, const ks_function *functions,
                  const char *(*get)(void *ctx, const char *name), void *ctx, char *ret_why,
                  size_t why_size)
{
    *s = (ks_settings){0};
    for (const ks_function *fn = functions; fn->kind != KS_FN_END; fn++) {
        if (fn->kind != KS_FN_SETTING)
            continue;
        const char *given = get(ctx, fn->name);
        const char *value = given ? given : fn->setting.value;
        struct setting setting = {.fn = fn};
        if (!parse(&setting, value, ret_why, why_size)) {
            settings_free(s);
            return -1;
        }
        setting.value = die_strndup(value, strlen(value));
        s->at = die_realloc(s->at, (s->count + 1) * sizeof s->at[0]);
        s->at[s->count++] = setting;
    }
    return 0;
}

void settings_free(ks_settings *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->at[i].value);
    free(s->at);
    *s = (ks_settings){0};
}

static const struct setting *find(const ks_settings *s, const char *name)
{
    for (size_t i = 0; s && i < s->count; i++)
        if (strcmp(s->at[i].fn->name, name) == 0)
            return &s->at[i];
    return NULL;
}

const char *ks_setting(const ks_settings *settings, const char *name)
{
    const struct setting *setting = find(settings, name);
    return setting ? setting->value : "";
}

int64_t ks_setting_ms(const ks_settings *settings, const char *name)
{
    const struct setting *setting = find(settings, name);
    return setting ? setting->ms : 0;
}
