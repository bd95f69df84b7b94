/* http1_write.c - answers into bytes
 *
 * A head is small and its parts are known, so room for all of it is reserved once and the parts are
 * copied one behind the other; printf would cost more than the parsing of the request.
 */
#include "net/http1.h"

#include <stdio.h>
#include <time.h>

struct reason {
    int status;
    const char *text;
};

/* RFC 9110, 15; RFC 6585. */
static const struct reason reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *http1_reason(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "";
}

/* IMF-fixdate, always in English: so not strftime, which asks the locale. */
static void date_set(struct http1_date *date, int64_t second)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static const int64_t year_10000 = 253402300800;
    time_t time = second < 0 ? 0 : second < year_10000 ? second : year_10000 - 1;
    struct tm tm = {0};
    gmtime_r(&time, &tm);
    date->second = second;
    snprintf(date->line, sizeof date->line, "Date: %s, %02u %s %04u %02u:%02u:%02u GMT\r\n",
             days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 32, months[tm.tm_mon % 12],
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 24,
             (unsigned)tm.tm_min % 60, (unsigned)tm.tm_sec % 61);
}

static char *put(char *at, const char *bytes, size_t n)
{
    if (n)
        memcpy(at, bytes, n);
    return at + n;
}

static char *put_text(char *at, const char *text)
{
    return put(at, text, strlen(text));
}

static char *put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return put(at, digits + n, sizeof digits - n);
}

static char *put_head(char *at, const struct http1_answer *answer, const char *date_line)
{
    int status = answer->status;
    at = put_text(at, "HTTP/1.1 ");
    at = put_number(at, (uint64_t)status);
    at = put_text(at, " ");
    at = put_text(at, http1_reason(status));
    at = put_text(at, "\r\n");
    at = put_text(at, date_line);
    if (status >= 200 && status != 204 && status != 304 && !answer->is_stream) {
        at = put_text(at, "Content-Length: ");
        at = put_number(at, status == 205 ? 0 : answer->body.len);
        at = put_text(at, "\r\n");
    }
    if (answer->content_type) {
        at = put_text(at, "Content-Type: ");
        at = put_text(at, answer->content_type);
        at = put_text(at, "\r\n");
    }
    if (answer->headers)
        at = put_text(at, answer->headers);
    if (answer->close)
        at = put_text(at, "Connection: close\r\n");
    else if (answer->keep_alive)
        at = put_text(at, "Connection: keep-alive\r\n");
    return put_text(at, "\r\n");
}

void http1_write(struct buf *out, const struct http1_answer *answer, struct http1_date *date,
                 int64_t now_ms)
{
    enum { FIXED_PARTS_MAX = 256 }; /* all of put_head() but for what the answer brings */
    int64_t second = now_ms / 1000;
    if (date->second != second || !date->line[0])
        date_set(date, second);
    int status = answer->status;
    bool has_body = !answer->head_only && status >= 200 && status != 204 && status != 205 &&
                    status != 304;
    size_t body_len = has_body ? answer->body.len : 0;
    size_t brought = (answer->content_type ? strlen(answer->content_type) : 0) +
                     (answer->headers ? strlen(answer->headers) : 0);
    char *at = buf_reserve(out, FIXED_PARTS_MAX + brought + body_len);
    at = put_head(at, answer, date->line);
    at = put(at, answer->body.at, body_len);
    out->len = (size_t)(at - out->at);
}

static void json_text(struct buf *out, const char *text)
{
    buf_byte(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_byte(out, '\\');
        if ((uint8_t)*text < 0x20)
            buf_printf(out, "\\u%04x", (unsigned)*text);
        else
            buf_byte(out, (uint8_t)*text);
    }
    buf_byte(out, '"');
}

void http1_problem(struct buf *out, int status, const char *detail)
{
    buf_printf(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":",
               http1_reason(status), status);
    json_text(out, detail);
    buf_byte(out, '}');
}
