#include "cli/program.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/option_values.h"

/* In a mounted directory a program has the name that it has there, and imports from beside itself.
 */
static int name_mounted(const char *path, struct program *out, struct err *err)
{
    out->filename = path;
    buf_init(&out->mounted, 2 * LIMIT_PATH_BYTES_MAX);
    if (mounts_find(&out->mounts, path, &out->mounted) != 0 ||
        (out->mounted.len > 0 && buf_append_char(&out->mounted, '\0') != 0)) {
        return err_set(err, ERR_LIMIT, "the path of %s is too long", path);
    }
    if (out->mounted.len > 0) {
        out->filename = out->mounted.base;
    }
    return 0;
}

static int read_code(const struct options *options, struct program *out, struct err *err)
{
    const char *path = options->operands[0];
    if (strcmp(path, "-") == 0) {
        out->filename = "<stdin>";
        return fd_read_all(STDIN_FILENO, &out->code, err);
    }
    if (name_mounted(path, out, err) != 0) {
        return -1;
    }
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_system(err, "cannot open %s", path);
    }
    return fd_read_all(fd, &out->code, err);
}

static int fill_argv(const struct options *options, int first, const char *name,
                     struct program *out, struct err *err)
{
    if (options->operand_count - first > (int)LIMIT_ARGV_COUNT_MAX - 1) {
        return err_set(err, ERR_USAGE, "more than %u arguments", LIMIT_ARGV_COUNT_MAX);
    }
    unsigned count = 0;
    out->argv[count++] = name;
    for (int i = first; i < options->operand_count; i++) {
        out->argv[count++] = options->operands[i];
    }
    out->argv[count] = NULL;
    return 0;
}

static int load_code(const struct options *options, struct program *out, struct err *err)
{
    buf_init(&out->code, LIMIT_CODE_BYTES_MAX);
    if (options->code != NULL) {
        out->filename = "<string>";
        if (buf_append_text(&out->code, options->code) != 0) {
            return err_set(err, ERR_LIMIT, "the code has more than %llu bytes",
                           LIMIT_CODE_BYTES_MAX);
        }
        return fill_argv(options, 0, "-c", out, err);
    }
    if (read_code(options, out, err) != 0) {
        return err->code == ERR_LIMIT ? err_set(err, ERR_LIMIT, "%s has more than %llu bytes",
                                                out->filename, LIMIT_CODE_BYTES_MAX)
                                      : -1;
    }
    /* `vitrine run FILE -- ARGS` and `vitrine run FILE ARGS` are the same. */
    bool has_dashes = options->operand_count > 1 && strcmp(options->operands[1], "--") == 0;
    return fill_argv(options, has_dashes ? 2 : 1, options->operands[0], out, err);
}

/* NAME, or NAME=PATH. */
static int given_read(const char *text, struct program *out, struct err *err)
{
    const char *equal = strchr(text, '=');
    const char *path = equal == NULL ? text : equal + 1;
    struct buf *content = &out->contents[out->file_count];
    char *name = option_keep(text);
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (name == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    if (equal != NULL) {
        name[equal - text] = '\0';
    }
    buf_init(content, LIMIT_GIVEN_BYTES_MAX);
    if (fd < 0) {
        return err_system(err, "cannot open %s", path);
    }
    if (fd_read_all(fd, content, err) != 0) {
        return err->code == ERR_LIMIT ? err_set(err, ERR_LIMIT, "%s has more than %llu bytes", path,
                                                LIMIT_GIVEN_BYTES_MAX)
                                      : -1;
    }
    out->files[out->file_count++] = (struct run_file){name, buf_span(content)};
    return 0;
}

static int given_read_all(const struct options *options, struct program *out, struct err *err)
{
    for (unsigned i = 0; i < options->files.count; i++) {
        if (given_read(options->files.items[i], out, err) != 0) {
            return err_prefix(err, "--file");
        }
    }
    return 0;
}

int program_load(const struct options *options, struct program *out, struct err *err)
{
    return mounts_open(&options->mounts, &out->mounts, err) != 0 ||
                   load_code(options, out, err) != 0
               ? -1
               : given_read_all(options, out, err);
}

void program_free(struct program *program)
{
    buf_free(&program->code);
    buf_free(&program->mounted);
    for (size_t i = 0; i < program->file_count; i++) {
        buf_free(&program->contents[i]);
    }
    program->file_count = 0;
}
