#include "base/die.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void die(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "keepsake: %s\n", text);
    fflush(stderr);
    _exit(70);
}

static void *or_die(void *at, size_t size)
{
    if (!at)
        die("out of memory: %zu bytes were asked for and not to be had", size);
    return at;
}

void *die_malloc(size_t size)
{
    return or_die(malloc(size ? size : 1), size);
}

void *die_zalloc(size_t size)
{
    return or_die(calloc(1, size ? size : 1), size);
}

void *die_realloc(void *at, size_t size)
{
    return or_die(realloc(at, size ? size : 1), size);
}

char *die_strndup(const char *text, size_t len)
{
    char *copy = die_malloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}
