/* What could be had of the jail, and why the rest could not. */
#ifndef JAIL_REPORT_H
#define JAIL_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

enum { JAIL_REASON_MAX = 96 };

struct jail_report {
    uint32_t parts; /* bits of enum wire_jail that are in effect, or will be in each cell */
    char reasons[WIRE_JAIL_PARTS_COUNT][JAIL_REASON_MAX]; /* of the other bits, by number */
    bool has_root; /* its own, with the guest's files in it; it is not empty yet */
};

void jail_report_has(struct jail_report *report, uint32_t parts);

/* Notes that `part`, one bit, is missing because `what` failed with errno. */
void jail_report_lacks(struct jail_report *report, uint32_t part, const char *what);

/* Notes that `part` is missing because `cause` is. */
void jail_report_lacks_too(struct jail_report *report, uint32_t part, uint32_t cause);

/* Notes either: `result` is of `what`. Returns whether the part was had. */
bool jail_report_note(struct jail_report *report, uint32_t part, const char *what, int result);

#endif
