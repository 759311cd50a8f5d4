/*
 * vitrine-precompile: makes, at set-up, what vitrine-cell maps at run time.
 *
 *   core IN.wasm OUTDIR
 *       prepares Pyodide's core (guest/dylink/prepare.h) and compiles it and the call trampoline
 * for this machine: core.cwasm, trampoline.cwasm; its link record is core.symbols image OUT.img
 * GUESTDIR=HOSTDIR... packs folders of this machine into a read-only image bytecode OUT.img --core
 * CORE.cwasm --image IN.img... --script S.py --root GUESTDIR boots a guest on the images, runs the
 * script in it (which writes bytecode beside the sources), and packs GUESTDIR as it is then
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/engine.h"
#include "guest/dylink/prepare.h"
#include "guest/guest.h"
#include "guest/run_on_stack.h"
#include "guest/trampoline.h"
#include "guest/vfs/image.h"
#include "guest/vfs/vfs.h"

enum { IMAGES_MAX = 8, PATH_BYTES_MAX = 4096, PATH_ROOM = 32, DEPTH_MAX = 32 };

#define WASM_BYTES_MAX   (256 * MIB)
#define NATIVE_BYTES_MAX (1 * GIB)
#define FILE_BYTES_MAX   (64 * MIB)

/* ---- core ---------------------------------------------------------------------------------- */

static int compile_to(struct engine *engine, struct span wasm, const char *path, struct err *err)
{
    cleanup_buf struct buf native;
    buf_init(&native, NATIVE_BYTES_MAX);
    if (engine_compile(engine, wasm, &native, err) != 0) {
        return err_prefix(err, "%s", path);
    }
    return fd_write_file(path, buf_span(&native), err);
}

/* Prepares the core and writes its link record; `module` gets the module to be compiled. */
static int core_prepare(const char *in, const char *symbols, struct buf *module, struct err *err)
{
    const char *names[GUEST_CORE_EXPORTS_MAX];
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf record;
    buf_init(&wasm, WASM_BYTES_MAX);
    buf_init(&record, LIMIT_RECORD_BYTES_MAX);
    guest_core_exports(names);
    if (fd_read_file(in, &wasm, err) != 0 ||
        prepare_core(buf_span(&wasm), names, module, &record, err) != 0) {
        return err_prefix(err, "%s", in);
    }
    return fd_write_file(symbols, buf_span(&record), err);
}

static int core_make(const char *in, const char *core, const char *trampoline, const char *symbols,
                     struct err *err)
{
    cleanup_buf struct buf module;
    buf_init(&module, WASM_BYTES_MAX);
    struct engine *engine = NULL;
    if (core_prepare(in, symbols, &module, err) != 0 || engine_new(true, &engine, err) != 0) {
        return -1;
    }
    int result = compile_to(engine, buf_span(&module), core, err);
    if (result == 0) {
        result = compile_to(engine, guest_trampoline, trampoline, err);
    }
    engine_free(engine);
    return result;
}

static int command_core(int argc, char **argv, struct err *err)
{
    char core[PATH_BYTES_MAX];
    char trampoline[PATH_BYTES_MAX];
    char symbols[PATH_BYTES_MAX];
    if (argc != 3 || strlen(argv[2]) > sizeof core - PATH_ROOM) {
        return err_set(err, ERR_USAGE, "usage: vitrine-precompile core IN.wasm OUTDIR");
    }
    snprintf(core, sizeof core, "%s/core.cwasm", argv[2]);
    snprintf(trampoline, sizeof trampoline, "%s/" GUEST_TRAMPOLINE_FILE, argv[2]);
    snprintf(symbols, sizeof symbols, "%s/" GUEST_SYMBOLS_FILE, argv[2]);
    return core_make(argv[1], core, trampoline, symbols, err);
}

/* ---- image --------------------------------------------------------------------------------- */

static int pack_file(struct image_writer *writer, int dir, const char *name, const char *guest_path,
                     struct err *err)
{
    cleanup_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    cleanup_buf struct buf bytes;
    buf_init(&bytes, FILE_BYTES_MAX);
    if (fd < 0) {
        return err_system(err, "open %s", name);
    }
    if (fd_read_all(fd, &bytes, err) != 0) {
        return err_prefix(err, "%s", name);
    }
    return image_writer_add_file(writer, span_of(guest_path), buf_span(&bytes), 0644, err);
}

/* Takes `dir`. Folders of bytecode are left out: it is made in the guest, for the guest's Python.
 */
static int pack_dir(struct image_writer *writer, int dir, const char *guest_path, unsigned depth,
                    struct err *err)
{
    if (depth > DEPTH_MAX) {
        close(dir);
        return err_set(err, ERR_LIMIT, "%s is nested more than %d deep", guest_path, DEPTH_MAX);
    }
    DIR *entries = fdopendir(dir);
    if (entries == NULL) {
        close(dir);
        return err_system(err, "list %s", guest_path);
    }
    int result = image_writer_add_dir(writer, span_of(guest_path), 0755, err);
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(entries)) != NULL) {
        char path[PATH_BYTES_MAX];
        struct stat st;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "__pycache__") == 0) {
            continue;
        }
        if ((size_t)snprintf(path, sizeof path, "%s/%s", guest_path, name) >= sizeof path) {
            result = err_set(err, ERR_LIMIT, "the path %s/%s is too long", guest_path, name);
        } else if (fstatat(dirfd(entries), name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            result = err_system(err, "stat %s", name);
        } else if (S_ISDIR(st.st_mode)) {
            int child = openat(dirfd(entries), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            result = child < 0 ? err_system(err, "open %s", name)
                               : pack_dir(writer, child, path, depth + 1, err);
        } else if (S_ISREG(st.st_mode)) {
            result = pack_file(writer, dirfd(entries), name, path, err);
        }
    }
    closedir(entries);
    return result;
}

static int command_image(int argc, char **argv, struct err *err)
{
    if (argc < 3) {
        return err_set(err, ERR_USAGE,
                       "usage: vitrine-precompile image OUT.img GUESTDIR=HOSTDIR...");
    }
    struct image_writer *writer = image_writer_new(IMAGE_MTIME_DEFAULT_S);
    int result = writer == NULL ? err_set(err, ERR_MEMORY, "no memory for an image") : 0;
    for (int i = 2; result == 0 && i < argc; i++) {
        char *host = strchr(argv[i], '=');
        if (host == NULL) {
            result = err_set(err, ERR_USAGE, "%s is not GUESTDIR=HOSTDIR", argv[i]);
            break;
        }
        *host++ = '\0';
        int dir = open(host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        result =
            dir < 0 ? err_system(err, "open %s", host) : pack_dir(writer, dir, argv[i], 0, err);
    }
    if (result == 0) {
        result = image_writer_write(writer, argv[1], err);
    }
    image_writer_free(writer);
    return result;
}

/* ---- bytecode -------------------------------------------------------------------------------- */

struct repack {
    struct vfs *vfs;
    struct image_writer *writer;
    struct err *err;
};

static int repack_entry(void *context, const struct vfs_walk_entry *entry)
{
    struct repack *repack = context;
    switch (entry->stat.mode & VFS_S_IFMT) {
    case VFS_S_IFDIR: return image_writer_add_dir(repack->writer, entry->path, 0755, repack->err);
    case VFS_S_IFREG: {
        cleanup_buf struct buf bytes;
        buf_init(&bytes, FILE_BYTES_MAX);
        if (vfs_load(repack->vfs, entry->path, &bytes) < 0) {
            return err_set(repack->err, ERR_FORMAT, "cannot read the guest's %.*s",
                           (int)entry->path.len, entry->path.base);
        }
        return image_writer_add_file(repack->writer, entry->path, buf_span(&bytes), 0644,
                                     repack->err);
    }
    default: return 0;
    }
}

struct bytecode_job {
    const char *out;
    const char *core;
    const char *images[IMAGES_MAX + 1];
    const char *script;
    const char *root;
};

static int bytecode_make(void *context, struct err *err)
{
    const struct bytecode_job *job = context;
    const struct guest_config config = {
        .core_path = job->core,
        .image_paths = job->images,
        .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
    };
    cleanup_buf struct buf script;
    buf_init(&script, FILE_BYTES_MAX);
    struct guest *guest = NULL;
    if (fd_read_file(job->script, &script, err) != 0 || buf_append_char(&script, '\0') != 0 ||
        guest_boot_bare(&config, &guest, err) != 0) {
        return -1;
    }
    struct repack repack = {guest_files(guest), image_writer_new(IMAGE_MTIME_DEFAULT_S), err};
    int result = repack.writer == NULL ? err_set(err, ERR_MEMORY, "no memory for an image")
                                       : guest_execute(guest, script.base, err);
    if (result == 0) {
        result = vfs_walk(repack.vfs, span_of(job->root), repack_entry, &repack);
        if (result < -1) {
            err_set(err, ERR_MISSING, "the guest has no %s (error %d)", job->root, -result);
        }
    }
    if (result == 0) {
        result = image_writer_write(repack.writer, job->out, err);
    }
    image_writer_free(repack.writer);
    guest_free(guest);
    return result == 0 ? 0 : -1;
}

static int command_bytecode(int argc, char **argv, struct err *err)
{
    static const struct option options[] = {
        {"core", required_argument, NULL, 'c'},
        {"image", required_argument, NULL, 'i'},
        {"script", required_argument, NULL, 's'},
        {"root", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    struct bytecode_job job = {0};
    size_t images = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c': job.core = optarg; break;
        case 'i':
            if (images == IMAGES_MAX) {
                return err_set(err, ERR_LIMIT, "more than %d images", IMAGES_MAX);
            }
            job.images[images++] = optarg;
            break;
        case 's': job.script = optarg; break;
        case 'r': job.root = optarg; break;
        default: return err_set(err, ERR_USAGE, "unknown option");
        }
    }
    if (optind + 1 != argc || job.core == NULL || images == 0 || job.script == NULL ||
        job.root == NULL) {
        return err_set(err, ERR_USAGE,
                       "usage: vitrine-precompile bytecode OUT.img --core CORE.cwasm "
                       "--image IN.img... --script S.py --root GUESTDIR");
    }
    job.out = argv[optind];
    return run_on_stack(bytecode_make, &job, err);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv, struct err *err);
    } commands[] = {
        {"core", command_core},
        {"image", command_image},
        {"bytecode", command_bytecode},
    };
    log_set_program("vitrine-precompile");
    struct err err = {0};
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            int result = commands[i].run(argc - 1, argv + 1, &err);
            if (result != 0) {
                log_error("%s: %s", argv[1], err.text);
            }
            return result == 0 ? 0 : err.code == ERR_USAGE ? 2 : 1;
        }
    }
    log_error("usage: vitrine-precompile core|image|bytecode ...");
    return 2;
}
