#include "packages/index.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/jtext.h"
#include "base/limits.h"
#include "base/log.h"
#include "packages/task.h"

static const char code[] = "from vitrine.index import index_settings\n"
                           "index_settings(files, environment)\n";

TAILQ_HEAD(index_waiters, index_waiter);

struct index {
    struct buf globals; /* {"files": {...}, "environment": {...}} */
    struct task *task;  /* while pip is asked */
    struct index_waiters waiters;
};

/* ---- What pip would look at ------------------------------------------------------------------ */

static int member_append(struct buf *out, bool *is_first, struct span name, struct span text)
{
    if ((!*is_first && buf_append_char(out, ',') != 0) || jtext_append_string(out, name) != 0 ||
        buf_append_char(out, ':') != 0) {
        return -1;
    }
    *is_first = false;
    return jtext_append_string(out, text);
}

/* One configuration file, if it is there. Larger ones are none. */
static int file_append(struct buf *out, bool *is_first, const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct err err;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_PIP_CONFIG_BYTES_MAX);
    int len = dir == NULL ? -1 : snprintf(path, sizeof path, "%s%s", dir, name);
    if (len <= 0 || (size_t)len >= sizeof path || path[0] != '/' || access(path, R_OK) != 0) {
        return 0;
    }
    if (fd_read_file(path, &text, &err) != 0) {
        log_warning("pip's configuration is left out: %s", err.text);
        return 0;
    }
    return member_append(out, is_first, span_of(path), buf_span(&text));
}

/* The configuration file that a variable names, spelled from the root. */
static const char *config_file(char out[PATH_MAX])
{
    const char *path = getenv("PIP_CONFIG_FILE");
    return path == NULL || *path == '\0' ? NULL : realpath(path, out);
}

/* The places that pip's documentation names for Linux, in the order in which it reads them. One
 * folder of each kind: more than one in XDG_CONFIG_DIRS is rare. */
static int files_append(struct buf *out)
{
    char path[PATH_MAX];
    bool is_first = true;
    const char *home = getenv("HOME");
    const char *config_home = getenv("XDG_CONFIG_HOME");
    const char *config_dirs = getenv("XDG_CONFIG_DIRS");
    bool has_config_home = config_home != NULL && *config_home != '\0';
    bool has_config_dirs =
        config_dirs != NULL && *config_dirs != '\0' && strchr(config_dirs, ':') == NULL;
    if (file_append(out, &is_first, has_config_dirs ? config_dirs : "/etc/xdg", "/pip/pip.conf") !=
            0 ||
        file_append(out, &is_first, "/etc", "/pip.conf") != 0 ||
        file_append(out, &is_first, home, "/.pip/pip.conf") != 0 ||
        file_append(out, &is_first, has_config_home ? config_home : home,
                    has_config_home ? "/pip/pip.conf" : "/.config/pip/pip.conf") != 0 ||
        file_append(out, &is_first, getenv("VIRTUAL_ENV"), "/pip.conf") != 0) {
        return -1;
    }
    return file_append(out, &is_first, config_file(path), "");
}

static bool is_for_pip(const char *variable)
{
    static const char *const fronts[] = {
        "PIP_", "HOME=", "XDG_CONFIG_HOME=", "XDG_CONFIG_DIRS=", "VIRTUAL_ENV="};
    for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++) {
        if (strncmp(variable, fronts[i], strlen(fronts[i])) == 0) {
            return true;
        }
    }
    return false;
}

static int variables_append(struct buf *out)
{
    char path[PATH_MAX];
    bool is_first = true;
    for (char **variable = environ; *variable != NULL; variable++) {
        const char *value = strchr(*variable, '=');
        if (value == NULL || !is_for_pip(*variable)) {
            continue;
        }
        struct span name = {*variable, (size_t)(value - *variable)};
        bool is_config = span_equal(name, span_of("PIP_CONFIG_FILE"));
        const char *text = is_config ? config_file(path) : NULL;
        if (member_append(out, &is_first, name, span_of(text != NULL ? text : value + 1)) != 0) {
            return -1;
        }
    }
    return 0;
}

struct index *index_new(void)
{
    struct index *index = calloc(1, sizeof *index);
    if (index == NULL) {
        return NULL;
    }
    TAILQ_INIT(&index->waiters);
    buf_init(&index->globals, LIMIT_GLOBALS_BYTES_MAX);
    if (buf_append_text(&index->globals, "{\"files\":{") != 0 ||
        files_append(&index->globals) != 0 ||
        buf_append_text(&index->globals, "},\"environment\":{") != 0 ||
        variables_append(&index->globals) != 0 || buf_append_text(&index->globals, "}}") != 0) {
        index_free(index);
        return NULL;
    }
    return index;
}

void index_free(struct index *index)
{
    if (index != NULL) {
        buf_free(&index->globals);
        free(index);
    }
}

void index_sum(struct sum *sum, const struct index *index)
{
    sum_add(sum, buf_span(&index->globals));
}

/* ---- The fetcher's configuration ------------------------------------------------------------- */

static int texts_put(struct buf *record, uint8_t field, char *const *texts)
{
    for (size_t i = 0; texts[i] != NULL; i++) {
        if (wire_put(record, field, span_of(texts[i])) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The lines of GUESTDIR/distribution, which come after the mirrors of the options. */
static int default_mirrors_put(struct buf *record, const struct packages *packages)
{
    char path[PATH_MAX];
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_FETCH_ASK_BYTES_MAX);
    int len = snprintf(path, sizeof path, "%s/distribution", packages->store.guest_dir);
    if (len < 0 || (size_t)len >= sizeof path || fd_read_file(path, &text, NULL) != 0) {
        return 0; /* the options may name sources enough */
    }
    struct span rest = buf_span(&text);
    while (rest.len > 0) {
        const char *end = memchr(rest.base, '\n', rest.len);
        size_t line_len = end == NULL ? rest.len : (size_t)(end - rest.base);
        if (line_len > 0 &&
            wire_put(record, WIRE_FETCH_CONFIG_MIRROR, (struct span){rest.base, line_len}) != 0) {
            return -1;
        }
        size_t used = end == NULL ? line_len : line_len + 1;
        rest = (struct span){rest.base + used, rest.len - used};
    }
    return 0;
}

static bool has_text(char *const *texts, struct span text)
{
    for (size_t i = 0; texts[i] != NULL; i++) {
        if (span_equal(span_of(texts[i]), text)) {
            return true;
        }
    }
    return false;
}

/* pip's own addresses, after those of the options. */
static int indexes_put(struct buf *record, const struct packages *packages, struct span settings)
{
    struct span array;
    struct span key;
    struct span item;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_FETCH_URL_BYTES_MAX);
    if (texts_put(record, WIRE_FETCH_CONFIG_INDEX, packages->index_urls) != 0) {
        return -1;
    }
    if (!jtext_find(settings, "index_urls", &array) || jtext_type(array) != JTEXT_ARRAY) {
        return 0;
    }
    struct jtext_cursor cursor = jtext_open(array);
    while (jtext_next(&cursor, &key, &item)) {
        buf_clear(&text);
        if (jtext_type(item) == JTEXT_STRING && jtext_string_decode(&text, item) == 0 &&
            text.len > 0 && !has_text(packages->index_urls, buf_span(&text)) &&
            wire_put(record, WIRE_FETCH_CONFIG_INDEX, buf_span(&text)) != 0) {
            return -1;
        }
    }
    return 0;
}

static int setting_put(struct buf *record, uint8_t field, struct span settings, const char *name)
{
    struct span value;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_FETCH_URL_BYTES_MAX);
    if (!jtext_find(settings, name, &value) || jtext_type(value) != JTEXT_STRING ||
        jtext_string_decode(&text, value) != 0 || text.len == 0) {
        return 0;
    }
    return wire_put(record, field, buf_span(&text));
}

static int config_put(struct buf *record, const struct packages *packages, struct span settings)
{
    char lock[PATH_MAX];
    int len = snprintf(lock, sizeof lock, "%s/pyodide-lock.json", packages->store.guest_dir);
    if (len < 0 || (size_t)len >= sizeof lock ||
        wire_put(record, WIRE_FETCH_CONFIG_CACHE, span_of(packages->store.cache_dir)) != 0 ||
        wire_put(record, WIRE_FETCH_CONFIG_LOCK, span_of(lock)) != 0 ||
        texts_put(record, WIRE_FETCH_CONFIG_MIRROR, packages->mirrors) != 0 ||
        default_mirrors_put(record, packages) != 0 ||
        indexes_put(record, packages, settings) != 0 ||
        wire_put_u32(record, WIRE_FETCH_CONFIG_OFFLINE, packages->is_offline ? 1 : 0) != 0 ||
        setting_put(record, WIRE_FETCH_CONFIG_CERTIFICATES, settings, "cert") != 0 ||
        setting_put(record, WIRE_FETCH_CONFIG_PROXY, settings, "proxy") != 0) {
        return -1;
    }
    return packages->exclude_newer == NULL ? 0
                                           : wire_put(record, WIRE_FETCH_CONFIG_EXCLUDE_NEWER,
                                                      span_of(packages->exclude_newer));
}

static int configure(struct packages *packages, struct span settings, struct err *err)
{
    cleanup_buf struct buf record;
    buf_init(&record, LIMIT_FETCH_ASK_BYTES_MAX);
    if (config_put(&record, packages, settings) != 0) {
        return err_set(err, ERR_LIMIT, "the configuration for vitrine-fetch is too large");
    }
    if (fetcher_configure(packages->fetcher, buf_span(&record), err) != 0) {
        return -1;
    }
    packages->is_configured = true;
    return 0;
}

/* ---- pip's answer ---------------------------------------------------------------------------- */

static void tell(struct packages *packages, const struct err *err)
{
    struct index_waiter *waiter;
    while ((waiter = TAILQ_FIRST(&packages->index->waiters)) != NULL) {
        TAILQ_REMOVE(&packages->index->waiters, waiter, link);
        waiter->done(waiter->context, err);
    }
}

static int settings_take(struct packages *packages, struct span json, struct err *err)
{
    struct span settings;
    struct span mistake;
    cleanup_buf struct buf text;
    buf_init(&text, ERR_TEXT_MAX / 2);
    if (jtext_check(json, JTEXT_LONE_SURROGATES, &settings, err) != 0) {
        return err_prefix(err, "pip's settings");
    }
    if (jtext_find(settings, "error", &mistake)) {
        bool is_text =
            jtext_type(mistake) == JTEXT_STRING && jtext_string_decode(&text, mistake) == 0;
        return err_set(err, ERR_USAGE, "pip's settings cannot be used: %.*s",
                       is_text ? (int)text.len : 0, is_text ? text.base : "");
    }
    return configure(packages, settings, err);
}

static void on_done(void *context, struct span value_json, const struct err *err)
{
    struct packages *packages = context;
    struct err own;
    packages->index->task = NULL;
    if (err == NULL && settings_take(packages, value_json, &own) != 0) {
        err = &own;
    }
    tell(packages, err);
}

int index_configure(struct packages *packages, struct index_waiter *waiter, struct err *err)
{
    struct index *index = packages->index;
    if (packages->is_configured) {
        return 1;
    }
    if (index->task == NULL) {
        struct task_events events = {.context = packages, .done = on_done};
        index->task = task_start(packages, code, buf_span(&index->globals), &events, err);
        if (index->task == NULL) {
            return -1;
        }
    }
    TAILQ_INSERT_TAIL(&index->waiters, waiter, link);
    return 0;
}

void index_leave(struct packages *packages, struct index_waiter *waiter)
{
    TAILQ_REMOVE(&packages->index->waiters, waiter, link);
}

void index_cancel(struct index *index)
{
    if (index->task != NULL) {
        task_cancel(index->task);
        index->task = NULL;
    }
}
