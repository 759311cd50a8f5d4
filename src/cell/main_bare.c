/*
 * vitrine-cell without a jail, for tests alone: where the glass must hold by itself
 * (tests/attack/probe), and in builds with sanitizers, whose own memory and system calls fit into
 * no jail; these take this file in place of main.c.
 */
#include "cell/cell.h"

int main(int argc, char **argv)
{
    return cell_main(argc, argv, CELL_JAIL_BARE);
}
