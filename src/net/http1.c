/* http1.c - the strict reader of requests
 *
 * One pass finds the lines of the head and refuses a bare LF; when the head is whole, a second one
 * takes its lines apart. Bodies are taken by count. What is read next is the phase:
 *
 *     REQUEST_LINE -> FIELDS -+-> BODY -----------------------------------------+-> WHOLE
 *                             |                                                 |
 *                             +-> CHUNK_SIZE -+-> CHUNK -> CHUNK_END -+         |
 *                                   ^         |                       |         |
 *                                   |         +-> TRAILERS ---------- | --------+
 *                                   +---------------------------------+
 *     any but WHOLE -> REFUSED
 *
 * In the buffer, while a chunked body is read (the gap is what chunk sizes took):
 *
 *     | head | body decoded so far | gap | not taken yet |
 *            ^ head_bytes                ^ taken_bytes   ^ len
 *
 * Every decision hangs on whole lines and on counts, never on what happens to have arrived: so the
 * outcome is the same however the bytes were cut.
 *
 * Where RFC 9112 leaves a choice: one empty line before the request line is skipped (2.2), a second
 * is refused; HTTP/1.0 may do without Host; absolute-form is refused, as there is no proxy here; a
 * fragment in the target is refused; blanks in a chunk-size line are refused; trailers are checked
 * and thrown away; Upgrade means nothing.
 */
#include "net/http1.h"

#include <assert.h>
#include <string.h>

enum phase {
    REQUEST_LINE,
    FIELDS,
    BODY,
    CHUNK_SIZE,
    CHUNK,
    CHUNK_END,
    TRAILERS,
    WHOLE,
    REFUSED,
};

enum {
    REQUEST_LINE_MAX = HTTP1_TARGET_MAX + 32, /* room for method, version, blanks, CRLF */
    CHUNK_DIGITS_MAX = 16,
    CHUNK_SIZE_LINE_MAX = CHUNK_DIGITS_MAX + HTTP1_CHUNK_EXTENSION_MAX + 2,
    LENGTH_DIGITS_MAX = 18, /* fits int64_t; leading zeros are no reason for more */
};

/* What a byte may be part of. CR, LF and NUL are part of nothing. */
enum {
    IN_TOKEN = 1,  /* method, header name: RFC 9110, 5.6.2 */
    IN_VALUE = 2,  /* header value: visible, blank, tab, obs-text */
    IN_TARGET = 4, /* visible ASCII but for '#' */
    IN_HOST = 8,   /* host and port: RFC 3986, 3.2.2, and '%', '[', ']', ':' */
    IN_ALL = 15,
};

static const uint8_t classes[256] = {
    ['\t'] = IN_VALUE,
    [' '] = IN_VALUE,
    ['!'] = IN_ALL,
    ['"'] = IN_VALUE | IN_TARGET,
    ['#'] = IN_VALUE | IN_TOKEN,
    ['$' ... '\''] = IN_ALL,
    ['(' ... ')'] = IN_VALUE | IN_TARGET | IN_HOST,
    ['*' ... '+'] = IN_ALL,
    [','] = IN_VALUE | IN_TARGET | IN_HOST,
    ['-' ... '.'] = IN_ALL,
    ['/'] = IN_VALUE | IN_TARGET,
    ['0' ... '9'] = IN_ALL,
    [':' ... ';'] = IN_VALUE | IN_TARGET | IN_HOST,
    ['<'] = IN_VALUE | IN_TARGET,
    ['='] = IN_VALUE | IN_TARGET | IN_HOST,
    ['>' ... '@'] = IN_VALUE | IN_TARGET,
    ['A' ... 'Z'] = IN_ALL,
    ['['] = IN_VALUE | IN_TARGET | IN_HOST,
    ['\\'] = IN_VALUE | IN_TARGET,
    [']'] = IN_VALUE | IN_TARGET | IN_HOST,
    ['^'] = IN_VALUE | IN_TOKEN | IN_TARGET,
    ['_'] = IN_ALL,
    ['`'] = IN_VALUE | IN_TOKEN | IN_TARGET,
    ['a' ... 'z'] = IN_ALL,
    ['{'] = IN_VALUE | IN_TARGET,
    ['|'] = IN_VALUE | IN_TOKEN | IN_TARGET,
    ['}'] = IN_VALUE | IN_TARGET,
    ['~'] = IN_ALL,
    [0x80 ... 0xff] = IN_VALUE,
};

/* How many bytes from here on are of the class. Ends at the CR of the line at the latest. */
static size_t span(const char *at, int class)
{
    size_t n = 0;
    while (classes[(uint8_t)at[n]] & class)
        n++;
    return n;
}

static bool refuse(struct http1 *p, int status, const char *text)
{
    p->phase = REFUSED;
    p->refusal_status = status;
    p->refusal_text = text;
    return false;
}

static bool go_on(struct http1 *p, enum phase next)
{
    p->phase = (uint8_t)next;
    return true;
}

/* What a line that is too long means in each phase that reads lines. */
static const struct {
    int status;
    const char *text;
} long_line[] = {
    [REQUEST_LINE] = {414, "The request line is longer than 32,768 bytes of target need."},
    [FIELDS] = {431, "The header lines are longer than 16,384 bytes."},
    [CHUNK_SIZE] = {400, "A chunk size or its extension is too long."},
    [CHUNK_END] = {400, "A chunk is longer than its size says."},
    [TRAILERS] = {431, "The trailer lines are longer than 16,384 bytes."},
};

/* Takes the next line, CRLF included, of at most max bytes. False: not whole yet, or refused. */
static bool take_line(struct http1 *p, const char *buf, size_t len, size_t max, struct str *ret)
{
    size_t reach = p->taken_bytes + max;
    size_t end = len < reach ? len : reach;
    const char *lf = memchr(buf + p->scanned_bytes, '\n', end - p->scanned_bytes);
    p->scanned_bytes = (uint32_t)(lf ? (size_t)(lf - buf) + 1 : end);
    if (!lf && end < reach)
        return false;
    if (!lf)
        return refuse(p, long_line[p->phase].status, long_line[p->phase].text);
    *ret = (struct str){buf + p->taken_bytes, p->scanned_bytes - p->taken_bytes};
    if (ret->len < 2 || lf[-1] != '\r')
        return refuse(p, 400, "A line ends with LF and not with CRLF.");
    p->taken_bytes = p->scanned_bytes;
    return true;
}

static bool is_crlf(struct str line)
{
    return line.len == 2;
}

static bool is_known_method(struct str method)
{
    static const struct str known[] = {
        {"GET", 3},    {"POST", 4},    {"HEAD", 4},  {"PUT", 3},
        {"DELETE", 6}, {"OPTIONS", 7}, {"PATCH", 5},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_is(method, known[i]))
            return true;
    return false;
}

/* "HTTP/1.1" CRLF. */
static bool read_version(struct http1 *p, struct str version)
{
    const char *at = version.at;
    bool is_well_formed = version.len == 10 && memcmp(at, "HTTP/", 5) == 0 && at[5] >= '0' &&
                          at[5] <= '9' && at[6] == '.' && at[7] >= '0' && at[7] <= '9';
    if (!is_well_formed)
        return refuse(p, 400, "The request line does not end with a version such as HTTP/1.1.");
    if (at[5] != '1' || at[7] > '1')
        return refuse(p, 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
    p->is_1_0 = at[7] == '0';
    return true;
}

static bool read_target(struct http1 *p, struct str method, struct str target)
{
    if (target.len > HTTP1_TARGET_MAX)
        return refuse(p, 414, "The target is longer than 32,768 bytes.");
    bool is_asterisk = str_is(target, STR("*")) && str_is(method, STR("OPTIONS"));
    if (target.at[0] != '/' && !is_asterisk)
        return refuse(p, 400, "The target does not begin with a slash.");
    return true;
}

static bool on_request_line(struct http1 *p, const char *buf, size_t len)
{
    struct str line;
    if (!take_line(p, buf, len, REQUEST_LINE_MAX, &line))
        return false;
    if (is_crlf(line) && p->method_at == 0) {
        p->method_at = 2;
        return true;
    }
    struct str method = {line.at, span(line.at, IN_TOKEN)};
    if (method.len == 0 || line.at[method.len] != ' ')
        return refuse(p, 400, "The request line does not begin with a method and one blank.");
    struct str target = {line.at + method.len + 1, span(line.at + method.len + 1, IN_TARGET)};
    if (target.len == 0 || target.at[target.len] != ' ')
        return refuse(p, 400,
                      "The target is missing, has a byte that must be percent-encoded, "
                      "or is not followed by one blank.");
    const char *version = target.at + target.len + 1;
    if (!read_version(p, (struct str){version, (size_t)(line.at + line.len - version)}))
        return false;
    if (!is_known_method(method))
        return refuse(p, 501, "The method is not known here.");
    if (!read_target(p, method, target))
        return false;
    p->method_len = (uint32_t)method.len;
    p->target_len = (uint32_t)target.len;
    p->headers_at = p->taken_bytes;
    return go_on(p, FIELDS);
}

/* Takes one header line apart; where the next begins, or NULL when it is refused. */
static const char *read_field(struct http1 *p, const char *at, struct http1_header *ret)
{
    ret->name = (struct str){at, span(at, IN_TOKEN)};
    const char *value = at + ret->name.len;
    if (ret->name.len == 0 || *value++ != ':') {
        refuse(p, 400, "A header line does not begin with a name and a colon right behind it.");
        return NULL;
    }
    while (*value == ' ' || *value == '\t')
        value++;
    size_t len = span(value, IN_VALUE);
    const char *end = value + len;
    if (end[0] != '\r' || end[1] != '\n') {
        refuse(p, 400, "A header value has a control character or a CR without LF.");
        return NULL;
    }
    while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    ret->value = (struct str){value, len};
    return end + 2;
}

static bool read_fields(struct http1 *p, const char *buf, struct http1_request *req)
{
    const char *at = buf + p->headers_at;
    const char *end = buf + p->head_bytes - 2;
    size_t n = 0;
    while (at != end) {
        if (n == HTTP1_HEADERS_MAX)
            return refuse(p, 431, "There are more than 64 header lines.");
        at = read_field(p, at, &req->headers[n++]);
        if (!at)
            return false;
    }
    req->header_count = n;
    return true;
}

/* What the header lines say about the connection and the body. */
struct demands {
    int hosts;
    int lengths;
    int encodings;
    bool close;
    bool keep_alive;
    bool expects_continue;
    int64_t length_bytes;
};

static bool on_host(struct http1 *p, struct str value, struct demands *d)
{
    if (d->hosts++)
        return refuse(p, 400, "There are two Host headers.");
    if (value.len == 0 || span(value.at, IN_HOST) < value.len)
        return refuse(p, 400, "The Host header is not a host and a port.");
    return true;
}

/* A tab before the value or any blank behind it. RFC 9110 allows both, but servers are known to
 * differ in what they make of "chunked" and a tab (http-parser refuses it), and nobody needs it. */
static bool has_odd_blanks(struct str value)
{
    return value.at[-1] == '\t' || value.at[value.len] != '\r';
}

static bool on_content_length(struct http1 *p, struct str value, struct demands *d)
{
    if (d->lengths++)
        return refuse(p, 400, "There are two Content-Length headers.");
    if (has_odd_blanks(value))
        return refuse(p, 400, "Content-Length has a tab or a blank where none is needed.");
    if (value.len == 0 || value.len > LENGTH_DIGITS_MAX)
        return refuse(p, 400, "Content-Length is not a number of up to 18 digits.");
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return refuse(p, 400, "Content-Length is not a number of up to 18 digits.");
        d->length_bytes = d->length_bytes * 10 + (value.at[i] - '0');
    }
    return true;
}

static bool on_transfer_encoding(struct http1 *p, struct str value, struct demands *d)
{
    if (d->encodings++)
        return refuse(p, 400, "There are two Transfer-Encoding headers.");
    if (!str_is_nocase(value, STR("chunked")) || has_odd_blanks(value))
        return refuse(p, 400, "Transfer-Encoding is something else than chunked.");
    return true;
}

static bool on_expect(struct http1 *p, struct str value, struct demands *d)
{
    if (!str_is_nocase(value, STR("100-continue")))
        return refuse(p, 417, "Expect is something else than 100-continue.");
    d->expects_continue = true;
    return true;
}

/* "a, b ,c": a list, in which empty members count for nothing (RFC 9110, 5.6.1). */
static bool on_connection(struct str value, struct demands *d)
{
    const char *at = value.at;
    const char *end = at + value.len;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *next = comma ? comma : end;
        struct str option = {at, (size_t)(next - at)};
        while (option.len && (*option.at == ' ' || *option.at == '\t'))
            option.at++, option.len--;
        while (option.len &&
               (option.at[option.len - 1] == ' ' || option.at[option.len - 1] == '\t'))
            option.len--;
        d->close |= str_is_nocase(option, STR("close"));
        d->keep_alive |= str_is_nocase(option, STR("keep-alive"));
        at = next + 1;
    }
    return true;
}

static bool judge_field(struct http1 *p, const struct http1_header *field, struct demands *d)
{
    switch (field->name.len) {
    case 4:
        return !str_is_nocase(field->name, STR("Host")) || on_host(p, field->value, d);
    case 6:
        return !str_is_nocase(field->name, STR("Expect")) || on_expect(p, field->value, d);
    case 10:
        return !str_is_nocase(field->name, STR("Connection")) || on_connection(field->value, d);
    case 14:
        return !str_is_nocase(field->name, STR("Content-Length")) ||
               on_content_length(p, field->value, d);
    case 17:
        return !str_is_nocase(field->name, STR("Transfer-Encoding")) ||
               on_transfer_encoding(p, field->value, d);
    default:
        return true;
    }
}

static bool judge_fields(struct http1 *p, const struct http1_request *req, struct demands *d)
{
    for (size_t i = 0; i < req->header_count; i++)
        if (!judge_field(p, &req->headers[i], d))
            return false;
    if (d->hosts == 0 && !p->is_1_0)
        return refuse(p, 400, "There is no Host header.");
    if (d->encodings && p->is_1_0)
        return refuse(p, 400, "HTTP/1.0 has no Transfer-Encoding.");
    if (d->encodings && d->lengths)
        return refuse(p, 400, "There are both Content-Length and Transfer-Encoding.");
    if (d->length_bytes > HTTP1_BODY_MAX)
        return refuse(p, 413, "The body is longer than 1,048,576 bytes.");
    return true;
}

/* Takes field lines up to the empty one, which alone does not count against the limit. */
static bool take_field_line(struct http1 *p, const char *buf, size_t len, struct str *ret_line)
{
    size_t left = HTTP1_HEADERS_BYTES_MAX - p->fields_bytes;
    if (!take_line(p, buf, len, left > 2 ? left : 2, ret_line))
        return false;
    if (!is_crlf(*ret_line))
        p->fields_bytes += (uint32_t)ret_line->len;
    return true;
}

static bool on_fields(struct http1 *p, const char *buf, size_t len, struct http1_request *req)
{
    struct str line;
    do {
        if (!take_field_line(p, buf, len, &line))
            return false;
    } while (!is_crlf(line));
    p->head_bytes = p->taken_bytes;
    struct demands demands = {0};
    if (!read_fields(p, buf, req) || !judge_fields(p, req, &demands))
        return false;
    p->fields_bytes = 0;
    p->keep_alive = !demands.close && (!p->is_1_0 || demands.keep_alive);
    p->body_left_bytes = (uint32_t)demands.length_bytes;
    bool has_body = demands.encodings || demands.length_bytes;
    p->wants_continue = demands.expects_continue && !p->is_1_0 && has_body && len == p->head_bytes;
    return go_on(p, demands.encodings ? CHUNK_SIZE : BODY);
}

static bool on_body(struct http1 *p, size_t len)
{
    if (len - p->head_bytes < p->body_left_bytes)
        return false;
    p->body_bytes = p->body_left_bytes;
    p->taken_bytes = p->head_bytes + p->body_bytes;
    return go_on(p, WHOLE);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool on_chunk_size(struct http1 *p, const char *buf, size_t len)
{
    struct str line;
    if (!take_line(p, buf, len, CHUNK_SIZE_LINE_MAX, &line))
        return false;
    uint64_t size = 0;
    size_t n = 0;
    for (; n < CHUNK_DIGITS_MAX && hex_digit(line.at[n]) >= 0; n++)
        size = size << 4 | (uint64_t)hex_digit(line.at[n]);
    size_t extension_len = span(line.at + n, IN_VALUE);
    bool has_end = n + extension_len + 2 == line.len;
    if (n == 0 || !has_end || (extension_len && line.at[n] != ';'))
        return refuse(p, 400, "A chunk does not begin with its size in hexadecimal digits.");
    if (extension_len > HTTP1_CHUNK_EXTENSION_MAX)
        return refuse(p, 400, "A chunk extension is longer than 64 bytes.");
    if (size > HTTP1_BODY_MAX - p->body_bytes)
        return refuse(p, 413, "The body is longer than 1,048,576 bytes.");
    if (p->taken_bytes - p->head_bytes - p->body_bytes > HTTP1_CHUNKING_MAX)
        return refuse(p, 413, "The chunks take more than 1,048,576 bytes beside the body.");
    p->body_left_bytes = (uint32_t)size;
    return go_on(p, size ? CHUNK : TRAILERS);
}

static bool on_chunk(struct http1 *p, char *buf, size_t len)
{
    size_t n = len - p->taken_bytes;
    if (n > p->body_left_bytes)
        n = p->body_left_bytes;
    memmove(buf + p->head_bytes + p->body_bytes, buf + p->taken_bytes, n);
    p->body_bytes += (uint32_t)n;
    p->body_left_bytes -= (uint32_t)n;
    p->taken_bytes += (uint32_t)n;
    p->scanned_bytes = p->taken_bytes;
    return p->body_left_bytes ? false : go_on(p, CHUNK_END);
}

static bool on_chunk_end(struct http1 *p, const char *buf, size_t len)
{
    struct str line;
    return take_line(p, buf, len, 2, &line) && go_on(p, CHUNK_SIZE);
}

static bool on_trailers(struct http1 *p, const char *buf, size_t len)
{
    struct str line;
    struct http1_header thrown_away;
    if (!take_field_line(p, buf, len, &line))
        return false;
    return is_crlf(line) ? go_on(p, WHOLE) : read_field(p, line.at, &thrown_away) != NULL;
}

/* One phase further; false when there is no more to do for now. */
static bool advance(struct http1 *p, char *buf, size_t len, struct http1_request *req)
{
    switch ((enum phase)p->phase) {
    case REQUEST_LINE:
        return on_request_line(p, buf, len);
    case FIELDS:
        return on_fields(p, buf, len, req);
    case BODY:
        return on_body(p, len);
    case CHUNK_SIZE:
        return on_chunk_size(p, buf, len);
    case CHUNK:
        return on_chunk(p, buf, len);
    case CHUNK_END:
        return on_chunk_end(p, buf, len);
    case TRAILERS:
        return on_trailers(p, buf, len);
    case WHOLE:
    case REFUSED:
        return false;
    }
    return false;
}

void http1_reset(struct http1 *p)
{
    *p = (struct http1){0};
}

int64_t http1_parse(struct http1 *p, char *buf, size_t len, struct http1_request *req)
{
    assert(p->phase != WHOLE && p->scanned_bytes <= len);
    bool is_head_read = p->head_bytes > 0;
    while (advance(p, buf, len, req))
        ;
    if (p->phase == REFUSED)
        return -1;
    if (p->phase != WHOLE)
        return 0;
    /* The head came in an earlier call, into another *req, and maybe another place. */
    if (is_head_read) {
        bool is_good_again = read_fields(p, buf, req);
        assert(is_good_again);
    }
    req->method = (struct str){buf + p->method_at, p->method_len};
    req->target = (struct str){req->method.at + p->method_len + 1, p->target_len};
    req->body = (struct str){buf + p->head_bytes, p->body_bytes};
    req->is_1_0 = p->is_1_0;
    req->keep_alive = p->keep_alive;
    return p->taken_bytes;
}

int http1_refusal(const struct http1 *p, const char **ret_text)
{
    assert(p->phase == REFUSED);
    *ret_text = p->refusal_text;
    return p->refusal_status;
}

bool http1_take_continue(struct http1 *p)
{
    bool wants = p->wants_continue && p->phase != REFUSED && p->phase != WHOLE;
    p->wants_continue = false;
    return wants;
}

struct str http1_find(const struct http1_request *req, const char *name)
{
    struct str wanted = str_of(name);
    for (size_t i = 0; i < req->header_count; i++)
        if (str_is_nocase(req->headers[i].name, wanted))
            return req->headers[i].value;
    return (struct str){0};
}
