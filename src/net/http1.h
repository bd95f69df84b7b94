/* http1.h - HTTP/1.1 requests out of bytes, answers into bytes; no socket
 *
 * The caller keeps the bytes of a connection in one contiguous buffer and calls http1_parse() with
 * what is there, from the first byte of a request on. It answers like every parser here:
 *
 *     n > 0   a whole request stood there; it took n bytes, and *req points into the buffer
 *     0       not whole yet: call again, with the same bytes and more behind them
 *     < 0     refused: http1_refusal() has the status and a sentence; answer, then close
 *
 * Nothing is repaired. A request that two servers could read differently is refused: two or odd
 * Content-Lengths, Content-Length with Transfer-Encoding, any Transfer-Encoding but chunked, bare
 * LF or CR, obs-fold, blank before a colon, NUL, a missing or doubled Host, a malformed method.
 * (RFC 9112; the reasons are in docs/DECISIONS.md.)
 *
 * Between two calls for one request the state in struct http1 says how far the bytes were looked
 * at, so that a request that arrives in n pieces costs O(its size), not O(n * size). A chunked body
 * is put together in place: the bytes of the buffer may be moved by the call, never beyond len.
 * How the bytes were cut into calls never changes the outcome.
 */
#ifndef NET_HTTP1_H
#define NET_HTTP1_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits; what goes over them is refused with the status beside them. */
enum {
    HTTP1_TARGET_MAX = 32768,        /* 414; an item of 8,192 bytes, all percent-encoded, fits */
    HTTP1_HEADERS_BYTES_MAX = 16384, /* 431; all header lines together; trailers as much again */
    HTTP1_HEADERS_MAX = 64,          /* 431; how many */
    HTTP1_BODY_MAX = 1048576,        /* 413 */
    HTTP1_CHUNKING_MAX = 1048576,    /* 413; what a chunked body has beside its bytes */
    HTTP1_CHUNK_EXTENSION_MAX = 64   /* 400 */
};

struct http1_header {
    struct str name;  /* as sent; compare without case */
    struct str value; /* without the blanks around it */
};

struct http1_request {
    struct str method; /* GET, HEAD, POST, PUT, DELETE, OPTIONS or PATCH; the rest is refused */
    struct str target; /* origin-form, as sent: "/api/Add/7f?item=a"; or "*" */
    struct str body;
    size_t header_count;
    bool is_1_0;     /* HTTP/1.0, else HTTP/1.1 */
    bool keep_alive; /* what version and Connection ask for */
    struct http1_header headers[HTTP1_HEADERS_MAX];
};

/* How far a request was read. Plain, so that a connection can hold it by value; zeroed is ready.
 * Bytes and places count from the first byte of the request. */
struct http1 {
    uint32_t taken_bytes;     /* whole lines and chunks; the next one begins here */
    uint32_t scanned_bytes;   /* looked at for the end of a line, no need to look again */
    uint32_t method_at;       /* 2 after an empty line, else 0 */
    uint32_t method_len;      /* 0 until the request line is whole */
    uint32_t target_len;      /* stands behind the method and a blank */
    uint32_t headers_at;      /* where the header lines begin */
    uint32_t head_bytes;      /* 0 until the header block is whole; then the body stands here */
    uint32_t fields_bytes;    /* header lines so far, or trailer lines */
    uint32_t body_bytes;      /* decoded so far */
    uint32_t body_left_bytes; /* of the body, or of the chunk */
    uint8_t phase;            /* enum phase, in http1.c */
    bool is_1_0;
    bool keep_alive;
    bool wants_continue; /* Expect: 100-continue, and nothing of the body is there yet */
    int refusal_status;
    const char *refusal_text;
};

/* Ready for the next request on the same connection. */
void http1_reset(struct http1 *p);

/* See above. What *req holds means something only if the result is > 0. */
int64_t http1_parse(struct http1 *p, char *buf, size_t len, struct http1_request *req);

/* After a result < 0: the status to answer and a sentence that says what was wrong. */
int http1_refusal(const struct http1 *p, const char **ret_text);

/* True once for a request that waits for "100 Continue" and whose head is acceptable. */
bool http1_take_continue(struct http1 *p);

/* The value of the first header of that name, compared without case; .at NULL when missing. */
struct str http1_find(const struct http1_request *req, const char *name);

/* An answer, as its head and body go out. Nothing here is checked: who puts a string of a stranger
 * into content_type or headers keeps CR and LF out of it. */
struct http1_answer {
    int status;
    const char *content_type; /* NULL: none */
    const char *headers;      /* more header lines, each ended by CRLF; NULL: none */
    struct str body;
    bool head_only;  /* answer to HEAD: Content-Length of the body, no body */
    bool close;      /* adds "Connection: close" */
    bool is_stream;  /* the body goes on until the connection ends: no Content-Length */
    bool keep_alive; /* adds "Connection: keep-alive", which an HTTP/1.0 client waits for */
};

/* The Date line of one second, so that it is made once a second; zeroed is none. */
struct http1_date {
    int64_t second;
    char line[40];
};

/* Appends status line, Date (of now_ms), Content-Length, the rest, body. A 1xx, 204 or 304 has
 * neither Content-Length nor body, a 205 no body (RFC 9110, 8.6 and 15). */
void http1_write(struct buf *out, const struct http1_answer *answer, struct http1_date *date,
                 int64_t now_ms);

/* Appends a problem (RFC 9457) without a type of its own: {"type":"about:blank","title":"Not
 * Found","status":404,"detail":detail}. The detail is UTF-8. */
void http1_problem(struct buf *out, int status, const char *detail);

#endif
