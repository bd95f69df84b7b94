/* An instance whose code ends the process is found out and set aside.
 *
 * While an instance is stepped, its uid stands in the blackbox, a mapped page that outlives the
 * process. A process that finds one there at its start knows who ran when the last one died. After
 * DEATHS_MAX such deaths the instance is quarantined: an orchestration as if it were suspended, an
 * entity as if it were locked. What comes for it waits; nobody else is kept from anything. Resuming
 * it gives it another try.
 *
 *     [0] who is being stepped; 0: nobody      [1 + 2n] a suspect      [2 + 2n] its deaths
 */
#include "run/partition_internal.h"

enum { DEATHS_MAX = 3, SUSPECTS = 8 };

static uint64_t *suspect_find(uint64_t *box, uint64_t uid)
{
    for (size_t i = 0; i < SUSPECTS; i++)
        if (box[1 + 2 * i] == uid)
            return &box[1 + 2 * i];
    return NULL;
}

void quarantine_begin(struct partition *p, const struct instance *inst)
{
    volatile uint64_t *box = p->env->blackbox;
    if (box)
        box[0] = inst->uid;
}

void quarantine_end(struct partition *p)
{
    volatile uint64_t *box = p->env->blackbox;
    if (!box)
        return;
    uint64_t uid = box[0];
    box[0] = 0;
    if (!p->has_suspects)
        return;
    uint64_t *suspect = suspect_find(p->env->blackbox, uid);
    if (suspect)
        suspect[0] = suspect[1] = 0; /* it can do it after all */
}

/* At the start: who ran when the last process died? */
void quarantine_look(struct partition *p)
{
    uint64_t *box = p->env->blackbox;
    if (!box)
        return;
    if (box[0]) {
        uint64_t *suspect = suspect_find(box, box[0]);
        if (!suspect)
            suspect = suspect_find(box, 0);
        if (!suspect)
            suspect = &box[1]; /* somebody else's count begins again */
        suspect[1] = suspect[0] == box[0] ? suspect[1] + 1 : 1;
        suspect[0] = box[0];
        box[0] = 0;
    }
    p->has_suspects = false;
    for (size_t i = 0; i < SUSPECTS; i++)
        p->has_suspects |= box[1 + 2 * i] != 0;
}

/* In the first pass: those who did it too often. */
void quarantine_send(struct partition *p)
{
    uint64_t *box = p->env->blackbox;
    if (!box || !p->has_suspects)
        return;
    for (size_t i = 0; i < SUSPECTS; i++) {
        uint64_t *suspect = &box[1 + 2 * i];
        if (!suspect[0] || suspect[1] < DEATHS_MAX)
            continue;
        step_send(p, &(struct message){.type = MESSAGE_QUARANTINE, .uid = suspect[0]});
        suspect[0] = suspect[1] = 0;
    }
}
