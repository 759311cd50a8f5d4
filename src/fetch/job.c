#include "fetch/job.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"

enum { LOG_PERIOD_US = 1000000, PROGRESS_BYTES_MIN = 4 << 20, DEPTH_MAX = 8 };

static void send_frame(struct fetch *fetch, enum wire_type type, uint32_t id, uint32_t number,
                       struct span text)
{
    uint32_t bytes = (uint32_t)(8 + text.len);
    if (fetch->out_at > 0) {
        buf_consume(&fetch->out, fetch->out_at);
        fetch->out_at = 0;
    }
    if (buf_reserve(&fetch->out, WIRE_HEADER_BYTES + (size_t)bytes) != 0 ||
        wire_append_header(&fetch->out, type, bytes) != 0 || buf_append_u32(&fetch->out, id) != 0 ||
        buf_append_u32(&fetch->out, number) != 0 ||
        buf_append(&fetch->out, text.base, text.len) != 0) {
        fetch->is_out_full = true;
    }
}

static void send_answer(struct fetch *fetch, uint32_t id, const struct job *job)
{
    struct span answer = buf_span(&job->answer);
    uint32_t status = (uint32_t)job->status;
    if (answer.len > LIMIT_FETCH_ANSWER_BYTES_MAX - 8) {
        answer = span_of("the answer is too large");
        status = WIRE_FETCH_FAILED;
    }
    send_frame(fetch, WIRE_FETCH_ANSWER, id, status, answer);
}

/* --- the log --- */

/* Texts carry words of servers: one line of UTF-8 without control characters. */
static void make_plain(struct buf *out, const char *text, size_t bytes_max)
{
    buf_init(out, bytes_max);
    struct span plain = span_of(text);
    if (utf8_append_lossy(out, plain) != 0) {
        buf_clear(out);
        (void)buf_append_text(out, "(a text that is too long)");
    }
    for (size_t i = 0; i < out->len; i++) {
        unsigned char c = (unsigned char)out->base[i];
        if ((c < 0x20 && c != '\n') || c == 0x7F) {
            out->base[i] = '?';
        }
    }
}

/* Jobs that wait for jobs are a few levels deep, by their kinds. */
static size_t send_line(struct job *job, enum job_log level, struct span line, unsigned depth)
{
    size_t count = 0;
    for (struct job_waiter *waiter = job->waiters; waiter != NULL; waiter = waiter->next) {
        if (waiter->job == NULL) {
            send_frame(job->fetch, WIRE_FETCH_LOG, waiter->ask_id, (uint32_t)level, line);
            count++;
        } else if (depth < DEPTH_MAX) {
            count += send_line(waiter->job, level, line, depth + 1);
        }
    }
    return count;
}

void job_log(struct job *job, enum job_log level, const char *format, ...)
{
    char text[LIMIT_CONTROL_FRAME_BYTES_MAX / 4];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    cleanup_buf struct buf plain;
    make_plain(&plain, text, LIMIT_CONTROL_FRAME_BYTES_MAX - 8);
    if (send_line(job, level, buf_span(&plain), 0) == 0) {
        send_frame(job->fetch, WIRE_FETCH_LOG, 0, (uint32_t)level, buf_span(&plain));
    }
}

struct job_size job_size_text(uint64_t bytes)
{
    struct job_size size;
    if (bytes < 1000000) {
        (void)snprintf(size.text, sizeof size.text, "%llu kB",
                       (unsigned long long)(bytes + 999) / 1000);
    } else {
        (void)snprintf(size.text, sizeof size.text, "%.1f MB", (double)bytes / 1e6);
    }
    return size;
}

void job_tried(struct job *job, const char *source, const char *why)
{
    struct buf *tried = &job->tried;
    if (strlen(source) + strlen(why) + 8 > tried->bytes_max - tried->len) {
        return;
    }
    if (buf_append_format(tried, "\n  %s: %s", source, why) == 0 &&
        buf_append_char(tried, '\0') == 0) {
        tried->len--; /* the NUL stays, for %s */
    }
}

/* --- making and ending jobs --- */

static struct job *job_find(struct fetch *fetch, enum job_kind kind, const char *key)
{
    for (struct job *job = fetch->jobs; job != NULL; job = job->next) {
        if (job->kind == kind && !job->is_finished && strcmp(job->key, key) == 0) {
            return job;
        }
    }
    return NULL;
}

static struct job *job_new(struct fetch *fetch, enum job_kind kind, const char *key)
{
    struct job *job = calloc(1, sizeof *job);
    size_t len = strlen(key);
    if (job == NULL || len >= sizeof job->key) {
        free(job);
        return NULL;
    }
    memcpy(job->key, key, len + 1);
    job->fetch = fetch;
    job->kind = kind;
    job->file.fd = -1;
    buf_init(&job->answer, LIMIT_FETCH_ANSWER_BYTES_MAX - 8);
    buf_init(&job->tried, 16 * KIB);
    cache_page_init(&job->page);
    job->next = fetch->jobs;
    fetch->jobs = job;
    fetch->job_count++;
    return job;
}

static void job_free(struct job *job)
{
    struct job **link = &job->fetch->jobs;
    while (*link != job) {
        link = &(*link)->next;
    }
    *link = job->next;
    job->fetch->job_count--;
    if (job->transfer != NULL) {
        transfer_cancel(job->transfer);
    }
    while (job->waiters != NULL) {
        struct job_waiter *next = job->waiters->next;
        job->fetch->ask_count -= job->waiters->job == NULL;
        free(job->waiters);
        job->waiters = next;
    }
    cache_file_drop(&job->file);
    cache_page_free(&job->page);
    buf_free(&job->answer);
    buf_free(&job->tried);
    free(job->url);
    free(job);
}

static int job_want(struct job *job, struct job *waiting, uint32_t id)
{
    struct job_waiter *waiter = malloc(sizeof *waiter);
    if (waiter == NULL) {
        return -1;
    }
    *waiter = (struct job_waiter){job->waiters, waiting, id};
    job->waiters = waiter;
    return 0;
}

int job_ask(struct fetch *fetch, enum job_kind kind, const char *key, bool has_id, uint32_t id,
            struct err *err)
{
    struct job *job = job_find(fetch, kind, key);
    if (job == NULL) {
        job = job_new(fetch, kind, key);
    }
    if (job == NULL || (has_id && job_want(job, NULL, id) != 0)) {
        return err_set(err, ERR_MEMORY, "no memory for a question");
    }
    fetch->ask_count += has_id;
    return 0;
}

/* Takes a waiter off; the job ends when nobody is left. */
static void job_unwant(struct job *job, const struct job *waiting, uint32_t id)
{
    bool was_there = false;
    struct job_waiter **link = &job->waiters;
    while (*link != NULL) {
        struct job_waiter *waiter = *link;
        if (waiter->job == waiting && waiter->ask_id == id) {
            *link = waiter->next;
            job->fetch->ask_count -= waiter->job == NULL;
            free(waiter);
            was_there = true;
        } else {
            link = &waiter->next;
        }
    }
    if (was_there && job->waiters == NULL && !job->is_finished) {
        if (job->awaited != NULL) {
            job_unwant(job->awaited, job, 0);
        }
        job_free(job);
    }
}

void job_cancel(struct fetch *fetch, uint32_t id)
{
    for (struct job *job = fetch->jobs; job != NULL; job = job->next) {
        for (struct job_waiter *waiter = job->waiters; waiter != NULL; waiter = waiter->next) {
            if (waiter->job == NULL && waiter->ask_id == id) {
                job_unwant(job, NULL, id);
                return;
            }
        }
    }
}

void job_finish(struct job *job, enum wire_fetch_status status, const char *format, ...)
{
    char text[32 * KIB];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    cleanup_buf struct buf plain;
    make_plain(&plain, text, 96 * KIB);
    buf_clear(&job->answer);
    (void)buf_append(&job->answer, plain.base, plain.len);
    job_finish_answer(job);
    job->status = status;
}

void job_finish_answer(struct job *job)
{
    job->is_finished = true;
    job->status = WIRE_FETCH_OK;
    cache_file_drop(&job->file);
}

void job_await(struct job *job, enum job_kind kind, const char *key,
               void (*then)(struct job *job, const struct job *awaited))
{
    struct job *awaited = job_find(job->fetch, kind, key);
    if (awaited == NULL) {
        awaited = job_new(job->fetch, kind, key);
    }
    if (awaited == NULL || job_want(awaited, job, 0) != 0) {
        job_finish(job, WIRE_FETCH_FAILED, "no memory for a download");
        return;
    }
    job->awaited = awaited;
    job->then_job = then;
}

/* --- downloads --- */

static void on_done(void *context, struct transfer_result *result)
{
    struct job *job = context;
    job->transfer = NULL; /* it is freed when we return */
    if (result->end == TRANSFER_WHOLE && job->is_told) {
        job_log(job, JOB_INFO, "fetched %s (%s) in %.1f s", job->filename,
                job_size_text(result->bytes).text, (double)result->elapsed_us / 1e6);
    }
    job->then_transfer(job, result);
}

static void on_progress(void *context, uint64_t bytes, uint64_t total)
{
    struct job *job = context;
    uint64_t now_us = clock_monotonic_us();
    if (!job->is_told) {
        job->is_told = true;
        job->logged_us = now_us;
        job_log(job, JOB_INFO, "fetching %s (%s)", job->filename,
                total > 0 ? job_size_text(total).text : "of unknown size");
    } else if (total >= PROGRESS_BYTES_MIN && now_us - job->logged_us >= LOG_PERIOD_US) {
        job->logged_us = now_us;
        job_log(job, JOB_INFO, "fetching %s: %llu %% of %s", job->filename,
                (unsigned long long)(bytes * 100 / total), job_size_text(total).text);
    }
}

void job_download(struct job *job, struct transfer_ask *ask, bool is_logged,
                  void (*then)(struct job *job, struct transfer_result *result))
{
    struct err err;
    ask->context = job;
    ask->done = on_done;
    ask->progress = is_logged ? on_progress : NULL;
    job->then_transfer = then;
    job->is_told = false;
    if (transfer_start(job->fetch->transfers, ask, &job->transfer, &err) != 0) {
        struct transfer_result result = {.end = TRANSFER_REFUSED, .url = "", .content_type = ""};
        memcpy(result.text, err.text, sizeof result.text);
        then(job, &result);
    }
}

bool job_file(struct job *job)
{
    struct err err;
    cache_file_drop(&job->file);
    if (cache_file_new(&job->fetch->cache, &job->file, &err) != 0) {
        job->file.fd = -1;
        job_finish(job, WIRE_FETCH_FAILED, "%s", err.text);
        return false;
    }
    return true;
}

/* --- stepping --- */

static void job_begin(struct job *job)
{
    job->is_begun = true;
    switch (job->kind) {
    case JOB_PAGE: page_job_begin(job); break;
    case JOB_WHEEL: wheel_job_begin(job); break;
    case JOB_METADATA: metadata_job_begin(job); break;
    case JOB_CARRIER: carrier_job_begin(job); break;
    }
}

static void job_deliver(struct job *job)
{
    for (struct job_waiter *waiter = job->waiters; waiter != NULL; waiter = waiter->next) {
        if (waiter->job == NULL) {
            send_answer(job->fetch, waiter->ask_id, job);
        } else {
            waiter->job->awaited = NULL;
            waiter->job->then_job(waiter->job, job);
        }
    }
    job_free(job);
}

static struct job *job_that_can_step(struct fetch *fetch)
{
    for (struct job *job = fetch->jobs; job != NULL; job = job->next) {
        if (job->is_finished || !job->is_begun) {
            return job;
        }
    }
    return NULL;
}

void jobs_step(struct fetch *fetch)
{
    struct job *job;
    while ((job = job_that_can_step(fetch)) != NULL) {
        if (job->is_finished) {
            job_deliver(job);
        } else {
            job_begin(job);
        }
    }
}

void jobs_free(struct fetch *fetch)
{
    while (fetch->jobs != NULL) {
        job_free(fetch->jobs);
    }
}
