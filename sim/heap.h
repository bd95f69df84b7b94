/* heap.h - the memory of a process that may end anywhere
 *
 * The simulated process shares ours, and when it ends in the middle of a call, nobody frees what it
 * had. So the program is linked with malloc and its relatives replaced (see sim.mk): between
 * heap_enter() and heap_leave(), whoever allocates is the simulated process, and what it allocates
 * is in a list that heap_drop() frees, as the system would. After an orderly end nothing may be
 * left in it: so leaks are found, too. Stacks of coroutines are mapped and kept in a pool.
 *
 * The simulator itself allocates by sim_malloc() and the like, which are never the process's, in
 * the calls that the process makes into its world as well.
 */
#ifndef SIM_HEAP_H
#define SIM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void heap_enter(void);
void heap_leave(void);
/* The process is gone. */
void heap_drop(void);

/* Its n-th allocation from now gives NULL; 0: none does. Whether one did since it was asked
 * last. */
void heap_fail_in(uint64_t n);
bool heap_has_failed(void);

/* What it holds now. */
size_t heap_bytes(void);
size_t heap_count(void);

void *sim_malloc(size_t size);
void *sim_zalloc(size_t size);
void *sim_realloc(void *at, size_t size);
void sim_free(void *at);

/* Hands SQLite's memory to the heap; between sqlite3_shutdown() and sqlite3_initialize(). */
void heap_config_sqlite(void);

#endif
