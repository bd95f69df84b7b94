/* The list of functions in the form of `func start` 4.x: HTTP functions first, then the others,
 * each in the order of the alphabet. */
#include "base/die.h"
#include "main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int by_name(const void *a, const void *b)
{
    const ks_function *x = *(const ks_function *const *)a;
    const ks_function *y = *(const ks_function *const *)b;
    if ((x->kind == KS_FN_HTTP) != (y->kind == KS_FN_HTTP))
        return x->kind == KS_FN_HTTP ? -1 : 1;
    return strcasecmp(x->name, y->name);
}

static const char *trigger(const ks_function *fn)
{
    switch (fn->kind) {
    case KS_FN_ORCHESTRATION:
        return "orchestrationTrigger";
    case KS_FN_ENTITY:
        return "entityTrigger";
    case KS_FN_ACTIVITY:
    case KS_FN_ACTIVITY_INLINE:
        return "activityTrigger";
    case KS_FN_HTTP:
    case KS_FN_SETTING:
    case KS_FN_PAGES:
    case KS_FN_END:
        break;
    }
    return "";
}

static bool is_any(const char *address)
{
    return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "127.0.0.1") == 0 ||
           strcmp(address, "::") == 0 || strcmp(address, "::1") == 0;
}

static void print_one(const ks_function *fn, const char *address, uint16_t port)
{
    if (fn->kind != KS_FN_HTTP) {
        printf("\t%s: %s\n\n", fn->name, trigger(fn));
        return;
    }
    const char *name = is_any(address) ? "localhost" : address;
    bool has_colon = strchr(name, ':');
    printf("\t%s: [%s] http://%s%s%s:%u/api/%s\n\n", fn->name, fn->http.methods,
           has_colon ? "[" : "", name, has_colon ? "]" : "", port, fn->http.route);
}

void print_functions(const ks_function *functions, const char *address, uint16_t port)
{
    size_t count = 0;
    while (functions[count].kind != KS_FN_END)
        count++;
    const ks_function **sorted = die_malloc((count + 1) * sizeof sorted[0]);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &functions[i];
    qsort(sorted, count, sizeof sorted[0], by_name);
    printf("Keepsake %s\n\nFunctions:\n\n", KS_VERSION);
    for (size_t i = 0; i < count; i++) {
        bool is_again = i && strcasecmp(sorted[i]->name, sorted[i - 1]->name) == 0;
        bool is_listed = sorted[i]->kind != KS_FN_SETTING && sorted[i]->kind != KS_FN_PAGES &&
                         !is_again;
        if (is_listed)
            print_one(sorted[i], address, port);
    }
    free(sorted);
}
