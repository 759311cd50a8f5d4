/*
 * A stand-in for vitrine-fetch: answers on descriptor 3 by rules that a test can read off the name.
 *   a page: OK with "page of NAME, N wanted next"; of "missing": MISSING; of "dying": it exits
 *   a wheel whose sum begins with e0: MISSING; e1: FAILED; e2: it exits; e3: never answered; any
 *   other: CACHE/wheels/SUM/wheel.whl, which it makes
 * It writes a line to CACHE/asked for each question, and one for its configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "wire/wire.h"

static char cache[PATH_MAX];

static void note(const char *what, struct span text)
{
    char path[PATH_MAX + 16];
    char line[512];
    (void)snprintf(path, sizeof path, "%s/asked", cache);
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int len = snprintf(line, sizeof line, "%s %.*s\n", what, (int)text.len, text.base);
    (void)fd_write_full(fd, line, (size_t)len);
}

static void answer(uint32_t id, enum wire_fetch_status status, const char *text)
{
    struct buf payload;
    buf_init(&payload, 4096);
    (void)buf_append_u32(&payload, id);
    (void)buf_append_u32(&payload, (uint32_t)status);
    (void)buf_append_text(&payload, text);
    (void)wire_send(3, WIRE_FETCH_ANSWER, buf_span(&payload));
    buf_free(&payload);
}

static void tell(uint32_t id, const char *text)
{
    struct buf payload;
    buf_init(&payload, 4096);
    (void)buf_append_u32(&payload, id);
    (void)buf_append_u32(&payload, 1);
    (void)buf_append_text(&payload, text);
    (void)wire_send(3, WIRE_FETCH_LOG, buf_span(&payload));
    buf_free(&payload);
}

static void die(void)
{
    fprintf(stderr, "vitrine-fetch: the test wants me to die\n");
    exit(3);
}

static void answer_page(uint32_t id, struct span name, unsigned ahead)
{
    char text[512];
    if (span_equal(name, span_of("missing"))) {
        answer(id, WIRE_FETCH_MISSING, "no index has it");
        return;
    }
    if (span_equal(name, span_of("dying"))) {
        die();
    }
    (void)snprintf(text, sizeof text, "page of %.*s, %u wanted next", (int)name.len, name.base,
                   ahead);
    answer(id, WIRE_FETCH_OK, text);
}

static void answer_wheel(uint32_t id, struct span sum)
{
    char path[PATH_MAX + 128];
    if (memcmp(sum.base, "e0", 2) == 0) {
        answer(id, WIRE_FETCH_MISSING, "the folder and the index were asked");
        return;
    }
    if (memcmp(sum.base, "e1", 2) == 0) {
        answer(id, WIRE_FETCH_FAILED, "the network is down");
        return;
    }
    if (memcmp(sum.base, "e2", 2) == 0) {
        die();
    }
    if (memcmp(sum.base, "e3", 2) == 0) {
        return;
    }
    tell(id, "half of it is here\x1b[31m");
    (void)snprintf(path, sizeof path, "%s/wheels/%.*s", cache, (int)sum.len, sum.base);
    (void)mkdir(path, 0700);
    (void)strncat(path, "/wheel.whl", 12);
    (void)fd_write_file(path, span_of("a wheel"), NULL);
    answer(id, WIRE_FETCH_OK, path);
}

static void take_config(struct span record)
{
    struct wire_field field;
    struct span rest = record;
    while (wire_next(&rest, &field) > 0) {
        if (field.number == WIRE_FETCH_CONFIG_CACHE) {
            (void)snprintf(cache, sizeof cache, "%.*s", (int)field.value.len, field.value.base);
        }
    }
    rest = record;
    while (wire_next(&rest, &field) > 0) {
        if (field.number == WIRE_FETCH_CONFIG_MIRROR) {
            note("mirror", field.value);
        } else if (field.number == WIRE_FETCH_CONFIG_INDEX) {
            note("index", field.value);
        }
    }
    note("configured", span_of(""));
}

static void take_ask(struct span record)
{
    struct wire_field field;
    struct span name = {NULL, 0};
    uint32_t id = 0;
    uint32_t what = 0;
    unsigned ahead = 0;
    while (wire_next(&record, &field) > 0) {
        if (field.number == WIRE_FETCH_ID) {
            (void)wire_get_u32(field.value, &id);
        } else if (field.number == WIRE_FETCH_WHAT) {
            (void)wire_get_u32(field.value, &what);
        } else if (name.base == NULL) {
            name = field.value;
        } else {
            ahead++;
        }
    }
    note(what == WIRE_FETCH_WHEEL ? "wheel" : "page", name);
    if (what == WIRE_FETCH_WHEEL) {
        answer_wheel(id, name);
    } else {
        answer_page(id, name, ahead);
    }
}

int main(void)
{
    struct buf in;
    struct wire_frame frame;
    size_t frame_bytes;
    char bytes[4096];
    ssize_t n;
    buf_init(&in, 1 << 20);
    if (getenv("HOME") != NULL) {
        return 4; /* nothing of the environment but proxies and certificates is ours */
    }
    while ((n = read(3, bytes, sizeof bytes)) > 0 && buf_append(&in, bytes, (size_t)n) == 0) {
        while (wire_take(buf_span(&in), WIRE_TO_FETCH, &frame, &frame_bytes, NULL) > 0) {
            if (frame.type == WIRE_FETCH_CONFIG) {
                take_config(frame.payload);
            } else if (frame.type == WIRE_FETCH_ASK) {
                take_ask(frame.payload);
            } else {
                note("cancel", span_of(""));
            }
            buf_consume(&in, frame_bytes);
        }
    }
    buf_free(&in);
    return 0;
}
