#include "wheel/text.h"

#include <stdint.h>
#include <strings.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim(struct span text)
{
    while (text.len > 0 && is_space(text.base[0])) {
        text = (struct span){text.base + 1, text.len - 1};
    }
    while (text.len > 0 && is_space(text.base[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* The length of the first line, with its line feed. */
static size_t line_len(struct span text)
{
    const char *end = text.len == 0 ? NULL : memchr(text.base, '\n', text.len);
    return end == NULL ? text.len : (size_t)(end - text.base) + 1;
}

/* ---- Headers --------------------------------------------------------------------------------- */

bool text_header_next(struct span *rest, struct text_header *out)
{
    size_t len = line_len(*rest);
    const char *colon = len == 0 ? NULL : memchr(rest->base, ':', len);
    if (colon == NULL || is_space(rest->base[0])) {
        return false;
    }
    while (len < rest->len && (rest->base[len] == ' ' || rest->base[len] == '\t')) {
        len += line_len((struct span){rest->base + len, rest->len - len});
    }
    size_t name_len = (size_t)(colon - rest->base);
    out->name = (struct span){rest->base, name_len};
    out->value = trim((struct span){colon + 1, len - name_len - 1});
    *rest = (struct span){rest->base + len, rest->len - len};
    return true;
}

bool text_header_is(const struct text_header *header, const char *name)
{
    return header->name.len == strlen(name) &&
           strncasecmp(header->name.base, name, header->name.len) == 0;
}

int text_header_find(struct span text, const char *name, struct span *value, struct err *err)
{
    struct text_header header;
    size_t count = 0;
    while (text_header_next(&text, &header)) {
        if (text_header_is(&header, name)) {
            *value = header.value;
            count++;
        }
    }
    if (count != 1) {
        return err_set(err, ERR_FORMAT, "the header %s is there %zu times, not once", name, count);
    }
    return 0;
}

/* ---- RECORD ---------------------------------------------------------------------------------- */

static int record_refuse(struct err *err)
{
    return err_set(err, ERR_FORMAT, "a line of RECORD is not a path, a sum and a size");
}

/* Reads a value up to a comma or the end of the line. A quoted one is copied into `scratch`, where
 * it is found again by its place, because the buffer may move. */
static int value_read(struct span *rest, struct span *value, size_t *copied_at, struct buf *scratch,
                      struct err *err)
{
    size_t at = 0;
    *copied_at = SIZE_MAX;
    if (rest->len == 0 || rest->base[0] != '"') {
        while (at < rest->len && rest->base[at] != ',' && rest->base[at] != '\n') {
            if (rest->base[at++] == '"') {
                return record_refuse(err);
            }
        }
        *value = (struct span){rest->base, at};
        *rest = (struct span){rest->base + at, rest->len - at};
        return 0;
    }
    *copied_at = scratch->len;
    for (at = 1;; at++) {
        if (at == rest->len) {
            return record_refuse(err);
        }
        if (rest->base[at] == '"' && ++at < rest->len && rest->base[at] != '"') {
            break;
        }
        if (at == rest->len) {
            break;
        }
        if (buf_append_char(scratch, rest->base[at]) != 0) {
            return err_set(err, ERR_MEMORY, "no memory for a line of RECORD");
        }
    }
    *value = (struct span){NULL, scratch->len - *copied_at};
    *rest = (struct span){rest->base + at, rest->len - at};
    return 0;
}

static void drop_carriage_return(struct span *value)
{
    if (value->len > 0 && value->base[value->len - 1] == '\r') {
        value->len--;
    }
}

int text_record_next(struct span *rest, struct span values[TEXT_VALUES], struct buf *scratch,
                     struct err *err)
{
    size_t copied_at[TEXT_VALUES];
    while (rest->len > 0 && (rest->base[0] == '\n' || rest->base[0] == '\r')) {
        *rest = (struct span){rest->base + 1, rest->len - 1};
    }
    if (rest->len == 0) {
        return 0;
    }
    buf_clear(scratch);
    for (size_t i = 0; i < TEXT_VALUES; i++) {
        if (value_read(rest, &values[i], &copied_at[i], scratch, err) != 0) {
            return -1;
        }
        bool is_last = i + 1 == TEXT_VALUES;
        if (is_last && rest->len > 0 && rest->base[0] == '\r') {
            *rest = (struct span){rest->base + 1, rest->len - 1};
        }
        if (is_last ? rest->len > 0 && rest->base[0] != '\n'
                    : rest->len == 0 || rest->base[0] != ',') {
            return record_refuse(err);
        }
        if (!is_last) {
            *rest = (struct span){rest->base + 1, rest->len - 1};
        }
    }
    if (copied_at[TEXT_VALUES - 1] == SIZE_MAX) {
        drop_carriage_return(&values[TEXT_VALUES - 1]);
    }
    for (size_t i = 0; i < TEXT_VALUES; i++) {
        if (copied_at[i] != SIZE_MAX) {
            values[i].base = values[i].len == 0 ? "" : scratch->base + copied_at[i];
        }
    }
    return 1;
}
