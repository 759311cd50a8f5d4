/*
 * A wheel by its SHA-256: from the cache; if the lock file has it, from the mirrors in order; from
 * the index's page that lists it. Each source that does not deliver is remembered with its reason.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "fetch/job.h"

static void next_source(struct job *job);

static void finish_kept(struct job *job)
{
    struct err err;
    if (cache_wheel_keep(&job->fetch->cache, job->key, job->filename, &job->file, &err) != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "%s", err.text);
        return;
    }
    job_finish(job, WIRE_FETCH_OK, "%s/wheels/%s/%s", job->fetch->cache.root, job->key,
               job->filename);
}

static void try_next(struct job *job, const char *source, const char *why)
{
    job_tried(job, source, why);
    next_source(job);
}

/* The name of a source that is a mirror; a carrier's is long. */
static const char *mirror_name(const struct mirror *mirror)
{
    return mirror->kind == MIRROR_CARRIER ? mirror->filename : mirror->address;
}

static const struct mirror *current_mirror(const struct job *job)
{
    return &job->fetch->config.mirrors[job->step - 1];
}

static void on_wheel(struct job *job, struct transfer_result *result)
{
    if (result->end == TRANSFER_WHOLE && strcmp(result->sum.hex, job->key) == 0) {
        finish_kept(job);
        return;
    }
    struct err err;
    if (result->end == TRANSFER_WHOLE) {
        err_set(&err, ERR_FORMAT, "its SHA-256 is %s", result->sum.hex);
    } else {
        err_set(&err, ERR_FORMAT, "%s", result->text);
    }
    job->is_refused =
        job->is_refused || result->end == TRANSFER_WHOLE || result->end == TRANSFER_REFUSED;
    job->has_failed = job->has_failed || result->end == TRANSFER_FAILED;
    try_next(job, result->url, err.text);
}

static void download(struct job *job, const char *url, uint64_t size)
{
    if (!job_file(job)) {
        return;
    }
    struct transfer_ask ask = {
        .url = url,
        .body_bytes_max = size != 0 ? size : LIMIT_FETCH_WHEEL_BYTES_MAX,
        .wall_ms_max = LIMIT_FETCH_WHEEL_MS,
        .fd = job->file.fd,
    };
    job_download(job, &ask, true, on_wheel);
}

/* --- mirrors --- */

static void try_folder(struct job *job, const struct mirror *mirror)
{
    struct name_sum sum;
    struct err err;
    if (!job_file(job)) {
        return;
    }
    if (cache_copy(mirror->address, job->filename, &job->file, &sum, &err) != 0) {
        try_next(job, mirror->address, err.text);
    } else if (strcmp(sum.hex, job->key) != 0) {
        try_next(job, mirror->address, "the file has another SHA-256");
    } else {
        finish_kept(job);
    }
}

static void try_address(struct job *job, const struct mirror *mirror)
{
    size_t len = strlen(mirror->address);
    while (len > 0 && mirror->address[len - 1] == '/') {
        len--;
    }
    cleanup_buf struct buf url;
    buf_init(&url, LIMIT_FETCH_URL_BYTES_MAX * 2);
    if (buf_append(&url, mirror->address, len) != 0 ||
        buf_append_format(&url, "/%s", job->filename) != 0 || buf_append_char(&url, '\0') != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "no memory for a download");
        return;
    }
    download(job, url.base, 0);
}

/* Unpacks a member's range into the cache. */
static void use_range(struct job *job, struct span range)
{
    const char *source = mirror_name(current_mirror(job));
    struct err err;
    cleanup_buf struct buf wheel;
    buf_init(&wheel, LIMIT_FETCH_WHEEL_BYTES_MAX);
    if (zipdir_unpack(job->member, range, &wheel, &err) != 0) {
        try_next(job, source, err.text);
        return;
    }
    if (!job_file(job)) {
        return;
    }
    struct name_sum sum;
    if (cache_file_fill(&job->file, buf_span(&wheel), &sum, &err) != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "%s", err.text);
    } else if (strcmp(sum.hex, job->key) != 0) {
        try_next(job, source, "the wheel in it has another SHA-256");
    } else {
        finish_kept(job);
    }
}

static void on_range(struct job *job, struct transfer_result *result)
{
    const struct mirror *mirror = current_mirror(job);
    if (result->end != TRANSFER_WHOLE) {
        job->has_failed = job->has_failed || result->end == TRANSFER_FAILED;
        try_next(job, mirror_name(mirror), result->text);
        return;
    }
    use_range(job, buf_span(result->body));
}

static void read_range(struct job *job, const struct carrier *carrier)
{
    cleanup_buf struct buf range;
    size_t len = (size_t)job->member->range;
    buf_init(&range, len);
    if (buf_reserve(&range, len) != 0 ||
        pread(carrier->fd, range.base, len, (off_t)job->member->at) != (ssize_t)len) {
        try_next(job, mirror_name(current_mirror(job)), "the archive in the cache cannot be read");
        return;
    }
    range.len = len;
    use_range(job, buf_span(&range));
}

static void on_carrier(struct job *job, const struct job *opened)
{
    const struct mirror *mirror = current_mirror(job);
    const struct carrier *carrier = &job->fetch->carriers[job->step - 1];
    if (opened->status != WIRE_FETCH_OK || !carrier->is_open) {
        cleanup_buf struct buf why;
        buf_init(&why, opened->answer.len + 1);
        (void)buf_append(&why, opened->answer.base, opened->answer.len);
        (void)buf_append_char(&why, '\0');
        job->has_failed = job->has_failed || opened->status == WIRE_FETCH_FAILED;
        try_next(job, mirror_name(mirror), why.base == NULL ? "" : why.base);
        return;
    }
    job->member = zipdir_member(&carrier->dir, mirror->folder, job->filename);
    if (job->member == NULL) {
        try_next(job, mirror_name(mirror), "it carries no such wheel");
    } else if (job->member->range > LIMIT_FETCH_WHEEL_BYTES_MAX) {
        try_next(job, mirror_name(mirror), "the wheel in it is too large");
    } else if (carrier->fd >= 0) {
        read_range(job, carrier);
    } else {
        struct transfer_ask ask = {
            .url = carrier->url,
            .is_range = true,
            .range_at = job->member->at,
            .range_bytes = job->member->range,
            .body_bytes_max = job->member->range,
            .wall_ms_max = LIMIT_FETCH_WHEEL_MS,
            .fd = -1,
        };
        job_download(job, &ask, true, on_range);
    }
}

static void try_carrier(struct job *job)
{
    char key[16];
    cleanup_buf struct buf text;
    buf_init(&text, sizeof key);
    (void)buf_append_format(&text, "%u", job->step - 1);
    memcpy(key, text.base, text.len);
    key[text.len] = '\0';
    job_await(job, JOB_CARRIER, key, on_carrier);
}

static void try_mirror(struct job *job, const struct mirror *mirror)
{
    switch (mirror->kind) {
    case MIRROR_FOLDER: try_folder(job, mirror); break;
    case MIRROR_HTTPS:
        if (job->fetch->config.is_offline) {
            try_next(job, mirror_name(mirror), "not asked: the network is not to be used");
        } else {
            try_address(job, mirror);
        }
        break;
    case MIRROR_CARRIER: try_carrier(job); break;
    }
}

/* --- the index, and the end --- */

static enum wire_fetch_status failure(const struct job *job)
{
    if (job->fetch->config.is_offline) {
        return WIRE_FETCH_OFFLINE;
    }
    if (job->is_locked) {
        return WIRE_FETCH_MISSING;
    }
    return job->is_refused   ? WIRE_FETCH_REFUSED
           : job->has_failed ? WIRE_FETCH_FAILED
                             : WIRE_FETCH_MISSING;
}

static void finish_without(struct job *job)
{
    job_finish(job, failure(job), "%s (sha256 %s) is not in the cache%s; asked:%s", job->filename,
               job->key, job->fetch->config.is_offline ? ", and the network is not to be used" : "",
               job->tried.base == NULL ? " nobody" : job->tried.base);
}

static void on_page(struct job *job, const struct job *page)
{
    (void)page;
    next_source(job);
}

/* The page that lists the sum; a wheel of the lock file may well be the index's own. */
static void try_index(struct job *job)
{
    struct fetch *fetch = job->fetch;
    const struct page_file *file = known_file(fetch->known, job->key, false);
    if (file != NULL && job->url == NULL && !fetch->config.is_offline) {
        job->url = strdup(file->url);
        if (job->url != NULL) {
            download(job, job->url, file->size);
            return;
        }
    }
    if (file == NULL && job->is_locked && !job->is_page_asked && fetch->config.index_count > 0 &&
        !fetch->config.is_offline) {
        job->is_page_asked = true;
        job_await(job, JOB_PAGE, job->project, on_page);
        return;
    }
    if (job->is_page_asked && file == NULL) {
        job_tried(job, "the package index", "its page lists no file with this SHA-256");
    }
    finish_without(job);
}

/* job->step counts the mirrors that were tried. */
static void next_source(struct job *job)
{
    struct fetch *fetch = job->fetch;
    if (job->is_locked && job->step < fetch->config.mirror_count) {
        job->step++;
        try_mirror(job, current_mirror(job));
        return;
    }
    try_index(job);
}

static void set_filename(struct job *job, const char *filename)
{
    memcpy(job->filename, filename, strlen(filename) + 1);
}

void wheel_job_begin(struct job *job)
{
    struct fetch *fetch = job->fetch;
    const struct lock_wheel *wheel = lock_find(&fetch->lock, job->key);
    const struct page_file *file = known_file(fetch->known, job->key, false);
    if (wheel != NULL) {
        job->is_locked = true;
        set_filename(job, wheel->filename);
        memcpy(job->project, wheel->project, sizeof job->project);
    } else if (file != NULL) {
        set_filename(job, file->filename);
    }
    bool is_known = wheel != NULL || file != NULL;
    cleanup_buf struct buf path;
    buf_init(&path, LIMIT_PATH_BYTES_MAX);
    if (cache_wheel_find(&fetch->cache, job->key, is_known ? job->filename : NULL, &path)) {
        job_finish(job, WIRE_FETCH_OK, "%s", path.base);
    } else if (!is_known) {
        job_finish(job, fetch->config.is_offline ? WIRE_FETCH_OFFLINE : WIRE_FETCH_REFUSED,
                   "sha256 %s is not in the cache and stands neither in the lock file nor on a "
                   "page that was read",
                   job->key);
    } else {
        next_source(job);
    }
}
