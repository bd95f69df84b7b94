/* url.h - the little that must be known of a URL to send a request to it and to follow its answer
 *
 * Only http and https, absolute, without a user name or a password in it: those would end up in
 * histories and logs. What is beyond that is the transport's to judge.
 */
#ifndef BASE_URL_H
#define BASE_URL_H

#include "base/arena.h"
#include "base/buf.h"

enum { URL_BYTES_MAX = 8192 };

/* Source: RFC 3986, section 2: visible ASCII; everything else has to be percent-encoded. */
bool url_is_good(struct str url);
bool url_is_tls(struct str url);
/* Whether both are of one scheme, host and port, as they are written. */
bool url_same_origin(struct str url, struct str other);
/* What a reference in an answer of `base`, a good URL, means. Dot segments are left to the
 * transport. The result may be no good URL. */
const char *url_resolve(ks_arena *mem, struct str base, struct str reference);

#endif
