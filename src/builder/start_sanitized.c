/*
 * vitrine-precompile in a build with sanitizers, whose own memory and system calls fit into no
 * jail. For tests alone; the build takes this file in place of start.c.
 */
#include "builder/commands.h"
#include "builder/supervise.h"

int main(int argc, char **argv)
{
    supervise_without_jail();
    return builder_main(argc, argv);
}
