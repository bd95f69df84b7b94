/* settings.h - the app's KS_SETTINGs: read once from the environment, checked, kept */
#ifndef FRONT_SETTINGS_H
#define FRONT_SETTINGS_H

#include "keepsake.h"

struct setting {
    const ks_function *fn;
    char *value;
    int64_t ms; /* KS_AS_DURATION */
};

struct ks_settings {
    struct setting *at;
    size_t count;
};

/* get gives a variable's value or NULL. 0, or -1 and a sentence that says which is wrong. */
int settings_init(ks_settings *s, const ks_function *functions,
                  const char *(*get)(void *ctx, const char *name), void *ctx, char *ret_why,
                  size_t why_size);
void settings_free(ks_settings *s);

/* "250ms", "2s", "5m", "1h", "7d": whole, greater than 0, at most 36500d. False when it is none. */
bool duration_parse(const char *text, int64_t *ret_ms);

#endif
