#include "jail/report.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void jail_report_has(struct jail_report *report, uint32_t parts)
{
    report->parts |= parts;
}

static char *reason_of(struct jail_report *report, uint32_t part)
{
    int number = __builtin_ctz(part);
    assert(number < WIRE_JAIL_PARTS_COUNT);
    return report->reasons[number];
}

void jail_report_lacks(struct jail_report *report, uint32_t part, const char *what)
{
    report->parts &= ~part;
    snprintf(reason_of(report, part), JAIL_REASON_MAX, "%s: %s", what, strerror(errno));
}

void jail_report_lacks_too(struct jail_report *report, uint32_t part, uint32_t cause)
{
    report->parts &= ~part;
    memcpy(reason_of(report, part), reason_of(report, cause), JAIL_REASON_MAX);
}

bool jail_report_note(struct jail_report *report, uint32_t part, const char *what, int result)
{
    if (result < 0) {
        jail_report_lacks(report, part, what);
        return false;
    }
    jail_report_has(report, part);
    return true;
}
