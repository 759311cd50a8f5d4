/*
 * Folders made by `vitrine-precompile` (builder/environment.h): one wheel, or an environment. Two
 * who want the same one get one: a lock beside it, which also counts between processes. At most as
 * many programs run at once as the machine has cores.
 */
#ifndef PACKAGES_BUILD_H
#define PACKAGES_BUILD_H

#include <uv.h>

#include "base/err.h"
#include "base/span.h"

struct builder;
struct build;

struct build_events {
    void *context;
    /* It waits for another process that makes the same (once at most), or the program has started.
     * May be NULL. */
    void (*started)(void *context, bool is_elsewhere);
    /* Exactly once, from the loop, unless the build was left or killed: NULL, or why it failed.
     * `ms` is how long the program ran; 0 when there was nothing to do. */
    void (*done)(void *context, const struct err *err, uint64_t ms);
};

/* `program` is copied. NULL without memory. Owned until builder_close. */
struct builder *builder_new(uv_loop_t *loop, const char *program);

/* What is to be made; all copied. */
struct build_order {
    const char *dir;         /* the folder, unless it is there and whole */
    const char *const *args; /* NULL-terminated: what the program is called with. A text "" stands
                                for the temporary folder, BUILD_ABOUT for the file with `about` */
    struct span about;       /* may be empty */
    struct span preload;     /* text of the file `preload` in the folder; empty: there is none */
};
#define BUILD_ABOUT "\n"

struct build *build_start(struct builder *builder, const struct build_order *order,
                          const struct build_events *events, struct err *err);

/* Nobody waits for it any more: a program that runs may finish, so that its work is not lost; one
 * that does not run yet is given up. `done` does not come. */
void build_leave(struct build *build);

/* Kills what still runs; every build must have been left or be done. Then calls `closed`. */
void builder_close(struct builder *builder, void (*closed)(void *context), void *context);

#endif
