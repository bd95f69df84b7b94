/* An orchestration that begins anew again and again, in a real process: what it takes of memory and
 * disk does not depend on how often, and others are answered meanwhile. `test_rounds ROUNDS` does
 * more of them. */
#include "contract.h"
#include "keepsake.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of disk: four times what starts a checkpoint, since that is made meanwhile. Under ASan what is
 * freed is kept. */
#ifdef KS_ASAN
enum { ROUNDS = 20000, FOLDER_MAX = 128 << 20, RESIDENT_MAX = 1 << 30 };
#else
enum { ROUNDS = 1000000, FOLDER_MAX = 128 << 20, RESIDENT_MAX = 32 << 20 };
#endif

static int rounds = ROUNDS;

/* ---- the app ---- */

static const ks_val *counts_down(ks_orch *o)
{
    int64_t left = ks_int(o->input);
    if (left == 0)
        return ks_boolean(o->mem, true);
    ks_await(ks_call(o, "Nothing", o->input));
    ks_continue_as_new(o, ks_integer(o->mem, left - 1));
}

static const ks_val *nothing(ks_activity *a)
{
    (void)a;
    return NULL;
}

static int http_start(ks_http *h)
{
    ks_start(h->out, "CountsDown", "p", ks_integer(h->mem, atoll(ks_route(h, "rounds"))));
    return ks_reply_empty(h, 202);
}

static int http_left(ks_http *h)
{
    return ks_reply_json(h, 200, ks_output(h, "p") ? ks_output(h, "p") : ks_input(h, "p"));
}

static int http_history(ks_http *h)
{
    return ks_reply_json(h, 200, ks_history(h, "p"));
}

static const ks_function functions[] = {
    KS_ORCHESTRATION("CountsDown", counts_down),
    KS_ACTIVITY_INLINE("Nothing", nothing),
    KS_HTTP("Start", "GET", "Start/{rounds}", 0, http_start),
    KS_HTTP("Left", "GET", "Left", 0, http_left),
    KS_HTTP("History", "GET", "History", 0, http_history),
    KS_END,
};

/* ---- what it takes ---- */

static size_t folder_bytes(const char *path)
{
    size_t bytes = 0;
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[700];
        struct stat info;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || stat(name, &info) < 0)
            continue;
        bytes += S_ISDIR(info.st_mode) ? folder_bytes(name) : (size_t)info.st_size;
    }
    closedir(folder);
    return bytes;
}

static size_t resident_bytes(pid_t pid)
{
    char path[64];
    size_t pages = 0, resident = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu %zu", &pages, &resident), 2);
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void a_million_rounds_take_no_more_than_a_few(void **state)
{
    struct world *w = *state;
    size_t folder = 0, resident = 0, looks = 0;
    start(w, NULL);
    expect(get(w, "/api/Start/%d", rounds), 202, "");
    for (; strcmp(get(w, "/api/Left")->body, "true") != 0; looks++) {
        size_t folder_now = folder_bytes(w->service.data);
        size_t resident_now = resident_bytes(w->service.pid);
        folder = folder_now > folder ? folder_now : folder;
        resident = resident_now > resident ? resident_now : resident;
    }
    printf("%d rounds: at most %zu KiB of disk and %zu KiB of memory in %zu looks\n", rounds,
           folder / 1024, resident / 1024, looks);
    assert_true(looks > 0); /* whoever goes round for ever keeps nobody from anything */
    assert_in_range(folder, 1, FOLDER_MAX);
    assert_in_range(resident, 1, RESIDENT_MAX);
    assert_in_range(strlen(get(w, "/api/History")->body), 1, 400);
    /* All of it is in the checkpoint then, and what is read back is one round. */
    assert_int_equal(stop(w, SIGTERM), 0);
    start(w, NULL);
    assert_in_range(resident_bytes(w->service.pid), 1, RESIDENT_MAX);
    expect(get(w, "/api/Left"), 200, "true");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_million_rounds_take_no_more_than_a_few, set_up_here,
                                        tear_down),
    };
    if (argc > 1 && atoi(argv[1]) == 0)
        return ks_main(argc, argv, functions);
    rounds = argc > 1 ? atoi(argv[1]) : ROUNDS;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
