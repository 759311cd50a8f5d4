/* How Emscripten's C library lays out struct stat and struct statfs on wasm32. */
#ifndef GUEST_ABI_STAT_H
#define GUEST_ABI_STAT_H

#include "guest/state.h"
#include "guest/vfs/vfs.h"

/* 0, or a negated GUEST_EFAULT. */
int abi_stat_write(struct guest *guest, struct guest_addr addr, const struct vfs_stat *stat);
int abi_statfs_write(struct guest *guest, struct guest_addr addr, const struct vfs_statfs *stat);

#endif
