/* JSON is read by jansson, strictly: no duplicate keys, any value at the top, NUL in strings as
 * RFC 8259 allows; its tree is copied into ours. It is written here. */
#include "base/value.h"

#include "base/die.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- UTF-8, RFC 3629: no overlong forms, no surrogates, nothing over U+10FFFF ---- */

/* Bytes of the character at s, 0 when there is none. */
static size_t utf8_char_len(const uint8_t *s, const uint8_t *end)
{
    size_t left = (size_t)(end - s);
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        return left >= 2 && (s[1] & 0xC0) == 0x80 ? 2 : 0;
    if ((s[0] & 0xF0) == 0xE0) {
        uint8_t low = s[0] == 0xE0 ? 0xA0 : 0x80;
        uint8_t high = s[0] == 0xED ? 0x9F : 0xBF;
        return left >= 3 && s[1] >= low && s[1] <= high && (s[2] & 0xC0) == 0x80 ? 3 : 0;
    }
    if (s[0] >= 0xF0 && s[0] <= 0xF4) {
        uint8_t low = s[0] == 0xF0 ? 0x90 : 0x80;
        uint8_t high = s[0] == 0xF4 ? 0x8F : 0xBF;
        return left >= 4 && s[1] >= low && s[1] <= high && (s[2] & 0xC0) == 0x80 &&
                       (s[3] & 0xC0) == 0x80
                   ? 4
                   : 0;
    }
    return 0;
}

bool utf8_is_valid(struct str s)
{
    const uint8_t *at = (const uint8_t *)s.at;
    const uint8_t *end = at + s.len;
    while (at < end) {
        uint64_t eight;
        if (end - at >= 8 && (memcpy(&eight, at, 8), (eight & 0x8080808080808080u) == 0)) {
            at += 8;
            continue;
        }
        if (*at < 0x80) {
            at++;
            continue;
        }
        size_t len = utf8_char_len(at, end);
        if (!len)
            return false;
        at += len;
    }
    return true;
}

/* ---- writing ---- */

static void write_escape(struct buf *out, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    switch (byte) {
    case '"':
        buf_append(out, "\\\"", 2);
        break;
    case '\\':
        buf_append(out, "\\\\", 2);
        break;
    case '\n':
        buf_append(out, "\\n", 2);
        break;
    case '\r':
        buf_append(out, "\\r", 2);
        break;
    case '\t':
        buf_append(out, "\\t", 2);
        break;
    default:
        buf_append(out, "\\u00", 4);
        buf_byte(out, (uint8_t)hex[byte >> 4]);
        buf_byte(out, (uint8_t)hex[byte & 15]);
    }
}

static void write_string(struct buf *out, struct str s)
{
    const uint8_t *at = (const uint8_t *)s.at;
    const uint8_t *end = at + s.len;
    const uint8_t *plain = at;
    buf_byte(out, '"');
    while (at < end) {
        if (*at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') {
            at++;
            continue;
        }
        size_t len = *at < 0x80 ? 0 : utf8_char_len(at, end);
        if (len) {
            at += len;
            continue;
        }
        buf_append(out, plain, (size_t)(at - plain));
        if (*at < 0x80)
            write_escape(out, *at);
        else
            buf_str(out, "\\ufffd"); /* not UTF-8: nothing that is sent or stored gets here */
        plain = ++at;
    }
    buf_append(out, plain, (size_t)(end - plain));
    buf_byte(out, '"');
}

static void write_real(struct buf *out, double real)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, real);
        if (strtod(text, NULL) == real)
            break;
    }
    buf_str(out, text);
    if (!strpbrk(text, ".e"))
        buf_str(out, ".0"); /* so that it is read back as a real */
}

static void write_integer(struct buf *out, int64_t n)
{
    char text[24];
    char *at = text + sizeof text;
    uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do
        *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (n < 0)
        *--at = '-';
    buf_append(out, at, (size_t)(text + sizeof text - at));
}

static void write_member(struct buf *out, struct str key, const ks_val *val, bool is_first)
{
    if (!is_first)
        buf_byte(out, ',');
    write_string(out, key);
    buf_byte(out, ':');
    val_write_json(out, val);
}

void val_write_json(struct buf *out, const ks_val *val)
{
    switch (ks_type_of(val)) {
    case KS_NULL:
        buf_str(out, "null");
        break;
    case KS_BOOLEAN:
        buf_str(out, val->is_true ? "true" : "false");
        break;
    case KS_INTEGER:
        write_integer(out, val->integer);
        break;
    case KS_REAL:
        write_real(out, val->real);
        break;
    case KS_STRING:
        write_string(out, val_str(val));
        break;
    case KS_ARRAY:
        buf_byte(out, '[');
        for (uint32_t i = 0; i < val->len; i++) {
            if (i)
                buf_byte(out, ',');
            val_write_json(out, val->items->at[i]);
        }
        buf_byte(out, ']');
        break;
    case KS_OBJECT:
        buf_byte(out, '{');
        for (uint32_t i = 0; i < val->len; i++) {
            const struct val_member *m = &val->members->at[i];
            write_member(out, (struct str){m->key, m->key_len}, m->val, i == 0);
        }
        buf_byte(out, '}');
        break;
    case KS_ERROR:
        buf_str(out, "{\"type\":");
        write_string(out, str_of(val->error->type));
        write_member(out, STR("message"),
                     &(ks_val){.type = KS_STRING,
                               .len = (uint32_t)strlen(val->error->message),
                               .text = val->error->message},
                     false);
        if (val->error->cause)
            write_member(out, STR("cause"), val->error->cause, false);
        buf_byte(out, '}');
        break;
    }
}

const char *ks_to_json(ks_arena *mem, const ks_val *val)
{
    struct buf out = {0};
    val_write_json(&out, val);
    char *text = arena_strndup(mem, out.at, out.len);
    buf_free(&out);
    return text;
}

/* ---- reading ---- */

static ks_val *from_jansson(ks_arena *mem, json_t *json, unsigned depth, const char **ret_why)
{
    ks_val *val;
    if (depth > VAL_DEPTH_MAX) {
        *ret_why = "the JSON nests deeper than 64 levels";
        return NULL;
    }
    switch (json_typeof(json)) {
    case JSON_NULL:
        return ks_null(mem);
    case JSON_TRUE:
    case JSON_FALSE:
        return ks_boolean(mem, json_is_true(json));
    case JSON_INTEGER:
        return ks_integer(mem, json_integer_value(json));
    case JSON_REAL:
        return ks_real(mem, json_real_value(json));
    case JSON_STRING:
        return ks_string_n(mem, json_string_value(json), json_string_length(json));
    case JSON_ARRAY:
        val = ks_array(mem);
        for (size_t i = 0; i < json_array_size(json); i++) {
            ks_val *item = from_jansson(mem, json_array_get(json, i), depth + 1, ret_why);
            if (!item)
                return NULL;
            ks_push(mem, val, item);
        }
        return val;
    case JSON_OBJECT:
        val = ks_object(mem);
        for (void *i = json_object_iter(json); i; i = json_object_iter_next(json, i)) {
            ks_val *member = from_jansson(mem, json_object_iter_value(i), depth + 1, ret_why);
            if (!member)
                return NULL;
            val_put_n(mem, val, str_of(json_object_iter_key(i)), member);
        }
        return val;
    }
    return NULL;
}

/* Before the parser sees it, since that one recurses, and orchestrations have small stacks. */
static bool nests_too_deep(struct str text)
{
    unsigned depth = 0;
    bool is_in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (is_in_string && c == '\\')
            i++;
        else if (c == '"')
            is_in_string = !is_in_string;
        else if (!is_in_string && (c == '[' || c == '{') && ++depth > VAL_DEPTH_MAX)
            return true;
        else if (!is_in_string && (c == ']' || c == '}') && depth > 0)
            depth--;
    }
    return false;
}

/* When memory is short, jansson finds fault with the text. */
static void set_memory(void)
{
    json_set_alloc_funcs(die_malloc, free);
}

ks_val *val_read_json(ks_arena *mem, struct str text, const char **ret_why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_memory);
    if (nests_too_deep(text)) {
        *ret_why = "the JSON nests deeper than 64 levels";
        return NULL;
    }
    if (text.len && memchr(text.at, 0, text.len)) {
        *ret_why = "the JSON has a NUL byte"; /* the parser passes over one behind a number */
        return NULL;
    }
    json_error_t error;
    json_t *json = json_loadb(text.at, text.len,
                              JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!json) {
        *ret_why = ks_format(mem, "%s, at byte %d", error.text, error.position);
        return NULL;
    }
    ks_val *val = from_jansson(mem, json, 1, ret_why);
    json_decref(json);
    return val;
}

const ks_val *ks_parse_json(ks_arena *mem, const char *text, size_t len)
{
    const char *why = "";
    ks_val *val = val_read_json(mem, (struct str){text, len}, &why);
    return val ? val : ks_fail(mem, KS_ERROR_BAD_JSON, "%s", why);
}
