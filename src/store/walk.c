#include "store/walk.h"

enum { LOOK_AT_CLOCK = 64 };

void walk_begin(struct walk *w, struct env *env, const struct query *query, struct query_page *ret)
{
    *ret = (struct query_page){0};
    *w = (struct walk){.query = query,
                       .env = env,
                       .page = ret,
                       .left = query_examine(query),
                       .until_ns = env->boot_ns(env->self) + (int64_t)QUERY_MS_MAX * 1000000};
    for (size_t i = 0; i < query->change_count; i++)
        if (query->changes[i].what == CHANGE_DELETED)
            uid_set_add(&w->gone, query->changes[i].inst->uid);
    arena_init(&w->scratch, 4096);
}

void walk_end(struct walk *w)
{
    uid_set_free(&w->gone);
    arena_free(&w->scratch);
}

static bool is_late(const struct walk *w)
{
    return w->left % LOOK_AT_CLOCK == 0 && w->env->boot_ns(w->env->self) >= w->until_ns;
}

/* Whether to go on after this one. */
static bool goes_on(struct walk *w, uint64_t uid)
{
    bool is_full = !w->query->is_count && w->page->count == w->query->limit;
    w->left--;
    if (!is_full && w->left && !is_late(w))
        return true;
    w->page->below = uid > 1 ? uid : 0;
    return false;
}

static struct str keep(ks_arena *mem, struct str s)
{
    return (struct str){arena_strndup(mem, s.at, s.len), s.len};
}

static void take(struct walk *w, const struct summary *s)
{
    struct query_page *page = w->page;
    ks_arena *mem = w->query->mem;
    if (w->query->is_count) {
        page->count++;
        return;
    }
    if (!page->at)
        page->at = arena_alloc(mem, w->query->limit * sizeof page->at[0]);
    struct summary *copy = &page->at[page->count++];
    *copy = *s;
    copy->id = keep(mem, s->id);
    copy->name = keep(mem, s->name);
    copy->parent = keep(mem, s->parent);
    copy->tags = s->tags ? val_copy(mem, s->tags) : NULL;
}

static bool is_too_old(const struct walk *w, const struct summary *s)
{
    return s->created_ms < w->query->filter->created_from_ms;
}

static bool wants_details(const struct walk *w)
{
    return !w->query->is_count || filter_has_details(w->query->filter);
}

bool walk_instance(struct walk *w, const struct instance *inst)
{
    const ks_filter *f = w->query->filter;
    struct summary s = summary_of(inst);
    if (is_too_old(w, &s))
        return false;
    if (filter_takes(f, &s)) {
        arena_reset(&w->scratch);
        if (wants_details(w))
            summary_add_details(&s, inst, &w->scratch);
        if (filter_takes_details(f, &s))
            take(w, &s);
    }
    return goes_on(w, inst->uid);
}

bool walk_row(struct walk *w, struct summary *s, struct str tags)
{
    const ks_filter *f = w->query->filter;
    const char *why;
    if (is_too_old(w, s))
        return false;
    if (filter_takes(f, s)) {
        arena_reset(&w->scratch);
        if (tags.len && wants_details(w))
            s->tags = val_read_json(&w->scratch, tags, &why);
        if (filter_takes_details(f, s))
            take(w, s);
    }
    return goes_on(w, s->uid);
}

bool walk_gap(struct walk *w, uint64_t uid)
{
    return goes_on(w, uid);
}
