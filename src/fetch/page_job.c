/* A project's page: from memory, from disk, from the first index that has the project. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "fetch/job.h"

static void ask_index(struct job *job);

static uint64_t now_s(void)
{
    time_t now = time(NULL);
    return now < 0 ? 0 : (uint64_t)now;
}

/* An index may say how long its page is good; we believe it up to our own cap. */
static uint64_t fresh_s_left(const struct cache_page *page)
{
    uint64_t max_s = LIMIT_FETCH_FRESH_MS / 1000;
    uint64_t good_s = page->max_age_s < max_s ? page->max_age_s : max_s;
    uint64_t now = now_s();
    uint64_t until = page->fetched_s + good_s;
    return page->fetched_s > now || until <= now ? 0 : until - now;
}

static void answer(struct job *job, const struct page *page)
{
    buf_clear(&job->answer);
    if (page_write(page, &job->answer) != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "the page of %s is too large", job->key);
        return;
    }
    job_finish_answer(job);
}

/* Reads job->page and answers with it. */
static void use_page(struct job *job)
{
    struct fetch *fetch = job->fetch;
    struct page *page;
    struct err err;
    struct page_input input = {
        .body = buf_span(&job->page.body),
        .content_type = job->page.content_type.base,
        .url = job->page.url.base,
        .project = job->key,
        .index = job->step,
        .has_exclude_newer = fetch->config.has_exclude_newer,
        .exclude_newer_us = fetch->config.exclude_newer_us,
    };
    if (page_read(&input, &page, &err) != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "the page of %s at %s: %s", job->key,
                   fetch->config.index_names[job->step], err.text);
        return;
    }
    page->fresh_until_us = clock_monotonic_us() + fresh_s_left(&job->page) * 1000000;
    if (known_add(fetch->known, page, &err) != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "%s", err.text);
        return;
    }
    answer(job, known_page(fetch->known, job->key));
}

static void put_text(struct buf *out, const char *text)
{
    buf_clear(out);
    if (buf_append(out, text, strlen(text) + 1) == 0) {
        out->len--;
    }
}

static void take_body(struct job *job, struct transfer_result *result)
{
    struct cache_page *page = &job->page;
    cache_page_free(page);
    cache_page_init(page);
    put_text(&page->url, result->url);
    put_text(&page->content_type, result->content_type);
    put_text(&page->etag, result->etag);
    page->body = *result->body;
    buf_init(result->body, 0);
}

static void on_answer(struct job *job, struct transfer_result *result)
{
    struct fetch *fetch = job->fetch;
    const char *name = fetch->config.index_names[job->step];
    switch (result->end) {
    case TRANSFER_WHOLE: take_body(job, result); break;
    case TRANSFER_UNCHANGED: break;
    case TRANSFER_ABSENT:
        job_tried(job, name, result->text);
        job->step++;
        ask_index(job);
        return;
    case TRANSFER_REFUSED:
        job_finish(job, WIRE_FETCH_REFUSED, "the page of %s at %s: %s", job->key, name,
                   result->text);
        return;
    case TRANSFER_NO_RANGE:
    case TRANSFER_FAILED:
        job_finish(job, WIRE_FETCH_FAILED, "the page of %s at %s: %s", job->key, name,
                   result->text);
        return;
    }
    job->page.fetched_s = now_s();
    job->page.max_age_s = result->max_age_s;
    cache_page_keep(&fetch->cache, name, job->key, &job->page);
    use_page(job);
}

static void finish_without(struct job *job)
{
    if (job->fetch->config.is_offline) {
        job_finish(job, WIRE_FETCH_OFFLINE,
                   "the page of %s is not in the cache, and the network is not to be used",
                   job->key);
    } else if (job->fetch->config.index_count == 0) {
        job_finish(job, WIRE_FETCH_MISSING, "there is no package index to ask for %s", job->key);
    } else {
        job_finish(job, WIRE_FETCH_MISSING, "no package index has %s; asked:%s", job->key,
                   job->tried.base == NULL ? "" : job->tried.base);
    }
}

/* The page's address: INDEX/PROJECT/, however the index's own is written. */
static char *page_url(const char *index, const char *project)
{
    size_t len = strlen(index);
    while (len > 0 && index[len - 1] == '/') {
        len--;
    }
    cleanup_buf struct buf url;
    buf_init(&url, LIMIT_FETCH_URL_BYTES_MAX * 2);
    if (buf_append(&url, index, len) != 0 || buf_append_format(&url, "/%s/", project) != 0 ||
        buf_append_char(&url, '\0') != 0) {
        return NULL;
    }
    char *text = url.base;
    buf_init(&url, 0);
    return text;
}

static void download(struct job *job, bool has_copy)
{
    free(job->url);
    job->url = page_url(job->fetch->config.indexes[job->step], job->key);
    if (job->url == NULL) {
        job_finish(job, WIRE_FETCH_FAILED, "no memory for a download");
        return;
    }
    struct transfer_ask ask = {
        .url = job->url,
        .accept = "application/vnd.pypi.simple.v1+json, "
                  "application/vnd.pypi.simple.v1+html; q=0.2, text/html; q=0.01",
        .etag = has_copy && job->page.etag.len > 0 ? job->page.etag.base : NULL,
        .body_bytes_max = LIMIT_FETCH_PAGE_BYTES_MAX,
        .wall_ms_max = LIMIT_FETCH_PAGE_MS,
        .may_be_compressed = true,
        .fd = -1,
    };
    job_log(job, JOB_DEBUG, "asking %s for %s", job->fetch->config.index_names[job->step],
            job->key);
    job_download(job, &ask, false, on_answer);
}

/* Asks index number job->step, or the disk what it said. */
static void ask_index(struct job *job)
{
    struct fetch *fetch = job->fetch;
    for (; job->step < fetch->config.index_count; job->step++) {
        cache_page_free(&job->page);
        cache_page_init(&job->page);
        bool has_copy = cache_page_find(&fetch->cache, fetch->config.index_names[job->step],
                                        job->key, &job->page);
        if (has_copy && (fetch->config.is_offline || fresh_s_left(&job->page) > 0)) {
            use_page(job);
            return;
        }
        if (!fetch->config.is_offline) {
            download(job, has_copy);
            return;
        }
    }
    finish_without(job);
}

void page_job_begin(struct job *job)
{
    const struct page *page = known_page(job->fetch->known, job->key);
    if (page != NULL &&
        (job->fetch->config.is_offline || page->fresh_until_us > clock_monotonic_us())) {
        answer(job, page);
        return;
    }
    ask_index(job);
}
