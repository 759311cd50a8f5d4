/*
 * The jail of `vitrine-fetch`, which needs the network and a cache, and reads what servers send.
 *
 * Enter it in a process with one thread, when the cache and all that is to be read are there and
 * before the first byte of a server's is.
 */
#ifndef JAIL_FETCH_H
#define JAIL_FETCH_H

#include <stddef.h>

#include "base/err.h"

enum { JAIL_FETCH_READABLE_MAX = 80 };

/*
 * From the return on nothing can be started or traced, nothing be written outside of the folder
 * `cache`, and nothing be read in people's homes, /proc and /sys but below `readable` (files or
 * folders; those that are not there are left out). Privileges are given up but for the one to write
 * in a cache that is another user's. Where the kernel has no Landlock, or one that cannot rename
 * between folders (before 5.19), files are as before.
 */
int jail_fetch_enter(const char *cache, const char *const *readable, size_t count, struct err *err);

#endif
