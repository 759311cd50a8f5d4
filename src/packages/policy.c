#include "packages/policy.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/jtext.h"
#include "base/limits.h"

struct rule {
    char name[NAME_SIZE];       /* normalized */
    char version[VERSION_SIZE]; /* empty: any */
    char sum[SUM_SIZE];         /* empty: any; a rule for each hash */
};

struct policy {
    char *path;
    struct rule *rules;
    size_t count;
    size_t capacity;
    struct buf text; /* the file */
};

/* ---- Reading --------------------------------------------------------------------------------- */

static int rule_add(struct policy *policy, const struct rule *rule, struct err *err)
{
    if (policy->count == policy->capacity) {
        size_t capacity = policy->capacity == 0 ? 64 : 2 * policy->capacity;
        struct rule *rules = realloc(policy->rules, capacity * sizeof *rules);
        if (rules == NULL) {
            return err_set(err, ERR_MEMORY, "no memory for the rules of %s", policy->path);
        }
        policy->rules = rules;
        policy->capacity = capacity;
    }
    policy->rules[policy->count++] = *rule;
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\\';
}

/* The next word of a line, blanks taken off; empty at its end. */
static struct span next_word(struct span *line)
{
    size_t start = 0;
    while (start < line->len && is_blank(line->base[start])) {
        start++;
    }
    size_t end = start;
    while (end < line->len && !is_blank(line->base[end])) {
        end++;
    }
    struct span word = {line->base + start, end - start};
    *line = (struct span){line->base + end, line->len - end};
    if (word.len > 0 && word.base[0] == '#') {
        word.len = line->len = 0;
    }
    return word;
}

static bool starts_with(struct span text, const char *front)
{
    size_t len = strlen(front);
    return text.len >= len && memcmp(text.base, front, len) == 0;
}

static void copy(char *out, struct span text)
{
    memcpy(out, text.base, text.len);
    out[text.len] = '\0';
}

/* NAME or NAME==VERSION. */
static bool rule_begin(struct rule *rule, struct span word)
{
    struct span name;
    struct span version;
    *rule = (struct rule){0};
    if (name_is_project(word)) {
        name_normalize(word, rule->name);
        return true;
    }
    /* Nothing but the three parts: no extras, no marker, no other operator. */
    if (name_is_pinned(word, &name, &version) && name.len + 2 + version.len == word.len &&
        memcmp(word.base + name.len, "==", 2) == 0) {
        name_normalize(name, rule->name);
        copy(rule->version, version);
        return true;
    }
    return false;
}

static int line_take(struct policy *policy, struct span line, unsigned number, struct err *err)
{
    struct rule rule;
    struct span word = next_word(&line);
    if (word.len == 0) {
        return 0;
    }
    if (!rule_begin(&rule, word)) {
        return err_set(err, ERR_USAGE, "%s, line %u: '%.*s' is neither NAME nor NAME==VERSION",
                       policy->path, number, (int)(word.len < 64 ? word.len : 64), word.base);
    }
    bool has_sum = false;
    while ((word = next_word(&line)).len > 0) {
        static const char front[] = "--hash=sha256:";
        struct span sum = {word.base + sizeof front - 1, word.len - (sizeof front - 1)};
        if (!starts_with(word, front) || !name_is_sum(sum)) {
            return err_set(err, ERR_USAGE,
                           "%s, line %u: '%.*s' is not --hash=sha256: and 64 hex digits",
                           policy->path, number, (int)(word.len < 64 ? word.len : 64), word.base);
        }
        if (rule.version[0] == '\0') {
            return err_set(err, ERR_USAGE, "%s, line %u: a hash needs NAME==VERSION before it",
                           policy->path, number);
        }
        copy(rule.sum, sum);
        has_sum = true;
        if (rule_add(policy, &rule, err) != 0) {
            return -1;
        }
    }
    return has_sum ? 0 : rule_add(policy, &rule, err);
}

/* The next line, with those that a backslash joins to it. */
static struct span next_line(struct span *rest, unsigned *number)
{
    struct span line = {rest->base, 0};
    bool is_joined = true;
    while (is_joined && line.len < rest->len) {
        const char *start = rest->base + line.len;
        const char *end = memchr(start, '\n', rest->len - line.len);
        size_t len = end == NULL ? rest->len - line.len : (size_t)(end - start);
        is_joined = end != NULL && len > 0 && start[len - 1] == '\\';
        line.len += len + (end != NULL ? 1 : 0);
        (*number)++;
    }
    *rest = (struct span){rest->base + line.len, rest->len - line.len};
    return line;
}

static int parse(struct policy *policy, struct err *err)
{
    struct span rest = buf_span(&policy->text);
    if (rest.len > 0 && memchr(rest.base, '\0', rest.len) != NULL) {
        return err_set(err, ERR_USAGE, "%s has a NUL byte", policy->path);
    }
    unsigned number = 0;
    while (rest.len > 0) {
        unsigned first = number + 1;
        struct span line = next_line(&rest, &number);
        /* Newlines inside a joined line stand after a backslash: blanks both. */
        for (size_t i = 0; i < line.len; i++) {
            if (line.base[i] == '\n') {
                policy->text.base[line.base - policy->text.base + (ptrdiff_t)i] = ' ';
            }
        }
        if (line_take(policy, line, first, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int policy_load(const char *path, struct policy **out, struct err *err)
{
    struct policy *policy = calloc(1, sizeof *policy);
    if (policy == NULL || (policy->path = strdup(path)) == NULL) {
        free(policy);
        return err_set(err, ERR_MEMORY, "no memory for the rules of %s", path);
    }
    buf_init(&policy->text, LIMIT_POLICY_BYTES_MAX);
    if (fd_read_file(path, &policy->text, err) != 0 || parse(policy, err) != 0) {
        policy_free(policy);
        return err_prefix(err, "--allow-packages");
    }
    *out = policy;
    return 0;
}

void policy_free(struct policy *policy)
{
    if (policy != NULL) {
        buf_free(&policy->text);
        free(policy->rules);
        free(policy->path);
        free(policy);
    }
}

/* ---- Asking ---------------------------------------------------------------------------------- */

int policy_check_project(const struct policy *policy, struct span name, struct err *err)
{
    char normal[NAME_SIZE];
    if (policy == NULL) {
        return 0;
    }
    name_normalize(name, normal);
    for (size_t i = 0; i < policy->count; i++) {
        if (strcmp(policy->rules[i].name, normal) == 0) {
            return 0;
        }
    }
    return err_set(err, ERR_USAGE, "%s is not allowed: %s (--allow-packages) does not name it",
                   normal, policy->path);
}

int policy_check_package(const struct policy *policy, const struct plan_package *package,
                         struct err *err)
{
    char normal[NAME_SIZE];
    const struct rule *other = NULL; /* the first that could be told, of this version if possible */
    bool is_near = false;
    if (policy_check_project(policy, span_of(package->name), err) != 0) {
        return -1;
    }
    name_normalize(span_of(package->name), normal);
    for (size_t i = 0; policy != NULL && i < policy->count; i++) {
        const struct rule *rule = &policy->rules[i];
        if (strcmp(rule->name, normal) != 0) {
            continue;
        }
        bool has_version = rule->version[0] == '\0' ||
                           name_version_equal(span_of(rule->version), span_of(package->version));
        if (has_version && (rule->sum[0] == '\0' || strcmp(rule->sum, package->sum) == 0)) {
            return 0;
        }
        if (other == NULL || (has_version && !is_near)) {
            other = rule;
            is_near = has_version;
        }
    }
    if (policy == NULL) {
        return 0;
    }
    return err_set(err, ERR_USAGE,
                   "%s %s%s%.12s is not allowed: %s (--allow-packages) has the rule %s==%s%s%.12s",
                   normal, package->version, other->sum[0] == '\0' ? "" : " with sha256:",
                   other->sum[0] == '\0' ? "" : package->sum, policy->path, other->name,
                   other->version, other->sum[0] == '\0' ? "" : " --hash=sha256:", other->sum);
}

/* Whether an earlier rule has the same name, or the same name and text at `offset` of the rule. */
static bool is_repeated(const struct policy *policy, size_t index, size_t offset)
{
    const struct rule *rule = &policy->rules[index];
    for (size_t i = 0; i < index; i++) {
        const struct rule *other = &policy->rules[i];
        if (strcmp(other->name, rule->name) == 0 &&
            strcmp((const char *)other + offset, (const char *)rule + offset) == 0) {
            return true;
        }
    }
    return false;
}

/* The versions, or the sums, of all rules for one name; none when one of the rules allows any. */
static int texts_append(struct buf *out, const struct policy *policy, const char *name,
                        size_t offset)
{
    const char *before = "";
    for (size_t i = 0; i < policy->count; i++) {
        const struct rule *rule = &policy->rules[i];
        if (strcmp(rule->name, name) == 0 && ((const char *)rule)[offset] == '\0') {
            return 0;
        }
    }
    for (size_t i = 0; i < policy->count; i++) {
        const struct rule *rule = &policy->rules[i];
        if (strcmp(rule->name, name) != 0 || is_repeated(policy, i, offset)) {
            continue;
        }
        if (buf_append_format(out, "%s\"%s\"", before, (const char *)rule + offset) != 0) {
            return -1;
        }
        before = ",";
    }
    return 0;
}

int policy_append_json(struct buf *out, const struct policy *policy)
{
    const char *before = "[";
    if (policy == NULL) {
        return buf_append_text(out, "null");
    }
    for (size_t i = 0; i < policy->count; i++) {
        const char *name = policy->rules[i].name;
        if (is_repeated(policy, i, offsetof(struct rule, name))) {
            continue;
        }
        if (buf_append_format(out, "%s{\"name\":\"%s\",\"versions\":[", before, name) != 0 ||
            texts_append(out, policy, name, offsetof(struct rule, version)) != 0 ||
            buf_append_text(out, "],\"sha256\":[") != 0 ||
            texts_append(out, policy, name, offsetof(struct rule, sum)) != 0 ||
            buf_append_text(out, "]}") != 0) {
            return -1;
        }
        before = ",";
    }
    return buf_append_text(out, *before == '[' ? "[]" : "]");
}

void policy_sum(struct sum *sum, const struct policy *policy)
{
    sum_add(sum, policy == NULL ? span_of("") : buf_span(&policy->text));
}
