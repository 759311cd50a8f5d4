/* wire: what is put is what is taken; anything that breaks its row of the table is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "wire/wire.h"

static int take(struct buf *in, enum wire_direction direction, struct wire_frame *frame)
{
    size_t frame_bytes = 0;
    struct err err;
    int taken = wire_take(buf_span(in), direction, frame, &frame_bytes, &err);
    if (taken == 1) {
        assert_int_equal(frame_bytes, WIRE_HEADER_BYTES + frame->payload.len);
    } else if (taken < 0) {
        assert_int_equal(err.code, ERR_PROTOCOL);
    }
    return taken;
}

static void frame_has_its_documented_bytes(void **state)
{
    (void)state;
    cleanup_buf struct buf buf;
    buf_init(&buf, 100);
    assert_int_equal(wire_append_frame(&buf, WIRE_STDOUT, span_of("hi")), 0);
    assert_int_equal(buf.len, 10);
    assert_memory_equal(buf.base, "\2\0\0\0\20\0\0\0hi", 10);
}

static void frame_is_taken_when_it_is_whole(void **state)
{
    (void)state;
    cleanup_buf struct buf whole;
    buf_init(&whole, 100);
    assert_int_equal(wire_append_frame(&whole, WIRE_STDERR, span_of("hello")), 0);
    for (size_t len = 0; len < whole.len; len++) {
        cleanup_buf struct buf part;
        buf_init(&part, 100);
        assert_int_equal(buf_append(&part, whole.base, len), 0);
        struct wire_frame frame;
        assert_int_equal(take(&part, WIRE_FROM_CELL, &frame), 0);
    }
    struct wire_frame frame;
    assert_int_equal(take(&whole, WIRE_FROM_CELL, &frame), 1);
    assert_int_equal(frame.type, WIRE_STDERR);
    assert_true(span_equal(frame.payload, span_of("hello")));
}

static void frame_outside_its_row_is_a_violation(void **state)
{
    (void)state;
    const struct {
        unsigned char header[WIRE_HEADER_BYTES];
        enum wire_direction direction;
    } bad[] = {
        {{0, 0, 0, 0, 0, 0, 0, 0}, WIRE_FROM_CELL},             /* no such type */
        {{0, 0, 0, 0, 255, 0, 0, 0}, WIRE_FROM_CELL},           /* no such type */
        {{0, 0, 0, 0, WIRE_REQUEST, 0, 0, 0}, WIRE_FROM_CELL},  /* the other direction */
        {{0, 0, 0, 0, WIRE_STDOUT, 0, 0, 0}, WIRE_TO_CELL},     /* the other direction */
        {{4, 0, 0, 0, WIRE_FORK, 0, 0, 0}, WIRE_FROM_ZYGOTE},   /* the other direction */
        {{0, 0, 0, 0, WIRE_READY, 0, 0, 0}, WIRE_FROM_CELL},    /* the other socket */
        {{0, 0, 0, 0, WIRE_STDOUT, 1, 0, 0}, WIRE_FROM_CELL},   /* junk in the header */
        {{0, 0, 0, 0, WIRE_STDOUT, 0, 0, 128}, WIRE_FROM_CELL}, /* junk in the header */
        {{1, 0, 1, 0, WIRE_STDOUT, 0, 0, 0}, WIRE_FROM_CELL},   /* 64 KiB and one byte */
        {{255, 255, 255, 255, WIRE_RESULT, 0, 0, 0}, WIRE_FROM_CELL},
        {{5, 0, 0, 0, WIRE_FORK, 0, 0, 0}, WIRE_TO_ZYGOTE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cleanup_buf struct buf buf;
        buf_init(&buf, 100);
        assert_int_equal(buf_append(&buf, bad[i].header, sizeof bad[i].header), 0);
        struct wire_frame frame;
        assert_int_equal(take(&buf, bad[i].direction, &frame), -1);
    }
}

static void every_type_has_one_row(void **state)
{
    (void)state;
    unsigned rows = 0;
    for (unsigned type = 0; type < 256; type++) {
        const struct wire_frame_rule *rule = wire_rule((uint8_t)type);
        if (rule != NULL) {
            assert_int_equal(rule->type, type);
            assert_non_null(rule->name);
            rows++;
        }
    }
    assert_int_equal(rows, 33);
}

static void record_keeps_fields_in_order(void **state)
{
    (void)state;
    cleanup_buf struct buf record;
    buf_init(&record, 1000);
    assert_int_equal(wire_put(&record, 4, span_of("a")), 0);
    assert_int_equal(wire_put(&record, 4, span_of("")), 0);
    assert_int_equal(wire_put_u32(&record, 2, 0xFFFFFFFEu), 0);
    assert_int_equal(wire_put_u64(&record, 5, 0x1122334455667788ull), 0);

    struct span cursor = buf_span(&record);
    struct wire_field field;
    assert_int_equal(wire_next(&cursor, &field), 1);
    assert_int_equal(field.number, 4);
    assert_true(span_equal(field.value, span_of("a")));
    assert_int_equal(wire_next(&cursor, &field), 1);
    assert_int_equal(field.value.len, 0);
    uint32_t u32;
    uint64_t u64;
    assert_int_equal(wire_next(&cursor, &field), 1);
    assert_int_equal(wire_get_u64(field.value, &u64), -1);
    assert_int_equal(wire_get_u32(field.value, &u32), 0);
    assert_int_equal(u32, 0xFFFFFFFEu);
    assert_int_equal(wire_next(&cursor, &field), 1);
    assert_int_equal(wire_get_u32(field.value, &u32), -1);
    assert_int_equal(wire_get_u64(field.value, &u64), 0);
    assert_true(u64 == 0x1122334455667788ull);
    assert_int_equal(wire_next(&cursor, &field), 0);
}

static void record_that_is_cut_is_refused(void **state)
{
    (void)state;
    cleanup_buf struct buf record;
    buf_init(&record, 1000);
    assert_int_equal(wire_put(&record, 1, span_of("value")), 0);
    for (size_t len = 1; len < record.len; len++) {
        struct span cursor = {record.base, len};
        struct wire_field field;
        assert_int_equal(wire_next(&cursor, &field), -1);
    }
    struct span longest = {"\1\377\377\377\377x", 6};
    struct wire_field field;
    assert_int_equal(wire_next(&longest, &field), -1);
}

static void building_stops_at_the_maximum(void **state)
{
    (void)state;
    cleanup_buf struct buf small;
    buf_init(&small, 12);
    assert_int_equal(wire_append_frame(&small, WIRE_STDOUT, span_of("12345")), -1);
    assert_int_equal(small.len, 0);
    assert_int_equal(wire_put(&small, 1, span_of("12345678")), -1);
    assert_int_equal(small.len, 0);
    assert_int_equal(wire_put_u32(&small, 1, 7), 0);
}

struct reader {
    int fd;
    char *bytes;
    size_t len;
    ssize_t got;
};

static void *read_slowly(void *context)
{
    struct reader *reader = context;
    usleep(20000);
    reader->got = fd_read_full(reader->fd, reader->bytes, reader->len);
    return NULL;
}

/* A frame larger than the socket's buffer goes out whole, also where the socket does not block. */
static void send_waits_for_a_slow_reader(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0); /* the reader's end blocks */
    const size_t len = 4 * MIB;
    char *payload = malloc(len);
    struct reader reader = {.fd = ends[1], .bytes = malloc(len + WIRE_HEADER_BYTES)};
    reader.len = len + WIRE_HEADER_BYTES;
    assert_true(payload != NULL && reader.bytes != NULL);
    for (size_t i = 0; i < len; i++) {
        payload[i] = (char)(i * 31 >> 7);
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
    assert_int_equal(wire_send(ends[0], WIRE_RESULT, (struct span){payload, len}), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(reader.got, reader.len);
    assert_memory_equal(reader.bytes + WIRE_HEADER_BYTES, payload, len);
    free(payload);
    free(reader.bytes);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_has_its_documented_bytes),
        cmocka_unit_test(frame_is_taken_when_it_is_whole),
        cmocka_unit_test(frame_outside_its_row_is_a_violation),
        cmocka_unit_test(every_type_has_one_row),
        cmocka_unit_test(record_keeps_fields_in_order),
        cmocka_unit_test(record_that_is_cut_is_refused),
        cmocka_unit_test(building_stops_at_the_maximum),
        cmocka_unit_test(send_waits_for_a_slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
