/* model_app.h - an app that shows everything an orchestration and an entity can do, a piece each */
#ifndef MODEL_APP_H
#define MODEL_APP_H

#include "keepsake.h"

extern const ks_function model_functions[];

#endif
