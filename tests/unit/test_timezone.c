/* guest/abi/timezone: calendar both ways, POSIX TZ strings, and the C library as the oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "guest/abi/timezone.h"

static void calendar_agrees_with_the_c_library(void **state)
{
    (void)state;
    uint64_t seed = 12345;
    for (int i = 0; i < 200000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        int64_t seconds = (int64_t)(seed >> 20) % 200000000000LL - 100000000000LL;
        struct civil civil = civil_from_time(seconds);
        struct tm tm;
        time_t t = (time_t)seconds;
        gmtime_r(&t, &tm);
        assert_int_equal(civil.year, tm.tm_year + 1900);
        assert_int_equal(civil.month, tm.tm_mon);
        assert_int_equal(civil.day, tm.tm_mday);
        assert_int_equal(civil.hour, tm.tm_hour);
        assert_int_equal(civil.minute, tm.tm_min);
        assert_int_equal(civil.second, tm.tm_sec);
        assert_int_equal(civil.weekday, tm.tm_wday);
        assert_int_equal(civil.yearday, tm.tm_yday);
        assert_int_equal(civil_to_time(&civil), seconds);
    }
}

static void fields_out_of_range_carry_over(void **state)
{
    (void)state;
    const struct civil civil = {.year = 2025, .month = 14, .day = 0, .hour = 25};
    struct tm tm = {.tm_year = 125, .tm_mon = 14, .tm_mday = 0, .tm_hour = 25};
    assert_int_equal(civil_to_time(&civil), timegm(&tm));
}

static void zones_agree_with_the_c_library(void **state)
{
    (void)state;
    static const char *const zones[] = {
        "UTC0",
        "EST5EDT,M3.2.0,M11.1.0",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "<+0330>-3:30",
        "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "NZST-12NZDT,M9.5.0,M4.1.0/3",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "XXX3YYY,J60/2,J300/2",
        "XXX3YYY,60/2,300/2",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    };
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        struct guest_zone zone;
        assert_int_equal(zone_parse(span_of(zones[z]), &zone), 0);
        setenv("TZ", zones[z], 1);
        tzset();
        for (int64_t seconds = 0; seconds < 4000000000LL; seconds += 3600 * 5 + 7) {
            bool is_daylight;
            struct tm tm;
            time_t t = (time_t)seconds;
            localtime_r(&t, &tm);
            int offset_s = zone_offset_s(&zone, seconds, &is_daylight);
            if (offset_s != tm.tm_gmtoff || is_daylight != (tm.tm_isdst > 0)) {
                fail_msg("%s at %lld: %d, not %ld", zones[z], (long long)seconds, offset_s,
                         tm.tm_gmtoff);
            }
        }
    }
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const zones[] = {
        "",
        "A",
        "AB3",
        "UTC",
        "UTC999",
        "EST5EDT,M13.1.0,M1",
        "../../etc",
        "<ABC",
        "EST5EDT,M3.2",
        "EST5EDT,,,",
        "EST5EDT,M3.0.0,M1.1.0",
        "EST5EDT,J366,J1",
        "EST5:60",
    };
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        struct guest_zone zone;
        if (zone_parse(span_of(zones[z]), &zone) == 0) {
            fail_msg("%s was taken", zones[z]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calendar_agrees_with_the_c_library),
        cmocka_unit_test(fields_out_of_range_carry_over),
        cmocka_unit_test(zones_agree_with_the_c_library),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
