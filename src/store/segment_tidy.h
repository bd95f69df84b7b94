/* segment_tidy.h - the background part of segment.h */
#ifndef STORE_SEGMENT_TIDY_H
#define STORE_SEGMENT_TIDY_H

#include "store/segment.h"

/* Waits for the job under way, if it has begun, and forgets it. */
void segments_stop_tidying(struct segments *s);

#endif
