/* examples NAME start [--port 7071] ...: runs the example of that name, each with a folder of data
 * of its own if you say --data. */
#include "examples.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const ks_function *functions;
} examples[] = {
    {"chaining", chaining}, {"fan_out_fan_in", fan_out_fan_in},       {"async_http", async_http},
    {"monitor", monitor},   {"human_interaction", human_interaction}, {"aggregator", aggregator},
};
enum { COUNT = sizeof examples / sizeof examples[0] };

int main(int argc, char **argv)
{
    for (size_t i = 0; i < COUNT && argc > 1; i++)
        if (strcmp(argv[1], examples[i].name) == 0)
            return ks_main(argc - 1, argv + 1, examples[i].functions);
    fprintf(stderr, "examples NAME start [--port 7071] [--data DIR], with a NAME of:\n");
    for (size_t i = 0; i < COUNT; i++)
        fprintf(stderr, "  %s\n", examples[i].name);
    return 2;
}
