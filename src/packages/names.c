#include "packages/names.h"

#include "base/limits.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alphanumeric(char c)
{
    return is_digit(c) || is_letter(c);
}

static bool is_joint(char c)
{
    return c == '-' || c == '_' || c == '.';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Bytes at the front of `text` that are of `accepts`. */
static size_t prefix_len(struct span text, bool (*accepts)(char))
{
    size_t len = 0;
    while (len < text.len && accepts(text.base[len])) {
        len++;
    }
    return len;
}

static struct span after(struct span text, size_t len)
{
    return (struct span){text.base + len, text.len - len};
}

/* ---- Words ----------------------------------------------------------------------------------- */

static bool is_name_char(char c)
{
    return is_alphanumeric(c) || is_joint(c);
}

bool name_is_project(struct span text)
{
    return text.len > 0 && text.len < NAME_SIZE && prefix_len(text, is_name_char) == text.len &&
           is_alphanumeric(text.base[0]) && is_alphanumeric(text.base[text.len - 1]);
}

static bool is_version_char(char c)
{
    return is_name_char(c) || c == '+' || c == '!';
}

bool name_is_version(struct span text)
{
    return text.len > 0 && text.len < VERSION_SIZE &&
           prefix_len(text, is_version_char) == text.len && is_alphanumeric(text.base[0]);
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

bool name_is_sum(struct span text)
{
    return text.len == SUM_SIZE - 1 && prefix_len(text, is_hex) == text.len;
}

void name_normalize(struct span text, char out[NAME_SIZE])
{
    size_t len = 0;
    for (size_t i = 0; i < text.len && len < NAME_SIZE - 1; i++) {
        if (!is_joint(text.base[i])) {
            out[len++] = lower(text.base[i]);
        } else if (len > 0 && out[len - 1] != '-') {
            out[len++] = '-';
        }
    }
    out[len] = '\0';
}

bool name_equal(struct span a, struct span b)
{
    char a_text[NAME_SIZE];
    char b_text[NAME_SIZE];
    if (!name_is_project(a) || !name_is_project(b)) {
        return false;
    }
    name_normalize(a, a_text);
    name_normalize(b, b_text);
    return strcmp(a_text, b_text) == 0;
}

/* The part before the next '-', which is taken off. */
static struct span next_part(struct span *rest)
{
    const char *dash = rest->len == 0 ? NULL : memchr(rest->base, '-', rest->len);
    size_t len = dash == NULL ? rest->len : (size_t)(dash - rest->base);
    struct span part = {rest->base, len};
    *rest = after(*rest, dash == NULL ? len : len + 1);
    return part;
}

bool name_is_wheel(struct span text, struct span project, struct span version)
{
    static const char end[] = ".whl";
    size_t end_len = sizeof end - 1;
    if (text.len >= WHEEL_NAME_SIZE || text.len <= end_len ||
        prefix_len(text, is_version_char) != text.len ||
        memcmp(text.base + text.len - end_len, end, end_len) != 0) {
        return false;
    }
    struct span rest = {text.base, text.len - end_len};
    struct span parts[7];
    size_t count = 0;
    while (rest.len > 0 && count < 7) {
        parts[count++] = next_part(&rest);
    }
    return (count == 5 || count == 6) && name_equal(parts[0], project) &&
           name_version_equal(parts[1], version);
}

/* ---- Versions -------------------------------------------------------------------------------- */

/* One spelling: lower case, dots as joints, numbers without zeros before them, a plain release
 * without zeros after it. */
static void version_normalize(struct span text, char out[VERSION_SIZE])
{
    size_t len = 0;
    bool is_plain = true;
    for (size_t i = 0; i < text.len && len < VERSION_SIZE - 1; i++) {
        char c = is_joint(text.base[i]) ? '.' : lower(text.base[i]);
        bool begins = i == 0 || !is_digit(text.base[i - 1]);
        if (c == '0' && begins && i + 1 < text.len && is_digit(text.base[i + 1])) {
            text = after(text, i + 1); /* a zero before a digit says nothing */
            i = (size_t)-1;
            continue;
        }
        is_plain = is_plain && (c == '.' || is_digit(c));
        out[len++] = c;
    }
    while (is_plain && len > 2 && out[len - 1] == '0' && out[len - 2] == '.') {
        len -= 2;
    }
    out[len] = '\0';
}

bool name_version_equal(struct span a, struct span b)
{
    char a_text[VERSION_SIZE];
    char b_text[VERSION_SIZE];
    if (!name_is_version(a) || !name_is_version(b)) {
        return false;
    }
    version_normalize(a, a_text);
    version_normalize(b, b_text);
    return strcmp(a_text, b_text) == 0;
}

/* ---- Requirements ---------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct span *rest)
{
    *rest = after(*rest, prefix_len(*rest, is_blank));
}

static bool take_char(struct span *rest, char c)
{
    skip_blanks(rest);
    if (rest->len == 0 || rest->base[0] != c) {
        return false;
    }
    *rest = after(*rest, 1);
    return true;
}

/* A name at the front; it ends with a letter or a digit. */
static bool take_name(struct span *rest, struct span *name)
{
    skip_blanks(rest);
    size_t len = prefix_len(*rest, is_name_char);
    *name = (struct span){rest->base, len};
    if (!name_is_project(*name)) {
        return false;
    }
    *rest = after(*rest, len);
    return true;
}

static bool take_extras(struct span *rest)
{
    struct span extra;
    if (!take_char(rest, '[') || take_char(rest, ']')) {
        return true;
    }
    do {
        if (!take_name(rest, &extra)) {
            return false;
        }
    } while (take_char(rest, ','));
    return take_char(rest, ']');
}

static bool is_specifier_char(char c)
{
    return is_version_char(c) || c == '*';
}

static bool take_specifier(struct span *rest, struct span *operator, struct span * version)
{
    static const char *const operators[] = {"===", "~=", "==", "!=", "<=", ">=", "<", ">"};
    skip_blanks(rest);
    operator->len = 0;
    for (size_t i = 0; i < sizeof operators / sizeof *operators && operator->len == 0; i++) {
        struct span one = span_of(operators[i]);
        if (rest->len >= one.len && memcmp(rest->base, one.base, one.len) == 0) {
            *operator= one;
        }
    }
    *rest = after(*rest, operator->len);
    skip_blanks(rest);
    *version = (struct span){rest->base, prefix_len(*rest, is_specifier_char)};
    *rest = after(*rest, version->len);
    return operator->len> 0 && version->len> 0 && version->len<VERSION_SIZE;
}

static bool take_specifiers(struct span *rest)
{
    struct span operator;
    struct span version;
    bool has_bracket = take_char(rest, '(');
    if (rest->len == 0 || rest->base[0] == ';') {
        return !has_bracket;
    }
    do {
        if (!take_specifier(rest, &operator, & version)) {
            return false;
        }
    } while (take_char(rest, ','));
    return !has_bracket || take_char(rest, ')');
}

static bool is_marker_char(char c)
{
    return is_alphanumeric(c) || (c != '\0' && strchr(" '\"<>=!~()_.,+-*", c) != NULL);
}

/* A marker's own grammar is the resolver's to check: none of these characters can be more than
 * text in it. */
static bool take_marker(struct span *rest)
{
    if (!take_char(rest, ';')) {
        return true;
    }
    skip_blanks(rest);
    size_t len = prefix_len(*rest, is_marker_char);
    *rest = after(*rest, len);
    return len > 0;
}

/* What to say of a text that is no requirement. */
static const char *requirement_mistake(struct span text)
{
    skip_blanks(&text);
    if (text.len == 0) {
        return "it is empty";
    }
    if (text.base[0] == '-') {
        return "it is an option, and options are not taken here";
    }
    if (memchr(text.base, '@', text.len) != NULL || memchr(text.base, ':', text.len) != NULL) {
        return "it names an address; packages come from the index alone";
    }
    if (memchr(text.base, '/', text.len) != NULL || memchr(text.base, '\\', text.len) != NULL ||
        text.base[0] == '.') {
        return "it names a path; packages come from the index alone";
    }
    return "it is not of the form NAME, NAME==VERSION, NAME>=VERSION,<VERSION ...";
}

/* The text as it may be shown: printable, and not long. */
static void quote(struct span text, char out[64])
{
    size_t len = text.len < 60 ? text.len : 57;
    for (size_t i = 0; i < len; i++) {
        out[i] = text.base[i] >= ' ' && text.base[i] <= '~' ? text.base[i] : '?';
    }
    out[len] = '\0';
    strncat(out, text.len < 60 ? "" : "...", 4);
}

int name_check_requirement(struct span text, struct span *name, struct err *err)
{
    struct span found;
    struct span rest = text;
    if (text.len <= LIMIT_REQUIREMENT_BYTES_MAX && take_name(&rest, &found) && take_extras(&rest) &&
        take_specifiers(&rest) && take_marker(&rest)) {
        skip_blanks(&rest);
        if (rest.len == 0) {
            if (name != NULL) {
                *name = found;
            }
            return 0;
        }
    }
    char quoted[64];
    quote(text, quoted);
    if (text.len > LIMIT_REQUIREMENT_BYTES_MAX) {
        return err_set(err, ERR_USAGE, "the requirement '%s' has more than %u bytes", quoted,
                       LIMIT_REQUIREMENT_BYTES_MAX);
    }
    return err_set(err, ERR_USAGE, "the requirement '%s' is refused: %s", quoted,
                   requirement_mistake(text));
}

bool name_is_pinned(struct span requirement, struct span *name, struct span *version)
{
    struct span operator;
    struct span rest = requirement;
    if (!take_name(&rest, name) || !take_extras(&rest) ||
        !take_specifier(&rest, &operator, version) ||
        operator.len<2 || operator.base[0] != '=' || !name_is_version(*version)) {
        return false;
    }
    skip_blanks(&rest);
    return rest.len == 0 || rest.base[0] == ';';
}
