#include "figures.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void figures_free(struct figures *f)
{
    free(f->at);
    *f = (struct figures){0};
}

const struct figure *figures_find(const struct figures *f, const char *row, double x,
                                  const char *metric)
{
    for (size_t i = 0; i < f->len; i++)
        if (f->at[i].x == x && strcmp(f->at[i].row, row) == 0 &&
            strcmp(f->at[i].metric, metric) == 0)
            return &f->at[i];
    return NULL;
}

void figures_set(struct figures *f, const char *row, double x, const char *metric, double value,
                 const char *unit)
{
    const struct figure *found = figures_find(f, row, x, metric);
    size_t i = found ? (size_t)(found - f->at) : f->len;
    if (i == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 256;
        f->at = realloc(f->at, f->cap * sizeof f->at[0]);
        assert(f->at);
    }
    f->at[i] = (struct figure){.x = x, .value = value};
    snprintf(f->at[i].row, sizeof f->at[i].row, "%s", row);
    snprintf(f->at[i].metric, sizeof f->at[i].metric, "%s", metric);
    snprintf(f->at[i].unit, sizeof f->at[i].unit, "%s", unit);
    f->len += i == f->len;
}

void figures_forget(struct figures *f, const char *row)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->len; i++)
        if (strcmp(f->at[i].row, row) != 0)
            f->at[kept++] = f->at[i];
    f->len = kept;
}

int figures_read(struct figures *f, const char *path)
{
    char line[512];
    FILE *file = fopen(path, "r");
    if (!file)
        return errno == ENOENT ? 0 : -errno;
    f->machine[0] = 0;
    while (fgets(line, sizeof line, file)) {
        struct figure one;
        size_t len = strlen(f->machine);
        if (line[0] == '#')
            snprintf(f->machine + len, sizeof f->machine - len, "%s", line + 1 + (line[1] == ' '));
        else if (sscanf(line, "%39[^,],%lf,%23[^,],%lf,%15[^\n]", one.row, &one.x, one.metric,
                        &one.value, one.unit) == 5)
            figures_set(f, one.row, one.x, one.metric, one.value, one.unit);
    }
    fclose(file);
    return 0;
}

static int by_row(const void *a, const void *b)
{
    const struct figure *x = a, *y = b;
    int order = strcmp(x->row, y->row);
    if (order == 0)
        order = (x->x > y->x) - (x->x < y->x);
    return order ? order : strcmp(x->metric, y->metric);
}

static void write_machine(const struct figures *f, FILE *file)
{
    for (const char *at = f->machine; *at;) {
        int len = (int)strcspn(at, "\n");
        fprintf(file, "# %.*s\n", len, at);
        at += len + (at[len] == '\n');
    }
}

/* Sorted, so that a file shows what has changed since it was last made. */
int figures_write(const struct figures *f, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return -errno;
    if (f->len)
        qsort(f->at, f->len, sizeof f->at[0], by_row);
    write_machine(f, file);
    fprintf(file, "row,x,metric,value,unit\n");
    for (size_t i = 0; i < f->len; i++)
        fprintf(file, "%s,%.15g,%s,%.6g,%s\n", f->at[i].row, f->at[i].x, f->at[i].metric,
                f->at[i].value, f->at[i].unit);
    return fclose(file) == 0 ? 0 : -errno;
}
