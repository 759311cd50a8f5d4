#include "builder/wheel_bytecode.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "builder/environment.h"
#include "builder/install.h"
#include "builder/supervise.h"
#include "guest/guest.h"
#include "guest/run_on_stack.h"
#include "guest/vfs/vfs.h"
#include "jail/build.h"
#include "jail/jail.h"
#include "wheel/wheel.h"

enum { PATH_BYTES_MAX = 4096 };

#define BYTECODE_FILE_BYTES_MAX (64 * MIB)

/* The files by which the host and python/vitrine/bytecode.py speak. */
#define GUEST_PATH_FILE     "/tmp/path"
#define GUEST_SOURCE_FILE   "/tmp/source"
#define GUEST_BYTECODE_FILE "/tmp/bytecode"

/* What the processes share. A worker takes the next file by its number, and a place by its size. */
struct share {
    _Atomic uint64_t next;
    _Atomic uint64_t used;
    struct place {
        uint64_t offset;
        _Atomic uint64_t len; /* written last */
    } places[LIMIT_WHEEL_ENTRIES_MAX];
    char bytes[];
};

#define SHARE_BYTES (sizeof(struct share) + LIMIT_BUILD_BYTECODE_BYTES)

struct wheel_bytecode {
    struct wheel_bytecode_config config;
    struct share *share;
    pid_t child;
};

/* ---- A worker -------------------------------------------------------------------------------- */

static int share_put(struct share *share, size_t index, struct span bytes)
{
    if (bytes.len == 0) {
        return 0;
    }
    uint64_t offset = atomic_fetch_add(&share->used, bytes.len);
    if (offset > LIMIT_BUILD_BYTECODE_BYTES || bytes.len > LIMIT_BUILD_BYTECODE_BYTES - offset) {
        return -1;
    }
    memcpy(share->bytes + offset, bytes.base, bytes.len);
    share->places[index].offset = offset;
    atomic_store(&share->places[index].len, bytes.len);
    return 0;
}

/* Has the guest compile one file. A source that is no Python gives no bytecode, and no error. */
static int compile_file(struct guest *guest, const struct wheel *wheel, size_t index,
                        struct span path, struct share *share)
{
    struct vfs *vfs = guest_files(guest);
    cleanup_buf struct buf source;
    cleanup_buf struct buf bytecode;
    cleanup_buf struct buf guest_path;
    buf_init(&source, LIMIT_WHEEL_FILE_BYTES_MAX + 1);
    buf_init(&bytecode, BYTECODE_FILE_BYTES_MAX);
    buf_init(&guest_path, PATH_BYTES_MAX);
    if (wheel_read(wheel, index, &source, NULL) != 0 ||
        buf_append_text(&guest_path, SITE_PACKAGES "/") != 0 ||
        buf_append(&guest_path, path.base, path.len) != 0) {
        return -1;
    }
    if (vfs_store(vfs, span_of(GUEST_PATH_FILE), buf_span(&guest_path), 0644) != 0 ||
        vfs_store(vfs, span_of(GUEST_SOURCE_FILE), buf_span(&source), 0644) != 0 ||
        guest_execute(guest, "step()", NULL) != 0 ||
        vfs_load(vfs, span_of(GUEST_BYTECODE_FILE), &bytecode) < 0) {
        return -1;
    }
    return share_put(share, index, buf_span(&bytecode));
}

static int worker_run(const struct wheel_bytecode *bytecode, struct guest *guest)
{
    const struct wheel_bytecode_config *config = &bytecode->config;
    struct wheel *wheel = NULL;
    struct err err;
    if (wheel_open(config->wheel, config->filename, &wheel, &err) != 0) {
        return 0; /* the build says why */
    }
    size_t count = wheel_file_count(wheel);
    for (;;) {
        uint64_t index = atomic_fetch_add(&bytecode->share->next, 1);
        struct span path;
        if (index >= count || index >= LIMIT_WHEEL_ENTRIES_MAX) {
            break;
        }
        if (install_kind(wheel, (size_t)index, config->library, &path) == INSTALL_SOURCE &&
            compile_file(guest, wheel, (size_t)index, path, bytecode->share) != 0) {
            return -1;
        }
    }
    wheel_close(wheel);
    return 0;
}

/* Never returns. A file that takes forever ends with the worker, by the alarm. */
static void worker_main(const struct wheel_bytecode *bytecode, struct guest *guest, pid_t parent,
                        const struct jail_filter *filter)
{
    struct jail_limits limits = {
        .data_bytes =
            LIMIT_MEMORY_BYTES_DEFAULT + LIMIT_FILE_BYTES_DEFAULT + LIMIT_CELL_OVERHEAD_BYTES,
        .cpu_s = LIMIT_BUILD_BYTECODE_MS / 1000,
    };
    struct err err = {0};
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    alarm((unsigned)(LIMIT_BUILD_BYTECODE_MS / 1000));
    if (nothing < 0 || jail_drop_privileges(&err) != 0 ||
        (supervise_has_jail() ? jail_enter_cell(nothing, parent, &limits, filter, NULL, &err)
                              : jail_enter_cell_bare(nothing, parent, NULL, &err)) != 0) {
        log_error("bytecode: %s", err.text);
        _exit(1);
    }
    _exit(worker_run(bytecode, guest) == 0 ? 0 : 1);
}

/* ---- Their parent ---------------------------------------------------------------------------- */

static int workers_wait(unsigned count, struct err *err)
{
    int result = 0;
    while (count > 0) {
        int status = 0;
        if (wait(&status) < 0 && errno != EINTR) {
            return err_system(err, "wait");
        }
        count--;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            result = err_set(err, ERR_LIMIT, "a compiler of bytecode stopped early (status %#x)",
                             (unsigned)status);
        }
    }
    return result;
}

static int workers_start(const struct wheel_bytecode *bytecode, struct guest *guest,
                         struct err *err)
{
    struct jail_filter *filter = NULL;
    unsigned count = 0;
    pid_t self = getpid();
    if (guest_execute(guest, "from vitrine.bytecode import step", err) != 0 ||
        jail_filter_build(NULL, &filter, err) != 0) {
        return -1;
    }
    for (unsigned cores = supervise_cores(); count < cores; count++) {
        pid_t child = fork();
        if (child < 0) {
            break;
        }
        if (child == 0) {
            worker_main(bytecode, guest, self, filter);
        }
    }
    jail_filter_free(filter);
    return count > 0 ? workers_wait(count, err) : err_system(err, "fork");
}

static int guest_start(void *context, struct err *err)
{
    const struct wheel_bytecode *bytecode = context;
    char core[PATH_BYTES_MAX];
    char library[PATH_BYTES_MAX];
    const char *dir = bytecode->config.guest_dir;
    if ((size_t)snprintf(core, sizeof core, "%s/core.cwasm", dir) >= sizeof core ||
        (size_t)snprintf(library, sizeof library, "%s/stdlib.img", dir) >= sizeof library) {
        return err_set(err, ERR_USAGE, "the path %s is too long", dir);
    }
    const char *const images[] = {library, NULL};
    const struct guest_config config = {
        .core_path = core,
        .image_paths = images,
        .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
    };
    struct guest *guest = NULL;
    if (guest_load(&config, &guest, err) != 0) {
        return -1;
    }
    int result = guest_boot_bare(guest, err);
    if (result == 0) {
        result = workers_start(bytecode, guest, err);
    }
    guest_free(guest);
    return result;
}

static void child_main(struct wheel_bytecode *bytecode, pid_t parent)
{
    struct err err = {0};
    /* A heap of a thread's own asks the system about overcommitment when it shrinks; in a worker's
     * jail there is no such file. */
    mallopt(M_ARENA_MAX, 1);
    if (jail_build_follow(parent, &err) != 0) {
        _exit(1); /* the build has ended already, and has said why */
    }
    if (run_on_stack(guest_start, bytecode, &err) != 0) {
        log_warning("not all bytecode was made: %s", err.text);
        _exit(1);
    }
    _exit(0);
}

/* ---- The build's side ------------------------------------------------------------------------ */

int wheel_bytecode_start(const struct wheel_bytecode_config *config, struct wheel_bytecode **out,
                         struct err *err)
{
    struct wheel_bytecode *bytecode = calloc(1, sizeof *bytecode);
    if (bytecode == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for bytecode");
    }
    bytecode->config = *config;
    void *share = mmap(NULL, SHARE_BYTES, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (share == MAP_FAILED) {
        free(bytecode);
        return err_system(err, "memory for bytecode");
    }
    bytecode->share = share;
    pid_t self = getpid();
    bytecode->child = fork();
    if (bytecode->child == 0) {
        child_main(bytecode, self);
    }
    *out = bytecode;
    return 0;
}

void wheel_bytecode_wait(struct wheel_bytecode *bytecode)
{
    int status;
    while (bytecode->child > 0 && waitpid(bytecode->child, &status, 0) < 0 && errno == EINTR) {
    }
    bytecode->child = -1;
}

struct span wheel_bytecode_of(const struct wheel_bytecode *bytecode, size_t index)
{
    /* The workers are gone, but one may have written anything: read once, check, use. */
    if (index >= LIMIT_WHEEL_ENTRIES_MAX) {
        return (struct span){0};
    }
    uint64_t offset = bytecode->share->places[index].offset;
    uint64_t len = atomic_load(&bytecode->share->places[index].len);
    if (len > BYTECODE_FILE_BYTES_MAX || offset > LIMIT_BUILD_BYTECODE_BYTES - len) {
        return (struct span){0};
    }
    return (struct span){bytecode->share->bytes + offset, (size_t)len};
}

void wheel_bytecode_free(struct wheel_bytecode *bytecode)
{
    if (bytecode != NULL) {
        munmap(bytecode->share, SHARE_BYTES);
        free(bytecode);
    }
}
