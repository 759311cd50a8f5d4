#include "builder/wheel_modules.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/limits.h"
#include "builder/supervise.h"
#include "engine/engine.h"
#include "guest/dylink/prepare.h"

enum { THREADS_MAX = 64, PATH_BYTES_MAX = 4096 };

#define THREAD_STACK_BYTES (16 * MIB)

/* What the compiling threads share. */
struct job {
    const struct wheel *wheel;
    const struct record *core;
    const char *out_dir;
    struct engine *engine;
    struct wheel_module **order; /* largest first, so that the end is not one long module */
    size_t count;
    _Atomic size_t next;
    _Atomic uint64_t native_bytes;
    pthread_mutex_t lock; /* of the two below */
    bool failed;
    struct err err;
};

/* ---- One module ------------------------------------------------------------------------------ */

static bool is_wasm(struct span bytes)
{
    static const char magic[] = {'\0', 'a', 's', 'm', 1, 0, 0, 0};
    return bytes.len >= sizeof magic && memcmp(bytes.base, magic, sizeof magic) == 0;
}

static int write_native(struct job *job, const struct wheel_module *module, struct span native,
                        struct err *err)
{
    char path[PATH_BYTES_MAX];
    uint64_t before = atomic_fetch_add(&job->native_bytes, native.len);
    if (before + native.len > LIMIT_BUILD_NATIVE_BYTES) {
        return err_set(err, ERR_LIMIT, "the machine code is more than %llu bytes",
                       LIMIT_BUILD_NATIVE_BYTES);
    }
    if ((size_t)snprintf(path, sizeof path, "%s/%s.cwasm", job->out_dir, module->sum) >=
        sizeof path) {
        return err_set(err, ERR_USAGE, "the path %s is too long", job->out_dir);
    }
    return fd_write_file(path, native, err);
}

static int module_build(struct job *job, struct wheel_module *module, struct err *err)
{
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf prepared;
    cleanup_buf struct buf native;
    buf_init(&wasm, LIMIT_WASM_MODULE_BYTES_MAX + 1);
    buf_init(&prepared, LIMIT_WASM_MODULE_BYTES_MAX);
    buf_init(&native, LIMIT_BUILD_NATIVE_BYTES);
    struct sum sum;
    if (wheel_read(job->wheel, module->index, &wasm, err) != 0) {
        return -1;
    }
    if (!is_wasm(buf_span(&wasm))) {
        return err_set(err, ERR_FORMAT,
                       "it is no WebAssembly module: native code does not run in the sandbox");
    }
    if (sum_make(SUM_SHA256, buf_span(&wasm), &sum, err) != 0) {
        return -1;
    }
    sum_hex(&sum, module->sum);
    struct span sum_bytes = {(const char *)sum.bytes, RECORD_SUM_BYTES};
    return prepare_side(buf_span(&wasm), job->core, sum_bytes, &prepared, &module->record, err) !=
                       0 ||
                   engine_compile(job->engine, buf_span(&prepared), &native, err) != 0 ||
                   write_native(job, module, buf_span(&native), err) != 0
               ? -1
               : 0;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static void job_fail(struct job *job, const struct err *err)
{
    pthread_mutex_lock(&job->lock);
    if (!job->failed) {
        job->failed = true;
        job->err = *err;
    }
    pthread_mutex_unlock(&job->lock);
}

static bool job_failed(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    bool failed = job->failed;
    pthread_mutex_unlock(&job->lock);
    return failed;
}

static void *thread_run(void *argument)
{
    struct job *job = argument;
    while (!job_failed(job)) {
        size_t place = atomic_fetch_add(&job->next, 1);
        if (place >= job->count) {
            break;
        }
        struct wheel_module *module = job->order[place];
        struct err err = {0};
        if (module_build(job, module, &err) != 0) {
            struct span name = wheel_file_at(job->wheel, module->index).name;
            err_prefix(&err, "%.*s", (int)name.len, name.base);
            job_fail(job, &err);
        }
    }
    return NULL;
}

/* A thread for each core, this one among them; with fewer it only takes longer. */
static void threads_run(struct job *job)
{
    pthread_t threads[THREADS_MAX];
    pthread_attr_t attributes;
    size_t count = 0;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    for (size_t cores = supervise_cores();
         count + 1 < cores && count + 1 < job->count && count < THREADS_MAX; count++) {
        if (pthread_create(&threads[count], &attributes, thread_run, job) != 0) {
            break;
        }
    }
    pthread_attr_destroy(&attributes);
    thread_run(job);
    while (count > 0) {
        pthread_join(threads[--count], NULL);
    }
}

static int compare_sizes(const void *left, const void *right)
{
    uint64_t a = (*(struct wheel_module *const *)left)->size;
    uint64_t b = (*(struct wheel_module *const *)right)->size;
    return (a < b) - (a > b);
}

int wheel_modules_build(const struct wheel *wheel, const struct record *core, const char *out_dir,
                        struct wheel_modules *modules, struct err *err)
{
    struct job job = {
        .wheel = wheel,
        .core = core,
        .out_dir = out_dir,
        .count = modules->count,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    if (modules->count == 0) {
        return 0;
    }
    if (modules->count > LIMIT_MODULES_MAX) {
        return err_set(err, ERR_LIMIT, "%zu side modules are more than %u", modules->count,
                       LIMIT_MODULES_MAX);
    }
    job.order = calloc(modules->count, sizeof *job.order);
    if (job.order == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for %zu modules", modules->count);
    }
    for (size_t i = 0; i < modules->count; i++) {
        job.order[i] = &modules->items[i];
        buf_init(&modules->items[i].record, LIMIT_WASM_MODULE_BYTES_MAX);
    }
    qsort(job.order, job.count, sizeof *job.order, compare_sizes);
    int result = engine_new(true, &job.engine, err);
    if (result == 0) {
        threads_run(&job);
        engine_free(job.engine);
    }
    free(job.order);
    if (result == 0 && job.failed) {
        *err = job.err;
        return -1;
    }
    return result;
}

/* ---- Listing --------------------------------------------------------------------------------- */

static int compare_sums(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

int wheel_modules_list(const struct wheel_modules *modules, struct buf *out)
{
    const char **sums = calloc(modules->count + 1, sizeof *sums);
    int result = sums == NULL ? -1 : 0;
    for (size_t i = 0; result == 0 && i < modules->count; i++) {
        sums[i] = modules->items[i].sum;
    }
    if (result == 0) {
        qsort(sums, modules->count, sizeof *sums, compare_sums);
    }
    for (size_t i = 0; result == 0 && i < modules->count; i++) {
        if (i == 0 || strcmp(sums[i], sums[i - 1]) != 0) {
            result = buf_append_format(out, "%s %s.cwasm\n", sums[i], sums[i]);
        }
    }
    free(sums);
    return result;
}

void wheel_modules_free(struct wheel_modules *modules)
{
    for (size_t i = 0; i < modules->count; i++) {
        buf_free(&modules->items[i].record);
    }
    free(modules->items);
    *modules = (struct wheel_modules){0};
}
