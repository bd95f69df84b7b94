/* fault_page.h - what a test and fault_shim.c, in the process under test, share: a mapped file
 *
 * The shim is preloaded into the real binary and stands before the calls of libc that can fail. It
 * counts them by site, which is a call and what it is made on; and where the page says so, it makes
 * one fail instead of asking the kernel. So the page tells which call sites there are, arms one of
 * them while the process runs, and is still there when the process is not.
 *
 * Compared with strace's --inject: that needs ptrace, which not every container has; it stops at
 * each call; and a short write of its making writes nothing, where a disk's writes the half.
 */
#ifndef TESTS_FAULT_PAGE_H
#define TESTS_FAULT_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FAULT_PAGE_VARIABLE "FAULT_PAGE"

enum fault_call {
    CALL_OPEN,
    CALL_LIST,
    CALL_READ,  /* read, pread */
    CALL_WRITE, /* write, writev, pwrite */
    CALL_SYNC,  /* fsync, fdatasync */
    CALL_TRUNCATE,
    CALL_RENAME, /* of what it was */
    CALL_UNLINK,
    CALL_MKDIR,
    CALL_STAT,
    CALL_LOCK,   /* fcntl */
    CALL_UNLOCK, /* the same */
    CALL_MAP,
    CALL_ACCEPT,
    CALL_THREAD,
    CALL_ALLOC, /* malloc, calloc, realloc */
    FAULT_CALLS
};

/* The file that it is made on, by its name then. */
enum fault_place {
    PLACE_LOG,
    PLACE_MARK,
    PLACE_SPARE,
    PLACE_PREPARE, /* a spare that is being written */
    PLACE_NEW,     /* a segment made on the spot */
    PLACE_DB,
    PLACE_WAL,
    PLACE_UNDO, /* SQLite's journal, before there is a write-ahead log */
    PLACE_SHM,
    PLACE_COPY, /* of the write-ahead log */
    PLACE_LOCK,
    PLACE_BLACKBOX,
    PLACE_FOLDER, /* the data folder or the journal's */
    PLACE_PARENT,
    PLACE_SOCKET,
    PLACE_OTHER,
    FAULT_PLACES
};

/* In place of an errno: half of what was asked for is done. */
enum { FAULT_SHORT = 1000 };

/* Calls of a site, counted from 1, fail from one up to (not with) another. */
struct fault {
    _Atomic int error; /* 0: none */
    _Atomic uint64_t from, until;
};

struct fault_page {
    _Atomic uint64_t calls[FAULT_CALLS][FAULT_PLACES];
    struct fault faults[FAULT_CALLS][FAULT_PLACES];
    _Atomic uint64_t hits; /* calls that were made to fail */
    _Atomic bool is_full;  /* the disk: no file of the data folder grows */
    /* What CLOCK_BOOTTIME is ahead of what it is. After a SIGUSR1 its timers, too: the machine was
     * suspended, and has woken up. */
    _Atomic int64_t ahead_ns;
};

#endif
