/* pages.h - a checksum on each page of the checkpoint
 *
 * SQLite trusts the disk: a flipped bit in a page is served as it is. This VFS stands between
 * SQLite and another VFS and keeps the last 8 bytes of every page of the database file, which
 * SQLite is told to leave free, for a checksum of the rest and of the page's number. It is made
 * when a page is written and looked at whenever one is read; a page that is not what was written,
 * or belongs elsewhere, gives SQLITE_IOERR_DATA.
 *
 * All else passes through: locks and shared memory, so that sqlite3 can look at the file while it
 * is in use; the write-ahead log, which has checksums of its own. The sqlite3 tool knows nothing of
 * ours, so what it writes is refused as damaged afterwards: copy the file to play with it.
 *
 * A struct pages is for one connection, and for one thread at a time as that is.
 */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGE_BYTES = 4096, PAGE_RESERVED_BYTES = 8 };

struct pages {
    sqlite3_vfs vfs; /* vfs.zName is what to open the connection through */
    sqlite3_vfs *base;
    char name[40];
    bool is_damaged;
    int64_t damaged_offset; /* of the first page that was found to be */
};

/* Makes a VFS known to SQLite. base_name as in struct env. NULL, or a sentence why not. */
const char *pages_init(struct pages *p, const char *base_name);
void pages_free(struct pages *p);

/* Whether every page from one (counted from 0) up to another, or the end of the file, is what was
 * written. The file must hold no page that is newer in the write-ahead log. SQLITE_OK; SQLITE_DONE
 * when the end was reached; SQLITE_IOERR_DATA and p->damaged_offset; or what reading gave. */
int pages_verify(struct pages *p, sqlite3 *db, int64_t from, int64_t until);

#endif
