/* figures.h - everything that was measured, as lines of text
 *
 *     row,x,metric,value,unit
 *     http.Add,64,per_s,104233,1/s
 *
 * A row is what was measured (its first word, up to the dot, the suite); x the number it was
 * measured at - connections, items, registries - or 0. Plots and tables are made of these lines and
 * of nothing else (report.h), so they can be made again without measuring. Lines that begin with #
 * tell of the machine.
 */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stdbool.h>
#include <stddef.h>

struct figure {
    char row[40];
    double x;
    char metric[24];
    double value;
    char unit[16];
};

struct figures {
    struct figure *at;
    size_t len, cap;
    char machine[1024]; /* lines, without the # */
};

void figures_free(struct figures *f);
/* Replaces the one of the same row, x and metric. */
void figures_set(struct figures *f, const char *row, double x, const char *metric, double value,
                 const char *unit);
/* Drops all of a row. */
void figures_forget(struct figures *f, const char *row);
/* NULL when it was not measured. */
const struct figure *figures_find(const struct figures *f, const char *row, double x,
                                  const char *metric);

/* Adds what the file has; one that is not there has nothing. 0 or a negative errno. */
__attribute__((warn_unused_result)) int figures_read(struct figures *f, const char *path);
__attribute__((warn_unused_result)) int figures_write(const struct figures *f, const char *path);

#endif
