/* crash_model.c - see crash_model.h */
#include "crash_model.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 4200,
    OPENS_MAX = 30,       /* in a round */
    REPEAT_EVERY = 10,    /* of those that were answered and had a key one is sent again */
    SAMPLE = 10,          /* registries that are looked at though nobody touched them */
    CLOSE_LATE_MS = 5000, /* by when a timer has fired after a start */
    CLOCK_SLACK_MS = 100, /* between the engine's time, which only moves forward, and the wall's */
    FAILURES_MAX = 20     /* that are printed */
};

/* The list with room for one more. */
static void *grow(void *list, uint32_t len, uint32_t *cap, size_t size)
{
    if (len < *cap)
        return list;
    *cap = *cap ? *cap * 2 : 64;
    list = realloc(list, *cap * size);
    assert(list);
    return list;
}

uint32_t draw(uint64_t *random, uint32_t below)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return below ? (uint32_t)(*random >> 33) % below : 0;
}

void model_wrong(struct model *m, const char *format, ...)
{
    va_list args;
    if (m->failed++ >= FAILURES_MAX)
        return;
    printf("seed %u, round %u: ", m->seed, m->round);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

static bool check(struct model *m, bool is_right)
{
    m->passed += is_right;
    return is_right;
}

/* ---- requests ------------------------------------------------------------------------------ */

/* What an item says follows from its number; a few are long. */
static size_t item_text(uint32_t number, char ret[static TEXT_MAX])
{
    size_t len = (size_t)sprintf(ret, "%u.", number), fill = number % 97 ? number % 60 : 4000;
    memset(ret + len, 'a' + (int)(number % 26), fill);
    ret[len + fill] = 0;
    return len + fill;
}

static bool has_key(enum kind kind, uint32_t number)
{
    return (kind == ADD && number % 3 == 0) || (kind == OPEN && number % 2 == 0);
}

int op_send(struct client *c, const struct op *op, const char *id, struct answer *ret)
{
    static const char *const paths[] = {"Open", "Add/", "Finish/", "Peek/", "Stats"};
    char path[TEXT_MAX + 128], text[TEXT_MAX], body[TEXT_MAX + 32], key[32];
    struct ask ask = {.path = path};
    int n = sprintf(path, "/api/%s%s", paths[op->kind], id);

    if (op->kind == ADD) {
        item_text(op->number, text);
        ask.type = op->number % 4 == 1 ? "application/json" : "text/plain";
        sprintf(body, op->number % 4 == 1 ? "{\"item\":\"%s\"}" : "%s", text);
        if (op->number % 2 == 0)
            sprintf(path + n, "?item=%s", text);
    }
    if (op->kind != PEEK && op->kind != STATS && op->number % 2) {
        ask.method = "POST";
        ask.body = op->kind == ADD ? body : "";
        ask.body_len = strlen(ask.body);
    } else {
        ask.type = NULL;
    }
    if (has_key(op->kind, op->number)) {
        sprintf(key, "%d-%u", op->kind, op->number);
        ask.key = key;
    }
    return client_ask(c, &ask, ret);
}

static uint32_t draw_registry(struct model *m, uint64_t *random)
{
    uint32_t fresh = m->registry_len - m->round_registry;
    if (m->old_len && (fresh == 0 || draw(random, 10) < 3))
        return m->old[draw(random, m->old_len)];
    return m->round_registry + draw(random, fresh);
}

static enum kind draw_kind(uint64_t *random)
{
    uint32_t percent = draw(random, 100);
    if (percent < 78)
        return percent < 4 ? OPEN : ADD;
    return percent < 80 ? FINISH : percent < 95 ? PEEK : STATS;
}

struct op model_begin(struct model *m, uint64_t *random)
{
    struct op op = {.kind = draw_kind(random), .started = ++m->stamp, .wall_ms = wall_ms()};
    if (m->retry_len && draw(random, 30) == 0) {
        uint32_t i = draw(random, m->retry_len);
        struct retry retry = m->retries[i];
        m->retries[i] = m->retries[--m->retry_len];
        op.kind = retry.kind;
        op.number = retry.number;
        op.registry = retry.registry;
        op.is_repeat = retry.is_repeat;
        op.is_retry = !retry.is_repeat;
    } else if (m->registry_len == m->round_registry && !m->old_len) {
        op.kind = OPEN;
    } else if (op.kind == OPEN && m->registry_len - m->round_registry >= OPENS_MAX) {
        op.kind = PEEK;
    }
    op.least = m->least;
    bool is_new = !op.is_retry && !op.is_repeat;
    if (op.kind == OPEN) {
        op.number = is_new ? m->open_number++ : op.number;
        m->opens_under_way += !op.is_repeat;
        return op;
    }
    if (op.kind == STATS)
        return op;
    op.registry = is_new ? draw_registry(m, random) : m->items[op.number].registry;
    struct registry *r = &m->registries[op.registry];
    op.least_len = r->seen_len > r->kept_len ? r->seen_len : r->kept_len;
    r->is_touched = r->is_touched || op.kind != PEEK;
    if (op.kind == FINISH)
        r->finishes++;
    if (op.kind == FINISH || op.kind == PEEK)
        op.number = op.started;
    if (op.kind == ADD && is_new) {
        op.number = m->item_len;
        m->items = grow(m->items, m->item_len, &m->item_cap, sizeof *m->items);
        m->items[m->item_len++] = (struct item){.registry = op.registry, .started = op.started};
    }
    return op;
}

/* ---- answers ------------------------------------------------------------------------------- */

/* Remembers some of what had a key, to send it again. */
static void push_retry(struct model *m, const struct op *op, uint32_t registry, bool is_repeat)
{
    if (!has_key(op->kind, op->number) || (is_repeat && op->number % REPEAT_EVERY))
        return;
    m->retries = grow(m->retries, m->retry_len, &m->retry_cap, sizeof *m->retries);
    m->retries[m->retry_len++] = (struct retry){op->kind, op->number, registry, is_repeat};
}

static void on_open(struct model *m, const struct op *op, const struct answer *a)
{
    char id[ID_SIZE] = "";
    m->opens_under_way -= !op->is_repeat;
    if (op->number % 2)
        json_text(a->body, "id", id, sizeof id);
    else
        snprintf(id, sizeof id, "%s", a->body);
    if (strspn(id, "0123456789abcdef") != ID_SIZE - 1) {
        model_wrong(m, "Open is answered with %d %s", a->status, a->body);
        return;
    }
    if (op->is_repeat) {
        if (!check(m, strcmp(id, m->registries[op->registry].id) == 0))
            model_wrong(m, "a repeated Open gives %s, and gave %s", id,
                        m->registries[op->registry].id);
        return;
    }
    for (uint32_t i = 0; i < m->registry_len; i++)
        if (!check(m, strcmp(m->registries[i].id, id) != 0))
            model_wrong(m, "the id %s was given twice", id);
    m->registries = grow(m->registries, m->registry_len, &m->registry_cap, sizeof *m->registries);
    struct registry *r = &m->registries[m->registry_len++];
    *r = (struct registry){.is_touched = true,
                           .closes_ms = op->wall_ms + m->open_for_ms - CLOCK_SLACK_MS};
    memcpy(r->id, id, ID_SIZE);
    if (op->is_retry) {
        /* It may be as old as the first request: then its time is not known. */
        r->closes_ms = 0;
        m->hidden_least -= m->hidden_least > 0;
    }
    push_retry(m, op, m->registry_len - 1, true);
}

static bool may_be_closed(const struct registry *r)
{
    return r->finishes > 0 || r->closes_ms <= wall_ms() + CLOCK_SLACK_MS;
}

static void on_add(struct model *m, const struct op *op, const struct answer *a)
{
    struct registry *r = &m->registries[op->registry];
    struct item *item = &m->items[op->number];
    bool was_closed = r->finish_answered && r->finish_answered < op->started;
    if (op->is_repeat) {
        if (!check(m, a->status == 200))
            model_wrong(m, "the Add of item %u is repeated, and answered with %d %s", op->number,
                        a->status, a->body);
        return;
    }
    if (a->status == 200) {
        item->fate = KEPT;
        item->answered = ++m->stamp;
        r->kept_len++;
        if (!check(m, !was_closed || item->place))
            model_wrong(m, "%s took item %u after its Finish", r->id, op->number);
        push_retry(m, op, 0, true);
        return;
    }
    item->fate = REFUSED;
    if (a->status != 400 && a->status != 409)
        model_wrong(m, "Add is answered with %d %s", a->status, a->body);
    else if (!check(m, !item->place))
        model_wrong(m, "item %u was there, and is refused: %s", op->number, a->body);
    else if (!check(m, may_be_closed(r)))
        model_wrong(m, "%s is open and refuses: %s", r->id, a->body);
}

static void on_finish(struct model *m, const struct op *op, const struct answer *a)
{
    struct registry *r = &m->registries[op->registry];
    bool is_first = r->finishes == 1;
    if (a->status == 200) {
        if (!check(m, !r->finish_answered && strcmp(r->closed_by, "timeout") != 0))
            model_wrong(m, "%s is closed a second time", r->id);
        r->finish_answered = ++m->stamp;
    } else if (a->status != 400 && a->status != 409) {
        model_wrong(m, "Finish is answered with %d %s", a->status, a->body);
    } else if (!check(m, !is_first || r->closes_ms <= wall_ms() + CLOCK_SLACK_MS)) {
        model_wrong(m, "%s was open, and Finish is refused: %s", r->id, a->body);
    }
}

/* An item that a Peek shows for the first time, behind what was seen before. */
static void see_item(struct model *m, uint32_t index, const char *text)
{
    struct registry *r = &m->registries[index];
    uint32_t number = (uint32_t)strtoul(text, NULL, 10);
    char wanted[TEXT_MAX];
    struct item *item = number < m->item_len ? &m->items[number] : NULL;

    if (item)
        item_text(number, wanted);
    if (!check(m, item && item->registry == index && strcmp(text, wanted) == 0)) {
        model_wrong(m, "%s holds '%.60s', which nobody sent to it", r->id, text);
        return;
    }
    if (!check(m, !item->place))
        model_wrong(m, "%s holds item %u at %u and again at %u", r->id, number, item->place,
                    r->seen_len + 1);
    if (!check(m, item->fate != LOST && item->fate != REFUSED))
        model_wrong(m, "%s holds item %u, which was %s", r->id, number,
                    item->fate == LOST ? "not there earlier" : "refused");
    if (!check(m, !item->answered || item->answered > r->latest_start))
        model_wrong(m, "%s holds item %u behind one that was sent later", r->id, number);
    if (!check(m, !r->finish_answered || item->started < r->finish_answered))
        model_wrong(m, "%s holds item %u, sent after its Finish was answered", r->id, number);
    if (item->started > r->latest_start)
        r->latest_start = item->started;
    r->seen = grow(r->seen, r->seen_len, &r->seen_cap, sizeof *r->seen);
    r->seen[r->seen_len++] = number;
    item->place = r->seen_len;
    m->seen_items++;
}

static void see_items(struct model *m, const struct op *op, const char *body)
{
    struct registry *r = &m->registries[op->registry];
    char text[TEXT_MAX + 8];
    const char *at = json_find(body, "items");
    uint32_t len = 0;

    while (at && (*at == '[' || *at == ',') && at[1] == '"') {
        at = json_string(at + 1, text, sizeof text, NULL);
        if (at && len >= r->seen_len)
            see_item(m, op->registry, text);
        else if (at && !check(m, strtoul(text, NULL, 10) == r->seen[len]))
            model_wrong(m, "%s holds '%.20s' where item %u was seen", r->id, text, r->seen[len]);
        len++;
    }
    if (!at)
        model_wrong(m, "a Peek of %s is answered with %.200s", r->id, body);
    if (!check(m, len >= op->least_len))
        model_wrong(m, "%s holds %u items, and had %u before", r->id, len, op->least_len);
}

static void see_closed(struct model *m, const struct op *op, const char *body)
{
    struct registry *r = &m->registries[op->registry];
    char at[32], by[16];
    json_text(body, "closedAt", at, sizeof at);
    json_text(body, "closedBy", by, sizeof by);
    if (!r->closed_by[0]) {
        memcpy(r->closed_at, at, sizeof at);
        memcpy(r->closed_by, by, sizeof by);
        r->closed_seen = ++m->stamp;
        if (strcmp(by, "timeout") == 0) {
            if (!check(m, !r->finish_answered && time_of(at) >= r->closes_ms))
                model_wrong(m, "%s has closed by itself at %s, due %s", r->id, at, r->closes_at);
        } else if (!check(m, strcmp(by, "user") == 0 && r->finishes && time_of(at) > 0)) {
            model_wrong(m, "%s was closed by '%s' at %s after %u Finish", r->id, by, at,
                        r->finishes);
        }
    }
    if (!check(m, strcmp(r->closed_at, at) == 0 && strcmp(r->closed_by, by) == 0))
        model_wrong(m, "%s was closed by %s at %s, and now by %s at %s", r->id, r->closed_by,
                    r->closed_at, by, at);
}

static void on_peek(struct model *m, const struct op *op, const struct answer *a)
{
    struct registry *r = &m->registries[op->registry];
    char status[16], id[ID_SIZE + 8], closes_at[32];
    json_text(a->body, "status", status, sizeof status);
    json_text(a->body, "id", id, sizeof id);
    json_text(a->body, "closesAt", closes_at, sizeof closes_at);
    if (a->status != 200 || strcmp(id, r->id) != 0 || time_of(closes_at) < 0) {
        model_wrong(m, "Peek of %s is answered with %d %.200s", r->id, a->status, a->body);
        return;
    }
    if (!r->closes_at[0]) {
        memcpy(r->closes_at, closes_at, sizeof closes_at);
        if (!check(m, time_of(closes_at) >= r->closes_ms))
            model_wrong(m, "%s closes at %s, %lld ms before its time", r->id, closes_at,
                        (long long)(r->closes_ms - time_of(closes_at)));
        r->closes_ms = time_of(closes_at);
    }
    if (!check(m, strcmp(closes_at, r->closes_at) == 0))
        model_wrong(m, "%s was to close at %s, and now %s", r->id, r->closes_at, closes_at);
    see_items(m, op, a->body);
    if (strcmp(status, "Closed") == 0)
        see_closed(m, op, a->body);
    else if (!check(m, (!r->finish_answered || r->finish_answered > op->started) &&
                           (!r->closed_seen || r->closed_seen > op->started)))
        model_wrong(m, "%s is open again", r->id);
}

static struct stats read_stats(const char *body)
{
    return (struct stats){json_number(body, "registryCount"), json_number(body, "itemsCount"),
                          json_number(body, "openCount"), json_number(body, "closedCount")};
}

static void on_stats(struct model *m, const struct op *op, const struct answer *a)
{
    struct stats s = read_stats(a->body);
    int64_t most = m->registry_len + m->hidden_most + m->opens_under_way;
    if (!check(m, a->status == 200 && s.open + s.closed == s.registries && s.registries <= most &&
                      s.registries >= op->least.registries && s.items >= op->least.items &&
                      s.closed >= op->least.closed))
        model_wrong(m, "Stats are %d %s; before: %lld, %lld items, %lld closed; at most %lld",
                    a->status, a->body, (long long)op->least.registries, (long long)op->least.items,
                    (long long)op->least.closed, (long long)most);
    m->least.registries = s.registries > m->least.registries ? s.registries : m->least.registries;
    m->least.items = s.items > m->least.items ? s.items : m->least.items;
    m->least.closed = s.closed > m->least.closed ? s.closed : m->least.closed;
}

/* No answer came, or one that says that it is not known (503). */
static void on_silence(struct model *m, const struct op *op)
{
    m->unanswered++;
    if (op->kind == OPEN && !op->is_repeat) {
        m->opens_under_way--;
        m->hidden_most++;
    }
    if (op->kind == ADD && !op->is_repeat)
        m->items[op->number].fate = UNKNOWN;
    if (op->kind == OPEN || op->kind == ADD)
        push_retry(m, op, op->registry, op->is_repeat);
}

void model_answered(struct model *m, const struct op *op, int err, const struct answer *a)
{
    if (err < 0 && !m->is_ending)
        model_wrong(m, "no answer, though nobody ended it: %s", strerror(-err));
    else if (err == 0 && a->status == 503 && !m->is_ending)
        model_wrong(m, "503, though nobody ended it: %s", a->body);
    if (err < 0 || a->status == 503) {
        on_silence(m, op);
        return;
    }
    switch (op->kind) {
    case OPEN:
        on_open(m, op, a);
        break;
    case ADD:
        on_add(m, op, a);
        break;
    case FINISH:
        on_finish(m, op, a);
        break;
    case PEEK:
        on_peek(m, op, a);
        break;
    case STATS:
        on_stats(m, op, a);
        break;
    }
}

/* ---- looking at all of it after a start ---------------------------------------------------- */

static bool look(struct model *m, struct client *c, enum kind kind, uint32_t registry,
                 struct answer *ret)
{
    struct op op = {.kind = kind, .registry = registry, .started = ++m->stamp, .least = m->least};
    const char *id = "";
    if (kind == PEEK) {
        struct registry *r = &m->registries[registry];
        id = r->id;
        op.least_len = r->seen_len > r->kept_len ? r->seen_len : r->kept_len;
    }
    int err = op_send(c, &op, id, ret);
    model_answered(m, &op, err, ret);
    return err == 0;
}

static void look_at_registry(struct model *m, struct client *c, uint32_t index)
{
    struct registry *r = &m->registries[index];
    struct answer a;
    uint32_t kept = 0;
    int64_t start_ms = wall_ms();
    bool is_due;

    do {
        if (!look(m, c, PEEK, index, &a))
            return;
        is_due = r->closes_ms + CLOCK_SLACK_MS <= start_ms && !r->closed_by[0];
        nap_ms(is_due);
    } while (is_due && wall_ms() - start_ms < CLOSE_LATE_MS);
    if (!check(m, !is_due))
        model_wrong(m, "%s was due at %s and is still open", r->id, r->closes_at);
    for (uint32_t i = 0; i < r->seen_len; i++)
        kept += m->items[r->seen[i]].fate == KEPT;
    if (check(m, kept == r->kept_len))
        return;
    for (uint32_t i = 0; i < m->item_len; i++)
        if (m->items[i].registry == index && m->items[i].fate == KEPT && !m->items[i].place)
            model_wrong(m, "%s has lost item %u, whose Add was answered", r->id, i);
}

static void look_at_stats(struct model *m, struct client *c)
{
    int64_t least = 0, most = 0, before_ms = wall_ms();
    struct answer a;
    if (!look(m, c, STATS, 0, &a))
        return;
    struct stats s = read_stats(a.body);
    int64_t hidden = s.registries - m->registry_len;
    for (uint32_t i = 0; i < m->registry_len; i++) {
        const struct registry *r = &m->registries[i];
        least += r->closed_by[0] || r->closes_ms + CLOSE_LATE_MS < before_ms;
        most += r->closed_by[0] || r->closes_ms <= wall_ms() + CLOCK_SLACK_MS;
    }
    most += hidden;
    if (!check(m, hidden >= m->hidden_least && hidden <= m->hidden_most))
        model_wrong(m, "Stats count %lld registries; %u are known, %lld to %lld hidden",
                    (long long)s.registries, m->registry_len, (long long)m->hidden_least,
                    (long long)m->hidden_most);
    if (!check(m, s.items == m->seen_items))
        model_wrong(m, "Stats count %lld items, the lists have %lld", (long long)s.items,
                    (long long)m->seen_items);
    if (!check(m, s.closed >= least && s.closed <= most))
        model_wrong(m, "Stats count %lld closed; it should be %lld to %lld", (long long)s.closed,
                    (long long)least, (long long)most);
    m->hidden_least = m->hidden_most = hidden;
}

void model_look(struct model *m, uint16_t port, uint64_t *random)
{
    struct client c;
    client_init(&c, port);
    for (uint32_t i = 0; i < m->registry_len; i++)
        if (m->registries[i].is_touched)
            look_at_registry(m, &c, i);
    for (int i = 0; i < SAMPLE && m->registry_len; i++)
        look_at_registry(m, &c, draw(random, m->registry_len));
    for (uint32_t i = 0; i < m->registry_len; i++)
        m->registries[i].is_touched = false;
    for (uint32_t i = m->round_item; i < m->item_len; i++)
        if (m->items[i].fate == UNKNOWN && !m->items[i].place && !has_key(ADD, i))
            m->items[i].fate = LOST;
    look_at_stats(m, &c);
    client_free(&c);
}

void model_start_round(struct model *m, uint64_t *random)
{
    m->round_item = m->item_len;
    m->round_registry = m->registry_len;
    for (m->old_len = 0; m->registry_len && m->old_len < OLD_MAX; m->old_len++)
        m->old[m->old_len] = draw(random, m->registry_len);
}

void model_free(struct model *m)
{
    for (uint32_t i = 0; i < m->registry_len; i++)
        free(m->registries[i].seen);
    free(m->registries);
    free(m->items);
    free(m->retries);
}
