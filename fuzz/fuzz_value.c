/* Values as bytes: what is decoded is encoded to bytes that decode to the same; passing over takes
 * as many bytes as reading; and what may be stored is said by JSON and read back. */
#include "base/value.h"
#include "describe.h"
#include "fuzz.h"

static bool has_error(const ks_val *val)
{
    bool has = ks_type_of(val) == KS_ERROR;
    for (uint32_t i = 0; i < val->len && !has; i++) {
        if (ks_type_of(val) == KS_ARRAY)
            has = has_error(val->items->at[i]);
        else if (ks_type_of(val) == KS_OBJECT)
            has = has_error(val->members->at[i].val);
    }
    return has;
}

static void check_json(ks_arena *mem, const ks_val *val)
{
    struct buf text = {0};
    const char *why = NULL;
    val_write_json(&text, val);
    const ks_val *again = val_read_json(mem, (struct str){text.at, text.len}, &why);
    fuzz_check(again, "%.*s is refused: %s", (int)text.len, text.at, why);
    if (!has_error(val))
        fuzz_check(val_equal(val, again), "%.*s is read as another", (int)text.len, text.at);
    buf_free(&text);
}

static void check_value(ks_arena *mem, const ks_val *val)
{
    struct buf bytes = {0}, again = {0};
    val_encode(&bytes, val);
    struct reader r = reader_of(bytes.at, bytes.len);
    const ks_val *second = val_decode(mem, &r);
    fuzz_check(!r.is_bad && r.at == r.end, "what was encoded cannot be decoded");
    fuzz_check(val_equal(val, second), "what was encoded is decoded as another");
    val_encode(&again, second);
    fuzz_check(str_is((struct str){bytes.at, bytes.len}, (struct str){again.at, again.len}),
               "encoded again it is others bytes");
    fuzz_check(val_is_encoded_error((uint8_t)bytes.at[0]) == (ks_type_of(val) == KS_ERROR),
               "the first byte says another type");
    fuzz_check(val_equal(val, val_copy(mem, val)), "a copy is another");
    if (could_be_stored(val))
        check_json(mem, val_copy_plain(mem, val));
    buf_free(&bytes);
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    ks_arena mem;
    arena_init(&mem, 4096);
    struct reader r = reader_of(bytes, len), skipped = r;
    const ks_val *val = val_decode(&mem, &r);
    val_skip(&skipped);
    fuzz_check(r.is_bad == skipped.is_bad, "reading says %d, passing over %d", r.is_bad,
               skipped.is_bad);
    if (!r.is_bad) {
        fuzz_check(r.at == skipped.at, "passing over takes another number of bytes");
        check_value(&mem, val);
    }
    arena_free(&mem);
    return 0;
}
