#include "result/display.h"

#include <string.h>

#include "base/jtext.h"
#include "base/limits.h"

static const char svg_media_type[] = "image/svg+xml";

bool display_check(struct span json, struct span *display)
{
    if (jtext_check(json, JTEXT_STRICT, display, NULL) != 0 ||
        jtext_type(*display) != JTEXT_OBJECT) {
        return false;
    }
    struct jtext_cursor cursor = jtext_open(*display);
    struct span key;
    struct span member;
    size_t count = 0;
    while (jtext_next(&cursor, &key, &member)) {
        if (jtext_type(member) != JTEXT_STRING) {
            return false;
        }
        count++;
    }
    return count > 0;
}

void display_room_init(struct display_room *room, size_t picture_bytes_max)
{
    *room = (struct display_room){
        .picture_bytes_max = picture_bytes_max,
        .bytes_left = LIMIT_PICTURES_OF_FULL_SIZE * picture_bytes_max,
        .count_left = LIMIT_PICTURES_MAX,
        .content_next = 1,
    };
}

/* ---- Looking --------------------------------------------------------------------------------- */

/* Base64 needs no escapes, so what stands between the quotes is what is meant. */
static struct span inside(struct span string)
{
    return (struct span){string.base + 1, string.len - 2};
}

static bool is_note(struct span key)
{
    return jtext_string_is(key, "of") || jtext_string_is(key, "whole");
}

static bool is_picture(struct span key)
{
    for (unsigned kind = 0; kind < PICTURE_KINDS; kind++) {
        if (jtext_string_is(key, picture_media_type((enum picture_kind)kind))) {
            return true;
        }
    }
    return jtext_string_is(key, svg_media_type);
}

/* The picture before it was made smaller, which may be of another kind. */
static void find_whole(struct span display, struct display_view *out)
{
    struct span form;
    if (out->fault != NULL || out->media_type == NULL || !jtext_find(display, "whole", &form)) {
        return;
    }
    for (unsigned i = 0; i < PICTURE_KINDS; i++) {
        struct picture whole;
        struct span other;
        const char *media_type = picture_media_type((enum picture_kind)i);
        bool is_taken = media_type != out->media_type && jtext_find(display, media_type, &other);
        if (!is_taken && picture_check((enum picture_kind)i, inside(form), &whole) == NULL) {
            out->whole = whole;
            out->whole_media_type = media_type;
            out->whole_data = inside(form);
            return;
        }
    }
}

/* The first of its forms that is a picture, in our order, whatever is wrong with it. */
static void find_picture(struct span display, struct display_view *out)
{
    struct span form;
    for (unsigned i = 0; i < PICTURE_KINDS && out->media_type == NULL; i++) {
        enum picture_kind kind = (enum picture_kind)i;
        if (jtext_find(display, picture_media_type(kind), &form)) {
            out->media_type = picture_media_type(kind);
            out->data = inside(form);
            out->fault = picture_check(kind, out->data, &out->picture);
        }
    }
    if (out->media_type == NULL && jtext_find(display, svg_media_type, &form)) {
        out->media_type = svg_media_type;
        out->data = form;
        out->fault = memmem(form.base, form.len, "<svg", 4) == NULL ? "it is no SVG" : NULL;
    }
}

static void take_room(struct display_room *room, struct display_view *view)
{
    if (view->fault != NULL || view->media_type == NULL) {
        return;
    }
    if (view->data.len > room->picture_bytes_max) {
        view->fault = "it is larger than --picture-bytes allows";
    } else if (room->count_left == 0 || view->data.len > room->bytes_left) {
        view->fault = "there were many before it";
    } else {
        room->count_left--;
        room->bytes_left -= view->data.len;
        view->content = room->content_next++;
    }
}

void display_look(struct span display, struct display_room *room, struct display_view *out)
{
    struct jtext_cursor cursor = jtext_open(display);
    struct span key;
    struct span form;
    *out = (struct display_view){0};
    while (jtext_next(&cursor, &key, &form)) {
        if (jtext_string_is(key, "text/plain")) {
            out->plain = form;
        } else if (jtext_string_is(key, "of")) {
            out->is_value = jtext_string_is(form, "return_value");
        } else if (!out->has_other && !is_note(key) && !is_picture(key)) {
            out->has_other = true;
            out->other = key;
        }
    }
    find_picture(display, out);
    find_whole(display, out);
    out->is_whole = room == NULL;
    if (room != NULL) {
        take_room(room, out);
    }
}

/* ---- Text ------------------------------------------------------------------------------------ */

bool display_is_silent(const struct display_view *view)
{
    bool has_text = view->plain.len > 0 || view->has_other;
    return view->media_type == NULL && (view->is_value || !has_text);
}

static int append_sides(struct buf *out, const char *before, const struct picture *picture)
{
    return picture->width == 0
               ? 0
               : buf_append_format(out, "%s%ux%u", before, picture->width, picture->height);
}

/* [image/png, 640x480] */
static int append_mention(struct buf *out, const struct display_view *view)
{
    if (buf_append_format(out, "[%s", view->media_type) != 0 ||
        append_sides(out, ", ", &view->picture) != 0 ||
        (view->whole.width > view->picture.width &&
         append_sides(out, ", scaled down from ", &view->whole) != 0) ||
        (view->fault != NULL && buf_append_format(out, ", left out: %s", view->fault) != 0)) {
        return -1;
    }
    return buf_append_char(out, ']');
}

int display_append_text(struct buf *out, const struct display_view *view)
{
    bool has_plain = view->plain.len > 0 && !view->is_value;
    if (has_plain && jtext_string_decode(out, view->plain) != 0) {
        return -1;
    }
    if (view->media_type != NULL) {
        return has_plain && buf_append_char(out, ' ') != 0 ? -1 : append_mention(out, view);
    }
    if (has_plain || !view->has_other) {
        return 0;
    }
    return buf_append_char(out, '[') != 0 || jtext_string_decode(out, view->other) != 0
               ? -1
               : buf_append_char(out, ']');
}

/* ---- Content --------------------------------------------------------------------------------- */

int display_append_content(struct buf *out, const struct display_view *view, unsigned number)
{
    if (view->content == 0) {
        return 0;
    }
    if (view->media_type == svg_media_type) {
        return buf_append_format(out,
                                 ",{\"type\":\"resource\",\"resource\":{\"uri\":"
                                 "\"vitrine://display/%u.svg\",\"mimeType\":\"%s\",\"text\":",
                                 number, svg_media_type) != 0 ||
                       jtext_append_compact(out, view->data) != 0
                   ? -1
                   : buf_append_text(out, "},\"annotations\":{\"audience\":[\"user\"]}}");
    }
    if (buf_append_format(out, ",{\"type\":\"image\",\"mimeType\":\"%s\",\"data\":\"",
                          view->media_type) != 0 ||
        buf_append(out, view->data.base, view->data.len) != 0) {
        return -1;
    }
    return buf_append_text(out, "\"}");
}

/* ---- Structured content ---------------------------------------------------------------------- */

static int append_about(struct buf *out, const struct picture *picture)
{
    return buf_append_format(out, "{\"bytes\":%zu,\"width\":%u,\"height\":%u", picture->bytes,
                             picture->width, picture->height);
}

/* {"bytes":20000,"width":640,"height":480,"content":1} */
static int append_picture(struct buf *out, const struct display_view *view, unsigned number)
{
    int failed = view->picture.width > 0 ? append_about(out, &view->picture)
                                         : buf_append_format(out, "{\"bytes\":%zu", view->data.len);
    if (view->whole.width > 0) {
        failed |= buf_append_text(out, ",\"whole\":");
        failed |= append_about(out, &view->whole);
        failed |= buf_append_format(out, ",\"media_type\":\"%s\"", view->whole_media_type);
        if (number > 0) {
            failed |= buf_append_text(out, ",\"file\":\"");
            failed |= display_append_whole_name(out, view, number);
            failed |= buf_append_char(out, '"');
        }
        failed |= buf_append_char(out, '}');
    }
    if (view->content > 0) {
        failed |= buf_append_format(out, ",\"content\":%u", view->content);
    } else if (view->fault != NULL) {
        failed |= buf_append_format(out, ",\"left_out\":\"%s\"", view->fault);
    }
    return failed | buf_append_char(out, '}');
}

/* "image/png":"..." before it was made smaller */
static int append_whole(struct buf *out, const struct display_view *view)
{
    return buf_append_format(out, "\"%s\":\"", view->whole_media_type) != 0 ||
                   buf_append(out, view->whole_data.base, view->whole_data.len) != 0
               ? -1
               : buf_append_char(out, '"');
}

static int append_form(struct buf *out, struct span key, struct span form,
                       const struct display_view *view, unsigned number)
{
    bool is_chosen = view->media_type != NULL && jtext_string_is(key, view->media_type);
    if (is_chosen && view->is_whole && view->whole_media_type != NULL) {
        return append_whole(out, view);
    }
    if (jtext_append_compact(out, key) != 0 || buf_append_char(out, ':') != 0) {
        return -1;
    }
    if (is_chosen && (!view->is_whole || view->fault != NULL)) {
        return append_picture(out, view, number);
    }
    if (!view->is_whole && (is_picture(key) || form.len > LIMIT_DISPLAY_FORM_BYTES)) {
        return buf_append_format(out, "{\"bytes\":%zu}", form.len - 2);
    }
    return jtext_append_compact(out, form);
}

int display_append_forms(struct buf *out, struct span display, const struct display_view *view,
                         unsigned number)
{
    struct jtext_cursor cursor = jtext_open(display);
    struct span key;
    struct span form;
    const char *before = "{";
    while (jtext_next(&cursor, &key, &form)) {
        if (is_note(key)) {
            continue;
        }
        if (buf_append_text(out, before) != 0 || append_form(out, key, form, view, number) != 0) {
            return -1;
        }
        before = ",";
    }
    return buf_append_text(out, *before == '{' ? "{}" : "}");
}
