#include "base/shared.h"

#include "base/die.h"

#include <assert.h>
#include <stdlib.h>

struct shared *shared_new(struct str bytes)
{
    struct shared *s = die_malloc(sizeof *s + bytes.len);
    s->holders = 1;
    s->len = bytes.len;
    if (bytes.len)
        memcpy(s->at, bytes.at, bytes.len);
    return s;
}

struct shared *shared_hold(struct shared *s)
{
    s->holders++;
    return s;
}

void shared_drop(struct shared *s)
{
    if (!s)
        return;
    assert(s->holders > 0);
    if (--s->holders == 0)
        free(s);
}
