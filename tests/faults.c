/* faults.c - the real binary when its system calls fail
 *
 *     faults [--seed S] [--all] [--phase N] [--every N]
 *
 * First each phase of a life (fault_world.h) is gone through without a fault, and which call sites
 * it has is counted. Then each of them fails, with each error that makes sense: once, at the first
 * call or at one that the seed picks, and for as long as the phase goes on. What must follow stands
 * in fault_rules.h; that nothing is lost, made up or served twice, the crash model says. With --all
 * each site fails in each phase that has it, at each of its first calls; without, in one phase of
 * each kind.
 *
 * With --every, one fault in so many is had, as the seed picks. A run with the same seed is alike,
 * not the same, since there are threads.
 */
#include "fault_cases.h"
#include "fault_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALL_CALLS_MAX = 40, ALLOCS = 24 };

static const char *const call_names[FAULT_CALLS] = {"open",  "list",     "read",   "write",
                                                    "sync",  "truncate", "rename", "unlink",
                                                    "mkdir", "stat",     "lock",   "unlock",
                                                    "map",   "accept",   "thread", "alloc"};
static const char *const place_names[FAULT_PLACES] = {"log",    "mark",       "spare",  "prepare",
                                                      "new",    "checkpoint", "wal",    "undo",
                                                      "shm",    "copy",       "lock",   "blackbox",
                                                      "folder", "parent",     "socket", "other"};
static const char *const phase_names[PHASES] = {"start (new)",    "start (clean)", "start (killed)",
                                                "start (saving)", "work",          "work (new)",
                                                "save",           "save (new)",    "stop",
                                                "stop (new)"};

/* Of those that are made on a file or a socket: what a kernel, a disk or a network may say. */
static const int errors[FAULT_CALLS][5] = {[CALL_OPEN] = {EMFILE, EIO},
                                           [CALL_LIST] = {EIO},
                                           [CALL_READ] = {EIO, EINTR, FAULT_SHORT},
                                           [CALL_WRITE] = {EIO, ENOSPC, EINTR, FAULT_SHORT},
                                           [CALL_SYNC] = {EIO, EINTR},
                                           [CALL_TRUNCATE] = {EIO, EINTR},
                                           [CALL_RENAME] = {EIO},
                                           [CALL_UNLINK] = {EIO},
                                           [CALL_MKDIR] = {ENOSPC},
                                           [CALL_STAT] = {EIO},
                                           [CALL_LOCK] = {ENOLCK},
                                           [CALL_UNLOCK] = {ENOLCK},
                                           [CALL_MAP] = {ENOMEM},
                                           [CALL_ACCEPT] = {EMFILE, ENOMEM, ECONNABORTED, EINTR},
                                           [CALL_THREAD] = {EAGAIN},
                                           [CALL_ALLOC] = {ENOMEM}};

typedef uint64_t counts[PHASES][FAULT_CALLS][FAULT_PLACES];

struct trial {
    enum phase phase;
    enum fault_call call;
    enum fault_place place;
    int error;
    uint64_t at, count; /* count 0: from there on */
};

struct sweep {
    struct life life;
    counts calls;
    unsigned trials, reached, every, seen; /* one in every, of those seen */
    uint64_t passed, failed;
    bool is_all;
    bool is_done[AT_STOP + 1][FAULT_CALLS][FAULT_PLACES];
};

static unsigned kind_of(enum phase phase)
{
    return phase <= START_SAVING ? AT_START
           : phase <= LOAD_NEW   ? AT_WORK
           : phase <= SAVE_NEW   ? AT_SAVE
                                 : AT_STOP;
}

static void snapshot(const struct life *l, uint64_t ret[FAULT_CALLS][FAULT_PLACES])
{
    for (enum fault_call call = 0; call < FAULT_CALLS; call++)
        for (enum fault_place place = 0; place < FAULT_PLACES; place++)
            ret[call][place] = life_calls(l, call, place);
}

static void count_phase(struct sweep *s, enum phase phase)
{
    static uint64_t before[FAULT_CALLS][FAULT_PLACES], after[FAULT_CALLS][FAULT_PLACES];
    struct observed o;
    if (!life_prepare(&s->life, phase))
        return;
    snapshot(&s->life, before);
    life_run(&s->life, phase, &o);
    snapshot(&s->life, after);
    for (int call = 0; call < FAULT_CALLS; call++)
        for (int place = 0; place < FAULT_PLACES; place++)
            s->calls[phase][call][place] = after[call][place] - before[call][place];
    if (o.outcome != UNSEEN)
        model_wrong(&s->life.model, "%s without a fault: code %d, %s", phase_names[phase], o.code,
                    o.said);
    life_recover(&s->life, false, true);
}

/* ---- one fault ---- */

static const struct fault_rule *rule_of(const struct trial *t)
{
    for (size_t i = 0; i < sizeof fault_rules / sizeof *fault_rules; i++) {
        const struct fault_rule *r = &fault_rules[i];
        if ((r->when & kind_of(t->phase)) && (r->call == ANY || r->call == (int)t->call) &&
            (r->place == ANY || r->place == (int)t->place) &&
            (r->error == ANY || r->error == t->error))
            return r;
    }
    return NULL;
}

static void say(const struct trial *t, const struct observed *o, const char *what)
{
    const char *error = t->error == FAULT_SHORT ? "short" : strerrorname_np(t->error);
    printf("%s, %s of %s gives %s at call %llu%s: %s (%#x, code %d, %llu hits) %s\n",
           phase_names[t->phase], call_names[t->call], place_names[t->place], error,
           (unsigned long long)t->at, t->count ? "" : " and all that follow", what,
           (unsigned)o->outcome, o->code, (unsigned long long)o->hits, o->said);
    fflush(stdout);
}

static void run_trial(struct sweep *s, const struct trial *t)
{
    struct life *l = &s->life;
    struct observed o;
    uint64_t failed = l->model.failed;
    const struct fault_rule *rule = rule_of(t);
    if (s->seen++ % s->every != l->seed % s->every)
        return;
    l->model.round++;
    if (!life_prepare(l, t->phase)) {
        life_begin(l);
        return;
    }
    life_arm(l, t->call, t->place, t->error, t->at, t->count);
    life_run(l, t->phase, &o);
    s->trials++;
    s->reached += o.hits > 0;
    bool is_right = rule && (o.outcome & (o.hits ? rule->may : UNSEEN));
    if (!rule)
        say(t, &o, "nobody has decided what has to follow");
    else if (!is_right)
        say(t, &o, "not what has to follow");
    life_recover(l, rule && rule->may & NOT_NOW, s->trials % 2);
    if (l->model.failed != failed)
        say(t, &o, "the model disagrees");
    else
        s->passed += is_right;
    s->failed += !is_right;
    if (l->model.failed != failed)
        life_begin(l); /* what is wrong once need not be wrong in all that follows */
    if (getenv("FAULTS_VERBOSE"))
        say(t, &o, "-");
}

/* ---- all of them ---- */

/* Clients are served only while it runs; what is behind PLACE_OTHER is libuv's eventfd, which
 * ends the process by abort(), and libraries. */
static bool is_of_interest(enum phase phase, enum fault_call call, enum fault_place place)
{
    if (place == PLACE_OTHER)
        return call == CALL_MAP || call == CALL_THREAD;
    if (place == PLACE_SOCKET)
        return kind_of(phase) & RUNNING;
    return call != CALL_ALLOC;
}

static void fail_site(struct sweep *s, struct trial t)
{
    uint64_t calls = s->calls[t.phase][t.call][t.place];
    uint64_t most = s->is_all && calls < ALL_CALLS_MAX ? calls : 1;
    for (const int *error = errors[t.call]; *error; error++) {
        t.error = *error;
        t.count = 1;
        bool is_gone_on_with = t.error == EINTR || t.error == FAULT_SHORT;
        for (t.at = 1; t.at <= most && (s->is_all || !is_gone_on_with); t.at++)
            run_trial(s, &t);
        t.at = 1 + draw(&s->life.random, (uint32_t)calls);
        if (t.at > most || (!s->is_all && is_gone_on_with))
            run_trial(s, &t);
        t.at = 1;
        t.count = 0;
        /* A lock that is refused for ever is waited for, by SQLite, for seconds. */
        bool is_lasting = t.error == EIO || t.error == ENOSPC || (s->is_all && t.error == EMFILE);
        if (is_lasting && t.place != PLACE_SOCKET)
            run_trial(s, &t);
    }
}

static void fail_sites(struct sweep *s, enum phase phase)
{
    for (enum fault_call call = 0; call < FAULT_CALLS; call++)
        for (enum fault_place place = 0; place < FAULT_PLACES; place++) {
            bool *is_done = &s->is_done[kind_of(phase)][call][place];
            if (!s->calls[phase][call][place] || !is_of_interest(phase, call, place) ||
                (*is_done && !s->is_all))
                continue;
            *is_done = true;
            fail_site(s, (struct trial){.phase = phase, .call = call, .place = place});
        }
}

/* Under ASan memory is its own, and is never short. */
static void fail_memory(struct sweep *s, enum phase phase)
{
    struct trial t = {.phase = phase, .call = CALL_ALLOC, .place = PLACE_OTHER, .error = ENOMEM};
    uint64_t calls = s->calls[phase][CALL_ALLOC][PLACE_OTHER];
    for (uint64_t i = 0; i < (s->is_all ? calls : ALLOCS) && calls; i++) {
        t.at = s->is_all ? i + 1 : 1 + draw(&s->life.random, (uint32_t)calls);
        t.count = i % 2;
        run_trial(s, &t);
    }
}

/* The new folders last: in the other phases they have no more than the old ones. */
static const enum phase order[PHASES] = {START_SAVING, START_CLEAN, START_KILLED, START_NEW,
                                         LOAD,         LOAD_NEW,    SAVE,         SAVE_NEW,
                                         STOP,         STOP_NEW};

static void sweep(struct sweep *s, int only)
{
    static const enum phase memory[] = {START_NEW, START_SAVING, LOAD, SAVE};
    if (!life_begin(&s->life))
        return;
    for (enum phase phase = 0; phase < PHASES; phase++)
        count_phase(s, phase);
    for (int i = 0; i < PHASES; i++)
        if (only < 0 || order[i] == (enum phase)only)
            fail_sites(s, order[i]);
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        if (only < 0 || memory[i] == (enum phase)only)
            fail_memory(s, memory[i]);
}

int main(int argc, char **argv)
{
    static struct sweep s = {.every = 1};
    unsigned seed = (unsigned)(wall_ms() % 1000000);
    int only = -1; /* phase */
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0)
            s.is_all = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--phase") == 0 && i + 1 < argc)
            only = atoi(argv[++i]);
        else if (strcmp(argv[i], "--every") == 0 && i + 1 < argc)
            s.every = (unsigned)atoi(argv[++i]);
        else
            s.every = 0;
    }
    if (!s.every) {
        fprintf(stderr, "usage: faults [--seed S] [--all] [--phase 0..%d] [--every N]\n",
                PHASES - 1);
        return 2;
    }
    life_init(&s.life, seed, service_binary());
    if (only < 0)
        fault_cases(&s.life, &s.passed, &s.failed);
    sweep(&s, only);
    s.failed += s.life.model.failed;
    printf("%u faults, %u of them met; the model agreed %llu times\n", s.trials, s.reached,
           (unsigned long long)s.life.model.passed);
    if (s.trials && s.reached < s.trials / 2) {
        printf("too few were met: this tests nothing\n");
        s.failed++;
    }
    printf("faults, seed %u: %llu passed, %llu failed\n", seed, (unsigned long long)s.passed,
           (unsigned long long)s.failed);
    life_free(&s.life);
    return s.failed ? 1 : 0;
}
