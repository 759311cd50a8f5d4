#include "result/files.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/jtext.h"
#include "base/media.h"
#include "base/utf8.h"

void result_files_free(struct result_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->items[i].name);
        buf_free(&files->items[i].content);
    }
    free(files->items);
    *files = (struct result_files){0};
}

/* Room for one more. */
static bool make_room(struct result_files *files)
{
    if (files->count < files->capacity) {
        return true;
    }
    const size_t capacity = files->capacity == 0 ? 4 : files->capacity * 2;
    struct result_file *items = capacity > LIMIT_MADE_COUNT_MAX
                                    ? NULL
                                    : reallocarray(files->items, capacity, sizeof *items);
    if (items == NULL) {
        return false;
    }
    files->items = items;
    files->capacity = capacity;
    return true;
}

void result_files_add(struct result_files *files, const struct run_made *made)
{
    if (!make_room(files)) {
        files->left_out++;
        return;
    }
    struct result_file *file = &files->items[files->count];
    *file = (struct result_file){
        .name = strndup(made->name.base, made->name.len),
        .size = made->size,
        .media_type = made->media_type,
        .has_content = made->has_content,
        .is_text = media_is_text(made->media_type) && utf8_valid(made->content),
    };
    buf_init(&file->content, made->content.len);
    if (file->name == NULL ||
        buf_append(&file->content, made->content.base, made->content.len) != 0) {
        free(file->name);
        files->left_out++;
        return;
    }
    file->is_inline = file->has_content && made->content.len <= LIMIT_INLINE_FILE_BYTES &&
                      files->inline_bytes + made->content.len <= LIMIT_INLINE_FILES_BYTES;
    files->inline_bytes += file->is_inline ? made->content.len : 0;
    files->count++;
}

static int append_content(struct buf *out, const struct result_file *file)
{
    if (file->is_text) {
        return buf_append_text(out, ",\"text\":") != 0
                   ? -1
                   : jtext_append_string(out, buf_span(&file->content));
    }
    return buf_append_text(out, ",\"blob\":\"") != 0 ||
                   base64_encode(out, buf_span(&file->content)) != 0
               ? -1
               : buf_append_char(out, '"');
}

static int append_file(struct buf *out, const struct result_file *file)
{
    if (buf_append_text(out, "{\"name\":") != 0 ||
        jtext_append_string(out, span_of(file->name)) != 0 ||
        buf_append_format(out, ",\"size\":%llu,\"media_type\":\"%s\"",
                          (unsigned long long)file->size, file->media_type) != 0 ||
        (file->is_inline && append_content(out, file) != 0) ||
        (file->uri[0] != '\0' && (buf_append_text(out, ",\"uri\":") != 0 ||
                                  jtext_append_string(out, span_of(file->uri)) != 0))) {
        return -1;
    }
    return buf_append_char(out, '}');
}

int result_append_files(struct buf *out, const struct result_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        if (buf_append_char(out, i == 0 ? '[' : ',') != 0 ||
            append_file(out, &files->items[i]) != 0) {
            return -1;
        }
    }
    return buf_append_text(out, files->count == 0 ? "[]" : "]");
}
