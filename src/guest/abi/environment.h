/* What the guest knows of its surroundings: environment variables and the time zone in them. */
#ifndef GUEST_ABI_ENVIRONMENT_H
#define GUEST_ABI_ENVIRONMENT_H

#include "guest/state.h"

/* The zone that TZ asks for in the guest's own environment, as it is now: a POSIX TZ string, or
 * the name of a zone file in the guest's /usr/share/zoneinfo. Anything else is UTC. */
struct guest_zone environment_zone(struct guest *guest);

#endif
