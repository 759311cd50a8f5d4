/*
 * What `vitrine run` is to run, as the command line names it: the program's text, its name for
 * tracebacks, its sys.argv, the files that --file gives it and the directories of --mount. Runs in
 * `vitrine`.
 */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "cli/mounts.h"
#include "cli/options.h"
#include "pool/pool.h"

/* Names borrow from the options; contents are owned. */
struct program {
    struct buf code;
    struct mounts mounts; /* what --mount opens; program_free leaves them open */
    struct buf mounted;   /* the file's path in one of them */
    const char *filename;
    const char *argv[LIMIT_ARGV_COUNT_MAX + 1];
    struct run_file files[LIMIT_GIVEN_COUNT_MAX];
    struct buf contents[LIMIT_GIVEN_COUNT_MAX]; /* of the files */
    size_t file_count;
};

/* Reads everything; *out is all zeros before. The caller calls program_free. */
int program_load(const struct options *options, struct program *out, struct err *err);

/* Lets go of the contents. May be called twice. */
void program_free(struct program *program);

#endif
