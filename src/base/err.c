#include "base/err.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Fills all of an error; the text may be added to. */
__attribute__((format(printf, 3, 0))) static void fill(struct err *err, enum err_code code,
                                                       const char *format, va_list args)
{
    err->code = code;
    err->retry_after_ms = 0;
    vsnprintf(err->text, sizeof err->text, format, args);
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
    if (err == NULL) {
        return -1;
    }
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    return -1;
}

int err_system(struct err *err, const char *format, ...)
{
    int saved = errno;
    if (err == NULL) {
        return -1;
    }
    va_list args;
    va_start(args, format);
    fill(err, ERR_SYSTEM, format, args);
    va_end(args);
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(saved));
    return -1;
}

int err_set_busy(struct err *err, uint64_t retry_after_ms, const char *format, ...)
{
    if (err == NULL) {
        return -1;
    }
    va_list args;
    va_start(args, format);
    fill(err, ERR_BUSY, format, args);
    va_end(args);
    err->retry_after_ms = retry_after_ms;
    size_t used = strlen(err->text);
    if (retry_after_ms < 1000) {
        snprintf(err->text + used, sizeof err->text - used, "; try again after %" PRIu64 " ms",
                 retry_after_ms);
    } else {
        snprintf(err->text + used, sizeof err->text - used, "; try again after %" PRIu64 " s",
                 (retry_after_ms + 999) / 1000);
    }
    return -1;
}

int err_prefix(struct err *err, const char *format, ...)
{
    if (err == NULL) {
        return -1;
    }
    char phrase[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(phrase, sizeof phrase, format, args);
    va_end(args);
    char joined[2 * ERR_TEXT_MAX + 2];
    snprintf(joined, sizeof joined, "%s: %s", phrase, err->text);
    memcpy(err->text, joined, sizeof err->text - 1);
    err->text[sizeof err->text - 1] = '\0';
    return -1;
}

const char *err_code_name(enum err_code code)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",         [ERR_USAGE] = "usage",     [ERR_SYSTEM] = "system",
        [ERR_MEMORY] = "memory",     [ERR_LIMIT] = "limit",     [ERR_FORMAT] = "format",
        [ERR_PROTOCOL] = "protocol", [ERR_MISSING] = "missing", [ERR_ENGINE] = "engine",
        [ERR_TRAP] = "trap",         [ERR_GONE] = "gone",       [ERR_BUSY] = "busy",
    };
    return names[code];
}
