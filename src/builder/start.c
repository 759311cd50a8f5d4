/* vitrine-precompile: makes what cells map. See main.c. */
#include "builder/commands.h"

int main(int argc, char **argv)
{
    return builder_main(argc, argv);
}
