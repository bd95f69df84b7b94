/* HTTP as the server sees it: a first byte and a second say how the connection's bytes are cut, the
 * rest is what came over it, one request behind the other. Cut or whole the outcome is the same,
 * and what is taken http-parser takes and reads the same way. */
#include "fuzz.h"
#include "http1_outcome.h"

#include <stdlib.h>

enum { REQUESTS_MAX = 8 };

static void check_same(struct str bytes, const struct buf *whole, size_t first, size_t step)
{
    struct buf cut = outcome_in_pieces(bytes, first, step);
    fuzz_check(strcmp(whole->at, cut.at) == 0, "whole:\n%s\nin pieces of %zu and %zu:\n%s",
               whole->at, first, step, cut.at);
    buf_free(&cut);
}

static void check_oracle(struct str bytes, struct buf *ours)
{
    if (!oracle_has_to_agree(bytes, ours))
        return;
    struct buf theirs = oracle_outcome(bytes);
    const char *text = strchr(ours->at, '\n') + 1;
    fuzz_check(strcmp(text, theirs.at) == 0, "ours:\n%s\nhttp-parser's:\n%s", text, theirs.at);
    buf_free(&theirs);
}

/* How many bytes a request took; 0: none was there. */
static size_t check_one(struct str bytes, size_t first, size_t step)
{
    struct buf whole = outcome(bytes);
    size_t took = strncmp(whole.at, "took ", 5) == 0 ? strtoul(whole.at + 5, NULL, 10) : 0;
    check_same(bytes, &whole, first < bytes.len ? first : bytes.len, step);
    if (bytes.len < 512)
        check_same(bytes, &whole, 1, 1);
    fuzz_check(took <= bytes.len, "took more than there was: %s", whole.at);
    check_oracle(bytes, &whole);
    buf_free(&whole);
    return took;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 3)
        return 0;
    struct str rest = {(const char *)bytes + 2, len - 2};
    for (int i = 0; i < REQUESTS_MAX && rest.len; i++) {
        size_t took = check_one(rest, 1 + (size_t)bytes[0], 1 + (size_t)bytes[1]);
        if (!took)
            break;
        rest = (struct str){rest.at + took, rest.len - took};
    }
    return 0;
}
