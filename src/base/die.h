/* die.h - the ends of the process that are not an exit
 *
 * Keepsake is crash-only: what cannot go on ends the process, and the next start recovers what was
 * acknowledged. Out of memory is such an end, so no caller of an allocation has a path for it that
 * nobody ever ran.
 */
#ifndef BASE_DIE_H
#define BASE_DIE_H

#include <stddef.h>

/* Says why on stderr and ends the process with exit code 70 (EX_SOFTWARE). */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* malloc, calloc and realloc that do not return without memory. */
void *die_malloc(size_t size);
void *die_zalloc(size_t size);
void *die_realloc(void *at, size_t size);
char *die_strndup(const char *text, size_t len);

#endif
