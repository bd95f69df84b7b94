/* walk.h - a query looks at one instance after the other
 *
 * What both stores do alike: they come upon instances in falling order of uid, each in its newest
 * state, and show them to a walk, which takes those that the filter takes and says when to stop:
 * when the page is full, when it has looked at as many or for as long as it may, or when all that
 * would follow is older than what is asked for.
 */
#ifndef STORE_WALK_H
#define STORE_WALK_H

#include "store/store.h"
#include "store/uid_set.h"

struct walk {
    const struct query *query;
    struct env *env;
    struct query_page *page;
    size_t cap;
    size_t left; /* to be looked at */
    int64_t until_ns;
    struct uid_set gone; /* deleted in the pass that is under way */
    ks_arena scratch;
};

void walk_begin(struct walk *w, struct env *env, const struct query *query, struct query_page *ret);
void walk_end(struct walk *w);

/* Each looks at one; false: go no further. */
bool walk_instance(struct walk *w, const struct instance *inst);
/* s has all but tags, which are JSON text, or empty. */
bool walk_row(struct walk *w, struct summary *s, struct str tags);
bool walk_gap(struct walk *w, uint64_t uid);

static inline size_t query_examine(const struct query *query)
{
    return query->examine ? query->examine : QUERY_EXAMINE_MAX;
}

#endif
