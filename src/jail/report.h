/* What could be had of the jail, and why the rest could not. */
#ifndef JAIL_REPORT_H
#define JAIL_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

enum { JAIL_REASON_MAX = 96, JAIL_REASONS_MAX = 16 };

struct jail_report {
    uint32_t parts; /* bits of enum wire_jail that are in effect, or will be in each cell */
    char missing[JAIL_REASONS_MAX][JAIL_REASON_MAX]; /* "part: what the system said" */
    unsigned missing_count;
    bool has_root; /* its own, with the guest's files in it; it is not empty yet */
};

void jail_report_has(struct jail_report *report, uint32_t parts);

/* Notes that `part` (its name, for people) is missing because of errno. */
void jail_report_lacks(struct jail_report *report, const char *part);

/* Notes either: `result` is a system call's. Returns whether it was had. */
bool jail_report_note(struct jail_report *report, uint32_t parts, const char *part, int result);

#endif
