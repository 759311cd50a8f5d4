/*
 * What leaves a cell, between its request and its end: private to src/cell. There is one in a
 * process, because signal handlers use it too.
 *
 * Frames are gathered and written together: when there are many, when the guest is about to wait,
 * and at the end; and LIMIT_OUTPUT_DELAY_MS after the first of them at the latest, by a timer whose
 * handler writes, whatever the guest is busy with. So a short program costs one write, a program
 * that prints a million lines costs few, and SIGKILL takes no line that is older than that.
 *
 * CPU time is limited by a timer as well: first a KeyboardInterrupt, and after LIMIT_GRACE_MS more
 * of CPU time the handler writes what there is and ends the process.
 */
#ifndef CELL_OUTLET_H
#define CELL_OUTLET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "guest/guest.h"

/* For the zygote, before it forks: handlers are inherited, and a cell may set none. The guest is
 * the one that is interrupted when its CPU time is over. 0, or -1 with errno set. */
int outlet_prepare_signals(struct guest *guest);

/* What a request allows. cpu_ms: 0 for no limit. */
struct outlet_limits {
    uint64_t output_bytes;
    uint64_t cpu_ms;
    bool keeps_guest; /* what is beyond the output limit is dropped and interrupts the guest, once;
                         else it cannot be sent, and ends the guest */
};
void outlet_open(const struct outlet_limits *limits);

/* Each takes one frame's payload; 0, or -1 when it cannot be sent, or not whole. */
int outlet_output(int is_stderr, struct span bytes); /* LIMIT_OUTPUT_FRAME_BYTES_MAX at most */
int outlet_result(struct span record);
int outlet_display(struct span bundle); /* LIMIT_DISPLAY_ITEM_BYTES_MAX at most */

/* A file that the program made: its record, then its contents in pieces. */
int outlet_file(struct span record, struct span content);

/* Writes what waits. 0, or -1 when the pool is gone. */
int outlet_flush(void);

/* The guest has ended its run and will be given another one: no timer goes off meanwhile. Before
 * outlet_end. */
void outlet_rest(void);

/* Bits of enum wire_limit that were reached here. */
uint32_t outlet_limits_hit(void);

/* Sends END and everything before it. */
void outlet_end(struct span record);

#endif
