/* doc.h - a document that is changed in place, can take changes back, and says what changed
 *
 * The state of an entity is a value tree in an arena of its own. A change is a patch: one operation
 * on one path. Appending an item or adding to a number costs the same however large the document
 * is, in time and in bytes of patch. The bytes are what the journal keeps; doc_replay() applies
 * them again.
 *
 *     patch := op byte, path string, then by op
 *         1 set       value
 *         2 append    value
 *         3 add       zigzag
 *         4 remove    -
 *
 * A path names a member of an object or, as a number, an item of an array; slashes go deeper; ""
 * is the whole document. In a key ~1 is a slash and ~0 a tilde (RFC 6901, section 3). What is
 * missing on the way is made as an object.
 *
 * Undo: every change notes what it overwrote; doc_undo() puts it back, newest first. Nothing that
 * is overwritten is freed before doc_tidy(), so pointers that were read from the document stay good
 * until then.
 */
#ifndef BASE_DOC_H
#define BASE_DOC_H

#include "base/value.h"

struct doc {
    ks_arena mem;
    const ks_val *root;     /* never NULL; null at first */
    size_t compacted_bytes; /* size of the tree when it was last made whole */
};

/* What has to be put back; newest first. Lives in the arena it was made with. */
struct doc_undo {
    struct doc_undo *older;
    ks_val *node;          /* this node was ... */
    ks_val old_node;       /* ... this */
    const ks_val **slot;   /* or: this pointer was ... */
    const ks_val *old_val; /* ... this */
};

/* NULL, or a sentence: not UTF-8, or a tilde that begins no escape. In patches of before that was
 * allowed, and a tilde. */
const char *doc_path_check(struct str path);

enum doc_op { DOC_SET = 1, DOC_APPEND, DOC_ADD, DOC_REMOVE };

struct doc_patch {
    enum doc_op op;
    struct str path;
    const ks_val *val; /* set, append; not NULL */
    int64_t n;         /* add */
};

void doc_init(struct doc *d);
void doc_free(struct doc *d);

/* It is going to be patched: asks for the lines of the cache that this takes, in stages, each of
 * which reads what the one before has asked for. Those of many, in turns, come at once. */
enum { DOC_AHEAD_STAGES = 4 };
void doc_look_ahead(const struct doc *d, unsigned stage);

/* Applies a patch. NULL, or a sentence why it does not fit (in *mem), and nothing changed. Undo
 * notes go to *undo (in mem) unless it is NULL. */
const char *doc_apply(struct doc *d, const struct doc_patch *patch, ks_arena *mem,
                      struct doc_undo **undo);
/* Takes back everything noted. */
void doc_undo(struct doc_undo *newest);
/* Gives back the memory of what was overwritten, when it is worth it. */
void doc_tidy(struct doc *d);

void doc_patch_encode(struct buf *out, const struct doc_patch *patch);
/* Reads one patch behind its op byte; its value is in mem. */
void doc_patch_decode(struct reader *r, enum doc_op op, ks_arena *mem, struct doc_patch *ret);

#endif
