/*
 * What a hostile guest may show. The input is bundles, a line each; the first byte says how large a
 * picture may be. Whatever they hold, every form of the result is well-formed: content and
 * structured content are JSON, and each picture that is passed on is one by its first bytes.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "result/display.h"
#include "result/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_BYTES_MAX = 64 << 20, PICTURE_BYTES_STEP = 64 };

static void show_all(struct transcript *transcript, struct span bundles)
{
    while (bundles.len > 0) {
        const char *newline = memchr(bundles.base, '\n', bundles.len);
        size_t len = newline == NULL ? bundles.len : (size_t)(newline - bundles.base);
        transcript_add(transcript, RUN_DISPLAY, (struct span){bundles.base, len});
        transcript_add(transcript, RUN_STDOUT, span_of("-\n"));
        len += newline == NULL ? 0 : 1;
        bundles = (struct span){bundles.base + len, bundles.len - len};
    }
    transcript_finish(transcript);
}

/* As the content has it: {"type":"image","mimeType":"image/png","data":"..."}. */
static void picture_check_item(struct span item)
{
    struct span type;
    struct span data;
    bool is_known = false;
    if (!jtext_find(item, "mimeType", &type)) {
        return;
    }
    assert(jtext_find(item, "data", &data));
    for (unsigned i = 0; i < PICTURE_KINDS; i++) {
        enum picture_kind kind = (enum picture_kind)i;
        struct picture picture;
        if (jtext_string_is(type, picture_media_type(kind))) {
            struct span inside = {data.base + 1, data.len - 2};
            assert(picture_check(kind, inside, &picture) == NULL);
            assert(picture.width > 0 && picture.height > 0);
            is_known = true;
        }
    }
    assert(is_known);
}

static void content_check(struct buf *out, const struct result *result)
{
    struct span value;
    struct span key;
    struct span item;
    unsigned count = 0;
    assert(buf_append_char(out, '[') == 0);
    assert(result_append_content(out, RESULT_XML, result) == 0);
    assert(buf_append_char(out, ']') == 0);
    assert(jtext_check(buf_span(out), JTEXT_STRICT, &value, NULL) == 0);
    struct jtext_cursor cursor = jtext_open(value);
    while (jtext_next(&cursor, &key, &item)) {
        picture_check_item(item);
        count++;
    }
    assert(count <= 1 + LIMIT_PICTURES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct transcript transcript;
    struct outcome outcome = {0};
    struct result result;
    struct span value;
    struct result_files files = {0};
    struct buf out;
    buf_init(&out, OUT_BYTES_MAX);
    transcript_init(&transcript, 1 << 20);
    show_all(&transcript, (struct span){(const char *)data + 1, size - 1});
    result_open(&result, &outcome, &transcript);
    result.picture_bytes_max = (size_t)data[0] * PICTURE_BYTES_STEP;
    content_check(&out, &result);
    result_add_wholes(&files, &transcript);
    for (unsigned i = 0; i < 2; i++) {
        result.has_content = i == 0;
        result.files = i == 0 ? &files : NULL;
        buf_clear(&out);
        assert(result_append_structured(&out, &result) == 0);
        assert(jtext_check(buf_span(&out), JTEXT_STRICT, &value, NULL) == 0);
        buf_clear(&out);
        assert(result_append_text(&out, i == 0 ? RESULT_XML : RESULT_JSON, &result) == 0);
    }
    result_files_free(&files);
    transcript_free(&transcript);
    buf_free(&out);
    return 0;
}
