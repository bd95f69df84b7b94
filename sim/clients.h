/* clients.h - who asks for what
 *
 * Each client thinks, asks, and does not always wait for the answer: it may vanish, ask the same
 * again with the same key, ask for two things at once, or come back right at a deadline. Requests
 * take a while to arrive; what is under way when the process ends is cut off.
 */
#ifndef SIM_CLIENTS_H
#define SIM_CLIENTS_H

#include "sim/model.h"

struct clients *clients_new(struct sim *s);
void clients_free(struct clients *c);
void clients_start(struct sim *s);
/* EV_CLIENT and EV_ARRIVE. */
void clients_wake(struct sim *s, uint64_t client);
void clients_arrive(struct sim *s, uint64_t request);

/* The front's callback, in the process. */
void clients_answered(struct sim *s, void *request, const struct http1_answer *answer,
                      bool is_held);
/* The front's stream(). */
void *clients_streamed(struct sim *s, void *request, const struct http1_answer *head, bool is_held,
                       struct listener *listener);
/* The round is over: answers that were held may leave, or are taken back. */
void clients_release(struct sim *s, bool is_committed);
/* The process is gone. */
void clients_cut_off(struct sim *s);
/* Asks at once, and runs rounds until it is answered. False when the process ended meanwhile. */
bool clients_ask(struct sim *s, const struct op *op);
/* Whether a refusal, or a timer not fired, is the world's fault at this moment. */
bool clients_may_be_stuck(const struct sim *s);
size_t clients_pending(const struct sim *s);

#endif
