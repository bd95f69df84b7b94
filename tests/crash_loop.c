/* crash_loop.c - kills the registry at any moment, starts it again, and believes nothing
 *
 *     crash_loop [--rounds N] [--clients C] [--seed S] [--registry PATH]
 *
 * A round: clients on threads ask whatever comes to their mind; in some the process is stopped for
 * a while (SIGSTOP), which must cost nobody an answer. At a random moment it is ended, mostly by
 * SIGKILL, now and then by SIGTERM; it is started on the same folder, sometimes killed while it
 * recovers, and all that was touched is looked at. In some rounds registries stay open for a second
 * only, and the process is stopped or down while that passes. What must hold is in crash_model.h.
 * Exit code 1 and a folder that is kept say that it did not.
 *
 * Threads make a run with the same seed similar, not the same.
 */
#include "hammer.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LOAD_MS_MAX = 1000,
    PAUSE_MS_MAX = 2000,
    RECOVERY_MS_MAX = 15,
    RECOVERY_KILLS_MAX = 3,
    SHORT_MS = 1000,
    LONG_MS = 3600000
};

struct crash {
    struct model model;
    struct service service;
    unsigned clients;
    uint64_t random;
    int64_t start_ms_most;
    unsigned kills, stops, pauses;
};

/* Stops the process while all ask, and lets it go on. */
static void pause_it(struct crash *c)
{
    kill(c->service.pid, SIGSTOP);
    nap_ms(1 + (int)draw(&c->random, PAUSE_MS_MAX));
    kill(c->service.pid, SIGCONT);
    nap_ms(1 + (int)draw(&c->random, LOAD_MS_MAX));
    c->pauses++;
}

/* Ends the process while all ask; it must not have ended before. */
static void load_and_end(struct crash *c)
{
    struct hammers hammers = {.model = &c->model,
                              .port = c->service.port,
                              .clients = c->clients,
                              .random = c->random};
    int how = draw(&c->random, 100) < 15 ? SIGTERM : SIGKILL;
    hammers_start(&hammers);
    nap_ms(1 + (int)draw(&c->random, LOAD_MS_MAX));
    if (draw(&c->random, 4) == 0)
        pause_it(c);
    hammers_tell_over(&hammers);
    int code = service_stop(&c->service, how);
    hammers_join(&hammers);
    c->kills += how == SIGKILL;
    c->stops += how == SIGTERM;
    if (code == (how == SIGTERM ? 0 : 128 + SIGKILL))
        c->model.passed++;
    else
        model_wrong(&c->model, "after signal %d it ended with %d", how, code);
}

/* Waits, while it is down, for the time of what was opened in this round to pass. */
static void await_due(const struct model *m)
{
    int64_t due_ms = 0, start_ms = wall_ms();
    for (uint32_t i = m->round_registry; i < m->registry_len; i++)
        if (m->registries[i].closes_ms > due_ms)
            due_ms = m->registries[i].closes_ms;
    while (wall_ms() <= due_ms && wall_ms() - start_ms < 2L * SHORT_MS)
        nap_ms(1);
}

static bool start_again(struct crash *c, int64_t open_for_ms)
{
    char setting[64], output[2048];
    const char *settings[] = {setting, NULL};
    snprintf(setting, sizeof setting, "REGISTRY_OPEN_FOR=%ds", (int)(open_for_ms / 1000));
    unsigned kills = draw(&c->random, 4) == 0 ? 1 + draw(&c->random, RECOVERY_KILLS_MAX) : 0;
    for (; kills > 0; kills--) {
        if (service_spawn(&c->service, settings) < 0)
            break;
        nap_ms((int)draw(&c->random, RECOVERY_MS_MAX));
        int code = service_stop(&c->service, SIGKILL);
        c->kills++;
        if (code != 128 + SIGKILL)
            model_wrong(&c->model, "it ended by itself while it recovered, with %d", code);
    }
    int64_t before_ms = monotonic_ns() / 1000000;
    int err = service_start(&c->service, settings);
    int64_t took_ms = monotonic_ns() / 1000000 - before_ms;
    c->start_ms_most = took_ms > c->start_ms_most ? took_ms : c->start_ms_most;
    if (err < 0) {
        output_read(c->service.output, output, sizeof output);
        model_wrong(&c->model, "it does not start: %s\n%s", strerror(-err), output);
    }
    c->model.open_for_ms = open_for_ms;
    return err == 0;
}

static void run_rounds(struct crash *c, unsigned rounds)
{
    struct model *m = &c->model;
    int64_t open_for_ms = LONG_MS;
    if (!start_again(c, open_for_ms))
        return;
    for (m->round = 1; m->round <= rounds && m->failed == 0; m->round++) {
        m->is_ending = false;
        model_start_round(m, &c->random);
        load_and_end(c);
        if (open_for_ms == SHORT_MS)
            await_due(m);
        open_for_ms = m->round % 5 == 2 ? SHORT_MS : LONG_MS;
        if (!start_again(c, open_for_ms))
            return;
        m->is_ending = false;
        model_look(m, c->service.port, &c->random);
        if (m->round % 10 == 0)
            printf("round %u: %u registries, %u items, %llu without answer, %u kills, %u stops, "
                   "%u pauses, start at most %lld ms\n",
                   m->round, m->registry_len, m->item_len, (unsigned long long)m->unanswered,
                   c->kills, c->stops, c->pauses, (long long)c->start_ms_most);
        fflush(stdout);
    }
    if (m->failed == 0 && service_stop(&c->service, SIGTERM) != 0)
        model_wrong(m, "the last SIGTERM did not end it with 0");
}

int main(int argc, char **argv)
{
    static struct crash c = {.clients = 8};
    const char *binary = service_binary();
    unsigned rounds = 30;

    c.model.seed = (unsigned)(wall_ms() % 1000000);
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--rounds") == 0)
            rounds = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--clients") == 0)
            c.clients = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--seed") == 0)
            c.model.seed = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--registry") == 0)
            binary = value;
        else
            c.clients = 0;
    }
    if (c.clients < 1 || c.clients > HAMMERS_MAX || rounds < 1) {
        fprintf(stderr,
                "usage: crash_loop [--rounds N] [--clients 1..%d] [--seed S] "
                "[--registry PATH]\n",
                HAMMERS_MAX);
        return 2;
    }
    c.random = c.model.seed;
    int err = service_init(&c.service, binary);
    if (err == 0)
        run_rounds(&c, rounds);
    else
        fprintf(stderr, "crash_loop: no folder: %s\n", strerror(-err));
    struct model *m = &c.model;
    printf("crash_loop, seed %u: %llu passed, %llu failed\n", m->seed,
           (unsigned long long)m->passed, (unsigned long long)m->failed);
    if (m->failed && c.service.pid)
        service_stop(&c.service, SIGKILL);
    if (m->failed)
        printf("the data is kept in %s\n", c.service.data);
    else
        service_free(&c.service);
    model_free(m);
    return m->failed || err ? 1 : 0;
}
