#include "sim/web.h"

#include "sim/heap.h"
#include "sim/program.h"
#include "sim/programs.h"

#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { ASKED_MAX = 1 << 14 };

struct web {
    struct {
        int64_t n;
        uint64_t key;
        uint64_t times;
    } asked[ASKED_MAX]; /* by n */
};

struct web *web_new(struct sim *s)
{
    (void)s;
    return sim_zalloc(sizeof(struct web));
}

void web_free(struct web *w)
{
    sim_free(w);
}

/* How often it was asked before. */
static uint64_t ask(struct sim *s, int64_t n, const char *key)
{
    size_t i = (size_t)n % ASKED_MAX;
    uint64_t hash = XXH3_64bits(key, strlen(key));
    bool is_another = s->web->asked[i].key != hash && programs_were_restarted(s, n);
    if (s->web->asked[i].n != n || is_another) {
        s->web->asked[i].n = n;
        s->web->asked[i].key = hash;
        s->web->asked[i].times = 0;
    }
    if (s->web->asked[i].key != hash)
        violated(s, "a server was asked for %lld again under another key: %s", (long long)n, key);
    return s->web->asked[i].times++;
}

static const ks_val *answer(ks_arena *mem, int status, const char *header, const char *value,
                            const char *body)
{
    ks_val *val = ks_object(mem), *headers = ks_object(mem);
    if (header)
        ks_put(mem, headers, header, ks_string(mem, value));
    if (status == 202)
        ks_put(mem, headers, "Retry-After", ks_string(mem, "1"));
    ks_put(mem, val, "status", ks_integer(mem, status));
    ks_put(mem, val, "headers", headers);
    return ks_put(mem, val, "body", ks_string(mem, body));
}

const ks_val *web_exchange(void *self, ks_arena *mem, const ks_http_request *request)
{
    struct sim *s = self;
    int kind;
    long long n;
    bool is_poll = strstr(request->url, "/poll");
    if (sscanf(request->url, "http://sim/%d/%lld", &kind, &n) != 2)
        violated(s, "a server that is none was asked: %s", request->url);
    const char *key = ks_text(ks_get(request->headers, "Idempotency-Key"));
    if (!key[0] && !is_poll)
        violated(s, "a server was asked without a key: %s", request->url);
    uint64_t before = is_poll ? 0 : ask(s, n, key);
    char *body = ks_format(mem, "%lld", n);
    PROBE("a server was asked");
    if (kind == WEB_AWAY)
        return ks_fail(mem, "Unreachable", "nobody is there");
    if (kind == WEB_BUSY || (kind == WEB_BUSY_ONCE && !before))
        return answer(mem, 503, NULL, NULL, "");
    if (kind == WEB_LATER && !is_poll)
        return answer(mem, 202, "Location", ks_format(mem, "%s/poll", request->url), "");
    return answer(mem, 200, NULL, NULL, body);
}
