/* blackbox.h - the words of struct env's blackbox, in a mapped file */
#ifndef BASE_BLACKBOX_H
#define BASE_BLACKBOX_H

#include <stdint.h>

/* Maps a file of one page, made when it is missing. NULL when that cannot be: then whoever kills
 * the process again and again is not found out, and nothing else is lost. */
uint64_t *blackbox_map(const char *path);

#endif
