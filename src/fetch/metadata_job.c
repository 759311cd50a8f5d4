/* A wheel's METADATA: from the cache, from the index's own file, out of the wheel. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "fetch/job.h"
#include "wheel/wheel.h"

/* METADATA as the answer, kept for the next time. */
static void finish_with(struct job *job)
{
    cache_metadata_keep(&job->fetch->cache, job->key, buf_span(&job->answer));
    job_finish_answer(job);
}

static void finish_from_wheel(struct job *job, const char *path)
{
    struct span bytes;
    struct err err;
    const char *slash = strrchr(path, '/');
    if (fd_map_file(path, &bytes, &err) != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "%s", err.text);
        return;
    }
    int status = wheel_read_metadata(bytes, slash == NULL ? path : slash + 1, &job->answer, &err);
    munmap((void *)(uintptr_t)bytes.base, bytes.len);
    if (status != 0) {
        job_finish(job, WIRE_FETCH_REFUSED, "%s: %s", slash == NULL ? path : slash + 1, err.text);
        return;
    }
    finish_with(job);
}

static void on_wheel(struct job *job, const struct job *wheel)
{
    cleanup_buf struct buf text;
    buf_init(&text, wheel->answer.len + 1);
    if (buf_append(&text, wheel->answer.base, wheel->answer.len) != 0 ||
        buf_append_char(&text, '\0') != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "no memory for METADATA");
    } else if (wheel->status != WIRE_FETCH_OK) {
        job_finish(job, wheel->status, "%s", text.base);
    } else {
        finish_from_wheel(job, text.base);
    }
}

/* A wheel that is at hand is asked before the network is. */
static bool finish_from_cache(struct job *job)
{
    cleanup_buf struct buf path;
    buf_init(&path, LIMIT_PATH_BYTES_MAX);
    if (!cache_wheel_find(&job->fetch->cache, job->key, job->filename, &path)) {
        return false;
    }
    finish_from_wheel(job, path.base);
    return true;
}

static void on_file(struct job *job, struct transfer_result *result)
{
    if (result->end == TRANSFER_WHOLE && strcmp(result->sum.hex, job->metadata_sum.hex) == 0) {
        buf_clear(&job->answer);
        if (buf_append(&job->answer, result->body->base, result->body->len) == 0) {
            finish_with(job);
            return;
        }
    }
    job_log(job, JOB_WARNING, "%s.metadata: %s; reading it out of the wheel", job->filename,
            result->end == TRANSFER_WHOLE ? "it has another SHA-256 than the index's page says"
                                          : result->text);
    job_await(job, JOB_WHEEL, job->key, on_wheel);
}

static void download(struct job *job)
{
    cleanup_buf struct buf url;
    buf_init(&url, LIMIT_FETCH_URL_BYTES_MAX * 2);
    if (buf_append_format(&url, "%s.metadata", job->url) != 0 || buf_append_char(&url, '\0') != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "no memory for METADATA");
        return;
    }
    struct transfer_ask ask = {
        .url = url.base,
        .body_bytes_max = LIMIT_WHEEL_METADATA_BYTES_MAX,
        .wall_ms_max = LIMIT_FETCH_PAGE_MS,
        .fd = -1,
    };
    job_download(job, &ask, false, on_file);
}

void metadata_job_begin(struct job *job)
{
    struct fetch *fetch = job->fetch;
    const struct page_file *file = known_file(fetch->known, job->key, false);
    const struct lock_wheel *wheel = lock_find(&fetch->lock, job->key);
    if (file == NULL && wheel == NULL) {
        job_finish(job, WIRE_FETCH_REFUSED,
                   "sha256 %s stands neither in the lock file nor on a page that was read",
                   job->key);
        return;
    }
    const char *filename = file != NULL ? file->filename : wheel->filename;
    memcpy(job->filename, filename, strlen(filename) + 1);
    if (file != NULL) {
        job->metadata_sum = file->metadata_sum;
        job->url = strdup(file->url);
    }
    if (cache_metadata_find(&fetch->cache, job->key, &job->answer)) {
        job_finish_answer(job);
    } else if (finish_from_cache(job)) {
        return;
    } else if (job->url != NULL && job->metadata_sum.hex[0] != '\0' && !fetch->config.is_offline) {
        download(job);
    } else {
        job_await(job, JOB_WHEEL, job->key, on_wheel);
    }
}
