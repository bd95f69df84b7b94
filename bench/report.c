#include "report.h"

#include "plot.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- goals --------------------------------------------------------------------------------- */

enum compare { AT_MOST, AT_LEAST, REPORTED };

struct goal {
    const char *what, *row;
    double x;
    const char *metric;
    enum compare compare;
    double bound;
    const char *says; /* the goal in words, with the measured unit */
};

/* An item of the bench has 20 bytes, so 3 x the item + 100 is 160. */
static const struct goal goals[] = {
    {"Add, one client: p50, of one append + fdatasync and one constant answer", "http.Add", 1,
     "p50_of_least", AT_MOST, 1.5, "<= 1.5 x"},
    {"Add, 64 connections", "http.Add", 64, "rate", AT_LEAST, 1e5, ">= 100,000/s"},
    {"Add, 64 connections, of the ceiling", "http.Add", 64, "share", AT_LEAST, 0.75, ">= 0.75"},
    {"Add, 256 connections, of the ceiling", "http.Add", 256, "share", AT_LEAST, 0.75, ">= 0.75"},
    {"Peek of 5 items, 64 connections, of the constant answer", "http.Peek", 64, "share", AT_LEAST,
     0.8, ">= 0.8"},
    {"Stats, 64 connections, of the constant answer", "http.Stats", 64, "share", AT_LEAST, 0.8,
     ">= 0.8"},
    {"Open, 64 connections", "http.Open", 64, "rate", AT_LEAST, 6e4, ">= 60,000/s"},
    {"Finish, 64 connections", "http.Finish", 64, "rate", AT_LEAST, 6e4, ">= 60,000/s"},
    {"CPU of the server for an Add, 64 connections", "http.Add", 64, "cpu", AT_MOST, 8, "<= 8 us"},
    {"written to disk for an Add of 20 bytes, 64 connections", "http.Add", 64, "written", AT_MOST,
     160, "<= 160 bytes"},
    {"orchestrations of 5 inline activities", "engine.chain_inline", 0, "rate", AT_LEAST, 3e4,
     ">= 30,000/s"},
    {"orchestrations of 5 activities on threads", "engine.chain_thread", 0, "rate", REPORTED, 0,
     "reported"},
    {"operations on one entity of 10 items", "engine.entity", 10, "rate", AT_LEAST, 1e5,
     ">= 100,000/s"},
    {"operations on one entity of 1,000,000 items", "engine.entity", 1e6, "rate", AT_LEAST, 1e5,
     ">= 100,000/s"},
    {"inline activities one after the other, committed in groups", "engine.sequence_inline", 0,
     "rate", AT_LEAST, 1e5, ">= 100,000/s"},
    {"the same with a commit each, of the disk's sync rate", "engine.one_commit_each", 0, "share",
     AT_LEAST, 0.8, ">= 0.8"},
    {"resident with 1,000,000 open registries", "crowd.held", 1e6, "resident", AT_MOST, 1024,
     "<= 1,024 MiB"},
    {"the same, right after they were opened", "crowd.held", 1e6, "loaded", AT_MOST, 1024,
     "<= 1,024 MiB"},
    {"resident with 10,000,000 (`--large`)", "crowd.held", 1e7, "resident", AT_MOST, 4096,
     "<= 4,096 MiB"},
    {"1,000,000 timers due at once: p99 of lateness", "storm.timers", 1e6, "late_p99", AT_MOST, 1.5,
     "<= 1.5 s"},
    {"requests meanwhile: p99", "storm.timers", 1e6, "request_p99", AT_MOST, 50, "<= 50 ms"},
    {"1,000,000 registries closing at once: p99 of lateness", "storm.registries", 1e6, "late_p99",
     REPORTED, 0, "reported"},
    {"requests meanwhile: p99", "storm.registries", 1e6, "request_p99", AT_MOST, 50, "<= 50 ms"},
    {"first answer after exec, empty folder", "small.start_empty", 0, "p50", AT_MOST, 10,
     "<= 10 ms"},
    {"first answer after kill -9 with 1,000,000 open registries", "crowd.start_after_kill", 1e6,
     "settled", AT_MOST, 1, "<= 1 s"},
    {"the same, killed right after they were opened", "crowd.start_after_kill", 1e6, "loaded",
     AT_MOST, 1, "<= 1 s"},
    {"idle, empty: wake-ups, and so system calls", "small.idle_empty", 0, "wake_ups", AT_MOST, 0,
     "0/s"},
    {"idle with 1,000 timers that are not due: the same", "small.idle_timers", 0, "wake_ups",
     AT_MOST, 0, "0/s"},
    {"the program, stripped", "small.binary", 0, "stripped", AT_MOST, 3, "<= 3 MiB"},
};

/* 104233 as 104,233; small ones with two digits that count. */
static void put_value(FILE *to, double value)
{
    char digits[32];
    if (value < 100 && value != (double)(int64_t)value) {
        fprintf(to, value < 10 ? "%.2f" : "%.1f", value);
        return;
    }
    int len = snprintf(digits, sizeof digits, "%.0f", value);
    for (int i = 0; i < len; i++)
        fprintf(to, "%s%c", i && (len - i) % 3 == 0 ? "," : "", digits[i]);
}

static void put_figure(FILE *to, const struct figure *figure)
{
    if (!figure) {
        fprintf(to, "-");
        return;
    }
    put_value(to, figure->value);
    if (strcmp(figure->unit, "1/s") == 0)
        fprintf(to, "/s");
    else if (figure->unit[0])
        fprintf(to, " %s", figure->unit);
}

static const char *verdict(const struct goal *goal, const struct figure *figure)
{
    if (!figure)
        return "not measured";
    if (goal->compare == REPORTED)
        return "";
    bool is_met = goal->compare == AT_MOST ? figure->value <= goal->bound
                                           : figure->value >= goal->bound;
    return is_met ? "yes" : "**no**";
}

void report_goals(const struct figures *f, FILE *to)
{
    fprintf(to, "| what | goal | measured | met |\n|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof goals / sizeof goals[0]; i++) {
        const struct goal *goal = &goals[i];
        const struct figure *figure = figures_find(f, goal->row, goal->x, goal->metric);
        fprintf(to, "| %s | %s | ", goal->what, goal->says);
        put_figure(to, figure);
        fprintf(to, " | %s |\n", verdict(goal, figure));
    }
}

/* ---- other tables -------------------------------------------------------------------------- */

static void report_machine(const struct figures *f, FILE *to)
{
    for (const char *at = f->machine; *at;) {
        int len = (int)strcspn(at, "\n");
        fprintf(to, "- %.*s\n", len, at);
        at += len + (at[len] == '\n');
    }
}

static void report_http(const struct figures *f, FILE *to)
{
    static const char *const kinds[] = {"constant", "Open",   "Add", "Peek",
                                        "Stats",    "Finish", "mix"};
    static const double connections[] = {1, 64, 256};
    fprintf(to, "| connections | row | requests | p50 | p99 | CPU | written | of its limit |\n"
                "|---|---|---|---|---|---|---|---|\n");
    for (size_t c = 0; c < sizeof connections / sizeof connections[0]; c++)
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            static const char *const metrics[] = {"rate", "p50", "p99", "cpu", "written", "share"};
            char row[40];
            snprintf(row, sizeof row, "http.%s", kinds[k]);
            fprintf(to, "| %g | %s ", connections[c], kinds[k]);
            for (size_t m = 0; m < sizeof metrics / sizeof metrics[0]; m++) {
                fprintf(to, "| ");
                put_figure(to, figures_find(f, row, connections[c], metrics[m]));
                fprintf(to, " ");
            }
            fprintf(to, "|\n");
        }
}

static void report_slow_disk(const struct figures *f, FILE *to)
{
    static const struct {
        const char *row, *name;
    } rows[] = {{"slow_disk.as_it_is", "as it is"}, {"slow_disk.2ms", "2 ms a sync more"}};
    static const char *const metrics[] = {"rate", "predicted", "requests_a_sync",
                                          "sync", "disk_busy", "p99"};
    fprintf(to,
            "| disk | connections | Adds | predicted | Adds a sync | a sync | disk busy | p99 |\n"
            "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (double connections = 64; connections <= 256; connections *= 4) {
            fprintf(to, "| %s | %g ", rows[i].name, connections);
            for (size_t m = 0; m < sizeof metrics / sizeof metrics[0]; m++) {
                fprintf(to, "| ");
                put_figure(to, figures_find(f, rows[i].row, connections, metrics[m]));
                fprintf(to, " ");
            }
            fprintf(to, "|\n");
        }
}

static void report_fan(const struct figures *f, FILE *to)
{
    fprintf(to, "| activities at once | wall, each | CPU of both cores, each |\n|---|---|---|\n");
    for (double n = 1000; n <= 10000; n *= 10) {
        fprintf(to, "| ");
        put_value(to, n);
        fprintf(to, " | ");
        put_figure(to, figures_find(f, "engine.fan", n, "wall"));
        fprintf(to, " | ");
        put_figure(to, figures_find(f, "engine.fan", n, "cpu"));
        fprintf(to, " |\n");
    }
}

/* ---- the document -------------------------------------------------------------------------- */

static const struct section {
    const char *name;
    void (*put)(const struct figures *f, FILE *to);
} sections[] = {{"machine", report_machine},
                {"goals", report_goals},
                {"http", report_http},
                {"fan", report_fan},
                {"slow disk", report_slow_disk}};

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    if (size >= 0 && (text = malloc((size_t)size + 1)))
        text[fread(text, 1, (size_t)size, file)] = 0;
    fclose(file);
    return text;
}

/* Where the section that begins in this line ends; NULL: none begins here. */
static const char *section_at(const char *line, const struct section **ret)
{
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        char begin[48], end[48];
        int len = snprintf(begin, sizeof begin, "<!-- %s -->\n", sections[i].name);
        snprintf(end, sizeof end, "<!-- /%s -->\n", sections[i].name);
        *ret = &sections[i];
        if (strncmp(line, begin, (size_t)len) == 0)
            return strstr(line, end);
    }
    return NULL;
}

int report_document(const struct figures *f, const char *path)
{
    char *text = read_all(path);
    FILE *to = text ? fopen(path, "w") : NULL;
    if (!to) {
        free(text);
        return -errno;
    }
    for (const char *line = text; *line;) {
        const struct section *section;
        const char *end = section_at(line, &section);
        size_t len = strcspn(line, "\n");
        fprintf(to, "%.*s%s", (int)len, line, line[len] ? "\n" : "");
        line += len + (line[len] == '\n');
        if (end) {
            section->put(f, to);
            line = end;
        }
    }
    free(text);
    return fclose(to) == 0 ? 0 : -errno;
}

/* ---- plots --------------------------------------------------------------------------------- */

struct line {
    const char *row, *metric, *name;
    double scale;
};

struct picture {
    const char *file;
    struct plot plot; /* without its series */
    struct line lines[PLOT_SERIES_MAX];
};

static const struct picture pictures[] = {
    {"requests",
     {.title = "Requests a second by connections",
      .x_label = "connections",
      .y_label = "requests/s",
      .is_log_x = true},
     {{"http.Add", "rate", "Add", 1},
      {"http.ceiling.Add", "rate", "Add by the ceiling", 1},
      {"http.Open", "rate", "Open", 1},
      {"http.Finish", "rate", "Finish", 1},
      {"http.Peek", "rate", "Peek", 1},
      {"http.constant", "rate", "constant", 1}}},
    {"crowd_cpu",
     {.title = "CPU a request by open registries, each with a pending timer",
      .x_label = "open registries",
      .y_label = "CPU of the server, us a request",
      .is_log_x = true},
     {{"crowd.Add", "cpu", "Add", 1},
      {"crowd.Open", "cpu", "Open (sets a timer)", 1},
      {"crowd.Finish", "cpu", "Finish (takes one out)", 1}}},
    {"crowd_memory",
     {.title = "Memory by open registries",
      .x_label = "open registries",
      .y_label = "resident, MiB",
      .is_log_x = true,
      .is_log_y = true},
     {{"crowd.held", "resident", "settled", 1}, {"crowd.held", "loaded", "just opened", 1}}},
    {"items",
     {.title = "CPU an Add by items that are in the registry",
      .x_label = "items",
      .y_label = "CPU of the server, us an Add",
      .is_log_x = true},
     {{"crowd.items", "cpu", "Add", 1}}},
    {"step",
     {.title = "CPU a step by length of the history, coroutine resident",
      .x_label = "events in the history",
      .y_label = "CPU, us a step",
      .is_log_x = true},
     {{"engine.step", "cpu", "step", 1}}},
    {"replay",
     {.title = "A replay by length of the history",
      .x_label = "events in the history",
      .y_label = "CPU, ms a replay",
      .is_log_x = true,
      .is_log_y = true},
     {{"engine.replay", "cpu", "replay", 1e-3}}},
    {"storm",
     {.title = "Fired by seconds after all were due at once",
      .x_label = "seconds after they were due",
      .y_label = "fired"},
     {{"storm.timers_curve", "fired", "timers", 1},
      {"storm.registries_curve", "fired", "registries that close", 1}}},
};

static void collect(const struct figures *f, const struct line *line, struct plot_series *series)
{
    series->count = 0;
    snprintf(series->name, sizeof series->name, "%s", line->name);
    for (size_t i = 0; i < f->len && series->count < PLOT_POINTS_MAX; i++)
        if (strcmp(f->at[i].row, line->row) == 0 && strcmp(f->at[i].metric, line->metric) == 0)
            plot_point(series, f->at[i].x, f->at[i].value * line->scale);
}

int report_plots(const struct figures *f, const char *folder)
{
    static struct plot plot;
    for (size_t i = 0; i < sizeof pictures / sizeof pictures[0]; i++) {
        char path[512];
        plot = pictures[i].plot;
        for (size_t k = 0; k < PLOT_SERIES_MAX && pictures[i].lines[k].row; k++) {
            collect(f, &pictures[i].lines[k], &plot.series[plot.count]);
            plot.count += plot.series[plot.count].count > 0;
        }
        snprintf(path, sizeof path, "%s/%s.svg", folder, pictures[i].file);
        int err = plot_write(&plot, path);
        if (err < 0)
            return err;
    }
    return 0;
}
