/* main.h - the wiring: a loop, a server, a front, a partition, threads */
#ifndef MAIN_H
#define MAIN_H

#include "front/front.h"

struct options {
    const char *program; /* as it was called */
    const char *address;
    uint16_t port;
    const char *data;
};

/* Serves until SIGTERM or SIGINT. The exit code. */
int serve(const struct options *options, const ks_function *functions);

/* "Functions:" and who they are, as the host this follows prints it. */
void print_functions(const ks_function *functions, const char *address, uint16_t port);

/* Exit codes, beside 0 and die.h's 70. */
enum {
    EXIT_USAGE = 64,  /* wrong options or settings, a wrong table of functions */
    EXIT_DATA = 65,   /* the data is damaged */
    EXIT_BUSY = 69,   /* port or folder in use */
    EXIT_ACCESS = 73, /* the folder cannot be made or written */
    EXIT_IO = 74      /* the disk failed */
};

#endif
