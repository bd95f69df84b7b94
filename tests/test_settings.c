/* The app's settings: the given value or the default, checked at start; lengths of time. */
#include "front/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void durations_are_a_whole_number_and_a_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* 0: refused */
    } vectors[] = {
        {"1ms", 1},
        {"250ms", 250},
        {"1s", 1000},
        {"2s", 2000},
        {"5m", 300000},
        {"1h", 3600000},
        {"7d", 604800000},
        {"007s", 7000},
        {"36499d", 36499 * 86400000LL},
        {"36500d", 36500 * 86400000LL},
        {"36501d", 0},
        {"876000h", 36500 * 86400000LL},
        {"876001h", 0},
        {"3153600000s", 36500 * 86400000LL},
        {"3153600001s", 0},
        {"3153600000000ms", 36500 * 86400000LL},
        {"3153600000001ms", 0},
        {"9223372036854775807ms", 0},
        {"9223372036854775808ms", 0},
        {"18446744073709551617ms", 0},
        {"99999999999999999999999999d", 0},
        {"", 0},
        {"0s", 0},
        {"00ms", 0},
        {"s", 0},
        {"5", 0},
        {"5 m", 0},
        {" 5m", 0},
        {"5m ", 0},
        {"-5m", 0},
        {"+5m", 0},
        {"1.5h", 0},
        {"1e3s", 0},
        {"5M", 0},
        {"5min", 0},
        {"5ms5", 0},
        {"1h30m", 0},
        {"0x5s", 0},
        {"5w", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        int64_t ms = -7;
        bool is_good = duration_parse(vectors[i].text, &ms);
        if (is_good != (vectors[i].ms > 0) || ms != (is_good ? vectors[i].ms : -7))
            fail_msg("\"%s\" is %lld ms", vectors[i].text, (long long)ms);
    }
}

static const ks_function functions[] = {
    KS_SETTING("OPEN_FOR", KS_AS_DURATION, "5m", "how long"),
    KS_SETTING("GREETING", KS_AS_TEXT, "hello", "what to say"),
    KS_SETTING("WHERE", KS_AS_URL, "", "whom to tell"),
    KS_END,
};

struct given {
    const char *name, *value;
};

static const char *get(void *ctx, const char *name)
{
    for (const struct given *g = ctx; g->name; g++)
        if (strcmp(g->name, name) == 0)
            return g->value;
    return NULL;
}

static void the_default_counts_when_nothing_is_given(void **state)
{
    struct given none[] = {{NULL, NULL}};
    ks_settings s;
    char why[256];
    (void)state;
    assert_int_equal(settings_init(&s, functions, get, none, why, sizeof why), 0);
    assert_int_equal(ks_setting_ms(&s, "OPEN_FOR"), 300000);
    assert_string_equal(ks_setting(&s, "OPEN_FOR"), "5m");
    assert_string_equal(ks_setting(&s, "GREETING"), "hello");
    assert_string_equal(ks_setting(&s, "greeting"), "");
    assert_string_equal(ks_setting(&s, "OTHER"), "");
    settings_free(&s);
}

static void what_is_given_counts_and_is_copied(void **state)
{
    char text[] = "bye";
    struct given given[] = {{"GREETING", text}, {"OPEN_FOR", "2s"}, {"OTHER", "x"}, {NULL, NULL}};
    ks_settings s;
    char why[256];
    (void)state;
    assert_int_equal(settings_init(&s, functions, get, given, why, sizeof why), 0);
    text[0] = 'X';
    assert_int_equal(ks_setting_ms(&s, "OPEN_FOR"), 2000);
    assert_string_equal(ks_setting(&s, "GREETING"), "bye");
    assert_int_equal(s.count, 3);
    settings_free(&s);
}

static void an_empty_text_is_a_text(void **state)
{
    struct given given[] = {{"GREETING", ""}, {NULL, NULL}};
    ks_settings s;
    char why[256];
    (void)state;
    assert_int_equal(settings_init(&s, functions, get, given, why, sizeof why), 0);
    assert_string_equal(ks_setting(&s, "GREETING"), "");
    settings_free(&s);
}

static void a_wrong_duration_is_refused_by_name(void **state)
{
    struct given given[] = {{"OPEN_FOR", "soon"}, {NULL, NULL}};
    ks_settings s;
    char why[256];
    (void)state;
    assert_int_equal(settings_init(&s, functions, get, given, why, sizeof why), -1);
    assert_non_null(strstr(why, "OPEN_FOR is \"soon\""));
    assert_non_null(strstr(why, "5m"));
    given[0].value = "";
    assert_int_equal(settings_init(&s, functions, get, given, why, sizeof why), -1);
}

static void a_url_is_one_or_empty(void **state)
{
    static const struct {
        const char *value;
        bool is_good;
    } rows[] = {{"", true},
                {"http://a", true},
                {"HTTPS://a.test:8443/b/c?d=e&f#g", true},
                {"http://[::1]:80/", true},
                {"a.test", false},
                {"//a.test/", false},
                {"ftp://a.test/", false},
                {"http:/a.test/", false},
                {"http://", false},
                {"http://?a", false},
                {"http://:80/", false},
                {"http://me:secret@a.test/", false},
                {"http://a.test/@", true},
                {"http://a.test/a b", false},
                {"http://a.test/\xC3\xA4", false},
                {"http://a.test/\n", false},
                {"javascript:alert(1)", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct given given[] = {{"WHERE", rows[i].value}, {NULL, NULL}};
        ks_settings s;
        char why[256] = "";
        int result = settings_init(&s, functions, get, given, why, sizeof why);
        if ((result == 0) != rows[i].is_good || strstr(why, "secret"))
            fail_msg("%s: %d %s", rows[i].value, result, why);
        if (result == 0)
            settings_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_a_whole_number_and_a_unit),
        cmocka_unit_test(the_default_counts_when_nothing_is_given),
        cmocka_unit_test(what_is_given_counts_and_is_copied),
        cmocka_unit_test(an_empty_text_is_a_text),
        cmocka_unit_test(a_wrong_duration_is_refused_by_name),
        cmocka_unit_test(a_url_is_one_or_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
