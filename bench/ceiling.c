/* ceiling.c - the registry by hand, to measure Keepsake against
 *
 * What somebody would write who wants this one program and nothing of what an engine gives: one
 * loop, a hash table, one log that was written full beforehand, the least HTTP that works. A turn
 * of the loop reads what has arrived, applies it, does one pwrite and one fdatasync for all of it,
 * and only then answers. It recovers nothing, closes nothing by time, limits nothing and believes
 * every request: it is the ceiling, not an alternative.
 *
 *     ceiling start --port N --data DIR
 *
 * Log: a record is a letter (O, A, F), the id, and for A two bytes of length and the item; a turn's
 * records are padded to a whole block with zeros, which made it a tenth faster than writing the
 * last block twice. The log starts again at its front when it is full.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_BYTES = 64 << 20,
    TURN_LOG_BYTES = 8 << 20,
    BLOCK_BYTES = 4096,
    BUCKETS = 1 << 20,
    EVENTS_MAX = 256,
    FD_MAX = 4096,
    IN_MAX = 65536,
    ID_LEN = 32,
    OPEN_FOR_MS = 300000
};

struct item {
    struct item *next;
    uint32_t len;
    char text[];
};

struct registry {
    struct registry *next;
    char id[ID_LEN + 1];
    bool is_closed;
    int64_t opened_ms, closed_ms;
    struct item *first, **end;
};

struct connection {
    int fd;
    size_t in_len, out_len, out_cap;
    char *out;
    char in[IN_MAX];
};

struct ceiling {
    struct registry **buckets;
    struct connection *connections[FD_MAX];
    int log;
    int64_t log_offset;
    char *turn_log;
    size_t turn_log_len;
    int64_t now_ms;
    uint64_t registry_count, items_count, closed_count;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "ceiling: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *need(void *at)
{
    if (!at)
        fail("memory");
    return at;
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- log ----------------------------------------------------------------------------------- */

static void log_open(struct ceiling *c, const char *folder)
{
    char path[512];
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        fail(folder);
    snprintf(path, sizeof path, "%s/log", folder);
    c->log = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (c->log < 0)
        fail(path);
    c->turn_log = need(calloc(1, TURN_LOG_BYTES));
    for (int64_t at = 0; at < LOG_BYTES; at += TURN_LOG_BYTES)
        if (pwrite(c->log, c->turn_log, TURN_LOG_BYTES, at) != TURN_LOG_BYTES)
            fail(path);
    if (fsync(c->log) < 0)
        fail(path);
    /* Else a small write dirties the 2 MiB folio that the large one above left in the page cache:
     * twice the CPU of a sync, and /proc/PID/io counts all of it. */
    posix_fadvise(c->log, 0, 0, POSIX_FADV_DONTNEED);
}

static void log_sync(struct ceiling *c)
{
    if (c->turn_log_len == 0)
        return;
    size_t padding = (BLOCK_BYTES - c->turn_log_len % BLOCK_BYTES) % BLOCK_BYTES;
    memset(c->turn_log + c->turn_log_len, 0, padding);
    c->turn_log_len += padding;
    if (c->log_offset + (int64_t)c->turn_log_len > LOG_BYTES)
        c->log_offset = 0;
    if (pwrite(c->log, c->turn_log, c->turn_log_len, c->log_offset) != (ssize_t)c->turn_log_len ||
        fdatasync(c->log) < 0)
        fail("log");
    c->log_offset += (int64_t)c->turn_log_len;
    c->turn_log_len = 0;
}

static void log_put(struct ceiling *c, char kind, const char *id, const char *item, size_t len)
{
    if (c->turn_log_len + 3 + ID_LEN + len > TURN_LOG_BYTES)
        log_sync(c);
    char *at = c->turn_log + c->turn_log_len;
    *at++ = kind;
    memcpy(at, id, ID_LEN);
    at += ID_LEN;
    if (kind == 'A') {
        *at++ = (char)(len & 0xff);
        *at++ = (char)(len >> 8);
        memcpy(at, item, len);
        at += len;
    }
    c->turn_log_len = (size_t)(at - c->turn_log);
}

/* ---- registries ---------------------------------------------------------------------------- */

/* Ids are random: their first digits are their hash. */
static struct registry **bucket_of(struct ceiling *c, const char *id)
{
    uint64_t hash = 0;
    for (int i = 0; i < 8; i++)
        hash = hash << 4 | (uint64_t)((id[i] & 0xf) + (id[i] >> 6) * 9);
    return &c->buckets[hash % BUCKETS];
}

static struct registry *registry_find(struct ceiling *c, const char *id)
{
    struct registry *r = *bucket_of(c, id);
    while (r && memcmp(r->id, id, ID_LEN) != 0)
        r = r->next;
    return r;
}

static struct registry *registry_open(struct ceiling *c)
{
    static uint8_t random[4096];
    static size_t used = sizeof random;
    struct registry *r = need(calloc(1, sizeof *r));

    if (used == sizeof random) {
        if (getrandom(random, sizeof random, 0) != sizeof random)
            fail("getrandom");
        used = 0;
    }
    for (int i = 0; i < ID_LEN; i += 2, used++) {
        r->id[i] = "0123456789abcdef"[random[used] >> 4];
        r->id[i + 1] = "0123456789abcdef"[random[used] & 15];
    }
    r->opened_ms = c->now_ms;
    r->end = &r->first;
    struct registry **bucket = bucket_of(c, r->id);
    r->next = *bucket;
    *bucket = r;
    c->registry_count++;
    log_put(c, 'O', r->id, NULL, 0);
    return r;
}

static void registry_add(struct ceiling *c, struct registry *r, const char *text, size_t len)
{
    struct item *item = need(malloc(sizeof *item + len));
    item->next = NULL;
    item->len = (uint32_t)len;
    memcpy(item->text, text, len);
    *r->end = item;
    r->end = &item->next;
    c->items_count++;
    log_put(c, 'A', r->id, text, len);
}

/* ---- answers ------------------------------------------------------------------------------- */

static char *out_reserve(struct connection *to, size_t n)
{
    if (to->out_len + n > to->out_cap) {
        to->out_cap = (to->out_len + n) * 2;
        to->out = need(realloc(to->out, to->out_cap));
    }
    return to->out + to->out_len;
}

static void answer(struct connection *to, int status, const char *type, const char *body,
                   size_t len)
{
    char *at = out_reserve(to, len + 256);
    int n = sprintf(at,
                    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\n"
                    "Content-Length: %zu\r\n\r\n",
                    status, status == 200 ? "OK" : "Bad Request", type, len);
    memcpy(at + n, body, len);
    to->out_len += (size_t)n + len;
}

static void answer_text(struct connection *to, int status, const char *text)
{
    answer(to, status, "text/plain; charset=utf-8", text, strlen(text));
}

static size_t put_time(char *at, int64_t ms)
{
    struct tm tm;
    time_t s = ms / 1000;
    gmtime_r(&s, &tm);
    size_t n = strftime(at, 32, "\"%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)sprintf(at + n, ".%03dZ\"", (int)(ms % 1000));
}

static size_t put_item(char *at, const struct item *item)
{
    char *start = at;
    *at++ = '"';
    for (size_t i = 0; i < item->len; i++) {
        unsigned char byte = (unsigned char)item->text[i];
        if (byte < 0x20) {
            at += sprintf(at, "\\u%04x", byte);
            continue;
        }
        if (byte == '"' || byte == '\\')
            *at++ = '\\';
        *at++ = (char)byte;
    }
    *at++ = '"';
    return (size_t)(at - start);
}

static void answer_peek(struct connection *to, const struct registry *r)
{
    size_t size = 512, n;
    for (const struct item *item = r->first; item; item = item->next)
        size += 6 * (size_t)item->len + 3;
    char *json = need(malloc(size));
    n = (size_t)sprintf(json, "{\"status\":\"%s\",\"registry\":{\"id\":\"%s\",\"items\":[",
                        r->is_closed ? "Closed" : "Open", r->id);
    for (const struct item *item = r->first; item; item = item->next) {
        if (item != r->first)
            json[n++] = ',';
        n += put_item(json + n, item);
    }
    n += (size_t)sprintf(json + n, "]},\"closesAt\":");
    n += put_time(json + n, r->opened_ms + OPEN_FOR_MS);
    if (r->is_closed) {
        n += (size_t)sprintf(json + n, ",\"closedAt\":");
        n += put_time(json + n, r->closed_ms);
        n += (size_t)sprintf(json + n, ",\"closedBy\":\"user\"");
    }
    json[n++] = '}';
    answer(to, 200, "application/json; charset=utf-8", json, n);
    free(json);
}

static void answer_stats(struct connection *to, const struct ceiling *c)
{
    char json[200];
    int n = sprintf(json,
                    "{\"registryCount\":%llu,\"itemsCount\":%llu,\"openCount\":%llu,"
                    "\"closedCount\":%llu}",
                    (unsigned long long)c->registry_count, (unsigned long long)c->items_count,
                    (unsigned long long)(c->registry_count - c->closed_count),
                    (unsigned long long)c->closed_count);
    answer(to, 200, "application/json; charset=utf-8", json, (size_t)n);
}

/* ---- requests ------------------------------------------------------------------------------ */

static int hex_digit(char digit)
{
    return (digit & 0xf) + (digit >> 6) * 9;
}

static size_t decode(const char *at, size_t len, char *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (at[i] == '%' && i + 2 < len) {
            ret[n++] = (char)(hex_digit(at[i + 1]) << 4 | hex_digit(at[i + 2]));
            i += 2;
        } else {
            ret[n++] = at[i];
            if (at[i] == '+')
                ret[n - 1] = ' ';
        }
    }
    return n;
}

static bool starts_with(const char *at, size_t len, const char *with)
{
    size_t n = strlen(with);
    return len >= n && memcmp(at, with, n) == 0;
}

static void change(struct ceiling *c, struct connection *to, const char *at, size_t len)
{
    static char item[IN_MAX];
    bool is_add = starts_with(at, len, "Add/");
    size_t skip = is_add ? 4 : 7;
    struct registry *r = len >= skip + ID_LEN ? registry_find(c, at + skip) : NULL;

    if (!r || r->is_closed) {
        answer_text(to, 400, r ? "Instance is not active." : "Unable to find workflow");
        return;
    }
    at += skip + ID_LEN;
    len -= skip + ID_LEN;
    if (!is_add) {
        r->is_closed = true;
        r->closed_ms = c->now_ms;
        c->closed_count++;
        log_put(c, 'F', r->id, NULL, 0);
    } else if (starts_with(at, len, "?item=")) {
        registry_add(c, r, item, decode(at + 6, len - 6, item));
    }
    answer_text(to, 200, "");
}

/* at, len: the target. */
static void dispatch(struct ceiling *c, struct connection *to, const char *at, size_t len)
{
    if (starts_with(at, len, "/admin/host/ping")) {
        answer_text(to, 200, "");
    } else if (starts_with(at, len, "/api/Add/") || starts_with(at, len, "/api/Finish/")) {
        change(c, to, at + 5, len - 5);
    } else if (starts_with(at, len, "/api/Peek/") && len >= 10 + ID_LEN) {
        struct registry *r = registry_find(c, at + 10);
        if (r)
            answer_peek(to, r);
        else
            answer_text(to, 400, "Unable to find workflow");
    } else if (starts_with(at, len, "/api/Open")) {
        answer_text(to, 200, registry_open(c)->id);
    } else if (starts_with(at, len, "/api/Stats")) {
        answer_stats(to, c);
    } else {
        answer_text(to, 400, "what?");
    }
}

/* False when the connection is over. */
static bool serve(struct ceiling *c, struct connection *to)
{
    ssize_t n = read(to->fd, to->in + to->in_len, sizeof to->in - to->in_len);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    to->in_len += (size_t)n;
    char *at = to->in, *end = to->in + to->in_len, *line_end, *head_end;
    while ((head_end = memmem(at, (size_t)(end - at), "\r\n\r\n", 4))) {
        char *target = memchr(at, ' ', (size_t)(head_end - at));
        line_end = target ? memchr(target + 1, ' ', (size_t)(head_end - target - 1)) : NULL;
        if (!line_end)
            return false;
        dispatch(c, to, target + 1, (size_t)(line_end - target - 1));
        at = head_end + 4;
    }
    to->in_len = (size_t)(end - at);
    memmove(to->in, at, to->in_len);
    return true;
}

static bool flush(struct connection *to)
{
    size_t sent = 0;
    while (sent < to->out_len) {
        ssize_t n = write(to->fd, to->out + sent, to->out_len - sent);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd writable = {.fd = to->fd, .events = POLLOUT};
            poll(&writable, 1, 1000);
            continue;
        }
        if (n <= 0)
            return false;
        sent += (size_t)n;
    }
    to->out_len = 0;
    return true;
}

static void hang_up(struct ceiling *c, struct connection *to)
{
    c->connections[to->fd] = NULL;
    close(to->fd);
    free(to->out);
    free(to);
}

/* ---- loop ---------------------------------------------------------------------------------- */

static void accept_one(struct ceiling *c, int loop, int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (fd >= FD_MAX) {
        close(fd);
        return;
    }
    struct connection *to = c->connections[fd] = need(calloc(1, sizeof *to));
    to->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

static void turn(struct ceiling *c, int loop, int listener)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(loop, events, EVENTS_MAX, -1);
    c->now_ms = wall_ms();
    for (int i = 0; i < n; i++) {
        struct connection *to = c->connections[events[i].data.fd];
        if (!to)
            accept_one(c, loop, listener);
        else if (!serve(c, to))
            hang_up(c, to);
    }
    log_sync(c);
    for (int i = 0; i < n; i++) {
        struct connection *to = c->connections[events[i].data.fd];
        if (to && to->out_len && !flush(to))
            hang_up(c, to);
    }
}

int main(int argc, char **argv)
{
    static struct ceiling c;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7071)};
    const char *data = "data";
    int one = 1, loop = epoll_create1(EPOLL_CLOEXEC);

    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--port") == 0)
            at.sin_port = htons((uint16_t)atoi(argv[i + 1]));
        if (strcmp(argv[i], "--data") == 0)
            data = argv[i + 1];
    }
    c.buckets = need(calloc(BUCKETS, sizeof(struct registry *)));
    log_open(&c, data);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 1024) < 0)
        fail("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;)
        turn(&c, loop, listener);
}
