/* replay.c - runs a target over kept files: NAME FILE-OR-FOLDER...
 *
 * Each file goes into a block that is exactly as large, so that a look behind it is seen. The last
 * line is "N passed, 0 failed"; one that fails ends the process, and its name stands above.
 */
#include "base/die.h"
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static size_t replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct buf bytes = {0};
    char part[4096];
    fuzz_check(file, "cannot be read");
    for (size_t n; (n = fread(part, 1, sizeof part, file)) > 0;)
        buf_append(&bytes, part, n);
    fclose(file);
    uint8_t *block = die_malloc(bytes.len);
    if (bytes.len)
        memcpy(block, bytes.at, bytes.len);
    LLVMFuzzerTestOneInput(block, bytes.len);
    free(block);
    buf_free(&bytes);
    return 1;
}

static size_t replay_all(const char *path)
{
    DIR *folder = opendir(path);
    size_t count = 0;
    fuzz_file = path;
    if (!folder)
        return replay(path);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        fuzz_file = name;
        count += entry->d_name[0] == '.' ? 0 : replay(name);
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++)
        count += replay_all(argv[i]);
    printf("%zu passed, 0 failed\n", count);
    return 0;
}
