/* report.h - what docs/BENCHMARKS.md shows, made of figures
 *
 * Plots go into a folder as SVG. In the document, what stands between <!-- name --> and
 * <!-- /name --> is made new: the machine, the table of goals, and the other tables; all else in it
 * is written by hand.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "figures.h"

#include <stdio.h>

/* Each 0 or a negative errno. */
__attribute__((warn_unused_result)) int report_plots(const struct figures *f, const char *folder);
__attribute__((warn_unused_result)) int report_document(const struct figures *f, const char *path);
/* The table of goals, as it stands in the document. */
void report_goals(const struct figures *f, FILE *to);

#endif
