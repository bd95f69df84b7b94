#include "base/url.h"

#include <ctype.h>

static bool begins_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_is_nocase((struct str){s.at, prefix.len}, prefix);
}

/* Where host and port begin; 0: it is neither http nor https. */
static size_t authority_of(struct str url)
{
    size_t len = STR("https://").len;
    if (begins_with(url, STR("https://")))
        return len;
    return begins_with(url, STR("http://")) ? len - 1 : 0;
}

static size_t find_any(struct str s, size_t from, const char *any)
{
    while (from < s.len && !strchr(any, s.at[from]))
        from++;
    return from;
}

bool url_is_good(struct str url)
{
    size_t from = authority_of(url);
    if (!from || url.len > URL_BYTES_MAX)
        return false;
    for (size_t i = 0; i < url.len; i++)
        if (url.at[i] <= ' ' || url.at[i] > '~' || strchr("\"<>\\^`{|}", url.at[i]))
            return false;
    size_t end = find_any(url, from, "/?#");
    return end > from && url.at[from] != ':' && !memchr(url.at + from, '@', end - from);
}

bool url_is_tls(struct str url)
{
    return begins_with(url, STR("https://"));
}

bool url_same_origin(struct str url, struct str other)
{
    struct str a = {url.at, find_any(url, authority_of(url), "/?#")};
    struct str b = {other.at, find_any(other, authority_of(other), "/?#")};
    return authority_of(url) && str_is_nocase(a, b);
}

/* "mailto:", "https:" */
static bool has_scheme(struct str reference)
{
    static const char scheme_bytes[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
    size_t i = 0;
    while (i < reference.len && strchr(scheme_bytes, reference.at[i]) && reference.at[i])
        i++;
    return i > 0 && isalpha((unsigned char)reference.at[0]) && i < reference.len &&
           reference.at[i] == ':';
}

/* RFC 3986, section 5.2.2, without the removal of dot segments. */
const char *url_resolve(ks_arena *mem, struct str base, struct str reference)
{
    size_t authority = authority_of(base);
    size_t path = find_any(base, authority, "/?#");
    size_t keep = find_any(base, path, "?#"); /* of the base, before the reference */
    if (has_scheme(reference))
        keep = 0;
    else if (begins_with(reference, STR("//")))
        keep = authority - 2;
    else if (begins_with(reference, STR("/")))
        keep = path;
    else if (reference.len && reference.at[0] != '?' && reference.at[0] != '#')
        while (keep > path && base.at[keep - 1] != '/')
            keep--;
    bool needs_slash = keep == path && keep > 0 && !begins_with(reference, STR("/"));
    return ks_format(mem, "%.*s%s%.*s", (int)keep, base.at, needs_slash ? "/" : "",
                     (int)reference.len, reference.at);
}
