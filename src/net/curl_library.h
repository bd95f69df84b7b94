/* curl_library.h - libcurl, loaded when it is first needed
 *
 * libcurl brings thirty other libraries along. Linked, they cost every start of the program 8 ms
 * (measured: 3 ms became 11) and 4 MiB of memory, also of those that never ask anybody. So it is
 * loaded by the first exchange, on the thread of that exchange.
 */
#ifndef NET_CURL_LIBRARY_H
#define NET_CURL_LIBRARY_H

#include <curl/curl.h>
#include <stdbool.h>

/* Its functions, without the prefix "curl_". */
struct curl_library {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
    CURLcode (*easy_perform)(CURL *curl);
    void (*easy_reset)(CURL *curl);
    void (*easy_cleanup)(CURL *curl);
    const char *(*easy_strerror)(CURLcode code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
};

/* False: it is not there, or not whole. It stays loaded until the process ends. */
bool curl_library_load(struct curl_library *ret);

#endif
