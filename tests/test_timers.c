/* The two heaps of timers against plain arrays, at random. */
#include "random_val.h"
#include "run/timers.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MANY = 300, STEPS = 20000 };

struct model {
    struct timers timers;
    struct instance instances[MANY];
    bool is_in[MANY];
    struct sleeper sleepers[STEPS];
    size_t sleeper_count;
};

static int64_t random_time(struct random *r)
{
    static const int64_t ends[] = {0, -1, 1, 1000, NEVER_MS - 1, INT64_MIN};
    return random_below(r, 20) ? (int64_t)random_below(r, 500) : ends[random_below(r, 6)];
}

static int64_t first_instance_ms(const struct model *m)
{
    int64_t first_ms = NEVER_MS;
    for (size_t i = 0; i < MANY; i++)
        if (m->is_in[i] && m->instances[i].due_ms < first_ms)
            first_ms = m->instances[i].due_ms;
    return first_ms;
}

static size_t first_sleeper(const struct model *m)
{
    size_t first = 0;
    for (size_t i = 1; i < m->sleeper_count; i++)
        if (m->sleepers[i].wake_ms < m->sleepers[first].wake_ms)
            first = i;
    return first;
}

static void expect_same(struct model *m)
{
    size_t count = 0;
    int64_t first_ms = first_instance_ms(m), next_ms = first_ms;
    for (size_t i = 0; i < MANY; i++) {
        const struct instance *inst = &m->instances[i];
        count += m->is_in[i];
        assert_int_equal(inst->heap_index != 0, m->is_in[i]);
        if (m->is_in[i])
            assert_ptr_equal(m->timers.heap[inst->heap_index], inst);
    }
    assert_int_equal(m->timers.count, count);
    for (size_t i = 2; i <= m->timers.count; i++)
        assert_true(m->timers.heap[i / 2]->due_ms <= m->timers.heap[i]->due_ms);
    for (size_t i = 2; i <= m->timers.sleeper_count; i++)
        assert_true(m->timers.sleepers[i / 2].wake_ms <= m->timers.sleepers[i].wake_ms);
    const struct instance *first = timers_first(&m->timers);
    assert_int_equal(first != NULL, count > 0);
    if (first)
        assert_int_equal(first->due_ms, first_ms);
    const struct sleeper *sleeper = timers_first_sleeper(&m->timers);
    assert_int_equal(m->timers.sleeper_count, m->sleeper_count);
    assert_int_equal(sleeper != NULL, m->sleeper_count > 0);
    if (sleeper) {
        int64_t wake_ms = m->sleepers[first_sleeper(m)].wake_ms;
        assert_int_equal(sleeper->wake_ms, wake_ms);
        next_ms = wake_ms < next_ms ? wake_ms : next_ms;
    }
    assert_int_equal(timers_next_ms(&m->timers), next_ms);
}

static void sleep_one(struct model *m, int64_t wake_ms, uint64_t uid)
{
    timers_sleep(&m->timers, wake_ms, uid);
    m->sleepers[m->sleeper_count++] = (struct sleeper){wake_ms, uid};
}

/* The one that wakes is one of those that wake first; which one is open. */
static void wake_one(struct model *m)
{
    struct sleeper woken = *timers_first_sleeper(&m->timers);
    timers_wake_sleeper(&m->timers);
    for (size_t i = 0; i < m->sleeper_count; i++)
        if (m->sleepers[i].uid == woken.uid && m->sleepers[i].wake_ms == woken.wake_ms) {
            m->sleepers[i] = m->sleepers[--m->sleeper_count];
            return;
        }
    fail_msg("a sleeper woke that did not sleep");
}

static void keep_before(struct model *m, int64_t until_ms)
{
    size_t kept = 0;
    timers_keep_before(&m->timers, until_ms);
    for (size_t i = 0; i < m->sleeper_count; i++)
        if (m->sleepers[i].wake_ms < until_ms)
            m->sleepers[kept++] = m->sleepers[i];
    m->sleeper_count = kept;
}

static void the_first_is_always_the_first(void **state)
{
    static struct model m;
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct random r = {seed};
        m = (struct model){0};
        for (uint64_t step = 0; step < 4000; step++) {
            size_t i = random_below(&r, step < 2000 ? MANY : 10);
            struct instance *inst = &m.instances[i];
            unsigned what = random_below(&r, 100);
            if (what < 40) {
                inst->due_ms = what < 10 ? NEVER_MS : random_time(&r);
                timers_update(&m.timers, inst);
                m.is_in[i] = inst->due_ms != NEVER_MS;
            } else if (what < 50) {
                timers_forget(&m.timers, inst);
                m.is_in[i] = false;
            } else if (what < 80) {
                sleep_one(&m, random_time(&r), step);
            } else if (what < 99) {
                if (m.sleeper_count)
                    wake_one(&m);
            } else {
                keep_before(&m, random_time(&r));
            }
            expect_same(&m);
        }
        while (m.sleeper_count) {
            wake_one(&m);
            expect_same(&m);
        }
        timers_free(&m.timers);
    }
}

static void nothing_is_due_when_there_is_nothing(void **state)
{
    struct timers t = {0};
    struct instance inst = {.due_ms = NEVER_MS};
    (void)state;
    assert_true(timers_next_ms(&t) == NEVER_MS);
    assert_null(timers_first(&t));
    assert_null(timers_first_sleeper(&t));
    timers_keep_before(&t, 0);
    timers_forget(&t, &inst);
    timers_update(&t, &inst);
    assert_true(timers_next_ms(&t) == NEVER_MS);
    inst.due_ms = 5;
    timers_update(&t, &inst);
    timers_update(&t, &inst);
    assert_int_equal(t.count, 1);
    assert_true(timers_next_ms(&t) == 5);
    timers_free(&t);
}

/* Instances come out in the order of their times. */
static void a_thousand_come_out_sorted(void **state)
{
    enum { N = 1000 };
    static struct instance instances[N];
    struct timers t = {0};
    struct random r = {9};
    (void)state;
    for (size_t i = 0; i < N; i++) {
        instances[i] = (struct instance){.due_ms = (int64_t)random_bits(&r) >> 8};
        timers_update(&t, &instances[i]);
        timers_sleep(&t, instances[i].due_ms, i);
    }
    int64_t last_ms = INT64_MIN;
    for (size_t i = 0; i < N; i++) {
        struct instance *first = timers_first(&t);
        const struct sleeper *sleeper = timers_first_sleeper(&t);
        assert_true(first->due_ms >= last_ms);
        assert_true(sleeper->wake_ms == first->due_ms);
        assert_true(instances[sleeper->uid].due_ms == sleeper->wake_ms);
        last_ms = first->due_ms;
        timers_forget(&t, first);
        timers_wake_sleeper(&t);
    }
    assert_true(timers_next_ms(&t) == NEVER_MS);
    timers_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_always_the_first),
        cmocka_unit_test(nothing_is_due_when_there_is_nothing),
        cmocka_unit_test(a_thousand_come_out_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
