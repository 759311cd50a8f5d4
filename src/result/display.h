/*
 * What display() showed, and what else a run leaves to be looked at: a bundle of forms by media
 * type for each value, as a guest wrote it. Runs in `vitrine`.
 *
 * A bundle is a JSON object of texts; bytes are base64. Beside the forms it may have two members
 * that are no media types:
 *
 *   "of": "return_value"           it is the return value, whose text stands elsewhere
 *   "whole": base64                the picture before it was scaled down; "image/png" and the like
 *                                  has the smaller one
 *
 * At most one picture of a bundle is passed on, and it is checked first (result/picture.h).
 */
#ifndef RESULT_DISPLAY_H
#define RESULT_DISPLAY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"
#include "result/picture.h"

/* Whether a guest's bundle is a JSON object of texts, at least one, and its span. The functions
 * below expect such spans. */
bool display_check(struct span json, struct span *display);

/* What is left for pictures inside one result. Each display in turn takes its part of it. */
struct display_room {
    size_t picture_bytes_max; /* of one, as base64 */
    size_t bytes_left;        /* of all */
    unsigned count_left;
    unsigned content_next; /* the place of the next one among the content's items */
};
void display_room_init(struct display_room *room, size_t picture_bytes_max);

/* What one display comes to. Spans lie in the display, strings with their quotes. */
struct display_view {
    struct span plain;      /* a string; empty when there is none */
    bool is_value;          /* of the return value */
    bool is_whole;          /* nothing is left out for its size */
    bool has_other;         /* a form beside plain text and pictures */
    struct span other;      /* the first such form's media type, a string */
    const char *media_type; /* of the picture to be passed on; NULL: there is none */
    struct span data;       /* its base64, or its SVG as a string */
    struct picture picture; /* zeros for SVG */
    struct picture whole;   /* before it was made smaller; zeros when it was not */
    const char *whole_media_type;
    struct span whole_data; /* base64, checked, or empty */
    const char *fault;      /* why the picture is left out; NULL when it is not */
    unsigned content;       /* its place among the content's items; 0 where it is left out */
};
/* With `room` NULL nothing is left out for its size, and nothing goes among a content's items. */
void display_look(struct span display, struct display_room *room, struct display_view *out);

/* Whether it has nothing to say between the lines of the output. */
bool display_is_silent(const struct display_view *view);

/* Each appends and returns 0, or -1 as buf_append. */

/* For people and models: the plain text, and a word for the picture: [image/png, 640x480]. */
int display_append_text(struct buf *out, const struct display_view *view);

/* ,{"type":"image",...} or ,{"type":"resource",...} (SVG), or nothing. */
int display_append_content(struct buf *out, const struct display_view *view, unsigned number);

/* The forms as an object. Where nothing is left out, as they are, the picture as it was before it
 * was scaled down. Else texts up to LIMIT_DISPLAY_FORM_BYTES; and of pictures, and of longer texts,
 * an object that says what they are, and where a picture is in the content. */
int display_append_forms(struct buf *out, struct span display, const struct display_view *view,
                         unsigned number);

/* The name of the file that has the whole picture: display-1.png. Such a file is named among the
 * forms where `number` is not 0. */
int display_append_whole_name(struct buf *out, const struct display_view *view, unsigned number);

#endif
