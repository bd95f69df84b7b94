#include "fault_cases.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum {
    CLIENTS = 4,
    FILL_ASKS = 3000, /* some MiB of journal */
    FILL_ROUNDS = 40,
    READS = 50,
    DISK_MIB = 192, /* what a folder may need: 64 MiB that are not saved, spares, the checkpoint */
    BALLAST_BYTES = 1 << 16,
    WAITING = 40,
    FEW_ASKS = 10,
    POLLS_MAX = 10000,
    STILL_POLLS = 200
};

/* ---- a full disk ---- */

/* Takes what room there is, or gives it back. */
struct filler {
    void (*fill)(struct life *l);
    void (*empty)(struct life *l);
};

static void shim_fill(struct life *l)
{
    atomic_store(&l->page->is_full, true);
}

static void shim_empty(struct life *l)
{
    atomic_store(&l->page->is_full, false);
}

static void ballast_path(const struct life *l, char ret[static 400])
{
    snprintf(ret, 400, "%s/ballast", l->service.folder);
}

static void ballast_fill(struct life *l)
{
    static char bytes[BALLAST_BYTES];
    char path[400];
    ballast_path(l, path);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0)
        return;
    for (size_t len = sizeof bytes; len > 0; len /= 2)
        while (write(file, bytes, len) > 0)
            ;
    close(file);
}

static void ballast_empty(struct life *l)
{
    char path[400];
    ballast_path(l, path);
    unlink(path);
}

/* Stats are answered, by a connection of its own. */
static void expect_reads(struct life *l)
{
    struct client c;
    struct answer a;
    client_init(&c, l->service.port);
    for (int i = 0; i < READS; i++) {
        int err = client_ask(&c, &(struct ask){.path = "/api/Stats"}, &a);
        if (err < 0 || a.status != 200) {
            model_wrong(&l->model, "with a full disk Stats are answered with %d (%s)",
                        err < 0 ? 0 : a.status, err < 0 ? strerror(-err) : a.body);
            break;
        }
        l->model.passed++;
    }
    client_free(&c);
}

/* Until clients are refused, which a full disk leads to sooner or later. */
static void fill_up(struct life *l, const struct filler *filler)
{
    struct hammers h = {0};
    l->model.is_ending = true;
    for (int i = 0; i < FILL_ROUNDS && !h.refused && !service_has_ended(&l->service); i++) {
        filler->fill(l);
        life_load(l, CLIENTS, FILL_ASKS, &h);
    }
    if (!h.refused || h.cut || service_has_ended(&l->service))
        model_wrong(&l->model, "with a full disk %llu were refused, %llu cut, and it has%s ended",
                    (unsigned long long)h.refused, (unsigned long long)h.cut,
                    service_has_ended(&l->service) ? "" : " not");
    else if (!strstr(h.refusal, "room") && !strstr(h.refusal, "full"))
        model_wrong(&l->model, "with a full disk it is said: %s", h.refusal);
}

/* Fills the disk, looks, has it killed or not, gives the room back: it goes on and has all. */
static void run_full_disk(struct life *l, const struct filler *filler)
{
    static const bool is_killed[] = {false, true};
    struct observed o;
    for (size_t i = 0; i < 2; i++) {
        if (!life_prepare(l, LOAD))
            return;
        fill_up(l, filler);
        expect_reads(l);
        if (is_killed[i]) {
            service_stop(&l->service, SIGKILL);
            l->model.is_ending = true;
            if (life_start(l, &o)) /* on a spare; with no room for one either it says so */
                expect_reads(l);
            else if (o.outcome != NOT_STARTED || !strstr(o.said, "room"))
                model_wrong(&l->model, "on a full disk it does not start: %d, %s", o.code, o.said);
        }
        filler->empty(l);
        life_recover(l, false, true);
    }
}

static void a_full_disk_refuses_changes_and_loses_nothing(struct life *l)
{
    static const struct filler filler = {shim_fill, shim_empty};
    if (life_begin(l))
        run_full_disk(l, &filler);
}

static bool write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = file >= 0 && write(file, text, strlen(text)) > 0;
    if (file >= 0)
        close(file);
    return is_written;
}

/* Mounts that only this process and what it starts sees. */
static bool may_mount(void)
{
    char map[64];
    snprintf(map, sizeof map, "0 %u 1", (unsigned)geteuid());
    if (unshare(CLONE_NEWNS) < 0 &&
        (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !write_text("/proc/self/uid_map", map)))
        return false;
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void a_full_file_system_refuses_changes_and_loses_nothing(struct life *l)
{
    static const struct filler filler = {ballast_fill, ballast_empty};
    char size[32], folder[sizeof l->service.folder];
    snprintf(size, sizeof size, "size=%dm", DISK_MIB);
    if (!life_begin(l))
        return;
    if (!may_mount() || mount("none", l->service.folder, "tmpfs", 0, size) < 0) {
        printf("no file system may be mounted here (%s): the full disk was the shim's alone\n",
               strerror(errno));
        return;
    }
    snprintf(folder, sizeof folder, "%s", l->service.folder);
    run_full_disk(l, &filler);
    if (life_is_up(l))
        service_stop(&l->service, SIGKILL);
    umount2(folder, MNT_DETACH);
}

/* ---- nobody can be let in ---- */

/* Who is in is served, who wants in waits, and the process does something else than trying again.
 * That it tries again at all is a pause of its own, so what is counted may grow with the time that
 * this takes. */
static void who_cannot_be_let_in_keeps_nobody_busy(struct life *l)
{
    enum { PAUSE_MS = 100, TRIES = 4 };
    static const int errors[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, EPERM};
    struct client in, waiting[WAITING];
    struct answer a;
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
        if (!life_prepare(l, LOAD))
            return;
        client_init(&in, l->service.port);
        int err = client_ask(&in, &(struct ask){.path = "/api/Stats"}, &a);
        life_arm(l, CALL_ACCEPT, PLACE_SOCKET, errors[e], 1, 0);
        uint64_t calls = life_calls(l, CALL_ACCEPT, PLACE_SOCKET);
        int64_t since_ns = monotonic_ns();
        for (int i = 0; i < WAITING; i++) {
            client_init(&waiting[i], l->service.port);
            if (client_connect(&waiting[i]) < 0)
                model_wrong(&l->model, "no connection, though the queue has room");
        }
        for (int i = 0; i < READS && err == 0; i++)
            err = client_ask(&in, &(struct ask){.path = "/api/Stats"}, &a);
        int64_t took_ms = (monotonic_ns() - since_ns) / 1000000;
        calls = life_calls(l, CALL_ACCEPT, PLACE_SOCKET) - calls;
        if (err < 0)
            model_wrong(&l->model, "when accept gives %s nobody is served: %s",
                        strerrorname_np(errors[e]), strerror(-err));
        if (calls > (uint64_t)(TRIES * (took_ms / PAUSE_MS + 2)))
            model_wrong(&l->model, "accept gives %s, and is called %llu times in %lld ms",
                        strerrorname_np(errors[e]), (unsigned long long)calls, (long long)took_ms);
        life_disarm(l);
        for (int i = 0; i < WAITING; i++) {
            err = client_ask(&waiting[i], &(struct ask){.path = "/api/Stats"}, &a);
            if (err < 0 || a.status != 200)
                model_wrong(&l->model, "who waited is not served when there is room again");
            client_free(&waiting[i]);
        }
        client_free(&in);
        l->model.passed++;
    }
}

/* ---- a machine that sleeps ---- */

static uint64_t all_calls(const struct life *l)
{
    uint64_t calls = 0;
    for (enum fault_call call = 0; call < FAULT_CALLS; call++)
        for (enum fault_place place = 0; place < FAULT_PLACES; place++)
            calls += life_calls(l, call, place);
    return calls;
}

static void await_stillness(const struct life *l)
{
    int still = 0;
    for (uint64_t before = 0, calls; still < STILL_POLLS; before = calls) {
        nap_ms(1);
        calls = all_calls(l);
        still = calls == before ? still + 1 : 0;
    }
}

/* Nobody asks, nothing is to be saved; it has but to wait. */
static void what_fell_due_while_the_machine_slept_is_done_when_it_wakes(struct life *l)
{
    struct observed o;
    struct hammers h;
    if (!life_begin(l) || !life_start(l, &o))
        return;
    life_load(l, 1, FEW_ASKS, &h);
    service_stop(&l->service, SIGTERM);
    if (!life_start(l, &o)) {
        model_wrong(&l->model, "it does not start: %s", o.said);
        return;
    }
    await_stillness(l);
    uint64_t commits = life_calls(l, CALL_SYNC, PLACE_LOG);
    life_suspend(l, (int64_t)OPEN_FOR_H * 3600000 + 1000);
    for (int i = 0; i < POLLS_MAX && life_calls(l, CALL_SYNC, PLACE_LOG) == commits; i++)
        nap_ms(1);
    if (life_calls(l, CALL_SYNC, PLACE_LOG) == commits)
        model_wrong(&l->model, "the machine has woken up, and nothing is done that fell due");
    service_stop(&l->service, SIGKILL);
}

/* ---- all ---- */

void fault_cases(struct life *l, uint64_t *passed, uint64_t *failed)
{
    static const struct {
        const char *claim;
        void (*run)(struct life *l);
    } cases[] = {
        {"a_full_disk_refuses_changes_and_loses_nothing",
         a_full_disk_refuses_changes_and_loses_nothing},
        {"who_cannot_be_let_in_keeps_nobody_busy", who_cannot_be_let_in_keeps_nobody_busy},
        {"a_full_file_system_refuses_changes_and_loses_nothing",
         a_full_file_system_refuses_changes_and_loses_nothing},
        {"what_fell_due_while_the_machine_slept_is_done_when_it_wakes",
         what_fell_due_while_the_machine_slept_is_done_when_it_wakes},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t before = l->model.failed;
        if (!life_is_up(l) && !life_begin(l))
            return;
        cases[i].run(l);
        *(l->model.failed == before ? passed : failed) += 1;
        printf("%s %s\n", l->model.failed == before ? "passed" : "FAILED", cases[i].claim);
        fflush(stdout);
    }
}
