/* plot.h - figures as a picture: SVG, small, for light and dark pages
 *
 * Points with lines between them, over axes that are linear or of powers of ten, labelled with
 * units. The colours follow the reader's setting (prefers-color-scheme); series differ by their
 * marks, too.
 */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include <stdbool.h>
#include <stddef.h>

enum { PLOT_SERIES_MAX = 6, PLOT_POINTS_MAX = 256 };

struct plot_series {
    char name[64];
    size_t count;
    double x[PLOT_POINTS_MAX], y[PLOT_POINTS_MAX];
};

struct plot {
    const char *title, *x_label, *y_label;
    bool is_log_x, is_log_y;
    double y_goal; /* a dashed line; 0: none */
    size_t count;
    struct plot_series series[PLOT_SERIES_MAX];
};

void plot_point(struct plot_series *series, double x, double y);
/* 0 or a negative errno; nothing is written without a point. */
__attribute__((warn_unused_result)) int plot_write(const struct plot *plot, const char *path);

#endif
