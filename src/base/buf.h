/* buf.h - views and growing buffers of bytes
 *
 * A struct str is a view: it owns nothing and need not end with NUL. A struct buf owns its bytes;
 * zeroed is empty and ready. Out of memory ends the process (see die.h), so appending cannot fail.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *at;
    size_t len;
};

/* A view of a literal or of a string that ends with NUL. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
static inline struct str str_of(const char *text)
{
    return (struct str){text, text ? strlen(text) : 0};
}
static inline bool str_is(struct str s, struct str t)
{
    return s.len == t.len && (s.len == 0 || memcmp(s.at, t.at, s.len) == 0);
}
/* ASCII case only. */
bool str_is_nocase(struct str s, struct str t);

struct buf {
    char *at;
    size_t len;
    size_t cap;
};

void buf_free(struct buf *b);
void buf_grow(struct buf *b, size_t n);
/* Room for n more bytes behind len; the place where they go. */
static inline char *buf_reserve(struct buf *b, size_t n)
{
    if (b->cap - b->len < n)
        buf_grow(b, n);
    return b->at + b->len;
}
static inline void buf_append(struct buf *b, const void *bytes, size_t n)
{
    if (n)
        memcpy(buf_reserve(b, n), bytes, n), b->len += n;
}
static inline void buf_byte(struct buf *b, uint8_t byte)
{
    *buf_reserve(b, 1) = (char)byte;
    b->len++;
}
void buf_str(struct buf *b, const char *text);
void buf_vprintf(struct buf *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Numbers as the journal writes them: 7 bits a byte, low first, high bit set on all but the last
 * (LEB128); signed ones zigzag first. Strings are their length and their bytes. */
void buf_varint(struct buf *b, uint64_t n);
void buf_zigzag(struct buf *b, int64_t n);
void buf_string(struct buf *b, struct str s);

/* Reads what the above wrote. After the first thing that does not fit, is_bad is set and every
 * further read gives 0 or an empty string: check once, at the end. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad;
};
static inline struct reader reader_of(const void *bytes, size_t len)
{
    return (struct reader){bytes, (const uint8_t *)bytes + len, false};
}
uint8_t read_byte(struct reader *r);
uint64_t read_varint(struct reader *r);
int64_t read_zigzag(struct reader *r);
struct str read_string(struct reader *r);
static inline bool reader_is_at_end(const struct reader *r)
{
    return r->is_bad || r->at == r->end;
}

#endif
