#include "main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void print_help(const char *program, const ks_function *functions)
{
    printf("%s start [--port 7071] [--address 127.0.0.1] [--data DIR]\n"
           "%s --help\n"
           "%s --version\n"
           "\n"
           "start serves until SIGTERM or SIGINT; everything it knows is in DIR (default: data).\n",
           program, program, program);
    bool is_first = true;
    for (const ks_function *fn = functions; fn->kind != KS_FN_END; fn++) {
        if (fn->kind != KS_FN_SETTING)
            continue;
        if (is_first)
            printf("\nFrom the environment:\n");
        is_first = false;
        printf("  %s (default %s): %s\n", fn->name,
               fn->setting.value[0] ? fn->setting.value : "none", fn->setting.help);
    }
}

static int usage(const char *program, const char *what, const char *value)
{
    fprintf(stderr, "%s: %s%s; try %s --help\n", program, what, value, program);
    return EXIT_USAGE;
}

static bool parse_port(const char *text, uint16_t *ret)
{
    char *end;
    errno = 0;
    long port = strtol(text, &end, 10);
    if (errno || end == text || *end || port < 0 || port > 65535)
        return false;
    *ret = (uint16_t)port;
    return true;
}

/* The value of an option, in the same word behind = or in the next; NULL when there is none. */
static const char *option_value(const char *name, char **argv, int *i)
{
    size_t len = strlen(name);
    if (strncmp(argv[*i], name, len) != 0)
        return NULL;
    if (argv[*i][len] == '=')
        return argv[*i] + len + 1;
    if (argv[*i][len] || !argv[*i + 1])
        return NULL;
    return argv[++*i];
}

static int start(struct options *options, char **argv, const ks_function *functions)
{
    for (int i = 0; argv[i]; i++) {
        const char *value;
        const char *word = argv[i];
        if ((value = option_value("--address", argv, &i))) {
            options->address = value;
        } else if ((value = option_value("--data", argv, &i))) {
            options->data = value;
        } else if ((value = option_value("--port", argv, &i))) {
            if (!parse_port(value, &options->port))
                return usage(options->program, "the port has to be 0 to 65535, not ", value);
        } else {
            return usage(options->program, "unknown or without its value: ", word);
        }
    }
    return serve(options, functions);
}

int ks_main(int argc, char **argv, const ks_function *functions)
{
    struct options options = {.program = argc ? base_name(argv[0]) : "keepsake",
                              .address = "127.0.0.1",
                              .port = 7071,
                              .data = "data"};
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help(options.program, functions);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("%s (Keepsake %s)\n", options.program, KS_VERSION);
        return 0;
    }
    if (argc >= 2 && strcmp(argv[1], "start") == 0)
        return start(&options, argv + 2, functions);
    if (argc < 2) {
        print_help(options.program, functions);
        return EXIT_USAGE;
    }
    return usage(options.program, "unknown: ", argv[1]);
}
