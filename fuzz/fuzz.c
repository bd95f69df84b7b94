#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

const char *fuzz_file = "";

void fuzz_check(bool is_so, const char *format, ...)
{
    va_list args;
    if (is_so)
        return;
    va_start(args, format);
    fprintf(stderr, "\n%s: ", fuzz_file);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

/* The linker puts it in die()'s place: libFuzzer would take an _exit() for the end of its work. */
_Noreturn void __wrap_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "\n%s: the process would die: ", fuzz_file);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}
