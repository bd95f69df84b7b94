#include "base/value.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Up to this many members are compared one by one. */
enum { INDEX_FROM = 12 };

static ks_val *val_new(ks_arena *mem, ks_type type)
{
    ks_val *val = arena_alloc(mem, sizeof *val);
    *val = (ks_val){.type = (uint8_t)type};
    return val;
}

/* ---- makers ---- */

ks_val *ks_null(ks_arena *mem)
{
    return val_new(mem, KS_NULL);
}

ks_val *ks_boolean(ks_arena *mem, bool is_true)
{
    ks_val *val = val_new(mem, KS_BOOLEAN);
    val->is_true = is_true;
    return val;
}

ks_val *ks_integer(ks_arena *mem, int64_t n)
{
    ks_val *val = val_new(mem, KS_INTEGER);
    val->integer = n;
    return val;
}

ks_val *ks_real(ks_arena *mem, double n)
{
    if (!isfinite(n))
        return ks_null(mem); /* JSON cannot say it */
    ks_val *val = val_new(mem, KS_REAL);
    val->real = n;
    return val;
}

ks_val *ks_string_n(ks_arena *mem, const char *text, size_t len)
{
    assert(len <= UINT32_MAX);
    ks_val *val = val_new(mem, KS_STRING);
    val->text = arena_strndup(mem, text, len);
    val->len = (uint32_t)len;
    return val;
}

ks_val *ks_string(ks_arena *mem, const char *text)
{
    return text ? ks_string_n(mem, text, strlen(text)) : ks_null(mem);
}

ks_val *ks_array(ks_arena *mem)
{
    return val_new(mem, KS_ARRAY);
}

ks_val *ks_object(ks_arena *mem)
{
    return val_new(mem, KS_OBJECT);
}

ks_val *val_error(ks_arena *mem, const char *type, const char *message, const ks_val *cause)
{
    struct val_error *error = arena_alloc(mem, sizeof *error);
    error->type = arena_strndup(mem, type, strlen(type));
    error->message = arena_strndup(mem, message, strlen(message));
    error->cause = cause;
    ks_val *val = val_new(mem, KS_ERROR);
    val->error = error;
    return val;
}

ks_val *ks_fail(ks_arena *mem, const char *type, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vformat(mem, format, args);
    va_end(args);
    return val_error(mem, type, text, NULL);
}

ks_val *ks_push(ks_arena *mem, ks_val *array, const ks_val *val)
{
    assert(array->type == KS_ARRAY);
    uint32_t cap = array->items ? array->items->cap : 0;
    if (array->len == cap) {
        cap = cap ? cap * 2 : 2;
        struct val_items *items = arena_alloc(mem, sizeof *items + cap * sizeof items->at[0]);
        items->cap = cap;
        if (array->len)
            memcpy(items->at, array->items->at, array->len * sizeof items->at[0]);
        array->items = items;
    }
    array->items->at[array->len++] = val ? val : ks_null(mem);
    return array;
}

/* ---- objects ---- */

static uint32_t key_hash(struct str key)
{
    return (uint32_t)XXH3_64bits(key.at, key.len);
}

static void index_insert(struct val_members *m, uint32_t i)
{
    uint32_t slot = m->at[i].hash & m->index_mask;
    while (m->index[slot])
        slot = (slot + 1) & m->index_mask;
    m->index[slot] = i + 1;
}

void val_reindex(ks_val *object)
{
    struct val_members *m = object->type == KS_OBJECT ? object->members : NULL;
    if (!m || !m->index_mask)
        return;
    memset(m->index, 0, (m->index_mask + 1) * sizeof m->index[0]);
    for (uint32_t i = 0; i < object->len; i++)
        index_insert(m, i);
}

static struct val_members *members_grow(ks_arena *mem, const ks_val *object)
{
    uint32_t cap = object->members ? object->members->cap * 2 : 2;
    struct val_members *m = arena_alloc(mem, sizeof *m + cap * sizeof m->at[0]);
    m->cap = cap;
    m->index_mask = 0;
    m->index = NULL;
    if (object->len)
        memcpy(m->at, object->members->at, object->len * sizeof m->at[0]);
    if (cap > INDEX_FROM) {
        uint32_t slots = 4;
        while (slots < cap * 2)
            slots *= 2;
        m->index = ks_alloc(mem, slots * sizeof m->index[0]);
        m->index_mask = slots - 1;
        for (uint32_t i = 0; i < object->len; i++)
            index_insert(m, i);
    }
    return m;
}

static bool key_is(const struct val_member *member, struct str key)
{
    return member->key_len == key.len && memcmp(member->key, key.at, key.len) == 0;
}

struct val_member *val_member(const ks_val *object, struct str key)
{
    if (!object || object->type != KS_OBJECT || !object->members)
        return NULL;
    struct val_members *m = object->members;
    if (!m->index_mask) {
        for (uint32_t i = 0; i < object->len; i++)
            if (key_is(&m->at[i], key))
                return &m->at[i];
        return NULL;
    }
    uint32_t hash = key_hash(key);
    for (uint32_t slot = hash & m->index_mask; m->index[slot]; slot = (slot + 1) & m->index_mask) {
        uint32_t i = m->index[slot] - 1;
        if (m->at[i].hash == hash && key_is(&m->at[i], key))
            return &m->at[i];
    }
    return NULL;
}

ks_val *val_put_n(ks_arena *mem, ks_val *object, struct str key, const ks_val *val)
{
    assert(object->type == KS_OBJECT && key.len <= UINT32_MAX);
    if (!val)
        val = ks_null(mem);
    struct val_member *there = val_member(object, key);
    if (there) {
        there->val = val;
        return object;
    }
    if (!object->members || object->len == object->members->cap)
        object->members = members_grow(mem, object);
    struct val_members *m = object->members;
    m->at[object->len] = (struct val_member){
        .key = arena_strndup(mem, key.at, key.len),
        .key_len = (uint32_t)key.len,
        .hash = key_hash(key),
        .val = val,
    };
    if (m->index_mask)
        index_insert(m, object->len);
    object->len++;
    return object;
}

ks_val *ks_put(ks_arena *mem, ks_val *object, const char *key, const ks_val *val)
{
    return val_put_n(mem, object, str_of(key), val);
}

/* ---- readers ---- */

ks_type ks_type_of(const ks_val *val)
{
    return val ? (ks_type)val->type : KS_NULL;
}

bool ks_is_true(const ks_val *val)
{
    return val && val->type == KS_BOOLEAN && val->is_true;
}

bool ks_is_error(const ks_val *val)
{
    return val && val->type == KS_ERROR;
}

int64_t ks_int(const ks_val *val)
{
    return val && val->type == KS_INTEGER ? val->integer : 0;
}

double ks_number(const ks_val *val)
{
    return val && val->type == KS_REAL ? val->real : (double)ks_int(val);
}

const char *ks_text(const ks_val *val)
{
    if (!val)
        return "";
    return val->type == KS_STRING ? val->text : val->type == KS_ERROR ? val->error->message : "";
}

const char *ks_error_type(const ks_val *val)
{
    return ks_is_error(val) ? val->error->type : "";
}

const ks_val *val_error_cause(const ks_val *val)
{
    return ks_is_error(val) ? val->error->cause : NULL;
}

struct str val_str(const ks_val *val)
{
    return val && val->type == KS_STRING ? (struct str){val->text, val->len} : (struct str){"", 0};
}

size_t ks_len(const ks_val *val)
{
    return val ? val->len : 0;
}

const ks_val *ks_at(const ks_val *array, size_t i)
{
    return array && array->type == KS_ARRAY && i < array->len ? array->items->at[i] : NULL;
}

const ks_val *ks_get(const ks_val *object, const char *key)
{
    const struct val_member *member = val_member(object, str_of(key));
    return member ? member->val : NULL;
}

const char *ks_key_at(const ks_val *object, size_t i)
{
    return object && object->type == KS_OBJECT && i < object->len ? object->members->at[i].key : "";
}

const ks_val *ks_val_at(const ks_val *object, size_t i)
{
    return object && object->type == KS_OBJECT && i < object->len ? object->members->at[i].val
                                                                  : NULL;
}

/* ---- whole trees ---- */

static ks_val *copy_at(ks_arena *mem, const ks_val *val, bool is_plain);

static ks_val *copy_error(ks_arena *mem, const struct val_error *error, bool is_plain)
{
    ks_val *cause = error->cause ? copy_at(mem, error->cause, is_plain) : NULL;
    if (!is_plain)
        return val_error(mem, error->type, error->message, cause);
    ks_val *object = ks_object(mem);
    ks_put(mem, object, "type", ks_string(mem, error->type));
    ks_put(mem, object, "message", ks_string(mem, error->message));
    return cause ? ks_put(mem, object, "cause", cause) : object;
}

static ks_val *copy_at(ks_arena *mem, const ks_val *val, bool is_plain)
{
    ks_val *copy;
    switch (ks_type_of(val)) {
    case KS_NULL:
        return ks_null(mem);
    case KS_BOOLEAN:
    case KS_INTEGER:
    case KS_REAL:
        return arena_memdup(mem, val, sizeof *val);
    case KS_STRING:
        return ks_string_n(mem, val->text, val->len);
    case KS_ARRAY:
        copy = ks_array(mem);
        for (uint32_t i = 0; i < val->len; i++)
            ks_push(mem, copy, copy_at(mem, val->items->at[i], is_plain));
        return copy;
    case KS_OBJECT:
        copy = ks_object(mem);
        for (uint32_t i = 0; i < val->len; i++) {
            const struct val_member *m = &val->members->at[i];
            val_put_n(mem, copy, (struct str){m->key, m->key_len}, copy_at(mem, m->val, is_plain));
        }
        return copy;
    case KS_ERROR:
        return copy_error(mem, val->error, is_plain);
    }
    return ks_null(mem);
}

ks_val *val_copy(ks_arena *mem, const ks_val *val)
{
    return copy_at(mem, val, false);
}

ks_val *val_copy_plain(ks_arena *mem, const ks_val *val)
{
    return copy_at(mem, val, true);
}

unsigned val_depth(const ks_val *val)
{
    unsigned deepest = 0;
    for (size_t i = 0; i < ks_len(val); i++) {
        const ks_val *child = val->type == KS_ARRAY ? ks_at(val, i) : ks_val_at(val, i);
        unsigned depth = child ? val_depth(child) : 0;
        deepest = depth > deepest ? depth : deepest;
    }
    if (ks_is_error(val)) /* as the object that it becomes */
        deepest = val->error->cause ? val_depth(val->error->cause) : 1;
    return deepest + 1;
}

/* What a node takes up in the journal beside its texts, about. */
enum { NODE_BYTES = 2 };

static const char too_deep[] = "the value nests deeper than 64 levels";

static const char *check_at(const ks_val *val, unsigned depth, size_t *bytes);

static const char *check_text(struct str text, size_t *bytes)
{
    *bytes += text.len;
    return utf8_is_valid(text) ? NULL : "a string or key in the value is not UTF-8";
}

static const char *check_members(const ks_val *val, unsigned depth, size_t *bytes)
{
    const char *why = NULL;
    for (uint32_t i = 0; i < val->len && !why; i++) {
        const struct val_member *m = &val->members->at[i];
        why = check_text((struct str){m->key, m->key_len}, bytes);
        if (!why)
            why = check_at(m->val, depth + 1, bytes);
    }
    return why;
}

static const char *check_error(const struct val_error *error, unsigned depth, size_t *bytes)
{
    if (depth == VAL_DEPTH_MAX) /* in the object that it becomes its texts are a level below */
        return too_deep;
    const char *why = check_text(str_of(error->type), bytes);
    if (!why)
        why = check_text(str_of(error->message), bytes);
    return why || !error->cause ? why : check_at(error->cause, depth + 1, bytes);
}

static const char *check_at(const ks_val *val, unsigned depth, size_t *bytes)
{
    const char *why = NULL;
    *bytes += NODE_BYTES;
    if (depth > VAL_DEPTH_MAX)
        return too_deep;
    switch (ks_type_of(val)) {
    case KS_NULL:
    case KS_BOOLEAN:
        break;
    case KS_INTEGER:
    case KS_REAL:
        *bytes += sizeof(int64_t);
        break;
    case KS_STRING:
        why = check_text(val_str(val), bytes);
        break;
    case KS_ARRAY:
        for (uint32_t i = 0; i < val->len && !why; i++)
            why = check_at(val->items->at[i], depth + 1, bytes);
        break;
    case KS_OBJECT:
        why = check_members(val, depth, bytes);
        break;
    case KS_ERROR:
        why = check_error(val->error, depth, bytes);
        break;
    }
    return why || *bytes <= VAL_BYTES_MAX ? why : "the value is larger than 1 MiB";
}

const char *val_check(const ks_val *val)
{
    size_t bytes = 0;
    return check_at(val, 1, &bytes);
}

bool val_equal(const ks_val *a, const ks_val *b)
{
    if (ks_type_of(a) != ks_type_of(b) || ks_len(a) != ks_len(b))
        return false;
    switch (ks_type_of(a)) {
    case KS_NULL:
        return true;
    case KS_BOOLEAN:
        return a->is_true == b->is_true;
    case KS_INTEGER:
    case KS_REAL: /* by its bits: 0.0 is not -0.0 */
        return a->integer == b->integer;
    case KS_STRING:
        return memcmp(a->text, b->text, a->len) == 0;
    case KS_ARRAY:
        for (uint32_t i = 0; i < a->len; i++)
            if (!val_equal(a->items->at[i], b->items->at[i]))
                return false;
        return true;
    case KS_OBJECT:
        for (uint32_t i = 0; i < a->len; i++) {
            const struct val_member *m = &b->members->at[i];
            if (!key_is(&a->members->at[i], (struct str){m->key, m->key_len}) ||
                !val_equal(a->members->at[i].val, m->val))
                return false;
        }
        return true;
    case KS_ERROR:
        return strcmp(a->error->type, b->error->type) == 0 &&
               strcmp(a->error->message, b->error->message) == 0 &&
               val_equal(a->error->cause, b->error->cause);
    }
    return false;
}
