#include "sim/program.h"

#include "sim/programs.h"

static int node_new(struct program *p, enum node_kind kind)
{
    if (p->count == PROGRAM_NODES_MAX)
        sim_fail("a program is too long");
    p->nodes[p->count] = (struct node){.kind = kind,
                                       .n = (int64_t)p->number * PROGRAM_NUMBERS + p->count,
                                       .first = -1,
                                       .next = -1};
    return p->count++;
}

static void make_telling(struct sim *s, struct node *n)
{
    n->cell = (int)draw(s, CELLS);
    n->other = (n->cell + 1 + (int)draw(s, CELLS - 1)) % CELLS;
}

static int call_flags(struct sim *s)
{
    return (draw(s, 2) ? PROGRAM_INLINE : 0) | (once_in(s, 5) ? PROGRAM_FAILS : 0) |
           (draw(s, 2) ? PROGRAM_SENDS : 0);
}

static int make_simple(struct sim *s, struct program *p, enum node_kind kind)
{
    static const int ms[] = {10, 0, 1, 1000, 7000, 60000, 700000};
    int node = node_new(p, kind);
    struct node *n = &p->nodes[node];
    if (kind == NODE_TIMER)
        n->n = ms[draw(s, sizeof ms / sizeof ms[0])];
    else if (kind == NODE_EVENT)
        n->n = draw(s, EVENT_NAMES);
    else if (kind == NODE_CALL)
        n->flags = call_flags(s);
    else if (kind == NODE_ASK)
        make_telling(s, n);
    else if (kind == NODE_WEB)
        n->flags = (int)draw(s, WEB_KINDS);
    else if (kind == NODE_POLICY)
        n->flags = (call_flags(s) & ~PROGRAM_INLINE) | (draw(s, 2) ? PROGRAM_FLAKY : 0) |
                   (draw(s, 2) ? PROGRAM_LIMITED : 0);
    return node;
}

static int *link_of(struct program *p, int *list, int node)
{
    *list = node;
    return &p->nodes[node].next;
}

/* A child waits for no events, and one that is tried again tells nobody, since it would be
 * twice. */
static int make_sub(struct sim *s, struct program *p)
{
    int sub = node_new(p, NODE_SUB), *list = &p->nodes[sub].first;
    uint32_t count = 1 + draw(s, 3);
    enum sub_mode mode = (enum sub_mode)draw(s, SUB_MODES);
    p->nodes[sub].flags = (int)mode;
    for (uint32_t i = 0; i < count; i++) {
        static const enum node_kind kinds[] = {NODE_CALL, NODE_TIMER, NODE_ASK, NODE_CALL};
        uint32_t what = draw(s, 4);
        if (what == 3 && mode != SUB_AGAIN) {
            list = link_of(p, list, node_new(p, NODE_SIGNAL));
            make_telling(s, &p->nodes[p->count - 1]);
            continue;
        }
        int statement = node_new(p, draw(s, 2) ? NODE_AWAIT : NODE_TRY);
        list = link_of(p, list, statement);
        int task = make_simple(s, p, mode == SUB_AGAIN ? kinds[what % 2] : kinds[what]);
        p->nodes[statement].first = task;
        if (mode == SUB_AGAIN && p->nodes[task].kind == NODE_CALL)
            p->nodes[task].flags = (p->nodes[task].flags & ~PROGRAM_SENDS) | PROGRAM_AGAIN;
    }
    return sub;
}

/* All of a group has to come out the same way each time; of any, only the first. */
static int make_group(struct sim *s, struct program *p, enum node_kind kind)
{
    static const enum node_kind kinds[] = {NODE_CALL, NODE_TIMER,  NODE_EVENT,
                                           NODE_ASK,  NODE_POLICY, NODE_WEB};
    int group = node_new(p, kind), *list = &p->nodes[group].first;
    uint32_t children = 2 + draw(s, 3);
    for (uint32_t i = 0; i < children; i++)
        list = link_of(p, list, make_simple(s, p, kinds[draw(s, kind == NODE_ALL ? 4 : 6)]));
    return group;
}

static int make_task(struct sim *s, struct program *p)
{
    static const enum node_kind kinds[] = {NODE_CALL,   NODE_TIMER, NODE_EVENT, NODE_ASK,
                                           NODE_POLICY, NODE_WEB,   NODE_SUB,   NODE_ANY,
                                           NODE_ALL,    NODE_RACE,  NODE_ANY,   NODE_RACE};
    enum node_kind kind = kinds[draw(s, sizeof kinds / sizeof kinds[0])];
    if (kind == NODE_SUB)
        return make_sub(s, p);
    return kind >= NODE_ANY ? make_group(s, p, kind) : make_simple(s, p, kind);
}

/* An event that one of these waits took, nobody knows: with a new beginning, neither would the
 * check. */
static bool has_open_waits(const struct program *p)
{
    for (int i = 0; i < p->count; i++)
        for (int c = p->nodes[i].kind == NODE_ANY ? p->nodes[i].first : -1; c >= 0;
             c = p->nodes[c].next)
            if (p->nodes[c].kind == NODE_EVENT)
                return true;
    return false;
}

static int make_statement(struct sim *s, struct program *p)
{
    static const enum node_kind kinds[] = {NODE_TRY,   NODE_AWAIT,  NODE_TRY,
                                           NODE_AWAIT, NODE_SIGNAL, NODE_LATER,
                                           NODE_NOTE,  NODE_LOCK,   NODE_ANEW};
    enum node_kind kind = kinds[draw(s, sizeof kinds / sizeof kinds[0])];
    if (kind == NODE_ANEW && has_open_waits(p))
        kind = NODE_SIGNAL;
    int node = node_new(p, kind);
    struct node *n = &p->nodes[node];
    if (kind == NODE_TRY || kind == NODE_AWAIT) {
        int task = make_task(s, p);
        enum node_kind of = p->nodes[task].kind;
        n->first = task;
        if (of == NODE_POLICY || of == NODE_WEB || of == NODE_SUB)
            n->kind = NODE_TRY; /* their errors are no numbers */
    } else {
        make_telling(s, n);
        if (kind == NODE_LATER)
            n->flags = (int)draw(s, 2) ? 600000 : 1 + (int)draw(s, 5000);
    }
    return node;
}

/* Before all the others, which it may not hurt. */
static void make_fickle(struct program *p)
{
    int statement = node_new(p, NODE_TRY), task = node_new(p, NODE_FICKLE);
    p->nodes[statement].first = task;
    p->nodes[statement].next = p->first;
    p->first = statement;
}

void program_make(struct sim *s, struct program *p, int number)
{
    *p = (struct program){.number = number, .origin = p, .first = -1};
    int *list = &p->first;
    uint32_t statements = 1 + draw(s, 6);
    for (uint32_t i = 0; i < statements; i++)
        list = link_of(p, list, make_statement(s, p));
    p->is_version_1 = once_in(s, 4);
    p->wait_ms = once_in(s, 4) ? 1 + draw(s, 30000) : 0;
    p->is_fickle = once_in(s, 30) && !s->is_timeless;
    if (p->is_fickle)
        make_fickle(p);
}

static void write_list(const struct program *p, int first, struct buf *out);

static void write_node(const struct program *p, int node, struct buf *out)
{
    static const char *const names[] = {"try",  "await", "signal", "later", "note", "lock",
                                        "anew", "call",  "timer",  "event", "ask",  "policy",
                                        "web",  "sub",   "any",    "all",   "race", "fickle"};
    const struct node *n = &p->nodes[node];
    buf_printf(out, "[\"%s\",%lld,%d,%d,%d", names[n->kind], (long long)n->n, n->flags, n->cell,
               n->other);
    if (n->kind == NODE_SUB) {
        buf_str(out, ",");
        write_list(p, n->first, out);
    } else {
        for (int child = n->first; child >= 0; child = p->nodes[child].next) {
            buf_str(out, ",");
            write_node(p, child, out);
        }
    }
    buf_str(out, "]");
}

static void write_list(const struct program *p, int first, struct buf *out)
{
    buf_str(out, "[");
    for (int i = first; i >= 0; i = p->nodes[i].next) {
        write_node(p, i, out);
        buf_str(out, p->nodes[i].next >= 0 ? "," : "");
    }
    buf_str(out, "]");
}

void program_write(const struct program *p, struct buf *out)
{
    write_list(p, p->first, out);
}

bool program_begins_anew(const struct program *p)
{
    for (int i = p->first; i >= 0; i = p->nodes[i].next)
        if (p->nodes[i].kind == NODE_ANEW)
            return true;
    return false;
}

bool telling_fails(int64_t n)
{
    return n % 7 == 3;
}

int64_t program_fails_at(const struct program *p, int first)
{
    for (int i = first; i >= 0; i = p->nodes[i].next) {
        if (p->nodes[i].kind != NODE_AWAIT)
            continue;
        const struct node *task = &p->nodes[p->nodes[i].first];
        if ((task->kind == NODE_CALL && task->flags & PROGRAM_FAILS) ||
            (task->kind == NODE_ASK && telling_fails(task->n)))
            return task->n;
    }
    return -1;
}
