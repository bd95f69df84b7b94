#include "fake_server.h"

#include "client.h"

#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS_MAX = 256, REQUEST_BYTES_MAX = 1 << 21, WAITING_MAX = 64, READ_TIMEOUT_S = 10 };

struct fake_server {
    uint16_t port;
    int listener; /* -1: closed */
    int wake[2];
    pthread_t thread;
    pthread_mutex_t lock;
    const char *answer; /* NULL: silence */
    size_t answer_len;
    struct fake_request *requests[REQUESTS_MAX];
    size_t count;
    int waiting[WAITING_MAX]; /* connections that get no answer */
    size_t waiting_count;
    bool is_ending;
};

static size_t body_length(const char *head)
{
    const char *at = strcasestr(head, "\r\nContent-Length:");
    return at ? strtoul(at + 17, NULL, 10) : 0;
}

/* NULL when the connection ended before the request did. */
static struct fake_request *read_request(int fd)
{
    struct fake_request *r = calloc(1, sizeof *r);
    r->text = calloc(1, REQUEST_BYTES_MAX);
    for (;;) {
        ssize_t n = recv(fd, r->text + r->len, REQUEST_BYTES_MAX - 1 - r->len, 0);
        if (n <= 0)
            break;
        r->len += (size_t)n;
        char *end = strstr(r->text, "\r\n\r\n");
        if (!end)
            continue;
        r->body = end + 4;
        r->body_len = r->len - (size_t)(r->body - r->text);
        if (r->body_len >= body_length(r->text))
            return r;
    }
    free(r->text);
    free(r);
    return NULL;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

static void serve(struct fake_server *f, int fd)
{
    struct timeval limit = {.tv_sec = READ_TIMEOUT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    struct fake_request *r = read_request(fd);
    pthread_mutex_lock(&f->lock);
    const char *answer = f->answer;
    size_t len = f->answer_len;
    if (r) {
        assert(f->count < REQUESTS_MAX);
        f->requests[f->count++] = r;
    }
    if (r && !answer) {
        assert(f->waiting_count < WAITING_MAX);
        f->waiting[f->waiting_count++] = fd;
    }
    pthread_mutex_unlock(&f->lock);
    if (r && answer)
        send_all(fd, answer, len);
    if (answer || !r)
        close(fd);
}

static void *run(void *arg)
{
    struct fake_server *f = arg;
    for (;;) {
        char byte;
        pthread_mutex_lock(&f->lock);
        struct pollfd fds[2] = {{.fd = f->wake[0], .events = POLLIN},
                                {.fd = f->listener, .events = POLLIN}};
        bool is_ending = f->is_ending;
        pthread_mutex_unlock(&f->lock);
        if (is_ending)
            return NULL;
        poll(fds, 2, -1);
        if (fds[0].revents && read(f->wake[0], &byte, 1) < 0)
            return NULL;
        int fd = fds[1].revents & POLLIN ? accept(fds[1].fd, NULL, NULL) : -1;
        if (fd >= 0)
            serve(f, fd);
    }
}

static void poke(struct fake_server *f)
{
    ssize_t n = write(f->wake[1], "", 1);
    assert(n == 1);
}

/* With the lock held. */
static void cut_off(struct fake_server *f)
{
    while (f->waiting_count)
        close(f->waiting[--f->waiting_count]);
}

struct fake_server *fake_server_new(void)
{
    struct fake_server *f = calloc(1, sizeof *f);
    f->listener = -1;
    int err = port_find(&f->port);
    assert(err == 0);
    err = pipe(f->wake);
    assert(err == 0);
    pthread_mutex_init(&f->lock, NULL);
    err = pthread_create(&f->thread, NULL, run, f);
    assert(err == 0);
    return f;
}

void fake_server_free(struct fake_server *f)
{
    fake_server_close(f);
    pthread_mutex_lock(&f->lock);
    f->is_ending = true;
    pthread_mutex_unlock(&f->lock);
    poke(f);
    pthread_join(f->thread, NULL);
    cut_off(f);
    for (size_t i = 0; i < f->count; i++) {
        free(f->requests[i]->text);
        free(f->requests[i]);
    }
    close(f->wake[0]);
    close(f->wake[1]);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

uint16_t fake_server_port(const struct fake_server *f)
{
    return f->port;
}

void fake_server_open(struct fake_server *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(f->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int err = bind(fd, (struct sockaddr *)&address, sizeof address);
    assert(err == 0);
    err = listen(fd, 64);
    assert(err == 0);
    pthread_mutex_lock(&f->lock);
    f->listener = fd;
    pthread_mutex_unlock(&f->lock);
    poke(f);
}

void fake_server_close(struct fake_server *f)
{
    pthread_mutex_lock(&f->lock);
    int fd = f->listener;
    f->listener = -1;
    cut_off(f);
    pthread_mutex_unlock(&f->lock);
    poke(f);
    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
        close(fd);
    }
}

void fake_server_answer(struct fake_server *f, const char *bytes, size_t len)
{
    pthread_mutex_lock(&f->lock);
    f->answer = bytes;
    f->answer_len = len;
    cut_off(f);
    pthread_mutex_unlock(&f->lock);
}

size_t fake_server_count(struct fake_server *f)
{
    pthread_mutex_lock(&f->lock);
    size_t count = f->count;
    pthread_mutex_unlock(&f->lock);
    return count;
}

bool fake_server_await(struct fake_server *f, size_t count)
{
    int64_t until_ns = monotonic_ns() + 20 * INT64_C(1000000000);
    while (fake_server_count(f) < count) {
        if (monotonic_ns() > until_ns)
            return false;
        nap_ms(5);
    }
    return true;
}

const struct fake_request *fake_server_request(struct fake_server *f, size_t i)
{
    pthread_mutex_lock(&f->lock);
    assert(i < f->count);
    const struct fake_request *r = f->requests[i];
    pthread_mutex_unlock(&f->lock);
    return r;
}

void fake_request_header(const struct fake_request *r, const char *name, char *ret, size_t size)
{
    char line[80];
    snprintf(line, sizeof line, "\r\n%s: ", name);
    const char *at = strcasestr(r->text, line);
    const char *value = at && at < r->body ? at + strlen(line) : "";
    snprintf(ret, size, "%.*s", (int)strcspn(value, "\r"), value);
}
