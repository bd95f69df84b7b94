#include "signature.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 2104, for keys of at most one block, so that it is not the library's HMAC that is compared
 * with itself. */
static void hmac_sha256(const char *key, const void *text, size_t len, char ret_hex[65])
{
    unsigned char block[64] = {0}, inner[SHA256_DIGEST_LENGTH], outer[SHA256_DIGEST_LENGTH];
    unsigned char *bytes = malloc(sizeof block + len);
    unsigned char both[sizeof block + sizeof inner];
    memcpy(block, key, strlen(key));
    for (size_t i = 0; i < sizeof block; i++)
        bytes[i] = block[i] ^ 0x36;
    memcpy(bytes + sizeof block, text, len);
    SHA256(bytes, sizeof block + len, inner);
    for (size_t i = 0; i < sizeof block; i++)
        both[i] = block[i] ^ 0x5C;
    memcpy(both + sizeof block, inner, sizeof inner);
    SHA256(both, sizeof both, outer);
    for (size_t i = 0; i < sizeof outer; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", outer[i]);
    free(bytes);
}

int64_t signature_check(const char *signature, const char *secret, const char *body, size_t len)
{
    long long seconds;
    int at = 0;
    char hex[65], wanted[128];
    if (sscanf(signature, "t=%lld,v1=%n", &seconds, &at) != 1 || !at)
        return -1;
    char *text = malloc(len + 32);
    int head = sprintf(text, "%lld.", seconds);
    memcpy(text + head, body, len);
    hmac_sha256(secret, text, (size_t)head + len, hex);
    free(text);
    snprintf(wanted, sizeof wanted, "t=%lld,v1=%s", seconds, hex);
    return strcmp(signature, wanted) == 0 ? seconds : -1;
}
