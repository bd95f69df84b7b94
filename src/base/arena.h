/* arena.h - memory that dies together
 *
 * An arena hands out memory by moving a pointer and takes all of it back at once. A step's arena
 * keeps its first chunk from one step to the next; a document's starts tiny and doubles. Under
 * AddressSanitizer every piece is an allocation of its own, so a use after the end is seen.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "keepsake.h"

#include <stdarg.h>

struct arena_chunk;
struct ks_arena {
    struct arena_chunk *chunks; /* newest first */
    char *at;
    char *end;
    size_t used_bytes;  /* handed out since the last reset */
    size_t chunk_bytes; /* the next chunk's size; doubles up to ARENA_CHUNK_MAX */
};

enum { ARENA_CHUNK_MAX = 1 << 18 };

/* The first chunk is made when it is needed, of chunk_bytes. */
void arena_init(ks_arena *a, size_t chunk_bytes);
/* Takes everything back; keeps the newest chunk. */
void arena_reset(ks_arena *a);
void arena_free(ks_arena *a);
/* Memory that is not zeroed, aligned for anything. */
void *arena_alloc(ks_arena *a, size_t size);
/* A copy that ends with NUL. */
char *arena_strndup(ks_arena *a, const char *text, size_t len);
/* What vsprintf would write. */
char *arena_vformat(ks_arena *a, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
void *arena_memdup(ks_arena *a, const void *bytes, size_t len);

#endif
