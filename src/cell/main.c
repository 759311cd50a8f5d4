/* vitrine-cell: the only program that runs guests. See cell.h. */
#include "cell/cell.h"

int main(int argc, char **argv)
{
    return cell_main(argc, argv, CELL_JAIL_FULL);
}
