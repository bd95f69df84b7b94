/* program_told.h - what programs told the cells, against what the cells have */
#ifndef SIM_PROGRAM_TOLD_H
#define SIM_PROGRAM_TOLD_H

#include "sim/program.h"

/* What each cell has, as last looked at. */
struct cells {
    int64_t *at[CELLS];
    size_t count[CELLS], cap[CELLS];
};

/* When everything came to its end. Does not return when something was told that cannot be. */
void program_check_told(struct sim *s, const struct program *p, const struct cells *cells);
/* The same of one that nobody may have told. */
void program_check_told_once(struct sim *s, const struct cells *cells, int cell, int64_t n);

#endif
