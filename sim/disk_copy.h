/* disk_copy.h - a disk as it was, to go back to */
#ifndef SIM_DISK_COPY_H
#define SIM_DISK_COPY_H

#include "sim/disk.h"

struct disk_copy;
struct disk_copy *disk_copy(const struct disk *d);
/* Frees the copy. Faults and counts stay as they are. */
void disk_restore(struct disk *d, struct disk_copy *copy);

#endif
