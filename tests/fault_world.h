/* fault_world.h - the registry with fault_shim.c before its system calls, taken through its life
 *
 * A life is a data folder, the process on it, and the model of what must be there. It is cut into
 * phases, so that a fault can be put into one: the test brings a life to where a phase begins
 * (life_prepare), arms a site (life_arm), has the phase gone through (life_run), and looks at what
 * came of it. life_recover() then has to find everything again.
 *
 * Nothing waits for time to pass: what is due after seconds is made due by moving the process's
 * boot clock ahead, which the shim does.
 */
#ifndef TESTS_FAULT_WORLD_H
#define TESTS_FAULT_WORLD_H

#include "fault_page.h"
#include "hammer.h"

enum { OPEN_FOR_H = 10000 }; /* a registry */

enum phase {
    START_NEW,    /* there is no folder yet */
    START_CLEAN,  /* the last process was ended by SIGTERM */
    START_KILLED, /* ... by SIGKILL */
    START_SAVING, /* ... and had not settled what it had written into the checkpoint */
    LOAD,         /* clients ask */
    LOAD_NEW,     /* ... and fill the first segment of a new folder, so that there is a second */
    SAVE,         /* the checkpoint is brought up to date in the background */
    SAVE_NEW,     /* ... and made */
    STOP,         /* SIGTERM */
    STOP_NEW,     /* ... before there is a checkpoint */
    PHASES
};

/* What came of a phase. */
enum outcome {
    UNSEEN = 1,       /* all was answered, nothing was said */
    SAID = 2,         /* all was answered, and a line says what went wrong */
    CUT = 4,          /* a client lost its connection, no more */
    NOT_NOW = 8,      /* 503 with a sentence; it goes on by itself */
    ENDED = 16,       /* with an exit code that is a failure, and a line that says why */
    NOT_STARTED = 32, /* the same, before anybody was served */
    BROKEN = 64       /* anything else: by a signal, without a word, too late */
};

struct observed {
    enum outcome outcome;
    uint64_t hits;
    int code;       /* -1: it lives */
    char said[600]; /* the last line that it said of itself, or the 503 */
};

struct life {
    struct service service;
    struct model model;
    struct fault_page *page;
    uint64_t random;
    uint64_t seed;
    long said_from; /* of its output: what it says in the phase */
    char page_path[300];
    char settings[3][1024];
    const char *setting_list[4];
};

/* Makes the page; begins no life yet. */
void life_init(struct life *l, unsigned seed, const char *binary);
void life_free(struct life *l);

bool life_is_up(const struct life *l);
/* False when it cannot be brought there, which the model was told. */
bool life_prepare(struct life *l, enum phase phase);
/* The calls of a site from the n-th of now on, count of them (0: all). */
void life_arm(struct life *l, enum fault_call call, enum fault_place place, int error, uint64_t n,
              uint64_t count);
void life_disarm(struct life *l);
void life_run(struct life *l, enum phase phase, struct observed *ret);
/* Nothing fails any more: it serves again, after a start if it has ended or is to be killed, and
 * has everything. may_refuse: the background may meet the fault as late as now. */
void life_recover(struct life *l, bool may_refuse, bool is_to_kill);
/* A new folder, with nothing in it. */
bool life_begin(struct life *l);
/* Has clients ask; what was refused and cut is in ret's fields. */
void life_load(struct life *l, unsigned clients, uint64_t asks, struct hammers *ret);
/* False when it does not start; code and said tell why. */
bool life_start(struct life *l, struct observed *ret);
/* The machine is suspended for so long; the clock that timeouts are measured by stands still. */
void life_suspend(struct life *l, int64_t ms);
uint64_t life_calls(const struct life *l, enum fault_call call, enum fault_place place);

#endif
