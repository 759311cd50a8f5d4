/*
 * The program `vitrine-cell`, as a function of the guest behind guest/guest.h; its main() is
 * main.c, and tests link it with a guest of their own.
 *
 *     vitrine-cell --core PATH --image PATH... [--modules PATH] [--preload NAME,...]
 *         [--snapshot PATH] [--fresh] --memory-max BYTES --warm|--cold
 *
 * Descriptor 3 is the control socket. The process boots the guest and stays a zygote: for each
 * FORK it makes a child, which enters the jail, takes one request, and exits.
 */
#ifndef CELL_CELL_H
#define CELL_CELL_H

enum cell_jail {
    CELL_JAIL_FULL,
    CELL_JAIL_BARE, /* for tests alone, see main_bare.c: no filter, no resource limits */
};

/* Returns the exit status. */
int cell_main(int argc, char **argv, enum cell_jail jail);

#endif
