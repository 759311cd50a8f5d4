#include "wheel/filename.h"

#include <stdint.h>
#include <stdio.h>

#include "base/limits.h"

#define GUEST_PLATFORM "pyemscripten_2026_0_wasm32"
#define GUEST_ABI      "cp314"

enum { PYTHON_MINOR = 14, ABI3_MINOR_MIN = 2, PARTS_MAX = 6, VERSION_CHARS_MAX = 128 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_letter(char c)
{
    return to_lower(c) >= 'a' && to_lower(c) <= 'z';
}

static bool ends_with(struct span text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.base + text.len - len, end, len) == 0;
}

static bool begins_with(struct span text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && memcmp(text.base, start, len) == 0;
}

/* Cuts the text before the first `separator` off and returns it; the rest is empty at the end. */
static struct span cut(struct span *rest, char separator)
{
    const char *found = rest->len == 0 ? NULL : memchr(rest->base, separator, rest->len);
    size_t len = found == NULL ? rest->len : (size_t)(found - rest->base);
    struct span part = {rest->base, len};
    size_t used = found == NULL ? len : len + 1;
    *rest = (struct span){rest->base + used, rest->len - used};
    return part;
}

/* ---- The name -------------------------------------------------------------------------------- */

static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];
        if (!is_letter(c) && !is_digit(c) && (c == '\0' || strchr("._+!-", c) == NULL)) {
            return false;
        }
    }
    return text.len > 0 && text.base[0] != '.';
}

int filename_read(const char *text, struct filename *out, struct err *err)
{
    struct span rest = span_of(text);
    if (rest.len > LIMIT_NAME_BYTES_MAX || !is_plain(rest)) {
        return err_set(err, ERR_FORMAT, "its file name is not one that a wheel has");
    }
    if (ends_with(rest, ".tar.gz") || ends_with(rest, ".zip") || ends_with(rest, ".tar.bz2") ||
        ends_with(rest, ".tgz") || ends_with(rest, ".tar.xz")) {
        return err_set(err, ERR_FORMAT,
                       "it is a source distribution; only wheels are installed, "
                       "because nothing is ever built");
    }
    if (!ends_with(rest, ".whl")) {
        return err_set(err, ERR_FORMAT, "it is no wheel: its file name does not end in .whl");
    }
    rest.len -= strlen(".whl");
    struct span parts[PARTS_MAX];
    size_t count = 0;
    while (count < PARTS_MAX && rest.len > 0) {
        parts[count] = cut(&rest, '-');
        if (parts[count++].len == 0) {
            count = 0;
            break;
        }
    }
    bool has_build = count == PARTS_MAX && is_digit(parts[2].base[0]);
    if (rest.len > 0 || (count != PARTS_MAX - 1 && !has_build)) {
        return err_set(err, ERR_FORMAT,
                       "its file name is not NAME-VERSION-PYTHON-ABI-PLATFORM.whl");
    }
    *out = (struct filename){
        parts[0], parts[1], {parts[count - 3], parts[count - 2], parts[count - 1]}};
    return 0;
}

/* ---- Tags ------------------------------------------------------------------------------------ */

/* The minor version in "cp314" or "py314"; 0 for "py3", -1 when the text is neither. */
static int minor_version(struct span tag, const char *prefix)
{
    if (!begins_with(tag, prefix) || tag.len > strlen(prefix) + 2) {
        return -1;
    }
    int minor = 0;
    for (size_t i = strlen(prefix); i < tag.len; i++) {
        if (!is_digit(tag.base[i])) {
            return -1;
        }
        minor = minor * 10 + tag.base[i] - '0';
    }
    return minor;
}

static bool takes_python(struct span python, struct span abi)
{
    int generic = minor_version(python, "py3");
    int own = minor_version(python, "cp3");
    if (span_equal(abi, span_of("none"))) {
        return (generic >= 0 && generic <= PYTHON_MINOR) || own == PYTHON_MINOR;
    }
    if (span_equal(abi, span_of("abi3"))) {
        return own >= ABI3_MINOR_MIN && own <= PYTHON_MINOR;
    }
    return span_equal(abi, span_of(GUEST_ABI)) && own == PYTHON_MINOR;
}

static bool takes_platform(struct span platform, struct span abi)
{
    return span_equal(platform, span_of(GUEST_PLATFORM)) ||
           (span_equal(platform, span_of("any")) && span_equal(abi, span_of("none")));
}

/* Says why none of the tags fits: the platform first, because that is what people look for. */
static int tag_refuse(const struct filename *filename, struct err *err)
{
    static const char *const native[] = {"manylinux", "musllinux", "linux", "win",
                                         "macosx",    "android",   "ios"};
    struct span platform = filename->tags[2];
    for (size_t i = 0; i < sizeof native / sizeof *native; i++) {
        if (begins_with(platform, native[i])) {
            return err_set(err, ERR_FORMAT,
                           "it holds native code for %.*s, which does not run in the sandbox; a "
                           "wheel for any platform or for " GUEST_PLATFORM " is needed",
                           (int)platform.len, platform.base);
        }
    }
    if (!span_equal(platform, span_of("any")) && !span_equal(platform, span_of(GUEST_PLATFORM))) {
        return err_set(err, ERR_FORMAT, "it is for the platform %.*s, not for " GUEST_PLATFORM,
                       (int)platform.len, platform.base);
    }
    return err_set(err, ERR_FORMAT, "it is for Python %.*s (ABI %.*s), not for 3.%d",
                   (int)filename->tags[0].len, filename->tags[0].base, (int)filename->tags[1].len,
                   filename->tags[1].base, PYTHON_MINOR);
}

int filename_tag(const struct filename *filename, char tag[FILENAME_TAG_CHARS], struct err *err)
{
    for (struct span pythons = filename->tags[0]; pythons.len > 0;) {
        struct span python = cut(&pythons, '.');
        for (struct span abis = filename->tags[1]; abis.len > 0;) {
            struct span abi = cut(&abis, '.');
            for (struct span platforms = filename->tags[2]; platforms.len > 0;) {
                struct span platform = cut(&platforms, '.');
                if (takes_python(python, abi) && takes_platform(platform, abi)) {
                    snprintf(tag, FILENAME_TAG_CHARS, "%.*s-%.*s-%.*s", (int)python.len,
                             python.base, (int)abi.len, abi.base, (int)platform.len, platform.base);
                    return 0;
                }
            }
        }
    }
    return tag_refuse(filename, err);
}

/* ---- Sameness -------------------------------------------------------------------------------- */

static bool is_separator(char c)
{
    return c == '-' || c == '_' || c == '.';
}

/* The next character of a normalized name, or 0 at the end. */
static char name_next(struct span text, size_t *at)
{
    if (*at == text.len) {
        return '\0';
    }
    char c = text.base[(*at)++];
    if (!is_separator(c)) {
        return to_lower(c);
    }
    while (*at < text.len && is_separator(text.base[*at])) {
        (*at)++;
    }
    return '-';
}

bool filename_same_name(struct span a, struct span b)
{
    size_t at_a = 0;
    size_t at_b = 0;
    for (;;) {
        char next_a = name_next(a, &at_a);
        char next_b = name_next(b, &at_b);
        if (next_a != next_b) {
            return false;
        }
        if (next_a == '\0') {
            return a.len > 0;
        }
    }
}

/* PEP 440's other spellings of a word in a version. */
static struct span version_word(struct span word)
{
    static const struct {
        const char *other;
        const char *word;
    } words[] = {{"alpha", "a"},    {"beta", "b"}, {"c", "rc"},    {"pre", "rc"},
                 {"preview", "rc"}, {"r", "post"}, {"rev", "post"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (span_equal(word, span_of(words[i].other))) {
            return span_of(words[i].word);
        }
    }
    return word;
}

struct canonical {
    char text[VERSION_CHARS_MAX];
    size_t len;
    size_t zeros_at;   /* where zeros at the end of the release begin; they do not count */
    bool in_release;   /* only numbers so far */
    bool has_anything; /* a number was read */
};

static bool canonical_put(struct canonical *out, struct span part, char separator)
{
    if (part.len + 1 > sizeof out->text - out->len) {
        return false;
    }
    out->text[out->len++] = separator;
    memcpy(out->text + out->len, part.base, part.len);
    out->len += part.len;
    return true;
}

/* A number or a word of a version, without zeros before it. */
static bool canonical_add(struct canonical *out, struct span part)
{
    if (is_digit(part.base[0])) {
        while (part.len > 1 && part.base[0] == '0') {
            part = (struct span){part.base + 1, part.len - 1};
        }
        bool is_zero = part.len == 1 && part.base[0] == '0';
        out->has_anything = true;
        if (!canonical_put(out, part, '.')) {
            return false;
        }
        out->zeros_at = out->in_release && is_zero ? out->zeros_at : out->len;
        return true;
    }
    if (out->in_release) {
        out->len = out->zeros_at;
        out->in_release = false;
    }
    return canonical_put(out, version_word(part), '.');
}

/* Numbers and words with a dot before each; separators are dropped, but for those of an epoch and
 * of a local version, which become parts. */
static bool version_read(struct span version, struct canonical *out)
{
    char lower[VERSION_CHARS_MAX];
    *out = (struct canonical){.in_release = true};
    if (version.len == 0 || version.len > sizeof lower) {
        return false;
    }
    for (size_t i = 0; i < version.len; i++) {
        lower[i] = to_lower(version.base[i]);
    }
    size_t at = lower[0] == 'v' ? 1 : 0;
    while (at < version.len) {
        size_t start = at;
        if (is_digit(lower[at])) {
            while (at < version.len && is_digit(lower[at])) {
                at++;
            }
        } else if (is_letter(lower[at])) {
            while (at < version.len && is_letter(lower[at])) {
                at++;
            }
        } else if (is_separator(lower[at])) {
            at++;
            continue;
        } else if (lower[at] == '+' || lower[at] == '!') {
            at++;
        } else {
            return false;
        }
        if (!canonical_add(out, (struct span){lower + start, at - start})) {
            return false;
        }
    }
    if (out->in_release) {
        out->len = out->zeros_at;
    }
    return out->has_anything;
}

bool filename_same_version(struct span a, struct span b)
{
    struct canonical left;
    struct canonical right;
    return version_read(a, &left) && version_read(b, &right) &&
           span_equal((struct span){left.text, left.len}, (struct span){right.text, right.len});
}
