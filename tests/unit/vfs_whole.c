#include "vfs_whole.h"

#include <string.h>

#include "base/limits.h"

static int contents_append(void *context, struct span bytes, struct err *err)
{
    return buf_append(context, bytes.base, bytes.len) == 0 ? 0 : err_set(err, ERR_LIMIT, "full");
}

static int contents_take(void *context, char *bytes, size_t len, struct err *err)
{
    struct span *rest = context;
    if (len > rest->len) {
        return err_set(err, ERR_FORMAT, "the contents are cut off");
    }
    memcpy(bytes, rest->base, len);
    rest->base += len;
    rest->len -= len;
    return 0;
}

int whole_save(const struct vfs *vfs, struct vfs_whole *out, struct err *err)
{
    const struct flow_out flow = {&out->contents, contents_append};
    *out = (struct vfs_whole){.record = {.is_full = false}};
    buf_init(&out->record.bytes, LIMIT_STATE_RECORD_BYTES_MAX);
    buf_init(&out->contents, GIB);
    return vfs_save_whole(vfs, &out->record, err) != 0 || out->record.is_full ||
                   vfs_write_contents(vfs, &flow, err) != 0
               ? -1
               : 0;
}

void whole_free(struct vfs_whole *whole)
{
    buf_free(&whole->record.bytes);
    buf_free(&whole->contents);
}

int whole_load(struct vfs *vfs, struct span record, struct span contents, struct err *err)
{
    struct loading in = {.rest = record};
    const struct flow_in flow = {&contents, contents_take};
    return vfs_load_whole(vfs, &in, err) != 0 || in.is_bad || in.rest.len != 0 ||
                   vfs_read_contents(vfs, &flow, err) != 0 || contents.len != 0
               ? -1
               : 0;
}
