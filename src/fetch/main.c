/* vitrine-fetch: the only program that uses the network. See fetch.h. */
#include "fetch/fetch.h"

int main(int argc, char **argv)
{
    return fetch_main(argc, argv);
}
