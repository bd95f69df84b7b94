/* entity.h - one operation on one entity
 *
 *     state, operation, argument -> changed state, patches, messages, result
 *
 * The operation works on the document in place and notes how to take it back. If it fails (returns
 * an error, changes what cannot be changed so, sends what cannot be sent), the document is put back
 * and nothing of it was.
 */
#ifndef CORE_ENTITY_H
#define CORE_ENTITY_H

#include "core/app.h"
#include "core/instance.h"
#include "core/session.h"

struct entity_result {
    const ks_val *val; /* what the operation returned, or the error it failed with */
    bool is_deleted;   /* the entity is to go */
};

/* Runs the operation named in m. Patches go to outcome->log; the document has them already (see
 * instance_note()). step_mem is the step's. */
struct entity_result entity_step(struct instance *inst, const struct app *app,
                                 const struct message *m, int64_t now_ms, ks_arena *step_mem,
                                 struct outcome *outcome);

/* For our own operations: the entity goes by itself at that time. */
void entity_expire(ks_entity *e, int64_t due_ms);

#endif
