/* client.c - see client.h
 *
 * An answer is copied out of the connection's buffer, so that it can end with NUL while the bytes
 * of a pipelined next one stay where they are.
 */
#include "client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ANSWER_TIMEOUT_S = 20,
    START_TIMEOUT_MS = 60000, /* a sanitizer's start with a long recovery */
    STOP_TIMEOUT_MS = 30000,
    SETTINGS_MAX = 16
};

extern char **environ;

/* ---- client -------------------------------------------------------------------------------- */

void client_init(struct client *c, uint16_t port)
{
    *c = (struct client){.port = port, .fd = -1};
}

void client_disconnect(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->len = 0;
}

void client_free(struct client *c)
{
    client_disconnect(c);
    free(c->buf);
    free(c->answer);
    *c = (struct client){.fd = -1};
}

/* A connect() to a free port of the ephemeral range can meet itself (simultaneous open). */
static bool is_connected_to_itself(int fd)
{
    struct sockaddr_in here = {0}, there = {0};
    socklen_t here_len = sizeof here, there_len = sizeof there;
    return getsockname(fd, (struct sockaddr *)&here, &here_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &there_len) == 0 &&
           here.sin_port == there.sin_port;
}

int client_connect(struct client *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(c->port)};
    struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    int one = 1;

    client_disconnect(c);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    int err = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? 0 : -errno;
    if (err == 0 && is_connected_to_itself(fd))
        err = -ECONNREFUSED;
    if (err < 0)
        close(fd);
    else
        c->fd = fd;
    return err;
}

int client_send(struct client *c, const void *bytes, size_t len)
{
    const char *at = bytes;
    assert(c->fd >= 0);
    while (len > 0) {
        ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Reads what there is, behind what is there. 0 at the end of the connection. */
static int64_t fill(struct client *c)
{
    if (c->cap - c->len < 16384) {
        c->cap = c->cap ? c->cap * 2 : 65536;
        c->buf = realloc(c->buf, c->cap);
        assert(c->buf);
    }
    ssize_t n;
    do
        n = recv(c->fd, c->buf + c->len, c->cap - c->len, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    c->len += (size_t)n;
    return n;
}

void answer_header(const struct answer *a, const char *name, char *ret, size_t size)
{
    size_t name_len = strlen(name);
    ret[0] = 0;
    for (const char *line = strstr(a->head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        const char *value = line + name_len + 1;
        value += strspn(value, " \t");
        snprintf(ret, size, "%.*s", (int)strcspn(value, "\r"), value);
        return;
    }
}

/* The head_len bytes at the front of the buffer are a whole head. */
static int body_length(const struct answer *a, bool is_head, size_t *ret)
{
    char text[32], *end = NULL;
    *ret = 0;
    if (a->status < 100)
        return -EPROTO;
    if (is_head || a->status / 100 == 1 || a->status == 204 || a->status == 304)
        return 0;
    answer_header(a, "Content-Length", text, sizeof text);
    if (!isdigit((unsigned char)text[0]))
        return -EPROTO;
    *ret = strtoull(text, &end, 10);
    return *end == 0 ? 0 : -EPROTO;
}

static int read_head(struct client *c, struct answer *a, size_t *ret_len)
{
    const char *end;
    while (!(end = c->len ? memmem(c->buf, c->len, "\r\n\r\n", 4) : NULL)) {
        int64_t n = fill(c);
        if (n <= 0)
            return n < 0 ? (int)n : -ECONNRESET;
    }
    *ret_len = (size_t)(end - c->buf) + 4;
    free(c->answer);
    c->answer = malloc(*ret_len + 1);
    assert(c->answer);
    memcpy(c->answer, c->buf, *ret_len);
    c->answer[*ret_len - 2] = 0;
    *a = (struct answer){.head = c->answer, .body = c->answer + *ret_len};
    sscanf(a->head, "HTTP/1.%*1[01] %3d", &a->status);
    return 0;
}

int client_read(struct client *c, bool is_head, struct answer *ret)
{
    size_t head_len = 0, body_len = 0;
    struct answer a = {0};

    assert(c->fd >= 0);
    int err = read_head(c, &a, &head_len);
    if (err < 0)
        return err;
    assert(a.head);
    err = body_length(&a, is_head, &body_len);
    if (err < 0)
        return err;
    while (c->len < head_len + body_len) {
        int64_t n = fill(c);
        if (n <= 0)
            return n < 0 ? (int)n : -ECONNRESET;
    }
    c->answer = realloc(c->answer, head_len + body_len + 1);
    assert(c->answer);
    memcpy(c->answer + head_len, c->buf + head_len, body_len);
    c->answer[head_len + body_len] = 0;
    c->len -= head_len + body_len;
    memmove(c->buf, c->buf + head_len + body_len, c->len);
    a.head = c->answer;
    a.body = c->answer + head_len;
    a.body_len = body_len;
    *ret = a;
    return 0;
}

static int send_ask(struct client *c, const struct ask *ask)
{
    const char *key = ask->key ? ask->key : "", *type = ask->type ? ask->type : "";
    char length[48] = "", *bytes = NULL;

    if (ask->body)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", ask->body_len);
    int head_len = asprintf(&bytes, "%s %s HTTP/1.1\r\nHost: localhost:%u\r\n%s%s%s%s%s%s%s%s\r\n",
                            ask->method ? ask->method : "GET", ask->path, c->port, length,
                            *type ? "Content-Type: " : "", type, *type ? "\r\n" : "",
                            *key ? "Idempotency-Key: " : "", key, *key ? "\r\n" : "",
                            ask->headers ? ask->headers : "");
    assert(head_len > 0);
    size_t len = (size_t)head_len;
    if (ask->body) {
        bytes = realloc(bytes, len + ask->body_len);
        assert(bytes);
        memcpy(bytes + len, ask->body, ask->body_len);
        len += ask->body_len;
    }
    int err = client_send(c, bytes, len);
    free(bytes);
    return err;
}

int client_ask(struct client *c, const struct ask *ask, struct answer *ret)
{
    char connection[32];
    struct answer a = {0};
    int err = c->fd >= 0 ? 0 : client_connect(c);
    if (err == 0)
        err = send_ask(c, ask);
    if (err == 0)
        err = client_read(c, ask->method && strcmp(ask->method, "HEAD") == 0, &a);
    if (err < 0) {
        client_disconnect(c);
        return err;
    }
    answer_header(&a, "Connection", connection, sizeof connection);
    if (strcasecmp(connection, "close") == 0)
        client_disconnect(c);
    *ret = a;
    return 0;
}

bool client_is_at_end(struct client *c)
{
    if (c->fd < 0)
        return true;
    if (c->len > 0)
        return false;
    int64_t n = fill(c);
    return n == 0 || n == -ECONNRESET;
}

/* ---- service ------------------------------------------------------------------------------- */

int port_find(uint16_t *ret)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int err = 0;
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        err = -errno;
    else
        *ret = ntohs(at.sin_port);
    close(fd);
    return err;
}

void path_beside(const char *name, char *ret, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", ret, size - 1);
    assert(n > 0);
    ret[n] = 0;
    char *slash = strrchr(ret, '/');
    assert(slash && (size_t)(slash - ret) + strlen(name) + 2 <= size);
    strcpy(slash + 1, name);
}

static int folder_make(char *ret, size_t size)
{
    const char *under = getenv("TMPDIR");
    int n = snprintf(ret, size, "%s/keepsake-XXXXXX", under && *under ? under : "/tmp");
    if (n < 0 || (size_t)n >= size)
        return -ENAMETOOLONG;
    return mkdtemp(ret) ? 0 : -errno;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void folder_remove(const char *path)
{
    assert(strstr(path, "/keepsake-"));
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Between fork and exec of a program with threads: only calls that are safe in a signal handler. */
_Noreturn static void run_child(const char *const argv[], char *const *env, int output)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execve(argv[0], (char *const *)(uintptr_t)argv, env);
    _exit(127);
}

int process_start(const char *const argv[], const char *const settings[], const char *output_path,
                  pid_t *ret)
{
    size_t n = 0, own = 0;
    while (environ[n])
        n++;
    char **env = calloc(n + SETTINGS_MAX + 1, sizeof *env);
    assert(env);
    /* getenv() gives the first of two; so the settings come first. */
    for (; settings && settings[own]; own++) {
        assert(own < SETTINGS_MAX);
        env[own] = (char *)(uintptr_t)settings[own];
    }
    memcpy(env + own, environ, n * sizeof *env);
    int output = open(output_path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    int err = output < 0 ? -errno : 0;
    if (err == 0) {
        pid_t pid = fork();
        if (pid == 0)
            run_child(argv, env, output);
        err = pid < 0 ? -errno : 0;
        if (err == 0)
            *ret = pid;
        close(output);
    }
    free(env);
    return err;
}

int process_wait(pid_t pid, int timeout_ms)
{
    int status = 0;
    int fd = pidfd_open(pid, 0);
    if (fd < 0)
        return -errno;
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    bool is_late = poll(&ended, 1, timeout_ms) == 0;
    close(fd);
    if (is_late)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    if (is_late)
        return -ETIMEDOUT;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *service_binary(void)
{
    static char path[PATH_MAX];
    const char *named = getenv("REGISTRY");
    if (named && *named)
        return named;
    path_beside("registry", path, sizeof path);
    return path;
}

int service_init(struct service *s, const char *binary)
{
    *s = (struct service){.binary = binary};
    int err = folder_make(s->folder, sizeof s->folder);
    if (err < 0)
        return err;
    snprintf(s->data, sizeof s->data, "%s/data", s->folder);
    snprintf(s->output, sizeof s->output, "%s/output", s->folder);
    return 0;
}

void service_free(struct service *s)
{
    if (s->pid)
        service_stop(s, SIGKILL);
    if (s->folder[0])
        folder_remove(s->folder);
    *s = (struct service){0};
}

int service_spawn(struct service *s, const char *const settings[])
{
    char port[8];
    assert(!s->pid);
    int err = port_find(&s->port);
    if (err < 0)
        return err;
    snprintf(port, sizeof port, "%u", s->port);
    const char *argv[] = {s->binary, "start", "--port", port, "--data", s->data, NULL};
    return process_start(argv, settings, s->output, &s->pid);
}

bool service_has_ended(const struct service *s)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == s->pid;
}

static int service_await(struct service *s)
{
    struct ask ping = {.path = "/admin/host/ping"};
    struct answer a = {0};
    struct client c;
    int err = -ETIMEDOUT;

    assert(s->pid);
    client_init(&c, s->port);
    for (int i = 0; i < START_TIMEOUT_MS; i++) {
        if (client_ask(&c, &ping, &a) == 0 && a.status == 200) {
            err = 0;
            break;
        }
        if (service_has_ended(s)) {
            err = -ECHILD;
            break;
        }
        nap_ms(1);
    }
    client_free(&c);
    return err;
}

int service_start(struct service *s, const char *const settings[])
{
    int err = service_spawn(s, settings);
    return err < 0 ? err : service_await(s);
}

int service_stop(struct service *s, int signal_number)
{
    assert(s->pid);
    kill(s->pid, signal_number);
    int code = process_wait(s->pid, STOP_TIMEOUT_MS);
    s->pid = 0;
    return code;
}

void output_read(const char *path, char *ret, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(ret, 1, size - 1, file) : 0;
    ret[n] = 0;
    if (file)
        fclose(file);
}

/* ---- text ---------------------------------------------------------------------------------- */

int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void nap_ms(int ms)
{
    struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&nap, NULL);
}

void url_encode(const char *text, size_t len, char *ret)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (isalnum(byte) || (byte && strchr("-._~", byte)))
            *ret++ = (char)byte;
        else
            ret += sprintf(ret, "%%%02X", byte);
    }
    *ret = 0;
}

const char *json_find(const char *json, const char *key)
{
    char quoted[64];
    int n = snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    return at ? at + n : NULL;
}

int64_t json_number(const char *json, const char *key)
{
    const char *at = json_find(json, key);
    return at && isdigit((unsigned char)*at) ? strtoll(at, NULL, 10) : -1;
}

static size_t put_utf8(char *ret, uint32_t code)
{
    if (code < 0x80) {
        ret[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        ret[i] = (char)(0x80 | (code & 0x3f));
    ret[0] = (char)((0xf00 >> n & 0xf0) | code);
    return n;
}

/* Behind a backslash; surrogates come in pairs. */
static const char *read_escape(const char *at, char ret[static 4], size_t *ret_len)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *letter = *at ? strchr(letters, *at) : NULL;
    unsigned code = 0, low = 0;
    if (letter) {
        ret[0] = bytes[letter - letters];
        *ret_len = 1;
        return at + 1;
    }
    if (sscanf(at, "u%4x", &code) != 1)
        return NULL;
    at += 5;
    if (code >= 0xd800 && code < 0xdc00 && sscanf(at, "\\u%4x", &low) == 1) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
    }
    *ret_len = put_utf8(ret, code);
    return at;
}

const char *json_string(const char *at, char *ret, size_t size, size_t *ret_len)
{
    size_t len = 0;
    if (!at || *at++ != '"')
        return NULL;
    while (*at && *at != '"') {
        char bytes[4] = {*at};
        size_t n = 1;
        at = *at == '\\' ? read_escape(at + 1, bytes, &n) : at + 1;
        if (!at || len + n >= size)
            return NULL;
        memcpy(ret + len, bytes, n);
        len += n;
    }
    ret[len] = 0;
    if (ret_len)
        *ret_len = len;
    return *at == '"' ? at + 1 : NULL;
}

bool json_text(const char *json, const char *key, char *ret, size_t size)
{
    ret[0] = 0;
    return json_string(json_find(json, key), ret, size, NULL) != NULL;
}

int64_t time_of(const char *text)
{
    struct tm tm = {0};
    int ms = 0, n = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &n) != 7 ||
        n != 24 || text[n])
        return -1;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (int64_t)timegm(&tm) * 1000 + ms;
}
