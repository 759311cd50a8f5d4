#include "guest/vfs/image.h"

#include "base/limits.h"
#include "guest/vfs/image_format.h"

/* The part of `whole` at [offset, offset + len), when it lies inside. */
static bool take_part(struct span whole, uint64_t offset, uint64_t len, struct span *out)
{
    if (offset > whole.len || len > whole.len - offset) {
        return false;
    }
    *out = (struct span){whole.base + offset, (size_t)len};
    return true;
}

int image_open(struct span bytes, struct image *out, struct err *err)
{
    if (bytes.len < IMAGE_HEADER_BYTES || memcmp(bytes.base, IMAGE_MAGIC, IMAGE_MAGIC_BYTES) != 0) {
        return err_set(err, ERR_FORMAT, "this is not a file system image");
    }
    uint32_t version = image_get_u32(bytes.base + IMAGE_HEADER_VERSION);
    if (version != IMAGE_VERSION) {
        return err_set(err, ERR_FORMAT, "the image has version %u, this program reads %u", version,
                       IMAGE_VERSION);
    }
    struct image image = {.bytes = bytes,
                          .entry_count = image_get_u32(bytes.base + IMAGE_HEADER_COUNT),
                          .mtime_s = image_get_u64(bytes.base + IMAGE_HEADER_MTIME)};
    struct span entries;
    bool inside = take_part(bytes, image_get_u64(bytes.base + IMAGE_HEADER_ENTRIES),
                            (uint64_t)image.entry_count * IMAGE_ENTRY_BYTES, &entries) &&
                  take_part(bytes, image_get_u64(bytes.base + IMAGE_HEADER_NAMES),
                            image_get_u64(bytes.base + IMAGE_HEADER_NAMES_BYTES), &image.names) &&
                  take_part(bytes, image_get_u64(bytes.base + IMAGE_HEADER_DATA),
                            image_get_u64(bytes.base + IMAGE_HEADER_DATA_BYTES), &image.data);
    if (!inside || image.entry_count > LIMIT_IMAGE_ENTRIES_MAX) {
        return err_set(err, ERR_FORMAT, "the image is cut off or its header is damaged");
    }
    image.entries = entries.base;
    struct image_entry root;
    if (image_entry(&image, IMAGE_ROOT, &root) != 0 ||
        (root.mode & IMAGE_MODE_TYPE) != IMAGE_MODE_DIR) {
        return err_set(err, ERR_FORMAT, "the image has no root directory");
    }
    *out = image;
    return 0;
}

static const char *entry_at(const struct image *image, uint32_t index)
{
    return image->entries + (size_t)index * IMAGE_ENTRY_BYTES;
}

static bool entry_name(const struct image *image, const char *entry, struct span *name)
{
    uint16_t len = image_get_u16(entry + IMAGE_ENTRY_NAME_LEN);
    return len <= LIMIT_NAME_BYTES_MAX &&
           take_part(image->names, image_get_u32(entry + IMAGE_ENTRY_NAME), len, name);
}

/* A name that would change the meaning of a path it is put into is as bad as one out of bounds. */
static bool name_is_plain(struct span name)
{
    if (name.len == 0 || memchr(name.base, '/', name.len) != NULL ||
        memchr(name.base, '\0', name.len) != NULL) {
        return false;
    }
    return !span_equal(name, span_of(".")) && !span_equal(name, span_of(".."));
}

static bool children_are_valid(const struct image *image, uint32_t index,
                               const struct image_entry *entry)
{
    return entry->child_count == 0 ||
           (entry->first_child > index && entry->first_child < image->entry_count &&
            entry->child_count <= image->entry_count - entry->first_child);
}

static bool contents_are_valid(const struct image *image, const char *bytes,
                               struct image_entry *entry)
{
    if (!take_part(image->data, image_get_u64(bytes + IMAGE_ENTRY_OFFSET),
                   image_get_u64(bytes + IMAGE_ENTRY_SIZE), &entry->contents)) {
        return false;
    }
    uint32_t type = entry->mode & IMAGE_MODE_TYPE;
    return type == IMAGE_MODE_FILE || (type == IMAGE_MODE_LINK && entry->contents.len > 0 &&
                                       entry->contents.len < LIMIT_PATH_BYTES_MAX);
}

int image_entry(const struct image *image, uint32_t index, struct image_entry *out)
{
    if (index >= image->entry_count) {
        return -1;
    }
    const char *bytes = entry_at(image, index);
    struct image_entry entry = {.mode = image_get_u16(bytes + IMAGE_ENTRY_MODE)};
    if (!entry_name(image, bytes, &entry.name) ||
        (index == IMAGE_ROOT ? entry.name.len != 0 : !name_is_plain(entry.name))) {
        return -1;
    }
    if ((entry.mode & IMAGE_MODE_TYPE) == IMAGE_MODE_DIR) {
        entry.first_child = image_get_u32(bytes + IMAGE_ENTRY_CHILD);
        entry.child_count = image_get_u32(bytes + IMAGE_ENTRY_CHILD_COUNT);
        if (!children_are_valid(image, index, &entry)) {
            return -1;
        }
    } else if (!contents_are_valid(image, bytes, &entry)) {
        return -1;
    }
    *out = entry;
    return 0;
}

static int compare_names(struct span a, struct span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.base, b.base, common);
    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

int image_lookup(const struct image *image, uint32_t dir, struct span name, uint32_t *index)
{
    struct image_entry parent;
    if (image_entry(image, dir, &parent) != 0) {
        return -1;
    }
    uint32_t low = parent.first_child;
    uint32_t high = parent.first_child + parent.child_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct span found;
        if (!entry_name(image, entry_at(image, middle), &found)) {
            return -1;
        }
        int order = compare_names(name, found);
        if (order == 0) {
            *index = middle;
            return 1;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return 0;
}
