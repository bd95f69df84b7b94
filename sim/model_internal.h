/* model_internal.h - shared by the files of the model: model.c (what is answered), model_crash.c
 * (what is there after a crash), model_told.c (what watchers are told) */
#ifndef SIM_MODEL_INTERNAL_H
#define SIM_MODEL_INTERNAL_H

#include "sim/model.h"

struct registry {
    char id[40];
    int64_t closes_ms, closed_ms, touched_ms;
    uint64_t closed_generation; /* of the process that was first to say that it is closed */
    bool is_closed, is_by_user, is_gone; /* gone: it never came to be */
    int64_t told_closed_ms;              /* a watcher was told so; 0: not yet */
    uint32_t *items;
    size_t count, cap;
};

struct kept {
    bool is_maybe; /* a crash left it open whether it was kept */
    int64_t at_ms;
    enum op_kind kind;
    bool is_post;
    int registry;
    uint32_t item;
    int status;
    char *body;
    size_t len;
};

enum trace_kind { DID_OPEN, DID_ADD, DID_FINISH, SAW_CLOSED, KEPT_ANSWER };

struct trace {
    enum trace_kind kind;
    int registry;
    uint32_t item;
    size_t place;    /* DID_ADD: how many items there are with it */
    struct kept was; /* KEPT_ANSWER: what it replaced */
};

struct gap {
    int64_t from_ms, until_ms;
};

struct model {
    struct registry *registries;
    size_t count, cap;
    struct kept *kept; /* by key */
    size_t kept_count;
    struct trace *tentative;
    size_t tentative_count, tentative_cap;
    bool is_unknown; /* whether tentative came to be */
    bool is_resolving;
    bool is_untold;   /* what is there was asked, and refused for want of room */
    char leaked[300]; /* an answer that left before its commit; "": none */
    size_t seen_there, seen_missing;
    struct gap *gaps;
    size_t gap_count, gap_cap;
    int64_t now_ms, committed_ms;
    int64_t older_registries, older_items;    /* after a lie: of Stats, not seen yet */
    int64_t trial_now_ms, trial_committed_ms; /* as they were when a trial began */
};

struct sum {
    int64_t registries, items, closed;
    int64_t due; /* open, and their time has come */
};

/* Of all there is. */
struct sum model_sum(const struct model *m, int64_t now_ms);

/* Whether one that asks after a crash was answered, and by what. */
void model_probe(struct sim *s, const struct op *op, const struct answer *a);
/* The same after a lie of the disk. */
void model_older(struct sim *s, const struct op *op, const struct answer *a);

#endif
