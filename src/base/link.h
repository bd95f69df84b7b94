/* link.h - rings of things that are in a list while somebody cares
 *
 * A struct link is a member of what it links, so taking something out of its list needs neither a
 * search nor memory. The head of a list is a link too. A link that is in no list points to itself.
 */
#ifndef BASE_LINK_H
#define BASE_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *prev;
    struct link *next;
};

/* The thing that a link is a member of. */
#define LINK_OWNER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void link_init(struct link *l)
{
    l->prev = l->next = l;
}

/* Of a head: the list is empty. Of a member: it is in no list. */
static inline bool link_is_alone(const struct link *l)
{
    return l->next == l;
}

/* Takes it out of the list it is in, if any. */
static inline void link_remove(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    link_init(l);
}

/* Puts it at the end, after taking it out of the list it is in. */
static inline void link_append(struct link *list, struct link *l)
{
    link_remove(l);
    l->prev = list->prev;
    l->next = list;
    list->prev->next = l;
    list->prev = l;
}

/* Moves all members of a list to another head, which must be alone. */
static inline void link_move_all(struct link *list, struct link *to)
{
    if (link_is_alone(list))
        return;
    *to = *list;
    to->prev->next = to;
    to->next->prev = to;
    link_init(list);
}

#endif
