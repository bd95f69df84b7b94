/* uid_set.h - a set of instance numbers
 *
 * Zeroed is empty and ready. 0 is not a uid and cannot be in it.
 */
#ifndef STORE_UID_SET_H
#define STORE_UID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uid_set {
    uint64_t *slots; /* 0: free */
    size_t slot_count;
    size_t count;
};

void uid_set_free(struct uid_set *set);
void uid_set_add(struct uid_set *set, uint64_t uid);
bool uid_set_has(const struct uid_set *set, uint64_t uid);
void uid_set_remove(struct uid_set *set, uint64_t uid);

#endif
