/* keepsake.h - durable functions in C
 *
 * An app is one table of functions, written out, and a main() that hands it to ks_main():
 *
 *   orchestration  a plain function that waits: for activities, timers, events. It survives the
 *                  process: when its coroutine is gone it is replayed from its history, so it has
 *                  to be deterministic. It cannot read the clock or the store; nothing it is given
 *                  here can. Whatever else must be looked at is looked at by an activity.
 *   activity       does the work of the world, at least once. It may block: it has a thread. An
 *                  inline activity runs inside the step that calls it and must not block.
 *   entity         a named document and the operations on it, one at a time. An operation that
 *                  fails leaves no trace.
 *   HTTP function  answers one request. What it reads is the newest state; what it sends is done
 *                  before the next request is looked at; its answer leaves when all of that is on
 *                  disk. It must not block.
 *
 * Memory: every context has an arena, `mem`. Nothing is freed by hand; what a function was given
 * and what it made is gone when its step is over (an orchestration's: when it ends or is evicted).
 *
 * Errors are values. Readers of values accept NULL and errors, so a chain of calls needs one check
 * at its end. Sending never fails where it stands: the outbox keeps the first error and the step
 * as a whole fails, sending nothing.
 */
#ifndef KEEPSAKE_H
#define KEEPSAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KS_VERSION "0.1.0"

#define KS_SECONDS(n) ((int64_t)(n) * 1000)
#define KS_MINUTES(n) ((int64_t)(n) * 60000)
#define KS_HOURS(n) ((int64_t)(n) * 3600000)
#define KS_DAYS(n) ((int64_t)(n) * 86400000)

/* ---- memory ------------------------------------------------------------------------------- */

typedef struct ks_arena ks_arena;

/* Zeroed memory that lives as long as the arena; never NULL. */
void *ks_alloc(ks_arena *mem, size_t size_bytes);
/* What sprintf would write, in the arena. */
char *ks_format(ks_arena *mem, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- values: what JSON can say, and errors ------------------------------------------------- */

typedef enum ks_type {
    KS_NULL, KS_BOOLEAN, KS_INTEGER, KS_REAL, KS_STRING, KS_ARRAY, KS_OBJECT, KS_ERROR
} ks_type;
typedef struct ks_val ks_val;

ks_val *ks_null(ks_arena *mem);
ks_val *ks_boolean(ks_arena *mem, bool is_true);
ks_val *ks_integer(ks_arena *mem, int64_t n);
ks_val *ks_real(ks_arena *mem, double n);
ks_val *ks_string(ks_arena *mem, const char *text);
ks_val *ks_string_n(ks_arena *mem, const char *text, size_t len); /* may hold NUL */
ks_val *ks_array(ks_arena *mem);
ks_val *ks_object(ks_arena *mem);
/* A failure with a type to test for and a message to read; returned, it fails the caller. */
ks_val *ks_fail(ks_arena *mem, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Add to a value that is being built; each returns the array or object. A NULL val is null; a key
 * that is there already gets the new value. The val is shared, not copied. */
ks_val *ks_push(ks_arena *mem, ks_val *array, const ks_val *val);
ks_val *ks_put(ks_arena *mem, ks_val *object, const char *key, const ks_val *val);

/* Readers. NULL, an error or another type reads as null, false, 0, "" and length 0. */
ks_type ks_type_of(const ks_val *val);
bool ks_is_true(const ks_val *val);
bool ks_is_error(const ks_val *val);
int64_t ks_int(const ks_val *val);
double ks_number(const ks_val *val);                    /* of an integer too */
const char *ks_text(const ks_val *val);                 /* ends with NUL; an error's message */
const char *ks_error_type(const ks_val *val);
size_t ks_len(const ks_val *val);                       /* bytes of a string, items, members */
const ks_val *ks_at(const ks_val *array, size_t i);     /* NULL past the end */
const ks_val *ks_get(const ks_val *object, const char *key); /* NULL when missing */
const char *ks_key_at(const ks_val *object, size_t i);  /* members keep the order they came in */
const ks_val *ks_val_at(const ks_val *object, size_t i);

/* JSON text of RFC 8259, UTF-8. Parsing bad text gives an error value that says where. */
const ks_val *ks_parse_json(ks_arena *mem, const char *text, size_t len);
const char *ks_to_json(ks_arena *mem, const ks_val *val);
/* "2026-12-24T18:00:00.000Z" */
const ks_val *ks_utc(ks_arena *mem, int64_t time_ms);

/* ---- sending: every context but a plain activity's reading has an outbox, `out` -------------- */

typedef struct ks_outbox ks_outbox;
/* Which entity: the name is compared without case, the key with. */
typedef struct ks_ref { const char *entity, *key; } ks_ref;

/* Start an orchestration under an id of your own choice: 1 to 256 bytes, no / \ # ? or control
 * characters, no leading @. Starting an id that is running changes nothing. */
void ks_start(ks_outbox *out, const char *orchestration, const char *id, const ks_val *input);
/* Raise an external event for an orchestration; event names are compared without case. */
void ks_raise(ks_outbox *out, const char *id, const char *event, const ks_val *val);
/* Have an entity do an operation; the entity comes to be with its first one. */
void ks_signal(ks_outbox *out, ks_ref entity, const char *operation, const ks_val *arg);
/* A line for the log, written when the step is on disk, and never again by a replay. */
void ks_log(ks_outbox *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- orchestrations ------------------------------------------------------------------------ */

typedef struct ks_task ks_task;
typedef struct ks_orch {
    ks_arena *mem;
    ks_outbox *out;
    const char *id;
    const ks_val *input;
    int64_t now_ms;      /* UTC; moves only while awaiting; the same in every replay */
    bool is_replaying;
} ks_orch;

ks_task *ks_call(ks_orch *o, const char *activity, const ks_val *input);
ks_task *ks_timer(ks_orch *o, int64_t due_ms);
/* The next event of that name, in the order they came; one that came before the wait counts. */
ks_task *ks_event(ks_orch *o, const char *name);
/* Done with the first of them, whose result it has; or with all, results in an array. */
#define ks_when_any(o, ...) ks_any_of((o), KS_TASKS(__VA_ARGS__))
#define ks_when_all(o, ...) ks_all_of((o), KS_TASKS(__VA_ARGS__))
#define KS_TASKS(...) \
    (ks_task *[]){__VA_ARGS__}, sizeof((ks_task *[]){__VA_ARGS__}) / sizeof(ks_task *)
ks_task *ks_any_of(ks_orch *o, ks_task *const *tasks, size_t n);
ks_task *ks_all_of(ks_orch *o, ks_task *const *tasks, size_t n);
/* A timer or event that is no longer waited for. One that is done stays as it is. */
void ks_cancel(ks_task *task);

/* Wait for the result. If the task failed, so does the orchestration, here and now. */
const ks_val *ks_await(ks_task *task);
/* Wait for the result or the error. */
const ks_val *ks_try(ks_task *task);
/* Wait for a ks_when_any and say which task was first. */
ks_task *ks_winner(ks_task *any);

/* ---- activities ---------------------------------------------------------------------------- */

typedef struct ks_activity {
    ks_arena *mem;
    ks_outbox *out;          /* sent when the result is recorded: once, however often it ran */
    const char *id;          /* of the orchestration that called */
    const char *key;         /* idempotency key: the same when the same call runs again */
    const ks_val *input;
} ks_activity;

/* ---- entities ------------------------------------------------------------------------------ */

typedef struct ks_entity {
    ks_arena *mem;
    ks_outbox *out;
    const char *key;
    const ks_val *arg;
    const ks_val *state;     /* null at first; always the newest */
    int64_t now_ms;
} ks_entity;

/* Change the state. A path names a member, or goes deeper with slashes: "items", "box/0/label".
 * Appending and adding cost the same however large the state is. Objects on the way are made. */
void ks_set(ks_entity *e, const char *path, const ks_val *val);
void ks_append(ks_entity *e, const char *path, const ks_val *val); /* missing: an empty array */
void ks_add(ks_entity *e, const char *path, int64_t n);            /* missing: 0 */
void ks_remove(ks_entity *e, const char *path);
/* The whole entity goes when the operation is over. */
void ks_delete(ks_entity *e);

/* ---- HTTP functions ------------------------------------------------------------------------ */

typedef enum ks_runtime_status {
    KS_MISSING, KS_RUNNING, KS_COMPLETED, KS_FAILED
} ks_runtime_status;

typedef struct ks_http {
    ks_arena *mem;
    ks_outbox *out;
    const char *method;      /* upper case. HEAD comes as GET, and what it sends is dropped */
    const char *path;        /* decoded */
    int64_t now_ms;
} ks_http;

const char *ks_new_id(ks_http *h);                              /* 32 lower-case hex digits */
const char *ks_route(ks_http *h, const char *name);             /* "" when left out */
const ks_val *ks_query(ks_http *h, const char *name);           /* a string; NULL when missing */
size_t ks_query_count(ks_http *h, const char *name);            /* how often it was given */
const char *ks_header(ks_http *h, const char *name);            /* NULL when missing */
const ks_val *ks_body(ks_http *h);                              /* a string of any bytes */
bool ks_is_content_type(ks_http *h, const char *media_type);    /* "application/json" */
bool ks_is_utf8(const ks_val *string);

ks_runtime_status ks_status(ks_http *h, const char *id);
const ks_val *ks_output(ks_http *h, const char *id);            /* result or error; else NULL */
const ks_val *ks_state(ks_http *h, ks_ref entity);              /* NULL when missing */
const char *ks_setting(ks_http *h, const char *name);
int64_t ks_setting_ms(ks_http *h, const char *name);

/* Each sets the answer and returns the status, so that a function can end with it; what a function
 * returns means nothing else. */
int ks_reply(ks_http *h, int status, const char *content_type, const void *body, size_t len);
int ks_reply_empty(ks_http *h, int status);
int ks_reply_text(ks_http *h, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int ks_reply_json(ks_http *h, int status, const ks_val *val);
/* RFC 9457, application/problem+json */
int ks_reply_problem(ks_http *h, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void ks_reply_header(ks_http *h, const char *name, const char *value);

/* ---- the table ----------------------------------------------------------------------------- */

typedef const ks_val *ks_orchestration_fn(ks_orch *o);
typedef const ks_val *ks_activity_fn(ks_activity *a);
typedef const ks_val *ks_entity_fn(ks_entity *e);
typedef int ks_http_fn(ks_http *h);

typedef enum ks_kind {
    KS_FN_END, KS_FN_ORCHESTRATION, KS_FN_ACTIVITY, KS_FN_ACTIVITY_INLINE, KS_FN_ENTITY,
    KS_FN_HTTP, KS_FN_SETTING
} ks_kind;
typedef enum ks_setting_type { KS_AS_TEXT, KS_AS_DURATION } ks_setting_type;

typedef struct ks_function {
    ks_kind kind;
    const char *name;
    union {
        ks_orchestration_fn *orchestration;
        ks_activity_fn *activity;
        struct { const char *operation; ks_entity_fn *run; } entity;
        struct { const char *methods, *route; unsigned flags; ks_http_fn *run; } http;
        struct { ks_setting_type type; const char *value, *help; } setting;
    };
} ks_function;

/* An Idempotency-Key in the request makes a repeat answer as the first did, for a day. */
#define KS_IDEMPOTENT 1u

#define KS_ORCHESTRATION(name_, fn) \
    {.kind = KS_FN_ORCHESTRATION, .name = name_, .orchestration = fn}
#define KS_ACTIVITY(name_, fn) {.kind = KS_FN_ACTIVITY, .name = name_, .activity = fn}
#define KS_ACTIVITY_INLINE(name_, fn) {.kind = KS_FN_ACTIVITY_INLINE, .name = name_, .activity = fn}
#define KS_ENTITY(name_, operation_, fn) \
    {.kind = KS_FN_ENTITY, .name = name_, .entity = {operation_, fn}}
/* methods "GET,POST"; the route is under /api/, {name} a segment, {name?} one that may be absent;
 * flags 0 or KS_IDEMPOTENT */
#define KS_HTTP(name_, methods_, route_, flags_, fn) \
    {.kind = KS_FN_HTTP, .name = name_, .http = {methods_, route_, flags_, fn}}
/* An environment variable the app reads, checked at start: KS_AS_TEXT, or KS_AS_DURATION ("250ms",
 * "2s", "5m", "1h", "7d") */
#define KS_SETTING(name_, type_, default_, help_) \
    {.kind = KS_FN_SETTING, .name = name_, .setting = {type_, default_, help_}}
#define KS_END {.kind = KS_FN_END}

/* Run the app: `start`, `--help`, `--version`. Returns the exit code. */
int ks_main(int argc, char **argv, const ks_function *functions);

#endif
