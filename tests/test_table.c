/* The table of instances against a plain array, at random, through many growths. */
#include "core/table.h"
#include "random_val.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { MANY = 3000 };

struct model {
    struct table table;
    struct instance *at[MANY]; /* by number; NULL: not there */
    uint64_t clean[MANY];      /* numbers, oldest first */
    size_t clean_count;
    uint64_t dirty[MANY];
    size_t dirty_count;
    size_t count;
};

static struct str id_of(char *buf, size_t size, uint64_t n)
{
    return (struct str){buf, (size_t)snprintf(buf, size, "instance-%llu", (unsigned long long)n)};
}

static uint64_t uid_of(uint64_t n)
{
    return n * 64 + 1; /* many fall into one chain */
}

static void numbers_take(uint64_t *numbers, size_t *count, uint64_t n)
{
    size_t i = 0;
    while (i < *count && numbers[i] != n)
        i++;
    assert_true(i < *count);
    memmove(&numbers[i], &numbers[i + 1], (*count - i - 1) * sizeof numbers[0]);
    --*count;
}

static void model_add(struct model *m, uint64_t n)
{
    char buf[64];
    struct instance *inst = instance_new(uid_of(n), INSTANCE_ENTITY, id_of(buf, sizeof buf, n),
                                         STR("e"), 0);
    table_add(&m->table, inst);
    m->at[n] = inst;
    m->clean[m->clean_count++] = n;
    m->count++;
}

static void model_remove(struct model *m, uint64_t n)
{
    bool is_dirty = m->at[n]->dirty_sequence;
    table_remove(&m->table, m->at[n]);
    instance_free(m->at[n]);
    m->at[n] = NULL;
    numbers_take(is_dirty ? m->dirty : m->clean, is_dirty ? &m->dirty_count : &m->clean_count, n);
    m->count--;
}

static void model_pass_over(struct model *m, uint64_t n)
{
    if (m->at[n]->dirty_sequence)
        return;
    m->at[n]->is_used = true;
    table_pass_over(&m->table, m->at[n]);
    assert_false(m->at[n]->is_used);
    numbers_take(m->clean, &m->clean_count, n);
    m->clean[m->clean_count++] = n;
}

static void model_dirty(struct model *m, uint64_t n, uint64_t sequence)
{
    uint64_t before = m->at[n]->dirty_sequence;
    table_dirty(&m->table, m->at[n], sequence);
    assert_int_equal(m->at[n]->dirty_sequence, before ? before : sequence);
    if (before)
        return;
    numbers_take(m->clean, &m->clean_count, n);
    m->dirty[m->dirty_count++] = n;
}

static void model_clean(struct model *m, uint64_t n)
{
    if (!m->at[n]->dirty_sequence)
        return;
    table_clean(&m->table, m->at[n]);
    numbers_take(m->dirty, &m->dirty_count, n);
    m->clean[m->clean_count++] = n;
}

static void expect_list(const struct model *m, const struct table_list *list,
                        const uint64_t *numbers, size_t count)
{
    assert_int_equal(list->count, count);
    const struct instance *inst = list->oldest;
    for (size_t i = 0; i < count; i++, inst = inst->newer)
        assert_ptr_equal(inst, m->at[numbers[i]]);
    assert_null(inst);
    inst = list->newest;
    for (size_t i = count; i > 0; i--, inst = inst->older)
        assert_ptr_equal(inst, m->at[numbers[i - 1]]);
    assert_null(inst);
}

static void expect_same(struct model *m)
{
    char buf[64];
    assert_int_equal(m->table.count, m->count);
    for (uint64_t n = 0; n < MANY; n++) {
        assert_ptr_equal(table_find(&m->table, id_of(buf, sizeof buf, n)), m->at[n]);
        assert_ptr_equal(table_find_uid(&m->table, uid_of(n)), m->at[n]);
    }
    assert_null(table_find(&m->table, STR("instance-")));
    assert_null(table_find_uid(&m->table, 0));
    expect_list(m, &m->table.clean, m->clean, m->clean_count);
    expect_list(m, &m->table.dirty, m->dirty, m->dirty_count);
}

static void the_table_is_what_was_done_to_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        static struct model m;
        struct random r = {seed};
        m = (struct model){0};
        table_init(&m.table, seed);
        for (uint64_t i = 0; i < 12000; i++) {
            uint64_t n = random_below(&r, i < 6000 ? MANY : MANY / 8);
            unsigned what = random_below(&r, 6);
            if (!m.at[n])
                model_add(&m, n);
            else if (what == 0)
                model_remove(&m, n);
            else if (what == 1)
                model_pass_over(&m, n);
            else if (what <= 3)
                model_dirty(&m, n, i + 1);
            else
                model_clean(&m, n);
            if (i % 1000 == 0)
                expect_same(&m);
        }
        expect_same(&m);
        table_free(&m.table);
    }
}

/* While chains are being moved, what is in either half is found, and can be taken out. */
static void everything_is_found_while_the_table_grows(void **state)
{
    static struct model m;
    (void)state;
    m = (struct model){0};
    table_init(&m.table, 7);
    for (uint64_t n = 0; n < 700; n++) {
        model_add(&m, n);
        if (n % 5 == 0 && n > 0)
            model_remove(&m, n / 2);
        expect_same(&m);
        if (n % 5 == 0 && n > 0)
            model_add(&m, n / 2);
    }
    expect_same(&m);
    while (m.clean_count)
        model_remove(&m, m.clean[m.clean_count / 2]);
    expect_same(&m);
    table_free(&m.table);
}

static void ids_that_begin_alike_are_not_the_same(void **state)
{
    struct table t;
    (void)state;
    table_init(&t, 1);
    struct instance *a = instance_new(1, INSTANCE_ENTITY, STR("a"), STR("e"), 0);
    struct instance *ab = instance_new(2, INSTANCE_ENTITY, STR("ab"), STR("e"), 0);
    table_add(&t, a);
    table_add(&t, ab);
    assert_ptr_equal(table_find(&t, (struct str){"abc", 1}), a);
    assert_ptr_equal(table_find(&t, (struct str){"abc", 2}), ab);
    assert_null(table_find(&t, STR("abc")));
    assert_null(table_find(&t, STR("A")));
    assert_null(table_find(&t, STR("")));
    table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_what_was_done_to_it),
        cmocka_unit_test(everything_is_found_while_the_table_grows),
        cmocka_unit_test(ids_that_begin_alike_are_not_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
