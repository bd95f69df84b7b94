/* fake_server.h - a server that does as it is told: for what asks others over HTTP
 *
 * It reads a request, keeps it, and sends the bytes that are its answer at that time, whatever they
 * are; then it closes the connection. With no answer it stays silent until it has one or is closed.
 * It runs on a thread of its own and listens on loopback. While it is closed its port refuses.
 */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_server;

struct fake_request {
    char *text; /* head and body; ends with NUL */
    size_t len;
    const char *body; /* in text */
    size_t body_len;
};

/* On a free port of its own, which it keeps; closed. */
struct fake_server *fake_server_new(void);
void fake_server_free(struct fake_server *f);
uint16_t fake_server_port(const struct fake_server *f);
void fake_server_open(struct fake_server *f);
/* Connections end too. */
void fake_server_close(struct fake_server *f);
/* NULL: silence. The bytes are the caller's and have to stay. Who waits now is cut off. */
void fake_server_answer(struct fake_server *f, const char *bytes, size_t len);

size_t fake_server_count(struct fake_server *f);
/* Waits until that many requests came; false after 20 s. */
bool fake_server_await(struct fake_server *f, size_t count);
/* The i-th that came; good until the server is freed. */
const struct fake_request *fake_server_request(struct fake_server *f, size_t i);
/* The value of a header; "" when missing. */
void fake_request_header(const struct fake_request *r, const char *name, char *ret, size_t size);

#endif
