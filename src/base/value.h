/* value.h - the value tree: what JSON can say, and errors
 *
 * A node is 16 bytes in an arena; strings, items and members are blocks beside it. What the public
 * makers build is small and shared freely. Objects find members through an index once they have
 * more than a few, so a document may be used as a map.
 *
 * There are two ways out of memory: a compact binary one (val_encode), for journal and history, in
 * which decoding gives back exactly what was encoded; and JSON text (val_write_json), for people,
 * HTTP and the checkpoint. Errors become plain objects in JSON.
 */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H

#include "base/arena.h"
#include "base/buf.h"

enum {
    VAL_DEPTH_MAX = 64,
    VAL_BYTES_MAX = 1 << 20 /* of an input, a result, an event, an argument: texts and nodes */
};

struct val_items {
    uint32_t cap;
    const ks_val *at[];
};

struct val_member {
    const char *key; /* ends with NUL, may hold more */
    uint32_t key_len;
    uint32_t hash;
    const ks_val *val;
};

struct val_members {
    uint32_t cap;
    uint32_t index_mask; /* 0: no index, look at each */
    uint32_t *index;     /* position + 1; 0 is free */
    struct val_member at[];
};

struct val_error {
    const char *type;
    const char *message;
    const ks_val *cause; /* NULL: none */
};

struct ks_val {
    uint8_t type; /* ks_type */
    bool is_true;
    uint32_t len;
    union {
        int64_t integer;
        double real;
        const char *text;
        struct val_items *items;
        struct val_members *members;
        const struct val_error *error;
    };
};

struct str val_str(const ks_val *val); /* of a string; else empty */
ks_val *val_error(ks_arena *mem, const char *type, const char *message, const ks_val *cause);
const ks_val *val_error_cause(const ks_val *val);
ks_val *val_put_n(ks_arena *mem, ks_val *object, struct str key, const ks_val *val);
/* The member, or NULL. Its val may be replaced. */
struct val_member *val_member(const ks_val *object, struct str key);
/* After members were taken back by making an object's len smaller. */
void val_reindex(ks_val *object);

/* A deep copy. NULL becomes null. */
ks_val *val_copy(ks_arena *mem, const ks_val *val);
/* The same, with errors as the objects that JSON makes of them. */
ks_val *val_copy_plain(ks_arena *mem, const ks_val *val);
/* 1 for a scalar or an empty container. */
unsigned val_depth(const ks_val *val);
/* NULL when it may be stored; else what is wrong with it: nests too deep, too large, not UTF-8. */
const char *val_check(const ks_val *val);
/* Structurally equal, members in the same order. */
bool val_equal(const ks_val *a, const ks_val *b);

void val_encode(struct buf *out, const ks_val *val);
/* Sets r->is_bad and gives null when the bytes are no value. */
ks_val *val_decode(ks_arena *mem, struct reader *r);
/* Whether bytes that begin with this one are an error. */
bool val_is_encoded_error(uint8_t first_byte);
/* Passes over one value. */
void val_skip(struct reader *r);

void val_write_json(struct buf *out, const ks_val *val);
/* NULL and a sentence (in mem) when it is not JSON. */
ks_val *val_read_json(ks_arena *mem, struct str text, const char **ret_why);

bool utf8_is_valid(struct str s);

#endif
