/*
 * The inside of the file system, shared by the files of this folder only. vfs.h says what it does.
 *
 * A thing in the tree is named by a vnode: an inode of the writable layer, or an entry of an image
 * that nobody has changed. Every directory that a look-up has passed gets an inode (it may be
 * merged from several images); files and symlinks of images get one when they are first changed.
 * Such an inode goes on reading from its image (`backing`) until its contents are written.
 *
 * Rules of life: an inode goes when it has neither names (nlink) nor references (open files, the
 * working directory, and for a directory the directories inside it, which know their parent).
 * Inodes have stable addresses; entries of a directory move whenever one is added.
 */
#ifndef GUEST_VFS_TREE_H
#define GUEST_VFS_TREE_H

#include "base/limits.h"
#include "guest/vfs/granted.h"
#include "guest/vfs/image.h"
#include "guest/vfs/vfs.h"

/* Contents of a file: chunks at any place, holes between them read as zeros (content.c). */

#define CHUNK_BYTES 65536U

struct chunk {
    uint64_t index;    /* of the file, in units of CHUNK_BYTES */
    char *bytes;       /* owned */
    uint32_t capacity; /* bytes allocated and charged; what lies past it reads as zeros */
};

struct content {
    struct chunk *chunks; /* sorted by index */
    uint32_t count;
    uint32_t capacity;
};

void content_read(const struct content *content, uint64_t offset, char *out, size_t len);
/* The count written, less than `len` when the quota ends it; -ENOSPC or -ENOMEM for nothing. */
int64_t content_write(struct vfs *vfs, struct content *content, uint64_t offset, const char *bytes,
                      size_t len);
/* Makes sure that later writes to the range need no more room. */
int content_allocate(struct vfs *vfs, struct content *content, uint64_t offset, uint64_t len);
/* Adds a chunk of zeros, charged to the quota, behind the others. -ENOSPC or -ENOMEM. */
int content_add(struct vfs *vfs, struct content *content, uint64_t index, uint32_t capacity);
/* Drops what lies at `size` and past it. */
void content_cut(struct vfs *vfs, struct content *content, uint64_t size);
uint64_t content_charge(const struct content *content); /* bytes charged to the quota */

/* A directory's own names: writable layer, whiteouts, merged directories (dir.c). */

#define INODE_NONE 0U
#define INODE_ROOT 1U

enum entry_flag {
    ENTRY_DEAD = 1 << 0,    /* removed; waits for the next rebuild */
    ENTRY_CHARGED = 1 << 1, /* counts against the quota */
};

struct entry {
    uint64_t cookie; /* grows along the array; never reused */
    uint32_t inode;  /* INODE_NONE: a whiteout, the name of an image is hidden */
    uint32_t name_offset;
    uint32_t hash;
    uint8_t name_len;
    uint8_t flags; /* enum entry_flag */
};

struct dir {
    struct entry *entries; /* in order of their making */
    uint32_t count;        /* dead ones included */
    uint32_t capacity;
    uint32_t dead;
    uint32_t slot_count; /* a power of two; 0 before the first entry */
    uint32_t *slots;     /* hash of the name to entry number + 1 */
    char *names;
    uint32_t names_len;
    uint32_t names_capacity;
    uint64_t next_cookie;
    uint32_t parent; /* inode; the root is its own */
    uint64_t cookie; /* of its own entry in the parent */
};

struct dir *dir_new(uint32_t parent);
void dir_free(struct dir *dir);
uint32_t dir_hash(struct span name);
struct span dir_name(const struct dir *dir, const struct entry *entry);
/* Borrowed until the next change of the directory; NULL when there is none (or a dead one). */
struct entry *dir_find(const struct dir *dir, struct span name);
/* Room for one more name, so that the next dir_put cannot fail. 0 or -GUEST_ENOMEM. */
int dir_reserve(struct dir *dir, size_t name_len);
/* Sets the entry of a name, new or there already; NULL without memory. */
struct entry *dir_put(struct dir *dir, struct span name, uint32_t inode, uint8_t flags);
void dir_remove(struct dir *dir, struct entry *entry);
/* The first living entry whose cookie is at least `cookie`, or NULL. */
const struct entry *dir_from_cookie(const struct dir *dir, uint64_t cookie);

/* Inodes and vnodes (inode.c). */

/* A file or symlink of a granted directory, as it was when it was looked up: `index` is its place
 * in granted->seen. */
#define LAYER_GRANTED UINT32_MAX

/* layer 0: inode `index`; layer n: entry `index` of image n - 1. {0, 0} is nothing. */
struct vnode {
    uint32_t layer;
    uint32_t index;
};

struct inode {
    uint32_t mode; /* 0 while free */
    uint32_t nlink;
    uint32_t refs;
    uint32_t uid;
    uint32_t gid;
    uint32_t device; /* of a character device: index in vfs->devices */
    uint32_t rdev;   /* of a character device: what stat(2) shows */
    uint32_t origin; /* of a directory: 1 + its record in vfs->origins; 0: no image has it */
    uint8_t granted; /* of a directory of the host: 1 + its number in vfs->granted; 0: it is none */
    uint32_t used;   /* of such a directory: granted->looks when it was last passed */
    bool fixed;      /* belongs to the sandbox: names in it, mode and times stay */
    bool written;    /* see struct vfs_walk_entry */
    uint32_t epoch;  /* vfs->epoch when it was last made or changed */
    uint64_t ino;
    uint64_t size;
    int64_t atime_ns;
    int64_t mtime_ns;
    int64_t ctime_ns;
    struct vnode backing; /* of a file or symlink whose contents are still an image's */
    union {
        struct content content; /* file, symlink (its target) */
        struct dir *dir;        /* directory */
        uint32_t next_free;     /* free */
    } as;
};

enum { INODE_BLOCK_COUNT = 64 };

static inline bool vnode_exists(struct vnode node)
{
    return node.layer != 0 || node.index != INODE_NONE;
}

static inline bool vnode_equal(struct vnode a, struct vnode b)
{
    return a.layer == b.layer && a.index == b.index;
}

static inline struct vnode vnode_of_inode(uint32_t number)
{
    return (struct vnode){0, number};
}

/* The number that stat(2) shows for an image's entry, and keeps showing when it has an inode. */
static inline uint64_t vnode_ino(struct vnode node)
{
    return (uint64_t)node.layer << 32 | node.index;
}

struct inode *inode_get(const struct vfs *vfs, uint32_t number);
/* A new inode without names or references, times now; INODE_NONE without memory. */
uint32_t inode_new(struct vfs *vfs, uint32_t mode);
uint32_t inode_new_dir(struct vfs *vfs, uint32_t mode, uint32_t parent);
void inode_hold(struct vfs *vfs, uint32_t number);
void inode_release(struct vfs *vfs, uint32_t number);
/* Takes one name away. */
void inode_unname(struct vfs *vfs, uint32_t number);
/* Frees it when nothing needs it any more, and the parents that only it kept. */
void inode_settle(struct vfs *vfs, uint32_t number);
void inode_free_all(struct vfs *vfs);
void inode_changed(struct vfs *vfs, struct inode *inode);  /* ctime */
void inode_modified(struct vfs *vfs, struct inode *inode); /* mtime and ctime */
/* Owner permissions, which are the guest's for everything: bits of VFS_R_OK, VFS_W_OK, VFS_X_OK. */
bool inode_may(const struct vfs *vfs, const struct inode *inode, unsigned bits);
/* Brings the contents of a file over from its image, at most `size` bytes. */
int inode_own_contents(struct vfs *vfs, struct inode *inode, uint64_t size);
int inode_truncate(struct vfs *vfs, struct inode *inode, uint64_t size);

/* All files of an image have one time. */
int64_t image_time_ns(const struct vfs *vfs, uint32_t layer);
/* Type and permissions; 0 when the image is damaged. */
uint32_t vnode_mode(const struct vfs *vfs, struct vnode node);
int vnode_stat(const struct vfs *vfs, struct vnode node, struct vfs_stat *out);
bool vnode_may(const struct vfs *vfs, struct vnode node, unsigned bits);
/* Reads a regular file or symlink; the count, 0 at the end, or an error. */
int64_t vnode_read(const struct vfs *vfs, struct vnode node, uint64_t offset, char *out,
                   size_t len);

/* The layers together (layers.c). */

/* Finds a child; out->{0,0} when there is none. Directories come back as inodes. */
int layers_lookup(struct vfs *vfs, uint32_t dir, struct span name, struct vnode *out);
/* A record of origins with all numbers 0; 1 + its number, or 0 without memory or past the maximum.
 */
uint32_t layers_new_origin(struct vfs *vfs);
/* Whether an image, or the host, has the name in this directory, hidden or not. */
bool layers_have(const struct vfs *vfs, uint32_t dir, struct span name);
/* The entry at *position, "." and ".." first, and moves on: 1, 0 at the end, or an error. What the
 * host has is kept in *listing meanwhile, which is the caller's to free (granted.h). */
int layers_next(struct vfs *vfs, uint32_t dir, uint64_t *position, struct granted_listing **listing,
                struct vfs_dirent *out);
/* The same without the host's own names: those that the guest has made, or passed. */
int layers_next_written(struct vfs *vfs, uint32_t dir, uint64_t *position, struct vfs_dirent *out);
#define POSITION_WRITTEN (1ULL << 40)               /* where that begins */
int layers_is_empty(struct vfs *vfs, uint32_t dir); /* 1, 0, or an error */
/* Gives an image's file or symlink an inode in its place; open files follow. */
int layers_copy_up(struct vfs *vfs, uint32_t dir, struct span name, struct vnode node,
                   uint32_t *number);
/* Puts a new name for an inode; fails when the quota or memory does. */
int layers_link(struct vfs *vfs, uint32_t dir, struct span name, uint32_t number);
/* Takes a name away, whatever it names; open files go on. */
int layers_unlink(struct vfs *vfs, uint32_t dir, struct span name, struct vnode node);
/* Moves the name of inode `number`; `target` is what the new name names now, or nothing. */
int layers_move(struct vfs *vfs, uint32_t old_dir, struct span old_name, uint32_t number,
                uint32_t new_dir, struct span new_name, struct vnode target);

/* Looking up paths (path.c). */

enum last_kind { LAST_NAME, LAST_DOT, LAST_DOT_DOT, LAST_ROOT };

enum lookup_flag {
    LOOKUP_FOLLOW = 1 << 0, /* a symlink at the end is followed */
    LOOKUP_NAME = 1 << 1,   /* the name itself is meant: a slash after it does not follow */
    LOOKUP_CREATE = 1 << 2, /* a file is to be made: a slash after its name is EISDIR */
};

struct lookup {
    enum last_kind kind;
    uint32_t parent;   /* directory inode that holds, or would hold, the name */
    struct vnode node; /* nothing when the last component does not exist */
    bool slash;        /* a slash followed the last component */
    uint8_t name_len;
    char name[LIMIT_NAME_BYTES_MAX + 1];
};

static inline struct span lookup_name(const struct lookup *lookup)
{
    return (struct span){lookup->name, lookup->name_len};
}

/* 0 when all but the last component exist. */
int path_lookup(struct vfs *vfs, int dirfd, struct span path, unsigned flags, struct lookup *out);
/* The same for something that must exist; a slash at the end asks for a directory. */
int path_find(struct vfs *vfs, int dirfd, struct span path, unsigned flags, struct lookup *out);
/* The same for a name to be made: EEXIST when it exists, EACCES when the directory forbids. */
int path_new_name(struct vfs *vfs, int dirfd, struct span path, bool is_dir, struct lookup *out);
/* The inode of what was found, copied up from its image when it has none. */
int path_own(struct vfs *vfs, const struct lookup *lookup, uint32_t *number);
/* Whether names in a directory can be changed: 0, EACCES, or ENOENT when it has been removed. */
int path_may_change(const struct vfs *vfs, uint32_t dir);

/* Open files (files.c) and pipes (pipe.c). */

#define PIPE_NONE 0U

enum file_kind { FILE_FREE, FILE_NODE, FILE_PIPE_READ, FILE_PIPE_WRITE, FILE_HOST };

/* What open(2) makes; dup(2) shares it. */
struct file {
    enum file_kind kind;
    uint32_t refs; /* descriptors */
    int flags;     /* VFS_O_* as of now */
    struct vnode node;
    uint32_t parent;                 /* of an image's file: the directory it is in, held */
    uint32_t pipe;                   /* of a pipe's end: index in vfs->pipes */
    uint64_t offset;                 /* of a directory: position of layers_next */
    struct granted_listing *listing; /* of a directory: layers_next's; owned */
    int host_fd;                     /* of a file of a granted directory; owned */
    uint8_t grant;                   /* the same: its number in vfs->granted */
};

struct descriptor {
    uint16_t file; /* 1 + index in vfs->files; 0 is closed */
    bool close_on_exec;
};

struct pipe {
    char *bytes; /* LIMIT_PIPE_BYTES of ring, owned, from the first write on */
    uint32_t start;
    uint32_t len;
    uint32_t readers;
    uint32_t writers;
    uint64_t ino;
    int64_t made_ns;
};

/* The open file of a descriptor; NULL when it is closed. */
struct file *files_get(const struct vfs *vfs, int fd);
/* The same for reading or writing (bits VFS_R_OK, VFS_W_OK); NULL also when not opened for it. */
struct file *files_get_for(const struct vfs *vfs, int fd, unsigned bits);
/* The directory inode that relative paths start from. */
int files_start_dir(const struct vfs *vfs, int dirfd, uint32_t *dir);
/* Lets every open file of `from` refer to inode `number` instead. */
void files_redirect(struct vfs *vfs, struct vnode from, uint32_t number);
bool files_have(const struct vfs *vfs, struct vnode node);
/* Whether a descriptor can be had: 0, or EMFILE and the limit is marked as hit. */
int files_room(struct vfs *vfs, uint32_t count);
/* The inode of an open file, copied up when it has none. */
int files_own(struct vfs *vfs, struct file *file, uint32_t *number);
/* A descriptor for a new open file, whose node or pipe's end it takes a reference to. There must
 * be room. */
int files_add(struct vfs *vfs, const struct file *file, bool close_on_exec);

/* Puts an open file that no descriptor has yet in a free place, and takes the same reference. */
void files_put(struct vfs *vfs, struct file *place, const struct file *file);

int64_t pipe_read(struct pipe *pipe, char *bytes, size_t len);
int64_t pipe_write(struct pipe *pipe, const char *bytes, size_t len);
unsigned pipe_poll(const struct pipe *pipe, bool is_writer);
void pipe_stat(const struct pipe *pipe, struct vfs_stat *out);
void pipe_close(struct pipe *pipe, bool is_writer);

/* The whole (vfs.c). */

enum { VFS_STANDARD_FILES = 3, VFS_UMASK = 022 };

enum { PIPES_MAX = LIMIT_OPEN_FILES_MAX + 1 };

struct vfs {
    struct image images[LIMIT_IMAGE_COUNT_MAX];
    uint32_t image_count;
    uint64_t (*now_ns)(void *context);
    void *now_context;

    struct vfs_quota quota;
    uint64_t bytes_used;
    uint64_t count_used;
    uint32_t limits_hit; /* enum vfs_limit */

    struct inode **blocks; /* of INODE_BLOCK_COUNT inodes */
    uint32_t block_count;
    uint32_t inode_free; /* head of the free list */
    uint64_t next_ino;
    uint32_t *origins; /* records of image_count numbers: 1 + entry of each image, 0 for none */
    uint32_t origin_count;
    uint32_t origin_capacity;
    uint32_t origin_count_max;

    bool by_host;   /* the call is the host's own: permissions are not asked */
    uint32_t epoch; /* moved on by vfs_mark */
    uint32_t cwd;   /* held */
    uint32_t umask;
    struct vfs_device devices[LIMIT_DEVICES_MAX];
    uint32_t device_count;
    struct file files[LIMIT_OPEN_FILES_MAX];
    struct descriptor descriptors[LIMIT_OPEN_FILES_MAX];
    struct pipe pipes[PIPES_MAX]; /* 0 is PIPE_NONE */
    struct granted *granted;      /* NULL: no directory is granted */
};

int64_t vfs_now(const struct vfs *vfs);
uint64_t vfs_bytes_left(const struct vfs *vfs);
/* 0, or -ENOSPC and the limit is marked as hit. */
int vfs_take_count(struct vfs *vfs);

#endif
