/* model.h - what was promised to the clients of the registry: the oracle
 *
 * It is plain: a list of registries with their items, when they close, and what was answered to
 * which key. It knows nothing of instances, journals or replays.
 *
 * Requests are looked at in the order in which the engine executed them, which the answers' calls
 * show. Executed strictly one after the other, each between its arrival and its answer, they are a
 * linearization; so it is enough to check that each answer is the one that the list gives at that
 * place. No search is needed, and nothing is let through that a search would refuse: if some other
 * order were needed to explain the answers, the engine would not be the serial one it says it is.
 *
 * A pass is one commit, all of it or nothing. What its requests did counts as `tentative` until the
 * pass is committed. When the process ends before that, either is possible, and the next process is
 * asked: everything is there, or nothing is. An answer that left before the commit and told of what
 * then was not there is a broken promise.
 *
 * Time is the engine's, as the pass had it. That it is right is looked at as well: it never goes
 * back, and nothing is closed before its time by the boot clock.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "sim/sim.h"

enum op_kind { OP_OPEN, OP_ADD, OP_FINISH, OP_PEEK, OP_STATS, OP_NOISE, OP_APP, OP_WATCH };

/* What a request asks for. */
struct op {
    enum op_kind kind;
    bool is_post, is_probe, is_head, is_after_lie;
    int registry; /* in the model; -1: one that never was */
    uint32_t item;
    uint32_t key; /* 0: none */
    void *app;    /* OP_APP: see programs.h */
    int64_t n;
    int other; /* OP_APP: another program */
};

struct answer {
    int status;
    const char *body;
    size_t len;
    bool is_held;
};

struct model *model_new(struct sim *s);
void model_free(struct model *m);

/* In the order of execution, inside a pass at time now_ms. */
void model_answer(struct sim *s, const struct op *op, const struct answer *a, int64_t now_ms);
void model_committed(struct sim *s);
/* The pass was refused: nothing of it may be there. */
void model_rolled_back(struct sim *s);
/* The process ended in a pass: all of it, or nothing. */
void model_unknown(struct sim *s);

/* Asks a process that has just started for everything that matters; is_all: for all there is. */
void model_audit(struct sim *s, bool is_all);
/* A disk had lied: what is there has to be what was there at some time. */
void model_after_lie(struct sim *s);
/* Everything has had its time: nothing may be open any more. */
void model_end(struct sim *s);

/* Between two calls everything is tried on a copy of the disk: what time brings is forgotten. */
void model_trial(struct sim *s, bool is_begin);
bool model_is_unknown(const struct sim *s);
int64_t model_now_ms(const struct sim *s);

struct view;
/* A watcher is told of items from one on, that a list is closed, of the counts: all of it was
 * committed before. */
void model_told_items(struct sim *s, int registry, size_t from, const struct view *v);
void model_told_closed(struct sim *s, int registry, const struct view *v);
void model_told_counts(struct sim *s, const int64_t counts[4]);
/* When all is calm, that was everything. */
void model_told_at_last(struct sim *s, int registry, size_t count, bool is_closed);
void model_told_counts_at_last(struct sim *s, const int64_t counts[4]);

/* It never came to be. */
bool model_is_gone(const struct sim *s, int registry);
size_t model_count(const struct sim *s);
const char *model_id(const struct sim *s, int registry);
int64_t model_closes_ms(const struct sim *s, int registry);

/* Excuses for being late: from when to when (engine time) nothing could be done. */
void model_unhealthy(struct sim *s, int64_t from_ms, int64_t until_ms);
/* The latest time that something due then may be done at. */
int64_t model_latest_ms(const struct sim *s, int64_t due_ms);

/* An item's text in ret; it is told from others by its number. */
size_t item_text(uint32_t item, char ret[9000]);

#endif
