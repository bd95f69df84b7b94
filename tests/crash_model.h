/* crash_model.h - what the registry must have said, whatever was done to its process
 *
 * The model is told of every request when it starts (model_begin) and of its answer or silence
 * (model_answered), and says what cannot be. In between the process may have been ended at any
 * moment. After a start model_look() looks at all that was touched, while nobody else asks.
 *
 *   item       carries a number that is used once. It is SENT, then KEPT (answered with 200),
 *              REFUSED, or UNKNOWN (no answer: it may be there or not). What a Peek has shown has
 *              its place in the list for ever. An unknown one that was not there when it was looked
 *              at is LOST for ever, unless it has an Idempotency-Key: then it is sent again in a
 *              later round, and by then is there once. Some that were answered are sent again too,
 *              and must be answered as before and change nothing.
 *   order      each request has the stamps of its start and its answer, from one counter. Of two
 *              items the one that was answered before the other was sent comes first. None that was
 *              sent after a Finish was answered is ever there.
 *   registry   closes once: when, by whom, and its time never change once they were seen.
 *   Stats      are the sums. Registries whose Open had no answer are counted there and unknown
 *              here: `hidden`, known to be between two bounds that each look makes one.
 *   reads      what a Peek or Stats has answered is in force for every later one.
 *
 * There is no lock in here: the caller makes one call at a time.
 */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include "client.h"

enum { ID_SIZE = 33, OLD_MAX = 20 };

enum fate { SENT, UNKNOWN, KEPT, REFUSED, LOST };

struct item {
    uint32_t registry;
    uint32_t started, answered; /* stamps */
    uint32_t place;             /* in the list, from 1; 0: not seen */
    enum fate fate;
};

struct registry {
    char id[ID_SIZE];
    char closes_at[32], closed_at[32], closed_by[16]; /* as first seen */
    int64_t closes_ms;                                /* not before that */
    uint32_t *seen;                                   /* numbers of the items, as in the list */
    uint32_t seen_len, seen_cap;
    uint32_t kept_len;        /* how many are KEPT */
    uint32_t latest_start;    /* of those seen */
    uint32_t finishes;        /* sent */
    uint32_t finish_answered; /* stamp of the 200 */
    uint32_t closed_seen;     /* stamp of the first look that showed it closed */
    bool is_touched;          /* in this round */
};

struct stats {
    int64_t registries, items, open, closed;
};

enum kind { OPEN, ADD, FINISH, PEEK, STATS };

/* One request, and what was known when it started. */
struct op {
    enum kind kind;
    bool is_retry;     /* sent again with the key of a request that had no answer */
    bool is_repeat;    /* sent again with the key of one that was answered */
    uint32_t number;   /* of the item or the open */
    uint32_t registry; /* all but STATS and an OPEN that is no repeat */
    uint32_t started;
    uint32_t least_len;
    int64_t wall_ms;
    struct stats least;
};

/* To be sent again. */
struct retry {
    enum kind kind;
    uint32_t number;
    uint32_t registry; /* of an Open that was answered */
    bool is_repeat;
};

struct model {
    unsigned seed, round;
    uint64_t passed, failed, unanswered;
    bool is_ending;      /* from here on a request of this round may stay without answer */
    int64_t open_for_ms; /* of a registry opened now */
    uint32_t stamp;
    struct item *items;
    uint32_t item_len, item_cap;
    struct registry *registries;
    uint32_t registry_len, registry_cap;
    struct retry *retries;
    uint32_t retry_len, retry_cap;
    uint32_t round_item, round_registry; /* the first ones of this round */
    uint32_t old[OLD_MAX], old_len;      /* earlier registries that this round adds to */
    uint32_t open_number, opens_under_way;
    int64_t hidden_least, hidden_most;
    int64_t seen_items; /* sum of seen_len */
    struct stats least; /* what Stats has said already */
};

/* A number below that; the state is any number. */
uint32_t draw(uint64_t *random, uint32_t below);

/* Says what was expected and found, with seed and round. */
void model_wrong(struct model *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

void model_start_round(struct model *m, uint64_t *random);
/* What is to be asked next; from now on it is under way. */
struct op model_begin(struct model *m, uint64_t *random);
/* err < 0: there was no answer. */
void model_answered(struct model *m, const struct op *op, int err, const struct answer *a);
/* All that was touched in this round, a sample of the rest, and Stats. */
void model_look(struct model *m, uint16_t port, uint64_t *random);
void model_free(struct model *m);

/* Asks it; id is the registry's or "". Result as client_ask's. */
MUST_USE int op_send(struct client *c, const struct op *op, const char *id, struct answer *ret);

#endif
