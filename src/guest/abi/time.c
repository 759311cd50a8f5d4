/* Clocks, calendar, sleeping and timers. */
#include <math.h>
#include <string.h>

#include "guest/abi/abi.h"
#include "guest/abi/environment.h"
#include "guest/abi/outside.h"
#include "guest/abi/timezone.h"
#include "guest/state.h"
#include "guest/vfs/errno.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000.0

/* A sleeping guest asks for the time in a loop (see now_ms); this is how long each turn waits. */
enum { SLEEP_STEP_NS = 200000 };

uint64_t guest_clock_ns(const struct guest *guest, enum outside_clock clock)
{
    const uint64_t ahead_ns[] = {
        [OUTSIDE_REALTIME] = 0,
        [OUTSIDE_MONOTONIC] = guest->monotonic_ahead_ns,
        [OUTSIDE_CPU] = guest->cpu_ahead_ns,
    };
    return outside_clock_ns(clock) + ahead_ns[clock];
}

/* WASI's clock numbers. */
static int clock_of(uint32_t id, enum outside_clock *out)
{
    static const enum outside_clock clocks[] = {OUTSIDE_REALTIME, OUTSIDE_MONOTONIC, OUTSIDE_CPU,
                                                OUTSIDE_CPU};
    if (id >= sizeof clocks / sizeof *clocks) {
        return -1;
    }
    *out = clocks[id];
    return 0;
}

/* clock_time_get(id, precision, *ns) */
static int clock_time_get(void *context, union engine_value *values)
{
    struct guest *guest = context;
    enum outside_clock clock;
    if (clock_of(values[0].i32, &clock) != 0) {
        return abi_return(values, GUEST_EINVAL);
    }
    uint64_t now = guest_clock_ns(guest, clock);
    int failed = guest_memory_write_u64(guest, guest_addr(values[2].i32), now);
    return abi_return(values, failed ? GUEST_EFAULT : 0);
}

/* clock_res_get(id, *ns) */
static int clock_res_get(void *context, union engine_value *values)
{
    struct guest *guest = context;
    enum outside_clock clock;
    if (clock_of(values[0].i32, &clock) != 0) {
        return abi_return(values, GUEST_EINVAL);
    }
    int failed = guest_memory_write_u64(guest, guest_addr(values[1].i32), 1);
    return abi_return(values, failed ? GUEST_EFAULT : 0);
}

static int date_now_ms(void *context, union engine_value *values)
{
    (void)context;
    values[0].f64 = floor((double)outside_clock_ns(OUTSIDE_REALTIME) / NS_PER_MS);
    return 0;
}

/*
 * emscripten_get_now: the guest's C library sleeps by calling this until the time has come, and
 * calls it for nothing else of weight. Asked again at once, it waits a little, so that a sleeping
 * guest costs no CPU. A signal puts this clock ahead twice: once would not end a sleep that has
 * just asked when it begins.
 */
static int now_ms(void *context, union engine_value *values)
{
    enum { JUMPS = 2 };
    const double jump_ms = 1e12;
    struct guest *guest = context;
    uint64_t now = guest_clock_ns(guest, OUTSIDE_MONOTONIC);
    if (now - guest->now_asked_ns < SLEEP_STEP_NS) {
        guest_flush(guest);
        outside_sleep_ns(SLEEP_STEP_NS);
        now = guest_clock_ns(guest, OUTSIDE_MONOTONIC);
    }
    guest->now_asked_ns = now;
    if (guest_take_interrupt(guest)) {
        guest->now_jumps = JUMPS;
    }
    if (guest->now_jumps > 0) {
        guest->now_jumps--;
        guest->now_ahead_ms += jump_ms;
    }
    values[0].f64 = (double)now / NS_PER_MS + guest->now_ahead_ms;
    return 0;
}

/* Emscripten's struct tm: nine ints as in C, then tm_gmtoff; tm_zone is the C library's to set. */
enum { TM_INTS = 9, TM_YEAR_BASE = 1900 };

static int tm_write(struct guest *guest, struct guest_addr addr, int64_t seconds, int offset_s,
                    bool is_daylight)
{
    struct civil civil = civil_from_time(seconds + offset_s);
    const int32_t fields[TM_INTS + 1] = {
        civil.second,  civil.minute,  civil.hour,
        civil.day,     civil.month,   (int32_t)(civil.year - TM_YEAR_BASE),
        civil.weekday, civil.yearday, is_daylight ? 1 : 0,
        offset_s,
    };
    return guest_memory_write(guest, addr, fields, sizeof fields);
}

/* Years that fit the guest's 32-bit tm_year; the C library has checked before, a guest may not. */
static int64_t clamp_time(int64_t seconds)
{
    const int64_t limit = 67767976233532799;
    return seconds > limit ? limit : seconds < -limit ? -limit : seconds;
}

/* _gmtime_js(time, *tm), _localtime_js(time, *tm): no result; a bad pointer changes nothing. */
static int gmtime_js(void *context, union engine_value *values)
{
    (void)tm_write(context, guest_addr(values[1].i32), clamp_time((int64_t)values[0].i64), 0,
                   false);
    return 0;
}

enum { ZONE_NAME_BYTES = GUEST_ZONE_NAME_MAX + 1 };

static void zone_names_write(struct guest *guest)
{
    (void)guest_memory_write(guest, guest->zone_names_at[0], guest->zone.standard_name,
                             ZONE_NAME_BYTES);
    (void)guest_memory_write(guest, guest->zone_names_at[1], guest->zone.daylight_name,
                             ZONE_NAME_BYTES);
}

/* Emscripten's C library asks for the zone once and then never again, so a TZ that the program has
 * set since is looked for at each local time; its names go where the C library reads them. */
static void zone_refresh(struct guest *guest)
{
    if (environment_zone_refresh(guest) && guest->zone_names_at[0].at != 0) {
        zone_names_write(guest);
    }
}

static int localtime_js(void *context, union engine_value *values)
{
    struct guest *guest = context;
    int64_t seconds = clamp_time((int64_t)values[0].i64);
    bool is_daylight;
    zone_refresh(guest);
    int offset_s = zone_offset_s(&guest->zone, seconds, &is_daylight);
    (void)tm_write(guest, guest_addr(values[1].i32), seconds, offset_s, is_daylight);
    return 0;
}

/* The local fields at `addr` as if they were UTC. */
static int tm_read(struct guest *guest, struct guest_addr addr, int64_t *seconds, int *is_daylight)
{
    int32_t fields[TM_INTS];
    if (guest_memory_read(guest, addr, fields, sizeof fields) != 0) {
        return -1;
    }
    struct civil civil = {
        .year = (int64_t)fields[5] + TM_YEAR_BASE,
        .month = fields[4],
        .day = fields[3],
        .hour = fields[2],
        .minute = fields[1],
        .second = fields[0],
    };
    *seconds = civil_to_time(&civil);
    *is_daylight = fields[8];
    return 0;
}

static int timegm_js(void *context, union engine_value *values)
{
    struct guest *guest = context;
    struct guest_addr addr = guest_addr(values[0].i32);
    int64_t seconds = -1;
    int ignored;
    if (tm_read(guest, addr, &seconds, &ignored) == 0) {
        (void)tm_write(guest, addr, clamp_time(seconds), 0, false);
    }
    values[0].i64 = (uint64_t)seconds;
    return 0;
}

/* tm_isdst decides where a local time exists twice, or is off by the difference where it does not
 * fit the half of the year. */
static int mktime_js(void *context, union engine_value *values)
{
    struct guest *guest = context;
    struct guest_addr addr = guest_addr(values[0].i32);
    int64_t local;
    int wanted;
    if (tm_read(guest, addr, &local, &wanted) != 0) {
        values[0].i64 = (uint64_t)-1;
        return 0;
    }
    bool is_daylight;
    zone_refresh(guest);
    int offset_s = zone_offset_s(&guest->zone, local - guest->zone.standard_east_s, &is_daylight);
    if (wanted >= 0) {
        offset_s = wanted > 0 ? guest->zone.daylight_east_s : guest->zone.standard_east_s;
    }
    int64_t seconds = clamp_time(local - offset_s);
    offset_s = zone_offset_s(&guest->zone, seconds, &is_daylight);
    (void)tm_write(guest, addr, seconds, offset_s, is_daylight);
    values[0].i64 = (uint64_t)seconds;
    return 0;
}

/* _tzset_js(*timezone, *daylight, std_name[17], dst_name[17]) */
static int tzset_js(void *context, union engine_value *values)
{
    struct guest *guest = context;
    (void)environment_zone_refresh(guest);
    guest->zone_names_at[0] = guest_addr(values[2].i32);
    guest->zone_names_at[1] = guest_addr(values[3].i32);
    zone_names_write(guest);
    (void)guest_memory_write_u32(guest, guest_addr(values[0].i32),
                                 (uint32_t)-guest->zone.standard_east_s);
    (void)guest_memory_write_u32(guest, guest_addr(values[1].i32),
                                 guest->zone.has_daylight ? 1 : 0);
    return 0;
}

/* _setitimer_js(which, ms): the guest's Python is built without timers and alarms. */
static int setitimer_js(void *context, union engine_value *values)
{
    (void)context;
    return abi_return(values, -GUEST_ENOSYS);
}

const struct abi_row abi_time[] = {
    {"clock_time_get", "iji:i", clock_time_get},
    {"clock_res_get", "ii:i", clock_res_get},
    {"emscripten_date_now", ":d", date_now_ms},
    {"emscripten_get_now", ":d", now_ms},
    {"_gmtime_js", "ji:", gmtime_js},
    {"_localtime_js", "ji:", localtime_js},
    {"_timegm_js", "i:j", timegm_js},
    {"_mktime_js", "i:j", mktime_js},
    {"_tzset_js", "iiii:", tzset_js},
    {"_setitimer_js", "id:i", setitimer_js},
    {NULL, NULL, NULL},
};
