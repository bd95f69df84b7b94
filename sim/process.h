/* process.h - the simulated process: the real engine, from start to whatever end
 *
 *     DOWN --start--> UP --round, job ...--> UP
 *      ^               |
 *      +---------------+  killed, power lost, die(), closed
 *
 * The process runs between process_...() calls only. Wherever it is when it ends, the call that let
 * it run returns, its memory and jobs are gone, and the disk keeps what such an end leaves.
 */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include "sim/sim.h"

enum death { DEATH_KILLED, DEATH_POWER, DEATH_OWN };
/* Which calls of the disk count towards an end: all; those that make, move or unlink a name, or
 * make names last; those while the checkpoint's log is being settled. */
enum end_where { END_ANYWHERE, END_AT_NAME, END_WHILE_SETTLING };

struct sim_job {
    struct job *job;                         /* NULL: this slot is free */
    bool is_activity, is_worked, is_waiting; /* waiting: for those before it */
    struct turn turn;
    uint64_t order;
};

enum { JOBS_MAX = 4096 };

struct process {
    bool is_up;
    bool is_inside;  /* it runs at this moment */
    bool was_leaked; /* reported: memory left after an orderly end */
    jmp_buf death;
    enum death kind;
    char why[600]; /* of its own end, or of a refusal to start */
    struct app app;
    struct routes routes;
    ks_settings settings;
    struct partition *partition;
    struct front *front;
    uint64_t generation; /* of processes */
    struct turn evicts;
    int64_t started_ns, entered_ns;
    int64_t round_ns; /* when it wants a round */
    uint64_t rounds_now;
    int64_t rounds_now_ns;
    struct sim_job jobs[JOBS_MAX];
    size_t jobs_end; /* behind the last that was ever used */
    uint64_t job_order;
    uint32_t ends_in; /* calls of the disk, then it ends; 0: it does not */
    enum end_where ends_where;
    enum death ends_how;
    const ks_function *functions;
};

/* A crash of ours is a promise broken, too. */
void process_catch_signals(void);

struct process *process_new(struct sim *s, const ks_function *functions);
void process_free(struct process *p);

/* Whether it is up then. Else it refused (process->why) or ended. */
bool process_start(struct sim *s);
/* From outside, between two steps. */
void process_end(struct sim *s, enum death how);
/* An orderly end: false when it ended otherwise. */
bool process_close(struct sim *s);
/* A request has come. False when the process is not up, or ended. */
bool process_request(struct sim *s, void *request, const struct http1_request *http);
/* A stream is gone, or has room again. */
void process_stream_closed(struct sim *s, struct listener *listener);
void process_stream_ready(struct sim *s, struct listener *listener);
/* One pass. False when the process is not up any more. */
bool process_round(struct sim *s);
void process_evict(struct sim *s);
/* Frees what it has, whatever it was doing; the world is not told. */
void process_forget(struct sim *s);
/* A job's time has come. */
void process_job(struct sim *s, uint64_t slot);
/* Engine time. */
int64_t process_clock_ms(const struct sim *s);

#endif
