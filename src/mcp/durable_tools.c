/* save_session and restore_session: sessions in files of one folder. The id that saving gives is
 * 128 random bits, and whoever knows it may restore: it is the file's name. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/jtext.h"
#include "base/random.h"
#include "mcp/internal.h"
#include "packages/durable.h"

enum { ID_BYTES = 16, ID_CHARS = 2 * ID_BYTES, NAME_BYTES = ID_CHARS + 16 };

struct durable {
    struct mcp_call *call; /* NULL: nobody waits any more */
    struct kept_sessions *sessions;
    int folder;
    int fd;
    char id[ID_CHARS + 1];
    char handle[KEPT_HANDLE_CHARS + 1]; /* restoring: of the session */
};

static void name_make(const struct durable *durable, const char *suffix, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "%s.%s", durable->id, suffix);
}

static void durable_free(struct durable *durable)
{
    fd_close(&durable->fd);
    fd_close(&durable->folder);
    free(durable);
}

static void on_cancel(struct mcp_call *call)
{
    struct durable *durable = call_state(call);
    durable->call = NULL;
    call_end(call);
}

static struct durable *durable_new(struct mcp_call *call, struct err *err)
{
    const char *folder = call_config(call)->session_dir;
    struct durable *durable = calloc(1, sizeof *durable);
    if (durable == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory");
        return NULL;
    }
    durable->call = call;
    durable->sessions = &call_server(call)->kept;
    durable->fd = -1;
    durable->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (durable->folder < 0) {
        (void)err_system(err, "the folder for saved sessions");
        durable_free(durable);
        return NULL;
    }
    return durable;
}

/* ---- Saving ---------------------------------------------------------------------------------- */

static int id_make(char id[ID_CHARS + 1], struct err *err)
{
    return random_id(id, ID_BYTES) == 0 ? 0 : err_system(err, "cannot get random bytes");
}

/* Sessions of all clients lie there; nobody fills the disk with them. */
static int check_room(const struct durable *durable, struct err *err)
{
    unsigned count = 0;
    const int copy = openat(durable->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (stream == NULL) {
        return err_system(err, "the folder for saved sessions");
    }
    while (readdir(stream) != NULL) {
        count++;
    }
    (void)closedir(stream);
    return count < LIMIT_SAVED_SESSIONS_MAX
               ? 0
               : err_set(err, ERR_LIMIT, "there are %u saved sessions already, which is the most",
                         LIMIT_SAVED_SESSIONS_MAX);
}

static int file_make(struct durable *durable, struct err *err)
{
    char name[NAME_BYTES];
    if (check_room(durable, err) != 0 || id_make(durable->id, err) != 0) {
        return -1;
    }
    name_make(durable, "part", name);
    durable->fd = openat(durable->folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return durable->fd >= 0 ? 0 : err_system(err, "a file for the session");
}

static void file_remove(const struct durable *durable)
{
    char name[NAME_BYTES];
    name_make(durable, "part", name);
    (void)unlinkat(durable->folder, name, 0);
}

static int file_keep(const struct durable *durable, struct err *err)
{
    char part[NAME_BYTES];
    char whole[NAME_BYTES];
    name_make(durable, "part", part);
    name_make(durable, "session", whole);
    return renameat(durable->folder, part, durable->folder, whole) == 0
               ? 0
               : err_system(err, "a file for the session");
}

static void answer_saved(const struct durable *durable, uint64_t bytes)
{
    struct buf json;
    buf_init(&json, LIMIT_RESPONSE_BYTES_MAX);
    if (buf_append_format(&json, "{\"saved_id\":\"%s\",\"bytes\":%llu}", durable->id,
                          (unsigned long long)bytes) != 0) {
        call_fail(durable->call, RPC_INTERNAL_ERROR, "Out of memory", (struct span){NULL, 0});
        return;
    }
    session_tools_answer(durable->call, &json);
}

static void on_saved(void *context, uint64_t bytes, const struct err *err)
{
    struct durable *durable = context;
    struct err own;
    if (err == NULL && durable->call != NULL && file_keep(durable, &own) != 0) {
        err = &own;
    }
    if (err != NULL || durable->call == NULL) {
        file_remove(durable);
    }
    if (durable->call != NULL && err != NULL) {
        session_tools_fail(durable->call, err);
    } else if (durable->call != NULL) {
        answer_saved(durable, bytes);
    }
    durable_free(durable);
}

static int save_begin(struct durable *durable, const struct kept_session *kept, struct err *err)
{
    cleanup_buf struct buf about;
    buf_init(&about, LIMIT_STATE_ABOUT_BYTES_MAX);
    if (packages_session_about(call_config(durable->call)->packages, kept->session, &about, err) !=
            0 ||
        file_make(durable, err) != 0) {
        return -1;
    }
    const struct pool_save save = {.fd = durable->fd,
                                   .bytes_max = LIMIT_SAVED_SESSION_BYTES_MAX,
                                   .about = buf_span(&about),
                                   .context = durable,
                                   .done = on_saved};
    if (pool_session_save(kept->session, &save, err) != 0) {
        file_remove(durable);
        return -1;
    }
    return 0;
}

static void save_start(struct mcp_call *call, struct span arguments)
{
    struct err err;
    const struct kept_session *kept = session_tools_named(call, arguments);
    if (kept == NULL) {
        return;
    }
    struct durable *durable = durable_new(call, &err);
    if (durable == NULL || save_begin(durable, kept, &err) != 0) {
        if (durable != NULL) {
            durable_free(durable);
        }
        session_tools_fail(call, &err);
        return;
    }
    call_hold(call, durable, on_cancel);
}

/* ---- Restoring ------------------------------------------------------------------------------- */

/* It may have been closed meanwhile. */
static struct kept_session *session_of(const struct durable *durable)
{
    struct kept_session *found = NULL;
    struct kept_session *kept;
    TAILQ_FOREACH(kept, &durable->sessions->list, link)
    {
        found = strcmp(kept->handle, durable->handle) == 0 ? kept : found;
    }
    return found;
}

static void on_restored(void *context, const struct err *err)
{
    struct durable *durable = context;
    struct kept_session *kept = session_of(durable);
    struct err gone;
    if (err == NULL && (kept == NULL || kept->session == NULL)) {
        (void)err_set(&gone, ERR_GONE, "the session was closed meanwhile");
        err = &gone;
    }
    if (kept != NULL && (err != NULL || durable->call == NULL)) {
        kept_close(kept);
    }
    if (durable->call != NULL && err != NULL) {
        session_tools_fail(durable->call, err);
    } else if (durable->call != NULL) {
        session_tools_answer_session(durable->call, kept);
    }
    durable_free(durable);
}

static int id_read(struct durable *durable, struct span json, struct err *err)
{
    cleanup_buf struct buf text;
    buf_init(&text, ID_CHARS);
    if (jtext_string_decode(&text, json) != 0 || text.len != ID_CHARS ||
        strspn(buf_span(&text).base, "0123456789abcdef") < ID_CHARS) {
        return err_set(err, ERR_MISSING, "there is no such saved session");
    }
    memcpy(durable->id, text.base, ID_CHARS);
    return 0;
}

static int file_open(struct durable *durable, struct span id, struct err *err)
{
    char name[NAME_BYTES];
    struct stat status;
    if (id_read(durable, id, err) != 0) {
        return -1;
    }
    name_make(durable, "session", name);
    durable->fd = openat(durable->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return durable->fd >= 0 && fstat(durable->fd, &status) == 0 && S_ISREG(status.st_mode)
               ? 0
               : err_set(err, ERR_MISSING, "there is no such saved session");
}

static int restore_begin(struct durable *durable, struct span id, struct err *err)
{
    const struct mcp_config *config = call_config(durable->call);
    if (file_open(durable, id, err) != 0) {
        return -1;
    }
    struct kept_session *kept = kept_open(durable->call, err);
    if (kept == NULL) {
        return -1;
    }
    snprintf(durable->handle, sizeof durable->handle, "%s", kept->handle);
    const struct packages_restore how = {.fd = durable->fd,
                                         .file_bytes = config->limits.file_bytes,
                                         .file_count = config->limits.file_count,
                                         .context = durable,
                                         .done = on_restored};
    if (packages_session_restore(config->packages, kept->session, &how, err) != 0) {
        kept_close(kept);
        return -1;
    }
    return 0;
}

static void restore_start(struct mcp_call *call, struct span arguments)
{
    static const char *const names[] = {"saved_id", NULL};
    struct span value;
    struct err err;
    struct durable *durable = NULL;
    if (session_tools_arguments(arguments, names, &value, &err) != 0 ||
        (durable = durable_new(call, &err)) == NULL || restore_begin(durable, value, &err) != 0) {
        if (durable != NULL) {
            durable_free(durable);
        }
        session_tools_fail(call, &err);
        return;
    }
    call_hold(call, durable, on_cancel);
}

/* ---- The rows -------------------------------------------------------------------------------- */

static const struct mcp_tool tools[] = {
    {.name = "save_session",
     .words = {.title = "Save a Python session",
               .description =
                   "Write a session's whole state - variables, imports, files and open files - to "
                   "the server's disk, and get a saved_id. The session goes on. restore_session "
                   "brings the state back later, also after the server was restarted. Keep the "
                   "saved_id: it cannot be looked up.",
               .annotations =
                   "{\"readOnlyHint\":false,\"destructiveHint\":false,\"openWorldHint\":false}"},
     .input_schema = "{\"type\":\"object\",\"properties\":{\"session_id\":{\"type\":\"string\","
                     "\"description\":\"What create_session, fork_session or list_sessions gave\"}}"
                     ",\"required\":[\"session_id\"],\"additionalProperties\":false}",
     .start = save_start},
    {.name = "restore_session",
     .words = {.title = "Restore a saved Python session",
               .description = "Begin a session with a state that save_session has written. It gets "
                              "a session_id of its own; the saved state stays, so that several can "
                              "begin from it.",
               .annotations =
                   "{\"readOnlyHint\":false,\"destructiveHint\":false,\"openWorldHint\":false}"},
     .input_schema = "{\"type\":\"object\",\"properties\":{\"saved_id\":{\"type\":\"string\","
                     "\"description\":\"What save_session gave\"}},\"required\":[\"saved_id\"],"
                     "\"additionalProperties\":false}",
     .start = restore_start},
};

void durable_tools_add(struct mcp_registry *registry)
{
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        registry_add_tool(registry, &tools[i]);
    }
}
