/* chaos.h - what breaks, and when; and what of it excuses the process
 *
 * A process may end itself, refuse to start or answer 503 only for a reason. The reasons are what
 * was done to it, and are known here.
 */
#ifndef SIM_CHAOS_H
#define SIM_CHAOS_H

#include "sim/process.h"

struct chaos *chaos_new(struct sim *s);
void chaos_free(struct chaos *c);
/* Draws what the seed is about. */
void chaos_draw_swarm(struct sim *s);
void chaos_start(struct sim *s);
void chaos_happens(struct sim *s, const struct sim_event *e);
/* Everything works from now on. */
void chaos_calm(struct sim *s);

/* The process is about to be gone. What is left to chance of that is drawn from the span of whoever
 * did it; the one that was before is returned. */
struct turn chaos_process_ends(struct sim *s);
/* From the process: it started, ended, refused, could not commit; a part of it took that long. */
void chaos_started(struct sim *s);
void chaos_process_over(struct sim *s, enum death how, const char *why);
void chaos_refused(struct sim *s, const char *why);
void chaos_pass_failed(struct sim *s);
void chaos_took(struct sim *s, int64_t ns);
void chaos_round(struct sim *s);

/* Whether something was done, lately, that explains a refusal. */
bool chaos_excuses(const struct sim *s);

#endif
