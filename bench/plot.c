/* plot.c - see plot.h
 *
 * A plot is 640 by 360, its axes leave room for numbers at the left and below. Values are put on
 * their axis by `place`: their logarithm or themselves, cut to 0 .. 1 between the axis's ends.
 */
#include "plot.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

enum { WIDTH = 640, HEIGHT = 360, LEFT = 76, RIGHT = 20, TOP = 44, BOTTOM = 56 };

struct axis {
    double from, to, step; /* of a log axis: powers of ten, step 10 */
    bool is_log;
};

struct sheet {
    FILE *file;
    const struct plot *plot;
    struct axis x, y;
};

static const char head[] =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\""
    " role=\"img\">\n"
    "<title>%s</title>\n"
    "<style>\n"
    "  :root { color-scheme: light dark; --ink: #24292f; --soft: #6e7781; --grid: #d0d7de;\n"
    "    --c0: #0969da; --c1: #bc4c00; --c2: #1a7f37; --c3: #8250df; --c4: #bf3989;\n"
    "    --c5: #57606a }\n"
    "  @media (prefers-color-scheme: dark) {\n"
    "    :root { --ink: #e6edf3; --soft: #9198a1; --grid: #3d444d; --c0: #58a6ff;\n"
    "      --c1: #f0883e; --c2: #3fb950; --c3: #bc8cff; --c4: #f778ba; --c5: #9198a1 } }\n"
    "  text { font: 12px system-ui, sans-serif; fill: var(--ink) }\n"
    "  .title { font-size: 14px; font-weight: 600 } .soft { fill: var(--soft) }\n"
    "  .grid { stroke: var(--grid); stroke-width: 1 }\n"
    "  .goal { stroke: var(--soft); stroke-dasharray: 5 4 }\n"
    "  polyline { fill: none; stroke-width: 2 }\n"
    "</style>\n";

/* ---- axes ---- */

static double end_above(double value)
{
    double power = pow(10, floor(log10(value)));
    double part = value / power;
    return power * (part <= 1   ? 1
                    : part <= 2 ? 2
                    : part <= 4 ? 4
                    : part <= 5 ? 5
                    : part <= 8 ? 8
                                : 10);
}

static struct axis axis_of(double least, double most, bool is_log)
{
    struct axis axis = {.is_log = is_log};
    if (is_log) {
        axis.from = pow(10, floor(log10(least) + 1e-9));
        axis.to = pow(10, ceil(log10(most) - 1e-9));
        if (axis.to <= axis.from)
            axis.to = axis.from * 10;
        return axis;
    }
    axis.to = most > 0 ? end_above(most) : 1;
    axis.step = axis.to / 4;
    return axis;
}

static double place(const struct axis *axis, double value)
{
    double part = axis->is_log ? log10(value / axis->from) / log10(axis->to / axis->from)
                               : (value - axis->from) / (axis->to - axis->from);
    return part < 0 ? 0 : part > 1 ? 1 : part;
}

static double x_at(const struct sheet *s, double x)
{
    return LEFT + place(&s->x, x) * (WIDTH - LEFT - RIGHT);
}

static double y_at(const struct sheet *s, double y)
{
    return HEIGHT - BOTTOM - place(&s->y, y) * (HEIGHT - TOP - BOTTOM);
}

static double next_tick(const struct axis *axis, double tick)
{
    return axis->is_log ? tick * 10 : tick + axis->step;
}

/* 1000000 as 1M: short, and the same in every language. */
static void put_number(FILE *file, double value)
{
    static const struct {
        double of;
        const char *suffix;
    } units[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (value >= units[i].of) {
            fprintf(file, "%g%s", value / units[i].of, units[i].suffix);
            return;
        }
    fprintf(file, "%g", value);
}

static void draw_axes(const struct sheet *s)
{
    for (double tick = s->y.from; tick <= s->y.to * 1.0001; tick = next_tick(&s->y, tick)) {
        fprintf(s->file,
                "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text class=\"soft\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">",
                LEFT, WIDTH - RIGHT, y_at(s, tick), y_at(s, tick), LEFT - 8, y_at(s, tick) + 4);
        put_number(s->file, tick);
        fprintf(s->file, "</text>\n");
    }
    for (double tick = s->x.from; tick <= s->x.to * 1.0001; tick = next_tick(&s->x, tick)) {
        fprintf(s->file,
                "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                "<text class=\"soft\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">",
                x_at(s, tick), x_at(s, tick), HEIGHT - BOTTOM, HEIGHT - BOTTOM + 5, x_at(s, tick),
                HEIGHT - BOTTOM + 20);
        put_number(s->file, tick);
        fprintf(s->file, "</text>\n");
    }
    fprintf(s->file, "<text text-anchor=\"middle\" x=\"%d\" y=\"%d\">%s</text>\n",
            LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 12, s->plot->x_label);
    fprintf(s->file,
            "<text text-anchor=\"middle\" transform=\"translate(16 %d) rotate(-90)\">%s</text>\n",
            TOP + (HEIGHT - TOP - BOTTOM) / 2, s->plot->y_label);
}

/* ---- series ---- */

static void draw_mark(const struct sheet *s, size_t i, double x, double y)
{
    switch (i % 3) {
    case 0:
        fprintf(s->file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"var(--c%zu)\"/>\n", x, y,
                i);
        break;
    case 1:
        fprintf(s->file,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"7\" height=\"7\" fill=\"var(--c%zu)\"/>\n",
                x - 3.5, y - 3.5, i);
        break;
    default:
        fprintf(s->file, "<path d=\"M%.1f %.1fl5 8h-10z\" fill=\"var(--c%zu)\"/>\n", x, y - 5, i);
    }
}

static void draw_series(const struct sheet *s, size_t i)
{
    const struct plot_series *series = &s->plot->series[i];
    fprintf(s->file, "<polyline stroke=\"var(--c%zu)\" points=\"", i);
    for (size_t k = 0; k < series->count; k++)
        fprintf(s->file, "%s%.1f,%.1f", k ? " " : "", x_at(s, series->x[k]), y_at(s, series->y[k]));
    fprintf(s->file, "\"/>\n");
    for (size_t k = 0; k < series->count && series->count <= 40; k++)
        draw_mark(s, i, x_at(s, series->x[k]), y_at(s, series->y[k]));
}

static void draw_legend(const struct sheet *s)
{
    double x = LEFT;
    for (size_t i = 0; i < s->plot->count && s->plot->count > 1; i++) {
        draw_mark(s, i, x + 5, 32);
        fprintf(s->file, "<text x=\"%.1f\" y=\"36\">%s</text>\n", x + 14, s->plot->series[i].name);
        x += 30;
        for (const char *at = s->plot->series[i].name; *at; at++)
            x += 6.4;
    }
}

/* ---- the whole ---- */

void plot_point(struct plot_series *series, double x, double y)
{
    assert(series->count < PLOT_POINTS_MAX);
    series->x[series->count] = x;
    series->y[series->count++] = y;
}

/* False without a point. */
static bool span(const struct plot *plot, struct sheet *s)
{
    double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = plot->y_goal;
    for (size_t i = 0; i < plot->count; i++)
        for (size_t k = 0; k < plot->series[i].count; k++) {
            x0 = fmin(x0, plot->series[i].x[k]);
            x1 = fmax(x1, plot->series[i].x[k]);
            y0 = fmin(y0, plot->series[i].y[k]);
            y1 = fmax(y1, plot->series[i].y[k]);
        }
    if (x1 < x0)
        return false;
    s->x = axis_of(x0, x1, plot->is_log_x);
    s->y = axis_of(y0, y1, plot->is_log_y);
    return true;
}

int plot_write(const struct plot *plot, const char *path)
{
    struct sheet s = {.plot = plot};
    if (!span(plot, &s))
        return 0;
    s.file = fopen(path, "w");
    if (!s.file)
        return -errno;
    fprintf(s.file, head, WIDTH, HEIGHT, WIDTH, HEIGHT, plot->title);
    fprintf(s.file, "<text class=\"title\" x=\"%d\" y=\"18\">%s</text>\n", LEFT, plot->title);
    draw_axes(&s);
    if (plot->y_goal > 0)
        fprintf(s.file,
                "<line class=\"goal\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text class=\"soft\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">goal</text>\n",
                LEFT, WIDTH - RIGHT, y_at(&s, plot->y_goal), y_at(&s, plot->y_goal), WIDTH - RIGHT,
                y_at(&s, plot->y_goal) - 5);
    for (size_t i = 0; i < plot->count; i++)
        draw_series(&s, i);
    draw_legend(&s);
    fprintf(s.file, "</svg>\n");
    return fclose(s.file) == 0 ? 0 : -errno;
}
