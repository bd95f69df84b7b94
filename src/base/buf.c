#include "base/buf.h"

#include "base/die.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

bool str_is_nocase(struct str s, struct str t)
{
    return s.len == t.len && (s.len == 0 || strncasecmp(s.at, t.at, s.len) == 0);
}

void buf_free(struct buf *b)
{
    free(b->at);
    *b = (struct buf){0};
}

void buf_grow(struct buf *b, size_t n)
{
    size_t cap = b->cap ? b->cap + b->cap / 2 : 64;
    if (cap < b->len + n)
        cap = b->len + n;
    b->at = die_realloc(b->at, cap);
    b->cap = cap;
}

void buf_str(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text));
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const size_t room = 128;
    int len = vsnprintf(buf_reserve(b, room), room, format, args);
    if (len >= (int)room)
        vsnprintf(buf_reserve(b, (size_t)len + 1), (size_t)len + 1, format, again);
    b->len += len > 0 ? (size_t)len : 0;
    va_end(again);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_varint(struct buf *b, uint64_t n)
{
    uint8_t *at = (uint8_t *)buf_reserve(b, 10);
    size_t len = 0;
    while (n >= 0x80) {
        at[len++] = (uint8_t)(n | 0x80);
        n >>= 7;
    }
    at[len++] = (uint8_t)n;
    b->len += len;
}

void buf_zigzag(struct buf *b, int64_t n)
{
    buf_varint(b, ((uint64_t)n << 1) ^ (uint64_t)(n >> 63));
}

void buf_string(struct buf *b, struct str s)
{
    buf_varint(b, s.len);
    buf_append(b, s.at, s.len);
}

uint8_t read_byte(struct reader *r)
{
    if (r->is_bad || r->at == r->end) {
        r->is_bad = true;
        return 0;
    }
    return *r->at++;
}

uint64_t read_varint(struct reader *r)
{
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = read_byte(r);
        if (shift == 63 && byte > 1)
            break;
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return r->is_bad ? 0 : n;
    }
    r->is_bad = true;
    return 0;
}

int64_t read_zigzag(struct reader *r)
{
    uint64_t n = read_varint(r);
    return (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
}

struct str read_string(struct reader *r)
{
    uint64_t len = read_varint(r);
    if (r->is_bad || len > (uint64_t)(r->end - r->at)) {
        r->is_bad = true;
        return (struct str){"", 0};
    }
    struct str s = {(const char *)r->at, (size_t)len};
    r->at += len;
    return s;
}
