/* test_process.c - the registry as a process: starting, ending, dying, and what is there again
 *
 * Nothing here sleeps for a while and hopes: what has to come is asked for until it is there.
 */
#include "contract.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { END_TIMEOUT_MS = 30000, BODY_MAX = 4096, LINES_MAX = 4 };

/* Runs the registry with these arguments until it ends by itself, which it has to. */
static int run(struct world *w, const char *setting, const char *const arguments[],
               char output[static OUTPUT_MAX])
{
    const char *argv[12] = {w->service.binary}, *settings[] = {setting, NULL};
    char path[400];
    pid_t pid;
    for (size_t i = 0; arguments[i]; i++)
        argv[i + 1] = arguments[i];
    snprintf(path, sizeof path, "%s/output-of-another", w->service.folder);
    assert_int_equal(process_start(argv, settings, path, &pid), 0);
    int code = process_wait(pid, END_TIMEOUT_MS);
    output_read(path, output, OUTPUT_MAX);
    return code;
}

/* It ended with a code that says failure, and few lines that name what is wrong. */
static void expect_clear_failure(int code, const char *output, const char *named)
{
    int lines = 0;
    for (const char *at = output; *at; at++)
        lines += *at == '\n';
    if (code <= 0 || code >= 128)
        fail_msg("exit code %d: %s", code, output);
    if (lines < 1 || lines > LINES_MAX || !strstr(output, named))
        fail_msg("no clear sentence about '%s': %s", named, output);
}

static int start_again(struct world *w, const char *setting, const char *port, const char *data,
                       char output[static OUTPUT_MAX])
{
    const char *const arguments[] = {"start", "--port", port, "--data", data, NULL};
    return run(w, setting, arguments, output);
}

/* Ends the world's server, which has to end with that. */
static void end(struct world *w, int signal_number, int wanted)
{
    char output[OUTPUT_MAX];
    int code = stop(w, signal_number);
    output_read(w->service.output, output, sizeof output);
    if (code != wanted)
        fail_msg("signal %d ended it with %d: %s", signal_number, code, output);
}

static void free_port(char ret[static 8])
{
    uint16_t port = 0;
    assert_int_equal(port_find(&port), 0);
    snprintf(ret, 8, "%u", port);
}

/* ---- starting ------------------------------------------------------------------------------ */

static void a_start_prints_functions_and_urls(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"Add: [GET,POST]", "Finish: [GET,POST]", "Open: [GET,POST]",
                                        "Peek: [GET]", "Stats: [GET]"};
    char output[OUTPUT_MAX], wanted[128];
    const char *at = output;
    output_read(w->service.output, output, sizeof output);
    assert_non_null(strstr(output, "Functions:\n"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(wanted, sizeof wanted, "\t%s http://localhost:%u/api/%.*s", names[i],
                 w->service.port, (int)strcspn(names[i], ":"), names[i]);
        const char *found = strstr(at, wanted);
        if (!found)
            fail_msg("no line '%s', or not in this order:\n%s", wanted, output);
        at = found;
    }
    assert_true(strstr(output, "/api/Add/{id}") || strstr(output, "/api/Add/{id?}"));
    assert_non_null(strstr(at, "\tRegistryOrchestration: orchestrationTrigger\n"));
}

static void help_and_version_answer(void **state)
{
    static const char *const help[] = {"--help", NULL}, *const version[] = {"--version", NULL};
    char output[OUTPUT_MAX];
    assert_int_equal(run(*state, NULL, help, output), 0);
    assert_true(strstr(output, "start") && strstr(output, "--port") && strstr(output, "--data") &&
                strstr(output, "--address") && strstr(output, "REGISTRY_OPEN_FOR"));
    assert_int_equal(run(*state, NULL, version, output), 0);
    assert_true(isdigit((unsigned char)output[strcspn(output, "0123456789")]));
}

static void what_is_no_command_is_refused(void **state)
{
    static const char *const lines[][6] = {
        {"begin", NULL},
        {"start", "--prot", "1", NULL},
        {"start", "--port", NULL},
        {"start", "--port", "seven", NULL},
        {"start", "--port", "70710", NULL},
        {"start", "--address", "nowhere", NULL},
    };
    char output[OUTPUT_MAX];
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int code = run(*state, NULL, lines[i], output);
        if (code <= 0 || code >= 128 || strlen(output) < 10)
            fail_msg("line %zu gives %d: %s", i, code, output);
    }
}

static void a_setting_that_is_no_duration_is_refused(void **state)
{
    static const char *const settings[] = {"REGISTRY_OPEN_FOR=soon", "REGISTRY_OPEN_FOR=-2s",
                                           "REGISTRY_OPEN_FOR=5 parsecs", "REGISTRY_OPEN_FOR=5"};
    struct world *w = *state;
    char output[OUTPUT_MAX], port[8];
    free_port(port);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        int code = start_again(w, settings[i], port, w->service.data, output);
        expect_clear_failure(code, output, "REGISTRY_OPEN_FOR");
    }
}

static void a_processor_that_is_no_url_is_refused(void **state)
{
    static const char *const urls[] = {"processor",
                                       "ftp://processor/",
                                       "http://",
                                       "https:///in",
                                       "http://me:pass@processor/",
                                       "http://processor/a b"};
    struct world *w = *state;
    char output[OUTPUT_MAX], port[8], setting[128];
    free_port(port);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        snprintf(setting, sizeof setting, "REGISTRY_PROCESSOR_URL=%s", urls[i]);
        int code = start_again(w, setting, port, w->service.data, output);
        expect_clear_failure(code, output, "REGISTRY_PROCESSOR_URL");
        assert_null(strstr(output, "pass@"));
    }
}

static void a_second_process_on_the_folder_is_refused(void **state)
{
    struct world *w = *state;
    char output[OUTPUT_MAX], port[8], id[ID_SIZE];
    open_registry(w, id);
    free_port(port);
    int code = start_again(w, NULL, port, w->service.data, output);
    expect_clear_failure(code, output, w->service.data);
    expect(get(w, "/api/Add/%s?item=still+here", id), 200, "");
    end(w, SIGTERM, 0);
    start(w, NULL);
    expect_only_item(w, id, "still here", 10);
}

static void a_busy_port_is_refused(void **state)
{
    struct world *w = *state;
    char output[OUTPUT_MAX], port[8], data[400];
    snprintf(port, sizeof port, "%u", w->service.port);
    snprintf(data, sizeof data, "%s/other-data", w->service.folder);
    expect_clear_failure(start_again(w, NULL, port, data, output), output, port);
    expect_stats(w, 0, 0, 0, 0);
}

static void a_folder_that_is_a_file_is_refused(void **state)
{
    struct world *w = *state;
    char output[OUTPUT_MAX], port[8];
    free_port(port);
    int fd = open(w->service.data, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    int code = start_again(w, NULL, port, w->service.data, output);
    expect_clear_failure(code, output, w->service.data);
}

static void a_folder_that_cannot_be_written_is_refused(void **state)
{
    struct world *w = *state;
    char output[OUTPUT_MAX], port[8];
    if (geteuid() == 0)
        skip();
    free_port(port);
    assert_int_equal(mkdir(w->service.data, 0500), 0);
    int code = start_again(w, NULL, port, w->service.data, output);
    chmod(w->service.data, 0700);
    expect_clear_failure(code, output, w->service.data);
}

/* ---- ending and coming back ---------------------------------------------------------------- */

/* Leaves one open registry with items, one finished, and looks that all of it is there again. */
static void expect_kept(struct world *w, int signal_number, int exit_code)
{
    char id[ID_SIZE], closed[ID_SIZE], before[BODY_MAX], before_closed[BODY_MAX];
    char item[] = "item 0";
    open_registry(w, id);
    open_registry(w, closed);
    for (; item[5] < '8'; item[5]++)
        get(w, "/api/Add/%s?item=item+%c", item[5] % 2 ? id : closed, item[5]);
    get(w, "/api/Finish/%s", closed);
    snprintf(before, sizeof before, "%s", get(w, "/api/Peek/%s", id)->body);
    snprintf(before_closed, sizeof before_closed, "%s", get(w, "/api/Peek/%s", closed)->body);
    for (int i = 0; i < 3; i++) {
        end(w, signal_number, exit_code);
        start(w, NULL);
        expect(get(w, "/api/Peek/%s", id), 200, before);
        expect(get(w, "/api/Peek/%s", closed), 200, before_closed);
        expect_stats(w, 2, 8, 1, 1);
        assert_int_equal(get(w, "/api/Add/%s?item=late", closed)->status, 400);
    }
    expect(get(w, "/api/Add/%s?item=more", id), 200, "");
    expect_stats(w, 2, 9, 1, 1);
}

static void sigterm_ends_cleanly_and_all_is_there_again(void **state)
{
    expect_kept(*state, SIGTERM, 0);
}

static void sigint_ends_cleanly_and_all_is_there_again(void **state)
{
    expect_kept(*state, SIGINT, 0);
}

/* As from whoever has no patience, at every moment of the end. */
static void however_often_sigterm_comes_it_ends_cleanly(void **state)
{
    enum { ENDS = 20, SIGNALS_MAX = 1000000 };
    struct world *w = *state;
    char id[ID_SIZE];
    for (int i = 0; i < ENDS; i++) {
        open_registry(w, id);
        for (int k = 0; k < SIGNALS_MAX && !service_has_ended(&w->service); k++)
            kill(w->service.pid, SIGTERM);
        end(w, SIGTERM, 0);
        start(w, NULL);
    }
    expect_stats(w, ENDS, 0, ENDS, 0);
}

static void all_is_there_again_after_kill_9(void **state)
{
    expect_kept(*state, SIGKILL, 128 + SIGKILL);
}

static void an_empty_folder_survives_kill_9(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 3; i++) {
        end(w, SIGKILL, 128 + SIGKILL);
        start(w, NULL);
        expect_stats(w, 0, 0, 0, 0);
    }
}

static void a_key_is_known_after_kill_9(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE], opened[BODY_MAX], added[BODY_MAX];
    snprintf(opened, sizeof opened, "%s", post(w, "Open", NULL, NULL, "open-1")->body);
    assert_true(json_text(opened, "id", id, sizeof id));
    snprintf(added, sizeof added, "%s", post(w, to("Add/", id), "text/plain", "a", "k")->body);
    for (int i = 0; i < 2; i++) {
        end(w, i ? SIGTERM : SIGKILL, i ? 0 : 128 + SIGKILL);
        start(w, NULL);
        expect(post(w, "Open", NULL, NULL, "open-1"), 201, opened);
        expect(post(w, to("Add/", id), "text/plain", "a", "k"), 200, added);
        expect_problem(post(w, to("Add/", id), "text/plain", "b", "k"), 422);
        expect_stats(w, 1, 1, 1, 0);
    }
}

/* Writes other bytes over each place in the file that holds the text; how many. */
static int damage(const char *path, const char *text)
{
    int hits = 0;
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return fd < 0 ? 0 : close(fd);
    size_t len = (size_t)st.st_size;
    char *bytes = malloc(len);
    assert_int_equal(pread(fd, bytes, len, 0), len);
    for (char *at = bytes; (at = memmem(at, len - (size_t)(at - bytes), text, strlen(text))); at++)
        hits += pwrite(fd, "#", 1, at - bytes) == 1;
    free(bytes);
    close(fd);
    return hits;
}

/* In all files under the folder; the name of the last that held it, "" for none. */
static void damage_under(const char *under, const char *text, char ret_name[static 256])
{
    char path[1024];
    DIR *folder = opendir(under);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        snprintf(path, sizeof path, "%s/%s", under, entry->d_name);
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            damage_under(path, text, ret_name);
        else if (entry->d_type == DT_REG && damage(path, text) > 0)
            snprintf(ret_name, 256, "%s", entry->d_name);
    }
    closedir(folder);
}

static void a_flipped_byte_is_refused_with_the_name_of_the_file(void **state)
{
    static const char marker[] = "marked-to-be-damaged";
    struct world *w = *state;
    char output[OUTPUT_MAX], port[8], id[ID_SIZE], file[256] = "";
    open_registry(w, id);
    get(w, "/api/Add/%s?item=%s", id, marker);
    for (int i = 0; i < 20; i++)
        get(w, "/api/Add/%s?item=%d", id, i);
    end(w, SIGKILL, 128 + SIGKILL);
    damage_under(w->service.data, marker, file);
    assert_string_not_equal(file, "");
    free_port(port);
    expect_clear_failure(start_again(w, NULL, port, w->service.data, output), output, file);
}

/* ---- time ---------------------------------------------------------------------------------- */

static void expect_timed_out(struct world *w, const char *id)
{
    char by[16], closes[32], closed[32];
    await_closed(w, id);
    json_text(w->answer.body, "closedBy", by, sizeof by);
    json_text(w->answer.body, "closesAt", closes, sizeof closes);
    json_text(w->answer.body, "closedAt", closed, sizeof closed);
    assert_string_equal(by, "timeout");
    assert_true(time_of(closes) > 0 && time_of(closed) >= time_of(closes));
    assert_int_equal(get(w, "/api/Add/%s?item=late", id)->status, 400);
    assert_int_equal(get(w, "/api/Finish/%s", id)->status, 400);
}

static void a_registry_closes_by_itself_with_and_without_items(void **state)
{
    struct world *w = *state;
    char id[ID_SIZE], empty[ID_SIZE], finished[ID_SIZE], before[BODY_MAX];
    start(w, "REGISTRY_OPEN_FOR=2s");
    open_registry(w, id);
    open_registry(w, empty);
    open_registry(w, finished);
    get(w, "/api/Add/%s?item=a", id);
    get(w, "/api/Finish/%s", finished);
    snprintf(before, sizeof before, "%s", get(w, "/api/Peek/%s", finished)->body);
    expect_timed_out(w, id);
    expect_timed_out(w, empty);
    expect(get(w, "/api/Peek/%s", finished), 200, before);
    expect_stats(w, 3, 1, 0, 3);
}

static void one_whose_time_passed_while_down_closes_after_the_start(void **state)
{
    static const int signals[] = {SIGKILL, SIGTERM};
    struct world *w = *state;
    char id[ID_SIZE], later[ID_SIZE], closes[32], before[BODY_MAX];
    for (int i = 0; i < 2; i++) {
        start(w, "REGISTRY_OPEN_FOR=1h");
        open_registry(w, later);
        snprintf(before, sizeof before, "%s", get(w, "/api/Peek/%s", later)->body);
        end(w, SIGTERM, 0);
        start(w, "REGISTRY_OPEN_FOR=1s");
        open_registry(w, id);
        json_text(get(w, "/api/Peek/%s", id)->body, "closesAt", closes, sizeof closes);
        stop(w, signals[i]);
        for (int polls = 0; polls < 5000 && wall_ms() <= time_of(closes); polls++)
            nap_ms(1);
        start(w, NULL);
        expect_timed_out(w, id);
        expect(get(w, "/api/Peek/%s", later), 200, before);
        stop(w, SIGKILL);
    }
}

/* ---- main ---------------------------------------------------------------------------------- */

#define TEST(claim) \
    { \
#claim, claim, set_up, tear_down, NULL \
    }
#define STOPPED(claim) \
    { \
#claim, claim, set_up_stopped, tear_down, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_start_prints_functions_and_urls),
        STOPPED(help_and_version_answer),
        STOPPED(what_is_no_command_is_refused),
        STOPPED(a_setting_that_is_no_duration_is_refused),
        STOPPED(a_processor_that_is_no_url_is_refused),
        TEST(a_second_process_on_the_folder_is_refused),
        TEST(a_busy_port_is_refused),
        STOPPED(a_folder_that_is_a_file_is_refused),
        STOPPED(a_folder_that_cannot_be_written_is_refused),
        TEST(sigterm_ends_cleanly_and_all_is_there_again),
        TEST(however_often_sigterm_comes_it_ends_cleanly),
        TEST(sigint_ends_cleanly_and_all_is_there_again),
        TEST(all_is_there_again_after_kill_9),
        TEST(an_empty_folder_survives_kill_9),
        TEST(a_key_is_known_after_kill_9),
        TEST(a_flipped_byte_is_refused_with_the_name_of_the_file),
        STOPPED(a_registry_closes_by_itself_with_and_without_items),
        STOPPED(one_whose_time_passed_while_down_closes_after_the_start),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
