/* An entity's log has, beside the patches of doc.h, lines:
 *
 *     16 expire    due zigzag
 *     17 lock      owner string
 *     18 unlock
 *     19 defer     message string
 *     20 undefer
 *     21 later     due zigzag, message string
 *     22 now
 */
#include "core/aside.h"

#include "base/die.h"

#include <stdlib.h>

static struct aside *aside_of(struct entity *e)
{
    if (!e->aside) {
        e->aside = die_zalloc(sizeof *e->aside);
        e->aside->expires_ms = NEVER_MS;
    }
    return e->aside;
}

void aside_free(struct aside *a)
{
    if (!a)
        return;
    for (struct kept_message *m = a->first, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    for (struct kept_message *m = a->later, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    free(a->owner);
    free(a);
}

static struct kept_message *kept_new(struct str message, int64_t due_ms)
{
    struct kept_message *m = die_malloc(sizeof *m + message.len);
    *m = (struct kept_message){.due_ms = due_ms, .len = message.len};
    memcpy(m->bytes, message.at, message.len);
    return m;
}

static void keep_last(struct aside *a, struct kept_message *m)
{
    if (a->last)
        a->last->next = m;
    else
        a->first = m;
    a->last = m;
}

static void keep_in_order(struct aside *a, struct kept_message *m)
{
    struct kept_message **at = &a->later;
    while (*at && (*at)->due_ms <= m->due_ms)
        at = &(*at)->next;
    m->next = *at;
    *at = m;
}

static int drop_first(struct kept_message **first)
{
    struct kept_message *m = *first;
    if (!m)
        return -1;
    *first = m->next;
    free(m);
    return 0;
}

static int apply_line(struct aside *a, enum entity_line line, int64_t due_ms, struct str text)
{
    int result = 0;
    switch (line) {
    case LINE_EXPIRE:
        a->expires_ms = due_ms;
        break;
    case LINE_LOCK:
        result = a->owner ? -1 : 0;
        free(a->owner);
        a->owner = die_strndup(text.at, text.len);
        break;
    case LINE_UNLOCK:
        result = a->owner ? 0 : -1;
        free(a->owner);
        a->owner = NULL;
        break;
    case LINE_DEFER:
        keep_last(a, kept_new(text, 0));
        break;
    case LINE_UNDEFER:
        result = drop_first(&a->first);
        if (!a->first)
            a->last = NULL;
        break;
    case LINE_LATER:
        keep_in_order(a, kept_new(text, due_ms));
        break;
    case LINE_NOW:
        result = drop_first(&a->later);
        break;
    }
    return result;
}

static bool line_has_due(enum entity_line line)
{
    return line == LINE_EXPIRE || line == LINE_LATER;
}

static bool line_has_text(enum entity_line line)
{
    return line == LINE_LOCK || line == LINE_DEFER || line == LINE_LATER;
}

void entity_log_line(struct buf *log, enum entity_line line, int64_t due_ms, struct str text)
{
    buf_byte(log, (uint8_t)line);
    if (line_has_due(line))
        buf_zigzag(log, due_ms);
    if (line_has_text(line))
        buf_string(log, text);
}

int entity_apply_line(struct instance *inst, enum entity_line line, struct reader *r)
{
    struct aside *a = aside_of(&inst->entity);
    int64_t due_ms = line_has_due(line) ? read_zigzag(r) : 0;
    struct str text = line_has_text(line) ? read_string(r) : (struct str){"", 0};
    if (r->is_bad || apply_line(a, line, due_ms, text) < 0)
        return -1;
    inst->status = a->owner && strcmp(a->owner, QUARANTINE_OWNER) == 0 ? KS_QUARANTINED
                                                                       : KS_RUNNING;
    inst->due_ms = a->expires_ms;
    if (a->later && a->later->due_ms < inst->due_ms)
        inst->due_ms = a->later->due_ms;
    if (!a->owner && !a->first && !a->later && a->expires_ms == NEVER_MS) {
        aside_free(a);
        inst->entity.aside = NULL;
    }
    return 0;
}

void entity_add_line(struct instance *inst, struct buf *log, enum entity_line line, int64_t due_ms,
                     struct str text)
{
    size_t start = log->len + 1;
    entity_log_line(log, line, due_ms, text);
    struct reader r = reader_of(log->at + start, log->len - start);
    if (entity_apply_line(inst, line, &r) < 0)
        die("bug: %s cannot have line %d now", inst->id, (int)line);
}

void aside_write(const struct aside *a, struct buf *out)
{
    if (a->expires_ms != NEVER_MS)
        entity_log_line(out, LINE_EXPIRE, a->expires_ms, (struct str){"", 0});
    if (a->owner)
        entity_log_line(out, LINE_LOCK, 0, str_of(a->owner));
    for (const struct kept_message *m = a->first; m; m = m->next)
        entity_log_line(out, LINE_DEFER, 0, (struct str){m->bytes, m->len});
    for (const struct kept_message *m = a->later; m; m = m->next)
        entity_log_line(out, LINE_LATER, m->due_ms, (struct str){m->bytes, m->len});
}
