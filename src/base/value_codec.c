/* The binary form: a tag byte, then
 *
 *     0 null   1 false   2 true
 *     3 integer  zigzag varint
 *     4 real     8 bytes, little-endian IEEE 754
 *     5 string   length, bytes
 *     6 array    count, values
 *     7 object   count, (key string, value) pairs
 *     8 error    type string, message string, cause value (null: none)
 *
 * Numbers and strings as in buf.h.
 */
#include "base/value.h"

/* A tree that was checked has at most VAL_DEPTH_MAX levels; errors may wrap it. */
enum { DECODE_DEPTH_MAX = VAL_DEPTH_MAX + 8 };

enum tag {
    TAG_NULL,
    TAG_FALSE,
    TAG_TRUE,
    TAG_INTEGER,
    TAG_REAL,
    TAG_STRING,
    TAG_ARRAY,
    TAG_OBJECT,
    TAG_ERROR
};

static void encode_items(struct buf *out, const ks_val *array)
{
    buf_byte(out, TAG_ARRAY);
    buf_varint(out, array->len);
    for (uint32_t i = 0; i < array->len; i++)
        val_encode(out, array->items->at[i]);
}

static void encode_members(struct buf *out, const ks_val *object)
{
    buf_byte(out, TAG_OBJECT);
    buf_varint(out, object->len);
    for (uint32_t i = 0; i < object->len; i++) {
        const struct val_member *m = &object->members->at[i];
        buf_string(out, (struct str){m->key, m->key_len});
        val_encode(out, m->val);
    }
}

void val_encode(struct buf *out, const ks_val *val)
{
    switch (ks_type_of(val)) {
    case KS_NULL:
        buf_byte(out, TAG_NULL);
        break;
    case KS_BOOLEAN:
        buf_byte(out, val->is_true ? TAG_TRUE : TAG_FALSE);
        break;
    case KS_INTEGER:
        buf_byte(out, TAG_INTEGER);
        buf_zigzag(out, val->integer);
        break;
    case KS_REAL:
        buf_byte(out, TAG_REAL);
        buf_append(out, &val->real, sizeof val->real);
        break;
    case KS_STRING:
        buf_byte(out, TAG_STRING);
        buf_string(out, val_str(val));
        break;
    case KS_ARRAY:
        encode_items(out, val);
        break;
    case KS_OBJECT:
        encode_members(out, val);
        break;
    case KS_ERROR:
        buf_byte(out, TAG_ERROR);
        buf_string(out, str_of(val->error->type));
        buf_string(out, str_of(val->error->message));
        val_encode(out, val->error->cause);
        break;
    }
}

static ks_val *decode_at(ks_arena *mem, struct reader *r, unsigned depth);

static ks_val *decode_items(ks_arena *mem, struct reader *r, unsigned depth)
{
    ks_val *array = ks_array(mem);
    for (uint64_t n = read_varint(r); n && !r->is_bad; n--)
        ks_push(mem, array, decode_at(mem, r, depth + 1));
    return array;
}

static ks_val *decode_members(ks_arena *mem, struct reader *r, unsigned depth)
{
    ks_val *object = ks_object(mem);
    for (uint64_t n = read_varint(r); n && !r->is_bad; n--) {
        struct str key = read_string(r);
        val_put_n(mem, object, key, decode_at(mem, r, depth + 1));
    }
    return object;
}

static ks_val *decode_error(ks_arena *mem, struct reader *r, unsigned depth)
{
    struct str type = read_string(r);
    struct str message = read_string(r);
    ks_val *cause = decode_at(mem, r, depth + 1);
    return val_error(mem, arena_strndup(mem, type.at, type.len),
                     arena_strndup(mem, message.at, message.len),
                     cause->type == KS_NULL ? NULL : cause);
}

static ks_val *decode_at(ks_arena *mem, struct reader *r, unsigned depth)
{
    double real = 0;
    struct str s;
    if (depth > DECODE_DEPTH_MAX)
        r->is_bad = true;
    switch (read_byte(r)) {
    case TAG_NULL:
        return ks_null(mem);
    case TAG_FALSE:
        return ks_boolean(mem, false);
    case TAG_TRUE:
        return ks_boolean(mem, true);
    case TAG_INTEGER:
        return ks_integer(mem, read_zigzag(r));
    case TAG_REAL:
        for (size_t i = 0; i < sizeof real; i++)
            ((uint8_t *)&real)[i] = read_byte(r);
        return ks_real(mem, real);
    case TAG_STRING:
        s = read_string(r);
        return ks_string_n(mem, s.at, s.len);
    case TAG_ARRAY:
        return decode_items(mem, r, depth);
    case TAG_OBJECT:
        return decode_members(mem, r, depth);
    case TAG_ERROR:
        return decode_error(mem, r, depth);
    default:
        r->is_bad = true;
        return ks_null(mem);
    }
}

ks_val *val_decode(ks_arena *mem, struct reader *r)
{
    return decode_at(mem, r, 1);
}

static void skip_at(struct reader *r, unsigned depth)
{
    uint8_t tag = read_byte(r);
    if (depth > DECODE_DEPTH_MAX || tag > TAG_ERROR)
        r->is_bad = true;
    if (tag == TAG_INTEGER) {
        read_varint(r);
    } else if (tag == TAG_REAL) {
        for (size_t i = 0; i < sizeof(double); i++)
            read_byte(r);
    } else if (tag == TAG_STRING) {
        read_string(r);
    } else if (tag == TAG_ARRAY || tag == TAG_OBJECT) {
        for (uint64_t n = read_varint(r); n && !r->is_bad; n--) {
            if (tag == TAG_OBJECT)
                read_string(r);
            skip_at(r, depth + 1);
        }
    } else if (tag == TAG_ERROR) {
        read_string(r);
        read_string(r);
        skip_at(r, depth + 1);
    }
}

void val_skip(struct reader *r)
{
    skip_at(r, 1);
}

bool val_is_encoded_error(uint8_t first_byte)
{
    return first_byte == TAG_ERROR;
}
