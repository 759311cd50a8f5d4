/* Files that come with a request: private to src/guest. What goes with its end is guest.h's
 * guest_made_files. */
#ifndef GUEST_EXCHANGE_H
#define GUEST_EXCHANGE_H

#include "guest/state.h"

/* Puts the request's files into the working directory, and takes them off *request, at whose end
 * they are. 0, or -1 when the run cannot begin: guest_stop was called then. */
int exchange_begin(struct guest *guest, struct span *request);

#endif
