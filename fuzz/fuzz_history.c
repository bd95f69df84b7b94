/* The history of an orchestration. It is refused, or: event by event it makes the same instance as
 * whole; what people are shown of it can be written; saved and restored it is the same. Each event
 * is encoded to bytes that decode to the same. */
#include "core/instance.h"
#include "describe.h"
#include "fuzz.h"

static struct instance *new_orchestration(void)
{
    return instance_new(1, INSTANCE_ORCHESTRATION, STR("order-1"), STR("Order"), 1000);
}

static void check_event(const struct event *e, ks_arena *mem)
{
    struct buf first = {0}, second = {0};
    struct event again;
    event_encode(&first, e);
    struct reader r = reader_of(first.at, first.len);
    event_decode(&r, mem, &again);
    fuzz_check(!r.is_bad && r.at == r.end, "what was encoded cannot be decoded");
    event_encode(&second, &again);
    fuzz_check(str_is((struct str){first.at, first.len}, (struct str){second.at, second.len}),
               "encoded again it is other bytes");
    fuzz_check(event_describe(mem, e)[0], "an event without a name");
    buf_free(&first);
    buf_free(&second);
}

/* How many bytes the first event takes. */
static size_t event_bytes(struct str log, ks_arena *mem, bool *ret_is_good)
{
    struct reader r = reader_of(log.at, log.len), skipped = r;
    struct event e, short_e;
    event_decode(&r, mem, &e);
    event_decode(&skipped, NULL, &short_e);
    fuzz_check(r.is_bad == skipped.is_bad, "with values %d, without %d", r.is_bad, skipped.is_bad);
    *ret_is_good = !r.is_bad;
    if (r.is_bad)
        return log.len;
    fuzz_check(r.at == skipped.at, "passing over takes another number of bytes");
    check_event(&e, mem);
    return (size_t)((const char *)r.at - log.at);
}

static void check_looks(struct instance *inst, ks_arena *mem)
{
    const ks_val *const looks[] = {instance_output(inst, mem), instance_custom_status(inst, mem),
                                   instance_input(inst, mem),  instance_details(inst, mem),
                                   instance_locks(inst, mem),  instance_history(inst, mem)};
    struct buf text = {0};
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++)
        if (looks[i])
            val_write_json(&text, looks[i]);
    for (uint32_t i = 0; i < inst->orchestration.pending.len; i++) {
        const struct pending *p = &inst->orchestration.pending.at[i];
        if (!p->is_done && p->id != EVENT_ID_START) {
            struct event e;
            instance_asked(inst, p, mem, &e);
            fuzz_check(e.id == p->id, "what asked for task %u is %s", p->id,
                       event_describe(mem, &e));
        }
    }
    fuzz_check(instance_bytes(inst) >= inst->orchestration.history.len, "it takes no memory");
    buf_free(&text);
}

/* What was before it continued as new is gone; it did that running, and began again at once. */
static bool begins(const struct buf *history)
{
    return history->len && (history->at[0] == EVENT_EXECUTION_STARTED ||
                            history->at[0] == EVENT_EXECUTION_SCHEDULED);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str log = {(const char *)bytes, len};
    struct instance *whole = new_orchestration(), *piecewise = new_orchestration();
    ks_arena mem;
    bool is_good = true, fits = true, is_odd = false;
    arena_init(&mem, 4096);
    if (!len) {
        instance_free(whole);
        instance_free(piecewise);
        return 0;
    }
    while (log.len && is_good && fits) {
        size_t n = event_bytes(log, &mem, &is_good);
        is_odd |= log.at[0] == EVENT_CONTINUED_AS_NEW && piecewise->status != KS_RUNNING;
        fits = instance_apply(piecewise, log.at, n, &mem) == 0;
        log = (struct str){log.at + n, log.len - n};
    }
    int result = instance_apply(whole, bytes, len, &mem);
    fuzz_check((result == 0) == (fits && is_good), "whole it is %s",
               result == 0 ? "taken" : "refused");
    if (result == 0) {
        struct buf a = describe_instance(whole), b = describe_instance(piecewise);
        fuzz_check(strcmp(a.at, b.at) == 0, "whole\n  %s\nevent by event\n  %s", a.at, b.at);
        buf_free(&a);
        buf_free(&b);
        check_looks(whole, &mem);
        if (!is_odd && begins(&whole->orchestration.history))
            check_saved(whole, &mem);
    }
    instance_free(whole);
    instance_free(piecewise);
    arena_free(&mem);
    return 0;
}
