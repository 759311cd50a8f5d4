/* What a zygote says to the pool, on the control socket: private to src/cell. Each is one packet,
 * and waits while the pool is busy; -1 when it is gone. */
#ifndef CELL_WORDS_H
#define CELL_WORDS_H

#include <stdint.h>

#include "base/span.h"
#include "wire/wire.h"

/* The control socket comes as the descriptor that becomes the cell socket in a child. */
#define CONTROL_FD JAIL_SOCKET_FD

int words_send(enum wire_type type, struct span payload);
int words_number(enum wire_type type, uint32_t number);
int words_exited(uint32_t number, uint32_t status);

#endif
