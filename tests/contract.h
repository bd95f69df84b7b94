/* contract.h - a registry under test and what is expected of it; for the cmocka programs
 *
 * A world is one server process with its folder and one connection to it. The asking functions
 * give the last answer, which lives until the next one; the expecting ones fail the test.
 */
#ifndef TESTS_CONTRACT_H
#define TESTS_CONTRACT_H

#include "client.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ID_SIZE = 33, ITEM_MAX = 8192, OUTPUT_MAX = 8192, PATH_SIZE = 3 * ITEM_MAX + 256 };

struct world {
    struct service service;
    struct client client;
    struct answer answer;
    const void *row; /* the test's initial state: its row of a table */
    char path[PATH_SIZE];
};

/* ---- starting ------------------------------------------------------------------------------ */

/* Starts the world's server, again on the same data if it ran before; a setting is "NAME=value",
 * NULL for none. */
void start(struct world *w, const char *setting);
/* Ends it; gives the exit code, or 128 + the signal. */
int stop(struct world *w, int signal_number);
/* Fixtures: with a server that runs, and with one that does not yet. The binary is what REGISTRY
 * names, or the registry beside the test program. */
int set_up(void **state);
int set_up_stopped(void **state);
int set_up_here(void **state); /* stopped, too; the test program is its own service */
int tear_down(void **state);

/* ---- asking -------------------------------------------------------------------------------- */

const struct answer *ask(struct world *w, struct ask what);
const struct answer *get(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* To /api/{route}; type, body and key may be NULL. */
const struct answer *post(struct world *w, const char *route, const char *type, const char *body,
                          const char *key);
/* "Add/" and the id; the last eight of these live. */
const char *to(const char *route, const char *id);
/* Sends the bytes on a connection of its own; what comes back is the last answer. */
const struct answer *ask_raw(struct world *w, const char *bytes, size_t len);
void open_registry(struct world *w, char id[static ID_SIZE]);
/* Asks until it is closed, for at most ten seconds. */
void await_closed(struct world *w, const char *id);

/* ---- expecting ----------------------------------------------------------------------------- */

void expect(const struct answer *a, int status, const char *body);
void expect_header(const struct answer *a, const char *name, const char *starts_with);
/* 400 and exactly that plain text; or some text that says something. */
void expect_bad(const struct answer *a, const char *text);
void expect_refused(const struct answer *a);
/* RFC 9457 */
void expect_problem(const struct answer *a, int status);
/* The body is the pattern, where '#' stands for the id and '@' for a time. */
void expect_like(const struct answer *a, const char *pattern, const char *id);
void expect_stats(struct world *w, int registries, int items, int open, int closed);
/* The registry holds that item and no other. */
void expect_only_item(struct world *w, const char *id, const char *item, size_t len);

#endif
