/* filter.h - what a list shows of an instance, and whether a filter takes it
 *
 * There is one place that decides whether an instance is such as a ks_filter says, and all who look
 * for instances ask it: about one in memory, a row of the checkpoint, a row of the store in memory.
 * An index only saves looking; what it finds is asked about here too.
 *
 * What an instance's history has to be read for, parent and tags, is asked about last.
 */
#ifndef CORE_FILTER_H
#define CORE_FILTER_H

#include "core/instance.h"

struct summary {
    uint64_t uid;
    enum instance_kind kind;
    ks_runtime_status status;
    struct str id, name;
    int64_t created_ms, updated_ms;
    struct str parent;  /* the id of who waits for it; empty: nobody */
    const ks_val *tags; /* an object; NULL: none */
};

/* A text of a filter that is to be looked at. */
static inline bool is_given(const char *text)
{
    return text && *text;
}

/* All but parent and tags; views of the instance. */
struct summary summary_of(const struct instance *inst);
void summary_add_details(struct summary *s, const struct instance *inst, ks_arena *mem);

/* Whether all but parent and tags is such; whether these are. What Keepsake keeps for itself, under
 * names that begin with $, never is. */
bool filter_takes(const ks_filter *f, const struct summary *s);
bool filter_takes_details(const ks_filter *f, const struct summary *s);
/* Whether it asks about them at all. */
bool filter_has_details(const ks_filter *f);

/* As a message carries it; strings of the one that comes back are in the value. */
ks_val *filter_to_val(ks_arena *mem, const ks_filter *f);
ks_filter filter_of_val(const ks_val *val);

/* The status that has a name, KS_MISSING: none has. */
ks_runtime_status status_of_name(struct str name);

#endif
