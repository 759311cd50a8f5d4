#include "builder/merge.h"

#include <stdlib.h>

#include "base/limits.h"
#include "guest/vfs/image.h"
#include "guest/vfs/image_format.h"

enum { DEPTH_MAX = LIMIT_PATH_BYTES_MAX / 2 };

struct merge {
    const struct merge_source *sources;
    struct image *images;
    size_t count;
    struct image_writer *writer;
};

/* A walk over one image without recursion: the folders from the root to where it is. */
struct level {
    uint32_t next; /* child to be visited */
    uint32_t end;
    size_t path_len;
};

struct walk {
    const struct image *image;
    struct level levels[DEPTH_MAX];
    size_t depth;
    uint32_t visited; /* images whose folders share children have any number of paths */
    char path[LIMIT_PATH_BYTES_MAX];
    size_t path_len;
};

static void walk_enter(struct walk *walk, const struct image_entry *folder)
{
    walk->levels[walk->depth++] = (struct level){
        .next = folder->first_child,
        .end = folder->first_child + folder->child_count,
        .path_len = walk->path_len,
    };
}

static int walk_damaged(struct err *err)
{
    return err_set(err, ERR_FORMAT, "the image is damaged");
}

/* The next entry, a folder before what is in it: 1, 0 at the end, -1 when the image is damaged. */
static int walk_next(struct walk *walk, struct image_entry *entry, struct err *err)
{
    while (walk->depth > 0) {
        struct level *level = &walk->levels[walk->depth - 1];
        walk->path_len = level->path_len;
        if (level->next == level->end) {
            walk->depth--;
            continue;
        }
        if (image_entry(walk->image, level->next++, entry) != 0 ||
            ++walk->visited > LIMIT_IMAGE_ENTRIES_MAX ||
            entry->name.len + 1 > sizeof walk->path - walk->path_len) {
            return walk_damaged(err);
        }
        walk->path[walk->path_len++] = '/';
        memcpy(walk->path + walk->path_len, entry->name.base, entry->name.len);
        walk->path_len += entry->name.len;
        if ((entry->mode & IMAGE_MODE_TYPE) == IMAGE_MODE_DIR) {
            if (walk->depth == DEPTH_MAX) {
                return walk_damaged(err);
            }
            walk_enter(walk, entry);
        }
        return 1;
    }
    return 0;
}

/* The entry at a path; false when there is none. */
static bool find(const struct image *image, struct span path, struct image_entry *entry)
{
    uint32_t at = IMAGE_ROOT;
    while (path.len > 0) {
        path = (struct span){path.base + 1, path.len - 1};
        const char *slash = memchr(path.base, '/', path.len);
        size_t len = slash == NULL ? path.len : (size_t)(slash - path.base);
        if (image_lookup(image, at, (struct span){path.base, len}, &at) != 1) {
            return false;
        }
        path = (struct span){path.base + len, path.len - len};
    }
    return image_entry(image, at, entry) == 0;
}

/* A file that could not be added: well if an earlier source has the same one. */
static int merge_conflict(const struct merge *merge, size_t source, struct span path,
                          const struct image_entry *entry, struct err *err)
{
    for (size_t i = 0; i < source; i++) {
        struct image_entry other;
        if (!find(&merge->images[i], path, &other)) {
            continue;
        }
        if (other.mode == entry->mode && span_equal(other.contents, entry->contents)) {
            return 0;
        }
        return err_set(err, ERR_FORMAT, "two packages have a different %.*s: %s and %s",
                       (int)path.len, path.base, merge->sources[i].name,
                       merge->sources[source].name);
    }
    return err_prefix(err, "%s", merge->sources[source].name);
}

static int merge_entry(const struct merge *merge, size_t source, struct span path,
                       const struct image_entry *entry, struct err *err)
{
    uint32_t mode = entry->mode & 07777;
    switch (entry->mode & IMAGE_MODE_TYPE) {
    case IMAGE_MODE_DIR:
        return image_writer_add_dir(merge->writer, path, mode, err) == 0
                   ? 0
                   : merge_conflict(merge, source, path, entry, err);
    case IMAGE_MODE_FILE:
        return image_writer_borrow_file(merge->writer, path, entry->contents, mode, err) == 0
                   ? 0
                   : merge_conflict(merge, source, path, entry, err);
    default: return walk_damaged(err);
    }
}

static int merge_image(const struct merge *merge, size_t source, struct err *err)
{
    struct walk *walk = calloc(1, sizeof *walk);
    struct image_entry entry;
    if (walk == NULL) {
        return err_set(err, ERR_MEMORY, "no memory to read an image");
    }
    walk->image = &merge->images[source];
    int more = image_entry(walk->image, IMAGE_ROOT, &entry) == 0 ? 0 : walk_damaged(err);
    if (more == 0) {
        walk_enter(walk, &entry);
    }
    while (more == 0 && (more = walk_next(walk, &entry, err)) == 1) {
        more = merge_entry(merge, source, (struct span){walk->path, walk->path_len}, &entry, err);
    }
    free(walk);
    return more;
}

static int merge_all(struct merge *merge, const char *path, struct err *err)
{
    for (size_t i = 0; i < merge->count; i++) {
        if (image_open(merge->sources[i].bytes, &merge->images[i], err) != 0) {
            return err_prefix(err, "%s", merge->sources[i].name);
        }
    }
    for (size_t i = 0; i < merge->count; i++) {
        if (merge_image(merge, i, err) != 0) {
            return -1;
        }
    }
    return image_writer_write(merge->writer, path, err);
}

int merge_write(const struct merge_source *sources, size_t count, const char *path, struct err *err)
{
    struct merge merge = {
        .sources = sources,
        .count = count,
        .images = calloc(count + 1, sizeof *merge.images),
        .writer = image_writer_new(IMAGE_MTIME_DEFAULT_S),
    };
    int result = merge.images == NULL || merge.writer == NULL
                     ? err_set(err, ERR_MEMORY, "no memory for an image")
                     : merge_all(&merge, path, err);
    free(merge.images);
    image_writer_free(merge.writer);
    return result;
}
