/* hostile.c - clients that mean no good, at the real process, while a good one is served
 *
 * Each case is one kind of them. Meanwhile a good client, connected before, adds items one after
 * the other: each must be answered with 200, and in the end the list must have as many. Nothing is
 * timed. When a kind has left, the process holds as many descriptors as before it came; how much
 * memory it took meanwhile has a bound with a name below.
 *
 * Shapes that two servers could read differently are in test_wire.c, deadlines in
 * test_server_limits.c, listeners to events in test_listeners.c.
 */
#include "client.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    IDLE = 9900,   /* and some: the server takes 10,000 */
    SLOW = 300,    /* heads, and as many bodies */
    LEAVING = 300, /* of each kind that leaves early */
    NOT_READING = 60,
    PIPELINED = 10000,
    RANDOM = 300,
    TIGHT = 256, /* descriptors */
    TIGHT_CLIENTS = 600,
    TIGHT_ADDS = 1500, /* more than the first segment has room for */
    BIG_ITEMS = 100,
    ITEM_BYTES = 8192,
    POLLS_MAX = 20000,
    FILES_MORE = 8,    /* what the background has open for a moment */
    SERVER_FILES = 200 /* of its own, and connections that are on their way out */
};

/* Of the process's memory, over what it has with nobody there. */
#define IDLE_BYTES_MAX 4096              /* each */
#define ALL_BYTES_MAX ((int64_t)1 << 30) /* whatever they do; ASan's own included */

struct scene {
    struct service service;
    char id[40], big[40];
    uint64_t passed, failed;
    pthread_t good;
    atomic_bool is_over;
    atomic_uint added, refused; /* by the good client */
    char why[300];              /* the first that was not 200 */
    int files;                  /* descriptors with nobody there but the good client */
    uint64_t random;
};

static void check(struct scene *s, bool is_right, const char *what)
{
    s->passed += is_right;
    s->failed += !is_right;
    if (!is_right)
        printf("  wrong: %s\n", what);
}

/* ---- the process ---- */

static int files_of(const struct scene *s)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)s->service.pid);
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

/* VmRSS or VmHWM. */
static int64_t memory_of(const struct scene *s, const char *name)
{
    char path[64], line[256];
    int64_t kib = -1;
    size_t len = strlen(name);
    snprintf(path, sizeof path, "/proc/%d/status", (int)s->service.pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, len) == 0)
            kib = strtoll(line + len + 1, NULL, 10);
    if (file)
        fclose(file);
    return kib * 1024;
}

static bool await_files(const struct scene *s, int most)
{
    for (int i = 0; i < POLLS_MAX && !service_has_ended(&s->service); i++) {
        if (files_of(s) <= most)
            return true;
        nap_ms(1);
    }
    return false;
}

/* ---- the good client ---- */

static int add(struct client *c, const char *id, struct answer *a)
{
    char path[128];
    snprintf(path, sizeof path, "/api/Add/%s?item=good", id);
    return client_ask(c, &(struct ask){.path = path}, a);
}

static void *be_good(void *self)
{
    struct scene *s = self;
    struct client c;
    struct answer a;
    client_init(&c, s->service.port);
    while (!atomic_load(&s->is_over)) {
        int err = add(&c, s->id, &a);
        if (err == 0 && a.status == 200) {
            atomic_fetch_add(&s->added, 1);
            nap_ms(1); /* the machine is for all */
            continue;
        }
        if (atomic_fetch_add(&s->refused, 1) == 0)
            snprintf(s->why, sizeof s->why, "%s", err < 0 ? strerror(-err) : a.body);
        if (err < 0)
            break;
    }
    client_free(&c);
    return NULL;
}

static void good_begins(struct scene *s)
{
    atomic_store(&s->is_over, false);
    int err = pthread_create(&s->good, NULL, be_good, s);
    assert(err == 0);
    for (unsigned now = atomic_load(&s->added), i = 0; i < POLLS_MAX; i++) {
        if (atomic_load(&s->added) > now || atomic_load(&s->refused))
            break;
        nap_ms(1);
    }
}

/* It is served at least once more from now on. */
static void expect_good_goes_on(struct scene *s)
{
    unsigned before = atomic_load(&s->added);
    for (int i = 0; i < POLLS_MAX && atomic_load(&s->added) <= before; i++)
        nap_ms(1);
    check(s, atomic_load(&s->added) > before, "the good client is served no more");
}

static void good_ends(struct scene *s)
{
    atomic_store(&s->is_over, true);
    pthread_join(s->good, NULL);
    if (atomic_load(&s->refused))
        printf("  the good client got: %s\n", s->why);
    check(s, atomic_load(&s->refused) == 0, "the good client was refused");
}

/* ---- the others ---- */

/* A connection; -1: refused. With few bytes to receive into, when those are not 0. */
static int reach(const struct scene *s, int receive_bytes)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(s->service.port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval timeout = {.tv_sec = 20};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(fd >= 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (receive_bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Whether all of it was taken before the server closed. */
static bool send_text(int fd, const char *text)
{
    size_t len = strlen(text);
    return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void leave(int *fds, int count)
{
    for (int i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* The status of the one answer, after which the server closes; 0: it closed without one. */
static int read_refusal(int fd)
{
    char bytes[4096];
    size_t len = 0;
    ssize_t n;
    while ((n = recv(fd, bytes + len, sizeof bytes - 1 - len, 0)) > 0 && len < sizeof bytes - 1)
        len += (size_t)n;
    bytes[len] = 0;
    int status = 0;
    sscanf(bytes, "HTTP/1.1 %3d", &status);
    return status;
}

static void peek_text(const char *id, char ret[static 128])
{
    snprintf(ret, 128, "GET /api/Peek/%s HTTP/1.1\r\nHost: a\r\n\r\n", id);
}

static int descriptors(int wanted)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int most = limit.rlim_cur > (rlim_t)wanted + SERVER_FILES ? wanted
                                                              : (int)limit.rlim_cur - SERVER_FILES;
    if (most < wanted)
        printf("  only %d connections: no more descriptors\n", most);
    return most;
}

static void idle_connections_cost_little(struct scene *s)
{
    static int fds[IDLE];
    int count = descriptors(IDLE);
    int64_t before = memory_of(s, "VmRSS");
    for (int i = 0; i < count; i++) {
        fds[i] = reach(s, 0);
        check(s, fds[i] >= 0, "an idle connection is not taken");
    }
    int least = s->files + count - FILES_MORE; /* which may have been open when they were counted */
    for (int i = 0; i < POLLS_MAX && files_of(s) < least; i++)
        nap_ms(1);
    check(s, files_of(s) >= least, "not all of them are in");
    expect_good_goes_on(s);
    int64_t took = memory_of(s, "VmRSS") - before;
    printf("  %d idle connections: %lld bytes each\n", count, (long long)took / count);
    check(s, took <= (int64_t)count * IDLE_BYTES_MAX + (4 << 20), "they take too much memory");
    leave(fds, count);
}

static void slow_heads_and_bodies_hold_nobody_up(struct scene *s)
{
    static int fds[2 * SLOW];
    for (int i = 0; i < 2 * SLOW; i++) {
        fds[i] = reach(s, 0);
        check(s,
              fds[i] >= 0 && send_text(fds[i], i % 2 ? "GET /api/Stats HTTP/1.1\r\nHo"
                                                     : "POST /api/Open HTTP/1.1\r\nHost: a\r\n"
                                                       "Content-Length: 100\r\n\r\nx"),
              "a slow client is not let in");
    }
    expect_good_goes_on(s);
    for (int i = 0; i < 2 * SLOW; i++)
        send_text(fds[i], "y");
    expect_good_goes_on(s);
    leave(fds, 2 * SLOW);
}

static void half_closed_connections_get_their_answer(struct scene *s)
{
    for (int i = 0; i < LEAVING; i++) {
        int fd = reach(s, 0);
        bool is_sent = send_text(fd, "GET /api/Stats HTTP/1.1\r\nHost: a\r\n\r\n");
        shutdown(fd, SHUT_WR);
        check(s, is_sent && read_refusal(fd) == 200, "a half-closed connection is not answered");
        close(fd);
    }
}

static void who_leaves_in_the_middle_is_forgotten(struct scene *s)
{
    static const char *const parts[] = {"", "G", "GET /api/Stats HTTP/1.1\r\nHost",
                                        ("POST /api/Open HTTP/1.1\r\nHost: a\r\n"
                                         "Transfer-Encoding: chunked\r\n\r\n5\r\nab")};
    struct linger at_once = {.l_onoff = 1};
    char peek[128];
    peek_text(s->big, peek);
    for (int i = 0; i < LEAVING; i++) {
        int fd = reach(s, 4096);
        send_text(fd, i % 5 == 4 ? peek : parts[i % 5]);
        if (i % 2)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once); /* by a reset */
        close(fd);
    }
    expect_good_goes_on(s);
}

/* Each asks for much, many times over, and takes nothing. */
static void who_reads_nothing_takes_no_memory_without_end(struct scene *s)
{
    int fds[NOT_READING];
    char peek[128];
    peek_text(s->big, peek);
    for (int i = 0; i < NOT_READING; i++) {
        fds[i] = reach(s, 4096);
        for (int j = 0; j < 64; j++)
            if (!send_text(fds[i], peek))
                break;
    }
    expect_good_goes_on(s);
    expect_good_goes_on(s);
    printf("  %d that read nothing: %lld MiB at most\n", NOT_READING,
           (long long)(memory_of(s, "VmHWM") >> 20));
    check(s, memory_of(s, "VmHWM") <= ALL_BYTES_MAX, "who reads nothing takes all the memory");
    leave(fds, NOT_READING);
}

static void single_bytes_make_a_request(struct scene *s)
{
    static const char request[] = "POST /api/Open HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                                  "Connection: close\r\n\r\n";
    for (int i = 0; i < 10; i++) {
        int fd = reach(s, 0);
        for (size_t at = 0; request[at]; at++)
            check(s, send(fd, request + at, 1, MSG_NOSIGNAL) == 1, "a single byte is not taken");
        check(s, read_refusal(fd) / 100 == 2, "a request of single bytes is not answered");
        close(fd);
    }
}

struct pipeline {
    int fd;
    bool is_sent;
};

static void *send_many(void *self)
{
    struct pipeline *p = self;
    p->is_sent = true;
    for (int i = 0; i < PIPELINED && p->is_sent; i++)
        p->is_sent = send_text(p->fd, "GET /api/Stats HTTP/1.1\r\nHost: a\r\n\r\n");
    return NULL;
}

static void a_pipeline_of_10000_is_answered(struct scene *s)
{
    struct client c;
    struct answer a;
    struct pipeline p = {.fd = reach(s, 0)};
    pthread_t sender;
    int answered = 0;
    client_init(&c, s->service.port);
    c.fd = p.fd;
    int err = pthread_create(&sender, NULL, send_many, &p);
    assert(err == 0);
    while (answered < PIPELINED && client_read(&c, false, &a) == 0 && a.status == 200)
        answered++;
    shutdown(p.fd, SHUT_RDWR);
    pthread_join(sender, NULL);
    check(s, p.is_sent && answered == PIPELINED, "not all of a pipeline is answered");
    client_free(&c);
}

/* Text that goes on until the server has had enough; its answer. */
static int send_without_end(const struct scene *s, const char *begin, size_t most)
{
    static char fill[65536];
    int fd = reach(s, 0);
    memset(fill, 'a', sizeof fill);
    bool may_go_on = send_text(fd, begin);
    for (size_t sent = 0; sent < most && may_go_on; sent += sizeof fill)
        may_go_on = send(fd, fill, sizeof fill, MSG_NOSIGNAL) > 0;
    int status = read_refusal(fd);
    close(fd);
    return status;
}

static void what_is_enormous_is_refused(struct scene *s)
{
    enum { MUCH = 8 << 20 };
    static const char *const begins[] = {
        "GET /",
        "GET /?",
        "aaaa",
        "GET / HTTP/1.1\r\nHost: a\r\nA: ",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST /api/Open HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n",
        "POST /api/Open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        "POST /api/Open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        "POST /api/Open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ",
    };
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        int status = send_without_end(s, begins[i], MUCH);
        /* Who goes on sending may see a reset in place of the answer. */
        check(s, status == 0 || status / 100 == 4, "something enormous is taken");
    }
}

static void random_bytes_do_nothing(struct scene *s)
{
    for (int i = 0; i < RANDOM; i++) {
        char bytes[4096];
        size_t len = 1 + (size_t)i * 13 % sizeof bytes;
        for (size_t j = 0; j < len; j++) {
            s->random = s->random * 6364136223846793005u + 1442695040888963407u;
            bytes[j] = (char)(s->random >> 56);
        }
        int fd = reach(s, 0);
        (void)!send(fd, bytes, len, MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        int status = read_refusal(fd);
        check(s, status == 0 || status / 100 == 4 || status / 100 == 5, "random bytes are taken");
        close(fd);
    }
}

/* ---- all of them ---- */

static int64_t count_of(struct scene *s, const char *path, const char *name)
{
    struct client c;
    struct answer a;
    client_init(&c, s->service.port);
    int err = client_ask(&c, &(struct ask){.path = path}, &a);
    int64_t count = err == 0 && a.status == 200 ? json_number(a.body, name) : -1;
    client_free(&c);
    return count;
}

static void open_list(struct scene *s, char ret[static 40])
{
    struct client c;
    struct answer a;
    client_init(&c, s->service.port);
    int err = client_ask(&c, &(struct ask){.path = "/api/Open"}, &a);
    check(s, err == 0 && a.status == 200, "a list is not opened");
    snprintf(ret, 40, "%s", err == 0 ? a.body : "");
    client_free(&c);
}

static void fill_list(struct scene *s, const char *id, int items)
{
    static char body[ITEM_BYTES];
    struct client c;
    struct answer a;
    char path[128];
    memset(body, 'x', sizeof body);
    snprintf(path, sizeof path, "/api/Add/%s", id);
    client_init(&c, s->service.port);
    for (int i = 0; i < items; i++) {
        struct ask ask = {.method = "POST",
                          .path = path,
                          .type = "text/plain",
                          .body = body,
                          .body_len = sizeof body};
        int err = client_ask(&c, &ask, &a);
        check(s, err == 0 && a.status == 200, "a large item is not taken");
    }
    client_free(&c);
}

static bool start(struct scene *s)
{
    int err = service_start(&s->service, NULL);
    check(s, err == 0, "it does not start");
    return err == 0;
}

/* It was served all along, and has what was added; then it ends as it should. */
static void finish(struct scene *s)
{
    int64_t items = count_of(s, "/api/Stats", "itemsCount");
    char output[4096];
    check(s, items >= (int64_t)atomic_load(&s->added), "items are missing");
    int code = service_stop(&s->service, SIGTERM);
    output_read(s->service.output, output, sizeof output);
    if (code != 0)
        printf("  it ended with %d: %s\n", code, output);
    check(s, code == 0, "it does not end well");
}

static void run_cases(struct scene *s)
{
    static const struct {
        const char *claim;
        void (*run)(struct scene *s);
    } cases[] = {
        {"slow_heads_and_bodies_hold_nobody_up", slow_heads_and_bodies_hold_nobody_up},
        {"half_closed_connections_get_their_answer", half_closed_connections_get_their_answer},
        {"who_leaves_in_the_middle_is_forgotten", who_leaves_in_the_middle_is_forgotten},
        {"single_bytes_make_a_request", single_bytes_make_a_request},
        {"a_pipeline_of_10000_is_answered", a_pipeline_of_10000_is_answered},
        {"what_is_enormous_is_refused", what_is_enormous_is_refused},
        {"random_bytes_do_nothing", random_bytes_do_nothing},
        {"idle_connections_cost_little", idle_connections_cost_little},
        {"who_reads_nothing_takes_no_memory_without_end",
         who_reads_nothing_takes_no_memory_without_end},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t failed = s->failed;
        cases[i].run(s);
        expect_good_goes_on(s);
        check(s, await_files(s, s->files + FILES_MORE), "descriptors do not return");
        printf("%s %s\n", s->failed == failed ? "passed" : "FAILED", cases[i].claim);
        fflush(stdout);
    }
}

static void all_kinds(struct scene *s)
{
    if (!start(s))
        return;
    open_list(s, s->id);
    open_list(s, s->big);
    fill_list(s, s->big, BIG_ITEMS);
    good_begins(s);
    s->files = files_of(s);
    run_cases(s);
    good_ends(s);
    printf("  %u items added meanwhile; memory %lld MiB, at most %lld MiB\n",
           atomic_load(&s->added), (long long)(memory_of(s, "VmRSS") >> 20),
           (long long)(memory_of(s, "VmHWM") >> 20));
    finish(s);
}

/* The server's descriptors are for the store first: with all others taken by clients that do
 * nothing, the journal goes on in new files, and the checkpoint is written at the end. */
static void clients_cannot_take_the_store_s_descriptors(struct scene *s)
{
    static int fds[TIGHT_CLIENTS];
    static char script[400];
    uint64_t failed = s->failed;
    struct client c;
    struct answer a;
    snprintf(script, sizeof script, "%s/tight", s->service.folder);
    FILE *file = fopen(script, "w");
    assert(file);
    fprintf(file, "#!/bin/sh\nulimit -n %d\nexec '%s' \"$@\"\n", TIGHT, s->service.binary);
    fclose(file);
    chmod(script, 0700);
    s->service.binary = script;
    if (!start(s))
        return;
    open_list(s, s->id);
    client_init(&c, s->service.port);
    int err = add(&c, s->id, &a);
    for (int i = 0; i < TIGHT_CLIENTS; i++)
        fds[i] = reach(s, 0);
    for (int i = 0; i < TIGHT_ADDS && err == 0; i++) {
        err = add(&c, s->id, &a);
        if (err == 0 && a.status != 200) {
            printf("  refused: %s\n", a.body);
            err = -EPROTO;
        }
    }
    check(s, err == 0, "without descriptors for clients nothing is stored any more");
    printf("  %d of %d descriptors are in use\n", files_of(s), TIGHT);
    client_free(&c);
    int code = service_stop(&s->service, SIGTERM);
    check(s, code == 0, "without descriptors for clients it does not end well");
    leave(fds, TIGHT_CLIENTS);
    printf("%s clients_cannot_take_the_store_s_descriptors\n",
           s->failed == failed ? "passed" : "FAILED");
}

int main(void)
{
    static struct scene s = {.random = 1};
    const char *binary = service_binary();
    int err = service_init(&s.service, binary);
    assert(err == 0);
    all_kinds(&s);
    service_free(&s.service);
    err = service_init(&s.service, binary);
    assert(err == 0);
    clients_cannot_take_the_store_s_descriptors(&s);
    service_free(&s.service);
    printf("hostile: %llu passed, %llu failed\n", (unsigned long long)s.passed,
           (unsigned long long)s.failed);
    return s.failed ? 1 : 0;
}
