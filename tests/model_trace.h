/* model_trace.h - an app driven through keepsake_test.h, and all that came of it as text
 *
 * A script is a list of steps, a line each:
 *
 *     do JSON       POST /api/Do of model_app.c: {"id": ..., "start": ..., "raise": ..., ...}
 *     try JSON      the same, and it may be refused
 *     call JSON     POST /api/Call: an operation whose result is the answer
 *     answer        what the last call or try was answered
 *     run           activities that wait for a thread run (till then they wait)
 *     advance MS    time goes on
 *     crash         the process dies and is started again
 *     change        the second program is the app's now, or the first again; sessions are dropped
 *     state ID      what the account of that key is
 *     history ID    all of an instance's history, again
 *
 * After each step, for every instance the script names with "id", what is new in its history, and
 * its status when that changed; then what was logged. History that was cut or begun anew is shown
 * whole. Times are relative to the first.
 *
 * A script runs in three ways that have to give the same text: resident, with every coroutine
 * dropped before each step, and with a crash before each step.
 */
#ifndef TESTS_MODEL_TRACE_H
#define TESTS_MODEL_TRACE_H

#include "keepsake_test.h"

struct model_program {
    const char *name;             /* of the test and of its file in tests/traces/ */
    ks_orchestration_fn *code;    /* the orchestration "Program" */
    ks_orchestration_fn *changed; /* what "change" puts in its place */
    const char *script;
};

enum way { WAY_RESIDENT, WAY_EVICTED, WAY_CRASHED };
/* In one of its ways; the text is the caller's, for free(). */
char *model_trace_run(const struct model_program *p, const ks_function *functions, enum way way);

/* Runs a script in all its ways; fails the test when the text is not what
 * tests/traces/model_NAME.txt has. With UPDATE in the environment writes it there. functions: the
 * app's beside those of model_app.c. */
void model_trace_expect(const struct model_program *p, const ks_function *functions);

/* A world to be driven by hand: the same app, activities held. */
ks_test *model_open(const struct model_program *p, const ks_function *functions);
/* From the next crash on, the app's function of that name has another. */
void model_rename(const char *name, const char *new_name);
/* Does as a line of a script says. */
void model_do(ks_test *t, const char *step);
/* What an HTTP function of model_app.c says: model_get(t, "See", "p"). */
const char *model_get(ks_test *t, const char *function, const char *id);

#endif
