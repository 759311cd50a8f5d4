/*
 * A pool on a loop of its own, and what is seen of a run: shared by the tests of src/pool. The
 * program is its own vitrine-cell, whose guest is fake_guest.c: started with --core it becomes a
 * zygote.
 */
#ifndef POOL_FIXTURE_H
#define POOL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "base/buf.h"
#include "pool/pool.h"

enum { PATIENCE_MS = 20000, TEXT_MAX = 2048 };

extern uv_loop_t loop;
extern uv_timer_t patience; /* initialised on `loop` by the group's set-up */
extern struct pool *pool;   /* NULL between tests */
extern bool is_closed;      /* set by on_closed */
extern char own_path[512];  /* of this program */
extern char guest_dir[64];

extern const bool is_jailed; /* false under sanitizers */

/* For main(): whether it is to be a vitrine-cell, and that. */
bool is_cell(int argc, char **argv);
int be_cell(int argc, char **argv);

/* Of a group; and after each test, that no process and no descriptor is left. */
int group_setup(void **state);
int group_teardown(void **state);
int nothing_is_left(void **state);
#define pool_test(test) cmocka_unit_test_teardown(test, nothing_is_left)

pid_t zygote_pid(void);      /* the newest */
pid_t oldest_cell_pid(void); /* of that zygote */
unsigned open_descriptors(void);

/* Callbacks that set a flag stop the loop, which otherwise may go to sleep before it is looked at.
 */
void flag_set(bool *flag);
void loop_until(const bool *flag);
void loop_for(uint64_t ms); /* lets the loop turn for a while */

/* A pool whose "core" holds one line for fake_guest.c; it lies in guest_dir. */
void core_write(const char *line);
struct pool_config config_make(unsigned spare_cells, unsigned cells_max);
void pool_start(const char *core, unsigned spare_cells, unsigned cells_max);
void pool_end(void);
void on_closed(void *context);

/* What was seen of one run. */
struct seen {
    struct pool_run *run;
    struct buf out;
    struct buf err;
    struct buf order; /* both, each piece in front of it 'o' or 'e' */
    bool is_done;
    unsigned done_count;
    struct outcome outcome; /* its spans are not valid any more */
    char type[TEXT_MAX];
    char message[TEXT_MAX];
    char traceback[TEXT_MAX];
    char value[TEXT_MAX];
    char note[TEXT_MAX];
    char limits[TEXT_MAX];
    char need[TEXT_MAX];
    char question[TEXT_MAX]; /* the last one */
    char files[TEXT_MAX];    /* "NAME SIZE TYPE CONTENT", each on a line, long contents by length */
    unsigned fetch_count;
    void (*then)(struct seen *seen);
    void (*on_output)(struct seen *seen);
    void (*on_fetch)(struct seen *seen); /* with may_fetch */
};

void seen_init(struct seen *seen);
void seen_free(struct seen *seen);
#define cleanup_seen __attribute__((cleanup(seen_free)))

/* A request with every default; a run of it; one to its end, with `seen` set up. */
struct run_request request_make(const char *code);
int run_request_start(const struct run_request *request, struct seen *seen, struct err *err);
void run_start(const struct run_request *request, struct seen *seen);
void run_request_whole(const struct run_request *request, struct seen *seen);
void run_whole(const char *code, struct seen *seen);

void assert_text(const struct buf *buf, const char *text);
void assert_contains(const char *text, const char *part);

/* The next run must not notice what the last one did. */
void assert_next_run_is_clean(void);

#endif
