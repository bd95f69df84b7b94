/* fuzz.h - everything that reads what strangers or a disk wrote, under libFuzzer
 *
 * Each fuzz_NAME.c is one LLVMFuzzerTestOneInput(): it reads the bytes as the engine would and then
 * says what has to hold of the outcome. That there is no crash is the least of it.
 *
 *     libFuzzer ---- build/clang-fuzz/fuzz/NAME     make fuzz: looks for new ones
 *     replay.c  ---- build/V/fuzz/NAME              make test: runs those kept in corpus/NAME
 *
 * A file in corpus/NAME is kept because it reaches a branch that no other there does, or because it
 * was found once; docs/RELIABILITY.md says how to keep one. A process that dies (die.h) while a
 * target runs counts as found.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Ends the process, with the text, unless it is so. */
void fuzz_check(bool is_so, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The name of the file that is being replayed; "" under the fuzzer. */
extern const char *fuzz_file;

#endif
