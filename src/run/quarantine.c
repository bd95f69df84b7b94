/* Who ends the process again and again is found out and set aside.
 *
 * While an instance is stepped, its mark stands in the blackbox, a mapped page that outlives the
 * process; beside it the mark of the request that is being answered. A process that finds marks
 * there at its start knows who was at it when the last one died. After DEATHS_MAX such deaths
 *
 *     an instance     is quarantined: an orchestration as if it were suspended, an entity as if it
 *                     were locked. What comes for it waits; nobody else is kept from anything.
 *                     Resuming it gives it another try.
 *     a new one       never came to be, since the pass that made it was not committed; so it is
 *                     made quarantined, and nothing of it is run.
 *     a request       is refused as long as the process lives; the next one tries it once more.
 *                     When it was an instance that was set aside, the request is forgiven.
 *
 * An instance's mark is its uid. That of a new one is handed out again, so it goes by its id, and a
 * request by its target and body: such marks are hashes, with the highest bit set.
 *
 *     [0] who is being stepped; 0: nobody      [1 + 2n] a suspect      [2 + 2n] its deaths
 *     [17] the request that is being answered
 */
#include "run/partition_internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { DEATHS_MAX = 3, SUSPECTS = 8, REQUEST = 1 + 2 * SUSPECTS };
#define IS_HASH (UINT64_C(1) << 63)

static uint64_t mark_of_id(const struct instance *inst)
{
    return XXH3_64bits(inst->id, inst->id_len) | IS_HASH;
}

static bool is_new(const struct partition *p, const struct instance *inst)
{
    return inst->uid >= p->first_new_uid;
}

static uint64_t *suspect_find(uint64_t *box, uint64_t mark)
{
    for (size_t i = 0; i < SUSPECTS; i++)
        if (box[1 + 2 * i] == mark)
            return &box[1 + 2 * i];
    return NULL;
}

/* Whoever has done it: it can do it after all. */
static void clear(struct partition *p, uint64_t mark)
{
    uint64_t *suspect = p->has_suspects ? suspect_find(p->env->blackbox, mark) : NULL;
    if (suspect)
        suspect[0] = suspect[1] = 0;
}

static bool is_out(const struct partition *p, uint64_t mark)
{
    const uint64_t *suspect = suspect_find(p->env->blackbox, mark);
    return suspect && suspect[1] >= DEATHS_MAX;
}

/* ---- while it is at it ---- */

void quarantine_begin(struct partition *p, const struct instance *inst)
{
    volatile uint64_t *box = p->env->blackbox;
    if (box)
        box[0] = is_new(p, inst) ? mark_of_id(inst) : inst->uid;
}

void quarantine_end(struct partition *p)
{
    volatile uint64_t *box = p->env->blackbox;
    if (!box)
        return;
    clear(p, box[0]);
    box[0] = 0;
}

bool quarantine_takes(struct partition *p, const struct instance *inst)
{
    if (!p->has_suspects || !is_new(p, inst) || !is_out(p, mark_of_id(inst)))
        return false;
    clear(p, mark_of_id(inst));
    return true;
}

bool partition_request_begin(struct partition *p, struct str target, struct str body)
{
    volatile uint64_t *box = p->env->blackbox;
    if (!box)
        return true;
    uint64_t seed = body.len ? XXH3_64bits(body.at, body.len) : 0;
    uint64_t mark = XXH3_64bits_withSeed(target.at, target.len, seed) | IS_HASH;
    if (p->has_suspects && is_out(p, mark))
        return false;
    box[REQUEST] = mark;
    return true;
}

void partition_request_end(struct partition *p)
{
    volatile uint64_t *box = p->env->blackbox;
    if (!box)
        return;
    clear(p, box[REQUEST]);
    box[REQUEST] = 0;
}

/* ---- at the start ---- */

static void blame(uint64_t *box, uint64_t mark)
{
    if (!mark)
        return;
    uint64_t *suspect = suspect_find(box, mark);
    if (!suspect)
        suspect = suspect_find(box, 0);
    if (!suspect)
        suspect = &box[1]; /* somebody else's count begins again */
    suspect[1] = suspect[0] == mark ? suspect[1] + 1 : 1;
    suspect[0] = mark;
}

/* Who was at it when the last process died? */
void quarantine_look(struct partition *p)
{
    uint64_t *box = p->env->blackbox;
    if (!box)
        return;
    for (size_t i = 0; i < SUSPECTS; i++)
        if (box[2 + 2 * i] >= DEATHS_MAX)
            box[2 + 2 * i] = DEATHS_MAX - 1; /* in another process */
    blame(box, box[0]);
    blame(box, box[REQUEST]);
    box[0] = box[REQUEST] = 0;
    p->has_suspects = false;
    for (size_t i = 0; i < SUSPECTS; i++)
        p->has_suspects |= box[1 + 2 * i] != 0;
}

/* In the first pass: those who did it too often. */
void quarantine_send(struct partition *p)
{
    uint64_t *box = p->env->blackbox;
    bool is_anybody = false;
    if (!box || !p->has_suspects)
        return;
    for (size_t i = 0; i < SUSPECTS; i++) {
        uint64_t *suspect = &box[1 + 2 * i];
        if (!suspect[0] || suspect[0] & IS_HASH || suspect[1] < DEATHS_MAX)
            continue;
        step_send(p, &(struct message){.type = MESSAGE_QUARANTINE, .uid = suspect[0]});
        suspect[0] = suspect[1] = 0;
        is_anybody = true;
    }
    for (size_t i = 0; i < SUSPECTS && is_anybody; i++)
        if (box[1 + 2 * i] & IS_HASH)
            box[1 + 2 * i] = box[2 + 2 * i] = 0;
}
