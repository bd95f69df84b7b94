/* prefetch.h - memory that is going to be looked at
 *
 * What does not fit the caches costs 100 ns a line, one after the other. Whoever knows some turns
 * ahead what it will look at asks for it, and what takes long for one comes for many at once. A
 * wrong address does no harm.
 */
#ifndef BASE_PREFETCH_H
#define BASE_PREFETCH_H

#include <stddef.h>

static inline void prefetch(const void *at, size_t len)
{
    enum { CACHE_LINE_BYTES = 64 };
    for (size_t i = 0; i < len; i += CACHE_LINE_BYTES)
        __builtin_prefetch((const char *)at + i);
}

#endif
