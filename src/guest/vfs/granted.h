/*
 * Directories of the host in the guest's tree: private to src/guest/vfs. vfs.h says what they are
 * to the guest, host.h how the host is asked.
 *
 * A granted directory is an inode like any other, made when a look-up passes it, and its path on
 * the host is that of the names from its grant's root down to it. Nothing that the host has is
 * believed to be still so the next time: each look-up asks again. A file or symlink is a vnode of
 * the layer LAYER_GRANTED, good for the call under way; an open file is a descriptor of the host.
 *
 * In an overlay the directory's own names are those that the guest has made, with whiteouts, as
 * over an image; a file is copied when it is first changed.
 */
#ifndef GUEST_VFS_GRANTED_H
#define GUEST_VFS_GRANTED_H

#include "guest/vfs/vfs.h"

struct inode;
struct vnode;
struct lookup;
struct file;

/* The host's names of one directory, sorted, as they were when the listing began. */
struct granted_listing;
void granted_listing_free(struct granted_listing *listing);

void granted_free(struct vfs *vfs);

/* ---- Which ----------------------------------------------------------------------------------- */

/* How the grant that a granted directory belongs to may be used. */
enum vfs_grant granted_how(const struct vfs *vfs, const struct inode *dir);
/* Whether the directory is the root of one: a mount point. */
bool granted_is_root(const struct vfs *vfs, uint32_t dir);
/* 1 + the number of the grant that a directory lies in, also one that the guest made; or 0. */
uint32_t granted_around(const struct vfs *vfs, uint32_t dir);
/* Whether names in this directory are the host's to change. */
bool granted_is_written(const struct vfs *vfs, uint32_t dir);

/* Whether changes in it stay in the writable layer. */
bool granted_is_overlaid(const struct vfs *vfs, uint32_t dir);

/* ---- Looking --------------------------------------------------------------------------------- */

/* A path is about to be looked up. */
void granted_begin(struct vfs *vfs);
/* layers_lookup's part for a granted directory. */
int granted_lookup(struct vfs *vfs, uint32_t dir, struct span name, struct vnode *out);
bool granted_has(const struct vfs *vfs, uint32_t dir, struct span name);
/* The name of a vnode of LAYER_GRANTED, its directory, and what it is. */
const struct vfs_stat *granted_seen(const struct vfs *vfs, struct vnode node);
/* Reads a file, or a symlink's target. */
int64_t granted_read(const struct vfs *vfs, struct vnode node, uint64_t offset, char *out,
                     size_t len);
/* What the host says of a granted directory now. */
int granted_dir_stat(const struct vfs *vfs, uint32_t dir, struct vfs_stat *out);

/* The host's name number `at` of a directory; the first call, and each for number 0, asks the host.
 * 1, 0 behind the last, or an error. */
int granted_next(struct vfs *vfs, uint32_t dir, uint64_t at, struct granted_listing **listing,
                 struct vfs_dirent *out);
bool granted_listing_has(const struct granted_listing *listing, struct span name);

/* A directory's inode is about to go. */
void granted_forget(struct vfs *vfs, const struct inode *dir);

/* ---- Changing -------------------------------------------------------------------------------- */

/* An inode of the writable layer with at most `size` bytes of what a vnode of LAYER_GRANTED has, in
 * its place. */
int granted_copy_up(struct vfs *vfs, struct vnode node, uint64_t size, uint32_t *number);

/* Opens what a look-up has found, or makes it: *file is filled. */
int granted_open(struct vfs *vfs, const struct lookup *lookup, int flags, struct file *file);
int granted_create(struct vfs *vfs, const struct lookup *lookup, int flags, uint32_t mode,
                   struct file *file);

int64_t granted_file_read(const struct file *file, char *bytes, size_t len, uint64_t offset);
/* As io.c's write_at. */
int64_t granted_file_write(struct vfs *vfs, const struct file *file, const char *bytes, size_t len,
                           uint64_t *offset);
int granted_file_truncate(struct vfs *vfs, const struct file *file, uint64_t size);
int granted_file_sync(const struct file *file);
int granted_file_stat(const struct file *file, struct vfs_stat *out);

/* Names in a directory that granted_is_written. */
int granted_mkdir(struct vfs *vfs, const struct lookup *lookup, uint32_t mode);
int granted_mknod(struct vfs *vfs, const struct lookup *lookup, uint32_t mode);
int granted_remove(struct vfs *vfs, const struct lookup *lookup);
int granted_rename(struct vfs *vfs, const struct lookup *from, const struct lookup *to);
int granted_truncate(struct vfs *vfs, const struct lookup *lookup, uint64_t size);

/* Changes what a look-up has found in a granted directory, file or directory: 1 when it was done on
 * the host, 0 when it is the writable layer's, or an error. */
int granted_chmod(struct vfs *vfs, const struct lookup *lookup, uint32_t mode);
int granted_utimens(struct vfs *vfs, const struct lookup *lookup, struct vfs_time atime,
                    struct vfs_time mtime);

/* The same for an open file; NULL is none. */
int granted_fchmod(struct vfs *vfs, const struct file *file, uint32_t mode);
int granted_futimens(struct vfs *vfs, const struct file *file, struct vfs_time atime,
                     struct vfs_time mtime);
/* EROFS where nothing can be changed. */
int granted_may_write(const struct vfs *vfs, struct vnode node);

#endif
