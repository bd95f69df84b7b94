/* settling.h - the checkpoint's log while it is on its way into the checkpoint
 *
 *     FOLDER/checkpoint.settling   length and checksum of the log that is being copied, or zeros
 *
 * From the first page that is copied out of SQLite's log into the database file until that file is
 * synced, the file is neither old nor new, and the log alone makes it whole. Were a process to end
 * there, and a bit of the log to flip then, SQLite would drop in silence what is behind the bit,
 * and serve pages of two ages, each with a good checksum. So what the log was is put down, synced,
 * before the first page is copied; a start that finds it has that log, or refuses.
 */
#ifndef STORE_SETTLING_H
#define STORE_SETTLING_H

#include "base/env.h"

enum settling {
    SETTLING_NONE, /* none was begun, or it came to its end */
    SETTLING_BEGUN /* one was; its log is there, each byte of it synced, and nothing behind it */
};

/* Of the log's first len bytes, which have to stay as they are until it is settled: what is behind
 * the last commit does not. 1; 0 when there are none; or a negative errno. A sync that fails ends
 * the process. */
int settling_begin(struct env *env, const char *folder, int64_t len);
/* Everything is in the file, which is synced; before anything else goes into the log. */
void settling_end(struct env *env, const char *folder);
/* At a start. What is behind the log that was being settled is cut off: it may be in the system's
 * cache alone, no page of it was copied, and the journal has all of it. 0, -EBADMSG when the log is
 * not what it was, or what reading or cutting gave. */
int settling_find(struct env *env, const char *folder, enum settling *ret);

#endif
