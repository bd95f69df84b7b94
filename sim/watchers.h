/* watchers.h - who watches a list, or the counts, as it changes: server-sent events
 *
 *     GONE --asks--> HELD --committed--> THERE <--> BUSY    a piece was given and not taken yet
 *      ^              |                    |
 *      +--------------+--------------------+   it leaves, the pass was refused, the process ended
 *
 * One who comes back says what it has seen last, and goes on from there. Whatever a watcher is told
 * has been committed; each item comes once and in order; and once all is calm it has been told
 * everything. That nothing is kept for one who left is seen at an orderly end (process.h).
 */
#ifndef SIM_WATCHERS_H
#define SIM_WATCHERS_H

#include "sim/model.h"

struct watchers *watchers_new(struct sim *s);
void watchers_free(struct watchers *w);

/* What a client wants to watch, by a new watcher or one that was there before; or one of them
 * leaves now, and there is nothing to ask: false. */
bool watchers_pick(struct sim *s, int registry, struct op *ret);
/* Where it has got to: the header Last-Event-ID. */
const char *watchers_seen(const struct sim *s, const struct op *op);
/* It was answered otherwise than by a stream. */
void watchers_refused(struct sim *s, const struct op *op, const struct answer *a);
/* The stream that the front is given. */
void *watchers_begin(struct sim *s, const struct op *op, bool is_held, struct listener *listener);
/* The front's stream_send(). */
bool watchers_told(struct sim *s, void *watcher, const char *piece, size_t len);
/* EV_WATCHER: a piece was taken. */
void watchers_ready(struct sim *s, uint64_t watcher);

/* The round is over; the process ends in order; it is gone. */
void watchers_release(struct sim *s, bool is_committed);
void watchers_close(struct sim *s);
void watchers_cut_off(struct sim *s);

/* Calm: all come back; in the end, all have been told everything. */
void watchers_return(struct sim *s);
void watchers_end(struct sim *s);

#endif
