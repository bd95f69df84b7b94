#include "base/blackbox.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLACKBOX_BYTES = 4096 };

uint64_t *blackbox_map(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (file < 0)
        return NULL;
    void *at = MAP_FAILED;
    if (ftruncate(file, BLACKBOX_BYTES) == 0)
        at = mmap(NULL, BLACKBOX_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return at == MAP_FAILED ? NULL : at;
}
