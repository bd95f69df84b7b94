/* examples.h - the six patterns of durable functions, an app each */
#ifndef EXAMPLES_H
#define EXAMPLES_H

#include "keepsake.h"

extern const ks_function chaining[];
extern const ks_function fan_out_fan_in[];
extern const ks_function async_http[];
extern const ks_function monitor[];
extern const ks_function human_interaction[];
extern const ks_function aggregator[];

#endif
