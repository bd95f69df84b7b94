#include "core/entity.h"

#include <stdarg.h>

struct entity_step {
    ks_entity entity; /* what user code sees */
    struct instance *inst;
    struct buf *log;
    struct doc_undo *undo;
    const char *error; /* the first */
    bool is_deleted;
    int64_t expires_ms; /* 0: not said */
};

/* The public context stands first in its step. */
static struct entity_step *step_of(ks_entity *e)
{
    return (struct entity_step *)(void *)e;
}

static void patch(ks_entity *e, enum doc_op op, const char *path, const ks_val *val, int64_t n)
{
    struct entity_step *s = step_of(e);
    struct doc *doc = &s->inst->entity.doc;
    struct doc_patch p = {.op = op,
                          .path = str_of(path),
                          .val = val ? val : ks_null(e->mem),
                          .n = n};
    if (s->error)
        return;
    s->error = doc_path_check(p.path);
    if (!s->error)
        s->error = val_check(p.val);
    if (s->error)
        return;
    /* Before it is applied: the value may be a part of what it changes. */
    size_t log_len = s->log->len;
    doc_patch_encode(s->log, &p);
    s->error = doc_apply(doc, &p, e->mem, &s->undo);
    if (s->error)
        s->log->len = log_len;
    e->state = doc->root;
}

char *ks_path_key(ks_arena *mem, const char *key)
{
    char *path = arena_alloc(mem, 2 * strlen(key) + 1), *end = path;
    for (const char *at = key; *at; at++) {
        const char *escaped = *at == '~' ? "~0" : "~1";
        if (*at != '~' && *at != '/') {
            *end++ = *at;
        } else {
            *end++ = escaped[0];
            *end++ = escaped[1];
        }
    }
    *end = 0;
    return path;
}

void ks_set(ks_entity *e, const char *path, const ks_val *val)
{
    patch(e, DOC_SET, path, val, 0);
}

void ks_append(ks_entity *e, const char *path, const ks_val *val)
{
    patch(e, DOC_APPEND, path, val, 0);
}

void ks_add(ks_entity *e, const char *path, int64_t n)
{
    patch(e, DOC_ADD, path, NULL, n);
}

void ks_remove(ks_entity *e, const char *path)
{
    patch(e, DOC_REMOVE, path, NULL, 0);
}

void ks_delete(ks_entity *e)
{
    step_of(e)->is_deleted = true;
}

void entity_expire(ks_entity *e, int64_t due_ms)
{
    step_of(e)->expires_ms = due_ms;
}

void ks_request(ks_entity *e, ks_ref entity, const char *operation, const ks_val *arg,
                const char *answer)
{
    const struct instance *inst = step_of(e)->inst;
    struct message m = {.type = MESSAGE_CALL,
                        .target = entity_id(e->out->mem, str_of(entity.entity), str_of(entity.key)),
                        .name = str_of(operation),
                        .val = arg,
                        .details = ks_string(e->mem, answer),
                        .from = {.id = {inst->id, inst->id_len}, .uid = inst->uid}};
    outbox_send(e->out, &m);
}

static const ks_val *run(struct entity_step *s, const struct app *app, const struct message *m)
{
    ks_entity *e = &s->entity;
    const ks_function *fn = app_operation(app, str_of(s->inst->name), m->name);
    if (!fn)
        return ks_fail(e->mem, KS_ERROR_MISSING_FUNCTION,
                       "the entity \"%s\" has no operation \"%.*s\"", s->inst->name,
                       (int)m->name.len, m->name.at);
    const ks_val *val = fn->entity.run(e);
    const char *why = s->error ? s->error : e->out->error ? e->out->error : val_check(val);
    if (why)
        return ks_fail(e->mem, KS_ERROR_BAD_OPERATION, "%s", why);
    return val ? val : ks_null(e->mem);
}

struct entity_result entity_step(struct instance *inst, const struct app *app,
                                 const struct message *m, int64_t now_ms, ks_arena *step_mem,
                                 struct outcome *outcome)
{
    struct str name, key;
    size_t log_len = outcome->log->len;
    ks_outbox out = {.mem = outcome->mem};
    struct entity_step s = {.inst = inst, .log = outcome->log};
    if (!entity_id_parts((struct str){inst->id, inst->id_len}, &name, &key))
        key = (struct str){"", 0};
    s.entity = (ks_entity){.mem = step_mem,
                           .out = &out,
                           .key = key.at,
                           .arg = m->val,
                           .state = inst->entity.doc.root,
                           .now_ms = now_ms};
    const ks_val *val = run(&s, app, m);
    if (ks_is_error(val)) {
        doc_undo(s.undo);
        outcome->log->len = log_len;
        ks_log(&outcome->out, "%s %.*s failed: %s: %s", inst->id, (int)m->name.len, m->name.at,
               ks_error_type(val), ks_text(val));
        return (struct entity_result){.val = val};
    }
    if (s.expires_ms != 0)
        entity_add_line(inst, outcome->log, LINE_EXPIRE, s.expires_ms, (struct str){"", 0});
    outbox_append(&outcome->out, &out);
    return (struct entity_result){.val = val, .is_deleted = s.is_deleted};
}
