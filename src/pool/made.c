#include "pool/made.h"

#include "base/media.h"
#include "base/utf8.h"

bool made_is_open(const struct pool_run *run)
{
    return run->made.left > 0;
}

/* Each field at most once, and a name. */
static int file_read(struct span record, struct span *name, struct made_file *out)
{
    struct wire_field field;
    uint32_t seen = 0;
    int more;
    while ((more = wire_next(&record, &field)) > 0) {
        int result = -1;
        switch (field.number) {
        case WIRE_FILE_NAME:
            *name = field.value;
            result = 0;
            break;
        case WIRE_FILE_SIZE: result = wire_get_u64(field.value, &out->size); break;
        case WIRE_FILE_CONTENT:
            out->has_content = true;
            result = wire_get_u64(field.value, &out->left);
            break;
        default: break;
        }
        if (result != 0 || (seen & 1U << field.number) != 0) {
            return -1;
        }
        seen |= 1U << field.number;
    }
    return more == 0 && name->len > 0 && name->len < LIMIT_PATH_BYTES_MAX ? 0 : -1;
}

static const char *complete(struct pool_run *run)
{
    const struct made_file *made = &run->made;
    const struct run_made file = {
        .name = buf_span(&made->name),
        .size = made->size,
        .media_type = media_type(buf_span(&made->name), buf_span(&made->content)),
        .has_content = made->has_content,
        .content = buf_span(&made->content),
    };
    if (run->events.file != NULL) {
        run->events.file(run->events.context, &file);
    }
    buf_free(&run->made.content);
    return NULL;
}

const char *made_take_file(struct pool_run *run, struct span record)
{
    struct made_file *made = &run->made;
    struct span name = {0};
    if (!run->wants_files) {
        return "a file that nobody asked for";
    }
    made->size = made->left = 0;
    made->has_content = false;
    if (file_read(record, &name, made) != 0 || (made->has_content && made->left != made->size)) {
        return "a file that is none";
    }
    if (++made->count > LIMIT_MADE_COUNT_MAX || made->left > made->bytes_left) {
        return "more files than its limit allows";
    }
    made->bytes_left -= made->left;
    buf_clear(&made->name);
    buf_init(&made->content, (size_t)made->left);
    if (utf8_append_lossy(&made->name, name) != 0 ||
        buf_reserve(&made->content, (size_t)made->left) != 0) {
        return "a file too large to keep";
    }
    return made->left == 0 ? complete(run) : NULL;
}

const char *made_take_data(struct pool_run *run, struct span bytes)
{
    struct made_file *made = &run->made;
    if (bytes.len == 0 || bytes.len > made->left) {
        return "more of a file than there is";
    }
    made->left -= bytes.len;
    (void)buf_append(&made->content, bytes.base, bytes.len); /* reserved when it was told */
    return made->left == 0 ? complete(run) : NULL;
}
