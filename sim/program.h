/* program.h - one random program: a tree, its JSON, and what its claims may be
 *
 * A program is a list of statements, most of which wait for a task; programs_app.c has the grammar
 * and carries it out. It does the same whatever its tasks give, so what it says it saw can be held
 * against it, claim by claim (program_check.c), and so can what it told the cells (program_told.c).
 */
#ifndef SIM_PROGRAM_H
#define SIM_PROGRAM_H

#include "sim/model.h"

/* Of a call: inline; it fails; it sends; its first run fails; its attempts have limits; it is in a
 * child that is tried again, so other keys are to be expected. */
enum {
    PROGRAM_INLINE = 1,
    PROGRAM_FAILS = 2,
    PROGRAM_SENDS = 4,
    PROGRAM_FLAKY = 8,
    PROGRAM_LIMITED = 16,
    PROGRAM_AGAIN = 32
};
enum {
    POLICY_ATTEMPTS = 3,
    POLICY_PAUSES_MS = 3000,
    POLICY_LIMIT_MS = 5000,
    POLICY_BEAT_MS = 3000
};
/* Numbers of what clients tell cells; on top, of what cells make of what they are told. */
enum { CELLS = 5, EVENT_NAMES = 3, OF_CLIENTS = 200000000, RELAYED = 400000000 };
enum { PROGRAM_NODES_MAX = 160, PROGRAM_NUMBERS = 200 };

enum node_kind {
    NODE_TRY,
    NODE_AWAIT,
    NODE_SIGNAL,
    NODE_LATER,
    NODE_NOTE,
    NODE_LOCK,
    NODE_ANEW,
    NODE_CALL, /* tasks from here on */
    NODE_TIMER,
    NODE_EVENT,
    NODE_ASK,
    NODE_POLICY,
    NODE_WEB,
    NODE_SUB,
    NODE_ANY,
    NODE_ALL,
    NODE_RACE,
    NODE_FICKLE /* what it asks for depends on what no history has */
};

/* What the server does that a NODE_WEB asks. */
enum web_kind { WEB_FINE, WEB_BUSY_ONCE, WEB_LATER, WEB_BUSY, WEB_AWAY, WEB_KINDS };
enum sub_mode { SUB_NAMELESS, SUB_NAMED, SUB_AGAIN, SUB_MODES };

struct node {
    enum node_kind kind;
    int64_t n;       /* call, telling: its number; timer, later: ms; event: which name */
    int flags;       /* call; web: its kind; sub: its mode */
    int cell, other; /* which are told */
    int first, next; /* child and sibling; -1: none */
    bool is_seen;    /* call, in checking: its success was claimed */
};

struct raised {
    int64_t value;
    bool is_tentative, is_maybe, is_gone; /* maybe: a crash left it open */
};

struct program {
    int number;
    struct program *origin; /* whose program it is: its own, or it was restarted under this id */
    struct node nodes[PROGRAM_NODES_MAX];
    int count, first;
    struct raised *raised[EVENT_NAMES];
    size_t raised_count[EVENT_NAMES];
    bool is_version_1;
    bool is_fickle, has_diverged;             /* by it */
    bool is_asked, was_asked, has_to_diverge; /* in this pass; committed; it was asked again */
    int64_t wait_ms, due_ms;                  /* of its start */
    bool is_tentative, is_unknown, is_gone, is_over, is_failed, is_over_tentative;
    bool may_be_terminated, is_terminated, was_managed;
    size_t rewinds, restarts; /* of all that run this program: see origin */
    bool is_purge_tentative, may_be_purged, is_purged;
    int64_t stage, tentative_stage; /* its status, as seen */
    int64_t stage_before;           /* a trial on a copy of the disk */
    uint64_t over_generation;       /* of the process that was the first to say so */
    char *output;
};

/* Its calls and tellings are numbered from number * PROGRAM_NUMBERS on. */
void program_make(struct sim *s, struct program *p, int number);
void program_write(const struct program *p, struct buf *out);
/* The number of the call that has to fail a list of statements; -1: none. */
int64_t program_fails_at(const struct program *p, int first);
/* Whether it goes on with another input now and then. */
bool program_begins_anew(const struct program *p);
/* Whether a telling of this number fails, and leaves no trace. */
bool telling_fails(int64_t n);
/* Looks at what it said in the end. Does not return when that cannot be. */
void program_check(struct sim *s, struct program *p, const char *output);

#endif
