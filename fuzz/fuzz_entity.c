/* The log of an entity: patches of its state, and lines beside them. It is refused, or: each patch
 * can be taken back; the state is the same whether the log comes whole or line by line; and saved
 * and restored it is the same again. */
#include "core/instance.h"
#include "describe.h"
#include "fuzz.h"

/* One operation on a document can be undone; refused it changes nothing. */
static void check_undo(struct doc *doc, const struct doc_patch *patch, ks_arena *mem)
{
    struct doc_undo *undo = NULL;
    const ks_val *before = val_copy(mem, doc->root);
    const char *why = doc_apply(doc, patch, mem, &undo);
    if (!why) {
        const ks_val *changed = val_copy(mem, doc->root);
        doc_undo(undo);
        fuzz_check(val_equal(before, doc->root), "a patch is not taken back");
        fuzz_check(!doc_apply(doc, patch, mem, NULL), "a patch fits only once");
        fuzz_check(val_equal(changed, doc->root), "a patch does another thing again");
        doc_tidy(doc);
        fuzz_check(val_equal(changed, doc->root), "tidying changes the document");
    }
    fuzz_check(!why || val_equal(before, doc->root), "a refused patch changes: %s", why);
}

/* What entity.c lets into a log. */
static bool could_be_written(const struct doc_patch *p)
{
    return utf8_is_valid(p->path) && !memchr(p->path.at, 0, p->path.len) &&
           (!p->val || could_be_stored(p->val));
}

/* How many bytes one line of the log takes, and whether it is one that could have been written. */
static size_t line_bytes(struct str log, struct doc *doc, ks_arena *mem, bool *ret_is_good)
{
    struct reader r = reader_of(log.at, log.len);
    struct doc_patch patch;
    uint8_t op = read_byte(&r);
    *ret_is_good = true;
    if (op < LINE_EXPIRE || op > LINE_NOW) {
        doc_patch_decode(&r, op, mem, &patch);
        *ret_is_good = !r.is_bad && could_be_written(&patch);
        if (*ret_is_good)
            check_undo(doc, &patch, mem);
    } else {
        if (op == LINE_EXPIRE || op == LINE_LATER)
            read_zigzag(&r);
        if (op == LINE_LOCK || op == LINE_DEFER || op == LINE_LATER) {
            struct str text = read_string(&r);
            *ret_is_good = op != LINE_LOCK || !memchr(text.at, 0, text.len);
        }
    }
    return r.is_bad ? log.len : (size_t)((const char *)r.at - log.at);
}

static struct instance *new_entity(void)
{
    return instance_new(1, INSTANCE_ENTITY, STR("@list@7f"), STR("list"), 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str log = {(const char *)bytes, len};
    struct instance *whole = new_entity(), *piecewise = new_entity();
    struct doc doc;
    ks_arena mem;
    bool is_good = true, fits = true;
    arena_init(&mem, 4096);
    doc_init(&doc);
    while (log.len && is_good && fits) {
        size_t n = line_bytes(log, &doc, &mem, &is_good);
        fits = instance_apply(piecewise, log.at, n, &mem) == 0;
        log = (struct str){log.at + n, log.len - n};
        if (is_good && fits && log.len % 4 == 0)
            check_saved(piecewise, &mem);
    }
    if (is_good) {
        int result = instance_apply(whole, bytes, len, &mem);
        fuzz_check((result == 0) == fits, "whole it is %s", result == 0 ? "taken" : "refused");
    }
    if (is_good && fits) {
        struct buf a = describe_instance(whole), b = describe_instance(piecewise);
        fuzz_check(strcmp(a.at, b.at) == 0, "whole\n  %s\nline by line\n  %s", a.at, b.at);
        buf_free(&a);
        buf_free(&b);
        check_saved(whole, &mem);
    }
    instance_free(whole);
    instance_free(piecewise);
    doc_free(&doc);
    arena_free(&mem);
    return 0;
}
