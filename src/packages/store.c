#include "packages/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/utf8.h"

static const char contents_name[] = "contents";
static const char temporary_mark[] = ".tmp-";

/* ---- The guest's folder and the cache's ------------------------------------------------------ */

int store_init(struct store *store, const char *guest_dir, const char *cache_dir, struct err *err)
{
    *store = (struct store){.guest_dir = strdup(guest_dir), .cache_dir = strdup(cache_dir)};
    return store->guest_dir != NULL && store->cache_dir != NULL
               ? 0
               : err_set(err, ERR_MEMORY, "no memory for the cache");
}

void store_free(struct store *store)
{
    free(store->guest_dir);
    free(store->cache_dir);
    *store = (struct store){0};
}

static int join(char out[PATH_MAX], const char *dir, const char *name, const char *end,
                struct err *err)
{
    int len = snprintf(out, PATH_MAX, "%s/%s%s", dir, name, end);
    return len > 0 && len < PATH_MAX
               ? 0
               : err_set(err, ERR_USAGE, "the path %.64s... is too long", dir);
}

/* A file of the cache; -1 when there is none. A pipe in its place is empty and not waited for. */
static int read_entry(int dir, const char *name, struct buf *out)
{
    cleanup_fd int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -1 : fd_read_all(fd, out, NULL);
}

int store_path(const struct store *store, const char *folder, const char *name, char out[PATH_MAX],
               struct err *err)
{
    char dir[PATH_MAX];
    return join(dir, store->cache_dir, folder, "", err) != 0 ? -1 : join(out, dir, name, "", err);
}

int store_built_path(const struct store *store, const char *wheel_sum, char out[PATH_MAX],
                     struct err *err)
{
    char name[SUM_SIZE + sizeof store->key + 1];
    (void)snprintf(name, sizeof name, "%s-%s", wheel_sum, store->key);
    return store_path(store, "built", name, out, err);
}

/* As mkdir -p; only the user may read what is made. */
static int make_dirs(const char *path, struct err *err)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part) {
        return err_set(err, ERR_USAGE, "the path %.64s... is too long", path);
    }
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST && errno != EISDIR &&
            access(part, X_OK) != 0) {
            return err_system(err, "making the folder %s", part);
        }
    }
    return 0;
}

static int key_read(const struct store *store, const char *name, char out[sizeof store->key],
                    struct err *err)
{
    char path[PATH_MAX];
    cleanup_buf struct buf text;
    buf_init(&text, sizeof store->key);
    if (join(path, store->guest_dir, name, "", err) != 0 || fd_read_file(path, &text, err) != 0) {
        return err_prefix(err, "the guest's folder");
    }
    size_t len = 0;
    while (len < text.len && strchr("0123456789abcdef", text.base[len]) != NULL) {
        len++;
    }
    if (len != sizeof store->key - 1 || (text.len > len && text.base[len] != '\n')) {
        return err_set(err, ERR_FORMAT, "%s is not 16 hex digits: run `make build`", path);
    }
    memcpy(out, text.base, len);
    out[len] = '\0';
    return 0;
}

int store_open(struct store *store, struct err *err)
{
    static const char *const folders[] = {"wheels", "built", "environments", "needs", "programs"};
    char path[PATH_MAX];
    if (store->key[0] != '\0') {
        return 0;
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (join(path, store->cache_dir, folders[i], "", err) != 0 || make_dirs(path, err) != 0) {
            return err_prefix(err, "the cache");
        }
    }
    return key_read(store, "id", store->id, err) != 0 ? -1
                                                      : key_read(store, "key", store->key, err);
}

/* ---- Contents -------------------------------------------------------------------------------- */

/* Times that went through an archive may have lost their fractions. */
static bool is_same_time(struct timespec now, int64_t seconds, int64_t nanoseconds)
{
    return now.tv_sec == seconds && (now.tv_nsec == nanoseconds || now.tv_nsec == 0);
}

/* "SIZE SECONDS NANOSECONDS NAME" */
static bool line_holds(int dir, char *line)
{
    char *name;
    struct stat now;
    int64_t size = strtoll(line, &name, 10);
    int64_t seconds = strtoll(name, &name, 10);
    int64_t nanoseconds = strtoll(name, &name, 10);
    return *name == ' ' && fstatat(dir, name + 1, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(now.st_mode) && now.st_size == size &&
           is_same_time(now.st_mtim, seconds, nanoseconds);
}

bool store_is_whole(const char *dir)
{
    cleanup_buf struct buf text;
    cleanup_fd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    buf_init(&text, LIMIT_MODULES_MAX * KIB);
    if (dir_fd < 0 || read_entry(dir_fd, contents_name, &text) != 0 || text.len == 0 ||
        text.base[text.len - 1] != '\n') {
        return false;
    }
    size_t at = 0;
    while (at < text.len) {
        char *line = text.base + at;
        char *end = memchr(line, '\n', text.len - at);
        *end = '\0';
        if (!line_holds(dir_fd, line)) {
            return false;
        }
        at += (size_t)(end - line) + 1;
    }
    return true;
}

static int contents_write(const char *dir, struct err *err)
{
    char path[PATH_MAX];
    int result = 0;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_MODULES_MAX * KIB);
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        return err_system(err, "opening the folder %s", dir);
    }
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(stream)) != NULL) {
        struct stat now;
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, contents_name) == 0) {
            continue;
        }
        if (fstatat(dirfd(stream), entry->d_name, &now, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(now.st_mode)) {
            result = err_set(err, ERR_FORMAT, "%s/%s is not a file", dir, entry->d_name);
        } else if (buf_append_format(&text, "%jd %jd %ld %s\n", (intmax_t)now.st_size,
                                     (intmax_t)now.st_mtim.tv_sec, now.st_mtim.tv_nsec,
                                     entry->d_name) != 0) {
            result = err_set(err, ERR_LIMIT, "%s has too many files", dir);
        }
    }
    (void)closedir(stream);
    return result != 0 || join(path, dir, contents_name, "", err) != 0
               ? -1
               : fd_write_file(path, buf_span(&text), err);
}

/* ---- Folders that appear whole --------------------------------------------------------------- */

void store_remove(const char *dir)
{
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        (void)unlink(dir);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            (void)(unlinkat(dirfd(stream), entry->d_name, 0) == 0 ||
                   unlinkat(dirfd(stream), entry->d_name, AT_REMOVEDIR) == 0);
        }
    }
    (void)closedir(stream);
    (void)rmdir(dir);
}

/* What killed processes left beside `dir`. Their builders may still run and write there; what they
 * make is never put in place. */
static void left_overs_remove(const char *dir)
{
    char path[PATH_MAX];
    const char *slash = strrchr(dir, '/');
    if (slash == NULL) {
        return;
    }
    const struct span name = span_of(slash + 1);
    const struct span mark = span_of(temporary_mark);
    (void)snprintf(path, sizeof path, "%.*s", (int)(slash - dir), dir);
    DIR *stream = opendir(path);
    const struct dirent *entry;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        const struct span found = span_of(entry->d_name);
        if (found.len >= name.len + mark.len &&
            span_equal((struct span){found.base, name.len}, name) &&
            span_equal((struct span){found.base + name.len, mark.len}, mark)) {
            (void)snprintf(path, sizeof path, "%s%s", dir, found.base + name.len);
            store_remove(path);
        }
    }
    if (stream != NULL) {
        (void)closedir(stream);
    }
}

/* A name that was never used: nobody else can be writing there. */
int store_begin(const char *dir, char temporary[PATH_MAX], struct err *err)
{
    static unsigned count;
    int len =
        snprintf(temporary, PATH_MAX, "%s%s%ld-%u", dir, temporary_mark, (long)getpid(), ++count);
    if (len < 0 || len >= PATH_MAX) {
        return err_set(err, ERR_USAGE, "the path %.64s... is too long", dir);
    }
    left_overs_remove(dir);
    return mkdir(temporary, 0700) == 0 ? 0 : err_system(err, "making the folder %s", temporary);
}

int store_finish(const char *temporary, const char *dir, struct err *err)
{
    if (contents_write(temporary, err) != 0) {
        return -1;
    }
    store_remove(dir); /* one that is broken: whole ones are not made again */
    return rename(temporary, dir) == 0 ? 0 : err_system(err, "putting %s in its place", dir);
}

/* A lock's file stays: whoever deletes one that others wait for makes two holders. */
int store_lock(const char *dir, struct err *err)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s.lock", dir);
    if (len < 0 || (size_t)len >= sizeof path) {
        return err_set(err, ERR_USAGE, "the path %.64s... is too long", dir);
    }
    cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_system(err, "opening %s", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool is_held = errno == EWOULDBLOCK;
        (void)err_system(err, "locking %s", path);
        err->code = is_held ? ERR_NONE : ERR_SYSTEM;
        return -1;
    }
    return steal_fd(&fd);
}

/* ---- Environments ---------------------------------------------------------------------------- */

struct environment *store_environment_ref(struct environment *environment)
{
    if (environment != NULL) {
        environment->references++;
    }
    return environment;
}

void store_environment_unref(struct environment *environment)
{
    if (environment != NULL && --environment->references == 0) {
        plan_free(&environment->plan);
        free(environment->packages);
        free(environment);
    }
}

int store_preload(const struct plan *plan, const struct lock *lock, struct buf *out)
{
    for (size_t i = 0; i < plan->package_count; i++) {
        if (plan->packages[i].is_requested &&
            lock_append_preload(out, lock, plan->packages[i].sum) != 0) {
            return -1;
        }
    }
    return 0;
}

int store_environment_id(const struct store *store, const struct plan *plan, struct span preload,
                         char id[SUM_HEX_SIZE])
{
    uint8_t bytes[SUM_BYTES];
    struct sum sum;
    sum_begin(&sum);
    sum_add(&sum, span_of(store->key));
    sum_add(&sum, span_of(store->id));
    sum_add(&sum, preload);
    for (size_t i = 0; i < plan->package_count; i++) {
        const struct plan_package *package = &plan->packages[i];
        char name[NAME_SIZE];
        name_normalize(span_of(package->name), name);
        sum_add(&sum, span_of(name));
        sum_add(&sum, span_of(package->version));
        sum_add(&sum, span_of(package->sum));
    }
    int result = sum_end(&sum, bytes);
    sum_hex(bytes, id);
    return result;
}

/* Each text has been checked: none has a quote or a backslash. */
int store_environment_json(const struct plan *plan, struct buf *out)
{
    if (buf_append_text(out, "{\"packages\":[") != 0) {
        return -1;
    }
    for (size_t i = 0; i < plan->package_count; i++) {
        const struct plan_package *package = &plan->packages[i];
        if (buf_append_format(out,
                              "%s\n {\"name\":\"%s\",\"version\":\"%s\",\"sha256\":\"%s\","
                              "\"filename\":\"%s\",\"requested\":%s}",
                              i == 0 ? "" : ",", package->name, package->version, package->sum,
                              package->filename, package->is_requested ? "true" : "false") != 0) {
            return -1;
        }
    }
    return buf_append_text(out, "\n]}\n");
}

static int environment_read(struct environment *environment)
{
    char path[PATH_MAX];
    struct err err;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_PACKAGES_MAX * KIB);
    if (join(path, environment->dir, "environment.json", "", &err) != 0 ||
        fd_read_file(path, &text, &err) != 0 ||
        plan_parse(&environment->plan, buf_span(&text), &err) != 0 ||
        environment->plan.error != NULL) {
        return -1;
    }
    const struct plan *plan = &environment->plan;
    environment->packages = calloc(plan->package_count + 1, sizeof *environment->packages);
    if (environment->packages == NULL) {
        return -1;
    }
    for (size_t i = 0; i < plan->package_count; i++) {
        const struct plan_package *package = &plan->packages[i];
        environment->packages[i] =
            (struct outcome_package){package->name, package->version, package->sum};
    }
    environment->package_count = plan->package_count;
    return 0;
}

struct environment *store_environment(const struct store *store, const char *id)
{
    struct err err;
    struct environment *environment = calloc(1, sizeof *environment);
    if (environment == NULL || store_path(store, "environments", id, environment->dir, &err) != 0) {
        free(environment);
        return NULL;
    }
    environment->references = 1;
    (void)snprintf(environment->id, sizeof environment->id, "%s", id);
    if (store_is_whole(environment->dir) && environment_read(environment) == 0) {
        return environment;
    }
    if (access(environment->dir, F_OK) == 0) {
        log_warning("the environment %s is broken and will be made anew", environment->dir);
    }
    store_environment_unref(environment);
    return NULL;
}

/* ---- Needs ----------------------------------------------------------------------------------- */

static int record_path(const struct store *store, const char *folder, const uint8_t key[SUM_BYTES],
                       char out[PATH_MAX])
{
    char name[SUM_HEX_SIZE];
    sum_hex(key, name);
    return store_path(store, folder, name, out, NULL);
}

/* "ID\nTIME\n" at the front of a text; what follows is left in *rest. */
static bool record_read(struct span *rest, struct store_need *out)
{
    char head[SUM_HEX_SIZE + 32];
    size_t len = rest->len < sizeof head - 1 ? rest->len : sizeof head - 1;
    memcpy(head, rest->base, len);
    head[len] = '\0';
    char *end = strchr(head, '\n');
    if (end == NULL || (size_t)(end - head) >= sizeof out->id) {
        return false;
    }
    *end = '\0';
    (void)snprintf(out->id, sizeof out->id, "%.*s", (int)(sizeof out->id - 1), head);
    char *after;
    out->time = (time_t)strtoll(end + 1, &after, 10);
    if (after == end + 1 || *after != '\n') {
        return false;
    }
    size_t used = (size_t)(after + 1 - head);
    *rest = (struct span){rest->base + used, rest->len - used};
    return strcmp(out->id, "base") == 0 || name_is_sum(span_of(out->id));
}

static void record_write(const struct store *store, const char *folder,
                         const uint8_t key[SUM_BYTES], const struct store_need *need,
                         struct span more)
{
    char path[PATH_MAX];
    struct err err;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_NEED_BYTES_MAX + 128);
    if (buf_append_format(&text, "%s\n%jd\n", need->id, (intmax_t)need->time) != 0 ||
        buf_append(&text, more.base, more.len) != 0 || record_path(store, folder, key, path) != 0 ||
        fd_write_file(path, buf_span(&text), &err) != 0) {
        log_debug("a resolution cannot be remembered");
    }
}

bool store_need_read(const struct store *store, const uint8_t key[SUM_BYTES],
                     struct store_need *out)
{
    char path[PATH_MAX];
    cleanup_buf struct buf text;
    buf_init(&text, 256);
    if (record_path(store, "needs", key, path) != 0 || read_entry(AT_FDCWD, path, &text) != 0) {
        return false;
    }
    struct span rest = buf_span(&text);
    return record_read(&rest, out) && rest.len == 0;
}

void store_need_write(const struct store *store, const uint8_t key[SUM_BYTES],
                      const struct store_need *need)
{
    record_write(store, "needs", key, need, (struct span){0});
}

bool store_program_read(const struct store *store, const uint8_t key[SUM_BYTES],
                        struct store_need *need, struct buf *resolved)
{
    char path[PATH_MAX];
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_NEED_BYTES_MAX + 128);
    if (record_path(store, "programs", key, path) != 0 || read_entry(AT_FDCWD, path, &text) != 0) {
        return false;
    }
    struct span rest = buf_span(&text);
    return record_read(&rest, need) && utf8_valid(rest) &&
           buf_append(resolved, rest.base, rest.len) == 0;
}

void store_program_write(const struct store *store, const uint8_t key[SUM_BYTES],
                         const struct store_need *need, struct span resolved)
{
    record_write(store, "programs", key, need, resolved);
}
