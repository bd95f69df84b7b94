/* app.h - the app's table of functions, indexed
 *
 * Names of functions and entities are compared without case, as the model's users expect;
 * operations too. The table is checked once, at start: what is wrong with it is a sentence.
 */
#ifndef CORE_APP_H
#define CORE_APP_H

#include "base/buf.h"
#include "keepsake.h"

struct app {
    const ks_function *functions; /* the app's, ends with KS_FN_END */
    const ks_function **slots;    /* open addressing, by kind and name (and operation) */
    size_t mask;
    const ks_settings *settings; /* for its activities and HTTP functions; NULL: none */
};

/* 0, or -1 with a sentence: a name twice, a missing function, a name that is none. builtin is a
 * second table, with functions of our own; may be NULL. */
int app_init(struct app *app, const ks_function *functions, const ks_function *builtin,
             char *ret_why, size_t why_size);
void app_free(struct app *app);

/* NULL when there is none. */
const ks_function *app_orchestration(const struct app *app, struct str name, struct str version);
/* What a start without a version gets. */
const ks_function *app_newest_orchestration(const struct app *app, struct str name);
const ks_function *app_activity(const struct app *app, struct str name); /* of either kind */
const ks_function *app_operation(const struct app *app, struct str entity, struct str operation);

#endif
