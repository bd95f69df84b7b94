#include "net/http_client.h"

#include "base/die.h"
#include "base/value.h"
#include "net/curl_library.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BODY_BYTES_MAX = VAL_BYTES_MAX,
    HEAD_BYTES_MAX = 64 * 1024,
    CONNECT_TIMEOUT_MS = 10 * 1000,
    HANDLES_MAX = 16 /* kept for their connections */
};

struct http_client {
    pthread_mutex_t lock;
    CURL *idle[HANDLES_MAX];
    size_t idle_count;
    struct curl_library lib;
    bool is_loaded;
    atomic_bool is_ending;
};

/* One exchange. */
struct exchange {
    struct http_client *client;
    const struct curl_library *lib;
    ks_arena *mem;
    CURL *curl;
    struct curl_slist *headers; /* of the request */
    ks_val *answer_headers;
    size_t head_bytes;
    struct buf body;
    const char *fault; /* why we broke it off */
    char why[CURL_ERROR_SIZE];
};

struct http_client *http_client_new(void)
{
    struct http_client *c = die_zalloc(sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void http_client_end(struct http_client *c)
{
    atomic_store(&c->is_ending, true);
}

void http_client_free(struct http_client *c)
{
    while (c->idle_count)
        c->lib.easy_cleanup(c->idle[--c->idle_count]);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static CURL *take_handle(struct http_client *c)
{
    CURL *curl = NULL;
    pthread_mutex_lock(&c->lock);
    if (!c->is_loaded)
        c->is_loaded = curl_library_load(&c->lib);
    if (c->idle_count)
        curl = c->idle[--c->idle_count];
    else if (c->is_loaded)
        curl = c->lib.easy_init();
    pthread_mutex_unlock(&c->lock);
    return curl;
}

static void give_handle(struct http_client *c, CURL *curl)
{
    c->lib.easy_reset(curl); /* all but connections and what TLS learned */
    pthread_mutex_lock(&c->lock);
    if (c->idle_count < HANDLES_MAX) {
        c->idle[c->idle_count++] = curl;
        curl = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    if (curl)
        c->lib.easy_cleanup(curl);
}

/* ---- the answer ---- */

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    if (x->body.len + size * n > BODY_BYTES_MAX) {
        x->fault = "the answer has more than 1 MiB";
        return 0;
    }
    buf_append(&x->body, bytes, size * n);
    return size * n;
}

static struct str trimmed(struct str s)
{
    while (s.len && strchr(" \t\r\n", s.at[s.len - 1]))
        s.len--;
    while (s.len && strchr(" \t", s.at[0]))
        s = (struct str){s.at + 1, s.len - 1};
    return s;
}

/* An object has a name once, so those of one name are joined (RFC 9110, section 5.3). */
static void add_header(struct exchange *x, struct str line_name, struct str val)
{
    char *copy = arena_strndup(x->mem, line_name.at, line_name.len);
    struct str name = {copy, line_name.len};
    for (size_t i = 0; i < name.len; i++)
        copy[i] = (char)tolower((unsigned char)copy[i]);
    const struct val_member *before = val_member(x->answer_headers, name);
    if (before && before->val->len)
        val = str_of(ks_format(x->mem, "%s, %.*s", ks_text(before->val), (int)val.len, val.at));
    val_put_n(x->mem, x->answer_headers, name, ks_string_n(x->mem, val.at, val.len));
}

static size_t on_header(char *bytes, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    struct str line = {bytes, size * n};
    const char *colon = memchr(line.at, ':', line.len);
    x->head_bytes += line.len;
    if (x->head_bytes > HEAD_BYTES_MAX) {
        x->fault = "the answer has more than 64 KiB of headers";
        return 0;
    }
    if (line.len >= 5 && memcmp(line.at, "HTTP/", 5) == 0) { /* after a 100 or its like */
        x->answer_headers = ks_object(x->mem);
    } else if (colon) {
        size_t len = (size_t)(colon - line.at);
        add_header(x, trimmed((struct str){line.at, len}),
                   trimmed((struct str){colon + 1, line.len - len - 1}));
    }
    return size * n;
}

/* Called at least about once a second. */
static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct exchange *x = ctx;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return atomic_load(&x->client->is_ending);
}

/* ---- the request ---- */

static void append_line(struct exchange *x, const char *line)
{
    struct curl_slist *more = x->lib->slist_append(x->headers, line);
    if (!more)
        die("out of memory");
    x->headers = more;
}

/* libcurl takes "Name:" for "without it", and "Name;" for one that is empty. */
static void set_headers(struct exchange *x, const ks_http_request *request)
{
    bool has_type = false;
    for (size_t i = 0; i < ks_len(request->headers); i++) {
        const char *name = ks_key_at(request->headers, i);
        const char *val = ks_text(ks_val_at(request->headers, i));
        has_type |= str_is_nocase(str_of(name), STR("Content-Type"));
        append_line(x, val[0] ? ks_format(x->mem, "%s: %s", name, val)
                              : ks_format(x->mem, "%s;", name));
    }
    if (!has_type)
        append_line(x, "Content-Type:");
    append_line(x, "Expect:");
    append_line(x, "Accept-Encoding:");
    x->lib->easy_setopt(x->curl, CURLOPT_HTTPHEADER, x->headers);
}

static void set_method(struct exchange *x, const ks_http_request *request)
{
    CURLcode (*set)(CURL * curl, CURLoption option, ...) = x->lib->easy_setopt;
    static const char *const with_body[] = {"POST", "PUT", "PATCH"};
    struct str body = val_str(request->body);
    bool has_body = request->body;
    for (size_t i = 0; i < sizeof with_body / sizeof with_body[0]; i++)
        has_body |= strcmp(request->method, with_body[i]) == 0; /* an empty one, then */
    if (has_body) {
        set(x->curl, CURLOPT_POSTFIELDS, body.len ? body.at : "");
        set(x->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        set(x->curl, CURLOPT_CUSTOMREQUEST, request->method);
    } else if (strcmp(request->method, "HEAD") == 0) {
        set(x->curl, CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "GET") != 0) {
        set(x->curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static void set_limits(struct exchange *x, const ks_http_request *request)
{
    CURLcode (*set)(CURL * curl, CURLoption option, ...) = x->lib->easy_setopt;
    set(x->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    set(x->curl, CURLOPT_FOLLOWLOCATION, 0L);
    set(x->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    set(x->curl, CURLOPT_PROXY, "");
    set(x->curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    set(x->curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    set(x->curl, CURLOPT_SSL_VERIFYPEER, 1L);
    set(x->curl, CURLOPT_SSL_VERIFYHOST, 2L);
    set(x->curl, CURLOPT_NOSIGNAL, 1L);
    set(x->curl, CURLOPT_MAXCONNECTS, 2L);
    set(x->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    set(x->curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
}

static void set_callbacks(struct exchange *x)
{
    CURLcode (*set)(CURL * curl, CURLoption option, ...) = x->lib->easy_setopt;
    set(x->curl, CURLOPT_WRITEFUNCTION, on_body);
    set(x->curl, CURLOPT_WRITEDATA, x);
    set(x->curl, CURLOPT_HEADERFUNCTION, on_header);
    set(x->curl, CURLOPT_HEADERDATA, x);
    set(x->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    set(x->curl, CURLOPT_XFERINFODATA, x);
    set(x->curl, CURLOPT_NOPROGRESS, 0L);
    set(x->curl, CURLOPT_ERRORBUFFER, x->why);
}

/* ---- both ---- */

static const ks_val *failure(const struct exchange *x, CURLcode code)
{
    const char *why = x->fault ? x->fault : x->why[0] ? x->why : x->lib->easy_strerror(code);
    const char *type = KS_ERROR_UNREACHABLE;
    if (code == CURLE_OPERATION_TIMEDOUT)
        type = KS_ERROR_TIMEOUT;
    else if (x->fault || code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY)
        type = KS_ERROR_BAD_ANSWER;
    return ks_fail(x->mem, type, "%s", why);
}

static const ks_val *answer_of(const struct exchange *x)
{
    long status = 0;
    ks_val *answer = ks_object(x->mem);
    x->lib->easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    ks_put(x->mem, answer, "status", ks_integer(x->mem, status));
    ks_put(x->mem, answer, "headers", x->answer_headers);
    return ks_put(x->mem, answer, "body", ks_string_n(x->mem, x->body.at, x->body.len));
}

const ks_val *http_client_exchange(struct http_client *c, ks_arena *mem,
                                   const ks_http_request *request)
{
    struct exchange x = {.client = c, .lib = &c->lib, .mem = mem, .answer_headers = ks_object(mem)};
    if (atomic_load(&c->is_ending))
        return ks_fail(mem, KS_ERROR_UNREACHABLE, "the host is ending");
    x.curl = take_handle(c);
    if (!x.curl)
        return ks_fail(mem, KS_ERROR_UNREACHABLE, "libcurl could not be loaded; install libcurl4");
    c->lib.easy_setopt(x.curl, CURLOPT_URL, request->url);
    set_limits(&x, request);
    set_method(&x, request);
    set_headers(&x, request);
    set_callbacks(&x);
    CURLcode code = c->lib.easy_perform(x.curl);
    const ks_val *result = code == CURLE_OK ? answer_of(&x) : failure(&x, code);
    c->lib.slist_free_all(x.headers);
    buf_free(&x.body);
    give_handle(c, x.curl);
    return result;
}
