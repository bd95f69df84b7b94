/* serve() opens everything from the bottom up - table of functions, settings, partition, front,
 * server - and closes it from the top down:
 *
 *     signal -> server_drain -> drained -> the loop ends -> front, activities, partition (clean),
 *     workers, wake
 *
 * The handle that workers poke outlives them.
 */
#include "base/blackbox.h"
#include "base/die.h"
#include "front/settings.h"
#include "main.h"
#include "net/http_client.h"
#include "net/server.h"
#include "run/workers.h"
#include "store/journal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Threads for activities that block; how long shutdown waits for slow clients; descriptors that are
 * not for clients: of the store, the loop, a connection for each activity and as many that are
 * kept, and those that the server has over its limit while it refuses them. */
enum { ACTIVITY_THREADS = 16, DRAIN_MS = 5000, OWN_DESCRIPTORS = 160 };

struct host {
    const struct options *options;
    struct env env;
    struct app app;
    struct routes routes;
    ks_settings settings;
    struct workers *workers;
    struct http_client *http;
    struct partition *partition;
    struct front *front;
    struct server *server;
    uv_loop_t loop;
    int wake_file; /* an eventfd that the workers' threads write to */
    uv_poll_t wake;
    int timer_file; /* the next thing that is due; on the boot clock, as engine time is */
    uv_poll_t timer;
    int64_t timer_ms; /* what it is set for; NEVER_MS: not set */
    uv_signal_t terminate, interrupt;
    unsigned connections; /* 0: the server's default */
    bool is_stopping;
};

static void log_line(void *ctx, const char *line)
{
    struct host *h = ctx;
    struct timespec now;
    struct tm t;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &t);
    fprintf(stderr, "[%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ] ", t.tm_year + 1900, t.tm_mon + 1,
            t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, now.tv_nsec / 1000000);
    /* One line, whatever was put into it. */
    for (; *line; line++)
        fputc((unsigned char)*line < 0x20 || *line == 0x7F ? ' ' : *line, stderr);
    fputc('\n', stderr);
    (void)h;
}

/* ---- jobs ---- */

static void submit(void *self, struct job *job, bool is_activity)
{
    workers_submit(((struct host *)self)->workers, job, is_activity);
}

static const ks_val *exchange(void *self, ks_arena *mem, const ks_http_request *request)
{
    return http_client_exchange(((struct host *)self)->http, mem, request);
}

/* Not uv_async_send(): who is woken by that spins until the sender gets on, and a sender of lower
 * priority on the same core does not get on while somebody spins. */
static void workers_woke(void *ctx)
{
    (void)!eventfd_write(((struct host *)ctx)->wake_file, 1);
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    struct host *h = poll->data;
    eventfd_t count;
    (void)status;
    (void)events;
    (void)!eventfd_read(h->wake_file, &count);
    workers_take_done(h->workers);
    if (h->server)
        server_wake(h->server);
}

static void partition_wants(void *ctx)
{
    struct host *h = ctx;
    if (h->server)
        server_wake(h->server);
}

/* ---- the round ---- */

static void on_timer(uv_poll_t *timer, int status, int events)
{
    struct host *h = timer->data;
    uint64_t count;
    (void)status;
    (void)events;
    (void)!read(h->timer_file, &count, sizeof count);
    h->timer_ms = NEVER_MS;
    if (h->server)
        server_wake(h->server);
}

/* Not a timer of the loop's: those stand still while the machine is suspended. One that is set for
 * an earlier time is left as it is, since this comes again when it fires. A tick later, since both
 * clocks are cut to whole milliseconds. */
static void set_timer(struct host *h, int64_t due_ms, int64_t now_ms)
{
    int64_t wait_ms = due_ms - now_ms + 1;
    if (due_ms >= h->timer_ms)
        return;
    struct itimerspec at = {
        .it_value = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000}};
    if (timerfd_settime(h->timer_file, 0, &at, NULL) < 0)
        die("no timer can be set: %s", strerror(errno));
    h->timer_ms = due_ms;
}

static void schedule_next(struct host *h)
{
    if (front_has_requests(h->front)) {
        server_wake(h->server);
        return;
    }
    int64_t next_ms = partition_next_ms(h->partition), feeds_ms = front_next_ms(h->front);
    if (feeds_ms < next_ms)
        next_ms = feeds_ms;
    int64_t now_ms = partition_clock_ms(h->partition);
    if (next_ms <= now_ms)
        server_wake(h->server);
    else
        set_timer(h, next_ms, now_ms);
}

static void on_request(void *self, struct server_request *req, const struct http1_request *http)
{
    front_request(((struct host *)self)->front, req, http);
}

static void on_round(void *self)
{
    struct host *h = self;
    bool is_committed = front_round(h->front);
    server_release(h->server, is_committed, partition_why(h->partition));
    if (!is_committed)
        log_line(h, partition_why(h->partition));
    schedule_next(h);
}

static void answer(void *ctx, void *request, const struct http1_answer *a, bool is_held)
{
    (void)ctx;
    server_answer(request, a, is_held);
}

/* ---- streams ---- */

static void *stream(void *ctx, void *request, const struct http1_answer *head, bool is_held,
                    struct listener *listener)
{
    (void)ctx;
    return server_stream_begin(request, head, STR(":\n\n"), is_held, listener);
}

static bool stream_send(void *ctx, void *to, struct shared *piece)
{
    (void)ctx;
    return server_stream_send(to, piece);
}

static void on_stream_ready(void *self, void *listener)
{
    struct host *h = self;
    front_stream_ready(h->front, listener);
    server_wake(h->server);
}

static void on_stream_closed(void *self, void *listener)
{
    front_stream_closed(((struct host *)self)->front, listener);
}

/* ---- opening ---- */

static int open_store(void *ctx, struct table *table, struct recovered *ret,
                      struct store **ret_store, char *ret_why, size_t why_size)
{
    struct host *h = ctx;
    int error = store_journal_open(&h->env, table, h->options->data, NULL, ret, ret_store, ret_why,
                                   why_size);
    if (error == 0 && !h->env.blackbox) {
        struct buf path = {0};
        buf_printf(&path, "%s/blackbox", h->options->data);
        h->env.blackbox = blackbox_map(path.at);
        buf_free(&path);
    }
    return error;
}

static const char *setting_get(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

static int fail(const struct host *h, int code, const char *why)
{
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", h->options->program, why);
    return code;
}

static int open_app(struct host *h, const ks_function *functions)
{
    char why[512];
    if (app_init(&h->app, functions, front_builtin, why, sizeof why) < 0 ||
        routes_init(&h->routes, functions, why, sizeof why) < 0 ||
        settings_init(&h->settings, functions, setting_get, NULL, why, sizeof why) < 0)
        return fail(h, EXIT_USAGE, why);
    h->app.settings = &h->settings;
    return 0;
}

static int exit_code_of(int error)
{
    switch (error) {
    case KS_E_DAMAGED:
        return EXIT_DATA;
    case KS_E_BUSY:
        return EXIT_BUSY;
    case KS_E_ACCESS:
        return EXIT_ACCESS;
    default:
        return EXIT_IO;
    }
}

static void respond(void *ctx, uint64_t token, const ks_val *result)
{
    front_respond(((struct host *)ctx)->front, token, result);
}

static int open_partition(struct host *h)
{
    char why[512];
    struct partition_config config = {.env = &h->env,
                                      .app = &h->app,
                                      .ctx = h,
                                      .open_store = open_store,
                                      .log = log_line,
                                      .wake = partition_wants,
                                      .respond = respond};
    int error = partition_open(&config, &h->partition, why, sizeof why);
    return error < 0 ? fail(h, exit_code_of(error), why) : 0;
}

static int open_server(struct host *h)
{
    char why[256];
    struct front_config front = {.app = &h->app,
                                 .routes = &h->routes,
                                 .env = &h->env,
                                 .partition = h->partition,
                                 .ctx = h,
                                 .answer = answer,
                                 .stream = stream,
                                 .stream_send = stream_send};
    h->front = front_new(&front);
    struct server_config config = {.address = h->options->address,
                                   .port = h->options->port,
                                   .limits = {.connections = h->connections},
                                   .env = &h->env,
                                   .handler = {.self = h,
                                               .request = on_request,
                                               .round = on_round,
                                               .stream_ready = on_stream_ready,
                                               .stream_closed = on_stream_closed}};
    int error = server_open(&h->loop, &config, &h->server);
    if (error == 0)
        return 0;
    if (error == -EADDRINUSE)
        snprintf(why, sizeof why,
                 "Port %u is unavailable. Close the process using that port, or specify another "
                 "port using --port.",
                 h->options->port);
    else
        snprintf(why, sizeof why,
                 "cannot listen on %s port %u: %s; choose others with --address "
                 "and --port",
                 h->options->address, h->options->port, strerror(-error));
    return fail(h, error == -EADDRINUSE ? EXIT_BUSY : EXIT_USAGE, why);
}

/* ---- the end ---- */

/* SIGTERM may come again while the last save is made: it is ending already. Closing its handle sets
 * it to end the process, for a moment; meanwhile it waits for this thread, which alone takes it. */
static void close_handles(struct host *h)
{
    sigset_t before;
    signal_block(SIGTERM, &before);
    uv_close((uv_handle_t *)&h->timer, NULL);
    uv_close((uv_handle_t *)&h->terminate, NULL);
    uv_close((uv_handle_t *)&h->interrupt, NULL);
    signal(SIGTERM, SIG_IGN);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void on_drained(void *self)
{
    struct host *h = self;
    server_close(h->server);
    h->server = NULL;
    uv_unref((uv_handle_t *)&h->wake); /* so that the loop ends */
    close_handles(h);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct host *h = signal->data;
    (void)number;
    if (h->is_stopping)
        return;
    h->is_stopping = true;
    server_drain(h->server, DRAIN_MS, on_drained, h);
}

static void *zeroed(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        die("out of memory: %zu times %zu bytes", count, size);
    return die_zalloc(count * size);
}

/* Without memory libuv calls abort(), which says nothing. */
static void open_loop(struct host *h)
{
    int error = uv_replace_allocator(die_malloc, die_realloc, zeroed, free);
    if (!error)
        error = uv_loop_init(&h->loop);
    h->wake_file = error ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    h->timer_file = error ? -1 : timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    h->timer_ms = NEVER_MS;
    if (error || h->wake_file < 0 || h->timer_file < 0 ||
        uv_poll_init(&h->loop, &h->wake, h->wake_file) ||
        uv_poll_start(&h->wake, UV_READABLE, on_wake) ||
        uv_poll_init(&h->loop, &h->timer, h->timer_file) ||
        uv_poll_start(&h->timer, UV_READABLE, on_timer) ||
        uv_signal_init(&h->loop, &h->terminate) || uv_signal_init(&h->loop, &h->interrupt))
        die("the system gives no event loop: no memory, or no file descriptors");
    h->wake.data = h;
    h->timer.data = h;
    h->terminate.data = h;
    h->interrupt.data = h;
}

static void close_all(struct host *h)
{
    if (h->front)
        front_free(h->front);
    /* Activities that run give their results to a partition that is still there, though it takes
     * them no more: what was cut short has not failed, and runs again after the next start. */
    if (h->workers) {
        http_client_end(h->http);
        workers_end_activities(h->workers);
    }
    if (h->partition && partition_close(h->partition) < 0)
        fail(h, EXIT_IO,
             "the last checkpoint could not be written; the next start recovers from "
             "the journal");
    if (h->workers) {
        workers_free(h->workers);
        http_client_free(h->http);
        if (!uv_is_closing((uv_handle_t *)&h->timer))
            close_handles(h); /* it never ran */
        uv_close((uv_handle_t *)&h->wake, NULL);
        uv_run(&h->loop, UV_RUN_DEFAULT);
        uv_loop_close(&h->loop);
        close(h->wake_file);
        close(h->timer_file);
    }
    settings_free(&h->settings);
    routes_free(&h->routes);
    app_free(&h->app);
}

static int run(struct host *h, const ks_function *functions)
{
    print_functions(functions, h->options->address, server_port(h->server));
    const struct recovered recovered = partition_stats(h->partition).recovered;
    if (recovered.commits)
        printf("Recovered %llu commits from the journal.\n", (unsigned long long)recovered.commits);
    printf("Everything is kept in %s. Stop with Ctrl+C.\n", h->options->data);
    fflush(stdout);
    uv_signal_start(&h->terminate, on_signal, SIGTERM);
    uv_signal_start(&h->interrupt, on_signal, SIGINT);
    server_wake(h->server);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    return 0;
}

/* A connection is a descriptor, and shells give programs few of them by default. How many clients
 * may have, when not as many as they would be let have: the store must never be without. */
static unsigned raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur >= SERVER_CONNECTIONS + OWN_DESCRIPTORS)
        return 0;
    return limit.rlim_cur > (rlim_t)2 * OWN_DESCRIPTORS ? (unsigned)limit.rlim_cur - OWN_DESCRIPTORS
                                                        : OWN_DESCRIPTORS / 2;
}

int serve(const struct options *options, const ks_function *functions)
{
    struct host h = {.options = options, .env = env_posix()};
    signal(SIGPIPE, SIG_IGN);
    h.connections = raise_descriptors();
    h.env.self = &h;
    h.env.submit = submit;
    h.env.exchange = exchange;
    int code = open_app(&h, functions);
    if (!code) {
        open_loop(&h);
        h.http = http_client_new();
        h.workers = workers_new(ACTIVITY_THREADS, workers_woke, &h);
        code = open_partition(&h);
    }
    if (!code)
        code = open_server(&h);
    if (!code)
        code = run(&h, functions);
    close_all(&h);
    return code;
}
