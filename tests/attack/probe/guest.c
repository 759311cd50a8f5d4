/*
 * `vitrine-cell-probe`: vitrine-cell with a guest that is native code from the start, as one would
 * be that has broken out of the engine completely. A program is a script in the language of
 * probe.h. So is the file that is given as the core: it runs in the zygote, as a hostile package
 * that is imported ahead would; and so is its image, which runs where it is read, before the
 * zygote's jail has closed.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "guest/guest.h"
#include "probe.h"
#include "wire/wire.h"

enum { SCRIPT_BYTES_MAX = 1 << 20 };

struct guest {
    const struct guest_sink *sink;
    struct buf script; /* for the zygote */
};

/* ---- Boot ------------------------------------------------------------------------------------ */

static void zygote_say(void *context, struct span line)
{
    (void)context;
    (void)fd_write_full(STDERR_FILENO, line.base, line.len);
}

static int image_run(const char *path, struct err *err)
{
    const struct probe_voice voice = {.say = zygote_say};
    cleanup_buf struct buf script;
    buf_init(&script, SCRIPT_BYTES_MAX);
    if (path == NULL || fd_read_file(path, &script, err) != 0) {
        return path == NULL ? 0 : -1;
    }
    probe_run(&voice, buf_span(&script));
    return 0;
}

int guest_load(const struct guest_config *config, struct guest **out, struct err *err)
{
    struct guest *guest = calloc(1, sizeof *guest);
    if (guest == NULL) {
        return err_set(err, ERR_MEMORY, "no memory");
    }
    buf_init(&guest->script, SCRIPT_BYTES_MAX);
    if (fd_read_file(config->core_path, &guest->script, err) != 0) {
        guest_free(guest);
        return -1;
    }
    *out = guest;
    return image_run(config->image_paths[0], err);
}

int guest_boot(struct guest *guest, struct err *err)
{
    const struct probe_voice voice = {.say = zygote_say};
    (void)err;
    probe_run(&voice, buf_span(&guest->script));
    return 0;
}

void guest_free(struct guest *guest)
{
    if (guest != NULL) {
        buf_free(&guest->script);
        free(guest);
    }
}

bool guest_is_restored(const struct guest *guest)
{
    (void)guest;
    return false;
}

const char *guest_python_version(const struct guest *guest)
{
    (void)guest;
    return "0.0.1";
}

const char *guest_engine_version(void)
{
    return "probe 1.0";
}

/* ---- The run --------------------------------------------------------------------------------- */

void guest_interrupt(struct guest *guest)
{
    (void)guest;
}

void guest_prepare_copies(struct guest *guest)
{
    (void)guest;
}

int guest_settle(struct guest *guest, struct err *err)
{
    (void)guest;
    (void)err;
    return 0;
}

int guest_mount(struct guest *guest, int fd, const char *path, enum guest_grant how,
                struct err *err)
{
    (void)guest;
    (void)fd;
    (void)path;
    (void)how;
    (void)err;
    return 0;
}

int guest_made_files(struct guest *guest, uint64_t bytes_max,
                     const struct guest_made_events *events, uint32_t *left_out)
{
    (void)guest;
    (void)bytes_max;
    (void)events;
    *left_out = 0;
    return 0;
}

int guest_state_write(struct guest *guest, const struct flow_out *out, struct err *err)
{
    (void)guest;
    (void)out;
    return err_set(err, ERR_USAGE, "a probe has no state");
}

int guest_state_read(struct guest *guest, const struct flow_pieces *in,
                     const struct guest_state_room *room, struct err *err)
{
    (void)guest;
    (void)in;
    (void)room;
    return err_set(err, ERR_USAGE, "a probe has no state");
}

int guest_rehearse(struct guest *guest, bool will_fork, struct err *err)
{
    (void)guest;
    (void)will_fork;
    (void)err;
    return 0;
}

static void cell_say(void *context, struct span line)
{
    const struct guest *guest = context;
    (void)guest->sink->output(guest->sink->context, 0, line);
    guest->sink->flush(guest->sink->context); /* the next command may end the process */
}

void guest_run(struct guest *guest, struct span request, const struct guest_sink *sink,
               struct guest_end *end)
{
    const struct probe_voice voice = {.context = guest, .say = cell_say};
    struct span code = {0};
    struct wire_field field;
    *end = (struct guest_end){.reason = WIRE_END_RETURNED};
    guest->sink = sink;
    while (wire_next(&request, &field) > 0) {
        code = field.number == WIRE_REQUEST_CODE ? field.value : code;
    }
    probe_run(&voice, code);

    cleanup_buf struct buf record;
    buf_init(&record, LIMIT_CONTROL_FRAME_BYTES_MAX);
    (void)wire_put(&record, WIRE_RESULT_STATUS, span_of("success"));
    (void)wire_put_u32(&record, WIRE_RESULT_EXIT_CODE, 0);
    (void)sink->result(sink->context, buf_span(&record));
}
