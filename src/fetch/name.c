#include "fetch/name.h"

#include <string.h>

#include "base/limits.h"

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_separator(char c)
{
    return c == '-' || c == '_' || c == '.';
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool name_read_sum(struct span text, struct name_sum *out)
{
    if (text.len != NAME_SUM_CHARS) {
        return false;
    }
    for (size_t i = 0; i < NAME_SUM_CHARS; i++) {
        char c = to_lower(text.base[i]);
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
            return false;
        }
        out->hex[i] = c;
    }
    out->hex[NAME_SUM_CHARS] = '\0';
    return true;
}

struct name_sum name_sum_of(const unsigned char digest[32])
{
    static const char digits[] = "0123456789abcdef";
    struct name_sum sum;
    for (size_t i = 0; i < 32; i++) {
        sum.hex[2 * i] = digits[digest[i] >> 4];
        sum.hex[2 * i + 1] = digits[digest[i] & 15];
    }
    sum.hex[NAME_SUM_CHARS] = '\0';
    return sum;
}

bool name_read_project(struct span text, char *out, size_t out_bytes)
{
    if (text.len == 0 || text.len >= out_bytes || !is_alphanumeric(text.base[0]) ||
        !is_alphanumeric(text.base[text.len - 1])) {
        return false;
    }
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];
        if (is_alphanumeric(c)) {
            out[len++] = to_lower(c);
        } else if (!is_separator(c)) {
            return false;
        } else if (out[len - 1] != '-') {
            out[len++] = '-';
        }
    }
    out[len] = '\0';
    return true;
}

static bool ends_with(struct span text, const char *end)
{
    size_t len = strlen(end);
    return text.len > len && memcmp(text.base + text.len - len, end, len) == 0;
}

static bool starts_with(struct span text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && memcmp(text.base, start, len) == 0;
}

/* The parts of a wheel's name between dashes, without ".whl"; 0 when it has not five or six. */
static size_t wheel_parts(struct span filename, struct span parts[6])
{
    if (filename.len > LIMIT_NAME_BYTES_MAX || !ends_with(filename, ".whl")) {
        return 0;
    }
    const char *end = filename.base + filename.len - strlen(".whl");
    const char *at = filename.base;
    size_t count = 0;
    for (const char *c = at;; c++) {
        if (c == end || *c == '-') {
            if (count == 6 || c == at) {
                return 0;
            }
            parts[count++] = (struct span){at, (size_t)(c - at)};
            at = c + 1;
            if (c == end) {
                return count < 5 ? 0 : count;
            }
        } else if (!is_alphanumeric(*c) && *c != '_' && *c != '.' && *c != '+' && *c != '!') {
            return 0;
        }
    }
}

bool name_is_wheel(struct span filename)
{
    struct span parts[6];
    return wheel_parts(filename, parts) != 0 && is_alphanumeric(filename.base[0]);
}

static bool is_native_platform(struct span tag)
{
    return starts_with(tag, "manylinux") || starts_with(tag, "musllinux") ||
           starts_with(tag, "linux_") || starts_with(tag, "macosx_") || starts_with(tag, "win") ||
           starts_with(tag, "android_") || starts_with(tag, "ios_");
}

/* A platform part may hold several tags, with dots between them. */
static bool is_native(struct span platform)
{
    while (platform.len > 0) {
        const char *dot = memchr(platform.base, '.', platform.len);
        size_t len = dot == NULL ? platform.len : (size_t)(dot - platform.base);
        if (!is_native_platform((struct span){platform.base, len})) {
            return false;
        }
        len += dot != NULL;
        platform = (struct span){platform.base + len, platform.len - len};
    }
    return true;
}

enum name_kind name_file_kind(struct span filename, const char *project)
{
    static const char *const sdist_ends[] = {".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz"};
    for (size_t i = 0; i < sizeof sdist_ends / sizeof *sdist_ends; i++) {
        if (ends_with(filename, sdist_ends[i])) {
            return NAME_SDIST;
        }
    }
    struct span parts[6];
    size_t count = wheel_parts(filename, parts);
    char name[LIMIT_NAME_BYTES_MAX + 1];
    if (count == 0 || !name_read_project(parts[0], name, sizeof name) ||
        strcmp(name, project) != 0) {
        return NAME_OTHER;
    }
    return is_native(parts[count - 1]) ? NAME_WHEEL_NATIVE : NAME_WHEEL;
}

/* Takes `digits` decimal digits and the character `after` them (NUL: none) off the front. */
static bool take_number(struct span *text, size_t digits, char after, int64_t *out)
{
    size_t len = digits + (after != '\0');
    if (text->len < len || (after != '\0' && text->base[digits] != after)) {
        return false;
    }
    *out = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = text->base[i];
        if (c < '0' || c > '9') {
            return false;
        }
        *out = *out * 10 + (c - '0');
    }
    text->base += len;
    text->len -= len;
    return true;
}

/* Days since 1970 in the proleptic Gregorian calendar; years start in March, so that a leap day
 * ends one. */
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

static int64_t take_fraction_us(struct span *text)
{
    int64_t us = 0;
    int64_t scale = 100000;
    if (text->len > 0 && text->base[0] == '.') {
        do {
            text->base++;
            text->len--;
            if (text->len == 0 || text->base[0] < '0' || text->base[0] > '9') {
                break;
            }
            us += (text->base[0] - '0') * scale;
            scale /= 10;
        } while (true);
    }
    return us;
}

static bool take_offset_minutes(struct span *text, int64_t *out)
{
    if (text->len == 1 && (text->base[0] == 'Z' || text->base[0] == 'z')) {
        *out = 0;
        return true;
    }
    if (text->len != 6 || (text->base[0] != '+' && text->base[0] != '-')) {
        return false;
    }
    int64_t sign = text->base[0] == '-' ? -1 : 1;
    int64_t hours;
    int64_t minutes;
    *text = (struct span){text->base + 1, 5};
    if (!take_number(text, 2, ':', &hours) || !take_number(text, 2, '\0', &minutes)) {
        return false;
    }
    *out = sign * (hours * 60 + minutes);
    return hours < 24 && minutes < 60;
}

bool name_read_time(struct span text, int64_t *out_us)
{
    int64_t year;
    int64_t month;
    int64_t day;
    if (!take_number(&text, 4, '-', &year) || !take_number(&text, 2, '-', &month) ||
        !take_number(&text, 2, '\0', &day) || month < 1 || month > 12 || day < 1 || day > 31) {
        return false;
    }
    int64_t minutes = days_since_1970(year, month, day) * 24 * 60;
    if (text.len == 0) {
        *out_us = minutes * 60 * 1000000;
        return true;
    }
    int64_t hour;
    int64_t minute;
    int64_t second;
    if (strchr("Tt ", text.base[0]) == NULL || text.base[0] == '\0') {
        return false;
    }
    text = (struct span){text.base + 1, text.len - 1};
    if (!take_number(&text, 2, ':', &hour) || !take_number(&text, 2, ':', &minute) ||
        !take_number(&text, 2, '\0', &second) || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    int64_t fraction_us = take_fraction_us(&text);
    int64_t offset;
    if (!take_offset_minutes(&text, &offset)) {
        return false;
    }
    minutes += hour * 60 + minute - offset;
    *out_us = (minutes * 60 + second) * 1000000 + fraction_us;
    return true;
}
