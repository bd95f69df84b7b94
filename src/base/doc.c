#include "base/doc.h"

#include "base/prefetch.h"

#include <assert.h>
#include <stdlib.h>

/* A document smaller than this is not worth tidying for what it wastes. */
enum { FIRST_CHUNK = 256, TIDY_FROM = 4096 };

void doc_init(struct doc *d)
{
    static const ks_val null = {.type = KS_NULL};
    arena_init(&d->mem, FIRST_CHUNK);
    d->root = &null;
    d->compacted_bytes = 0;
}

void doc_free(struct doc *d)
{
    arena_free(&d->mem);
}

void doc_tidy(struct doc *d)
{
    if (d->mem.used_bytes < TIDY_FROM || d->mem.used_bytes < 3 * d->compacted_bytes)
        return;
    ks_arena old = d->mem;
    arena_init(&d->mem, FIRST_CHUNK);
    d->root = val_copy(&d->mem, d->root);
    d->compacted_bytes = d->mem.used_bytes;
    arena_free(&old);
}

/* ---- looking ahead ---- */

static void ask_for_member(const struct val_member *member, unsigned stage)
{
    const ks_val *val = member->val;
    if (stage == 2) {
        prefetch(member->key, 1);
        prefetch(val, sizeof *val);
    } else if (val->type == KS_ARRAY && val->items) {
        prefetch(val->items, 1);
        prefetch(&val->items->at[val->len], 1);
    }
}

void doc_look_ahead(const struct doc *d, unsigned stage)
{
    enum { MEMBERS_MAX = 8 };
    const ks_val *root = d->root;
    if (stage == 0) {
        prefetch(root, sizeof *root);
        prefetch(d->mem.at, 1);
    }
    if (stage == 0 || root->type != KS_OBJECT || !root->len)
        return;
    const struct val_members *m = root->members;
    uint32_t count = root->len < MEMBERS_MAX ? root->len : MEMBERS_MAX;
    if (stage == 1)
        prefetch(m, sizeof *m + count * sizeof m->at[0]);
    for (uint32_t i = 0; stage > 1 && i < count; i++)
        ask_for_member(&m->at[i], stage);
}

/* ---- undo ---- */

struct change {
    struct doc *doc;
    ks_arena *mem; /* for notes and texts */
    struct doc_undo **undo;
};

static void note_node(const struct change *c, ks_val *node)
{
    if (!c->undo)
        return;
    struct doc_undo *u = ks_alloc(c->mem, sizeof *u);
    *u = (struct doc_undo){.older = *c->undo, .node = node, .old_node = *node};
    *c->undo = u;
}

static void slot_set(const struct change *c, const ks_val **slot, const ks_val *val)
{
    if (c->undo) {
        struct doc_undo *u = ks_alloc(c->mem, sizeof *u);
        *u = (struct doc_undo){.older = *c->undo, .slot = slot, .old_val = *slot};
        *c->undo = u;
    }
    *slot = val;
}

void doc_undo(struct doc_undo *newest)
{
    for (struct doc_undo *u = newest; u; u = u->older) {
        if (u->slot) {
            *u->slot = u->old_val;
        } else {
            *u->node = u->old_node;
            val_reindex(u->node);
        }
    }
}

/* ---- where a path leads ---- */

/* Nodes of the document are its own, so they may be written to. */
static ks_val *writable(const ks_val *val)
{
    return (ks_val *)(uintptr_t)val;
}

static bool item_number(struct str key, size_t *ret)
{
    size_t n = 0;
    if (key.len == 0 || key.len > 10 || (key.len > 1 && key.at[0] == '0'))
        return false;
    for (size_t i = 0; i < key.len; i++) {
        if (key.at[i] < '0' || key.at[i] > '9')
            return false;
        n = n * 10 + (size_t)(key.at[i] - '0');
    }
    *ret = n;
    return true;
}

/* Of a path what was not gone yet. */
struct way {
    struct str rest;
    bool is_more;
};

static struct way way_of(struct str path)
{
    return (struct way){.rest = path, .is_more = path.len > 0};
}

static bool is_escape(const char *at, const char *end)
{
    return *at == '~' && end - at > 1 && (at[1] == '0' || at[1] == '1');
}

static struct str unescaped(ks_arena *mem, struct str key)
{
    if (key.len == 0 || !memchr(key.at, '~', key.len))
        return key;
    char *text = arena_alloc(mem, key.len);
    size_t len = 0;
    for (const char *at = key.at, *end = key.at + key.len; at < end; at++) {
        text[len] = *at;
        if (is_escape(at, end))
            text[len] = "~/"[*++at - '0'];
        len++;
    }
    return (struct str){text, len};
}

/* Takes the next key; false at the end. */
static bool way_next(ks_arena *mem, struct way *way, struct str *ret_key)
{
    const char *slash = way->rest.len ? memchr(way->rest.at, '/', way->rest.len) : NULL;
    size_t len = slash ? (size_t)(slash - way->rest.at) : way->rest.len;
    if (!way->is_more)
        return false;
    *ret_key = unescaped(mem, (struct str){way->rest.at, len});
    way->is_more = slash;
    if (slash)
        way->rest = (struct str){slash + 1, way->rest.len - len - 1};
    return true;
}

const char *doc_path_check(struct str path)
{
    const char *end = path.at + path.len;
    for (const char *at = path.at; at < end; at++)
        if (*at == '~' && !is_escape(at, end))
            return "a path has a ~ that is neither ~0 nor ~1";
    return utf8_is_valid(path) ? NULL : "a path is not UTF-8";
}

/* The place a key names in a container, or NULL when there is none. */
static const ks_val **slot_find(const ks_val *container, struct str key)
{
    size_t i;
    if (container->type == KS_ARRAY)
        return item_number(key, &i) && i < container->len ? &container->items->at[i] : NULL;
    struct val_member *member = val_member(container, key);
    return member ? &member->val : NULL;
}

/* The place a key names in the container at *at, made (with a null in it) when it is missing. */
static const ks_val **slot_make(const struct change *c, const ks_val **at, struct str key)
{
    if ((*at)->type == KS_NULL)
        slot_set(c, at, ks_object(&c->doc->mem));
    const ks_val **slot = slot_find(*at, key);
    if (slot || (*at)->type != KS_OBJECT)
        return slot;
    note_node(c, writable(*at));
    val_put_n(&c->doc->mem, writable(*at), key, NULL);
    return slot_find(*at, key);
}

static const char *why_not(const struct change *c, struct str path, const char *what)
{
    return ks_format(c->mem, "\"%.*s\" %s", (int)path.len, path.at, what);
}

/* The place a path leads to. */
static const ks_val **path_make(const struct change *c, struct str path, const char **why)
{
    const ks_val **slot = &c->doc->root;
    struct way way = way_of(path);
    struct str key;
    while (way_next(c->mem, &way, &key)) {
        slot = slot_make(c, slot, key);
        if (!slot) {
            *why = why_not(c, path, "leads through something that is no object and no array");
            return NULL;
        }
    }
    return slot;
}

/* ---- the four operations ---- */

static const char *do_set(const struct change *c, const struct doc_patch *p)
{
    const char *why = NULL;
    /* Copied first: it may be a part of what is changed. */
    const ks_val *val = val_copy_plain(&c->doc->mem, p->val);
    const ks_val **slot = path_make(c, p->path, &why);
    if (slot)
        slot_set(c, slot, val);
    return why;
}

static const char *do_append(const struct change *c, const struct doc_patch *p)
{
    const char *why = NULL;
    const ks_val *val = val_copy_plain(&c->doc->mem, p->val);
    const ks_val **slot = path_make(c, p->path, &why);
    if (!slot)
        return why;
    if ((*slot)->type == KS_NULL)
        slot_set(c, slot, ks_array(&c->doc->mem));
    if ((*slot)->type != KS_ARRAY)
        return why_not(c, p->path, "is not an array, so nothing can be appended to it");
    note_node(c, writable(*slot));
    ks_push(&c->doc->mem, writable(*slot), val);
    return NULL;
}

static const char *do_add(const struct change *c, const struct doc_patch *p)
{
    const char *why = NULL;
    int64_t sum;
    const ks_val **slot = path_make(c, p->path, &why);
    if (!slot)
        return why;
    if ((*slot)->type != KS_NULL && (*slot)->type != KS_INTEGER)
        return why_not(c, p->path, "is not an integer, so nothing can be added to it");
    if (__builtin_add_overflow(ks_int(*slot), p->n, &sum))
        return why_not(c, p->path, "would not fit 64 bits any more");
    slot_set(c, slot, ks_integer(&c->doc->mem, sum));
    return NULL;
}

/* Removing is rare and costs the length of the container: the rest is copied. */
static const char *do_remove(const struct change *c, const struct doc_patch *p)
{
    struct way way = way_of(p->path);
    const ks_val **at = &c->doc->root;
    struct str key = {"", 0};
    while (way_next(c->mem, &way, &key)) {
        if ((*at)->type != KS_OBJECT && (*at)->type != KS_ARRAY)
            return NULL;
        const ks_val **slot = slot_find(*at, key);
        if (!slot)
            return NULL; /* not there: removed already */
        if (way.is_more)
            at = slot;
    }
    if (!p->path.len) {
        slot_set(c, at, ks_null(&c->doc->mem));
        return NULL;
    }
    const ks_val **gone = slot_find(*at, key);
    ks_arena *mem = &c->doc->mem;
    ks_val *left = (*at)->type == KS_ARRAY ? ks_array(mem) : ks_object(mem);
    for (uint32_t i = 0; i < (*at)->len; i++) {
        if ((*at)->type == KS_ARRAY) {
            if (&(*at)->items->at[i] != gone)
                ks_push(mem, left, (*at)->items->at[i]);
        } else {
            const struct val_member *m = &(*at)->members->at[i];
            if (&m->val != gone)
                val_put_n(mem, left, (struct str){m->key, m->key_len}, m->val);
        }
    }
    slot_set(c, at, left);
    return NULL;
}

/* JSON, which the checkpoint keeps, is read back only so deep. */
static const char *check_depth(const struct change *c, const struct doc_patch *p)
{
    unsigned depth = p->path.len > 0;
    for (size_t i = 0; i < p->path.len; i++)
        depth += p->path.at[i] == '/';
    depth += p->op == DOC_APPEND;
    if (depth + (p->val ? val_depth(p->val) : 1) <= VAL_DEPTH_MAX)
        return NULL;
    return why_not(c, p->path, "would nest the document deeper than 64 levels");
}

const char *doc_apply(struct doc *d, const struct doc_patch *patch, ks_arena *mem,
                      struct doc_undo **undo)
{
    /* Containers on the way may be made before the end turns out not to fit, so even a change that
     * nobody wants to undo is noted here until it is known to fit. */
    struct doc_undo *notes = NULL;
    struct change c = {.doc = d, .mem = mem, .undo = &notes};
    const char *why = check_depth(&c, patch);
    if (why)
        return why;
    switch (patch->op) {
    case DOC_SET:
        why = do_set(&c, patch);
        break;
    case DOC_APPEND:
        why = do_append(&c, patch);
        break;
    case DOC_ADD:
        why = do_add(&c, patch);
        break;
    case DOC_REMOVE:
        why = do_remove(&c, patch);
        break;
    }
    if (why) {
        doc_undo(notes);
    } else if (undo && notes) {
        struct doc_undo *oldest = notes;
        while (oldest->older)
            oldest = oldest->older;
        oldest->older = *undo;
        *undo = notes;
    }
    return why;
}

/* ---- patches as bytes ---- */

void doc_patch_encode(struct buf *out, const struct doc_patch *patch)
{
    buf_byte(out, (uint8_t)patch->op);
    buf_string(out, patch->path);
    if (patch->op == DOC_SET || patch->op == DOC_APPEND)
        val_encode(out, patch->val);
    else if (patch->op == DOC_ADD)
        buf_zigzag(out, patch->n);
}

void doc_patch_decode(struct reader *r, enum doc_op op, ks_arena *mem, struct doc_patch *ret)
{
    *ret = (struct doc_patch){.op = op, .path = read_string(r)};
    if (op == DOC_SET || op == DOC_APPEND)
        ret->val = val_decode(mem, r);
    else if (op == DOC_ADD)
        ret->n = read_zigzag(r);
    else if (op != DOC_REMOVE)
        r->is_bad = true;
}
