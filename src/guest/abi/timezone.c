#include "guest/abi/timezone.h"

#include <ctype.h>
#include <string.h>

#define DAY_S 86400

enum { ZONE_NAME_MIN = 3, ZONE_HOURS_MAX = 167, RULE_DEFAULT_TIME_S = 7200 };

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b < 0 ? q - 1 : q;
}

/* Days since 1970-01-01 of a date; month 1 to 12. Eras of 400 years, years that begin in March:
 * Howard Hinnant, "chrono-compatible low-level date algorithms". */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2 ? 1 : 0;
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct civil civil_from_time(int64_t seconds)
{
    int64_t days = floor_div(seconds, DAY_S);
    int rest = (int)(seconds - days * DAY_S);
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int mp = (int)((5 * doy + 2) / 153);
    int month = mp < 10 ? mp + 3 : mp - 9;
    struct civil civil = {
        .year = yoe + era * 400 + (month <= 2 ? 1 : 0),
        .month = month - 1,
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .hour = rest / 3600,
        .minute = rest % 3600 / 60,
        .second = rest % 60,
        .weekday = (int)(((days + 4) % 7 + 7) % 7),
    };
    civil.yearday = (int)(days - days_from_civil(civil.year, 1, 1));
    return civil;
}

int64_t civil_to_time(const struct civil *civil)
{
    int64_t year = civil->year + floor_div(civil->month, 12);
    int month = (int)(civil->month - 12 * floor_div(civil->month, 12));
    int64_t days = days_from_civil(year, month + 1, 1) + (int64_t)civil->day - 1;
    return days * DAY_S + (int64_t)civil->hour * 3600 + (int64_t)civil->minute * 60 + civil->second;
}

struct guest_zone zone_utc(void)
{
    return (struct guest_zone){.standard_name = "UTC", .daylight_name = "UTC"};
}

/* Reads from the front of a span; each helper returns 0, or -1 with the cursor anywhere. */
static char peek(const struct span *in)
{
    return in->len > 0 ? in->base[0] : '\0';
}

static void skip(struct span *in)
{
    in->base++;
    in->len--;
}

static int take_number(struct span *in, int max, int *out)
{
    int value = 0;
    if (!isdigit((unsigned char)peek(in))) {
        return -1;
    }
    while (isdigit((unsigned char)peek(in))) {
        value = value * 10 + (peek(in) - '0');
        if (value > max) {
            return -1;
        }
        skip(in);
    }
    *out = value;
    return 0;
}

static int take_name(struct span *in, char out[GUEST_ZONE_NAME_MAX + 1])
{
    bool quoted = peek(in) == '<';
    if (quoted) {
        skip(in);
    }
    size_t len = 0;
    while (in->len > 0 && len < GUEST_ZONE_NAME_MAX) {
        unsigned char c = (unsigned char)peek(in);
        if (!(isalpha(c) || (quoted && (isdigit(c) || c == '+' || c == '-')))) {
            break;
        }
        out[len++] = (char)c;
        skip(in);
    }
    out[len] = '\0';
    if (quoted) {
        if (peek(in) != '>') {
            return -1;
        }
        skip(in);
    }
    return len >= ZONE_NAME_MIN ? 0 : -1;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static int take_time(struct span *in, int *out)
{
    int sign = peek(in) == '-' ? -1 : 1;
    if (peek(in) == '-' || peek(in) == '+') {
        skip(in);
    }
    int parts[3] = {0, 0, 0};
    if (take_number(in, ZONE_HOURS_MAX, &parts[0]) != 0) {
        return -1;
    }
    for (int i = 1; i < 3 && peek(in) == ':'; i++) {
        skip(in);
        if (take_number(in, 59, &parts[i]) != 0) {
            return -1;
        }
    }
    *out = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    return 0;
}

static int take_month_rule(struct span *in, struct guest_zone_rule *out)
{
    int *const parts[] = {&out->month, &out->week, &out->day};
    static const int max[] = {12, 5, 6};
    for (int i = 0; i < 3; i++) {
        skip(in); /* the M, or a dot */
        if (take_number(in, max[i], parts[i]) != 0 || (i < 2 && peek(in) != '.')) {
            return -1;
        }
    }
    return out->month >= 1 && out->week >= 1 ? 0 : -1;
}

/* ,Jn or ,n or ,Mm.w.d and perhaps /time */
static int take_rule(struct span *in, struct guest_zone_rule *out)
{
    *out = (struct guest_zone_rule){.time_s = RULE_DEFAULT_TIME_S};
    if (peek(in) != ',') {
        return -1;
    }
    skip(in);
    int result;
    if (peek(in) == 'M') {
        out->kind = 2;
        result = take_month_rule(in, out);
    } else if (peek(in) == 'J') {
        skip(in);
        out->kind = 0;
        result = take_number(in, 365, &out->day);
    } else {
        out->kind = 1;
        result = take_number(in, 365, &out->day);
    }
    if (result == 0 && peek(in) == '/') {
        skip(in);
        result = take_time(in, &out->time_s);
    }
    return result;
}

int zone_parse(struct span text, struct guest_zone *out)
{
    struct guest_zone zone = {0};
    int west_s = 0;
    if (take_name(&text, zone.standard_name) != 0 || take_time(&text, &west_s) != 0) {
        return -1;
    }
    zone.standard_east_s = -west_s;
    memcpy(zone.daylight_name, zone.standard_name, sizeof zone.daylight_name);
    zone.daylight_east_s = zone.standard_east_s;
    if (text.len > 0) {
        zone.has_daylight = true;
        zone.daylight_east_s = zone.standard_east_s + 3600;
        if (take_name(&text, zone.daylight_name) != 0) {
            return -1;
        }
        if (text.len > 0 && peek(&text) != ',') {
            if (take_time(&text, &west_s) != 0) {
                return -1;
            }
            zone.daylight_east_s = -west_s;
        }
        /* Without rules: those of the United States, as other C libraries take them. */
        struct span rules = text.len > 0 ? text : span_of(",M3.2.0,M11.1.0");
        if (take_rule(&rules, &zone.start) != 0 || take_rule(&rules, &zone.end) != 0 ||
            rules.len > 0) {
            return -1;
        }
    }
    *out = zone;
    return 0;
}

/* The moment of a rule in a year, in local seconds since 1970 before any offset. */
static int64_t rule_moment(const struct guest_zone_rule *rule, int64_t year)
{
    struct civil first = {.year = year, .day = 1};
    int64_t days;
    if (rule->kind == 2) {
        first.month = rule->month - 1;
        struct civil at = civil_from_time(civil_to_time(&first));
        int day = 1 + (rule->day - at.weekday + 7) % 7 + 7 * (rule->week - 1);
        struct civil next = {.year = year, .month = rule->month, .day = 1};
        int month_days = (int)((civil_to_time(&next) - civil_to_time(&first)) / DAY_S);
        first.day = day > month_days ? day - 7 : day;
        days = civil_to_time(&first) / DAY_S;
    } else {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        int skipped = rule->kind == 0 && !(leap && rule->day >= 60) ? 1 : 0;
        days = civil_to_time(&first) / DAY_S + rule->day - skipped;
    }
    return days * DAY_S + rule->time_s;
}

int zone_offset_s(const struct guest_zone *zone, int64_t seconds, bool *is_daylight)
{
    *is_daylight = false;
    if (!zone->has_daylight) {
        return zone->standard_east_s;
    }
    int64_t year = civil_from_time(seconds + zone->standard_east_s).year;
    int64_t start = rule_moment(&zone->start, year) - zone->standard_east_s;
    int64_t end = rule_moment(&zone->end, year) - zone->daylight_east_s;
    /* South of the equator the daylight half runs over the new year. */
    *is_daylight =
        start < end ? (seconds >= start && seconds < end) : !(seconds >= end && seconds < start);
    return *is_daylight ? zone->daylight_east_s : zone->standard_east_s;
}
