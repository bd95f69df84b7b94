/* signature.h - X-Keepsake-Signature as a processor would check it, from its description alone */
#ifndef TESTS_SIGNATURE_H
#define TESTS_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

/* "t={unix seconds},v1={hex HMAC-SHA-256 of "{t}.{body}"}". The seconds, or -1: it is not right. */
int64_t signature_check(const char *signature, const char *secret, const char *body, size_t len);

#endif
