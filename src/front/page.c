#include "front/page.h"

#include <strings.h>

static const char policy[] =
    "Content-Security-Policy: default-src 'none'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'; ";
static const char safety[] =
    "Cache-Control: no-cache\r\n"
    "Vary: Accept-Encoding\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Permissions-Policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()\r\n";

const ks_page *page_find(const ks_function *functions, struct str path)
{
    for (const ks_function *fn = functions; fn->kind != KS_FN_END; fn++) {
        if (fn->kind != KS_FN_PAGES)
            continue;
        for (const ks_page *page = fn->pages; page->path; page++)
            if (str_is(path, str_of(page->path)))
                return page;
    }
    return NULL;
}

/* The next word of a header's value that is a list, without blanks and with its parameters; false
 * after the last. */
static bool next_word(struct str *rest, struct str *ret)
{
    while (rest->len && strchr(", \t", rest->at[0]))
        *rest = (struct str){rest->at + 1, rest->len - 1};
    size_t len = 0;
    while (len < rest->len && rest->at[len] != ',')
        len++;
    *ret = (struct str){rest->at, len};
    *rest = (struct str){rest->at + len, rest->len - len};
    while (ret->len && strchr(" \t", ret->at[ret->len - 1]))
        ret->len--;
    return ret->len > 0;
}

/* gzip, or gzip with any weight but 0 (RFC 9110, 12.5.3). */
static bool takes_gzip(const struct http1_request *http)
{
    struct str word, rest = http1_find(http, "Accept-Encoding");
    while (next_word(&rest, &word)) {
        if (word.len < 4 || strncasecmp(word.at, "gzip", 4) != 0)
            continue;
        size_t at = 4;
        bool is_refused = word.len > 4;
        while (at < word.len && strchr(" \t;qQ=", word.at[at]))
            at++;
        for (; at < word.len; at++)
            is_refused &= word.at[at] == '0' || word.at[at] == '.';
        return !is_refused;
    }
    return false;
}

/* The plain and the compressed file have the same name here, and a browser that has either has it;
 * both are compared weakly, as If-None-Match is (RFC 9110, 13.1.2). */
static bool has_it(const struct http1_request *http, const char *etag)
{
    struct str word, rest = http1_find(http, "If-None-Match");
    size_t len = strlen(etag);
    while (next_word(&rest, &word)) {
        if (str_is(word, STR("*")))
            return true;
        if (word.len > 2 && strncmp(word.at, "W/", 2) == 0)
            word = (struct str){word.at + 2, word.len - 2};
        if (word.len > len + 1 && word.at[0] == '"' && memcmp(word.at + 1, etag, len) == 0 &&
            strchr("\"-", word.at[len + 1]))
            return true;
    }
    return false;
}

void page_answer(const ks_page *page, const struct http1_request *http, struct buf *headers,
                 struct http1_answer *ret)
{
    bool is_gzip = takes_gzip(http);
    headers->len = 0;
    buf_printf(headers, "ETag: \"%s%s\"\r\n%sstyle-src '%s'; script-src 'self'", page->etag,
               is_gzip ? "-gzip" : "", policy, page->style ? page->style : "none");
    if (page->script)
        buf_printf(headers, " '%s'", page->script);
    buf_printf(headers, "\r\n%s", safety);
    *ret = (struct http1_answer){.status = 304};
    if (!has_it(http, page->etag)) {
        if (is_gzip)
            buf_str(headers, "Content-Encoding: gzip\r\n");
        ret->status = 200;
        ret->content_type = page->content_type;
        ret->body = is_gzip ? (struct str){page->gzip, page->gzip_len}
                            : (struct str){page->bytes, page->len};
    }
    buf_byte(headers, 0);
    ret->headers = headers->at;
}
