#include "sim/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBES_MAX = 128 };

static struct {
    const char *name;
    uint64_t hits;
} probes[PROBES_MAX];
static size_t probe_count;

/* What the fixed seeds of `make sim` have to come by. */
static const char *const listed[] = {
    "a bit of the checkpoint's log flipped",
    "a bit of the checkpoint's log flipped while it was settled",
    "a bit of the last record flipped",
    "a block was lost",
    "a block was written to the wrong place",
    "a cell was told later",
    "a damage changed nothing",
    "a lie of the disk left something older",
    "a lie of the disk was refused by name",
    "a program asked for something else than before",
    "a program was restarted",
    "a program was restarted under another id",
    "a program was rewound",
    "a request was answered by what a cell answered",
    "a server was asked",
    "a watcher came back",
    "a watcher left",
    "a watcher was slow",
    "a watcher was told of an end",
    "a watcher was told of items",
    "activity never answers",
    "activity ran again",
    "added within 3 ms before the deadline",
    "an allocation failed",
    "answered again by its key",
    "asked again",
    "cache forgot what a sync had failed to write",
    "close could not write the checkpoint",
    "crash armed during recovery",
    "damage was refused by name",
    "names lost",
    "not even a look was taken, with no room at all",
    "read failed",
    "refused at the deadline, before anybody saw it closed",
    "refused by 503",
    "sector garbage",
    "sector torn",
    "slow sync",
    "the pass of a crash was not there",
    "the pass of a crash was there",
    "wall clock jumped",
    "write failed after some of it",
    NULL,
};

void probe_hit(const char *name)
{
    size_t i = 0;
    while (i < probe_count && probes[i].name != name && strcmp(probes[i].name, name) != 0)
        i++;
    if (i == PROBES_MAX)
        sim_fail("too many probes");
    if (i == probe_count)
        probes[probe_count++].name = name;
    probes[i].hits++;
}

size_t probe_report(void)
{
    size_t missed = 0;
    for (size_t i = 0; i < probe_count; i++)
        printf("  %10llu  %s\n", (unsigned long long)probes[i].hits, probes[i].name);
    for (size_t k = 0; listed[k]; k++) {
        size_t i = 0;
        while (i < probe_count && strcmp(probes[i].name, listed[k]) != 0)
            i++;
        if (i < probe_count)
            continue;
        printf("      MISSED  %s\n", listed[k]);
        missed++;
    }
    return missed;
}

void sim_fail(const char *why)
{
    fprintf(stderr, "sim: %s\n", why);
    abort();
}
