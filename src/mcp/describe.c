#include "mcp/describe.h"

#include <string.h>

#include "base/jtext.h"
#include "base/limits.h"

enum { DESCRIPTION_BYTES_MAX = 8192, DEPENDENCIES_NAMED_MAX = 20 };

static const char head[] =
    "Tool to execute Python code and return stdout, stderr, and return value.\n\n"
    "The code may be async, and the value on the last line will be returned as the return value.\n"
    "\nThe code will be executed with Python " DESCRIBE_PYTHON_SERIES ".\n\n"
    "- Each call is a program in a fresh interpreter: variables, imports and files of earlier "
    "calls are gone. Send all that it needs; data can go in global_variables.\n"
    "- Print what you want to see, or end with an expression: its value comes back as JSON, or as "
    "its repr where JSON has no such kind. Top-level await works, asyncio.run is not needed.\n";

static const char sessions[] =
    "- To keep variables, imports and files from call to call, create_session and give its "
    "session_id.\n";

static const char packages_free[] =
    "- Packages are installed when the code imports them: NumPy, pandas, SciPy, Matplotlib, "
    "scikit-learn, Pillow and hundreds more, and what the package index has as pure Python. Just "
    "import them, without pip. Name requirements in dependencies, or in a PEP 723 block "
    "(# /// script), only where versions matter or the import does not tell the package.\n";

static const char packages_allowed[] =
    "- Packages are installed when the code imports them, without pip, but only those that this "
    "server allows: where an import fails, do without it. Versions can be asked for in "
    "dependencies, or in a PEP 723 block (# /// script).\n";

static const char packages_offline[] =
    "- Packages are there when the code imports them, but only those that were installed here "
    "before, as nothing is downloaded: where an import fails, do without it. "
    "Versions can be asked for in dependencies, or in a PEP 723 block (# /// script).\n";

static const char packages_none[] =
    "- The standard library is all there is: no packages can be installed here, so do without "
    "NumPy, pandas and the like.\n";

static const char pictures[] =
    "- Pictures: leave Matplotlib figures open, or call plt.show(), and you see them as images. "
    "display(x) shows a figure, a Pillow image or a table at that point; display(figure, "
    "format=\"svg\") gives SVG. A data frame on the last line comes back as a table.\n";

static const char world[] =
    "- There is no network, no access to the host's files, and no subprocesses or threads.\n";

static const char world_mounted[] =
    "- There is no network, and there are no subprocesses or threads.\n";

static const char files_text[] =
    "- Files: files puts yours into the working directory. What the code writes there comes back "
    "with the result: small files themselves, larger ones as links for resources/read.\n";

/* Directories of the host, and whether one can be changed. */
static bool can_change_host(const struct mcp_config *config)
{
    bool found = false;
    for (unsigned i = 0; i < config->mount_count; i++) {
        found = found || config->mounts[i].mode == POOL_MOUNT_RW;
    }
    return found;
}

static int append_mounts(struct buf *out, const struct mcp_config *config)
{
    static const char *const modes[] = {
        [POOL_MOUNT_RO] = "it can be read",
        [POOL_MOUNT_RW] = "changes are made there, so take care",
        [POOL_MOUNT_OVERLAY] = "changes end with the call",
    };
    int failed = 0;
    for (unsigned i = 0; i < config->mount_count; i++) {
        const struct pool_mount *mount = &config->mounts[i];
        const bool is_begin = strcmp(mount->path, POOL_WORK_DIR) == 0;
        failed |=
            buf_append_format(out, "- %.100s is a directory of the user's: %s.%s\n", mount->path,
                              modes[mount->mode], is_begin ? " The code starts in it." : "");
    }
    return failed;
}

static const char statuses_text[] =
    "- The status says how it went. success; run-error: the code raised, read the traceback and "
    "mend it; %slimit: it was stopped for time, memory or output, so do less at once; crash: the "
    "interpreter died, try another way; refused: it was not run, for the reason told.\n";

static const char *packages_of(const struct mcp_config *config)
{
    return !config->installs        ? packages_none
           : config->is_offline     ? packages_offline
           : config->has_allow_list ? packages_allowed
                                    : packages_free;
}

/* What --deps names: it is there for every program. */
static int append_dependencies(struct buf *out, const char *const *dependencies)
{
    int failed = 0;
    for (unsigned i = 0; dependencies != NULL && dependencies[i] != NULL; i++) {
        if (i == DEPENDENCIES_NAMED_MAX) {
            failed |= buf_append_text(out, " and more");
            break;
        }
        failed |= buf_append_format(out, "%s%s", i == 0 ? "- Installed already: " : ", ",
                                    dependencies[i]);
    }
    return failed |
           (dependencies != NULL && dependencies[0] != NULL ? buf_append_text(out, ".\n") : 0);
}

/* 512 MiB, 128 KiB, 1000 bytes: the largest unit that leaves no rest. */
static int append_size(struct buf *out, uint64_t bytes, const char *behind)
{
    bool is_mib = bytes >= MIB && bytes % MIB == 0;
    bool is_kib = bytes >= KIB && bytes % KIB == 0;
    return buf_append_format(out, "%llu %s%s",
                             (unsigned long long)(is_mib   ? bytes / MIB
                                                  : is_kib ? bytes / KIB
                                                           : bytes),
                             is_mib   ? "MiB"
                             : is_kib ? "KiB"
                                      : "bytes",
                             behind);
}

static int append_limits(struct buf *out, const struct run_limits *limits)
{
    int failed =
        buf_append_format(out, "- Limits of a call: %g seconds, ", (double)limits->wall_ms / 1000);
    failed |= append_size(out, limits->memory_bytes, " of memory, ");
    failed |= append_size(out, limits->output_bytes, " of output, ");
    failed |= append_size(out, limits->result_bytes, " of return value, ");
    failed |= append_size(out, limits->file_bytes, " of files");
    failed |= buf_append_format(out, "; %llu displays, of which %u pictures. Larger pictures than ",
                                (unsigned long long)limits->display_count, LIMIT_PICTURES_MAX);
    return failed | append_size(out, limits->picture_bytes, " are scaled down.\n");
}

int describe_append_tool(struct buf *out, const struct mcp_config *config)
{
    cleanup_buf struct buf text;
    buf_init(&text, DESCRIPTION_BYTES_MAX);
    int failed = buf_append_text(&text, head);
    if (config->sessions != NULL) {
        failed |= buf_append_text(&text, sessions);
    }
    failed |= buf_append_text(&text, packages_of(config));
    if (config->installs) {
        failed |= append_dependencies(&text, config->dependencies);
        failed |= buf_append_text(&text, pictures);
    }
    failed |= buf_append_text(&text, config->mount_count > 0 ? world_mounted : world);
    failed |= append_mounts(&text, config);
    failed |= buf_append_text(&text, files_text);
    failed |= append_limits(&text, &config->limits);
    failed |= buf_append_format(&text, statuses_text,
                                config->installs ? "install-error: a package cannot be had, the "
                                                   "log says why; "
                                                 : "");
    return failed != 0 ? -1 : jtext_append_string(out, buf_span(&text));
}

/* What it runs can touch nothing of ours and is forgotten afterwards, unless a directory is mounted
 * to be written to. Results may differ from call
 * to call (time, random numbers). The world is open as far as packages come from an index. */
int describe_append_annotations(struct buf *out, const struct mcp_config *config)
{
    bool is_open = config->installs && !config->is_offline;
    return buf_append_format(out,
                             "{\"title\":\"Run Python code\",\"readOnlyHint\":%s,"
                             "\"destructiveHint\":%s,\"idempotentHint\":false,"
                             "\"openWorldHint\":%s}",
                             can_change_host(config) ? "false" : "true",
                             can_change_host(config) ? "true" : "false",
                             is_open ? "true" : "false");
}
