/* utc.h - dates as text; beside ks_utc(), which is public */
#ifndef BASE_UTC_H
#define BASE_UTC_H

#include <stdbool.h>
#include <stdint.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT", the one form that RFC 9110, section 5.6.7, lets anybody send. */
bool utc_of_http_date(const char *text, int64_t *ret_ms);

#endif
