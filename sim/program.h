/* program.h - one random program: a tree, its JSON, and what its claims may be */
#ifndef SIM_PROGRAM_H
#define SIM_PROGRAM_H

#include "sim/model.h"

enum { PROGRAM_INLINE = 1, PROGRAM_FAILS = 2, PROGRAM_SENDS = 4 };
enum { CELLS = 5, EVENT_NAMES = 3, RELAYED = 1000000000, PROGRAM_NODES_MAX = 64 };

enum node_kind {
    NODE_TRY,
    NODE_AWAIT,
    NODE_SIGNAL,
    NODE_CALL,
    NODE_TIMER,
    NODE_EVENT,
    NODE_ANY,
    NODE_ALL,
    NODE_RACE
};

struct node {
    enum node_kind kind;
    int64_t n;       /* call, signal: its number; timer: ms; event: which name */
    int flags;       /* call; signal: which cell */
    int first, next; /* child and sibling; -1: none */
    bool is_seen;    /* call, in checking: its end was claimed */
};

struct raised {
    int64_t value;
    bool is_tentative, is_maybe, is_gone; /* maybe: a crash left it open */
};

struct program {
    int number;
    struct node nodes[PROGRAM_NODES_MAX];
    int count, first;
    struct raised *raised[EVENT_NAMES];
    size_t raised_count[EVENT_NAMES];
    bool is_tentative, is_unknown, is_gone, is_over, is_failed, is_over_tentative;
    uint64_t over_generation; /* of the process that was the first to say so */
    int64_t failed_at;        /* the number of the call it failed by */
    char *output;
};

/* Its calls and signals are numbered from number * 100 on. */
void program_make(struct sim *s, struct program *p, int number);
void program_write(const struct program *p, struct buf *out);
/* Looks at what it said in the end. Does not return when that cannot be. */
void program_check(struct sim *s, struct program *p, const char *output);

#endif
