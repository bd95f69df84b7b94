/* tellings.h - what clients tell cells, and are answered by what the cell answers
 *
 * ks_reply_result(): the answer is the place that the cell has put it at, or that it failed. Once
 * it has left, it has to stay true: there, and nowhere else. One that was not answered, or refused,
 * was heard once or not at all.
 */
#ifndef SIM_TELLINGS_H
#define SIM_TELLINGS_H

#include "sim/program_told.h"

struct tellings;

struct tellings *tellings_new(void);
void tellings_free(struct tellings *t);

/* A new one, by its number. */
int64_t tellings_add(struct tellings *t, int cell);
/* Looks at an answer; the pass it belongs to is not known to be committed. */
void tellings_answered(struct sim *s, struct tellings *t, int64_t n, const struct answer *a);
/* The pass was committed, or who knows. */
void tellings_settle(struct tellings *t, bool is_committed);
/* What a cell answers that it has: it is kept, and what was answered before has to be in it. */
void tellings_cell_has(struct sim *s, const struct tellings *t, struct cells *cells, int cell,
                       const struct answer *a);
/* When everything came to its end. */
void tellings_end(struct sim *s, const struct tellings *t, const struct cells *cells);

#endif
