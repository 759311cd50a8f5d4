/* image: what the writer writes the reader finds, and no damaged byte leads outside the image. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/limits.h"
#include "guest/vfs/image.h"
#include "guest/vfs/image_format.h"

static void make_tree(struct image_writer *writer)
{
    struct err err;
    assert_int_equal(image_writer_add_file(writer, span_of("lib/python/os.py"),
                                           span_of("import abc\n"), 0644, &err),
                     0);
    assert_int_equal(image_writer_add_dir(writer, span_of("/empty"), 0700, &err), 0);
    assert_int_equal(
        image_writer_add_file(writer, span_of("lib/python/abc.py"), span_of(""), 0444, &err), 0);
    assert_int_equal(image_writer_add_symlink(writer, span_of("/lib64"), span_of("lib"), &err), 0);
}

static void make_image(struct buf *out)
{
    struct err err;
    struct image_writer *writer = image_writer_new(1234567);
    assert_non_null(writer);
    make_tree(writer);
    buf_init(out, MIB);
    assert_int_equal(image_writer_finish(writer, out, &err), 0);
    image_writer_free(writer);
}

/* Looks up "a/b/c" from the root; the entry must be there. */
static struct image_entry find(const struct image *image, const char *path)
{
    uint32_t at = IMAGE_ROOT;
    for (const char *rest = path; *rest != '\0';) {
        size_t len = strcspn(rest, "/");
        assert_int_equal(image_lookup(image, at, (struct span){rest, len}, &at), 1);
        rest += len + (rest[len] == '/' ? 1 : 0);
    }
    struct image_entry entry;
    assert_int_equal(image_entry(image, at, &entry), 0);
    return entry;
}

static void reader_finds_what_was_written(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    make_image(&bytes);
    struct image image;
    struct err err;
    assert_int_equal(image_open(buf_span(&bytes), &image, &err), 0);
    assert_int_equal(image.entry_count, 7);
    assert_int_equal(image.mtime_s, 1234567);

    struct image_entry entry = find(&image, "lib/python/os.py");
    assert_int_equal(entry.mode, 0100644);
    assert_true(span_equal(entry.contents, span_of("import abc\n")));
    assert_int_equal((uintptr_t)(entry.contents.base - image.data.base) % IMAGE_ALIGN, 0);
    assert_int_equal(find(&image, "lib/python/abc.py").contents.len, 0);
    assert_int_equal(find(&image, "lib/python/abc.py").mode, 0100444);
    assert_int_equal(find(&image, "lib").mode, 0040755);
    assert_int_equal(find(&image, "empty").mode, 0040700);
    assert_true(span_equal(find(&image, "lib64").contents, span_of("lib")));

    uint32_t index;
    assert_int_equal(image_lookup(&image, IMAGE_ROOT, span_of("li"), &index), 0);
    assert_int_equal(image_lookup(&image, IMAGE_ROOT, span_of("lib65"), &index), 0);
    assert_int_equal(image_lookup(&image, 99, span_of("lib"), &index), -1);
    assert_int_equal(image_entry(&image, 7, &entry), -1);
}

static void many_names_are_all_found(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct image_writer *writer = image_writer_new(IMAGE_MTIME_DEFAULT_S);
    struct err err;
    char path[64];
    for (unsigned i = 0; i < COUNT; i++) {
        int len = snprintf(path, sizeof path, "d%u/f%u", i % 7, i * 7919u);
        struct span name = {path, (size_t)len};
        assert_int_equal(image_writer_add_file(writer, name, name, 0600, &err), 0);
    }
    cleanup_buf struct buf bytes;
    buf_init(&bytes, 16 * MIB);
    assert_int_equal(image_writer_finish(writer, &bytes, &err), 0);
    struct image image;
    assert_int_equal(image_open(buf_span(&bytes), &image, &err), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(path, sizeof path, "d%u/f%u", i % 7, i * 7919u);
        assert_true(span_equal(find(&image, path).contents, span_of(path)));
    }
    image_writer_free(writer);
}

static void children_are_sorted_and_later(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    make_image(&bytes);
    struct image image;
    assert_int_equal(image_open(buf_span(&bytes), &image, NULL), 0);
    const char *const expected[] = {"empty", "lib", "lib64"};
    struct image_entry root;
    assert_int_equal(image_entry(&image, IMAGE_ROOT, &root), 0);
    assert_int_equal(root.child_count, 3);
    for (uint32_t i = 0; i < root.child_count; i++) {
        struct image_entry child;
        assert_int_equal(image_entry(&image, root.first_child + i, &child), 0);
        assert_true(span_equal(child.name, span_of(expected[i])));
    }
}

static void same_tree_gives_same_bytes(void **state)
{
    (void)state;
    struct err err;
    cleanup_buf struct buf first;
    make_image(&first);
    struct image_writer *writer = image_writer_new(1234567);
    assert_int_equal(image_writer_add_symlink(writer, span_of("lib64"), span_of("lib"), &err), 0);
    assert_int_equal(
        image_writer_add_file(writer, span_of("/lib//python/abc.py"), span_of(""), 0444, &err), 0);
    assert_int_equal(image_writer_add_file(writer, span_of("lib/python/os.py"),
                                           span_of("import abc\n"), 0644, &err),
                     0);
    assert_int_equal(image_writer_add_dir(writer, span_of("empty"), 0700, &err), 0);
    cleanup_buf struct buf second;
    buf_init(&second, MIB);
    assert_int_equal(image_writer_finish(writer, &second, &err), 0);
    assert_true(span_equal(buf_span(&first), buf_span(&second)));
    image_writer_free(writer);
}

static void writer_refuses_what_it_cannot_hold(void **state)
{
    (void)state;
    struct err err;
    struct image_writer *writer = image_writer_new(0);
    make_tree(writer);
    struct span none = {"", 0};
    assert_int_equal(image_writer_add_file(writer, span_of("empty"), none, 0644, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(image_writer_add_file(writer, span_of("lib64"), none, 0644, &err), -1);
    assert_int_equal(image_writer_add_file(writer, span_of("lib64/x"), none, 0644, &err), -1);
    assert_int_equal(image_writer_add_file(writer, span_of("a/../b"), none, 0644, &err), -1);
    assert_int_equal(image_writer_add_file(writer, span_of("."), none, 0644, &err), -1);
    assert_int_equal(image_writer_add_file(writer, span_of("/"), none, 0644, &err), -1);
    assert_int_equal(image_writer_add_file(writer, (struct span){"a\0b", 3}, none, 0644, &err), -1);
    assert_int_equal(image_writer_add_dir(writer, span_of("lib/python/os.py"), 0755, &err), -1);
    assert_int_equal(image_writer_add_symlink(writer, span_of("l"), none, &err), -1);
    char name[LIMIT_NAME_BYTES_MAX + 1];
    memset(name, 'n', sizeof name);
    struct span longest = {name, LIMIT_NAME_BYTES_MAX};
    struct span too_long = {name, LIMIT_NAME_BYTES_MAX + 1};
    assert_int_equal(image_writer_add_file(writer, longest, none, 0644, &err), 0);
    assert_int_equal(image_writer_add_file(writer, too_long, none, 0644, &err), -1);
    image_writer_free(writer);
}

static void file_on_disk_can_be_mapped(void **state)
{
    (void)state;
    char path[] = "/tmp/test_image.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct err err;
    struct image_writer *writer = image_writer_new(0);
    make_tree(writer);
    assert_int_equal(image_writer_write(writer, path, &err), 0);
    image_writer_free(writer);
    struct span mapped;
    assert_int_equal(fd_map_file(path, &mapped, &err), 0);
    struct image image;
    assert_int_equal(image_open(mapped, &image, &err), 0);
    assert_true(span_equal(find(&image, "lib/python/os.py").contents, span_of("import abc\n")));
    munmap((void *)mapped.base, mapped.len);
    unlink(path);
}

/* Reads all that can be reached, to let the sanitizers see every access. */
static void touch_everything(const struct image *image)
{
    volatile char sink = 0;
    for (uint32_t i = 0; i < image->entry_count; i++) {
        struct image_entry entry;
        if (image_entry(image, i, &entry) != 0) {
            continue;
        }
        for (size_t j = 0; j < entry.contents.len; j++) {
            sink = (char)(sink ^ entry.contents.base[j]);
        }
        uint32_t index;
        image_lookup(image, i, span_of("os.py"), &index);
        image_lookup(image, i, entry.name, &index);
    }
}

static void damage_never_leads_outside(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    make_image(&bytes);
    const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    for (size_t i = 0; i < bytes.len; i++) {
        for (size_t v = 0; v < sizeof values; v++) {
            /* A copy of exactly the image's size, so that one byte too far is seen. */
            char *copy = malloc(bytes.len);
            assert_non_null(copy);
            memcpy(copy, bytes.base, bytes.len);
            copy[i] = (char)values[v];
            struct image image;
            if (image_open((struct span){copy, bytes.len}, &image, NULL) == 0) {
                touch_everything(&image);
            }
            free(copy);
        }
    }
    for (size_t len = 0; len < bytes.len; len++) {
        char *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, bytes.base, len);
        struct image image;
        if (image_open((struct span){copy, len}, &image, NULL) == 0) {
            touch_everything(&image);
        }
        free(copy);
    }
}

/* Changes one field of an entry and asks whether the reader minds. */
static int entry_status(struct buf *bytes, uint32_t index, int field, uint32_t value)
{
    char *at = bytes->base + IMAGE_HEADER_BYTES + (size_t)index * IMAGE_ENTRY_BYTES + field;
    char before[4];
    memcpy(before, at, sizeof before);
    image_put_u32(at, value);
    struct image image;
    struct image_entry entry;
    int status = image_open(buf_span(bytes), &image, NULL);
    if (status == 0) {
        status = image_entry(&image, index, &entry);
    }
    memcpy(at, before, sizeof before);
    return status;
}

static void lies_are_refused(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    make_image(&bytes);
    assert_int_equal(entry_status(&bytes, 2, IMAGE_ENTRY_CHILD, 4), 0);
    /* A directory that would contain itself or its parent. */
    assert_int_equal(entry_status(&bytes, 2, IMAGE_ENTRY_CHILD, 2), -1);
    assert_int_equal(entry_status(&bytes, 2, IMAGE_ENTRY_CHILD, 0), -1);
    assert_int_equal(entry_status(&bytes, 2, IMAGE_ENTRY_CHILD_COUNT, UINT32_MAX), -1);
    assert_int_equal(entry_status(&bytes, 0, IMAGE_ENTRY_CHILD_COUNT, 7), -1);
    assert_int_equal(entry_status(&bytes, 1, IMAGE_ENTRY_NAME, UINT32_MAX), -1);
    assert_int_equal(entry_status(&bytes, 6, IMAGE_ENTRY_SIZE, 100000), -1);
    assert_int_equal(entry_status(&bytes, 6, IMAGE_ENTRY_OFFSET, UINT32_MAX), -1);
    /* A name that is "..", or holds a slash, would lead a path astray. */
    char *name = memmem(bytes.base, bytes.len, "lib64", 5);
    assert_non_null(name);
    struct image image;
    struct image_entry entry;
    name[1] = '/';
    assert_int_equal(image_open(buf_span(&bytes), &image, NULL), 0);
    assert_int_equal(image_entry(&image, 3, &entry), -1);
    name[1] = '\0';
    assert_int_equal(image_entry(&image, 3, &entry), -1);
    name[1] = 'i';
    assert_int_equal(image_entry(&image, 3, &entry), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_finds_what_was_written),
        cmocka_unit_test(many_names_are_all_found),
        cmocka_unit_test(children_are_sorted_and_later),
        cmocka_unit_test(same_tree_gives_same_bytes),
        cmocka_unit_test(writer_refuses_what_it_cannot_hold),
        cmocka_unit_test(file_on_disk_can_be_mapped),
        cmocka_unit_test(damage_never_leads_outside),
        cmocka_unit_test(lies_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
