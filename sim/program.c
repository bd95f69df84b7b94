#include "sim/program.h"

#include "sim/programs.h"

static int node_new(struct program *p, enum node_kind kind)
{
    p->nodes[p->count] = (struct node){.kind = kind, .first = -1, .next = -1};
    return p->count++;
}

static int make_simple(struct sim *s, struct program *p)
{
    static const int ms[] = {10, 0, 1, 1000, 7000, 60000, 700000};
    enum node_kind kind = (enum node_kind)(NODE_CALL + draw(s, 3));
    int node = node_new(p, kind);
    struct node *n = &p->nodes[node];
    if (kind == NODE_TIMER) {
        n->n = ms[draw(s, sizeof ms / sizeof ms[0])];
    } else if (kind == NODE_EVENT) {
        n->n = draw(s, EVENT_NAMES);
    } else {
        n->n = (int64_t)p->number * 100 + node;
        n->flags = (draw(s, 2) ? PROGRAM_INLINE : 0) | (once_in(s, 5) ? PROGRAM_FAILS : 0) |
                   (draw(s, 2) ? PROGRAM_SENDS : 0);
    }
    return node;
}

static int make_task(struct sim *s, struct program *p)
{
    static const enum node_kind kinds[] = {NODE_CALL, NODE_CALL, NODE_ANY, NODE_ALL, NODE_RACE};
    enum node_kind kind = kinds[draw(s, 5)];
    if (kind == NODE_CALL)
        return make_simple(s, p);
    int group = node_new(p, kind), *link = &p->nodes[group].first;
    uint32_t children = 2 + draw(s, 3);
    for (uint32_t i = 0; i < children; i++) {
        int child = make_simple(s, p);
        *link = child;
        link = &p->nodes[child].next;
    }
    return group;
}

void program_make(struct sim *s, struct program *p, int number)
{
    *p = (struct program){.number = number, .first = -1};
    int *link = &p->first;
    uint32_t statements = 1 + draw(s, 6);
    for (uint32_t i = 0; i < statements; i++) {
        uint32_t what = draw(s, 4);
        int node = node_new(p, what == 0 ? NODE_SIGNAL : what == 1 ? NODE_AWAIT : NODE_TRY);
        *link = node;
        link = &p->nodes[node].next;
        if (p->nodes[node].kind == NODE_SIGNAL) {
            p->nodes[node].n = (int64_t)number * 100 + node;
            p->nodes[node].flags = (int)draw(s, CELLS);
        } else {
            p->nodes[node].first = make_task(s, p);
        }
    }
}

static void write_node(const struct program *p, int node, struct buf *out)
{
    static const char *const names[] = {"try",   "await", "signal", "call", "timer",
                                        "event", "any",   "all",    "race"};
    const struct node *n = &p->nodes[node];
    buf_printf(out, "[\"%s\"", names[n->kind]);
    if (n->kind == NODE_CALL)
        buf_printf(out, ",%lld,%d", (long long)n->n, n->flags);
    else if (n->kind == NODE_SIGNAL)
        buf_printf(out, ",%d,%lld", n->flags, (long long)n->n);
    else if (n->kind == NODE_TIMER)
        buf_printf(out, ",%lld", (long long)n->n);
    else if (n->kind == NODE_EVENT)
        buf_printf(out, ",\"e%lld\"", (long long)n->n);
    for (int child = n->first; child >= 0; child = p->nodes[child].next) {
        buf_str(out, ",");
        write_node(p, child, out);
    }
    buf_str(out, "]");
}

void program_write(const struct program *p, struct buf *out)
{
    buf_str(out, "[");
    for (int i = p->first; i >= 0; i = p->nodes[i].next) {
        write_node(p, i, out);
        buf_str(out, p->nodes[i].next >= 0 ? "," : "");
    }
    buf_str(out, "]");
}
