/* result: pictures are what they say they are, go where there is room for them, and are told of
 * where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/limits.h"
#include "result/display.h"
#include "result/render.h"

/* Two pixels wide, three high, as Pillow writes them; the JPEG has headers alone. */
#define PNG                                                                                        \
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAE0lEQVR4nGP8z8DAwMDAxIBMAQAUQAEF3SN5DgAAAABJ" \
    "RU5ErkJggg=="
#define JPEG "/9j/4AAEq83/wAALCAADAAIBAREA/9k="
#define WEBP                                                                                       \
    "UklGRjwAAABXRUJQVlA4IDAAAADQAQCdASoCAAMAAUAmJaACdLoB+AADsAD+8ut//NgVzXPv9//S4P0uD9Lg/9KQAAA="
#define WEBP_LOSSLESS "UklGRhwAAABXRUJQVlA4TA8AAAAvAYAAAAcQ/Y/+ByKi/wEA"
#define WEBP_ALPHA                                                                                 \
    "UklGRl4AAABXRUJQVlA4WAoAAAAQAAAAAQAAAgAAQUxQSAcAAAAAZGRkZGRkAFZQOCAwAAAA0AEAnQEqAgADAAFAJiWg" \
    "AnS6AfgAA7AA/vLrf/zYFc1z7/f/0uD9Lg/S4P/SkAAA"
#define GIF "R0lGODdhAgADAIEAAP8AAAAAAAAAAAAAACwAAAAAAgADAAAIBgABCBwYEAA7"

struct fixture {
    struct transcript transcript;
    struct buf out;
    size_t picture_bytes_max;
    bool has_content;
    const struct result_files *files;
};

static void open_fixture(struct fixture *f)
{
    transcript_init(&f->transcript, 1 << 16);
    buf_init(&f->out, 64 << 20);
    f->picture_bytes_max = LIMIT_PICTURE_BYTES_DEFAULT;
    f->has_content = true;
    f->files = NULL;
}

static void close_fixture(struct fixture *f)
{
    transcript_free(&f->transcript);
    buf_free(&f->out);
}

static void show(struct fixture *f, const char *bundle)
{
    transcript_add(&f->transcript, RUN_DISPLAY, span_of(bundle));
}

static struct result result_of(struct fixture *f, const struct outcome *outcome)
{
    struct result result;
    transcript_finish(&f->transcript);
    result_open(&result, outcome, &f->transcript);
    result.picture_bytes_max = f->picture_bytes_max;
    result.has_content = f->has_content;
    result.files = f->files;
    buf_clear(&f->out);
    return result;
}

static json_t *load(struct fixture *f)
{
    json_t *value =
        json_loadb(f->out.base, f->out.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(value);
    return value;
}

static json_t *content_of(struct fixture *f)
{
    struct outcome outcome = {0};
    struct result result = result_of(f, &outcome);
    assert_int_equal(buf_append_char(&f->out, '['), 0);
    assert_int_equal(result_append_content(&f->out, RESULT_XML, &result), 0);
    assert_int_equal(buf_append_char(&f->out, ']'), 0);
    return load(f);
}

static json_t *structured_of(struct fixture *f)
{
    struct outcome outcome = {0};
    struct result result = result_of(f, &outcome);
    assert_int_equal(result_append_structured(&f->out, &result), 0);
    return load(f);
}

static const char *text_at(json_t *array, size_t at, const char *key)
{
    return json_string_value(json_object_get(json_array_get(array, at), key));
}

static void kinds_are_known(void **state)
{
    (void)state;
    static const struct {
        enum picture_kind kind;
        const char *base64;
    } rows[] = {{PICTURE_PNG, PNG},   {PICTURE_JPEG, JPEG},          {PICTURE_GIF, GIF},
                {PICTURE_WEBP, WEBP}, {PICTURE_WEBP, WEBP_LOSSLESS}, {PICTURE_WEBP, WEBP_ALPHA}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (unsigned kind = 0; kind < PICTURE_KINDS; kind++) {
            struct picture picture;
            const char *fault =
                picture_check((enum picture_kind)kind, span_of(rows[i].base64), &picture);
            if (kind == (unsigned)rows[i].kind) {
                assert_null(fault);
                assert_int_equal(picture.width, 2);
                assert_int_equal(picture.height, 3);
            } else {
                assert_string_equal(fault, "its bytes are no such picture");
            }
        }
    }
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct picture picture;
    for (size_t len = 0; len < sizeof PNG - 1; len++) {
        assert_non_null(picture_check(PICTURE_PNG, (struct span){PNG, len}, &picture));
    }
    static const char *const rows[] = {"",      "====", "AAA=", "A===", "=AAA",
                                       "AA\nA", "AB==", "AAB=", "AAA-", "A\xFF=="};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (unsigned kind = 0; kind < PICTURE_KINDS; kind++) {
            assert_non_null(picture_check((enum picture_kind)kind, span_of(rows[i]), &picture));
        }
    }
}

/* A PNG of one pixel that says it has a side of 8001. */
static void too_many_pixels_are_refused(void **state)
{
    (void)state;
    char png[] = PNG;
    struct picture picture;
    memcpy(png + 24, "H0EA", 4); /* bytes 18 to 20 */
    const char *fault = picture_check(PICTURE_PNG, span_of(png), &picture);
    assert_string_equal(fault, "it has too many pixels");
}

static void pictures_stand_in_the_content(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    show(&f, "{\"text/plain\":\"<Figure>\",\"image/png\":\"" PNG "\"}");
    show(&f, "{\"image/svg+xml\":\"<svg/>\"}");
    show(&f, "{\"of\":\"return_value\",\"image/gif\":\"" GIF "\",\"image/jpeg\":\"" JPEG "\"}");
    json_t *content = content_of(&f);
    assert_int_equal(json_array_size(content), 4);
    assert_string_equal(text_at(content, 0, "text"),
                        "<status>success</status>\n<output>\n<Figure> [image/png, 2x3]\n"
                        "[image/svg+xml]\n[image/jpeg, 2x3]\n</output>");
    assert_string_equal(text_at(content, 1, "type"), "image");
    assert_string_equal(text_at(content, 1, "mimeType"), "image/png");
    assert_string_equal(text_at(content, 1, "data"), PNG);
    json_t *svg = json_object_get(json_array_get(content, 2), "resource");
    assert_string_equal(json_string_value(json_object_get(svg, "text")), "<svg/>");
    assert_string_equal(json_string_value(json_object_get(svg, "uri")), "vitrine://display/2.svg");
    assert_string_equal(text_at(content, 3, "data"), JPEG);
    json_decref(content);
    json_t *structured = structured_of(&f);
    json_t *display = json_object_get(structured, "display");
    json_t *first = json_object_get(json_array_get(display, 0), "image/png");
    assert_int_equal(json_integer_value(json_object_get(first, "bytes")), 76);
    assert_int_equal(json_integer_value(json_object_get(first, "width")), 2);
    assert_int_equal(json_integer_value(json_object_get(first, "content")), 1);
    json_t *last = json_array_get(display, 2);
    assert_int_equal(json_object_size(last), 2); /* what it is of is told nowhere */
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(last, "image/jpeg"), "content")), 3);
    json_decref(structured);
    close_fixture(&f);
}

static void forged_pictures_are_left_out(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"image/png\":\"\"}",           "{\"image/png\":\"" JPEG "\"}",
        "{\"image/png\":\"<script>\"}",   "{\"image/png\":\"" PNG "\\n\"}",
        "{\"image/svg+xml\":\"<html>\"}",
    };
    struct fixture f;
    open_fixture(&f);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        show(&f, rows[i]);
    }
    json_t *content = content_of(&f);
    assert_int_equal(json_array_size(content), 1);
    const char *text = text_at(content, 0, "text");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        text = strstr(text, ", left out: ");
        assert_non_null(text++);
    }
    json_decref(content);
    f.has_content = false;
    json_t *structured = structured_of(&f);
    json_t *display = json_object_get(structured, "display");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *form = json_object_iter_value(json_object_iter(json_array_get(display, i)));
        assert_true(json_is_string(json_object_get(form, "left_out")));
    }
    json_decref(structured);
    close_fixture(&f);
}

static void there_is_room_for_some(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    for (unsigned i = 0; i < LIMIT_PICTURES_MAX + 5; i++) {
        show(&f, "{\"image/png\":\"" PNG "\"}");
    }
    json_t *content = content_of(&f);
    assert_int_equal(json_array_size(content), 1 + LIMIT_PICTURES_MAX);
    assert_non_null(strstr(text_at(content, 0, "text"), "2x3, left out: there were many before"));
    json_decref(content);
    f.picture_bytes_max = 100;
    content = content_of(&f);
    assert_int_equal(json_array_size(content), 1);
    assert_non_null(strstr(text_at(content, 0, "text"), "left out: it is larger than"));
    json_decref(content);
    f.picture_bytes_max = sizeof PNG - 1;
    content = content_of(&f);
    assert_int_equal(json_array_size(content), 1 + LIMIT_PICTURES_OF_FULL_SIZE);
    json_decref(content);
    close_fixture(&f);
}

static void the_whole_picture_is_told_of(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    show(&f, "{\"image/jpeg\":\"" JPEG "\",\"whole\":\"" PNG "\"}");
    show(&f, "{\"image/jpeg\":\"" JPEG "\",\"whole\":\"<script>\"}");
    show(&f, "{\"image/jpeg\":\"" JPEG "\",\"image/gif\":\"x\",\"whole\":\"" GIF "\"}");
    json_t *structured = structured_of(&f);
    json_t *display = json_object_get(structured, "display");
    json_t *form = json_object_get(json_array_get(display, 0), "image/jpeg");
    json_t *whole = json_object_get(form, "whole");
    assert_string_equal(json_string_value(json_object_get(whole, "media_type")), "image/png");
    assert_int_equal(json_integer_value(json_object_get(whole, "bytes")), 76);
    form = json_object_get(json_array_get(display, 1), "image/jpeg");
    assert_null(json_object_get(form, "whole"));
    assert_null(json_object_get(whole, "file"));
    json_decref(structured);
    struct result_files files = {0};
    result_add_wholes(&files, &f.transcript);
    assert_int_equal(files.count, 1);
    assert_string_equal(files.items[0].name, "display-1.png");
    assert_int_equal(files.items[0].content.len, 76);
    f.files = &files;
    structured = structured_of(&f);
    form = json_object_get(json_array_get(json_object_get(structured, "display"), 0), "image/jpeg");
    whole = json_object_get(form, "whole");
    assert_string_equal(json_string_value(json_object_get(whole, "file")), "display-1.png");
    assert_string_equal(text_at(json_object_get(structured, "files"), 0, "name"), "display-1.png");
    json_decref(structured);
    result_files_free(&files);
    f.files = NULL;
    f.has_content = false;
    structured = structured_of(&f);
    display = json_object_get(structured, "display");
    assert_string_equal(text_at(display, 0, "image/png"), PNG);
    assert_null(text_at(display, 0, "image/jpeg"));
    assert_string_equal(text_at(display, 1, "image/jpeg"), JPEG);
    json_decref(structured);
    close_fixture(&f);
}

static void long_forms_are_described(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    cleanup_buf struct buf bundle;
    buf_init(&bundle, 1 << 20);
    buf_append_text(&bundle, "{\"text/html\":\"");
    for (unsigned i = 0; i < 20000; i++) {
        buf_append_char(&bundle, 'x');
    }
    buf_append_text(&bundle, "\",\"text/latex\":\"$x$\"}");
    transcript_add(&f.transcript, RUN_DISPLAY, buf_span(&bundle));
    for (unsigned i = 0; i < 2; i++) {
        f.has_content = i == 0;
        json_t *structured = structured_of(&f);
        json_t *forms = json_array_get(json_object_get(structured, "display"), 0);
        assert_string_equal(json_string_value(json_object_get(forms, "text/latex")), "$x$");
        json_t *html = json_object_get(forms, "text/html");
        assert_int_equal(i == 0 ? json_integer_value(json_object_get(html, "bytes"))
                                : (json_int_t)json_string_length(html),
                         20000);
        json_decref(structured);
    }
    close_fixture(&f);
}

/* Each change of the stream costs an item, of which there is a limited number. */
static void small_pieces_are_put_together(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    for (unsigned i = 0; i < 5000; i++) {
        transcript_add(&f.transcript, RUN_STDOUT, span_of("o\n"));
        transcript_add(&f.transcript, RUN_STDERR, span_of("e\n"));
    }
    show(&f, "{\"text/plain\":\"last\"}");
    json_t *structured = structured_of(&f);
    json_t *output = json_object_get(structured, "output");
    assert_int_equal(json_array_size(output), LIMIT_OUTPUT_ITEMS_MAX + 3);
    assert_string_equal(text_at(output, LIMIT_OUTPUT_ITEMS_MAX + 2, "text"), "last");
    size_t lens[2] = {0};
    for (size_t i = 0; i < LIMIT_OUTPUT_ITEMS_MAX + 2; i++) {
        lens[strcmp(text_at(output, i, "stream"), "stderr") == 0] +=
            strlen(text_at(output, i, "text"));
    }
    assert_int_equal(lens[0], 10000);
    assert_int_equal(lens[1], 10000);
    json_decref(structured);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_known),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(too_many_pixels_are_refused),
        cmocka_unit_test(pictures_stand_in_the_content),
        cmocka_unit_test(forged_pictures_are_left_out),
        cmocka_unit_test(there_is_room_for_some),
        cmocka_unit_test(the_whole_picture_is_told_of),
        cmocka_unit_test(long_forms_are_described),
        cmocka_unit_test(small_pieces_are_put_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
