/* feed.h - who listens to which entity, and what each is sent after a commit
 *
 *     topic       an entity and the function that tells of it
 *     listener    a stream on a topic, and the id of the event it has seen last
 *
 *     feeds_listen -> QUEUED --deliver--> IDLE     nothing is new
 *                       ^  ^         `--> BUSY     a piece was given that is not taken yet
 *                       |  `---taken-------'
 *                       `---the entity changed---- (from IDLE)
 *
 * A piece is made from the committed state and from what was seen, and of nothing else. So nothing
 * is kept for a listener but its place; a slow one is told later and in larger pieces, and all who
 * stand at the same place are given the same bytes, made once.
 *
 * In the round after a commit, when its answers are out, feeds_round() delivers to those in the
 * queue, up to FEED_ROUND_SENDS, so that thousands of listeners hold up nobody; the rest come in
 * the next round. A topic that changes
 * all the time is told of once in FEED_PACE_MS; a change after a quiet while goes at once.
 *
 * With no listener nothing is called and nothing is kept.
 */
#ifndef FRONT_FEED_H
#define FRONT_FEED_H

#include "base/shared.h"
#include "run/partition.h"

enum {
    FEED_ID_MAX = 63,      /* bytes of an event's id */
    FEED_ROUND_SENDS = 64, /* about a millisecond of system calls */
    FEED_PACE_MS = 50
};

struct feeds;
struct listener;

struct feeds_config {
    struct partition *partition;
    void *ctx;
    /* Gives a stream a piece; whether it was taken at once. Else feeds_ready() is called. */
    bool (*send)(void *ctx, void *stream, struct shared *piece);
};

struct feeds *feeds_new(const struct feeds_config *config);
/* All listeners have left. */
void feeds_free(struct feeds *f);

/* A listener in the queue, without its stream: the caller sets it, or has it leave again. An id of
 * an event that is too long to be one of ours counts as none. */
struct listener *feeds_listen(struct feeds *f, struct str entity_id, ks_feed_fn *fn,
                              struct str seen);
void feeds_set_stream(struct listener *l, void *stream);
void feeds_leave(struct feeds *f, struct listener *l);
/* The piece was taken; or there is room for the first. */
void feeds_ready(struct feeds *f, struct listener *l);

/* The store was opened again: what is committed may differ from what the last commit said. */
void feeds_all_changed(struct feeds *f);
/* Between passes. */
void feeds_round(struct feeds *f, int64_t now_ms);
/* When feeds_round() has something to do; past when it has now, NEVER_MS. */
int64_t feeds_next_ms(const struct feeds *f);

#endif
