/* model_view.h - answers as a client reads them, with a reader of the model's own */
#ifndef SIM_MODEL_VIEW_H
#define SIM_MODEL_VIEW_H

#include "sim/model.h"

struct view {
    bool is_closed, is_by_user;
    int64_t closes_ms, closed_ms;
    uint32_t *items; /* numbers; to be freed */
    size_t count;
};

/* What Peek answered; strict. */
bool view_read(struct view *v, const struct answer *a);
/* Behind the first place where a text stands; NULL when it does not. */
const char *view_after(const struct answer *a, const char *text);
/* Items up to a "]", into one that is zeroed. */
bool view_items(struct view *v, const char *at);
/* As Stats has them. */
enum { COUNTS = 4 };
void view_counts(const struct answer *a, int64_t ret[COUNTS]);
/* INT64_MIN when it is none. */
int64_t view_number(const char *at);
int64_t view_time(const char *at);

#endif
