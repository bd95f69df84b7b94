#include "registry.h"

int main(int argc, char **argv)
{
    return ks_main(argc, argv, registry_functions);
}
