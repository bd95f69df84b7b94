/* instructions.c - how many instructions the server needs for a request, against what it may
 *
 *     instructions [--update]
 *
 * bench_app runs under callgrind, so a busy machine counts the same as a quiet one, and nobody has
 * to be allowed anything. Counted are the instructions of the partition's thread, in user space,
 * from the bytes that were read to the answer that was written: once with a pass (and a commit) for
 * each request, once with sixteen requests in each, as under load. They are counted for a few dozen
 * requests at a time, all kinds in turns, and of a kind's counts one of the lowest is taken, since
 * a checkpoint that is made while some are counted is not theirs.
 *
 * What is allowed stands in bench/instructions.txt; a request that needs 5 % more fails the test.
 * When that was worth it, or when it needs less by now, `instructions --update` writes down what it
 * needs now; the reason belongs into the commit's message.
 */
#include "../tests/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUESTS = 32, TIMES = 11, GROUP = 16, REGISTRIES = 64, ITEMS = 5, SLACK_PERCENT = 5 };
static const char bounds_path[] = "bench/instructions.txt";

enum kind { ADD, OPEN, PEEK, STATS, FINISH, KINDS };
static const char *const names[KINDS] = {"Add", "Open", "Peek", "Stats", "Finish"};

struct count {
    enum kind kind;
    unsigned group;
    long instructions; /* a request */
};

struct world {
    struct service service;
    struct client client;
    unsigned next[KINDS], dumps;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "instructions: %s\n", what);
    exit(1);
}

static void find_beside(char *ret, size_t size, const char *name)
{
    char here[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
    if (n < 0)
        fail("where am I?");
    here[n] = 0;
    *strrchr(here, '/') = 0;
    if ((size_t)snprintf(ret, size, "%s/%s", here, name) >= size)
        fail("too long a path");
}

/* ---- the server under callgrind ------------------------------------------------------------ */

static void start(struct world *w, const char *binary)
{
    char out[400], port[8];
    struct ask ping = {.path = "/admin/host/ping"};
    struct answer a;
    if (service_init(&w->service, binary) < 0 || port_find(&w->service.port) < 0)
        fail("no folder or no port");
    snprintf(out, sizeof out, "--callgrind-out-file=%s/calls", w->service.folder);
    snprintf(port, sizeof port, "%u", w->service.port);
    const char *argv[] = {"/usr/bin/env",
                          "valgrind",
                          "-q",
                          "--vgdb=no",
                          "--tool=callgrind",
                          "--separate-threads=yes",
                          out,
                          binary,
                          "start",
                          "--port",
                          port,
                          "--data",
                          w->service.data,
                          NULL};
    const char *settings[] = {"REGISTRY_OPEN_FOR=1h", NULL};
    if (process_start(argv, settings, w->service.output, &w->service.pid) < 0)
        fail("no process");
    client_init(&w->client, w->service.port);
    for (int i = 0; client_ask(&w->client, &ping, &a) < 0; i++) {
        if (i == 20000)
            fail("bench_app does not start under valgrind");
        nap_ms(1);
    }
}

/* The total of the last dump's file for thread 1; callgrind calls it calls.N-01. */
static long take_count(struct world *w)
{
    char path[400], line[256];
    long total = -1;
    struct answer a;
    if (client_ask(&w->client, &(struct ask){.path = "/api/bench/dump"}, &a) < 0 || a.status != 200)
        fail("no dump");
    snprintf(path, sizeof path, "%s/calls.%u-01", w->service.folder, ++w->dumps);
    FILE *file = fopen(path, "r");
    if (!file)
        fail(path);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "totals: %ld", &total) == 1 || sscanf(line, "summary: %ld", &total) == 1)
            break;
    fclose(file);
    return total;
}

/* ---- requests ------------------------------------------------------------------------------ */

/* Each kind asks its own registries: Peek the first of them, Add the next; Finish ends all that are
 * above these. */
static size_t put_request(struct world *w, enum kind kind, char *at, size_t size)
{
    unsigned i = w->next[kind]++, of = i % REGISTRIES;
    if (kind == ADD)
        of += REGISTRIES;
    if (kind == FINISH)
        of = 2 * REGISTRIES + i;
    char id[33];
    snprintf(id, sizeof id, "%032x", of);
    int n = snprintf(at, size, "GET /api/%s%s%s%s HTTP/1.1\r\nHost: localhost:7071\r\n\r\n",
                     names[kind], kind == OPEN || kind == STATS ? "" : "/",
                     kind == OPEN || kind == STATS ? "" : id,
                     kind == ADD ? "?item=bench+item+000000001" : "");
    return (size_t)n;
}

/* One write for each group; it arrives as one. */
static void ask(struct world *w, enum kind kind, unsigned requests, unsigned group)
{
    char bytes[GROUP * 256];
    struct answer a;
    for (unsigned done = 0; done < requests; done += group) {
        size_t len = 0;
        for (unsigned i = 0; i < group; i++)
            len += put_request(w, kind, bytes + len, sizeof bytes - len);
        if (client_send(&w->client, bytes, len) < 0)
            fail("a request could not be sent");
        for (unsigned i = 0; i < group; i++)
            if (client_read(&w->client, false, &a) < 0 || a.status != 200)
                fail("a request was refused");
    }
}

static void get(struct world *w, const char *path)
{
    struct answer a;
    if (client_ask(&w->client, &(struct ask){.path = path}, &a) < 0 || a.status != 200)
        fail(path);
}

/* Opens them all, and gives those that are peeked at their items. */
static void prepare(struct world *w)
{
    char path[128];
    int registries = 2 * REGISTRIES + 2 * TIMES * REQUESTS;
    for (int from = 0; from < registries; from += 500) {
        snprintf(path, sizeof path, "/api/bench/open?closesAt=9000000000000&from=%d&n=500", from);
        get(w, path);
    }
    for (int i = 0; i < REGISTRIES; i++) {
        snprintf(path, sizeof path, "/api/bench/add?n=%d&id=%032x", ITEMS, i);
        get(w, path);
    }
    ask(w, ADD, REGISTRIES, 1);
    take_count(w);
}

static int by_value(const void *a, const void *b)
{
    const long *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void count_all(struct world *w, struct count counts[2 * KINDS])
{
    long all[2 * KINDS][TIMES];
    for (size_t i = 0; i < TIMES; i++)
        for (size_t k = 0; k < 2 * KINDS; k++) {
            counts[k] = (struct count){.kind = (enum kind)(k / 2), .group = k % 2 ? GROUP : 1};
            ask(w, counts[k].kind, REQUESTS, counts[k].group);
            all[k][i] = take_count(w) / REQUESTS;
        }
    for (size_t k = 0; k < 2 * KINDS; k++) {
        qsort(all[k], TIMES, sizeof all[k][0], by_value);
        counts[k].instructions = all[k][TIMES / 4];
    }
}

/* ---- bounds -------------------------------------------------------------------------------- */

static long bound_of(const struct count *count)
{
    char line[256], name[16];
    unsigned group;
    long bound, found = 0;
    FILE *file = fopen(bounds_path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%15s %u %ld", name, &group, &bound) == 3 && group == count->group &&
            strcmp(name, names[count->kind]) == 0)
            found = bound;
    if (file)
        fclose(file);
    return found;
}

static void update(const struct count *counts)
{
    FILE *file = fopen(bounds_path, "w");
    if (!file)
        fail(bounds_path);
    fprintf(file, "# Instructions a request: kind, requests in a pass, instructions. Counted, and\n"
                  "# written, by bench/instructions.c; gcc 12, release.\n");
    for (size_t i = 0; i < 2 * KINDS; i++)
        fprintf(file, "%s %u %ld\n", names[counts[i].kind], counts[i].group,
                counts[i].instructions);
    fclose(file);
}

int main(int argc, char **argv)
{
    struct world w = {0};
    struct count counts[2 * KINDS];
    char binary[PATH_MAX];
    int failed = 0;
    find_beside(binary, sizeof binary, "bench_app");
    start(&w, binary);
    prepare(&w);
    count_all(&w, counts);
    client_free(&w.client);
    service_free(&w.service);
    for (size_t i = 0; i < 2 * KINDS; i++) {
        long bound = bound_of(&counts[i]), n = counts[i].instructions;
        bool is_too_many = n > bound + bound * SLACK_PERCENT / 100;
        failed += is_too_many;
        printf("%-7s %2u a pass: %6ld instructions, %ld are noted%s\n", names[counts[i].kind],
               counts[i].group, n, bound,
               is_too_many ? ": TOO MANY; see bench/instructions.c" : "");
    }
    if (argc == 2 && strcmp(argv[1], "--update") == 0) {
        update(counts);
        return 0;
    }
    printf("%d passed, %d failed\n", 2 * KINDS - failed, failed);
    return failed > 0;
}
