#include "cli/option_values.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

/* All copies; options are parsed once in a process, so that nothing has to be given back. */
struct kept {
    struct kept *next;
    char text[];
};
static struct kept *all_kept;

char *option_keep(const char *text)
{
    size_t size = strlen(text) + 1;
    struct kept *kept = malloc(sizeof *kept + size);
    if (kept == NULL) {
        return NULL;
    }
    memcpy(kept->text, text, size);
    kept->next = all_kept;
    all_kept = kept;
    return kept->text;
}

static int list_add(struct option_list *list, const char *item, unsigned count_max, struct err *err)
{
    if (list->count == count_max) {
        return err_set(err, ERR_USAGE, "there may be at most %u", count_max);
    }
    list->items[list->count++] = item;
    list->items[list->count] = NULL;
    return 0;
}

int option_add_text(struct option_list *list, const char *text, unsigned count_max, struct err *err)
{
    return *text == '\0' ? err_set(err, ERR_USAGE, "it is empty")
                         : list_add(list, text, count_max, err);
}

static const char blanks[] = " \t\r\n";

/* Whether what follows a comma begins a requirement: PEP 508's names begin with these. */
static bool begins_name(const char *text)
{
    return isalnum((unsigned char)text[strspn(text, blanks)]) != 0;
}

/* Where the requirement at `text` ends. */
static const char *requirement_end(const char *text)
{
    unsigned depth = 0;
    char quote = '\0';
    for (; *text != '\0' && *text != '\n'; text++) {
        if (quote != '\0') {
            quote = *text == quote ? '\0' : quote;
        } else if (*text == '"' || *text == '\'') {
            quote = *text;
        } else if (*text == '[' || *text == '(') {
            depth++;
        } else if (*text == ']' || *text == ')') {
            depth -= depth > 0 ? 1 : 0;
        } else if (*text == ',' && depth == 0 && begins_name(text + 1)) {
            break;
        }
    }
    return text;
}

/* `text` is cut and without blanks around it. */
static int check_requirement(const char *text, struct err *err)
{
    size_t len = strlen(text);
    if (len > LIMIT_REQUIREMENT_BYTES_MAX) {
        return err_set(err, ERR_USAGE, "a requirement has more than %u bytes",
                       LIMIT_REQUIREMENT_BYTES_MAX);
    }
    bool is_text = utf8_valid((struct span){text, len});
    for (size_t i = 0; i < len; i++) {
        is_text = is_text && (unsigned char)text[i] >= 0x20 && text[i] != 0x7F;
    }
    if (!is_text || !isalnum((unsigned char)*text) || text[len - 1] == ',') {
        return err_set(err, ERR_USAGE,
                       "\"%.200s\" is no requirement, which is a package's name and what is asked "
                       "of it: numpy, 'pandas>=2,<3'",
                       text);
    }
    return 0;
}

int option_add_requirements(struct option_list *list, const char *text, struct err *err)
{
    char *copy = option_keep(text);
    if (copy == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    unsigned before = list->count;
    for (char *start = copy; *(start += strspn(start, blanks)) != '\0';) {
        char *end = start + (requirement_end(start) - start);
        char *next = *end == '\0' ? end : end + 1;
        while (end > start && strchr(blanks, end[-1]) != NULL) {
            end--;
        }
        *end = '\0';
        if (check_requirement(start, err) != 0 ||
            list_add(list, start, LIMIT_REQUIREMENTS_MAX, err) != 0) {
            list->count = before;
            list->items[before] = NULL;
            return -1;
        }
        start = next;
    }
    if (list->count == before) {
        return err_set(err, ERR_USAGE, "there is no requirement in \"%.200s\"", text);
    }
    return 0;
}

static bool is_https(const char *text)
{
    static const char scheme[] = "https://";
    size_t len = sizeof scheme - 1;
    return strncasecmp(text, scheme, len) == 0 && text[len] != '\0' && text[len] != '/';
}

/* Anything with a scheme in front: "http://x", "file:///x", "svn+ssh://x". */
static bool has_scheme(const char *text)
{
    const char *colon = strstr(text, "://");
    for (const char *p = text; colon != NULL && p < colon; p++) {
        if (!isalnum((unsigned char)*p) && strchr("+-.", *p) == NULL) {
            return false;
        }
    }
    return colon != NULL && colon != text;
}

int option_add_mirror(struct option_list *list, const char *text, struct err *err)
{
    if (has_scheme(text) ? !is_https(text) : *text == '\0') {
        return err_set(err, ERR_USAGE, "\"%.200s\" is neither a folder nor an https:// address",
                       text);
    }
    if (is_https(text) || *text == '/') {
        return list_add(list, text, LIMIT_SOURCES_MAX, err);
    }
    char here[PATH_MAX];
    char whole[PATH_MAX];
    if (getcwd(here, sizeof here) == NULL) {
        return err_system(err, "cannot find out the working directory");
    }
    int len = snprintf(whole, sizeof whole, "%s/%s", here, text);
    if (len < 0 || len >= PATH_MAX) {
        return err_set(err, ERR_USAGE, "the folder's name is too long: %.200s", text);
    }
    const char *kept = option_keep(whole);
    return kept == NULL ? err_set(err, ERR_MEMORY, "out of memory")
                        : list_add(list, kept, LIMIT_SOURCES_MAX, err);
}

int option_add_url(struct option_list *list, const char *text, struct err *err)
{
    if (!is_https(text)) {
        return err_set(err, ERR_USAGE, "\"%.200s\" is no https:// address", text);
    }
    return list_add(list, text, LIMIT_SOURCES_MAX, err);
}

/* Visible ASCII, as it stands in a field of HTTP, without any of `unwanted`. */
static bool is_visible(const char *text, const char *unwanted)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~' || strchr(unwanted, *p) != NULL) {
            return false;
        }
    }
    return *text != '\0';
}

int option_add_host(struct option_list *list, const char *text, struct err *err)
{
    if (!is_visible(text, "/?#@,")) {
        return err_set(err, ERR_USAGE,
                       "\"%.200s\" is no host such as example.com, example.com:8443 or *", text);
    }
    return list_add(list, text, LIMIT_ALLOWED_MAX, err);
}

int option_add_origin(struct option_list *list, const char *text, struct err *err)
{
    const char *host = strstr(text, "://");
    bool is_any = strcmp(text, "*") == 0;
    if (!is_any && (!has_scheme(text) || !is_visible(host + 3, "/?#@,") || !is_visible(text, ""))) {
        return err_set(err, ERR_USAGE,
                       "\"%.200s\" is no origin such as https://example.com or "
                       "http://localhost:6274, and not *",
                       text);
    }
    return list_add(list, text, LIMIT_ALLOWED_MAX, err);
}

int option_set_path(const char **out, const char *text, struct err *err)
{
    size_t len = strlen(text);
    if (*text != '/' || !is_visible(text, "?#") || (len > 1 && text[len - 1] == '/')) {
        return err_set(err, ERR_USAGE, "\"%.200s\" is no path such as /mcp", text);
    }
    *out = text;
    return 0;
}

/* Reads digits and the marks between them: "0000-00-00" for a date. NULL when `text` does not
 * begin so, else what follows. */
static const char *match_digits(const char *text, const char *shape)
{
    for (; *shape != '\0'; shape++, text++) {
        if (*shape == '0' ? !isdigit((unsigned char)*text) : *text != *shape) {
            return NULL;
        }
    }
    return text;
}

static unsigned number_at(const char *digits, unsigned count)
{
    unsigned value = 0;
    for (unsigned i = 0; i < count; i++) {
        value = 10 * value + (unsigned)(digits[i] - '0');
    }
    return value;
}

static bool is_date(const char *text)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (match_digits(text, "0000-00-00") == NULL) {
        return false;
    }
    unsigned year = number_at(text, 4);
    unsigned month = number_at(text + 5, 2);
    unsigned day = number_at(text + 8, 2);
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (month == 2 && is_leap ? 1U : 0U);
}

/* "12:00:00", with a fraction if wanted, and "Z" or "+01:00". */
static bool is_time_of_day(const char *text)
{
    const char *rest = match_digits(text, "00:00:00");
    if (rest == NULL || number_at(text, 2) > 23 || number_at(text + 3, 2) > 59 ||
        number_at(text + 6, 2) > 60) {
        return false;
    }
    if (*rest == '.') {
        size_t digits = strspn(rest + 1, "0123456789");
        if (digits == 0) {
            return false;
        }
        rest += 1 + digits;
    }
    if (*rest == '+' || *rest == '-') {
        const char *end = match_digits(rest + 1, "00:00");
        return end != NULL && *end == '\0' && number_at(rest + 1, 2) <= 23 &&
               number_at(rest + 4, 2) <= 59;
    }
    return (*rest == 'Z' || *rest == 'z') && rest[1] == '\0';
}

int option_set_time(char out[OPTION_TIME_MAX], const char *text, struct err *err)
{
    enum { DATE_LEN = 10 };
    size_t len = strlen(text);
    if (len < OPTION_TIME_MAX && is_date(text)) {
        if (len == DATE_LEN) {
            snprintf(out, OPTION_TIME_MAX, "%sT23:59:59Z", text);
            return 0;
        }
        if (strchr("Tt ", text[DATE_LEN]) != NULL && is_time_of_day(text + DATE_LEN + 1)) {
            memcpy(out, text, len + 1);
            out[DATE_LEN] = 'T';
            out[len - 1] = out[len - 1] == 'z' ? 'Z' : out[len - 1];
            return 0;
        }
    }
    return err_set(err, ERR_USAGE,
                   "\"%.200s\" is no date such as 2026-01-31, and no time such as "
                   "2026-01-31T12:00:00Z",
                   text);
}

void option_env_for(const struct options *options, bool has_color, const char **out)
{
    static const char colors[] = "PYTHON_COLORS=";
    unsigned count = 0;
    for (; count < options->env_count; count++) {
        out[count] = options->env[count];
        has_color = has_color && strncmp(out[count], colors, sizeof colors - 1) != 0;
    }
    out[count] = NULL;
    if (has_color) {
        option_env_add(out, "PYTHON_COLORS=1");
    }
}

void option_env_add(const char **env, const char *variable)
{
    unsigned count = 0;
    while (env[count] != NULL) {
        count++;
    }
    if (count < LIMIT_ENV_COUNT_MAX) {
        env[count] = variable;
        env[count + 1] = NULL;
    }
}
