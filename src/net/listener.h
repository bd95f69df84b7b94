/* listener.h - a socket that listens, and what to do when nobody can be let in
 *
 * Every connection that waits is accepted at once and handed on. Accepting can fail for want of
 * something (file descriptors of the process or of the machine, memory): the connection then goes
 * on waiting, so the socket stays readable, and whoever just tries again does nothing else any
 * more. libuv's own listener does so when its spare descriptor is gone or not what is wanting.
 *
 *     no descriptor   one that is kept for this is given up, who waits is accepted and closed, so
 *                     that the client sees that; then it is taken again
 *     anything else,  nobody is let in for LISTENER_PAUSE_MS; what waits, waits
 *     or that fails
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdbool.h>
#include <uv.h>

enum { LISTENER_PAUSE_MS = 100 };

struct listener_socket {
    uv_poll_t poll;
    uv_timer_t pause;
    int fd, spare_fd;                /* spare_fd -1: given up, and not to be had again yet */
    void (*came)(void *ctx, int fd); /* fd is the callee's */
    void *ctx;
};

/* Takes a socket that listens and does not block; 0 or libuv's error, and then it is the caller's.
 */
int listener_open(struct listener_socket *l, uv_loop_t *loop, int fd,
                  void (*came)(void *ctx, int fd), void *ctx);
/* Lets nobody in any more, and closes the socket. Both handles are closed with on_closed. */
void listener_close(struct listener_socket *l, uv_close_cb on_closed);

#endif
