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
 * An orchestration runs on a stack of 64 KiB; large buffers belong into its arena.
 *
 * Errors are values. Readers of values accept NULL and errors, so a chain of calls needs one check
 * at its end. Sending never fails where it stands: the outbox keeps the first error and the step
 * as a whole fails, sending nothing.
 *
 * Limits: what is sent, passed on or returned has at most 1 MiB, nests at most 64 levels deep, and
 * its strings are UTF-8; an id or a key has at most 256 bytes, a name 128. Beyond that the step
 * fails.
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

/* The types of the engine's own failures. */
#define KS_ERROR_TIMEOUT "Timeout"                  /* took longer than it was given */
#define KS_ERROR_HEARTBEAT "Heartbeat"              /* an activity was not heard of */
#define KS_ERROR_CANCELED "Canceled"                /* ks_cancel() */
#define KS_ERROR_TERMINATED "Terminated"            /* a sub-orchestration was */
#define KS_ERROR_ALREADY_EXISTS "AlreadyExists"     /* a sub-orchestration's id is taken */
#define KS_ERROR_MISSING_FUNCTION "MissingFunction" /* the table has none of that name */
#define KS_ERROR_NON_DETERMINISM "NonDeterminism"   /* the code did not make that history */
#define KS_ERROR_BAD_SEND "BadSend"                 /* an id, name or value beyond its limits */
#define KS_ERROR_BAD_LOCK "BadLock"                 /* what a critical section does not allow */
#define KS_ERROR_BAD_OPERATION "BadOperation"       /* an entity changed or sent what it cannot */
#define KS_ERROR_BAD_REQUEST "BadRequest"           /* no HTTP request that can be sent */
#define KS_ERROR_UNREACHABLE "Unreachable"          /* nobody answered it */
#define KS_ERROR_HTTP "Http"                        /* answered with 429 or 5xx: "Http503" */
#define KS_ERROR_BAD_ANSWER "BadAnswer"             /* the answer is none, or cannot be kept */
#define KS_ERROR_BAD_JSON "Json"                    /* ks_parse_json(): the text is none */

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

/* ---- settings: the app's KS_SETTINGs, as the environment had them at the start -------------- */

/* HTTP functions and activities have them; an orchestration asks an activity. */
typedef struct ks_settings ks_settings;
const char *ks_setting(const ks_settings *settings, const char *name);
int64_t ks_setting_ms(const ks_settings *settings, const char *name);

/* ---- sending: every context has an outbox, `out` --------------------------------------------- */

typedef struct ks_outbox ks_outbox;
/* Which entity: the name is compared without case, the key with. */
typedef struct ks_ref { const char *entity, *key; } ks_ref;

/* Start an orchestration under an id of your own choice: 1 to 256 bytes, no / \ # ? or control
 * characters, no leading @. Starting an id that runs changes nothing; one that is over is begun
 * anew. */
void ks_start(ks_outbox *out, const char *orchestration, const char *id, const ks_val *input);
/* Raise an external event for an orchestration; event names are compared without case. */
void ks_raise(ks_outbox *out, const char *id, const char *event, const ks_val *val);
/* Have an entity do an operation; the entity comes to be with its first one. */
void ks_signal(ks_outbox *out, ks_ref entity, const char *operation, const ks_val *arg);
/* The same, not before a time. */
void ks_signal_at(ks_outbox *out, ks_ref entity, const char *operation, const ks_val *arg,
                  int64_t due_ms);

/* Zero anywhere: nothing special. */
typedef struct ks_start_options {
    int64_t due_ms;      /* not before */
    const char *version; /* which of the table's; default: the first of that name */
    const ks_val *tags;  /* an object of strings, to find it by */
    bool only_if_new;    /* an id that is over is not used again either */
} ks_start_options;
void ks_start_with(ks_outbox *out, const char *orchestration, const char *id, const ks_val *input,
                   const ks_start_options *how);

/* What an operator does to an instance, on its way like any other message. When an HTTP function
 * sends it, or an event, to an instance that cannot take it, the answer is a refusal instead: 404,
 * there is none; 410, it is over; 409, it stands otherwise. Others find a line in the log. */
void ks_terminate(ks_outbox *out, const char *id, const char *reason, bool with_children);
/* It does nothing until it is resumed; what comes is kept, and no timer or time limit fires. */
void ks_suspend(ks_outbox *out, const char *id, const char *reason);
/* One that is suspended, or was quarantined: set aside, since the process died three times while it
 * was stepped. A quarantined entity is called "@name@key". */
void ks_resume(ks_outbox *out, const char *id, const char *reason);
/* A failed one goes on: from before event number `event` of its history, or, with a negative one,
 * from what failed, which is done again. */
void ks_rewind(ks_outbox *out, const char *id, int64_t event, const char *reason);
/* One that is over runs once more, from its start, under a new id or (NULL) its own. */
void ks_restart(ks_outbox *out, const char *id, const char *new_id);
/* One that is over is forgotten. */
void ks_purge(ks_outbox *out, const char *id, bool with_children);

/* Which instances. Zero, or an empty text, anywhere: any. */
typedef struct ks_filter {
    int kind;              /* KS_FN_ORCHESTRATION or KS_FN_ENTITY */
    const char *name;      /* of the function; compared without case */
    unsigned statuses;     /* 1u << KS_FAILED | 1u << KS_TERMINATED */
    const char *id_prefix;
    const char *parent;    /* the id of whoever waits for it */
    const char *tag, *tag_value;
    int64_t created_from_ms, created_until_ms; /* from <= time < until */
    int64_t updated_from_ms, updated_until_ms;
} ks_filter;
/* The same for all that are over and such (NULL: any). It goes on in parts, with requests answered
 * in between, until each that was there when it began was looked at; a crash does not end it. */
void ks_purge_all(ks_outbox *out, const ks_filter *which, bool with_children);

/* A line for the log, written when the step is on disk, and never again by a replay. */
void ks_log(ks_outbox *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- orchestrations ------------------------------------------------------------------------ */

typedef struct ks_task ks_task;
typedef struct ks_orch {
    ks_arena *mem;
    ks_outbox *out;
    const char *id;
    const char *version;   /* of its start; "" when none was given */
    const char *parent_id; /* NULL: started by nobody who waits */
    const ks_val *tags;    /* an object, or NULL */
    const ks_val *input;
    int64_t now_ms;        /* UTC; moves only while awaiting; the same in every replay */
    bool is_replaying;
} ks_orch;

/* How often, and when again. Zero anywhere: no limit of that kind; but with neither attempts nor
 * total_ms it is tried once. */
typedef struct ks_retry {
    int attempts;             /* in all, the first included */
    int64_t first_ms;         /* pause before the second attempt; default 1 s */
    double backoff;           /* each further pause is this times the last; default 1 */
    int64_t max_ms;           /* the longest pause */
    int64_t total_ms;         /* no attempt begins later than this after the first */
    double jitter;            /* 0 .. 1: up to this part of a pause is taken off, at random */
    const char *final_errors; /* types that are not tried again: "NotFound," KS_ERROR_BAD_ANSWER */
    int64_t timeout_ms;       /* of each attempt; then it failed with KS_ERROR_TIMEOUT */
    int64_t heartbeat_ms;     /* so long without ks_heartbeat(): failed with KS_ERROR_HEARTBEAT */
} ks_retry;

ks_task *ks_call(ks_orch *o, const char *activity, const ks_val *input);
ks_task *ks_call_with(ks_orch *o, const char *activity, const ks_val *input, const ks_retry *how);
/* Another orchestration, and its result; id NULL: one is made. An attempt whose time limit is over
 * is terminated, with its children. To start one without waiting: ks_start(). */
ks_task *ks_sub(ks_orch *o, const char *orchestration, const char *id, const ks_val *input);
ks_task *ks_sub_with(ks_orch *o, const char *orchestration, const char *id, const ks_val *input,
                     const ks_retry *how);
/* An entity's operation, and its result. */
ks_task *ks_call_entity(ks_orch *o, ks_ref entity, const char *operation, const ks_val *arg);
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
/* Nobody waits for it any more: unless it is done, it fails with KS_ERROR_CANCELED. A timer does
 * not fire, nothing is tried again, a sub-orchestration is terminated with its children. An
 * activity that runs goes on to its end, but what it sends is dropped; an entity's operation is
 * done all the same. A group or a lock stays as it is. */
void ks_cancel(ks_task *task);

/* Wait for the result. If the task failed, so does the orchestration, here and now. */
const ks_val *ks_await(ks_task *task);
/* Wait for the result or the error. */
const ks_val *ks_try(ks_task *task);
/* Wait for a ks_when_any and say which task was first. */
ks_task *ks_winner(ks_task *any);
/* Wait for an event until a time; if it has not come by then, the result is `otherwise`. */
const ks_val *ks_await_event(ks_orch *o, const char *name, int64_t until_ms,
                             const ks_val *otherwise);

/* A critical section: from when the task is done to ks_unlock(), or the end of the orchestration
 * however it ends, nobody else's operations on these entities are done. In it they may be called,
 * others signaled; anything else that could wait for somebody who waits for them, and a call before
 * the task is done, fails with KS_ERROR_BAD_LOCK. */
#define ks_lock(o, ...) \
    ks_lock_all((o), (ks_ref[]){__VA_ARGS__}, sizeof((ks_ref[]){__VA_ARGS__}) / sizeof(ks_ref))
ks_task *ks_lock_all(ks_orch *o, const ks_ref *entities, size_t n);
void ks_unlock(ks_orch *o);

/* Begin again with a new input and an empty history: for what never ends. Events nobody waited for
 * yet are kept; tasks and locks are not. */
_Noreturn void ks_continue_as_new(ks_orch *o, const ks_val *input);
/* What whoever looks at the instance sees; up to 64 KiB. */
void ks_set_status(ks_orch *o, const ks_val *status);
/* The same in every replay. */
const char *ks_unique_id(ks_orch *o); /* 32 lower-case hex digits */
uint64_t ks_random(ks_orch *o);

/* ---- asking others over HTTP ---------------------------------------------------------------- */

/* Zero anywhere: the default. */
typedef struct ks_http_request {
    const char *method;    /* GET, or POST when there is a body */
    const char *url;       /* of http or https */
    const ks_val *headers; /* an object of strings */
    const ks_val *body;    /* a string as it is, anything else as JSON */
    int64_t timeout_ms;    /* of each exchange, 30 s; then it failed with KS_ERROR_TIMEOUT */
    int64_t total_ms;      /* of the whole call, with its polls and pauses; no limit */
    const ks_retry *retry; /* of each exchange; once */
    bool no_polling;       /* a 202 is the answer */
} ks_http_request;

/* The answer: {"status": 200, "headers": {"content-type": ...}, "body": "..."}. It fails when the
 * status is 429 or 5xx, when nobody answers in time, when the answer is not UTF-8 or over 1 MiB. A
 * Retry-After of 429 or 503 makes the pause before the next attempt longer, up to the policy's
 * max_ms, or an hour. A 202 with a Location is polled there, when Retry-After says or every 30 s,
 * until the answer is another. A GET follows redirects, up to five. All attempts have the same
 * Idempotency-Key, unless the headers bring one. */
ks_task *ks_call_http(ks_orch *o, const ks_http_request *request);

/* ---- activities ---------------------------------------------------------------------------- */

typedef struct ks_activity {
    ks_arena *mem;
    ks_outbox *out;          /* sent when the result is recorded: once, however often it ran */
    const ks_settings *settings;
    const char *id;          /* of the orchestration that called */
    const char *key;         /* idempotency key: the same in each attempt of one call, and when the
                                process died and it runs again */
    const ks_val *input;
    int64_t now_ms;          /* UTC, when it began */
    struct ks_pulse *pulse;  /* for ks_heartbeat() */
} ks_activity;

/* "I am still at it": see ks_retry.heartbeat_ms. From the activity's own thread. */
void ks_heartbeat(ks_activity *a);
/* One exchange of ks_call_http(), here and now; from an activity with a thread. The body of the
 * answer may be any bytes. */
const ks_val *ks_send_http(ks_activity *a, const ks_http_request *request);

/* ---- entities ------------------------------------------------------------------------------ */

typedef struct ks_entity {
    ks_arena *mem;
    ks_outbox *out;
    const char *key;
    const ks_val *arg;
    const ks_val *state;     /* null at first; after each change below it is the changed one */
    int64_t now_ms;
} ks_entity;

/* Change the state. A path names a member, or goes deeper with slashes: "items", "box/0/label"; ""
 * is all of it. Appending and adding cost the same however large the state is. Objects on the way
 * are made. */
void ks_set(ks_entity *e, const char *path, const ks_val *val);
void ks_append(ks_entity *e, const char *path, const ks_val *val); /* missing: an empty array */
void ks_add(ks_entity *e, const char *path, int64_t n);            /* missing: 0 */
void ks_remove(ks_entity *e, const char *path);
/* A key that may be any text, as a part of a path: / becomes ~1, ~ becomes ~0. */
char *ks_path_key(ks_arena *mem, const char *key);
/* The whole entity goes when the operation is over. */
void ks_delete(ks_entity *e);
/* Call another entity: the result, or the error, comes back as the argument of the operation
 * `answer` of this one. */
void ks_request(ks_entity *e, ks_ref entity, const char *operation, const ks_val *arg,
                const char *answer);

/* ---- HTTP functions ------------------------------------------------------------------------ */

typedef enum ks_runtime_status {
    KS_MISSING, KS_PENDING, KS_RUNNING, KS_SUSPENDED, KS_COMPLETED, KS_FAILED, KS_TERMINATED,
    KS_QUARANTINED
} ks_runtime_status;
const char *ks_status_name(ks_runtime_status status);           /* "Running" */

typedef struct ks_http {
    ks_arena *mem;
    ks_outbox *out;
    const ks_settings *settings;
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
const ks_val *ks_custom_status(ks_http *h, const char *id);     /* NULL when none was set */
const ks_val *ks_input(ks_http *h, const char *id);
/* An array of events: {"type", "time"?, "id"?, "name"?, ..., and "value" or "error"}. */
const ks_val *ks_history(ks_http *h, const char *id);
const ks_val *ks_state(ks_http *h, ks_ref entity);              /* NULL when missing */

/* Instances, the newest first: {"instances": [{"id", "kind", "name", "status", "created",
 * "updated", "parent", "tags"}], "continuation"}, times in ms; parent and tags only where there are
 * any. At most limit of them (0: 100), at most KS_LIST_MAX. A page ends after some milliseconds of
 * looking, so it may be short, or empty, and not the last: as long as it has a continuation, ask
 * for the next page with that. Whatever comes, goes or changes meanwhile, no instance is seen
 * twice, and none is missed that was such all the time. which NULL: any; continuation NULL or "":
 * from the start. A text that is no continuation is an error, "BadContinuation". */
enum { KS_LIST_MAX = 1000 };
const ks_val *ks_list(ks_http *h, const ks_filter *which, int limit, const char *continuation);
/* How many: {"count", "continuation"}, in parts like that; add them up. */
const ks_val *ks_count(ks_http *h, const ks_filter *which, const char *continuation);

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
/* The answer is the result of an entity's operation, as JSON, when it is done; an error is a
 * problem with status 422. A function that is KS_IDEMPOTENT cannot: 500. */
int ks_reply_result(ks_http *h, ks_ref entity, const char *operation, const ks_val *arg);

/* ---- live: server-sent events about an entity ----------------------------------------------- */

/* What one listener is to be told. It is asked at first, after each commit that changed the entity,
 * and again until it has nothing more to say: so it says a piece at a time, from what was seen on.
 * It has to depend on nothing but what is in here: all who have seen the same are sent the same. */
typedef struct ks_feed {
    ks_arena *mem;
    const char *key;         /* of the entity */
    const ks_val *state;     /* as committed; NULL when there is none */
    const char *seen;        /* the id of the last event this listener has; "": none */
} ks_feed;
typedef void ks_feed_fn(ks_feed *f);

/* An event. The id, at most 63 bytes, says how much of the state has been told by it: a listener
 * that comes back with it (Last-Event-ID) goes on from there, after a restart too. */
void ks_emit(ks_feed *f, const char *id, const char *event, const ks_val *data);
/* Answer with events until the listener goes. First comes an event "now", the time in ms. */
int ks_reply_events(ks_http *h, ks_ref entity, ks_feed_fn *feed);
bool ks_wants_events(ks_http *h);                               /* Accept: text/event-stream */

/* ---- the table ----------------------------------------------------------------------------- */

typedef const ks_val *ks_orchestration_fn(ks_orch *o);
typedef const ks_val *ks_activity_fn(ks_activity *a);
typedef const ks_val *ks_entity_fn(ks_entity *e);
typedef int ks_http_fn(ks_http *h);

typedef enum ks_kind {
    KS_FN_END, KS_FN_ORCHESTRATION, KS_FN_ACTIVITY, KS_FN_ACTIVITY_INLINE, KS_FN_ENTITY,
    KS_FN_HTTP, KS_FN_SETTING, KS_FN_PAGES
} ks_kind;
typedef enum ks_setting_type { KS_AS_TEXT, KS_AS_DURATION, KS_AS_URL } ks_setting_type;

/* A file for browsers, embedded in the program (tools/embed makes a table of them); it is served
 * under headers that allow no script, style or connection but the program's own. */
typedef struct ks_page {
    const char *path;        /* "/mark.svg"; NULL ends the table */
    const char *content_type;
    const char *etag;        /* without quotes; another one when the bytes are others */
    const char *style;       /* the hash of its <style>, "sha256-..."; NULL when it has none */
    const char *script;      /* the same of its <script> without a src */
    const void *bytes, *gzip;
    size_t len, gzip_len;
} ks_page;

typedef struct ks_function {
    ks_kind kind;
    const char *name;
    union {
        struct { ks_orchestration_fn *run; const char *version; } orchestration;
        ks_activity_fn *activity;
        struct { const char *operation; ks_entity_fn *run; } entity;
        struct { const char *methods, *route; unsigned flags; ks_http_fn *run; } http;
        struct { ks_setting_type type; const char *value, *help; } setting;
        const ks_page *pages;
    };
} ks_function;

/* An Idempotency-Key in the request makes a repeat answer as the first did, for a day. */
#define KS_IDEMPOTENT 1u

#define KS_ORCHESTRATION(name_, fn) KS_ORCHESTRATION_VERSION(name_, "", fn)
/* An instance stays with the version it was started with; of several of one name, the first in the
 * table is what new ones get. */
#define KS_ORCHESTRATION_VERSION(name_, version_, fn) \
    {.kind = KS_FN_ORCHESTRATION, .name = name_, .orchestration = {fn, version_}}
#define KS_ACTIVITY(name_, fn) {.kind = KS_FN_ACTIVITY, .name = name_, .activity = fn}
#define KS_ACTIVITY_INLINE(name_, fn) {.kind = KS_FN_ACTIVITY_INLINE, .name = name_, .activity = fn}
#define KS_ENTITY(name_, operation_, fn) \
    {.kind = KS_FN_ENTITY, .name = name_, .entity = {operation_, fn}}
/* methods "GET,POST"; the route is under /api/, {name} a segment, {name?} one that may be absent;
 * flags 0 or KS_IDEMPOTENT */
#define KS_HTTP(name_, methods_, route_, flags_, fn) \
    {.kind = KS_FN_HTTP, .name = name_, .http = {methods_, route_, flags_, fn}}
/* An environment variable the app reads, checked at start: KS_AS_TEXT, KS_AS_DURATION ("250ms",
 * "2s", "5m", "1h", "7d"), or KS_AS_URL (of http or https, or empty) */
#define KS_SETTING(name_, type_, default_, help_) \
    {.kind = KS_FN_SETTING, .name = name_, .setting = {type_, default_, help_}}
/* Files for browsers, each at its path, outside of /api/ */
#define KS_PAGES(name_, pages_) {.kind = KS_FN_PAGES, .name = name_, .pages = pages_}
#define KS_END {.kind = KS_FN_END}

/* Run the app: `start`, `--help`, `--version`. Returns the exit code. */
int ks_main(int argc, char **argv, const ks_function *functions);

#endif
