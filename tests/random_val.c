#include "random_val.h"

#include <math.h>

/* splitmix64 (Steele, Lea, Flood 2014) */
uint64_t random_bits(struct random *r)
{
    uint64_t z = (r->at += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

unsigned random_below(struct random *r, unsigned sides)
{
    return (unsigned)(random_bits(r) >> 32) % sides;
}

static int64_t random_integer(struct random *r)
{
    static const int64_t ends[] = {0,    -1,        1,         INT64_MAX, INT64_MIN, 127,       128,
                                   -128, INT32_MAX, INT32_MIN, 63,        -64,       UINT32_MAX};
    if (random_below(r, 3) == 0)
        return ends[random_below(r, sizeof ends / sizeof ends[0])];
    return (int64_t)random_bits(r) >> random_below(r, 64);
}

static double random_real(struct random *r)
{
    static const double ends[] = {0.0,   -0.0,  1.0,
                                  0.1,   1e308, 5e-324,
                                  -1e22, 1e15,  123456789012345678.0};
    if (random_below(r, 3) == 0)
        return ends[random_below(r, sizeof ends / sizeof ends[0])];
    uint64_t bits = random_bits(r);
    double real;
    memcpy(&real, &bits, sizeof real);
    return isfinite(real) ? real : 2.5;
}

static struct str random_text(struct random *r, ks_arena *mem, bool has_nul)
{
    static const char *const pieces[] = {"a",  "/",    "\"",   "\\",
                                         "\n", "\x01", "\x7F", " ",
                                         "é",  "€",    "😀",    "\xF4\x8F\xBF\xBF",
                                         "0",  "~0",   "b",    "\xED\x9F\xBF"};
    struct buf text = {0};
    unsigned n = random_below(r, 20) ? random_below(r, 8) : random_below(r, 300);
    for (unsigned i = 0; i < n; i++) {
        unsigned k = random_below(r, sizeof pieces / sizeof pieces[0] + 1);
        if (k < sizeof pieces / sizeof pieces[0])
            buf_str(&text, pieces[k]);
        else if (has_nul)
            buf_byte(&text, 0);
    }
    struct str ret = {arena_strndup(mem, text.len ? text.at : "", text.len), text.len};
    buf_free(&text);
    return ret;
}

static ks_val *random_container(struct random *r, ks_arena *mem, unsigned levels, bool has_errors)
{
    unsigned n = random_below(r, 10) ? random_below(r, 6) : random_below(r, 40);
    bool is_array = random_below(r, 2);
    ks_val *val = is_array ? ks_array(mem) : ks_object(mem);
    for (unsigned i = 0; i < n; i++) {
        ks_val *child = random_val(r, mem, levels - 1, has_errors);
        if (is_array)
            ks_push(mem, val, child);
        else
            val_put_n(mem, val, random_text(r, mem, false), child);
    }
    return val;
}

ks_val *random_val(struct random *r, ks_arena *mem, unsigned levels, bool has_errors)
{
    if (levels > 1 && random_below(r, 2))
        return random_container(r, mem, levels, has_errors);
    struct str text;
    switch (random_below(r, has_errors ? 6 : 5)) {
    case 0:
        return ks_null(mem);
    case 1:
        return ks_boolean(mem, random_below(r, 2));
    case 2:
        return ks_integer(mem, random_integer(r));
    case 3:
        return ks_real(mem, random_real(r));
    case 4:
        text = random_text(r, mem, true);
        return ks_string_n(mem, text.at, text.len);
    default:
        return val_error(mem, random_text(r, mem, false).at, random_text(r, mem, false).at,
                         levels > 1 ? random_container(r, mem, levels, true) : NULL);
    }
}
