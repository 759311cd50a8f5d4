/*
 * vitrine-fetch in a build with sanitizers: looking for leaks at its end takes /proc, which its
 * jail keeps from it. For tests alone; the build takes this file in place of main.c.
 */
#include "fetch/fetch.h"

/* Asked by LeakSanitizer (sanitizer/lsan_interface.h). */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

int main(int argc, char **argv)
{
    return fetch_main(argc, argv);
}
