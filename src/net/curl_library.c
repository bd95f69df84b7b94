#include "net/curl_library.h"

#include <dlfcn.h>
#include <stddef.h>

/* What Debian's libcurl4 installs; 4 has been the number of the binary interface since 2006. */
static const char file[] = "libcurl.so.4";

static const struct {
    const char *name;
    size_t place;
} functions[] = {
    {"curl_global_init", offsetof(struct curl_library, global_init)},
    {"curl_easy_init", offsetof(struct curl_library, easy_init)},
    {"curl_easy_setopt", offsetof(struct curl_library, easy_setopt)},
    {"curl_easy_getinfo", offsetof(struct curl_library, easy_getinfo)},
    {"curl_easy_perform", offsetof(struct curl_library, easy_perform)},
    {"curl_easy_reset", offsetof(struct curl_library, easy_reset)},
    {"curl_easy_cleanup", offsetof(struct curl_library, easy_cleanup)},
    {"curl_easy_strerror", offsetof(struct curl_library, easy_strerror)},
    {"curl_slist_append", offsetof(struct curl_library, slist_append)},
    {"curl_slist_free_all", offsetof(struct curl_library, slist_free_all)},
};

bool curl_library_load(struct curl_library *ret)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library && i < sizeof functions / sizeof functions[0]; i++) {
        /* ISO C converts no object pointer to a function pointer; POSIX says they are the same. */
        void **place = (void **)(void *)((char *)ret + functions[i].place);
        *place = dlsym(library, functions[i].name);
        if (!*place)
            return false;
    }
    return library && ret->global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}
