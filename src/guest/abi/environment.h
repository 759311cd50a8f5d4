/* What the guest knows of its surroundings: environment variables and the time zone in them. */
#ifndef GUEST_ABI_ENVIRONMENT_H
#define GUEST_ABI_ENVIRONMENT_H

#include "base/save.h"
#include "guest/state.h"

/*
 * Looks at TZ in the guest's own environment, as it is now, and sets guest->zone by it: a POSIX TZ
 * string, or the name of a zone file in the guest's /usr/share/zoneinfo; anything else is UTC.
 * Returns whether the zone is another one than before.
 */
bool environment_zone_refresh(struct guest *guest);

/* The zone by its text, and where the C library keeps its names, for a snapshot. */
void environment_zone_save(const struct guest *guest, struct saving *out);
void environment_zone_load(struct guest *guest, struct loading *in);

#endif
