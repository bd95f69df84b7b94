/* trace.h - one orchestration stepped by hand, and all that came of it as text
 *
 * A script is a list of messages for one instance, in a line, with ; between them:
 *
 *     start JSON          it starts with that input
 *     event NAME JSON     an event is raised
 *     result ID JSON      the activity with that id is done
 *     fail ID TYPE        it has failed with an error of that type
 *     timer ID            the clock goes to when that timer is due, and it fires
 *     reverse N           results for the activities N-1 ... 0, each its own id
 *     change              from here on the second program is the app's: the session is dropped
 *     remove NAME         from here on the app has no function of that name
 *
 * What each message leads to is written down: the events it put into the log, what was sent, what
 * is to run on a thread, log lines, and how the instance stands. Each message comes a second after
 * the one before it.
 *
 * A script runs in two ways that have to give the same text and the same bytes: resident, and
 * restarted, when before every message the instance is made anew of its saved history.
 */
#ifndef TESTS_TRACE_H
#define TESTS_TRACE_H

#include "core/session.h"

struct program {
    const char *name; /* of the test and of its file in tests/traces/ */
    ks_orchestration_fn *code;
    ks_orchestration_fn *changed; /* what "change" puts in its place */
    const char *orchestration;    /* what the instance says it is; NULL: "Program" */
    const char *script;
};

struct trace {
    struct buf text;
    struct buf log; /* all of it */
    bool was_changed;
};

/* Runs the script. functions are what the app has beside the program itself. */
void trace_run(struct trace *t, const struct program *p, const ks_function *functions,
               bool is_restarted);
void trace_free(struct trace *t);

/* Fails the test when text is not what tests/traces/NAME.txt has; with UPDATE in the environment
 * writes it there. */
void trace_expect(const char *name, const struct buf *text);

#endif
