/* programs.h - random orchestrations, and what they may have done
 *
 * Clients start programs (program.h), raise events for them and look at them. What a program says
 * it saw is checked against the program and the events that were raised; what it told the cells (an
 * entity) against what the cells have: each telling once, none that nobody sent, none of those that
 * had to fail.
 *
 * An activity may run more than once, always under the same key, and never before the commit that
 * scheduled it.
 */
#ifndef SIM_PROGRAMS_H
#define SIM_PROGRAMS_H

#include "sim/model.h"

/* The registry's and the program's functions. */
const ks_function *sim_functions(void);

struct programs *programs_new(struct sim *s);
void programs_free(struct programs *p);

/* A request about programs; false: nothing to ask. */
bool programs_pick(struct sim *s, struct op *ret);
void programs_write(struct sim *s, const struct op *op, char *target, size_t size,
                    struct buf *body);
void programs_answer(struct sim *s, const struct op *op, const struct answer *a);
/* The pass was committed, was not, or the process ended in it. */
void programs_committed(struct sim *s);
void programs_rolled_back(struct sim *s);
void programs_unknown(struct sim *s);
/* Asks a process that has just started. */
void programs_audit(struct sim *s);
/* Whether a crash left open if some program was started. */
bool programs_are_unknown(const struct sim *s);
/* Between two calls a process runs on a copy of the disk: what is learned from it is forgotten. */
void programs_trial(struct sim *s, bool is_begin);
/* When all is calm: wakes those that wait for an event. False when none does any more. */
bool programs_nudge(struct sim *s);
void programs_end(struct sim *s);

/* How long the activity that is submitted takes; -1: for ever. */
int64_t programs_activity_ms(struct sim *s);
/* An activity runs, in the process. Whether it did before. */
bool programs_ran(struct sim *s, int64_t n, const char *key);
/* Whether that program ran more than once from its start: its calls have other keys each time. */
bool programs_were_restarted(const struct sim *s, int64_t n);
/* Whether a NODE_FICKLE asks for what it has not asked for before: in a replay, that is. */
bool programs_change_their_mind(struct sim *s, int64_t n);
/* Under which id that program was started first. */
const char *programs_origin(struct sim *s, const char *id);
/* A cell is told what was not to come before a time. */
void programs_due(struct sim *s, int64_t due_ms, int64_t now_ms);

#endif
