/* http1_outcome.h - what comes of a request's bytes, as text, and what http-parser makes of them
 *
 * "waits", "refused 400 why", or "took 57" and all of the request: texts that can be compared
 * whatever the pieces were in which the bytes came. The oracle, Debian's http-parser, gives the
 * same text for what it accepts, without its first line.
 */
#ifndef TESTS_HTTP1_OUTCOME_H
#define TESTS_HTTP1_OUTCOME_H

#include "net/http1.h"

struct buf outcome(struct str bytes);
/* Fed in pieces that end at `first`, then every `step` bytes, each time in a block that is exactly
 * as large as what has come, so that ASan sees a look behind it. */
struct buf outcome_in_pieces(struct str bytes, size_t first, size_t step);

struct buf oracle_outcome(struct str bytes);
/* Whether ours is of a request that was taken and that it can read; then cut to what it says. */
bool oracle_has_to_agree(struct str bytes, struct buf *ours);

#endif
