/*
 * The one door for what comes from outside: time, randomness and waiting. The platform's functions
 * ask here and nowhere else, so that a run can be recorded and replayed by exchanging this file's
 * answers. Runs in `vitrine-cell`.
 */
#ifndef GUEST_ABI_OUTSIDE_H
#define GUEST_ABI_OUTSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outside_clock { OUTSIDE_REALTIME, OUTSIDE_MONOTONIC, OUTSIDE_CPU };

/* Nanoseconds: since 1970 (UTC), since some fixed point, and of CPU time used. */
uint64_t outside_clock_ns(enum outside_clock clock);

/* The same as a guest sees it that may have begun in another process: what only goes forward goes
 * on from where it was. */
struct guest;
uint64_t guest_clock_ns(const struct guest *guest, enum outside_clock clock);

/* Fills with the operating system's randomness, fresh in each process. */
void outside_random(void *out, size_t len);

/* Waits; returns early when a signal arrives. */
void outside_sleep_ns(uint64_t ns);

#endif
