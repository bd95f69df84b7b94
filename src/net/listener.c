#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* In one round of the loop; the rest comes in the next. */
enum { ACCEPT_MAX = 1024 };

static void take_spare(struct listener_socket *l)
{
    if (l->spare_fd < 0)
        l->spare_fd = open("/", O_RDONLY | O_CLOEXEC);
}

static int accept_one(const struct listener_socket *l)
{
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Those who wait are sent away. What the last try gave: -EAGAIN when nobody waits any more, which
 * cannot be known without a descriptor. */
static int send_away(struct listener_socket *l)
{
    if (l->spare_fd < 0)
        return -EMFILE;
    close(l->spare_fd);
    l->spare_fd = -1;
    int fd = 0;
    for (int i = 0; i < ACCEPT_MAX && fd >= 0; i++)
        if ((fd = accept_one(l)) >= 0)
            close(fd);
    take_spare(l);
    return fd;
}

/* What befell a connection that was to be accepted, and not us (accept(2), "Error handling"). */
static bool is_of_connection(int error)
{
    switch (error) {
    case -EINTR:
    case -ECONNABORTED:
    case -EPROTO:
    case -ENOPROTOOPT:
    case -ENETDOWN:
    case -ENETUNREACH:
    case -EHOSTDOWN:
    case -EHOSTUNREACH:
    case -ENONET:
    case -EOPNOTSUPP:
        return true;
    default:
        return false;
    }
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *pause)
{
    struct listener_socket *l = pause->data;
    take_spare(l);
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener_socket *l = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_MAX && !uv_is_closing((uv_handle_t *)poll); i++) {
        int fd = accept_one(l);
        if (fd >= 0) {
            l->came(l->ctx, fd);
            continue;
        }
        if (fd == -EMFILE || fd == -ENFILE)
            fd = send_away(l);
        if (fd == -EAGAIN)
            return;
        if (fd < 0 && !is_of_connection(fd)) {
            uv_poll_stop(poll);
            uv_timer_start(&l->pause, on_pause_over, LISTENER_PAUSE_MS, 0);
            return;
        }
    }
}

int listener_open(struct listener_socket *l, uv_loop_t *loop, int fd,
                  void (*came)(void *ctx, int fd), void *ctx)
{
    *l = (struct listener_socket){.fd = fd, .spare_fd = -1, .came = came, .ctx = ctx};
    int error = uv_poll_init_socket(loop, &l->poll, fd);
    if (error)
        return error;
    uv_timer_init(loop, &l->pause);
    l->poll.data = l->pause.data = l;
    take_spare(l);
    return uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

void listener_close(struct listener_socket *l, uv_close_cb on_closed)
{
    uv_close((uv_handle_t *)&l->poll, on_closed); /* stops it at once, so the socket may go */
    uv_close((uv_handle_t *)&l->pause, on_closed);
    close(l->fd);
    if (l->spare_fd >= 0)
        close(l->spare_fd);
}
