#include "http1_outcome.h"

#include "base/die.h"

#include <stdio.h>
#include <stdlib.h>

#include <http_parser.h>

/* NUL would end the text. */
static void describe_body(struct buf *out, struct str body)
{
    buf_printf(out, "\nbody of %zu: ", body.len);
    for (size_t i = 0; i < body.len; i++)
        buf_byte(out, body.at[i] ? (uint8_t)body.at[i] : '0');
}

static void describe(struct buf *out, const struct http1_request *req)
{
    buf_append(out, req->method.at, req->method.len);
    buf_byte(out, ' ');
    buf_append(out, req->target.at, req->target.len);
    for (size_t i = 0; i < req->header_count; i++) {
        buf_str(out, "\n[");
        buf_append(out, req->headers[i].name.at, req->headers[i].name.len);
        buf_str(out, "]=[");
        buf_append(out, req->headers[i].value.at, req->headers[i].value.len);
        buf_str(out, "]");
    }
    describe_body(out, req->body);
    buf_printf(out, "\n%s, %s", req->is_1_0 ? "1.0" : "1.1", req->keep_alive ? "keep" : "close");
}

static void describe_result(struct buf *out, const struct http1 *p, int64_t n,
                            const struct http1_request *req)
{
    const char *text;
    if (n < 0) {
        int status = http1_refusal(p, &text);
        buf_printf(out, "refused %d %s", status, text);
    } else if (n == 0) {
        buf_str(out, "waits");
    } else {
        buf_printf(out, "took %d\n", (int)n);
        describe(out, req);
    }
}

struct buf outcome_in_pieces(struct str bytes, size_t first, size_t step)
{
    struct http1 p = {0};
    struct http1_request req;
    struct buf out = {0};
    char *block = NULL;
    size_t len = 0;
    int64_t n = 0;
    for (size_t end = first; n == 0 && len < bytes.len; end += step) {
        end = end < bytes.len ? end : bytes.len;
        block = die_realloc(block, end);
        memcpy(block + len, bytes.at + len, end - len);
        len = end;
        memset(&req, 0xee, sizeof req);
        n = http1_parse(&p, block, len, &req);
    }
    describe_result(&out, &p, n, &req);
    buf_byte(&out, 0);
    free(block);
    return out;
}

struct buf outcome(struct str bytes)
{
    return outcome_in_pieces(bytes, bytes.len, 1);
}

/* ---- the oracle ---- */

struct oracle {
    struct buf target, names, values, body, fields;
    bool is_value;
    bool is_in_trailers; /* which we throw away */
    bool is_whole;
};

static void oracle_end_field(struct oracle *o)
{
    if (o->is_value && !o->is_in_trailers) {
        /* http-parser leaves blanks at the end of a value. */
        while (o->values.len && strchr(" \t", o->values.at[o->values.len - 1]))
            o->values.len--;
        buf_str(&o->fields, "\n[");
        buf_append(&o->fields, o->names.at, o->names.len);
        buf_str(&o->fields, "]=[");
        buf_append(&o->fields, o->values.at, o->values.len);
        buf_str(&o->fields, "]");
    }
    o->names.len = o->values.len = 0;
    o->is_value = false;
}

static int oracle_url(http_parser *parser, const char *at, size_t len)
{
    buf_append(&((struct oracle *)parser->data)->target, at, len);
    return 0;
}

static int oracle_name(http_parser *parser, const char *at, size_t len)
{
    struct oracle *o = parser->data;
    oracle_end_field(o);
    buf_append(&o->names, at, len);
    return 0;
}

static int oracle_value(http_parser *parser, const char *at, size_t len)
{
    struct oracle *o = parser->data;
    o->is_value = true;
    buf_append(&o->values, at, len);
    return 0;
}

static int oracle_head(http_parser *parser)
{
    oracle_end_field(parser->data);
    ((struct oracle *)parser->data)->is_in_trailers = true;
    parser->upgrade = 0; /* or it would stop here */
    return 0;
}

static int oracle_body(http_parser *parser, const char *at, size_t len)
{
    buf_append(&((struct oracle *)parser->data)->body, at, len);
    return 0;
}

static int oracle_whole(http_parser *parser)
{
    ((struct oracle *)parser->data)->is_whole = true;
    http_parser_pause(parser, 1);
    return 0;
}

/* The same text as outcome() for an accepted request, but for how much it took. */
struct buf oracle_outcome(struct str bytes)
{
    struct oracle o = {0};
    http_parser parser;
    http_parser_settings settings;
    http_parser_settings_init(&settings);
    settings.on_url = oracle_url;
    settings.on_header_field = oracle_name;
    settings.on_header_value = oracle_value;
    settings.on_headers_complete = oracle_head;
    settings.on_body = oracle_body;
    settings.on_message_complete = oracle_whole;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &o;
    http_parser_execute(&parser, &settings, bytes.at, bytes.len);
    struct buf out = {0};
    if (o.is_whole) {
        buf_printf(&out, "%s ", http_method_str((enum http_method)parser.method));
        buf_append(&out, o.target.at, o.target.len);
        buf_append(&out, o.fields.at, o.fields.len);
        describe_body(&out, (struct str){o.body.at, o.body.len});
        buf_printf(&out, "\n1.%u", parser.http_minor);
    } else {
        enum http_errno error = HTTP_PARSER_ERRNO(&parser);
        buf_str(&out, error == HPE_OK ? "waits" : "refused");
    }
    buf_byte(&out, 0);
    buf_free(&o.target);
    buf_free(&o.names);
    buf_free(&o.values);
    buf_free(&o.body);
    buf_free(&o.fields);
    return out;
}

static bool is_named_at(struct str bytes, size_t i, struct str name)
{
    return bytes.len - i > name.len && str_is_nocase((struct str){bytes.at + i, name.len}, name);
}

/* http-parser takes "Transfer-Encoding#" for Transfer-Encoding, at least enough to refuse it; and
 * it goes by the length that a trailer names, which here is thrown away with the others. */
static bool confuses_oracle(struct str bytes)
{
    static const struct str encoding = {"transfer-encoding", 17}, length = {"content-length", 14};
    bool is_in_head = true;
    for (size_t i = 0; i < bytes.len; i++) {
        is_in_head = is_in_head && !is_named_at(bytes, i, STR("\r\n\r\n"));
        if (is_named_at(bytes, i, encoding) && (!is_in_head || bytes.at[i + encoding.len] != ':'))
            return true;
        if (is_named_at(bytes, i, length) && !is_in_head)
            return true;
    }
    return false;
}

bool oracle_has_to_agree(struct str bytes, struct buf *ours)
{
    if (strncmp(ours->at, "took ", 5) != 0 || confuses_oracle(bytes))
        return false;
    *strrchr(ours->at, ',') = 0; /* it overlooks "close" behind a tab */
    return true;
}
