/* page.h - the app's files for browsers: what is asked for, and under which headers it goes
 *
 * The bytes are in the program, plain and compressed; nothing is read and nothing compressed while
 * serving. A browser keeps a file and asks each time whether it is still the newest (no-cache,
 * ETag): there is no build step that could put a version into its name.
 *
 * The headers are strict for all: scripts, styles, images and connections are the program's own,
 * none inline but the style and the script whose hashes they name, no markup out of strings
 * (Trusted Types), in nobody's frame.
 */
#ifndef FRONT_PAGE_H
#define FRONT_PAGE_H

#include "base/buf.h"
#include "keepsake.h"
#include "net/http1.h"

/* NULL when there is none at this path. */
const ks_page *page_find(const ks_function *functions, struct str path);
/* 200, or 304 when the browser has it. The header lines are put into headers, which the answer then
 * points to. */
void page_answer(const ks_page *page, const struct http1_request *http, struct buf *headers,
                 struct http1_answer *ret);

#endif
