/* model_claims.h - a program under the virtual clock, and what is to be seen of it */
#ifndef TESTS_MODEL_CLAIMS_H
#define TESTS_MODEL_CLAIMS_H

#include "model_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static inline const ks_val *wait_for_go(ks_orch *o)
{
    return ks_await(ks_event(o, "Go"));
}

static inline ks_test *open_with(ks_orchestration_fn *code, const ks_function *functions)
{
    static struct model_program program;
    program = (struct model_program){.code = code};
    return model_open(&program, functions);
}

static inline void expect(ks_test *t, const char *function, const char *id, const char *want)
{
    assert_string_equal(model_get(t, function, id), want);
}

static inline void expect_part(ks_test *t, const char *function, const char *id, const char *part)
{
    const char *got = model_get(t, function, id);
    if (!strstr(got, part))
        fail_msg("%s %s: \"%s\" is not in %s", function, id, part, got);
}

static inline const ks_val *has_a_limit(ks_orch *o)
{
    ks_await(ks_call_with(o, "Work", NULL,
                          &(ks_retry){.attempts = 2, .first_ms = 1000, .timeout_ms = 1000}));
    return wait_for_go(o);
}

#endif
