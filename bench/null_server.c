/* null_server.c - the least that can be called an HTTP server
 *
 * It answers whatever ends with an empty line with the same 200, without looking at it. What the
 * load generator reaches against it is the generator's own ceiling (and the kernel's): no row of
 * the bench can be better.
 *
 *     null_server start --port N [--data DIR]
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, READ_MAX = 65536, FD_MAX = 4096 };

static const char ok[] = "HTTP/1.1 200 OK\r\nDate: Thu, 24 Dec 2026 18:00:00 GMT\r\n"
                         "Content-Length: 0\r\n\r\n";

static int listen_on(const char *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 1024) < 0) {
        perror("null_server");
        exit(1);
    }
    return fd;
}

/* matched: how much of the empty line the connection's last read ended with. */
static void serve(int fd, uint8_t *matched)
{
    static char in[READ_MAX], out[READ_MAX];
    size_t out_len = 0;
    ssize_t n = read(fd, in, sizeof in);
    if (n <= 0) {
        close(fd);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (in[i] == "\r\n\r\n"[*matched])
            ++*matched;
        else
            *matched = in[i] == '\r';
        if (*matched < 4)
            continue;
        *matched = 0;
        if (out_len + sizeof ok > sizeof out)
            break;
        memcpy(out + out_len, ok, sizeof ok - 1);
        out_len += sizeof ok - 1;
    }
    if (out_len && write(fd, out, out_len) != (ssize_t)out_len)
        close(fd);
}

int main(int argc, char **argv)
{
    static uint8_t matched[FD_MAX];
    struct epoll_event events[EVENTS_MAX];
    const char *port = "7071";
    int one = 1, loop = epoll_create1(EPOLL_CLOEXEC);

    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--port") == 0)
            port = argv[i + 1];
    int listener = listen_on(port);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(loop, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd != listener) {
                serve(events[i].data.fd, &matched[events[i].data.fd]);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0 || fd >= FD_MAX)
                continue;
            matched[fd] = 0;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            event = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
            epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
        }
    }
}
