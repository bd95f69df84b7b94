/* hub.h - a partition with its front over a store that does what it is told
 *
 * The store is the one in memory behind a layer that can refuse commits, refuse to be opened, say
 * that the disk is full. Wall clock and boot clock are wound by hand, each for itself. Activities
 * run when hub_run_job() is called. The app is always the same (hub.c): webhooks that start, raise,
 * signal and read anything, an entity "List", and a handful of orchestrations.
 *
 *     hub_ask     one request in a pass of its own
 *     hub_line    puts one in line; hub_pass() then takes all that are
 *     hub_settle  passes until nothing is due; fails the test when that has no end
 */
#ifndef TESTS_HUB_H
#define TESTS_HUB_H

#include "front/front.h"
#include "front/settings.h"

enum { HUB_START_MS = 1000000000, HUB_LISTENERS_MAX = 8 };

struct hub_answer {
    int status;
    bool is_held;
    char body[4096]; /* of a stream, what came behind its beginning */
};

struct hub {
    struct env env;
    int64_t wall_ms, boot_ms;
    uint64_t random;
    struct job *first_job, *last_job; /* submitted, not run yet */
    struct app app;
    struct routes routes;
    ks_settings settings;
    struct partition_limits limits;
    struct memory_disk *disk;
    struct partition *partition;
    struct front *front;
    struct buf log;
    ks_arena mem; /* of requests and answers */
    size_t passes;
    struct listener *listeners[HUB_LISTENERS_MAX];
    size_t listener_count;

    /* What the store is to do. */
    int commit_error;   /* each commit is refused with it; 0: none */
    bool keeps_refused; /* ... but the disk has it all the same */
    int open_error;     /* each open */
    enum store_room room;
    bool recovers_all;     /* each open leaves every instance in the table, as a journal does */
    size_t opens, commits; /* that went well */
    size_t loads;
};

void hub_open(struct hub *h, struct partition_limits limits);
void hub_close(struct hub *h);
/* Around a test: *state is its limits, and then the hub. */
int hub_set_up(void **state);
int hub_tear_down(void **state);
#define HUB_TEST(claim, name, limits) \
    { \
        name, claim, hub_set_up, hub_tear_down, &limits \
    }
/* The process dies and is started again; jobs that have not run are lost. */
void hub_crash(struct hub *h);

/* Takes what is in line. What front_round() says. */
bool hub_pass(struct hub *h);
void hub_settle(struct hub *h);
/* Both clocks go on, through everything that becomes due. */
void hub_advance(struct hub *h, int64_t ms);

struct hub_answer *hub_line(struct hub *h, const char *method, const char *body, const char *target,
                            ...) __attribute__((format(printf, 4, 5)));
const struct hub_answer *hub_ask(struct hub *h, const char *method, const char *body,
                                 const char *target, ...) __attribute__((format(printf, 4, 5)));

/* Asks, and fails the test when the answer is another. */
void hub_expect(struct hub *h, const char *target, const char *body);
void hub_post(struct hub *h, const char *target, const char *body);

/* Runs the oldest job, or the i-th, and gives it back. */
void hub_run_job(struct hub *h, size_t i);
size_t hub_jobs(const struct hub *h);

#endif
