/*
 * Calendar and time zones, without the C library's: that one opens host files and has one zone
 * for the whole process. Pure functions.
 *
 * Zones are POSIX TZ strings (IEEE Std 1003.1, Base Definitions 8.3), such as
 * "CET-1CEST,M3.5.0,M10.5.0/3", with the quoted names and the wider hours of RFC 9636.
 */
#ifndef GUEST_ABI_TIMEZONE_H
#define GUEST_ABI_TIMEZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "guest/state.h"

/* A broken-down time; fields as in C's struct tm, except that the year is whole. */
struct civil {
    int64_t year;
    int month; /* 0 to 11 */
    int day;   /* 1 to 31 */
    int hour;
    int minute;
    int second;
    int weekday; /* 0 is Sunday */
    int yearday; /* 0 to 365 */
};

/* Seconds since 1970 to calendar and back. civil_to_time takes any numbers in the fields (month 14,
 * day 0) and uses year to second only. The Gregorian calendar runs both ways without end. */
struct civil civil_from_time(int64_t seconds);
int64_t civil_to_time(const struct civil *civil);

/* The zone called "UTC", which is the default. */
struct guest_zone zone_utc(void);

/* 0, or -1 when `text` is not a POSIX TZ string (*out is unchanged then). */
int zone_parse(struct span text, struct guest_zone *out);

/* Seconds east of Greenwich at a moment; *is_daylight says which half of the year it is. */
int zone_offset_s(const struct guest_zone *zone, int64_t seconds, bool *is_daylight);

#endif
