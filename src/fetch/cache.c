#include "fetch/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "wire/wire.h"

enum { COPY_BYTES = 256 * 1024 };

static int path_make(char out[LIMIT_PATH_BYTES_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* 0, or -1 when the path is too long. */
static int path_make(char out[LIMIT_PATH_BYTES_MAX], const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int len = vsnprintf(out, LIMIT_PATH_BYTES_MAX, format, list);
    va_end(list);
    return len < 0 || (size_t)len >= LIMIT_PATH_BYTES_MAX ? -1 : 0;
}

static int folder_make(const char *path, struct err *err)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        return err_system(err, "make the folder %s", path);
    }
    return 0;
}

static void folder_close(DIR **folder)
{
    if (*folder != NULL) {
        closedir(*folder);
    }
}

#define cleanup_folder __attribute__((cleanup(folder_close)))

/* Removes what nobody holds: a program that writes a file keeps it locked. */
static void sweep(const char *path)
{
    cleanup_folder DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        cleanup_fd int fd =
            openat(dirfd(folder), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
            unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
}

int cache_open(struct cache *cache, const char *root, struct err *err)
{
    static const char *const folders[] = {"wheels", "archives", "metadata", "pages", "fetching"};
    char path[LIMIT_PATH_BYTES_MAX];
    size_t len = strlen(root);
    if (root[0] != '/' || len >= sizeof cache->root) {
        return err_set(err, ERR_USAGE, "the cache folder is no absolute path: %s", root);
    }
    memcpy(cache->root, root, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (root[i] == '/' || root[i] == '\0') {
            if (path_make(path, "%.*s", (int)i, root) != 0 || folder_make(path, err) != 0) {
                return -1;
            }
        }
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (path_make(path, "%s/%s", root, folders[i]) != 0 || folder_make(path, err) != 0) {
            return -1;
        }
    }
    sweep(path); /* fetching/, the last one */
    return 0;
}

int cache_file_new(const struct cache *cache, struct cache_file *out, struct err *err)
{
    /* Between its making and its locking another program may sweep the file away: then again. */
    for (unsigned i = 0; i < 8; i++) {
        struct stat stat;
        if (path_make(out->path, "%s/fetching/XXXXXX", cache->root) != 0) {
            return err_set(err, ERR_USAGE, "the cache folder's path is too long");
        }
        out->fd = mkostemp(out->path, O_CLOEXEC);
        if (out->fd < 0) {
            return err_system(err, "create a file in the cache");
        }
        if (flock(out->fd, LOCK_EX | LOCK_NB) == 0 && fstat(out->fd, &stat) == 0 &&
            stat.st_nlink == 1) {
            return 0;
        }
        fd_close(&out->fd);
    }
    return err_set(err, ERR_SYSTEM, "the files in %s/fetching are removed by somebody",
                   cache->root);
}

void cache_file_drop(struct cache_file *file)
{
    if (file->fd >= 0) {
        unlink(file->path);
        fd_close(&file->fd);
    }
}

static struct name_sum sum_of(struct span bytes)
{
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    (void)EVP_Digest(bytes.base, bytes.len, digest, NULL, EVP_sha256(), NULL);
    return name_sum_of(digest);
}

int cache_file_fill(struct cache_file *file, struct span bytes, struct name_sum *sum,
                    struct err *err)
{
    if (fd_write_full(file->fd, bytes.base, bytes.len) != 0) {
        return err_system(err, "write to the cache");
    }
    *sum = sum_of(bytes);
    return 0;
}

static int file_keep(struct cache_file *file, const char *path, struct err *err)
{
    if (fchmod(file->fd, 0644) != 0 || rename(file->path, path) != 0) {
        err_system(err, "put %s in place", path);
        cache_file_drop(file);
        return -1;
    }
    fd_close(&file->fd);
    return 0;
}

/* The sum of an open file; 0 or -1. */
static int file_sum(int fd, struct name_sum *out)
{
    int status = -1;
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char *bytes = malloc(COPY_BYTES);
    ssize_t n = -1;
    if (context != NULL && bytes != NULL && lseek(fd, 0, SEEK_SET) == 0 &&
        EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1) {
        while ((n = fd_read_full(fd, bytes, COPY_BYTES)) > 0 &&
               EVP_DigestUpdate(context, bytes, (size_t)n) == 1) {
        }
    }
    if (n == 0 && EVP_DigestFinal_ex(context, digest, NULL) == 1) {
        *out = name_sum_of(digest);
        status = 0;
    }
    free(bytes);
    EVP_MD_CTX_free(context);
    return status;
}

/* Opens a regular file that has the sum; a file with another sum is removed. */
static int open_checked(const char *path, const char *sum)
{
    struct name_sum is;
    struct stat stat;
    cleanup_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode) || file_sum(fd, &is) != 0) {
        return -1;
    }
    if (strcmp(is.hex, sum) != 0) {
        unlink(path);
        return -1;
    }
    return steal_fd(&fd);
}

/* Reads a small regular file; a link or a pipe in its place is as nothing. */
static bool small_read(const char *path, struct buf *out)
{
    struct stat stat;
    cleanup_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) &&
           fd_read_all(fd, out, NULL) == 0;
}

int cache_wheel_keep(const struct cache *cache, const char *sum, const char *filename,
                     struct cache_file *file, struct err *err)
{
    char path[LIMIT_PATH_BYTES_MAX];
    if (path_make(path, "%s/wheels/%s", cache->root, sum) != 0 || folder_make(path, err) != 0 ||
        path_make(path, "%s/wheels/%s/%s", cache->root, sum, filename) != 0) {
        cache_file_drop(file);
        return -1;
    }
    return file_keep(file, path, err);
}

/* The first wheel in a folder; false when there is none. */
static bool any_wheel(const char *path, char filename[LIMIT_NAME_BYTES_MAX + 1])
{
    cleanup_folder DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        struct span name = span_of(entry->d_name);
        if (name.len <= LIMIT_NAME_BYTES_MAX && name_is_wheel(name)) {
            memcpy(filename, name.base, name.len + 1);
            return true;
        }
    }
    return false;
}

bool cache_wheel_find(const struct cache *cache, const char *sum, const char *filename,
                      struct buf *path)
{
    char folder[LIMIT_PATH_BYTES_MAX];
    char any[LIMIT_NAME_BYTES_MAX + 1];
    buf_clear(path);
    if (path_make(folder, "%s/wheels/%s", cache->root, sum) != 0) {
        return false;
    }
    if (filename == NULL) {
        if (!any_wheel(folder, any)) {
            return false;
        }
        filename = any;
    }
    if (buf_append_format(path, "%s/%s", folder, filename) != 0 ||
        buf_append_char(path, '\0') != 0) {
        return false;
    }
    path->len--;
    cleanup_fd int fd = open_checked(path->base, sum);
    return fd >= 0;
}

int cache_archive_keep(const struct cache *cache, const char *sum, struct cache_file *file,
                       struct err *err)
{
    char path[LIMIT_PATH_BYTES_MAX];
    if (path_make(path, "%s/archives/%s", cache->root, sum) != 0) {
        cache_file_drop(file);
        return err_set(err, ERR_USAGE, "the cache folder's path is too long");
    }
    return file_keep(file, path, err);
}

int cache_archive_open(const struct cache *cache, const char *sum, const char *filename)
{
    char path[LIMIT_PATH_BYTES_MAX];
    if (path_make(path, "%s/archives/%s", cache->root, sum) == 0) {
        int fd = open_checked(path, sum);
        if (fd >= 0) {
            return fd;
        }
    }
    struct stat stat;
    if (path_make(path, "%s/downloads/%s/%s", cache->root, sum, filename) != 0) {
        return -1;
    }
    cleanup_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) ? steal_fd(&fd) : -1;
}

/* Writes a small file and puts it in place; what fails leaves nothing. */
static void small_keep(const struct cache *cache, const char *path, struct span head,
                       struct span rest)
{
    struct cache_file file;
    if (cache_file_new(cache, &file, NULL) != 0) {
        return;
    }
    if (fd_write_full(file.fd, head.base, head.len) != 0 ||
        fd_write_full(file.fd, rest.base, rest.len) != 0) {
        cache_file_drop(&file);
        return;
    }
    (void)file_keep(&file, path, NULL);
}

bool cache_metadata_find(const struct cache *cache, const char *sum, struct buf *out)
{
    char path[LIMIT_PATH_BYTES_MAX];
    cleanup_buf struct buf file;
    buf_init(&file, LIMIT_WHEEL_METADATA_BYTES_MAX + NAME_SUM_CHARS);
    if (path_make(path, "%s/metadata/%s", cache->root, sum) != 0 || !small_read(path, &file)) {
        return false;
    }
    struct span metadata = {NULL, 0};
    if (file.len >= NAME_SUM_CHARS) {
        metadata = (struct span){file.base + NAME_SUM_CHARS, file.len - NAME_SUM_CHARS};
    }
    if (metadata.base == NULL || memcmp(sum_of(metadata).hex, file.base, NAME_SUM_CHARS) != 0) {
        unlink(path);
        return false;
    }
    return buf_append(out, metadata.base, metadata.len) == 0;
}

void cache_metadata_keep(const struct cache *cache, const char *sum, struct span metadata)
{
    char path[LIMIT_PATH_BYTES_MAX];
    struct name_sum own = sum_of(metadata);
    if (path_make(path, "%s/metadata/%s", cache->root, sum) == 0) {
        small_keep(cache, path, (struct span){own.hex, NAME_SUM_CHARS}, metadata);
    }
}

/* --- pages: a record of these fields, the sum of its bytes in front --- */

enum page_field {
    PAGE_URL = 1,
    PAGE_CONTENT_TYPE = 2,
    PAGE_ETAG = 3,
    PAGE_BODY = 4,
    PAGE_FETCHED_S = 5,
    PAGE_MAX_AGE_S = 6,
};

void cache_page_init(struct cache_page *page)
{
    buf_init(&page->url, LIMIT_FETCH_URL_BYTES_MAX + 1);
    buf_init(&page->content_type, 1024);
    buf_init(&page->etag, 1024);
    buf_init(&page->body, LIMIT_FETCH_PAGE_BYTES_MAX);
    page->fetched_s = 0;
    page->max_age_s = 0;
}

void cache_page_free(struct cache_page *page)
{
    buf_free(&page->url);
    buf_free(&page->content_type);
    buf_free(&page->etag);
    buf_free(&page->body);
}

static int page_path(const struct cache *cache, const char *index, const char *project,
                     char path[LIMIT_PATH_BYTES_MAX], bool makes_folder)
{
    struct name_sum sum = sum_of(span_of(index));
    if (path_make(path, "%s/pages/%.16s", cache->root, sum.hex) != 0 ||
        (makes_folder && folder_make(path, NULL) != 0)) {
        return -1;
    }
    return path_make(path, "%s/pages/%.16s/%s", cache->root, sum.hex, project);
}

static int text_put(struct buf *out, struct span value)
{
    if (buf_append(out, value.base, value.len) != 0 || buf_append_char(out, '\0') != 0) {
        return -1;
    }
    out->len--;
    return 0;
}

static int page_take(struct cache_page *page, const struct wire_field *field)
{
    switch (field->number) {
    case PAGE_URL: return text_put(&page->url, field->value);
    case PAGE_CONTENT_TYPE: return text_put(&page->content_type, field->value);
    case PAGE_ETAG: return text_put(&page->etag, field->value);
    case PAGE_BODY: return buf_append(&page->body, field->value.base, field->value.len);
    case PAGE_FETCHED_S: return wire_get_u64(field->value, &page->fetched_s);
    case PAGE_MAX_AGE_S: return wire_get_u64(field->value, &page->max_age_s);
    default: return -1;
    }
}

bool cache_page_find(const struct cache *cache, const char *index, const char *project,
                     struct cache_page *out)
{
    char path[LIMIT_PATH_BYTES_MAX];
    cleanup_buf struct buf file;
    buf_init(&file, LIMIT_FETCH_PAGE_BYTES_MAX + 64 * KIB);
    if (page_path(cache, index, project, path, false) != 0 || !small_read(path, &file)) {
        return false;
    }
    bool is_good = false;
    if (file.len >= NAME_SUM_CHARS) {
        struct span record = {file.base + NAME_SUM_CHARS, file.len - NAME_SUM_CHARS};
        is_good = memcmp(sum_of(record).hex, file.base, NAME_SUM_CHARS) == 0;
        struct wire_field field;
        int more = 0;
        while (is_good && (more = wire_next(&record, &field)) > 0) {
            is_good = page_take(out, &field) == 0;
        }
        is_good = is_good && more == 0 && out->url.base != NULL && out->content_type.base != NULL &&
                  out->etag.base != NULL;
    }
    if (!is_good) {
        unlink(path);
    }
    return is_good;
}

void cache_page_keep(const struct cache *cache, const char *index, const char *project,
                     const struct cache_page *page)
{
    char path[LIMIT_PATH_BYTES_MAX];
    cleanup_buf struct buf record;
    buf_init(&record, LIMIT_FETCH_PAGE_BYTES_MAX + 64 * KIB - NAME_SUM_CHARS);
    if (wire_put(&record, PAGE_URL, buf_span(&page->url)) != 0 ||
        wire_put(&record, PAGE_CONTENT_TYPE, buf_span(&page->content_type)) != 0 ||
        wire_put(&record, PAGE_ETAG, buf_span(&page->etag)) != 0 ||
        wire_put_u64(&record, PAGE_FETCHED_S, page->fetched_s) != 0 ||
        wire_put_u64(&record, PAGE_MAX_AGE_S, page->max_age_s) != 0 ||
        wire_put(&record, PAGE_BODY, buf_span(&page->body)) != 0 ||
        page_path(cache, index, project, path, true) != 0) {
        return;
    }
    struct name_sum sum = sum_of(buf_span(&record));
    small_keep(cache, path, (struct span){sum.hex, NAME_SUM_CHARS}, buf_span(&record));
}

/* --- mirrors that are folders --- */

static int copy_bytes(int from, struct cache_file *to, struct err *err)
{
    uint64_t total = 0;
    char *bytes = malloc(COPY_BYTES);
    if (bytes == NULL) {
        return err_set(err, ERR_MEMORY, "no memory to copy a file");
    }
    int status = 0;
    ssize_t n = 0;
    while (status == 0 && (n = fd_read_full(from, bytes, COPY_BYTES)) > 0) {
        total += (uint64_t)n;
        if (total > LIMIT_FETCH_WHEEL_BYTES_MAX) {
            status = err_set(err, ERR_LIMIT, "it is larger than a wheel may be");
        } else if (fd_write_full(to->fd, bytes, (size_t)n) != 0) {
            status = err_system(err, "write to the cache");
        }
    }
    free(bytes);
    return status == 0 && n < 0 ? err_system(err, "read") : status;
}

int cache_copy(const char *folder, const char *filename, struct cache_file *out,
               struct name_sum *sum, struct err *err)
{
    char path[LIMIT_PATH_BYTES_MAX];
    struct stat stat;
    if (path_make(path, "%s/%s", folder, filename) != 0) {
        return err_set(err, ERR_MISSING, "the path is too long");
    }
    cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        return err_set(err, ERR_MISSING, "no such file");
    }
    if (copy_bytes(fd, out, err) != 0) {
        return -1;
    }
    return file_sum(out->fd, sum) == 0 ? 0 : err_set(err, ERR_SYSTEM, "the copy cannot be read");
}
