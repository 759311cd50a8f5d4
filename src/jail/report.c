#include "jail/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void jail_report_has(struct jail_report *report, uint32_t parts)
{
    report->parts |= parts;
}

void jail_report_lacks(struct jail_report *report, const char *part)
{
    if (report->missing_count < JAIL_REASONS_MAX) {
        snprintf(report->missing[report->missing_count++], JAIL_REASON_MAX, "%s: %s", part,
                 strerror(errno));
    }
}

bool jail_report_note(struct jail_report *report, uint32_t parts, const char *part, int result)
{
    if (result < 0) {
        jail_report_lacks(report, part);
        return false;
    }
    jail_report_has(report, parts);
    return true;
}
