/* What whole_save.c and whole_load.c agree on; vfs.h says what they do. */
#ifndef GUEST_VFS_WHOLE_H
#define GUEST_VFS_WHOLE_H

/* Of an inode. */
enum whole_flag { WHOLE_FIXED = 1 << 0, WHOLE_WRITTEN = 1 << 1 };

#endif
