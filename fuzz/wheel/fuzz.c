/*
 * A hostile wheel. The first byte picks the file's name. What is accepted must keep the promises of
 * wheel.h: names that lead nowhere else, sizes as told. CRCs and sums are what a fuzzer cannot
 * guess, so the texts are read on their own, too.
 */
#include <assert.h>
#include <stdint.h>

#include "base/limits.h"
#include "wheel/filename.h"
#include "wheel/sum.h"
#include "wheel/text.h"
#include "wheel/wheel.h"
#include "wheel/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { READ_BYTES_MAX = 1 << 20, TEXT_CHARS_MAX = 200 };

static void check_name(struct span name)
{
    assert(name.len > 0 && name.base[0] != '/' && name.base[name.len - 1] != '/');
    assert(memmem(name.base, name.len, "..", 2) == NULL || memchr(name.base, '.', name.len));
    for (size_t i = 0; i < name.len; i++) {
        assert((unsigned char)name.base[i] >= ' ' && name.base[i] != '\\');
    }
}

static void read_wheel(struct span bytes, const char *filename)
{
    struct wheel *wheel = NULL;
    if (wheel_open(bytes, filename, &wheel, NULL) != 0) {
        return;
    }
    for (size_t i = 0; i < wheel_file_count(wheel); i++) {
        cleanup_buf struct buf contents;
        struct wheel_file file = wheel_file_at(wheel, i);
        struct span path;
        buf_init(&contents, READ_BYTES_MAX);
        check_name(file.name);
        if (wheel_install_path(wheel, i, &path)) {
            check_name(path);
        }
        if (wheel_read(wheel, i, &contents, NULL) == 0) {
            assert(contents.len == file.size);
        } else {
            assert(contents.len == 0);
        }
    }
    wheel_close(wheel);
}

static void read_zip(struct span bytes)
{
    struct zip zip;
    if (zip_open(bytes, &zip, NULL) != 0) {
        return;
    }
    for (size_t i = 0; i < zip.count; i++) {
        cleanup_buf struct buf contents;
        buf_init(&contents, READ_BYTES_MAX);
        check_name(zip.entries[i].name);
        (void)zip_read(&zip.entries[i], &contents, NULL);
    }
    zip_close(&zip);
}

static void read_texts(struct span text)
{
    cleanup_buf struct buf scratch;
    struct span rest = text;
    struct span values[TEXT_VALUES];
    struct text_header header;
    struct sum sum;
    size_t total = 0;
    buf_init(&scratch, READ_BYTES_MAX);
    while (text_record_next(&rest, values, &scratch, NULL) == 1) {
        for (size_t i = 0; i < TEXT_VALUES; i++) {
            total += values[i].len;
        }
        (void)sum_read_record(values[1], &sum);
    }
    for (rest = text; text_header_next(&rest, &header);) {
        total += header.name.len + header.value.len;
    }
    assert(total <= 2 * text.len);
    if (text.len < TEXT_CHARS_MAX) {
        char name[TEXT_CHARS_MAX];
        char tag[FILENAME_TAG_CHARS];
        struct filename filename;
        memcpy(name, text.base, text.len);
        name[text.len] = '\0';
        if (filename_read(name, &filename, NULL) == 0) {
            (void)filename_tag(&filename, tag, NULL);
        }
        (void)filename_same_version(text, text);
        assert(text.len == 0 || filename_same_name(text, text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    static const char *const names[] = {
        "demo-1.0-py3-none-any.whl",
        "demo-1.0-cp314-cp314-pyemscripten_2026_0_wasm32.whl",
    };
    struct span bytes = {(const char *)data + 1, size - 1};
    read_wheel(bytes, names[data[0] % 2]);
    read_zip(bytes);
    read_texts(bytes);
    return 0;
}
