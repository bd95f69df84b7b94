/* JSON, read by val_read_json() and by a second reader that is here: a plain walk down the grammar
 * of RFC 8259. What is JSON is accepted and nothing else is, but for what the standard leaves to
 * whoever reads (sections 4, 8.2, 9): names twice in an object, surrogates alone, NUL in a name,
 * numbers out of range, nesting deeper than 64. What was accepted is written and read back as it
 * was. Files named accept-* and refuse-* are what they say. */
#include "base/value.h"
#include "fuzz.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct text {
    const uint8_t *at, *end;
    bool is_limited; /* JSON, but refused */
    unsigned depth;
    ks_arena mem;
};

static bool read_value(struct text *t);

static bool take(struct text *t, char byte)
{
    if (t->at == t->end || *t->at != (uint8_t)byte)
        return false;
    t->at++;
    return true;
}

static void skip_blanks(struct text *t)
{
    while (take(t, ' ') || take(t, '\t') || take(t, '\n') || take(t, '\r'))
        ;
}

static bool take_word(struct text *t, const char *word)
{
    while (*word)
        if (!take(t, *word++))
            return false;
    return true;
}

static size_t take_digits(struct text *t)
{
    const uint8_t *from = t->at;
    while (t->at != t->end && *t->at >= '0' && *t->at <= '9')
        t->at++;
    return (size_t)(t->at - from);
}

static bool read_number(struct text *t)
{
    const uint8_t *from = t->at;
    bool is_real = false;
    take(t, '-');
    if (!take(t, '0') && !take_digits(t))
        return false;
    if (take(t, '.')) {
        is_real = true;
        if (!take_digits(t))
            return false;
    }
    if (take(t, 'e') || take(t, 'E')) {
        is_real = true;
        if (!take(t, '+'))
            take(t, '-');
        if (!take_digits(t))
            return false;
    }
    const char *number = arena_strndup(&t->mem, (const char *)from, (size_t)(t->at - from));
    errno = 0;
    t->is_limited |= is_real ? isinf(strtod(number, NULL))
                             : (strtoll(number, NULL, 10), errno == ERANGE);
    return true;
}

/* Four hexadecimal digits, or -1. */
static int32_t read_hex(struct text *t)
{
    int32_t n = 0;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *at = t->at != t->end && *t->at ? strchr(digits, *t->at) : NULL;
        if (!at)
            return -1;
        n = n * 16 + (int32_t)((at - digits) & 15);
        t->at++;
    }
    return n;
}

static bool is_surrogate(int32_t n, int32_t from)
{
    return n >= from && n < from + 0x400;
}

static void add_utf8(struct buf *out, int32_t n)
{
    uint32_t c = (uint32_t)n;
    if (c < 0x80) {
        buf_byte(out, (uint8_t)c);
        return;
    }
    if (c < 0x800) {
        buf_byte(out, (uint8_t)(0xC0 | c >> 6));
    } else {
        buf_byte(out, (uint8_t)(c < 0x10000 ? 0xE0 | c >> 12 : 0xF0 | c >> 18));
        if (c >= 0x10000)
            buf_byte(out, (uint8_t)(0x80 | (c >> 12 & 63)));
        buf_byte(out, (uint8_t)(0x80 | (c >> 6 & 63)));
    }
    buf_byte(out, (uint8_t)(0x80 | (c & 63)));
}

static bool read_escape(struct text *t, struct buf *out)
{
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *name = t->at != t->end && *t->at ? strchr(names, *t->at) : NULL;
    if (name) {
        t->at++;
        buf_byte(out, (uint8_t)bytes[name - names]);
        return true;
    }
    int32_t high = take(t, 'u') ? read_hex(t) : -1;
    if (high < 0)
        return false;
    if (is_surrogate(high, 0xDC00)) {
        t->is_limited = true;
    } else if (is_surrogate(high, 0xD800)) {
        const uint8_t *behind = t->at;
        int32_t low = take(t, '\\') && take(t, 'u') ? read_hex(t) : 0;
        if (is_surrogate(low, 0xDC00)) {
            high = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        } else {
            t->is_limited = true;
            t->at = behind; /* whatever follows stands for itself */
        }
    }
    add_utf8(out, high);
    return true;
}

static bool read_text(struct text *t, struct buf *out)
{
    const uint8_t *from = t->at;
    if (!take(t, '"'))
        return false;
    while (!take(t, '"')) {
        if (t->at == t->end || *t->at < 0x20)
            return false;
        if (take(t, '\\')) {
            if (!read_escape(t, out))
                return false;
        } else {
            buf_byte(out, *t->at++);
        }
    }
    return utf8_is_valid((struct str){(const char *)from, (size_t)(t->at - from)});
}

static bool read_items(struct text *t)
{
    skip_blanks(t);
    if (take(t, ']'))
        return true;
    do {
        if (!read_value(t))
            return false;
    } while (take(t, ','));
    return take(t, ']');
}

/* The names so far, one behind the other, each as buf_string() writes it. */
static bool has_name(const struct buf *names, struct str name)
{
    struct reader r = reader_of(names->at ? names->at : "", names->len);
    while (!reader_is_at_end(&r))
        if (str_is(read_string(&r), name))
            return true;
    return false;
}

static bool read_member(struct text *t, struct buf *names)
{
    struct buf name = {0};
    skip_blanks(t);
    bool is_good = read_text(t, &name);
    struct str view = {name.at ? name.at : "", name.len};
    t->is_limited |= memchr(view.at, 0, view.len) || has_name(names, view);
    buf_string(names, view);
    buf_free(&name);
    skip_blanks(t);
    return is_good && take(t, ':') && read_value(t);
}

static bool read_members(struct text *t)
{
    struct buf names = {0};
    bool is_good = true;
    skip_blanks(t);
    if (take(t, '}'))
        return true;
    do
        is_good = read_member(t, &names);
    while (is_good && take(t, ','));
    buf_free(&names);
    return is_good && take(t, '}');
}

static bool read_one(struct text *t)
{
    struct buf text = {0};
    bool is_good;
    if (t->at == t->end)
        return false;
    switch (*t->at) {
    case '[':
        return t->at++, read_items(t);
    case '{':
        return t->at++, read_members(t);
    case '"':
        is_good = read_text(t, &text);
        buf_free(&text);
        return is_good;
    case 't':
        return take_word(t, "true");
    case 'f':
        return take_word(t, "false");
    case 'n':
        return take_word(t, "null");
    default:
        return read_number(t);
    }
}

static bool read_value(struct text *t)
{
    skip_blanks(t);
    bool is_container = t->at != t->end && (*t->at == '[' || *t->at == '{');
    t->is_limited |= t->depth >= VAL_DEPTH_MAX; /* a number in 64 lists is on the 65th level */
    t->depth += is_container;
    /* Deeper than this it is refused whatever it is. */
    bool is_good = t->depth > 1000 || read_one(t);
    t->depth -= is_container;
    skip_blanks(t);
    return is_good;
}

static bool is_to_be_accepted(const uint8_t *bytes, size_t len)
{
    struct text t = {.at = bytes, .end = bytes + len};
    arena_init(&t.mem, 256);
    bool is_json = read_value(&t) && t.at == t.end;
    arena_free(&t.mem);
    return is_json && !t.is_limited;
}

static void check_kept(bool is_accepted)
{
    const char *slash = strrchr(fuzz_file, '/');
    const char *name = slash ? slash + 1 : fuzz_file;
    if (strncmp(name, "accept-", 7) == 0)
        fuzz_check(is_accepted, "is refused");
    if (strncmp(name, "refuse-", 7) == 0)
        fuzz_check(!is_accepted, "is accepted");
}

static void check_written(ks_arena *mem, const ks_val *val)
{
    struct buf first = {0}, second = {0};
    const char *why = NULL;
    val_write_json(&first, val);
    const ks_val *again = val_read_json(mem, (struct str){first.at, first.len}, &why);
    fuzz_check(again, "%.*s was written and is refused: %s", (int)first.len, first.at, why);
    fuzz_check(val_equal(val, again), "%.*s was read as another", (int)first.len, first.at);
    val_write_json(&second, again);
    fuzz_check(str_is((struct str){first.at, first.len}, (struct str){second.at, second.len}),
               "%.*s is written again as %.*s", (int)first.len, first.at, (int)second.len,
               second.at);
    buf_free(&first);
    buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const char *why = NULL;
    ks_arena mem;
    arena_init(&mem, 4096);
    const ks_val *val = val_read_json(&mem, (struct str){(const char *)bytes, len}, &why);
    bool is_wanted = is_to_be_accepted(bytes, len);
    fuzz_check(val || (why && *why), "is refused without a reason");
    fuzz_check(!!val == is_wanted, "%.*s is %s (%s)", (int)len, (const char *)bytes,
               val ? "accepted" : "refused", why ? why : "");
    check_kept(val);
    if (val)
        check_written(&mem, val);
    arena_free(&mem);
    return 0;
}
