/* fault_rules.h - what each call site has to do when its call fails: the table of
 * docs/RELIABILITY.md, "System calls", as the test reads it
 *
 * The first row that fits a fault decides. A site that no row fits is a failed test: somebody has
 * to decide. Rows for the background allow UNSEEN too, since a process that is ended says no more.
 */
#ifndef TESTS_FAULT_RULES_H
#define TESTS_FAULT_RULES_H

#include "fault_world.h"

#include <errno.h>

enum { ANY = -1 };
enum { AT_START = 1, AT_WORK = 2, AT_SAVE = 4, AT_STOP = 8 };
enum { RUNNING = AT_WORK | AT_SAVE, ANY_TIME = 15 };
enum { QUIET = UNSEEN | SAID };

struct fault_rule {
    unsigned when;
    int call, place, error;
    unsigned may; /* outcomes */
};

static const struct fault_rule fault_rules[] = {
    /* Gone on with, but for a sync by SQLite, which takes any error for one. */
    {ANY_TIME, CALL_SYNC, PLACE_DB, EINTR, NOT_STARTED | ENDED},
    {ANY_TIME, CALL_SYNC, PLACE_WAL, EINTR, NOT_STARTED | ENDED | UNSEEN}, /* or it is ours */
    {ANY_TIME, CALL_SYNC, PLACE_UNDO, EINTR, NOT_STARTED | ENDED},
    {ANY_TIME, ANY, ANY, EINTR, UNSEEN},
    {ANY_TIME, ANY, ANY, FAULT_SHORT, UNSEEN},

    /* SQLite would go on with a lock that it believes to be held. */
    {ANY_TIME, CALL_UNLOCK, PLACE_SHM, ANY, NOT_STARTED | ENDED},

    /* The journal as it is written. */
    {RUNNING, CALL_WRITE, PLACE_LOG, ANY, NOT_NOW},
    {ANY_TIME, CALL_SYNC, PLACE_LOG, ANY, ENDED},
    {RUNNING, CALL_OPEN, PLACE_SPARE, ANY, UNSEEN}, /* the other spare, or one on the spot */
    {RUNNING, CALL_SYNC, PLACE_SPARE, ANY, ENDED},
    {RUNNING, ANY, PLACE_SPARE, ANY, NOT_NOW},
    {RUNNING, CALL_SYNC, PLACE_NEW, ANY, ENDED},
    {RUNNING, ANY, PLACE_NEW, ANY, NOT_NOW},
    {ANY_TIME, CALL_WRITE, PLACE_MARK, ANY, UNSEEN},
    {ANY_TIME, CALL_READ, PLACE_MARK, ANY, NOT_STARTED},
    {ANY_TIME, CALL_SYNC, PLACE_MARK, ANY, NOT_STARTED},
    {ANY_TIME, CALL_OPEN, PLACE_MARK, ANY, UNSEEN | NOT_STARTED}, /* to write it; to read it */

    /* The next segments, in the background. */
    {ANY_TIME, CALL_WRITE, PLACE_PREPARE, ENOSPC, QUIET | NOT_NOW},
    {ANY_TIME, ANY, PLACE_PREPARE, ANY, QUIET},
    {ANY_TIME, CALL_RENAME, PLACE_LOG, ANY, QUIET},
    {ANY_TIME, CALL_UNLINK, PLACE_LOG, ANY, QUIET},
    {RUNNING | AT_STOP, CALL_OPEN, PLACE_LOG, ANY, QUIET},
    {RUNNING | AT_STOP, CALL_STAT, PLACE_LOG, ANY, QUIET},

    /* Folders: synced by the loop's thread, the background's, and SQLite. */
    {RUNNING, CALL_OPEN, PLACE_FOLDER, ANY, QUIET | ENDED},
    {RUNNING, CALL_SYNC, PLACE_FOLDER, ANY, QUIET | ENDED},
    {AT_STOP, ANY, PLACE_FOLDER, ANY, QUIET | ENDED},
    {AT_START, CALL_MKDIR, PLACE_FOLDER, ANY, NOT_STARTED},
    {AT_START, CALL_STAT, PLACE_FOLDER, ANY, NOT_STARTED},
    {AT_START, ANY, PLACE_FOLDER, ANY, NOT_STARTED | QUIET | ENDED},
    {AT_START, ANY, PLACE_PARENT, ANY, UNSEEN},

    /* Starting. */
    {AT_START, CALL_OPEN, PLACE_SPARE, ANY, UNSEEN},
    {AT_START, CALL_STAT, PLACE_SPARE, ANY, UNSEEN},
    {AT_START, ANY, PLACE_SPARE, ANY, NOT_STARTED},
    {AT_START, ANY, PLACE_NEW, ANY, NOT_STARTED},
    {AT_START, ANY, PLACE_LOG, ANY, NOT_STARTED | QUIET}, /* in the background: tidying */
    {AT_START, CALL_WRITE, PLACE_LOCK, ENOSPC, UNSEEN},
    {AT_START, ANY, PLACE_LOCK, ANY, NOT_STARTED},
    {AT_START, ANY, PLACE_BLACKBOX, ANY, UNSEEN},
    {AT_START, CALL_WRITE, PLACE_COPY, ENOSPC, UNSEEN}, /* the log is written over itself */
    {AT_START, ANY, PLACE_COPY, ANY, NOT_STARTED},
    {ANY_TIME, CALL_THREAD, PLACE_OTHER, ANY, NOT_STARTED | ENDED},

    /* The checkpoint: read, or settled, at the start; read by the loop; written in the background;
     * written at the end. */
    {AT_START, ANY, PLACE_DB, ANY, NOT_STARTED | QUIET},
    {AT_START, ANY, PLACE_WAL, ANY, NOT_STARTED | QUIET},
    {AT_START, ANY, PLACE_SHM, ANY, NOT_STARTED | QUIET},
    {AT_START, ANY, PLACE_UNDO, ANY, NOT_STARTED | QUIET},
    {RUNNING, CALL_SYNC, PLACE_DB, ANY, ENDED},
    {RUNNING, CALL_SYNC, PLACE_WAL, ANY, ENDED},
    {RUNNING, CALL_SYNC, PLACE_UNDO, ANY, ENDED},
    {RUNNING, CALL_WRITE, PLACE_DB, ANY, QUIET},
    {RUNNING, CALL_WRITE, PLACE_WAL, ANY, QUIET},
    {RUNNING, CALL_WRITE, PLACE_UNDO, ANY, QUIET},
    {RUNNING, CALL_WRITE, PLACE_SHM, ANY, QUIET},
    {RUNNING, CALL_TRUNCATE, ANY, ANY, QUIET},
    {RUNNING, CALL_UNLINK, PLACE_UNDO, ANY, QUIET},
    {RUNNING, ANY, PLACE_DB, ANY, QUIET | ENDED},
    {RUNNING, ANY, PLACE_WAL, ANY, QUIET | ENDED},
    {RUNNING, ANY, PLACE_UNDO, ANY, QUIET | ENDED},
    {RUNNING, ANY, PLACE_SHM, ANY, QUIET | ENDED},
    {AT_STOP, ANY, ANY, ANY, QUIET | ENDED},

    /* Connections, memory. */
    {RUNNING, CALL_ACCEPT, PLACE_SOCKET, ECONNABORTED, UNSEEN},
    {RUNNING, CALL_ACCEPT, PLACE_SOCKET, ANY, UNSEEN | CUT},
    {RUNNING, ANY, PLACE_SOCKET, ANY, UNSEEN | CUT},
    {RUNNING, CALL_MAP, PLACE_OTHER, ANY, UNSEEN | ENDED},
    {ANY_TIME, CALL_ALLOC, ANY, ANY, QUIET | CUT | NOT_NOW | ENDED | NOT_STARTED},
};

#endif
