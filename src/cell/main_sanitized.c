/*
 * vitrine-cell in a build with sanitizers, whose own memory and system calls fit into no jail. For
 * tests alone; the build takes this file in place of main.c.
 */
#include "cell/cell.h"

int main(int argc, char **argv)
{
    return cell_main(argc, argv, CELL_JAIL_BARE);
}
