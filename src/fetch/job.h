/*
 * The work of vitrine-fetch: one job for each thing that is wanted, however many want it. A job
 * waits for one download or for one other job at a time, and is told when that has ended; so each
 * kind of job is a row of small functions that end by waiting again or by job_finish.
 *
 *   JOB_PAGE      a project's page: memory, disk, the indexes in order       (page_job.c)
 *   JOB_WHEEL     a wheel by its sum: cache, mirrors in order, index         (wheel_job.c)
 *   JOB_METADATA  its METADATA: cache, index, wheel                          (metadata_job.c)
 *   JOB_CARRIER   the directory of an archive that carries wheels            (carrier_job.c)
 */
#ifndef FETCH_JOB_H
#define FETCH_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "fetch/cache.h"
#include "fetch/config.h"
#include "fetch/known.h"
#include "fetch/lock.h"
#include "fetch/transfer.h"
#include "fetch/zipdir.h"
#include "wire/wire.h"

enum job_kind { JOB_PAGE, JOB_WHEEL, JOB_METADATA, JOB_CARRIER };

enum job_log { JOB_DEBUG = 0, JOB_INFO = 1, JOB_WARNING = 2 };

/* An archive that carries wheels, once its directory has been read. */
struct carrier {
    bool is_open;
    int fd;    /* -1: it is read over the network */
    char *url; /* owned; NULL with a descriptor */
    uint64_t bytes;
    struct buf directory;
    struct zipdir dir; /* borrows `directory` */
};

struct fetch {
    struct config config;
    struct cache cache;
    struct lock lock;
    struct known *known;
    struct transfers *transfers;
    struct carrier carriers[LIMIT_FETCH_SOURCES_MAX]; /* by the number of the mirror */
    struct job *jobs;
    size_t job_count;
    size_t ask_count; /* questions that wait */
    int socket;
    struct buf out; /* frames for the socket, from out_at on */
    size_t out_at;
    bool is_out_full; /* an answer did not fit: the peer does not read */
};

struct job {
    struct fetch *fetch;
    struct job *next;
    enum job_kind kind;
    char key[NAME_SUM_CHARS * 2 + 1]; /* a project, a sum, or a mirror's number */
    struct job_waiter *waiters;
    bool is_begun;
    bool is_finished;
    enum wire_fetch_status status;
    struct buf answer; /* bytes, or text when the status is not OK */

    struct job *awaited;
    void (*then_job)(struct job *job, const struct job *awaited);
    struct transfer *transfer;
    void (*then_transfer)(struct job *job, struct transfer_result *result);
    uint64_t logged_us;
    bool is_told; /* the log has said that it is being fetched */

    /* What the kinds need from step to step. */
    unsigned step;
    char filename[LIMIT_NAME_BYTES_MAX + 1];
    char project[LIMIT_FETCH_NAME_BYTES_MAX + 1];
    char *url; /* owned */
    uint64_t size;
    bool is_locked;
    bool is_page_asked;
    struct name_sum metadata_sum;
    struct cache_file file;
    struct cache_page page;
    const struct zipdir_member *member;
    struct zipdir_place place;
    struct buf tried; /* a line for each source that did not deliver; NUL-terminated */
    bool has_failed;  /* one of them for another reason than not having it */
    bool is_refused;
};

/* Those who want a job: questions of the socket, and other jobs. */
struct job_waiter {
    struct job_waiter *next;
    struct job *job; /* NULL: a question */
    uint32_t ask_id;
};

/* A question: finds or makes the job. Without `has_id` nobody waits for it. */
int job_ask(struct fetch *fetch, enum job_kind kind, const char *key, bool has_id, uint32_t id,
            struct err *err);
/* Forgets a question; work that nobody else wants ends. */
void job_cancel(struct fetch *fetch, uint32_t id);

/* Does what can be done without waiting: begins new jobs, hands over finished ones. */
void jobs_step(struct fetch *fetch);
void jobs_free(struct fetch *fetch);

/* --- for the kinds --- */

/* The last act of each job: with what is in job->answer, or with a text. */
void job_finish_answer(struct job *job);
void job_finish(struct job *job, enum wire_fetch_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void job_await(struct job *job, enum job_kind kind, const char *key,
               void (*then)(struct job *job, const struct job *awaited));

/* Starts a download; context, done and progress are filled in here. `then` is called also when it
 * cannot begin. */
void job_download(struct job *job, struct transfer_ask *ask, bool is_logged,
                  void (*then)(struct job *job, struct transfer_result *result));

/* A line to everybody who waits for this job, at whatever distance. */
void job_log(struct job *job, enum job_log level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Remembers that a source did not deliver. */
void job_tried(struct job *job, const char *source, const char *why);

/* Makes the file that a download goes to. False: the job has finished. */
bool job_file(struct job *job);

void page_job_begin(struct job *job);
void wheel_job_begin(struct job *job);
void metadata_job_begin(struct job *job);
void carrier_job_begin(struct job *job);

void carrier_free(struct carrier *carrier);

/* Bytes as "3.1 MB"; in a buffer of the caller's. */
struct job_size {
    char text[32];
};
struct job_size job_size_text(uint64_t bytes);

#endif
