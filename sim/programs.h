/* programs.h - random orchestrations */
#ifndef SIM_PROGRAMS_H
#define SIM_PROGRAMS_H

#include "sim/model.h"

extern const ks_function *const sim_functions;

struct programs *programs_new(struct sim *s);
void programs_free(struct programs *p);

/* A request about programs; false: nothing to ask. */
bool programs_pick(struct sim *s, struct op *ret);
void programs_write(struct sim *s, const struct op *op, char *target, size_t size,
                    struct buf *body);
void programs_answer(struct sim *s, const struct op *op, const struct answer *a);
void programs_committed(struct sim *s);
void programs_rolled_back(struct sim *s);
void programs_unknown(struct sim *s);
void programs_audit(struct sim *s);
void programs_end(struct sim *s);

/* How long the activity that is submitted takes; -1: for ever. */
int64_t programs_activity_ms(struct sim *s);

#endif
