/* A file system as bytes and back, for tests: record and contents, one behind the other. */
#ifndef TESTS_UNIT_VFS_WHOLE_H
#define TESTS_UNIT_VFS_WHOLE_H

#include "guest/vfs/vfs.h"

struct vfs_whole {
    struct saving record;
    struct buf contents;
};

/* 0, or -1 with *err; free with whole_free in both cases. */
int whole_save(const struct vfs *vfs, struct vfs_whole *out, struct err *err);
void whole_free(struct vfs_whole *whole);

/* Puts it into `vfs`. -1 also when something is left over. */
int whole_load(struct vfs *vfs, struct span record, struct span contents, struct err *err);

#endif
