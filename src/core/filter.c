#include "core/filter.h"

/* ---- statuses ---- */

static const char *const status_names[] =
    {[KS_MISSING] = "Missing",       [KS_PENDING] = "Pending",        [KS_RUNNING] = "Running",
     [KS_SUSPENDED] = "Suspended",   [KS_COMPLETED] = "Completed",    [KS_FAILED] = "Failed",
     [KS_TERMINATED] = "Terminated", [KS_QUARANTINED] = "Quarantined"};

const char *ks_status_name(ks_runtime_status status)
{
    return status <= KS_QUARANTINED ? status_names[status] : "Unknown";
}

ks_runtime_status status_of_name(struct str name)
{
    for (ks_runtime_status i = KS_PENDING; i <= KS_QUARANTINED; i++)
        if (str_is(name, str_of(status_names[i])))
            return i;
    return KS_MISSING;
}

/* ---- instances ---- */

struct summary summary_of(const struct instance *inst)
{
    return (struct summary){.uid = inst->uid,
                            .kind = inst->kind,
                            .status = inst->status,
                            .id = {inst->id, inst->id_len},
                            .name = str_of(inst->name),
                            .created_ms = inst->created_ms,
                            .updated_ms = inst->updated_ms};
}

void summary_add_details(struct summary *s, const struct instance *inst, ks_arena *mem)
{
    const ks_val *details = instance_details(inst, mem);
    s->parent = instance_parent_id(details);
    s->tags = instance_tags(details);
}

static bool is_kind(const ks_filter *f, enum instance_kind kind)
{
    return !f->kind || (f->kind == KS_FN_ENTITY) == (kind == INSTANCE_ENTITY);
}

static bool is_within(int64_t ms, int64_t from_ms, int64_t until_ms)
{
    return ms >= from_ms && (!until_ms || ms < until_ms);
}

static bool begins_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && memcmp(s.at, prefix.at, prefix.len) == 0;
}

bool filter_takes(const ks_filter *f, const struct summary *s)
{
    return is_kind(f, s->kind) && (!f->statuses || f->statuses >> s->status & 1) &&
           is_within(s->created_ms, f->created_from_ms, f->created_until_ms) &&
           is_within(s->updated_ms, f->updated_from_ms, f->updated_until_ms) &&
           (!is_given(f->name) || str_is_nocase(s->name, str_of(f->name))) &&
           (!is_given(f->id_prefix) || begins_with(s->id, str_of(f->id_prefix))) &&
           !begins_with(s->name, STR("$"));
}

bool filter_has_details(const ks_filter *f)
{
    return is_given(f->parent) || is_given(f->tag);
}

bool filter_takes_details(const ks_filter *f, const struct summary *s)
{
    if (is_given(f->parent) && !str_is(s->parent, str_of(f->parent)))
        return false;
    if (!is_given(f->tag))
        return true;
    const ks_val *tag = ks_get(s->tags, f->tag);
    return ks_type_of(tag) == KS_STRING &&
           (!is_given(f->tag_value) || str_is(val_str(tag), str_of(f->tag_value)));
}

/* ---- on its way ---- */

struct text_field {
    const char *key;
    size_t offset;
};

static const struct text_field texts[] = {{"name", offsetof(ks_filter, name)},
                                          {"prefix", offsetof(ks_filter, id_prefix)},
                                          {"parent", offsetof(ks_filter, parent)},
                                          {"tag", offsetof(ks_filter, tag)},
                                          {"value", offsetof(ks_filter, tag_value)}};
static const struct text_field times[] = {{"created_from", offsetof(ks_filter, created_from_ms)},
                                          {"created_until", offsetof(ks_filter, created_until_ms)},
                                          {"updated_from", offsetof(ks_filter, updated_from_ms)},
                                          {"updated_until", offsetof(ks_filter, updated_until_ms)}};

static void put_number(ks_arena *mem, ks_val *val, const char *key, int64_t n)
{
    if (n)
        ks_put(mem, val, key, ks_integer(mem, n));
}

ks_val *filter_to_val(ks_arena *mem, const ks_filter *f)
{
    ks_val *val = ks_object(mem);
    put_number(mem, val, "kind", f->kind);
    put_number(mem, val, "statuses", f->statuses);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *const *at = (const void *)((const char *)f + texts[i].offset);
        if (is_given(*at))
            ks_put(mem, val, texts[i].key, ks_string(mem, *at));
    }
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        const int64_t *at = (const void *)((const char *)f + times[i].offset);
        put_number(mem, val, times[i].key, *at);
    }
    return val;
}

ks_filter filter_of_val(const ks_val *val)
{
    ks_filter f = {.kind = (int)ks_int(ks_get(val, "kind")),
                   .statuses = (unsigned)ks_int(ks_get(val, "statuses"))};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const ks_val *text = ks_get(val, texts[i].key);
        const char **at = (void *)((char *)&f + texts[i].offset);
        if (text)
            *at = ks_text(text);
    }
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        int64_t *at = (void *)((char *)&f + times[i].offset);
        *at = ks_int(ks_get(val, times[i].key));
    }
    return f;
}
