#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/utf8.h"

static enum log_level current_level = LOG_LEVEL_WARNING;
static const char *current_program = "vitrine";

enum { LOG_LINE_MAX = 2048 };

void log_set_level(enum log_level level)
{
    current_level = level;
}

void log_set_program(const char *program)
{
    current_program = program;
}

/*
 * Whether a character, as its bytes, steers whatever shows it: controls of both kinds, separators
 * of lines (U+2028, U+2029), and what reorders text (U+061C, U+200E, U+200F, U+202A to U+202E,
 * U+2066 to U+2069).
 */
static bool is_steering(const unsigned char *p, size_t len)
{
    if (len == 1) {
        return p[0] < 0x20 || p[0] == 0x7F;
    }
    if (len == 2) {
        return (p[0] == 0xC2 && p[1] < 0xA0) || (p[0] == 0xD8 && p[1] == 0x9C);
    }
    return len == 3 && p[0] == 0xE2 &&
           ((p[1] == 0x80 && (p[2] == 0x8E || p[2] == 0x8F || (p[2] >= 0xA8 && p[2] <= 0xAE))) ||
            (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9));
}

/* How many bytes a character with this first byte has. */
static size_t char_len(unsigned char lead)
{
    return lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* Names that others chose stand in a line: they neither end it nor steer a terminal. */
static void make_plain(char *line, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t unit = char_len((unsigned char)line[i]);
        if (unit > len - i || !utf8_valid((struct span){line + i, unit})) {
            line[i++] = '?';
            continue;
        }
        if (is_steering((const unsigned char *)line + i, unit)) {
            memset(line + i, '?', unit);
        }
        i += unit;
    }
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level > current_level) {
        return;
    }
    char line[LOG_LINE_MAX];
    int start = snprintf(line, sizeof line - 1, "%s: ", current_program);
    va_list args;
    va_start(args, format);
    vsnprintf(line + start, sizeof line - 1 - (size_t)start, format, args);
    va_end(args);
    size_t len = strlen(line);
    make_plain(line, len);
    line[len] = '\n';
    (void)fd_write_full(STDERR_FILENO, line, len + 1);
}
