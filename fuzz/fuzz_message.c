/* Messages as bytes, as a queue in the journal and an entity's deferred ones are kept. */
#include "core/message.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    ks_arena mem;
    struct buf first = {0}, second = {0};
    arena_init(&mem, 4096);
    struct reader r = reader_of(bytes, len);
    const struct message *m;
    while (!reader_is_at_end(&r) && (m = message_decode(&r, &mem))) {
        first.len = second.len = 0;
        message_encode(&first, m);
        struct reader again = reader_of(first.at, first.len);
        const struct message *copy = message_decode(&again, &mem);
        fuzz_check(copy && again.at == again.end, "what was encoded cannot be decoded");
        message_encode(&second, message_copy(&mem, copy));
        fuzz_check(str_is((struct str){first.at, first.len}, (struct str){second.at, second.len}),
                   "encoded again it is other bytes");
        fuzz_check(message_type_name((uint8_t)m->type)[0], "a type without a name");
        struct str name, key;
        if (!message_check(m) && entity_id_parts(m->target, &name, &key))
            fuzz_check(entity_id(&mem, name, key).len == m->target.len, "an id in other parts");
    }
    buf_free(&first);
    buf_free(&second);
    arena_free(&mem);
    return 0;
}
