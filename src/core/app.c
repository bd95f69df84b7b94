#include "core/app.h"

#include "base/die.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* Kinds that share a name space: an activity is called without saying which kind it is. */
static ks_kind space_of(ks_kind kind)
{
    return kind == KS_FN_ACTIVITY_INLINE ? KS_FN_ACTIVITY : kind;
}

/* The bit that is the case of a letter is set; what else is one by that is told apart later. */
static uint32_t hash_nocase(uint32_t hash, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ ((uint8_t)s.at[i] | 0x20u)) * 16777619u;
    return hash;
}

/* What tells functions of one name apart. */
static struct str variant_of(const ks_function *fn)
{
    if (fn->kind == KS_FN_ORCHESTRATION)
        return str_of(fn->orchestration.version);
    return fn->kind == KS_FN_ENTITY ? str_of(fn->entity.operation) : (struct str){"", 0};
}

static const ks_function **slot_of(const struct app *app, ks_kind space, struct str name,
                                   struct str variant)
{
    uint32_t hash = hash_nocase(hash_nocase(2166136261u ^ (uint32_t)space, name), variant);
    size_t i = hash & app->mask;
    while (app->slots[i] && !(space_of(app->slots[i]->kind) == space &&
                              str_is_nocase(str_of(app->slots[i]->name), name) &&
                              str_is_nocase(variant_of(app->slots[i]), variant)))
        i = (i + 1) & app->mask;
    return &app->slots[i];
}

static bool name_is_good(const char *name)
{
    size_t len = name ? strlen(name) : 0;
    if (len == 0 || len > 128 || !(isalpha((unsigned char)name[0]) || name[0] == '$'))
        return false;
    for (size_t i = 1; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
            return false;
    return true;
}

static bool is_whole(const ks_function *fn)
{
    switch (fn->kind) {
    case KS_FN_END:
        return false;
    case KS_FN_ORCHESTRATION:
        return fn->orchestration.run && fn->orchestration.version;
    case KS_FN_ACTIVITY:
    case KS_FN_ACTIVITY_INLINE:
        return fn->activity;
    case KS_FN_ENTITY:
        return fn->entity.run && fn->entity.operation && fn->entity.operation[0];
    case KS_FN_HTTP:
        return fn->http.run && fn->http.methods && fn->http.route;
    case KS_FN_SETTING:
        return fn->setting.value && fn->setting.help;
    case KS_FN_PAGES:
        return fn->pages;
    }
    return false;
}

static int add_all(struct app *app, const ks_function *functions, char *ret_why, size_t why_size)
{
    for (const ks_function *fn = functions; fn && fn->kind != KS_FN_END; fn++) {
        if (!name_is_good(fn->name)) {
            snprintf(ret_why, why_size,
                     "function %zu of the table has the name \"%s\": a name is a letter and up to "
                     "127 letters, digits, _ or -",
                     (size_t)(fn - functions) + 1, fn->name ? fn->name : "");
            return -1;
        }
        if (!is_whole(fn)) {
            snprintf(ret_why, why_size, "\"%s\" in the table of functions is not complete",
                     fn->name);
            return -1;
        }
        const ks_function **slot = slot_of(app, space_of(fn->kind), str_of(fn->name),
                                           variant_of(fn));
        if (*slot) {
            snprintf(ret_why, why_size, "\"%s\" stands twice in the table of functions", fn->name);
            return -1;
        }
        *slot = fn;
    }
    return 0;
}

static size_t count(const ks_function *functions)
{
    size_t n = 0;
    while (functions && functions[n].kind != KS_FN_END)
        n++;
    return n;
}

int app_init(struct app *app, const ks_function *functions, const ks_function *builtin,
             char *ret_why, size_t why_size)
{
    size_t slots = 8;
    while (slots < 3 * (count(functions) + count(builtin)))
        slots *= 2;
    *app = (struct app){.functions = functions,
                        .slots = die_zalloc(slots * sizeof app->slots[0]),
                        .mask = slots - 1};
    if (add_all(app, functions, ret_why, why_size) == 0 &&
        add_all(app, builtin, ret_why, why_size) == 0)
        return 0;
    app_free(app);
    return -1;
}

void app_free(struct app *app)
{
    free(app->slots);
    app->slots = NULL;
}

const ks_function *app_orchestration(const struct app *app, struct str name, struct str version)
{
    return *slot_of(app, KS_FN_ORCHESTRATION, name, version);
}

const ks_function *app_newest_orchestration(const struct app *app, struct str name)
{
    for (const ks_function *fn = app->functions; fn->kind != KS_FN_END; fn++)
        if (fn->kind == KS_FN_ORCHESTRATION && str_is_nocase(str_of(fn->name), name))
            return fn;
    return NULL;
}

const ks_function *app_activity(const struct app *app, struct str name)
{
    return *slot_of(app, KS_FN_ACTIVITY, name, (struct str){"", 0});
}

const ks_function *app_operation(const struct app *app, struct str entity, struct str operation)
{
    return *slot_of(app, KS_FN_ENTITY, entity, operation);
}
