#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

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
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];
        if (c < 0x20 || c == 0x7F) {
            line[i] = '?';
        }
    }
    line[len] = '\n';
    (void)fd_write_full(STDERR_FILENO, line, len + 1);
}
