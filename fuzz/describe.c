#include "describe.h"

#include "core/aside.h"
#include "fuzz.h"

bool could_be_stored(const ks_val *val)
{
    bool could = !val_check(val);
    uint32_t len = val ? val->len : 0;
    for (uint32_t i = 0; i < len && could; i++) {
        if (ks_type_of(val) == KS_ARRAY) {
            could = could_be_stored(val->items->at[i]);
        } else if (ks_type_of(val) == KS_OBJECT) {
            const struct val_member *m = &val->members->at[i];
            could = !memchr(m->key, 0, m->key_len) && could_be_stored(m->val);
        }
    }
    return ks_type_of(val) == KS_ERROR && could ? could_be_stored(val_error_cause(val)) : could;
}

static void add_hex(struct buf *out, const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf_printf(out, "%02x", (uint8_t)at[i]);
}

static void add_entity(struct buf *out, const struct instance *inst)
{
    struct buf lines = {0};
    val_write_json(out, inst->entity.doc.root);
    if (inst->entity.aside)
        aside_write(inst->entity.aside, &lines);
    buf_str(out, " ");
    add_hex(out, lines.at, lines.len);
    buf_free(&lines);
}

static void add_orchestration(struct buf *out, const struct instance *inst)
{
    const struct orchestration *o = &inst->orchestration;
    buf_printf(out, "last %lld, output at %zu, status at %zu, locks at %zu, ",
               (long long)o->last_ms, o->output_bytes, o->status_bytes, o->lock_bytes);
    for (uint32_t i = 0; i < o->pending.len; i++) {
        const struct pending *p = &o->pending.at[i];
        if (!p->is_done)
            buf_printf(out, "pending %u of %d at %u due %lld, ", p->id, p->kind, p->history_bytes,
                       (long long)p->due_ms);
    }
    buf_printf(out, "%u timers, %u activities, ", o->pending.timers, o->pending.activities);
    add_hex(out, o->history.at, o->history.len);
}

struct buf describe_instance(const struct instance *inst)
{
    struct buf out = {0};
    buf_printf(&out, "%s %s kind %d status %d due %lld wake %lld: ", inst->id, inst->name,
               inst->kind, inst->status, (long long)inst->due_ms,
               (long long)instance_wake_ms(inst));
    if (inst->kind == INSTANCE_ENTITY)
        add_entity(&out, inst);
    else
        add_orchestration(&out, inst);
    buf_byte(&out, 0);
    return out;
}

/* A new instance from what a save of this one says, which is whole; it was saved then. */
static struct instance *saved_and_restored(struct instance *inst, ks_arena *mem)
{
    struct buf texts = {0};
    struct image image;
    inst->saved_bytes = 0; /* as if it had never been saved */
    if (inst->kind == INSTANCE_ENTITY)
        buf_free(&inst->entity.unsaved);
    instance_save(inst, &texts, &image);
    fuzz_check(image.is_whole, "the first save is not whole");
    struct instance *copy = instance_new(inst->uid, inst->kind,
                                         (struct str){inst->id, inst->id_len}, str_of(inst->name),
                                         inst->created_ms);
    int result = instance_restore(copy, image.state, image.history, image.log, mem);
    struct buf text = describe_instance(inst);
    fuzz_check(result == 0, "%s, saved, is refused", text.at);
    buf_free(&text);
    buf_free(&texts);
    return copy;
}

void check_saved(struct instance *inst, ks_arena *mem)
{
    struct buf before = describe_instance(inst);
    struct instance *copy = saved_and_restored(inst, mem);
    struct buf after = describe_instance(copy);
    fuzz_check(strcmp(before.at, after.at) == 0, "\n  %s\nis, saved and restored\n  %s", before.at,
               after.at);
    instance_free(copy);
    buf_free(&before);
    buf_free(&after);
}
