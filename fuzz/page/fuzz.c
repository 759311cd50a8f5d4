/*
 * A hostile index: the first byte picks JSON or HTML, the rest is the page. Whatever is accepted
 * must be written as a page that reads as JSON, with nothing in it but wheels of the project, with
 * sums, whose addresses are https.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "fetch/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_file(const struct page_file *file)
{
    struct name_sum sum;
    enum name_kind kind = name_file_kind(span_of(file->filename), "demo");
    bool is_sum = name_read_sum(span_of(file->sum.hex), &sum);
    assert(kind == NAME_WHEEL && is_sum);
    assert(strncmp(file->url, "https://", 8) == 0 && strchr(file->url, '#') == NULL);
}

static void check_page(const struct page *page)
{
    cleanup_buf struct buf out;
    buf_init(&out, 16 * MIB);
    size_t count = 0;
    for (const struct page_file *file = page->files; file != NULL; file = file->next) {
        check_file(file);
        count += !file->is_too_new;
    }
    int written = page_write(page, &out);
    assert(written == 0);
    struct span root;
    struct span files;
    struct span key;
    struct span value;
    struct err err;
    int checked = jtext_check(buf_span(&out), JTEXT_STRICT, &root, &err);
    bool has_files = checked == 0 && jtext_find(root, "files", &files);
    assert(has_files);
    struct jtext_cursor cursor = jtext_open(files);
    while (jtext_next(&cursor, &key, &value)) {
        count--;
    }
    assert(count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct page_input input = {
        .body = {(const char *)data + 1, size - 1},
        .content_type = data[0] % 2 == 0 ? "application/vnd.pypi.simple.v1+json" : "text/html",
        .url = "https://host.org/simple/demo/",
        .project = "demo",
        .has_exclude_newer = data[0] % 4 >= 2,
        .exclude_newer_us = 1700000000000000,
    };
    struct page *page;
    struct err err;
    if (page_read(&input, &page, &err) == 0) {
        check_page(page);
        page_free(page);
    }
    return 0;
}
