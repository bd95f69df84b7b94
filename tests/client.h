/* client.h - what looks at a server from outside: bytes on a loopback socket, and a process
 *
 * Three parts, used by the contract test, the crash loop and the bench:
 *
 *   client   a blocking HTTP/1.1 connection. It keeps alive, reads answers with a Content-Length,
 *            sends raw bytes too, and never asks twice by itself: a request without an answer is
 *            the caller's to judge.
 *   service  a server under test with its own temporary folder: started, waited for, ended by
 *            signal, started again on the same data.
 *   text     percent-encoding, and just enough JSON to look into the answers.
 *
 * Whatever waits here is bounded in time, and nothing sleeps for a fixed while: starting is polled
 * with connect(), ending with a pidfd. A child dies with the thread that started it.
 *
 * Calls that can fail return 0 or a negative errno; a bug of the caller's is an assertion.
 */
#ifndef TESTS_CLIENT_H
#define TESTS_CLIENT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MUST_USE __attribute__((warn_unused_result))

/* ---- client -------------------------------------------------------------------------------- */

/* Owner: the client, until its next read. */
struct answer {
    int status;
    const char *head; /* status line and header lines, each ended by CRLF; ends with NUL */
    const char *body; /* a NUL follows */
    size_t body_len;
};

struct client {
    uint16_t port;
    int fd; /* -1: not connected */
    char *buf;
    size_t len, cap;
    char *answer; /* what the last answer points into */
};

struct ask {
    const char *method; /* NULL: GET */
    const char *path;
    const char *headers; /* more header lines, each ended by CRLF; may be NULL */
    const char *body;    /* NULL: none */
    size_t body_len;
    const char *type; /* Content-Type; may be NULL */
    const char *key;  /* Idempotency-Key; may be NULL */
};

void client_init(struct client *c, uint16_t port);
void client_free(struct client *c);
MUST_USE int client_connect(struct client *c);
void client_disconnect(struct client *c);

MUST_USE int client_send(struct client *c, const void *bytes, size_t len);

/* Reads one answer; is_head: no body follows. Errors: -ECONNRESET when the connection ended before
 * the answer did, -ETIMEDOUT after 20 s, -EPROTO for what is no answer with a Content-Length. */
MUST_USE int client_read(struct client *c, bool is_head, struct answer *ret);

/* Connects if need be, sends, reads. After an error or "Connection: close" it is disconnected. */
MUST_USE int client_ask(struct client *c, const struct ask *ask, struct answer *ret);

/* True when the server has closed (or does so within 20 s) and sent nothing more. */
bool client_is_at_end(struct client *c);

/* Copies the value of the first header of that name; "" when missing. */
void answer_header(const struct answer *a, const char *name, char *ret, size_t size);

/* ---- service ------------------------------------------------------------------------------- */

/* A port that was free a moment ago. */
MUST_USE int port_find(uint16_t *ret);

/* A file in the folder of the program that runs. */
void path_beside(const char *name, char *ret, size_t size);

/* Starts a program; what it prints goes to the file. settings: "NAME=value", ended by NULL, before
 * the environment's own; may be NULL. */
MUST_USE int process_start(const char *const argv[], const char *const settings[],
                           const char *output_path, pid_t *ret);
/* The exit code, or 128 + the signal that ended it; after timeout_ms it is killed: -ETIMEDOUT. */
MUST_USE int process_wait(pid_t pid, int timeout_ms);

struct service {
    const char *binary;
    char folder[256]; /* holds what follows */
    char data[300];
    char output[300]; /* what the last start printed */
    uint16_t port;
    pid_t pid; /* 0: not running */
};

/* The registry: $REGISTRY, or the one beside this program. */
const char *service_binary(void);
/* Makes the folder; starts nothing. Owner: binary stays the caller's. */
MUST_USE int service_init(struct service *s, const char *binary);
/* Ends it if it runs, removes the folder. */
void service_free(struct service *s);
/* `binary start --port N --data DIR`, on a free port of its own each time. */
MUST_USE int service_spawn(struct service *s, const char *const settings[]);
/* Until GET /admin/host/ping is answered with 200. -ECHILD: it ended instead. */
/* Both of these. */
MUST_USE int service_start(struct service *s, const char *const settings[]);
bool service_has_ended(const struct service *s);
/* Sends the signal; result as process_wait's. */
int service_stop(struct service *s, int signal_number);
/* The file of what it printed, cut to size. */
void output_read(const char *path, char *ret, size_t size);

/* ---- text ---------------------------------------------------------------------------------- */

int64_t monotonic_ns(void);
int64_t wall_ms(void);
/* For polling: nothing relies on how long it is. */
void nap_ms(int ms);

/* Everything but letters, digits, - . _ ~ as %XX. ret holds 3 * len + 1 bytes. */
void url_encode(const char *text, size_t len, char *ret);
/* Behind `"key":`, NULL when it is not there. Values that hold such text fool it. */
const char *json_find(const char *json, const char *key);
/* The number behind `"key":`; -1 when there is none. */
int64_t json_number(const char *json, const char *key);
/* Decodes the string that starts at the quote `at`; gives the place behind it, NULL when it is no
 * string. ret holds size bytes, a NUL at the end. */
const char *json_string(const char *at, char *ret, size_t size, size_t *ret_len);
/* json_find and json_string; false when missing. */
bool json_text(const char *json, const char *key, char *ret, size_t size);
/* "2026-12-24T18:00:00.000Z" to UTC milliseconds; -1 when it is none. */
int64_t time_of(const char *text);

#endif
