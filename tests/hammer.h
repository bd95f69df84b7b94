/* hammer.h - clients on threads that ask what comes to the model's mind
 *
 * They go on until all was asked, they are told that it is over, or the server is gone. What was
 * answered, and what was not, the model is told. While they ask, only they touch the model.
 */
#ifndef TESTS_HAMMER_H
#define TESTS_HAMMER_H

#include "crash_model.h"

#include <pthread.h>

enum { HAMMERS_MAX = 64 };

struct hammers;
struct hammer {
    struct hammers *all;
    uint64_t random;
    pthread_t thread;
};

struct hammers {
    struct model *model;
    uint16_t port;
    unsigned clients; /* at most HAMMERS_MAX */
    uint64_t random;
    uint64_t asks;     /* of all of them together; 0: no end of it */
    bool is_tenacious; /* after a lost connection they make another, as long as somebody listens */

    uint64_t asked, refused, cut; /* in all; with 503; connections lost */
    char refusal[512];            /* the body of the last 503 */
    bool is_over;
    pthread_mutex_t lock;
    struct hammer each[HAMMERS_MAX];
};

void hammers_start(struct hammers *h);
/* From now on a request may stay without answer, and none is made any more. */
void hammers_tell_over(struct hammers *h);
void hammers_join(struct hammers *h);

#endif
