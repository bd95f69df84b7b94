/* fault_cases.h - faults that are more than one failed call: a full disk, nobody can be let in */
#ifndef TESTS_FAULT_CASES_H
#define TESTS_FAULT_CASES_H

#include "fault_world.h"

/* Each adds one to what passed or failed; the model is told of what is wrong. */
void fault_cases(struct life *l, uint64_t *passed, uint64_t *failed);

#endif
