/* random_val.h - values of every kind from a seed
 *
 * Trees of all types, with what breaks codecs: long strings, NUL and every plane of Unicode, the
 * ends of the integers, reals that need all their digits, objects with more members than are looked
 * at one by one.
 */
#ifndef TESTS_RANDOM_VAL_H
#define TESTS_RANDOM_VAL_H

#include "base/value.h"

struct random {
    uint64_t at;
};

uint64_t random_bits(struct random *r);
/* 0 ... sides - 1 */
unsigned random_below(struct random *r, unsigned sides);
/* At most so many levels. Errors only when asked for: JSON has none. */
ks_val *random_val(struct random *r, ks_arena *mem, unsigned levels, bool has_errors);

#endif
