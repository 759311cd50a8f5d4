/*
 * The cache on disk, and the environments in it:
 *   wheels/SHA256/FILENAME.whl   vitrine-fetch's
 *   built/WHEELSHA-KEY/          one wheel, compiled (builder/environment.h)
 *   environments/ID/             wheels put together; ID is a digest of what it consists of
 *   needs/HASH                   which environment a need led to
 *   programs/HASH                which need, and environment, programs of a kind led to
 *
 * A folder appears by rename, whole, with a file `contents` that names its files, sizes and times
 * of change. What does not fit it any more (cut off, changed, partly deleted) is taken for broken
 * and made anew. Two processes that want to make the same folder take turns by a lock beside it.
 */
#ifndef PACKAGES_STORE_H
#define PACKAGES_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "packages/lock.h"
#include "packages/plan.h"
#include "packages/sum.h"
#include "pool/pool.h"

/* ---- The guest's folder and the cache's ------------------------------------------------------ */

struct store {
    char *guest_dir;
    char *cache_dir;
    char key[17]; /* of the toolchain, GUESTDIR/key: what wheels are built with; "" until store_open
                   */
    char id[17];  /* of the whole folder, GUESTDIR/id: what environments' snapshots are made with */
};

/* Copies the two names; nothing is looked at yet. store_free frees them. */
int store_init(struct store *store, const char *guest_dir, const char *cache_dir, struct err *err);
void store_free(struct store *store);

/* Reads key and id and makes the cache's folders, once. ERR_MISSING, ERR_FORMAT, ERR_SYSTEM. */
int store_open(struct store *store, struct err *err);

/* CACHE/FOLDER/NAME; -1 when it is too long. */
int store_path(const struct store *store, const char *folder, const char *name, char out[PATH_MAX],
               struct err *err);

/* The folder of a wheel that was built. */
int store_built_path(const struct store *store, const char *wheel_sum, char out[PATH_MAX],
                     struct err *err);

/* ---- Folders that appear whole --------------------------------------------------------------- */

/* Whether the folder is there and is what was put there. */
bool store_is_whole(const char *dir);

/* Makes an empty folder under a temporary name beside `dir`, after removing what killed processes
 * left there. Only for whoever holds the lock. */
int store_begin(const char *dir, char temporary[PATH_MAX], struct err *err);

/* Writes `contents` and puts the temporary folder in its place. */
int store_finish(const char *temporary, const char *dir, struct err *err);

/* Removes a flat folder. One that is not there is removed already. */
void store_remove(const char *dir);

/* Takes the lock of `dir`. Returns a descriptor that holds it until it is closed, -1 when another
 * process has it (*err has ERR_NONE) or it cannot be had. */
int store_lock(const char *dir, struct err *err);

/* ---- Environments ---------------------------------------------------------------------------- */

struct environment {
    unsigned references; /* one for each who keeps it */
    char id[SUM_HEX_SIZE];
    char dir[PATH_MAX];
    struct outcome_package *packages; /* texts lie in `plan` */
    size_t package_count;
    struct plan plan;
};

struct environment *store_environment_ref(struct environment *environment); /* NULL passes */
void store_environment_unref(struct environment *environment);

/* The modules worth importing ahead, for a plan, with commas between them. */
int store_preload(const struct plan *plan, const struct lock *lock, struct buf *out);

/* The name of the environment that consists of these packages. */
int store_environment_id(const struct store *store, const struct plan *plan, struct span preload,
                         char id[SUM_HEX_SIZE]);

/* The text of its environment.json. */
int store_environment_json(const struct plan *plan, struct buf *out);

/* Reads an environment that is there and whole. NULL when there is none: one that is broken is
 * removed. */
struct environment *store_environment(const struct store *store, const char *id);

/* ---- Needs ----------------------------------------------------------------------------------- */

struct store_need {
    char id[SUM_HEX_SIZE]; /* "base" for the base environment */
    time_t time;           /* when it was resolved */
};

/* False when nothing (sensible) is remembered. */
bool store_need_read(const struct store *store, const uint8_t key[SUM_BYTES],
                     struct store_need *out);
/* Where programs of a kind went (hint.h): *need holds the environment and the time until which it
 * may be used, `resolved` gets the need as the guest wrote it. */
bool store_program_read(const struct store *store, const uint8_t key[SUM_BYTES],
                        struct store_need *need, struct buf *resolved);
void store_program_write(const struct store *store, const uint8_t key[SUM_BYTES],
                         const struct store_need *need, struct span resolved);

/* What cannot be written is not remembered. */
void store_need_write(const struct store *store, const uint8_t key[SUM_BYTES],
                      const struct store_need *need);

#endif
