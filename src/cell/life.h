/* The second life of vitrine-cell, after fork: private to src/cell. */
#ifndef CELL_LIFE_H
#define CELL_LIFE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cell/cell.h"
#include "guest/guest.h"
#include "jail/jail.h"

/* What a child gets from its zygote; all borrowed. */
struct life {
    struct guest *guest;
    const struct jail_filter *filter; /* NULL with CELL_JAIL_BARE */
    enum cell_jail jail;
    uint64_t memory_bytes_max;
    bool rehearses; /* a cell that is forked ahead of need runs guest_rehearse */
    const struct jail_grants *grants;
    pid_t zygote;
    uint32_t number; /* the pool's, of the cell that begins */
};

/* For the zygote, before it forks: a SIGUSR1 that its children get becomes a KeyboardInterrupt. */
int life_prepare_signals(struct guest *guest);

/* In the child: enters the jail, takes one request from socket_fd, runs it, exits. A cell that
 * stays takes one after another, until one ends otherwise than by returning, or the pool closes its
 * end. */
_Noreturn void life_begin(const struct life *life, int socket_fd, bool stays);

#endif
