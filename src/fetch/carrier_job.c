/*
 * Opens an archive of the index that carries wheels: finds out where it lies and reads its
 * directory, by ranges where the server sends them, else after downloading all of it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "fetch/job.h"

static void download_whole(struct job *job);

static unsigned number_of(const struct job *job)
{
    unsigned number = 0;
    for (const char *c = job->key; *c != '\0'; c++) {
        number = number * 10 + (unsigned)(*c - '0');
    }
    return number;
}

static struct carrier *carrier_of(const struct job *job)
{
    return &job->fetch->carriers[number_of(job)];
}

static const struct mirror *mirror_of(const struct job *job)
{
    return &job->fetch->config.mirrors[number_of(job)];
}

void carrier_free(struct carrier *carrier)
{
    if (carrier->is_open) {
        fd_close(&carrier->fd);
        zipdir_free(&carrier->dir);
        buf_free(&carrier->directory);
        free(carrier->url);
        carrier->is_open = false;
    }
}

/* Takes what was found; `directory` is taken over. */
static void finish_open(struct job *job, int fd, struct buf *directory)
{
    struct carrier *carrier = carrier_of(job);
    struct err err;
    struct zipdir dir;
    if (zipdir_read(buf_span(directory), &job->place, &dir, &err) != 0) {
        fd_close(&fd);
        job_finish(job, WIRE_FETCH_FAILED, "%s", err.text);
        return;
    }
    *carrier = (struct carrier){
        .is_open = true, .fd = fd, .url = job->url, .directory = *directory, .dir = dir};
    job->url = NULL;
    buf_init(directory, 0);
    job_finish(job, WIRE_FETCH_OK, "%zu members", dir.count);
}

/* --- an archive on this machine --- */

static int read_at(int fd, uint64_t at, uint64_t len, struct buf *out, struct err *err)
{
    buf_init(out, (size_t)len);
    if (buf_reserve(out, (size_t)len) != 0) {
        return err_set(err, ERR_MEMORY, "no memory for the archive's directory");
    }
    if (pread(fd, out->base, (size_t)len, (off_t)at) != (ssize_t)len) {
        return err_set(err, ERR_SYSTEM, "the archive cannot be read");
    }
    out->len = (size_t)len;
    return 0;
}

static int read_directory(int fd, struct zipdir_place *place, struct buf *directory,
                          struct err *err)
{
    struct stat stat;
    cleanup_buf struct buf tail;
    buf_init(&tail, 0);
    buf_init(directory, 0);
    if (fstat(fd, &stat) != 0 || stat.st_size < 22) {
        return err_set(err, ERR_FORMAT, "it is no archive");
    }
    uint64_t total = (uint64_t)stat.st_size;
    uint64_t len = total < ZIPDIR_TAIL_BYTES_MAX ? total : ZIPDIR_TAIL_BYTES_MAX;
    if (read_at(fd, total - len, len, &tail, err) != 0 ||
        zipdir_find(buf_span(&tail), total, place, err) != 0) {
        return -1;
    }
    return read_at(fd, place->at, place->len, directory, err);
}

/* False: there is none, or it is broken. */
static bool open_here(struct job *job)
{
    const struct mirror *mirror = mirror_of(job);
    struct err err;
    cleanup_buf struct buf directory;
    buf_init(&directory, 0);
    cleanup_fd int fd = cache_archive_open(&job->fetch->cache, mirror->sum.hex, mirror->filename);
    if (fd < 0) {
        return false;
    }
    if (read_directory(fd, &job->place, &directory, &err) != 0) {
        job_log(job, JOB_WARNING, "%s in the cache: %s", mirror->filename, err.text);
        return false;
    }
    finish_open(job, steal_fd(&fd), &directory);
    return true;
}

/* --- one that is read by ranges --- */

static void on_directory(struct job *job, struct transfer_result *result)
{
    if (result->end == TRANSFER_WHOLE && result->body->len == job->place.len) {
        finish_open(job, -1, result->body);
    } else if (result->end == TRANSFER_NO_RANGE) {
        download_whole(job);
    } else {
        job_finish(job, WIRE_FETCH_FAILED, "%s",
                   result->end == TRANSFER_WHOLE ? "the server sends another range than asked for"
                                                 : result->text);
    }
}

static void ask_range(struct job *job, uint64_t at, uint64_t len,
                      void (*then)(struct job *, struct transfer_result *))
{
    struct transfer_ask ask = {
        .url = job->url,
        .is_range = true,
        .range_at = at,
        .range_bytes = len,
        .body_bytes_max = len,
        .wall_ms_max = LIMIT_FETCH_PAGE_MS,
        .fd = -1,
    };
    job_download(job, &ask, false, then);
}

static void on_tail(struct job *job, struct transfer_result *result)
{
    struct err err;
    if (result->end == TRANSFER_NO_RANGE) {
        download_whole(job);
    } else if (result->end != TRANSFER_WHOLE) {
        job_finish(job, result->end == TRANSFER_ABSENT ? WIRE_FETCH_MISSING : WIRE_FETCH_FAILED,
                   "%s", result->text);
    } else if (zipdir_find(buf_span(result->body), result->total_bytes, &job->place, &err) != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "%s", err.text);
    } else {
        ask_range(job, job->place.at, job->place.len, on_directory);
    }
}

/* --- all of it --- */

static void on_whole(struct job *job, struct transfer_result *result)
{
    const struct mirror *mirror = mirror_of(job);
    struct err err;
    if (result->end != TRANSFER_WHOLE) {
        job_finish(job, WIRE_FETCH_FAILED, "%s", result->text);
    } else if (strcmp(result->sum.hex, mirror->sum.hex) != 0) {
        job_finish(job, WIRE_FETCH_REFUSED, "its SHA-256 is %s", result->sum.hex);
    } else if (cache_archive_keep(&job->fetch->cache, mirror->sum.hex, &job->file, &err) != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "%s", err.text);
    } else if (!open_here(job)) {
        job_finish(job, WIRE_FETCH_FAILED, "the archive cannot be read");
    }
}

static void download_whole(struct job *job)
{
    if (!job_file(job)) {
        return;
    }
    job_log(job, JOB_INFO, "%s does not send ranges; fetching all of it", job->filename);
    struct transfer_ask ask = {
        .url = job->url,
        .body_bytes_max = job->size != 0 ? job->size : LIMIT_FETCH_WHEEL_BYTES_MAX,
        .wall_ms_max = LIMIT_FETCH_WHEEL_MS,
        .fd = job->file.fd,
    };
    job_download(job, &ask, true, on_whole);
}

/* --- where it lies --- */

static void on_page(struct job *job, const struct job *page)
{
    const struct mirror *mirror = mirror_of(job);
    const struct page_file *file = known_file(job->fetch->known, mirror->sum.hex, true);
    if (file == NULL) {
        bool has_page = page->status == WIRE_FETCH_OK;
        cleanup_buf struct buf why;
        buf_init(&why, page->answer.len + 1);
        (void)buf_append(&why, page->answer.base, has_page ? 0 : page->answer.len);
        (void)buf_append_char(&why, '\0');
        job_finish(job, has_page ? WIRE_FETCH_MISSING : page->status, "%s",
                   has_page ? "the index's page lists no file with its SHA-256" : why.base);
        return;
    }
    job->url = strdup(file->url);
    job->size = file->size;
    if (job->url == NULL) {
        job_finish(job, WIRE_FETCH_FAILED, "no memory for a download");
        return;
    }
    ask_range(job, UINT64_MAX, ZIPDIR_TAIL_BYTES_MAX, on_tail);
}

void carrier_job_begin(struct job *job)
{
    const struct mirror *mirror = mirror_of(job);
    memcpy(job->filename, mirror->filename, strlen(mirror->filename) + 1);
    if (carrier_of(job)->is_open) {
        job_finish(job, WIRE_FETCH_OK, "open");
    } else if (open_here(job)) {
        return;
    } else if (job->fetch->config.is_offline) {
        job_finish(job, WIRE_FETCH_OFFLINE, "not asked: the network is not to be used");
    } else {
        job_await(job, JOB_PAGE, mirror->project, on_page);
    }
}
