#include "sim/programs.h"
#include "sim/heap.h"
#include "apps/registry/registry.h"
const ks_function *const sim_functions = registry_functions;
struct programs *programs_new(struct sim *s) { (void)s; return sim_zalloc(1); }
void programs_free(struct programs *p) { sim_free(p); }
bool programs_pick(struct sim *s, struct op *ret) { (void)s; (void)ret; return false; }
void programs_write(struct sim *s, const struct op *op, char *target, size_t size, struct buf *body) { (void)s; (void)op; (void)target; (void)size; (void)body; }
void programs_answer(struct sim *s, const struct op *op, const struct answer *a) { (void)s; (void)op; (void)a; }
void programs_committed(struct sim *s) { (void)s; }
void programs_rolled_back(struct sim *s) { (void)s; }
void programs_unknown(struct sim *s) { (void)s; }
void programs_audit(struct sim *s) { (void)s; }
void programs_end(struct sim *s) { (void)s; }
int64_t programs_activity_ms(struct sim *s) { (void)s; return 1; }
