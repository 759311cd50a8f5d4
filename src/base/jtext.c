#include "base/jtext.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"

/* Where a key's text lies in the message, quotes left out. */
struct key {
    uint32_t at;
    uint32_t len;
};

struct checker {
    struct span text;
    size_t at;
    enum jtext_rules rules;
    struct err *err;
    size_t depth;
    char closers[LIMIT_JSON_DEPTH_MAX];       /* what ends each open container */
    size_t keys_before[LIMIT_JSON_DEPTH_MAX]; /* keys that were there when it was opened */
    struct buf keys;                          /* of struct key, for open objects only */
};

static int refuse(struct checker *c, const char *what)
{
    return err_set(c->err, ERR_FORMAT, "byte %zu: %s", c->at, what);
}

static int peek(const struct checker *c)
{
    return c->at < c->text.len ? (unsigned char)c->text.base[c->at] : -1;
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct checker *c)
{
    while (is_space(peek(c))) {
        c->at++;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hex digits at `p`, or -1. */
static int32_t hex_unit(const char *p, const char *end)
{
    if (end - p < 4) {
        return -1;
    }
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high(int32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(int32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* The low surrogate that an escape at `p` stands for, or -1. */
static int32_t low_escape(const char *p, const char *end)
{
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return -1;
    }
    int32_t unit = hex_unit(p + 2, end);
    return is_low(unit) ? unit : -1;
}

static int check_escape(struct checker *c)
{
    const char *end = c->text.base + c->text.len;
    c->at++;
    int kind = peek(c);
    if (kind != 'u') {
        if (kind < 0 || strchr("\"\\/bfnrt", kind) == NULL || kind == '\0') {
            return refuse(c, "no such escape");
        }
        c->at++;
        return 0;
    }
    int32_t unit = hex_unit(c->text.base + c->at + 1, end);
    if (unit < 0) {
        return refuse(c, "\\u needs four hex digits");
    }
    c->at += 5;
    if (is_high(unit) && low_escape(c->text.base + c->at, end) >= 0) {
        c->at += 6;
        return 0;
    }
    if ((is_high(unit) || is_low(unit)) && c->rules == JTEXT_STRICT) {
        return refuse(c, "half of a surrogate pair");
    }
    return 0;
}

/* At an opening quote; ends behind the closing one. */
static int check_string(struct checker *c)
{
    c->at++;
    for (;;) {
        int byte = peek(c);
        if (byte == '"') {
            c->at++;
            return 0;
        }
        if (byte < 0) {
            return refuse(c, "a string without end");
        }
        if (byte < 0x20) {
            return refuse(c, "a control character in a string");
        }
        if (byte != '\\') {
            c->at++;
        } else if (check_escape(c) != 0) {
            return -1;
        }
    }
}

static int check_digits(struct checker *c)
{
    if (!is_digit(peek(c))) {
        return refuse(c, "a digit is missing");
    }
    while (is_digit(peek(c))) {
        c->at++;
    }
    return 0;
}

/* Overflow is looked for here so that no reader of the value ever sees an infinity. */
static int check_magnitude(struct checker *c, size_t start, bool is_real)
{
    char copy[LIMIT_JSON_NUMBER_CHARS_MAX + 1];
    size_t len = c->at - start;
    if (len > LIMIT_JSON_NUMBER_CHARS_MAX) {
        return err_set(c->err, ERR_LIMIT, "byte %zu: a number of more than %u characters", start,
                       LIMIT_JSON_NUMBER_CHARS_MAX);
    }
    if (is_real) {
        memcpy(copy, c->text.base + start, len);
        copy[len] = '\0';
        if (isinf(strtod(copy, NULL))) {
            return refuse(c, "a number too large for a double");
        }
    }
    return 0;
}

static int check_number(struct checker *c)
{
    size_t start = c->at;
    bool is_real = false;
    if (peek(c) == '-') {
        c->at++;
    }
    if (peek(c) == '0') {
        c->at++;
    } else if (check_digits(c) != 0) {
        return -1;
    }
    if (peek(c) == '.') {
        is_real = true;
        c->at++;
        if (check_digits(c) != 0) {
            return -1;
        }
    }
    if (peek(c) == 'e' || peek(c) == 'E') {
        is_real = true;
        c->at++;
        if (peek(c) == '+' || peek(c) == '-') {
            c->at++;
        }
        if (check_digits(c) != 0) {
            return -1;
        }
    }
    return check_magnitude(c, start, is_real);
}

static int check_word(struct checker *c, const char *word)
{
    size_t len = strlen(word);
    if (c->text.len - c->at < len || memcmp(c->text.base + c->at, word, len) != 0) {
        return refuse(c, "not a JSON value");
    }
    c->at += len;
    return 0;
}

static int check_scalar(struct checker *c)
{
    int byte = peek(c);
    switch (byte) {
    case '"': return check_string(c);
    case 't': return check_word(c, "true");
    case 'f': return check_word(c, "false");
    case 'n': return check_word(c, "null");
    default: break;
    }
    if (byte == '-' || is_digit(byte)) {
        return check_number(c);
    }
    return refuse(c, byte < 0 ? "the text ends too early" : "not a JSON value");
}

/* A key and its colon. */
static int check_key(struct checker *c)
{
    skip_space(c);
    if (peek(c) != '"') {
        return refuse(c, "a key in quotes is missing");
    }
    size_t start = c->at + 1;
    if (check_string(c) != 0) {
        return -1;
    }
    struct key key = {(uint32_t)start, (uint32_t)(c->at - 1 - start)};
    if (buf_append(&c->keys, &key, sizeof key) != 0) {
        return err_set(c->err, ERR_LIMIT, "byte %zu: more than %u keys", start,
                       LIMIT_JSON_KEYS_MAX);
    }
    skip_space(c);
    if (peek(c) != ':') {
        return refuse(c, "a colon is missing");
    }
    c->at++;
    return 0;
}

/*
 * Takes the next character out of the inside of a string; *at must be before `end`. Bytes that
 * are not escapes come out one by one: for comparing and copying that is enough.
 */
static int32_t next_unit(const char **at, const char *end)
{
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    const char *p = *at;
    if (*p != '\\') {
        *at = p + 1;
        return (unsigned char)*p;
    }
    if (p[1] != 'u') {
        *at = p + 2;
        for (const char *pair = plain; *pair != '\0'; pair += 2) {
            if (pair[0] == p[1]) {
                return (unsigned char)pair[1];
            }
        }
        return 0xFFFD;
    }
    int32_t unit = hex_unit(p + 2, end);
    *at = p + 6;
    if (!is_high(unit) && !is_low(unit)) {
        return unit;
    }
    int32_t low = is_high(unit) ? low_escape(*at, end) : -1;
    if (low < 0) {
        return 0xFFFD;
    }
    *at += 6;
    return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

static size_t encode_utf8(int32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* The next one to four bytes of a string's meaning. */
static size_t next_bytes(const char **at, const char *end, char out[4])
{
    bool escaped = **at == '\\';
    int32_t unit = next_unit(at, end);
    if (!escaped) {
        out[0] = (char)unit;
        return 1;
    }
    return encode_utf8(unit, out);
}

/* Orders two insides of strings by their bytes once escapes are undone. */
static int compare_insides(struct span a, struct span b)
{
    const char *p = a.base;
    const char *q = b.base;
    const char *p_end = p + a.len;
    const char *q_end = q + b.len;
    char left[4];
    char right[4];
    size_t left_len = 0;
    size_t right_len = 0;
    size_t left_at = 0;
    size_t right_at = 0;
    for (;;) {
        if (left_at == left_len && p < p_end) {
            left_len = next_bytes(&p, p_end, left);
            left_at = 0;
        }
        if (right_at == right_len && q < q_end) {
            right_len = next_bytes(&q, q_end, right);
            right_at = 0;
        }
        if (left_at == left_len || right_at == right_len) {
            return (left_at < left_len) - (right_at < right_len);
        }
        int difference = (unsigned char)left[left_at++] - (unsigned char)right[right_at++];
        if (difference != 0) {
            return difference;
        }
    }
}

static int compare_keys(const void *a, const void *b, void *text)
{
    const struct key *left = a;
    const struct key *right = b;
    const char *base = text;
    return compare_insides((struct span){base + left->at, left->len},
                           (struct span){base + right->at, right->len});
}

/* At the end of an object: none of its keys may come twice. Sorting keeps a hostile object at
 * n log n. */
static int check_unique(struct checker *c)
{
    size_t first = c->keys_before[c->depth];
    size_t count = c->keys.len / sizeof(struct key) - first;
    if (count > 1) {
        struct key *keys = (struct key *)(void *)c->keys.base + first;
        qsort_r(keys, count, sizeof *keys, compare_keys, (void *)c->text.base);
        for (size_t i = 1; i < count; i++) {
            if (compare_keys(&keys[i - 1], &keys[i], (void *)c->text.base) == 0) {
                return refuse(c, "the same key twice in one object");
            }
        }
    }
    c->keys.len = first * sizeof(struct key);
    return 0;
}

static int open_container(struct checker *c, char closer)
{
    if (c->depth == LIMIT_JSON_DEPTH_MAX) {
        return err_set(c->err, ERR_LIMIT, "byte %zu: more than %u levels", c->at,
                       LIMIT_JSON_DEPTH_MAX);
    }
    c->closers[c->depth] = closer;
    c->keys_before[c->depth] = c->keys.len / sizeof(struct key);
    c->depth++;
    c->at++;
    skip_space(c);
    return 0;
}

/* Behind a value: closes what ends here. 1 when another value must follow, 0 at the very end. */
static int close_containers(struct checker *c)
{
    while (c->depth > 0) {
        skip_space(c);
        char closer = c->closers[c->depth - 1];
        int byte = peek(c);
        if (byte == ',') {
            c->at++;
            return closer == '}' && check_key(c) != 0 ? -1 : 1;
        }
        if (byte != closer) {
            return refuse(c, "a comma or the end of a container is missing");
        }
        c->depth--;
        if (closer == '}' && check_unique(c) != 0) {
            return -1;
        }
        c->at++;
    }
    return 0;
}

/* One value, or the opening of one. 1 when it was opened and its first value follows. */
static int check_value(struct checker *c)
{
    skip_space(c);
    int byte = peek(c);
    if (byte != '{' && byte != '[') {
        return check_scalar(c);
    }
    char closer = byte == '{' ? '}' : ']';
    if (open_container(c, closer) != 0) {
        return -1;
    }
    if (peek(c) == closer) {
        c->depth--;
        c->at++;
        return 0;
    }
    return closer == '}' && check_key(c) != 0 ? -1 : 1;
}

static int check_text(struct checker *c, struct span *value)
{
    skip_space(c);
    size_t start = c->at;
    int more = 1;
    while (more > 0) {
        more = check_value(c);
        if (more == 0) {
            more = close_containers(c);
        }
    }
    if (more < 0) {
        return -1;
    }
    *value = (struct span){c->text.base + start, c->at - start};
    skip_space(c);
    return peek(c) < 0 ? 0 : refuse(c, "something follows the value");
}

int jtext_check(struct span text, enum jtext_rules rules, struct span *value, struct err *err)
{
    if (text.len > UINT32_MAX) {
        return err_set(err, ERR_LIMIT, "%zu bytes are too many", text.len);
    }
    struct checker c = {.text = text, .rules = rules, .err = err};
    size_t good = utf8_valid_prefix(text);
    if (good < text.len) {
        c.at = good;
        return refuse(&c, "not UTF-8");
    }
    buf_init(&c.keys, LIMIT_JSON_KEYS_MAX * sizeof(struct key));
    int result = check_text(&c, value);
    buf_free(&c.keys);
    return result;
}

enum jtext_type jtext_type(struct span value)
{
    switch (value.base[0]) {
    case '{': return JTEXT_OBJECT;
    case '[': return JTEXT_ARRAY;
    case '"': return JTEXT_STRING;
    case 't': return JTEXT_BOOLEAN;
    case 'f': return JTEXT_BOOLEAN;
    case 'n': return JTEXT_NULL;
    default: return JTEXT_NUMBER;
    }
}

bool jtext_is_integer(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit(value.base[i]) && !(i == 0 && value.base[i] == '-')) {
            return false;
        }
    }
    return value.len > 0;
}

/* Behind the closing quote of the string that starts at `at`. */
static const char *skip_string(const char *at, const char *end)
{
    for (const char *p = at + 1;;) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        if (quote == NULL) {
            return end;
        }
        const char *slash = quote;
        while (slash > p && slash[-1] == '\\') {
            slash--;
        }
        p = quote + 1;
        if ((quote - slash) % 2 == 0) {
            return p;
        }
    }
}

static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    for (const char *p = at; p < end;) {
        char c = *p;
        if (c == '"') {
            p = skip_string(p, end);
        } else if (c == '{' || c == '[') {
            depth++;
            p++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) {
                return p; /* the end of what a scalar is in */
            }
            depth--;
            p++;
        } else if (depth == 0 && (c == ',' || is_space(c))) {
            return p;
        } else {
            p++;
            continue;
        }
        if (depth == 0) {
            return p;
        }
    }
    return end;
}

static void skip_between(struct jtext_cursor *cursor)
{
    while (cursor->at < cursor->end &&
           (is_space(*cursor->at) || *cursor->at == ',' || *cursor->at == ':')) {
        cursor->at++;
    }
}

struct jtext_cursor jtext_open(struct span container)
{
    return (struct jtext_cursor){container.base + 1, container.base + container.len - 1};
}

static struct span take_value(struct jtext_cursor *cursor)
{
    const char *start = cursor->at;
    cursor->at = skip_value(start, cursor->end);
    return (struct span){start, (size_t)(cursor->at - start)};
}

bool jtext_next(struct jtext_cursor *cursor, struct span *key, struct span *value)
{
    /* end[0] is the container's own closer, which tells objects from arrays. */
    bool is_object = *cursor->end == '}';
    skip_between(cursor);
    *key = (struct span){NULL, 0};
    if (cursor->at == cursor->end) {
        return false;
    }
    if (is_object) {
        *key = take_value(cursor);
        skip_between(cursor);
    }
    *value = take_value(cursor);
    return true;
}

bool jtext_find(struct span object, const char *key, struct span *value)
{
    if (object.len == 0 || jtext_type(object) != JTEXT_OBJECT) {
        return false;
    }
    struct jtext_cursor cursor = jtext_open(object);
    struct span name;
    while (jtext_next(&cursor, &name, value)) {
        if (jtext_string_is(name, key)) {
            return true;
        }
    }
    return false;
}

static struct span inside(struct span string)
{
    return (struct span){string.base + 1, string.len - 2};
}

bool jtext_string_equal(struct span a, struct span b)
{
    return compare_insides(inside(a), inside(b)) == 0;
}

bool jtext_string_is(struct span string, const char *text)
{
    struct span inner = inside(string);
    if (inner.len == 0 || memchr(inner.base, '\\', inner.len) == NULL) {
        return span_equal(inner, span_of(text));
    }
    const char *at = inner.base;
    const char *end = at + inner.len;
    char bytes[4];
    while (at < end) {
        size_t len = next_bytes(&at, end, bytes);
        if (strncmp(text, bytes, len) != 0 || memchr(bytes, '\0', len) != NULL) {
            return false;
        }
        text += len;
    }
    return *text == '\0';
}

int jtext_string_decode(struct buf *out, struct span string)
{
    struct span inner = inside(string);
    const char *at = inner.base;
    const char *end = at + inner.len;
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        const char *stop = slash == NULL ? end : slash;
        if (buf_append(out, at, (size_t)(stop - at)) != 0) {
            return -1;
        }
        at = stop;
        if (at < end) {
            char bytes[4];
            size_t len = next_bytes(&at, end, bytes);
            if (buf_append(out, bytes, len) != 0) {
                return -1;
            }
        }
    }
    return 0;
}
