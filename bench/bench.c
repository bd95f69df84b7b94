/* bench.c - everything that can be said in numbers, measured: `make bench`
 *
 *     bench [--quick] [--large] [--only ROW] [--report] [--seconds N] [--registry PATH] [--out DIR]
 *
 * It runs the suites (suite.h), and makes of their figures DIR/figures.csv, plots beside it, and
 * the tables in DIR/../BENCHMARKS.md, if that is there. DIR is docs/bench, or build/bench with
 * --quick, which takes a minute, and whose figures only show that all of it works.
 *
 *   --only ROW   measures that row or suite alone - http, http.Add, engine.step, crowd.held, storm,
 *                slow_disk, small - and keeps all other figures as they are in DIR
 *   --large      also 10,000,000 registries: half an hour, and 16 GiB of disk
 *   --report     measures nothing, makes plots and tables of the figures that are there
 *
 * Data goes to a folder under $TMPDIR or, without that, beside the programs; it is gone at the end.
 * On a tmpfs the figures mean nothing, and the bench says so.
 */
#include "report.h"
#include "suite.h"

#include <assert.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define BUSY_LOAD 0.7
#define BUSY ", SO OTHER WORK TOOK FROM EVERYTHING HERE BUT CPU AND MEMORY"

struct options {
    const char *out, *registry;
    bool is_report;
};

/* ---- the machine --------------------------------------------------------------------------- */

static const char *file_system_of(const char *path)
{
    struct statfs fs;
    static char number[32];
    if (statfs(path, &fs) < 0)
        return "?";
    switch (fs.f_type) {
    case TMPFS_MAGIC:
        return "tmpfs, SO ALL THIS MEANS NOTHING";
    case EXT4_SUPER_MAGIC:
        return "ext4";
    case BTRFS_SUPER_MAGIC:
        return "btrfs";
    case XFS_SUPER_MAGIC:
        return "xfs";
    default:
        snprintf(number, sizeof number, "%#lx", (unsigned long)fs.f_type);
        return number;
    }
}

static void describe_machine(struct run *r)
{
    char cpu[4096], load[64], date[32], *model;
    struct utsname kernel;
    time_t now = time(NULL);
    struct tm tm;
    uname(&kernel);
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &tm);
    output_read("/proc/loadavg", load, sizeof load);
    output_read("/proc/cpuinfo", cpu, sizeof cpu);
    model = strstr(cpu, "model name");
    model = model ? strchr(model, ':') + 2 : strcpy(cpu, "?");
    snprintf(r->figures.machine, sizeof r->figures.machine,
             "%.*s, %ld cores, %.1f GiB of memory, %s %s\n"
             "data on %s; load average before: %.*s%s\n"
             "%s, %.1f s a row%s%s%s\n",
             (int)strcspn(model, "\n"), model, sysconf(_SC_NPROCESSORS_ONLN),
             (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1 << 30),
             kernel.sysname, kernel.release, file_system_of(getenv("TMPDIR")),
             (int)strcspn(load, " "), load, atof(load) < BUSY_LOAD ? "" : BUSY, date, r->seconds,
             r->only ? ", only " : "", r->only ? r->only : "", r->is_quick ? ", quick" : "");
    printf("%s\n", r->figures.machine);
}

/* ---- options ------------------------------------------------------------------------------- */

static int usage(void)
{
    fprintf(stderr, "usage: bench [--quick] [--large] [--only ROW] [--report] [--seconds N]\n"
                    "             [--registry PATH] [--out DIR]\n");
    return 2;
}

static bool parse(struct run *r, struct options *o, char **argv)
{
    for (int i = 1; argv[i]; i++) {
        bool has_value = argv[i + 1];
        if (strcmp(argv[i], "--quick") == 0)
            r->is_quick = true;
        else if (strcmp(argv[i], "--large") == 0)
            r->is_large = true;
        else if (strcmp(argv[i], "--report") == 0)
            o->is_report = true;
        else if (has_value && strcmp(argv[i], "--only") == 0)
            r->only = argv[++i];
        else if (has_value && strcmp(argv[i], "--seconds") == 0)
            r->seconds = atof(argv[++i]);
        else if (has_value && strcmp(argv[i], "--registry") == 0)
            o->registry = argv[++i];
        else if (has_value && strcmp(argv[i], "--out") == 0)
            o->out = argv[++i];
        else
            return false;
    }
    if (r->seconds <= 0)
        r->seconds = r->is_quick ? 0.3 : 2;
    if (!o->out)
        o->out = r->is_quick ? "build/bench" : "docs/bench";
    return true;
}

/* The other programs stand beside this one, the registry a folder above. */
static void find_programs(struct run *r, const struct options *o)
{
    ssize_t n = readlink("/proc/self/exe", r->binaries, sizeof r->binaries - 1);
    assert(n > 0);
    r->binaries[n] = 0;
    *strrchr(r->binaries, '/') = 0;
    if (o->registry)
        snprintf(r->registry, sizeof r->registry, "%s", o->registry);
    else
        snprintf(r->registry, sizeof r->registry, "%s/../registry", r->binaries);
    if (!getenv("TMPDIR"))
        setenv("TMPDIR", r->binaries, 1);
}

/* A run of everything begins anew, but for what only --large measures. */
static void forget_old(struct run *r)
{
    struct figures *f = &r->figures;
    size_t kept = 0;
    for (size_t i = 0; i < f->len; i++)
        if (f->at[i].x == LARGE_HELD && !r->is_large)
            f->at[kept++] = f->at[i];
    f->len = kept;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static void measure(struct run *r)
{
    describe_machine(r);
    suite_small(r);
    suite_http(r);
    suite_app(r);
    suite_engine(r);
    suite_slow_disk(r);
    suite_storm(r);
    suite_crowd(r);
}

static void report(struct run *r, const struct options *o, const char *figures)
{
    char document[PATH_MAX];
    int err = figures_write(&r->figures, figures);
    if (err < 0)
        fail(figures, err);
    err = report_plots(&r->figures, o->out);
    if (err < 0)
        fail(o->out, err);
    snprintf(document, sizeof document, "%s/../BENCHMARKS.md", o->out);
    if (access(document, W_OK) == 0)
        err = report_document(&r->figures, document);
    if (err < 0)
        fail(document, err);
    printf("\n");
    report_goals(&r->figures, stdout);
}

int main(int argc, char **argv)
{
    static struct run r;
    struct options o = {0};
    char figures[PATH_MAX];
    (void)argc;
    if (!parse(&r, &o, argv))
        return usage();
    find_programs(&r, &o);
    snprintf(figures, sizeof figures, "%s/figures.csv", o.out);
    if (mkdir(o.out, 0777) < 0 && errno != EEXIST)
        fail(o.out, -errno);
    int err = figures_read(&r.figures, figures);
    if (err < 0)
        fail(figures, err);
    if (!r.only && !o.is_report)
        forget_old(&r);
    if (!o.is_report)
        measure(&r);
    if (!o.is_report && !r.noted) {
        fprintf(stderr, "bench: there is no row %s\n", r.only);
        return 2;
    }
    report(&r, &o, figures);
    figures_free(&r.figures);
    return r.has_failed ? 1 : 0;
}
