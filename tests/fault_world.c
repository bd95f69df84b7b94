#include "fault_world.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CLIENTS = 4,
    ASKS = 60,
    ASKS_NEW = 1200, /* more than a first segment of 1 MiB has blocks, but for what shares one */
    ASKS_BEFORE = 16,
    SAVE_DUE_MS = 11000,
    RETRY_DUE_MS = 2000,
    POLLS_MAX = 4000,
    TRIES_AFTER_HIT = 8,
    DUE_EVERY = 16,
    ASKS_AFTER = 8,   /* some of them change something */
    LATE_HITS_MS = 50 /* what the background does may come a moment later */
};

/* ---- up and down ---- */

/* Under ASan its library has to come first. */
static void find_asan(char *ret, size_t size)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    assert(maps);
    ret[0] = 0;
    while (!ret[0] && fgets(line, sizeof line, maps)) {
        const char *path = strchr(line, '/');
        if (path && strstr(path, "/libasan.so"))
            snprintf(ret, size, "%.*s:", (int)strcspn(path, "\n"), path);
    }
    fclose(maps);
}

void life_init(struct life *l, unsigned seed, const char *binary)
{
    char shim[400], asan[500];
    *l = (struct life){.seed = seed, .random = seed, .service.binary = binary};
    path_beside("fault_shim.so", shim, sizeof shim);
    find_asan(asan, sizeof asan);
    const char *under = getenv("TMPDIR");
    snprintf(l->page_path, sizeof l->page_path, "%s/keepsake-page-XXXXXX",
             under && *under ? under : "/tmp");
    int file = mkstemp(l->page_path);
    assert(file >= 0);
    int err = ftruncate(file, sizeof *l->page);
    assert(err == 0);
    l->page = mmap(NULL, sizeof *l->page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    assert(l->page != MAP_FAILED);
    close(file);
    snprintf(l->settings[0], sizeof l->settings[0], FAULT_PAGE_VARIABLE "=%s", l->page_path);
    snprintf(l->settings[1], sizeof l->settings[1], "LD_PRELOAD=%s%s", asan, shim);
    snprintf(l->settings[2], sizeof l->settings[2], "REGISTRY_OPEN_FOR=%dh", OPEN_FOR_H);
    for (int i = 0; i < 3; i++)
        l->setting_list[i] = l->settings[i];
}

bool life_is_up(const struct life *l)
{
    return l->service.pid != 0;
}

static void model_anew(struct life *l)
{
    uint64_t passed = l->model.passed, failed = l->model.failed;
    unsigned round = l->model.round;
    model_free(&l->model);
    l->model = (struct model){.seed = (unsigned)l->seed,
                              .round = round,
                              .passed = passed,
                              .failed = failed,
                              .open_for_ms = (int64_t)OPEN_FOR_H * 3600000};
}

void life_free(struct life *l)
{
    service_free(&l->service);
    model_free(&l->model);
    munmap(l->page, sizeof *l->page);
    unlink(l->page_path);
}

bool life_begin(struct life *l)
{
    const char *binary = l->service.binary;
    service_free(&l->service);
    int err = service_init(&l->service, binary);
    model_anew(l);
    model_start_round(&l->model, &l->random);
    if (err < 0)
        model_wrong(&l->model, "no folder: %s", strerror(-err));
    return err == 0;
}

/* What it says of any machine that is busy. */
static bool is_of_the_watchdog(const char *line)
{
    return strstr(line, "held the partition");
}

/* Of die(): the process is about to end. */
static bool is_last_word(const char *line)
{
    return strncmp(line, "keepsake: ", 10) == 0;
}

/* The last line that it said by itself: behind its list of functions all are of that kind. */
static void read_said(const struct life *l, char *ret, size_t size)
{
    char line[2048];
    FILE *file = fopen(l->service.output, "r");
    ret[0] = 0;
    if (!file)
        return;
    fseek(file, l->said_from, SEEK_SET);
    while (fgets(line, sizeof line, file))
        if ((line[0] == '[' && !is_of_the_watchdog(line)) || is_last_word(line) ||
            strncmp(line, "registry: ", 10) == 0)
            snprintf(ret, size, "%.*s", (int)strcspn(line, "\n"), line);
    fclose(file);
}

/* What it says from now on; a start empties the file. */
static void listen_from_here(struct life *l)
{
    struct stat st;
    bool is_there = life_is_up(l) && stat(l->service.output, &st) == 0;
    l->said_from = is_there ? (long)st.st_size : 0;
}

/* It ended, or is about to: with what? */
static void take_end(struct life *l, struct observed *ret)
{
    ret->code = process_wait(l->service.pid, 30000);
    l->service.pid = 0;
    read_said(l, ret->said, sizeof ret->said);
    bool is_clear = ret->code > 0 && ret->code < 128 && strchr(ret->said, ' ');
    ret->outcome = is_clear ? ENDED : BROKEN;
}

bool life_start(struct life *l, struct observed *ret)
{
    *ret = (struct observed){.code = -1, .outcome = UNSEEN};
    listen_from_here(l);
    int err = service_start(&l->service, l->setting_list);
    if (err == 0) {
        read_said(l, ret->said, sizeof ret->said);
        ret->outcome = ret->said[0] ? SAID : UNSEEN;
        return true;
    }
    if (err != -ECHILD)
        service_stop(&l->service, SIGKILL);
    else
        take_end(l, ret);
    ret->outcome = err == -ECHILD && ret->outcome == ENDED ? NOT_STARTED : BROKEN;
    return false;
}

static bool start_well(struct life *l)
{
    struct observed o;
    if (life_is_up(l) || life_start(l, &o))
        return true;
    model_wrong(&l->model, "it does not start, with %d: %s", o.code, o.said);
    return false;
}

/* ---- faults ---- */

uint64_t life_calls(const struct life *l, enum fault_call call, enum fault_place place)
{
    return atomic_load(&l->page->calls[call][place]);
}

void life_arm(struct life *l, enum fault_call call, enum fault_place place, int error, uint64_t n,
              uint64_t count)
{
    struct fault *f = &l->page->faults[call][place];
    uint64_t from = life_calls(l, call, place) + n;
    atomic_store(&f->from, from);
    atomic_store(&f->until, count ? from + count : UINT64_MAX);
    atomic_store(&l->page->hits, 0);
    atomic_store(&f->error, error);
}

void life_disarm(struct life *l)
{
    for (int call = 0; call < FAULT_CALLS; call++)
        for (int place = 0; place < FAULT_PLACES; place++)
            atomic_store(&l->page->faults[call][place].error, 0);
    atomic_store(&l->page->hits, 0);
    atomic_store(&l->page->is_full, false);
}

static bool is_armed(const struct life *l)
{
    bool is_armed = false;
    for (int call = 0; call < FAULT_CALLS; call++)
        for (int place = 0; place < FAULT_PLACES; place++)
            is_armed |= atomic_load(&l->page->faults[call][place].error) != 0;
    return is_armed;
}

static void move_clock(struct life *l, int64_t ms)
{
    atomic_fetch_add(&l->page->ahead_ns, ms * 1000000);
}

void life_suspend(struct life *l, int64_t ms)
{
    move_clock(l, ms);
    kill(l->service.pid, SIGUSR1);
}

/* ---- phases ---- */

void life_load(struct life *l, unsigned clients, uint64_t asks, struct hammers *ret)
{
    *ret = (struct hammers){.model = &l->model,
                            .port = l->service.port,
                            .clients = clients,
                            .random = ++l->random * 7919,
                            .asks = asks,
                            .is_tenacious = true};
    hammers_start(ret);
    hammers_join(ret);
}

/* Brings the checkpoint up to date; with a fault, until it was hit a few times. */
static void save(struct life *l, struct hammers *h)
{
    uint64_t before = life_calls(l, CALL_TRUNCATE, PLACE_WAL), refused = 0, cut = 0;
    char refusal[sizeof h->refusal] = "";
    int tries = TRIES_AFTER_HIT;
    for (int i = 0; i < POLLS_MAX && tries && !service_has_ended(&l->service) &&
                    life_calls(l, CALL_TRUNCATE, PLACE_WAL) == before;
         i++) {
        if (i % DUE_EVERY == 0)
            move_clock(l, SAVE_DUE_MS); /* since the first pass with something to save */
        life_load(l, 1, 1, h);
        refused += h->refused;
        cut += h->cut;
        if (h->refused)
            memcpy(refusal, h->refusal, sizeof refusal);
        nap_ms(1); /* it waits for the one thread of the background */
        if (!atomic_load(&l->page->hits))
            continue;
        tries--;
        move_clock(l, RETRY_DUE_MS);
    }
    h->refused = refused;
    h->cut = cut;
    memcpy(h->refusal, refusal, sizeof refusal);
}

static bool is_start(enum phase phase)
{
    return phase <= START_SAVING;
}

static bool is_new(enum phase phase)
{
    return phase == START_NEW || phase == LOAD_NEW || phase == SAVE_NEW || phase == STOP_NEW;
}

static bool end_well(struct life *l, int how)
{
    char said[600];
    int code = service_stop(&l->service, how);
    bool is_right = code == (how == SIGTERM ? 0 : 128 + SIGKILL);
    read_said(l, said, sizeof said);
    if (!is_right)
        model_wrong(&l->model, "after signal %d it ended with %d: %s", how, code, said);
    return is_right;
}

bool life_prepare(struct life *l, enum phase phase)
{
    struct hammers h;
    l->model.is_ending = false;
    atomic_store(&l->page->hits, 0);
    if (is_new(phase) && !life_begin(l))
        return false;
    model_start_round(&l->model, &l->random);
    if (phase == START_NEW)
        return true;
    if (!start_well(l))
        return false;
    if (phase != LOAD && phase != LOAD_NEW)
        life_load(l, CLIENTS, ASKS_BEFORE, &h);
    if (phase == SAVE)
        save(l, &h); /* there is a checkpoint */
    if (phase == START_SAVING) {
        struct observed o;
        l->model.is_ending = true;
        life_arm(l, CALL_SYNC, PLACE_DB, EIO, 1, 0);
        save(l, &h);
        life_disarm(l);
        take_end(l, &o);
        if (o.outcome != ENDED)
            model_wrong(&l->model, "a checkpoint that could not be synced gave %d: %s", o.code,
                        o.said);
    } else if (is_start(phase)) {
        return end_well(l, phase == START_CLEAN ? SIGTERM : SIGKILL);
    }
    return true;
}

static void judge(struct life *l, const struct hammers *h, struct observed *ret)
{
    if (h->cut && !service_has_ended(&l->service)) {
        /* The connection goes a moment before the process does. */
        struct client c;
        struct answer a;
        client_init(&c, l->service.port);
        int err = client_ask(&c, &(struct ask){.path = "/admin/host/ping"}, &a);
        client_free(&c);
        ret->outcome = err < 0 ? BROKEN : CUT;
    }
    if (service_has_ended(&l->service) || ret->outcome == BROKEN) {
        take_end(l, ret);
        return;
    }
    read_said(l, ret->said, sizeof ret->said);
    if (is_last_word(ret->said)) {
        take_end(l, ret);
        return;
    }
    if (h->refused) {
        ret->outcome = strstr(h->refusal, "\"detail\":\"") ? NOT_NOW : BROKEN;
        snprintf(ret->said, sizeof ret->said, "%s", h->refusal);
    } else if (ret->outcome != CUT && ret->said[0]) {
        ret->outcome = SAID;
    }
}

void life_run(struct life *l, enum phase phase, struct observed *ret)
{
    struct hammers h = {0};
    l->model.is_ending = true;
    *ret = (struct observed){.code = -1, .outcome = UNSEEN};
    listen_from_here(l);
    if (is_start(phase)) {
        life_start(l, ret);
    } else if (phase == STOP || phase == STOP_NEW) {
        kill(l->service.pid, SIGTERM);
        take_end(l, ret);
        if (ret->code == 0)
            ret->outcome = UNSEEN;
    } else {
        if (phase == SAVE || phase == SAVE_NEW)
            save(l, &h);
        else
            life_load(l, CLIENTS, phase == LOAD_NEW ? ASKS_NEW : ASKS, &h);
        judge(l, &h, ret);
    }
    for (int i = 0; i < LATE_HITS_MS && is_armed(l) && life_is_up(l) &&
                    !atomic_load(&l->page->hits) && !service_has_ended(&l->service);
         i++)
        nap_ms(1);
    ret->hits = atomic_load(&l->page->hits);
    if (life_is_up(l) && service_has_ended(&l->service))
        take_end(l, ret);
}

/* Until it has come up again and an answer is none of "not now". */
static bool await_service(struct life *l)
{
    struct hammers h = {0};
    l->model.is_ending = true;
    for (int i = 0; i < POLLS_MAX && !service_has_ended(&l->service); i++) {
        life_load(l, 1, ASKS_AFTER, &h);
        if (!h.refused && !h.cut)
            return true;
        move_clock(l, RETRY_DUE_MS);
        nap_ms(1);
    }
    struct observed o = {0};
    if (service_has_ended(&l->service)) {
        take_end(l, &o); /* by the fault, a moment late */
        if (o.outcome == ENDED)
            return false;
    }
    model_wrong(&l->model, "it does not go on (%d): %s%s", o.code, o.said, h.refusal);
    return false;
}

void life_recover(struct life *l, bool may_refuse, bool is_to_kill)
{
    struct hammers h = {0};
    life_disarm(l);
    if (life_is_up(l) && await_service(l)) {
        l->model.is_ending = may_refuse; /* the background may tell of the fault only now */
        model_look(&l->model, l->service.port, &l->random);
        uint64_t saves = life_calls(l, CALL_TRUNCATE, PLACE_WAL);
        save(l, &h);
        if (life_calls(l, CALL_TRUNCATE, PLACE_WAL) == saves)
            model_wrong(&l->model, "the checkpoint is not saved any more");
        if (!is_to_kill)
            return;
        end_well(l, SIGKILL);
    }
    l->model.is_ending = false;
    if (!start_well(l))
        return;
    model_look(&l->model, l->service.port, &l->random);
}
